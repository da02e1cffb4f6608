/* rocksdb_private: the parts of the RocksDB engine: open.c (options, health, space), rows.c (reading), commit.c (writing, shared syncs).
 *
 * One database with two column families and one WAL: rows (RocksDB's default family), blob chunks in "blob". A row's key is partition(16) | space(1) | key.
 *
 * Invariants:
 *  R1  db and its families are used only between rocks_enter and rocks_leave; they are replaced only under the write side of `gate`.
 *  R2  A partition's version and ticket change only under its stripe, together with the rows: who holds the stripe sees all three agree.
 *  R3  A ticket is drawn after its write is in the WAL. A sync that began after the ticket was drawn covers it: tickets <= synced are durable.
 *  R4  After a failed sync nothing is synced again by this opening of the database: what the kernel said it lost stays lost. The database is
 *      opened again, which reads the log from the disk and writes what it finds to new files.
 *  R5  What is in the database right after opening it is durable.
 *  R6  RocksDB is not asked to sync a log it could not append to: Debian's build aborts on that. A failed write sets the health before it lets go of
 *      `append`; while space is scarce, a sync keeps writes out. What is in the logs is then synced by us.
 *  R7  When writing out or compacting fails in the background, RocksDB refuses all writes from then on. Who writes, and each tidy, looks whether it did,
 *      and the database is opened again at once: no commit fails for what went wrong before it.
 *  R8  No byte is in a log while an older one has bytes that are not synced. A disk may keep the newer bytes in a power cut and lose the older ones;
 *      replay would take the newer commits without those that they build on. */
#ifndef VALISE_STORE_ROCKSDB_ROCKSDB_PRIVATE_H
#define VALISE_STORE_ROCKSDB_ROCKSDB_PRIVATE_H

#include <rocksdb/c.h>
#include <semaphore.h>

#include "store/engine_private.h"

enum { ROCKS_STRIPES = 64, ROCKS_LOST_MAX = 256 };
/* STALE: work in the background failed, so that RocksDB takes no more writes, but the logs are good. A worse one is never replaced by a better one but
 * by opening the database again. */
enum rocks_health { ROCKS_OK, ROCKS_STALE, ROCKS_FULL, ROCKS_BROKEN };

/* What is known of a partition. */
struct rocks_part {
    engine_part part;
    uint64_t version;
    uint64_t ticket; /* of its last commit; 0: none since it was loaded */
    bool used;
};

struct rocks_stripe {
    pthread_mutex_t lock;
    struct rocks_part *parts; /* hash table with linear probing, at most half full */
    size_t n, cap;
};

/* Commits were seen but were not there any more when the database was opened again. */
struct rocks_lost {
    engine_part part;
    uint64_t version; /* that had been reached */
    bool certain;     /* the database was looked at */
    int64_t until_ms;
};

/* A thread in rocks_wait, on its stack. Each is woken by itself, and only when there is something for it to do: with one condition for all, every sync
 * woke everyone, and they queued for the lock. */
struct rocks_waiter {
    struct rocks_waiter *next;
    uint64_t ticket;
    sem_t wake;
};

struct rocks {
    struct engine engine;
    char *path;
    uint64_t reserve;
    unsigned open_files;
    const _Atomic uint64_t *claimed; /* see struct engine_settings; or NULL */
    rocksdb_options_t *rows_options, *blob_options;
    rocksdb_cache_t *row_cache, *blob_cache; /* apart, so that reading one large attachment does not drop the index */
    rocksdb_readoptions_t *read, *read_once; /* once: what is read does not go into a cache */
    atomic_uint once;                        /* chunks read once */
    rocksdb_writeoptions_t *write;

    pthread_rwlock_t gate; /* R1 */
    rocksdb_t *db;         /* NULL while it cannot be opened */
    rocksdb_column_family_handle_t *rows, *blobs;
    atomic_int health;
    atomic_uint_fast64_t epoch;
    pthread_mutex_t reviving;      /* guards what follows but looked_ms */
    atomic_int_fast64_t looked_ms; /* for errors in the background (R7) */
    int64_t revived_ms;
    struct rocks_lost *lost;
    size_t lost_n;

    struct rocks_stripe stripes[ROCKS_STRIPES];

    pthread_rwlock_t append; /* read: writing; write: syncing while space is scarce (R6) */
    pthread_mutex_t sync_lock;
    struct rocks_waiter *waiters; /* while syncing, or while one of them was woken to make the next sync */
    bool syncing;
    atomic_uint_fast64_t written, synced; /* tickets: R3 */
    atomic_uint_fast64_t commits, syncs;

    atomic_int_fast64_t space_ms;      /* when `free` was asked */
    atomic_uint_fast64_t free, unseen; /* bytes: then free, written since */
    atomic_uint_fast64_t reclaimable;  /* about how many bytes of deleted chunks lie about since the last compaction */
    int64_t compact_after_ms;          /* not again before: it shall not take more than a sixth of the time; collector only */
    uint64_t tidy_seen, tidy_done;     /* commits at the last look; at the last flush: collector only */
};

static inline struct rocks *rocks_of(struct engine *g)
{
    return (struct rocks *)(void *)g;
}

struct rocks_key {
    char b[16 + 1 + ENGINE_KEY_MAX];
    size_t n;
};
struct rocks_key rocks_key(engine_part part, enum engine_space space, str key);

/* Begins using the database (R1), reviving it when needed and possible. WRITE bytes are about to be written (0: reading), by who may use
 * so much of the reserve.
 * 0, ERR_FULL, ERR_UNAVAILABLE. */
int rocks_enter(struct rocks *r, uint64_t write, enum engine_need need);
void rocks_leave(struct rocks *r);
/* Frees RocksDB's message and gives the code for it: ERR_FULL, ERR_CORRUPT, ERR_NOTFOUND, ERR_IO. */
int rocks_error(char *message, const char *doing);
/* Whether a write could soon fail for lack of space. */
bool rocks_space_scarce(struct rocks *r);
/* Syncs all log files without RocksDB. 0 or ERR_IO. */
int rocks_logs_sync(struct rocks *r);
/* Has RocksDB call FN(CTX) whenever a memory table is closed and a new log begun, in the thread that writes, before it writes to the new log; no other
 * thread writes meanwhile (seal.cc). O is a database's options before it is opened. FN may block; it must not use the database. */
void rocks_on_seal(rocksdb_options_t *o, void (*fn)(void *ctx), void *ctx);
/* Nothing more is written by this opening of the database. */
void rocks_fail(struct rocks *r, enum rocks_health health);

struct rocks_stripe *rocks_stripe(struct rocks *r, engine_part part);
/* The partition's entry, loaded when absent; the stripe is held and the entry lives as long. */
int rocks_part_load(struct rocks *r, struct rocks_stripe *s, engine_part part, struct rocks_part **ret);
/* The ticket of the last commit; 0 when it is durable. */
uint64_t rocks_part_ticket(struct rocks *r, engine_part part);
/* Forgets all partitions; for those with commits not known to be durable CALL is called first. */
void rocks_parts_forget(struct rocks *r, void (*call)(struct rocks *r, const struct rocks_part *p));
/* Wakes those whose ticket is durable and one of the others, or all when nothing will be synced any more. sync_lock is held. */
void rocks_wake(struct rocks *r);
/* Waits until TICKET is durable. 0 or ERR_UNKNOWN. */
int rocks_wait(struct rocks *r, uint64_t ticket);
/* The version row of a partition as stored. */
int rocks_version_read(struct rocks *r, engine_part part, uint64_t *ret);

int rocks_get(struct engine *g, engine_part part, enum engine_space space, const str *keys, size_t n, enum engine_read mode,
              struct arena *a, str *values, uint64_t *ret_version);
int rocks_scan(struct engine *g, engine_part part, enum engine_space space, str from, str to, enum engine_read mode,
               engine_row_fn *fn, void *ctx, uint64_t *ret_version);
int rocks_chunk(struct engine *g, str key, bool once, engine_chunk_fn *fn, void *ctx);
int rocks_commit(struct engine *g, const struct engine_txn *t, uint64_t *ret_version);
int rocks_sync(struct engine *g, engine_part part);

#endif
