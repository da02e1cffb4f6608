/* reference: what leads to a name. Aliases and catch-alls hold addresses, so the next one of that name would inherit them: a name that they lead to
 * is not removed, unless they are to go along. Groups hold ids, which never come back: membership goes along without a word. */
#include "directory/change_private.h"

#include <stdio.h>

enum { NAMED_MAX = 5, GONE_MAX = 1000 };

/* What is removed: the name itself, then aliases that lead nowhere without it. */
struct gone {
    const struct entry *list[GONE_MAX];
    size_t n;
};

/* That nobody was given an office does not make the one who stands in the one who is meant (table_lookup). */
bool reference_leads_to(const struct table *t, str target, const struct entry *n)
{
    str local = str_sub(target, 0, str_rfind_byte(target, '@'));
    str own = str_sub(n->address, 0, str_rfind_byte(n->address, '@'));
    bool falls_back = table_is_office(local) && n->kind == DIRECTORY_ACCOUNT && !table_is_office(own);
    return !falls_back && table_lookup(t, target, TABLE_LOOKUP_NAMED) == n;
}

static bool is_gone(const struct gone *g, const struct entry *n)
{
    size_t i = 0;
    while (i < g->n && g->list[i] != n)
        i++;
    return i < g->n;
}

static bool leads_to_gone(const struct table *t, str target, const struct gone *g)
{
    size_t i = 0;
    while (i < g->n && !reference_leads_to(t, target, g->list[i]))
        i++;
    return i < g->n;
}

/* How many targets alias N keeps. */
static size_t kept_targets(const struct table *t, const struct entry *n, const struct gone *g, str kept[DIRECTORY_TARGETS_MAX])
{
    size_t k = 0;
    for (size_t i = 0; i < n->target_n; i++)
        if (!leads_to_gone(t, n->targets[i], g))
            kept[k++] = n->targets[i];
    return k;
}

/* Adds to G all aliases that are left without a target, and those that lead to them only. */
static int find_gone(const struct table *t, struct gone *g)
{
    str kept[DIRECTORY_TARGETS_MAX], key;
    void *value;
    for (size_t before = 0; before != g->n;) {
        before = g->n;
        for (size_t iter = 0; map_next(&t->entries, &iter, &key, &value);) {
            const struct entry *n = value;
            if (n->kind != DIRECTORY_ALIAS || is_gone(g, n) || kept_targets(t, n, g, kept))
                continue;
            if (g->n == GONE_MAX)
                return ERR_LIMIT;
            g->list[g->n++] = n;
        }
    }
    return 0;
}

static int add_row(struct change *c, char kind, str name, const struct buf *value)
{
    return change_add_row(c, &c->rows, kind, name, value);
}

static int row_of_alias(const struct table *t, struct change *c, const struct entry *n, const struct gone *g)
{
    str kept[DIRECTORY_TARGETS_MAX];
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    size_t k = kept_targets(t, n, g, kept);
    int r = 0;
    if (k && k < n->target_n) {
        row_encode_alias(&value, kept, k);
        r = add_row(c, 'l', n->address, &value);
    }
    buf_done(&value);
    return r;
}

static int row_of_group(struct change *c, const struct entry *n, const struct entry *member)
{
    engine_part kept[DIRECTORY_MEMBERS_MAX];
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    struct entry fresh = *n;
    int r = 0;
    fresh.members = kept;
    fresh.member_n = 0;
    for (size_t i = 0; i < n->member_n; i++)
        if (memcmp(n->members[i].b, member->id.b, sizeof member->id.b) != 0)
            kept[fresh.member_n++] = n->members[i];
    if (fresh.member_n < n->member_n) {
        row_encode_group(&value, &fresh);
        r = add_row(c, 'g', n->address, &value);
    }
    buf_done(&value);
    return r;
}

static int row_of_domain(struct change *c, const struct domain *d)
{
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    struct domain fresh = *d;
    fresh.catch_all = (str){ 0 };
    row_encode_domain(&value, &fresh);
    int r = add_row(c, 'd', d->name, &value);
    buf_done(&value);
    return r;
}

/* The rows of aliases and catch-alls without what is in G. */
static int rows_of_names(const struct table *t, struct change *c, const struct gone *g)
{
    str key;
    void *value;
    int r = 0;
    for (size_t i = 1; r == 0 && i < g->n; i++)
        r = add_row(c, 'l', g->list[i]->address, NULL);
    for (size_t iter = 0; r == 0 && map_next(&t->entries, &iter, &key, &value);)
        if (((const struct entry *)value)->kind == DIRECTORY_ALIAS && !is_gone(g, value))
            r = row_of_alias(t, c, value, g);
    for (size_t iter = 0; r == 0 && map_next(&t->domains, &iter, &key, &value);)
        if (((const struct domain *)value)->catch_all.n && leads_to_gone(t, ((const struct domain *)value)->catch_all, g))
            r = row_of_domain(c, value);
    return r;
}

/* ERR_REFUSED naming the aliases and catch-alls that lead to N. */
static int refuse_named(const struct table *t, const struct entry *n, struct error *e)
{
    struct buf names = BUF_INIT(4096);
    size_t found = 0;
    str key;
    void *value;
    for (size_t iter = 0; map_next(&t->entries, &iter, &key, &value);) {
        const struct entry *alias = value;
        bool leads = false;
        for (size_t i = 0; alias != n && alias->kind == DIRECTORY_ALIAS && i < alias->target_n && !leads; i++)
            leads = reference_leads_to(t, alias->targets[i], n);
        if (leads && found++ < NAMED_MAX)
            buf_add_all(&names, names.n ? STR(", ") : STR(""), STR("alias "), alias->address);
    }
    for (size_t iter = 0; map_next(&t->domains, &iter, &key, &value);) {
        const struct domain *d = value;
        if (d->catch_all.n && reference_leads_to(t, d->catch_all, n) && found++ < NAMED_MAX)
            buf_add_all(&names, names.n ? STR(", ") : STR(""), STR("the catch-all of "), d->name);
    }
    int r = found ? error_set(e, ERR_REFUSED,
                              "%.*s is still what others lead to: %.*s%s; change these first, or let them go along: "
                              "--with-references",
                              STR_ARG(n->address), STR_ARG(buf_str(&names)), found > NAMED_MAX ? " and more" : "")
                  : 0;
    buf_done(&names);
    return r;
}

int reference_settle(const struct table *t, struct change *c, const struct entry *n, struct error *e)
{
    struct gone g = { .list = { n }, .n = 1 };
    str key;
    void *value;
    int r = c->takes_references ? find_gone(t, &g) : refuse_named(t, n, e);
    c->rows = NULL;
    if (r == 0 && c->takes_references)
        r = rows_of_names(t, c, &g);
    for (size_t iter = 0; r == 0 && n->kind != DIRECTORY_ALIAS && map_next(&t->groups, &iter, &key, &value);)
        r = value == n ? 0 : row_of_group(c, value, n);
    return r == ERR_LIMIT
               ? error_set(e, r, "too much leads to %.*s to be changed at once; remove some of it first", STR_ARG(n->address))
               : r;
}

/* --- what leads nowhere --- */

void directory_dangling(struct directory *d, void (*fn)(void *ctx, str name, str what), void *ctx)
{
    const struct table *t = &d->table;
    char text[400];
    str key;
    void *value;
    pthread_rwlock_rdlock(&d->lock);
    for (size_t iter = 0; map_next(&t->entries, &iter, &key, &value);) {
        const struct entry *n = value;
        for (size_t i = 0; n->kind == DIRECTORY_ALIAS && i < n->target_n; i++)
            if (!table_lookup(t, n->targets[i], TABLE_LOOKUP_NAMED)) {
                (void)snprintf(text, sizeof text, "the alias leads to %.*s, who is not there", STR_ARG(n->targets[i]));
                fn(ctx, n->address, str_from_z(text));
            }
        for (size_t i = 0; n->kind == DIRECTORY_GROUP && i < n->member_n; i++)
            if (!table_by_id(t, &n->members[i]))
                fn(ctx, n->address, STR("the group has a member who is not there"));
        if (n->kind != DIRECTORY_ACCOUNT && str_find_byte(n->address, '@', 0) < n->address.n && table_leads_too_far(t, value))
            fn(ctx, n->address, STR("the address stands for more than 1000 accounts: mail for it is refused"));
    }
    for (size_t iter = 0; map_next(&t->domains, &iter, &key, &value);) {
        const struct domain *domain = value;
        if (!domain->catch_all.n || table_lookup(t, domain->catch_all, TABLE_LOOKUP_NAMED))
            continue;
        (void)snprintf(text, sizeof text, "the catch-all leads to %.*s, who is not there", STR_ARG(domain->catch_all));
        fn(ctx, domain->name, str_from_z(text));
    }
    pthread_rwlock_unlock(&d->lock);
}
