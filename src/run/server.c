/* server: see server.h. Limits, periodic work, and how it all ends.
 *
 * Stopping: the request (an eventfd, so that a signal handler may make it) is taken up by a worker, which raises TASK_SHUTDOWN on
 * all tasks: listeners close, sessions are told. When the last connection has gone, or the grace is over, TASK_KILL
 * ends what is left, and the pool quits when the last task has. */
#include "run/server.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/server_private.h"

enum {
    CONNECTIONS_MAX = 20000,
    WORKERS_MIN = 2,
    WORKERS_MAX = 64,
    OTHER_TASKS_MAX = 4096,
    TURNED_AWAY_MAX = 256,
    RESERVED_MAX = 16,
    REFUSAL_HANDSHAKES_MAX = 20 /* a second */
};

/* --- limits --- */

enum server_room server_admit(struct server *s, bool reserved)
{
    unsigned n = atomic_fetch_add(&s->connections, 1), full = s->settings.connections_max + s->settings.turned_away_max;
    enum server_room room = n < s->settings.connections_max || (reserved && n < full + s->settings.reserved_max) ? SERVER_ROOM
                            : n < full                                                                           ? SERVER_CROWDED
                                                                                                                 : SERVER_FULL;
    if (room == SERVER_FULL || atomic_load(&s->stopping)) {
        atomic_fetch_sub(&s->connections, 1);
        room = SERVER_FULL;
    }
    atomic_fetch_add(room == SERVER_FULL ? &s->refused : &s->accepted, 1);
    return room;
}

void server_leave(struct server *s)
{
    if (atomic_fetch_sub(&s->connections, 1) == 1 && atomic_load(&s->stopping))
        task_raise(s->warden, TASK_EVENT);
}

bool server_turn_away(struct server *s)
{
    bool ok = atomic_fetch_add(&s->turning_away, 1) < s->settings.turned_away_max;
    if (!ok)
        atomic_fetch_sub(&s->turning_away, 1);
    atomic_fetch_sub(&s->accepted, 1);
    atomic_fetch_add(&s->refused, 1);
    return ok;
}

void server_turned_away(struct server *s)
{
    atomic_fetch_sub(&s->turning_away, 1);
}

bool server_spends_handshake(struct server *s)
{
    int64_t now_s = clock_mono_ms() / 1000;
    if (atomic_exchange(&s->refusal_handshake_s, now_s) != now_s)
        atomic_store(&s->refusal_handshakes, 0);
    return atomic_fetch_add(&s->refusal_handshakes, 1) < REFUSAL_HANDSHAKES_MAX;
}

/* --- the end --- */

/* Watches over the end: parked until the server stops, then until the connections are gone or the grace is over, then until
 * nothing else is left. */
struct warden {
    struct task task;
    struct server *server;
    int64_t until_ms; /* 0: not stopping yet */
};

enum { WARDEN_LOOK_MS = 20 };

static bool warden_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    struct warden *w = (struct warden *)t;
    struct server *s = w->server;
    int64_t now = clock_mono_ms();
    if (!atomic_load(&s->stopping))
        return true;
    unsigned connections = atomic_load(&s->connections);
    if (!w->until_ms) {
        w->until_ms = now + atomic_load(&s->grace_ms);
        log_info("server-stop", LOG_NUM("connections", connections), LOG_NUM("grace-ms", atomic_load(&s->grace_ms)));
        pool_raise_all(s->pool, TASK_SHUTDOWN, t);
    }
    ret->expiry_ms = w->until_ms;
    if (connections && now < w->until_ms)
        return true;
    if (pool_counts(s->pool).tasks == 1) {
        pool_quit(s->pool);
        return false;
    }
    /* Again after a moment: a task that started while the flag went round has not seen it. */
    pool_raise_all(s->pool, TASK_KILL, t);
    ret->expiry_ms = now + WARDEN_LOOK_MS;
    return true;
}

static void warden_end(struct task *t)
{
    free(t);
}

static const struct task_kind warden_kind = { "warden", warden_step, warden_end };

static void stop_requested(void *ctx)
{
    struct server *s = ctx;
    /* Only the first request: the warden may be gone when another comes. */
    if (!atomic_exchange(&s->stopping, true))
        task_raise(s->warden, TASK_EVENT);
}

void server_stop(struct server *s, int64_t grace_ms)
{
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&s->grace_ms, grace_ms > 0 ? grace_ms : 0);
    ssize_t n = write(s->stop_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

/* --- periodic work --- */

struct every {
    struct task task;
    int64_t ms, due_ms;
    void (*fn)(void *);
    void *ctx;
};

static bool every_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    struct every *e = (struct every *)t;
    if (flags & (TASK_SHUTDOWN | TASK_KILL))
        return false;
    if (!e->due_ms) {
        e->due_ms = clock_mono_ms() + e->ms;
    } else if (clock_mono_ms() >= e->due_ms) {
        e->fn(e->ctx);
        e->due_ms = clock_mono_ms() + e->ms;
    }
    ret->expiry_ms = e->due_ms;
    return true;
}

static void every_end(struct task *t)
{
    free(t);
}

static const struct task_kind every_kind = { "every", every_step, every_end };

void server_every(struct server *s, int64_t ms, void (*fn)(void *), void *ctx)
{
    struct every *e = calloc(1, sizeof *e);
    if (!e)
        panic("out of memory for a periodic task");
    e->ms = ms > 0 ? ms : 1;
    e->fn = fn;
    e->ctx = ctx;
    if (!pool_start(s->pool, &e->task, &every_kind, -1))
        panic("too many periodic tasks");
}

/* --- the server --- */

struct server *server_new(const struct server_settings *settings)
{
    struct server *s = calloc(1, sizeof *s);
    struct warden *w = calloc(1, sizeof *w);
    if (!s || !w)
        panic("out of memory for a server");
    s->settings = *settings;
    if (!s->settings.workers_min)
        s->settings.workers_min = WORKERS_MIN;
    if (!s->settings.workers_max)
        s->settings.workers_max = WORKERS_MAX;
    if (s->settings.workers_max < s->settings.workers_min)
        s->settings.workers_max = s->settings.workers_min;
    if (!s->settings.lanes_max)
        s->settings.lanes_max = s->settings.workers_max / 2 > 2 ? s->settings.workers_max / 2 : 2;
    if (s->settings.lanes_max > CHANNEL_LANES_MAX)
        s->settings.lanes_max = CHANNEL_LANES_MAX;
    if (!s->settings.connections_max)
        s->settings.connections_max = CONNECTIONS_MAX;
    if (!s->settings.turned_away_max)
        s->settings.turned_away_max = TURNED_AWAY_MAX;
    if (!s->settings.reserved_max)
        s->settings.reserved_max = RESERVED_MAX;
    pthread_mutex_init(&s->acceptors_lock, NULL);
    roll_init(&s->roll);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    require(s->stop_fd >= 0);
    s->pool = pool_new(s->settings.workers_min, s->settings.workers_max, (size_t)s->settings.connections_max + OTHER_TASKS_MAX);
    pool_watch(s->pool, s->stop_fd, stop_requested, s);
    w->server = s;
    s->warden = &w->task;
    require(pool_start(s->pool, &w->task, &warden_kind, -1));
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    pool_free(s->pool);
    roll_done(&s->roll);
    (void)close(s->stop_fd);
    pthread_mutex_destroy(&s->acceptors_lock);
    free(s);
}

size_t server_sessions_end(struct server *s, bool (*fn)(void *ctx, const struct server_session *session), void *ctx)
{
    return roll_end(&s->roll, fn, ctx);
}

void server_set_stands(struct server *s, bool (*fn)(void *ctx, const struct server_session *session), void *ctx)
{
    s->roll.stands = fn;
    s->roll.stands_ctx = ctx;
}

int server_adopt(struct server *s, int fd, const struct listener_settings *settings)
{
    struct listener *l = listener_new(settings);
    int r = server_conn_start(s, fd, l, pool_start);
    listener_unref(l);
    return r;
}

void server_run(struct server *s)
{
    pool_run(s->pool);
}

struct server_counts server_counts(const struct server *s)
{
    struct pool_counts p = pool_counts(s->pool);
    return (struct server_counts){
        .connections = atomic_load(&s->connections),
        .workers = p.workers,
        .workers_busy = p.busy,
        .workers_peak = p.peak,
        .queued = (unsigned)p.queued,
        .accepted = atomic_load(&s->accepted),
        .refused = atomic_load(&s->refused),
    };
}
