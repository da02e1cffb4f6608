/* snapshot: one setup of a role and the sessions that use it. See role.h.
 *
 * Invariants
 *  S1  What a session's context points to lies in the snapshot that its listener holds a reference to, or lives as long as the process.
 *  S2  Each commit begins all listeners anew, on the same sockets, each with the snapshot then in force; the former ones stop accepting. So a
 *      listener, and every session that began on it, belongs to one snapshot. */
#include <unistd.h>

#include "role/lesson.h"
#include "role/role.h"

enum { ARENA_MAX = 64 << 20 };

int role_snapshot_new(int fd, struct role_snapshot **ret, struct error *e)
{
    str mapped, kept;
    struct wire_setup setup;
    int err = channel_map(fd, false, WIRE_SETUP_MAX, &mapped);
    if (err)
        return error_set(e, err, "the setup from the supervisor cannot be mapped");
    struct role_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for a setup");
    atomic_init(&s->refs, 1);
    arena_init(&s->arena, ARENA_MAX);
    err = arena_dup(&s->arena, mapped, &kept);
    channel_unmap(mapped);
    if (err == 0)
        err = wire_unpack_setup(kept, &s->arena, &setup);
    if (err)
        (void)error_set(e, err, "the setup from the supervisor is damaged");
    else
        err = config_parse("valise.conf", setup.config_text, &s->config, e);
    if (err == 0)
        err = lesson_check(s->config, setup.ca_pem, e);
    if (err) {
        role_snapshot_unref(s);
        return err;
    }
    s->port_offset = setup.port_offset;
    s->instance = setup.instance;
    s->identities = setup.identities;
    s->identity_n = setup.identity_n;
    s->ca_pem = setup.ca_pem;
    *ret = s;
    return 0;
}

struct role_snapshot *role_snapshot_get(struct role_run *r)
{
    pthread_mutex_lock(&r->lock);
    struct role_snapshot *s = r->snapshot;
    atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&r->lock);
    return s;
}

void role_snapshot_unref(struct role_snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    tls_context_unref(s->tls);
    for (size_t i = 0; s->access && i < s->config->listener_n; i++)
        access_unref(s->access[i]);
    config_free(s->config);
    arena_done(&s->arena);
    free(s);
}

static const struct access *access_of(const struct config *c, const struct config_listener *l)
{
    return access_new(&(struct access){ .served = l->networks,
                                        .proxies = l->proxies,
                                        .overrides = l->overrides,
                                        .limited = l->protocol != CONFIG_LMTP && l->protocol != CONFIG_METRICS,
                                        .limits = c->limits[l->protocol].rules });
}

int role_snapshot_fill(struct role_run *r, struct role_snapshot *s, struct error *e)
{
    s->contexts = arena_array(&s->arena, s->config->listener_n, sizeof *s->contexts);
    s->access = arena_array(&s->arena, s->config->listener_n, sizeof *s->access);
    int err = s->contexts && s->access ? 0 : error_set(e, ERR_LIMIT, "no memory for the listeners");
    for (size_t i = 0; err == 0 && r->role->protocol && i < s->config->listener_n; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        if (!r->role->protocol(l))
            continue;
        s->access[i] = access_of(s->config, l);
        s->contexts[i] = r->role->context(r, s, l);
        if (!s->contexts[i])
            err = error_set(e, ERR_LIMIT, "no memory for listener %.*s", STR_ARG(l->name));
    }
    return err;
}

/* --- sessions --- */

/* What a listener is served with: the protocol's operations, wrapped so that each session holds its snapshot (S1, S2). Freed with the last
 * session that began on it. */
struct slot {
    struct conn_ops ops;
    const struct conn_ops *protocol;
    struct role_snapshot *snapshot;
    size_t index; /* of the listener in its configuration */
};

struct slot_session {
    const struct slot *slot;
    void *session;
};

static void *slot_open(struct conn *c, void *ctx)
{
    const struct slot *slot = ctx;
    struct slot_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->slot = slot;
    s->session = slot->protocol->open(c, (void *)(uintptr_t)slot->snapshot->contexts[slot->index]);
    if (s->session)
        return s;
    free(s);
    return NULL;
}

static enum conn_next slot_run(struct conn *c, void *session, unsigned why)
{
    const struct slot_session *s = session;
    return s->slot->protocol->run(c, s->session, why);
}

static void slot_close(struct conn *c, void *session)
{
    struct slot_session *s = session;
    s->slot->protocol->close(c, s->session);
    free(s);
}

static void slot_release(void *ctx)
{
    struct slot *slot = ctx;
    role_snapshot_unref(slot->snapshot);
    free(slot);
}

static int listen_one(struct role_run *r, struct role_snapshot *s, size_t index, int fd)
{
    const struct config_listener *l = &s->config->listeners[index];
    const struct conn_ops *protocol = r->role->protocol(l);
    struct slot *slot = protocol ? calloc(1, sizeof *slot) : NULL;
    char name[ROLE_LISTENER_NAME_MAX + 1];
    if (!slot) {
        (void)close(fd);
        return protocol ? ERR_LIMIT : ERR_REFUSED;
    }
    atomic_fetch_add(&s->refs, 1);
    *slot = (struct slot){ .ops = { .name = protocol->name, .open = slot_open, .run = slot_run, .close = slot_close },
                           .protocol = protocol,
                           .snapshot = s,
                           .index = index };
    (void)snprintf(name, sizeof name, "%.*s", STR_ARG(l->name));
    /* SMTP has words for a certificate that it misses (RFC 3207 section 4.1); where a protocol has none the handshake fails. */
    bool is_told = l->client_cert == TLS_CLIENT_REQUIRED && l->protocol != CONFIG_IMAP;
    const struct listener_settings settings = { .name = name,
                                                .ops = &slot->ops,
                                                .ctx = slot,
                                                .release = slot_release,
                                                .group = r->generation,
                                                .access = s->access[index],
                                                .tls = l->tls == SMTP_TLS_OFF ? NULL : r->tls,
                                                .implicit_tls = l->tls == SMTP_TLS_IMPLICIT,
                                                .tls13_only = l->tls13_only,
                                                .client_cert = is_told ? TLS_CLIENT_REQUESTED : l->client_cert,
                                                .alpn = protocol->name };
    return server_listen(r->server, fd, &settings);
}

static size_t index_of_listener(const struct config *c, str name)
{
    size_t i = 0;
    while (i < c->listener_n && !str_eq(c->listeners[i].name, name))
        i++;
    return i;
}

int role_listen(struct role_run *r, struct role_snapshot *s, struct error *e)
{
    int err = 0;
    unsigned former = r->generation++;
    for (size_t i = 0; i < r->listener_n; i++) {
        struct role_listener *l = &r->listeners[i];
        size_t index = index_of_listener(s->config, str_from_z(l->name));
        int bad = ERR_CORRUPT;
        if (index < s->config->listener_n && r->role->protocol)
            bad = listen_one(r, s, index, l->fd);
        else
            (void)close(l->fd);
        if (bad && err == 0)
            err = error_set(e, bad, "listener %s cannot be served (%s)", l->name, err_name(bad));
    }
    r->listener_n = 0;
    /* The new ones accept by now: nobody is left waiting in between. */
    if (former)
        server_unlisten(r->server, former);
    return err;
}

void role_listeners_drop(struct role_run *r)
{
    for (size_t i = 0; i < r->listener_n; i++)
        (void)close(r->listeners[i].fd);
    r->listener_n = 0;
}
