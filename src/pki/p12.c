/* p12: a key and its certificates in one encrypted file (PKCS #12, RFC 7292), to be imported by mail programs. */
#include "pki/pki_private.h"

#include "base/utf8.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>

/* Rounds of the key derivation: what slow phones still bear; the passwords made here have 80 random bits. */
enum { ROUNDS = 10000, PASSWORD_MAX = 1024 };

static PKCS12 *make(const struct pki_key *key, X509 *cert, X509 *ca, const char *name, const char *password, bool legacy)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    int pbe = legacy ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc;
    PKCS12 *p12 = NULL;
    /* -1: no MAC yet, since it would be of the default hash. */
    if (others && sk_X509_push(others, ca) > 0)
        p12 = PKCS12_create(password, name, key->pkey, cert, others, pbe, pbe, ROUNDS, -1, 0);
    if (p12 && PKCS12_set_mac(p12, password, -1, NULL, 0, ROUNDS, legacy ? EVP_sha1() : EVP_sha256()) != 1) {
        PKCS12_free(p12);
        p12 = NULL;
    }
    sk_X509_free(others);
    return p12;
}

int pki_p12_create(const struct pki_key *key, str pem, str ca_pem, str name, str password, bool legacy, struct buf *out,
                   struct error *e)
{
    struct arena a = ARENA_INIT(4096);
    char z[PASSWORD_MAX + 1];
    X509 *cert = NULL, *ca = NULL;
    PKCS12 *p12 = NULL;
    unsigned char *der = NULL;
    int n = 0;
    const char *friendly = arena_z(&a, name);
    int r = 0;
    if (password.n == 0 || password.n > PASSWORD_MAX || memchr(password.p, 0, password.n) || !utf8_valid(password))
        r = error_set(e, ERR_SYNTAX, "the password has 1 to %d bytes of UTF-8", PASSWORD_MAX);
    if (r == 0)
        r = pki_certificate_parse(pem, &cert, e);
    if (r == 0)
        r = pki_certificate_parse(ca_pem, &ca, e);
    if (r == 0 && X509_check_private_key(cert, key->pkey) != 1)
        r = pki_fail(e, ERR_REFUSED, "the key is not the certificate's");
    if (r)
        goto out;
    memcpy(z, password.p, password.n);
    z[password.n] = 0;
    p12 = make(key, cert, ca, friendly, z, legacy);
    secret_wipe(z, sizeof z);
    n = p12 ? i2d_PKCS12(p12, &der) : 0;
    if (n <= 0)
        r = pki_fail(e, ERR_INTERNAL, "the PKCS #12 file could not be made");
    else
        buf_add(out, (str){ (const char *)der, (size_t)n });
    if (r == 0 && buf_error(out))
        r = error_set(e, ERR_LIMIT, "no room for the PKCS #12 file");
out:
    OPENSSL_free(der);
    PKCS12_free(p12);
    X509_free(cert);
    X509_free(ca);
    arena_done(&a);
    return r;
}
