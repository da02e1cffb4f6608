/* commit: atomic writes to RocksDB, and the syncs they share. See rocksdb_private.h.
 *
 * A commit is written without sync under its partition's stripe, in microseconds; then it waits outside. Whoever finds no sync in progress makes one
 * for all tickets drawn so far; those that come meanwhile are served together by the next. RocksDB's own group commit
 * (sync=1 per write) would hold the stripe for the length of an fsync. */
#include "store/rocksdb/rocksdb_private.h"

#include "base/clock.h"

enum { PARTS_MIN = 16, PARTS_KEEP = 512, RANGE_POINTS = 256 };

/* --- partitions --- */

static size_t part_hash(engine_part part)
{
    return (size_t)str_hash((str){ (const char *)part.b, sizeof part.b }, 0);
}

struct rocks_stripe *rocks_stripe(struct rocks *r, engine_part part)
{
    return &r->stripes[part_hash(part) % ROCKS_STRIPES];
}

/* The entry, or the free one where it belongs. */
static struct rocks_part *part_slot(const struct rocks_stripe *s, engine_part part)
{
    size_t i = part_hash(part) / ROCKS_STRIPES & (s->cap - 1);
    while (s->parts[i].used && memcmp(s->parts[i].part.b, part.b, sizeof part.b) != 0)
        i = (i + 1) & (s->cap - 1);
    return &s->parts[i];
}

/* A new table; when there are many entries only those that something still waits for come along. */
static void stripe_rebuild(struct rocks *r, struct rocks_stripe *s)
{
    struct rocks_stripe old = *s;
    uint64_t synced = atomic_load(&r->synced);
    size_t keep = 0;
    for (size_t i = 0; i < old.cap; i++)
        keep += old.parts[i].used && (old.n < PARTS_KEEP || old.parts[i].ticket > synced);
    s->cap = PARTS_MIN;
    while (s->cap < keep * 4)
        s->cap *= 2;
    s->n = keep;
    s->parts = calloc(s->cap, sizeof *s->parts);
    if (!s->parts)
        panic("out of memory for %zu partitions", s->cap);
    for (size_t i = 0; i < old.cap; i++)
        if (old.parts[i].used && (old.n < PARTS_KEEP || old.parts[i].ticket > synced))
            *part_slot(s, old.parts[i].part) = old.parts[i];
    free(old.parts);
}

int rocks_version_read(struct rocks *r, engine_part part, uint64_t *ret)
{
    char *message = NULL;
    struct rocks_key k = rocks_key(part, ENGINE_SPACE_OWN, STR("v"));
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(r->db, r->read, r->rows, k.b, k.n, &message);
    if (message)
        return rocks_error(message, "version");
    *ret = 0;
    if (!slice)
        return 0;
    str value;
    value.p = rocksdb_pinnableslice_value(slice, &value.n);
    int rc = value.n == 8 ? 0 : ERR_CORRUPT;
    if (!rc)
        *ret = engine_get_be((const uint8_t *)value.p, 8);
    rocksdb_pinnableslice_destroy(slice);
    return rc;
}

int rocks_part_load(struct rocks *r, struct rocks_stripe *s, engine_part part, struct rocks_part **ret)
{
    if (s->n * 2 >= s->cap)
        stripe_rebuild(r, s);
    struct rocks_part *p = part_slot(s, part);
    if (!p->used) {
        uint64_t version;
        int rc = rocks_version_read(r, part, &version);
        if (rc)
            return rc;
        *p = (struct rocks_part){ .part = part, .version = version, .used = true };
        s->n++;
    }
    *ret = p;
    return 0;
}

uint64_t rocks_part_ticket(struct rocks *r, engine_part part)
{
    struct rocks_stripe *s = rocks_stripe(r, part);
    pthread_mutex_lock(&s->lock);
    uint64_t ticket = 0;
    if (s->cap) {
        const struct rocks_part *p = part_slot(s, part);
        ticket = p->used ? p->ticket : 0;
    }
    pthread_mutex_unlock(&s->lock);
    return ticket;
}

void rocks_parts_forget(struct rocks *r, void (*call)(struct rocks *r, const struct rocks_part *p))
{
    uint64_t synced = atomic_load(&r->synced);
    for (size_t i = 0; i < ROCKS_STRIPES; i++) {
        struct rocks_stripe *s = &r->stripes[i];
        for (size_t j = 0; j < s->cap; j++)
            if (call && s->parts[j].used && s->parts[j].ticket > synced)
                call(r, &s->parts[j]);
        free(s->parts);
        s->parts = NULL;
        s->n = s->cap = 0;
    }
}

/* --- commit --- */

/* Deletes a range row by row while it is short: RocksDB keeps range deletions as objects of their own that every later read has to look at. Rows that
 * this batch has put before are among them. */
static int add_range(struct rocks *r, rocksdb_writebatch_t *batch, const struct engine_txn *t, size_t index)
{
    const struct engine_op *op = &t->ops[index];
    struct rocks_key from = rocks_key(t->part, op->space, op->key), to = rocks_key(t->part, op->space, op->value);
    for (size_t i = 0; i < index; i++) {
        const struct engine_op *put = &t->ops[i];
        if (put->kind == ENGINE_OP_PUT && put->space == op->space && str_cmp(put->key, op->key) >= 0 &&
            str_cmp(put->key, op->value) < 0) {
            struct rocks_key k = rocks_key(t->part, put->space, put->key);
            rocksdb_writebatch_delete_cf(batch, r->rows, k.b, k.n);
        }
    }
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(options, to.b, to.n);
    rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, options, r->rows);
    char *message = NULL;
    size_t n = 0;
    for (rocksdb_iter_seek(it, from.b, from.n); n < RANGE_POINTS && rocksdb_iter_valid(it); rocksdb_iter_next(it), n++) {
        size_t key_n;
        const char *key = rocksdb_iter_key(it, &key_n);
        rocksdb_writebatch_delete_cf(batch, r->rows, key, key_n);
    }
    rocksdb_iter_get_error(it, &message);
    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(options);
    if (message)
        return rocks_error(message, "range");
    if (n == RANGE_POINTS)
        rocksdb_writebatch_delete_range_cf(batch, r->rows, from.b, from.n, to.b, to.n);
    return 0;
}

static int add_op(struct rocks *r, rocksdb_writebatch_t *batch, const struct engine_txn *t, size_t index)
{
    const struct engine_op *op = &t->ops[index];
    bool journal = op->kind == ENGINE_OP_JOURNAL_PUT || op->kind == ENGINE_OP_JOURNAL_DEL;
    struct rocks_key k = rocks_key(journal ? engine_journal : t->part, op->space, op->key);
    switch (op->kind) {
    case ENGINE_OP_PUT:
    case ENGINE_OP_JOURNAL_PUT:
        rocksdb_writebatch_put_cf(batch, r->rows, k.b, k.n, op->value.p, op->value.n);
        break;
    case ENGINE_OP_DEL:
    case ENGINE_OP_JOURNAL_DEL:
        rocksdb_writebatch_delete_cf(batch, r->rows, k.b, k.n);
        break;
    case ENGINE_OP_DEL_RANGE:
        return add_range(r, batch, t, index);
    case ENGINE_OP_EXPECT:
        break;
    case ENGINE_OP_CHUNK_PUT:
        rocksdb_writebatch_put_cf(batch, r->blobs, op->key.p, op->key.n, op->value.p, op->value.n);
        break;
    case ENGINE_OP_CHUNK_DEL:
        rocksdb_writebatch_delete_cf(batch, r->blobs, op->key.p, op->key.n);
        break;
    }
    return 0;
}

static int check_expected(struct rocks *r, const struct engine_txn *t, const struct engine_op *op)
{
    char *message = NULL;
    struct rocks_key k = rocks_key(t->part, op->space, op->key);
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(r->db, r->read, r->rows, k.b, k.n, &message);
    if (message)
        return rocks_error(message, "expect");
    str value = { NULL, 0 };
    if (slice)
        value.p = rocksdb_pinnableslice_value(slice, &value.n);
    bool met = op->value.p ? slice && str_eq(value, op->value) : !slice;
    if (slice)
        rocksdb_pinnableslice_destroy(slice);
    return met ? 0 : ERR_CONFLICT;
}

/* When RocksDB is out of space: nothing of the batch is visible, and what part of it reached the log is a torn record that the next opening drops. When
 * anything else goes wrong we do not know what the disk holds. */
static int write_batch(struct rocks *r, rocksdb_writebatch_t *batch)
{
    char *message = NULL;
    int rc = 0;
    pthread_rwlock_rdlock(&r->append);
    int health = atomic_load(&r->health);
    if (health != ROCKS_OK)
        rc = health == ROCKS_FULL ? ERR_FULL : ERR_UNAVAILABLE;
    else
        rocksdb_write(r->db, r->write, batch, &message);
    if (message) {
        rc = rocks_error(message, "write") == ERR_FULL ? ERR_FULL : ERR_UNKNOWN;
        rocks_fail(r, rc == ERR_FULL ? ROCKS_FULL : ROCKS_BROKEN);
    }
    pthread_rwlock_unlock(&r->append);
    return rc;
}

/* Checks and writes under the stripe (R2). */
static int commit_locked(struct rocks *r, const struct engine_txn *t, rocksdb_writebatch_t *batch, uint64_t *ret_version)
{
    struct rocks_part *p;
    struct rocks_stripe *s = rocks_stripe(r, t->part);
    int rc = rocks_part_load(r, s, t->part, &p);
    if (!rc && !t->unversioned && t->expect != ENGINE_ANY_VERSION && t->expect != p->version)
        rc = ERR_CONFLICT;
    for (size_t i = 0; !rc && i < t->n; i++)
        if (t->ops[i].kind == ENGINE_OP_EXPECT)
            rc = check_expected(r, t, &t->ops[i]);
    for (size_t i = 0; !rc && i < t->n; i++)
        rc = add_op(r, batch, t, i);
    if (rc)
        return rc;
    uint64_t version = p->version + !t->unversioned;
    if (!t->unversioned) {
        uint8_t value[8];
        engine_put_be(value, sizeof value, version);
        struct rocks_key k = rocks_key(t->part, ENGINE_SPACE_OWN, STR("v"));
        rocksdb_writebatch_put_cf(batch, r->rows, k.b, k.n, (const char *)value, sizeof value);
    }
    rc = write_batch(r, batch);
    if (rc)
        return rc;
    p->version = version;
    if (!t->unversioned)
        p->ticket = atomic_fetch_add(&r->written, 1) + 1;
    *ret_version = version;
    return 0;
}

/* Chunks and journal rows depend on nothing. */
static int commit_free(struct rocks *r, const struct engine_txn *t, rocksdb_writebatch_t *batch)
{
    for (size_t i = 0; i < t->n; i++) {
        int rc = add_op(r, batch, t, i);
        if (rc)
            return rc;
    }
    return write_batch(r, batch);
}

static bool is_free(const struct engine_txn *t)
{
    if (!t->unversioned)
        return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->ops[i].kind <= ENGINE_OP_EXPECT)
            return false;
    return true;
}

static int commit_once(struct rocks *r, const struct engine_txn *t, uint64_t *ret_version)
{
    uint64_t bytes = 64;
    for (size_t i = 0; i < t->n; i++)
        bytes += t->ops[i].key.n + t->ops[i].value.n + 32;
    int rc = rocks_enter(r, bytes, t->need);
    if (rc)
        return rc;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    if (is_free(t))
        rc = commit_free(r, t, batch);
    else {
        struct rocks_stripe *s = rocks_stripe(r, t->part);
        pthread_mutex_lock(&s->lock);
        rc = commit_locked(r, t, batch, ret_version);
        pthread_mutex_unlock(&s->lock);
    }
    rocksdb_writebatch_destroy(batch);
    rocks_leave(r);
    return rc;
}

int rocks_commit(struct engine *g, const struct engine_txn *t, uint64_t *ret_version)
{
    struct rocks *r = rocks_of(g);
    int rc = commit_once(r, t, ret_version);
    if (rc == ERR_UNAVAILABLE && atomic_load(&r->health) <= ROCKS_STALE)
        rc = commit_once(r, t, ret_version); /* nothing was written: the database has just become, or is no longer, STALE */
    if (!rc && !t->unversioned)
        atomic_fetch_add(&r->commits, 1);
    return rc;
}

/* --- sync --- */

static int sync_logs(struct rocks *r)
{
    char *message = NULL;
    bool scarce = rocks_space_scarce(r);
    int rc = 0;
    if (scarce)
        pthread_rwlock_wrlock(&r->append);
    int health = atomic_load(&r->health);
    if (health == ROCKS_OK)
        rocksdb_flush_wal(r->db, 1, &message);
    else
        rc = health == ROCKS_BROKEN ? ERR_IO : rocks_logs_sync(r);
    if (scarce)
        pthread_rwlock_unlock(&r->append);
    return message ? rocks_error(message, "sync") : rc;
}

void rocks_wake(struct rocks *r)
{
    bool all = atomic_load(&r->health) == ROCKS_BROKEN, next = false;
    uint64_t synced = atomic_load(&r->synced);
    for (struct rocks_waiter **at = &r->waiters, *w; (w = *at);) {
        if (!all && w->ticket > synced && next) {
            at = &w->next;
            continue;
        }
        next |= w->ticket > synced;
        *at = w->next;
        sem_post(&w->wake); /* W may be gone from here on */
    }
}

/* One sync for everybody who has a ticket by now; sync_lock is held on entry and on return. */
static int sync_for_all(struct rocks *r)
{
    r->syncing = true;
    uint64_t target = atomic_load(&r->written);
    pthread_mutex_unlock(&r->sync_lock);
    int rc = sync_logs(r);
    if (rc)
        rocks_fail(r, ROCKS_BROKEN);
    pthread_mutex_lock(&r->sync_lock);
    r->syncing = false;
    if (!rc) {
        atomic_store(&r->synced, target);
        atomic_fetch_add(&r->syncs, 1);
    }
    rocks_wake(r);
    return rc ? ERR_UNKNOWN : 0;
}

/* Until the sync that others make is over, or this one's turn comes; sync_lock is held on entry, not on return. */
static void wait_turn(struct rocks *r, uint64_t ticket)
{
    struct rocks_waiter w = { .next = r->waiters, .ticket = ticket };
    if (sem_init(&w.wake, 0, 0))
        panic("no semaphore");
    r->waiters = &w;
    pthread_mutex_unlock(&r->sync_lock);
    while (sem_wait(&w.wake))
        ; /* EINTR */
    sem_destroy(&w.wake);
}

int rocks_wait(struct rocks *r, uint64_t ticket)
{
    int rc = 0;
    while (!rc && atomic_load(&r->synced) < ticket) {
        pthread_mutex_lock(&r->sync_lock);
        if (r->syncing && atomic_load(&r->health) != ROCKS_BROKEN && atomic_load(&r->synced) < ticket) {
            wait_turn(r, ticket);
            continue;
        }
        if (atomic_load(&r->health) == ROCKS_BROKEN)
            rc = atomic_load(&r->synced) < ticket ? ERR_UNKNOWN : 0;
        else if (atomic_load(&r->synced) < ticket)
            rc = sync_for_all(r);
        pthread_mutex_unlock(&r->sync_lock);
    }
    return rc;
}

/* Whether commits to PART were lost when the database was opened again. */
static bool part_lost(struct rocks *r, engine_part part)
{
    bool lost = false;
    pthread_mutex_lock(&r->reviving);
    for (size_t i = 0; i < r->lost_n && !lost; i++)
        lost =
            !memcmp(r->lost[i].part.b, part.b, sizeof part.b) && (!r->lost[i].certain || r->lost[i].until_ms > clock_mono_ms());
    pthread_mutex_unlock(&r->reviving);
    return lost;
}

int rocks_sync(struct engine *g, engine_part part)
{
    struct rocks *r = rocks_of(g);
    int rc = rocks_enter(r, 0, ENGINE_NEED_NONE);
    if (rc)
        return rc;
    rc = rocks_wait(r, rocks_part_ticket(r, part));
    rocks_leave(r);
    if (!rc && part_lost(r, part))
        rc = ERR_UNKNOWN;
    return rc;
}
