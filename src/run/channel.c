/* channel: lanes, calls and the dispatch of one request; frames themselves are frame.c.
 *
 * Invariants
 *  L1  An open lane is either in idle[] or on the busy list, never in both; together they are at most lanes_max.
 *  L2  A lane returns to idle[] only when its last request has had its one whole, well-formed reply.
 *  L3  A lane returns to idle[] only in the generation it was taken in: channel_replace begins a new one.
 *  L4  The mutex is never held over a call that can block. */
#include "run/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { IDLE_MAX = 8, IDLE_MS = 60 * 1000, WAIT_MS = 50, SOCKET_BUFFER = 4 * (CHANNEL_PAYLOAD_MAX + 64) };

/* One lane in use, on the stack of the caller that uses it. */
struct lane {
    int fd;
    uint64_t generation;
    struct lane *next, **link;
};

struct idle_lane {
    int fd;
    int64_t since;
};

struct channel {
    char name[24];
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a lane was given back, or the root was replaced */
    int root;               /* -1: the other role is gone */
    uint64_t generation;
    struct idle_lane idle[IDLE_MAX]; /* the most recently used last */
    unsigned idle_n, busy_n, lanes_max;
    struct lane *busy;
};

/* --- lanes --- */

struct channel *channel_open(int fd, const char *name)
{
    struct channel *c = calloc(1, sizeof *c);
    require(c);
    snprintf(c->name, sizeof c->name, "%s", name);
    c->root = fd;
    c->lanes_max = CHANNEL_LANES_MAX;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void channel_set_lanes(struct channel *c, unsigned max)
{
    require(max >= 1 && max <= CHANNEL_LANES_MAX);
    pthread_mutex_lock(&c->lock);
    c->lanes_max = max;
    pthread_mutex_unlock(&c->lock);
}

static void channel_close_idle(struct channel *c)
{
    while (c->idle_n)
        close(c->idle[--c->idle_n].fd);
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    require(c->busy_n == 0);
    channel_close_idle(c);
    if (c->root >= 0)
        close(c->root);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void channel_replace(struct channel *c, int fd)
{
    pthread_mutex_lock(&c->lock);
    if (c->root >= 0)
        close(c->root);
    c->root = fd;
    c->generation++;
    channel_close_idle(c);
    /* The callers that wait on these lanes wake with the end of input, and close them. */
    for (struct lane *l = c->busy; l; l = l->next)
        shutdown(l->fd, SHUT_RDWR);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void lane_set_busy(struct channel *c, struct lane *l, int fd)
{
    l->fd = fd;
    l->generation = c->generation;
    l->next = c->busy;
    l->link = &c->busy;
    if (l->next)
        l->next->link = &l->next;
    c->busy = l;
    c->busy_n++;
}

/* Whether nothing has happened on an idle lane: bytes that nobody asked for and a hang-up both make it useless. */
static bool lane_is_quiet(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 0;
}

/* Makes a lane and sends its far end over the root lane ROOT (frame type 0). The near end, or negative. */
static int lane_make(int root)
{
    int pair[2];
    int size = SOCKET_BUFFER;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return ERR_UNAVAILABLE;
    for (int i = 0; i < 2; i++)
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct frame f = { .type = CHANNEL_FRAME_LANE, .fds = { pair[1] }, .fd_n = 1 };
    int r = frame_send(root, &f, 0);
    close(pair[1]);
    if (r < 0) {
        close(pair[0]);
        return r == ERR_TIMEOUT ? ERR_AGAIN : ERR_UNAVAILABLE;
    }
    return pair[0];
}

/* Waits a moment for a lane to be given back; false when UNTIL has passed. Called with the mutex. Not longer than a moment,
 * because room in the root lane's buffer is not announced. */
static bool channel_wait(struct channel *c, int64_t until)
{
    int64_t now = clock_mono_ms();
    int64_t wake = now + WAIT_MS < until ? now + WAIT_MS : until;
    struct timespec t = { .tv_sec = wake / 1000, .tv_nsec = wake % 1000 * 1000000 };
    if (now < until)
        pthread_cond_timedwait(&c->changed, &c->lock, &t);
    return now < until;
}

/* Takes an idle lane, or makes one. lane_make under the mutex is no breach of L4: it does not wait. 0, ERR_UNAVAILABLE. */
static int lane_take(struct channel *c, struct lane *l, int64_t until, struct error *e)
{
    int fd = -1;
    pthread_mutex_lock(&c->lock);
    while (fd < 0) {
        if (c->root < 0)
            break;
        if (c->idle_n) {
            fd = c->idle[--c->idle_n].fd;
            if (!lane_is_quiet(fd)) {
                close(fd);
                fd = -1;
            }
            continue;
        }
        if (c->busy_n < c->lanes_max)
            fd = lane_make(c->root);
        else
            fd = ERR_AGAIN;
        if (fd == ERR_UNAVAILABLE || (fd == ERR_AGAIN && !channel_wait(c, until)))
            break;
    }
    if (fd >= 0)
        lane_set_busy(c, l, fd);
    bool full = fd == ERR_AGAIN;
    pthread_mutex_unlock(&c->lock);
    if (fd >= 0)
        return 0;
    return error_set(e, ERR_UNAVAILABLE, full ? "%s is busy: no free lane within the deadline" : "%s is not running; try again",
                     c->name);
}

/* Gives a lane back: KEEP when it may serve again (L2). */
static void lane_give(struct channel *c, struct lane *l, bool keep)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&c->lock);
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    c->busy_n--;
    /* The lanes used least lie at the bottom; one too old goes at each turn, so a burst's lanes go in the end. */
    if (c->idle_n && now - c->idle[0].since > IDLE_MS) {
        close(c->idle[0].fd);
        c->idle_n--;
        memmove(c->idle, c->idle + 1, c->idle_n * sizeof c->idle[0]);
    }
    if (keep && l->generation == c->generation && c->idle_n < IDLE_MAX)
        c->idle[c->idle_n++] = (struct idle_lane){ l->fd, now };
    else
        close(l->fd);
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* --- calls --- */

/* Checks that REPLY answers REQUEST. */
static int reply_check(const struct frame *request, struct frame *reply)
{
    bool ok = reply->type == request->type && reply->status <= 0 && reply->status > ERR_LAST_;
    /* A refusal carries a text, never descriptors. */
    if (ok && (reply->status == 0 || reply->fd_n == 0))
        return 0;
    frame_close_fds(reply);
    return ERR_CORRUPT;
}

/* The text of a failure of the channel itself. */
static int channel_fail(const struct channel *c, int code, int64_t deadline_ms, struct error *e)
{
    switch (code) {
    case ERR_TIMEOUT:
        return error_set(e, code, "%s did not answer within %lld ms", c->name, (long long)deadline_ms);
    case ERR_LIMIT:
        return error_set(e, code, "a request to %s or its answer exceeds its limit", c->name);
    case ERR_CORRUPT:
        log_error("channel-bad-reply", LOG_Z("from", c->name));
        return error_set(e, code, "%s gave a malformed answer", c->name);
    default:
        return error_set(e, ERR_UNAVAILABLE, "%s ended during a request; try again", c->name);
    }
}

/* One request over L and its reply. */
static int lane_ask(const struct lane *l, const struct frame *request, struct arena *a, int64_t until, struct frame *ret)
{
    int r = frame_send(l->fd, request, until - clock_mono_ms());
    if (r == 0)
        return frame_receive(l->fd, a, until - clock_mono_ms(), ret);
    /* Who refuses a lane closes it behind his answer: it may be there before the request could be sent. */
    return r == ERR_EOF ? frame_receive(l->fd, a, 0, ret) : r;
}

/* Whether REPLY says that the other side takes no more lanes: then the request was not read. */
static bool lane_is_refused(const struct frame *reply)
{
    return reply->type == CHANNEL_FRAME_LANE && reply->status == ERR_AGAIN && reply->fd_n == 0;
}

int channel_call(struct channel *c, const struct frame *request, struct arena *a, int64_t deadline_ms, struct frame *ret_reply,
                 struct error *e)
{
    struct lane l;
    struct frame reply = { 0 };
    int64_t now = clock_mono_ms();
    /* A day is for ever here, and keeps sums from overflowing. */
    int64_t until = now + (deadline_ms < 0 ? 0 : deadline_ms > 86400000 ? 86400000 : deadline_ms);
    require(request->type != CHANNEL_FRAME_LANE);
    if (request->payload.n > CHANNEL_PAYLOAD_MAX || request->fd_n > CHANNEL_FDS_MAX)
        return channel_fail(c, ERR_LIMIT, deadline_ms, e);
    for (;;) {
        int r = lane_take(c, &l, until, e);
        if (r < 0)
            return r;
        r = lane_ask(&l, request, a, until, &reply);
        bool refused = r == 0 && lane_is_refused(&reply);
        if (r == 0 && !refused)
            r = reply_check(request, &reply);
        lane_give(c, &l, r == 0 && !refused);
        if (r < 0)
            return channel_fail(c, r, deadline_ms, e);
        if (!refused)
            break;
        pthread_mutex_lock(&c->lock);
        bool left = channel_wait(c, until);
        pthread_mutex_unlock(&c->lock);
        if (!left)
            return error_set(e, ERR_UNAVAILABLE, "%s is busy: no free lane within the deadline", c->name);
    }
    if (reply.status < 0)
        return error_set(e, reply.status, "%.*s", STR_ARG(reply.payload));
    *ret_reply = reply;
    return 0;
}

/* --- serving --- */

static const struct channel_handler *service_find(const struct channel_service *s, uint16_t type)
{
    for (const struct channel_handler *h = s->handlers; h->handle; h++) {
        if (h->type == type)
            return h;
    }
    return NULL;
}

static int service_refuse(const struct channel_service *s, const struct frame *request, const char *why)
{
    log_warning("channel-bad-request", LOG_Z("peer", s->peer), LOG_Z("why", why), LOG_NUM("type", request->type),
                LOG_NUM("bytes", request->payload.n), LOG_NUM("descriptors", request->fd_n));
    return ERR_CORRUPT;
}

int channel_serve_frame(const struct channel_service *s, const struct frame *request, struct arena *a, struct buf *reply,
                        struct frame *ret_reply)
{
    struct frame out = { .type = request->type };
    struct error e = ERROR_NONE;
    const struct channel_handler *h = service_find(s, request->type);
    if (!h || request->type == CHANNEL_FRAME_LANE)
        return service_refuse(s, request, "type");
    if (request->status != 0)
        return service_refuse(s, request, "status");
    if (request->payload.n > h->payload_max)
        return service_refuse(s, request, "size");
    if (request->fd_n < h->fds_min || request->fd_n > h->fds_max)
        return service_refuse(s, request, "descriptors");
    int r = h->handle(s->ctx, request, a, reply, out.fds, &out.fd_n, &e);
    require(out.fd_n <= CHANNEL_FDS_MAX);
    if (r > 0 || r <= ERR_LAST_)
        r = error_set(&e, ERR_INTERNAL, "%s ended with status %d", h->name, r);
    if (r == 0 && (buf_error(reply) || reply->n > CHANNEL_PAYLOAD_MAX))
        r = error_set(&e, ERR_LIMIT, "the answer to %s is too long", h->name);
    if (r < 0) {
        /* A refusal carries a text, never descriptors. */
        frame_close_fds(&out);
        buf_reset(reply);
        buf_add(reply, str_from_z(e.text));
    }
    out.status = (int16_t)r;
    out.payload = buf_str(reply);
    *ret_reply = out;
    return 0;
}
