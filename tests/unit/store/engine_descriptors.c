/* A store of many more files than there are descriptors: as one of 100 GB is with 1 024 of them. All that the process may have open is what
 * role/descriptors.c plans for a store, so that one more would fail. */
#include "engine_fixture.h"

#include <dirent.h>
#include <sys/resource.h>

#include "../check.h"
#include "run/descriptors.h"

enum {
    OPEN_FILES = 24, /* STORE_FILES_MIN there */
    OTHERS = 40,     /* STORE_OTHERS there */
    ROWS = 7000,     /* of VALUE bytes */
    VALUE = 2000,
    BLOBS = 1100, /* of BLOB bytes: in files of their own */
    BLOB = 9000,
    FILES_MIN =
        300 /* a store of 100 GB has 20 for each that may be open; how far compaction has come decides how many there are here */
};

/* Nothing here is about durability, and hundreds of files are written. */
int fdatasync(int fd);
int fdatasync(int fd)
{
    return 0;
}

int fsync(int fd);
int fsync(int fd)
{
    return 0;
}

static const struct engine_settings small_files = {
    .reserve_bytes = 1 << 20, .grace_ms = 1, .open_files = OPEN_FILES, .buffer_bytes = 65536, .cache_bytes = 1 << 20
};

/* Row or blob I: nothing that compresses, and the same whenever it is asked for. */
static void fill(uint64_t i, char *p, size_t n)
{
    uint64_t x = i * 0x9e3779b97f4a7c15u + 1;
    for (size_t k = 0; k < n; k++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[k] = (char)(x >> 32);
    }
}

/* Keys come in no order, so that all levels are written again and again. */
static str key_of(uint32_t i, char p[static 16])
{
    return (str){ p, (size_t)snprintf(p, 16, "%08x", i * 2654435761u) };
}

static size_t files_of(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        str name = str_from_z(d->d_name);
        n += str_ends(name, STR(".sst")) || str_ends(name, STR(".blob"));
    }
    (void)closedir(dir);
    return n;
}

static void write_all(struct fixture *f, uint32_t rows, uint32_t blobs, engine_blob *names)
{
    char key[16], value[VALUE], blob[BLOB];
    for (uint32_t i = 0, k = 0; i < rows; i++) {
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        fill(i, value, sizeof value);
        engine_put(t, key_of(i, key), (str){ value, sizeof value });
        if (k < blobs && i % 6 == 0) {
            fill(ROWS + k, blob, sizeof blob);
            engine_put_blob(t, (str){ blob, sizeof blob }, &names[k++]);
        }
        assert_int_equal(engine_commit_unsynced(t, NULL), 0);
    }
    assert_int_equal(engine_wait_synced(f->g, P), 0);
}

static int count_fn(void *ctx, str key, str value)
{
    assert_int_equal(value.n, VALUE);
    ++*(uint32_t *)ctx;
    return 0;
}

/* Far from each other, so that each takes another file; then all in order. Of the blobs from FIRST on each STEP-th. */
static void read_all(struct fixture *f, uint32_t rows, uint32_t blobs, const engine_blob *names, uint32_t first, uint32_t step)
{
    char key[16], want[BLOB], got[BLOB];
    for (uint32_t i = 0; i < rows; i += 7) {
        str value, k = key_of(i, key);
        struct arena a = ARENA_INIT(1 << 16);
        assert_int_equal(engine_get(f->g, P, &k, 1, ENGINE_SYNCED, &a, &value, NULL), 0);
        fill(i, want, VALUE);
        assert_true(str_eq(value, (str){ want, VALUE }));
        arena_done(&a);
    }
    for (uint32_t i = first; i < blobs; i += step) {
        uint32_t at = (i * 7919u % blobs) / step * step + first;
        size_t n = 0;
        assert_int_equal(engine_blob_read(f->g, &names[at], 0, got, sizeof got, &n), 0);
        fill(ROWS + at, want, BLOB);
        assert_int_equal(n, BLOB);
        assert_memory_equal(got, want, BLOB);
    }
    uint32_t n = 0;
    assert_int_equal(engine_scan(f->g, P, STR(""), STR(""), ENGINE_SYNCED, count_fn, &n, NULL), 0);
    assert_int_equal(n, rows);
}

/* Half of the blobs go, which rewrites the files of the others. */
static void unlink_half(struct fixture *f, uint32_t blobs, const engine_blob *names)
{
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    for (uint32_t i = 0; i < blobs; i += 2)
        engine_unlink(t, names[i]);
    assert_int_equal(engine_commit(t, NULL), 0);
    collect_all(f);
}

static void many_files_with_few_descriptors(void **state)
{
    static engine_blob names[BLOBS];
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    struct rlimit old;
    const uint32_t rows = check_many(ROWS, ROWS / 20), blobs = check_many(BLOBS, BLOBS / 20);
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s/copy", f->dir);
    engine_close(f->g);
    f->g = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    unsigned may = descriptors_used() + OPEN_FILES + OTHERS;
    if (check_many(1, 0)) /* valgrind keeps descriptors of its own above the limit */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ may, old.rlim_max }), 0);
    assert_int_equal(engine_rocksdb_open(f->dir, &small_files, &f->g, &e), 0);
    write_all(f, rows, blobs, names);
    assert_true(files_of(f->dir) >= check_many(FILES_MIN, 1));
    read_all(f, rows, blobs, names, 0, 1);
    engine_close(f->g);
    assert_int_equal(engine_rocksdb_open(f->dir, &small_files, &f->g, &e), 0);
    read_all(f, rows, blobs, names, 0, 1);
    assert_int_equal(engine_checkpoint(f->g, copy, &e), 0);
    unlink_half(f, blobs, names);
    read_all(f, rows, blobs, names, 1, 2);
    put(f, P, STR("last"), STR("taken"));
    assert_str(get(f, P, STR("last")), "taken");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static int setup_small(void **state)
{
    return setup_with(state, &small_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        { "rocksdb: many_files_with_few_descriptors", many_files_with_few_descriptors, setup_small, teardown,
          (void *)(uintptr_t) "rocksdb" },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
