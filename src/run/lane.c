/* lane: the serving side of a channel; see channel.h.
 *
 * Each lane is a task. When its socket is readable a worker takes one frame, has it handled (which may block), answers and parks
 * the lane again. The root lane also brings new lanes: frames of type CHANNEL_FRAME_LANE with one descriptor.
 *
 * Who asks may have been taken over. So nothing here waits for it: an honest asker has read its last answer before it asks
 * again, and the socket takes one answer at once; a lane whose socket does not is closed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/server_private.h"

enum {
    REFUSED_LOG_MS = 1000,                /* refusals are logged this often at most */
    ARENA_QUOTA = 4 * CHANNEL_PAYLOAD_MAX /* the frame itself and what its handler makes of it */
};

/* What the lanes of one channel share: how many there are, the root among them. */
struct lane_group {
    atomic_uint lanes;
    const struct channel_service *service;
    _Atomic int64_t refused_ms; /* when a refused lane was logged last */
};

struct lane {
    struct task task;
    struct server *server;
    const struct channel_service *service;
    struct lane_group *group;
    bool root;
};

static int lane_start(struct server *s, int fd, const struct channel_service *service, struct lane_group *group, bool root);

static bool lane_refuse(const struct lane *l, const char *why)
{
    log_warning("lane-refused", LOG_Z("peer", l->service->peer), LOG_Z("reason", why));
    return false;
}

/* Tells a peer that has its share that the lane on FD (the caller's to close) is one too many. */
static void lane_turn_away(const struct lane *l, int fd)
{
    const struct frame no = { .type = CHANNEL_FRAME_LANE, .status = ERR_AGAIN };
    (void)!frame_send(fd, &no, 0);
    int64_t now = clock_mono_ms(), last = atomic_load(&l->group->refused_ms);
    if ((!last || now - last >= REFUSED_LOG_MS) && atomic_compare_exchange_strong(&l->group->refused_ms, &last, now))
        (void)lane_refuse(l, "it has as many as it may");
}

/* A frame that brings a lane. False when it is malformed: the channel ends. */
static bool lane_open(const struct lane *l, struct frame *f)
{
    int type = 0;
    socklen_t n = sizeof type;
    if (!l->root || f->fd_n != 1 || f->payload.n || f->status)
        return lane_refuse(l, "a malformed frame that opens a lane");
    if (getsockopt(f->fds[0], SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_SEQPACKET)
        return lane_refuse(l, "a lane that is no packet socket");
    if (atomic_load(&l->group->lanes) >= l->server->settings.lanes_max) {
        lane_turn_away(l, f->fds[0]);
        return true;
    }
    int fd = f->fds[0];
    f->fds[0] = -1;
    if (lane_start(l->server, fd, l->service, l->group, false) < 0)
        return lane_refuse(l, "too many tasks");
    return true;
}

static bool lane_answer(struct lane *l, struct frame *request, struct arena *a)
{
    struct buf payload;
    struct frame reply = { 0 };
    buf_init_secret(&payload, CHANNEL_PAYLOAD_MAX); /* keeper's answers are some */
    int r = channel_serve_frame(l->service, request, a, &payload, &reply);
    if (r == 0) {
        r = frame_send(l->task.fd, &reply, 0);
        frame_close_fds(&reply);
        if (r < 0 && r != ERR_EOF)
            log_warning("lane-answer-not-taken", LOG_Z("peer", l->service->peer), LOG_Z("error", err_name(r)));
    }
    buf_done(&payload);
    return r == 0;
}

static bool lane_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    struct lane *l = (struct lane *)t;
    if (flags & TASK_KILL)
        return false;
    ret->events = EPOLLIN;
    if (!(flags & TASK_IO))
        return true;
    struct arena a = ARENA_INIT(ARENA_QUOTA);
    struct frame f = { 0 };
    int r = frame_receive(t->fd, &a, 0, &f);
    bool on = r == ERR_TIMEOUT; /* nothing there after all */
    if (r == 0) {
        on = f.type == CHANNEL_FRAME_LANE ? lane_open(l, &f) : lane_answer(l, &f, &a);
        frame_close_fds(&f);
    } else if (!on && r != ERR_EOF) {
        (void)lane_refuse(l, err_name(r));
    }
    arena_done(&a);
    return on;
}

static void lane_group_leave(struct lane_group *g)
{
    if (atomic_fetch_sub(&g->lanes, 1) != 1)
        return;
    if (g->service->gone)
        g->service->gone(g->service->ctx);
    free(g);
}

static void lane_end(struct task *t)
{
    struct lane *l = (struct lane *)t;
    (void)close(t->fd);
    lane_group_leave(l->group);
    free(l);
}

static const struct task_kind lane_kind = { "lane", lane_step, lane_end };

static int lane_start(struct server *s, int fd, const struct channel_service *service, struct lane_group *group, bool root)
{
    struct lane *l = calloc(1, sizeof *l);
    if (!l)
        panic("out of memory for a lane");
    l->server = s;
    l->service = service;
    l->group = group;
    l->root = root;
    atomic_fetch_add(&group->lanes, 1);
    if (pool_start(s->pool, &l->task, &lane_kind, fd))
        return 0;
    lane_group_leave(group);
    (void)close(fd);
    free(l);
    return ERR_LIMIT;
}

int server_serve_channel(struct server *s, int fd, const struct channel_service *service)
{
    struct lane_group *g = calloc(1, sizeof *g);
    if (!g)
        panic("out of memory for a channel");
    g->service = service;
    return lane_start(s, fd, service, g, true);
}
