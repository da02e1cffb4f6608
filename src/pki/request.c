/* request: asking for a certificate (PKCS #10, RFC 2986), and whose key a certificate shall be made for. */
#include "pki/pki_private.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

int pki_request_create(const struct pki_key *key, struct buf *out, struct error *e)
{
    int r = 0;
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    if (!request || !bio || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request, key->pkey) != 1 || X509_REQ_sign(request, key->pkey, EVP_sha256()) <= 0 ||
        PEM_write_bio_X509_REQ(bio, request) != 1)
        r = pki_fail(e, ERR_INTERNAL, "the request could not be made");
    else
        pki_bio_take(bio, out);
    BIO_free(bio);
    X509_REQ_free(request);
    if (r == 0 && buf_error(out))
        r = error_set(e, ERR_LIMIT, "no room for the request");
    return r;
}

static int request_key(str pem, EVP_PKEY **ret, struct error *e)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
    int r = 0;
    if (!key)
        r = pki_fail(e, ERR_SYNTAX, "not a request for a certificate in PEM form");
    else if (X509_REQ_verify(request, key) != 1)
        r = pki_fail(e, ERR_REFUSED, "the request is not signed by its key");
    if (r == 0)
        *ret = key;
    else
        EVP_PKEY_free(key);
    X509_REQ_free(request);
    BIO_free(bio);
    return r;
}

/* CA's name and signature; OpenSSL compares the names. */
static bool is_issued_by(X509 *cert, X509 *ca)
{
    bool ok = X509_check_issued(ca, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    return ok;
}

/* A renewal changes no names: a certificate proves nothing of a key for others. */
static int check_same_names(str pem, const struct pki_order *order, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    int r = pki_certificate_describe(pem, &a, &d, e);
    for (size_t i = 0; i < order->name_n && r == 0; i++) {
        bool found = false;
        for (size_t k = 0; k < d.name_n && !found; k++)
            found =
                (d.names[k].kind == PKI_NAME_EMAIL) == (order->use == PKI_USE_USER) && str_ieq(d.names[k].text, order->names[i]);
        if (!found)
            r = error_set(e, ERR_REFUSED, "the certificate to renew is not for %.*s", STR_ARG(order->names[i]));
    }
    arena_done(&a);
    return r;
}

static int certificate_key(str pem, X509 *ca, const struct pki_order *order, EVP_PKEY **ret, struct error *e)
{
    X509 *cert = NULL;
    int r = pki_certificate_parse(pem, &cert, e);
    if (r)
        return r;
    if (!is_issued_by(cert, ca))
        r = error_set(e, ERR_REFUSED, "the certificate is not one of this CA");
    else if (X509_check_ca(cert))
        r = error_set(e, ERR_REFUSED, "a CA's certificate is not renewed here");
    else
        r = check_same_names(pem, order, e);
    if (r == 0 && !(*ret = X509_get_pubkey(cert)))
        r = pki_fail(e, ERR_SYNTAX, "the certificate's key cannot be read");
    X509_free(cert);
    return r;
}

int pki_subject_key(str pem, X509 *ca, const struct pki_order *order, EVP_PKEY **ret, struct error *e)
{
    EVP_PKEY *key = NULL;
    if (pem.n == 0 || pem.n > PKI_PEM_MAX)
        return error_set(e, ERR_SYNTAX, "not a request for a certificate in PEM form");
    int r = str_starts(pem, STR("-----BEGIN CERTIFICATE-----")) ? certificate_key(pem, ca, order, &key, e)
                                                                : request_key(pem, &key, e);
    if (r)
        return r;
    if (!pki_pkey_is_supported(key)) {
        EVP_PKEY_free(key);
        return error_set(e, ERR_UNSUPPORTED, "keys are EC P-256, EC P-384 or RSA of 2048 to 8192 bits");
    }
    *ret = key;
    return 0;
}

bool pki_is_same_ca(str pem, str other_pem)
{
    X509 *one = NULL, *other = NULL;
    bool ok = pki_certificate_parse(pem, &one, NULL) == 0 && pki_certificate_parse(other_pem, &other, NULL) == 0 &&
              X509_NAME_cmp(X509_get_subject_name(one), X509_get_subject_name(other)) == 0 &&
              EVP_PKEY_eq(X509_get0_pubkey(one), X509_get0_pubkey(other)) == 1;
    ERR_clear_error();
    X509_free(one);
    X509_free(other);
    return ok;
}

bool pki_is_issued_by(str pem, str ca_pem)
{
    X509 *cert = NULL, *ca = NULL;
    bool ok =
        pki_certificate_parse(pem, &cert, NULL) == 0 && pki_certificate_parse(ca_pem, &ca, NULL) == 0 && is_issued_by(cert, ca);
    X509_free(cert);
    X509_free(ca);
    return ok;
}
