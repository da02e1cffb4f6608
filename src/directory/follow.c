/* follow: from an address to the accounts that its mail goes to.
 *
 * An alias is an address that stands for others; a group is a set of accounts. Both are followed; what was met already is not entered
 * again, which cuts loops. Who may write to a group is asked where mail meets it: a group that is in another is only part of a set. */
#include "directory/directory_private.h"

enum { ADDRESS_BYTES_MAX = 320 };

static str domain_of(str address)
{
    return str_from(address, str_rfind_byte(address, '@') + 1);
}

struct domain *table_home(const struct table *t, str name)
{
    struct domain *d = table_domain(t, name);
    if (d && d->alias_of.n)
        d = table_domain(t, d->alias_of);
    return d && !d->alias_of.n ? d : NULL;
}

/* LOCAL@DOMAIN in BUFFER; empty when it does not fit. */
static str join(char buffer[ADDRESS_BYTES_MAX], str local, str domain)
{
    if (local.n + 1 + domain.n > ADDRESS_BYTES_MAX)
        return STR("");
    if (local.n)
        memcpy(buffer, local.p, local.n);
    buffer[local.n] = '@';
    memcpy(buffer + local.n + 1, domain.p, domain.n);
    return (str){ buffer, local.n + 1 + domain.n };
}

int table_home_address(const struct table *t, str address, struct arena *arena, str *ret)
{
    str domain = domain_of(address);
    const struct domain *home = table_home(t, domain);
    if (!home || str_eq(home->name, domain))
        return arena_dup(arena, address, ret);
    return arena_printf(arena, ret, "%.*s%.*s", STR_ARG(str_sub(address, 0, address.n - domain.n)), STR_ARG(home->name));
}

struct entry *table_lookup(const struct table *t, str address, bool catch_all)
{
    char buffer[ADDRESS_BYTES_MAX];
    const struct domain *home = table_home(t, domain_of(address));
    if (!home || home->name.n == address.n)
        return NULL;
    str local = str_sub(address, 0, str_rfind_byte(address, '@'));
    struct entry *n = table_entry(t, join(buffer, local, home->name));
    size_t plus = str_find_byte(local, '+', 0);
    /* RFC 5233: what follows the separator is a detail for the user's own rules. */
    if (!n && plus > 0 && plus < local.n && local.p[0] != '"')
        n = table_entry(t, join(buffer, str_sub(local, 0, plus), home->name));
    if (!n && (str_eq(local, STR("postmaster")) || str_starts(local, STR("postmaster+"))))
        n = t->postmaster; /* RFC 5321 section 4.5.1: postmaster is always there */
    if (!n && catch_all && home->catch_all.n)
        n = table_lookup(t, home->catch_all, false);
    return n;
}

/* --- aliases and groups --- */

struct walk {
    const struct table *t;
    const struct entry *sender;
    struct entry *sets[DIRECTORY_MEMBERS_MAX]; /* aliases and groups met so far, each to be entered once */
    size_t set_n;
    struct entry **accounts;
    size_t account_n;
    bool is_forbidden, is_too_much;
};

static bool may_write(const struct table *t, const struct entry *group, const struct entry *sender)
{
    switch (group->senders) {
    case DIRECTORY_SENDERS_ANYONE:
        return true;
    case DIRECTORY_SENDERS_MEMBERS:
        return sender && table_is_member(t, group, sender);
    case DIRECTORY_SENDERS_DOMAIN:
        return sender && str_eq(domain_of(sender->address), domain_of(group->address));
    case DIRECTORY_SENDERS_N:
        break;
    }
    panic("impossible senders %d", (int)group->senders);
}

static void walk_add(struct walk *w, struct entry *n, bool as_member)
{
    if (!n)
        return;
    bool is_account = n->kind == DIRECTORY_ACCOUNT;
    struct entry **list = is_account ? w->accounts : w->sets;
    size_t *list_n = is_account ? &w->account_n : &w->set_n, k = 0;
    while (k < *list_n && list[k] != n)
        k++;
    if (k < *list_n)
        return;
    if (n->kind == DIRECTORY_GROUP && !as_member && !may_write(w->t, n, w->sender))
        w->is_forbidden = true;
    else if (*list_n == DIRECTORY_MEMBERS_MAX)
        w->is_too_much = true;
    else
        list[(*list_n)++] = n;
}

/* Enters every alias and group, breadth first. */
static void walk_run(struct walk *w)
{
    for (size_t next = 0; next < w->set_n; next++) {
        const struct entry *set = w->sets[next];
        for (size_t i = 0; i < set->target_n; i++)
            walk_add(w, table_lookup(w->t, set->targets[i], false), false);
        for (size_t i = 0; i < set->member_n; i++)
            walk_add(w, table_by_id(w->t, &set->members[i]), true);
    }
}

int table_follow(const struct table *t, struct entry *from, const struct entry *sender, struct entry *ret[DIRECTORY_MEMBERS_MAX],
                 size_t *ret_n)
{
    struct walk w = { .t = t, .sender = sender, .accounts = ret };
    walk_add(&w, from, false);
    walk_run(&w);
    *ret_n = w.account_n;
    return w.is_too_much ? ERR_LIMIT : w.account_n ? 0 : w.is_forbidden ? ERR_UNSUPPORTED : ERR_NOTFOUND;
}

bool table_is_member(const struct table *t, const struct entry *group, const struct entry *account)
{
    struct entry *found[DIRECTORY_MEMBERS_MAX];
    struct walk w = { .t = t, .accounts = found };
    for (size_t i = 0; i < group->member_n; i++)
        walk_add(&w, table_by_id(t, &group->members[i]), true);
    walk_run(&w);
    for (size_t i = 0; i < w.account_n; i++)
        if (found[i] == account)
            return true;
    return false;
}

struct directory_quota table_quota(const struct table *t, const struct entry *account)
{
    const struct domain *d = table_domain(t, domain_of(account->address));
    struct directory_quota best = { 0, 0 };
    bool found = false;
    str key;
    void *value;
    if (account->quota.is_set)
        return account->quota.limits;
    for (size_t iter = 0; map_next(&t->groups, &iter, &key, &value);) {
        const struct entry *n = value;
        if (!n->quota.is_set || !table_is_member(t, n, account))
            continue;
        struct directory_quota q = n->quota.limits;
        /* 0 is no limit, so the largest there is. */
        best.bytes = !found || !q.bytes || (best.bytes && q.bytes > best.bytes) ? q.bytes : best.bytes;
        best.messages = !found || !q.messages || (best.messages && q.messages > best.messages) ? q.messages : best.messages;
        found = true;
    }
    return found ? best : d && d->quota.is_set ? d->quota.limits : (struct directory_quota){ 0, 0 };
}
