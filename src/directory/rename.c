/* rename: another address for an account. It stays what it is by its id: mail, passwords, groups, quota, history, networks. What leads to the former
 * address leads to the new one from the same commit on; the former one is free, or an alias of the new one. */
#include "directory/change_private.h"

enum { SCRATCH = 1 << 17 };

void change_forget_names(struct entry *n)
{
    /* The hashes of DIGEST-MD5 are of the name, and the password is not known here. */
    if (n->legacy & DIRECTORY_DIGEST_MD5) {
        n->legacy = 0;
        n->sealed = (str){ 0 };
    }
}

/* TARGET, which leads to account N, as it leads to the address TO: its detail stays. */
static int redirect(struct change *c, str target, const struct entry *n, str to, str *ret)
{
    size_t own = str_rfind_byte(n->address, '@'), at = str_rfind_byte(to, '@');
    str local = str_sub(target, 0, str_rfind_byte(target, '@'));
    str detail = local.n > own && local.p[own] == '+' ? str_from(local, own) : STR("");
    return arena_printf(c->arena, ret, "%.*s%.*s%.*s", STR_ARG(str_sub(to, 0, at)), STR_ARG(detail), STR_ARG(str_from(to, at)));
}

static int redirect_alias(const struct table *t, struct change *c, const struct entry *alias, const struct entry *n)
{
    str targets[DIRECTORY_TARGETS_MAX];
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    bool leads = false;
    int r = 0;
    for (size_t i = 0; r == 0 && i < alias->target_n; i++) {
        targets[i] = alias->targets[i];
        if (reference_leads_to(t, alias->targets[i], n)) {
            leads = true;
            r = redirect(c, alias->targets[i], n, c->name, &targets[i]);
        }
    }
    if (r == 0 && leads) {
        row_encode_alias(&value, targets, alias->target_n);
        r = change_add_row(c, &c->rows, 'l', alias->address, &value);
    }
    buf_done(&value);
    return r;
}

static int redirect_domain(struct change *c, const struct domain *d, const struct entry *n)
{
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    struct domain fresh = *d;
    int r = redirect(c, d->catch_all, n, c->name, &fresh.catch_all);
    row_encode_domain(&value, &fresh);
    if (r == 0)
        r = change_add_row(c, &c->rows, 'd', d->name, &value);
    buf_done(&value);
    return r;
}

static int redirect_all(const struct table *t, struct change *c, const struct entry *n)
{
    str key;
    void *value;
    int r = 0;
    for (size_t iter = 0; r == 0 && map_next(&t->entries, &iter, &key, &value);)
        if (((const struct entry *)value)->kind == DIRECTORY_ALIAS)
            r = redirect_alias(t, c, value, n);
    for (size_t iter = 0; r == 0 && map_next(&t->domains, &iter, &key, &value);) {
        const struct domain *d = value;
        if (d->catch_all.n && reference_leads_to(t, d->catch_all, n))
            r = redirect_domain(c, d, n);
    }
    return r;
}

/* The former name's rows come first: an entry has one kind, and an id one address. */
static int check_rename(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    const struct entry *n = table_entry(t, c->other);
    struct buf alias = BUF_INIT(DIRECTORY_KEY_MAX);
    c->rows = NULL;
    if (!n || n->kind != DIRECTORY_ACCOUNT)
        return error_set(e, ERR_NOTFOUND, "there is no account %.*s", STR_ARG(c->other));
    int r = change_check_new_address(t, c, e);
    if (r)
        return r;
    struct entry fresh = *n;
    change_forget_names(&fresh);
    c->id = n->id;
    c->ends = CHANGE_ENDS_ALL;
    c->is_removal = fresh.legacy != n->legacy; /* of what it was flagged for */
    r = redirect_all(t, c, n);
    if (r == 0 && c->keeps_alias) {
        row_encode_alias(&alias, &c->name, 1);
        r = change_add_row(c, &c->rows, 'l', n->address, &alias);
    }
    if (r == 0)
        r = change_add_row(c, &c->rows, 'a', n->address, NULL);
    if (r)
        (void)error_set(e, r, "too much leads to %.*s to be changed at once", STR_ARG(n->address));
    row_encode_account(value, &fresh);
    buf_done(&alias);
    return r;
}

int directory_account_rename(struct directory *d, str from, str to, bool keep_alias, struct directory_renamed *ret,
                             struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_rename, .kind = 'a', .keeps_alias = keep_alias };
    int r = directory_home_address(d, from, &a, &c.other, e);
    if (r == 0)
        r = directory_home_address(d, to, &a, &c.name, e);
    if (r == 0 && str_eq(c.name, c.other))
        r = error_set(e, ERR_EXISTS, "%.*s has that address already", STR_ARG(c.other));
    if (r == 0)
        r = change_run(d, &c, e);
    if (r == 0)
        *ret = (struct directory_renamed){ c.id, c.is_removal };
    arena_done(&a);
    return r;
}
