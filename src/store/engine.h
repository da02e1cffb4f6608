/* engine: the seam between mail and disk.
 *
 * An ordered key-value map in partitions, immutable blobs beside it. A partition (an account, the directory, a shard) is the unit of
 * consistency: one commit is one atomic batch on one partition, conditional on the version it read. Written so that RADOS fits it:
 * forward scans only, one partition per transaction, keys of 1 to 512 bytes, values up to 64 KiB, transactions up to 1 MiB and 1 000
 * operations. Not offered on purpose: reverse scans, transactions over two partitions, listing of partitions or blobs, counts.
 *
 * Rules that hold for every engine:
 *  E1  A commit that returned 0 survives power loss.
 *  E2  A commit is all or nothing.
 *  E3  Each commit compares the partition's version with the expected one and adds one to it.
 *  E4  A read never shows what could still be lost: it waits for the sync of what it saw (unless ENGINE_UNSYNCED).
 *  E5  A blob is readable for ever once a commit that links it has returned 0; the put itself need not be durable before.
 *  E6  A blob that was linked is deleted only by collection, and only when nobody can name it any more: at the earliest the grace time after the commit that
 *      unlinked its last link. An engine that is alone on its store (RocksDB, whose lock sees to it; memory; not several engines on one RADOS pool,
 *      which do not know each other's readers) may be earlier, when space is short or unlinked blobs outweigh what lives. It condemns the blob
 *      first, so that no commit of any age links it (engine_link); it waits until every reader of that partition that began before then has ended
 *      (engine_read_begin: a name is learnt and used within a reader); then it deletes it, in an order in which the deletion is never durable
 *      without the unlink. Readers of an earlier life of the engine are gone with it.
 *  E7  On disk full a commit fails with ERR_FULL and leaves no trace; when space returns commits work again without restart. A commit that is urgent
 *      (engine_urgent) may use a half of the reserve, one that unlinks a blob three quarters: mail can be deleted from a full disk.
 *  E8  On an I/O error the outcome of commits in flight is ERR_UNKNOWN; the engine reopens itself, and after that its state is either
 *      with or without each such commit, whole.
 * All calls block on the disk; all are thread-safe; none keeps a pointer into its arguments after it returns. */
#ifndef VALISE_STORE_ENGINE_H
#define VALISE_STORE_ENGINE_H

#include "base/arena.h"
#include "base/err.h"

enum {
    ENGINE_KEY_MAX = 512,
    ENGINE_VALUE_MAX = 65536,
    ENGINE_TXN_MAX = 1 << 20,
    ENGINE_TXN_OPS_MAX = 1000,
    ENGINE_TXN_BLOB_MAX = 256 * 1024
};

struct engine;
struct engine_txn;

typedef struct {
    uint8_t b[16];
} engine_part; /* a partition's name */
typedef struct {
    uint8_t b[24];
} engine_blob; /* a blob's name: class, creation time, owner hash, random */

#define ENGINE_ANY_VERSION UINT64_MAX /* commit whatever the version is */
enum engine_read { ENGINE_SYNCED = 0, ENGINE_UNSYNCED = 1 };

/* --- open and close --- */

struct engine_settings {
    uint64_t
        reserve_bytes; /* free space kept back: below it commits answer ERR_FULL; 0 = 1/50 of the file system, at least 8 MiB, at most 256 MiB */
    size_t cache_bytes; /* block cache; 0 = 16 MiB */
    const _Atomic uint64_t *
        claimed; /* space of the file system that others were promised and have not taken yet: it is not free. NULL: none. Outlives the engine */
    unsigned
        open_files; /* that are kept open, RocksDB's own count; 0: as many as the descriptors of this process allow, at most 256 */
    uint64_t
        buffer_bytes; /* of memory that is written out at a time, from which the sizes of files follow; 0 = 1/32 of the file system, at least 2 MiB, at most 16 MiB. Less makes a large store of a small one, for tests */
    int64_t grace_ms; /* before an unlinked or orphaned blob is deleted; 0 = 24 h */
    uint64_t
        early_bytes; /* so much must be unlinked, and half of what is stored, before collection is early for its weight (E6); 0 = 16 MiB */
};

/* RocksDB in directory PATH (created if absent). One opener at a time: ERR_UNAVAILABLE with E set when another process has it. */
int engine_rocksdb_open(const char *path, const struct engine_settings *settings, struct engine **ret, struct error *e) MUST_USE;
/* Reference engine in memory; nothing survives. */
int engine_memory_open(struct engine **ret) MUST_USE;
/* Closes and frees; no call may be running. NULL accepted. */
void engine_close(struct engine *g);

/* --- read --- */

/* Looks up N keys in one snapshot. VALUES[i] is allocated in A; a missing key gives p == NULL. *RET_VERSION (may be NULL) is the
 * partition's version at the snapshot; 0 for a partition never written. ERR_LIMIT, ERR_UNAVAILABLE, ERR_IO, ERR_CORRUPT. */
int engine_get(struct engine *g, engine_part part, const str *keys, size_t n, enum engine_read mode, struct arena *a, str *values,
               uint64_t *ret_version) MUST_USE;
/* Called for each row in key order; KEY and VALUE live until it returns. Non-zero ends the scan and is returned by it. */
typedef int engine_row_fn(void *ctx, str key, str value);
/* Walks the keys in [from, to) (to.n == 0: to the end of the partition) in unsigned byte order, all at one version. ERR_CONFLICT when a commit
 * got between pages: start again. */
int engine_scan(struct engine *g, engine_part part, str from, str to, enum engine_read mode, engine_row_fn *fn, void *ctx,
                uint64_t *ret_version) MUST_USE;
/* Waits until everything committed to PART so far (also by engine_commit_unsynced) is durable; returns at once when it is. 0, ERR_UNKNOWN: what was
 * committed may be lost, read again; ERR_UNAVAILABLE: not known either before the engine is back. */
int engine_wait_synced(struct engine *g, engine_part part) MUST_USE;

/* --- write --- */

/* A transaction on PART that succeeds only at version EXPECT (or ENGINE_ANY_VERSION). Operations are applied in order. Exceeding a limit
 * makes the commit answer ERR_LIMIT. */
struct engine_txn *engine_begin(struct engine *g, engine_part part, uint64_t expect);
void engine_put(struct engine_txn *t, str key, str value);
void engine_del(struct engine_txn *t, str key);
/* Deletes the keys in [from, to); to.n must not be 0. */
void engine_del_range(struct engine_txn *t, str from, str to);
/* Adds a condition: KEY has VALUE now (p == NULL: is absent). Sees the state before the transaction. */
void engine_expect(struct engine_txn *t, str key, str value);
/* The partition now holds a reference to BLOB, which was put with this partition as owner or is shared and held for it (anything else makes the commit
 * answer ERR_INTERNAL). Linking twice is linking once. ERR_CONFLICT at commit when the collector has condemned it: put it again. */
void engine_link(struct engine_txn *t, engine_blob blob);
/* Puts a small blob, owned by the transaction's partition, in the transaction itself and links it: one write instead of two, and no orphan when it
 * fails. BYTES, at most ENGINE_TXN_BLOB_MAX, count as bytes of the transaction; *RET is its name at once. */
void engine_put_blob(struct engine_txn *t, str bytes, engine_blob *ret);
/* The partition gives up its reference; the collector deletes the blob after the grace time, a shared one when no other partition holds it. */
void engine_unlink(struct engine_txn *t, engine_blob blob);
/* T frees space in the end, or an administrator needs it now: marking mail as deleted, moving it to the trash, a smaller quota, a revocation. It may use a
 * part of the reserve (E7). For small changes only. */
void engine_urgent(struct engine_txn *t);
/* Commits durably and frees T in every case. *RET_VERSION (may be NULL) is the new version. 0, ERR_CONFLICT (version or expectation not met),
 * ERR_LIMIT, ERR_FULL, ERR_UNKNOWN, ERR_UNAVAILABLE. Concurrent commits share one fsync. */
int engine_commit(struct engine_txn *t, uint64_t *ret_version) MUST_USE;
/* The same, but returns when the commit is visible and ordered, not yet durable: nothing may be promised to anyone before
 * engine_wait_synced. Lets a caller order commits under its own lock and wait outside it. */
int engine_commit_unsynced(struct engine_txn *t, uint64_t *ret_version) MUST_USE;
/* Frees T without committing. NULL accepted. */
void engine_abort(struct engine_txn *t);

/* --- blobs --- */

struct engine_blob_writer;
/* Starts a blob owned by PART. Written in pieces of any size; memory stays within 1 MiB. Not visible until finish. */
struct engine_blob_writer *engine_blob_new(struct engine *g, engine_part owner);
int engine_blob_write(struct engine_blob_writer *w, str bytes) MUST_USE;
/* Ends it and frees W in every case. The bytes need not be durable before the commit that links the blob (E5). */
int engine_blob_finish(struct engine_blob_writer *w, engine_blob *ret) MUST_USE;
/* Gives up what was written: it is deleted at once. */
void engine_blob_abort(struct engine_blob_writer *w);
/* Gives up BLOB, which was put for PART and of which nobody else knows: no commit that links it is under way or of unknown outcome. It is deleted at
 * once. ERR_CONFLICT when it is linked, ERR_INTERNAL for a shared one (engine_blob_release). */
int engine_blob_drop(struct engine *g, engine_part part, engine_blob blob) MUST_USE;
/* A whole blob at once. */
int engine_blob_put(struct engine *g, engine_part owner, str bytes, engine_blob *ret) MUST_USE;
/* The checksums of a blob are of pieces of this many bytes: to read less than a whole piece verifies all of it. */
enum { ENGINE_PIECE = 65536 };
/* Reads N bytes at OFFSET into P, checksum verified. *RET_N is less than N only at the end. ERR_NOTFOUND, ERR_CORRUPT, ERR_IO. */
int engine_blob_read(struct engine *g, const engine_blob *blob, uint64_t offset, char *p, size_t n, size_t *ret_n) MUST_USE;
/* Calls TAKE once with the bytes from OFFSET on, up to N of them or the end of their chunk, checksum verified; they live until TAKE returns, and TAKE calls
 * nothing of the engine. *RET_N: how many; 0 at the end, then TAKE was not called. Errors as engine_blob_read. */
int engine_blob_lend(struct engine *g, const engine_blob *blob, uint64_t offset, size_t n, void (*take)(void *ctx, str bytes),
                     void *ctx, size_t *ret_n) MUST_USE;
/* A reader of PART: names of blobs that are read from its rows after this call can be read until engine_read_end, whoever unlinks them meanwhile
 * (E6; without one, for the grace time only when collection is never early). Cheap; may last for hours, but holds up deletions in PART. From any thread.
 * All end before engine_close. */
struct engine_reader;
struct engine_reader *engine_read_begin(struct engine *g, engine_part part);
/* One more, for the names that R may know, that lasts on its own. */
struct engine_reader *engine_read_on(const struct engine_reader *r);
/* NULL accepted. */
void engine_read_end(struct engine_reader *r);
/* Its size in bytes. */
int engine_blob_size(struct engine *g, const engine_blob *blob, uint64_t *ret) MUST_USE;
/* Shared blobs, for one message to many partitions. They have no owner; each partition that links one must hold it FIRST:
 *     engine_blob_put_shared, then per partition: engine_blob_hold(part), engine_link in a commit on part; in the end engine_unlink in a commit on part.
 * The unlink gives the hold back after the grace time; nothing else is to be done. A hold is a tag named by PART, so that holding or releasing again
 * changes nothing. Not durable by itself: it becomes so no later than the next commit of anyone. A hold without a link is taken back when the blob has been
 * there for an hour (or the grace time, when that is shorter): the link is then answered ERR_CONFLICT. */
struct engine_blob_writer *engine_blob_new_shared(struct engine *g);
int engine_blob_put_shared(struct engine *g, str bytes, engine_blob *ret) MUST_USE;
/* ERR_CONFLICT when the collector has condemned the blob: put it again. ERR_FULL, ERR_UNKNOWN, ERR_UNAVAILABLE, ERR_INTERNAL for one that is not shared. */
int engine_blob_hold(struct engine *g, engine_blob blob, engine_part part) MUST_USE;
/* Gives back a hold whose link was never committed. Not needed after engine_unlink. */
int engine_blob_release(struct engine *g, engine_blob blob, engine_part part) MUST_USE;
/* Whether engine_collect has work that cannot wait: it would be early (E6). Asks the file system. */
bool engine_is_pressed(struct engine *g);
/* Deletes what is due, and what E6 allows to be early when engine_is_pressed, looking at no more than BUDGET candidates; *RET_DONE (may be NULL) counts the candidates dealt with, so 0 means that
 * nothing is left to do now. Called now and then by core. */
int engine_collect(struct engine *g, unsigned budget, unsigned *ret_done) MUST_USE;
/* Gives back memory that only makes the next reads faster: for when there is little to do. Does not block on the disk. Thread-safe. */
void engine_rest(struct engine *g);

/* --- watching --- */

struct engine_watch;
/* FN(CTX, version) is called after commits to PART: a hint that may be lost or doubled; it must not block or call the engine. */
struct engine_watch *engine_watch_new(struct engine *g, engine_part part, void (*fn)(void *ctx, uint64_t version), void *ctx);
/* No call of FN after it returns. */
void engine_watch_free(struct engine_watch *w);

/* --- backup --- */

/* Makes in the new directory PATH a copy of all that is durable now, consistent, while others go on writing; the same engine opens it. On one file
 * system it shares the files that never change, so that it takes little space and time. ERR_EXISTS, ERR_FULL, ERR_IO, ERR_UNAVAILABLE; ERR_UNSUPPORTED
 * from an engine without files. */
int engine_checkpoint(struct engine *g, const char *path, struct error *e) MUST_USE;

/* --- state --- */

struct engine_state {
    bool writable;           /* false: disk full or being reopened */
    const char *why;         /* "ok", "disk-full", "io-error", "closed": static */
    uint64_t commits, syncs; /* since open: commits that shared fsyncs show as commits > syncs */
    uint64_t free_bytes;     /* without what others were promised */
    uint64_t reserve_bytes;  /* what is kept of it; 0 in memory */
};
void engine_state(struct engine *g, struct engine_state *ret);
/* Goes up whenever the engine has reopened itself after a failure (E8): commits that were seen but not yet durable may be gone, versions may have gone
 * back. Whoever caches what it read compares the epoch of that time and drops the cache when it differs. Cheap, does not block. */
uint64_t engine_epoch(struct engine *g);

#endif
