/* engine: what all engines share: limits, transactions, links, watching. See engine.h and engine_private.h. */
#include "store/engine_private.h"

#include "base/clock.h"

const engine_part engine_journal = { { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } };

enum { DEFAULT_GRACE_MS = 24 * 3600 * 1000, DEFAULT_EARLY_BYTES = 16 << 20 };
/* Room for keys and values (rounded up to 16 bytes each) and for our own rows of 1 000 links. */
enum { TXN_MEMORY = ENGINE_TXN_MAX + ENGINE_TXN_OPS_MAX * 512 };

struct engine_watch {
    struct engine_watch *next;
    struct engine *g;
    engine_part part;
    void (*fn)(void *ctx, uint64_t version);
    void *ctx;
};

/* --- open and close --- */

void engine_common_init(struct engine *g, const struct engine_ops *ops, const struct engine_settings *settings)
{
    require(ops->version == ENGINE_OPS_VERSION);
    g->ops = ops;
    g->grace_ms = settings && settings->grace_ms ? settings->grace_ms : DEFAULT_GRACE_MS;
    g->early_bytes = settings && settings->early_bytes ? settings->early_bytes : DEFAULT_EARLY_BYTES;
    g->early_from.n = 0;
    g->early_fence = 0;
    engine_readers_init(g);
    pthread_mutex_init(&g->collecting, NULL);
    for (size_t i = 0; i < ENGINE_WATCH_BUCKETS; i++) {
        g->watches[i].first = NULL;
        pthread_mutex_init(&g->watches[i].lock, NULL);
    }
}

void engine_close(struct engine *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < ENGINE_WATCH_BUCKETS; i++) {
        require(!g->watches[i].first);
        pthread_mutex_destroy(&g->watches[i].lock);
    }
    pthread_mutex_destroy(&g->collecting);
    engine_readers_done(g);
    g->ops->close(g);
}

/* --- read --- */

static bool key_fits(str key)
{
    return key.n >= 1 && key.n <= ENGINE_KEY_MAX;
}

int engine_get(struct engine *g, engine_part part, const str *keys, size_t n, enum engine_read mode, struct arena *a, str *values,
               uint64_t *ret_version)
{
    for (size_t i = 0; i < n; i++)
        if (!key_fits(keys[i]))
            return ERR_LIMIT;
    return g->ops->get(g, part, ENGINE_SPACE_USER, keys, n, mode, a, values, ret_version);
}

int engine_scan(struct engine *g, engine_part part, str from, str to, enum engine_read mode, engine_row_fn *fn, void *ctx,
                uint64_t *ret_version)
{
    if (from.n > ENGINE_KEY_MAX || to.n > ENGINE_KEY_MAX)
        return ERR_LIMIT;
    return g->ops->scan(g, part, ENGINE_SPACE_USER, from, to, mode, fn, ctx, ret_version);
}

int engine_wait_synced(struct engine *g, engine_part part)
{
    return g->ops->sync(g, part);
}

/* --- write --- */

static struct engine_txn *txn_new(struct engine *g, engine_part part)
{
    struct engine_txn *t = calloc(1, sizeof *t);
    if (!t)
        panic("out of memory for a transaction");
    t->g = g;
    t->part = part;
    t->expect = ENGINE_ANY_VERSION;
    arena_init(&t->mem, TXN_MEMORY);
    return t;
}

struct engine_txn *engine_begin(struct engine *g, engine_part part, uint64_t expect)
{
    struct engine_txn *t = txn_new(g, part);
    t->expect = expect;
    return t;
}

struct engine_txn *engine_begin_own(struct engine *g, engine_part part)
{
    struct engine_txn *t = txn_new(g, part);
    t->unversioned = true;
    return t;
}

void engine_abort(struct engine_txn *t)
{
    if (!t)
        return;
    arena_done(&t->mem);
    free(t->ops);
    free(t);
}

/* A copy that tells the empty string from none. */
static int copy_to(struct arena *a, str s, str *ret)
{
    if (!s.p) {
        *ret = (str){ NULL, 0 };
        return 0;
    }
    return arena_dup(a, s, ret);
}

void engine_txn_add(struct engine_txn *t, enum engine_op_kind kind, enum engine_space space, str key, str value)
{
    if (t->error)
        return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->ops = reallocarray(t->ops, t->cap, sizeof *t->ops);
        if (!t->ops)
            panic("out of memory for a transaction of %zu operations", t->cap);
    }
    struct engine_op *op = &t->ops[t->n];
    *op = (struct engine_op){ .kind = kind, .space = space, .key = key, .value = value };
    if (kind != ENGINE_OP_CHUNK_PUT)
        t->error = copy_to(&t->mem, value, &op->value);
    if (!t->error)
        t->error = copy_to(&t->mem, key, &op->key);
    if (!t->error)
        t->n++;
}

/* Counts an operation of the caller against the limits. */
bool engine_txn_allow(struct engine_txn *t, size_t key_n, size_t value_n, size_t value_max)
{
    if (t->error)
        return false;
    t->given++;
    t->bytes += key_n + value_n;
    if (key_n < 1 || key_n > ENGINE_KEY_MAX || value_n > value_max || t->given > ENGINE_TXN_OPS_MAX || t->bytes > ENGINE_TXN_MAX)
        t->error = ERR_LIMIT;
    return !t->error;
}

static bool txn_allow(struct engine_txn *t, size_t key_n, size_t value_n)
{
    return engine_txn_allow(t, key_n, value_n, ENGINE_VALUE_MAX);
}

void engine_put(struct engine_txn *t, str key, str value)
{
    if (!value.p)
        value = STR("");
    if (txn_allow(t, key.n, value.n))
        engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_USER, key, value);
}

void engine_del(struct engine_txn *t, str key)
{
    if (txn_allow(t, key.n, 0))
        engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_USER, key, (str){ NULL, 0 });
}

void engine_del_range(struct engine_txn *t, str from, str to)
{
    if (to.n < 1 || to.n > ENGINE_KEY_MAX || from.n > ENGINE_KEY_MAX)
        t->error = t->error ? t->error : ERR_LIMIT;
    else if (txn_allow(t, to.n, from.n) && str_cmp(from, to) < 0)
        engine_txn_add(t, ENGINE_OP_DEL_RANGE, ENGINE_SPACE_USER, from.p ? from : STR(""), to);
}

void engine_expect(struct engine_txn *t, str key, str value)
{
    if (txn_allow(t, key.n, value.n))
        engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_USER, key, value);
}

/* A link is refused once the collector has condemned the blob here, however long the caller slept since it put the blob. */
void engine_link(struct engine_txn *t, engine_blob blob)
{
    if (!engine_blob_linkable(&blob, t->part) && !t->error)
        t->error = ERR_INTERNAL;
    if (!txn_allow(t, sizeof blob.b, 0))
        return;
    struct engine_own_key x = engine_own_key('x', blob.b, NULL), b = engine_own_key('b', blob.b, NULL),
                          g = engine_own_key('g', blob.b, NULL);
    engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_OWN, engine_own_str(&x), (str){ NULL, 0 });
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&b),
                   (str){ (const char *)blob.b + ENGINE_STEM, sizeof blob.b - ENGINE_STEM });
    engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_OWN, engine_own_str(&g), (str){ NULL, 0 });
}

void engine_unlink(struct engine_txn *t, engine_blob blob)
{
    if (!engine_blob_linkable(&blob, t->part) && !t->error)
        t->error = ERR_INTERNAL;
    if (!txn_allow(t, sizeof blob.b, 0))
        return;
    t->need = ENGINE_NEED_FREES; /* a full disk must still let mail go */
    t->unlinked_bytes += engine_blob_bytes(&blob);
    t->unlinked_n++;
    int64_t due = clock_real_ms() + t->g->grace_ms;
    uint8_t when[8];
    engine_put_be(when, sizeof when, (uint64_t)due);
    struct engine_own_key b = engine_own_key('b', blob.b, NULL), g = engine_own_key('g', blob.b, NULL);
    engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_OWN, engine_own_str(&b), (str){ NULL, 0 });
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&g), (str){ (const char *)when, sizeof when });
    engine_txn_journal(t, due, ENGINE_DUE_BLOB, blob.b, &t->part, engine_blob_chunks(engine_blob_bytes(&blob)));
}

void engine_urgent(struct engine_txn *t)
{
    if (t->need < ENGINE_NEED_URGENT)
        t->need = ENGINE_NEED_URGENT;
}

static struct engine_watch_bucket *watch_bucket(struct engine *g, engine_part part)
{
    return &g->watches[str_hash((str){ (const char *)part.b, sizeof part.b }, 0) % ENGINE_WATCH_BUCKETS];
}

static void watch_tell(struct engine *g, engine_part part, uint64_t version)
{
    struct engine_watch_bucket *bucket = watch_bucket(g, part);
    pthread_mutex_lock(&bucket->lock);
    for (struct engine_watch *w = bucket->first; w; w = w->next)
        if (!memcmp(w->part.b, part.b, sizeof part.b))
            w->fn(w->ctx, version);
    pthread_mutex_unlock(&bucket->lock);
}

int engine_commit_unsynced(struct engine_txn *t, uint64_t *ret_version)
{
    struct engine *g = t->g;
    uint64_t version = 0;
    int rc = t->error ? t->error : g->ops->commit(g, t, &version);
    if (!rc && t->unlinked_n) { /* the rows are there before they are counted */
        atomic_fetch_add(&g->unlinked_bytes, t->unlinked_bytes);
        atomic_fetch_add(&g->unlinked_n, t->unlinked_n);
    }
    if (!rc && !t->unversioned)
        watch_tell(g, t->part, version);
    engine_abort(t);
    if (!rc && ret_version)
        *ret_version = version;
    return rc;
}

int engine_commit(struct engine_txn *t, uint64_t *ret_version)
{
    struct engine *g = t->g;
    engine_part part = t->part;
    uint64_t version = 0;
    int rc = engine_commit_unsynced(t, &version);
    if (!rc)
        rc = g->ops->sync(g, part);
    /* Visible but perhaps lost: whatever went wrong with the sync, the outcome is not known. */
    if (rc == ERR_UNAVAILABLE && version)
        rc = ERR_UNKNOWN;
    if (!rc && ret_version)
        *ret_version = version;
    return rc;
}

/* --- watching --- */

struct engine_watch *engine_watch_new(struct engine *g, engine_part part, void (*fn)(void *ctx, uint64_t version), void *ctx)
{
    struct engine_watch *w = malloc(sizeof *w);
    if (!w)
        panic("out of memory for a watch");
    struct engine_watch_bucket *bucket = watch_bucket(g, part);
    *w = (struct engine_watch){ .g = g, .part = part, .fn = fn, .ctx = ctx };
    pthread_mutex_lock(&bucket->lock);
    w->next = bucket->first;
    bucket->first = w;
    pthread_mutex_unlock(&bucket->lock);
    return w;
}

void engine_watch_free(struct engine_watch *w)
{
    if (!w)
        return;
    struct engine_watch_bucket *bucket = watch_bucket(w->g, w->part);
    pthread_mutex_lock(&bucket->lock);
    struct engine_watch **at = &bucket->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_mutex_unlock(&bucket->lock);
    free(w);
}

/* --- backup --- */

int engine_checkpoint(struct engine *g, const char *path, struct error *e)
{
    if (!g->ops->checkpoint)
        return error_set(e, ERR_UNSUPPORTED, "the %s engine has no files to copy", g->ops->name);
    return g->ops->checkpoint(g, path, e);
}

void engine_rest(struct engine *g)
{
    if (g->ops->rest)
        g->ops->rest(g);
}

/* --- state --- */

void engine_state(struct engine *g, struct engine_state *ret)
{
    g->ops->state(g, ret);
}

uint64_t engine_epoch(struct engine *g)
{
    return g->ops->epoch(g);
}
