/* supervisor: see supervisor.h. Starting one child is in child.c, listening sockets in bind.c. */
#include "role/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "role/supervisor_private.h"

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 30000, STABLE_MS = 60000, GRACE_MS = 10000, LANE_DEADLINE_MS = 2000 };

/* --- the pairs of roles that talk --- */

/* Who asks whom; the table of rights on the asking side. What may be asked is the table on the serving side. */
static const struct {
    const char *asks, *serves;
} pairs[] = { { "mx", "core" }, { "mx", "keeper" }, { "core", "keeper" } };

static bool is_running(const struct child *c)
{
    return c->pid > 0;
}

static int connect_pair(struct child *asks, struct child *serves)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return ERR_IO;
    int err = child_send(serves, WIRE_SERVE, str_from_z(asks->kind), fds[0]);
    if (err == 0)
        err = child_send(asks, WIRE_PEER, str_from_z(serves->kind), fds[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return err;
}

/* Gives C a lane to and from every running role it talks with. */
static int connect_child(struct supervisor *s, struct child *c)
{
    int err = 0;
    for (size_t i = 0; i < s->child_n && err == 0; i++) {
        struct child *other = &s->children[i];
        for (size_t k = 0; k < sizeof pairs / sizeof pairs[0] && err == 0; k++) {
            if (other == c || !is_running(other))
                continue;
            if (strcmp(pairs[k].asks, c->kind) == 0 && strcmp(pairs[k].serves, other->kind) == 0)
                err = connect_pair(c, other);
            else if (strcmp(pairs[k].serves, c->kind) == 0 && strcmp(pairs[k].asks, other->kind) == 0)
                err = connect_pair(other, c);
        }
    }
    if (err == 0 && strcmp(c->kind, "core") == 0) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
            return ERR_IO;
        err = child_send(c, WIRE_PEER, STR("supervisor"), fds[1]);
        (void)close(fds[1]);
        if (err == 0)
            supervisor_add_lane(s, fds[0]);
        else
            (void)close(fds[0]);
    }
    return err;
}

/* --- starting and restarting --- */

static int send_listeners(struct supervisor *s, struct child *c)
{
    int err = 0;
    for (size_t i = 0; i < s->socket_n && err == 0; i++)
        if (strcmp(s->sockets[i].kind, c->kind) == 0)
            err = child_send(c, WIRE_LISTENER, str_from_z(s->sockets[i].name), s->sockets[i].fd);
    return err;
}

static int start_child(struct supervisor *s, struct child *c, struct error *e)
{
    int err = child_spawn(c, e);
    if (err)
        return err;
    err = child_send_setup(s, c, WIRE_SETUP);
    if (err == 0)
        err = send_listeners(s, c);
    if (err == 0)
        err = connect_child(s, c);
    if (err == 0)
        err = child_start(c, e);
    if (err) {
        child_kill(c);
        return e->code ? err : error_set(e, err, "role %s did not start (%s); its log lines say why", c->kind, err_name(err));
    }
    c->started_ms = clock_mono_ms();
    return 0;
}

static void schedule_restart(struct child *c)
{
    int64_t now = clock_mono_ms();
    if (c->started_ms && now - c->started_ms > STABLE_MS)
        c->backoff_ms = 0;
    c->backoff_ms = c->backoff_ms ? (c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2) : BACKOFF_MIN_MS;
    c->restart_at_ms = now + c->backoff_ms;
    c->restarts++;
}

static void restart_due(struct supervisor *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        struct error e = ERROR_NONE;
        if (is_running(c) || clock_mono_ms() < c->restart_at_ms)
            continue;
        int err = start_child(s, c, &e);
        if (err) {
            schedule_restart(c);
            log_error("role-restart-failed", LOG_Z("of", c->kind), LOG_NUM("again-in-ms", c->backoff_ms), LOG_Z("text", e.text));
        } else {
            log_info("role-restarted", LOG_Z("of", c->kind), LOG_NUM("restarts", c->restarts));
        }
    }
}

static void reap(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        for (size_t i = 0; i < s->child_n; i++) {
            struct child *c = &s->children[i];
            if (c->pid != pid)
                continue;
            child_gone(c);
            if (s->stopping)
                continue;
            schedule_restart(c);
            log_error("role-died", LOG_Z("of", c->kind), LOG_NUM("pid", pid), LOG_NUM("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                      LOG_NUM("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0), LOG_NUM("again-in-ms", c->backoff_ms));
        }
    }
}

/* --- reload --- */

/* All or nothing as far as can be foreseen: the configuration, every certificate and every new port are checked before any role is told. */
int supervisor_reload(struct supervisor *s, struct error *e)
{
    struct config *config = NULL;
    struct snapshot *fresh = NULL;
    int err = config_read("valise.conf", &config, e);
    if (err == 0)
        err = snapshot_load(config, s->port_offset, &fresh, e);
    if (err == 0 && !snapshot_same_sockets(s->snapshot, fresh))
        err = error_set(e, ERR_REFUSED, "valise.conf: listeners were added, removed or moved; this needs a restart, the old ones stay");
    if (err) {
        if (fresh)
            snapshot_free(fresh);
        else
            config_free(config);
        log_error("reload-refused", LOG_Z("text", e->text));
        return err;
    }
    struct snapshot *former = s->snapshot;
    s->snapshot = fresh;
    for (size_t i = 0; i < s->child_n; i++)
        if (is_running(&s->children[i])) {
            int sent = child_send_setup(s, &s->children[i], WIRE_RELOAD);
            if (sent) {
                err = err ? err : error_set(e, sent, "role %s did not take the new configuration (%s)", s->children[i].kind, err_name(sent));
                log_error("reload-failed", LOG_Z("of", s->children[i].kind), LOG_Z("error", err_name(sent)));
            }
        }
    snapshot_free(former);
    log_set_level(fresh->config->log_level);
    if (err == 0)
        log_info("reloaded");
    return err;
}

/* --- what core may ask --- */

static int on_reload(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    return supervisor_reload(ctx, e);
}

static int on_status(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct supervisor *s = ctx;
    struct wire_role_status *roles = arena_array(a, s->child_n + 1, sizeof *roles);
    if (!roles)
        return ERR_LIMIT;
    int64_t now = clock_mono_ms();
    roles[0] = (struct wire_role_status){ .name = STR("supervisor"), .pid = (uint32_t)getpid(), .uptime_ms = (uint64_t)(now - s->started_ms) };
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        roles[i + 1] = (struct wire_role_status){ .name = str_from_z(c->kind), .pid = (uint32_t)(is_running(c) ? c->pid : 0),
                                                  .restarts = c->restarts,
                                                  .uptime_ms = is_running(c) ? (uint64_t)(now - c->started_ms) : 0 };
        if (is_running(c) && child_counts(c, &roles[i + 1].counts))
            log_warning("role-silent", LOG_Z("of", c->kind));
    }
    wire_pack_roles(reply, roles, s->child_n + 1);
    return 0;
}

static const struct channel_handler core_handlers[] = {
    { WIRE_RELOAD, "reload", 0, 0, 0, on_reload },
    { WIRE_STATUS, "status", 0, 0, 0, on_status },
    { .handle = NULL },
};

void supervisor_add_lane(struct supervisor *s, int fd)
{
    if (s->lane_n < SUPERVISOR_LANES_MAX)
        s->lanes[s->lane_n++] = fd;
    else
        (void)close(fd);
}

static void drop_lane(struct supervisor *s, size_t i)
{
    (void)close(s->lanes[i]);
    s->lanes[i] = s->lanes[--s->lane_n];
}

/* One request on lane I. A new lane is a request as well. */
static void serve_lane(struct supervisor *s, size_t i)
{
    const struct channel_service service = { .peer = "core", .handlers = core_handlers, .ctx = s };
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct buf b = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct frame request, reply;
    int fd = s->lanes[i];
    int err = frame_receive(fd, &a, LANE_DEADLINE_MS, &request);
    if (err == 0 && request.type == WIRE_OPEN_LANE && request.fd_n == 1) {
        supervisor_add_lane(s, request.fds[0]);
    } else if (err == 0) {
        err = channel_serve_frame(&service, &request, &a, &b, &reply);
        if (err == 0)
            err = frame_send(fd, &reply, LANE_DEADLINE_MS);
        for (size_t k = 0; k < request.fd_n; k++)
            if (request.fds[k] >= 0)
                (void)close(request.fds[k]);
    }
    if (err)
        drop_lane(s, i);
    buf_done(&b);
    arena_done(&a);
}

/* --- the loop --- */

static int next_timeout(const struct supervisor *s)
{
    int64_t now = clock_mono_ms(), least = -1;
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = &s->children[i];
        if (is_running(c))
            continue;
        int64_t left = c->restart_at_ms > now ? c->restart_at_ms - now : 0;
        least = least < 0 || left < least ? left : least;
    }
    return (int)least;
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        struct error e = ERROR_NONE;
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo == SIGHUP)
            (void)!supervisor_reload(s, &e);
        else
            s->stopping = true;
    }
}

static void loop(struct supervisor *s)
{
    while (!s->stopping) {
        struct pollfd fds[SUPERVISOR_LANES_MAX + 1] = { { .fd = s->signal_fd, .events = POLLIN } };
        size_t n = s->lane_n;
        for (size_t i = 0; i < n; i++)
            fds[i + 1] = (struct pollfd){ .fd = s->lanes[i], .events = POLLIN };
        int got = poll(fds, n + 1, next_timeout(s));
        if (got < 0 && errno != EINTR)
            panic("poll: errno %d", errno);
        for (size_t i = n; got > 0 && i > 0; i--)
            if (fds[i].revents)
                serve_lane(s, i - 1);
        if (got > 0 && fds[0].revents)
            on_signal(s);
        restart_due(s);
    }
}

/* mx first, so that no new mail comes; then core; keeper last, for handshakes under way. */
static void stop_all(struct supervisor *s)
{
    static const char *const order[] = { "mx", "core", "keeper" };
    log_info("stopping");
    for (size_t o = 0; o < 3; o++) {
        int64_t end = clock_mono_ms() + GRACE_MS + 5000;
        for (size_t i = 0; i < s->child_n; i++)
            if (is_running(&s->children[i]) && strcmp(s->children[i].kind, order[o]) == 0 && child_stop(&s->children[i], GRACE_MS))
                child_kill(&s->children[i]);
        for (;;) {
            bool left = false;
            reap(s);
            for (size_t i = 0; i < s->child_n; i++)
                left = left || (is_running(&s->children[i]) && strcmp(s->children[i].kind, order[o]) == 0);
            if (!left || clock_mono_ms() > end)
                break;
            struct pollfd p = { .fd = s->signal_fd, .events = POLLIN };
            struct signalfd_siginfo info;
            if (poll(&p, 1, 100) > 0)
                (void)!read(s->signal_fd, &info, sizeof info);
        }
    }
    for (size_t i = 0; i < s->child_n; i++)
        if (is_running(&s->children[i]))
            child_kill(&s->children[i]);
    log_info("stopped");
}

static int open_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One server a directory: the lock is held as long as the process lives. */
static int lock_directory(const char *dir, struct error *e)
{
    if (chdir(dir) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s; `valise init` makes a directory", dir, strerrordesc_np(errno));
    int fd = open("serve.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "%s/serve.lock: %s", dir, strerrordesc_np(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return error_set(e, ERR_UNAVAILABLE, "a server runs in %s already; `valise status --dir %s` tells more", dir, dir);
    }
    return fd;
}

static void add_children(struct supervisor *s)
{
    s->children[s->child_n++] = (struct child){ .kind = "keeper", .link = -1 };
    s->children[s->child_n++] = (struct child){ .kind = "core", .link = -1 };
    for (unsigned i = 0; i < s->snapshot->config->mx_processes; i++)
        s->children[s->child_n++] = (struct child){ .kind = "mx", .instance = i, .link = -1 };
}

static int enter_sandbox(struct error *e)
{
    const char *missing = NULL;
    int err = sandbox_enter(&role_supervisor_profile, &missing, e);
    if (err != ERR_UNAVAILABLE)
        return err;
    log_warning("sandbox-incomplete", LOG_Z("missing", missing), LOG_Z("text", e->text));
    *e = ERROR_NONE;
    return 0;
}

static int set_up(struct supervisor *s, const struct supervisor_settings *settings, struct error *e)
{
    struct config *config = NULL;
    int lock = lock_directory(settings->dir, e);
    if (lock < 0)
        return lock;
    s->lock_fd = lock;
    int err = config_read("valise.conf", &config, e);
    if (err)
        return err;
    log_set_level(config->log_level);
    err = snapshot_load(config, settings->port_offset, &s->snapshot, e);
    if (err) {
        config_free(config);
        return err;
    }
    err = bind_all(s, e);
    if (err == 0)
        err = supervisor_drop_user(s->snapshot->config->user, e);
    if (err == 0)
        err = enter_sandbox(e);
    return err;
}

int supervisor_run(const struct supervisor_settings *settings, struct error *e)
{
    struct supervisor *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory at start");
    log_set_role("supervisor");
    s->port_offset = settings->port_offset;
    s->lock_fd = -1;
    s->started_ms = clock_mono_ms();
    s->signal_fd = open_signals();
    int err = s->signal_fd < 0 ? error_set(e, ERR_INTERNAL, "signalfd: errno %d", errno) : set_up(s, settings, e);
    if (err == 0) {
        add_children(s);
        for (size_t i = 0; i < s->child_n && err == 0; i++)
            err = start_child(s, &s->children[i], e);
        if (err == 0) {
            log_info("started", LOG_NUM("in-ms", clock_mono_ms() - s->started_ms));
            if (settings->ready)
                settings->ready(settings->ctx, s->snapshot->config);
            loop(s);
        }
        s->stopping = true;
        stop_all(s);
    }
    close_sockets(s);
    snapshot_free(s->snapshot);
    free(s);
    return err;
}
