/* server_conn: a connection over a socket, from the first byte to the last.
 *
 * Phases: PROXY (from a load balancer: the header that says whose connection it is) -> BEGIN (whether the peer is served) -> HANDSHAKE (implicit TLS, or after CONN_STARTTLS) -> SESSION -> CLOSING (what is queued is sent) -> LINGER (our end is
 * closed, the peer's is awaited). Each phase is a function that works until it must wait or the phase changes.
 *
 * Invariants:
 *   C1  The session is run only in SESSION, with an empty output queue (CONN_DRAIN, CONN_WAIT) or for the first time.
 *   C2  When the connection parks for input the command arena is empty and the buffers are given back.
 *   C3  While output is queued nothing is read: a peer that does not read cannot make us hold more.
 *   C4  A reason to run the session (pending) is kept until the session is run. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/conn_private.h"
#include "run/proxy.h"
#include "run/server_private.h"
#include "run/stream_private.h"
#include "run/tls_private.h"

enum {
    CLOSING_MS = 10000,
    LINGER_MS = 2000,
    ENDED_MS = 500,    /* for the last words to a session that is ended */
    LINGER_TURNS = 64, /* reads of 4 KiB that a lingering peer may still make us do */
    PROXY_MS = 10000,  /* for the whole PROXY header */
    OUTPUT_GRACE_MS = 60000,
    OUTPUT_RATE = 256,    /* bytes per second that a peer must take on average after the grace */
    IDLE_TURNS_MAX = 1000 /* runs for input that read none, before we call the session broken */
};

enum phase { PHASE_PROXY, PHASE_BEGIN, PHASE_HANDSHAKE, PHASE_OPEN, PHASE_SESSION, PHASE_CLOSING, PHASE_LINGER };
enum progress { PROGRESS_WAIT, PROGRESS_OVER, PROGRESS_ON };

struct server_conn {
    struct conn conn; /* first: a struct conn is one of these */
    struct task task;
    struct server *server;
    struct listener *listener;
    const char *reason; /* why it ends, for the log */
    uint64_t linger_in;
    int64_t opened_ms;
    int64_t expiry_ms;                /* of this phase or of the present wait */
    int64_t cut_ms;                   /* when a session that is ended is cut; 0: it is not */
    int64_t output_since_ms;          /* since when output is waiting; 0: none is */
    uint64_t output_base;             /* stream_bytes_out then */
    uint64_t counted_in, counted_out; /* bytes that the metrics know of */
    unsigned pending;                 /* enum conn_why */
    unsigned idle_turns;
    uint8_t phase, next; /* enum phase, enum conn_next */
    bool handshaking;    /* the TLS layer is in place */
    bool for_input;      /* the last wait was for input */
    bool told;           /* CONN_SHUTDOWN was given */
    bool told_end;       /* CONN_ENDED was given */
    bool crowded;        /* accepted only to be told that there is no room */
    bool turned_away;    /* counts in server->turning_away */
    struct buf header;   /* what has come of the PROXY header */
};

static struct server_conn *socket_of(const struct conn *c)
{
    return (struct server_conn *)(uintptr_t)c;
}

static struct server_conn *conn_of_task(struct task *t)
{
    return (struct server_conn *)((char *)t - offsetof(struct server_conn, task));
}

static void socket_wake(struct conn *c)
{
    task_raise(&socket_of(c)->task, TASK_EVENT);
}

static bool socket_is_stopping(const struct conn *c)
{
    return atomic_load(&socket_of(c)->server->stopping);
}

static int socket_binding(const struct conn *c, enum conn_binding kind, struct buf *out)
{
    return layer_tls_binding(stream_layer(c->stream), kind, out);
}

static struct roll *socket_roll(const struct conn *c)
{
    return &socket_of(c)->server->roll;
}

static const char *socket_listener(const struct conn *c)
{
    return socket_of(c)->listener->name;
}

static const struct conn_kind socket_kind = { .wake = socket_wake,
                                              .is_stopping = socket_is_stopping,
                                              .binding = socket_binding,
                                              .roll = socket_roll,
                                              .listener = socket_listener };

static enum progress over(struct server_conn *c, const char *reason)
{
    if (!c->reason)
        c->reason = reason;
    return PROGRESS_OVER;
}

static enum progress enter(struct server_conn *c, enum phase phase, int64_t ms)
{
    c->phase = (uint8_t)phase;
    c->expiry_ms = ms ? clock_mono_ms() + ms : 0;
    return PROGRESS_ON;
}

static enum progress start_closing(struct server_conn *c, const char *reason)
{
    if (!c->reason)
        c->reason = reason;
    int64_t left = c->cut_ms ? c->cut_ms - clock_mono_ms() : CLOSING_MS;
    return enter(c, PHASE_CLOSING, left > 0 ? left : 1);
}

/* --- the beginning --- */

static bool is_from_proxy(const struct server_conn *c)
{
    const struct access *a = c->listener->settings.access;
    return a && c->conn.has_ip && ip_networks_have(a->proxies, &c->conn.ip);
}

static enum progress proxy_failed(struct server_conn *c, const char *why)
{
    log_warning("proxy-header-bad", LOG_STR("session", conn_id(&c->conn)), LOG_STR("proxy", conn_peer_address(&c->conn)),
                LOG_Z("listener", c->listener->name), LOG_Z("reason", why));
    return over(c, "proxy-header-bad");
}

static enum progress proxy_take(struct server_conn *c)
{
    struct proxy_header h;
    struct error e = ERROR_NONE;
    if (proxy_header_parse(buf_str(&c->header), &h, &e))
        return proxy_failed(c, e.text);
    buf_done(&c->header);
    if (!h.is_own) {
        log_debug("proxy", LOG_STR("session", conn_id(&c->conn)), LOG_STR("proxy", conn_peer_address(&c->conn)),
                  LOG_NUM("port", c->conn.peer_port));
        conn_set_via(&c->conn);
        conn_set_peer(&c->conn, &h.peer, h.peer_port);
        conn_set_local(&c->conn, &h.local, h.local_port);
    }
    return enter(c, PHASE_BEGIN, 0);
}

/* Reads the header and no byte beyond: what follows may be TLS. */
static enum progress phase_proxy(struct server_conn *c, unsigned flags, struct task_wait *w)
{
    if (flags & TASK_TIMEOUT)
        return proxy_failed(c, "it took too long");
    if (flags & TASK_SHUTDOWN)
        return over(c, "shutdown");
    for (;;) {
        size_t least = 0;
        int r = proxy_header_length(buf_str(&c->header), &least);
        if (r == 0)
            return proxy_take(c);
        if (r != ERR_AGAIN)
            return proxy_failed(c, r == ERR_LIMIT ? "it is too long" : "the connection does not begin with one");
        char *to = buf_reserve(&c->header, least - c->header.n);
        require(to);
        ssize_t n = recv(c->task.fd, to, least - c->header.n, MSG_DONTWAIT);
        if (n > 0) {
            buf_commit(&c->header, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            *w = (struct task_wait){ EPOLLIN, c->expiry_ms };
            return PROGRESS_WAIT;
        } else if (n == 0 || errno != EINTR) {
            return over(c, "peer");
        }
    }
}

/* At most one line a second: whoever opens connections without end shall not fill the disk as well. */
static void log_refusal(struct server *s, str peer, const char *listener, str reason)
{
    int64_t now = clock_mono_ms(), last = atomic_load(&s->refusal_logged_ms);
    if ((last == 0 || now - last >= 1000) && atomic_compare_exchange_strong(&s->refusal_logged_ms, &last, now))
        log_warning("conn-refused", LOG_STR("peer", peer), LOG_Z("listener", listener), LOG_STR("reason", reason),
                    LOG_NUM("so-far", atomic_load(&s->refused)));
}

/* RFC 8446 section 6: a fatal alert, "access denied", that needs no handshake. */
static enum progress alert(struct server_conn *c)
{
    static const unsigned char bytes[] = { 21, 3, 3, 0, 2, 2, 49 };
    ssize_t n = send(c->task.fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == (ssize_t)sizeof bytes ? start_closing(c, "refused") : over(c, "refused");
}

/* Turns away whom the configuration does not serve; the session says why. */
static enum progress phase_begin(struct server_conn *c)
{
    const struct listener_settings *l = &c->listener->settings;
    str why = { 0 };
    conn_admit(&c->conn, l->access ? access_ref(l->access) : NULL, c->server->settings.limits, c->crowded);
    log_debug("conn-open", LOG_STR("session", conn_id(&c->conn)), LOG_STR("peer", conn_peer_address(&c->conn)),
              LOG_NUM("port", c->conn.peer_port), LOG_Z("listener", c->listener->name));
    if (conn_refusal(&c->conn, &why)) {
        c->turned_away = server_turn_away(c->server);
        metric_add(c->listener->refused, 1);
        log_refusal(c->server, conn_peer_address(&c->conn), c->listener->name, why);
        arena_reset(&c->conn.arena);
        if (!c->turned_away)
            return over(c, "refused");
        if (l->implicit_tls && !server_spends_handshake(c->server))
            return alert(c);
    } else {
        metric_add(c->listener->accepted, 1);
    }
    return l->implicit_tls ? enter(c, PHASE_HANDSHAKE, l->handshake_ms) : enter(c, PHASE_OPEN, 0);
}

/* --- handshake --- */

static enum progress handshake_failed(struct server_conn *c, const char *why)
{
    metric_add(c->listener->tls_failed, 1);
    conn_tell(&c->conn, (const struct log_field[]){ LOG_Z("failure", why), { .key = NULL } });
    return over(c, "tls-failed");
}

/* Puts the TLS layer in. With implicit TLS only once the peer has said something: a silent one costs no SSL. */
static bool handshake_begin(struct server_conn *c)
{
    struct tls_context *t = c->listener->settings.tls ? tls_holder_get(c->listener->settings.tls) : NULL;
    if (!t)
        return false;
    const struct listener_settings *settings = &c->listener->settings;
    const struct tls_demand demand = { settings->client_cert, settings->tls13_only, settings->alpn };
    struct layer *old = stream_swap_layer(c->conn.stream, layer_tls_new(t, c->task.fd, &demand));
    old->ops->close(old);
    tls_context_unref(t);
    c->handshaking = true;
    return true;
}

static enum progress phase_handshake(struct server_conn *c, unsigned flags, struct task_wait *w)
{
    if (flags & TASK_TIMEOUT)
        return handshake_failed(c, "the peer took too long");
    if (flags & TASK_SHUTDOWN)
        return over(c, "shutdown");
    *w = (struct task_wait){ EPOLLIN, c->expiry_ms };
    if (!c->handshaking) {
        if (!(flags & TASK_IO))
            return PROGRESS_WAIT;
        if (!handshake_begin(c))
            return handshake_failed(c, "no certificate is configured");
    }
    struct error e = ERROR_NONE;
    struct layer *l = stream_layer(c->conn.stream);
    int r = layer_tls_handshake(l, &e);
    if (r == ERR_AGAIN) {
        w->events = layer_tls_wants(l);
        return PROGRESS_WAIT;
    }
    if (r < 0)
        return handshake_failed(c, e.code ? e.text : "the peer left");
    struct tls_info info;
    layer_tls_info(l, &info);
    if (c->listener->settings.client_cert == TLS_CLIENT_REQUIRED && !info.client_verified)
        return handshake_failed(c, "the client's certificate is over or revoked since its session began");
    conn_set_tls(&c->conn, &info);
    metric_add(metric_get(METRIC_TLS, "version", info.version.p, "cipher", info.cipher.p, NULL), 1);
    c->handshaking = false;
    if (!c->conn.session)
        return enter(c, PHASE_OPEN, 0);
    c->pending |= CONN_SECURED;
    c->next = CONN_WAIT;
    return enter(c, PHASE_SESSION, 0);
}

/* --- session --- */

static enum progress phase_open(struct server_conn *c)
{
    c->next = CONN_WAIT;
    c->conn.session = c->conn.ops->open(&c->conn, c->listener->settings.ctx);
    if (!c->conn.session)
        return start_closing(c, "refused");
    c->pending |= CONN_START;
    return enter(c, PHASE_SESSION, 0);
}

/* When the peer will have been too slow if it takes nothing from now on. */
static int64_t output_limit(const struct server_conn *c)
{
    return conn_rate_limit(c->output_since_ms, stream_bytes_out(c->conn.stream) - c->output_base, OUTPUT_RATE, OUTPUT_GRACE_MS);
}

/* The same for a peer that sends a body under conn_min_rate. 0: none is asked for. */
static int64_t input_limit(const struct server_conn *c)
{
    if (!c->conn.min_rate)
        return 0;
    return conn_body_limit(c->conn.rate_since_ms, stream_bytes_in(c->conn.stream) - c->conn.rate_base, c->conn.min_rate,
                           c->conn.by_hand);
}

/* Sends what is queued. PROGRESS_ON: it is empty. */
static enum progress flush(struct server_conn *c, struct task_wait *w)
{
    struct stream *s = c->conn.stream;
    /* The last words go with the end of the connection. */
    stream_layer(s)->more = c->next == CONN_CLOSE || c->phase == PHASE_CLOSING;
    int r = stream_flush(s);
    if (r < 0 && r != ERR_AGAIN)
        return over(c, "broken");
    if (r == 0) {
        c->output_since_ms = 0;
        return PROGRESS_ON;
    }
    int64_t now = clock_mono_ms();
    if (!c->output_since_ms) {
        c->output_since_ms = now;
        c->output_base = stream_bytes_out(s);
    }
    int64_t limit = output_limit(c);
    if (now >= limit)
        return over(c, "reads-too-slowly");
    if (c->cut_ms && now >= c->cut_ms)
        return over(c, "ended");
    if (c->cut_ms && c->cut_ms < limit)
        limit = c->cut_ms;
    w->events = c->conn.tls.active ? layer_tls_wants(stream_layer(s)) : EPOLLOUT;
    w->expiry_ms = limit;
    c->for_input = false;
    return PROGRESS_WAIT;
}

/* Parks for input (C2). */
static enum progress park(struct server_conn *c, struct task_wait *w)
{
    struct stream *s = c->conn.stream;
    stream_idle(s);
    require(c->conn.arena.used == 0);
    int64_t limit = input_limit(c);
    c->expiry_ms = c->conn.deadline_ms ? clock_mono_ms() + c->conn.deadline_ms : 0;
    if (limit && (!c->expiry_ms || limit < c->expiry_ms))
        c->expiry_ms = limit;
    w->events = EPOLLIN;
    if (c->conn.tls.active)
        w->events |= layer_tls_wants(stream_layer(s)) & EPOLLOUT;
    w->expiry_ms = c->expiry_ms;
    c->for_input = true;
    return PROGRESS_WAIT;
}

/* CONN_STARTTLS: RFC 3207 section 4.2, RFC 9051 section 6.2.1, RFC 2595 section 4. What came in plain text before the handshake
 * must not be taken for what the peer says under its protection. */
static enum progress start_tls(struct server_conn *c)
{
    if (!conn_can_starttls(&c->conn)) {
        log_error("starttls-impossible", LOG_STR("session", conn_id(&c->conn)), LOG_Z("listener", c->listener->name));
        return over(c, "starttls-impossible");
    }
    if (stream_peek(c->conn.stream).n) {
        log_warning("starttls-injection", LOG_STR("session", conn_id(&c->conn)), LOG_STR("peer", conn_peer_address(&c->conn)));
        return over(c, "starttls-injection");
    }
    arena_reset(&c->conn.arena);
    stream_idle(c->conn.stream);
    (void)enter(c, PHASE_HANDSHAKE, c->listener->settings.handshake_ms);
    return handshake_begin(c) ? PROGRESS_ON : handshake_failed(c, "no certificate is configured");
}

/* Reasons to run the session now; the queue is empty. */
static unsigned reasons(struct server_conn *c, unsigned flags)
{
    unsigned why = c->pending;
    struct stream *s = c->conn.stream;
    if (c->next == CONN_DRAIN)
        return why | CONN_DRAINED;
    if (stream_has_input(s) || (flags & TASK_IO && c->for_input))
        why |= CONN_INPUT;
    if (flags & TASK_TIMEOUT && c->for_input) {
        why |= CONN_TIMEOUT;
        /* A new count, or a session that goes on would be told again at once. */
        int64_t limit = input_limit(c);
        if (limit && limit <= clock_mono_ms())
            (c->conn.by_hand ? conn_min_rate_by_hand : conn_min_rate)(&c->conn, c->conn.min_rate);
    }
    return why;
}

/* Whether the session is called for input again and again and takes none: it would burn a processor. */
static bool is_spinning(struct server_conn *c, unsigned why, uint64_t bytes_in, size_t unread)
{
    struct stream *s = c->conn.stream;
    if (why != CONN_INPUT || c->next != CONN_WAIT || stream_bytes_in(s) != bytes_in || stream_peek(s).n != unread)
        c->idle_turns = 0;
    else
        c->idle_turns++;
    if (c->idle_turns < IDLE_TURNS_MAX)
        return false;
    log_error("session-spins", LOG_STR("session", conn_id(&c->conn)), LOG_Z("protocol", c->conn.ops->name));
    return true;
}

static enum progress phase_session(struct server_conn *c, unsigned flags, struct task_wait *w)
{
    enum progress p = flush(c, w);
    if (p != PROGRESS_ON)
        return p;
    if (c->next == CONN_STARTTLS)
        return start_tls(c);
    if (c->next == CONN_CLOSE)
        return start_closing(c, c->cut_ms ? "ended" : "session");
    if (c->next == CONN_WAIT)
        arena_reset(&c->conn.arena);
    struct stream *s = c->conn.stream;
    unsigned why = reasons(c, flags);
    if (!why)
        return stream_is_ended(s) ? start_closing(c, "peer") : park(c, w);
    uint64_t bytes_in = stream_bytes_in(s);
    size_t unread = stream_peek(s).n;
    c->pending = 0;
    c->for_input = false;
    int64_t began_us = clock_mono_us();
    c->next = (uint8_t)c->conn.ops->run(&c->conn, c->conn.session, why);
    metric_observe(c->listener->turns, clock_mono_us() - began_us);
    if (why & CONN_ENDED)
        c->next = CONN_CLOSE;
    return is_spinning(c, why, bytes_in, unread) ? over(c, "session-spins") : PROGRESS_ON;
}

/* --- the end --- */

static enum progress phase_closing(struct server_conn *c, unsigned flags, struct task_wait *w)
{
    if (clock_mono_ms() >= c->expiry_ms)
        return over(c, "session");
    enum progress p = flush(c, w);
    if (p == PROGRESS_WAIT && w->expiry_ms > c->expiry_ms)
        w->expiry_ms = c->expiry_ms;
    if (p != PROGRESS_ON)
        return p;
    conn_close_session(&c->conn); /* the queue is empty: no source is left that may use what it holds */
    conn_leave(&c->conn);         /* a client that comes again at once is not held up by its former connection */
    arena_reset(&c->conn.arena);
    if (c->conn.tls.active)
        layer_tls_shutdown(stream_layer(c->conn.stream));
    if (shutdown(c->task.fd, SHUT_WR) != 0)
        return over(c, "broken");
    /* Closed now, unread input would make the kernel send RST, and the peer might lose our last words. */
    return enter(c, PHASE_LINGER, LINGER_MS);
}

static enum progress phase_linger(struct server_conn *c, unsigned flags, struct task_wait *w)
{
    char junk[4096];
    if (clock_mono_ms() >= c->expiry_ms)
        return PROGRESS_OVER;
    while (c->linger_in < LINGER_TURNS * sizeof junk) {
        ssize_t n = recv(c->task.fd, junk, sizeof junk, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            *w = (struct task_wait){ EPOLLIN, c->expiry_ms };
            return PROGRESS_WAIT;
        }
        if (n == 0 || (n < 0 && errno != EINTR))
            return PROGRESS_OVER;
        if (n > 0)
            c->linger_in += (size_t)n;
    }
    return PROGRESS_OVER;
}

/* The one line at level info that a session gets. */
static void log_end(struct server_conn *c)
{
    const struct conn *conn = &c->conn;
    const struct stream *s = conn->stream;
    const struct log_field fields[] = { LOG_STR("session", conn_id(conn)),
                                        LOG_STR("peer", conn_peer_address(conn)),
                                        LOG_NUM("port", conn->peer_port),
                                        LOG_Z("listener", c->listener->name),
                                        LOG_Z("end", c->reason ? c->reason : "killed"),
                                        LOG_NUM("ms", clock_mono_ms() - c->opened_ms),
                                        LOG_NUM("in", stream_bytes_in(s)),
                                        LOG_NUM("out", stream_bytes_out(s)),
                                        LOG_STR("tls", conn->tls.active ? conn->tls.version : STR("none")),
                                        { .key = conn->via[0] ? "via" : NULL, .text = str_from_z(conn->via) },
                                        { .key = NULL } };
    conn_log_end(conn, "session", fields);
}

static void conn_task_end(struct task *t)
{
    struct server_conn *c = conn_of_task(t);
    conn_leave(&c->conn);
    stream_abort(c->conn.stream);
    conn_close_session(&c->conn);
    log_end(c);
    conn_done(&c->conn);
    buf_done(&c->header);
    (void)close(t->fd);
    if (c->turned_away)
        server_turned_away(c->server);
    server_leave(c->server);
    listener_unref(c->listener);
    free(c);
}

/* --- the task --- */

static void count_bytes(struct server_conn *c)
{
    uint64_t in = stream_bytes_in(c->conn.stream), out = stream_bytes_out(c->conn.stream);
    if (in != c->counted_in)
        metric_add(c->listener->bytes_in, in - c->counted_in);
    if (out != c->counted_out)
        metric_add(c->listener->bytes_out, out - c->counted_out);
    c->counted_in = in;
    c->counted_out = out;
}

static bool conn_task_step(struct task *t, unsigned flags, struct task_wait *w)
{
    struct server_conn *c = conn_of_task(t);
    if (flags & TASK_KILL)
        return false;
    /* The expiry may be of an earlier wait. */
    if (flags & TASK_TIMEOUT && (!c->expiry_ms || clock_mono_ms() < c->expiry_ms))
        flags &= ~(unsigned)TASK_TIMEOUT;
    if (flags & TASK_EVENT)
        c->pending |= CONN_EVENT;
    if (!c->told && atomic_load(&c->server->stopping)) {
        c->told = true;
        c->pending |= CONN_SHUTDOWN;
        flags |= TASK_SHUTDOWN;
    }
    if (!c->told_end && conn_is_ended(&c->conn)) {
        c->told_end = true;
        c->pending |= CONN_ENDED;
        c->cut_ms = clock_mono_ms() + ENDED_MS;
    }
    int64_t began_us = clock_mono_us();
    for (;;) {
        enum progress p = PROGRESS_OVER;
        switch ((enum phase)c->phase) {
        case PHASE_PROXY:
            p = phase_proxy(c, flags, w);
            break;
        case PHASE_BEGIN:
            p = phase_begin(c);
            break;
        case PHASE_HANDSHAKE:
            p = phase_handshake(c, flags, w);
            break;
        case PHASE_OPEN:
            p = phase_open(c);
            break;
        case PHASE_SESSION:
            p = phase_session(c, flags, w);
            break;
        case PHASE_CLOSING:
            p = phase_closing(c, flags, w);
            break;
        case PHASE_LINGER:
            p = phase_linger(c, flags, w);
            break;
        }
        if (p != PROGRESS_ON) {
            count_bytes(c);
            return p == PROGRESS_WAIT;
        }
        flags &= TASK_SHUTDOWN;
        /* A long answer to a peer that takes it as fast as it comes, or a long search, is no reason to let others wait. */
        if (c->phase == PHASE_SESSION && clock_mono_us() - began_us > TASK_TURN_US) {
            count_bytes(c);
            w->again = true;
            return true;
        }
    }
}

static const struct task_kind conn_task_kind = { "connection", conn_task_step, conn_task_end };

/* The address of one end and its port; false for a socket that is not of the internet. */
static bool address_of(const struct sockaddr_storage *sa, struct ip_address *ret, uint16_t *ret_port)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)sa;
    if (sa->ss_family == AF_INET) {
        *ret = ip_address_from_4(&four->sin_addr);
        *ret_port = ntohs(four->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        *ret = ip_address_from_16(&six->sin6_addr);
        *ret_port = ntohs(six->sin6_port);
    } else {
        return false;
    }
    return true;
}

static void take_addresses(struct conn *c, int fd)
{
    struct sockaddr_storage peer, local;
    struct ip_address address;
    socklen_t n = sizeof peer;
    uint16_t port;
    if (getpeername(fd, (struct sockaddr *)&peer, &n) == 0 && address_of(&peer, &address, &port))
        conn_set_peer(c, &address, port);
    n = sizeof local;
    if (getsockname(fd, (struct sockaddr *)&local, &n) == 0 && address_of(&local, &address, &port))
        conn_set_local(c, &address, port);
}

static bool has_certificate(const struct listener *l)
{
    struct tls_context *t = l->settings.tls ? tls_holder_get(l->settings.tls) : NULL;
    tls_context_unref(t);
    return t != NULL;
}

int server_conn_start(struct server *s, int fd, struct listener *l,
                      bool (*start)(struct pool *p, struct task *t, const struct task_kind *kind, int fd))
{
    enum server_room room = server_admit(s, l->settings.reserved);
    if (room == SERVER_FULL) {
        metric_add(l->refused, 1);
        log_refusal(s, STR(""), l->name, STR("too many connections"));
        (void)close(fd);
        return ERR_LIMIT;
    }
    struct server_conn *c = calloc(1, sizeof *c);
    if (!c)
        panic("out of memory for a connection");
    conn_init(&c->conn, &socket_kind, l->settings.ops, stream_new(layer_plain_new(fd)));
    take_addresses(&c->conn, fd);
    c->conn.can_starttls = !l->settings.implicit_tls && has_certificate(l);
    c->server = s;
    c->listener = listener_ref(l);
    c->crowded = room == SERVER_CROWDED;
    c->opened_ms = clock_mono_ms();
    buf_init(&c->header, PROXY_HEADER_MAX);
    (void)enter(c, is_from_proxy(c) ? PHASE_PROXY : PHASE_BEGIN, is_from_proxy(c) ? PROXY_MS : 0);
    if (start(s->pool, &c->task, &conn_task_kind, fd))
        return 0;
    log_refusal(s, conn_peer_address(&c->conn), l->name, STR("too many connections"));
    conn_done(&c->conn);
    (void)close(fd);
    server_leave(s);
    listener_unref(c->listener);
    free(c);
    return ERR_LIMIT;
}
