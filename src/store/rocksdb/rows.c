/* rows: reading rows and chunks from RocksDB. See rocksdb_private.h. */
#include "store/rocksdb/rocksdb_private.h"

enum { GET_TRIES = 3, ONCE_FILLS = 16 };

struct rocks_key rocks_key(engine_part part, enum engine_space space, str key)
{
    struct rocks_key k;
    memcpy(k.b, part.b, sizeof part.b);
    k.b[sizeof part.b] = (char)space;
    if (key.n)
        memcpy(k.b + sizeof part.b + 1, key.p, key.n);
    k.n = sizeof part.b + 1 + key.n;
    return k;
}

/* One row into the arena. */
static int get_row(struct rocks *r, const rocksdb_readoptions_t *options, const struct rocks_key *k, struct arena *a, str *ret)
{
    char *message = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(r->db, options, r->rows, k->b, k->n, &message);
    *ret = (str){ NULL, 0 };
    if (message)
        return rocks_error(message, "get");
    if (!slice)
        return 0;
    str value;
    value.p = rocksdb_pinnableslice_value(slice, &value.n);
    int rc = arena_dup(a, value, ret);
    rocksdb_pinnableslice_destroy(slice);
    return rc;
}

static int get_rows(struct rocks *r, const rocksdb_readoptions_t *options, engine_part part, enum engine_space space,
                    const str *keys, size_t n, struct arena *a, str *values)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        struct rocks_key k = rocks_key(part, space, keys[i]);
        rc = get_row(r, options, &k, a, &values[i]);
    }
    return rc;
}

static int look(struct rocks *r, engine_part part, uint64_t *version, uint64_t *ticket)
{
    struct rocks_stripe *s = rocks_stripe(r, part);
    struct rocks_part *p;
    pthread_mutex_lock(&s->lock);
    int rc = rocks_part_load(r, s, part, &p);
    if (!rc) {
        *version = p->version;
        *ticket = p->ticket;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* With a snapshot of RocksDB, for a partition that does not hold still. Taking one costs the database's own lock. */
static int get_snapshot(struct rocks *r, engine_part part, enum engine_space space, const str *keys, size_t n, struct arena *a,
                        str *values, uint64_t *version, uint64_t *ticket)
{
    struct rocks_stripe *s = rocks_stripe(r, part);
    struct rocks_part *p;
    const rocksdb_snapshot_t *snapshot = NULL;
    pthread_mutex_lock(&s->lock);
    int rc = rocks_part_load(r, s, part, &p);
    if (!rc) {
        *version = p->version;
        *ticket = p->ticket;
        snapshot = rocksdb_create_snapshot(r->db);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc)
        return rc;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(options, snapshot);
    rc = get_rows(r, options, part, space, keys, n, a, values);
    rocksdb_readoptions_destroy(options);
    rocksdb_release_snapshot(r->db, snapshot);
    return rc;
}

/* A version that is the same before and after shows that what was read in between is of that version. */
static int get_stable(struct rocks *r, engine_part part, enum engine_space space, const str *keys, size_t n, struct arena *a,
                      str *values, uint64_t *version, uint64_t *ticket)
{
    uint64_t before = 0;
    int rc = look(r, part, &before, ticket);
    for (int i = 0; !rc && i < GET_TRIES; i++) {
        rc = get_rows(r, r->read, part, space, keys, n, a, values);
        if (!rc)
            rc = look(r, part, version, ticket);
        if (rc || before == *version)
            return rc;
        before = *version;
    }
    return rc ? rc : get_snapshot(r, part, space, keys, n, a, values, version, ticket);
}

int rocks_get(struct engine *g, engine_part part, enum engine_space space, const str *keys, size_t n, enum engine_read mode,
              struct arena *a, str *values, uint64_t *ret_version)
{
    struct rocks *r = rocks_of(g);
    uint64_t version = 0, ticket = 0;
    int rc = rocks_enter(r, 0, ENGINE_NEED_NONE);
    if (rc)
        return rc;
    if (ret_version || n > 1)
        rc = get_stable(r, part, space, keys, n, a, values, &version, &ticket);
    else {
        rc = get_rows(r, r->read, part, space, keys, n, a, values);
        if (mode == ENGINE_SYNCED)
            ticket = rocks_part_ticket(r, part);
    }
    if (!rc && mode == ENGINE_SYNCED)
        rc = rocks_wait(r, ticket);
    rocks_leave(r);
    if (!rc && ret_version)
        *ret_version = version;
    return rc == ERR_UNKNOWN ? ERR_UNAVAILABLE : rc;
}

static int walk(rocksdb_iterator_t *it, size_t head, engine_row_fn *fn, void *ctx)
{
    int rc = 0;
    while (!rc && rocksdb_iter_valid(it)) {
        str key, value;
        key.p = rocksdb_iter_key(it, &key.n);
        value.p = rocksdb_iter_value(it, &value.n);
        rc = fn(ctx, str_from(key, head), value);
        if (!rc)
            rocksdb_iter_next(it);
    }
    char *message = NULL;
    if (!rc)
        rocksdb_iter_get_error(it, &message);
    return message ? rocks_error(message, "scan") : rc;
}

/* The iterator is made under the stripe, so that its view is exactly the version and the ticket seen there (R2). */
int rocks_scan(struct engine *g, engine_part part, enum engine_space space, str from, str to, enum engine_read mode,
               engine_row_fn *fn, void *ctx, uint64_t *ret_version)
{
    struct rocks *r = rocks_of(g);
    int rc = rocks_enter(r, 0, ENGINE_NEED_NONE);
    if (rc)
        return rc;
    struct rocks_key first = rocks_key(part, space, from);
    struct rocks_key end = to.n ? rocks_key(part, space, to) : rocks_key(part, (enum engine_space)(space + 1), to);
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(options, end.b, end.n);
    rocksdb_iterator_t *it = NULL;
    uint64_t version = 0, ticket = 0;
    struct rocks_stripe *s = rocks_stripe(r, part);
    struct rocks_part *p;
    pthread_mutex_lock(&s->lock);
    rc = rocks_part_load(r, s, part, &p);
    if (!rc) {
        version = p->version;
        ticket = p->ticket;
        it = rocksdb_create_iterator_cf(r->db, options, r->rows);
    }
    pthread_mutex_unlock(&s->lock);
    if (!rc && mode == ENGINE_SYNCED && rocks_wait(r, ticket))
        rc = ERR_UNAVAILABLE;
    if (!rc) {
        if (ret_version)
            *ret_version = version;
        rocksdb_iter_seek(it, first.b, first.n);
        rc = walk(it, sizeof part.b + 1, fn, ctx);
    }
    if (it)
        rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(options);
    rocks_leave(r);
    return rc;
}

int rocks_chunk(struct engine *g, str key, bool once, engine_chunk_fn *fn, void *ctx)
{
    struct rocks *r = rocks_of(g);
    char *message = NULL;
    int rc = rocks_enter(r, 0, ENGINE_NEED_NONE);
    if (rc)
        return rc;
    /* Not to fill the caches means blocks of keys too, and these are wanted for the next chunks: a few fill them. */
    once = once && atomic_fetch_add_explicit(&r->once, 1, memory_order_relaxed) % ONCE_FILLS;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned_cf(r->db, once ? r->read_once : r->read, r->blobs, key.p, key.n, &message);
    if (message)
        rc = rocks_error(message, "blob");
    else if (!slice)
        rc = ERR_NOTFOUND;
    else {
        str value;
        value.p = rocksdb_pinnableslice_value(slice, &value.n);
        rc = fn(ctx, value);
        rocksdb_pinnableslice_destroy(slice);
    }
    rocks_leave(r);
    return rc;
}
