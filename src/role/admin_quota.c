/* admin_quota: quotas of accounts, groups and domains. The directory says what counts for each account; what is enforced is in the account's
 * own store. A change of the first is followed by one of the second for every account that it means. */
#include "role/admin_private.h"

json_t *admin_json_quota(const struct directory_quota *q)
{
    return json_pack("{s:I,s:I}", "bytes", (json_int_t)q->bytes, "messages", (json_int_t)q->messages);
}

/* Puts what counts for ACCOUNT into its store. */
static int store_quota(struct admin *a, const struct directory_account *account)
{
    struct mail_account *m = NULL;
    struct mail_quota q;
    int err = mail_account_open(a->mail, account->id, &m);
    if (err == 0)
        err = mail_account_quota(m, &q);
    if (err == 0 && (q.bytes_max != account->quota.bytes || q.messages_max != account->quota.messages))
        err = mail_account_set_quota(m, account->quota.bytes, account->quota.messages);
    mail_account_unref(m);
    return err;
}

int admin_quota_apply(struct admin *a, str address)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct directory_account account;
    int err = directory_find_account(a->directory, address, &arena, &account);
    if (err == 0)
        err = store_quota(a, &account);
    arena_done(&arena);
    return err;
}

/* --- what a change means for the accounts: what counted before is compared with what counts after it --- */

struct counted {
    engine_part id;
    struct directory_quota quota;
};

struct admin_quotas {
    struct admin *admin;
    struct counted *list; /* in the order of names */
    size_t n, cap, at;
};

static int collect(void *ctx, const struct directory_account *account)
{
    struct admin_quotas *q = ctx;
    if (q->n == q->cap) {
        q->cap = q->cap ? 2 * q->cap : 256;
        q->list = realloc(q->list, q->cap * sizeof *q->list);
        require(q->list);
    }
    q->list[q->n++] = (struct counted){ account->id, account->quota };
    return 0;
}

static int compare(void *ctx, const struct directory_account *account)
{
    struct admin_quotas *q = ctx;
    const struct counted *before = q->at < q->n ? &q->list[q->at++] : NULL;
    bool same = before && memcmp(before->id.b, account->id.b, sizeof account->id.b) == 0 &&
                before->quota.bytes == account->quota.bytes && before->quota.messages == account->quota.messages;
    return same ? 0 : store_quota(q->admin, account);
}

int admin_with_quotas(struct admin *a, int (*change)(struct admin *a, const json_t *request, struct error *e),
                      const json_t *request, struct error *e)
{
    struct admin_quotas q = { .admin = a };
    pthread_mutex_lock(&admin_accounts_lock);
    int err = directory_accounts(a->directory, (str){ NULL, 0 }, collect, &q);
    if (err)
        (void)error_set(e, err, "the users cannot be listed");
    else
        err = change(a, request, e);
    if (err == 0) {
        err = directory_accounts(a->directory, (str){ NULL, 0 }, compare, &q);
        if (err)
            (void)error_set(e, err, "it is done, but not every user's quota could be set (%s); set it again", err_name(err));
    }
    pthread_mutex_unlock(&admin_accounts_lock);
    free(q.list);
    return err;
}

/* --- requests --- */

/* What REQUEST says: "default" (*RET NULL), "none", or limits of "storage" and "messages"; nothing of these: *RET_SHOW. */
static int get_quota(const json_t *request, struct directory_quota *room, const struct directory_quota **ret, bool *ret_show,
                     struct error *e)
{
    const json_t *bytes = json_object_get(request, "storage"), *messages = json_object_get(request, "messages");
    bool none = json_is_true(json_object_get(request, "none")), inherited = json_is_true(json_object_get(request, "default"));
    if (json_integer_value(bytes) < 0 || json_integer_value(messages) < 0 || none + inherited + (bytes || messages) > 1)
        return error_set(e, ERR_SYNTAX, "give limits, or none, or default");
    *room = (struct directory_quota){ (uint64_t)json_integer_value(bytes), (uint64_t)json_integer_value(messages) };
    *ret = inherited ? NULL : room;
    *ret_show = !none && !inherited && !bytes && !messages;
    return 0;
}

static int change_user(struct admin *a, const json_t *request, struct error *e)
{
    struct directory_quota room;
    const struct directory_quota *quota;
    bool show;
    str address = admin_text(request, "address");
    int err = get_quota(request, &room, &quota, &show, e);
    if (err == 0 && !show)
        err = directory_account_quota(a->directory, address, quota, e);
    if (err)
        return err;
    err = admin_quota_apply(a, address);
    return err == ERR_NOTFOUND ? error_set(e, err, "there is no account %.*s", STR_ARG(address))
           : err               ? error_set(e, err, "the quota cannot be put into the user's store (%s)", err_name(err))
                               : 0;
}

static int change_domain(struct admin *a, const json_t *request, struct error *e)
{
    struct directory_quota room;
    const struct directory_quota *quota;
    bool show;
    int err = get_quota(request, &room, &quota, &show, e);
    if (err == 0 && show)
        err = error_set(e, ERR_SYNTAX, "give limits, or none");
    return err ? err : directory_domain_quota(a->directory, admin_text(request, "domain"), quota, e);
}

static int change_group(struct admin *a, const json_t *request, struct error *e)
{
    struct directory_quota room;
    const struct directory_quota *quota;
    bool show;
    int err = get_quota(request, &room, &quota, &show, e);
    if (err == 0 && show)
        err = error_set(e, ERR_SYNTAX, "give limits, or none, or default");
    return err ? err : directory_group_quota(a->directory, admin_text(request, "group"), quota, e);
}

/* What is kept and what may be. */
static json_t *usage_json(struct admin *a, str address)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct directory_account account;
    struct mail_account *m = NULL;
    struct mail_quota q;
    int err = directory_find_account(a->directory, address, &arena, &account);
    if (err == 0)
        err = mail_account_open(a->mail, account.id, &m);
    if (err == 0)
        err = mail_account_quota(m, &q);
    mail_account_unref(m);
    arena_done(&arena);
    if (err)
        return admin_error(err, "the user's store cannot be read");
    return json_pack("{s:b,s:{s:I,s:I},s:{s:I,s:I}}", "ok", 1, "used", "bytes", (json_int_t)q.bytes, "messages",
                     (json_int_t)q.messages, "quota", "bytes", (json_int_t)q.bytes_max, "messages", (json_int_t)q.messages_max);
}

json_t *admin_user_quota(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = change_user(a, request, &e);
    return err ? admin_error(err, e.text) : usage_json(a, admin_text(request, "address"));
}

json_t *admin_domain_quota(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, change_domain, request, &e);
    return admin_done(err, &e);
}

json_t *admin_group_quota(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, change_group, request, &e);
    return admin_done(err, &e);
}
