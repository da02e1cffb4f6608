/* gate: how many passwords are hashed at once, whose turn it is, and on which threads.
 *
 *  G1  As many run at once as there are processors, GATE_PLACES_MAX at most: each takes a processor and Argon2's memory.
 *  G2  No thread waits for a turn: who finds no place is told when to ask again, and keeps the place in the queue that the first asking gave, so that
 *      nobody who comes later is served before. Who does not come back within GATE_PATIENCE_MS of being due has gone.
 *  G3  The hashing is done by threads of lower priority than all others: first logins of many users take what the sessions that are there leave. */
#include "directory/directory_private.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/clock.h"

enum { GATE_PLACES_MAX = 8, GATE_WAITING_MAX = 64, GATE_WAIT_MS = 5000 };
enum { GATE_QUEUE_MAX = 1024, GATE_AHEAD_MAX_MS = 20000, GATE_PATIENCE_MS = 2000, GATE_SLACK = 2, GATE_NICE = 5 };
enum {
    GATE_TOOK_FIRST_US = 20000,
    GATE_TOOK_SHARE = 8
}; /* what is assumed before anything was measured; the share of a new measurement */

struct ticket {
    uint64_t whose;
    int64_t due_ms; /* when it was told to come again */
};

struct job {
    void (*run)(void *ctx);
    void *ctx;
    bool done;
    struct job *next;
};

struct gate {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t left, wanted, finished;
    struct directory_cost cost;
    unsigned places, running, waiting;
    int64_t took_us; /* an average */
    struct ticket queue[GATE_QUEUE_MAX];
    size_t queued;
    struct job *first, **last;
    pthread_t threads[GATE_PLACES_MAX];
    unsigned thread_n;
    bool ends;
};

static unsigned processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

struct gate *gate_new(void)
{
    struct gate *g = calloc(1, sizeof *g);
    pthread_condattr_t attr;
    require(g);
    unsigned n = processors();
    g->places = n < 2 ? 2 : n > GATE_PLACES_MAX ? GATE_PLACES_MAX : n;
    g->took_us = GATE_TOOK_FIRST_US;
    g->cost = (struct directory_cost){ DIRECTORY_COST_KIB_MIN, DIRECTORY_COST_PASSES_MIN };
    g->last = &g->first;
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->left, &attr);
    pthread_cond_init(&g->wanted, &attr);
    pthread_cond_init(&g->finished, &attr);
    pthread_condattr_destroy(&attr);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->ends = true;
    pthread_cond_broadcast(&g->wanted);
    pthread_mutex_unlock(&g->lock);
    for (unsigned i = 0; i < g->thread_n; i++)
        pthread_join(g->threads[i], NULL);
    pthread_cond_destroy(&g->left);
    pthread_cond_destroy(&g->wanted);
    pthread_cond_destroy(&g->finished);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void gate_set_cost(struct gate *g, const struct directory_cost *cost)
{
    pthread_mutex_lock(&g->lock);
    g->cost = *cost;
    pthread_mutex_unlock(&g->lock);
}

struct directory_cost gate_cost(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    struct directory_cost cost = g->cost;
    pthread_mutex_unlock(&g->lock);
    return cost;
}

unsigned gate_places(const struct gate *g)
{
    return g->places;
}

/* --- turns --- */

int gate_enter(struct gate *g)
{
    int64_t until = clock_mono_ms() + GATE_WAIT_MS;
    struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    int r = 0;
    pthread_mutex_lock(&g->lock);
    if (g->waiting >= GATE_WAITING_MAX)
        r = ERR_UNAVAILABLE;
    g->waiting++;
    while (r == 0 && g->running >= g->places) {
        if (pthread_cond_timedwait(&g->left, &g->lock, &t) == ETIMEDOUT)
            r = ERR_UNAVAILABLE;
    }
    g->waiting--;
    if (r == 0)
        g->running++;
    pthread_mutex_unlock(&g->lock);
    return r;
}

/* Those who were due long ago have hung up; then the place of WHOSE, or the length of the queue. */
static size_t place_of(struct gate *g, uint64_t whose, int64_t now)
{
    size_t kept = 0, at = SIZE_MAX;
    for (size_t i = 0; i < g->queued; i++) {
        bool is_own = g->queue[i].whose == whose;
        if (!is_own && now - g->queue[i].due_ms > GATE_PATIENCE_MS)
            continue;
        if (is_own)
            at = kept;
        g->queue[kept++] = g->queue[i];
    }
    g->queued = kept;
    return at == SIZE_MAX ? kept : at;
}

static void leave_queue(struct gate *g, size_t at)
{
    if (at < g->queued)
        memmove(&g->queue[at], &g->queue[at + 1], (--g->queued - at) * sizeof g->queue[0]);
}

/* When who has AT before him may come again. */
static int64_t wait_of(const struct gate *g, size_t at)
{
    return 1 + (int64_t)(at + 1) * g->took_us / g->places / 1000;
}

int gate_try(struct gate *g, uint64_t whose, int64_t *ret_again_ms)
{
    int64_t now = clock_mono_ms();
    int r = ERR_UNAVAILABLE;
    pthread_mutex_lock(&g->lock);
    size_t at = place_of(g, whose, now), busy = g->running + g->waiting, open = busy < g->places ? g->places - busy : 0;
    if (open && at < open + GATE_SLACK) { /* the very first may be on his way back */
        leave_queue(g, at);
        g->running++;
        r = 0;
    } else if (at == GATE_QUEUE_MAX || wait_of(g, at) > GATE_AHEAD_MAX_MS) {
        leave_queue(g, at);
        *ret_again_ms = 0;
    } else {
        *ret_again_ms = wait_of(g, at);
        g->queue[at] = (struct ticket){ whose, now + *ret_again_ms };
        g->queued += at == g->queued;
    }
    pthread_mutex_unlock(&g->lock);
    return r;
}

void gate_leave(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->running--;
    pthread_cond_signal(&g->left);
    pthread_mutex_unlock(&g->lock);
}

/* --- the threads --- */

static void *work(void *ctx)
{
    struct gate *g = ctx;
    (void)setpriority(PRIO_PROCESS, 0, GATE_NICE); /* of this thread, on Linux; one that may not runs as the others do */
    pthread_mutex_lock(&g->lock);
    for (;;) {
        struct job *j = g->first;
        if (!j && g->ends)
            break;
        if (!j) {
            pthread_cond_wait(&g->wanted, &g->lock);
            continue;
        }
        g->first = j->next;
        if (!g->first)
            g->last = &g->first;
        pthread_mutex_unlock(&g->lock);
        int64_t begin = clock_mono_us();
        j->run(j->ctx);
        int64_t took = clock_mono_us() - begin;
        pthread_mutex_lock(&g->lock);
        g->took_us += (took - g->took_us) / GATE_TOOK_SHARE;
        j->done = true;
        pthread_cond_broadcast(&g->finished);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* One thread more while there are fewer than places. Signals are for the others. */
static void add_thread(struct gate *g)
{
    sigset_t all, before;
    if (g->thread_n >= g->running || g->thread_n >= g->places)
        return;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    g->thread_n += pthread_create(&g->threads[g->thread_n], NULL, work, g) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void gate_run(struct gate *g, void (*run)(void *ctx), void *ctx)
{
    struct job j = { .run = run, .ctx = ctx };
    pthread_mutex_lock(&g->lock);
    require(g->running > 0);
    add_thread(g);
    if (g->thread_n == 0) { /* no thread can be had: then here */
        pthread_mutex_unlock(&g->lock);
        run(ctx);
        return;
    }
    *g->last = &j;
    g->last = &j.next;
    pthread_cond_signal(&g->wanted);
    while (!j.done)
        pthread_cond_wait(&g->finished, &g->lock);
    pthread_mutex_unlock(&g->lock);
}
