/* match: what a name may mean, for administrators who ask (VRFY and EXPN). */
#include "directory/directory_private.h"

enum { SCRATCH = 1 << 14 };

/* The entries that NAME may mean, called with the lock. How many there are; the first MAX of them in FOUND. */
static size_t find_locked(const struct table *t, str name, const struct entry **found, size_t max)
{
    size_t n = 0;
    str domain;
    void *value;
    if (str_find_byte(name, '@', 0) < name.n) {
        found[0] = table_lookup(t, name, TABLE_LOOKUP_NAMED);
        return found[0] ? 1 : 0;
    }
    for (size_t iter = 0; map_next(&t->domains, &iter, &domain, &value);) {
        struct buf address = BUF_INIT(DIRECTORY_KEY_MAX);
        buf_add_all(&address, name, STR("@"), domain);
        const struct entry *e = buf_error(&address) == 0 ? table_entry(t, buf_str(&address)) : NULL;
        buf_done(&address);
        if (e && n < max)
            found[n] = e;
        n += e != NULL;
    }
    return n;
}

static int match_copy(const struct table *t, const struct entry *n, struct arena *a, struct directory_match *ret)
{
    *ret = (struct directory_match){ .kind = n->kind, .enabled = n->kind != DIRECTORY_ACCOUNT || n->enabled };
    int r = arena_dup(a, n->address, &ret->address);
    str *members = r == 0 ? arena_array(a, n->target_n + n->member_n, sizeof *members) : NULL;
    if (!members)
        return ERR_LIMIT;
    for (size_t i = 0; r == 0 && i < n->target_n; i++)
        r = arena_dup(a, n->targets[i], &members[ret->member_n++]);
    for (size_t i = 0; r == 0 && i < n->member_n; i++) {
        const struct entry *member = table_by_id(t, &n->members[i]);
        if (member) /* one that is gone is nobody */
            r = arena_dup(a, member->address, &members[ret->member_n++]);
    }
    ret->members = members;
    return r;
}

static int by_address(const void *a, const void *b)
{
    return str_cmp(((const struct directory_match *)a)->address, ((const struct directory_match *)b)->address);
}

/* NAME as it is compared: an address in its canonical form, or the local part of one. */
static int canonical_name(struct directory *d, str name, struct arena *a, str *ret)
{
    str address;
    if (str_find_byte(name, '@', 0) < name.n) {
        int r = directory_canonical(name, a, ret, NULL);
        return r == 0 && !directory_has_domain(d, str_from(*ret, str_rfind_byte(*ret, '@') + 1)) ? ERR_REFUSED : r;
    }
    int r = arena_printf(a, &address, "%.*s@a.example", STR_ARG(name));
    if (r == 0)
        r = directory_canonical(address, a, ret, NULL);
    if (r == 0)
        *ret = str_sub(*ret, 0, str_rfind_byte(*ret, '@'));
    return r;
}

int directory_match(struct directory *d, str name, struct arena *arena, struct directory_match **ret, size_t *ret_n)
{
    const struct entry *found[DIRECTORY_MATCHES_MAX];
    struct arena a = ARENA_INIT(SCRATCH);
    str canonical;
    int r = name.n > 0 && name.n <= DIRECTORY_KEY_MAX ? canonical_name(d, name, &a, &canonical) : ERR_SYNTAX;
    if (r == 0) {
        pthread_rwlock_rdlock(&d->lock);
        size_t n = find_locked(&d->table, canonical, found, DIRECTORY_MATCHES_MAX);
        size_t kept = n < DIRECTORY_MATCHES_MAX ? n : DIRECTORY_MATCHES_MAX;
        struct directory_match *list = arena_array(arena, kept, sizeof *list);
        r = n == 0 ? ERR_NOTFOUND : list ? 0 : ERR_LIMIT;
        for (size_t i = 0; r == 0 && i < kept; i++)
            r = match_copy(&d->table, found[i], arena, &list[i]);
        pthread_rwlock_unlock(&d->lock);
        if (r == 0) {
            qsort(list, kept, sizeof *list, by_address);
            *ret = list;
            *ret_n = n;
        }
    }
    arena_done(&a);
    return r;
}
