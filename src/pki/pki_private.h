/* pki_private: what the files of this folder share: OpenSSL objects and its errors. */
#ifndef VALISE_PKI_PKI_PRIVATE_H
#define VALISE_PKI_PKI_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki/names.h"
#include "pki/pki.h"

struct pki_key {
    EVP_PKEY *pkey;
};

/* Sets E to CODE with WHAT and OpenSSL's own reason, and empties OpenSSL's error queue. Returns CODE. */
int pki_fail(struct error *e, int code, const char *what);
/* The first certificate of PEM, to be freed with X509_free. 0 or ERR_SYNTAX. */
int pki_certificate_parse(str pem, X509 **ret, struct error *e) MUST_USE;
/* The key that a certificate shall be made for: of a PKCS #10 request whose proof is good, or of a certificate that CA signed for all
 * names of ORDER. ERR_SYNTAX, ERR_REFUSED, ERR_UNSUPPORTED. */
int pki_subject_key(str pem, X509 *ca, const struct pki_order *order, EVP_PKEY **ret, struct error *e) MUST_USE;
/* Whether keys of PKEY's kind are used here. */
bool pki_pkey_is_supported(const EVP_PKEY *pkey);
/* Puts the end of CERT's time, in seconds since 1970, in *RET; NOW is near. False when it cannot be told. */
bool pki_certificate_end(const X509 *cert, int64_t now, int64_t *ret);
/* When CERT's time begins and ends, in seconds since 1970. False when that cannot be told. */
bool pki_certificate_times(const X509 *cert, int64_t *ret_from, int64_t *ret_to);
/* Adds the name constraints for NAMES and HOSTNAME (empty: none) to the CA's certificate CERT, critical (RFC 5280 section 4.2.1.10). */
bool pki_constraints_add(X509 *cert, const struct pki_names *names, str hostname);
/* Whether CERT, which is signed, keeps to the name constraints of CA. ERR_REFUSED, ERR_INTERNAL. */
int pki_constraints_check(X509 *ca, X509 *cert, struct error *e) MUST_USE;
/* A host name in the preferred syntax (RFC 5280 section 4.2.1.6), no wildcard. names.c has it. */
bool pki_host_is_valid(str name);
/* Appends what BIO holds to OUT. */
void pki_bio_take(BIO *bio, struct buf *out);
/* Hex SHA-256 of PKEY's SubjectPublicKeyInfo. */
int pki_pkey_id(const EVP_PKEY *pkey, char ret_hex[65]) MUST_USE;

#endif
