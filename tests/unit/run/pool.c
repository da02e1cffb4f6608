/* pool: its workers when the system gives no thread for a while. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "run/pool_private.h"

enum { WORKERS = 4 };

static atomic_int refusals_left, refused;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);

/* The linker gives the pool this one (--wrap). */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    if (atomic_load(&refusals_left) > 0) {
        atomic_fetch_sub(&refusals_left, 1);
        atomic_fetch_add(&refused, 1);
        return EAGAIN;
    }
    return __real_pthread_create(thread, attr, fn, arg);
}

static pthread_barrier_t together;
static atomic_int over;

/* Holds its worker until as many do as there may be. */
static bool meet_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    (void)flags;
    (void)ret;
    pthread_barrier_wait(&together);
    if (atomic_fetch_add(&over, 1) + 1 == WORKERS)
        pool_quit(t->pool);
    return false;
}

static void meet_end(struct task *t)
{
    (void)t;
}

/* A first task, run when the threads that the pool begins with are there. */
static bool refuse_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    static struct task meeting[WORKERS];
    static const struct task_kind kind = { "meet", meet_step, meet_end };
    (void)flags;
    (void)ret;
    atomic_store(&refusals_left, 2);
    for (size_t i = 0; i < WORKERS; i++) {
        if (!pool_start(t->pool, &meeting[i], &kind, -1))
            panic("no room for a task");
    }
    return false;
}

static void a_refused_thread_is_asked_for_again(void **state)
{
    static const struct task_kind kind = { "refuse", refuse_step, meet_end };
    struct task first;
    (void)state;
    pthread_barrier_init(&together, NULL, WORKERS);
    struct pool *p = pool_new(1, WORKERS, 16);
    assert_true(pool_start(p, &first, &kind, -1));
    pool_run(p);
    assert_int_equal(atomic_load(&refused), 2);
    assert_int_equal(atomic_load(&over), WORKERS);
    assert_int_equal(pool_counts(p).peak, WORKERS);
    pool_free(p);
    pthread_barrier_destroy(&together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_thread_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
