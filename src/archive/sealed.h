/* sealed: bytes encrypted as a stream in chunks, of which each is known to be whole, in its place, and the last or not: the STREAM construction of
 * Hoang, Reyhanitabar, Rogaway and Vizar (2015), as age has it, over AES-256-GCM. README.md says which byte lies where.
 *
 * What is lost at the end, whole chunks too, and what was swapped, repeated or taken from elsewhere is damage, as a changed bit is. A key seals one
 * stream only: nonces count from 0. Pure: bytes come in by sealed_add and go out to a function. */
#ifndef VALISE_ARCHIVE_SEALED_H
#define VALISE_ARCHIVE_SEALED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { SEALED_KEY_BYTES = 32, SEALED_CHUNK = 1 << 16, SEALED_TAG = 16, SEALED_HEAD = 16 };

/* Takes some of the bytes that come out; other than 0 ends the work with that error. */
typedef int sealed_out_fn(void *ctx, str bytes, struct error *e);

struct sealed {
    void *cipher; /* EVP_CIPHER_CTX */
    bool seal;
    bool headed; /* the head was written, or read */
    uint64_t chunk;
    size_t n; /* bytes in held */
    char *held, *out;
    sealed_out_fn *fn;
    void *ctx;
};

/* Begins to seal (SEAL) or to open one stream with KEY, which is copied. Nothing comes out of a chunk that was not found whole, so what FN has got
 * is true; whether it is all says sealed_end alone. Always to be followed by sealed_done. ERR_INTERNAL. */
int sealed_begin(struct sealed *s, bool seal, const char key[SEALED_KEY_BYTES], sealed_out_fn *fn, void *ctx,
                 struct error *e) MUST_USE;
/* Any number of bytes, plain or sealed. ERR_CORRUPT names the chunk, counted from 1; ERR_UNSUPPORTED for a stream of another version; FN's errors. */
int sealed_add(struct sealed *s, str bytes, struct error *e) MUST_USE;
/* There are no more. As sealed_add. */
int sealed_end(struct sealed *s, struct error *e) MUST_USE;
/* Wipes keys and bytes. For a zeroed struct it does nothing. */
void sealed_done(struct sealed *s);

/* The bytes of N plain bytes when sealed. N is below 2^62. */
uint64_t sealed_size(uint64_t n);

#endif
