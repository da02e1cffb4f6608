/* import: what another CA has given for a server, read from the files that a person names. Whoever does this once a year mistakes one file for
 * another, so each mistake has a sentence of its own, with the way out. The bytes may come from anyone. */
#include "pki/import.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/ip.h"
#include "pki/pki_private.h"

enum { CHAIN_MAX = 16, NAMES_TOLD = 5, TOLD_MAX = 512 };

/* --- what a file holds --- */

enum holds {
    HOLDS_NOTHING,
    HOLDS_UNKNOWN,
    HOLDS_CERTIFICATE,
    HOLDS_KEY,
    HOLDS_ENCRYPTED_KEY,
    HOLDS_PUBLIC_KEY,
    HOLDS_REQUEST,
    HOLDS_PKCS7,
    HOLDS_CERTIFICATE_DER,
    HOLDS_KEY_DER,
    HOLDS_ENCRYPTED_KEY_DER,
    HOLDS_PKCS7_DER,
    HOLDS_PKCS12,
    HOLDS_N
};

/* As they are printed, %s being the file; short, as its path may stand in them twice. */
static const char *const no_chain[HOLDS_N] = {
    [HOLDS_NOTHING] = "%s is empty",
    [HOLDS_UNKNOWN] = "%s holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----",
    [HOLDS_KEY] = "%s holds a private key and no certificate: are --chain and --key swapped?",
    [HOLDS_ENCRYPTED_KEY] = "%s holds an encrypted private key and no certificate: are --chain and --key swapped?",
    [HOLDS_PUBLIC_KEY] = "%s holds a public key only; --chain is the certificate of it",
    [HOLDS_REQUEST] = "%s holds a request for a certificate; --chain is what the CA has answered to it",
    [HOLDS_PKCS7] = "%s holds PKCS #7; for PEM: openssl pkcs7 -print_certs -in %s -out chain.pem",
    [HOLDS_CERTIFICATE_DER] = "%s holds a certificate in DER; for PEM: openssl x509 -inform DER -in %s -out chain.pem",
    [HOLDS_KEY_DER] = "%s holds a private key, in DER, and no certificate: are --chain and --key swapped?",
    [HOLDS_ENCRYPTED_KEY_DER] = "%s holds an encrypted private key, in DER, and no certificate: are --chain and --key swapped?",
    [HOLDS_PKCS7_DER] = "%s holds PKCS #7 in DER; for PEM: openssl pkcs7 -inform DER -print_certs -in %s -out chain.pem",
    [HOLDS_PKCS12] = "%s is a PKCS #12 file; take the certificates out: openssl pkcs12 -in %s -nokeys -out chain.pem",
};
static const char *const no_key[HOLDS_N] = {
    [HOLDS_NOTHING] = "%s is empty",
    [HOLDS_UNKNOWN] = "%s holds no private key in PEM form, which begins with -----BEGIN PRIVATE KEY-----",
    [HOLDS_CERTIFICATE] = "%s holds a certificate and no private key: are --chain and --key swapped?",
    [HOLDS_KEY] = "%s holds a private key that cannot be read: it is damaged, or of a kind that is not known here",
    [HOLDS_ENCRYPTED_KEY] =
        "the key in %s is encrypted, and nobody types its passphrase when a server starts; without: openssl pkey "
        "-in %s -out key.pem",
    [HOLDS_PUBLIC_KEY] = "%s holds a public key; the private one is needed, which was made with it",
    [HOLDS_REQUEST] = "%s holds a request for a certificate; the private key that was made with it is needed",
    [HOLDS_PKCS7] = "%s holds certificates as PKCS #7 and no private key",
    [HOLDS_CERTIFICATE_DER] = "%s holds a certificate, in DER, and no private key: are --chain and --key swapped?",
    [HOLDS_KEY_DER] = "%s holds a private key in DER; for PEM: openssl pkey -inform DER -in %s -out key.pem",
    [HOLDS_ENCRYPTED_KEY_DER] =
        "the key in %s is encrypted, and in DER; for PEM without a passphrase: openssl pkcs8 -inform DER -in "
        "%s -out key.pem",
    [HOLDS_PKCS7_DER] = "%s holds certificates as PKCS #7 and no private key",
    [HOLDS_PKCS12] = "%s is a PKCS #12 file; take the key out: openssl pkcs12 -in %s -nocerts -noenc -out key.pem",
};

static const struct {
    const char *label;
    enum holds holds;
} labels[] = { { PEM_STRING_X509, HOLDS_CERTIFICATE },
               { PEM_STRING_X509_OLD, HOLDS_CERTIFICATE },
               { PEM_STRING_PKCS8INF, HOLDS_KEY },
               { PEM_STRING_PKCS8, HOLDS_ENCRYPTED_KEY },
               { PEM_STRING_RSA, HOLDS_KEY },
               { PEM_STRING_ECPRIVATEKEY, HOLDS_KEY },
               { PEM_STRING_DSA, HOLDS_KEY },
               { PEM_STRING_PUBLIC, HOLDS_PUBLIC_KEY },
               { PEM_STRING_RSA_PUBLIC, HOLDS_PUBLIC_KEY },
               { PEM_STRING_X509_REQ, HOLDS_REQUEST },
               { PEM_STRING_X509_REQ_OLD, HOLDS_REQUEST },
               { PEM_STRING_PKCS7, HOLDS_PKCS7 } };

static enum holds label_holds(const char *label, const char *header)
{
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (strcmp(label, labels[i].label) == 0)
            return labels[i].holds == HOLDS_KEY && strstr(header, "ENCRYPTED") ? HOLDS_ENCRYPTED_KEY : labels[i].holds;
    return HOLDS_UNKNOWN;
}

/* The first block that says something; of a key beside certificates, the WANTED one. */
static enum holds look_at_pem(str bytes, enum holds wanted)
{
    enum holds seen = HOLDS_UNKNOWN;
    char *label = NULL, *header = NULL;
    unsigned char *data = NULL;
    long n = 0;
    BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
    while (bio && PEM_read_bio(bio, &label, &header, &data, &n) == 1) {
        enum holds one = label_holds(label, header);
        if (seen == HOLDS_UNKNOWN || one == wanted)
            seen = one;
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return seen;
}

static enum holds look_at_der(str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    enum holds seen = HOLDS_UNKNOWN;
    X509 *cert = d2i_X509(NULL, &p, (long)bytes.n);
    p = (const unsigned char *)bytes.p;
    PKCS12 *p12 = cert ? NULL : d2i_PKCS12(NULL, &p, (long)bytes.n);
    p = (const unsigned char *)bytes.p;
    PKCS7 *p7 = cert || p12 ? NULL : d2i_PKCS7(NULL, &p, (long)bytes.n);
    p = (const unsigned char *)bytes.p;
    X509_SIG *sealed = cert || p12 || p7 ? NULL : d2i_X509_SIG(NULL, &p, (long)bytes.n);
    p = (const unsigned char *)bytes.p;
    EVP_PKEY *key = cert || p12 || p7 || sealed ? NULL : d2i_AutoPrivateKey(NULL, &p, (long)bytes.n);
    if (cert)
        seen = HOLDS_CERTIFICATE_DER;
    else if (p12)
        seen = HOLDS_PKCS12;
    else if (p7)
        seen = HOLDS_PKCS7_DER;
    else if (sealed)
        seen = HOLDS_ENCRYPTED_KEY_DER;
    else if (key)
        seen = HOLDS_KEY_DER;
    X509_free(cert);
    PKCS12_free(p12);
    PKCS7_free(p7);
    X509_SIG_free(sealed);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return seen;
}

static enum holds look(str bytes, enum holds wanted)
{
    if (!str_trim(bytes).n)
        return HOLDS_NOTHING;
    if (bytes.n > PKI_PEM_MAX)
        return HOLDS_UNKNOWN;
    enum holds seen = look_at_pem(bytes, wanted);
    return seen == HOLDS_UNKNOWN && bytes.p[0] == 0x30 ? look_at_der(bytes) : seen;
}

/* SENTENCE with FILE in it. */
static int say(struct error *e, const char *sentence, const char *file)
{
    struct buf b = BUF_INIT(TOLD_MAX * 8);
    str rest = str_from_z(sentence);
    for (size_t at; (at = str_find(rest, STR("%s"))) < rest.n; rest = str_from(rest, at + 2))
        buf_add_all(&b, str_sub(rest, 0, at), str_from_z(file));
    buf_add(&b, rest);
    int r = error_set(e, ERR_SYNTAX, "%.*s", STR_ARG(buf_str(&b)));
    buf_done(&b);
    return r;
}

/* --- the chain --- */

struct chain {
    X509 *list[CHAIN_MAX];
    size_t n;
};

static void chain_free(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        X509_free(c->list[i]);
}

static int chain_read(const struct pki_import_files *f, struct chain *ret, struct error *e)
{
    BIO *bio = BIO_new_mem_buf(f->chain.p, (int)f->chain.n);
    X509 *one;
    int r = 0;
    while (r == 0 && bio && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (ret->n == CHAIN_MAX) {
            X509_free(one);
            r = error_set(e, ERR_LIMIT, "%s holds more than %d certificates; a chain ends below its root", f->chain_name,
                          CHAIN_MAX);
        } else {
            ret->list[ret->n++] = one;
        }
    }
    if (r == 0 && (ret->n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
        r = error_set(e, ERR_SYNTAX, "certificate %zu in %s is damaged", ret->n + 1, f->chain_name);
    BIO_free(bio);
    ERR_clear_error();
    return r;
}

static bool is_signed_by(X509 *cert, X509 *issuer)
{
    bool yes = X509_check_issued(issuer, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return yes;
}

/* Whether the certificate of KEY comes first, and is one of a server. */
static int check_first(const struct pki_import_files *f, const struct chain *c, const struct pki_key *key,
                       const struct pki_description *d, struct error *e)
{
    size_t at = 0;
    while (at < c->n && X509_check_private_key(c->list[at], key->pkey) != 1)
        at++;
    ERR_clear_error();
    if (at > 0 && at < c->n)
        return error_set(
            e, ERR_REFUSED,
            "the certificates in %s are out of order: that of the key is number %zu, and must be the first, then the "
            "one that has signed it, and so on",
            f->chain_name, at + 1);
    if (X509_check_ca(c->list[0]) == 1)
        return error_set(e, ERR_REFUSED, "the first certificate in %s is a CA's (%.*s); the server's own comes first",
                         f->chain_name, STR_ARG(d->subject));
    if (at == c->n)
        return error_set(e, ERR_REFUSED, "%s is not the key of the certificate in %s, whose key is %.*s", f->key_name,
                         f->chain_name, STR_ARG(d->key_kind));
    if (X509_check_purpose(c->list[0], X509_PURPOSE_SSL_SERVER, 0) != 1)
        return error_set(e, ERR_REFUSED, "the certificate in %s is not for a server: its extended key usage says otherwise",
                         f->chain_name);
    return 0;
}

/* Clients look at subjectAltName only; a wildcard is asked for as it stands there. */
static bool is_for(X509 *cert, const struct pki_description *d, str name)
{
    struct ip_address address;
    char text[IP_TEXT_MAX];
    for (size_t i = 0; i < d->name_n; i++)
        if (d->names[i].kind != PKI_NAME_EMAIL && str_ieq(d->names[i].text, name))
            return true;
    bool yes = false;
    if (ip_address_parse(name, &address)) {
        (void)ip_address_text(&address, text);
        yes = X509_check_ip_asc(cert, text, 0) == 1;
    } else if (name.n) {
        yes = X509_check_host(cert, name.p, name.n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
    }
    ERR_clear_error();
    return yes;
}

static int check_name(const struct pki_import_files *f, X509 *cert, const struct pki_description *d, struct error *e)
{
    struct buf told = BUF_INIT(TOLD_MAX);
    if (is_for(cert, d, f->server))
        return 0;
    for (size_t i = 0; i < d->name_n && i < NAMES_TOLD; i++)
        buf_add_all(&told, i ? STR(", ") : STR(""), d->names[i].text);
    if (d->name_n > NAMES_TOLD)
        buf_add(&told, STR(" and others"));
    int r = d->name_n ? error_set(e, ERR_REFUSED, "the certificate in %s is not for %.*s but for %.*s", f->chain_name,
                                  STR_ARG(f->server), STR_ARG(buf_str(&told)))
                      : error_set(e, ERR_REFUSED,
                                  "the certificate in %s names no server in subjectAltName, and clients look nowhere else; have "
                                  "one issued with it",
                                  f->chain_name);
    buf_done(&told);
    return r;
}

/* "2026-11-30". */
static void day(int64_t seconds, char out[16])
{
    struct date d = date_from_unix(seconds, 0);
    (void)snprintf(out, 16, "%04u-%02u-%02u", (unsigned)d.year % 10000, (unsigned)d.month % 100, (unsigned)d.day % 100);
}

/* Of every certificate, since an intermediate one may end before. */
static int check_times(const struct pki_import_files *f, const struct chain *c, struct error *e)
{
    char when[16];
    for (size_t i = 0; i < c->n; i++) {
        int64_t from, to;
        if (!pki_certificate_times(c->list[i], &from, &to))
            return error_set(e, ERR_SYNTAX, "certificate %zu in %s has no valid times", i + 1, f->chain_name);
        day(f->now < from ? from : to, when);
        if (f->now < from)
            return error_set(e, ERR_REFUSED, "certificate %zu in %s is valid from %s on only; look at this machine's clock",
                             i + 1, f->chain_name, when);
        if (f->now > to)
            return error_set(e, ERR_REFUSED, "certificate %zu in %s has expired on %s; have it renewed first", i + 1,
                             f->chain_name, when);
    }
    return 0;
}

static int check_links(const struct pki_import_files *f, const struct chain *c, struct error *e)
{
    for (size_t i = 0; i + 1 < c->n; i++) {
        if (is_signed_by(c->list[i], c->list[i + 1]))
            continue;
        for (size_t k = 0; k < c->n; k++)
            if (k != i && is_signed_by(c->list[i], c->list[k]))
                return error_set(e, ERR_REFUSED,
                                 "the certificates in %s are out of order: number %zu has signed number %zu and must follow it",
                                 f->chain_name, k + 1, i + 1);
        return error_set(
            e, ERR_REFUSED,
            "certificate %zu in %s has not signed the one before it, nor has any other there: take what the CA gives "
            "with the certificate (certbot: fullchain.pem)",
            i + 2, f->chain_name);
    }
    return 0;
}

static int check_kind(const struct pki_import_files *f, X509 *cert, const struct pki_description *d, struct error *e)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    return key && pki_pkey_is_supported(key)
               ? 0
               : error_set(
                     e, ERR_REFUSED,
                     "the certificate in %s has a key of the kind %.*s; have one issued for ECDSA on P-256 or P-384, or RSA "
                     "of 2048 to 8192 bits",
                     f->chain_name, STR_ARG(d->key_kind));
}

/* The certificates alone, in PEM: a key in the same file must not go where the chain goes. */
static int chain_write(const struct chain *c, struct buf *out, struct error *e)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL;
    for (size_t i = 0; i < c->n && ok; i++)
        ok = PEM_write_bio_X509(bio, c->list[i]) == 1;
    if (ok)
        pki_bio_take(bio, out);
    BIO_free(bio);
    return ok && !buf_error(out) ? 0 : error_set(e, ERR_LIMIT, "the chain is larger than %d bytes", PKI_PEM_MAX);
}

static int judge(const struct pki_import_files *f, const struct chain *c, const struct pki_key *key,
                 const struct pki_description *d, struct error *e)
{
    int r = check_kind(f, c->list[0], d, e);
    if (r == 0)
        r = check_first(f, c, key, d, e);
    if (r == 0)
        r = check_name(f, c->list[0], d, e);
    if (r == 0)
        r = check_times(f, c, e);
    return r ? r : check_links(f, c, e);
}

static int read_key(const struct pki_import_files *f, struct pki_key **ret, struct error *e)
{
    struct error why = ERROR_NONE;
    enum holds holds = look(f->key, HOLDS_KEY);
    int r = holds == HOLDS_KEY ? pki_key_from_pem(f->key, ret, &why) : ERR_SYNTAX;
    if (r == 0)
        return 0;
    return r == ERR_UNSUPPORTED ? error_set(e, ERR_REFUSED, "%s: %s", f->key_name, why.text) : say(e, no_key[holds], f->key_name);
}

int pki_import_read(const struct pki_import_files *f, struct arena *a, struct pki_import *ret, struct buf *chain, struct error *e)
{
    struct pki_import i = { 0 };
    struct chain c = { .n = 0 };
    enum holds holds = look(f->chain, HOLDS_CERTIFICATE);
    if (holds != HOLDS_CERTIFICATE)
        return say(e, no_chain[holds], f->chain_name);
    int r = chain_read(f, &c, e);
    if (r == 0)
        r = pki_certificate_describe(f->chain, a, &i.first, e);
    if (r == 0)
        r = read_key(f, &i.key, e);
    if (r == 0)
        r = judge(f, &c, i.key, &i.first, e);
    if (r == 0)
        r = chain_write(&c, chain, e);
    i.certificate_n = c.n;
    i.is_self_signed = r == 0 && is_signed_by(c.list[0], c.list[0]);
    chain_free(&c);
    if (r == 0)
        *ret = i;
    else
        pki_key_free(i.key);
    return r;
}
