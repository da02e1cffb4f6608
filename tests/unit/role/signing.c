/* signing: a flood by one role is refused beyond its share and takes nothing from the other. Time is given, not measured. */
#include "../check.h"

#include <poll.h>

#include "role/signing.h"

enum { PROCESSORS = 2, SHARE = SIGNING_RATE * PROCESSORS };

static unsigned given(struct signing *s, enum rights_role role, unsigned tries, int64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        if (signing_begin(s, role, now_ms) == 0) {
            signing_end(s, role, true);
            n++;
        }
    return n;
}

static void test_a_flood_is_refused_beyond_its_share(void **state)
{
    struct signing s;
    signing_init(&s, PROCESSORS);
    assert_int_equal(given(&s, RIGHTS_MX, SHARE + 1000, 5000), SHARE);
    assert_int_equal(atomic_load(&s.roles[RIGHTS_MX].made), SHARE);
    assert_int_equal(atomic_load(&s.roles[RIGHTS_MX].refused), 1000);
    assert_int_equal(given(&s, RIGHTS_CORE, 100, 5000), 100); /* a share of its own */
    assert_int_equal(given(&s, RIGHTS_MX, SHARE, 5010), SHARE / 100);
    assert_int_equal(given(&s, RIGHTS_MX, 10, 4000), 0); /* a clock that goes back gives nothing */
    assert_int_equal(given(&s, RIGHTS_MX, SHARE + 1, 5010 + 1000), SHARE);
    assert_int_equal(given(&s, RIGHTS_MX, SHARE + 1, INT64_MAX), SHARE); /* no more for a long rest */
    assert_int_equal(atomic_load(&s.roles[RIGHTS_CORE].refused), 0);
    signing_done(&s);
}

static atomic_uint begun;

static void *begin(void *ctx)
{
    assert_int_equal(signing_begin(ctx, RIGHTS_MX, 5000), 0);
    atomic_fetch_add(&begun, 1);
    return NULL;
}

static void wait_for(unsigned n)
{
    while (atomic_load(&begun) < n) {
        struct pollfd none = { .fd = -1 };
        (void)poll(&none, 1, 1);
    }
}

/* All processors are at work for mx, and more of it waits: core is not kept waiting. */
static void test_core_never_waits_for_mx(void **state)
{
    enum { THREADS = 6 };
    struct signing s;
    pthread_t threads[THREADS];
    signing_init(&s, PROCESSORS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, begin, &s), 0);
    wait_for(PROCESSORS);
    assert_int_equal(given(&s, RIGHTS_CORE, 100, 5000), 100);
    assert_int_equal(atomic_load(&begun), PROCESSORS);
    for (unsigned i = PROCESSORS + 1; i <= THREADS; i++) {
        signing_end(&s, RIGHTS_MX, true);
        wait_for(i);
    }
    for (int i = 0; i < PROCESSORS; i++)
        signing_end(&s, RIGHTS_MX, false);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(s.busy, 0);
    assert_int_equal(atomic_load(&s.roles[RIGHTS_MX].made), THREADS - PROCESSORS);
    assert_int_equal(atomic_load(&s.roles[RIGHTS_MX].refused), PROCESSORS);
    signing_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_flood_is_refused_beyond_its_share),
                                        cmocka_unit_test(test_core_never_waits_for_mx) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
