/* child: one role process as the supervisor sees it. See supervisor_private.h. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role/supervisor_private.h"

enum { ANSWER_MS = 10000, START_MS = 60000, COUNTS_MS = 1000 };

int child_spawn(struct child *c, struct error *e)
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
    if (pid == 0) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        char program[] = "valise", mode[] = "role";
        char *argv[] = { program, mode, c->kind, NULL };
        /* dup2 onto itself would keep close-on-exec. */
        int at = fds[1] == ROLE_LINK_FD ? dup(fds[1]) : fds[1];
        if (dup2(at, ROLE_LINK_FD) == ROLE_LINK_FD)
            (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    (void)close(fds[1]);
    c->pid = pid;
    c->link = fds[0];
    return 0;
}

/* Sends F and waits for the answer, whose payload lies in A. */
static int ask(struct child *c, const struct frame *f, int64_t ms, struct arena *a, struct frame *ret, struct error *e)
{
    int err = frame_send(c->link, f, ANSWER_MS);
    if (err == 0)
        err = frame_receive(c->link, a, ms, ret);
    if (err)
        return err;
    for (size_t i = 0; i < ret->fd_n; i++)
        (void)close(ret->fds[i]);
    if (ret->type != f->type)
        return ERR_CORRUPT;
    return ret->status ? error_set(e, ret->status, "role %s: %.*s", c->kind, STR_ARG(ret->payload)) : 0;
}

int child_send(struct child *c, uint16_t type, str payload, int fd)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = type, .payload = payload, .fds = { fd }, .fd_n = fd >= 0 }, reply;
    int err = ask(c, &f, ANSWER_MS, &a, &reply, NULL);
    arena_done(&a);
    return err;
}

int child_send_setup(struct supervisor *s, struct child *c, uint16_t type)
{
    struct buf b = BUF_INIT(WIRE_SETUP_MAX);
    wire_pack_setup(&b, &(struct wire_setup){ .config_text = s->snapshot->config->text, .port_offset = s->port_offset,
                                             .instance = c->instance, .identities = s->snapshot->identities,
                                             .identity_n = s->snapshot->identity_n });
    int err = buf_error(&b);
    int fd = err ? -1 : channel_memfd("setup", buf_str(&b));
    if (fd >= 0) {
        err = child_send(c, type, (str){ NULL, 0 }, fd);
        (void)close(fd);
    } else if (!err) {
        err = fd;
    }
    buf_done(&b);
    return err;
}

int child_start(struct child *c, struct error *e)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = WIRE_START }, reply;
    int err = ask(c, &f, START_MS, &a, &reply, e);
    arena_done(&a);
    return err;
}

int child_counts(struct child *c, struct wire_counts *ret)
{
    struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
    struct frame f = { .type = WIRE_STATUS }, reply;
    int err = ask(c, &f, COUNTS_MS, &a, &reply, NULL);
    if (err == 0)
        err = wire_unpack_counts(reply.payload, ret);
    arena_done(&a);
    return err;
}

int child_stop(struct child *c, uint32_t grace_ms)
{
    struct buf b = BUF_INIT(16);
    pack_u32(&b, grace_ms);
    int err = child_send(c, WIRE_STOP, buf_str(&b), -1);
    buf_done(&b);
    return err;
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
}
