/* slots: see slots.h for the invariants.
 *
 * A slot's word holds its generation, state and flags, so that one compare-and-swap sees them together. */
#include "run/slots.h"

#include <stdlib.h>

enum {
    CHUNK = 512, /* slots in one allocation */
    TIMERS_SWEEP = 4096
};

/* The word: generation (32 bits), state, flags. */
#define WORD_FLAGS   UINT64_C(0xffff)
#define WORD_PARKED  UINT64_C(0x10000)
#define WORD_RUNNING UINT64_C(0x20000)
#define WORD_STATE   (WORD_PARKED | WORD_RUNNING)

struct slot {
    _Atomic uint64_t word;
    _Atomic int64_t expiry; /* of the last park; 0: none */
    _Atomic int64_t entry;  /* when the slot's entry in the heap fires; 0: there is none */
    void *owner;            /* valid for whoever owns the slot */
    uint32_t next_free;
};

static struct slot *slot_at(struct slots *s, uint32_t i)
{
    return atomic_load(&s->chunks[i / CHUNK]) + i % CHUNK;
}

static uint32_t word_generation(uint64_t w)
{
    return (uint32_t)(w >> 32);
}

void slots_init(struct slots *s, size_t max, void (*alarm)(void *ctx, int64_t when_ms), void *alarm_ctx)
{
    *s = (struct slots){ .chunk_max = (max + CHUNK - 1) / CHUNK, .alarm = alarm, .alarm_ctx = alarm_ctx };
    s->chunks = calloc(s->chunk_max, sizeof *s->chunks);
    if (!s->chunks)
        panic("out of memory for %zu slots", max);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->timer_lock, NULL);
}

void slots_done(struct slots *s)
{
    for (size_t i = 0; i < s->chunk_max; i++)
        free(atomic_load(&s->chunks[i]));
    free(s->chunks);
    timer_heap_done(&s->timers);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->timer_lock);
}

size_t slots_max(const struct slots *s)
{
    return s->chunk_max * CHUNK;
}

bool slots_take(struct slots *s, void *owner, unsigned flag, uint32_t *ret_slot, uint32_t *ret_generation)
{
    uint32_t i;
    pthread_mutex_lock(&s->lock);
    if (s->free_first) {
        i = s->free_first - 1;
        s->free_first = slot_at(s, i)->next_free;
    } else if (s->n < slots_max(s)) {
        i = s->n++;
        if (i % CHUNK == 0) {
            struct slot *chunk = calloc(CHUNK, sizeof *chunk);
            if (!chunk)
                panic("out of memory for %d slots", CHUNK);
            atomic_store(&s->chunks[i / CHUNK], chunk);
        }
    } else {
        pthread_mutex_unlock(&s->lock);
        return false;
    }
    struct slot *slot = slot_at(s, i);
    uint32_t g = word_generation(atomic_load(&slot->word)) + 1;
    slot->owner = owner;
    atomic_fetch_add(&s->taken, 1);
    /* Under the heap's lock, whose holder must not mistake the new task for the old one half way. */
    pthread_mutex_lock(&s->timer_lock);
    atomic_store(&slot->expiry, 0);
    atomic_store(&slot->entry, 0);
    atomic_store(&slot->word, (uint64_t)g << 32 | WORD_RUNNING | flag);
    pthread_mutex_unlock(&s->timer_lock);
    pthread_mutex_unlock(&s->lock);
    *ret_slot = i;
    *ret_generation = g;
    return true;
}

void slots_release(struct slots *s, uint32_t i, uint32_t generation)
{
    struct slot *slot = slot_at(s, i);
    pthread_mutex_lock(&s->lock);
    slot->owner = NULL;
    atomic_store(&slot->word, (uint64_t)generation << 32);
    slot->next_free = s->free_first;
    s->free_first = i + 1;
    atomic_fetch_sub(&s->taken, 1);
    pthread_mutex_unlock(&s->lock);
}

void *slots_owner(struct slots *s, uint32_t i)
{
    return slot_at(s, i)->owner;
}

uint32_t slots_made(struct slots *s)
{
    pthread_mutex_lock(&s->lock);
    uint32_t n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

uint32_t slots_generation(struct slots *s, uint32_t i)
{
    return word_generation(atomic_load(&slot_at(s, i)->word));
}

/* --- claiming and parking --- */

void *slots_claim(struct slots *s, uint32_t i, uint32_t generation, unsigned flag)
{
    struct slot *slot = slot_at(s, i);
    uint64_t w = atomic_load(&slot->word);
    for (;;) {
        if (word_generation(w) != generation || !(w & WORD_STATE))
            return NULL;
        if (w & WORD_PARKED) {
            if (atomic_compare_exchange_weak(&slot->word, &w, (w & ~WORD_STATE) | WORD_RUNNING))
                return slot->owner;
        } else if ((w & flag) == flag || atomic_compare_exchange_weak(&slot->word, &w, w | flag)) {
            return NULL;
        }
    }
}

void slots_raise(struct slots *s, uint32_t i, unsigned flag)
{
    atomic_fetch_or(&slot_at(s, i)->word, flag);
}

unsigned slots_flags(struct slots *s, uint32_t i)
{
    return (unsigned)(atomic_fetch_and(&slot_at(s, i)->word, ~WORD_FLAGS) & WORD_FLAGS);
}

/* Moves a slot that the caller owns to PARKED unless it has flags. */
static bool slot_leave(struct slot *slot, uint32_t generation)
{
    uint64_t expected = (uint64_t)generation << 32 | WORD_RUNNING;
    return atomic_compare_exchange_strong(&slot->word, &expected, (uint64_t)generation << 32 | WORD_PARKED);
}

/* --- expiry --- */

/* Whether the slot still waits for this entry: its task is there, and no earlier entry took the place. */
static bool timer_is_valid(void *ctx, const struct timer *t)
{
    struct slot *slot = slot_at(ctx, t->slot);
    return slots_generation(ctx, t->slot) == t->generation && atomic_load(&slot->entry) == t->when_ms;
}

/* Sees to it that the alarm rings for the earliest entry; with timer_lock. */
static void alarm_update(struct slots *s)
{
    const struct timer *first = timer_heap_first(&s->timers);
    if (!first || (s->alarm_ms && s->alarm_ms <= first->when_ms))
        return;
    s->alarm_ms = first->when_ms;
    s->alarm(s->alarm_ctx, first->when_ms);
}

/* Makes WHEN_MS the slot's entry; with timer_lock. */
static void entry_set(struct slots *s, uint32_t i, uint32_t generation, int64_t when_ms)
{
    /* Entries of tasks that are gone stay until they are due; short connections with long deadlines would pile them up. */
    if (s->timers.n > TIMERS_SWEEP && s->timers.n > 2 * atomic_load(&s->taken))
        timer_heap_filter(&s->timers, timer_is_valid, s);
    atomic_store(&slot_at(s, i)->entry, when_ms);
    timer_heap_push(&s->timers, (struct timer){ when_ms, i, generation });
}

/* Makes sure that the slot is looked at WHEN_MS or before. Mostly an entry of an earlier park is there and nothing is to be done: it
 * finds the newer expiry when it fires. */
static void entry_ensure(struct slots *s, uint32_t i, uint32_t generation, int64_t when_ms)
{
    struct slot *slot = slot_at(s, i);
    int64_t entry = atomic_load(&slot->entry);
    if (entry && entry <= when_ms)
        return;
    pthread_mutex_lock(&s->timer_lock);
    entry = atomic_load(&slot->entry);
    if (slots_generation(s, i) == generation && (!entry || entry > when_ms)) {
        entry_set(s, i, generation, when_ms);
        alarm_update(s);
    }
    pthread_mutex_unlock(&s->timer_lock);
}

bool slots_park(struct slots *s, uint32_t i, uint32_t generation, int64_t expiry_ms, unsigned *ret_flags)
{
    struct slot *slot = slot_at(s, i);
    atomic_store(&slot->expiry, expiry_ms);
    if (!slot_leave(slot, generation)) {
        *ret_flags = slots_flags(s, i);
        return false;
    }
    /* Only now, for an entry that fires while the task is not yet parked wakes nobody (S4). From here on others may run the task,
     * release the slot, even take it anew: an entry too many does nothing, and one in a newer generation is not made. Here the entry
     * is read after the expiry was written, in slots_expire the other way round: one of the two sees the other's. */
    if (expiry_ms)
        entry_ensure(s, i, generation, expiry_ms);
    return true;
}

/* Wakes the task of T if its expiry has passed; with timer_lock. True: DUE is to be called for *RET_OWNER. */
static bool slot_expire(struct slots *s, const struct timer *t, int64_t now_ms, unsigned flag, void **ret_owner)
{
    struct slot *slot = slot_at(s, t->slot);
    uint64_t parked = (uint64_t)t->generation << 32 | WORD_PARKED;
    /* A running task is left alone: what has passed is the expiry of an earlier park. */
    if (!atomic_compare_exchange_strong(&slot->word, &parked, (uint64_t)t->generation << 32 | WORD_RUNNING))
        return false;
    *ret_owner = slot->owner;
    /* The slot is ours and its expiry stands still: is it the one that has passed (S5)? If not, back with it, and whoever parked it
     * last sees that there is no entry. */
    int64_t expiry = atomic_load(&slot->expiry);
    if (expiry && expiry <= now_ms)
        slots_raise(s, t->slot, flag);
    else if (slot_leave(slot, t->generation))
        return false;
    return true;
}

void slots_expire(struct slots *s, int64_t now_ms, unsigned flag, void (*due)(void *ctx, void *owner), void *ctx)
{
    const struct timer *first;
    void *owner;
    pthread_mutex_lock(&s->timer_lock);
    s->alarm_ms = 0;
    while ((first = timer_heap_first(&s->timers)) && first->when_ms <= now_ms) {
        struct timer t = *first;
        timer_heap_pop(&s->timers);
        if (!timer_is_valid(s, &t))
            continue;
        struct slot *slot = slot_at(s, t.slot);
        atomic_store(&slot->entry, 0);
        int64_t expiry = atomic_load(&slot->expiry);
        if (expiry > now_ms)
            entry_set(s, t.slot, t.generation, expiry);
        else if (expiry && slot_expire(s, &t, now_ms, flag, &owner))
            due(ctx, owner);
    }
    alarm_update(s);
    pthread_mutex_unlock(&s->timer_lock);
}
