/* interleave: runs a few small operations in every order of their steps, with at most some preemptions.
 *
 * Each operation is a fiber. It runs until it comes to a point (an atomic access, a lock), where the scheduler goes on with it or with
 * another. All choices are tried, one schedule after the other; what a schedule is made of is the list of its choices, so a
 * failure names it. Sequentially consistent accesses only: weaker orders are not modelled.
 *
 * A program under test is compiled into its test with INTERLEAVE_ATOMICS included before it (see run/slots.c). */
#ifndef VALISE_TESTS_INTERLEAVE_H
#define VALISE_TESTS_INTERLEAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

enum { INTERLEAVE_FIBERS = 4, INTERLEAVE_LOCKS = 8, INTERLEAVE_STEPS = 4096, INTERLEAVE_STACK = 256 * 1024 };

struct interleave_scenario {
    const char *name;
    void (*setup)(void *ctx);                  /* before each schedule */
    void (*fibers[INTERLEAVE_FIBERS])(void *); /* run with CTX; NULL after the last */
    const char *(*check)(void *ctx);           /* after it, with nothing else running: what is wrong, or NULL */
    void *ctx;
};

struct interleave_fiber {
    ucontext_t context;
    void *stack, *fake_stack, *tsan;
    const void *waits_for; /* a lock */
    bool done;
};

static struct {
    const struct interleave_scenario *scenario;
    struct interleave_fiber fibers[INTERLEAVE_FIBERS];
    unsigned fiber_n, current;
    ucontext_t scheduler;
    void *scheduler_stack, *scheduler_fake, *scheduler_tsan;
    size_t scheduler_stack_n;
    const void *held[INTERLEAVE_LOCKS];
    bool on;
} interleave;

static void interleave_to_scheduler(void)
{
    struct interleave_fiber *f = &interleave.fibers[interleave.current];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->fake_stack, interleave.scheduler_stack, interleave.scheduler_stack_n);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(interleave.scheduler_tsan, 0);
#endif
    swapcontext(&f->context, &interleave.scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(f->fake_stack, NULL, NULL);
#endif
}

static void interleave_to_fiber(unsigned i)
{
    struct interleave_fiber *f = &interleave.fibers[i];
    interleave.current = i;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&interleave.scheduler_fake, f->stack, INTERLEAVE_STACK);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    swapcontext(&interleave.scheduler, &f->context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(interleave.scheduler_fake, NULL, NULL);
#endif
}

/* Where another may go on. Outside of a schedule it does nothing. */
static void interleave_point(void)
{
    if (interleave.on)
        interleave_to_scheduler();
}

static const void **interleave_find(const void *lock)
{
    for (size_t i = 0; i < INTERLEAVE_LOCKS; i++) {
        if (interleave.held[i] == lock)
            return &interleave.held[i];
    }
    return NULL;
}

static int interleave_lock(const void *lock)
{
    if (!interleave.on)
        return 0;
    interleave_point();
    while (interleave_find(lock)) {
        interleave.fibers[interleave.current].waits_for = lock;
        interleave_to_scheduler();
    }
    interleave.fibers[interleave.current].waits_for = NULL;
    *interleave_find(NULL) = lock;
    return 0;
}

static int interleave_unlock(const void *lock)
{
    if (interleave.on)
        *interleave_find(lock) = NULL;
    return 0;
}

static void interleave_fiber_main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    const void *stack;
    __sanitizer_finish_switch_fiber(NULL, &stack, &interleave.scheduler_stack_n);
    interleave.scheduler_stack = (void *)(uintptr_t)stack;
#endif
    interleave.scenario->fibers[interleave.current](interleave.scenario->ctx);
    interleave.fibers[interleave.current].done = true;
    interleave_to_scheduler();
}

static bool interleave_is_runnable(unsigned i)
{
    const struct interleave_fiber *f = &interleave.fibers[i];
    return !f->done && !(f->waits_for && interleave_find(f->waits_for));
}

static void interleave_begin(const struct interleave_scenario *s)
{
    interleave.scenario = s;
    interleave.fiber_n = 0;
    memset(interleave.held, 0, sizeof interleave.held);
    s->setup(s->ctx);
    while (interleave.fiber_n < INTERLEAVE_FIBERS && s->fibers[interleave.fiber_n]) {
        struct interleave_fiber *f = &interleave.fibers[interleave.fiber_n++];
        f->stack = f->stack ? f->stack : malloc(INTERLEAVE_STACK);
        f->done = false;
        f->waits_for = NULL;
        f->fake_stack = NULL;
        getcontext(&f->context);
        f->context.uc_stack.ss_sp = f->stack;
        f->context.uc_stack.ss_size = INTERLEAVE_STACK;
        f->context.uc_link = NULL;
        makecontext(&f->context, interleave_fiber_main, 0);
#if defined(__SANITIZE_THREAD__)
        f->tsan = __tsan_create_fiber(0);
#endif
    }
}

static void interleave_end(void)
{
#if defined(__SANITIZE_THREAD__)
    for (unsigned i = 0; i < interleave.fiber_n; i++)
        __tsan_destroy_fiber(interleave.fibers[i].tsan);
#endif
}

/* The choices of a schedule: of those that could go on at each step, which did. */
struct interleave_choices {
    unsigned char taken[INTERLEAVE_STEPS], of[INTERLEAVE_STEPS];
    size_t n, replayed; /* REPLAYED: how many are given */
};

static unsigned interleave_choose(struct interleave_choices *c, unsigned of)
{
    unsigned taken = c->n < c->replayed ? c->taken[c->n] : 0;
    if (c->n == INTERLEAVE_STEPS || taken >= of)
        abort(); /* a schedule that is longer than any should be, or a test that depends on more than its choices */
    c->taken[c->n] = (unsigned char)taken;
    c->of[c->n++] = (unsigned char)of;
    return taken;
}

/* One schedule. False when nobody could go on. */
static bool interleave_schedule(struct interleave_choices *c, unsigned preemptions)
{
    unsigned last = INTERLEAVE_FIBERS;
    for (;;) {
        unsigned can[INTERLEAVE_FIBERS], n = 0, left = 0;
        bool goes_on = last < INTERLEAVE_FIBERS && interleave_is_runnable(last);
        if (goes_on)
            can[n++] = last;
        for (unsigned i = 0; i < interleave.fiber_n; i++) {
            left += !interleave.fibers[i].done;
            if (i != last && interleave_is_runnable(i) && (!goes_on || preemptions))
                can[n++] = i;
        }
        if (!n)
            return left == 0;
        unsigned next = can[interleave_choose(c, n)];
        if (goes_on && next != last)
            preemptions--;
        last = next;
        interleave.on = true;
        interleave_to_fiber(next);
        interleave.on = false;
    }
}

/* Runs S in every order with at most PREEMPTIONS. How many there were; 0 after a failure, which is printed. */
static size_t interleave_all(const struct interleave_scenario *s, unsigned preemptions)
{
    static struct interleave_choices c;
    size_t schedules = 0;
    c.replayed = 0;
#if defined(__SANITIZE_THREAD__)
    interleave.scheduler_tsan = __tsan_get_current_fiber();
#endif
    for (;;) {
        c.n = 0;
        interleave_begin(s);
        bool ended = interleave_schedule(&c, preemptions);
        const char *wrong = ended ? s->check(s->ctx) : "nobody can go on";
        interleave_end();
        schedules++;
        if (wrong) {
            fprintf(stderr, "%s: %s; schedule %zu:", s->name, wrong, schedules);
            for (size_t i = 0; i < c.n; i++)
                fprintf(stderr, "%s%u", i % 60 ? "" : "\n  ", c.taken[i]);
            fputc('\n', stderr);
            return 0;
        }
        while (c.n && c.taken[c.n - 1] + 1u == c.of[c.n - 1])
            c.n--;
        if (!c.n)
            break;
        c.taken[c.n - 1]++;
        c.replayed = c.n;
    }
    for (unsigned i = 0; i < INTERLEAVE_FIBERS; i++) {
        free(interleave.fibers[i].stack);
        interleave.fibers[i].stack = NULL;
    }
    return schedules;
}

#endif
