/* timer_heap: see pool_private.h. */
#include "run/pool_private.h"

void timer_heap_push(struct timer_heap *h, struct timer t)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->timers = realloc(h->timers, h->cap * sizeof *h->timers);
        if (!h->timers)
            panic("out of memory for %zu timers", h->cap);
    }
    size_t i = h->n++;
    for (; i && h->timers[(i - 1) / 2].when_ms > t.when_ms; i = (i - 1) / 2)
        h->timers[i] = h->timers[(i - 1) / 2];
    h->timers[i] = t;
}

const struct timer *timer_heap_first(const struct timer_heap *h)
{
    return h->n ? h->timers : NULL;
}

void timer_heap_pop(struct timer_heap *h)
{
    require(h->n);
    struct timer last = h->timers[--h->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->timers[child + 1].when_ms < h->timers[child].when_ms)
            child++;
        if (h->timers[child].when_ms >= last.when_ms)
            break;
        h->timers[i] = h->timers[child];
        i = child;
    }
    if (h->n)
        h->timers[i] = last;
}

void timer_heap_done(struct timer_heap *h)
{
    free(h->timers);
    *h = (struct timer_heap){ 0 };
}
