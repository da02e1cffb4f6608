/* seal: secrets that must be had back, kept so that the store alone does not give them. AES-256-GCM (NIST SP 800-38D) under a key of keys/, which
 * keeper reads and core cannot; the context is authenticated with them, so that one account's secret is none of another's.
 *
 * sealed = version, nonce, ciphertext, tag. Nonces are random: some thousand secrets are far from where two would meet. */
#include "pki/pki_private.h"

#include <openssl/evp.h>

#include "base/random.h"

enum { SEAL_VERSION = 1, KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16, OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES };

int pki_seal_key_make(int dir, const char *name, struct beneath_rights rights, struct error *e)
{
    char key[KEY_BYTES];
    struct error already = ERROR_NONE;
    random_bytes(key, sizeof key);
    int r = beneath_write(dir, name, (str){ key, sizeof key }, rights, false, &already);
    secret_wipe(key, sizeof key);
    return r == ERR_EXISTS || r == 0 ? 0 : error_set(e, r, "%s", already.text);
}

/* The key in file PATH, in OUT, which is initialised here. */
static int read_key(const char *path, struct buf *out, struct error *e)
{
    buf_init_secret(out, KEY_BYTES);
    int r = pki_file_read(path, out, e);
    if (r == 0 && out->n != KEY_BYTES)
        r = error_set(e, ERR_CORRUPT, "%s does not hold a key of %d bytes", path, KEY_BYTES);
    return r;
}

static const unsigned char *bytes(const char *p)
{
    return (const unsigned char *)p;
}

/* One operation of AES-256-GCM: IN to OUT, the tag made (SEAL) or compared. */
static bool run(bool seal, str key, str nonce, str context, str in, char *out, char *tag)
{
    int n = 0, last = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, bytes(key.p), bytes(nonce.p), seal) == 1 &&
              EVP_CipherUpdate(c, NULL, &n, bytes(context.p), (int)context.n) == 1 &&
              EVP_CipherUpdate(c, (unsigned char *)out, &n, bytes(in.p), (int)in.n) == 1 && n == (int)in.n &&
              (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1) &&
              EVP_CipherFinal_ex(c, (unsigned char *)out + n, &last) == 1 && last == 0 &&
              (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1);
    EVP_CIPHER_CTX_free(c);
    return ok;
}

int pki_seal(const char *path, str context, str plain, struct buf *out, struct error *e)
{
    struct buf key;
    if (plain.n == 0 || plain.n > PKI_SECRET_MAX || context.n == 0 || context.n > PKI_SECRET_MAX)
        return error_set(e, ERR_LIMIT, "a secret has 1 to %d bytes", PKI_SECRET_MAX);
    int r = read_key(path, &key, e);
    char *to = r == 0 ? buf_reserve(out, plain.n + OVERHEAD) : NULL;
    if (r == 0 && !to)
        r = error_set(e, ERR_LIMIT, "no room for the sealed secret");
    if (r == 0) {
        to[0] = SEAL_VERSION;
        random_bytes(to + 1, NONCE_BYTES);
        char *body = to + 1 + NONCE_BYTES;
        if (run(true, buf_str(&key), (str){ to + 1, NONCE_BYTES }, context, plain, body, body + plain.n))
            buf_commit(out, plain.n + OVERHEAD);
        else
            r = error_set(e, ERR_INTERNAL, "AES-256-GCM failed");
    }
    buf_done(&key);
    return r;
}

int pki_unseal(const char *path, str context, str sealed, struct buf *out, struct error *e)
{
    struct buf key;
    if (sealed.n <= OVERHEAD || sealed.n > PKI_SECRET_MAX + OVERHEAD || context.n == 0 || context.n > PKI_SECRET_MAX ||
        sealed.p[0] != SEAL_VERSION)
        return error_set(e, ERR_CORRUPT, "this is no sealed secret");
    size_t n = sealed.n - OVERHEAD;
    int r = read_key(path, &key, e);
    char *to = r == 0 ? buf_reserve(out, n) : NULL;
    if (r == 0 && !to)
        r = error_set(e, ERR_LIMIT, "no room for the secret");
    if (r == 0) {
        char tag[TAG_BYTES];
        memcpy(tag, sealed.p + sealed.n - TAG_BYTES, TAG_BYTES);
        if (run(false, buf_str(&key), str_sub(sealed, 1, NONCE_BYTES), context, str_sub(sealed, 1 + NONCE_BYTES, n), to, tag)) {
            buf_commit(out, n);
        } else {
            secret_wipe(to, n);
            r = error_set(e, ERR_CORRUPT, "the secret was sealed with another key, or for another");
        }
    }
    buf_done(&key);
    return r;
}
