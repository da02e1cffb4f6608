/* limit_private: the form of a tally, shared by limit.c and limit_report.c.
 *
 * Invariants
 *  T1  A tally is written by one process only, under its lock; the others' descriptors are read-only.
 *  T2  Whatever a sibling's tally holds, reading it is safe: fixed places, no lengths, no pointers.
 *  T3  A slot that counts an open connection keeps its key; any other may be given away, the one that was idle longest first.
 *  T4  A page of a tally that was never written is never read (reading would give it memory): the bits of `used` come first. */
#ifndef VALISE_RUN_LIMIT_PRIVATE_H
#define VALISE_RUN_LIMIT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "run/limit.h"

enum { TALLY_SETS = 4096, TALLY_WAYS = 8, TALLIES_MAX = 72, LIMIT_RATES = LIMIT_KINDS - 1 };

struct tally_rate {
    _Atomic uint32_t window; /* number of the period that "now" counts */
    _Atomic uint32_t now, before;
};

struct tally_slot {
    _Atomic uint64_t key[3];
    _Atomic uint32_t connections;
    _Atomic uint32_t used_s; /* monotonic seconds */
    struct tally_rate rates[LIMIT_RATES];
    _Atomic uint32_t strikes;
    uint32_t spare[5];
};
_Static_assert(sizeof(struct tally_slot) == 128, "two cache lines");

struct tally {
    _Alignas(4096) uint64_t seed[2];
    _Atomic uint64_t strikes[LIMIT_GROUPS][LIMIT_KINDS][LIMIT_SCOPES];
    _Atomic uint64_t untracked;
    _Atomic uint64_t used[TALLY_SETS / 64];
    _Alignas(4096) struct tally_slot slots[TALLY_SETS][TALLY_WAYS];
};

struct limits {
    pthread_mutex_t lock;
    struct tally *own;
    const struct tally *all[TALLIES_MAX]; /* own first */
    bool summed[TALLIES_MAX];
    size_t n;
    int64_t logged_ms;
};

/* Events of rate KIND in slot S within LIMIT's period that ends at NOW_MS. */
uint32_t limits_rate_of(const struct tally_slot *s, enum limit_kind kind, struct limit limit, int64_t now_ms);
/* Group and scope of the first word of a key. */
static inline uint8_t limits_key_group(uint64_t word)
{
    return (uint8_t)(word >> 8);
}
static inline uint8_t limits_key_scope(uint64_t word)
{
    return (uint8_t)word;
}

#endif
