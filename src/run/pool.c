/* pool: see pool_private.h for what it is and its invariants.
 *
 * Workers take tasks from the run queue (raised flags, new tasks) and from epoll (descriptors). The eventfd that announces the
 * queue is edge-triggered and never read: each write wakes one waiting worker, and a worker that leaves more in the queue writes
 * again. A further thread, the herder, sleeps until no worker waits; if something is ready then and stays so for a moment, it
 * starts another worker. */
#include "run/pool_private.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    CHUNK = 512,     /* slots in one allocation */
    IDLE_MS = 10000, /* a worker beyond the minimum ends after so long without work */
    HERDER_PAUSE_NS = 2000000,
    TIMERS_SWEEP = 4096,
    QUEUE_TURNS = 16, /* tasks from the queue before epoll is asked again */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    STACK = 4 * 1024 * 1024
#else
    STACK = 256 * 1024
#endif
};

/* What epoll knows of the descriptors that are not tasks'. */
enum { SLOT_QUEUE = 0xfffffff0u, SLOT_TIMER, SLOT_WATCH };

/* A slot's word: generation (32 bits), state, flags. */
#define WORD_FLAGS   UINT64_C(0xffff)
#define WORD_PARKED  UINT64_C(0x10000)
#define WORD_RUNNING UINT64_C(0x20000)
#define WORD_STATE   (WORD_PARKED | WORD_RUNNING)

struct slot {
    _Atomic uint64_t word;
    _Atomic int64_t expiry; /* of the parked task; 0: none */
    _Atomic int64_t entry;  /* when the slot's entry in the timer heap fires; 0: there is none */
    struct task *task;      /* valid for whoever owns the slot */
    uint32_t next_free;
};

struct pool {
    unsigned workers_min, workers_max;
    int epoll, queue_fd, timer_fd, watch_fd;
    void (*watch_fn)(void *);
    void *watch_ctx;

    pthread_mutex_t slots_lock;
    _Atomic(struct slot *) *chunks;
    size_t chunk_max;
    uint32_t slot_n, slot_free; /* slots made so far; first free one + 1, 0: none */
    _Atomic size_t task_n;

    pthread_mutex_t queue_lock;
    struct task *queue_first, *queue_last;

    pthread_mutex_t timer_lock;
    struct timer_heap timers;
    int64_t timer_set; /* what the timerfd is set to; 0: nothing */

    pthread_mutex_t workers_lock; /* guards what follows */
    pthread_cond_t workers_changed, herder_wanted;
    unsigned workers, peak;
    pthread_t ended; /* the worker that ended last, to be joined by the next */
    bool has_ended;
    _Atomic unsigned waiting; /* workers in epoll_wait */
    _Atomic bool herder_sleeps, quit;
};

/* --- slots --- */

static struct slot *slot_at(struct pool *p, uint32_t i)
{
    return atomic_load(&p->chunks[i / CHUNK]) + i % CHUNK;
}

/* A slot in state RUNNING for T; false when all are in use. */
static bool slot_take(struct pool *p, struct task *t)
{
    pthread_mutex_lock(&p->slots_lock);
    uint32_t i;
    if (p->slot_free) {
        i = p->slot_free - 1;
        p->slot_free = slot_at(p, i)->next_free;
    } else if (p->slot_n < p->chunk_max * CHUNK) {
        i = p->slot_n++;
        if (i % CHUNK == 0) {
            struct slot *chunk = calloc(CHUNK, sizeof *chunk);
            if (!chunk)
                panic("out of memory for %d slots", CHUNK);
            atomic_store(&p->chunks[i / CHUNK], chunk);
        }
    } else {
        pthread_mutex_unlock(&p->slots_lock);
        return false;
    }
    struct slot *s = slot_at(p, i);
    t->slot = i;
    t->generation = (uint32_t)(atomic_load(&s->word) >> 32) + 1;
    s->task = t;
    atomic_fetch_add(&p->task_n, 1);
    /* Under the lock of timers_run, which must not mistake the new task for the old one half way. */
    pthread_mutex_lock(&p->timer_lock);
    atomic_store(&s->expiry, 0);
    atomic_store(&s->entry, 0);
    atomic_store(&s->word, (uint64_t)t->generation << 32 | WORD_RUNNING | TASK_START);
    pthread_mutex_unlock(&p->timer_lock);
    pthread_mutex_unlock(&p->slots_lock);
    return true;
}

static void slot_release(struct pool *p, struct task *t)
{
    struct slot *s = slot_at(p, t->slot);
    pthread_mutex_lock(&p->slots_lock);
    s->task = NULL;
    atomic_store(&s->word, (uint64_t)t->generation << 32);
    s->next_free = p->slot_free;
    p->slot_free = t->slot + 1;
    pthread_mutex_unlock(&p->slots_lock);
}

/* --- run queue --- */

static void signal_workers(struct pool *p)
{
    uint64_t one = 1;
    ssize_t n = write(p->queue_fd, &one, sizeof one);
    (void)n;
}

static void queue_push(struct pool *p, struct task *t, bool announce)
{
    t->queued = NULL;
    pthread_mutex_lock(&p->queue_lock);
    if (p->queue_last)
        p->queue_last->queued = t;
    else
        p->queue_first = t;
    p->queue_last = t;
    pthread_mutex_unlock(&p->queue_lock);
    if (announce)
        signal_workers(p);
}

static struct task *queue_pop(struct pool *p)
{
    pthread_mutex_lock(&p->queue_lock);
    struct task *t = p->queue_first;
    bool more = false;
    if (t) {
        p->queue_first = t->queued;
        if (!p->queue_first)
            p->queue_last = NULL;
        more = p->queue_first != NULL;
    }
    pthread_mutex_unlock(&p->queue_lock);
    if (more)
        signal_workers(p);
    return t;
}

/* --- claiming --- */

/* Raises FLAG on the task in slot I if it is still generation G. The task when it was parked and is the caller's now (P1), with
 * the flag not set but known to the caller; else NULL. With PARKED_ONLY a running task is left alone. */
static struct task *slot_claim(struct pool *p, uint32_t i, uint32_t g, unsigned flag, bool parked_only)
{
    struct slot *s = slot_at(p, i);
    uint64_t w = atomic_load(&s->word);
    for (;;) {
        if ((uint32_t)(w >> 32) != g || !(w & WORD_STATE))
            return NULL;
        if (w & WORD_PARKED) {
            if (atomic_compare_exchange_weak(&s->word, &w, (w & ~WORD_STATE) | WORD_RUNNING))
                return s->task;
        } else if (parked_only || (w & flag) == flag) {
            return NULL;
        } else if (atomic_compare_exchange_weak(&s->word, &w, w | flag)) {
            return NULL;
        }
    }
}

static void slot_raise(struct pool *p, uint32_t i, uint32_t g, unsigned flag, bool parked_only)
{
    struct task *t = slot_claim(p, i, g, flag, parked_only);
    if (!t)
        return;
    atomic_fetch_or(&slot_at(p, i)->word, flag);
    queue_push(p, t, true);
}

void task_unwatch(struct task *t)
{
    if (t->registered && epoll_ctl(t->pool->epoll, EPOLL_CTL_DEL, t->fd, NULL) != 0)
        log_error("unwatch-failed", LOG_Z("task", t->kind->name), LOG_NUM("errno", errno));
    t->registered = false;
}

void task_raise(struct task *t, unsigned flag)
{
    slot_raise(t->pool, t->slot, t->generation, flag, false);
}

void pool_raise_all(struct pool *p, unsigned flag, const struct task *except)
{
    pthread_mutex_lock(&p->slots_lock);
    uint32_t n = p->slot_n;
    pthread_mutex_unlock(&p->slots_lock);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t g = (uint32_t)(atomic_load(&slot_at(p, i)->word) >> 32);
        if (i != except->slot)
            slot_raise(p, i, g, flag, false);
    }
}

static bool start(struct pool *p, struct task *t, const struct task_kind *kind, int fd, bool announce)
{
    *t = (struct task){ .kind = kind, .pool = p, .fd = fd };
    if (!slot_take(p, t))
        return false;
    queue_push(p, t, announce);
    return true;
}

bool pool_start(struct pool *p, struct task *t, const struct task_kind *kind, int fd)
{
    return start(p, t, kind, fd, true);
}

bool pool_start_next(struct pool *p, struct task *t, const struct task_kind *kind, int fd)
{
    return start(p, t, kind, fd, false);
}

/* --- timers --- */

static void timerfd_update(struct pool *p)
{
    const struct timer *first = timer_heap_first(&p->timers);
    int64_t when = first ? first->when_ms : 0;
    if (!when || (p->timer_set && p->timer_set <= when))
        return;
    /* A time in the past fires at once; zero would disarm. */
    struct itimerspec spec = { .it_value = { .tv_sec = when / 1000, .tv_nsec = when % 1000 * 1000000 + 1 } };
    require(timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
    p->timer_set = when;
}

/* Whether the slot still waits for this entry: its task is there, and no earlier entry took the place. */
static bool timer_is_valid(void *ctx, const struct timer *t)
{
    struct slot *s = slot_at(ctx, t->slot);
    return (uint32_t)(atomic_load(&s->word) >> 32) == t->generation && atomic_load(&s->entry) == t->when_ms;
}

static void timer_push(struct pool *p, struct timer t)
{
    /* Entries of tasks that are gone stay until they are due; short connections with long deadlines would pile them up. */
    if (p->timers.n > TIMERS_SWEEP && p->timers.n > 2 * atomic_load(&p->task_n))
        timer_heap_filter(&p->timers, timer_is_valid, p);
    timer_heap_push(&p->timers, t);
}

/* Makes sure that the heap looks at the slot at WHEN or before (P4). Mostly an entry from an earlier park is there and
 * nothing is to be done: it finds the newer expiry when it fires. */
static void timer_ensure(struct pool *p, uint32_t i, uint32_t g, int64_t when)
{
    struct slot *s = slot_at(p, i);
    int64_t entry = atomic_load(&s->entry);
    if (entry && entry <= when)
        return;
    pthread_mutex_lock(&p->timer_lock);
    entry = atomic_load(&s->entry);
    if (!entry || entry > when) {
        atomic_store(&s->entry, when);
        timer_push(p, (struct timer){ when, i, g });
        timerfd_update(p);
    }
    pthread_mutex_unlock(&p->timer_lock);
}

static void timers_run(struct pool *p)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&p->timer_lock);
    p->timer_set = 0;
    const struct timer *first;
    while ((first = timer_heap_first(&p->timers)) && first->when_ms <= now) {
        struct timer t = *first;
        timer_heap_pop(&p->timers);
        struct slot *s = slot_at(p, t.slot);
        if (!timer_is_valid(p, &t))
            continue;
        atomic_store(&s->entry, 0);
        int64_t expiry = atomic_load(&s->expiry);
        if (expiry > now) {
            atomic_store(&s->entry, expiry);
            timer_heap_push(&p->timers, (struct timer){ expiry, t.slot, t.generation });
        } else if (expiry) {
            slot_raise(p, t.slot, t.generation, TASK_TIMEOUT, true);
        }
    }
    timerfd_update(p);
    pthread_mutex_unlock(&p->timer_lock);
}

/* --- steps --- */

/* Parks T for W. False when flags were raised meanwhile: they are in *RET_FLAGS and T is still the caller's. */
static bool task_park(struct task *t, const struct task_wait *w, unsigned *ret_flags)
{
    struct pool *p = t->pool;
    uint32_t i = t->slot, g = t->generation;
    struct slot *s = slot_at(p, i);
    /* Expiry before entry, as timers_run does it the other way round: one of us sees the other's. */
    atomic_store(&s->expiry, w->expiry_ms);
    if (w->expiry_ms)
        timer_ensure(p, i, g, w->expiry_ms);
    /* Armed before it is parked: from the moment it is parked others may run it and close the descriptor. An event in between
     * finds the task running and leaves TASK_IO. */
    if (w->events) {
        struct epoll_event ev = { .events = w->events | EPOLLONESHOT, .data.u64 = (uint64_t)g << 32 | i };
        if (epoll_ctl(p->epoll, t->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, t->fd, &ev) != 0) {
            log_error("park-failed", LOG_Z("task", t->kind->name), LOG_NUM("errno", errno));
            *ret_flags = TASK_KILL;
            return false;
        }
        t->registered = true;
    }
    uint64_t expected = (uint64_t)g << 32 | WORD_RUNNING;
    if (atomic_compare_exchange_strong(&s->word, &expected, (uint64_t)g << 32 | WORD_PARKED))
        return true;
    *ret_flags = (unsigned)(atomic_fetch_and(&s->word, ~WORD_FLAGS) & WORD_FLAGS);
    return false;
}

/* Runs T, which the caller owns, until it is parked or over. */
static void task_execute(struct task *t, unsigned flags)
{
    struct pool *p = t->pool;
    flags |= (unsigned)(atomic_fetch_and(&slot_at(p, t->slot)->word, ~WORD_FLAGS) & WORD_FLAGS);
    for (;;) {
        struct task_wait w = { 0 };
        if (!t->kind->step(t, flags, &w)) {
            slot_release(p, t);
            t->kind->end(t);
            /* Counted down last: a pool without tasks has freed them all. */
            atomic_fetch_sub(&p->task_n, 1);
            return;
        }
        if (task_park(t, &w, &flags))
            return;
    }
}

/* --- workers --- */

static void handle_event(struct pool *p, uint64_t data)
{
    uint32_t i = (uint32_t)data, g = (uint32_t)(data >> 32);
    if (i == SLOT_QUEUE)
        return;
    if (i == SLOT_TIMER) {
        timers_run(p);
    } else if (i == SLOT_WATCH) {
        p->watch_fn(p->watch_ctx);
    } else {
        struct task *t = slot_claim(p, i, g, TASK_IO, false);
        if (t)
            task_execute(t, TASK_IO);
    }
}

/* Waits for one event for at most TIMEOUT_MS (-1: forever) and handles it. False when none came. */
static bool wait_and_handle(struct pool *p, int timeout_ms)
{
    struct epoll_event ev;
    atomic_fetch_add(&p->waiting, 1);
    int n = epoll_wait(p->epoll, &ev, 1, timeout_ms);
    int error = errno;
    /* The herder looks at the two in the other order. */
    if (atomic_fetch_sub(&p->waiting, 1) == 1 && atomic_load(&p->herder_sleeps)) {
        pthread_mutex_lock(&p->workers_lock);
        pthread_cond_signal(&p->herder_wanted);
        pthread_mutex_unlock(&p->workers_lock);
    }
    if (n < 0)
        require(error == EINTR);
    if (n > 0)
        handle_event(p, ev.data.u64);
    return n != 0;
}

/* Counts the calling worker off; it must end then and not touch P again. False for an IDLE one that is needed. Each one that ends
 * joins the one before it, so that no thread is left behind. */
static bool worker_leave(struct pool *p, bool idle)
{
    pthread_mutex_lock(&p->workers_lock);
    if (idle && (p->workers <= p->workers_min || atomic_load(&p->quit))) {
        pthread_mutex_unlock(&p->workers_lock);
        return false;
    }
    p->workers--;
    pthread_t before = p->ended;
    bool has_before = p->has_ended;
    p->ended = pthread_self();
    p->has_ended = true;
    pthread_cond_signal(&p->workers_changed);
    pthread_cond_signal(&p->herder_wanted);
    pthread_mutex_unlock(&p->workers_lock);
    if (has_before)
        pthread_join(before, NULL);
    return true;
}

/* Works until the pool quits (false) or, if SPARE, until there was nothing to do for some seconds (true: the worker has left). */
static bool work(struct pool *p, bool spare)
{
    unsigned turns = 0;
    while (!atomic_load(&p->quit)) {
        struct task *t = queue_pop(p);
        if (t) {
            task_execute(t, 0);
            if (++turns < QUEUE_TURNS)
                continue;
        }
        bool polling = turns >= QUEUE_TURNS;
        turns = 0;
        bool came = wait_and_handle(p, polling ? 0 : spare ? IDLE_MS : -1);
        if (!came && !polling && worker_leave(p, true))
            return true;
    }
    signal_workers(p); /* the next one */
    return false;
}

static void *worker_main(void *arg)
{
    struct pool *p = arg;
    if (!work(p, true))
        (void)worker_leave(p, false);
    return NULL;
}

static int thread_start(pthread_t *ret, void *(*fn)(void *), void *arg)
{
    /* Signals are the main thread's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    int r = pthread_create(ret, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* With workers_lock held. */
static bool worker_start(struct pool *p)
{
    pthread_t thread;
    int r = thread_start(&thread, worker_main, p);
    if (r) {
        log_warning("worker-failed", LOG_NUM("errno", r), LOG_NUM("workers", p->workers));
        return false;
    }
    p->workers++;
    if (p->workers > p->peak)
        p->peak = p->workers;
    return true;
}

static bool is_ready(struct pool *p, int timeout_ms)
{
    struct pollfd pfd = { .fd = p->epoll, .events = POLLIN };
    return poll(&pfd, 1, timeout_ms) > 0;
}

static void *herder_main(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->workers_lock);
    while (!atomic_load(&p->quit)) {
        atomic_store(&p->herder_sleeps, true);
        if (atomic_load(&p->waiting) > 0 || p->workers >= p->workers_max) {
            pthread_cond_wait(&p->herder_wanted, &p->workers_lock);
            atomic_store(&p->herder_sleeps, false);
            continue;
        }
        atomic_store(&p->herder_sleeps, false);
        pthread_mutex_unlock(&p->workers_lock);
        /* Ready now and after a pause with nobody waiting: the workers are not just busy for a moment. */
        bool wanted = is_ready(p, -1);
        nanosleep(&(struct timespec){ .tv_nsec = HERDER_PAUSE_NS }, NULL);
        wanted = wanted && atomic_load(&p->waiting) == 0 && is_ready(p, 0);
        pthread_mutex_lock(&p->workers_lock);
        if (wanted && !atomic_load(&p->quit) && p->workers < p->workers_max && !worker_start(p))
            p->workers_max = p->workers ? p->workers : 1; /* the system allows no more */
    }
    pthread_mutex_unlock(&p->workers_lock);
    return NULL;
}

void pool_quit(struct pool *p)
{
    atomic_store(&p->quit, true);
    pthread_mutex_lock(&p->workers_lock);
    pthread_cond_signal(&p->herder_wanted);
    pthread_mutex_unlock(&p->workers_lock);
    signal_workers(p);
}

void pool_run(struct pool *p)
{
    pthread_t herder;
    pthread_mutex_lock(&p->workers_lock);
    p->workers = 1;
    p->peak = 1;
    while (p->workers < p->workers_min && worker_start(p))
        ;
    bool herding = thread_start(&herder, herder_main, p) == 0;
    pthread_mutex_unlock(&p->workers_lock);
    (void)work(p, false);
    pthread_mutex_lock(&p->workers_lock);
    while (p->workers > 1)
        pthread_cond_wait(&p->workers_changed, &p->workers_lock);
    pthread_t last = p->ended;
    bool has_last = p->has_ended;
    p->workers = 0;
    p->has_ended = false;
    pthread_mutex_unlock(&p->workers_lock);
    if (has_last)
        pthread_join(last, NULL);
    if (herding)
        pthread_join(herder, NULL);
}

/* --- the pool --- */

static void watch_fixed(struct pool *p, int fd, uint32_t slot)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = slot };
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        panic("epoll_ctl failed: errno %d", errno);
}

void pool_watch(struct pool *p, int fd, void (*fn)(void *), void *ctx)
{
    require(!p->watch_fn);
    p->watch_fn = fn;
    p->watch_ctx = ctx;
    watch_fixed(p, fd, SLOT_WATCH);
}

struct pool *pool_new(unsigned workers_min, unsigned workers_max, size_t slots_max)
{
    struct pool *p = calloc(1, sizeof *p);
    require(p && workers_min > 0 && workers_min <= workers_max && slots_max < SLOT_QUEUE - CHUNK);
    p->workers_min = workers_min;
    p->workers_max = workers_max;
    p->chunk_max = (slots_max + CHUNK - 1) / CHUNK;
    p->chunks = calloc(p->chunk_max, sizeof *p->chunks);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->queue_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (!p->chunks || p->epoll < 0 || p->queue_fd < 0 || p->timer_fd < 0)
        panic("the worker pool could not be made: errno %d", errno);
    pthread_mutex_init(&p->slots_lock, NULL);
    pthread_mutex_init(&p->queue_lock, NULL);
    pthread_mutex_init(&p->timer_lock, NULL);
    pthread_mutex_init(&p->workers_lock, NULL);
    pthread_cond_init(&p->workers_changed, NULL);
    pthread_cond_init(&p->herder_wanted, NULL);
    watch_fixed(p, p->queue_fd, SLOT_QUEUE);
    watch_fixed(p, p->timer_fd, SLOT_TIMER);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->slot_n; i++) {
        struct slot *s = slot_at(p, i);
        struct task *t = s->task;
        if (!t)
            continue;
        slot_release(p, t);
        t->kind->end(t);
    }
    for (size_t i = 0; i < p->chunk_max; i++)
        free(atomic_load(&p->chunks[i]));
    free(p->chunks);
    timer_heap_done(&p->timers);
    (void)close(p->epoll);
    (void)close(p->queue_fd);
    (void)close(p->timer_fd);
    pthread_mutex_destroy(&p->slots_lock);
    pthread_mutex_destroy(&p->queue_lock);
    pthread_mutex_destroy(&p->timer_lock);
    pthread_mutex_destroy(&p->workers_lock);
    pthread_cond_destroy(&p->workers_changed);
    pthread_cond_destroy(&p->herder_wanted);
    free(p);
}

struct pool_counts pool_counts(const struct pool *const_pool)
{
    struct pool *p = (struct pool *)(uintptr_t)const_pool;
    pthread_mutex_lock(&p->workers_lock);
    struct pool_counts c = { .workers = p->workers, .peak = p->peak, .tasks = atomic_load(&p->task_n) };
    pthread_mutex_unlock(&p->workers_lock);
    pthread_mutex_lock(&p->queue_lock);
    for (const struct task *t = p->queue_first; t; t = t->queued)
        c.queued++;
    pthread_mutex_unlock(&p->queue_lock);
    unsigned waiting = atomic_load(&p->waiting);
    c.busy = c.workers > waiting ? c.workers - waiting : 0;
    return c;
}
