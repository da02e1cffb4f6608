/* core: the store and everybody who logs in. It answers mx's questions, speaks submission and IMAP, and carries out what the
 * administrator asks on the control socket. It has no private keys. */
#include "role/core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "directory/history.h"
#include "directory/lockout.h"
#include "http/http.h"
#include "role/certificates.h"
#include "role/control.h"
#include "role/format.h"
#include "role/login.h"
#include "role/login_memory.h"
#include "role/metrics.h"
#include "role/notes.h"
#include "role/sealer.h"
#include "role/spool.h"
#include "role/sessions.h"
#include "run/descriptors.h"

enum {
    COLLECT_LOOK_MS = 1000,
    COLLECT_EVERY_MS = 10000,
    COLLECT_BUDGET = 200,
    COLLECT_PRESSED_BUDGET = 4000,
    TEND_EVERY_MS = 5000,
    NOTES_EVERY_MS = 1000,
    REST_KEEP_BYTES = 8 << 20,
    RENEW_LOOK_MS = 10000,
    RENEW_EVERY_MS = 600000
};

/* --- what mx and submission need --- */

/* Whether a message of SIZE bytes for one of LIST can be taken. Of several all must have room, or with ANY one. */
static int room_of(struct core *c, const struct directory_account *list, size_t n, uint64_t size, bool any,
                   enum smtp_recipient_verdict *ret, struct error *e)
{
    size_t full = 0, never = 0, enabled = 0;
    for (size_t i = 0; i < n; i++) {
        int room = list[i].enabled ? mail_account_room(c->mail, list[i].id, size) : 0;
        if (room && room != ERR_REFUSED && room != ERR_LIMIT)
            return error_set(e, room == ERR_NOTFOUND ? ERR_UNAVAILABLE : room, "the account cannot be opened");
        enabled += list[i].enabled;
        full += room == ERR_REFUSED;
        never += room == ERR_LIMIT;
    }
    bool fits = any ? full + never < enabled : full + never == 0;
    *ret = !enabled ? SMTP_RECIPIENT_DISABLED : fits ? SMTP_RECIPIENT_OK : never ? SMTP_RECIPIENT_TOO_SMALL : SMTP_RECIPIENT_FULL;
    return 0;
}

/* ANY: of an address that stands for several, one who can have the message is enough. */
static int verdict_of(struct core *c, const struct smtp_login *login, str address, uint64_t size, bool any,
                      enum smtp_recipient_verdict *ret, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct directory_account *list;
    size_t n;
    engine_part sender;
    if (login)
        memcpy(sender.b, login->account, sizeof sender.b);
    int err = directory_resolve_from(c->directory, login ? &sender : NULL, address, &a, &list, &n);
    if (err == 0)
        err = room_of(c, list, n, size, any, ret, e);
    else if (err == ERR_NOTFOUND || err == ERR_SYNTAX || err == ERR_REFUSED || err == ERR_UNSUPPORTED || err == ERR_LIMIT)
        *ret = err == ERR_REFUSED       ? SMTP_RECIPIENT_NOT_OURS
               : err == ERR_UNSUPPORTED ? SMTP_RECIPIENT_FORBIDDEN
               : err == ERR_LIMIT       ? SMTP_RECIPIENT_TOO_MANY
                                        : SMTP_RECIPIENT_UNKNOWN,
        err = 0;
    else
        err = error_set(e, err, "the directory cannot be read");
    arena_done(&a);
    return err;
}

static int core_recipient(void *ctx, const struct smtp_login *login, str address, uint64_t size, enum smtp_recipient_verdict *ret,
                          struct error *e)
{
    return verdict_of(ctx, login, address, size, false, ret, e);
}

/* A user gets a report on those of several who had no room (core_submit). */
static int core_recipient_of_user(void *ctx, const struct smtp_login *login, str address, uint64_t size,
                                  enum smtp_recipient_verdict *ret, struct error *e)
{
    return verdict_of(ctx, login, address, size, true, ret, e);
}

static int core_spool(void *ctx, struct error *e)
{
    int fd = open("spool", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "no spool file: %s", strerrordesc_np(errno));
    fd = descriptors_spare(fd);
    return fd < 0 ? error_set(e, fd, "there are no descriptors for another large message; try again") : fd;
}

static bool core_may_send_as(void *ctx, const struct smtp_login *login, str address)
{
    struct core *c = ctx;
    engine_part id;
    memcpy(id.b, login->account, sizeof id.b);
    return directory_may_send_as(c->directory, id, address);
}

static int core_match(void *ctx, str name, struct arena *a, struct smtp_match **ret, size_t *ret_n)
{
    struct core *c = ctx;
    struct directory_match *list;
    size_t n;
    _Static_assert((int)SMTP_MATCHES_MAX >= (int)DIRECTORY_MATCHES_MAX, "all that the directory gives are told");
    int err = directory_match(c->directory, name, a, &list, &n);
    size_t kept = err == 0 && n < DIRECTORY_MATCHES_MAX ? n : DIRECTORY_MATCHES_MAX;
    struct smtp_match *copy = err == 0 ? arena_array(a, kept, sizeof *copy) : NULL;
    if (err || !copy)
        return err ? err : ERR_LIMIT;
    for (size_t i = 0; i < kept; i++)
        copy[i] = (struct smtp_match){ list[i].address, list[i].enabled, list[i].kind != DIRECTORY_ACCOUNT, list[i].members,
                                       list[i].member_n };
    *ret = copy;
    *ret_n = n;
    return 0;
}

/* --- requests of mx, validated --- */

/* One mx, as long as it has a lane. */
struct core_peer {
    struct core *core;
    unsigned number;
    struct channel_service service;
};

static int on_recipient(void *ctx, const struct frame *request, struct arena *a, struct buf *reply,
                        int reply_fds[CHANNEL_FDS_MAX], size_t *ret_fd_n, struct error *e)
{
    enum smtp_recipient_verdict v;
    struct unpack u = unpack_init(request->payload);
    uint64_t size = unpack_u64(&u);
    str address = unpack_str(&u, WIRE_ADDRESS_MAX);
    if (unpack_end(&u))
        return error_set(e, ERR_CORRUPT, "the question about a recipient is malformed");
    struct core_peer *peer = ctx;
    int err = core_recipient(peer->core, NULL, address, size, &v, e);
    if (err == 0)
        pack_u8(reply, (uint8_t)v);
    return err;
}

static bool core_is_revoked(struct role_run *r, str serial)
{
    const struct core *c = r->state;
    bool revoked = true;
    int err = certificates_is_revoked(c->engine, serial, &revoked);
    return err || revoked;
}

static int on_revoked(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                      size_t *ret_fd_n, struct error *e)
{
    const struct core_peer *peer = ctx;
    pack_u8(reply, core_is_revoked(peer->core->run, request->payload));
    return 0;
}

static uint64_t spool_max(struct core *c)
{
    struct role_snapshot *s = role_snapshot_get(c->run);
    uint64_t max = role_spool_max(s->config);
    role_snapshot_unref(s);
    return max;
}

static int on_spool(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                    size_t *ret_fd_n, struct error *e)
{
    struct core_peer *peer = ctx;
    int fd = spool_open(peer->core->spool, peer->number, spool_max(peer->core), e);
    if (fd < 0)
        return fd;
    reply_fds[0] = fd;
    *ret_fd_n = 1;
    return 0;
}

/* The message of D from its descriptor, mapped. *RET_COPY is closed by the caller after the mapping is gone; -1: none. */
static int map_message(struct core_peer *peer, int fd, struct smtp_delivery *d, int *ret_copy, struct error *e)
{
    uint64_t max = spool_max(peer->core);
    bool sealed = fcntl(fd, F_GET_SEALS) > 0;
    int err = sealed ? 0 : spool_take(peer->core->spool, peer->number, fd, max, clock_mono_ms(), ret_copy, e);
    if (err)
        return err;
    err = channel_map(sealed ? fd : *ret_copy, !sealed, max, &d->message);
    return err ? error_set(e, err, "the message cannot be mapped") : 0;
}

static int on_accept(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct core_peer *peer = ctx;
    struct smtp_delivery d = { .fd = -1 };
    str envelope = request->payload, apart = { NULL, 0 };
    bool inlined = false;
    int copy = -1, err = 0;
    if (request->fd_n == 2 && envelope.n == 0) {
        err = channel_map(request->fds[1], false, WIRE_DELIVERY_MAX, &apart);
        envelope = apart;
    }
    if (err == 0)
        err = wire_unpack_delivery(envelope, a, &d, &inlined);
    if (err == 0 && inlined != (request->fd_n == 0))
        err = ERR_CORRUPT;
    if (err)
        (void)error_set(e, err, "the delivery is malformed");
    else if (!inlined)
        err = map_message(peer, request->fds[0], &d, &copy, e);
    if (err == 0)
        err = core_accept(peer->core, &d, e);
    if (!inlined)
        channel_unmap(d.message);
    channel_unmap(apart);
    if (copy >= 0)
        (void)close(copy);
    return err;
}

static const struct channel_handler mx_handlers[] = {
    { WIRE_RECIPIENT, "recipient", WIRE_RECIPIENT_MAX, 0, 0, on_recipient },
    { WIRE_ACCEPT, "accept", CHANNEL_PAYLOAD_MAX, 0, 2, on_accept },
    { WIRE_SPOOL, "spool", 0, 0, 0, on_spool },
    { WIRE_REVOKED, "revoked", WIRE_SERIAL_MAX, 0, 0, on_revoked },
    { .handle = NULL },
};

/* Called once for each process: no two share a number. */
static const struct channel_service *core_service_for(struct role_run *r, str peer)
{
    struct core *c = r->state;
    struct core_peer *p = str_eq(peer, STR("mx")) ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->core = c;
    p->number = atomic_fetch_add(&c->peers, 1);
    p->service = (struct channel_service){ .peer = "mx", .handlers = mx_handlers, .ctx = p, .gone = free };
    return &p->service;
}

/* --- life --- */

static const struct conn_ops *core_protocol(const struct config_listener *l)
{
    bool is_smtp = l->protocol == CONFIG_SUBMISSION || l->protocol == CONFIG_LMTP;
    return is_smtp                         ? &smtp_session_ops
           : l->protocol == CONFIG_IMAP    ? &imap_session_ops
           : l->protocol == CONFIG_METRICS ? &http_session_ops
                                           : NULL;
}

static const void *smtp_context(struct core *c, struct role_snapshot *s, const struct config_listener *l)
{
    bool lmtp = l->protocol == CONFIG_LMTP;
    struct smtp_config *ret = arena_new(&s->arena, struct smtp_config);
    const struct config_limits *limits = &s->config->limits[l->protocol];
    if (ret)
        *ret = (struct smtp_config){ .service = lmtp ? &c->lmtp : &c->submission,
                                     .submission = !lmtp,
                                     .lmtp = lmtp,
                                     .tls = l->tls,
                                     .clear_login = s->config->insecure_lesson && l->tls == SMTP_TLS_OFF,
                                     .certificate_required = l->client_cert == TLS_CLIENT_REQUIRED,
                                     .auth = login_settings(c, l),
                                     .hostname = s->config->hostname,
                                     .size_max = limits->message_size_max,
                                     .recipients_max = limits->recipients_max,
                                     .full_is_final = s->config->refuse_over_quota,
                                     .errors_max = limits->errors_max,
                                     .junk_max = limits->junk_max,
                                     .unknown_max = limits->unknown_max };
    return ret;
}

static const void *imap_context(struct core *c, struct role_snapshot *s, const struct config_listener *l)
{
    struct imap_config *ret = arena_new(&s->arena, struct imap_config);
    const struct config_limits *limits = &s->config->limits[CONFIG_IMAP];
    if (ret)
        *ret = (struct imap_config){ .store = c->mail,
                                     .tls_required = l->tls != SMTP_TLS_OFF,
                                     .hostname = s->config->hostname,
                                     .append_max = limits->message_size_max,
                                     .errors_max = limits->errors_max,
                                     .ctx = c,
                                     .authenticate = login_imap,
                                     .auth = login_settings(c, l) };
    return ret;
}

static int get_metrics(void *ctx, struct buf *out, struct error *e)
{
    struct core *c = ctx;
    return metrics_text(&c->admin, out, e);
}

static const void *http_context(struct core *c, struct role_snapshot *s)
{
    static const struct http_resource resources[] = { { "/metrics", "text/plain; version=0.0.4; charset=utf-8", get_metrics } };
    struct http_config *ret = arena_new(&s->arena, struct http_config);
    if (ret)
        *ret = (struct http_config){ .resources = resources, .resource_n = 1, .ctx = c };
    return ret;
}

static const void *core_context(struct role_run *r, struct role_snapshot *s, const struct config_listener *l)
{
    return l->protocol == CONFIG_METRICS ? http_context(r->state, s)
           : l->protocol == CONFIG_IMAP  ? imap_context(r->state, s, l)
                                         : smtp_context(r->state, s, l);
}

/* At leisure, or at once when a disk is full or what was deleted weighs more than what lives. */
static void collect(void *ctx)
{
    struct core *c = ctx;
    unsigned done;
    int64_t now = clock_mono_ms();
    bool pressed = engine_is_pressed(c->engine);
    if (!pressed && now < c->collect_ms)
        return;
    c->collect_ms = now + COLLECT_EVERY_MS;
    int removed = admin_finish_removals(&c->admin); /* which may lack the space that collection makes */
    int err = engine_collect(c->engine, pressed ? COLLECT_PRESSED_BUDGET : COLLECT_BUDGET, &done);
    err = err ? err : removed;
    if (err && err != ERR_UNAVAILABLE && err != ERR_FULL)
        log_warning("collect-failed", LOG_Z("error", err_name(err)));
}

/* Once soon after the start, as the server may have been off for long, then often enough for certificates of an hour. */
static void renew(void *ctx)
{
    struct core *c = ctx;
    int64_t now = clock_mono_ms();
    if (now < c->renew_ms)
        return;
    c->renew_ms = now + RENEW_EVERY_MS;
    if (certificates_renew_due(&c->admin))
        log_warning("renewal-incomplete", LOG_NUM("again-in-ms", RENEW_EVERY_MS));
}

/* What the configuration says about logins is in force for every session at once. */
static void core_commit(struct role_run *r)
{
    struct core *c = r->state;
    struct role_snapshot *s = role_snapshot_get(r);
    const struct config_login *login = &s->config->login;
    directory_set_lockout_policy(c->directory,
                                 &(struct directory_lockout_policy){ .login_failures = login->failures_max,
                                                                     .network_failures = login->network_failures_max,
                                                                     .first_ms = (int64_t)login->lockout_s * 1000,
                                                                     .allow = login->allow,
                                                                     .exempt = s->config->limits[0].rules.exempt });
    directory_set_cost(c->directory,
                       &(struct directory_cost){ .kib = (unsigned)(login->argon2_bytes / 1024), .passes = login->argon2_passes });
    directory_set_history_days(c->directory, login->history_days);
    directory_set_scram_sha1(c->directory, login->scram_sha1);
    role_snapshot_unref(s);
}

/* Failed logins and history, to the disk. */
static void tend(void *ctx)
{
    struct core *c = ctx;
    directory_tend(c->directory);
}

/* What the file system says: what was promised is looked at by the spool itself. */
static void spool_space(void *ctx, uint64_t *ret_free, uint64_t *ret_reserve)
{
    struct core *c = ctx;
    struct engine_state s;
    engine_state(c->engine, &s);
    *ret_free = s.free_bytes + atomic_load(&c->spool_claimed);
    *ret_reserve = s.reserve_bytes;
}

static void tend_notes(void *ctx)
{
    struct core *c = ctx;
    notes_tend(c->notes, &c->admin);
}

static void tend_spool(void *ctx)
{
    struct core *c = ctx;
    spool_tend(c->spool, clock_mono_ms());
}

/* Files of which a crash left the name. */
static void clear_spool(int spool)
{
    int copy = openat(spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (str_starts(str_from_z(entry->d_name), STR("mx-")))
            (void)unlinkat(spool, entry->d_name, 0);
    if (dir)
        (void)closedir(dir);
    else if (copy >= 0)
        (void)close(copy);
}

static int open_store(struct core *c, struct error *e)
{
    const struct config *config = c->run->snapshot->config;
    struct engine_settings settings = { .reserve_bytes = config->reserve_bytes,
                                        .cache_bytes = (size_t)config->cache_bytes,
                                        .open_files = c->run->plan.store_files,
                                        .claimed = &c->spool_claimed };
    int err = engine_rocksdb_open("store", &settings, &c->engine, e);
    if (err)
        return err;
    c->mail = mail_store_new(c->engine);
    c->notes = notes_new();
    mail_store_watch_quotas(c->mail, notes_touch, c->notes);
    int spool = open("spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool < 0)
        return error_set(e, err_from_errno(errno), "spool: %s", strerrordesc_np(errno));
    mail_store_set_spool(c->mail, spool);
    clear_spool(spool);
    c->spool = spool_new(&(struct spool_settings){ .dir = spool, .space = spool_space, .ctx = c, .claimed = &c->spool_claimed });
    const struct directory_sealer sealer = role_sealer(c->run->keeper);
    err = directory_open(c->engine, &c->directory, e);
    if (err)
        return err;
    const struct directory_memory memory = role_login_memory(c->run->keeper);
    directory_set_sealer(c->directory, &sealer);
    directory_set_memory(c->directory, &memory);
    return 0;
}

/* The control socket listens in the valise directory as long as core runs; it came as a listener with a name that none of the configuration can
 * have. */
static int listen_control(struct core *c, struct error *e)
{
    const struct listener_settings settings = { .name = "control", .ops = &control_session_ops, .ctx = c, .reserved = true };
    for (size_t i = 0; i < c->run->listener_n; i++)
        if (str_eq(str_from_z(c->run->listeners[i].name), STR(WIRE_CONTROL))) {
            int fd = c->run->listeners[i].fd;
            c->run->listeners[i] = c->run->listeners[--c->run->listener_n];
            return server_listen(c->run->server, fd, &settings);
        }
    return error_set(e, ERR_CORRUPT, "the supervisor gave no control socket");
}

static int core_start(struct role_run *r, struct error *e)
{
    struct core *c = arena_new(&r->arena, struct core);
    if (!c)
        return error_set(e, ERR_LIMIT, "no memory for core");
    c->run = r;
    r->state = c;
    int err = open_store(c, e);
    if (err)
        return err;
    c->submission = (struct smtp_service){ .ctx = c,
                                           .recipient = core_recipient_of_user,
                                           .accept = core_submit,
                                           .spool = core_spool,
                                           .authenticate = login_smtp,
                                           .match = core_match,
                                           .may_send_as = core_may_send_as };
    c->lmtp =
        (struct smtp_service){ .ctx = c, .recipient = core_recipient, .accept_each = core_accept_each, .spool = core_spool };
    c->admin = (struct admin){ .engine = c->engine, .mail = c->mail, .directory = c->directory, .run = r, .keeper = r->keeper };
    sessions_watch(c);
    err = store_upgrade(&c->admin, e);
    if (err == 0)
        err = listen_control(c, e);
    if (err == 0)
        server_every(r->server, COLLECT_LOOK_MS, collect, c);
    if (err == 0)
        server_every(r->server, TEND_EVERY_MS, tend, c);
    server_every(r->server, NOTES_EVERY_MS, tend_notes, c);
    if (err == 0)
        server_every(r->server, SPOOL_TEND_MS, tend_spool, c);
    if (err == 0)
        server_every(r->server, RENEW_LOOK_MS, renew, c);
    return err;
}

static void core_rest(struct role_run *r)
{
    struct core *c = r->state;
    size_t kept = mail_store_rest(c->mail, REST_KEEP_BYTES);
    engine_rest(c->engine);
    log_info("rest", LOG_NUM("kept-bytes", (int64_t)kept));
}

static void core_end(struct role_run *r)
{
    struct core *c = r->state;
    spool_free(c->spool);
    directory_free(c->directory);
    mail_store_free(c->mail);
    notes_free(c->notes);
    engine_close(c->engine);
}

const struct role role_core = { .name = "core",
                                .profile = &role_core_profile,
                                .descriptors = DESCRIPTORS_CORE,
                                .alpn = "imap,smtp",
                                .tls = 1u << RIGHTS_TLS_CORE,
                                .start = core_start,
                                .service_for = core_service_for,
                                .protocol = core_protocol,
                                .context = core_context,
                                .is_revoked = core_is_revoked,
                                .commit = core_commit,
                                .rest = core_rest,
                                .end = core_end };
