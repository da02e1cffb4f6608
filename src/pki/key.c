/* key: private keys: making, reading, writing, naming, and the one operation they exist for. */
#include "pki/pki_private.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "run/tls_signed.h"

int pki_fail(struct error *e, int code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_set(e, code, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

void pki_bio_take(BIO *bio, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    if (n > 0)
        buf_add(out, (str){ p, (size_t)n });
}

/* PKEY as our object; takes it over in every case. */
static int key_wrap(EVP_PKEY *pkey, struct pki_key **ret, struct error *e)
{
    struct pki_key *k = malloc(sizeof *k);
    if (!k) {
        EVP_PKEY_free(pkey);
        return error_set(e, ERR_INTERNAL, "out of memory for a key");
    }
    k->pkey = pkey;
    *ret = k;
    return 0;
}

int pki_key_generate(enum pki_kind kind, struct pki_key **ret, struct error *e)
{
    EVP_PKEY *pkey = NULL;
    switch (kind) {
    case PKI_EC_P256:
        pkey = EVP_EC_gen("P-256");
        break;
    case PKI_EC_P384:
        pkey = EVP_EC_gen("P-384");
        break;
    case PKI_RSA_3072:
        pkey = EVP_RSA_gen(3072);
        break;
    }
    return pkey ? key_wrap(pkey, ret, e) : pki_fail(e, ERR_INTERNAL, "no key could be made");
}

/* Whether PKEY is of a kind that clients accept and pki_key_sign knows. */
bool pki_pkey_is_supported(const EVP_PKEY *pkey)
{
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return bits >= 2048 && bits <= 8192;
    if (!EVP_PKEY_is_a(pkey, "EC") || !EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL))
        return false;
    str name = str_from_z(group);
    return str_eq(name, STR("prime256v1")) || str_eq(name, STR("secp384r1"));
}

/* Without this OpenSSL would ask the terminal for the passphrase of an encrypted key. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return -1;
}

int pki_key_from_pem(str pem, struct pki_key **ret, struct error *e)
{
    if (pem.n == 0 || pem.n > PKI_PEM_MAX)
        return pki_pem_fail(pem, "PRIVATE KEY", e);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!pkey) {
        ERR_clear_error();
        if (str_find(pem, STR("ENCRYPTED")) < pem.n)
            return error_set(e, ERR_SYNTAX,
                             "the key is encrypted with a password; `openssl pkey -in FILE -out NEW' takes that off");
        return pki_pem_fail(pem, "PRIVATE KEY", e);
    }
    if (!pki_pkey_is_supported(pkey)) {
        EVP_PKEY_free(pkey);
        return error_set(e, ERR_UNSUPPORTED, "keys are EC P-256, EC P-384 or RSA of 2048 to 8192 bits");
    }
    return key_wrap(pkey, ret, e);
}

int pki_key_to_pem(const struct pki_key *k, struct buf *out, struct error *e)
{
    int r = 0;
    BIO *bio = BIO_new(BIO_s_secmem());
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        r = pki_fail(e, ERR_INTERNAL, "the key could not be written");
    else
        pki_bio_take(bio, out);
    BIO_free(bio);
    if (r == 0 && buf_error(out))
        r = error_set(e, ERR_LIMIT, "no room for the key");
    return r;
}

void pki_key_free(struct pki_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

int pki_pkey_id(const EVP_PKEY *pkey, char ret_hex[65])
{
    unsigned char *der = NULL;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    int n = i2d_PUBKEY(pkey, &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    if (!ok) {
        ERR_clear_error();
        return ERR_INTERNAL;
    }
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

int pki_key_id(const struct pki_key *k, char ret_hex[65])
{
    return pki_pkey_id(k->pkey, ret_hex);
}

/* The hash of SCHEME and its padding (0: ECDSA). NULL: unknown. */
static const EVP_MD *hash_of(uint16_t scheme, int *ret_padding)
{
    static const struct {
        uint16_t scheme;
        int padding;
        const EVP_MD *(*hash)(void);
    } list[] = { { TLS_ECDSA_SHA256, 0, EVP_sha256 },
                 { TLS_ECDSA_SHA384, 0, EVP_sha384 },
                 { TLS_ECDSA_SHA512, 0, EVP_sha512 },
                 { TLS_RSA_PSS_SHA256, RSA_PKCS1_PSS_PADDING, EVP_sha256 },
                 { TLS_RSA_PSS_SHA384, RSA_PKCS1_PSS_PADDING, EVP_sha384 },
                 { TLS_RSA_PSS_SHA512, RSA_PKCS1_PSS_PADDING, EVP_sha512 },
                 { TLS_RSA_PKCS1_SHA256, RSA_PKCS1_PADDING, EVP_sha256 },
                 { TLS_RSA_PKCS1_SHA384, RSA_PKCS1_PADDING, EVP_sha384 },
                 { TLS_RSA_PKCS1_SHA512, RSA_PKCS1_PADDING, EVP_sha512 } };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i].scheme == scheme) {
            *ret_padding = list[i].padding;
            return list[i].hash();
        }
    return NULL;
}

int64_t pki_key_sign(const struct pki_key *k, uint16_t scheme, str message, char *sig, size_t sig_max)
{
    int padding = 0, size = EVP_PKEY_get_size(k->pkey);
    size_t n = sig_max;
    const EVP_MD *hash = hash_of(scheme, &padding);
    if (!hash || EVP_PKEY_is_a(k->pkey, "RSA") != (padding != 0))
        return ERR_REFUSED;
    if (size <= 0 || sig_max < (size_t)size)
        return ERR_LIMIT;
    EVP_PKEY_CTX *ctx = NULL; /* of MD */
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestSignInit(md, &ctx, hash, NULL, k->pkey) == 1;
    if (ok && padding)
        ok = EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1;
    if (ok &&
        padding ==
            RSA_PKCS1_PSS_PADDING) /* RFC 8017 section 8.1, as RFC 8446 section 4.2.3 has it: MGF1 with the same hash, salt as long as it */
        ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    ok = ok && EVP_DigestSign(md, (unsigned char *)sig, &n, (const unsigned char *)message.p, message.n) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return ok ? (int64_t)n : ERR_INTERNAL;
}
