/* snapshot: one setup of a role and the sessions that use it. See role.h.
 *
 * Invariants
 *  S1  What a session's context points to lies in the snapshot that the session holds a reference to, or lives as long as the
 *  process. S2  All snapshots of a process have the same listeners in the same order (the supervisor refuses a reload that moves
 *      one), so a listener's place in the configuration names it for ever. */
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
    config_free(s->config);
    arena_done(&s->arena);
    free(s);
}

int role_snapshot_fill(struct role_run *r, struct role_snapshot *s, struct error *e)
{
    s->contexts = arena_array(&s->arena, s->config->listener_n, sizeof *s->contexts);
    int err = s->contexts ? 0 : error_set(e, ERR_LIMIT, "no memory for the listeners");
    for (size_t i = 0; err == 0 && r->role->protocol && i < s->config->listener_n; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        if (!r->role->protocol(l))
            continue;
        s->contexts[i] = r->role->context(r, s, l);
        if (!s->contexts[i])
            err = error_set(e, ERR_LIMIT, "no memory for listener %.*s", STR_ARG(l->name));
    }
    return err;
}

/* --- sessions --- */

/* What a listener is served with: the protocol's operations, wrapped so that each session holds its snapshot. */
struct slot {
    struct conn_ops ops;
    const struct conn_ops *protocol;
    struct role_run *run;
    size_t index; /* in the configuration (S2) */
};

struct slot_session {
    const struct conn_ops *protocol;
    void *session;
    struct role_snapshot *snapshot;
};

static void *slot_open(struct conn *c, void *ctx)
{
    const struct slot *slot = ctx;
    struct slot_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->protocol = slot->protocol;
    s->snapshot = role_snapshot_get(slot->run);
    s->session = s->protocol->open(c, (void *)(uintptr_t)s->snapshot->contexts[slot->index]);
    if (s->session)
        return s;
    role_snapshot_unref(s->snapshot);
    free(s);
    return NULL;
}

static enum conn_next slot_run(struct conn *c, void *session, unsigned why)
{
    const struct slot_session *s = session;
    return s->protocol->run(c, s->session, why);
}

static void slot_close(struct conn *c, void *session)
{
    struct slot_session *s = session;
    s->protocol->close(c, s->session);
    role_snapshot_unref(s->snapshot);
    free(s);
}

static int listen_one(struct role_run *r, size_t index, struct error *e)
{
    const struct config_listener *l = &r->snapshot->config->listeners[index];
    const struct conn_ops *protocol = r->role->protocol(l);
    if (!protocol)
        return 0;
    struct slot *slot = arena_new(&r->arena, struct slot);
    if (!slot)
        return error_set(e, ERR_LIMIT, "no memory for listener %.*s", STR_ARG(l->name));
    *slot = (struct slot){ .ops = { .name = protocol->name, .open = slot_open, .run = slot_run, .close = slot_close },
                           .protocol = protocol,
                           .run = r,
                           .index = index };
    for (size_t i = 0; i < r->listener_n; i++) {
        if (!str_eq(str_from_z(r->listeners[i].name), l->name))
            continue;
        const struct listener_settings settings = { .name = r->listeners[i].name,
                                                    .ops = &slot->ops,
                                                    .ctx = slot,
                                                    .tls = l->tls == SMTP_TLS_OFF ? NULL : r->tls,
                                                    .implicit_tls = l->tls == SMTP_TLS_IMPLICIT,
                                                    .tls13_only = l->tls13_only,
                                                    .client_cert = l->client_cert };
        int err = server_listen(r->server, r->listeners[i].fd, &settings);
        if (err)
            return error_set(e, err, "listener %s cannot be served", r->listeners[i].name);
    }
    return 0;
}

int role_listen(struct role_run *r, struct error *e)
{
    int err = 0;
    for (size_t i = 0; err == 0 && r->role->protocol && i < r->snapshot->config->listener_n; i++)
        err = listen_one(r, i, e);
    return err;
}
