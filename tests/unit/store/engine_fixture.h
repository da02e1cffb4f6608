/* What the tests of all engines share: an engine of each kind, with short ways to ask it. */
#ifndef VALISE_TESTS_STORE_ENGINE_FIXTURE_H
#define VALISE_TESTS_STORE_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "store/engine.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

struct fixture {
    const char *kind;
    char dir[32];
    struct engine *g;
    struct arena a;
};

static const engine_part P = { "partition-one--" }, Q = { "partition-two--" };

static inline void pause_ms(unsigned ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&t, NULL);
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static inline int setup_with(void **state, const struct engine_settings *with)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct engine_settings settings = *with;
    struct error e = ERROR_NONE;
    f->kind = *state;
    arena_init(&f->a, 64 << 20);
    if (!strcmp(f->kind, "memory"))
        assert_int_equal(engine_memory_open_with(&settings, &f->g), 0);
    else if (!strcmp(f->kind, "faulty"))
        assert_int_equal(engine_faulty_open(NULL, &settings, 1, &f->g), 0);
    else {
        (void)snprintf(f->dir, sizeof f->dir, "/tmp/valise-engine-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        assert_int_equal(engine_rocksdb_open(f->dir, &settings, &f->g, &e), 0);
    }
    *state = f;
    return 0;
}

/* A grace of 1 ms: what is due after a short pause is everything. */
static inline int setup(void **state)
{
    return setup_with(state, &(struct engine_settings){ .reserve_bytes = 1 << 20, .grace_ms = 1 });
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    engine_close(f->g);
    arena_done(&f->a);
    if (f->dir[0])
        (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *state = (void *)(uintptr_t)f->kind;
    free(f);
    return 0;
}

/* --- helpers --- */

static inline uint64_t version_of(struct fixture *f, engine_part part)
{
    uint64_t version = 99;
    str key = STR("no such key"), value;
    assert_int_equal(engine_get(f->g, part, &key, 1, ENGINE_SYNCED, &f->a, &value, &version), 0);
    assert_null(value.p);
    return version;
}

static inline void put(struct fixture *f, engine_part part, str key, str value)
{
    struct engine_txn *t = engine_begin(f->g, part, ENGINE_ANY_VERSION);
    engine_put(t, key, value);
    assert_int_equal(engine_commit(t, NULL), 0);
}

static inline str get(struct fixture *f, engine_part part, str key)
{
    str value;
    assert_int_equal(engine_get(f->g, part, &key, 1, ENGINE_SYNCED, &f->a, &value, NULL), 0);
    return value;
}

#define assert_str(s, lit) assert_true(str_eq((s), STR(lit)))
static const str absent = { NULL, 0 };

struct rows {
    size_t n;
    char last[ENGINE_KEY_MAX];
    size_t last_n;
    struct buf keys;
};

static inline int rows_fn(void *ctx, str key, str value)
{
    struct rows *r = ctx;
    if (r->n)
        assert_true(str_cmp((str){ r->last, r->last_n }, key) < 0);
    memcpy(r->last, key.p, key.n);
    r->last_n = key.n;
    r->n++;
    buf_add(&r->keys, key);
    buf_add_byte(&r->keys, '=');
    buf_add(&r->keys, value);
    buf_add_byte(&r->keys, ' ');
    return 0;
}

/* "key=value " of each row in [from, to). */
static inline const char *rows_of(struct fixture *f, engine_part part, str from, str to)
{
    struct rows r = { .keys = BUF_INIT(1 << 20) };
    assert_int_equal(engine_scan(f->g, part, from, to, ENGINE_SYNCED, rows_fn, &r, NULL), 0);
    const char *z = arena_z(&f->a, buf_str(&r.keys));
    buf_done(&r.keys);
    return z;
}

static inline size_t count_of(struct fixture *f, engine_part part)
{
    struct rows r = { .keys = BUF_INIT(1 << 26) };
    assert_int_equal(engine_scan(f->g, part, STR(""), STR(""), ENGINE_SYNCED, rows_fn, &r, NULL), 0);
    buf_done(&r.keys);
    return r.n;
}

static inline void collect_all(struct fixture *f)
{
    unsigned done;
    pause_ms(5);
    do
        assert_int_equal(engine_collect(f->g, 1000, &done), 0);
    while (done);
}

static inline int link_in(struct fixture *f, engine_part part, engine_blob blob, bool link)
{
    struct engine_txn *t = engine_begin(f->g, part, ENGINE_ANY_VERSION);
    if (link)
        engine_link(t, blob);
    else
        engine_unlink(t, blob);
    return engine_commit(t, NULL);
}

static inline bool blob_there(struct fixture *f, engine_blob blob)
{
    uint64_t size;
    int rc = engine_blob_size(f->g, &blob, &size);
    assert_true(rc == 0 || rc == ERR_NOTFOUND);
    return !rc;
}

static inline char *noise(size_t n)
{
    char *p = malloc(n ? n : 1);
    assert_non_null(p);
    random_bytes(p, n);
    return p;
}

/* A case on one kind of engine. */
#define T(kind, f)                                                                                                               \
    {                                                                                                                            \
        kind ": " #f, f, setup, teardown, (void *)(uintptr_t)kind                                                                \
    }

#endif
