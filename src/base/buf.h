/* buf: a growable byte buffer with a maximum given at birth and a sticky error.
 *
 * Appends after a failure do nothing; the chain is checked once at its end with buf_error. A view taken with buf_str is
 * invalid after the next append. Exhausted memory aborts; only the maximum is an error (ERR_LIMIT). */
#ifndef VALISE_BASE_BUF_H
#define VALISE_BASE_BUF_H

#include "base/err.h"

struct buf {
    char *p;     /* the bytes; owned */
    size_t n;    /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* bytes allowed */
    int error;   /* 0 or ERR_LIMIT, sticky until buf_reset */
    bool secret; /* bytes are wiped whenever memory is given back */
};

/* An empty buffer that may grow to MAX bytes; allocates nothing yet. */
#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })
void buf_init(struct buf *b, size_t max);
/* The same for secrets: wiped when it grows, is reset or released. */
void buf_init_secret(struct buf *b, size_t max);
/* Frees the memory (wiped if secret) and leaves an empty buffer with the same maximum. */
void buf_done(struct buf *b);
/* Empties the buffer, clears the error, keeps the memory. */
void buf_reset(struct buf *b);

/* Makes room for N more bytes and returns where to write them, or NULL when the maximum forbids it (sticky error). The bytes
 * count only after buf_commit. */
char *buf_reserve(struct buf *b, size_t n);
/* Counts N bytes written after buf_reserve. */
void buf_commit(struct buf *b, size_t n);

void buf_add_slowly(struct buf *b, str s);
/* Where there is room, which is nearly always, nothing is called: answers are written in small pieces. */
static inline void buf_add(struct buf *b, str s)
{
    if (s.n < b->cap - b->n && !b->error) {
        if (s.n)
            __builtin_memcpy(b->p + b->n, s.p, s.n);
        b->n += s.n;
    } else {
        buf_add_slowly(b, s);
    }
}
static inline void buf_add_byte(struct buf *b, char c)
{
    if (b->n < b->cap && !b->error)
        b->p[b->n++] = c;
    else
        buf_add_slowly(b, (str){ &c, 1 });
}
void buf_add_u64(struct buf *b, uint64_t v);              /* decimal */
void buf_add_hex(struct buf *b, const void *p, size_t n); /* lower case */
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Several pieces at once: buf_add_all(b, STR("a"), s, STR("b")). */
#define buf_add_all(b, ...) buf_add_n((b), (const str[]){ __VA_ARGS__ }, sizeof((const str[]){ __VA_ARGS__ }) / sizeof(str))
void buf_add_n(struct buf *b, const str *pieces, size_t n);
/* Adds S with quotes, backslashes, bytes that are not UTF-8 and characters that are not plain (base/show.h) as \xHH: safe for logs and
 * replies. */
void buf_add_escaped(struct buf *b, str s);

/* Drops the first N bytes. */
void buf_consume(struct buf *b, size_t n);
/* Cuts to N bytes; N must not exceed b->n. */
void buf_truncate(struct buf *b, size_t n);
/* 0 or ERR_LIMIT. */
int buf_error(const struct buf *b) MUST_USE;
/* The bytes so far. */
static inline str buf_str(const struct buf *b)
{
    return (str){ b->p, b->n };
}
/* The bytes so far followed by a NUL that does not count; NULL when the maximum forbids it or the bytes hold a NUL. */
const char *buf_z(struct buf *b);

/* Overwrites N bytes so that no compiler removes it. */
void secret_wipe(void *p, size_t n);

#endif
