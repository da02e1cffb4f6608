/* timer_heap: see timer_heap.h. */
#include "run/timer_heap.h"

#include <stdlib.h>

#include "base/err.h"

/* Puts T into the hole at I or where it belongs above it. */
static void sift_up(struct timer_heap *h, size_t i, struct timer t)
{
    for (; i && h->timers[(i - 1) / 2].when_ms > t.when_ms; i = (i - 1) / 2)
        h->timers[i] = h->timers[(i - 1) / 2];
    h->timers[i] = t;
}

/* The same below it. */
static void sift_down(struct timer_heap *h, size_t i, struct timer t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->timers[child + 1].when_ms < h->timers[child].when_ms)
            child++;
        if (h->timers[child].when_ms >= t.when_ms)
            break;
        h->timers[i] = h->timers[child];
        i = child;
    }
    h->timers[i] = t;
}

void timer_heap_push(struct timer_heap *h, struct timer t)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->timers = realloc(h->timers, h->cap * sizeof *h->timers);
        if (!h->timers)
            panic("out of memory for %zu timers", h->cap);
    }
    sift_up(h, h->n++, t);
}

const struct timer *timer_heap_first(const struct timer_heap *h)
{
    return h->n ? h->timers : NULL;
}

void timer_heap_pop(struct timer_heap *h)
{
    require(h->n);
    struct timer last = h->timers[--h->n];
    if (h->n)
        sift_down(h, 0, last);
}

void timer_heap_filter(struct timer_heap *h, bool (*keep)(void *ctx, const struct timer *t), void *ctx)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        if (keep(ctx, &h->timers[i]))
            h->timers[n++] = h->timers[i];
    h->n = n;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(h, i, h->timers[i]);
}

void timer_heap_done(struct timer_heap *h)
{
    free(h->timers);
    *h = (struct timer_heap){ 0 };
}
