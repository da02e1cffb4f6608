/* engine_collect: who refers to a blob, and what is deleted when nobody does.
 *
 * The journal partition holds a row "look at this blob in that partition at that time" for each chunked write (the blob may become an orphan) and
 * each unlink, written atomically with it. A row is a hint to look; what decides are the partition's own rows:
 *
 *  C1  A blob is condemned in a partition by an atomic write that requires the absence of its link there and of a newer unlink; each link requires
 *      that it is not condemned. So whatever was paused for however long, no link to a deleted blob is ever committed.
 *  C2  A private blob is deleted in the write that condemns it in its owner, when its grace time is over. A shared blob loses its hold in a partition after it was condemned there, and is
 *      deleted when it is condemned in its holder partition, at a version at which no hold exists. A hold without a link is taken back the same way
 *      once the blob is older than the orphan time.
 *      A private blob that an early round (engine_early.c) has condemned is deleted by a later write: of that round, or when its row is due.
 *  C3  A row leaves the journal only with the write that settles it, or when a later row for the same pair is known to exist.
 *
 * A condemned mark outlives by far what a caller could still have in hand, then the journal removes it. */
#include "store/engine_private.h"

#include "base/clock.h"

enum { MARK_MS = 24 * 3600 * 1000 };

/* --- rows --- */

struct engine_own_key engine_own_key(char type, const uint8_t *stem, const engine_part *part)
{
    struct engine_own_key k = { .n = 1 + ENGINE_STEM };
    k.b[0] = type;
    memcpy(k.b + 1, stem, ENGINE_STEM);
    if (part) {
        memcpy(k.b + k.n, part->b, sizeof part->b);
        k.n += sizeof part->b;
    }
    return k;
}

struct engine_own_key engine_due_key(int64_t due_ms, const uint8_t *stem, const engine_part *part)
{
    struct engine_own_key k = { .n = sizeof k.b };
    k.b[0] = 'd';
    engine_put_be((uint8_t *)k.b + 1, 8, (uint64_t)due_ms);
    memcpy(k.b + 9, stem, ENGINE_STEM);
    memcpy(k.b + 9 + ENGINE_STEM, part->b, sizeof part->b);
    return k;
}

void engine_txn_journal(struct engine_txn *t, int64_t due_ms, enum engine_due kind, const uint8_t *stem, const engine_part *part,
                        uint32_t chunks)
{
    struct engine_own_key k = engine_due_key(due_ms, stem, part);
    uint8_t value[5] = { (uint8_t)kind };
    engine_put_be(value + 1, 4, chunks);
    engine_txn_add(t, ENGINE_OP_JOURNAL_PUT, ENGINE_SPACE_OWN, engine_own_str(&k), (str){ (const char *)value, sizeof value });
}

static const str absent = { NULL, 0 };

/* --- holds --- */

int engine_blob_hold(struct engine *g, engine_blob blob, engine_part part)
{
    if (!engine_blob_is_shared(blob.b))
        return ERR_INTERNAL;
    struct engine_own_key x = engine_own_key('x', blob.b, NULL), h = engine_own_key('h', blob.b, &part);
    struct engine_txn *t = engine_begin(g, engine_blob_holders(blob.b), ENGINE_ANY_VERSION);
    engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_OWN, engine_own_str(&x), absent);
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&h), STR(""));
    return engine_commit_unsynced(t, NULL);
}

int engine_blob_release(struct engine *g, engine_blob blob, engine_part part)
{
    if (!engine_blob_is_shared(blob.b))
        return ERR_INTERNAL;
    engine_part holders = engine_blob_holders(blob.b);
    int64_t due = clock_real_ms() + g->grace_ms;
    uint8_t when[8];
    engine_put_be(when, sizeof when, (uint64_t)due);
    struct engine_own_key h = engine_own_key('h', blob.b, &part), mark = engine_own_key('g', blob.b, NULL);
    struct engine_txn *t = engine_begin(g, holders, ENGINE_ANY_VERSION);
    engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_OWN, engine_own_str(&h), absent);
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&mark), (str){ (const char *)when, sizeof when });
    engine_txn_journal(t, due, ENGINE_DUE_BLOB, blob.b, &holders, engine_blob_chunks(engine_blob_bytes(&blob)));
    return engine_commit_unsynced(t, NULL);
}

/* --- collection --- */

int engine_due_row_read(void *ctx, str key, str value)
{
    struct engine_due_batch *batch = ctx;
    if (key.n != sizeof(struct engine_own_key){ 0 }.b || value.n != 5)
        return ERR_CORRUPT;
    const uint8_t *k = (const uint8_t *)key.p, *v = (const uint8_t *)value.p;
    struct engine_due_row *row = &batch->rows[batch->n++];
    row->due = (int64_t)engine_get_be(k + 1, 8);
    memcpy(row->stem, k + 9, ENGINE_STEM);
    memcpy(row->part.b, k + 9 + ENGINE_STEM, sizeof row->part.b);
    row->kind = v[0];
    row->chunks = (uint32_t)engine_get_be(v + 1, 4);
    return batch->n == batch->max;
}

static void add_row_gone(struct engine_txn *t, const struct engine_due_row *row)
{
    struct engine_own_key k = engine_due_key(row->due, row->stem, &row->part);
    engine_txn_add(t, ENGINE_OP_JOURNAL_DEL, ENGINE_SPACE_OWN, engine_own_str(&k), absent);
}

static void add_chunks_gone(struct engine_txn *t, const struct engine_due_row *row)
{
    for (uint32_t i = 0; i < row->chunks; i++) {
        char key[ENGINE_CHUNK_KEY];
        engine_chunk_key(row->stem, i, key);
        engine_txn_add(t, ENGINE_OP_CHUNK_DEL, ENGINE_SPACE_OWN, (str){ key, sizeof key }, absent);
    }
}

static void add_del(struct engine_txn *t, char type, const uint8_t *stem)
{
    struct engine_own_key k = engine_own_key(type, stem, NULL);
    engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_OWN, engine_own_str(&k), absent);
}

static int drop_row(struct engine *g, const struct engine_due_row *row)
{
    struct engine_txn *t = engine_begin_own(g, row->part);
    t->need = ENGINE_NEED_FREES;
    add_row_gone(t, row);
    return engine_commit_unsynced(t, NULL);
}

/* A transaction that condemns the blob in row->part if MARK (the value of its 'g' row) still stands: C1. */
static struct engine_txn *condemn(struct engine *g, const struct engine_due_row *row, str mark)
{
    struct engine_own_key b = engine_own_key('b', row->stem, NULL), m = engine_own_key('g', row->stem, NULL),
                          x = engine_own_key('x', row->stem, NULL);
    struct engine_txn *t = engine_begin_own(g, row->part);
    t->need = ENGINE_NEED_FREES;
    engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_OWN, engine_own_str(&b), absent);
    engine_txn_add(t, ENGINE_OP_EXPECT, ENGINE_SPACE_OWN, engine_own_str(&m), mark);
    engine_txn_add(t, ENGINE_OP_PUT, ENGINE_SPACE_OWN, engine_own_str(&x), STR(""));
    add_del(t, 'g', row->stem);
    engine_txn_journal(t, clock_real_ms() + MARK_MS, ENGINE_DUE_MARK, row->stem, &row->part, 0);
    return t;
}

static int held_fn(void *ctx, str key, str value)
{
    *(bool *)ctx = true;
    return 1;
}

/* Deletes a shared blob when nobody holds it, at the version that showed so (C2). */
static int collect_holders(struct engine *g, const struct engine_due_row *row, int64_t now)
{
    engine_part holders = engine_blob_holders(row->stem);
    struct arena a = ARENA_INIT(4096);
    struct engine_own_key from = engine_own_key('h', row->stem, NULL), to = from, m = engine_own_key('g', row->stem, NULL);
    for (size_t i = to.n; i-- > 0 && !++to.b[i];)
        ;
    bool held = false;
    uint64_t version = 0;
    str mark = absent, key = engine_own_str(&m);
    int rc = g->ops->scan(g, holders, ENGINE_SPACE_OWN, engine_own_str(&from), engine_own_str(&to), ENGINE_UNSYNCED, held_fn,
                          &held, &version);
    if (rc >= 0)
        rc = g->ops->get(g, holders, ENGINE_SPACE_OWN, &key, 1, ENGINE_UNSYNCED, &a, &mark, NULL);
    if (rc)
        goto out;
    if (held || (mark.n == 8 && (int64_t)engine_get_be((const uint8_t *)mark.p, 8) > now)) {
        rc = drop_row(g, row);
        goto out;
    }
    struct engine_due_row there = *row;
    there.part = holders;
    struct engine_txn *t = condemn(g, &there, mark);
    t->unversioned = false;
    t->expect = version;
    add_row_gone(t, row);
    add_chunks_gone(t, row);
    rc = engine_commit_unsynced(t, NULL);
out:
    arena_done(&a);
    return rc;
}

/* Takes the hold of a partition that gave its link up. */
static int drop_hold(struct engine *g, const struct engine_due_row *row)
{
    struct engine_own_key h = engine_own_key('h', row->stem, &row->part);
    struct engine_txn *t = engine_begin(g, engine_blob_holders(row->stem), ENGINE_ANY_VERSION);
    t->need = ENGINE_NEED_FREES;
    engine_txn_add(t, ENGINE_OP_DEL, ENGINE_SPACE_OWN, engine_own_str(&h), absent);
    return engine_commit_unsynced(t, NULL);
}

/* --- holds whose link never came: a crash between the two commits --- */

struct holder_page {
    engine_part parts[ENGINE_DUE_BATCH];
    size_t n;
    struct engine_own_key from; /* where the next page begins */
};

static int holder_fn(void *ctx, str key, str value)
{
    struct holder_page *page = ctx;
    if (page->n == ENGINE_DUE_BATCH)
        return 1;
    if (key.n != 1 + ENGINE_STEM + sizeof page->parts[0].b)
        return ERR_CORRUPT;
    memcpy(page->parts[page->n++].b, key.p + 1 + ENGINE_STEM, sizeof page->parts[0].b);
    memcpy(page->from.b, key.p, key.n);
    page->from.b[key.n] = 0; /* the next key behind this one */
    page->from.n = key.n + 1;
    return 0;
}

/* Takes the hold of row->part when it neither links the blob nor gave it up, after condemning it there: who links it later finds out (C1). */
static int drop_hold_without_link(struct engine *g, const struct engine_due_row *row)
{
    struct arena a = ARENA_INIT(4096);
    struct engine_own_key b = engine_own_key('b', row->stem, NULL), m = engine_own_key('g', row->stem, NULL),
                          x = engine_own_key('x', row->stem, NULL);
    str keys[3] = { engine_own_str(&b), engine_own_str(&m), engine_own_str(&x) }, values[3];
    int rc = g->ops->get(g, row->part, ENGINE_SPACE_OWN, keys, 3, ENGINE_UNSYNCED, &a, values, NULL);
    if (!rc && !values[0].p && !values[1].p) {
        if (!values[2].p)
            rc = engine_commit_unsynced(condemn(g, row, absent), NULL);
        if (!rc)
            rc = drop_hold(g, row);
    }
    arena_done(&a);
    return rc == ERR_CONFLICT ? 0 : rc; /* linked just now */
}

/* Holds are taken right before their links, so when the orphan time has passed since the blob was made, a hold alone keeps it for nobody. */
static int drop_holds_without_links(struct engine *g, const struct engine_due_row *row, int64_t now)
{
    if (engine_blob_made_ms(row->stem) + engine_orphan_ms(g) > now)
        return 0;
    struct holder_page page = { .from = engine_own_key('h', row->stem, NULL) };
    struct engine_own_key to = page.from;
    for (size_t i = to.n; i-- > 0 && !++to.b[i];)
        ;
    int rc = 1;
    while (rc > 0) {
        page.n = 0;
        rc = g->ops->scan(g, row->part, ENGINE_SPACE_OWN, engine_own_str(&page.from), engine_own_str(&to), ENGINE_UNSYNCED,
                          holder_fn, &page, NULL);
        for (size_t i = 0; rc >= 0 && i < page.n; i++) {
            struct engine_due_row there = *row;
            there.part = page.parts[i];
            int dropped = drop_hold_without_link(g, &there);
            rc = dropped ? dropped : rc;
        }
    }
    return rc;
}

int engine_condemn(struct engine *g, const struct engine_due_row *row, str mark)
{
    return engine_commit_unsynced(condemn(g, row, mark), NULL);
}

int engine_collect_chunks(struct engine *g, const struct engine_due_row *row)
{
    struct engine_txn *t = engine_begin_own(g, row->part);
    t->need = ENGINE_NEED_FREES;
    add_row_gone(t, row);
    add_chunks_gone(t, row);
    return engine_commit_unsynced(t, NULL);
}

int engine_collect_hold(struct engine *g, const struct engine_due_row *row)
{
    int rc = drop_hold(g, row);
    return rc ? rc : collect_holders(g, row, clock_real_ms());
}

/* Looks at a blob in a partition that may link it. */
static int collect_blob(struct engine *g, const struct engine_due_row *row, int64_t now)
{
    bool shared = engine_blob_is_shared(row->stem);
    engine_part holders = engine_blob_holders(row->stem);
    if (shared && !memcmp(holders.b, row->part.b, sizeof holders.b)) {
        int r = drop_holds_without_links(g, row, now);
        return r ? r : collect_holders(g, row, now);
    }
    struct arena a = ARENA_INIT(4096);
    struct engine_own_key b = engine_own_key('b', row->stem, NULL), m = engine_own_key('g', row->stem, NULL),
                          x = engine_own_key('x', row->stem, NULL);
    str keys[3] = { engine_own_str(&b), engine_own_str(&m), engine_own_str(&x) }, values[3];
    int rc = g->ops->get(g, row->part, ENGINE_SPACE_OWN, keys, 3, ENGINE_UNSYNCED, &a, values, NULL);
    if (rc)
        goto out;
    bool linked = values[0].p, condemned = values[2].p;
    bool later = values[1].n == 8 && (int64_t)engine_get_be((const uint8_t *)values[1].p, 8) > now;
    if (linked || later) {
        rc = drop_row(g, row);
        goto out;
    }
    if (condemned && !shared) { /* by an early round that found it being read */
        rc = engine_collect_chunks(g, row);
        goto out;
    }
    if (!condemned) {
        struct engine_txn *t = condemn(g, row, values[1]);
        if (!shared) {
            add_row_gone(t, row);
            add_chunks_gone(t, row);
        }
        rc = engine_commit_unsynced(t, NULL);
    }
    if (!rc && shared)
        rc = engine_collect_hold(g, row);
out:
    arena_done(&a);
    return rc;
}

static int collect_mark(struct engine *g, const struct engine_due_row *row)
{
    struct engine_txn *t = engine_begin_own(g, row->part);
    t->need = ENGINE_NEED_FREES;
    add_del(t, 'x', row->stem);
    add_row_gone(t, row);
    return engine_commit_unsynced(t, NULL);
}

static int collect_batch(struct engine *g, struct engine_due_batch *batch, unsigned *done, uint64_t *bytes)
{
    int64_t now = clock_real_ms();
    uint8_t from[9] = { 'd' }, to[9] = { 'd' };
    engine_put_be(to + 1, 8, (uint64_t)now + 1);
    int rc = g->ops->scan(g, engine_journal, ENGINE_SPACE_OWN, (str){ (const char *)from, sizeof from },
                          (str){ (const char *)to, sizeof to }, ENGINE_UNSYNCED, engine_due_row_read, batch, NULL);
    for (size_t i = 0; rc >= 0 && i < batch->n; i++) {
        const struct engine_due_row *row = &batch->rows[i];
        rc = row->kind == ENGINE_DUE_MARK ? collect_mark(g, row) : collect_blob(g, row, now);
        if (rc == ERR_CONFLICT) /* somebody linked it just now; the row stays and is looked at again */
            rc = 0;
        else if (!rc)
            ++*done;
        *bytes += engine_due_bytes(g, row);
    }
    return rc < 0 ? rc : 0;
}

int engine_collect(struct engine *g, unsigned budget, unsigned *ret_done)
{
    unsigned done = 0, before;
    uint64_t bytes = 0;
    int rc = 0;
    pthread_mutex_lock(&g->collecting);
    do {
        struct engine_due_batch batch = { .max = budget - done < ENGINE_DUE_BATCH ? budget - done : ENGINE_DUE_BATCH };
        before = done;
        if (batch.max)
            rc = collect_batch(g, &batch, &done, &bytes);
    } while (!rc && done > before && done < budget);
    if (!rc && done < budget && engine_is_pressed(g))
        rc = engine_collect_early(g, budget - done, &done, &bytes);
    if (g->ops->tidy)
        g->ops->tidy(g, bytes);
    pthread_mutex_unlock(&g->collecting);
    if (ret_done)
        *ret_done = done;
    return rc;
}
