/* throttle: the counts behind lockout.h: who has failed how often, and until when that counts. Knows no accounts and no passwords: it is
 * told. Times are milliseconds since 1970, as they outlive the process. Thread-safe. */
#ifndef VALISE_DIRECTORY_THROTTLE_H
#define VALISE_DIRECTORY_THROTTLE_H

#include "directory/lockout.h"

enum { THROTTLE_LOGIN_MAX = 254, THROTTLE_SLOTS = 10000 };

/* One login as the counts see it. */
struct throttle_try {
    struct ip_address peer;
    str login;      /* canonical; empty: what is no address */
    bool is_known;  /* the network is known for the account (B4) */
    uint64_t guess; /* a keyed hash of the password; 0: there is none (B6) */
};

struct throttle;
struct throttle *throttle_new(void);
void throttle_free(struct throttle *t);
void throttle_set_policy(struct throttle *t, const struct directory_lockout_policy *p);

struct throttle_lock {
    int64_t wait_ms; /* until it may be checked; 0: now */
    bool is_own;     /* locked out where it is known as well */
    bool
        is_closed; /* who is not known there (B4) is locked out in any case, so whoever is known must not be told from him (B13) */
};
/* What holds for TRY. Counts what is turned away when COUNT. */
struct throttle_lock throttle_locked(struct throttle *t, const struct throttle_try *try, int64_t now, bool count);
/* Counts a failure and returns how long its answer is to be held, known or not (B13). *RET_LOCKED: it has begun a lock-out. CLOSED: as
 * throttle_locked says; then it counts for the login only. */
int64_t throttle_fail(struct throttle *t, const struct throttle_try *try, int64_t now, bool closed, bool *ret_locked);
/* Forgives the login from its network, and returns how long the answer is to be held: as long as a failure would have been by what the account
 * itself has failed (B2), so that who guesses at it does not learn more by hanging up early. */
int64_t throttle_succeed(struct throttle *t, const struct throttle_try *try, int64_t now);
/* The same for what is right and refused all the same: held as long, but nothing is forgiven or counted. */
int64_t throttle_pass(struct throttle *t, const struct throttle_try *try, int64_t now);

int throttle_each(struct throttle *t, int64_t now, int (*fn)(void *ctx, const struct directory_lockout *lockout),
                  void *ctx) MUST_USE;
/* Forgives LOGIN when it is not empty, else what lies in NETWORK when that is not NULL, else all. How many were in force. */
size_t throttle_lift(struct throttle *t, str login, const struct ip_network *network, int64_t now);
void throttle_counts(struct throttle *t, int64_t now, struct directory_lockout_counts *ret);

/* Takes in the rows of PART in G; what cannot be understood is left out. ERR_* of the engine. */
int throttle_load(struct throttle *t, struct engine *g, engine_part part, int64_t now) MUST_USE;
/* Commits, without waiting for the disk, what has changed since; when that fails it is tried again next time. */
int throttle_flush(struct throttle *t, struct engine *g, engine_part part) MUST_USE;

#endif
