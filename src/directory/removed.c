/* removed: accounts that were removed and can still be had back, with their mail.
 *
 * Such an account is in none of the maps: nobody logs in, nothing is delivered, its address is free and its id is nobody's. What it was lies in a
 * row "r" and its id, from the same commit on; it ends by coming back or by being erased (the row then becomes "m", as of an account whose mail
 * is still to be deleted), each in one commit.
 *
 *  R1  An id is in an account's row, in a row "r" or in a row "m", never in two of them.
 *  R2  What comes back is what was there: password, application passwords, role, quota, networks, history, and the groups that are still there.
 *      Not the aliases that went along, and not certificates, which were revoked. */
#include "directory/change_private.h"

#include "base/pack.h"

enum { ROW_VERSION = 1, TRIES = 10, SCRATCH = 1 << 18, GROUPS_MAX = 4000 };

struct kept {
    uint64_t removed_at;  /* seconds since 1970 */
    str address, account; /* as its row was */
    str groups;           /* ids */
};

static void kept_key(struct buf *b, const engine_part *id)
{
    row_key(b, 'r', (str){ (const char *)id->b, sizeof id->b });
}

static int kept_decode(str value, struct kept *ret)
{
    struct unpack u = unpack_init(value);
    if (unpack_u8(&u) != ROW_VERSION)
        return ERR_CORRUPT;
    ret->removed_at = unpack_varint(&u);
    ret->address = unpack_str(&u, DIRECTORY_KEY_MAX);
    ret->account = unpack_str(&u, ENGINE_VALUE_MAX);
    ret->groups = unpack_str(&u, ENGINE_VALUE_MAX);
    return unpack_end(&u) < 0 || ret->groups.n % sizeof(engine_part) ? ERR_CORRUPT : 0;
}

int removed_keep(const struct table *t, struct change *c, const struct entry *n)
{
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX), account = BUF_INIT(ENGINE_VALUE_MAX), groups = BUF_INIT(ENGINE_VALUE_MAX / 2);
    str key;
    void *each;
    for (size_t iter = 0; map_next(&t->groups, &iter, &key, &each);) {
        const struct entry *group = each;
        for (size_t i = 0; i < group->member_n; i++)
            if (memcmp(group->members[i].b, n->id.b, sizeof n->id.b) == 0)
                buf_add(&groups, (str){ (const char *)group->id.b, sizeof group->id.b });
    }
    row_encode_account(&account, n);
    pack_u8(&value, ROW_VERSION);
    pack_varint(&value, c->now_s);
    pack_str(&value, n->address);
    pack_str(&value, buf_str(&account));
    pack_str(&value, buf_str(&groups));
    int r = buf_error(&account) || buf_error(&groups)
                ? ERR_LIMIT
                : change_add_row(c, &c->unshown, 'r', (str){ (const char *)n->id.b, sizeof n->id.b }, &value);
    buf_done(&groups);
    buf_done(&account);
    buf_done(&value);
    return r;
}

/* The row of the account ID as the store has it, in A. ERR_NOTFOUND. */
static int kept_read(struct engine *g, const engine_part *id, struct arena *a, struct kept *ret, uint64_t *ret_version)
{
    struct buf key = BUF_INIT(DIRECTORY_KEY_MAX);
    str value = { NULL, 0 };
    kept_key(&key, id);
    str name = buf_str(&key);
    int r = engine_get(g, directory_part, &name, 1, ENGINE_SYNCED, a, &value, ret_version);
    buf_done(&key);
    if (r == 0 && !value.p)
        r = ERR_NOTFOUND;
    return r ? r : kept_decode(value, ret);
}

/* --- coming back --- */

/* The row of GROUP with ID in it again. */
static int join(struct change *c, const struct entry *group, const engine_part *id)
{
    engine_part members[DIRECTORY_MEMBERS_MAX];
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX);
    struct entry fresh = *group;
    if (group->member_n >= DIRECTORY_MEMBERS_MAX)
        return 0;
    if (group->member_n)
        memcpy(members, group->members, group->member_n * sizeof *members);
    members[fresh.member_n++] = *id;
    fresh.members = members;
    row_encode_group(&value, &fresh);
    int r = change_add_row(c, &c->rows, 'g', group->address, &value);
    buf_done(&value);
    return r;
}

static int check_undelete(const struct table *t, struct change *c, struct buf *value, struct error *e)
{
    struct kept kept;
    struct entry n = { .kind = DIRECTORY_ACCOUNT };
    c->rows = c->unshown = NULL;
    int r = kept_read(c->engine, &c->id, c->arena, &kept, NULL);
    if (r == ERR_NOTFOUND)
        return error_set(e, r, "its mail is being deleted, or it has come back already");
    if (r == 0)
        r = row_decode_account(kept.account, &n);
    if (r)
        return error_set(e, r, "what was kept of the account cannot be read");
    r = change_check_new_address(t, c, e);
    if (r == ERR_EXISTS)
        return error_set(e, r, "%.*s is somebody else's by now; give it another address: --as ADDRESS", STR_ARG(c->name));
    if (r)
        return r;
    c->legacy = n.legacy;
    if (!str_eq(c->name, kept.address))
        change_forget_names(&n);
    c->is_removal = c->legacy != n.legacy; /* of what it was flagged for */
    row_encode_account(value, &n);
    for (size_t i = 0; r == 0 && i < kept.groups.n; i += sizeof(engine_part)) {
        const struct entry *group = map_get(&t->groups, str_sub(kept.groups, i, sizeof(engine_part)));
        r = group ? join(c, group, &c->id) : 0;
    }
    return r ? r : change_add_row(c, &c->unshown, 'r', (str){ (const char *)c->id.b, sizeof c->id.b }, NULL);
}

int directory_account_undelete(struct directory *d, engine_part id, str address, bool *ret_unflagged, struct error *e)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct change c = { .check = check_undelete, .kind = 'a', .id = id, .engine = d->engine };
    int r = directory_home_address(d, address, &a, &c.name, e);
    if (r == 0)
        r = change_run(d, &c, e);
    if (r == 0)
        *ret_unflagged = c.is_removal;
    arena_done(&a);
    return r;
}

/* --- the end --- */

int directory_account_erase(struct directory *d, engine_part id)
{
    struct buf kept = BUF_INIT(DIRECTORY_KEY_MAX), left = BUF_INIT(DIRECTORY_KEY_MAX);
    int r = ERR_CONFLICT;
    kept_key(&kept, &id);
    row_key(&left, 'm', (str){ (const char *)id.b, sizeof id.b });
    pthread_mutex_lock(&d->change);
    for (int i = 0; i < TRIES && r == ERR_CONFLICT; i++) {
        struct arena a = ARENA_INIT(SCRATCH);
        struct kept row;
        uint64_t version;
        r = kept_read(d->engine, &id, &a, &row, &version);
        if (r == 0 || r == ERR_CORRUPT) {
            uint64_t before = version;
            struct engine_txn *t = engine_begin(d->engine, directory_part, version);
            engine_del(t, buf_str(&kept));
            engine_put(t, buf_str(&left), STR(""));
            r = engine_commit(t, &version);
            if (r == 0 && d->version == before)
                d->version = version;
        }
        arena_done(&a);
    }
    pthread_mutex_unlock(&d->change);
    if (r == 0) {
        app_passwords_forget(d, id);
        known_forget(d, id);
        history_forget(d, id);
    }
    buf_done(&left);
    buf_done(&kept);
    return r;
}

/* --- which there are --- */

enum { LIST_MEMORY_MAX = 256 << 20 };

struct removed_list {
    struct arena a;
    struct directory_removed *items; /* n of them, room for twice as many when n is a power of two */
    size_t n;
};

static int removed_row(void *ctx, str key, str value)
{
    struct removed_list *l = ctx;
    struct kept kept;
    struct entry n = { .kind = DIRECTORY_ACCOUNT };
    struct directory_removed one = { 0 };
    if (key.n != 1 + sizeof one.id.b || kept_decode(value, &kept) < 0 || row_decode_account(kept.account, &n) < 0)
        return ERR_CORRUPT;
    memcpy(one.id.b, key.p + 1, sizeof one.id.b);
    one.role = n.role;
    one.removed_s = (int64_t)kept.removed_at;
    if ((l->n & (l->n - 1)) == 0) { /* grows */
        struct directory_removed *more = arena_array(&l->a, l->n ? 2 * l->n : 1, sizeof *more);
        if (!more)
            return ERR_LIMIT;
        if (l->n)
            memcpy(more, l->items, l->n * sizeof *more);
        l->items = more;
    }
    int r = arena_dup(&l->a, kept.address, &one.address);
    l->items[l->n++] = one;
    return r;
}

/* A copy is taken first: FN may take its time, and the directory changes meanwhile. */
int directory_removed(struct directory *d, int (*fn)(void *ctx, const struct directory_removed *one), void *ctx)
{
    struct removed_list l = { .n = 0 };
    int r = ERR_CONFLICT;
    for (int tries = 0; r == ERR_CONFLICT && tries < TRIES; tries++) {
        if (tries)
            arena_done(&l.a);
        l = (struct removed_list){ .a = ARENA_INIT(LIST_MEMORY_MAX) };
        r = engine_scan(d->engine, directory_part, STR("r"), STR("s"), ENGINE_SYNCED, removed_row, &l, NULL);
    }
    for (size_t i = 0; r == 0 && i < l.n; i++)
        r = fn(ctx, &l.items[i]);
    arena_done(&l.a);
    return r;
}
