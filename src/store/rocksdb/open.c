/* open: the RocksDB engine's options, health and space. See rocksdb_private.h.
 *
 * Sizes follow the file system, so that 64 MiB of it work as well as a disk: what RocksDB holds in memory and in its log must fit the reserve
 * once more when it is written to files, since the log goes only after that. */
#include "store/rocksdb/rocksdb_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/descriptors.h"

enum {
    MIB = 1 << 20,
    SPACE_MS = 100,
    REVIVE_MS = 1000,
    REVIVE_WAIT_MS = 200,
    REVIVE_PATIENCE_MS = 5000,
    LOOK_MS = 100,
    DIP_MS = 2000,
    DIP_STEP_US = 20000,
    LOST_MS = 60000
};
/* rocksdb::WALRecoveryMode::kPointInTimeRecovery and CompressionType::kLZ4Compression. */
enum { WAL_POINT_IN_TIME = 2, COMPRESSION_LZ4 = 4, INFO_LOG_WARN = 2 };

/* Garbage in bytes: so much lies about at least before it is worth a compaction, and when space is scarce. */
enum { REST_SHARE = 4 }; /* of a cache that stays at rest */
enum { LEAST_GARBAGE = 8 * MIB, SCARCE_GARBAGE = MIB / 4, REWRITES_MAX = 8, BOTTOMMOST_FORCE = 2 };
#define REWRITE_SHARE 0.5

/* --- errors --- */

int rocks_error(char *message, const char *doing)
{
    int rc = ERR_IO;
    if (strstr(message, "No space left") || strstr(message, "File too large") || strstr(message, "quota exceeded") ||
        strstr(message, "NoSpace"))
        rc = ERR_FULL;
    else if (!strncmp(message, "Corruption", 10))
        rc = ERR_CORRUPT;
    else if (!strncmp(message, "NotFound", 8))
        rc = ERR_NOTFOUND;
    log_error("store-error", LOG_Z("doing", doing), LOG_Z("code", err_name(rc)), LOG_Z("message", message));
    rocksdb_free(message);
    return rc;
}

/* --- options --- */

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void table_options(rocksdb_options_t *o, rocksdb_cache_t *cache, size_t block_size)
{
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_block_size(t, block_size);
    rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
}

static rocksdb_options_t *options_new(struct rocks *r, uint64_t buffer)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    /* After power loss the unsynced end of the log may have holes, so that valid records follow a torn one: take what comes before. The mode that
     * tolerates only an incomplete last record would refuse to open. It never drops what was synced: a sync covers all that is before it. */
    rocksdb_options_set_wal_recovery_mode(o, WAL_POINT_IN_TIME);
    rocksdb_options_set_max_open_files(o, (int)r->open_files);
    rocksdb_options_set_max_file_opening_threads(o, 1);
    rocksdb_options_set_table_cache_numshardbits(o, 2);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_write_buffer_size(o, buffer);
    rocksdb_options_set_max_write_buffer_number(o, 2);
    /* Our batches are small: handing each of a group to its own thread costs more than writing it. */
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
    /* The log of rows still in memory keeps growing while bodies are written out: large mail must not write out the few rows each time, since every
     * fourth time all rows of the first level are written again. */
    rocksdb_options_set_max_total_wal_size(o, clamp(r->reserve / 4, buffer * 2, 64 * MIB));
    rocksdb_options_set_manifest_preallocation_size(o, 64 * 1024);
    rocksdb_options_set_max_manifest_file_size(o, 4 * MIB);
    rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(o, MIB);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_compression(o, COMPRESSION_LZ4);
    rocksdb_options_set_target_file_size_base(o, clamp(buffer * 2, 0, 32 * MIB));
    rocksdb_options_set_max_bytes_for_level_base(o, clamp(buffer * 8, 0, 128 * MIB));
    return o;
}

/* Few shards: one must hold several chunks of 1 MiB. */
static rocksdb_cache_t *cache_new(size_t bytes)
{
    rocksdb_lru_cache_options_t *lru = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(lru, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(lru, 0);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(lru);
    rocksdb_lru_cache_options_destroy(lru);
    return cache;
}

/* R8. The new log's name gets to the disk as well. */
static void sync_older_logs(void *ctx)
{
    struct rocks *r = ctx;
    if (rocks_logs_sync(r))
        rocks_fail(r, ROCKS_BROKEN);
}

/* The database may be opened anew meanwhile: the caches outlive that. */
static void rocks_rest(struct engine *g)
{
    rocksdb_cache_t *const caches[] = { rocks_of(g)->row_cache, rocks_of(g)->blob_cache };
    for (size_t i = 0; i < 2; i++) {
        size_t all = rocksdb_cache_get_capacity(caches[i]);
        rocksdb_cache_set_capacity(caches[i], all / REST_SHARE);
        rocksdb_cache_set_capacity(caches[i], all);
    }
}

static void rocks_options(struct rocks *r, size_t cache_bytes, uint64_t buffer)
{
    r->row_cache = cache_new(cache_bytes - cache_bytes / 4);
    r->blob_cache = cache_new(cache_bytes / 4);

    r->rows_options = options_new(r, buffer / 2);
    table_options(r->rows_options, r->row_cache, 16384);
    rocksdb_options_set_prefix_extractor(r->rows_options, rocksdb_slicetransform_create_fixed_prefix(sizeof(engine_part)));

    r->blob_options = options_new(r, buffer);
    table_options(r->blob_options, r->row_cache, 16384);
    rocksdb_options_set_enable_blob_files(r->blob_options, 1);
    rocksdb_options_set_min_blob_size(r->blob_options, 4096);
    rocksdb_options_set_blob_file_size(r->blob_options, clamp(buffer * 4, 0, 64 * MIB));
    rocksdb_options_set_blob_compression_type(r->blob_options, COMPRESSION_LZ4);
    rocksdb_options_set_enable_blob_gc(r->blob_options, 1);
    rocksdb_options_set_blob_gc_age_cutoff(r->blob_options, REWRITE_SHARE);
    rocksdb_options_set_blob_gc_force_threshold(r->blob_options, 0.5);
    rocksdb_options_set_blob_cache(r->blob_options, r->blob_cache);

    rocks_on_seal(r->rows_options, sync_older_logs, r);
    r->read = rocksdb_readoptions_create();
    r->read_once = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(r->read_once, 0);
    r->write = rocksdb_writeoptions_create();
}

/* --- the database --- */

static char *db_open(struct rocks *r)
{
    const char *const names[2] = { "default", "blob" };
    const rocksdb_options_t *const options[2] = { r->rows_options, r->blob_options };
    rocksdb_column_family_handle_t *families[2];
    char *message = NULL;
    r->db = rocksdb_open_column_families(r->rows_options, r->path, 2, names, options, families, &message);
    if (message) {
        r->db = NULL;
        return message;
    }
    r->rows = families[0];
    r->blobs = families[1];
    return NULL;
}

static void db_close(struct rocks *r)
{
    if (!r->db)
        return;
    rocksdb_column_family_handle_destroy(r->rows);
    rocksdb_column_family_handle_destroy(r->blobs);
    rocksdb_close(r->db);
    r->db = NULL;
}

/* Calls FN with each log file open for reading; ERR_IO when it fails for one. */
static int each_log(const char *path, int (*fn)(int fd))
{
    DIR *dir = opendir(path);
    int rc = dir ? 0 : ERR_IO;
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        if (!str_ends(str_from_z(d->d_name), STR(".log")))
            continue;
        int fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 ? errno != ENOENT : fn(fd))
            rc = ERR_IO;
        if (fd >= 0)
            (void)close(fd);
    }
    if (dir && fn == fdatasync && fsync(dirfd(dir)))
        rc = ERR_IO;
    if (dir)
        (void)closedir(dir);
    return rc;
}

int rocks_logs_sync(struct rocks *r)
{
    return each_log(r->path, fdatasync);
}

static int forget_pages(int fd)
{
    return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* --- space --- */

static uint64_t space_free(struct rocks *r, bool now)
{
    int64_t ms = clock_mono_ms();
    uint64_t unseen = atomic_load(&r->unseen);
    if (now || ms - atomic_load(&r->space_ms) >= SPACE_MS || unseen > r->reserve / 8) {
        struct statvfs v;
        if (!statvfs(r->path, &v))
            atomic_store(&r->free, (uint64_t)v.f_bavail * v.f_frsize);
        atomic_store(&r->unseen, 0);
        atomic_store(&r->space_ms, ms);
        unseen = 0;
    }
    uint64_t free = atomic_load(&r->free), taken = unseen + (r->claimed ? atomic_load(r->claimed) : 0);
    return free > taken ? free - taken : 0;
}

bool rocks_space_scarce(struct rocks *r)
{
    return space_free(r, false) < r->reserve * 2;
}

/* Deletions may eat into the reserve, or a full disk could never be emptied; what is only urgent leaves them a part. */
static bool space_for(struct rocks *r, uint64_t bytes, enum engine_need need)
{
    uint64_t keep = need == ENGINE_NEED_FREES ? r->reserve / 4 : need == ENGINE_NEED_URGENT ? r->reserve / 2 : r->reserve;
    if (space_free(r, false) < keep + bytes && space_free(r, true) < keep + bytes)
        return false;
    atomic_fetch_add(&r->unseen, bytes);
    return true;
}

/* --- health --- */

void rocks_fail(struct rocks *r, enum rocks_health health)
{
    int was = atomic_load(&r->health);
    while (was < (int)health && !atomic_compare_exchange_weak(&r->health, &was, (int)health))
        ;
    if (was >= (int)health)
        return;
    static const char *const why[] = {
        [ROCKS_STALE] = "background-error", [ROCKS_FULL] = "disk-full", [ROCKS_BROKEN] = "io-error"
    };
    log_error("store-failed", LOG_Z("why", why[health]), LOG_Z("path", r->path));
    pthread_mutex_lock(&r->sync_lock);
    rocks_wake(r);
    pthread_mutex_unlock(&r->sync_lock);
}

/* Whether something failed in the background (R7), which is then said; looked at not more often than each LOOK_MS unless NOW. The gate is held. */
static void look_back(struct rocks *r, bool now)
{
    int64_t ms = clock_mono_ms();
    uint64_t errors = 0;
    if (atomic_load(&r->health) != ROCKS_OK || (!now && ms - atomic_load(&r->looked_ms) < LOOK_MS))
        return;
    atomic_store(&r->looked_ms, ms);
    if (r->db && !rocksdb_property_int_cf(r->db, r->rows, "rocksdb.background-errors", &errors) && errors)
        rocks_fail(r, space_free(r, true) < r->reserve ? ROCKS_FULL : ROCKS_STALE);
}

/* Notes a partition whose last commits may not survive. */
static void note_pending(struct rocks *r, const struct rocks_part *p)
{
    if (r->lost_n < ROCKS_LOST_MAX)
        r->lost[r->lost_n++] = (struct rocks_lost){ .part = p->part, .version = p->version };
    else
        log_error("store-many-lost", LOG_NUM("version", p->version));
}

/* Keeps of the noted partitions those that went back. */
static void settle_lost(struct rocks *r)
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    for (size_t i = 0; i < r->lost_n; i++) {
        struct rocks_lost *lost = &r->lost[i];
        uint64_t version = 0;
        if (lost->certain ? lost->until_ms <= now : !rocks_version_read(r, lost->part, &version) && version >= lost->version)
            continue;
        if (!lost->certain)
            log_warning("store-lost", LOG_NUM("seen", lost->version), LOG_NUM("version", version));
        if (!lost->certain)
            lost->until_ms = now + LOST_MS;
        lost->certain = true;
        r->lost[n++] = *lost;
    }
    r->lost_n = n;
}

/* Closes and opens; the write side of the gate and `reviving` are held. */
static int reopen(struct rocks *r)
{
    /* Nothing is wrong with what was written before the disk was full, or before the error in the background. */
    uint64_t target = atomic_load(&r->written);
    if (r->db && atomic_load(&r->health) != ROCKS_BROKEN && !rocks_logs_sync(r))
        atomic_store(&r->synced, target);
    rocks_parts_forget(r, note_pending);
    db_close(r);
    /* Read the logs from the disk, and not what the kernel still has of them in memory (R4). */
    (void)each_log(r->path, forget_pages);
    char *message = db_open(r);
    if (message) {
        atomic_store(&r->health, ROCKS_BROKEN);
        return rocks_error(message, "reopen") == ERR_FULL ? ERR_FULL : ERR_UNAVAILABLE;
    }
    settle_lost(r);
    atomic_store(&r->synced, atomic_load(&r->written)); /* R5 */
    atomic_fetch_add(&r->epoch, 1);
    atomic_store(&r->health, ROCKS_OK);
    log_info("store-reopened", LOG_Z("path", r->path));
    return 0;
}

static struct timespec after_ms(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    return until;
}

/* At most once a second, by whoever comes. Waiting for the gate is bounded, since the caller may itself be inside a scan. What is only stale will be back in
 * a moment, so that others wait for who opens it. */
static int revive(struct rocks *r)
{
    bool stale = atomic_load(&r->health) == ROCKS_STALE;
    int refuse = atomic_load(&r->health) == ROCKS_FULL ? ERR_FULL : ERR_UNAVAILABLE;
    struct timespec until = after_ms(REVIVE_PATIENCE_MS);
    if (stale ? pthread_mutex_timedlock(&r->reviving, &until) : pthread_mutex_trylock(&r->reviving))
        return refuse;
    int64_t now = clock_mono_ms();
    int rc = refuse;
    if (atomic_load(&r->health) == ROCKS_OK) {
        rc = 0;
        goto out;
    }
    if (r->revived_ms && now - r->revived_ms < REVIVE_MS)
        goto out;
    r->revived_ms = now;
    if (refuse == ERR_FULL && space_free(r, true) < r->reserve)
        goto out;
    until = after_ms(REVIVE_WAIT_MS);
    if (pthread_rwlock_timedwrlock(&r->gate, &until))
        goto out;
    rc = reopen(r);
    pthread_rwlock_unlock(&r->gate);
out:
    pthread_mutex_unlock(&r->reviving);
    return rc;
}

static int enter_once(struct rocks *r, uint64_t write, enum engine_need need)
{
    int health = atomic_load(&r->health);
    if (health == ROCKS_BROKEN || (health != ROCKS_OK && write)) {
        int rc = revive(r);
        if (rc)
            return rc;
    }
    bool room = !write || space_for(r, write, need);
    for (int64_t until = clock_mono_ms() + DIP_MS; !room && need != ENGINE_NEED_NONE && clock_mono_ms() < until;) {
        (void)usleep(DIP_STEP_US); /* what was in memory is being written to files, and its log still there */
        room = space_for(r, write, need);
    }
    if (!room)
        return ERR_FULL;
    pthread_rwlock_rdlock(&r->gate);
    if (write)
        look_back(r, false);
    health = atomic_load(&r->health);
    if (r->db && health != ROCKS_BROKEN && !(write && health != ROCKS_OK))
        return 0;
    pthread_rwlock_unlock(&r->gate);
    return health == ROCKS_FULL ? ERR_FULL : ERR_UNAVAILABLE;
}

int rocks_enter(struct rocks *r, uint64_t write, enum engine_need need)
{
    int rc = enter_once(r, write, need);
    if (rc == ERR_UNAVAILABLE && atomic_load(&r->health) == ROCKS_STALE)
        rc = enter_once(r, write, need); /* it was found so just now: open it again */
    return rc;
}

void rocks_leave(struct rocks *r)
{
    pthread_rwlock_unlock(&r->gate);
}

/* --- the engine --- */

static void rocks_state(struct engine *g, struct engine_state *ret)
{
    struct rocks *r = rocks_of(g);
    int health = atomic_load(&r->health);
    uint64_t free = space_free(r, true);
    bool full = health == ROCKS_FULL || (health == ROCKS_OK && free < r->reserve);
    *ret = (struct engine_state){ .writable = health == ROCKS_OK && !full,
                                  .why = full                 ? "disk-full"
                                         : health == ROCKS_OK ? "ok"
                                                              : "io-error",
                                  .commits = atomic_load(&r->commits),
                                  .syncs = atomic_load(&r->syncs),
                                  .free_bytes = free,
                                  .reserve_bytes = r->reserve };
}

static uint64_t rocks_epoch(struct engine *g)
{
    return atomic_load(&rocks_of(g)->epoch);
}

static uint64_t property(struct rocks *r, rocksdb_column_family_handle_t *family, const char *name)
{
    uint64_t ret = 0;
    return rocksdb_property_int_cf(r->db, family, name, &ret) ? 0 : ret;
}

/* The gate is held. */
static uint64_t stored_bytes(struct rocks *r)
{
    return property(r, r->rows, "rocksdb.total-sst-files-size") + property(r, r->blobs, "rocksdb.total-sst-files-size") +
           property(r, r->blobs, "rocksdb.total-blob-file-size") + property(r, r->rows, "rocksdb.cur-size-all-mem-tables") +
           property(r, r->blobs, "rocksdb.cur-size-all-mem-tables");
}

static uint64_t rocks_stored(struct engine *g)
{
    struct rocks *r = rocks_of(g);
    if (rocks_enter(r, 0, ENGINE_NEED_NONE))
        return 0;
    uint64_t ret = r->db ? stored_bytes(r) : 0, garbage = atomic_load(&r->reclaimable);
    rocks_leave(r);
    return ret > garbage ? ret - garbage : 0;
}

/* What of the oldest blob files is rewritten for the sake of those that are still linked; SHARE of them, 0: none, only files without any such go. */
static void set_rewriting(struct rocks *r, double share)
{
    char cutoff[32], *message = NULL;
    (void)snprintf(cutoff, sizeof cutoff, "%.4f", share);
    const char *const keys[2] = { "enable_blob_garbage_collection", "blob_garbage_collection_age_cutoff" };
    const char *const values[2] = { share > 0 ? "true" : "false", cutoff };
    rocksdb_set_options_cf(r->db, r->blobs, 2, keys, values, &message);
    if (message)
        (void)rocks_error(message, "options");
}

static void compact_all(struct rocks *r)
{
    rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_bottommost_level_compaction(options, BOTTOMMOST_FORCE);
    rocksdb_compact_range_cf_opt(r->db, r->blobs, options, NULL, 0, NULL, 0);
    rocksdb_compactoptions_destroy(options);
}

/* Without much room: first what costs none, files in which nothing lives. Then so many of the oldest ones are rewritten as there is room for, whatever lives in
 * them, again and again while that helps. */
static void compact_in_little_room(struct rocks *r)
{
    set_rewriting(r, 0);
    compact_all(r);
    for (int i = 0; i < REWRITES_MAX && rocks_space_scarce(r); i++) {
        uint64_t files = property(r, r->blobs, "rocksdb.num-blob-files"),
                 bytes = property(r, r->blobs, "rocksdb.total-blob-file-size");
        uint64_t free = space_free(r, true), room = free > r->reserve / 2 ? free - r->reserve / 2 : 0;
        if (!files || !bytes || room < bytes / files)
            break;
        double share = (double)room / (double)bytes;
        set_rewriting(r, share < 0.5 ? share : 0.5);
        compact_all(r);
        if (space_free(r, true) <= free)
            break;
    }
    set_rewriting(r, REWRITE_SHARE);
}

/* The tree of the blob family holds only names, so that it seldom compacts by itself, and only compaction lets blob files go: so when a quarter of what is stored
 * may be garbage, or soon when space is scarce. */
static void compact_when_due(struct rocks *r)
{
    bool scarce = rocks_space_scarce(r);
    uint64_t quarter = stored_bytes(r) / 4;
    if (clock_mono_ms() < r->compact_after_ms ||
        atomic_load(&r->reclaimable) < (scarce ? SCARCE_GARBAGE : clamp(quarter, LEAST_GARBAGE, UINT64_MAX)))
        return;
    int64_t began = clock_mono_ms();
    if (scarce)
        compact_in_little_room(r);
    else
        compact_all(r);
    (void)space_free(r, true);
    r->compact_after_ms = clock_mono_ms() + 5 * (clock_mono_ms() - began);
    atomic_store(&r->reclaimable, 0);
}

/* An idle engine holds no full memory tables: less memory, and a log that is read quickly after a crash. */
static void flush_idle(struct rocks *r)
{
    rocksdb_column_family_handle_t *families[2] = { r->rows, r->blobs };
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    for (size_t i = 0; i < 2; i++) {
        char *message = NULL;
        rocksdb_flush_cf(r->db, options, families[i], &message);
        if (message)
            (void)rocks_error(message, "flush"); /* look_back decides */
    }
    rocksdb_flushoptions_destroy(options);
    (void)malloc_trim(0);
}

static void rocks_tidy(struct engine *g, uint64_t bytes)
{
    struct rocks *r = rocks_of(g);
    uint64_t commits = atomic_load(&r->commits);
    atomic_fetch_add(&r->reclaimable, bytes);
    if (rocks_enter(r, 0, ENGINE_NEED_NONE))
        return;
    if (atomic_load(&r->health) == ROCKS_OK) {
        bool scarce = atomic_load(&r->reclaimable) >= SCARCE_GARBAGE && rocks_space_scarce(r) &&
                      clock_mono_ms() >= r->compact_after_ms; /* the log takes room as well */
        if (scarce || (commits == r->tidy_seen && commits != r->tidy_done)) {
            flush_idle(r);
            r->tidy_done = commits;
        }
        compact_when_due(r);
    }
    look_back(r, true);
    rocks_leave(r);
    if (atomic_load(&r->health) != ROCKS_OK)
        (void)revive(r); /* with nobody waiting for it */
    r->tidy_seen = commits;
}

/* What was seen without being durable yet is brought to the disk first: a copy never holds what the original can lose (E4). */
static int rocks_checkpoint(struct engine *g, const char *path, struct error *e)
{
    struct rocks *r = rocks_of(g);
    struct stat st;
    if (stat(path, &st) == 0)
        return error_set(e, ERR_EXISTS, "%s is there already", path);
    int rc = rocks_enter(r, 0, ENGINE_NEED_NONE);
    if (rc)
        return error_set(e, rc, "the store is not ready");
    char *message = NULL;
    if (atomic_load(&r->health) != ROCKS_OK)
        rc = ERR_UNAVAILABLE;
    else
        rc = rocks_wait(r, atomic_load(&r->written));
    rocksdb_checkpoint_t *c = rc ? NULL : rocksdb_checkpoint_object_create(r->db, &message);
    if (!rc && !message)
        rocksdb_checkpoint_create(c, path, 0, &message);
    if (c)
        rocksdb_checkpoint_object_destroy(c);
    if (message)
        rc = rocks_error(message, "checkpoint");
    rocks_leave(r);
    return rc ? error_set(e, rc, "the store cannot be copied to %s (%s)", path, err_name(rc)) : 0;
}

static void rocks_free(struct rocks *r)
{
    db_close(r);
    rocks_parts_forget(r, NULL);
    for (size_t i = 0; i < ROCKS_STRIPES; i++)
        pthread_mutex_destroy(&r->stripes[i].lock);
    pthread_rwlock_destroy(&r->gate);
    pthread_mutex_destroy(&r->reviving);
    pthread_rwlock_destroy(&r->append);
    pthread_mutex_destroy(&r->sync_lock);
    rocksdb_options_destroy(r->rows_options);
    rocksdb_options_destroy(r->blob_options);
    rocksdb_cache_destroy(r->row_cache);
    rocksdb_cache_destroy(r->blob_cache);
    rocksdb_readoptions_destroy(r->read);
    rocksdb_readoptions_destroy(r->read_once);
    rocksdb_writeoptions_destroy(r->write);
    free(r->lost);
    free(r->path);
    free(r);
}

/* What was committed without waiting is saved too. */
static void rocks_close(struct engine *g)
{
    struct rocks *r = rocks_of(g);
    if (r->db && atomic_load(&r->health) != ROCKS_BROKEN)
        (void)rocks_wait(r, atomic_load(&r->written));
    rocks_free(r);
}

static const struct engine_ops rocks_ops = {
    .version = ENGINE_OPS_VERSION,
    .name = "rocksdb",
    .is_alone = true,
    .close = rocks_close,
    .get = rocks_get,
    .scan = rocks_scan,
    .commit = rocks_commit,
    .sync = rocks_sync,
    .chunk = rocks_chunk,
    .state = rocks_state,
    .epoch = rocks_epoch,
    .checkpoint = rocks_checkpoint,
    .tidy = rocks_tidy,
    .rest = rocks_rest,
    .stored = rocks_stored,
};

static struct rocks *rocks_new(const char *path, const struct engine_settings *settings, uint64_t size)
{
    struct rocks *r = calloc(1, sizeof *r);
    if (!r)
        panic("out of memory for an engine");
    engine_common_init(&r->engine, &rocks_ops, settings);
    r->path = strdup(path);
    r->lost = calloc(ROCKS_LOST_MAX, sizeof *r->lost);
    if (!r->path || !r->lost)
        panic("out of memory for an engine");
    r->reserve = settings && settings->reserve_bytes ? settings->reserve_bytes : clamp(size / 50, 8 * MIB, 256 * MIB);
    r->claimed = settings ? settings->claimed : NULL;
    r->open_files = settings && settings->open_files ? settings->open_files : (unsigned)clamp(descriptors_limit() / 4, 24, 256);
    for (size_t i = 0; i < ROCKS_STRIPES; i++)
        pthread_mutex_init(&r->stripes[i].lock, NULL);
    pthread_rwlock_init(&r->gate, NULL);
    pthread_mutex_init(&r->reviving, NULL);
    pthread_rwlock_init(&r->append, NULL);
    pthread_mutex_init(&r->sync_lock, NULL);
    uint64_t buffer = settings && settings->buffer_bytes ? settings->buffer_bytes : clamp(size / 32, 2 * MIB, 16 * MIB);
    rocks_options(r, settings && settings->cache_bytes ? settings->cache_bytes : 16 * MIB, buffer);
    return r;
}

int engine_rocksdb_open(const char *path, const struct engine_settings *settings, struct engine **ret, struct error *e)
{
    struct statvfs v;
    if (mkdir(path, 0700) && errno != EEXIST) {
        int rc = err_from_errno(errno);
        return error_set(e, rc, "cannot create the store %s: %s", path, strerrordesc_np(errno));
    }
    if (statvfs(path, &v)) {
        int rc = err_from_errno(errno);
        return error_set(e, rc, "cannot look at the store %s: %s", path, strerrordesc_np(errno));
    }
    struct rocks *r = rocks_new(path, settings, (uint64_t)v.f_blocks * v.f_frsize);
    char *message = db_open(r);
    if (message) {
        bool locked = strstr(message, "lock") != NULL;
        if (locked)
            error_set(e, ERR_UNAVAILABLE, "the store %s is in use by another process; stop it first", path);
        else
            error_set(e, ERR_IO, "cannot open the store %s: %s", path, message);
        int rc = locked ? ERR_UNAVAILABLE : 0;
        if (locked)
            rocksdb_free(message);
        else
            rc = rocks_error(message, "open");
        if (e)
            e->code = rc;
        rocks_free(r);
        return rc;
    }
    *ret = &r->engine;
    return 0;
}
