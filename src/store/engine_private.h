/* engine_private: what an engine implements, and what engine.c does for all of them.
 *
 * The public calls of engine.h are implemented once, in engine.c (limits, transactions, watching), engine_blob.c (names, chunks, checksums) and
 * engine_collect.c (links, holds, garbage). An engine knows nothing of these: it stores rows and chunks, and applies a list of
 * operations as one atomic, ordered write.
 *
 * Rows live in two spaces of a partition, so that no key of a caller meets one of ours. Our own rows (ENGINE_SPACE_OWN):
 *     b <stem>                 the partition links the blob; value: its size
 *     g <stem>                 the partition gave the blob up; value: when it is due, 8 bytes
 *     x <stem>                 condemned: may not be linked here any more
 *     h <stem> <part>          in the blob's holder partition: PART holds it
 *     d <due> <stem> <part>    in the journal partition: look at the blob in PART then; value: kind, chunks
 *     v                        in RocksDB: the version
 * A stem is a blob's name without its size: what is known when the first chunk is written. */
#ifndef VALISE_STORE_ENGINE_PRIVATE_H
#define VALISE_STORE_ENGINE_PRIVATE_H

#include "store/engine.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ENGINE_OPS_VERSION = 2 };
enum { ENGINE_STEM = 19, ENGINE_CHUNK_KEY = ENGINE_STEM + 4, ENGINE_CHUNK = 1 << 20 };
enum engine_space { ENGINE_SPACE_OWN = 0, ENGINE_SPACE_USER = 1 };

enum engine_op_kind {
    ENGINE_OP_PUT,         /* key, value */
    ENGINE_OP_DEL,         /* key */
    ENGINE_OP_DEL_RANGE,   /* keys in [key, value) */
    ENGINE_OP_EXPECT,      /* key has value before the transaction; value.p == NULL: is absent */
    ENGINE_OP_JOURNAL_PUT, /* a row of the journal partition, own space: atomically with the rest, or before it and as durable */
    ENGINE_OP_JOURNAL_DEL, /* the same, atomically or after the rest */
    ENGINE_OP_CHUNK_PUT,   /* key: stem and number, value: bytes and checksums; atomically with the rest, or before it */
    ENGINE_OP_CHUNK_DEL, /* key; atomically with the rest, or after it. Where is_alone: never durable before what was committed before it */
};

struct engine_op {
    enum engine_op_kind kind;
    enum engine_space space;
    str key, value;
};

/* How much of the reserve a commit may use (E7). */
enum engine_need { ENGINE_NEED_NONE, ENGINE_NEED_URGENT, ENGINE_NEED_FREES };

struct engine_txn {
    struct engine *g;
    engine_part part;
    uint64_t expect;
    bool unversioned; /* the version is neither compared nor raised: for rows that callers cannot see */
    enum engine_need need;
    uint64_t unlinked_bytes; /* of the blobs it unlinks */
    unsigned unlinked_n;
    int error; /* sticky; answered by the commit */
    struct engine_op *ops;
    size_t n, cap;
    size_t bytes;   /* of keys and values that the caller gave */
    unsigned given; /* operations that the caller gave */
    struct arena mem;
};

/* Called with the value of one chunk, which lives until it returns. */
typedef int engine_chunk_fn(void *ctx, str value);

struct engine_ops {
    unsigned version; /* ENGINE_OPS_VERSION */
    const char *name;
    bool is_alone; /* no other engine reads or writes the same store: collection may be early (E6) */
    /* Frees G itself too, after engine_close has ended the common part. */
    void (*close)(struct engine *g);
    /* As engine_get and engine_scan; keys were checked. Keys of rows are without space. */
    int (*get)(struct engine *g, engine_part part, enum engine_space space, const str *keys, size_t n, enum engine_read mode,
               struct arena *a, str *values, uint64_t *ret_version);
    int (*scan)(struct engine *g, engine_part part, enum engine_space space, str from, str to, enum engine_read mode,
                engine_row_fn *fn, void *ctx, uint64_t *ret_version);
    /* Applies T atomically; visible and ordered on return, not yet durable: what is durable later implies that T is. */
    int (*commit)(struct engine *g, const struct engine_txn *t, uint64_t *ret_version);
    /* As engine_wait_synced. */
    int (*sync)(struct engine *g, engine_part part);
    /* Calls FN with the chunk KEY and returns what it returns. ONCE: all of it is wanted now, so that there is no use in keeping it. ERR_NOTFOUND. */
    int (*chunk)(struct engine *g, str key, bool once, engine_chunk_fn *fn, void *ctx);
    void (*state)(struct engine *g, struct engine_state *ret);
    uint64_t (*epoch)(struct engine *g);
    /* As engine_checkpoint. May be NULL. */
    int (*checkpoint)(struct engine *g, const char *path, struct error *e);
    /* Called now and then, after a collection that deleted about BYTES: give space and memory back where that needs a push. May be NULL. */
    void (*tidy)(struct engine *g, uint64_t bytes);
    /* As engine_rest. May be NULL. */
    void (*rest)(struct engine *g);
    /* About how many bytes its files have, without what was deleted. NULL: not known. */
    uint64_t (*stored)(struct engine *g);
};

enum { ENGINE_WATCH_BUCKETS = 64, ENGINE_READER_BUCKETS = 64 };

/* A key of an own row: type letter, stem and an optional partition. */
struct engine_own_key {
    char b[1 + 8 + ENGINE_STEM + 16];
    size_t n;
};

/* First member of every engine. */
struct engine {
    const struct engine_ops *ops;
    int64_t grace_ms;
    uint64_t early_bytes;
    pthread_mutex_t collecting;
    struct engine_own_key early_from; /* where the next early round begins; this and early_fence: under `collecting` */
    uint64_t early_fence;             /* drawn after everything that is condemned now was */
    atomic_bool walked;               /* one round has reached the end since the engine was opened */
    /* By commits since then; and how much of it rounds have dealt with. */
    atomic_uint_fast64_t unlinked_n, unlinked_bytes, settled_n, settled_bytes;
    atomic_uint_fast64_t fence;
    struct engine_reader_bucket {
        pthread_mutex_t lock;
        struct engine_reader *first;
    } readers[ENGINE_READER_BUCKETS];
    struct engine_watch_bucket {
        pthread_mutex_t lock;
        struct engine_watch *first;
    } watches[ENGINE_WATCH_BUCKETS];
};

/* Sets up the common part; SETTINGS may be NULL. */
void engine_common_init(struct engine *g, const struct engine_ops *ops, const struct engine_settings *settings);

extern const engine_part engine_journal;

/* A transaction of the engine's own: neither version nor limits. */
struct engine_txn *engine_begin_own(struct engine *g, engine_part part);
/* Adds an operation; key and value are copied unless it is a chunk. */
void engine_txn_add(struct engine_txn *t, enum engine_op_kind kind, enum engine_space space, str key, str value);

/* What a row means to the collector. */
enum engine_due { ENGINE_DUE_BLOB = 'b', ENGINE_DUE_MARK = 'x' };
struct engine_own_key engine_own_key(char type, const uint8_t *stem, const engine_part *part);
static inline str engine_own_str(const struct engine_own_key *k)
{
    return (str){ k->b, k->n };
}
struct engine_own_key engine_due_key(int64_t due_ms, const uint8_t *stem, const engine_part *part);
/* Adds the journal row that makes the collector look at the blob STEM in PART at DUE_MS. */
void engine_txn_journal(struct engine_txn *t, int64_t due_ms, enum engine_due kind, const uint8_t *stem, const engine_part *part,
                        uint32_t chunks);

/* --- collection (engine_collect.c, engine_early.c) --- */

enum { ENGINE_DUE_BATCH = 64 };
/* A row of the journal. */
struct engine_due_row {
    int64_t due;
    uint8_t stem[ENGINE_STEM];
    engine_part part;
    uint8_t kind;
    uint32_t chunks;
};
struct engine_due_batch {
    struct engine_due_row rows[ENGINE_DUE_BATCH];
    size_t n, max;
};
/* An engine_row_fn that fills the batch CTX; 1 when it is full. */
int engine_due_row_read(void *ctx, str key, str value);
/* Condemns the blob in row->part if it is not linked there and MARK (of its unlink) still stands. ERR_CONFLICT. */
int engine_condemn(struct engine *g, const struct engine_due_row *row, str mark) MUST_USE;
/* Deletes a condemned private blob, and the row. */
int engine_collect_chunks(struct engine *g, const struct engine_due_row *row) MUST_USE;
/* Takes the hold of row->part, where the shared blob is condemned, and deletes the blob when that was the last one; the row goes. */
int engine_collect_hold(struct engine *g, const struct engine_due_row *row) MUST_USE;
/* A round before the grace time is over, under `collecting`; adds to *DONE and *BYTES. */
int engine_collect_early(struct engine *g, unsigned budget, unsigned *done, uint64_t *bytes) MUST_USE;
/* About how many bytes the blob of ROW has: the journal tells only its chunks. */
uint64_t engine_due_bytes(const struct engine *g, const struct engine_due_row *row);

/* --- readers (engine_reader.c) --- */

void engine_readers_init(struct engine *g);
void engine_readers_done(struct engine *g);
/* Draws a fence: readers that begin from now on are behind it. */
uint64_t engine_fence(struct engine *g);
/* Whether a reader of PART is there that began before FENCE was drawn. */
bool engine_read_before(struct engine *g, engine_part part, uint64_t fence);

/* Adds an operation of the caller, of so many bytes, to the limits; false when T has an error. */
bool engine_txn_allow(struct engine_txn *t, size_t key_n, size_t value_n, size_t value_max);

void engine_put_be(uint8_t *p, size_t n, uint64_t v);
uint64_t engine_get_be(const uint8_t *p, size_t n);

bool engine_blob_is_shared(const uint8_t *stem);
/* Whether a partition may link the blob: it is the owner, or the blob is shared. */
bool engine_blob_linkable(const engine_blob *blob, engine_part part);
uint64_t engine_blob_bytes(const engine_blob *blob);
uint32_t engine_blob_chunks(uint64_t size);
void engine_chunk_key(const uint8_t *stem, uint32_t number, char ret[ENGINE_CHUNK_KEY]);
/* The partition that keeps the holds of a shared blob. */
engine_part engine_blob_holders(const uint8_t *stem);
/* When the blob was made, ms of the clock. */
int64_t engine_blob_made_ms(const uint8_t *stem);
/* How long an unlinked or orphaned blob is left alone. */
int64_t engine_orphan_ms(const struct engine *g);

#endif
