/* sealed: see sealed.h. */
#include "archive/sealed.h"

#include <openssl/evp.h>

#include "base/buf.h"

enum { NONCE_BYTES = 12, FULL = SEALED_CHUNK + SEALED_TAG };

static const char head[] = "valise-sealed-1\n";
_Static_assert(sizeof head - 1 == SEALED_HEAD, "the head of a sealed stream");

int sealed_begin(struct sealed *s, bool seal, const char key[SEALED_KEY_BYTES], sealed_out_fn *fn, void *ctx, struct error *e)
{
    *s = (struct sealed){
        .cipher = EVP_CIPHER_CTX_new(), .seal = seal, .held = malloc(FULL), .out = malloc(FULL), .fn = fn, .ctx = ctx
    };
    if (!s->held || !s->out)
        panic("out of memory for a sealed stream");
    if (!s->cipher || EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, (const unsigned char *)key, NULL, seal) != 1)
        return error_set(e, ERR_INTERNAL, "no AES-256-GCM");
    return 0;
}

void sealed_done(struct sealed *s)
{
    EVP_CIPHER_CTX_free(s->cipher);
    if (s->held)
        secret_wipe(s->held, FULL);
    if (s->out)
        secret_wipe(s->out, FULL);
    free(s->held);
    free(s->out);
    *s = (struct sealed){ 0 };
}

/* One chunk, IN to s->out: N plain bytes and their tag, made or compared. */
static bool run(struct sealed *s, const char *in, size_t n, bool last, char *tag)
{
    unsigned char nonce[NONCE_BYTES] = { 0 };
    int got = 0, rest = 0;
    for (int i = 0; i < 8; i++)
        nonce[NONCE_BYTES - 2 - i] = (unsigned char)(s->chunk >> (8 * i));
    nonce[NONCE_BYTES - 1] = last;
    return EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, s->seal) == 1 &&
           EVP_CipherUpdate(s->cipher, NULL, &got, (const unsigned char *)head, SEALED_HEAD) == 1 &&
           EVP_CipherUpdate(s->cipher, (unsigned char *)s->out, &got, (const unsigned char *)in, (int)n) == 1 && got == (int)n &&
           (s->seal || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, SEALED_TAG, tag) == 1) &&
           EVP_CipherFinal_ex(s->cipher, (unsigned char *)s->out + n, &rest) == 1 && rest == 0 &&
           (!s->seal || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG, tag) == 1);
}

/* What is held is one chunk. */
static int seal_chunk(struct sealed *s, bool last, struct error *e)
{
    if (!s->headed) {
        s->headed = true;
        int err = s->fn(s->ctx, (str){ head, SEALED_HEAD }, e);
        if (err)
            return err;
    }
    if (!run(s, s->held, s->n, last, s->out + s->n))
        return error_set(e, ERR_INTERNAL, "AES-256-GCM failed");
    size_t n = s->n + SEALED_TAG;
    s->n = 0;
    s->chunk++;
    return s->fn(s->ctx, (str){ s->out, n }, e);
}

static int open_chunk(struct sealed *s, bool last, struct error *e)
{
    char tag[SEALED_TAG];
    unsigned long long number = s->chunk + 1;
    if (s->n < SEALED_TAG)
        return error_set(e, ERR_CORRUPT, "the end is missing: chunk %llu has %zu bytes", number, s->n);
    size_t n = s->n - SEALED_TAG;
    if (n == 0 && s->chunk)
        return error_set(e, ERR_CORRUPT, "chunk %llu is empty", number);
    memcpy(tag, s->held + n, SEALED_TAG);
    if (!run(s, s->held, n, last, tag)) {
        secret_wipe(s->out, n);
        return error_set(e, ERR_CORRUPT,
                         last ? "chunk %llu is damaged, of another key, or not the last one there was"
                              : "chunk %llu is damaged, or of another key",
                         number);
    }
    s->n = 0;
    s->chunk++;
    return n ? s->fn(s->ctx, (str){ s->out, n }, e) : 0;
}

static int take_head(struct sealed *s, str *bytes, struct error *e)
{
    size_t take = SEALED_HEAD - s->n < bytes->n ? SEALED_HEAD - s->n : bytes->n;
    memcpy(s->held + s->n, bytes->p, take);
    s->n += take;
    *bytes = str_from(*bytes, take);
    if (s->n < SEALED_HEAD)
        return 0;
    s->headed = true;
    s->n = 0;
    if (memcmp(s->held, head, SEALED_HEAD) == 0)
        return 0;
    return memcmp(s->held, head, SEALED_HEAD - 2) == 0 ? error_set(e, ERR_UNSUPPORTED, "sealed by another version of valise")
                                                       : error_set(e, ERR_CORRUPT, "this is no sealed stream");
}

/* A full chunk goes out when more follows: only then is it known not to be the last. */
int sealed_add(struct sealed *s, str bytes, struct error *e)
{
    const size_t full = s->seal ? SEALED_CHUNK : FULL;
    int err = !s->seal && !s->headed && bytes.n ? take_head(s, &bytes, e) : 0;
    while (err == 0 && bytes.n) {
        if (s->n == full)
            err = s->seal ? seal_chunk(s, false, e) : open_chunk(s, false, e);
        size_t take = full - s->n < bytes.n ? full - s->n : bytes.n;
        if (err)
            break;
        memcpy(s->held + s->n, bytes.p, take);
        s->n += take;
        bytes = str_from(bytes, take);
    }
    return err;
}

int sealed_end(struct sealed *s, struct error *e)
{
    if (s->seal)
        return seal_chunk(s, true, e);
    return s->headed ? open_chunk(s, true, e) : error_set(e, ERR_CORRUPT, "the end is missing: not even its head is whole");
}

uint64_t sealed_size(uint64_t n)
{
    uint64_t chunks = n ? (n - 1) / SEALED_CHUNK + 1 : 1;
    return SEALED_HEAD + n + chunks * SEALED_TAG;
}
