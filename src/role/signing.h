/* signing: how many signatures each role has had, and how many it may have. The bounds are far above what handshakes need: they are there so that a role
 * that was taken over neither keeps the others from theirs nor gets signatures by the million. Thread-safe. */
#ifndef VALISE_ROLE_SIGNING_H
#define VALISE_ROLE_SIGNING_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "role/rights.h"

/* A second and processor; a whole handshake costs a processor more than 1/4000 s. */
enum { SIGNING_RATE = 4000 };

struct signing_role {
    _Atomic uint64_t made, refused;
    struct metric *made_metric, *refused_metric;
    uint64_t left; /* thousandths of signatures */
    int64_t at_ms;
};
struct signing {
    pthread_mutex_t lock; /* guards left, at_ms, busy */
    pthread_cond_t changed;
    unsigned processors, busy; /* busy: signatures that mx is being given */
    struct signing_role roles[RIGHTS_ROLES];
};

/* For a machine of PROCESSORS. */
void signing_init(struct signing *s, unsigned processors);
void signing_done(struct signing *s);
/* Before a signature for ROLE at NOW_MS (monotonic). ERR_LIMIT, counted as refused, when it had its share of this second: SIGNING_RATE for each
 * processor. At most as many signatures as there are processors are in work for mx, so that one for core at once gets its part of
 * them: mx waits here for its turn. */
int signing_begin(struct signing *s, enum rights_role role, int64_t now_ms) MUST_USE;
/* After it; MADE: there is one. */
void signing_end(struct signing *s, enum rights_role role, bool made);

#endif
