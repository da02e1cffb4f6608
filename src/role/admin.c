/* admin: see admin.h. One function a command, found in the table at the end. */
#include "role/notes.h"
#include "role/admin_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/admin_limits.h"
#include "role/ca_notes.h"
#include "role/certificates.h"
#include "role/format.h"
#include "role/metrics.h"
#include "role/sessions.h"
#include "run/descriptors.h"

enum { ASK_DEADLINE_MS = 60000 };

str admin_text(const json_t *request, const char *key)
{
    const json_t *v = json_object_get(request, key);
    return json_is_string(v) ? (str){ json_string_value(v), json_string_length(v) } : (str){ NULL, 0 };
}

bool admin_with_references(const json_t *request)
{
    return json_is_true(json_object_get(request, "with-references"));
}

json_t *admin_json_text(str s)
{
    json_t *v = json_stringn(s.n ? s.p : "", s.n);
    return v ? v : json_string("(not UTF-8)");
}

json_t *admin_error(int code, const char *text)
{
    return json_pack("{s:b,s:s,s:s}", "ok", 0, "error", err_name(code), "text", text[0] ? text : err_name(code));
}

const char *admin_no_listing(int err, const char *text)
{
    return err == ERR_NOTFOUND ? "there is no domain of that name" : err == ERR_SYNTAX ? "that is not a domain name" : text;
}

json_t *admin_done(int err, const struct error *e)
{
    return err ? admin_error(err, e->text) : json_pack("{s:b}", "ok", 1);
}

/* --- check --- */

struct checking {
    struct admin *admin;
    bool deep;
    json_t *problems;
    str address;
    struct mail_check_report report;
};

static void on_problem(void *ctx, const char *text)
{
    struct checking *c = ctx;
    if (json_array_size(c->problems) < 1000)
        json_array_append_new(c->problems, json_sprintf("%.*s: %s", STR_ARG(c->address), text));
}

static void on_dangling(void *ctx, str name, str what)
{
    struct checking *c = ctx;
    struct arena a = ARENA_INIT(4096);
    const char *text = arena_z(&a, what);
    c->address = name;
    c->report.problems++;
    on_problem(c, text ? text : "it leads to somebody who is not there");
    arena_done(&a);
}

/* Whether ACCOUNT is in the directory now: it may have been removed since it was listed. */
static bool still_there(struct admin *a, const struct directory_account *account)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct directory_account *list;
    size_t n;
    bool there = directory_resolve(a->directory, account->address, &arena, &list, &n) == 0 && n == 1 &&
                 memcmp(list[0].id.b, account->id.b, sizeof account->id.b) == 0;
    arena_done(&arena);
    return there;
}

/* Users come and go during a check: what looks wrong is looked at again when nobody is about to change. */
static int check_account(void *ctx, const struct directory_account *account)
{
    struct checking *c = ctx;
    struct mail_check_report r = { 0 };
    size_t reported = json_array_size(c->problems);
    c->address = account->address;
    int err = mail_check(c->admin->mail, account->id, c->deep, on_problem, c, &r);
    if (err == ERR_NOTFOUND || r.problems) {
        pthread_mutex_lock(&admin_accounts_lock);
        bool there = still_there(c->admin, account);
        if (there && err == ERR_NOTFOUND)
            err = mail_check(c->admin->mail, account->id, c->deep, on_problem, c, &r);
        pthread_mutex_unlock(&admin_accounts_lock);
        while (!there && json_array_size(c->problems) > reported)
            json_array_remove(c->problems, json_array_size(c->problems) - 1);
        if (!there)
            return 0;
    }
    c->report.accounts++;
    c->report.mailboxes += r.mailboxes;
    c->report.entries += r.entries;
    c->report.emails += r.emails;
    c->report.blobs += r.blobs;
    c->report.problems += r.problems;
    if (err == ERR_NOTFOUND) {
        on_problem(c, "the account has no mailboxes in the store");
        c->report.problems++;
    }
    return err == ERR_NOTFOUND ? 0 : err;
}

static bool has_administrator(struct admin *a)
{
    struct directory_counts counts;
    directory_counts(a->directory, &counts);
    return counts.has_administrator;
}

/* What is to be said of the descriptors of the server that runs; NULL: nothing. */
static json_t *descriptors_note(struct admin *a)
{
    char text[DESCRIPTORS_TEXT_MAX];
    struct role_snapshot *s = a->run ? role_snapshot_get(a->run) : NULL;
    bool few = s && descriptors_are_few(s->config, descriptors_limit(), text);
    role_snapshot_unref(s);
    return few ? json_string(text) : NULL;
}

static json_t *check_notes(struct admin *a)
{
    json_t *notes = ca_notes(a), *few = descriptors_note(a);
    if (few)
        json_array_append_new(notes, few);
    if (!has_administrator(a))
        json_array_append_new(notes, json_string(ADMIN_NOBODY));
    return notes;
}

/* Mail that can be had back is whole, too. One that is being erased meanwhile is none. */
static int check_removed(void *ctx, const struct directory_removed *one)
{
    struct checking *c = ctx;
    struct mail_check_report r = { 0 };
    c->address = one->address;
    int err = mail_check(c->admin->mail, one->id, c->deep, on_problem, c, &r);
    c->report.mailboxes += r.mailboxes;
    c->report.entries += r.entries;
    c->report.emails += r.emails;
    c->report.blobs += r.blobs;
    c->report.problems += r.problems;
    return err == ERR_NOTFOUND ? 0 : err;
}

static json_t *check(struct admin *a, const json_t *request)
{
    struct checking c = { .admin = a, .deep = json_is_true(json_object_get(request, "deep")), .problems = json_array() };
    int err = admin_finish_removals(a);
    if (err == 0)
        err = directory_accounts(a->directory, (str){ NULL, 0 }, check_account, &c);
    if (err == 0)
        err = directory_removed(a->directory, check_removed, &c);
    directory_dangling(a->directory, on_dangling, &c);
    if (err == 0)
        err = certificates_dangling(a, on_dangling, &c);
    if (err) {
        json_decref(c.problems);
        return admin_error(err, "the check could not be finished");
    }
    return json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "ok", 1, "accounts", (json_int_t)c.report.accounts, "mailboxes",
                     (json_int_t)c.report.mailboxes, "entries", (json_int_t)c.report.entries, "emails",
                     (json_int_t)c.report.emails, "blobs", (json_int_t)c.report.blobs, "problems", (json_int_t)c.report.problems,
                     "list", c.problems, "notes", check_notes(a));
}

/* --- the store's format --- */

struct counting {
    struct admin *admin;
    uint64_t messages;
};

static int count_messages(void *ctx, const struct directory_account *account)
{
    struct counting *c = ctx;
    struct mail_account *a;
    struct mail_quota q;
    int err = mail_account_open(c->admin->mail, account->id, &a);
    if (err)
        return err == ERR_NOTFOUND ? 0 : err;
    err = mail_account_quota(a, &q);
    if (!err)
        c->messages += q.messages;
    mail_account_unref(a);
    return err;
}

static json_t *steps_json(struct admin *a, uint32_t from)
{
    size_t n;
    const struct store_step *s = store_steps(from, &n);
    struct counting c = { .admin = a };
    (void)!directory_accounts(a->directory, (str){ NULL, 0 }, count_messages,
                              &c); /* an estimate; `valise check' tells what is wrong */
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:I,s:s,s:b,s:I}", "to", (json_int_t)s[i].to, "what", s[i].what, "reversible",
                                              (int)s[i].reversible, "bytes",
                                              (json_int_t)(s[i].bytes + c.messages * s[i].message_bytes)));
    return list;
}

/* A server has done it when it started, and finds nothing to do. */
static json_t *upgrade(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    uint32_t from = 0;
    bool dry = json_is_true(json_object_get(request, "dry-run"));
    int err = store_format(a->engine, &from);
    if (err)
        return admin_error(err, "the store's format cannot be read");
    if (!dry || from > STORE_FORMAT)
        err = store_upgrade(a, &e);
    if (err)
        return admin_error(err, e.text);
    return json_pack("{s:b,s:i,s:I,s:I,s:o}", "ok", 1, "configuration", CONFIG_VERSION, "from", (json_int_t)from, "to",
                     (json_int_t)STORE_FORMAT, "steps", steps_json(a, from));
}

/* --- the running server --- */

static json_t *listeners_json(const struct role_snapshot *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->config->listener_n; i++) {
        const struct config_listener *l = &r->config->listeners[i];
        json_t *addresses = json_array();
        for (size_t k = 0; k < l->address_n; k++)
            json_array_append_new(addresses, admin_json_text(l->addresses[k]));
        json_array_append_new(list,
                              json_pack("{s:o,s:s,s:i,s:s,s:o,s:o,s:o,s:o}", "name", admin_json_text(l->name), "protocol",
                                        config_protocol_name(l->protocol), "port", (int)l->port + r->port_offset, "tls",
                                        config_tls_name(l->tls), "addresses", addresses, "networks", admin_networks(l->networks),
                                        "proxy-from", admin_networks(l->proxies), "xclient-from", admin_networks(l->overrides)));
    }
    return list;
}

static json_t *certificates_json(struct admin *a, const struct role_snapshot *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->identity_n && i < r->config->certificate_n; i++) {
        struct arena arena = ARENA_INIT(1 << 20);
        struct pki_description d;
        str name = r->identities[i].name;
        if (pki_certificate_describe(r->identities[i].chain_pem, &arena, &d, NULL) == 0) {
            json_t *v =
                json_pack("{s:o,s:o,s:o,s:I,s:I}", "name", admin_json_text(name.n ? name : STR("default")), "chain",
                          admin_json_text(r->config->certificates[i].chain), "subject", admin_json_text(d.subject), "not-after",
                          (json_int_t)d.not_after, "days-left", (json_int_t)((d.not_after - clock_real_ms() / 1000) / 86400));
            ca_notes_add_renewal(a, v, r->identities[i].chain_pem, r->ca_pem);
            json_array_append_new(list, v);
        }
        arena_done(&arena);
    }
    return list;
}

static json_t *signatures_json(const struct wire_counts *c)
{
    json_t *v = json_object();
    for (size_t i = 0; i < RIGHTS_ROLES; i++)
        json_object_set_new(
            v, rights_role_name((enum rights_role)i),
            json_pack("{s:I,s:I}", "made", (json_int_t)c->signatures[i].made, "refused", (json_int_t)c->signatures[i].refused));
    return v;
}

/* What this kernel and this start leave open, and what holds it instead. */
static json_t *sandbox_json(const struct wire_sandbox *s)
{
    json_t *open = json_array();
    const char *gap;
    for (size_t i = 0; (gap = sandbox_gap(s->landlock_abi, i)); i++)
        json_array_append_new(open, json_string(gap));
    if (!s->users)
        json_array_append_new(open, json_string(SANDBOX_ONE_USER));
    if (s->keyring_gap.n) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "%.*s (a container?): after a restart of the server the first login of each user costs Argon2 again",
                       STR_ARG(s->keyring_gap));
        json_array_append_new(open, json_string(text));
    }
    return json_pack("{s:i,s:s,s:o}", "landlock-abi", (int)s->landlock_abi, "users", s->users ? "separate" : "one", "open", open);
}

static json_t *roles_json(struct role_run *r, json_t **ret_sandbox, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 18);
    struct frame request = { .type = WIRE_STATUS }, reply;
    struct wire_role_status *roles;
    struct wire_sandbox sandbox;
    size_t n = 0;
    int err = channel_call(r->supervisor, &request, &arena, ASK_DEADLINE_MS, &reply, e);
    if (err == 0)
        err = wire_unpack_roles(reply.payload, &arena, &sandbox, &roles, &n);
    json_t *list = err ? NULL : json_array();
    for (size_t i = 0; list && i < n; i++) {
        const struct wire_role_status *s = &roles[i];
        json_array_append_new(
            list, json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", admin_json_text(s->name), "pid",
                            (json_int_t)s->pid, "restarts", (json_int_t)s->restarts, "uptime-ms", (json_int_t)s->uptime_ms,
                            "connections", (json_int_t)s->counts.connections, "workers", (json_int_t)s->counts.workers,
                            "workers-peak", (json_int_t)s->counts.workers_peak, "accepted", (json_int_t)s->counts.accepted,
                            "refused", (json_int_t)s->counts.refused, "descriptors", (json_int_t)s->counts.descriptors,
                            "descriptors-max", (json_int_t)s->counts.descriptors_max));
        if (str_eq(s->name, STR("keeper"))) {
            json_object_set_new(json_array_get(list, i), "signatures", signatures_json(&s->counts));
            json_object_set_new(
                json_array_get(list, i), "remembered-logins",
                json_pack("{s:I,s:b}", "accounts", (json_int_t)s->counts.remembered, "in-kernel", (int)s->counts.in_kernel));
        }
    }
    if (list)
        *ret_sandbox = sandbox_json(&sandbox);
    arena_done(&arena);
    return list;
}

/* How many users are over each mark of their quota: [{"percent", "users"}]. */
static json_t *quotas_json(struct admin *a)
{
    size_t counts[MAIL_QUOTA_MARKS];
    json_t *list = json_array();
    int err = notes_count(a->engine, counts);
    for (size_t i = 0; i < MAIL_QUOTA_MARKS && err == 0; i++)
        json_array_append_new(list,
                              json_pack("{s:I,s:I}", "percent", (json_int_t)mail_quota_marks[i], "users", (json_int_t)counts[i]));
    return list;
}

static json_t *status(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct engine_state s;
    if (!a->run)
        return admin_error(ERR_UNAVAILABLE, "the server is not running");
    json_t *sandbox = NULL, *roles = roles_json(a->run, &sandbox, &e);
    if (!roles)
        return admin_error(ERR_UNAVAILABLE, e.text[0] ? e.text : "the supervisor does not answer");
    engine_state(a->engine, &s);
    struct role_snapshot *snapshot = role_snapshot_get(a->run);
    json_t *v = json_pack("{s:b,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:b,s:s,s:I,s:I,s:I}}", "ok", 1, "version", VALISE_VERSION,
                          "hostname", admin_json_text(snapshot->config->hostname), "listeners", listeners_json(snapshot),
                          "certificates", certificates_json(a, snapshot), "roles", roles, "logins", admin_logins(a), "limits",
                          admin_limits(a, snapshot->config), "store", "writable", (int)s.writable, "state", s.why, "commits",
                          (json_int_t)s.commits, "syncs", (json_int_t)s.syncs, "free-bytes", (json_int_t)s.free_bytes);
    json_object_set_new(v, "sandbox", sandbox);
    json_object_set_new(v, "has-administrator", json_boolean(has_administrator(a)));
    json_object_set_new(v, "quotas", quotas_json(a));
    json_object_set_new(v, "insecure-lesson", json_boolean(snapshot->config->insecure_lesson));
    json_object_set_new(v, "descriptors",
                        json_pack("{s:I,s:I,s:o*}", "limit", (json_int_t)descriptors_limit(), "connections-max",
                                  (json_int_t)a->run->plan.connections, "note", descriptors_note(a)));
    role_snapshot_unref(snapshot);
    return v;
}

/* The notes say what works less well than asked for: a certificate near its end, a setting that waits for a restart. */
static json_t *reload(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(65536);
    struct frame ask = { .type = WIRE_RELOAD }, reply;
    if (!a->run)
        return admin_error(ERR_UNAVAILABLE, "the server is not running");
    int err = channel_call(a->run->supervisor, &ask, &arena, ASK_DEADLINE_MS, &reply, &e);
    json_t *notes = json_array();
    str rest = err ? (str){ NULL, 0 } : reply.payload, line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            json_array_append_new(notes, admin_json_text(line));
    arena_done(&arena);
    if (err == 0)
        return json_pack("{s:b,s:o}", "ok", 1, "notes", notes);
    json_decref(notes);
    return admin_error(err, e.text);
}

static const struct {
    const char *name;
    json_t *(*run)(struct admin *a, const json_t *request);
    const char *needs; /* a text member that must be there */
} commands[] = {
    { "status", status, NULL },
    { "metrics", metrics_show, NULL },
    { "upgrade", upgrade, NULL },
    { "reload", reload, NULL },
    { "check", check, NULL },
    { "domain.add", admin_domain_add, "domain" },
    { "domain.remove", admin_domain_remove, "domain" },
    { "domain.list", admin_domain_list, NULL },
    { "domain.alias.add", admin_domain_alias_add, "alias" },
    { "domain.alias.remove", admin_domain_alias_remove, "alias" },
    { "domain.catch-all", admin_domain_catch_all, "domain" },
    { "domain.quota", admin_domain_quota, "domain" },
    { "user.add", admin_user_add, "address" },
    { "user.language", admin_user_language, "address" },
    { "user.passwd", admin_user_passwd, "address" },
    { "user.remove", admin_user_remove, "address" },
    { "user.undelete", admin_user_undelete, "address" },
    { "user.removed", admin_user_removed, NULL },
    { "user.rename", admin_user_rename, "to" },
    { "users.add", admin_users_add, NULL },
    { "user.role", admin_user_role, "role" },
    { "user.legacy", admin_user_legacy, "mode" },
    { "user.enable", admin_user_enable, "address" },
    { "user.disable", admin_user_disable, "address" },
    { "user.list", admin_user_list, NULL },
    { "user.app-password.add", admin_app_password_add, "name" },
    { "user.app-password.remove", admin_app_password_remove, "name" },
    { "user.app-password.list", admin_app_password_list, "address" },
    { "user.quota", admin_user_quota, "address" },
    { "group.add", admin_group_add, "group" },
    { "group.remove", admin_group_remove, "group" },
    { "group.list", admin_group_list, NULL },
    { "group.senders", admin_group_senders, "senders" },
    { "group.quota", admin_group_quota, "group" },
    { "group.member.add", admin_group_member_add, "group" },
    { "group.members.add", admin_members_add, "group" },
    { "group.member.remove", admin_group_member_remove, "group" },
    { "alias.add", admin_alias_add, "address" },
    { "alias.remove", admin_alias_remove, "address" },
    { "alias.list", admin_alias_list, NULL },
    { "user.history", admin_user_history, "address" },
    { "session.list", sessions_list, NULL },
    { "session.end", sessions_end, NULL },
    { "lockout.list", admin_lockout_list, NULL },
    { "lockout.lift", admin_lockout_lift, NULL },
    { "cert.issue", certificates_issue, "request" },
    { "cert.renew", certificates_renew, "chain" },
    { "cert.list", certificates_list, NULL },
    { "cert.show", certificates_show, "serial" },
    { "cert.revoke", certificates_revoke, "serial" },
    { "cert.revoked", certificates_revoked, NULL },
    { "cert.adopt", certificates_adopt, NULL },
    { "cert.register", certificates_register, "certificate" },
};

json_t *admin_run(struct admin *a, const json_t *request)
{
    str name = admin_text(request, "command");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!str_eq(name, str_from_z(commands[i].name)))
            continue;
        if (commands[i].needs && admin_text(request, commands[i].needs).n == 0)
            return admin_error(ERR_SYNTAX, "the request lacks its object");
        json_t *reply = commands[i].run(a, request);
        log_info("admin", LOG_STR("command", name), LOG_Z("ok", json_is_true(json_object_get(reply, "ok")) ? "yes" : "no"));
        return reply;
    }
    return admin_error(ERR_UNSUPPORTED, "there is no such command");
}
