/* faulty: see faulty.h. To be able to crash it keeps two memory engines: one that callers see, and one that holds what is durable; a log of
 * the writes between them is replayed by each sync, or thrown away by the crash. */
#include "store/faulty/faulty.h"

#include "store/engine_private.h"
#include "store/memory/memory.h"

struct plan {
    uint64_t count, at; /* operations so far; the one to strike, 0: none */
    unsigned per_mille;
    struct engine_fault fault, chance;
};

struct logged {
    struct logged *next;
    struct engine_txn txn;
};

struct faulty {
    struct engine engine;
    struct engine *live;
    struct engine *durable; /* NULL when wrapping */
    pthread_mutex_t order;  /* commits to live and the log in one order */
    struct logged *first, **last;
    uint64_t commits, syncs;
    pthread_mutex_t lock; /* the rest */
    struct plan plans[ENGINE_FAULTY_OPS_];
    uint64_t random;
    atomic_bool full;
    atomic_uint_fast64_t epoch;
};

static struct faulty *faulty_of(struct engine *g)
{
    return (struct faulty *)(void *)g;
}

/* --- faults --- */

/* xorshift64*: the same faults for the same seed everywhere. */
static uint64_t next_random(struct faulty *f)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return f->random * UINT64_C(2685821657736338717);
}

static struct engine_fault strike(struct faulty *f, enum engine_faulty_op op)
{
    struct engine_fault fault = { 0 };
    struct plan *plan = &f->plans[op];
    pthread_mutex_lock(&f->lock);
    plan->count++;
    if (plan->at == plan->count)
        fault = plan->fault;
    else if (plan->per_mille && next_random(f) % 1000 < plan->per_mille)
        fault = plan->chance;
    pthread_mutex_unlock(&f->lock);
    if (fault.delay_ms) {
        struct timespec t = { .tv_sec = fault.delay_ms / 1000, .tv_nsec = (long)(fault.delay_ms % 1000) * 1000000 };
        (void)nanosleep(&t, NULL);
    }
    return fault;
}

void engine_faulty_at(struct engine *g, enum engine_faulty_op op, uint64_t nth, struct engine_fault fault)
{
    struct faulty *f = faulty_of(g);
    pthread_mutex_lock(&f->lock);
    f->plans[op].at = f->plans[op].count + nth;
    f->plans[op].fault = fault;
    pthread_mutex_unlock(&f->lock);
}

void engine_faulty_random(struct engine *g, enum engine_faulty_op op, unsigned per_mille, struct engine_fault fault)
{
    struct faulty *f = faulty_of(g);
    pthread_mutex_lock(&f->lock);
    f->plans[op].per_mille = per_mille;
    f->plans[op].chance = fault;
    pthread_mutex_unlock(&f->lock);
}

void engine_faulty_full(struct engine *g, bool full)
{
    atomic_store(&faulty_of(g)->full, full);
}

uint64_t engine_faulty_count(struct engine *g, enum engine_faulty_op op)
{
    struct faulty *f = faulty_of(g);
    pthread_mutex_lock(&f->lock);
    uint64_t count = f->plans[op].count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* --- the log --- */

static str keep_str(struct arena *a, str s)
{
    str ret = { NULL, 0 };
    if (s.p && arena_dup(a, s, &ret))
        panic("out of room for a logged write");
    return ret;
}

static void log_add(struct faulty *f, const struct engine_txn *t)
{
    struct logged *l = calloc(1, sizeof *l);
    if (!l)
        panic("out of memory for a logged write");
    l->txn = *t;
    l->txn.expect = ENGINE_ANY_VERSION;
    arena_init(&l->txn.mem, SIZE_MAX);
    l->txn.ops = arena_array(&l->txn.mem, t->n ? t->n : 1, sizeof *t->ops);
    for (size_t i = 0; i < t->n; i++) {
        l->txn.ops[i] = t->ops[i];
        l->txn.ops[i].key = keep_str(&l->txn.mem, t->ops[i].key);
        l->txn.ops[i].value = keep_str(&l->txn.mem, t->ops[i].value);
    }
    *f->last = l;
    f->last = &l->next;
}

/* Makes the first N writes of the log durable and forgets them. */
static void log_apply(struct faulty *f, size_t n)
{
    while (n-- && f->first) {
        struct logged *l = f->first;
        uint64_t version;
        require(!f->durable->ops->commit(f->durable, &l->txn, &version));
        f->first = l->next;
        arena_done(&l->txn.mem);
        free(l);
    }
    if (!f->first)
        f->last = &f->first;
}

static void log_drop(struct faulty *f)
{
    while (f->first) {
        struct logged *l = f->first;
        f->first = l->next;
        arena_done(&l->txn.mem);
        free(l);
    }
    f->last = &f->first;
}

void engine_faulty_crash(struct engine *g, size_t keep)
{
    struct faulty *f = faulty_of(g);
    require(f->durable);
    pthread_mutex_lock(&f->order);
    log_apply(f, keep);
    log_drop(f);
    engine_close(f->live);
    f->live = engine_memory_copy(f->durable);
    pthread_mutex_unlock(&f->order);
    atomic_fetch_add(&f->epoch, 1);
}

/* --- operations --- */

static int faulty_sync(struct engine *g, engine_part part)
{
    struct faulty *f = faulty_of(g);
    pthread_mutex_lock(&f->order);
    bool pending = f->first || !f->durable;
    pthread_mutex_unlock(&f->order);
    if (!pending)
        return 0;
    struct engine_fault fault = strike(f, ENGINE_FAULTY_SYNC);
    if (fault.error && !fault.applied)
        return fault.error;
    int rc = 0;
    pthread_mutex_lock(&f->order);
    if (f->durable) {
        log_apply(f, SIZE_MAX);
        f->syncs++;
    }
    pthread_mutex_unlock(&f->order);
    if (!f->durable)
        rc = f->live->ops->sync(f->live, part);
    return fault.error ? fault.error : rc;
}

static int faulty_get(struct engine *g, engine_part part, enum engine_space space, const str *keys, size_t n,
                      enum engine_read mode, struct arena *a, str *values, uint64_t *ret_version)
{
    struct faulty *f = faulty_of(g);
    struct engine_fault fault = strike(f, ENGINE_FAULTY_GET);
    if (fault.error)
        return fault.error;
    int rc = f->live->ops->get(f->live, part, space, keys, n, mode, a, values, ret_version);
    return !rc && mode == ENGINE_SYNCED && f->durable ? faulty_sync(g, part) : rc;
}

static int faulty_scan(struct engine *g, engine_part part, enum engine_space space, str from, str to, enum engine_read mode,
                       engine_row_fn *fn, void *ctx, uint64_t *ret_version)
{
    struct faulty *f = faulty_of(g);
    struct engine_fault fault = strike(f, ENGINE_FAULTY_SCAN);
    if (fault.error)
        return fault.error;
    int rc = mode == ENGINE_SYNCED && f->durable ? faulty_sync(g, part) : 0;
    return rc ? rc : f->live->ops->scan(f->live, part, space, from, to, mode, fn, ctx, ret_version);
}

static int faulty_commit(struct engine *g, const struct engine_txn *t, uint64_t *ret_version)
{
    struct faulty *f = faulty_of(g);
    struct engine_fault fault = { 0 };
    bool chunk = t->n && t->ops[t->n - 1].kind == ENGINE_OP_CHUNK_PUT;
    if (chunk || !t->unversioned)
        fault = strike(f, chunk ? ENGINE_FAULTY_BLOB_WRITE : ENGINE_FAULTY_COMMIT);
    if (fault.error && !fault.applied)
        return fault.error;
    if (atomic_load(&f->full) && t->need == ENGINE_NEED_NONE)
        return ERR_FULL;
    pthread_mutex_lock(&f->order);
    int rc = f->live->ops->commit(f->live, t, ret_version);
    if (!rc && f->durable)
        log_add(f, t);
    f->commits += !rc && !t->unversioned;
    pthread_mutex_unlock(&f->order);
    return fault.error ? fault.error : rc;
}

struct corrupting {
    engine_chunk_fn *fn;
    void *ctx;
};

static int corrupting_fn(void *ctx, str value)
{
    const struct corrupting *c = ctx;
    char *p = malloc(value.n + 1);
    if (!p)
        panic("out of memory for a chunk");
    memcpy(p, value.p, value.n);
    p[value.n / 2] ^= 1;
    int rc = c->fn(c->ctx, (str){ p, value.n });
    free(p);
    return rc;
}

static int faulty_chunk(struct engine *g, str key, bool once, engine_chunk_fn *fn, void *ctx)
{
    struct faulty *f = faulty_of(g);
    struct engine_fault fault = strike(f, ENGINE_FAULTY_BLOB_READ);
    if (fault.error)
        return fault.error;
    struct corrupting c = { .fn = fn, .ctx = ctx };
    return fault.corrupt ? f->live->ops->chunk(f->live, key, once, corrupting_fn, &c)
                         : f->live->ops->chunk(f->live, key, once, fn, ctx);
}

static void faulty_state(struct engine *g, struct engine_state *ret)
{
    struct faulty *f = faulty_of(g);
    f->live->ops->state(f->live, ret);
    pthread_mutex_lock(&f->order);
    if (f->durable)
        ret->syncs = f->syncs;
    ret->commits = f->commits;
    pthread_mutex_unlock(&f->order);
    if (atomic_load(&f->full)) {
        ret->writable = false;
        ret->why = "disk-full";
        ret->free_bytes = 0;
    }
}

static uint64_t faulty_epoch(struct engine *g)
{
    struct faulty *f = faulty_of(g);
    return atomic_load(&f->epoch) + f->live->ops->epoch(f->live);
}

static int faulty_checkpoint(struct engine *g, const char *path, struct error *e)
{
    return engine_checkpoint(faulty_of(g)->live, path, e);
}

static void faulty_close(struct engine *g)
{
    struct faulty *f = faulty_of(g);
    log_drop(f);
    engine_close(f->live);
    engine_close(f->durable);
    pthread_mutex_destroy(&f->order);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static const struct engine_ops faulty_ops = {
    .version = ENGINE_OPS_VERSION,
    .name = "faulty",
    .is_alone = true,
    .close = faulty_close,
    .get = faulty_get,
    .scan = faulty_scan,
    .commit = faulty_commit,
    .sync = faulty_sync,
    .chunk = faulty_chunk,
    .state = faulty_state,
    .epoch = faulty_epoch,
    .checkpoint = faulty_checkpoint,
};

int engine_faulty_open(struct engine *inner, const struct engine_settings *settings, uint64_t seed, struct engine **ret)
{
    struct faulty *f = calloc(1, sizeof *f);
    if (!f)
        panic("out of memory for an engine");
    engine_common_init(&f->engine, &faulty_ops, settings);
    pthread_mutex_init(&f->order, NULL);
    pthread_mutex_init(&f->lock, NULL);
    f->random = seed ? seed : 1;
    f->last = &f->first;
    f->live = inner;
    if (!inner)
        require(!engine_memory_open(&f->durable) && !engine_memory_open(&f->live));
    *ret = &f->engine;
    return 0;
}
