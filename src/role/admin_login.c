/* admin_login: what an administrator can ask about logins: who was locked out, who logged in. See admin.h. */
#include "directory/history.h"
#include "directory/lockout.h"
#include "role/admin_private.h"

/* --- lock-outs --- */

static int list_lockout(void *ctx, const struct directory_lockout *l)
{
    char text[IP_NETWORK_TEXT_MAX];
    json_t *v = json_pack("{s:s,s:I,s:I,s:I}", "kind", directory_lockout_kind_name(l->kind), "failures", (json_int_t)l->failures,
                          "delay-ms", (json_int_t)l->delay_ms, "locked-until", (json_int_t)(l->locked_until_ms / 1000));
    if (l->kind != DIRECTORY_LOCKOUT_ACCOUNT)
        json_object_set_new(v, "network", admin_json_text(ip_network_text(&l->network, text)));
    if (l->kind != DIRECTORY_LOCKOUT_NETWORK)
        json_object_set_new(v, "login", admin_json_text(l->login));
    return json_array_append_new(ctx, v);
}

json_t *admin_lockout_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_lockouts(a->directory, list_lockout, list);
    if (err) {
        json_decref(list);
        return admin_error(err, "the lock-outs cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "lockouts", list);
}

/* "what" is an address or a network; without it "all" must be there, so that no slip lifts everything. */
json_t *admin_lockout_lift(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    size_t n = 0;
    str what = admin_text(request, "what");
    if (!what.n && !json_is_true(json_object_get(request, "all")))
        return admin_error(ERR_SYNTAX, "the request names no address and no network");
    int err = directory_lockout_lift(a->directory, what, &n, &e);
    return err ? admin_error(err, e.text) : json_pack("{s:b,s:I}", "ok", 1, "lifted", (json_int_t)n);
}

json_t *admin_logins(struct admin *a)
{
    struct directory_lockout_counts c;
    directory_lockout_counts(a->directory, &c);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "succeeded", (json_int_t)c.succeeded, "failed", (json_int_t)c.failed,
                     "turned-away", (json_int_t)c.turned_away, "lockouts", (json_int_t)c.lockouts, "networks-locked-out",
                     (json_int_t)c.networks, "logins-locked-out", (json_int_t)c.logins, "argon2",
                     (json_int_t)directory_argon2_runs());
}

/* --- history --- */

static int list_event(void *ctx, const struct directory_event *e)
{
    return json_array_append_new(ctx,
                                 json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I}", "result", directory_result_name(e->result),
                                           "service", directory_service_name(e->service), "peer", admin_json_text(e->peer),
                                           "mechanism", admin_json_text(e->mechanism), "tls", admin_json_text(e->tls),
                                           "app-password", admin_json_text(e->app_password), "count", (json_int_t)e->count,
                                           "first", (json_int_t)(e->first_ms / 1000), "last", (json_int_t)(e->last_ms / 1000)));
}

json_t *admin_user_history(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    json_int_t since = json_integer_value(json_object_get(request, "since"));
    bool failed = json_is_true(json_object_get(request, "failed"));
    int err = directory_history(a->directory, admin_text(request, "address"),
                                since > 0 && since < INT64_MAX / 1000 ? since * 1000 : 0, failed, list_event, list);
    if (err) {
        json_decref(list);
        return admin_error(err, err == ERR_NOTFOUND ? "there is no account of that address" : "the history cannot be read");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "logins", list);
}
