/* net: one epoll loop with plain and TLS client connections that deliver lines. */
#include "net.h"

#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EX_OSERR);
}

int net_tls_parse(const char *text, enum net_tls *ret)
{
    static const char *const names[] = { [NET_PLAIN] = "no", [NET_STARTTLS] = "starttls", [NET_IMPLICIT] = "implicit" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum net_tls)i;
            return 0;
        }
    }
    return -1;
}

void net_loop_init(struct net_loop *loop)
{
    *loop = (struct net_loop){ .stall_seconds = 60, .watch = -1 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        die("epoll_create1");
    loop->tls = SSL_CTX_new(TLS_client_method());
    if (!loop->tls)
        die("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(loop->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(loop->tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

void net_loop_done(struct net_loop *loop)
{
    SSL_CTX_free(loop->tls);
    close(loop->epoll);
}

struct net_target net_resolve(const char *host, const char *port, enum net_tls tls)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    int e = getaddrinfo(host, port, &hints, &found);
    if (e) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(e));
        exit(EX_NOHOST);
    }
    struct net_target target = { .length = found->ai_addrlen, .tls = tls };
    memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return target;
}

/* --- output --- */

void net_put(struct net_conn *c, const void *data, size_t n)
{
    if (c->out_start == c->out_used)
        c->out_start = c->out_used = 0;
    if (c->out_used + n > c->out_capacity) {
        memmove(c->out, c->out + c->out_start, c->out_used - c->out_start);
        c->out_used -= c->out_start;
        c->out_start = 0;
        if (c->out_used + n > c->out_capacity) {
            c->out_capacity = (c->out_used + n) * 2;
            c->out = realloc(c->out, c->out_capacity);
            if (!c->out)
                die("realloc");
        }
    }
    memcpy(c->out + c->out_used, data, n);
    c->out_used += n;
}

void net_printf(struct net_conn *c, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line) {
        fprintf(stderr, "a command is too long\n");
        exit(EX_USAGE);
    }
    net_put(c, line, (size_t)n);
}

static void listen_for(struct net_conn *c, bool output)
{
    if (c->waits_for_output == output)
        return;
    struct epoll_event e = { .events = EPOLLIN | (output ? (uint32_t)EPOLLOUT : 0), .data.ptr = c };
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &e) != 0)
        die("epoll_ctl");
    c->waits_for_output = output;
}

static void fail(struct net_conn *c, const char *why)
{
    net_close(c);
    c->on->closed(c, why);
}

/* What SSL_get_error makes of N: 0 to wait, -1 when the connection is over. */
static int tls_wait(struct net_conn *c, int n)
{
    int e = SSL_get_error(c->ssl, n);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        listen_for(c, e == SSL_ERROR_WANT_WRITE || c->out_start < c->out_used);
        return 0;
    }
    return -1;
}

static ssize_t write_some(struct net_conn *c)
{
    const char *from = c->out + c->out_start;
    size_t n = c->out_used - c->out_start;
    if (!c->ssl)
        return send(c->fd, from, n, MSG_NOSIGNAL);
    ERR_clear_error();
    int done = SSL_write(c->ssl, from, (int)(n > 1 << 20 ? 1 << 20 : n));
    if (done > 0)
        return done;
    errno = tls_wait(c, done) == 0 ? EAGAIN : EPIPE;
    return -1;
}

void net_flush(struct net_conn *c)
{
    if (c->phase != NET_OPEN)
        return;
    while (c->out_start < c->out_used) {
        ssize_t n = write_some(c);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return; /* reading will tell why, after the peer's last words */
        c->out_start += (size_t)n;
    }
    listen_for(c, c->out_start < c->out_used);
}

/* --- input --- */

/* Hands out the complete lines of the buffer. Stops when the session closes, upgrades or re-opens the connection. */
static void dispatch(struct net_conn *c)
{
    unsigned generation = c->generation;
    size_t at = 0;
    while (at < c->in_used && c->phase == NET_OPEN) {
        if (c->skip) {
            size_t n = c->in_used - at < c->skip ? c->in_used - at : c->skip;
            c->skip -= n;
            at += n;
            continue;
        }
        char *start = c->in + at, *end = memchr(start, '\n', c->in_used - at);
        if (!end)
            break;
        at = (size_t)(end - c->in) + 1;
        if (end > start && end[-1] == '\r')
            end--;
        *end = 0;
        c->on->line(c, start, (size_t)(end - start));
    }
    if (c->phase == NET_CLOSED || c->generation != generation)
        return;
    memmove(c->in, c->in + at, c->in_used - at);
    c->in_used -= at;
    if (c->phase == NET_HANDSHAKE && c->in_used)
        fail(c, "plaintext after the answer to STARTTLS");
    else if (c->in_used == NET_LINE_MAX)
        fail(c, "line too long");
}

static ssize_t read_some(struct net_conn *c)
{
    char *to = c->in + c->in_used;
    size_t room = NET_LINE_MAX - c->in_used;
    if (!c->ssl)
        return recv(c->fd, to, room, 0);
    ERR_clear_error();
    int n = SSL_read(c->ssl, to, (int)room);
    if (n > 0)
        return n;
    if (tls_wait(c, n) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return 0;
}

static void read_all(struct net_conn *c)
{
    while (c->phase == NET_OPEN) {
        ssize_t n = read_some(c);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            fail(c, n == 0 ? "the peer closed the connection" : strerror(errno));
            return;
        }
        c->received += (uint64_t)n;
        c->in_used += (size_t)n;
        dispatch(c);
        net_flush(c);
    }
}

/* --- phases --- */

static void handshake(struct net_conn *c)
{
    ERR_clear_error();
    int n = SSL_connect(c->ssl);
    if (n != 1) {
        if (tls_wait(c, n) != 0)
            fail(c, "the TLS handshake failed");
        return;
    }
    c->phase = NET_OPEN;
    if (c->upgrading)
        c->on->secured(c);
    else
        c->on->open(c);
    net_flush(c);
    if (c->phase == NET_OPEN)
        read_all(c);
}

static void begin_tls(struct net_conn *c, bool upgrading)
{
    c->phase = NET_HANDSHAKE;
    c->upgrading = upgrading;
    c->ssl = SSL_new(c->loop->tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        die("SSL_new");
    SSL_set_connect_state(c->ssl);
}

void net_secure(struct net_conn *c)
{
    begin_tls(c, true);
    ERR_clear_error();
    int n = SSL_connect(c->ssl); /* sends the hello; the answer comes through the loop */
    if (n != 1)
        (void)tls_wait(c, n);
}

static void connected(struct net_conn *c)
{
    int e = 0;
    socklen_t n = sizeof e;
    struct sockaddr_storage peer;
    socklen_t peer_n = sizeof peer;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n);
    if (e) {
        fail(c, strerror(e));
        return;
    }
    if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_n) != 0)
        return; /* an event of this object's previous connection */
    if (c->upgrading) {
        begin_tls(c, false);
        handshake(c);
        return;
    }
    c->phase = NET_OPEN;
    listen_for(c, false);
    c->on->open(c);
    net_flush(c);
}

void net_connect(struct net_conn *c, struct net_loop *loop, const struct net_target *target, const struct net_events *on,
                 void *owner)
{
    int one = 1;
    char *in = c->in ? c->in : malloc(NET_LINE_MAX);
    if (!in)
        die("malloc");
    *c = (struct net_conn){ .loop = loop,
                            .on = on,
                            .owner = owner,
                            .in = in,
                            .out = c->out,
                            .out_capacity = c->out_capacity,
                            .generation = c->generation + 1,
                            .phase = NET_CONNECTING,
                            .upgrading = target->tls == NET_IMPLICIT,
                            .waits_for_output = true };
    c->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        die("epoll_ctl");
    loop->open++;
    if (connect(c->fd, (const struct sockaddr *)&target->address, target->length) != 0 && errno != EINPROGRESS)
        fail(c, strerror(errno));
}

void net_close(struct net_conn *c)
{
    if (c->phase == NET_CLOSED)
        return;
    if (c->ssl && c->phase == NET_OPEN)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->fd = -1;
    c->phase = NET_CLOSED;
    c->in_used = c->out_start = c->out_used = c->skip = 0;
    c->loop->open--;
}

void net_conn_done(struct net_conn *c)
{
    net_close(c);
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->out_capacity = 0;
}

/* --- loop --- */

void net_watch(struct net_loop *loop, int fd)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLHUP, .data.ptr = loop };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        loop->stop = true; /* a plain file or /dev/null is always at its end */
    loop->watch = fd;
}

static void turn(struct net_conn *c)
{
    switch (c->phase) {
    case NET_CLOSED:
        return;
    case NET_CONNECTING:
        connected(c);
        return;
    case NET_HANDSHAKE:
        handshake(c);
        return;
    case NET_OPEN:
        net_flush(c);
        read_all(c);
        return;
    }
}

void net_run(struct net_loop *loop)
{
    struct epoll_event events[256];
    uint64_t last = stats_now();
    while (!loop->stop && loop->open) {
        int n = epoll_wait(loop->epoll, events, 256, 1000);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        uint64_t now = stats_now();
        if (n > 0)
            last = now;
        else if (loop->stall_seconds && now - last > (uint64_t)loop->stall_seconds * 1000000000U) {
            loop->stalled = true;
            return;
        }
        for (int i = 0; i < n; i++) {
            char drop[256];
            if (events[i].data.ptr != loop)
                turn(events[i].data.ptr);
            else if (read(loop->watch, drop, sizeof drop) <= 0)
                loop->stop = true;
        }
    }
}
