/* admin: see admin.h. One function a command, found in the table at the end. */
#include "role/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "pki/pki.h"
#include "role/certificates.h"
#include "role/role.h"

enum { ASK_DEADLINE_MS = 60000, ARENA_MAX = 16 << 20, TARGETS_MAX = 100 };

static str get_text(const json_t *request, const char *key)
{
    const json_t *v = json_object_get(request, key);
    return json_is_string(v) ? (str){ json_string_value(v), json_string_length(v) } : (str){ NULL, 0 };
}

static json_t *text_json(str s)
{
    json_t *v = json_stringn(s.n ? s.p : "", s.n);
    return v ? v : json_string("(not UTF-8)");
}

json_t *admin_error(int code, const char *text)
{
    return json_pack("{s:b,s:s,s:s}", "ok", 0, "error", err_name(code), "text", text[0] ? text : err_name(code));
}

static json_t *done(int err, const struct error *e)
{
    return err ? admin_error(err, e->text) : json_pack("{s:b}", "ok", 1);
}

/* --- domains --- */

static json_t *domain_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_add(a->directory, get_text(request, "domain"), &e);
    return done(err, &e);
}

static json_t *domain_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_remove(a->directory, get_text(request, "domain"), &e);
    return done(err, &e);
}

static int list_domain(void *ctx, str domain)
{
    return json_array_append_new(ctx, text_json(domain));
}

static json_t *domain_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_domains(a->directory, list_domain, list);
    if (err) {
        json_decref(list);
        return admin_error(err, "the domains cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "domains", list);
}

/* --- users --- */

/* A name and its mailboxes are two commits; whoever holds this sees both or neither. */
static pthread_mutex_t accounts_lock = PTHREAD_MUTEX_INITIALIZER;

/* New passwords follow the configuration in force; without a running server the defaults. */
static void apply_policy(struct admin *a)
{
    struct directory_policy policy = { .length_min = CONFIG_PASSWORD_LENGTH_MIN, .refuse_common = true };
    if (a->run) {
        struct role_snapshot *s = role_snapshot_get(a->run);
        policy = (struct directory_policy){ s->config->password_length_min, s->config->password_refuse_common,
                                            s->config->password_need_mixed };
        role_snapshot_unref(s);
    }
    directory_set_policy(a->directory, &policy);
}

/* The role that REQUEST names, a user's when it names none. */
static int get_role(const json_t *request, enum directory_role *ret, struct error *e)
{
    str name = get_text(request, "role");
    *ret = name.n ? directory_role_from_name(name) : DIRECTORY_USER;
    return *ret < DIRECTORY_ROLE_N ? 0 : error_set(e, ERR_SYNTAX, "a role is user, admin or program, not '%.*s'", STR_ARG(name));
}

static json_t *user_role(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    enum directory_role role;
    int err = get_role(request, &role, &e);
    if (err == 0)
        err = directory_account_role(a->directory, get_text(request, "address"), role, &e);
    return done(err, &e);
}

static json_t *user_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    engine_part id;
    enum directory_role role;
    if (get_role(request, &role, &e))
        return done(e.code, &e);
    apply_policy(a);
    str address = get_text(request, "address");
    pthread_mutex_lock(&accounts_lock);
    int err = directory_account_add_as(a->directory, address, role, get_text(request, "password"), &id, &e);
    bool named = err == 0;
    if (named)
        err = mail_account_create(a->mail, id);
    if (named && err) {
        engine_part gone;
        (void)error_set(&e, err, "the mailboxes of %.*s cannot be made (%s); the account was not added", STR_ARG(address),
                        err_name(err));
        if (directory_account_remove(a->directory, address, &gone, NULL))
            (void)error_prefix(&e, "and the account could not be taken back; remove it by hand");
    }
    pthread_mutex_unlock(&accounts_lock);
    return done(err, &e);
}

static json_t *user_passwd(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    apply_policy(a);
    int err = directory_account_password(a->directory, get_text(request, "address"), get_text(request, "password"), &e);
    return done(err, &e);
}

static json_t *app_password_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    int err = directory_app_password_add(a->directory, get_text(request, "address"), get_text(request, "name"), secret, &e);
    if (err)
        return admin_error(err, e.text);
    json_t *v = json_pack("{s:b,s:s}", "ok", 1, "password", secret);
    secret_wipe(secret, sizeof secret);
    return v;
}

static json_t *app_password_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_app_password_remove(a->directory, get_text(request, "address"), get_text(request, "name"), &e);
    return done(err, &e);
}

static int list_app_password(void *ctx, str name, uint64_t created, uint64_t used)
{
    return json_array_append_new(
        ctx, json_pack("{s:o,s:I,s:I}", "name", text_json(name), "created", (json_int_t)created, "used", (json_int_t)used));
}

static json_t *app_password_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_app_passwords(a->directory, get_text(request, "address"), list_app_password, list);
    if (err) {
        json_decref(list);
        return admin_error(err, err == ERR_NOTFOUND ? "there is no such user" : "the application passwords cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "app-passwords", list);
}

/* The name goes first, since that may be refused: a crash between leaves mail that nobody can reach, never a name whose mail is gone. */
static json_t *user_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    engine_part id;
    pthread_mutex_lock(&accounts_lock);
    int err = directory_account_remove(a->directory, get_text(request, "address"), &id, &e);
    if (err == 0) {
        err = mail_account_delete(a->mail, id);
        if (err && err != ERR_NOTFOUND)
            (void)error_set(&e, err, "the account is removed, its mail could not be deleted (%s)", err_name(err));
        err = err == ERR_NOTFOUND ? 0 : err;
    }
    pthread_mutex_unlock(&accounts_lock);
    return done(err, &e);
}

static json_t *set_enabled(struct admin *a, const json_t *request, bool enabled)
{
    struct error e = ERROR_NONE;
    int err = directory_account_enable(a->directory, get_text(request, "address"), enabled, &e);
    return done(err, &e);
}

static json_t *user_enable(struct admin *a, const json_t *request)
{
    return set_enabled(a, request, true);
}

static json_t *user_disable(struct admin *a, const json_t *request)
{
    return set_enabled(a, request, false);
}

struct listing {
    struct admin *admin;
    json_t *list;
};

static int list_user(void *ctx, const struct directory_account *account)
{
    struct listing *l = ctx;
    json_int_t messages = 0, bytes = 0;
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct mail_account *m = NULL;
    struct mailbox_info *boxes;
    size_t n;
    if (mail_account_open(l->admin->mail, account->id, &m) == 0 && mailbox_list(m, &arena, &boxes, &n) == 0)
        for (size_t i = 0; i < n; i++) {
            messages += boxes[i].messages;
            bytes += (json_int_t)boxes[i].bytes;
        }
    mail_account_unref(m);
    arena_done(&arena);
    return json_array_append_new(l->list, json_pack("{s:o,s:b,s:s,s:I,s:I}", "address", text_json(account->address), "enabled",
                                                    (int)account->enabled, "role", directory_role_name(account->role), "messages",
                                                    messages, "bytes", bytes));
}

static json_t *user_list(struct admin *a, const json_t *request)
{
    struct listing l = { a, json_array() };
    int err = directory_accounts(a->directory, get_text(request, "domain"), list_user, &l);
    if (err) {
        json_decref(l.list);
        return admin_error(err, "the users cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "users", l.list);
}

/* --- aliases --- */

static json_t *alias_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    str targets[TARGETS_MAX];
    size_t n = 0, i;
    json_t *v;
    json_array_foreach(json_object_get(request, "targets"), i, v)
    {
        if (n == TARGETS_MAX || !json_is_string(v))
            return admin_error(ERR_LIMIT, "an alias has 1 to 100 targets");
        targets[n++] = (str){ json_string_value(v), json_string_length(v) };
    }
    int err = directory_alias_add(a->directory, get_text(request, "address"), targets, n, &e);
    return done(err, &e);
}

static json_t *alias_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_alias_remove(a->directory, get_text(request, "address"), &e);
    return done(err, &e);
}

static int list_alias(void *ctx, str address, const str *targets, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, text_json(targets[i]));
    return json_array_append_new(ctx, json_pack("{s:o,s:o}", "address", text_json(address), "targets", list));
}

static json_t *alias_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_aliases(a->directory, get_text(request, "domain"), list_alias, list);
    if (err) {
        json_decref(list);
        return admin_error(err, "the aliases cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "aliases", list);
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
        pthread_mutex_lock(&accounts_lock);
        bool there = still_there(c->admin, account);
        if (there && err == ERR_NOTFOUND)
            err = mail_check(c->admin->mail, account->id, c->deep, on_problem, c, &r);
        pthread_mutex_unlock(&accounts_lock);
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

static json_t *check(struct admin *a, const json_t *request)
{
    struct checking c = { .admin = a, .deep = json_is_true(json_object_get(request, "deep")), .problems = json_array() };
    int err = directory_accounts(a->directory, (str){ NULL, 0 }, check_account, &c);
    if (err) {
        json_decref(c.problems);
        return admin_error(err, "the check could not be finished");
    }
    return json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "ok", 1, "accounts", (json_int_t)c.report.accounts, "mailboxes",
                     (json_int_t)c.report.mailboxes, "entries", (json_int_t)c.report.entries, "emails",
                     (json_int_t)c.report.emails, "blobs", (json_int_t)c.report.blobs, "problems", (json_int_t)c.report.problems,
                     "list", c.problems);
}

/* --- the running server --- */

static json_t *listeners_json(const struct role_snapshot *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->config->listener_n; i++) {
        const struct config_listener *l = &r->config->listeners[i];
        json_t *addresses = json_array();
        for (size_t k = 0; k < l->address_n; k++)
            json_array_append_new(addresses, text_json(l->addresses[k]));
        json_array_append_new(list, json_pack("{s:o,s:s,s:i,s:s,s:o}", "name", text_json(l->name), "protocol",
                                              config_protocol_name(l->protocol), "port", (int)l->port + r->port_offset, "tls",
                                              config_tls_name(l->tls), "addresses", addresses));
    }
    return list;
}

static json_t *certificates_json(const struct role_snapshot *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->identity_n && i < r->config->certificate_n; i++) {
        struct arena arena = ARENA_INIT(1 << 20);
        struct pki_description d;
        str name = r->identities[i].name;
        if (pki_certificate_describe(r->identities[i].chain_pem, &arena, &d, NULL) == 0)
            json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:I,s:I}", "name", text_json(name.n ? name : STR("default")),
                                                  "chain", text_json(r->config->certificates[i].chain), "subject",
                                                  text_json(d.subject), "not-after", (json_int_t)d.not_after, "days-left",
                                                  (json_int_t)((d.not_after - clock_real_ms() / 1000) / 86400)));
        arena_done(&arena);
    }
    return list;
}

static json_t *roles_json(struct role_run *r, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 18);
    struct frame request = { .type = WIRE_STATUS }, reply;
    struct wire_role_status *roles;
    size_t n = 0;
    int err = channel_call(r->supervisor, &request, &arena, ASK_DEADLINE_MS, &reply, e);
    if (err == 0)
        err = wire_unpack_roles(reply.payload, &arena, &roles, &n);
    json_t *list = err ? NULL : json_array();
    for (size_t i = 0; list && i < n; i++) {
        const struct wire_role_status *s = &roles[i];
        json_array_append_new(list,
                              json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", text_json(s->name), "pid",
                                        (json_int_t)s->pid, "restarts", (json_int_t)s->restarts, "uptime-ms",
                                        (json_int_t)s->uptime_ms, "connections", (json_int_t)s->counts.connections, "workers",
                                        (json_int_t)s->counts.workers, "workers-peak", (json_int_t)s->counts.workers_peak,
                                        "accepted", (json_int_t)s->counts.accepted, "refused", (json_int_t)s->counts.refused));
    }
    arena_done(&arena);
    return list;
}

static json_t *status(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct engine_state s;
    if (!a->run)
        return admin_error(ERR_UNAVAILABLE, "the server is not running");
    json_t *roles = roles_json(a->run, &e);
    if (!roles)
        return admin_error(ERR_UNAVAILABLE, e.text[0] ? e.text : "the supervisor does not answer");
    engine_state(a->engine, &s);
    struct role_snapshot *snapshot = role_snapshot_get(a->run);
    json_t *v = json_pack("{s:b,s:s,s:o,s:o,s:o,s:o,s:{s:b,s:s,s:I,s:I,s:I}}", "ok", 1, "version", VALISE_VERSION, "hostname",
                          text_json(snapshot->config->hostname), "listeners", listeners_json(snapshot), "certificates",
                          certificates_json(snapshot), "roles", roles, "store", "writable", (int)s.writable, "state", s.why,
                          "commits", (json_int_t)s.commits, "syncs", (json_int_t)s.syncs, "free-bytes", (json_int_t)s.free_bytes);
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
            json_array_append_new(notes, text_json(line));
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
    { "reload", reload, NULL },
    { "check", check, NULL },
    { "domain.add", domain_add, "domain" },
    { "domain.remove", domain_remove, "domain" },
    { "domain.list", domain_list, NULL },
    { "user.add", user_add, "address" },
    { "user.passwd", user_passwd, "address" },
    { "user.remove", user_remove, "address" },
    { "user.role", user_role, "role" },
    { "user.enable", user_enable, "address" },
    { "user.disable", user_disable, "address" },
    { "user.list", user_list, NULL },
    { "user.app-password.add", app_password_add, "name" },
    { "user.app-password.remove", app_password_remove, "name" },
    { "user.app-password.list", app_password_list, "address" },
    { "alias.add", alias_add, "address" },
    { "alias.remove", alias_remove, "address" },
    { "alias.list", alias_list, NULL },
    { "cert.issue", certificates_issue, "request" },
    { "cert.renew", certificates_renew, "chain" },
    { "cert.list", certificates_list, NULL },
    { "cert.show", certificates_show, "serial" },
    { "cert.revoke", certificates_revoke, "serial" },
};

json_t *admin_run(struct admin *a, const json_t *request)
{
    str name = get_text(request, "command");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!str_eq(name, str_from_z(commands[i].name)))
            continue;
        if (commands[i].needs && get_text(request, commands[i].needs).n == 0)
            return admin_error(ERR_SYNTAX, "the request lacks its object");
        json_t *reply = commands[i].run(a, request);
        log_info("admin", LOG_STR("command", name), LOG_Z("ok", json_is_true(json_object_get(reply, "ok")) ? "yes" : "no"));
        return reply;
    }
    return admin_error(ERR_UNSUPPORTED, "there is no such command");
}
