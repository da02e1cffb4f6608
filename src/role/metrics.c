/* metrics: see metrics.h. */
#include "role/metrics.h"

#include "base/metric.h"
#include "directory/lockout.h"
#include "pki/pki.h"
#include "role/admin_limits.h"
#include "role/role.h"

enum { ASK_DEADLINE_MS = 60000, ARENA_MAX = 4 << 20, TEXT_MAX = 4 << 20 };

static void add_value(struct buf *out, double scale, uint64_t v)
{
    if (scale < 1)
        buf_addf(out, " %.3f\n", (double)v * scale);
    else
        buf_addf(out, " %llu\n", (unsigned long long)v);
}

/* --- roles --- */

static const struct {
    const char *name, *type, *help;
    size_t offset, size; /* in struct wire_role_status */
    double scale;
} role_metrics[] = {
#define FIELD(f) offsetof(struct wire_role_status, f), sizeof(((struct wire_role_status *)0)->f)
    { "valise_role_up", "gauge", "Process id of the role; 0: it does not run.", FIELD(pid), 1 },
    { "valise_role_restarts_total", "counter", "Times the role was started again.", FIELD(restarts), 1 },
    { "valise_role_uptime_seconds", "gauge", "Seconds since the role started.", FIELD(uptime_ms), 0.001 },
    { "valise_role_connections", "gauge", "Connections open now.", FIELD(counts.connections), 1 },
    { "valise_role_connections_accepted_total", "counter", "Connections accepted since the role started.", FIELD(counts.accepted),
      1 },
    { "valise_role_connections_refused_total", "counter", "Connections refused since the role started.", FIELD(counts.refused),
      1 },
    { "valise_role_workers", "gauge", "Threads that serve connections.", FIELD(counts.workers), 1 },
    { "valise_role_workers_busy", "gauge", "Threads that are at work.", FIELD(counts.workers_busy), 1 },
    { "valise_role_workers_peak", "gauge", "Most threads at a time since the role started.", FIELD(counts.workers_peak), 1 },
    { "valise_role_queued", "gauge", "Connections that have something to do and wait for a thread.", FIELD(counts.queued), 1 },
    { "valise_role_descriptors", "gauge", "Files and sockets that the role has open.", FIELD(counts.descriptors), 1 },
    { "valise_role_descriptors_max", "gauge", "Files and sockets that the role may have open.", FIELD(counts.descriptors_max),
      1 },
#undef FIELD
};

static uint64_t field_of(const struct wire_role_status *r, size_t offset, size_t size)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (size == sizeof narrow) {
        memcpy(&narrow, (const char *)r + offset, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, (const char *)r + offset, sizeof wide);
    return wide;
}

/* "mx-0", "mx-1": several processes are of one kind. */
static void process_name(const struct wire_role_status *roles, size_t i, char ret[32])
{
    unsigned instance = 0;
    for (size_t k = 0; k < i; k++)
        instance += str_eq(roles[k].name, roles[i].name);
    if (str_eq(roles[i].name, STR("mx")))
        (void)snprintf(ret, 32, "mx-%u", instance);
    else
        (void)snprintf(ret, 32, "%.*s", STR_ARG(roles[i].name));
}

static int add_roles(struct admin *a, struct buf *out, struct error *e)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct frame request = { .type = WIRE_STATUS }, reply;
    struct wire_role_status *roles;
    size_t n = 0;
    int err = channel_call(a->run->supervisor, &request, &arena, ASK_DEADLINE_MS, &reply, e);
    if (err == 0)
        err = wire_unpack_roles(reply.payload, &arena, NULL, &roles, &n);
    for (size_t k = 0; err == 0 && k < sizeof role_metrics / sizeof role_metrics[0]; k++) {
        metric_render_head(out, role_metrics[k].name, role_metrics[k].type, role_metrics[k].help);
        for (size_t i = 0; i < n; i++) {
            char name[32];
            process_name(roles, i, name);
            uint64_t v = field_of(&roles[i], role_metrics[k].offset, role_metrics[k].size);
            buf_addf(out, "%s{process=\"%s\"}", role_metrics[k].name, name);
            add_value(out, role_metrics[k].scale, k == 0 ? v != 0 : v);
        }
    }
    arena_done(&arena);
    return err;
}

/* --- what the roles count --- */

static int unpack_all(str payload, struct buf *out)
{
    struct metric_pack list[WIRE_PROCESSES_MAX];
    struct unpack u = unpack_init(payload);
    size_t n = 0;
    while (unpack_rest(&u).n && n < WIRE_PROCESSES_MAX) {
        list[n].process = unpack_str(&u, 32);
        list[n].packed = unpack_str(&u, CHANNEL_PAYLOAD_MAX);
        if (u.error)
            return ERR_CORRUPT;
        n++;
    }
    return unpack_end(&u) ? ERR_CORRUPT : metric_render(list, n, out);
}

static int add_counts(struct admin *a, struct buf *out, struct error *e)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct frame request = { .type = WIRE_METRICS }, reply = { .fd_n = 0 };
    str payload = { NULL, 0 };
    int err = channel_call(a->run->supervisor, &request, &arena, ASK_DEADLINE_MS, &reply, e);
    if (err == 0)
        err = reply.fd_n == 1 ? channel_map(reply.fds[0], false, WIRE_METRICS_MAX, &payload) : ERR_CORRUPT;
    if (err == 0)
        err = unpack_all(payload, out);
    channel_unmap(payload);
    frame_close_fds(&reply);
    arena_done(&arena);
    return err;
}

/* --- store, lock-outs and certificates --- */

static void add_store(struct admin *a, struct buf *out)
{
    struct engine_state s;
    struct directory_lockout_counts locked;
    engine_state(a->engine, &s);
    directory_lockout_counts(a->directory, &locked);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } metrics[] = {
        { "valise_logins_turned_away_total", "counter", "Logins of whoever was locked out since core started.",
          locked.turned_away },
        { "valise_lockouts_total", "counter", "Lock-outs that began since core started.", locked.lockouts },
        { "valise_locked_out_networks", "gauge", "Networks that are locked out now.", locked.networks },
        { "valise_locked_out_logins", "gauge", "Users that are locked out from one network now.", locked.logins },
        { "valise_store_commits_total", "counter", "Transactions committed since the store was opened.", s.commits },
        { "valise_store_syncs_total", "counter", "Times the log was brought to the disk since the store was opened.", s.syncs },
        { "valise_store_free_bytes", "gauge", "Space left on the store's disk.", s.free_bytes },
        { "valise_store_writable", "gauge", "1 while the store takes mail.", s.writable },
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        metric_render_head(out, metrics[i].name, metrics[i].type, metrics[i].help);
        buf_addf(out, "%s %llu\n", metrics[i].name, (unsigned long long)metrics[i].value);
    }
}

static void add_certificates(struct admin *a, struct buf *out)
{
    static const char *const name = "valise_certificate_not_after_seconds";
    struct role_snapshot *s = role_snapshot_get(a->run);
    metric_render_head(out, name, "gauge", "When a server certificate ends, in seconds since 1970.");
    for (size_t i = 0; i < s->identity_n && i < s->config->certificate_n; i++) {
        struct arena arena = ARENA_INIT(1 << 20);
        struct pki_description d;
        str server = s->identities[i].name;
        if (pki_certificate_describe(s->identities[i].chain_pem, &arena, &d, NULL) == 0) {
            buf_addf(out, "%s{name=\"", name);
            metric_render_label(out, server.n ? server : STR("default"));
            buf_add(out, STR("\",chain=\""));
            metric_render_label(out, s->config->certificates[i].chain);
            buf_addf(out, "\"} %lld\n", (long long)d.not_after);
        }
        arena_done(&arena);
    }
    role_snapshot_unref(s);
}

/* --- all --- */

int metrics_text(struct admin *a, struct buf *out, struct error *e)
{
    if (!a->run)
        return error_set(e, ERR_UNAVAILABLE, "the server is not running");
    metric_render_head(out, "valise_info", "gauge", "The version that runs.");
    buf_addf(out, "valise_info{version=\"%s\"} 1\n", VALISE_VERSION);
    int err = add_roles(a, out, e);
    if (err == 0)
        err = add_counts(a, out, e);
    if (err)
        return error_set(e, err, "%s", e->text[0] ? e->text : "the supervisor does not answer");
    add_store(a, out);
    add_certificates(a, out);
    admin_limit_metrics(a, out);
    return buf_error(out);
}

json_t *metrics_show(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct buf out = BUF_INIT(TEXT_MAX);
    int err = metrics_text(a, &out, &e);
    json_t *text = err ? NULL : json_stringn(out.p, out.n);
    json_t *v = text ? json_pack("{s:b,s:o}", "ok", 1, "text", text) : admin_error(err ? err : ERR_INTERNAL, e.text);
    buf_done(&out);
    return v;
}
