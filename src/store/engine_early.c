/* engine_early: collection before the grace time is over, by an engine that is alone on its store (E6).
 *
 * It walks the journal's rows that are not due yet, in rounds. A blob that was unlinked is condemned first, which ends all linking (C1), and stays readable.
 * Then a fence is drawn; the blob is deleted, with its row, when no reader of the partition is left that began before the fence: at once, or in a later
 * round. A crash in between leaves a condemned blob with its row, which is deleted when its time has come, or earlier. Orphans are left alone: who has
 * put one may be about to link it.
 *
 * What is deleted here is never durable before the unlink is: an engine that is alone writes in one order. */
#include "store/engine_private.h"

#include "base/clock.h"

enum { LOOKS_PER_BLOB = 20, SLACK_MS = 5000, UNKNOWN_BYTES = 64 * 1024 };

/* --- when --- */

uint64_t engine_due_bytes(const struct engine *g, const struct engine_due_row *row)
{
    uint64_t n = atomic_load(&g->unlinked_n), bytes = atomic_load(&g->unlinked_bytes);
    return row->kind == ENGINE_DUE_MARK ? 0
           : row->chunks > 1            ? (uint64_t)row->chunks * ENGINE_CHUNK
           : n                          ? bytes / n
                                        : UNKNOWN_BYTES;
}

bool engine_is_pressed(struct engine *g)
{
    uint64_t n = atomic_load(&g->unlinked_n), bytes = atomic_load(&g->unlinked_bytes);
    uint64_t settled_n = atomic_load(&g->settled_n), settled = atomic_load(&g->settled_bytes);
    if (!g->ops->is_alone)
        return false;
    struct engine_state s;
    engine_state(g, &s);
    bool full = !strcmp(s.why, "disk-full") || s.free_bytes < 2 * s.reserve_bytes;
    if (full)
        return n != settled_n || !atomic_load(&g->walked);
    uint64_t least = g->early_bytes, dead = bytes > settled ? bytes - settled : 0;
    if (dead < least)
        return false;
    uint64_t stored = g->ops->stored ? g->ops->stored(g) : 0;
    return dead >= stored / 2;
}

/* --- which --- */

enum look { LOOK_LEAVE, LOOK_CONDEMN, LOOK_CONDEMNED };

/* What the partition's rows say of the blob of ROW; *RET_MARK, in A, is that of its unlink. */
static int look_at(struct engine *g, const struct engine_due_row *row, struct arena *a, enum look *ret, str *ret_mark)
{
    struct engine_own_key b = engine_own_key('b', row->stem, NULL), m = engine_own_key('g', row->stem, NULL),
                          x = engine_own_key('x', row->stem, NULL);
    str keys[3] = { engine_own_str(&b), engine_own_str(&m), engine_own_str(&x) }, values[3];
    engine_part holders = engine_blob_holders(row->stem);
    *ret = LOOK_LEAVE;
    /* A hold may come at any time, and readers are not known by it. */
    if (row->kind != ENGINE_DUE_BLOB || (engine_blob_is_shared(row->stem) && !memcmp(holders.b, row->part.b, sizeof holders.b)))
        return 0;
    int rc = g->ops->get(g, row->part, ENGINE_SPACE_OWN, keys, 3, ENGINE_UNSYNCED, a, values, NULL);
    if (rc || values[0].p)
        return rc;
    *ret = values[2].p ? LOOK_CONDEMNED : values[1].p ? LOOK_CONDEMN : LOOK_LEAVE;
    *ret_mark = values[1];
    return 0;
}

/* --- one batch --- */

struct early {
    struct engine *g;
    unsigned budget, looks; /* left */
    unsigned done;
    uint64_t bytes;
    uint64_t fence;     /* drawn after all was condemned that had been before this round */
    bool blocked_fresh; /* a reader holds up what this round has condemned */
    bool blocked;       /* a reader holds something up; at: */
    struct engine_own_key blocked_at;
};

static int delete_now(struct engine *g, const struct engine_due_row *row)
{
    return engine_blob_is_shared(row->stem) ? engine_collect_hold(g, row) : engine_collect_chunks(g, row);
}

static int early_batch(struct early *w, const struct engine_due_batch *batch)
{
    struct engine *g = w->g;
    enum look looks[ENGINE_DUE_BATCH];
    bool condemned = false;
    struct arena a = ARENA_INIT(64 * 1024);
    int rc = 0;
    for (size_t i = 0; i < batch->n && rc == 0; i++) {
        str mark;
        arena_reset(&a);
        rc = look_at(g, &batch->rows[i], &a, &looks[i], &mark);
        if (rc == 0 && looks[i] == LOOK_CONDEMN) {
            rc = engine_condemn(g, &batch->rows[i], mark);
            condemned = true;
        }
        if (rc == ERR_CONFLICT) { /* it was linked just now */
            looks[i] = LOOK_LEAVE;
            rc = 0;
        }
    }
    arena_done(&a);
    if (rc)
        return rc;
    if (condemned)
        g->early_fence = engine_fence(g);
    for (size_t i = 0; i < batch->n && rc == 0; i++) {
        const struct engine_due_row *row = &batch->rows[i];
        if (looks[i] == LOOK_LEAVE)
            continue;
        /* Of two rows for one blob the second finds it condemned by the first. */
        bool fresh = looks[i] == LOOK_CONDEMN || w->blocked_fresh;
        if (engine_read_before(g, row->part, fresh ? g->early_fence : w->fence)) {
            w->blocked_fresh |= fresh;
            if (!w->blocked)
                w->blocked_at = engine_due_key(row->due, row->stem, &row->part);
            w->blocked = true;
            continue;
        }
        rc = delete_now(g, row);
        if (rc == ERR_CONFLICT) /* somebody holds the shared blob just now: when it is due */
            rc = 0;
        else if (rc == 0)
            w->done++, w->bytes += engine_due_bytes(g, row);
    }
    return rc;
}

/* --- a round --- */

/* The least key behind that of ROW. */
static struct engine_own_key key_behind(const struct engine_due_row *row)
{
    struct engine_own_key k = engine_due_key(row->due, row->stem, &row->part);
    for (size_t i = k.n; i-- > 0 && !++k.b[i];)
        ;
    return k;
}

/* The first key of what is due at DUE_MS. */
static struct engine_own_key key_of_time(int64_t due_ms)
{
    static const uint8_t stem[ENGINE_STEM];
    static const engine_part part;
    return engine_due_key(due_ms > 0 ? due_ms : 0, stem, &part);
}

/* Where to go on: what has been looked at is not looked at again, but what was unlinked since has keys from NOW and the grace on. */
static void move_on(struct early *w, const struct engine_due_row *last, int64_t began_ms)
{
    struct engine *g = w->g;
    int64_t most = began_ms + g->grace_ms - SLACK_MS;
    g->early_from = w->blocked ? w->blocked_at : last->due > most ? key_of_time(most) : key_behind(last);
}

int engine_collect_early(struct engine *g, unsigned budget, unsigned *done, uint64_t *bytes)
{
    struct early w = {
        .g = g, .fence = g->early_fence, .budget = budget, .looks = budget < 1000000 ? budget * LOOKS_PER_BLOB : budget
    };
    int64_t began = clock_real_ms();
    uint64_t n = atomic_load(&g->unlinked_n), all = atomic_load(&g->unlinked_bytes);
    struct engine_own_key from = g->early_from;
    int64_t at = from.n ? (int64_t)engine_get_be((const uint8_t *)from.b + 1, 8) : 0;
    if (!from.n || at > began + g->grace_ms) /* the first one, or the clock went back */
        from = key_of_time(0);
    int rc = 0;
    bool end = false;
    while (rc == 0 && !end && w.done < w.budget && w.looks) {
        struct engine_due_batch batch = { .max = ENGINE_DUE_BATCH };
        static const char past = 'd' + 1;
        rc = g->ops->scan(g, engine_journal, ENGINE_SPACE_OWN, engine_own_str(&from), (str){ &past, 1 }, ENGINE_UNSYNCED,
                          engine_due_row_read, &batch, NULL);
        end = rc == 0;
        rc = rc < 0 ? rc : early_batch(&w, &batch);
        if (rc == 0 && batch.n) {
            const struct engine_due_row *last = &batch.rows[batch.n - 1];
            from = key_behind(last);
            move_on(&w, last, began);
        }
        w.looks -= w.looks < ENGINE_DUE_BATCH ? w.looks : ENGINE_DUE_BATCH;
    }
    if (rc == 0 && end && !w.blocked) { /* all that had been unlinked when the round began is gone, or waits for good reasons */
        atomic_store(&g->settled_n, n);
        atomic_store(&g->settled_bytes, all);
        atomic_store(&g->walked, true);
    }
    *done += w.done;
    *bytes += w.bytes;
    return rc;
}
