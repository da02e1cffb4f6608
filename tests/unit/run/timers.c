/* timers: the heap of deadlines, and the arithmetic of minimum rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "run/conn_private.h"
#include "run/timer_heap.h"

static void the_earliest_comes_first(void **state)
{
    for (uint32_t n = 0; n < 200; n++) {
        struct timer_heap h = { 0 };
        uint64_t pushed = 0, popped = 0;
        int64_t last = 0;
        assert_null(timer_heap_first(&h));
        for (uint32_t i = 0; i < n; i++) {
            timer_heap_push(&h, (struct timer){ .when_ms = random_below(50), .slot = i });
            pushed += i;
        }
        for (uint32_t i = 0; i < n; i++) {
            struct timer t = *timer_heap_first(&h);
            assert_true(t.when_ms >= last);
            last = t.when_ms;
            popped += t.slot;
            timer_heap_pop(&h);
            if (random_below(3) == 0) { /* pushes between pops; never before what was popped */
                timer_heap_push(&h, (struct timer){ .when_ms = last + random_below(50), .slot = n });
                pushed += n;
            }
        }
        for (const struct timer *t; (t = timer_heap_first(&h)); timer_heap_pop(&h)) {
            assert_true(t->when_ms >= last);
            last = t->when_ms;
            popped += t->slot;
        }
        assert_int_equal(pushed, popped);
        timer_heap_done(&h);
    }
}

static bool is_odd(void *ctx, const struct timer *t)
{
    return t->slot % 2;
}

static void filtering_keeps_the_order(void **state)
{
    for (uint32_t n = 0; n < 100; n++) {
        struct timer_heap h = { 0 };
        for (uint32_t i = 0; i < n; i++)
            timer_heap_push(&h, (struct timer){ .when_ms = random_below(50), .slot = i });
        timer_heap_filter(&h, is_odd, NULL);
        assert_int_equal(h.n, n / 2);
        int64_t last = 0;
        for (const struct timer *t; (t = timer_heap_first(&h)); timer_heap_pop(&h)) {
            assert_true(t->when_ms >= last && t->slot % 2);
            last = t->when_ms;
        }
        timer_heap_done(&h);
    }
}

static void minimum_rates(void **state)
{
    static const struct {
        uint64_t bytes;
        uint32_t rate;
        int64_t grace_ms, expect_ms; /* after the start */
    } cases[] = {
        { 0, 256, 60000, 60000 },           /* nothing moved: the grace */
        { 15360, 256, 60000, 60000 },       /* 60 s are paid for exactly */
        { 15616, 256, 60000, 61000 },       /* one second more */
        { 15360 + 128, 256, 60000, 60500 }, /* half a second more */
        { 1000000, 1000, 30000, 1000000 },
        { 1, 4000000000u, 30000, 30000 },
        { UINT64_C(1) << 50, 1, 30000, (INT64_C(1) << 50) * 1000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(conn_rate_limit(7, cases[i].bytes, cases[i].rate, cases[i].grace_ms), 7 + cases[i].expect_ms);
}

/* Sixty bytes a minute are a hand's, for half an hour; then, and for what no hand sends, a program's rate counts. */
static void a_body_may_be_typed(void **state)
{
    static const struct {
        uint64_t bytes;
        int64_t program_ms, hand_ms; /* after the start */
    } cases[] = {
        { 0, 30000, 120000 },        { 119, 30000, 120000 },       { 121, 30000, 121000 },       { 900, 30000, 900000 },
        { 5000, 50000, 30 * 60000 }, { 179999, 1799990, 1800000 }, { 200000, 2000000, 2000000 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(conn_body_limit(7, cases[i].bytes, 100, false), 7 + cases[i].program_ms);
        assert_int_equal(conn_body_limit(7, cases[i].bytes, 100, true), 7 + cases[i].hand_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_comes_first),
        cmocka_unit_test(filtering_keeps_the_order),
        cmocka_unit_test(minimum_rates),
        cmocka_unit_test(a_body_may_be_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
