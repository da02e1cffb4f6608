/* change_set: aliases and groups: addresses that stand for several accounts, and sets of accounts. */
#include "directory/change_private.h"

#include "base/random.h"

enum { SCRATCH = 1 << 17, BARE_NAME_MAX = 64 };

/* --- aliases --- */

static int check_alias_add(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    int r = change_check_new_address(t, c, e);
    for (size_t i = 0; r == 0 && i < c->target_n; i++) {
        if (!table_home(t, str_from(c->targets[i], str_rfind_byte(c->targets[i], '@') + 1)))
            r = error_set(e, ERR_REFUSED, "%.*s is not an address of ours", STR_ARG(c->targets[i]));
        else if (!table_lookup(t, c->targets[i], TABLE_LOOKUP_NAMED))
            r = error_set(e, ERR_NOTFOUND, "there is no account, alias or group %.*s", STR_ARG(c->targets[i]));
    }
    if (r == 0)
        r = table_check_reach(
            t, NULL,
            &(struct entry){
                .kind = DIRECTORY_ALIAS, .address = c->name, .targets = (str *)(uintptr_t)c->targets, .target_n = c->target_n },
            e);
    if (r == 0)
        row_encode_alias(value, c->targets, c->target_n);
    return r;
}

static int check_alias_remove(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    const struct entry *n = table_entry(t, c->name);
    if (!n || n->kind != DIRECTORY_ALIAS)
        return error_set(e, ERR_NOTFOUND, "there is no alias %.*s", STR_ARG(c->name));
    return reference_settle(t, c, n, e);
}

int directory_alias_add(struct directory *d, str address, const str *targets, size_t n, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_alias_add, .kind = 'l', .target_n = n };
    if (n == 0 || n > DIRECTORY_TARGETS_MAX)
        return error_set(e, ERR_LIMIT, "an alias has 1 to %d targets", DIRECTORY_TARGETS_MAX);
    int r = directory_canonical(address, &a, &c.name, e);
    str *list = arena_array(&a, n, sizeof *list);
    if (r == 0 && !list)
        r = ERR_LIMIT;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = directory_canonical(targets[i], &a, &list[i], e);
    c.targets = list;
    if (r == 0)
        r = change_run(d, &c, e);
    arena_done(&a);
    return r;
}

int directory_alias_remove(struct directory *d, str address, bool with_references, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_alias_remove, .kind = 'l', .takes_references = with_references };
    int r = directory_home_address(d, address, &a, &c.name, e);
    if (r == 0)
        r = change_run(d, &c, e);
    arena_done(&a);
    return r;
}

/* --- groups --- */

/* The name of a group in its canonical form: an address, or a plain name in lower case. */
static int group_name(struct directory *d, str name, struct arena *a, str *ret, struct error *e)
{
    if (str_find_byte(name, '@', 0) < name.n)
        return directory_home_address(d, name, a, ret, e);
    bool ok = name.n > 0 && name.n <= BARE_NAME_MAX;
    char *p = arena_alloc(a, name.n);
    for (size_t i = 0; ok && p && i < name.n; i++) {
        char c = p[i] = ascii_lower(name.p[i]);
        ok = ascii_is_alnum(c) || c == '-' || c == '_' || c == '.';
    }
    if (!ok)
        return error_set(e, ERR_SYNTAX, "a group's name is an address, or has 1 to %d letters, digits, \".\", \"-\" and \"_\"",
                         BARE_NAME_MAX);
    *ret = (str){ p, name.n };
    return p ? 0 : ERR_LIMIT;
}

static int check_group(const struct table *t, const struct change *c, struct entry *ret, struct error *e)
{
    const struct entry *n = table_entry(t, c->name);
    if (!n || n->kind != DIRECTORY_GROUP)
        return error_set(e, ERR_NOTFOUND, "there is no group %.*s", STR_ARG(c->name));
    *ret = *n;
    return 0;
}

/* Mail "from the domain" needs one. */
static int check_senders(const struct change *c, struct error *e)
{
    bool bare = str_find_byte(c->name, '@', 0) == c->name.n;
    return bare && c->senders != DIRECTORY_SENDERS_ANYONE
               ? error_set(e, ERR_REFUSED, "nobody writes to %.*s: its name is no address", STR_ARG(c->name))
               : 0;
}

static int check_group_add(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    int r = check_senders(c, e);
    if (r == 0 && str_find_byte(c->name, '@', 0) < c->name.n)
        r = change_check_new_address(t, c, e);
    else if (r == 0 && table_entry(t, c->name))
        r = error_set(e, ERR_EXISTS, "the group %.*s is there already", STR_ARG(c->name));
    if (r == 0)
        row_encode_group(value, &(struct entry){ .id = c->id, .senders = c->senders });
    return r;
}

static int check_group_remove(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_group(t, c, &n, e);
    return r ? r : reference_settle(t, c, table_entry(t, c->name), e);
}

static int check_group_senders(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_group(t, c, &n, e);
    if (r == 0)
        r = check_senders(c, e);
    n.senders = c->senders;
    if (r == 0)
        row_encode_group(value, &n);
    return r;
}

static int check_group_quota(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    int r = check_group(t, c, &n, e);
    n.quota = c->quota;
    if (r == 0)
        row_encode_group(value, &n);
    return r;
}

/* The members of N that are there still, into LIST; what is gone is left out of the row that is written now. */
static size_t present_members(const struct table *t, const struct entry *n, engine_part list[DIRECTORY_MEMBERS_MAX])
{
    size_t kept = 0;
    for (size_t i = 0; i < n->member_n; i++)
        if (table_by_id(t, &n->members[i]))
            list[kept++] = n->members[i];
    return kept;
}

static int check_group_member(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    engine_part list[DIRECTORY_MEMBERS_MAX];
    struct entry n;
    int r = check_group(t, c, &n, e);
    if (r < 0)
        return r;
    const struct entry *member = table_entry(t, c->other);
    if (!member || member->kind == DIRECTORY_ALIAS)
        return error_set(e, ERR_NOTFOUND, "there is no account and no group %.*s", STR_ARG(c->other));
    if (str_eq(member->address, n.address))
        return error_set(e, ERR_REFUSED, "a group cannot be in itself");
    size_t kept = present_members(t, &n, list), at = 0;
    while (at < kept && memcmp(list[at].b, member->id.b, sizeof member->id.b) != 0)
        at++;
    if (c->is_removal && at == kept)
        return error_set(e, ERR_NOTFOUND, "%.*s is not in the group %.*s", STR_ARG(c->other), STR_ARG(c->name));
    if (!c->is_removal && at < kept)
        return error_set(e, ERR_EXISTS, "%.*s is in the group %.*s already", STR_ARG(c->other), STR_ARG(c->name));
    if (!c->is_removal && kept == DIRECTORY_MEMBERS_MAX)
        return error_set(e, ERR_LIMIT, "a group has at most %d members; put groups into it", DIRECTORY_MEMBERS_MAX);
    if (c->is_removal)
        memmove(&list[at], &list[at + 1], (--kept - at) * sizeof *list);
    else
        list[kept++] = member->id;
    n.members = list;
    n.member_n = kept;
    r = c->is_removal ? 0 : table_check_reach(t, table_entry(t, c->name), &n, e);
    if (r == 0)
        row_encode_group(value, &n);
    return r;
}

static int group_change(struct directory *d, str name, struct change *c, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    str member = c->other;
    int r = group_name(d, name, &a, &c->name, e);
    if (r == 0 && member.n)
        r = group_name(d, member, &a, &c->other, e);
    c->kind = 'g';
    if (r == 0)
        r = change_run(d, c, e);
    arena_done(&a);
    return r;
}

int directory_group_add(struct directory *d, str name, enum directory_senders senders, struct error *e)
{
    struct change c = { .check = check_group_add, .senders = senders };
    random_bytes(c.id.b, sizeof c.id.b);
    return group_change(d, name, &c, e);
}

int directory_group_remove(struct directory *d, str name, bool with_references, struct error *e)
{
    return group_change(d, name, &(struct change){ .check = check_group_remove, .takes_references = with_references }, e);
}

int directory_group_senders(struct directory *d, str name, enum directory_senders senders, struct error *e)
{
    return group_change(d, name, &(struct change){ .check = check_group_senders, .senders = senders }, e);
}

int directory_group_quota(struct directory *d, str name, const struct directory_quota *quota, struct error *e)
{
    return group_change(d, name, &(struct change){ .check = check_group_quota, .quota = change_quota(quota) }, e);
}

int directory_group_member_add(struct directory *d, str name, str member, struct error *e)
{
    return group_change(d, name, &(struct change){ .check = check_group_member, .other = member }, e);
}

int directory_group_member_remove(struct directory *d, str name, str member, struct error *e)
{
    return group_change(d, name, &(struct change){ .check = check_group_member, .other = member, .is_removal = true }, e);
}

static int check_group_there(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct entry n;
    return check_group(t, c, &n, e);
}

int directory_group_ask(struct directory *d, str name, str member, struct error *e)
{
    return group_change(
        d, name,
        &(struct change){ .check = member.n ? check_group_member : check_group_there, .other = member, .is_question = true }, e);
}
