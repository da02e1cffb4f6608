/* supervisor: see supervisor.h. Starting one child is in child.c, listening sockets in bind.c. */
#include "role/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "role/lock.h"
#include "role/notify.h"
#include "role/supervisor_private.h"
#include "run/descriptors.h"

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 30000,
    STABLE_MS = 60000,
    GRACE_MS = 10000,
    LOCK_WAIT_MS = 1000,
    CUT_OFF_MS = ROLE_CUT_OFF_MS + 1000, /* by when a role whose link broke has ended by itself */
    LOG_END_MS = 1000
};

/* --- starting and restarting --- */

static int send_listeners(struct child *c, const struct snapshot *of, struct error *e)
{
    int err = 0;
    for (size_t i = 0; i < of->sockets.n && err == 0; i++)
        if (strcmp(of->sockets.list[i].kind, c->kind) == 0)
            err = child_send(c, WIRE_LISTENER, str_from_z(of->sockets.list[i].name), of->sockets.list[i].fd, e);
    return err;
}

static int send_tally(struct child *c, enum wire_tally kind, int fd, struct error *e)
{
    char byte = (char)kind;
    return child_send(c, WIRE_TALLY, (str){ &byte, 1 }, fd, e);
}

/* Its own tally, those of the processes that serve the same strangers, and to core, which answers status, those of all others. */
static int send_tallies(struct supervisor *s, struct child *c, struct error *e)
{
    int err = c->tally < 0 ? 0 : send_tally(c, WIRE_TALLY_OWN, c->tally, e);
    for (size_t i = 0; c->tally >= 0 && err == 0 && i < s->child_n; i++) {
        const struct child *other = &s->children[i];
        bool same = strcmp(other->kind, c->kind) == 0;
        if (other != c && other->tally >= 0 && (same || strcmp(c->kind, "core") == 0))
            err = send_tally(c, same ? WIRE_TALLY_SUMMED : WIRE_TALLY_SHOWN, other->tally_shown, e);
    }
    return err;
}

static int send_keyring(const struct supervisor *s, struct child *c, struct error *e)
{
    struct buf b = BUF_INIT(WIRE_KEYRING_MAX);
    wire_pack_keyring(&b, &s->keyring);
    int err = child_send(c, WIRE_KEYRING, buf_str(&b), -1, e);
    buf_done(&b);
    return err;
}

static int start_child(struct supervisor *s, struct child *c, struct error *e)
{
    int root_fd = strcmp(c->kind, "keeper") == 0 ? beneath_directory(AT_FDCWD, "keys", e)
                  : strcmp(c->kind, "mx") == 0   ? s->empty_fd
                                                 : -1;
    if (root_fd < 0 && strcmp(c->kind, "keeper") == 0)
        return root_fd;
    int log = log_pump_pipe(s->pump, e);
    const struct child_files files = { .null = s->null_fd, .log = log, .root = root_fd };
    int err = log < 0 ? log : child_spawn(c, &files, e);
    if (log >= 0)
        (void)close(log);
    if (root_fd >= 0 && root_fd != s->empty_fd)
        (void)close(root_fd);
    if (err)
        return err;
    err = child_send_setup(c, s->snapshot, WIRE_SETUP, e);
    if (err == 0 && strcmp(c->kind, "keeper") == 0)
        err = send_keyring(s, c, e);
    if (err == 0)
        err = send_tallies(s, c, e);
    if (err == 0)
        err = send_listeners(c, s->snapshot, e);
    if (err == 0 && strcmp(c->kind, "core") == 0)
        err = child_send(c, WIRE_LISTENER, STR(WIRE_CONTROL), s->control_fd, e);
    if (err == 0)
        err = supervisor_connect(s, c, e);
    if (err == 0)
        err = child_start(c, e);
    if (err) {
        child_kill(c);
        return err == ERR_EOF ? error_set(e, ERR_INTERNAL, "role %s ended while it was started; its log lines say why", c->kind)
                              : err;
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
        if (child_is_running(c) || clock_mono_ms() < c->restart_at_ms)
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

/* A role whose link is broken hears and answers nothing more: it ends by itself (role.c), and is ended here when it does not. */
static void watch_links(struct supervisor *s)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        if (!child_is_running(c) || !child_is_cut_off(c))
            continue;
        c->broken_ms = c->broken_ms ? c->broken_ms : now;
        if (now - c->broken_ms >= CUT_OFF_MS)
            child_give_up_on(c, &(struct error){ .text = "its link to the supervisor is broken" });
        c->broken_ms = now - c->broken_ms >= CUT_OFF_MS ? now : c->broken_ms;
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
            if (c->tally >= 0)
                limits_tally_clear(c->tally, s->limits_seed);
            if (s->stopping)
                continue;
            schedule_restart(c);
            log_error("role-died", LOG_Z("of", c->kind), LOG_NUM("pid", pid),
                      LOG_NUM("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                      LOG_NUM("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0), LOG_NUM("again-in-ms", c->backoff_ms));
        }
    }
}

/* --- reload --- */

static void log_notes(const struct snapshot *s)
{
    str rest = buf_str(&s->notes), line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            log_warning("config-note", LOG_STR("note", line));
}

/* Whom a Unix socket is for that names no group. */
static gid_t socket_group(const struct supervisor *s)
{
    return s->root ? s->owners.core.gid : (gid_t)-1;
}

/* Reads, checks and binds everything that we can ourselves. */
static int read_again(struct supervisor *s, struct snapshot **ret, struct error *e)
{
    struct config *config = NULL;
    struct snapshot *fresh = NULL;
    int err = s->root ? owners_judge(s->dir_fd, s->dir, e) : 0;
    if (err == 0)
        err = config_read("valise.conf", &config, e);
    if (err == 0 && s->root)
        err = owners_judge_user(config->user, e);
    if (err == 0)
        err = snapshot_load(config, s->port_offset, &fresh, e);
    if (!fresh)
        config_free(config);
    if (err == 0)
        err = sockets_bind(config, socket_group(s), s->port_offset, &s->snapshot->sockets, &fresh->sockets, e);
    if (err) {
        snapshot_free(fresh);
        return err;
    }
    snapshot_compare(s->snapshot, fresh);
    *ret = fresh;
    return 0;
}

/* An mx that gives no answer is ended rather than waited for: one that was taken over must not keep others from a reload. It is started
 * anew with what is in force then. */
static int prepare_child(struct child *c, const struct snapshot *fresh, bool *ret_lost, struct error *e)
{
    int err = child_send_setup(c, fresh, WIRE_PREPARE, e);
    if (err == 0)
        err = send_listeners(c, fresh, e);
    *ret_lost = strcmp(c->kind, "mx") == 0 && (err == ERR_TIMEOUT || err == ERR_EOF || err == ERR_CORRUPT);
    if (!*ret_lost)
        return err;
    child_give_up_on(c, e);
    *e = ERROR_NONE;
    return 0;
}

/* A role that is cut off is started anew, with what is in force, before anything is asked of it: else it would have every reload refused. */
static void replace_cut_off(struct supervisor *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        struct error e = ERROR_NONE;
        if (!child_is_running(c) || !child_is_cut_off(c))
            continue;
        log_error("role-cut-off", LOG_Z("of", c->kind), LOG_NUM("pid", c->pid));
        child_kill(c);
        schedule_restart(c);
        if (c->tally >= 0)
            limits_tally_clear(c->tally, s->limits_seed);
        if (start_child(s, c, &e))
            log_error("role-restart-failed", LOG_Z("of", c->kind), LOG_NUM("again-in-ms", c->backoff_ms), LOG_Z("text", e.text));
    }
}

/* Every role prepares FRESH, and only when all have it is put in force. A role that does not run gets it at its start; one that
 * fails the second step, which none can refuse, is dead or stuck and is started anew. */
static int put_in_force(struct supervisor *s, const struct snapshot *fresh, struct error *e)
{
    bool lost[SUPERVISOR_CHILDREN_MAX] = { false };
    for (size_t i = 0; i < s->child_n; i++) {
        int err = child_is_running(&s->children[i]) ? prepare_child(&s->children[i], fresh, &lost[i], e) : 0;
        if (err)
            return err;
    }
    for (size_t i = 0; i < s->child_n; i++) {
        struct error why = ERROR_NONE;
        if (child_is_running(&s->children[i]) && !lost[i] && child_send(&s->children[i], WIRE_COMMIT, (str){ NULL, 0 }, -1, &why))
            child_give_up_on(&s->children[i], &why);
    }
    return 0;
}

int supervisor_reload(struct supervisor *s, struct error *e)
{
    struct snapshot *fresh = NULL;
    notify_reloading(s->notify_fd);
    replace_cut_off(s);
    int err = read_again(s, &fresh, e);
    if (err == 0)
        err = put_in_force(s, fresh, e);
    notify_send(s->notify_fd, "READY=1");
    if (err) {
        if (fresh)
            sockets_close(&fresh->sockets, &s->snapshot->sockets);
        snapshot_free(fresh);
        log_error("reload-refused", LOG_Z("text", e->text));
        return err;
    }
    sockets_close(&s->snapshot->sockets, &fresh->sockets);
    snapshot_free(s->snapshot);
    s->snapshot = fresh;
    log_set_level(fresh->config->log_level);
    log_notes(fresh);
    log_info("reloaded");
    return 0;
}

/* --- what core may ask --- */

static int on_reload(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct supervisor *s = ctx;
    int err = supervisor_reload(s, e);
    if (err == 0)
        buf_add(reply, buf_str(&s->snapshot->notes));
    return err;
}

static int on_status(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct supervisor *s = ctx;
    struct wire_role_status *roles = arena_array(a, s->child_n + 1, sizeof *roles);
    if (!roles)
        return ERR_LIMIT;
    int64_t now = clock_mono_ms();
    roles[0] =
        (struct wire_role_status){ .name = STR("supervisor"),
                                   .pid = (uint32_t)getpid(),
                                   .uptime_ms = (uint64_t)(now - s->started_ms),
                                   .counts = { .descriptors = descriptors_used(), .descriptors_max = descriptors_limit() } };
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        roles[i + 1] = (struct wire_role_status){ .name = str_from_z(c->kind),
                                                  .pid = (uint32_t)(child_is_running(c) ? c->pid : 0),
                                                  .restarts = c->restarts,
                                                  .uptime_ms = child_is_running(c) ? (uint64_t)(now - c->started_ms) : 0 };
        if (child_is_running(c) && child_counts(c, &roles[i + 1].counts))
            log_warning("role-silent", LOG_Z("of", c->kind));
    }
    const struct wire_sandbox sandbox = { (uint8_t)s->landlock_abi, s->root, str_from_z(s->keyring_gap.text) };
    wire_pack_roles(reply, &sandbox, roles, s->child_n + 1);
    return 0;
}

static int on_metrics(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                      size_t *ret_fd_n, struct error *e)
{
    struct supervisor *s = ctx;
    struct buf b = BUF_INIT(WIRE_METRICS_MAX);
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = &s->children[i];
        size_t before = b.n;
        char name[32];
        if (strcmp(c->kind, "mx") == 0)
            (void)snprintf(name, sizeof name, "mx-%u", c->instance);
        else
            (void)snprintf(name, sizeof name, "%s", c->kind);
        pack_str(&b, str_from_z(name));
        if (!child_is_running(c) || child_metrics(c, &b))
            buf_truncate(&b, before);
    }
    int fd = channel_memfd("metrics", buf_str(&b));
    buf_done(&b);
    if (fd < 0)
        return error_set(e, fd, "no memory for the metrics");
    reply_fds[0] = fd;
    *ret_fd_n = 1;
    return 0;
}

static const struct channel_handler core_handlers[] = {
    { WIRE_RELOAD, "reload", 0, 0, 0, on_reload },
    { WIRE_STATUS, "status", 0, 0, 0, on_status },
    { WIRE_METRICS, "metrics", 0, 0, 0, on_metrics },
    { .handle = NULL },
};

void supervisor_add_lane(struct supervisor *s, int fd)
{
    int type = 0;
    socklen_t n = sizeof type;
    bool fits = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
    if (fits && s->lane_n < SUPERVISOR_LANES_MAX)
        s->lanes[s->lane_n++] = fd;
    else
        (void)close(fd);
}

static void drop_lane(struct supervisor *s, size_t i)
{
    (void)close(s->lanes[i]);
    s->lanes[i] = s->lanes[--s->lane_n];
}

/* One request on lane I. A new lane is a request as well. Nothing here waits for core: what it sent is there, and a lane that does not take its answer at
 * once is closed. */
static void serve_lane(struct supervisor *s, size_t i)
{
    const struct channel_service service = { .peer = "core", .handlers = core_handlers, .ctx = s };
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct buf b = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct frame request, reply;
    int fd = s->lanes[i];
    int err = frame_receive(fd, &a, 0, &request);
    if (err == 0 && request.type == WIRE_OPEN_LANE && request.fd_n == 1) {
        supervisor_add_lane(s, request.fds[0]);
    } else if (err == 0) {
        err = channel_serve_frame(&service, &request, &a, &b, &reply);
        if (err == 0) {
            err = frame_send(fd, &reply, 0);
            frame_close_fds(&reply);
        }
        frame_close_fds(&request);
    } else if (err == ERR_TIMEOUT) {
        err = 0; /* nothing there after all */
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
        if (child_is_running(c) && !c->broken_ms)
            continue;
        int64_t due = c->broken_ms ? c->broken_ms + CUT_OFF_MS : c->restart_at_ms, left = due > now ? due - now : 0;
        least = least < 0 || left < least ? left : least;
    }
    int64_t sign = s->watchdog_due_ms > now ? s->watchdog_due_ms - now : 0;
    if (s->watchdog_ms && (least < 0 || sign < least))
        least = sign;
    return (int)least;
}

/* A supervisor that hangs does not come here, and is started anew by the service manager. */
static void give_sign_of_life(struct supervisor *s)
{
    int64_t now = clock_mono_ms();
    if (!s->watchdog_ms || now < s->watchdog_due_ms)
        return;
    notify_send(s->notify_fd, "WATCHDOG=1");
    s->watchdog_due_ms = now + s->watchdog_ms;
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
        give_sign_of_life(s);
        struct pollfd fds[SUPERVISOR_LANES_MAX + 1 + SUPERVISOR_CHILDREN_MAX] = { { .fd = s->signal_fd, .events = POLLIN } };
        size_t n = s->lane_n;
        for (size_t i = 0; i < n; i++)
            fds[i + 1] = (struct pollfd){ .fd = s->lanes[i], .events = POLLIN };
        /* Of links only their end is wanted: what comes on them is an answer, and whoever asked reads it. */
        for (size_t i = 0; i < s->child_n; i++)
            fds[n + 1 + i] = (struct pollfd){ .fd = s->children[i].broken_ms ? -1 : s->children[i].link };
        int got = poll(fds, n + 1 + s->child_n, next_timeout(s));
        if (got < 0 && errno != EINTR)
            panic("poll: errno %d", errno);
        for (size_t i = n; got > 0 && i > 0; i--)
            if (fds[i].revents)
                serve_lane(s, i - 1);
        if (got > 0 && fds[0].revents)
            on_signal(s);
        watch_links(s);
        restart_due(s);
    }
}

static bool any_left(const struct supervisor *s, const char *kind)
{
    for (size_t i = 0; i < s->child_n; i++)
        if (child_is_running(&s->children[i]) && strcmp(s->children[i].kind, kind) == 0)
            return true;
    return false;
}

/* Waits for a signal; whether it was a second request to stop, by somebody who does not want to wait for the sessions. */
static bool hurry_is_asked(const struct supervisor *s, int64_t ms)
{
    struct pollfd p = { .fd = s->signal_fd, .events = POLLIN };
    struct signalfd_siginfo info;
    return poll(&p, 1, (int)ms) > 0 && read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info &&
           (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM);
}

/* mx first, so that no new mail comes; then core; keeper last, for handshakes under way. */
static void stop_all(struct supervisor *s)
{
    static const char *const order[] = { "mx", "core", "keeper" };
    bool hurry = false;
    log_info("stopping");
    notify_send(s->notify_fd, "STOPPING=1");
    for (size_t o = 0; o < 3 && !hurry; o++) {
        int64_t end = clock_mono_ms() + GRACE_MS + 5000;
        for (size_t i = 0; i < s->child_n; i++)
            if (child_is_running(&s->children[i]) && strcmp(s->children[i].kind, order[o]) == 0 &&
                child_stop(&s->children[i], GRACE_MS))
                child_kill(&s->children[i]);
        for (reap(s); !hurry && any_left(s, order[o]) && clock_mono_ms() < end; reap(s))
            hurry = hurry_is_asked(s, 100);
    }
    for (size_t i = 0; i < s->child_n; i++)
        if (child_is_running(&s->children[i]))
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

/* One server a directory: the lock is held as long as the process lives. Root looks whose it is before it reads or makes anything. */
static int enter_directory(struct supervisor *s, struct error *e)
{
    if (chdir(s->dir) != 0)
        return owners_no_directory(s->dir, e);
    if (!beneath_exists(AT_FDCWD, "valise.conf"))
        return error_set(e, ERR_NOTFOUND, "%s has no valise.conf; `valise init` makes a directory", s->dir);
    s->dir_fd = beneath_start(".", e);
    int err = s->dir_fd < 0 ? s->dir_fd : s->root ? owners_judge(s->dir_fd, s->dir, e) : 0;
    if (err)
        return err;
    s->lock_fd = lock_take(LOCK_WAIT_MS, e);
    if (s->lock_fd == ERR_AGAIN)
        return error_set(e, ERR_UNAVAILABLE, "another server or command works in %s; `valise status --dir %s` tells more", s->dir,
                         s->dir);
    return s->lock_fd < 0 ? s->lock_fd : 0;
}

/* Whether core will be able to work. */
static int check_owner(const struct supervisor *s, struct error *e)
{
    static const char *const cores[] = { "store", "spool", "tls" }, *const needed[] = { ".", "store", "spool", "keys" };
    struct stat st;
    for (size_t i = 0; s->root && i < sizeof cores / sizeof cores[0]; i++) {
        int err = beneath_look(AT_FDCWD, cores[i], &st, e);
        if (err == 0 && (!S_ISDIR(st.st_mode) || st.st_uid != s->owners.core.uid))
            err = error_set(e, ERR_REFUSED, "%s/%s is no folder of user %.*s; `valise upgrade --dir %s' as root gives it to it",
                            s->dir, cores[i], STR_ARG(s->snapshot->config->user), s->dir);
        if (err)
            return err;
    }
    for (size_t i = 0; !s->root && i < sizeof needed / sizeof needed[0]; i++)
        if (access(needed[i], i == 3 ? R_OK | X_OK : W_OK | X_OK) != 0)
            return error_set(e, err_from_errno(errno),
                             "%s/%s: %s for us, user %u; the whole directory is to be one user's, or serve is started by root",
                             s->dir, needed[i], strerrordesc_np(errno), (unsigned)geteuid());
    return 0;
}

/* A directory that is in no other: nothing can be made in it, and nothing else has a name for who has it as root. */
static int make_empty(struct supervisor *s, struct error *e)
{
    char name[BENEATH_NAME_MAX];
    int fd = beneath_make_private(s->dir_fd, ".empty-", name, e);
    if (fd < 0)
        return fd;
    s->empty_fd = fd;
    /* mx has to enter it as its own user. */
    if (fchmod(fd, 0755) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s", name, strerrordesc_np(errno));
    return beneath_remove_directory(s->dir_fd, name, e);
}

/* What root needs to start a role again at any time: to change to its user (SETUID, SETGID), to let it shut itself into its directory (SYS_CHROOT), to
 * end it when it hangs (KILL), and to bind what a reload brings (NET_BIND_SERVICE). Files are root's by ownership alone. */
static int limit_root(const struct supervisor *s, struct error *e)
{
    const uint32_t keep =
        1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SYS_CHROOT | 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE;
    if (!s->root)
        return 0;
    if (setgroups(0, NULL) != 0)
        return error_set(e, ERR_INTERNAL, "setgroups: %s", strerrordesc_np(errno));
    return sandbox_keep_capabilities(keep, e);
}

static int add_child(struct supervisor *s, const char *kind, unsigned instance, struct error *e)
{
    struct child *c = &s->children[s->child_n++];
    *c = (struct child){ .instance = instance, .link = -1, .tally = -1, .tally_shown = -1 };
    c->owner = strcmp(kind, "keeper") == 0 ? s->owners.keeper : strcmp(kind, "mx") == 0 ? s->owners.mx : s->owners.core;
    (void)snprintf(c->kind, sizeof c->kind, "%s", kind);
    if (strcmp(kind, "keeper") == 0)
        return 0;
    c->tally = limits_tally_create(s->limits_seed);
    c->tally_shown = c->tally < 0 ? c->tally : limits_tally_share(c->tally);
    return c->tally_shown < 0 ? error_set(e, c->tally_shown, "no memory for the limits of %s", kind) : 0;
}

static int add_children(struct supervisor *s, struct error *e)
{
    random_bytes(s->limits_seed, sizeof s->limits_seed);
    int err = add_child(s, "keeper", 0, e);
    if (err == 0)
        err = add_child(s, "core", 0, e);
    for (unsigned i = 0; err == 0 && i < s->snapshot->config->mx_processes; i++)
        err = add_child(s, "mx", i, e);
    return err;
}

/* Once, at the start: what holds the roles beside Landlock where this kernel's does not cover all. */
static void tell_gaps(const struct supervisor *s, const struct sandbox_state *state)
{
    const char *gap;
    for (size_t i = 0; (gap = sandbox_gap(state->landlock_abi, i)); i++)
        if (state->landlock_abi)
            log_info("sandbox-gap", LOG_NUM("landlock-abi", state->landlock_abi), LOG_Z("text", gap));
        else
            log_warning("sandbox-gap", LOG_NUM("landlock-abi", 0), LOG_Z("text", gap));
    if (!s->root)
        log_info("sandbox-gap", LOG_Z("text", SANDBOX_ONE_USER));
}

static int enter_sandbox(struct supervisor *s, struct error *e)
{
    struct sandbox_state state;
    struct sandbox_profile profile = role_supervisor_profile;
    profile.keyring = &s->keyring;
    int err = sandbox_enter(&profile, -1, &state, e);
    if (err)
        return err;
    s->landlock_abi = state.landlock_abi;
    if (!state.seccomp)
        log_warning("sandbox-incomplete", LOG_Z("missing", "seccomp"), LOG_Z("text", "this kernel has no system call filters"));
    tell_gaps(s, &state);
    return 0;
}

/* The keys of the kernel in which keeper's verifiers outlive this process: one ring a directory. Where there is none, logins after a restart cost more. */
static int find_keyring(struct supervisor *s, struct error *e)
{
    struct statx st;
    char name[96];
    /* The number of a directory that is gone is soon another's: with when it was made it is its own, where the file system knows. */
    if (statx(s->dir_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
        return error_set(e, ERR_IO, "%s: %s", s->dir, strerrordesc_np(errno));
    bool dated = st.stx_mask & STATX_BTIME;
    (void)snprintf(name, sizeof name, "valise:%x:%x:%llx:%llx.%x", st.stx_dev_major, st.stx_dev_minor,
                   (unsigned long long)st.stx_ino, dated ? (unsigned long long)st.stx_btime.tv_sec : 0,
                   dated ? st.stx_btime.tv_nsec : 0);
    int err = keyring_open(name, s->root ? s->owners.keeper.gid : (gid_t)-1, &s->keyring, &s->keyring_gap);
    if (err == ERR_UNAVAILABLE)
        log_info("keyring-missing", LOG_Z("text", s->keyring_gap.text),
                 LOG_Z("note", "after a restart of the server the first login of each user costs Argon2 again"));
    return err == ERR_UNAVAILABLE ? 0 : err ? error_set(e, err, "%s", s->keyring_gap.text) : 0;
}

/* Binds every listener, while we are root if we are; what a service manager has opened for us is taken instead. */
static int bind_all(struct supervisor *s, struct error *e)
{
    struct socket_set *inherited = calloc(1, sizeof *inherited);
    if (!inherited)
        panic("out of memory at start");
    int err = sockets_inherit(inherited, e);
    if (err == 0)
        err = sockets_bind(s->snapshot->config, socket_group(s), s->port_offset, inherited, &s->snapshot->sockets, e);
    if (err == 0)
        err = sockets_all_used(inherited, &s->snapshot->sockets, e);
    free(inherited);
    return err;
}

/* From here on our own lines go the same way, in their order. */
static int begin_log(struct supervisor *s, struct error *e)
{
    int err = log_pump_new(STDERR_FILENO, &s->pump, e), own = err ? err : log_pump_pipe(s->pump, e);
    if (own >= 0)
        log_set_fd(s->log_fd = own);
    return own < 0 ? own : 0;
}

static void end_log(struct supervisor *s)
{
    log_set_fd(STDERR_FILENO);
    if (s->log_fd >= 0)
        (void)close(s->log_fd);
    log_pump_free(s->pump, LOG_END_MS);
}

static int set_up(struct supervisor *s, const struct supervisor_settings *settings, struct error *e)
{
    struct config *config = NULL;
    s->dir = settings->dir;
    s->root = geteuid() == 0;
    int err = enter_directory(s, e);
    if (err == 0)
        err = config_read("valise.conf", &config, e);
    if (err == 0 && s->root)
        err = owners_find(config->user, &s->owners, e);
    if (err) {
        config_free(config);
        return err;
    }
    log_set_level(config->log_level);
    err = snapshot_load(config, settings->port_offset, &s->snapshot, e);
    if (err) {
        config_free(config);
        return err;
    }
    log_notes(s->snapshot);
    err = bind_all(s, e);
    if (err == 0)
        err = check_owner(s, e);
    if (err == 0)
        err = make_empty(s, e);
    if (err == 0) {
        s->control_fd = control_bind(e);
        err = s->control_fd < 0 ? s->control_fd : 0;
    }
    if (err == 0)
        err = add_children(s, e);
    if (err == 0)
        err = find_keyring(s, e);
    if (err == 0)
        err = limit_root(s, e);
    if (err == 0)
        err = enter_sandbox(s, e);
    return err ? err : begin_log(s, e);
}

/* Who comes from now on is refused, not left waiting. */
static void close_all(struct supervisor *s)
{
    if (s->snapshot)
        sockets_close(&s->snapshot->sockets, NULL);
    if (s->control_fd >= 0) {
        (void)close(s->control_fd);
        (void)!beneath_remove(AT_FDCWD, "control.sock", NULL);
    }
    s->control_fd = -1;
}

int supervisor_run(const struct supervisor_settings *settings, struct error *e)
{
    struct supervisor *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory at start");
    log_set_role("supervisor");
    descriptors_raise(); /* the roles inherit it */
    s->port_offset = settings->port_offset;
    s->lock_fd = s->dir_fd = s->empty_fd = s->control_fd = s->log_fd = -1;
    s->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->started_ms = clock_mono_ms();
    s->signal_fd = open_signals();
    s->notify_fd = notify_open();
    s->watchdog_ms = notify_watchdog_ms();
    int err = s->signal_fd < 0 ? error_set(e, ERR_INTERNAL, "signalfd: errno %d", errno)
              : s->null_fd < 0 ? error_set(e, ERR_INTERNAL, "/dev/null: errno %d", errno)
                               : set_up(s, settings, e);
    if (err == 0) {
        for (size_t i = 0; i < s->child_n && err == 0; i++)
            err = start_child(s, &s->children[i], e);
        if (err == 0) {
            log_info("started", LOG_NUM("in-ms", clock_mono_ms() - s->started_ms));
            notify_send(s->notify_fd, "READY=1");
            if (settings->ready)
                settings->ready(settings->ctx, s->snapshot->config);
            loop(s);
        }
        s->stopping = true;
        close_all(s);
        stop_all(s);
    }
    close_all(s);
    end_log(s);
    snapshot_free(s->snapshot);
    free(s);
    return err;
}
