/* memory: the reference engine. Partitions are sorted arrays of immutable, counted rows, so that a snapshot is a copy of pointers.
 * One lock; everything is as durable as the process. */
#include "store/engine_private.h"

#include "base/map.h"
#include "store/memory/memory.h"

struct row {
    atomic_uint refs;
    size_t key_n, value_n;
    char bytes[]; /* key, value; a row's key begins with its space */
};

struct table {
    struct row **rows; /* sorted by key */
    size_t n, cap;
    uint64_t version;
};

struct memory {
    struct engine engine;
    pthread_mutex_t lock;
    struct map parts; /* engine_part -> struct table */
    struct table chunks;
    uint64_t commits;
};

static struct memory *memory_of(struct engine *g)
{
    return (struct memory *)(void *)g;
}

/* --- rows and tables --- */

static str row_key(const struct row *r)
{
    return (str){ r->bytes, r->key_n };
}
static str row_value(const struct row *r)
{
    return (str){ r->bytes + r->key_n, r->value_n };
}

static struct row *row_new(str key, str value)
{
    struct row *r = malloc(sizeof *r + key.n + value.n);
    if (!r)
        panic("out of memory for a row");
    atomic_init(&r->refs, 1);
    r->key_n = key.n;
    r->value_n = value.n;
    memcpy(r->bytes, key.p, key.n);
    if (value.n)
        memcpy(r->bytes + key.n, value.p, value.n);
    return r;
}

static struct row *row_ref(struct row *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

static void row_unref(struct row *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1)
        free(r);
}

/* Index of the first row with a key >= KEY. */
static size_t table_find(const struct table *t, str key)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (str_cmp(row_key(t->rows[mid]), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct row *table_get(const struct table *t, str key)
{
    size_t i = table_find(t, key);
    return i < t->n && str_eq(row_key(t->rows[i]), key) ? t->rows[i] : NULL;
}

static void table_put(struct table *t, str key, str value)
{
    size_t i = table_find(t, key);
    if (i < t->n && str_eq(row_key(t->rows[i]), key)) {
        row_unref(t->rows[i]);
        t->rows[i] = row_new(key, value);
        return;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->rows = reallocarray(t->rows, t->cap, sizeof *t->rows);
        if (!t->rows)
            panic("out of memory for %zu rows", t->cap);
    }
    memmove(t->rows + i + 1, t->rows + i, (t->n - i) * sizeof *t->rows);
    t->rows[i] = row_new(key, value);
    t->n++;
}

/* Removes the rows with indices [from, to). */
static void table_cut(struct table *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        row_unref(t->rows[i]);
    if (to > from)
        memmove(t->rows + from, t->rows + to, (t->n - to) * sizeof *t->rows);
    t->n -= to > from ? to - from : 0;
}

static void table_del(struct table *t, str key)
{
    if (table_get(t, key)) {
        size_t i = table_find(t, key);
        table_cut(t, i, i + 1);
    }
}

static void table_done(struct table *t)
{
    table_cut(t, 0, t->n);
    free(t->rows);
}

/* KEY with its space in front, in P (room for ENGINE_KEY_MAX + 1). */
static str spaced(char *p, enum engine_space space, str key)
{
    p[0] = (char)space;
    if (key.n)
        memcpy(p + 1, key.p, key.n);
    return (str){ p, key.n + 1 };
}

static struct table *part_table(struct memory *m, engine_part part, bool create)
{
    str name = { (const char *)part.b, sizeof part.b };
    struct table *t = map_get(&m->parts, name);
    if (!t && create) {
        t = calloc(1, sizeof *t);
        if (!t)
            panic("out of memory for a partition");
        (void)map_put(&m->parts, name, t);
    }
    return t;
}

/* --- operations --- */

static int memory_get(struct engine *g, engine_part part, enum engine_space space, const str *keys, size_t n,
                      enum engine_read mode, struct arena *a, str *values, uint64_t *ret_version)
{
    struct memory *m = memory_of(g);
    char key[ENGINE_KEY_MAX + 1];
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    const struct table *t = part_table(m, part, false);
    for (size_t i = 0; !rc && i < n; i++) {
        const struct row *r = t ? table_get(t, spaced(key, space, keys[i])) : NULL;
        values[i] = (str){ NULL, 0 };
        if (r)
            rc = arena_dup(a, row_value(r), &values[i]);
    }
    if (!rc && ret_version)
        *ret_version = t ? t->version : 0;
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static int memory_scan(struct engine *g, engine_part part, enum engine_space space, str from, str to, enum engine_read mode,
                       engine_row_fn *fn, void *ctx, uint64_t *ret_version)
{
    struct memory *m = memory_of(g);
    char key[ENGINE_KEY_MAX + 1];
    struct row **rows = NULL;
    size_t n = 0;
    uint64_t version = 0;
    pthread_mutex_lock(&m->lock);
    const struct table *t = part_table(m, part, false);
    if (t) {
        size_t first = table_find(t, spaced(key, space, from));
        size_t end = table_find(t, to.n ? spaced(key, space, to) : spaced(key, space + 1, to));
        version = t->version;
        n = end > first ? end - first : 0;
        rows = reallocarray(NULL, n ? n : 1, sizeof *rows);
        if (!rows)
            panic("out of memory for a snapshot of %zu rows", n);
        for (size_t i = 0; i < n; i++)
            rows[i] = row_ref(t->rows[first + i]);
    }
    pthread_mutex_unlock(&m->lock);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rc)
            rc = fn(ctx, str_from(row_key(rows[i]), 1), row_value(rows[i]));
        row_unref(rows[i]);
    }
    free(rows);
    if (ret_version)
        *ret_version = version;
    return rc;
}

static bool expected(const struct table *t, const struct engine_op *op)
{
    char key[ENGINE_KEY_MAX + 1];
    const struct row *r = table_get(t, spaced(key, op->space, op->key));
    return op->value.p ? r && str_eq(row_value(r), op->value) : !r;
}

static void apply(struct memory *m, struct table *t, const struct engine_op *op)
{
    char key[ENGINE_KEY_MAX + 1], to[ENGINE_KEY_MAX + 1];
    switch (op->kind) {
    case ENGINE_OP_PUT:
        table_put(t, spaced(key, op->space, op->key), op->value);
        break;
    case ENGINE_OP_DEL:
        table_del(t, spaced(key, op->space, op->key));
        break;
    case ENGINE_OP_DEL_RANGE:
        table_cut(t, table_find(t, spaced(key, op->space, op->key)), table_find(t, spaced(to, op->space, op->value)));
        break;
    case ENGINE_OP_EXPECT:
        break;
    case ENGINE_OP_JOURNAL_PUT:
        table_put(part_table(m, engine_journal, true), spaced(key, op->space, op->key), op->value);
        break;
    case ENGINE_OP_JOURNAL_DEL:
        table_del(part_table(m, engine_journal, true), spaced(key, op->space, op->key));
        break;
    case ENGINE_OP_CHUNK_PUT:
        table_put(&m->chunks, op->key, op->value);
        break;
    case ENGINE_OP_CHUNK_DEL:
        table_del(&m->chunks, op->key);
        break;
    }
}

static int memory_commit(struct engine *g, const struct engine_txn *t, uint64_t *ret_version)
{
    struct memory *m = memory_of(g);
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    struct table *table = part_table(m, t->part, true);
    if (!t->unversioned && t->expect != ENGINE_ANY_VERSION && t->expect != table->version)
        rc = ERR_CONFLICT;
    for (size_t i = 0; !rc && i < t->n; i++)
        if (t->ops[i].kind == ENGINE_OP_EXPECT && !expected(table, &t->ops[i]))
            rc = ERR_CONFLICT;
    if (!rc) {
        for (size_t i = 0; i < t->n; i++)
            apply(m, table, &t->ops[i]);
        if (!t->unversioned) {
            table->version++;
            m->commits++;
        }
        *ret_version = table->version;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static int memory_sync(struct engine *g, engine_part part)
{
    return 0;
}

static int memory_chunk(struct engine *g, str key, bool once, engine_chunk_fn *fn, void *ctx)
{
    struct memory *m = memory_of(g);
    pthread_mutex_lock(&m->lock);
    struct row *r = table_get(&m->chunks, key);
    if (r)
        row_ref(r);
    pthread_mutex_unlock(&m->lock);
    if (!r)
        return ERR_NOTFOUND;
    int rc = fn(ctx, row_value(r));
    row_unref(r);
    return rc;
}

static void memory_state(struct engine *g, struct engine_state *ret)
{
    struct memory *m = memory_of(g);
    pthread_mutex_lock(&m->lock);
    *ret = (struct engine_state){ .writable = true, .why = "ok", .commits = m->commits, .syncs = 0, .free_bytes = UINT64_MAX };
    pthread_mutex_unlock(&m->lock);
}

static uint64_t memory_epoch(struct engine *g)
{
    return 0;
}

static void memory_close(struct engine *g)
{
    struct memory *m = memory_of(g);
    size_t iter = 0;
    str name;
    void *table;
    while (map_next(&m->parts, &iter, &name, &table)) {
        table_done(table);
        free(table);
    }
    map_done(&m->parts);
    table_done(&m->chunks);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct engine_ops memory_ops = {
    .version = ENGINE_OPS_VERSION,
    .name = "memory",
    .is_alone = true,
    .close = memory_close,
    .get = memory_get,
    .scan = memory_scan,
    .commit = memory_commit,
    .sync = memory_sync,
    .chunk = memory_chunk,
    .state = memory_state,
    .epoch = memory_epoch,
};

int engine_memory_open_with(const struct engine_settings *settings, struct engine **ret)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        panic("out of memory for an engine");
    engine_common_init(&m->engine, &memory_ops, settings);
    pthread_mutex_init(&m->lock, NULL);
    map_init(&m->parts);
    *ret = &m->engine;
    return 0;
}

int engine_memory_open(struct engine **ret)
{
    return engine_memory_open_with(NULL, ret);
}

static void table_copy(struct table *to, const struct table *from)
{
    *to = *from;
    to->cap = to->n;
    to->rows = reallocarray(NULL, to->n ? to->n : 1, sizeof *to->rows);
    if (!to->rows)
        panic("out of memory for %zu rows", to->n);
    for (size_t i = 0; i < to->n; i++)
        to->rows[i] = row_ref(from->rows[i]);
}

struct engine *engine_memory_copy(struct engine *g)
{
    struct memory *from = memory_of(g);
    struct engine *ret;
    require(g->ops == &memory_ops && !engine_memory_open(&ret));
    struct memory *to = memory_of(ret);
    size_t iter = 0;
    str name;
    void *table;
    pthread_mutex_lock(&from->lock);
    while (map_next(&from->parts, &iter, &name, &table)) {
        engine_part part;
        memcpy(part.b, name.p, sizeof part.b);
        table_copy(part_table(to, part, true), table);
    }
    table_copy(&to->chunks, &from->chunks);
    to->commits = from->commits;
    pthread_mutex_unlock(&from->lock);
    return ret;
}
