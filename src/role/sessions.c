/* sessions: see sessions.h. What is looked for in the roll is decided under its lock, from memory; the store is asked outside only. */
#include "role/sessions.h"

#include "base/log.h"
#include "role/admin_private.h"
#include "role/certificates.h"

static engine_part account_of(const struct server_session *s)
{
    engine_part id;
    memcpy(id.b, s->login->account, sizeof id.b);
    return id;
}

static bool is_logged_in(const struct server_session *s)
{
    static const uint8_t nobody[16];
    return memcmp(s->login->account, nobody, sizeof nobody) != 0;
}

static bool login_stands(struct directory *d, const struct server_session *s)
{
    const struct directory_credential by = { (enum directory_credential_kind)s->login->kind, s->login->generation,
                                             s->login->tag };
    return !is_logged_in(s) || directory_login_stands(d, account_of(s), &by);
}

/* --- the end --- */

struct fallen {
    struct directory *directory;
    const engine_part *id; /* NULL: whoever it is */
};

static bool has_fallen(void *ctx, const struct server_session *s)
{
    const struct fallen *f = ctx;
    return is_logged_in(s) && (!f->id || memcmp(s->login->account, f->id->b, sizeof f->id->b) == 0) &&
           !login_stands(f->directory, s);
}

static void on_changed(void *ctx, const engine_part *id)
{
    const struct core *c = ctx;
    struct fallen f = { c->directory, id };
    size_t n = server_sessions_end(c->run->server, has_fallen, &f);
    if (n)
        log_info("sessions-ended", LOG_NUM("sessions", n), LOG_Z("reason", "their logins were taken back"));
}

/* Of a session that is new on the roll. */
static bool stands(void *ctx, const struct server_session *s)
{
    const struct core *c = ctx;
    bool revoked = false;
    int err = s->tls->client_verified ? certificates_is_revoked(c->engine, s->tls->client_serial, &revoked) : 0;
    return !err && !revoked && login_stands(c->directory, s);
}

void sessions_watch(struct core *c)
{
    server_set_stands(c->run->server, stands, c);
    directory_set_watcher(c->directory, &(struct directory_watcher){ c, on_changed });
}

static bool showed(void *ctx, const struct server_session *s)
{
    return s->tls->client_verified && str_eq(s->tls->client_serial, *(const str *)ctx);
}

void sessions_end_certificate(struct admin *a, str serial)
{
    size_t n = a->run ? server_sessions_end(a->run->server, showed, &serial) : 0;
    if (n)
        log_info("sessions-ended", LOG_NUM("sessions", n), LOG_Z("reason", "their certificate was revoked"));
}

/* --- for administrators --- */

struct listing {
    struct admin *admin;
    json_t *list;
    engine_part only;
    bool has_only;
};

static bool add(void *ctx, const struct server_session *s)
{
    struct listing *l = ctx;
    struct arena arena = ARENA_INIT(1 << 14);
    struct directory_account account;
    engine_part id = account_of(s);
    if (is_logged_in(s) && (!l->has_only || memcmp(id.b, l->only.b, sizeof id.b) == 0)) {
        bool known = directory_account_of(l->admin->directory, id, &arena, &account) == 0;
        json_t *v =
            json_pack("{s:o,s:s,s:s,s:o,s:o,s:i,s:I,s:o,s:o}", "id", admin_json_text(s->id), "protocol",
                      strcmp(s->protocol, "smtp") == 0 ? "submission" : s->protocol, "listener", s->listener, "address",
                      admin_json_text(known ? account.address : STR("(removed account)")), "peer", admin_json_text(s->peer),
                      "port", (int)s->peer_port, "since", (json_int_t)(s->since_ms / 1000), "how", admin_json_text(s->login->how),
                      "tls", admin_json_text(s->tls->active ? s->tls->version : STR("")));
        if (s->tls->client_verified)
            json_object_set_new(v, "certificate", admin_json_text(s->tls->client_serial));
        json_array_append_new(l->list, v);
    }
    arena_done(&arena);
    return false;
}

/* The account that REQUEST names. */
static int get_account(struct admin *a, const json_t *request, engine_part *ret, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 14);
    struct directory_account account;
    str address = admin_text(request, "address");
    int err = directory_find_account(a->directory, address, &arena, &account);
    if (err)
        (void)error_set(e, err, "there is no account %.*s", STR_ARG(address));
    else
        *ret = account.id;
    arena_done(&arena);
    return err;
}

json_t *sessions_list(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct listing l = { .admin = a, .has_only = admin_text(request, "address").n > 0 };
    if (!a->run)
        return admin_error(ERR_UNAVAILABLE, "the server is not running: nobody is logged in");
    if (l.has_only && get_account(a, request, &l.only, &e))
        return admin_error(e.code, e.text);
    l.list = json_array();
    (void)server_sessions_end(a->run->server, add, &l);
    return json_pack("{s:b,s:o}", "ok", 1, "sessions", l.list);
}

struct wanted {
    str id;
    engine_part account;
};

static bool is_wanted(void *ctx, const struct server_session *s)
{
    const struct wanted *w = ctx;
    return is_logged_in(s) &&
           (w->id.n ? str_eq(s->id, w->id) : memcmp(s->login->account, w->account.b, sizeof w->account.b) == 0);
}

json_t *sessions_end(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct wanted w = { .id = admin_text(request, "id") };
    if (!a->run)
        return admin_error(ERR_UNAVAILABLE, "the server is not running: nobody is logged in");
    if (!w.id.n && get_account(a, request, &w.account, &e))
        return admin_error(e.code, e.text);
    size_t n = server_sessions_end(a->run->server, is_wanted, &w);
    if (w.id.n && !n)
        return admin_error(ERR_NOTFOUND, "there is no session with that id; `valise session list' shows them");
    return json_pack("{s:b,s:I}", "ok", 1, "ended", (json_int_t)n);
}
