/* conn_memory: a connection over memory for tests and fuzzing; see conn.h.
 *
 * It does by hand what the server does with epoll: flush when the session waits, run it again while input is left, give buffers
 * and the command arena back when it parks. */
#include "run/conn_private.h"
#include "run/stream_private.h"

struct conn_memory {
    struct conn conn; /* first: a struct conn is one of these */
    struct layer *layer;
    enum conn_next next; /* what the session waits for */
    _Atomic bool woken;
    bool stopping, closed, refused;
    unsigned stuck; /* calls for input that read nothing, in a row */
};

static struct conn_memory *memory_of(const struct conn *c)
{
    return (struct conn_memory *)(uintptr_t)c;
}

static void memory_wake(struct conn *c)
{
    atomic_store(&memory_of(c)->woken, true);
}

static bool memory_is_stopping(const struct conn *c)
{
    return memory_of(c)->stopping;
}

static int memory_binding(const struct conn *c, enum conn_binding kind, struct buf *out)
{
    buf_add(out, kind == CONN_BINDING_TLS_EXPORTER ? STR("EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE")
                                                   : STR("SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"));
    return buf_error(out);
}

static const struct conn_kind memory_kind = { .wake = memory_wake, .is_stopping = memory_is_stopping, .binding = memory_binding };

/* Sends all that the peer takes. ERR_AGAIN only when writes are blocked: pauses between steps are over at once. */
static int flush_all(struct conn_memory *m)
{
    int r;
    do
        r = stream_flush(m->conn.stream);
    while (r == ERR_AGAIN && !layer_memory_is_blocked(m->layer));
    return r;
}

static void end_session(struct conn_memory *m)
{
    struct conn *c = &m->conn;
    stream_abort(c->stream);
    if (c->session)
        c->ops->close(c, c->session);
    c->session = NULL;
    conn_leave(c);
    m->closed = true;
}

static void secure(struct conn_memory *m)
{
    conn_set_tls(&m->conn, &(struct tls_info){
                               .active = true, .version = STR("TLSv1.3"), .cipher = STR("TLS_AES_256_GCM_SHA384"), .bits = 256 });
}

/* After the queue is empty: what the session is to be run with at once, or 0 when it parks. */
static unsigned after_flush(struct conn_memory *m)
{
    struct conn *c = &m->conn;
    switch (m->next) {
    case CONN_DRAIN:
        return CONN_DRAINED;
    case CONN_STARTTLS:
        /* RFC 3207 section 4.2, RFC 9051 section 6.2.1: nothing said before the handshake may count after it. */
        if (!conn_can_starttls(c) || stream_peek(c->stream).n) {
            end_session(m);
            return 0;
        }
        secure(m);
        return CONN_SECURED;
    case CONN_CLOSE:
        end_session(m);
        return 0;
    case CONN_WAIT:
        arena_reset(&c->arena);
        stream_idle(c->stream);
        if (stream_has_input(c->stream))
            return CONN_INPUT;
        if (stream_is_ended(c->stream)) {
            end_session(m);
            return 0;
        }
        return layer_memory_is_readable(m->layer) ? CONN_INPUT : 0;
    }
    panic("impossible wait %d", (int)m->next);
}

/* A session that is called for input must read some, or find that none has come: over a socket it would burn a processor. */
static void check_progress(struct conn_memory *m, unsigned why, uint64_t bytes_in, size_t unread)
{
    struct stream *s = m->conn.stream;
    bool moved = why != CONN_INPUT || m->next != CONN_WAIT || stream_bytes_in(s) != bytes_in || stream_peek(s).n != unread;
    m->stuck = moved || stream_is_ended(s) ? 0 : m->stuck + 1;
    require(m->stuck < 16);
}

/* Runs the session with WHY (0: only what became possible since) until it waits for the peer. */
static void drive(struct conn_memory *m, unsigned why)
{
    while (!m->closed) {
        if (why) {
            uint64_t bytes_in = stream_bytes_in(m->conn.stream);
            size_t unread = stream_peek(m->conn.stream).n;
            if (!m->refused)
                m->next = m->conn.ops->run(&m->conn, m->conn.session, why);
            if (why & CONN_ENDED)
                m->next = CONN_CLOSE;
            check_progress(m, why, bytes_in, unread);
            why = 0;
        }
        int r = flush_all(m);
        if (r == ERR_AGAIN)
            return;
        if (r < 0) {
            end_session(m);
            return;
        }
        why = after_flush(m);
        if (!m->closed && atomic_exchange(&m->woken, false))
            why |= CONN_EVENT;
        if (!why)
            return;
    }
}

struct conn *conn_memory_new(const struct conn_ops *ops, void *ctx, size_t read_step, size_t write_step, bool starttls,
                             bool tls_at_start)
{
    return conn_memory_new_at(
        ops, ctx,
        &(struct conn_memory_place){
            .read_step = read_step, .write_step = write_step, .starttls = starttls, .tls_at_start = tls_at_start });
}

struct conn *conn_memory_new_at(const struct conn_ops *ops, void *ctx, const struct conn_memory_place *place)
{
    struct conn_memory *m = calloc(1, sizeof *m);
    if (!m)
        panic("out of memory for a connection");
    struct conn *c = &m->conn;
    m->layer = layer_memory_new(place->read_step, place->write_step);
    conn_init(c, &memory_kind, ops, stream_new(m->layer));
    struct ip_address peer;
    require(ip_address_parse(place->peer.n ? place->peer : STR("192.0.2.1"), &peer));
    conn_set_peer(c, &peer, 40000);
    memcpy(c->local, "192.0.2.25", sizeof "192.0.2.25");
    c->local_port = 25;
    c->can_starttls = place->starttls;
    if (place->tls_at_start)
        secure(m);
    conn_admit(c, place->access ? access_ref(place->access) : NULL, place->limits, false);
    m->next = CONN_WAIT;
    c->session = ops->open(c, ctx);
    if (!c->session) {
        m->refused = true;
        m->next = CONN_CLOSE;
    }
    drive(m, CONN_START);
    return c;
}

void conn_memory_feed(struct conn *c, str bytes)
{
    struct conn_memory *m = memory_of(c);
    if (m->closed)
        return;
    layer_memory_feed(m->layer, bytes);
    /* As with epoll: input wakes a session that waits for it, not one whose output is still queued. */
    drive(m, 0);
}

void conn_memory_feed_eof(struct conn *c)
{
    struct conn_memory *m = memory_of(c);
    if (m->closed)
        return;
    layer_memory_feed_eof(m->layer);
    drive(m, 0);
}

void conn_memory_run(struct conn *c, unsigned why)
{
    struct conn_memory *m = memory_of(c);
    if (why & CONN_SHUTDOWN)
        m->stopping = true;
    if (why & CONN_ENDED)
        conn_end(c);
    if (!m->closed)
        drive(m, why);
}

str conn_memory_take(struct conn *c)
{
    return layer_memory_take(memory_of(c)->layer);
}

void conn_memory_end(struct conn *c)
{
    atomic_store(&c->is_ended, true);
}

bool conn_memory_is_closed(const struct conn *c)
{
    return memory_of(c)->closed;
}

int64_t conn_memory_deadline(const struct conn *c)
{
    return c->deadline_ms;
}

void conn_memory_set_tls(struct conn *c, const struct tls_info *info)
{
    conn_set_tls(c, info);
}

void conn_memory_set_peer(struct conn *c, str address, uint16_t port)
{
    require(address.n < sizeof c->peer);
    memset(c->peer, 0, sizeof c->peer);
    memcpy(c->peer, address.p, address.n);
    c->peer_port = port;
}

struct layer *conn_memory_layer(struct conn *c)
{
    return memory_of(c)->layer;
}

void conn_memory_free(struct conn *c)
{
    if (!c)
        return;
    conn_done(c);
    free(memory_of(c));
}
