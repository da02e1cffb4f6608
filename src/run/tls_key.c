/* tls_key: public keys whose private operations happen elsewhere.
 *
 * OpenSSL 3 still lets an RSA or EC key carry a method of its own; libssl then uses it like any key. The methods and the
 * low-level key types are deprecated in favour of providers, which need ten times the code for the same: so they are
 * confined to this file. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include <pthread.h>

#include "run/tls_private.h"

enum { SIGNATURE_MAX = 2048 }; /* RSA of 16384 bits */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static RSA_METHOD *rsa_method;
static EC_KEY_METHOD *ec_method;
static int rsa_index, ec_index;

/* Asks the signer; the signature's length, or -1. */
static int64_t ask(const struct tls_key *k, const unsigned char *data, size_t n, unsigned char *sig, size_t max)
{
    if (!k)
        return -1;
    int64_t r = k->signer.sign(k->signer.ctx, (str){ k->id, k->id_n }, (str){ (const char *)data, n }, (char *)sig, max);
    return r > 0 && (uint64_t)r <= max ? r : -1;
}

/* TLS 1.2 with RSA: PKCS #1 v1.5 padding is the method's work (RFC 8017 section 9.2). PSS arrives padded (section 9.1). */
static int rsa_sign_elsewhere(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    int size = RSA_size(rsa);
    unsigned char block[SIGNATURE_MAX];
    if (n < 0 || size <= 0 || size > SIGNATURE_MAX)
        return -1;
    if (padding == RSA_PKCS1_PADDING) {
        if (RSA_padding_add_PKCS1_type_1(block, size, from, n) != 1)
            return -1;
        from = block;
    } else if (padding != RSA_NO_PADDING || n != size) {
        return -1;
    }
    int64_t r = ask(RSA_get_ex_data(rsa, rsa_index), from, (size_t)size, to, (size_t)size);
    return r == size ? size : -1;
}

static int rsa_refuse(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    return -1;
}

static int ec_sign_elsewhere(int type, const unsigned char *digest, int n, unsigned char *sig, unsigned *ret_n,
                             const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
    int max = ECDSA_size(key);
    if (n < 0 || max <= 0)
        return 0;
    int64_t got = ask(EC_KEY_get_ex_data(key, ec_index), digest, (size_t)n, sig, (size_t)max);
    if (got < 0)
        return 0;
    *ret_n = (unsigned)got;
    return 1;
}

static void make_methods(void)
{
    rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (!rsa_method || !ec_method || rsa_index < 0 || ec_index < 0)
        panic("OpenSSL gives no key methods");
    RSA_meth_set1_name(rsa_method, "valise");
    RSA_meth_set_priv_enc(rsa_method, rsa_sign_elsewhere);
    RSA_meth_set_priv_dec(rsa_method, rsa_refuse);
    EC_KEY_METHOD_set_sign(ec_method, ec_sign_elsewhere, NULL, NULL);
}

static int make_rsa(struct tls_key *k, const EVP_PKEY *public)
{
    const RSA *from = EVP_PKEY_get0_RSA(public);
    RSA *rsa = RSA_new();
    EVP_PKEY *pkey = EVP_PKEY_new();
    BIGNUM *n = from ? BN_dup(RSA_get0_n(from)) : NULL, *e = from ? BN_dup(RSA_get0_e(from)) : NULL;
    int r = ERR_INTERNAL;
    if (!rsa || !pkey || !n || !e || RSA_size(from) > SIGNATURE_MAX)
        goto out;
    if (RSA_set0_key(rsa, n, e, NULL) != 1)
        goto out;
    n = e = NULL;
    if (RSA_set_method(rsa, rsa_method) != 1 || RSA_set_ex_data(rsa, rsa_index, k) != 1 || EVP_PKEY_set1_RSA(pkey, rsa) != 1)
        goto out;
    k->pkey = pkey;
    pkey = NULL;
    r = 0;
out:
    BN_free(n);
    BN_free(e);
    RSA_free(rsa);
    EVP_PKEY_free(pkey);
    return r;
}

static int make_ec(struct tls_key *k, const EVP_PKEY *public)
{
    const EC_KEY *from = EVP_PKEY_get0_EC_KEY(public);
    EC_KEY *ec = from ? EC_KEY_new() : NULL;
    EVP_PKEY *pkey = EVP_PKEY_new();
    int r = ERR_INTERNAL;
    if (!ec || !pkey || EC_KEY_set_group(ec, EC_KEY_get0_group(from)) != 1 ||
        EC_KEY_set_public_key(ec, EC_KEY_get0_public_key(from)) != 1)
        goto out;
    if (EC_KEY_set_method(ec, ec_method) != 1 || EC_KEY_set_ex_data(ec, ec_index, k) != 1 || EVP_PKEY_set1_EC_KEY(pkey, ec) != 1)
        goto out;
    k->pkey = pkey;
    pkey = NULL;
    r = 0;
out:
    EC_KEY_free(ec);
    EVP_PKEY_free(pkey);
    return r;
}

int tls_key_make(struct tls_key *k, X509 *cert, struct error *e)
{
    pthread_once(&once, make_methods);
    EVP_PKEY *public = X509_get0_pubkey(cert);
    int kind = public ? EVP_PKEY_get_base_id(public) : EVP_PKEY_NONE;
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC)
        return error_set(e, ERR_UNSUPPORTED, "a certificate has a key that is neither RSA nor EC; use one of these");
    ERR_clear_error();
    int r = kind == EVP_PKEY_RSA ? make_rsa(k, public) : make_ec(k, public);
    return r ? tls_error(e, r, "a certificate's public key cannot be used") : 0;
}
