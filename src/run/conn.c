/* conn: see conn.h. What a session may ask of its connection, whatever lies below. */
#include "run/conn_private.h"

#include "base/clock.h"
#include "run/stream_private.h"

void conn_init(struct conn *c, const struct conn_kind *kind, const struct conn_ops *ops, struct stream *stream)
{
    *c = (struct conn){ .kind = kind, .ops = ops, .stream = stream, .id = id_new() };
    arena_init(&c->arena, CONN_ARENA_QUOTA);
}

void conn_set_peer(struct conn *c, const struct ip_address *address, uint16_t port)
{
    c->has_ip = true;
    c->ip = *address;
    c->peer_port = port;
    (void)ip_address_text(address, c->peer);
}

void conn_set_local(struct conn *c, const struct ip_address *address, uint16_t port)
{
    c->local_port = port;
    (void)ip_address_text(address, c->local);
}

void conn_set_via(struct conn *c)
{
    if (!c->via[0])
        memcpy(c->via, c->peer, sizeof c->via);
}

enum { TOLD_TEXT_MAX = 200 };

void conn_tell(struct conn *c, const struct log_field *fields)
{
    if (!c->told) {
        c->told = calloc(1, sizeof *c->told);
        if (!c->told)
            panic("out of memory for what a session tells");
        arena_init(&c->told->texts, CONN_TOLD_MAX * (TOLD_TEXT_MAX + 16));
    }
    for (; fields->key && c->told->n < CONN_TOLD_MAX; fields++) {
        struct log_field *f = &c->told->list[c->told->n];
        *f = *fields;
        if (!f->is_number && !f->text.n)
            continue;
        if (f->is_number || arena_dup(&c->told->texts, str_sub(f->text, 0, TOLD_TEXT_MAX), &f->text) == 0)
            c->told->n++;
    }
}

void conn_log_end(const struct conn *c, const char *event, const struct log_field *first)
{
    struct log_field list[2 * CONN_TOLD_MAX + 1];
    size_t n = 0;
    for (; first->key && n < CONN_TOLD_MAX; first++)
        list[n++] = *first;
    for (size_t i = 0; c->told && i < c->told->n; i++)
        list[n++] = c->told->list[i];
    list[n] = (struct log_field){ .key = NULL };
    log_write(LOG_INFO, event, list);
}

void conn_close_session(struct conn *c)
{
    if (c->session)
        c->ops->close(c, c->session);
    c->session = NULL;
}

void conn_done(struct conn *c)
{
    conn_leave(c);
    /* Sources may use what the session holds: they go first. */
    stream_abort(c->stream);
    conn_close_session(c);
    stream_free(c->stream);
    if (c->told)
        arena_done(&c->told->texts);
    free(c->told);
    c->told = NULL;
    c->stream = NULL;
    arena_done(&c->arena);
    free((char *)(uintptr_t)c->tls.sni.p);
    free((char *)(uintptr_t)c->tls.alpn.p);
    c->tls = (struct tls_info){ 0 };
}

static str text_copy(str s)
{
    if (s.n == 0)
        return (str){ 0 };
    char *p = malloc(s.n);
    if (!p)
        panic("out of memory for a name of %zu bytes", s.n);
    memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

void conn_set_tls(struct conn *c, const struct tls_info *info)
{
    free((char *)(uintptr_t)c->tls.sni.p);
    free((char *)(uintptr_t)c->tls.alpn.p);
    c->tls = *info;
    c->tls.sni = text_copy(info->sni);
    c->tls.alpn = text_copy(info->alpn);
    if (c->tls.client_verified)
        roll_join(c, NULL);
}

struct stream *conn_stream(struct conn *c)
{
    return c->stream;
}

struct arena *conn_arena(struct conn *c)
{
    return &c->arena;
}

str conn_id(const struct conn *c)
{
    return id_str(&c->id);
}

str conn_peer_address(const struct conn *c)
{
    return str_from_z(c->peer);
}

uint16_t conn_peer_port(const struct conn *c)
{
    return c->peer_port;
}

str conn_local_address(const struct conn *c)
{
    return str_from_z(c->local);
}

uint16_t conn_local_port(const struct conn *c)
{
    return c->local_port;
}

const struct tls_info *conn_tls(const struct conn *c)
{
    return &c->tls;
}

int conn_channel_binding(const struct conn *c, enum conn_binding kind, struct buf *out)
{
    return c->tls.active ? c->kind->binding(c, kind, out) : ERR_UNSUPPORTED;
}

bool conn_can_starttls(const struct conn *c)
{
    return c->can_starttls && !c->tls.active;
}

void conn_deadline(struct conn *c, int64_t ms)
{
    c->deadline_ms = ms > 0 ? ms : 0;
}

void conn_min_rate(struct conn *c, uint32_t bytes_per_second)
{
    c->by_hand = false;
    c->min_rate = bytes_per_second;
    c->rate_since_ms = clock_mono_ms();
    c->rate_base = stream_bytes_in(c->stream);
}

void conn_min_rate_by_hand(struct conn *c, uint32_t bytes_per_second)
{
    conn_min_rate(c, bytes_per_second);
    c->by_hand = true;
}

int64_t conn_rate_limit(int64_t since_ms, uint64_t bytes, uint32_t rate, int64_t grace_ms)
{
    uint64_t paid = bytes / rate * 1000 + bytes % rate * 1000 / rate;
    return since_ms + (paid > (uint64_t)grace_ms ? (int64_t)paid : grace_ms);
}

int64_t conn_body_limit(int64_t since_ms, uint64_t bytes, uint32_t rate, bool by_hand)
{
    int64_t program = conn_rate_limit(since_ms, bytes, rate, CONN_MIN_RATE_GRACE_MS);
    int64_t hand = conn_rate_limit(since_ms, bytes, CONN_HAND_RATE, CONN_HAND_GRACE_MS);
    if (hand > since_ms + CONN_HAND_MS)
        hand = since_ms + CONN_HAND_MS;
    return by_hand && hand > program ? hand : program;
}

void conn_wake(struct conn *c)
{
    c->kind->wake(c);
}

bool conn_is_stopping(const struct conn *c)
{
    return c->kind->is_stopping(c);
}
