/* role: see role.h. */
#include "role/role.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

enum { SETUP_DEADLINE_MS = 60000, ARENA_MAX = 64 << 20, ASK_DEADLINE_MS = 10000, TICKET_CHECK_MS = 60000 };

/* Lanes that came before the server existed. */
struct early_lane {
    char peer[32];
    int fd;
};

struct role_start {
    struct early_lane serve[ROLE_LANES_MAX];
    size_t serve_n;
};

/* --- taking in what the supervisor sends --- */

static int take_setup(struct role_run *r, int fd, struct error *e)
{
    str mapped, kept;
    int err = channel_map(fd, false, WIRE_SETUP_MAX, &mapped);
    if (err)
        return error_set(e, err, "the setup from the supervisor cannot be mapped");
    err = arena_dup(&r->arena, mapped, &kept);
    channel_unmap(mapped);
    struct wire_setup s;
    if (err == 0)
        err = wire_unpack_setup(kept, &r->arena, &s);
    struct config *config = NULL;
    if (err == 0)
        err = config_parse("valise.conf", s.config_text, &config, e);
    if (err)
        return e->code ? err : error_set(e, err, "the setup from the supervisor is damaged");
    r->config = config;
    r->port_offset = s.port_offset;
    r->instance = s.instance;
    r->identities = s.identities;
    r->identity_n = s.identity_n;
    log_set_level(config->log_level);
    return 0;
}

static int take_peer(struct role_run *r, str name, int fd)
{
    struct channel **slot = str_eq(name, STR("keeper"))       ? &r->keeper
                            : str_eq(name, STR("core"))       ? &r->core
                            : str_eq(name, STR("supervisor")) ? &r->supervisor
                                                              : NULL;
    if (!slot)
        return ERR_CORRUPT;
    if (*slot)
        channel_replace(*slot, fd);
    else
        *slot = channel_open(fd, slot == &r->keeper ? "keeper" : slot == &r->core ? "core" : "supervisor");
    return 0;
}

static int take_listener(struct role_run *r, str name, int fd)
{
    if (r->listener_n == ROLE_LISTENERS_MAX || name.n == 0 || name.n >= sizeof r->listeners[0].name)
        return ERR_LIMIT;
    struct role_listener *l = &r->listeners[r->listener_n++];
    (void)snprintf(l->name, sizeof l->name, "%.*s", STR_ARG(name));
    l->fd = fd;
    return 0;
}

static int take_serve(struct role_run *r, struct role_start *start, str peer, int fd)
{
    if (r->server) {
        const struct channel_service *service = r->role->service_for ? r->role->service_for(r, peer) : NULL;
        return service ? server_serve_channel(r->server, fd, service) : ERR_REFUSED;
    }
    if (start->serve_n == ROLE_LANES_MAX || peer.n >= sizeof start->serve[0].peer)
        return ERR_LIMIT;
    struct early_lane *lane = &start->serve[start->serve_n++];
    (void)snprintf(lane->peer, sizeof lane->peer, "%.*s", STR_ARG(peer));
    lane->fd = fd;
    return 0;
}

/* Handles one frame before start. *FD_TAKEN: its descriptor is ours now. */
static int take_frame(struct role_run *r, struct role_start *start, const struct frame *f, bool *fd_taken, struct error *e)
{
    int fd = f->fd_n == 1 ? f->fds[0] : -1;
    if (fd < 0 && f->type != WIRE_START)
        return error_set(e, ERR_CORRUPT, "frame %u from the supervisor has no descriptor", f->type);
    int err;
    switch (f->type) {
    case WIRE_SETUP:
        return take_setup(r, fd, e);
    case WIRE_LISTENER:
        err = take_listener(r, f->payload, fd);
        break;
    case WIRE_PEER:
        err = take_peer(r, f->payload, fd);
        break;
    case WIRE_SERVE:
        err = take_serve(r, start, f->payload, fd);
        break;
    case WIRE_START:
        return r->config ? 0 : error_set(e, ERR_CORRUPT, "start without setup");
    default:
        return error_set(e, ERR_CORRUPT, "frame %u from the supervisor is not known", f->type);
    }
    *fd_taken = err == 0;
    return err ? error_set(e, err, "frame %u from the supervisor cannot be taken", f->type) : 0;
}

static int answer(int type, int status, const struct error *e)
{
    struct frame reply = { .type = (uint16_t)type, .status = (int16_t)status };
    if (status)
        reply.payload = str_from_z(e->text);
    return frame_send(ROLE_LINK_FD, &reply, ASK_DEADLINE_MS);
}

/* Takes frames until START, which is not answered here. */
static int receive_setup(struct role_run *r, struct role_start *start, struct error *e)
{
    for (;;) {
        struct frame f;
        struct arena a = ARENA_INIT(CHANNEL_PAYLOAD_MAX * 2);
        int err = frame_receive(ROLE_LINK_FD, &a, SETUP_DEADLINE_MS, &f);
        if (err) {
            arena_done(&a);
            return error_set(e, err, "the supervisor is gone: %s", err_name(err));
        }
        bool taken = false;
        err = take_frame(r, start, &f, &taken, e);
        for (size_t i = taken ? 1 : 0; i < f.fd_n; i++)
            (void)close(f.fds[i]);
        arena_done(&a);
        if (f.type == WIRE_START && err == 0)
            return 0;
        int sent = answer(f.type, err, e);
        if (err || sent)
            return err ? err : sent;
    }
}

/* --- TLS with keys in keeper --- */

static int64_t sign_in_keeper(void *ctx, str key_id, str data, char *sig, size_t sig_max)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(4096);
    struct buf b = BUF_INIT(2048);
    struct frame reply;
    wire_pack_sign(&b, key_id, data);
    struct frame request = { .type = WIRE_SIGN, .payload = buf_str(&b) };
    struct error e = ERROR_NONE;
    int64_t n = channel_call(r->keeper, &request, &a, ASK_DEADLINE_MS, &reply, &e);
    if (n == 0 && reply.payload.n > sig_max)
        n = ERR_CORRUPT;
    if (n == 0) {
        memcpy(sig, reply.payload.p, reply.payload.n);
        n = (int64_t)reply.payload.n;
    } else {
        log_error("sign-failed", LOG_Z("error", err_name((int)n)), LOG_Z("text", e.text));
    }
    buf_done(&b);
    arena_done(&a);
    return n;
}

/* Keys change each hour; asking more often than that costs little and survives a clock that jumps. */
static void refresh_ticket_keys(void *ctx)
{
    struct role_run *r = ctx;
    struct tls_context *t = tls_holder_get(r->tls);
    if (!t)
        return;
    struct arena a = ARENA_INIT(4096);
    struct frame request = { .type = WIRE_TICKET_KEYS }, reply;
    struct error e = ERROR_NONE;
    int err = channel_call(r->keeper, &request, &a, ASK_DEADLINE_MS, &reply, &e);
    if (err == 0 && reply.payload.n == 160) {
        tls_context_set_ticket_keys(t, reply.payload);
        secret_wipe((char *)(uintptr_t)reply.payload.p, reply.payload.n);
    } else {
        log_warning("ticket-keys-failed", LOG_Z("error", err_name(err)), LOG_Z("text", e.text));
    }
    arena_done(&a);
    tls_context_unref(t);
}

static int load_tls(struct role_run *r, struct error *e)
{
    struct tls_identity *list = arena_array(&r->arena, r->identity_n, sizeof *list);
    if (!list)
        return error_set(e, ERR_LIMIT, "too many certificates");
    for (size_t i = 0; i < r->identity_n; i++)
        list[i] = (struct tls_identity){ r->identities[i].name, r->identities[i].chain_pem, r->identities[i].key_id };
    struct tls_context *t = NULL;
    if (r->identity_n) {
        t = tls_context_new(list, r->identity_n, (struct tls_signer){ sign_in_keeper, r },
                            str_eq(str_from_z(r->role->name), STR("mx")) ? STR("smtp") : STR("imap,smtp"), e);
        if (!t)
            return e->code ? e->code : ERR_INTERNAL;
    }
    if (r->tls)
        tls_holder_replace(r->tls, t);
    else
        r->tls = tls_holder_new(t);
    refresh_ticket_keys(r);
    return 0;
}

/* --- what the supervisor may ask while the role runs --- */

static int on_reload(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    int err = take_setup(r, request->fds[0], e);
    if (err == 0 && r->role->wants_tls)
        err = load_tls(r, e);
    if (err == 0 && r->role->reload)
        err = r->role->reload(r, e);
    return err;
}

static int on_stop(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    struct unpack u = unpack_init(request->payload);
    uint32_t grace = unpack_u32(&u);
    if (unpack_end(&u))
        return error_set(e, ERR_CORRUPT, "stop without grace");
    server_stop(r->server, grace);
    return 0;
}

static int on_status(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    struct server_counts n = server_counts(r->server);
    wire_pack_counts(reply, &(struct wire_counts){ n.connections, n.workers, n.workers_busy, n.workers_peak, n.accepted, n.refused });
    return 0;
}

static int on_peer(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    int fd = dup(request->fds[0]);
    int err = fd < 0 ? ERR_IO : take_peer(ctx, request->payload, fd);
    if (err && fd >= 0)
        (void)close(fd);
    return err;
}

static int on_serve(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                    size_t *ret_fd_n, struct error *e)
{
    int fd = dup(request->fds[0]);
    int err = fd < 0 ? ERR_IO : take_serve(ctx, NULL, request->payload, fd);
    if (err && fd >= 0)
        (void)close(fd);
    return err;
}

static const struct channel_handler link_handlers[] = {
    { WIRE_RELOAD, "reload", 0, 1, 1, on_reload }, { WIRE_STOP, "stop", 4, 0, 0, on_stop },     { WIRE_STATUS, "status", 0, 0, 0, on_status },
    { WIRE_PEER, "peer", 32, 1, 1, on_peer },      { WIRE_SERVE, "serve", 32, 1, 1, on_serve }, { .handle = NULL },
};

/* --- listeners whose context a reload can replace --- */

/* Sessions take their snapshot when they open; the slot holds the one that future sessions will take. */
struct slot {
    struct conn_ops ops;                       /* the protocol's, but for open */
    void *(*open)(struct conn *c, void *ctx);
    _Atomic(const void *) ctx;
    char name[64];
    struct slot *next;
};

static void *open_in_slot(struct conn *c, void *ctx)
{
    struct slot *slot = ctx;
    return slot->open(c, (void *)(uintptr_t)atomic_load(&slot->ctx));
}

static struct slot *slot_of(struct role_run *r, str name)
{
    struct slot *s = r->slots;
    while (s && !str_eq(name, str_from_z(s->name)))
        s = s->next;
    return s;
}

static struct slot *slot_new(struct role_run *r, str name, const struct conn_ops *ops, const void *ctx)
{
    struct slot *s = arena_new(&r->arena, struct slot);
    if (!s)
        return NULL;
    s->ops = *ops;
    s->open = ops->open;
    s->ops.open = open_in_slot;
    atomic_init(&s->ctx, ctx);
    (void)snprintf(s->name, sizeof s->name, "%.*s", STR_ARG(name));
    s->next = r->slots;
    r->slots = s;
    return s;
}

int role_listen(struct role_run *r, const struct config_listener *l, const struct conn_ops *ops, const void *ctx, struct error *e)
{
    struct slot *slot = ctx ? slot_of(r, l->name) : NULL;
    if (slot) {
        atomic_store(&slot->ctx, ctx);
        return 0;
    }
    slot = ctx ? slot_new(r, l->name, ops, ctx) : NULL;
    if (!slot)
        return error_set(e, ERR_LIMIT, "no memory for listener %.*s", STR_ARG(l->name));
    struct listener_settings settings = { .name = slot->name,
                                          .ops = &slot->ops,
                                          .ctx = slot,
                                          .tls = l->tls == SMTP_TLS_OFF ? NULL : r->tls,
                                          .implicit_tls = l->tls == SMTP_TLS_IMPLICIT };
    for (size_t i = 0; i < r->listener_n; i++) {
        if (!str_eq(str_from_z(r->listeners[i].name), l->name))
            continue;
        int err = server_listen(r->server, r->listeners[i].fd, &settings);
        if (err)
            return error_set(e, err, "listener %s cannot be served", slot->name);
    }
    return 0;
}

/* --- life of the process --- */

static struct server *signal_server;

static void on_term(int sig)
{
    (void)sig;
    server_stop(signal_server, 10000);
}

/* The terminal's Ctrl-C reaches the whole group; the supervisor decides what it means. */
static void set_signals(void)
{
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1)
        _exit(1);
}

/* Large blocks (Argon2's 19 MiB, message bodies) go back to the system when freed; by default glibc keeps them from the second time on. */
static void set_allocator(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 512 * 1024);
    (void)mallopt(M_ARENA_MAX, 4);
}

/* Things that libraries read from files once; the sandbox hides them afterwards. */
static void read_before_sandbox(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    tzset();
}

static int enter_sandbox(const struct role *role, struct error *e)
{
    const char *missing = NULL;
    int err = sandbox_enter(role->profile, &missing, e);
    if (err == ERR_UNAVAILABLE) {
        log_warning("sandbox-incomplete", LOG_Z("missing", missing), LOG_Z("text", e->text));
        *e = ERROR_NONE;
        return 0;
    }
    return err;
}

static int start(struct role_run *r, const struct role_start *start, const struct channel_service *link, struct error *e)
{
    read_before_sandbox();
    int err = enter_sandbox(r->role, e);
    if (err)
        return err;
    r->server = server_new(&(struct server_settings){
        .workers_min = 2,
        .workers_max = r->config->workers_max,
        .connections_max = r->config->connections_max,
        .connections_per_address = r->config->connections_per_address });
    if (r->role->wants_tls && r->keeper)
        err = load_tls(r, e);
    if (err == 0)
        err = r->role->start(r, e);
    for (size_t i = 0; err == 0 && i < start->serve_n; i++) {
        const struct channel_service *service = r->role->service_for(r, str_from_z(start->serve[i].peer));
        err = service ? server_serve_channel(r->server, start->serve[i].fd, service)
                      : error_set(e, ERR_REFUSED, "%s may not ask %s", start->serve[i].peer, r->role->name);
    }
    if (err == 0)
        err = server_serve_channel(r->server, ROLE_LINK_FD, link);
    if (err == 0 && r->tls)
        server_every(r->server, TICKET_CHECK_MS, refresh_ticket_keys, r);
    return err;
}

int role_main(const char *name)
{
    static const struct role *const roles[] = { &role_keeper, &role_mx, &role_core };
    struct role_run *r = calloc(1, sizeof *r);
    struct role_start *early = calloc(1, sizeof *early);
    if (!r || !early)
        panic("out of memory at start");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (str_eq(str_from_z(name), str_from_z(roles[i]->name)))
            r->role = roles[i];
    if (!r->role)
        return 64;
    log_set_role(r->role->name);
    char title[16];
    (void)snprintf(title, sizeof title, "valise:%s", r->role->name);
    (void)prctl(PR_SET_NAME, title);
    set_signals();
    set_allocator();
    arena_init(&r->arena, ARENA_MAX);
    const struct channel_service link = { .peer = "supervisor", .handlers = link_handlers, .ctx = r };
    struct error e = ERROR_NONE;
    int err = receive_setup(r, early, &e);
    if (err == 0)
        err = start(r, early, &link, &e);
    if (err) {
        log_error("role-start-failed", LOG_Z("error", err_name(err)), LOG_Z("text", e.text));
        (void)answer(WIRE_START, err, &e);
        return 1;
    }
    signal_server = r->server;
    (void)signal(SIGTERM, on_term);
    err = answer(WIRE_START, 0, &e);
    log_info("role-started", LOG_NUM("pid", getpid()), LOG_NUM("instance", r->instance));
    server_run(r->server);
    if (r->role->end)
        r->role->end(r);
    server_free(r->server);
    log_info("role-ended");
    return 0;
}
