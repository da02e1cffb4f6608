/* follow: from an address to the accounts that its mail goes to.
 *
 * An alias is an address that stands for others; a group is a set of accounts. Both are followed; what was met already is not entered
 * again, which cuts loops. Who may write to a group is asked where mail meets it: a group that is in another is only part of a set. */
#include "directory/directory_private.h"

enum { ADDRESS_BYTES_MAX = 320 };
#define TOO_FAR "%.*s would stand for more than %d accounts, and no mail for it could be taken; make several of it"

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

bool table_is_office(str local)
{
    static const str offices[] = { STR_INIT("postmaster"), STR_INIT("abuse"), STR_INIT("hostmaster") };
    str name = str_sub(local, 0, str_find_byte(local, '+', 0));
    for (size_t i = 0; i < sizeof offices / sizeof offices[0]; i++)
        if (str_eq(name, offices[i]))
            return true;
    return false;
}

/* Who stands in for the office LOCAL that nobody was given; NULL: nobody. Mail for postmaster is always taken (RFC 5321 section 4.5.1), so without an
 * administrator the oldest user gets that, to read and not to speak for the domain: not WITH_RIGHTS. */
static struct entry *stand_in(const struct table *t, str local, bool with_rights)
{
    bool is_admin = t->postmaster && t->postmaster->role == DIRECTORY_ADMIN;
    bool may = is_admin || (!with_rights && str_starts(local, STR("postmaster")));
    return table_is_office(local) && may ? t->postmaster : NULL;
}

struct entry *table_lookup(const struct table *t, str address, enum table_lookup how)
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
    if (!n)
        n = stand_in(t, local, how == TABLE_LOOKUP_RIGHTS);
    if (!n && how == TABLE_LOOKUP_MAIL && home->catch_all.n)
        n = table_lookup(t, home->catch_all, TABLE_LOOKUP_NAMED);
    return n;
}

/* --- aliases and groups --- */

enum { PLACES = 4096 }; /* more than twice what a walk can meet, so that one is found in a step or two */

struct walk {
    const struct table *t;
    const struct entry *sender;
    bool is_for_all; /* whoever may write */
    enum table_lookup how;
    const struct entry *was, *now;             /* WAS is walked as if it were NOW; NULL: all as it is */
    struct entry *sets[DIRECTORY_MEMBERS_MAX]; /* aliases and groups met so far, each to be entered once */
    size_t set_n;
    struct entry **accounts;
    size_t account_n;
    uint16_t places[PLACES]; /* by the entry: 1 + its index in accounts, or 1 + that in sets + DIRECTORY_MEMBERS_MAX; 0: none */
    bool is_forbidden, is_too_much;
    const struct entry *sought; /* looked for among the accounts, which are not kept then; NULL: they are */
    bool is_found;
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

static struct entry *walk_at(const struct walk *w, uint16_t place)
{
    size_t i = place - 1u;
    return i < DIRECTORY_MEMBERS_MAX ? w->accounts[i] : w->sets[i - DIRECTORY_MEMBERS_MAX];
}

/* The place of N, or the empty one where it belongs. */
static uint16_t *walk_place(struct walk *w, const struct entry *n)
{
    size_t i = (size_t)((uintptr_t)n * 0x9e3779b97f4a7c15u >> 40) % PLACES;
    while (w->places[i] && walk_at(w, w->places[i]) != n)
        i = (i + 1) % PLACES;
    return &w->places[i];
}

static void walk_add(struct walk *w, struct entry *n, bool as_member)
{
    _Static_assert((int)PLACES >= 4 * DIRECTORY_MEMBERS_MAX, "half of the places stay empty");
    if (!n || w->is_too_much)
        return;
    bool is_account = n->kind == DIRECTORY_ACCOUNT;
    w->is_found |= n == w->sought;
    if (is_account && w->sought)
        return;
    size_t *list_n = is_account ? &w->account_n : &w->set_n;
    uint16_t *place = walk_place(w, n);
    if (*place)
        return;
    if (n->kind == DIRECTORY_GROUP && !as_member && !w->is_for_all && !may_write(w->t, n, w->sender)) {
        w->is_forbidden = true;
    } else if (*list_n == DIRECTORY_MEMBERS_MAX) {
        w->is_too_much = true;
    } else {
        *place = (uint16_t)(1 + *list_n + (is_account ? 0 : DIRECTORY_MEMBERS_MAX));
        (is_account ? w->accounts : w->sets)[(*list_n)++] = n;
    }
}

/* Enters every alias and group, breadth first, until there is too much. */
static void walk_run(struct walk *w)
{
    for (size_t next = 0; next < w->set_n && !w->is_too_much && !w->is_found; next++) {
        const struct entry *set = w->sets[next] == w->was ? w->now : w->sets[next];
        for (size_t i = 0; i < set->target_n && !w->is_too_much; i++)
            walk_add(w, table_lookup(w->t, set->targets[i], w->how), false);
        for (size_t i = 0; i < set->member_n && !w->is_too_much; i++)
            walk_add(w, table_by_id(w->t, &set->members[i]), true);
    }
}

int table_follow(const struct table *t, struct entry *from, const struct entry *sender, enum table_lookup how,
                 struct entry *ret[DIRECTORY_MEMBERS_MAX], size_t *ret_n)
{
    struct walk w = { .t = t, .sender = sender, .how = how == TABLE_LOOKUP_MAIL ? TABLE_LOOKUP_NAMED : how, .accounts = ret };
    walk_add(&w, from, false);
    walk_run(&w);
    *ret_n = w.account_n;
    return w.is_too_much ? ERR_LIMIT : w.account_n ? 0 : w.is_forbidden ? ERR_UNSUPPORTED : ERR_NOTFOUND;
}

bool table_is_member(const struct table *t, const struct entry *group, const struct entry *account)
{
    struct walk w = { .t = t, .how = TABLE_LOOKUP_NAMED, .sought = account };
    for (size_t i = 0; i < group->member_n; i++)
        walk_add(&w, table_by_id(t, &group->members[i]), true);
    walk_run(&w);
    return w.is_found;
}

/* --- how far an address may lead --- */

/* Whether SET leads to more accounts than an address may, WAS being NOW. Who may write does not matter: senders can be changed later. */
static bool leads_too_far(const struct table *t, struct entry *set, const struct entry *was, const struct entry *now)
{
    struct entry *found[DIRECTORY_MEMBERS_MAX];
    struct walk w = { .t = t, .is_for_all = true, .how = TABLE_LOOKUP_NAMED, .was = was, .now = now, .accounts = found };
    walk_add(&w, set, true);
    walk_run(&w);
    return w.is_too_much;
}

bool table_leads_too_far(const struct table *t, struct entry *set)
{
    return leads_too_far(t, set, NULL, NULL);
}

/* Whether N leads to one of SETS in one step. */
static bool leads_into(const struct table *t, const struct entry *n, const struct map *sets)
{
    const struct entry *next = NULL;
    for (size_t i = 0; i < n->target_n; i++)
        if ((next = table_lookup(t, n->targets[i], TABLE_LOOKUP_NAMED)) && next->kind != DIRECTORY_ACCOUNT &&
            map_get(sets, next->address))
            return true;
    for (size_t i = 0; i < n->member_n; i++)
        if ((next = table_by_id(t, &n->members[i])) && next->kind == DIRECTORY_GROUP && map_get(sets, next->address))
            return true;
    return false;
}

/* Adds to SETS every alias and group that leads to one of them. */
static void add_those_before(const struct table *t, struct map *sets)
{
    str key;
    void *value;
    for (size_t before = 0; before != sets->n;) {
        before = sets->n;
        for (size_t iter = 0; map_next(&t->entries, &iter, &key, &value);)
            if (((const struct entry *)value)->kind != DIRECTORY_ACCOUNT && !map_get(sets, key) && leads_into(t, value, sets))
                map_put(sets, key, value);
    }
}

/* Of a group without an address there is no mail that could be refused. */
static bool is_address(str name)
{
    return str_find_byte(name, '@', 0) < name.n;
}

int table_check_reach(const struct table *t, struct entry *was, struct entry *now, struct error *e)
{
    struct map sets;
    str key, name = STR("");
    void *value;
    if (!was)
        return leads_too_far(t, now, NULL, NULL) ? error_set(e, ERR_LIMIT, TOO_FAR, STR_ARG(now->address), DIRECTORY_MEMBERS_MAX)
                                                 : 0;
    map_init(&sets);
    map_put(&sets, was->address, was);
    add_those_before(t, &sets);
    for (size_t iter = 0; !name.n && map_next(&sets, &iter, &key, &value);)
        name = is_address(key) && leads_too_far(t, value, was, now) ? ((const struct entry *)value)->address : STR("");
    map_done(&sets);
    return name.n ? error_set(e, ERR_LIMIT, TOO_FAR, STR_ARG(name), DIRECTORY_MEMBERS_MAX) : 0;
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
