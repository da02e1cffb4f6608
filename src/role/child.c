/* child: one role process as the supervisor sees it. See supervisor_private.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "role/supervisor_private.h"

enum { ANSWER_MS = 10000, START_MS = 60000, COUNTS_MS = 1000, STOP_MS = 2000, SLICE_MS = 200 };

/* A copy of FD out of the way: dup2 onto itself would keep close-on-exec, and onto another of these lose it. */
static int moved(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ROLE_ROOT_FD + 1);
}

static bool is_put(int fd, int to)
{
    return fd >= 0 && dup2(fd, to) == to;
}

/* In the new process: another user, its descriptors, the program. Of ours it has none: what we write the log to could be a file, or a terminal. */
static _Noreturn void execute(struct child *c, int link, const struct child_files *files)
{
    struct error e = ERROR_NONE;
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    char program[] = "valise", mode[] = "role";
    char *argv[] = { program, mode, c->kind, NULL };
    /* What makes a directory its root, the role gives up in its sandbox. */
    if (geteuid() == 0 && sandbox_become(c->owner.uid, c->owner.gid, files->root < 0 ? 0 : 1u << CAP_SYS_CHROOT, &e)) {
        log_error("role-user", LOG_Z("of", c->kind), LOG_Z("text", e.text));
        _exit(127);
    }
    int at = moved(link), root = moved(files->root), null = moved(files->null), log = moved(files->log);
    if (is_put(at, ROLE_LINK_FD) && (files->root < 0 || is_put(root, ROLE_ROOT_FD)) && is_put(null, STDIN_FILENO) &&
        is_put(log, STDOUT_FILENO) && is_put(log, STDERR_FILENO))
        (void)execv("/proc/self/exe", argv);
    _exit(127);
}

int child_spawn(struct child *c, const struct child_files *files, struct error *e)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(e, ERR_IO, "socketpair: %s", strerrordesc_np(errno));
    pid_t pid = fork();
    if (pid < 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return error_set(e, ERR_UNAVAILABLE, "fork: %s", strerrordesc_np(errno));
    }
    if (pid == 0)
        execute(c, fds[1], files);
    (void)close(fds[1]);
    c->pid = pid;
    c->link = fds[0];
    c->owed = 0;
    return 0;
}

/* Whether SIGTERM or SIGINT waits to be read from the signal descriptor. */
static bool stop_is_asked(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* Waits up to MS for the next answer; less when the server is to stop and the wait is a long one. */
static int await_answer(struct child *c, int64_t ms, struct arena *a, struct frame *ret)
{
    int64_t end = clock_mono_ms() + ms;
    for (;;) {
        int64_t left = end - clock_mono_ms();
        int err = frame_receive(c->link, a, left < SLICE_MS ? left : SLICE_MS, ret);
        if (err != ERR_TIMEOUT || left <= SLICE_MS || (ms > ANSWER_MS && stop_is_asked()))
            return err;
    }
}

/* Takes the next answer, due within MS. */
static int take_answer(struct child *c, int64_t ms, struct arena *a, struct frame *ret, struct error *e)
{
    arena_reset(a);
    int err = await_answer(c, ms, a, ret);
    if (err)
        return error_set(e, err, "role %s does not answer (%s)", c->kind, err_name(err));
    frame_close_fds(ret);
    c->owed--;
    return 0;
}

/* Sends F and waits for the answer, whose payload lies in A. An answer that did not come in time is owed: it comes before all
 * others, and must not be taken for theirs. Nothing more is sent to a role that owes one, so that its link never fills; and who asks for
 * LITTLE, which can be done without, does not wait for it a second time. */
static int ask(struct child *c, const struct frame *f, int64_t ms, bool little, struct arena *a, struct frame *ret,
               struct error *e)
{
    while (c->owed) {
        int err = take_answer(c, little ? 0 : ms, a, ret, e);
        if (err)
            return err;
    }
    int err = frame_send(c->link, f, ms);
    if (err)
        return error_set(e, err, "role %s does not take requests (%s)", c->kind, err_name(err));
    c->owed++;
    err = take_answer(c, ms, a, ret, e);
    if (err)
        return err;
    if (ret->type != f->type)
        return error_set(e, ERR_CORRUPT, "role %s answered something else", c->kind);
    return ret->status ? error_set(e, ret->status, "%.*s", STR_ARG(ret->payload)) : 0;
}

static int send_within(struct child *c, uint16_t type, str payload, int fd, int64_t ms, struct error *e)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = type, .payload = payload, .fds = { fd }, .fd_n = fd >= 0 }, reply;
    int err = ask(c, &f, ms, false, &a, &reply, e);
    arena_done(&a);
    return err;
}

int child_send(struct child *c, uint16_t type, str payload, int fd, struct error *e)
{
    return send_within(c, type, payload, fd, ANSWER_MS, e);
}

int child_send_setup(struct child *c, const struct snapshot *s, uint16_t type, struct error *e)
{
    struct buf b = BUF_INIT(WIRE_SETUP_MAX);
    wire_pack_setup(&b, &(struct wire_setup){ .config_text = s->config->text,
                                              .port_offset = s->port_offset,
                                              .instance = c->instance,
                                              .identities = s->identities,
                                              .identity_n = s->identity_n,
                                              .ca_pem = s->ca_pem });
    int err = buf_error(&b), fd = -1;
    if (err == 0)
        fd = channel_memfd("setup", buf_str(&b));
    if (fd >= 0)
        err = child_send(c, type, (str){ NULL, 0 }, fd, e);
    else
        err = error_set(e, err ? err : fd, "configuration and certificates are too large together");
    if (fd >= 0)
        (void)close(fd);
    buf_done(&b);
    return err;
}

int child_start(struct child *c, struct error *e)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = WIRE_START }, reply;
    int err = ask(c, &f, START_MS, false, &a, &reply, e);
    arena_done(&a);
    return err;
}

int child_counts(struct child *c, struct wire_counts *ret)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = WIRE_STATUS }, reply;
    int err = ask(c, &f, COUNTS_MS, true, &a, &reply, NULL);
    if (err == 0)
        err = wire_unpack_counts(reply.payload, ret);
    arena_done(&a);
    return err;
}

int child_metrics(struct child *c, struct buf *b)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = WIRE_METRICS }, reply;
    int err = ask(c, &f, COUNTS_MS, true, &a, &reply, NULL);
    if (err == 0)
        pack_str(b, reply.payload);
    arena_done(&a);
    return err;
}

int child_stop(struct child *c, uint32_t grace_ms)
{
    struct buf b = BUF_INIT(16);
    pack_u32(&b, grace_ms);
    int err = send_within(c, WIRE_STOP, buf_str(&b), -1, STOP_MS, NULL);
    buf_done(&b);
    return err;
}

bool child_is_cut_off(const struct child *c)
{
    struct pollfd p = { .fd = c->link, .events = 0 };
    return c->link < 0 || (poll(&p, 1, 0) > 0 && p.revents);
}

bool child_is_running(const struct child *c)
{
    return c->pid > 0;
}

void child_give_up_on(const struct child *c, const struct error *e)
{
    log_error("role-stuck", LOG_Z("of", c->kind), LOG_NUM("pid", c->pid), LOG_Z("text", e->text));
    (void)kill(c->pid, SIGKILL);
}

void child_kill(struct child *c)
{
    if (c->pid <= 0)
        return;
    (void)kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    child_gone(c);
}

void child_gone(struct child *c)
{
    if (c->link >= 0)
        (void)close(c->link);
    c->link = -1;
    c->pid = 0;
    c->broken_ms = 0;
}
