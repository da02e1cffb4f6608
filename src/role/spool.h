/* spool: the files that another role writes a message to while core keeps the disk.
 *
 * A role that was taken over writes to such a file what it likes, and holds its descriptor as long as it likes. So what it could still take is
 * space that nobody else is given: a file is handed out only while its largest size fits between what is free and twice the engine's reserve, and
 * until it is gone the engine counts what is missing to that size as used. How large it can grow is bounded by RLIMIT_FSIZE in the other process (struct
 * role), how many it has by SPOOL_FILES_MAX.
 *
 * Whether the other side still holds a file is told by a lock: core keeps an open file of its own, the other's carries a flock that only its last
 * descriptor's end releases, and that role has no call to release it. Thread-safe; blocks on the disk. */
#ifndef VALISE_ROLE_SPOOL_H
#define VALISE_ROLE_SPOOL_H

#include <stdatomic.h>

#include "base/err.h"

enum {
    SPOOL_FILES_MAX = 256,   /* of one process */
    SPOOL_ALL_MAX = 1024,    /* of all */
    SPOOL_LINGER_MS = 10000, /* after a file was handed in: who holds it longer finds it empty */
    SPOOL_TEND_MS = 1000
};

struct spool_settings {
    int dir; /* the directory, on the store's file system; stays the caller's */
    /* Bytes that are free on the file system, and those to be left. */
    void (*space)(void *ctx, uint64_t *ret_free, uint64_t *ret_reserve);
    void *ctx;
    _Atomic uint64_t *claimed; /* kept at what the files given out may still take; also the engine's (struct engine_settings) */
};

struct spool;
struct spool *spool_new(const struct spool_settings *settings);
/* NULL accepted. */
void spool_free(struct spool *s);
/* A file without a name for PEER, a number that tells one process from another, in which it may write up to MAX bytes. The descriptor, the caller's to
 * send and close; ERR_UNAVAILABLE when the peer, or all, have as many as they may, ERR_FULL when its space is not there. */
int spool_open(struct spool *s, unsigned peer, uint64_t max, struct error *e) MUST_USE;
/* What PEER has written to FD (stays the caller's), one of its files, at NOW_MS (monotonic): copied, because the peer can still write to the file. *RET
 * is a new descriptor, the caller's. ERR_CORRUPT when FD is no such file or has more than MAX bytes, ERR_FULL. */
int spool_take(struct spool *s, unsigned peer, int fd, uint64_t max, int64_t now_ms, int *ret, struct error *e) MUST_USE;
/* At NOW_MS: lets go of the files that nobody else holds, empties those that are held long after they were handed in, counts anew. Every
 * SPOOL_TEND_MS. */
void spool_tend(struct spool *s, int64_t now_ms);

#endif
