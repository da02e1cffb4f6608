/* table: the rows of the directory as maps.
 *
 * Invariants
 *  T1  domains, entries and accounts hold exactly what the rows applied so far say.
 *  T2  Each entry's domain is in domains, and its counts are right: what is out of order in the rows is corrupt.
 *  T3  accounts holds the entries of kind DIRECTORY_ACCOUNT, under their ids.
 *  T4  first_domain and postmaster are the best of what is there, NULL only when there is none. */
#include "directory/directory_private.h"

enum { NAME_BYTES_MAX = 255 };

/* The domain of a canonical address: the local part may hold a quoted "@". */
static str domain_of(str address)
{
    return str_from(address, str_rfind_byte(address, '@') + 1);
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
    size_t size = sizeof *n + n->target_n * sizeof(str) + n->address.n + n->hash.n + n->apps.n;
    for (int i = 0; i < DIRECTORY_HASH_N; i++)
        size += n->scram[i].n;
    for (size_t i = 0; i < n->target_n; i++)
        size += n->targets[i].n;
    struct entry *copy = malloc(size);
    if (!copy)
        panic("out of memory for a directory entry");
    *copy = *n;
    copy->targets = (str *)(copy + 1);
    char *p = (char *)(copy->targets + n->target_n);
    copy->address = str_place(&p, n->address);
    copy->hash = str_place(&p, n->hash);
    for (int i = 0; i < DIRECTORY_HASH_N; i++)
        copy->scram[i] = str_place(&p, n->scram[i]);
    copy->apps = str_place(&p, n->apps);
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
    map_init(&t->accounts);
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
    map_done(&t->accounts);
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

/* Who is asked first when nobody was named postmaster: enabled before disabled, administrators before others, the
 * oldest. */
static bool is_better_postmaster(const struct entry *a, const struct entry *b)
{
    if (!b || a->enabled != b->enabled)
        return !b || a->enabled;
    if ((a->role == DIRECTORY_ADMIN) != (b->role == DIRECTORY_ADMIN))
        return a->role == DIRECTORY_ADMIN;
    return a->seq < b->seq;
}

static void table_choose_postmaster(struct table *t)
{
    str key;
    void *value;
    t->postmaster = NULL;
    for (size_t iter = 0; map_next(&t->accounts, &iter, &key, &value);) {
        if (is_better_postmaster(value, t->postmaster))
            t->postmaster = value;
    }
}

static void table_choose_domain(struct table *t)
{
    str key;
    void *value;
    t->first_domain = NULL;
    for (size_t iter = 0; map_next(&t->domains, &iter, &key, &value);) {
        struct domain *d = value;
        if (!t->first_domain || d->seq < t->first_domain->seq)
            t->first_domain = d;
    }
}

static int apply_domain(struct table *t, str name, str value)
{
    struct domain *old = table_domain(t, name);
    if (!value.p) {
        if (old && (old->accounts || old->aliases))
            return ERR_CORRUPT;
        free(map_remove(&t->domains, name));
    } else {
        struct domain row = { 0 };
        if (name.n == 0 || row_decode_domain(value, &row) < 0)
            return ERR_CORRUPT;
        if (row.seq > t->seq_max)
            t->seq_max = row.seq;
        struct domain *d = old ? old : malloc(sizeof *d + name.n);
        if (!d)
            panic("out of memory for a domain");
        if (!old) {
            *d = (struct domain){ .name = { (char *)(d + 1), name.n } };
            memcpy(d + 1, name.p, name.n);
            map_put(&t->domains, d->name, d);
        }
        d->seq = row.seq;
    }
    table_choose_domain(t);
    return 0;
}

/* Takes ENTRY out of the counts (SIGN -1) or puts it in (1). */
static void table_count(struct table *t, const struct entry *n, int sign)
{
    size_t one = (size_t)sign; /* adding SIZE_MAX takes one away */
    struct domain *d = table_domain(t, domain_of(n->address));
    require(d);
    if (n->kind == DIRECTORY_ACCOUNT) {
        d->accounts += one;
        t->account_n += one;
        t->enabled_n += n->enabled ? one : 0;
    } else {
        d->aliases += one;
        t->alias_n += one;
    }
}

static int apply_entry(struct table *t, enum directory_kind kind, str address, str value)
{
    str targets[DIRECTORY_TARGETS_MAX];
    struct entry n = { .kind = kind, .address = address };
    struct entry *old = table_entry(t, address), *fresh = NULL;
    if (old && old->kind != kind)
        return ERR_CORRUPT;
    if (value.p) {
        if (!table_domain(t, domain_of(address)) ||
            (kind == DIRECTORY_ACCOUNT ? row_decode_account(value, &n) : row_decode_alias(value, &n, targets)) < 0)
            return ERR_CORRUPT;
        fresh = entry_copy(&n);
    }
    if (old) {
        table_count(t, old, -1);
        map_remove(&t->entries, address);
        if (kind == DIRECTORY_ACCOUNT)
            map_remove(&t->accounts, id_key(&old->id));
    }
    if (fresh) {
        table_count(t, fresh, 1);
        map_put(&t->entries, fresh->address, fresh);
        if (kind == DIRECTORY_ACCOUNT)
            map_put(&t->accounts, id_key(&fresh->id), fresh);
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
    case 'l':
        return apply_entry(t, DIRECTORY_ALIAS, name, value);
    default:
        return ERR_CORRUPT;
    }
}

/* --- lookups --- */

struct entry *table_lookup(const struct table *t, str address)
{
    char plain[NAME_BYTES_MAX];
    str domain = domain_of(address);
    str local = str_sub(address, 0, address.n - domain.n - 1);
    struct entry *n = table_entry(t, address);
    size_t plus = str_find_byte(local, '+', 0);
    if (!n && plus > 0 && plus < local.n && local.p[0] != '"' && plus + 1 + domain.n <= sizeof plain) {
        /* RFC 5233: what follows the separator is a detail for the user's own rules. */
        memcpy(plain, local.p, plus);
        plain[plus] = '@';
        memcpy(plain + plus + 1, domain.p, domain.n);
        n = table_entry(t, (str){ plain, plus + 1 + domain.n });
    }
    if (!n && (str_eq(local, STR("postmaster")) || str_starts(local, STR("postmaster+"))) && table_domain(t, domain))
        n = t->postmaster; /* RFC 5321 section 4.5.1: postmaster is always there */
    return n;
}

size_t table_follow(const struct table *t, struct entry *from, struct entry *ret[DIRECTORY_TARGETS_MAX])
{
    /* Breadth first over the aliases met so far; one that was met already is not entered again, which cuts loops. */
    struct entry *aliases[DIRECTORY_TARGETS_MAX];
    size_t alias_n = 0, n = 0;
    if (from->kind == DIRECTORY_ACCOUNT) {
        ret[0] = from;
        return 1;
    }
    aliases[alias_n++] = from;
    for (size_t next = 0; next < alias_n; next++) {
        for (size_t i = 0; i < aliases[next]->target_n; i++) {
            struct entry *target = table_lookup(t, aliases[next]->targets[i]);
            bool is_alias = target && target->kind == DIRECTORY_ALIAS;
            struct entry **list = is_alias ? aliases : ret;
            size_t *list_n = is_alias ? &alias_n : &n, k = 0;
            while (k < *list_n && list[k] != target)
                k++;
            if (target && k == *list_n && *list_n < DIRECTORY_TARGETS_MAX)
                list[(*list_n)++] = target;
        }
    }
    return n;
}
