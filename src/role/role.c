/* role: see role.h. */
#include "role/role.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "run/descriptors.h"

enum {
    SETUP_DEADLINE_MS = 60000,
    ARENA_MAX = 1 << 20,
    ASK_DEADLINE_MS = 10000,
    TICKET_CHECK_MS = 60000,
    TRIM_MS = 60000,
};

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

static int take_peer(struct role_run *r, str name, int fd)
{
    struct channel **slot = str_eq(name, STR("keeper"))       ? &r->keeper
                            : str_eq(name, STR("core"))       ? &r->core
                            : str_eq(name, STR("supervisor")) ? &r->supervisor
                                                              : NULL;
    if (!slot)
        return ERR_CORRUPT;
    channel_replace(*slot, fd);
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

/* FD stays the caller's. */
static int take_tally(struct role_run *r, str payload, int fd, struct error *e)
{
    struct unpack u = unpack_init(payload);
    uint8_t kind = unpack_u8(&u);
    if (unpack_end(&u) || kind > WIRE_TALLY_SHOWN || (kind == WIRE_TALLY_OWN) != (r->limits == NULL))
        return error_set(e, ERR_CORRUPT, "a tally from the supervisor that has no place");
    return kind == WIRE_TALLY_OWN ? limits_new(fd, &r->limits, e) : limits_add(r->limits, fd, kind == WIRE_TALLY_SUMMED, e);
}

/* Handles one frame before start. *FD_TAKEN: its descriptor is ours now. */
static int take_frame(struct role_run *r, struct role_start *start, const struct frame *f, bool *fd_taken, struct error *e)
{
    int fd = f->fd_n == 1 ? f->fds[0] : -1;
    if (fd < 0 && f->type != WIRE_START && f->type != WIRE_KEYRING)
        return error_set(e, ERR_CORRUPT, "frame %u from the supervisor has no descriptor", f->type);
    int err;
    switch (f->type) {
    case WIRE_SETUP:
        return r->snapshot ? error_set(e, ERR_CORRUPT, "a second setup from the supervisor")
                           : role_snapshot_new(fd, &r->snapshot, e);
    case WIRE_KEYRING:
        err = wire_unpack_keyring(f->payload, &r->keyring);
        return err ? error_set(e, err, "the numbers of the kernel's keys are malformed") : 0;
    case WIRE_TALLY:
        return take_tally(r, f->payload, fd, e);
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
        return r->snapshot ? 0 : error_set(e, ERR_CORRUPT, "start without setup");
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

static int64_t sign_in_keeper(void *ctx, str key_id, uint16_t scheme, str message, char *sig, size_t sig_max)
{
    struct role_run *r = ctx;
    struct arena a = ARENA_INIT(4096);
    struct buf b = BUF_INIT(2048);
    struct frame reply;
    wire_pack_sign(&b, key_id, scheme, message);
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

/* --- reload: prepare, commit --- */

static bool is_revoked(void *ctx, str serial)
{
    struct role_run *r = ctx;
    bool revoked = r->role->is_revoked && r->role->is_revoked(r, serial);
    if (revoked)
        log_warning("client-certificate-refused", LOG_STR("serial", serial), LOG_Z("reason", "revoked, or that cannot be known"));
    return revoked;
}

static int make_tls(struct role_run *r, struct role_snapshot *s, struct error *e)
{
    struct tls_identity *list = arena_array(&s->arena, s->identity_n, sizeof *list);
    if (!list)
        return error_set(e, ERR_LIMIT, "too many certificates");
    size_t n = 0;
    for (size_t i = 0; i < s->identity_n && i < s->config->certificate_n; i++)
        if (rights_of_certificate(s->config, i) & r->role->tls)
            list[n++] = (struct tls_identity){ s->identities[i].name, s->identities[i].chain_pem, s->identities[i].key_id };
    if (n == 0)
        return 0;
    s->tls = tls_context_new(list, n, (struct tls_signer){ sign_in_keeper, r }, str_from_z(r->role->alpn), e);
    if (!s->tls)
        return e->code ? e->code : ERR_INTERNAL;
    tls_context_set_revocation(s->tls, is_revoked, r);
    int err = s->ca_pem.n ? tls_context_set_client_ca(s->tls, s->ca_pem, e) : 0;
    if (err)
        error_prefix(e, "ca.pem");
    return err;
}

static int prepare(struct role_run *r, struct role_snapshot *s, struct error *e)
{
    int err = r->role->alpn ? make_tls(r, s, e) : 0;
    if (err == 0)
        err = role_snapshot_fill(r, s, e);
    if (err == 0 && r->role->prepare)
        err = r->role->prepare(r, s, e);
    return err;
}

/* Puts S, which is prepared, in force for all sessions from now on. Its reference is taken over. */
static void commit(struct role_run *r, struct role_snapshot *s)
{
    pthread_mutex_lock(&r->lock);
    struct role_snapshot *former = r->snapshot;
    r->snapshot = s;
    pthread_mutex_unlock(&r->lock);
    struct error e = ERROR_NONE;
    if (r->role->commit)
        r->role->commit(r);
    log_set_level(s->config->log_level);
    if (r->tls) {
        tls_holder_replace(r->tls, s->tls);
        refresh_ticket_keys(r);
    }
    if (role_listen(r, s, &e))
        log_error("listener-lost", LOG_Z("text", e.text));
    if (former != s)
        role_snapshot_unref(former);
}

/* --- what the supervisor may ask while the role runs --- */

static int on_prepare(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                      size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    struct role_snapshot *s;
    int err = role_snapshot_new(request->fds[0], &s, e);
    if (err)
        return err;
    err = prepare(r, s, e);
    if (err) {
        role_snapshot_unref(s);
        return err;
    }
    pthread_mutex_lock(&r->lock);
    struct role_snapshot *former = r->pending;
    r->pending = s;
    pthread_mutex_unlock(&r->lock);
    role_snapshot_unref(former);
    role_listeners_drop(r);
    return 0;
}

/* After prepare: all listening sockets of this role, those in use too. */
static int on_listener(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                       size_t *ret_fd_n, struct error *e)
{
    int fd = fcntl(request->fds[0], F_DUPFD_CLOEXEC, 0);
    int err = fd < 0 ? ERR_IO : take_listener(ctx, request->payload, fd);
    if (err && fd >= 0)
        (void)close(fd);
    return err;
}

static int on_commit(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    pthread_mutex_lock(&r->lock);
    struct role_snapshot *s = r->pending;
    r->pending = NULL;
    pthread_mutex_unlock(&r->lock);
    if (!s)
        return error_set(e, ERR_CORRUPT, "commit without prepare");
    commit(r, s);
    return 0;
}

static int on_stop(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    struct unpack u = unpack_init(request->payload);
    uint32_t grace = unpack_u32(&u);
    if (unpack_end(&u))
        return error_set(e, ERR_CORRUPT, "stop without grace");
    atomic_store(&r->ending, true);
    server_stop(r->server, grace);
    return 0;
}

static int on_status(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct role_run *r = ctx;
    struct server_counts n = server_counts(r->server);
    struct wire_counts counts = { .connections = n.connections,
                                  .workers = n.workers,
                                  .workers_busy = n.workers_busy,
                                  .workers_peak = n.workers_peak,
                                  .queued = n.queued,
                                  .descriptors = descriptors_used(),
                                  .descriptors_max = descriptors_limit(),
                                  .accepted = n.accepted,
                                  .refused = n.refused };
    if (r->role->count)
        r->role->count(r, &counts);
    wire_pack_counts(reply, &counts);
    return 0;
}

static int on_metrics(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                      size_t *ret_fd_n, struct error *e)
{
    metric_pack(reply);
    return 0;
}

static int on_peer(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    int fd = fcntl(request->fds[0], F_DUPFD_CLOEXEC, 0);
    int err = fd < 0 ? ERR_IO : take_peer(ctx, request->payload, fd);
    if (err && fd >= 0)
        (void)close(fd);
    return err;
}

static int on_serve(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                    size_t *ret_fd_n, struct error *e)
{
    int fd = fcntl(request->fds[0], F_DUPFD_CLOEXEC, 0);
    int err = fd < 0 ? ERR_IO : take_serve(ctx, NULL, request->payload, fd);
    if (err && fd >= 0)
        (void)close(fd);
    return err;
}

static const struct channel_handler link_handlers[] = {
    { WIRE_PREPARE, "prepare", 0, 1, 1, on_prepare },
    { WIRE_LISTENER, "listener", ROLE_LISTENER_NAME_MAX, 1, 1, on_listener },
    { WIRE_COMMIT, "commit", 0, 0, 0, on_commit },
    { WIRE_STOP, "stop", 4, 0, 0, on_stop },
    { WIRE_STATUS, "status", 0, 0, 0, on_status },
    { WIRE_METRICS, "metrics", 0, 0, 0, on_metrics },
    { WIRE_PEER, "peer", 32, 1, 1, on_peer },
    { WIRE_SERVE, "serve", 32, 1, 1, on_serve },
    { .handle = NULL },
};

/* --- life of the process --- */

static struct role_run *signal_run;

/* Nobody could tell us anything any more: not what is in force, nor that we shall end. Whoever is started in our place has a link. */
static void on_cut_off(void *ctx)
{
    struct role_run *r = ctx;
    if (!atomic_exchange(&r->ending, true)) {
        log_error("role-cut-off", LOG_Z("text", "the link to the supervisor is broken: this process ends, and is started anew"));
        server_stop(r->server, ROLE_CUT_OFF_MS);
    }
}

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&signal_run->ending, true);
    server_stop(signal_run->server, 10000);
}

/* The process that made the link, which is the supervisor even when it is process 1 of a container. */
static bool supervisor_is_gone(void)
{
    struct ucred peer = { 0 };
    socklen_t n = sizeof peer;
    return getsockopt(ROLE_LINK_FD, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || peer.pid != getppid();
}

/* The terminal's Ctrl-C reaches the whole group; the supervisor decides what it means. */
static void set_signals(void)
{
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (supervisor_is_gone())
        _exit(1);
}

/* Argon2's 19 MiB go back to the system when freed; by default glibc keeps blocks of that size from the second time on. Chunks of messages
 * (1 MiB) are kept: fresh pages for each cost half of what it takes to send one. What nobody needs any more goes back in time. */
static void set_allocator(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
    (void)mallopt(M_ARENA_MAX, 4);
}

static void trim_memory(void *ctx)
{
    struct role_run *r = ctx;
    struct timespec cpu = { 0 };
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    if (quiet_is_due(&r->quiet, clock_mono_ms(), (int64_t)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000) && r->role->rest)
        r->role->rest(r);
    (void)malloc_trim(0);
}

/* Things that libraries read from files once; the sandbox hides them afterwards. */
static void read_before_sandbox(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    tzset();
}

static int enter_sandbox(const struct role_run *r, struct error *e)
{
    const struct role *role = r->role;
    struct sandbox_state state;
    struct sandbox_profile profile = *role->profile;
    profile.keyring = &r->keyring; /* a role that was given none may call for none */
    int err = sandbox_enter(&profile, role->has_root ? ROLE_ROOT_FD : -1, &state, e);
    if (err == 0 && (!state.landlock_abi || !state.seccomp))
        log_warning("sandbox-incomplete",
                    LOG_Z("missing", state.seccomp        ? "landlock"
                                     : state.landlock_abi ? "seccomp"
                                                          : "both"),
                    LOG_Z("text", "this kernel does not have it; the role runs with less protection"));
    return err;
}

/* We open somewhat fewer lanes than we may, because the other side learns of closed ones a little later. */
static void set_lanes(struct role_run *r)
{
    unsigned n = r->plan.lanes;
    channel_set_lanes(r->keeper, n - n / 4);
    channel_set_lanes(r->core, n - n / 4);
    channel_set_lanes(r->supervisor, DESCRIPTORS_SUPERVISOR_LANES); /* it has one thread */
}

/* The plan is the process's own: what was set when it started holds until it ends. */
static int plan_descriptors(struct role_run *r, struct error *e)
{
    int err = descriptors_plan(r->snapshot->config, r->role->descriptors, descriptors_limit(), &r->plan, e);
    if (err)
        return err;
    descriptors_keep(r->plan.reserve);
    (void)descriptors_last_hold(); /* with a low number, which stays below the limit even if somebody lowers that */
    log_info("descriptors", LOG_NUM("limit", descriptors_limit()), LOG_NUM("reserve", r->plan.reserve),
             LOG_NUM("connections-max", r->plan.connections), LOG_NUM("workers-max", r->plan.workers));
    return 0;
}

uint64_t role_spool_max(const struct config *c)
{
    uint64_t own = c->limits[CONFIG_SMTP].message_size_max, most = own > c->message_size_max ? own : c->message_size_max;
    return most + most / 2 + ROLE_ADDED_MAX;
}

int role_bound_files(uint64_t max, struct error *e)
{
    const struct rlimit limit = { max, max };
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return error_set(e, ERR_INTERNAL, "the size of files cannot be bounded: %s", strerrordesc_np(errno));
    return 0;
}

static int start(struct role_run *r, const struct role_start *start, const struct channel_service *link, struct error *e)
{
    read_before_sandbox();
    r->file_max = role_spool_max(r->snapshot->config);
    int err = r->role->strangers ? role_bound_files(r->file_max, e) : 0;
    log_set_level(r->snapshot->config->log_level);
    if (err == 0)
        err = plan_descriptors(r, e);
    if (err == 0)
        err = enter_sandbox(r, e);
    if (err)
        return err;
    set_lanes(r);
    r->server = server_new(&(struct server_settings){ .workers_min = 2,
                                                      .workers_max = r->plan.workers,
                                                      .lanes_max = r->plan.lanes,
                                                      .connections_max = r->plan.connections,
                                                      .turned_away_max = r->plan.turned_away,
                                                      .reserved_max = r->plan.control,
                                                      .limits = r->limits });
    if (r->role->alpn)
        r->tls = tls_holder_new(NULL);
    err = r->role->start(r, e);
    if (err == 0)
        err = prepare(r, r->snapshot, e);
    if (err)
        return err;
    commit(r, r->snapshot);
    for (size_t i = 0; err == 0 && i < start->serve_n; i++) {
        const struct channel_service *service =
            r->role->service_for ? r->role->service_for(r, str_from_z(start->serve[i].peer)) : NULL;
        err = service ? server_serve_channel(r->server, start->serve[i].fd, service)
                      : error_set(e, ERR_REFUSED, "%s may not ask %s", start->serve[i].peer, r->role->name);
    }
    if (err == 0)
        err = server_serve_channel(r->server, ROLE_LINK_FD, link);
    if (err == 0 && r->tls)
        server_every(r->server, TICKET_CHECK_MS, refresh_ticket_keys, r);
    if (err == 0)
        server_every(r->server, TRIM_MS, trim_memory, r);
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
    if (!r->role) {
        free(r);
        free(early);
        return -1;
    }
    log_set_role(r->role->name);
    /* A filter keeps roles from changing modes, so files have theirs from the start: what core makes lies in folders that only it can enter, and its
     * certificates are for all. */
    (void)umask(0022);
    char title[16];
    (void)snprintf(title, sizeof title, "valise:%s", r->role->name);
    (void)prctl(PR_SET_NAME, title);
    set_signals();
    set_allocator();
    arena_init(&r->arena, ARENA_MAX);
    pthread_mutex_init(&r->lock, NULL);
    r->keeper = channel_open(-1, "keeper");
    r->core = channel_open(-1, "core");
    r->supervisor = channel_open(-1, "supervisor");
    const struct channel_service link = { .peer = "supervisor", .handlers = link_handlers, .ctx = r, .gone = on_cut_off };
    struct error e = ERROR_NONE;
    int err = receive_setup(r, early, &e);
    if (err == 0)
        err = start(r, early, &link, &e);
    if (err) {
        log_error("role-start-failed", LOG_Z("error", err_name(err)), LOG_Z("text", e.text));
        (void)!answer(WIRE_START, err, &e);
        return 1;
    }
    signal_run = r;
    (void)signal(SIGTERM, on_term);
    if (answer(WIRE_START, 0, &e))
        return 1;
    log_info("role-started", LOG_NUM("pid", getpid()), LOG_NUM("instance", r->snapshot->instance));
    server_run(r->server);
    if (r->role->end)
        r->role->end(r);
    server_free(r->server);
    log_info("role-ended");
    return 0;
}
