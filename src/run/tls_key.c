/* tls_key: public keys whose private operations happen elsewhere.
 *
 * Who holds the key is to be given the whole of what a handshake signs, not a digest or a padded block of which nobody can say what it is. Of
 * OpenSSL 3.0's hooks only one gets that: the method "digestsign" of an EVP_PKEY_METHOD, which libssl reaches through EVP_DigestSign and
 * which a key has from the engine that it is bound to. The engine is registered nowhere, so that no other key meets it. (RSA_METHOD
 * and EC_KEY_METHOD are given digests and padded blocks; a provider needs ten times the code.) All of this is deprecated, and confined to this
 * file. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/rsa.h>

#include <pthread.h>

#include "run/tls_private.h"
#include "run/tls_signed.h"

enum { SIGNATURE_MAX = 2048 }; /* RSA of 16384 bits */

static const int kinds[] = { EVP_PKEY_RSA, EVP_PKEY_EC };
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static ENGINE *engine;
static EVP_PKEY_METHOD *methods[KINDS];
static int key_index;

/* The scheme that CTX is set to (RFC 8446 section 4.2.3); 0: none that we sign with. */
static uint16_t scheme_of(EVP_PKEY_CTX *ctx, EVP_PKEY *pkey)
{
    static const struct {
        int hash;
        uint16_t pkcs1, pss, ecdsa;
    } schemes[] = { { NID_sha256, TLS_RSA_PKCS1_SHA256, TLS_RSA_PSS_SHA256, TLS_ECDSA_SHA256 },
                    { NID_sha384, TLS_RSA_PKCS1_SHA384, TLS_RSA_PSS_SHA384, TLS_ECDSA_SHA384 },
                    { NID_sha512, TLS_RSA_PKCS1_SHA512, TLS_RSA_PSS_SHA512, TLS_ECDSA_SHA512 } };
    const EVP_MD *md = NULL;
    bool rsa = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA;
    int padding = 0, salt = RSA_PSS_SALTLEN_DIGEST;
    if (EVP_PKEY_CTX_get_signature_md(ctx, &md) != 1 || !md)
        return 0;
    if (rsa && EVP_PKEY_CTX_get_rsa_padding(ctx, &padding) != 1)
        return 0;
    if (padding == RSA_PKCS1_PSS_PADDING &&
        (EVP_PKEY_CTX_get_rsa_pss_saltlen(ctx, &salt) != 1 || (salt != RSA_PSS_SALTLEN_DIGEST && salt != EVP_MD_get_size(md))))
        return 0;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (schemes[i].hash == EVP_MD_get_type(md))
            return !rsa                               ? schemes[i].ecdsa
                   : padding == RSA_PKCS1_PADDING     ? schemes[i].pkcs1
                   : padding == RSA_PKCS1_PSS_PADDING ? schemes[i].pss
                                                      : 0;
    return 0;
}

/* Called twice for each signature, for its length first. Returns 1 or 0. */
static int sign_elsewhere(EVP_MD_CTX *md_ctx, unsigned char *sig, size_t *sig_n, const unsigned char *message, size_t n)
{
    EVP_PKEY_CTX *ctx = EVP_MD_CTX_get_pkey_ctx(md_ctx);
    EVP_PKEY *pkey = ctx ? EVP_PKEY_CTX_get0_pkey(ctx) : NULL;
    const struct tls_key *k = pkey ? EVP_PKEY_get_ex_data(pkey, key_index) : NULL;
    int size = pkey ? EVP_PKEY_get_size(pkey) : 0;
    if (!k || size <= 0)
        return 0;
    if (!sig) {
        *sig_n = (size_t)size;
        return 1;
    }
    uint16_t scheme = scheme_of(ctx, pkey);
    if (!scheme || *sig_n < (size_t)size)
        return 0;
    int64_t r = k->signer.sign(k->signer.ctx, (str){ k->id, k->id_n }, scheme, (str){ (const char *)message, n }, (char *)sig,
                               (size_t)size);
    if (r <= 0 || r > size)
        return 0;
    *sig_n = (size_t)r;
    return 1;
}

/* Whoever has only a digest, or something encrypted. */
static int refuse(EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_n, const unsigned char *in, size_t in_n)
{
    return -1;
}

/* What an engine answers: its method for the kind of key NID, or with RET NULL which kinds there are. */
static int find_method(ENGINE *e, EVP_PKEY_METHOD **ret, const int **ret_kinds, int nid)
{
    if (!ret) {
        *ret_kinds = kinds;
        return KINDS;
    }
    *ret = NULL;
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i] == nid)
            *ret = methods[i];
    return *ret != NULL;
}

static void make_engine(void)
{
    engine = ENGINE_new();
    key_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_EVP_PKEY, 0, NULL, NULL, NULL, NULL);
    bool ok = engine && key_index >= 0 && ENGINE_set_id(engine, "valise") == 1 &&
              ENGINE_set_name(engine, "keys elsewhere") == 1 && ENGINE_set_pkey_meths(engine, find_method) == 1;
    for (size_t i = 0; ok && i < KINDS; i++) {
        const EVP_PKEY_METHOD *usual = EVP_PKEY_meth_find(kinds[i]);
        methods[i] = EVP_PKEY_meth_new(kinds[i], 0);
        ok = usual && methods[i];
        if (!ok)
            break;
        EVP_PKEY_meth_copy(methods[i], usual);
        EVP_PKEY_meth_set_digestsign(methods[i], sign_elsewhere);
        EVP_PKEY_meth_set_sign(methods[i], NULL, refuse);
        EVP_PKEY_meth_set_decrypt(methods[i], NULL, refuse);
    }
    if (!ok)
        panic("OpenSSL gives no key methods");
}

/* Gives K a key PKEY (owned on success) that signs elsewhere. */
static int bind_key(struct tls_key *k, EVP_PKEY *pkey)
{
    if (EVP_PKEY_set_ex_data(pkey, key_index, k) != 1 || EVP_PKEY_set1_engine(pkey, engine) != 1)
        return ERR_INTERNAL;
    k->pkey = pkey;
    return 0;
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
    if (EVP_PKEY_set1_RSA(pkey, rsa) != 1)
        goto out;
    r = bind_key(k, pkey);
    if (r == 0)
        pkey = NULL;
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
    if (EVP_PKEY_set1_EC_KEY(pkey, ec) != 1)
        goto out;
    r = bind_key(k, pkey);
    if (r == 0)
        pkey = NULL;
out:
    EC_KEY_free(ec);
    EVP_PKEY_free(pkey);
    return r;
}

int tls_key_make(struct tls_key *k, X509 *cert, struct error *e)
{
    pthread_once(&once, make_engine);
    EVP_PKEY *public = X509_get0_pubkey(cert);
    int kind = public ? EVP_PKEY_get_base_id(public) : EVP_PKEY_NONE;
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC)
        return error_set(e, ERR_UNSUPPORTED, "a certificate has a key that is neither RSA nor EC; use one of these");
    ERR_clear_error();
    int r = kind == EVP_PKEY_RSA ? make_rsa(k, public) : make_ec(k, public);
    return r ? tls_error(e, r, "a certificate's public key cannot be used") : 0;
}
