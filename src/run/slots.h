/* slots: where the tasks of a pool are claimed, parked and woken. No thread, no descriptor and no clock is used here, so every
 * interleaving of what it does can be tried (tests/unit/run/slots.c).
 *
 * Invariants:
 *   S1  One thread at a time owns a task: whoever moved its slot from PARKED to RUNNING.
 *   S2  A reason to run is never lost: a flag raised while the task runs stays in its slot, and a slot with flags cannot be parked.
 *   S3  Who is outside knows a task by slot and generation only, so that news for a task that is gone meets a newer generation and
 *       does nothing. Slots are not freed before the table.
 *   S4  Once slots_park has returned true, the slot's expiry will be looked at: its entry in the heap is due then or before, or the
 *       expiry has woken the task. Between the two steps of parking (parked; entry made sure of) the parker itself sees to that.
 *   S5  Only an expiry of the park that it ends wakes a task. What was read before the task was claimed may be of an earlier
 *       park, so it is read again by the one who owns the task then. */
#ifndef VALISE_RUN_SLOTS_H
#define VALISE_RUN_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "run/timer_heap.h"

struct slot;

struct slots {
    pthread_mutex_t lock; /* guards making, taking and releasing slots */
    _Atomic(struct slot *) *chunks;
    size_t chunk_max;
    uint32_t n, free_first; /* slots made so far; first free one + 1, 0: none */

    pthread_mutex_t timer_lock; /* guards the heap and each slot's entry; taken after LOCK */
    struct timer_heap timers;
    int64_t alarm_ms; /* what the alarm is set to; 0: it has rung */
    void (*alarm)(void *ctx, int64_t when_ms);
    void *alarm_ctx;

    _Atomic size_t taken;
};

/* A table for at least MAX slots. ALARM is called with timer_lock when there is something to expire at WHEN_MS, before what it said last:
 * it has to lead to slots_expire at that time or later. Panics without memory. */
void slots_init(struct slots *s, size_t max, void (*alarm)(void *ctx, int64_t when_ms), void *alarm_ctx);
/* Frees it; no slot may be in use. */
void slots_done(struct slots *s);
/* How many may be in use at once. */
size_t slots_max(const struct slots *s);

/* A free slot for OWNER (borrowed until it is released), which the caller owns (S1), with FLAG raised. False: all are in use. */
bool slots_take(struct slots *s, void *owner, unsigned flag, uint32_t *ret_slot, uint32_t *ret_generation) MUST_USE;
/* Gives back a slot that the caller owns. */
void slots_release(struct slots *s, uint32_t i, uint32_t generation);
/* The owner of slot I, whatever its state, for the end when nothing runs any more; NULL: it is free. */
void *slots_owner(struct slots *s, uint32_t i);
/* How many slots were ever made: their numbers are below. */
uint32_t slots_made(struct slots *s);
uint32_t slots_generation(struct slots *s, uint32_t i);

/* Gives a reason to run, FLAG (not 0). The owner when the slot was parked: it is the caller's now and has to be run, with FLAG beside
 * what slots_flags gives. NULL: it runs already and will see FLAG, or it is gone. */
void *slots_claim(struct slots *s, uint32_t i, uint32_t generation, unsigned flag);
/* Adds FLAG to a slot that the caller owns. */
void slots_raise(struct slots *s, uint32_t i, unsigned flag);
/* Takes the flags of a slot that the caller owns. */
unsigned slots_flags(struct slots *s, uint32_t i);
/* Parks a slot that the caller owns until EXPIRY_MS (0: for ever) or a flag. False when flags were raised meanwhile: they are in
 * *RET_FLAGS and the slot is still the caller's. */
bool slots_park(struct slots *s, uint32_t i, uint32_t generation, int64_t expiry_ms, unsigned *ret_flags);
/* Claims each slot whose expiry is NOW_MS or before, raises FLAG in it and gives its owner to DUE, which has to see that it is run;
 * called with timer_lock. */
void slots_expire(struct slots *s, int64_t now_ms, unsigned flag, void (*due)(void *ctx, void *owner), void *ctx);

#endif
