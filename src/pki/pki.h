/* pki: the certification authority of a domain: keys, the root certificate, server certificates (RFC 5280), and their files.
 *
 * Certificates travel as PEM text, keys as opaque objects that only keeper and the commands of the administrator hold. Nothing
 * here reads a configuration or asks for a passphrase. Thread-safe; nothing blocks except the functions on files. */
#ifndef VALISE_PKI_PKI_H
#define VALISE_PKI_PKI_H

#include "base/arena.h"
#include "base/beneath.h"
#include "base/buf.h"
#include "pki/names.h"

enum {
    PKI_CA_DAYS = 3652,        /* ten years */
    PKI_SERVER_DAYS_MAX = 397, /* what browsers and phones accept of a server certificate */
    PKI_USER_DAYS_MAX = 1096,  /* three years */
    PKI_NAMES_MAX = 100,       /* names in one certificate */
    PKI_PEM_MAX = 1 << 18,     /* bytes of one PEM file */
    PKI_SECRET_MAX = 4096      /* bytes of a secret that is sealed */
};

/* --- keys --- */

struct pki_key;
enum pki_kind { PKI_EC_P256, PKI_EC_P384, PKI_RSA_3072 };

/* A new key. 0 or ERR_INTERNAL. */
int pki_key_generate(enum pki_kind kind, struct pki_key **ret, struct error *e) MUST_USE;
/* The unencrypted private key (PKCS#8, EC or RSA form) in PEM. ERR_SYNTAX, ERR_UNSUPPORTED for other than EC P-256/P-384 and RSA
 * of 2048 to 8192 bits. */
int pki_key_from_pem(str pem, struct pki_key **ret, struct error *e) MUST_USE;
/* Appends the key in PKCS#8 PEM to OUT, which should be secret. 0, ERR_LIMIT, ERR_INTERNAL. */
int pki_key_to_pem(const struct pki_key *k, struct buf *out, struct error *e) MUST_USE;
/* Wipes and frees. NULL accepted. */
void pki_key_free(struct pki_key *k);

/* The name of a key: hex SHA-256 of its SubjectPublicKeyInfo (RFC 7469 section 2.4 takes the same hash), with a NUL. 0 or
 * ERR_INTERNAL. */
int pki_key_id(const struct pki_key *k, char ret_hex[65]) MUST_USE;
/* Signs MESSAGE by SCHEME, one of enum tls_scheme (run/tls_signed.h): hashed, and with RSA padded, here. Whether MESSAGE is to be signed at all is the
 * caller's to judge. Returns the signature's length, as long as the modulus with RSA and in DER with EC; ERR_REFUSED for a scheme that is
 * unknown or not for this kind of key, ERR_LIMIT when SIG_MAX is too small, ERR_INTERNAL. */
int64_t pki_key_sign(const struct pki_key *k, uint16_t scheme, str message, char *sig, size_t sig_max) MUST_USE;

/* --- certificates --- */

/* Appends the self-signed certificate of root CA KEY to OUT in PEM: subject "CN=<DOMAIN> root CA", valid from NOW (seconds
 * since 1970) for PKI_CA_DAYS, no CA below it. Its name constraints (RFC 5280 section 4.2.1.10) are critical and say that it speaks for NAMES and
 * server HOSTNAME (may be empty) only; NAMES may be NULL: for all names, as the CAs of valise before there were lists. ERR_SYNTAX for a bad
 * DOMAIN, ERR_LIMIT, ERR_INTERNAL. */
int pki_ca_create(const struct pki_key *key, str domain, const struct pki_names *names, str hostname, int64_t now,
                  struct buf *out, struct error *e) MUST_USE;
/* The same for a lab: its subject says so beside the domain (OU=PKI_LAB_UNIT), which every program that is asked to trust it shows. It stays so for
 * good: pki_ca_renew keeps the name. */
#define PKI_LAB_UNIT "a lab, not for real mail"
int pki_ca_create_lab(const struct pki_key *key, str domain, const struct pki_names *names, str hostname, int64_t now,
                      struct buf *out, struct error *e) MUST_USE;
/* Whether the CA whose certificate PEM is was made by pki_ca_create_lab, or for it by pki_ca_renew. */
bool pki_ca_is_lab(str pem);
/* The same for a CA that there is: a new certificate for KEY with the name of CA_PEM, which takes its place as trust anchor. Certificates that were
 * issued under either verify under the other as far as its names go. Errors also as pki_server_issue for KEY and CA_PEM. */
int pki_ca_renew(const struct pki_key *key, str ca_pem, const struct pki_names *names, str hostname, int64_t now, struct buf *out,
                 struct error *e) MUST_USE;

struct pki_server_request {
    const str *names; /* host names ("mail.example.net", "*.example.net"; IDN as A-labels) and IP addresses; the subject first */
    size_t name_n;    /* 1 to PKI_NAMES_MAX */
    unsigned days;    /* 1 to PKI_SERVER_DAYS_MAX; cut to what is left of the CA's time */
};
/* Appends a server certificate for KEY, signed by CA_KEY whose certificate is CA_PEM, to OUT in PEM. NOW in seconds since
 * 1970; valid from an hour before, for clients whose clocks are late. ERR_SYNTAX for a bad name or CA_PEM, ERR_LIMIT,
 * ERR_REFUSED when CA_KEY is not the key of CA_PEM, CA_PEM is no CA or its time is over, ERR_INTERNAL. */
int pki_server_issue(const struct pki_key *ca_key, str ca_pem, const struct pki_key *key,
                     const struct pki_server_request *request, int64_t now, struct buf *out, struct error *e) MUST_USE;

/* What a certificate is for. */
enum pki_use {
    PKI_USE_SERVER, /* names as in pki_server_request; serverAuth */
    PKI_USE_USER    /* mail addresses (RFC 5280 section 4.2.1.6); emailProtection and clientAuth */
};
struct pki_order {
    enum pki_use use;
    const str *names; /* the first that is no address is the subject's common name */
    size_t name_n;    /* 1 to PKI_NAMES_MAX */
    int64_t seconds;  /* 60 to the use's days; cut to what is left of the CA's time */
    const bool *
        outside; /* for each name: it is in no domain of ours, as far as whoever orders knows; NULL: none is. For pki_names_check */
};
/* Appends a request for a certificate (PKCS #10, RFC 2986) in PEM to OUT: KEY's public half and the proof of having it; who it is for is
 * told apart. ERR_LIMIT, ERR_INTERNAL. */
int pki_request_create(const struct pki_key *key, struct buf *out, struct error *e) MUST_USE;
/* Appends a certificate as ORDER says, in PEM, to OUT. Its key is that of SUBJECT_PEM: a request with a good proof, or a certificate that CA_KEY
 * signed itself and that is to be renewed: all names of ORDER must be in that. Nothing else of SUBJECT_PEM is taken over. Errors as pki_server_issue;
 * ERR_REFUSED also for a bad proof and for a certificate that is another CA's or a CA or has other names. */
int pki_issue(const struct pki_key *ca_key, str ca_pem, str subject_pem, const struct pki_order *order, int64_t now,
              struct buf *out, struct error *e) MUST_USE;
/* Whether both are certificates of one CA, of the same name and key: pki_ca_renew makes another of the one that there is. Nothing is verified. */
bool pki_is_same_ca(str pem, str other_pem);
/* Whether the certificate in PEM was signed by the CA in CA_PEM, whatever its time. */
bool pki_is_issued_by(str pem, str ca_pem);

/* Appends to OUT (which should be secret) a PKCS #12 file (RFC 7292) in DER: KEY, its certificate PEM and the CA's, encrypted with PASSWORD. AES-256
 * in PBES2 and an HMAC-SHA-256 (RFC 8018), which openssl, Thunderbird and Apple of 2022 and later read; LEGACY: Triple DES and SHA-1, for older
 * ones. NAME is shown by whoever imports it. ERR_SYNTAX, ERR_REFUSED when KEY is not the certificate's, ERR_LIMIT, ERR_INTERNAL. */
int pki_p12_create(const struct pki_key *key, str pem, str ca_pem, str name, str password, bool legacy, struct buf *out,
                   struct error *e) MUST_USE;

enum pki_name_kind { PKI_NAME_DNS, PKI_NAME_IP, PKI_NAME_EMAIL };
struct pki_name {
    enum pki_name_kind kind;
    str text; /* as a host name, an address in text form, a mail address; escaped if it has odd bytes */
};
struct pki_description {
    str subject, issuer;    /* RFC 4514 form: "CN=mail.example.net" */
    struct pki_name *names; /* subjectAltName, in order; other kinds than the above are left out */
    size_t name_n;
    int64_t not_before, not_after; /* seconds since 1970 */
    str serial;                    /* lower-case hex */
    str key_id;                    /* as pki_key_id */
    str fingerprint;               /* hex SHA-256 of the certificate */
    str key_kind;                  /* "ECDSA P-256", "RSA 3072" */
    bool is_ca;
};
/* Says why TEXT holds no WHAT ("CERTIFICATE", "PRIVATE KEY": how its first line ends) in PEM form: which line is wrong, or what is there
 * instead. Returns ERR_SYNTAX. */
int pki_pem_fail(str text, const char *what, struct error *e);
/* What the first certificate of PEM says, in A. Nothing is verified. ERR_SYNTAX, ERR_LIMIT. */
int pki_certificate_describe(str pem, struct arena *a, struct pki_description *ret, struct error *e) MUST_USE;

/* What names a CA's certificate speaks for. */
struct pki_scope {
    bool limited; /* critical name constraints hold down hosts, mail addresses and IP addresses; false: it speaks for anybody */
    bool narrow;  /* and no URIs, no programs and no time stamps; false for the root of an older valise */
    struct pki_name *names; /* what is permitted; a network where an address would be */
    size_t name_n;
};
/* Reads it from CA_PEM, in A. Nothing is verified. ERR_SYNTAX, ERR_LIMIT. */
int pki_scope_read(str ca_pem, struct arena *a, struct pki_scope *ret, struct error *e) MUST_USE;
/* Whether all that GRANT allows is within it. */
bool pki_scope_has(const struct pki_scope *s, const struct pki_grant *grant);

/* Appends all that the first certificate of PEM says to OUT, as `openssl x509 -text' prints it, in printable ASCII. ERR_SYNTAX, ERR_LIMIT. */
int pki_certificate_print(str pem, struct buf *out, struct error *e) MUST_USE;
/* Appends the first certificate of PEM in DER to OUT. ERR_SYNTAX, ERR_LIMIT. */
int pki_certificate_to_der(str pem, struct buf *out, struct error *e) MUST_USE;

/* --- files --- */

/* Puts BYTES in file PATH whole or not at all, durable on return: written beside it, synced, renamed, the directory synced.
 * Without REPLACE a file that is there is left alone: ERR_EXISTS. ERR_NOTFOUND (directory), ERR_REFUSED, ERR_FULL, ERR_IO. */
int pki_file_write(const char *path, str bytes, unsigned mode, bool replace, struct error *e) MUST_USE;
/* The same for a private key (mode 0600) and for a certificate or chain (mode 0644). */
int pki_key_store(const struct pki_key *k, const char *path, bool replace, struct error *e) MUST_USE;
int pki_certificate_store(str pem, const char *path, bool replace, struct error *e) MUST_USE;
/* Appends file PATH to OUT. ERR_NOTFOUND, ERR_REFUSED, ERR_LIMIT when it is larger than OUT may grow, ERR_IO. */
int pki_file_read(const char *path, struct buf *out, struct error *e) MUST_USE;
/* The same for a private key, whatever its form, into OUT, which should be secret. ERR_REFUSED also as pki_key_load. */
int pki_key_read(const char *path, struct buf *out, struct error *e) MUST_USE;
/* pki_key_read and pki_key_from_pem, nothing left in memory but the key. ERR_REFUSED when others than its owner may read or
 * write the file; one of root's may be read by a group, which is ours unless we are root. */
int pki_key_load(const char *path, struct pki_key **ret, struct error *e) MUST_USE;

/* --- secrets that must be had back (seal.c) --- */

/* Makes a key for them in file NAME of the directory DIR (a descriptor) with these rights, unless there is one. As pki_file_write. */
int pki_seal_key_make(int dir, const char *name, struct beneath_rights rights, struct error *e) MUST_USE;
/* Appends PLAIN (1 to PKI_SECRET_MAX bytes), sealed with the key in file PATH for CONTEXT, to OUT. ERR_LIMIT, ERR_INTERNAL, and as pki_file_read. */
int pki_seal(const char *path, str context, str plain, struct buf *out, struct error *e) MUST_USE;
/* The reverse; OUT should be secret. ERR_CORRUPT: sealed with another key, for another context, or damaged. */
int pki_unseal(const char *path, str context, str sealed, struct buf *out, struct error *e) MUST_USE;

#endif
