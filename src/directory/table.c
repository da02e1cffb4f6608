/* table: the rows of the directory as maps.
 *
 * Invariants
 *  T1  domains, entries and accounts hold exactly what the rows applied so far say.
 *  T2  Each entry's domain is in domains and no alias, and its counts are right: what is out of order in the rows is corrupt. Only
 *      a group may have a name without a domain.
 *  T3  by_id holds the accounts and groups, under their ids.
 *  T4  first_domain and postmaster are the best of what is there, NULL only when there is none. */
#include "directory/directory_private.h"

/* The domain of a canonical address: the local part may hold a quoted "@". */
static str domain_of(str address)
{
    return str_from(address, str_rfind_byte(address, '@') + 1);
}

/* Whether NAME is no address: a group's that gets no mail. */
static bool is_bare(str name)
{
    return str_find_byte(name, '@', 0) == name.n;
}

/* Copies S to *P, which moves on. */
static str str_place(char **p, str s)
{
    str copy = { *p, s.n };
    if (s.n)
        memcpy(*p, s.p, s.n);
    *p += s.n;
    return copy;
}

/* A copy of N in one piece of memory, freed with free. */
static struct entry *entry_copy(const struct entry *n)
{
    size_t size = sizeof *n + n->target_n * sizeof(str) + n->member_n * sizeof(engine_part) + n->address.n + n->hash.n +
                  n->apps.n + n->sealed.n + n->display.n;
    for (int i = 0; i < DIRECTORY_HASH_N; i++)
        size += n->scram[i].n;
    for (size_t i = 0; i < n->target_n; i++)
        size += n->targets[i].n;
    struct entry *copy = malloc(size);
    if (!copy)
        panic("out of memory for a directory entry");
    *copy = *n;
    copy->targets = (str *)(copy + 1);
    copy->members = (engine_part *)(copy->targets + n->target_n);
    if (n->member_n)
        memcpy(copy->members, n->members, n->member_n * sizeof *n->members);
    char *p = (char *)(copy->members + n->member_n);
    copy->address = str_place(&p, n->address);
    copy->hash = str_place(&p, n->hash);
    for (int i = 0; i < DIRECTORY_HASH_N; i++)
        copy->scram[i] = str_place(&p, n->scram[i]);
    copy->apps = str_place(&p, n->apps);
    copy->sealed = str_place(&p, n->sealed);
    copy->display = str_place(&p, n->display);
    for (size_t i = 0; i < n->target_n; i++)
        copy->targets[i] = str_place(&p, n->targets[i]);
    return copy;
}

/* --- the maps --- */

void table_init(struct table *t)
{
    *t = (struct table){ 0 };
    map_init(&t->domains);
    map_init(&t->entries);
    map_init(&t->by_id);
    map_init(&t->groups);
}

void table_done(struct table *t)
{
    struct map *owners[] = { &t->domains, &t->entries };
    for (int i = 0; i < 2; i++) {
        str key;
        void *value;
        for (size_t iter = 0; map_next(owners[i], &iter, &key, &value);)
            free(value);
    }
    map_done(&t->domains);
    map_done(&t->entries);
    map_done(&t->by_id);
    map_done(&t->groups);
}

struct domain *table_domain(const struct table *t, str name)
{
    return map_get(&t->domains, name);
}

struct entry *table_entry(const struct table *t, str address)
{
    return map_get(&t->entries, address);
}

static str id_key(const engine_part *id)
{
    return (str){ (const char *)id->b, sizeof id->b };
}

struct entry *table_by_id(const struct table *t, const engine_part *id)
{
    return map_get(&t->by_id, id_key(id));
}

/* Who is asked first when nobody was named postmaster: enabled before disabled, administrators before users, these before programs, the
 * oldest. */
static bool is_better_postmaster(const struct entry *a, const struct entry *b)
{
    static const int ranks[DIRECTORY_ROLE_N] = { [DIRECTORY_USER] = 1, [DIRECTORY_ADMIN] = 2, [DIRECTORY_PROGRAM] = 0 };
    if (!b || a->enabled != b->enabled)
        return !b || a->enabled;
    if (a->role != b->role)
        return ranks[a->role] > ranks[b->role];
    return a->seq < b->seq;
}

static void table_choose_postmaster(struct table *t)
{
    str key;
    void *value;
    t->postmaster = NULL;
    for (size_t iter = 0; map_next(&t->by_id, &iter, &key, &value);) {
        struct entry *n = value;
        if (n->kind == DIRECTORY_ACCOUNT && is_better_postmaster(n, t->postmaster))
            t->postmaster = n;
    }
}

static void table_choose_domain(struct table *t)
{
    str key;
    void *value;
    t->first_domain = NULL;
    for (size_t iter = 0; map_next(&t->domains, &iter, &key, &value);) {
        struct domain *d = value;
        if (!d->alias_of.n && (!t->first_domain || d->seq < t->first_domain->seq))
            t->first_domain = d;
    }
}

/* A copy of D in one piece of memory, freed with free. */
static struct domain *domain_copy(const struct domain *d)
{
    struct domain *copy = malloc(sizeof *d + d->name.n + d->alias_of.n + d->catch_all.n);
    if (!copy)
        panic("out of memory for a domain");
    *copy = *d;
    char *p = (char *)(copy + 1);
    copy->name = str_place(&p, d->name);
    copy->alias_of = str_place(&p, d->alias_of);
    copy->catch_all = str_place(&p, d->catch_all);
    return copy;
}

static int apply_domain(struct table *t, str name, str value)
{
    struct domain *old = table_domain(t, name), row = { .name = name };
    bool is_used = old && (old->accounts || old->aliases || old->groups);
    if (value.p && (name.n == 0 || row_decode_domain(value, &row) < 0))
        return ERR_CORRUPT;
    if (is_used && (!value.p || row.alias_of.n))
        return ERR_CORRUPT;
    if (old) {
        t->domain_alias_n -= old->alias_of.n > 0;
        row.accounts = old->accounts;
        row.aliases = old->aliases;
        row.groups = old->groups;
        map_remove(&t->domains, name);
    }
    if (value.p) {
        struct domain *fresh = domain_copy(&row);
        map_put(&t->domains, fresh->name, fresh);
        t->domain_alias_n += fresh->alias_of.n > 0;
        if (fresh->seq > t->seq_max)
            t->seq_max = fresh->seq;
    }
    free(old);
    table_choose_domain(t);
    return 0;
}

/* Takes ENTRY out of the counts (SIGN -1) or puts it in (1). */
static void table_count(struct table *t, const struct entry *n, int sign)
{
    size_t one = (size_t)sign; /* adding SIZE_MAX takes one away */
    struct domain *d = is_bare(n->address) ? NULL : table_domain(t, domain_of(n->address));
    require(d || n->kind == DIRECTORY_GROUP);
    switch (n->kind) {
    case DIRECTORY_ACCOUNT:
        d->accounts += one;
        t->account_n += one;
        t->enabled_n += n->enabled ? one : 0;
        for (unsigned i = 0; i < DIRECTORY_HASH_N; i++) {
            t->scram_n[i] += n->scram[i].n ? one : 0;
            t->scram_outdated_n[i] += n->scram[i].n && scram_is_outdated(n->scram[i], (enum directory_hash)i) ? one : 0;
        }
        break;
    case DIRECTORY_ALIAS:
        d->aliases += one;
        t->alias_n += one;
        break;
    case DIRECTORY_GROUP:
        if (d)
            d->groups += one;
        break;
    case DIRECTORY_NONE:
        panic("an entry without a kind");
    }
}

/* T2. */
static bool has_place(const struct table *t, const struct entry *n)
{
    const struct domain *d = table_domain(t, domain_of(n->address));
    return is_bare(n->address) ? n->kind == DIRECTORY_GROUP && n->address.n > 0 : d && !d->alias_of.n;
}

static int entry_decode(str value, struct entry *n, str targets[DIRECTORY_TARGETS_MAX],
                        engine_part members[DIRECTORY_MEMBERS_MAX])
{
    return n->kind == DIRECTORY_ACCOUNT ? row_decode_account(value, n)
           : n->kind == DIRECTORY_ALIAS ? row_decode_alias(value, n, targets)
                                        : row_decode_group(value, n, members);
}

static int apply_entry(struct table *t, enum directory_kind kind, str address, str value)
{
    str targets[DIRECTORY_TARGETS_MAX];
    engine_part members[DIRECTORY_MEMBERS_MAX];
    struct entry n = { .kind = kind, .address = address };
    struct entry *old = table_entry(t, address), *fresh = NULL;
    if (old && old->kind != kind)
        return ERR_CORRUPT;
    if (value.p) {
        if (!has_place(t, &n) || entry_decode(value, &n, targets, members) < 0)
            return ERR_CORRUPT;
        fresh = entry_copy(&n);
    }
    if (old) {
        table_count(t, old, -1);
        map_remove(&t->entries, address);
        if (kind != DIRECTORY_ALIAS)
            map_remove(&t->by_id, id_key(&old->id));
        if (kind == DIRECTORY_GROUP)
            map_remove(&t->groups, id_key(&old->id));
    }
    if (fresh) {
        table_count(t, fresh, 1);
        map_put(&t->entries, fresh->address, fresh);
        if (kind != DIRECTORY_ALIAS)
            map_put(&t->by_id, id_key(&fresh->id), fresh);
        if (kind == DIRECTORY_GROUP)
            map_put(&t->groups, id_key(&fresh->id), fresh);
        if (fresh->seq > t->seq_max)
            t->seq_max = fresh->seq;
    }
    if (old && old == t->postmaster)
        table_choose_postmaster(t);
    else if (fresh && kind == DIRECTORY_ACCOUNT && is_better_postmaster(fresh, t->postmaster))
        t->postmaster = fresh;
    free(old);
    return 0;
}

int table_apply(struct table *t, str key, str value)
{
    if (key.n < 2)
        return ERR_CORRUPT;
    str name = str_from(key, 1);
    switch (key.p[0]) {
    case 'd':
        return apply_domain(t, name, value);
    case 'a':
        return apply_entry(t, DIRECTORY_ACCOUNT, name, value);
    case 'g':
        return apply_entry(t, DIRECTORY_GROUP, name, value);
    case 'l':
        return apply_entry(t, DIRECTORY_ALIAS, name, value);
    default:
        return ERR_CORRUPT;
    }
}
