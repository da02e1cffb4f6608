/* listener: accepts connections and hands them to the pool. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/descriptors.h"
#include "run/server_private.h"

enum {
    ACCEPT_TURNS = 32, /* connections taken in one step */
    BACK_OFF_MS = 250, /* pause when descriptors or memory are out */
    HANDSHAKE_MS = 30000
};

struct listener *listener_new(const struct listener_settings *settings)
{
    struct listener *l = calloc(1, sizeof *l);
    char *name = settings->name ? strdup(settings->name) : strdup("");
    if (!l || !name)
        panic("out of memory for a listener");
    atomic_init(&l->refs, 1);
    l->settings = *settings;
    l->settings.name = l->name = name;
    const char *protocol = settings->ops->name;
    l->accepted = metric_get(METRIC_CONNECTIONS, "listener", name, "protocol", protocol, NULL);
    l->refused = metric_get(METRIC_REFUSED, "listener", name, "protocol", protocol, NULL);
    l->bytes_in = metric_get(METRIC_BYTES_IN, "listener", name, "protocol", protocol, NULL);
    l->bytes_out = metric_get(METRIC_BYTES_OUT, "listener", name, "protocol", protocol, NULL);
    l->turns = metric_get(METRIC_TURNS, "listener", name, "protocol", protocol, NULL);
    l->tls_failed = metric_get(METRIC_TLS_FAILED, "listener", name, "protocol", protocol, NULL);
    if (l->settings.access)
        (void)access_ref(l->settings.access);
    if (l->settings.handshake_ms <= 0)
        l->settings.handshake_ms = HANDSHAKE_MS;
    return l;
}

struct listener *listener_ref(struct listener *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void listener_unref(struct listener *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    if (l->settings.release)
        l->settings.release(l->settings.ctx);
    access_unref(l->settings.access);
    free(l->name);
    free(l);
}

/* The task over a listening socket, in the server's list from before it starts until it is over. */
struct acceptor {
    struct task task;
    struct server *server;
    struct listener *listener;
    struct acceptor *next;
    _Atomic bool dismissed; /* by server_unlisten */
};

/* What accept answered: whether to go on, to wait for a connection, to pause, or to give up. */
enum accept_outcome { ACCEPT_NEXT, ACCEPT_NONE, ACCEPT_PAUSE, ACCEPT_DEAD };

static enum accept_outcome accept_failed(const struct acceptor *a, int error)
{
    switch (error) {
    case EAGAIN:
        return ACCEPT_NONE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        log_error("accept-failed", LOG_Z("listener", a->listener->name), LOG_Z("reason", "descriptors or memory are out"),
                  LOG_NUM("errno", error));
        return ACCEPT_PAUSE;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
    case EFAULT:
        log_error("listener-failed", LOG_Z("listener", a->listener->name), LOG_NUM("errno", error));
        return ACCEPT_DEAD;
    default:
        /* The connection was gone before it was accepted, or the network says something: the next one may be fine. */
        return ACCEPT_NEXT;
    }
}

/* As accept4. On a reserved listener there is one descriptor more, and the others do not take it when it comes back. */
static int accept_one(const struct acceptor *a)
{
    bool reserved = a->listener->settings.reserved;
    if (!descriptors_last_hold() && !reserved)
        return -1;
    int fd = accept4(a->task.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 || errno != EMFILE || !reserved || !descriptors_last_lend())
        return fd;
    fd = accept4(a->task.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int error = errno;
    if (fd < 0) /* there was nobody: the kernel looks for a descriptor first */
        (void)descriptors_last_hold();
    errno = error;
    return fd;
}

static bool acceptor_step(struct task *t, unsigned flags, struct task_wait *ret)
{
    struct acceptor *a = (struct acceptor *)t;
    if (flags & (TASK_SHUTDOWN | TASK_KILL) || atomic_load(&a->server->stopping) || atomic_load(&a->dismissed))
        return false;
    ret->events = EPOLLIN;
    for (int i = 0; i < ACCEPT_TURNS; i++) {
        int fd = accept_one(a);
        if (fd >= 0) {
            /* What goes wrong is logged there. */
            int r = server_conn_start(a->server, fd, a->listener, pool_start_next);
            (void)r;
            continue;
        }
        switch (accept_failed(a, errno)) {
        case ACCEPT_NEXT:
            continue;
        case ACCEPT_NONE:
            return true;
        case ACCEPT_PAUSE:
            ret->events = 0;
            ret->expiry_ms = clock_mono_ms() + BACK_OFF_MS;
            return true;
        case ACCEPT_DEAD:
            return false;
        }
    }
    return true;
}

static void acceptor_free(struct acceptor *a, int fd)
{
    struct acceptor **at = &a->server->acceptors;
    pthread_mutex_lock(&a->server->acceptors_lock);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    pthread_mutex_unlock(&a->server->acceptors_lock);
    task_unwatch(&a->task); /* the supervisor holds it too, and after a reload the next acceptor */
    (void)close(fd);
    listener_unref(a->listener);
    free(a);
}

static void acceptor_end(struct task *t)
{
    acceptor_free((struct acceptor *)t, t->fd);
}

static const struct task_kind acceptor_kind = { "listener", acceptor_step, acceptor_end };

int server_listen(struct server *s, int fd, const struct listener_settings *settings)
{
    struct acceptor *a = calloc(1, sizeof *a);
    if (!a)
        panic("out of memory for a listener");
    a->server = s;
    a->listener = listener_new(settings);
    int on = 1;
    /* Connections inherit it. Fails on a socket that is not TCP, which needs it not. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&s->acceptors_lock);
    a->next = s->acceptors;
    s->acceptors = a;
    bool started = pool_start(s->pool, &a->task, &acceptor_kind, fd);
    pthread_mutex_unlock(&s->acceptors_lock);
    if (started)
        return 0;
    acceptor_free(a, fd);
    return ERR_LIMIT;
}

void server_unlisten(struct server *s, unsigned group)
{
    pthread_mutex_lock(&s->acceptors_lock);
    /* None in the list is over: it leaves the list first. */
    for (struct acceptor *a = s->acceptors; a; a = a->next) {
        if (a->listener->settings.group != group)
            continue;
        atomic_store(&a->dismissed, true);
        task_raise(&a->task, TASK_EVENT);
    }
    pthread_mutex_unlock(&s->acceptors_lock);
}
