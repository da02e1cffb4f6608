/* list: the lists of the directory. A copy is taken under the lock and sorted, then handed out without it. */
#include "directory/directory_private.h"

enum { LIST_MEMORY_MAX = 1 << 30 };

/* An item of any list; what its kind does not have is empty. */
struct item {
    str name;
    struct directory_domain domain;
    struct directory_account account;
    struct directory_group group;
    str *names; /* targets of an alias, members of a group */
    size_t name_n;
};

struct list {
    struct arena a;
    struct item *items;
    size_t n;
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int copy_domain(struct list *l, const struct domain *d)
{
    struct item *i = &l->items[l->n++];
    i->domain.has_quota = d->quota.is_set;
    i->domain.quota = d->quota.limits;
    int r = arena_dup(&l->a, d->name, &i->name);
    if (r == 0)
        r = arena_dup(&l->a, d->alias_of, &i->domain.alias_of);
    if (r == 0)
        r = arena_dup(&l->a, d->catch_all, &i->domain.catch_all);
    i->domain.name = i->name;
    return r;
}

static int copy_entry(struct list *l, const struct table *t, const struct entry *n)
{
    struct item *i = &l->items[l->n++];
    i->names = arena_array(&l->a, n->target_n + n->member_n + 1, sizeof *i->names);
    int r = i->names ? arena_dup(&l->a, n->address, &i->name) : ERR_LIMIT;
    for (size_t k = 0; r == 0 && k < n->target_n; k++)
        r = arena_dup(&l->a, n->targets[k], &i->names[i->name_n++]);
    for (size_t k = 0; r == 0 && k < n->member_n; k++) {
        const struct entry *member = table_by_id(t, &n->members[k]);
        if (member)
            r = arena_dup(&l->a, member->address, &i->names[i->name_n++]);
    }
    if (n->kind == DIRECTORY_ACCOUNT)
        i->account = (struct directory_account){ .id = n->id,
                                                 .address = i->name,
                                                 .enabled = n->enabled,
                                                 .role = n->role,
                                                 .quota = table_quota(t, n),
                                                 .legacy = n->legacy,
                                                 .language = n->language };
    if (r == 0 && n->kind == DIRECTORY_ACCOUNT)
        r = arena_dup(&l->a, n->display, &i->account.name);
    if (n->kind == DIRECTORY_GROUP)
        i->group = (struct directory_group){ i->name, n->senders, n->quota.is_set, n->quota.limits, i->names, i->name_n };
    return r;
}

static int list_domains(const struct table *t, struct list *l)
{
    str key;
    void *value;
    int r = 0;
    l->items = arena_array(&l->a, t->domains.n, sizeof *l->items);
    if (!l->items)
        return ERR_LIMIT;
    for (size_t iter = 0; r == 0 && map_next(&t->domains, &iter, &key, &value);)
        r = copy_domain(l, value);
    return r;
}

/* Entries of KIND in DOMAIN (empty: all). */
static int list_entries(const struct table *t, enum directory_kind kind, str domain, struct list *l)
{
    str key;
    void *value;
    int r = 0;
    size_t most = kind == DIRECTORY_ACCOUNT ? t->account_n : kind == DIRECTORY_ALIAS ? t->alias_n : t->groups.n;
    const struct domain *home = table_home(t, domain);
    if (domain.n && !home)
        return ERR_NOTFOUND;
    l->items = arena_array(&l->a, most, sizeof *l->items);
    if (!l->items)
        return ERR_LIMIT;
    for (size_t iter = 0; r == 0 && map_next(&t->entries, &iter, &key, &value);) {
        const struct entry *n = value;
        if (n->kind == kind && (!domain.n || str_eq(str_from(key, str_rfind_byte(key, '@') + 1), home->name)))
            r = copy_entry(l, t, n);
    }
    return r;
}

/* Makes list L: domains for DIRECTORY_NONE. L->a is to be released in every case. */
static int list_make(struct directory *d, enum directory_kind kind, str domain, struct list *l)
{
    str canonical = { 0 };
    *l = (struct list){ .a = ARENA_INIT(LIST_MEMORY_MAX) };
    int r = domain.n ? directory_canonical_domain(domain, &l->a, &canonical, NULL) : 0;
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    r = kind == DIRECTORY_NONE ? list_domains(&d->table, l) : list_entries(&d->table, kind, canonical, l);
    pthread_rwlock_unlock(&d->lock);
    if (r == 0)
        qsort(l->items, l->n, sizeof *l->items, by_name);
    return r;
}

int directory_domains(struct directory *d, int (*fn)(void *ctx, const struct directory_domain *domain), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_NONE, STR(""), &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, &l.items[i].domain);
    arena_done(&l.a);
    return r;
}

int directory_accounts(struct directory *d, str domain, int (*fn)(void *ctx, const struct directory_account *account), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_ACCOUNT, domain, &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, &l.items[i].account);
    arena_done(&l.a);
    return r;
}

int directory_aliases(struct directory *d, str domain, int (*fn)(void *ctx, str address, const str *targets, size_t n), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_ALIAS, domain, &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, l.items[i].name, l.items[i].names, l.items[i].name_n);
    arena_done(&l.a);
    return r;
}

int directory_groups(struct directory *d, str domain, int (*fn)(void *ctx, const struct directory_group *group), void *ctx)
{
    struct list l;
    int r = list_make(d, DIRECTORY_GROUP, domain, &l);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, &l.items[i].group);
    arena_done(&l.a);
    return r;
}
