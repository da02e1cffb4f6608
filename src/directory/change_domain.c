/* change_domain: domains, their other names, who gets what is for nobody, quotas. */
#include "base/count.h"
#include "base/ip.h"
#include "directory/change_private.h"

enum { SCRATCH = 1 << 14 };

static int check_domain_add(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    if (table_domain(t, c->name))
        return error_set(e, ERR_EXISTS, "the domain %.*s is there already", STR_ARG(c->name));
    row_encode_domain(value, &(struct domain){ .seq = t->seq_max + 1 });
    return 0;
}

/* The domain C->name in *RET, which is no alias. */
static int check_domain(const struct table *t, const struct change *c, struct domain *ret, struct error *e)
{
    const struct domain *d = table_domain(t, c->name);
    if (!d)
        return error_set(e, ERR_NOTFOUND, "there is no domain %.*s", STR_ARG(c->name));
    if (d->alias_of.n)
        return error_set(e, ERR_REFUSED, "%.*s is another name of %.*s; name that one", STR_ARG(c->name), STR_ARG(d->alias_of));
    *ret = *d;
    return 0;
}

/* The first domain found that is another name of NAME. */
static const struct domain *other_name(const struct table *t, str name)
{
    str key;
    void *value;
    for (size_t iter = 0; map_next(&t->domains, &iter, &key, &value);)
        if (str_eq(((const struct domain *)value)->alias_of, name))
            return value;
    return NULL;
}

static int check_domain_remove(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct domain d;
    const struct domain *named = table_domain(t, c->name);
    if (named && named->alias_of.n)
        return error_set(e, ERR_REFUSED, "%.*s is another name of %.*s; `valise domain alias remove %.*s' takes that name away",
                         STR_ARG(c->name), STR_ARG(named->alias_of), STR_ARG(c->name));
    int r = check_domain(t, c, &d, e);
    if (r < 0)
        return r;
    if (d.accounts || d.aliases)
        return error_set(e, ERR_REFUSED, "the domain %.*s still has %s and %s; remove them first", STR_ARG(c->name),
                         COUNT(d.accounts, "account", "accounts"), COUNT(d.aliases, "alias", "aliases"));
    if (d.groups)
        return error_set(e, ERR_REFUSED, "the domain %.*s still has %s; remove %s first", STR_ARG(c->name),
                         COUNT(d.groups, "group", "groups"), d.groups == 1 ? "it" : "them");
    const struct domain *alias = other_name(t, c->name);
    return alias ? error_set(e, ERR_REFUSED, "%.*s is another name of the domain %.*s; remove it first", STR_ARG(alias->name),
                             STR_ARG(c->name))
                 : 0;
}

static int check_domain_alias_add(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    const struct domain *target = table_domain(t, c->other);
    if (table_domain(t, c->name))
        return error_set(e, ERR_EXISTS, "the domain %.*s is there already", STR_ARG(c->name));
    if (!target)
        return error_set(e, ERR_NOTFOUND, "there is no domain %.*s", STR_ARG(c->other));
    if (target->alias_of.n)
        return error_set(e, ERR_REFUSED, "%.*s is itself another name of %.*s; name that one", STR_ARG(c->other),
                         STR_ARG(target->alias_of));
    row_encode_domain(value, &(struct domain){ .seq = t->seq_max + 1, .alias_of = c->other });
    return 0;
}

static int check_domain_alias_remove(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    const struct domain *d = table_domain(t, c->name);
    if (!d || !d->alias_of.n)
        return error_set(e, ERR_NOTFOUND, "there is no alias %.*s of a domain", STR_ARG(c->name));
    return 0;
}

static int check_domain_catch_all(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct domain d;
    int r = check_domain(t, c, &d, e);
    if (r < 0)
        return r;
    if (c->other.n && !table_lookup(t, c->other, TABLE_LOOKUP_NAMED))
        return error_set(e, ERR_NOTFOUND, "there is no account, alias or group %.*s", STR_ARG(c->other));
    d.catch_all = c->other;
    row_encode_domain(value, &d);
    return 0;
}

static int check_domain_quota(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct domain d;
    int r = check_domain(t, c, &d, e);
    if (r < 0)
        return r;
    d.quota = c->quota;
    row_encode_domain(value, &d);
    return 0;
}

static int domain_change(struct directory *d, str domain, struct change *c, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    int r = directory_canonical_domain(domain, &a, &c->name, e);
    if (r == 0 && c->name.p[0] == '[')
        r = error_set(e, ERR_SYNTAX, "an address in brackets cannot be a domain of ours");
    struct ip_address address;
    if (r == 0 && ip_address_parse(c->name, &address)) /* "192.0.2.1" has the form of a name */
        r = error_set(e, ERR_SYNTAX, "%.*s is an address: it cannot be a domain of ours", STR_ARG(c->name));
    c->kind = 'd';
    if (r == 0)
        r = change_run(d, c, e);
    arena_done(&a);
    return r;
}

int directory_domain_add(struct directory *d, str domain, struct error *e)
{
    return domain_change(d, domain, &(struct change){ .check = check_domain_add }, e);
}

int directory_domain_remove(struct directory *d, str domain, struct error *e)
{
    return domain_change(d, domain, &(struct change){ .check = check_domain_remove }, e);
}

int directory_domain_alias_add(struct directory *d, str alias, str domain, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_domain_alias_add };
    int r = directory_canonical_domain(domain, &a, &c.other, e);
    if (r == 0)
        r = domain_change(d, alias, &c, e);
    arena_done(&a);
    return r;
}

int directory_domain_alias_remove(struct directory *d, str alias, struct error *e)
{
    return domain_change(d, alias, &(struct change){ .check = check_domain_alias_remove }, e);
}

int directory_domain_catch_all(struct directory *d, str domain, str address, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_domain_catch_all };
    int r = address.n ? directory_canonical(address, &a, &c.other, e) : 0;
    if (r == 0)
        r = domain_change(d, domain, &c, e);
    arena_done(&a);
    return r;
}

int directory_domain_quota(struct directory *d, str domain, const struct directory_quota *quota, struct error *e)
{
    return domain_change(d, domain, &(struct change){ .check = check_domain_quota, .quota = change_quota(quota) }, e);
}
