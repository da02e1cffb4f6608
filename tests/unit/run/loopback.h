/* loopback: a server in a thread, a session that echoes, and blocking clients, for the tests of the runtime. */
#ifndef VALISE_TEST_RUN_LOOPBACK_H
#define VALISE_TEST_RUN_LOOPBACK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "run/server.h"
#include "../check.h"

/* --- the session --- */

/* Commands, one a line: "BIG n" (n bytes from a source), "MANY n" (n lines by CONN_DRAIN), "DEADLINE ms", "TLS" (STARTTLS),
 * "INFO" (what is known of TLS), "CLIENT" (of its certificate), "EXPORTER", "ENDPOINT" (channel bindings), "PEER" (both addresses), "BLOCK" (meets the others that block), "WAKE" (reports the counter at
 * each event), "ACCOUNT c" (logs in), "STUBBORN" (ignores shutdown), "BUSY" (works until another says "FREE"), "QUIT". Anything else is echoed. */
struct echo {
    struct conn *conn;
    unsigned many;
    bool wakes, stubborn, busy;
};

/* What a test shares with its sessions. */
struct echo_world {
    pthread_barrier_t *barrier;
    pthread_mutex_t lock;   /* guards woken */
    struct echo *woken[64]; /* sessions that said WAKE */
    size_t woken_n;
    atomic_uint counter;  /* what WAKE reports */
    atomic_int open;      /* sessions */
    atomic_ullong pulled; /* bytes of all sources */
    atomic_int sources;
};

struct echo_source {
    struct source source;
    struct echo_world *world;
    uint64_t at;
};

static inline char echo_byte(uint64_t at)
{
    return (char)('a' + (at ^ at >> 9) % 26);
}

static int64_t echo_pull(struct source *src, char *p, size_t n)
{
    struct echo_source *x = (struct echo_source *)src;
    for (size_t i = 0; i < n; i++)
        p[i] = echo_byte(x->at + i);
    x->at += n;
    atomic_fetch_add(&x->world->pulled, n);
    return (int64_t)n;
}

static void echo_source_close(struct source *src)
{
    struct echo_source *x = (struct echo_source *)src;
    atomic_fetch_sub(&x->world->sources, 1);
    free(x);
}

struct echo_session {
    struct echo echo;
    struct echo_world *world;
};

static void *echo_open(struct conn *c, void *ctx)
{
    struct echo_session *s = calloc(1, sizeof *s);
    s->echo.conn = c;
    s->world = ctx;
    atomic_fetch_add(&s->world->open, 1);
    return s;
}

static enum conn_next echo_many(struct echo *e, struct stream *s)
{
    while (e->many && !stream_is_full(s))
        stream_printf(s, "line %u\r\n", e->many--);
    return e->many ? CONN_DRAIN : CONN_WAIT;
}

static void echo_info(struct conn *c)
{
    const struct tls_info *t = conn_tls(c);
    stream_printf(conn_stream(c), "tls=%d version=%.*s cipher=%.*s bits=%d sni=%.*s alpn=%.*s resumed=%d\r\n", t->active,
                  STR_ARG(t->version), STR_ARG(t->cipher), t->bits, STR_ARG(t->sni), STR_ARG(t->alpn), t->resumed);
}

/* The channel binding of KIND in hex. */
static void echo_binding(struct conn *c, enum conn_binding kind)
{
    struct buf b = BUF_INIT(64);
    int r = conn_channel_binding(c, kind, &b);
    if (r)
        stream_write(conn_stream(c), str_from_z(err_name(r)));
    for (size_t i = 0; r == 0 && i < b.n; i++)
        stream_printf(conn_stream(c), "%02x", (unsigned char)b.p[i]);
    stream_write(conn_stream(c), STR("\r\n"));
    buf_done(&b);
}

static void echo_client(struct conn *c)
{
    const struct tls_info *t = conn_tls(c);
    struct stream *s = conn_stream(c);
    stream_printf(s, "certificate=%d verified=%d subject=%.*s serial=%.*s fingerprint=%.*s addresses=", t->client_certificate,
                  t->client_verified, STR_ARG(t->client_subject), STR_ARG(t->client_serial), STR_ARG(t->client_fingerprint));
    for (size_t i = 0; i < t->client_address_n; i++)
        stream_printf(s, "%s%.*s", i ? "," : "", STR_ARG(t->client_addresses[i]));
    stream_printf(s, " resumed=%d\r\n", t->resumed);
}

static void echo_big(struct echo_session *e, struct stream *s, uint64_t n)
{
    struct echo_source *x = calloc(1, sizeof *x);
    *x = (struct echo_source){ { echo_pull, echo_source_close }, e->world, 0 };
    atomic_fetch_add(&e->world->sources, 1);
    stream_write_source(s, &x->source, n);
    stream_write(s, STR("\r\nend\r\n"));
}

static enum conn_next echo_command(struct conn *c, struct echo_session *e, str line)
{
    struct stream *s = conn_stream(c);
    uint64_t n;
    (void)!arena_alloc(conn_arena(c), 100);
    if (str_eq(line, STR("TLS"))) {
        stream_printf(s, conn_can_starttls(c) ? "go\r\n" : "454 no\r\n");
        return conn_can_starttls(c) ? CONN_STARTTLS : CONN_WAIT;
    }
    if (str_eq(line, STR("QUIT"))) {
        stream_write(s, STR("bye\r\n"));
        return CONN_CLOSE;
    }
    if (str_eq(line, STR("INFO"))) {
        echo_info(c);
    } else if (str_eq(line, STR("EXPORTER"))) {
        echo_binding(c, CONN_BINDING_TLS_EXPORTER);
    } else if (str_eq(line, STR("ENDPOINT"))) {
        echo_binding(c, CONN_BINDING_TLS_SERVER_END_POINT);
    } else if (str_eq(line, STR("CLIENT"))) {
        echo_client(c);
    } else if (str_eq(line, STR("PEER"))) {
        stream_printf(s, "%.*s %u %.*s %u\r\n", STR_ARG(conn_peer_address(c)), conn_peer_port(c), STR_ARG(conn_local_address(c)),
                      conn_local_port(c));
    } else if (str_eq(line, STR("BLOCK"))) {
        pthread_barrier_wait(e->world->barrier);
        stream_write(s, STR("met\r\n"));
    } else if (str_starts(line, STR("ACCOUNT ")) && line.n > 8) {
        str why = { 0 };
        const struct conn_login login = { .account = { (uint8_t)line.p[8] }, .how = STR("TEST") };
        stream_printf(s, "%s\r\n", conn_log_in(c, &login, &why) ? "in" : "out");
    } else if (str_eq(line, STR("BUSY"))) {
        e->echo.busy = true;
        return CONN_DRAIN;
    } else if (str_eq(line, STR("FREE"))) {
        atomic_fetch_add(&e->world->counter, 1);
    } else if (str_eq(line, STR("STUBBORN"))) {
        e->echo.stubborn = true;
    } else if (str_eq(line, STR("WAKE"))) {
        e->echo.wakes = true;
        pthread_mutex_lock(&e->world->lock);
        size_t i = 0;
        while (i < e->world->woken_n && e->world->woken[i])
            i++;
        if (i < sizeof e->world->woken / sizeof e->world->woken[0]) {
            e->world->woken[i] = &e->echo;
            e->world->woken_n += i == e->world->woken_n;
        }
        pthread_mutex_unlock(&e->world->lock);
    } else if (str_starts(line, STR("BIG ")) && str_to_u64(str_from(line, 4), UINT64_MAX, &n)) {
        echo_big(e, s, n);
    } else if (str_starts(line, STR("MANY ")) && str_to_u64(str_from(line, 5), 10000000, &n)) {
        e->echo.many = (unsigned)n;
        return echo_many(&e->echo, s);
    } else if (str_starts(line, STR("DEADLINE ")) && str_to_u64(str_from(line, 9), 10000000, &n)) {
        conn_deadline(c, (int64_t)n);
    } else {
        stream_printf(s, "%.*s\r\n", STR_ARG(line));
    }
    return CONN_WAIT;
}

static enum conn_next echo_run(struct conn *c, void *session, unsigned why)
{
    struct echo_session *e = session;
    struct stream *s = conn_stream(c);
    str refused = { 0 };
    if (why & CONN_START && conn_refusal(c, &refused)) {
        stream_printf(s, "refused %.*s\r\n", STR_ARG(refused));
        return CONN_CLOSE;
    }
    if (why & CONN_START)
        stream_write(s, STR("hello\r\n"));
    if (why & CONN_SECURED)
        stream_write(s, STR("secured\r\n"));
    if (why & CONN_EVENT && e->echo.wakes)
        stream_printf(s, "count %u\r\n", atomic_load(&e->world->counter));
    if (why & CONN_TIMEOUT) {
        stream_write(s, STR("timeout\r\n"));
        return CONN_CLOSE;
    }
    if (why & CONN_ENDED)
        stream_write(s, STR("ended\r\n")); /* and goes on as if nothing were */
    if (why & CONN_SHUTDOWN && !e->echo.stubborn) {
        stream_write(s, STR("shutdown\r\n"));
        return CONN_CLOSE;
    }
    if (why & CONN_DRAINED && echo_many(&e->echo, s) == CONN_DRAIN)
        return CONN_DRAIN;
    if (why & CONN_DRAINED && e->echo.busy && !atomic_load(&e->world->counter)) {
        (void)poll(NULL, 0, 1);
        return CONN_DRAIN;
    }
    for (;;) {
        str line;
        int r = stream_line(s, 100, &line);
        if (r == ERR_AGAIN)
            return CONN_WAIT;
        if (r == ERR_EOF || r == ERR_IO)
            return CONN_CLOSE;
        if (r < 0) {
            stream_printf(s, "500 %s\r\n", err_name(r));
            continue;
        }
        enum conn_next next = echo_command(c, e, line);
        if (next != CONN_WAIT)
            return next;
        if (stream_is_full(s))
            return CONN_DRAIN;
    }
}

static void echo_close(struct conn *c, void *session)
{
    struct echo_session *e = session;
    pthread_mutex_lock(&e->world->lock);
    for (size_t i = 0; i < e->world->woken_n; i++)
        if (e->world->woken[i] == &e->echo)
            e->world->woken[i] = NULL;
    pthread_mutex_unlock(&e->world->lock);
    atomic_fetch_sub(&e->world->open, 1);
    free(e);
}

static const struct conn_ops echo_ops = { "echo", echo_open, echo_run, echo_close };

/* --- the server --- */

struct loopback {
    struct server *server;
    pthread_t thread;
    uint16_t port;
    struct echo_world world;
};

static void *loopback_main(void *arg)
{
    server_run(arg);
    return NULL;
}

static int loopback_listen(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* For listeners made from now on; 0: the default. */
static int64_t loopback_handshake_ms;
static enum tls_client_cert loopback_client_cert;
static bool loopback_tls13_only;
static const struct access *loopback_access;

static inline void loopback_init(struct loopback *l, const struct server_settings *settings, struct tls_holder *tls,
                                 bool implicit)
{
    *l = (struct loopback){ 0 };
    log_set_level(LOG_ERROR);
    pthread_mutex_init(&l->world.lock, NULL);
    l->server = server_new(settings);
    int fd = loopback_listen(&l->port);
    assert_int_equal(server_listen(l->server, fd,
                                   &(struct listener_settings){ .name = "test",
                                                                .ops = &echo_ops,
                                                                .ctx = &l->world,
                                                                .access = loopback_access,
                                                                .tls = tls,
                                                                .implicit_tls = implicit,
                                                                .handshake_ms = loopback_handshake_ms,
                                                                .client_cert = loopback_client_cert,
                                                                .tls13_only = loopback_tls13_only }),
                     0);
}

static inline void loopback_run(struct loopback *l)
{
    assert_int_equal(pthread_create(&l->thread, NULL, loopback_main, l->server), 0);
}

static inline void loopback_start(struct loopback *l, const struct server_settings *settings, struct tls_holder *tls,
                                  bool implicit)
{
    loopback_init(l, settings, tls, implicit);
    loopback_run(l);
}

/* Stops and frees the server; nothing may be left of any session. */
static inline void loopback_stop(struct loopback *l, int64_t grace_ms)
{
    server_stop(l->server, grace_ms);
    assert_int_equal(pthread_join(l->thread, NULL), 0);
    assert_int_equal(atomic_load(&l->world.open), 0);
    assert_int_equal(atomic_load(&l->world.sources), 0);
    assert_int_equal(server_counts(l->server).connections, 0);
    assert_int_equal(server_counts(l->server).workers, 0);
    server_free(l->server);
    pthread_mutex_destroy(&l->world.lock);
}

/* --- clients: blocking, give up after 60 s so that a lost wakeup fails and does not hang --- */

static inline int client_connect(const struct loopback *l)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(l->port) };
    struct timeval limit = { .tv_sec = 60 };
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    return fd;
}

static inline void client_send(int fd, str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        assert_true(n > 0);
        s = str_from(s, (size_t)n);
    }
}

static inline void client_expect(int fd, str want)
{
    char got[4096];
    size_t n = 0;
    require(want.n <= sizeof got);
    while (n < want.n) {
        ssize_t r = recv(fd, got + n, want.n - n, 0);
        if (r <= 0)
            fail_msg("expected \"%.*s\", got \"%.*s\" and then %zd, errno %d", STR_ARG(want), (int)n, got, r, errno);
        n += (size_t)r;
        if (memcmp(got, want.p, n) != 0)
            fail_msg("expected \"%.*s\", got \"%.*s\"", STR_ARG(want), (int)n, got);
    }
}

static inline void client_expect_eof(int fd)
{
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0);
}

static inline void client_read_big(int fd, uint64_t n)
{
    static char p[65536];
    uint64_t at = 0;
    while (at < n) {
        ssize_t r = recv(fd, p, n - at < sizeof p ? (size_t)(n - at) : sizeof p, 0);
        assert_true(r > 0);
        for (ssize_t i = 0; i < r; i++)
            if (p[i] != echo_byte(at + (uint64_t)i))
                fail_msg("wrong byte at %llu", (unsigned long long)at + (unsigned long long)i);
        at += (uint64_t)r;
    }
    client_expect(fd, STR("\r\nend\r\n"));
}

/* Waits for what other threads bring about; the caller's limit is the test's timeout. */
#define eventually(cond)                                                                                                         \
    do {                                                                                                                         \
        for (int tries_ = 0; !(cond); tries_++) {                                                                                \
            if (tries_ > 60000)                                                                                                  \
                fail_msg("never: %s", #cond);                                                                                    \
            (void)poll(NULL, 0, 1);                                                                                              \
        }                                                                                                                        \
    } while (0)

#endif
