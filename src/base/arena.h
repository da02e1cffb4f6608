/* arena: memory with one lifetime: process, connection or command.
 *
 * Everything allocated is freed together. A quota bounds what foreign input can make us hold; exceeding it returns NULL, and the
 * caller reports ERR_LIMIT. Not thread-safe: an arena belongs to whoever runs the session. */
#ifndef VALISE_BASE_ARENA_H
#define VALISE_BASE_ARENA_H

#include "base/err.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out since the last reset, rounding included */
    size_t quota;               /* most bytes that may be handed out */
    char *lent;                 /* the caller's memory, used first; or NULL */
    size_t lent_cap, lent_n;
};

/* An arena that hands out at most QUOTA bytes; allocates nothing yet. */
#define ARENA_INIT(quota_bytes) ((struct arena){ .quota = (quota_bytes) })
void arena_init(struct arena *a, size_t quota);
/* The same where N bytes at P, aligned for any type, are used first: for what is done so often that malloc shows. They are the caller's, and wiped
 * like all others. */
#define ARENA_INIT_ON(p, n, quota_bytes) ((struct arena){ .quota = (quota_bytes), .lent = (p), .lent_cap = (n) })
/* Frees everything; what was handed out is wiped, as passwords lie in arenas too. */
void arena_done(struct arena *a);
/* Forgets everything handed out; keeps no memory, so that a parked connection costs none. */
void arena_reset(struct arena *a);
/* N zeroed bytes aligned for any type, or NULL when the quota is used up. N may be 0 (a valid pointer). */
void *arena_alloc(struct arena *a, size_t n);
/* A zeroed array of COUNT elements of SIZE bytes; NULL on overflow or quota. */
void *arena_array(struct arena *a, size_t count, size_t size);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
/* A copy of S in *RET. 0 or ERR_LIMIT. */
int arena_dup(struct arena *a, str s, str *ret) MUST_USE;
/* A NUL-terminated copy for libc's border; NULL when S holds a NUL byte or the quota is used up. */
char *arena_z(struct arena *a, str s);
/* A formatted string in *RET. 0 or ERR_LIMIT. */
int arena_printf(struct arena *a, str *ret, const char *fmt, ...) __attribute__((format(printf, 3, 4))) MUST_USE;

#endif
