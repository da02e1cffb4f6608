/* admin_removal: accounts that go, come back, are called otherwise, or end. See admin.h.
 *
 * A removed account is kept for REMOVED_DAYS with its mail: nobody can reach it, its address is free, its certificates are revoked at once. Then it is
 * erased, by whoever looks next (admin_finish_removals), or at once when that is asked for. */
#include "base/clock.h"
#include "base/count.h"
#include "base/log.h"
#include "role/admin_private.h"
#include "role/certificates.h"

enum { REMOVED_DAYS = 14, DAY = 86400, ID_TEXT = 2 * sizeof(engine_part) + 1, DUE_MAX = 16 };

static int64_t now_s(void)
{
    return clock_real_ms() / 1000;
}

int admin_delete_mail(struct admin *a, engine_part id)
{
    int err = certificates_revoke_account(a, id);
    if (err == 0)
        err = mail_account_delete(a->mail, id);
    return err == 0 || err == ERR_NOTFOUND ? directory_mail_is_gone(a->directory, id) : err;
}

/* --- who was removed --- */

static void id_text(const engine_part *id, char out[ID_TEXT])
{
    for (size_t i = 0; i < sizeof id->b; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned char)id->b[i]);
}

struct search {
    str what; /* an id as text, or a canonical address */
    struct arena *arena;
    size_t n;
    engine_part id;
    str address;
};

static int look_at(void *ctx, const struct directory_removed *one)
{
    struct search *s = ctx;
    char id[ID_TEXT];
    id_text(&one->id, id);
    if (!str_ieq(s->what, str_from_z(id)) && !str_eq(s->what, one->address))
        return 0;
    s->n++;
    s->id = one->id;
    return arena_dup(s->arena, one->address, &s->address);
}

/* The one removed account that WHAT means. */
static int find_removed(struct admin *a, str what, struct arena *arena, struct search *ret, struct error *e)
{
    *ret = (struct search){ .what = what, .arena = arena };
    if (str_find_byte(what, '@', 0) < what.n) {
        int err = directory_home_address(a->directory, what, arena, &ret->what, e);
        if (err)
            return err;
    }
    int err = directory_removed(a->directory, look_at, ret);
    if (err)
        return error_set(e, err, "it cannot be looked up who was removed");
    if (ret->n == 0)
        return error_set(e, ERR_NOTFOUND,
                         "no account %.*s was removed within %d days; `valise user list --removed' shows who was", STR_ARG(what),
                         REMOVED_DAYS);
    return ret->n == 1 ? 0
                       : error_set(e, ERR_REFUSED,
                                   "%s removed; give the id of one, as `valise user list "
                                   "--removed' shows it",
                                   COUNT(ret->n, "account with that address was", "accounts with that address were"));
}

struct listing {
    struct admin *admin;
    json_t *list;
};

static int list_one(void *ctx, const struct directory_removed *one)
{
    struct listing *l = ctx;
    struct mail_quota q = { 0 };
    struct mail_account *m = NULL;
    char id[ID_TEXT];
    id_text(&one->id, id);
    if (mail_account_open(l->admin->mail, one->id, &m) == 0 && mail_account_quota(m, &q) != 0)
        q = (struct mail_quota){ 0 };
    mail_account_unref(m);
    return json_array_append_new(l->list,
                                 json_pack("{s:o,s:s,s:s,s:I,s:I,s:I,s:I}", "address", admin_json_text(one->address), "id", id,
                                           "role", directory_role_name(one->role), "removed-at", (json_int_t)one->removed_s,
                                           "erased-at", (json_int_t)(one->removed_s + (int64_t)REMOVED_DAYS * DAY), "messages",
                                           (json_int_t)q.messages, "bytes", (json_int_t)q.bytes));
}

json_t *admin_user_removed(struct admin *a, const json_t *request)
{
    struct listing l = { a, json_array() };
    int err = directory_removed(a->directory, list_one, &l);
    if (err == 0)
        return json_pack("{s:b,s:o}", "ok", 1, "users", l.list);
    json_decref(l.list);
    return admin_error(err, "the removed users cannot be listed");
}

/* --- the end --- */

struct due {
    engine_part ids[DUE_MAX];
    size_t n;
    int64_t before_s;
};

static int add_due(void *ctx, const struct directory_removed *one)
{
    struct due *d = ctx;
    if (one->removed_s <= d->before_s && d->n < DUE_MAX)
        d->ids[d->n++] = one->id;
    return 0;
}

int admin_finish_removals(struct admin *a)
{
    struct due due = { .before_s = now_s() - (int64_t)REMOVED_DAYS * DAY };
    engine_part ids[16];
    size_t n = 0;
    pthread_mutex_lock(&admin_accounts_lock);
    int err = directory_removed(a->directory, add_due, &due);
    for (size_t i = 0; err == 0 && i < due.n; i++) {
        char id[ID_TEXT];
        id_text(&due.ids[i], id);
        err = directory_account_erase(a->directory, due.ids[i]);
        if (err == 0)
            log_info("removed-user-erased", LOG_Z("id", id));
    }
    if (err == 0)
        err = directory_left_behind(a->directory, ids, sizeof ids / sizeof *ids, &n);
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = admin_delete_mail(a, ids[i]);
        if (err == 0)
            log_info("removal-finished", LOG_STR("text", STR("the mail of an account that was removed before was still there")));
    }
    pthread_mutex_unlock(&admin_accounts_lock);
    return err;
}

static int erase(struct admin *a, str what, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct search s;
    int err = find_removed(a, what, &arena, &s, e);
    if (err == 0 && (err = directory_account_erase(a->directory, s.id)))
        (void)error_set(e, err, "it cannot be erased now (%s); try again", err_name(err));
    if (err == 0 && (err = admin_delete_mail(a, s.id)))
        (void)error_set(e, err,
                        "the account cannot be had back any more; its mail could not be deleted now (%s) and will be later",
                        err_name(err));
    arena_done(&arena);
    return err;
}

/* --- going --- */

/* The name goes first, since that may be refused. A crash between leaves mail on record that nobody can reach: admin_finish_removals. */
static int remove_now(struct admin *a, const json_t *request, struct error *e)
{
    engine_part id;
    int err = directory_account_remove(a->directory, admin_text(request, "address"), admin_with_references(request), &id, e);
    if (err == 0 && (err = admin_delete_mail(a, id)))
        (void)error_set(e, err, "the account is removed, its certificates and mail could not be now (%s) and will be later",
                        err_name(err));
    return err;
}

static int retire(struct admin *a, const json_t *request, struct error *e)
{
    engine_part id;
    int err = directory_account_retire(a->directory, admin_text(request, "address"), admin_with_references(request), &id, e);
    if (err == 0 && (err = certificates_revoke_account(a, id)))
        (void)error_set(e, err,
                        "the account is removed; its certificates, which log nobody in any more, could not be revoked now (%s): "
                        "`valise cert revoke'",
                        err_name(err));
    return err;
}

json_t *admin_user_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    str what = admin_text(request, "address");
    bool now = json_is_true(json_object_get(request, "now")), is_id = str_find_byte(what, '@', 0) == what.n;
    pthread_mutex_lock(&admin_accounts_lock);
    int err = !now ? retire(a, request, &e) : is_id ? erase(a, what, &e) : remove_now(a, request, &e);
    pthread_mutex_unlock(&admin_accounts_lock);
    if (err || now)
        return admin_done(err, &e);
    return json_pack("{s:b,s:I}", "ok", 1, "erased-at", (json_int_t)(now_s() + (int64_t)REMOVED_DAYS * DAY));
}

/* --- coming back --- */

json_t *admin_user_undelete(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct arena arena = ARENA_INIT(1 << 16);
    struct search s;
    bool unflagged = false;
    pthread_mutex_lock(&admin_accounts_lock);
    int err = find_removed(a, admin_text(request, "address"), &arena, &s, &e);
    str as = admin_text(request, "as");
    if (err == 0 && !as.n)
        as = s.address;
    if (err == 0 && (err = certificates_revoke_account(a, s.id)))
        (void)error_set(&e, err, "the certificates of the account cannot be revoked now (%s); try again", err_name(err));
    if (err == 0)
        err = directory_account_undelete(a->directory, s.id, as, &unflagged, &e);
    if (err == 0 && (err = admin_quota_apply(a, as)))
        (void)error_set(&e, err, "the account is back; its quota could not be put into its store (%s): `valise user quota'",
                        err_name(err));
    pthread_mutex_unlock(&admin_accounts_lock);
    json_t *v = err ? admin_error(err, e.text)
                    : json_pack("{s:b,s:o,s:b}", "ok", 1, "address", admin_json_text(as), "legacy-ended", (int)unflagged);
    arena_done(&arena);
    return v;
}

/* --- another name --- */

/* Certificates say the former name: without an alias it is nobody's, or soon somebody else's, whom they must not speak for. */
static int rename_account(struct admin *a, const json_t *request, struct error *e)
{
    struct directory_renamed renamed;
    bool alias = json_is_true(json_object_get(request, "alias"));
    int err =
        directory_account_rename(a->directory, admin_text(request, "address"), admin_text(request, "to"), alias, &renamed, e);
    if (err == 0 && !alias && (err = certificates_revoke_account(a, renamed.id)))
        (void)error_set(e, err,
                        "the account has its new name; certificates of the former one could not be revoked (%s): `valise "
                        "cert revoke'",
                        err_name(err));
    return err;
}

json_t *admin_user_rename(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, rename_account, request, &e);
    return admin_done(err, &e);
}
