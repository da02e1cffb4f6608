/* slots: every interleaving of claiming, parking, waking and expiry, up to a few preemptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "interleave_atomics.h"
/* The program itself, so that its atomic accesses are points of the schedule. */
#include "../../../src/run/slots.c"

#include <cmocka.h>

enum { EVENT = 1, TIMEOUT = 2, TASKS = 2, PARKS = 4, FOR_EVER = 0, LATER = 1000 };

/* A task of the model: how long it parks each time it is run; it ends when the list does. */
struct task {
    int64_t deadlines[PARKS]; /* -1: over */
    unsigned parks;
    uint32_t slot, generation;
    int64_t deadline; /* of the last park */
    bool over;
    unsigned events, timeouts;
    struct task *next; /* takes the slot when this one is over */
};

static struct world {
    struct slots slots;
    int64_t now, alarm;
    struct task tasks[TASKS];
    struct task *due[8];
    unsigned due_n;
    const char *wrong;
    void (*arrange)(void);
} world;

static void ring(void *ctx, int64_t when_ms)
{
    ((struct world *)ctx)->alarm = when_ms;
}

static void task_begin(struct task *t)
{
    if (!slots_take(&world.slots, t, 0, &t->slot, &t->generation))
        world.wrong = "no slot";
}

/* What a worker does with a task that it owns. */
static void task_run(struct task *t, unsigned flags)
{
    for (;;) {
        flags |= slots_flags(&world.slots, t->slot);
        t->events += (flags & EVENT) != 0;
        if (flags & TIMEOUT) {
            t->timeouts++;
            if (!t->deadline || t->deadline > world.now)
                world.wrong = "woken by a deadline that has not passed";
        }
        int64_t deadline = t->deadlines[t->parks++];
        if (deadline < 0) {
            t->over = true;
            slots_release(&world.slots, t->slot, t->generation);
            if (!t->next)
                return;
            t = t->next;
            task_begin(t);
            flags = 0;
            continue;
        }
        t->deadline = deadline;
        if (slots_park(&world.slots, t->slot, t->generation, deadline, &flags))
            return;
    }
}

static void task_due(void *ctx, void *owner)
{
    struct world *w = ctx;
    w->due[w->due_n++] = owner;
}

/* A worker that the alarm wakes. */
static void expire(void *ctx)
{
    struct world *w = ctx;
    if (!w->alarm || w->alarm > w->now)
        return;
    w->alarm = 0;
    slots_expire(&w->slots, w->now, TIMEOUT, task_due, w);
    while (w->due_n)
        task_run(w->due[--w->due_n], 0);
}

static void own_first(void *ctx)
{
    (void)ctx;
    task_run(&world.tasks[0], 0);
}

static void wake_first(void *ctx)
{
    struct world *w = ctx;
    struct task *t = slots_claim(&w->slots, w->tasks[0].slot, w->tasks[0].generation, EVENT);
    if (t)
        task_run(t, EVENT);
}

static void setup(void *ctx)
{
    struct world *w = ctx;
    void (*arrange)(void) = w->arrange;
    *w = (struct world){ .now = 5, .arrange = arrange };
    slots_init(&w->slots, 4, ring, w);
    for (size_t i = 0; i < TASKS; i++) {
        for (size_t k = 0; k < PARKS; k++)
            w->tasks[i].deadlines[k] = -1;
    }
    task_begin(&w->tasks[0]);
    arrange();
}

/* Nothing runs any more: what is due must come, and later all the rest. */
static const char *check(void *ctx)
{
    struct world *w = ctx;
    while (w->alarm && w->alarm <= w->now)
        expire(w);
    for (size_t i = 0; i < TASKS; i++) {
        const struct task *t = &w->tasks[i];
        if (t->generation && !t->over && t->deadline && t->deadline <= w->now)
            w->wrong = "a deadline is lost";
    }
    w->now = LATER;
    for (unsigned n = 0; n < 8 && w->alarm && w->alarm <= w->now; n++)
        expire(w);
    for (size_t i = 0; i < TASKS; i++) {
        const struct task *t = &w->tasks[i];
        if (t->generation && !t->over && t->deadline)
            w->wrong = "a later deadline is lost";
    }
    slots_done(&w->slots);
    return w->wrong;
}

/* The first task is about to park for DEADLINE, and the heap has an entry of an earlier park that is due. */
static void arrange_stale(void)
{
    struct task *t = &world.tasks[0];
    unsigned flags;
    bool parked = slots_park(&world.slots, t->slot, t->generation, 3, &flags);
    assert_true(parked);
    assert_ptr_equal(slots_claim(&world.slots, t->slot, t->generation, EVENT), t);
    t->deadlines[0] = 5;
}

static void arrange_stale_later(void)
{
    arrange_stale();
    world.tasks[0].deadlines[0] = 100;
    world.tasks[0].deadlines[1] = 5;
    world.tasks[0].deadlines[2] = 200;
}

/* The first task is parked for 5, which is now, and will park for 100 when it is woken. */
static void arrange_due(void)
{
    struct task *t = &world.tasks[0];
    t->deadlines[0] = 5;
    t->deadlines[1] = 100;
    task_run(t, 0);
}

/* When it is woken it ends, and another takes its slot. */
static void arrange_reuse(void)
{
    struct task *t = &world.tasks[0];
    t->deadlines[0] = 5;
    t->next = &world.tasks[1];
    t->next->deadlines[0] = 100;
    t->next->deadlines[1] = 5;
    task_run(t, 0);
}

/* The same, and it is only about to park. */
static void arrange_reuse_early(void)
{
    arrange_reuse();
    assert_ptr_equal(slots_claim(&world.slots, world.tasks[0].slot, world.tasks[0].generation, EVENT), &world.tasks[0]);
    world.tasks[0].deadlines[1] = 4;
    world.tasks[0].deadlines[2] = -1;
}

static void arrange_for_ever(void)
{
    arrange_due();
    world.tasks[0].deadlines[1] = FOR_EVER;
    world.tasks[0].deadlines[2] = 4;
}

static const char *check_event(void *ctx)
{
    const char *wrong = check(ctx);
    return wrong ? wrong : world.tasks[0].events == 1 ? NULL : "an event is lost or told twice";
}

static void run_all(const char *name, void (*arrange)(void), unsigned preemptions, const char *(*check_fn)(void *),
                    void (*a)(void *), void (*b)(void *), void (*c)(void *))
{
    world.arrange = arrange;
#if defined(__SANITIZE_THREAD__)
    preemptions = 1; /* one thread only is here, and its fibers are slow under TSan */
#else
    preemptions -= getenv("CHECK_FEW") != NULL;
#endif
    const struct interleave_scenario s = { name, setup, { a, b, c }, check_fn, &world };
    size_t n = interleave_all(&s, preemptions);
    print_message("# %s: %zu schedules\n", name, n);
    assert_true(n > 10);
}

static void a_deadline_that_fires_while_its_task_parks_is_not_lost(void **state)
{
    run_all("park and expire", arrange_stale, 4, check, own_first, expire, NULL);
    run_all("park, expire and expire", arrange_stale, 2, check, own_first, expire, expire);
    run_all("park, wake and expire", arrange_stale_later, 2, check_event, own_first, wake_first, expire);
}

static void a_deadline_of_an_earlier_park_wakes_nobody(void **state)
{
    run_all("wake and expire", arrange_due, 4, check, wake_first, expire, NULL);
    run_all("wake, wake and expire", arrange_due, 2, check, wake_first, wake_first, expire);
    run_all("wake for ever and expire", arrange_for_ever, 3, check, wake_first, expire, NULL);
}

static void a_deadline_of_the_former_task_of_a_slot_wakes_nobody(void **state)
{
    run_all("end, take and expire", arrange_reuse, 3, check, wake_first, expire, NULL);
    run_all("park, end and take", arrange_reuse_early, 3, check, own_first, wake_first, NULL);
    run_all("park, end, take and expire", arrange_reuse_early, 2, check, own_first, wake_first, expire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_that_fires_while_its_task_parks_is_not_lost),
        cmocka_unit_test(a_deadline_of_an_earlier_park_wakes_nobody),
        cmocka_unit_test(a_deadline_of_the_former_task_of_a_slot_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
