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
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/slots.h"

enum {
    IDLE_MS = 10000, /* a worker beyond the minimum ends after so long without work */
    HERDER_PAUSE_NS = 2000000,
    HERDER_REST_S = 1, /* after the system refused a thread */
    QUEUE_TURNS = 16,  /* tasks from the queue before epoll is asked again */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    STACK = 4 * 1024 * 1024
#else
    STACK = 256 * 1024
#endif
};

/* What epoll knows of the descriptors that are not tasks'. */
enum { SLOT_QUEUE = 0xfffffff0u, SLOT_TIMER, SLOT_WATCH };

struct pool {
    unsigned workers_min, workers_max;
    int epoll, queue_fd, timer_fd, watch_fd;
    void (*watch_fn)(void *);
    void *watch_ctx;

    struct slots slots;
    _Atomic size_t task_n; /* those whose END has not returned */

    pthread_mutex_t queue_lock;
    struct task *queue_first, *queue_last;

    pthread_mutex_t workers_lock; /* guards what follows */
    pthread_cond_t workers_changed, herder_wanted;
    unsigned workers, peak;
    pthread_t ended; /* the worker that ended last, to be joined by the next */
    bool has_ended;
    _Atomic unsigned waiting; /* workers in epoll_wait */
    _Atomic bool herder_sleeps, quit;
};

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

static void raise_flag(struct pool *p, uint32_t i, uint32_t g, unsigned flag)
{
    struct task *t = slots_claim(&p->slots, i, g, flag);
    if (!t)
        return;
    slots_raise(&p->slots, i, flag);
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
    raise_flag(t->pool, t->slot, t->generation, flag);
}

void pool_raise_all(struct pool *p, unsigned flag, const struct task *except)
{
    uint32_t n = slots_made(&p->slots);
    for (uint32_t i = 0; i < n; i++) {
        if (i != except->slot)
            raise_flag(p, i, slots_generation(&p->slots, i), flag);
    }
}

static bool start(struct pool *p, struct task *t, const struct task_kind *kind, int fd, bool announce)
{
    *t = (struct task){ .kind = kind, .pool = p, .fd = fd };
    if (!slots_take(&p->slots, t, TASK_START, &t->slot, &t->generation))
        return false;
    atomic_fetch_add(&p->task_n, 1);
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

/* Sets the timerfd; slots calls it with its lock. */
static void set_alarm(void *ctx, int64_t when_ms)
{
    struct pool *p = ctx;
    /* A time in the past fires at once; zero would disarm. */
    struct itimerspec spec = { .it_value = { .tv_sec = when_ms / 1000, .tv_nsec = when_ms % 1000 * 1000000 + 1 } };
    require(timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
}

static void queue_due(void *ctx, void *owner)
{
    queue_push(ctx, owner, true);
}

/* --- steps --- */

/* Parks T for W. False when flags were raised meanwhile: they are in *RET_FLAGS and T is still the caller's. */
static bool task_park(struct task *t, const struct task_wait *w, unsigned *ret_flags)
{
    struct pool *p = t->pool;
    uint32_t i = t->slot, g = t->generation;
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
    return slots_park(&p->slots, i, g, w->expiry_ms, ret_flags);
}

/* Runs T, which the caller owns, until it is parked or over, or has had its turn (false): then it is in the queue behind the others. */
static bool task_execute(struct task *t, unsigned flags)
{
    struct pool *p = t->pool;
    flags |= slots_flags(&p->slots, t->slot);
    for (;;) {
        struct task_wait w = { 0 };
        if (!t->kind->step(t, flags, &w)) {
            slots_release(&p->slots, t->slot, t->generation);
            t->kind->end(t);
            /* Counted down last: a pool without tasks has freed them all. */
            atomic_fetch_sub(&p->task_n, 1);
            return true;
        }
        if (w.again) {
            queue_push(p, t, false); /* this worker comes back to it */
            return false;
        }
        if (task_park(t, &w, &flags))
            return true;
    }
}

/* --- workers --- */

static void handle_event(struct pool *p, uint64_t data)
{
    uint32_t i = (uint32_t)data, g = (uint32_t)(data >> 32);
    if (i == SLOT_QUEUE)
        return;
    if (i == SLOT_TIMER) {
        slots_expire(&p->slots, clock_mono_ms(), TASK_TIMEOUT, queue_due, p);
    } else if (i == SLOT_WATCH) {
        p->watch_fn(p->watch_ctx);
    } else {
        struct task *t = slots_claim(&p->slots, i, g, TASK_IO);
        if (t)
            (void)task_execute(t, TASK_IO);
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
            /* Long turns may fill the queue for ever: what is ready elsewhere is looked at after each. */
            turns = task_execute(t, 0) ? turns + 1 : QUEUE_TURNS;
            if (turns < QUEUE_TURNS)
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

/* The system gave no thread: it may when others have ended. With workers_lock. */
static void herder_rest(struct pool *p)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += HERDER_REST_S;
    while (!atomic_load(&p->quit) && pthread_cond_timedwait(&p->herder_wanted, &p->workers_lock, &until) == 0)
        ;
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
            herder_rest(p);
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
    require(p && workers_min > 0 && workers_min <= workers_max && slots_max < SLOT_QUEUE - 1024);
    p->workers_min = workers_min;
    p->workers_max = workers_max;
    slots_init(&p->slots, slots_max, set_alarm, p);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->queue_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->epoll < 0 || p->queue_fd < 0 || p->timer_fd < 0)
        panic("the worker pool could not be made: errno %d", errno);
    pthread_mutex_init(&p->queue_lock, NULL);
    pthread_mutex_init(&p->workers_lock, NULL);
    pthread_cond_init(&p->workers_changed, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->herder_wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    watch_fixed(p, p->queue_fd, SLOT_QUEUE);
    watch_fixed(p, p->timer_fd, SLOT_TIMER);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0, n = slots_made(&p->slots); i < n; i++) {
        struct task *t = slots_owner(&p->slots, i);
        if (!t)
            continue;
        slots_release(&p->slots, t->slot, t->generation);
        t->kind->end(t);
    }
    slots_done(&p->slots);
    (void)close(p->epoll);
    (void)close(p->queue_fd);
    (void)close(p->timer_fd);
    pthread_mutex_destroy(&p->queue_lock);
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
