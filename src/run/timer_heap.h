/* timer_heap: a binary heap of deadlines, the earliest first. Not thread-safe. */
#ifndef VALISE_RUN_TIMER_HEAP_H
#define VALISE_RUN_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t when_ms;
    uint32_t slot, generation;
};

struct timer_heap {
    struct timer *timers;
    size_t n, cap;
};

void timer_heap_push(struct timer_heap *h, struct timer t);
/* The earliest, or NULL; valid until the next push or pop. */
const struct timer *timer_heap_first(const struct timer_heap *h);
void timer_heap_pop(struct timer_heap *h);
/* Drops the timers that KEEP(CTX, timer) says false of. */
void timer_heap_filter(struct timer_heap *h, bool (*keep)(void *ctx, const struct timer *t), void *ctx);
void timer_heap_done(struct timer_heap *h);

#endif
