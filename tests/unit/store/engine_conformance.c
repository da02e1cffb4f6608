/* The contract of engine.h for rows, versions, threads and watches, on every engine. Blobs are in engine_blobs.c. */
#include "engine_fixture.h"

/* --- rows --- */

static void put_then_get(void **state)
{
    struct fixture *f = *state;
    put(f, P, STR("a"), STR("1"));
    put(f, P, STR("empty"), STR(""));
    assert_str(get(f, P, STR("a")), "1");
    str empty = get(f, P, STR("empty"));
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    assert_null(get(f, P, STR("b")).p);
    assert_null(get(f, Q, STR("a")).p);
}

static void version_counts_commits(void **state)
{
    struct fixture *f = *state;
    uint64_t version = 0;
    assert_int_equal(version_of(f, P), 0);
    put(f, P, STR("a"), STR("1"));
    struct engine_txn *t = engine_begin(f->g, P, 1);
    engine_del(t, STR("a"));
    assert_int_equal(engine_commit(t, &version), 0);
    assert_int_equal(version, 2);
    assert_int_equal(version_of(f, P), 2);
    assert_int_equal(version_of(f, Q), 0);
    t = engine_begin(f->g, P, 2);
    assert_int_equal(engine_commit(t, &version), 0); /* an empty one counts too */
    assert_int_equal(version, 3);
}

static void stale_version_conflicts_and_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    put(f, P, STR("a"), STR("1"));
    struct engine_txn *t = engine_begin(f->g, P, 0);
    engine_put(t, STR("a"), STR("2"));
    engine_put(t, STR("b"), STR("2"));
    assert_int_equal(engine_commit(t, NULL), ERR_CONFLICT);
    assert_string_equal(rows_of(f, P, STR(""), STR("")), "a=1 ");
    assert_int_equal(version_of(f, P), 1);
}

static void expectations(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str key, value;
        int rc;
    } table[] = {
        { STR_INIT("a"), STR_INIT("1"), 0 },
        { STR_INIT("a"), STR_INIT("2"), ERR_CONFLICT },
        { STR_INIT("a"), { NULL, 0 }, ERR_CONFLICT },
        { STR_INIT("b"), { NULL, 0 }, 0 },
        { STR_INIT("b"), STR_INIT("1"), ERR_CONFLICT },
        { STR_INIT("a"), STR_INIT(""), ERR_CONFLICT },
        { STR_INIT("e"), STR_INIT(""), 0 },
        { STR_INIT("e"), { NULL, 0 }, ERR_CONFLICT },
    };
    put(f, P, STR("a"), STR("1"));
    put(f, P, STR("e"), STR(""));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        engine_put(t, STR("c"), STR("new"));
        engine_expect(t, table[i].key, table[i].value);
        assert_int_equal(engine_commit(t, NULL), table[i].rc);
        assert_int_equal(get(f, P, STR("c")).p != NULL, table[i].rc == 0);
        t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        engine_del(t, STR("c"));
        assert_int_equal(engine_commit(t, NULL), 0);
    }
}

static void expectation_sees_the_state_before(void **state)
{
    struct fixture *f = *state;
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    engine_put(t, STR("a"), STR("1"));
    engine_expect(t, STR("a"), absent);
    assert_int_equal(engine_commit(t, NULL), 0);
    assert_str(get(f, P, STR("a")), "1");
}

static void operations_apply_in_order(void **state)
{
    struct fixture *f = *state;
    put(f, P, STR("a"), STR("old"));
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    engine_put(t, STR("a"), STR("1"));
    engine_del(t, STR("a"));
    engine_put(t, STR("b"), STR("1"));
    engine_put(t, STR("b"), STR("2"));
    engine_put(t, STR("c1"), STR("gone"));
    engine_del_range(t, STR("c"), STR("d"));
    engine_put(t, STR("c2"), STR("stays"));
    engine_del(t, STR("d"));
    engine_put(t, STR("d"), STR("back"));
    assert_int_equal(engine_commit(t, NULL), 0);
    assert_string_equal(rows_of(f, P, STR(""), STR("")), "b=2 c2=stays d=back ");
}

static void keys_and_values_are_binary(void **state)
{
    struct fixture *f = *state;
    static const str keys[] = { STR_INIT("\0"),   STR_INIT("\0\0"), STR_INIT("\0\1"), STR_INIT("\1"),   STR_INIT("a\0b"),
                                STR_INIT("a\0c"), STR_INIT("\x7f"), STR_INIT("\x80"), STR_INIT("\xff"), STR_INIT("\xff\xff") };
    const size_t n = sizeof keys / sizeof *keys;
    for (size_t i = n; i-- > 0;)
        put(f, P, keys[i], keys[i]);
    struct rows r = { .keys = BUF_INIT(1 << 20) };
    assert_int_equal(engine_scan(f->g, P, STR(""), STR(""), ENGINE_SYNCED, rows_fn, &r, NULL), 0);
    buf_done(&r.keys);
    assert_int_equal(r.n, n);
    for (size_t i = 0; i < n; i++)
        assert_true(str_eq(get(f, P, keys[i]), keys[i]));
}

static void limits_hold(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t key, value;
        int rc;
    } table[] = {
        { 0, 1, ERR_LIMIT }, { 1, 0, 0 }, { 512, 1, 0 }, { 513, 1, ERR_LIMIT }, { 1, 65536, 0 }, { 1, 65537, ERR_LIMIT },
    };
    char *bytes = noise(65537);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        str key = { bytes, table[i].key }, value = { bytes, table[i].value };
        engine_put(t, STR("z"), STR("first"));
        engine_put(t, key, value);
        uint64_t before = version_of(f, P);
        assert_int_equal(engine_commit(t, NULL), table[i].rc);
        assert_int_equal(version_of(f, P), before + (table[i].rc == 0));
        if (!table[i].rc)
            assert_true(str_eq(get(f, P, key), value));
    }
    str key = { bytes, 513 }, value;
    assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_SYNCED, &f->a, &value, NULL), ERR_LIMIT);
    assert_int_equal(engine_scan(f->g, P, key, STR(""), ENGINE_SYNCED, rows_fn, NULL, NULL), ERR_LIMIT);
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    engine_del_range(t, STR("a"), STR(""));
    assert_int_equal(engine_commit(t, NULL), ERR_LIMIT);
    for (unsigned n = 1000; n <= 1001; n++) {
        t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        for (unsigned i = 0; i < n; i++)
            engine_put(t, (str){ (const char *)&i, sizeof i }, STR("x"));
        assert_int_equal(engine_commit(t, NULL), n == 1000 ? 0 : ERR_LIMIT);
    }
    for (unsigned n = 15; n <= 16; n++) { /* 16 rows of 64 KiB and their keys are more than 1 MiB */
        t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        for (unsigned i = 0; i < n; i++)
            engine_put(t, (str){ (const char *)&i, sizeof i }, (str){ bytes, 65536 });
        assert_int_equal(engine_commit(t, NULL), n == 15 ? 0 : ERR_LIMIT);
    }
    free(bytes);
}

static void get_of_several_keys(void **state)
{
    struct fixture *f = *state;
    put(f, P, STR("a"), STR("1"));
    put(f, P, STR("c"), STR("3"));
    str keys[] = { STR("c"), STR("b"), STR("a"), STR("c") }, values[4];
    uint64_t version;
    assert_int_equal(engine_get(f->g, P, keys, 4, ENGINE_SYNCED, &f->a, values, &version), 0);
    assert_str(values[0], "3");
    assert_null(values[1].p);
    assert_str(values[2], "1");
    assert_str(values[3], "3");
    assert_int_equal(version, 2);
}

static void get_beyond_the_arena(void **state)
{
    struct fixture *f = *state;
    struct arena small = ARENA_INIT(64);
    char bytes[100] = { 0 };
    put(f, P, STR("a"), (str){ bytes, sizeof bytes });
    str key = STR("a"), value;
    assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_SYNCED, &small, &value, NULL), ERR_LIMIT);
    arena_done(&small);
}

static void scan_bounds(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str from, to;
        const char *rows;
    } table[] = {
        { STR_INIT(""), STR_INIT(""), "a=a aa=aa b=b c=c " },
        { STR_INIT("a"), STR_INIT("b"), "a=a aa=aa " },
        { STR_INIT("aa"), STR_INIT(""), "aa=aa b=b c=c " },
        { STR_INIT("ab"), STR_INIT("c"), "b=b " },
        { STR_INIT("d"), STR_INIT(""), "" },
        { STR_INIT("c"), STR_INIT("a"), "" },
        { STR_INIT("b"), STR_INIT("b"), "" },
        { STR_INIT("b"), STR_INIT("b\0"), "b=b " },
    };
    static const str keys[] = { STR_INIT("c"), STR_INIT("a"), STR_INIT("aa"), STR_INIT("b") };
    for (size_t i = 0; i < 4; i++) {
        put(f, P, keys[i], keys[i]);
        put(f, Q, keys[i], STR("other"));
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(rows_of(f, P, table[i].from, table[i].to), table[i].rows);
}

static int stop_fn(void *ctx, str key, str value)
{
    return ++*(int *)ctx == 2 ? 77 : 0;
}

static void scan_stops_with_the_callers_code(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    for (char c = 'a'; c < 'f'; c++)
        put(f, P, (str){ &c, 1 }, STR("x"));
    assert_int_equal(engine_scan(f->g, P, STR(""), STR(""), ENGINE_SYNCED, stop_fn, &n, NULL), 77);
    assert_int_equal(n, 2);
}

static void fill(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        for (unsigned j = 0; j < 500 && i < n; j++, i++) {
            char key[16];
            int len = snprintf(key, sizeof key, "k%07u", i);
            engine_put(t, (str){ key, (size_t)len }, STR("value"));
        }
        assert_int_equal(engine_commit(t, NULL), 0);
    }
}

static void scan_of_many_rows(void **state)
{
    struct fixture *f = *state;
    fill(f, 5000);
    assert_int_equal(count_of(f, P), 5000);
}

struct during {
    struct fixture *f;
    unsigned n;
};

static int during_fn(void *ctx, str key, str value)
{
    struct during *d = ctx;
    if (d->n++ == 10) {
        put(d->f, P, STR("k0000005x"), STR("behind"));
        put(d->f, P, STR("k0000900x"), STR("ahead"));
        struct engine_txn *t = engine_begin(d->f->g, P, ENGINE_ANY_VERSION);
        engine_del_range(t, STR("k0000500"), STR("k0000600"));
        assert_int_equal(engine_commit(t, NULL), 0);
    }
    assert_str(value, "value");
    return 0;
}

static void scan_is_of_one_version(void **state)
{
    struct fixture *f = *state;
    struct during d = { .f = f };
    uint64_t version;
    fill(f, 1000);
    assert_int_equal(engine_scan(f->g, P, STR(""), STR(""), ENGINE_SYNCED, during_fn, &d, &version), 0);
    assert_int_equal(d.n, 1000);
    assert_int_equal(version, 2);
    assert_int_equal(count_of(f, P), 902);
}

static void range_delete(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned from, to;
    } table[] = { { 10, 20 }, { 0, 5 }, { 15, 400 }, { 400, 400 }, { 990, 5000 } };
    bool there[1000];
    memset(there, 1, sizeof there);
    fill(f, 1000);
    put(f, Q, STR("k0000010"), STR("other"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char from[16], to[16];
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        (void)snprintf(from, sizeof from, "k%07u", table[i].from);
        (void)snprintf(to, sizeof to, "k%07u", table[i].to);
        engine_del_range(t, str_from_z(from), str_from_z(to));
        assert_int_equal(engine_commit(t, NULL), 0);
        size_t left = 0;
        for (unsigned j = 0; j < 1000; j++) {
            if (j >= table[i].from && j < table[i].to)
                there[j] = false;
            left += there[j];
        }
        assert_int_equal(count_of(f, P), left);
    }
    put(f, P, STR("k0000100"), STR("again")); /* into a deleted range */
    assert_str(get(f, P, STR("k0000100")), "again");
    assert_str(get(f, Q, STR("k0000010")), "other");
}

static void abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    engine_put(t, STR("a"), STR("1"));
    engine_abort(t);
    engine_abort(NULL);
    assert_int_equal(version_of(f, P), 0);
    assert_null(get(f, P, STR("a")).p);
}

static void unsynced_is_visible_and_ordered(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 10; i++) {
        struct engine_txn *t = engine_begin(f->g, P, i);
        uint64_t version;
        engine_put(t, STR("n"), (str){ (const char *)&i, sizeof i });
        assert_int_equal(engine_commit_unsynced(t, &version), 0);
        assert_int_equal(version, i + 1);
        str key = STR("n"), value;
        assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_UNSYNCED, &f->a, &value, &version), 0);
        assert_memory_equal(value.p, &i, sizeof i);
        assert_int_equal(version, i + 1);
    }
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    assert_int_equal(engine_wait_synced(f->g, Q), 0);
    assert_int_equal(version_of(f, P), 10);
}

/* --- threads --- */

enum { THREADS = 8, ROUNDS = 60 };

struct worker {
    struct fixture *f;
    unsigned id;
    unsigned conflicts;
};

/* Adds 1 to a counter by read, commit at that version, again on conflict; and checks that two rows written together are read together. */
static void *counting(void *ctx)
{
    struct worker *w = ctx;
    engine_part part = w->id % 2 ? P : Q;
    for (unsigned i = 0; i < ROUNDS;) {
        struct arena a = ARENA_INIT(4096);
        str keys[2] = { STR("n"), STR("twin") }, values[2];
        uint64_t version, n = 0;
        assert_int_equal(engine_get(w->f->g, part, keys, 2, i % 3 ? ENGINE_UNSYNCED : ENGINE_SYNCED, &a, values, &version), 0);
        assert_true(str_eq(values[0], values[1]));
        if (values[0].p)
            memcpy(&n, values[0].p, sizeof n);
        assert_int_equal(n, version);
        n++;
        struct engine_txn *t = engine_begin(w->f->g, part, version);
        engine_put(t, STR("n"), (str){ (const char *)&n, sizeof n });
        engine_put(t, STR("twin"), (str){ (const char *)&n, sizeof n });
        int rc = i % 2 ? engine_commit(t, NULL) : engine_commit_unsynced(t, NULL);
        assert_true(rc == 0 || rc == ERR_CONFLICT);
        i += rc == 0;
        w->conflicts += rc != 0;
        arena_done(&a);
    }
    assert_int_equal(engine_wait_synced(w->f->g, part), 0);
    return NULL;
}

static void no_update_is_lost(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct worker workers[THREADS] = { 0 };
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .f = f, .id = i };
        assert_int_equal(pthread_create(&threads[i], NULL, counting, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(version_of(f, P), THREADS / 2 * ROUNDS);
    assert_int_equal(version_of(f, Q), THREADS / 2 * ROUNDS);
}

/* --- watching, state --- */

static void seen(void *ctx, uint64_t version)
{
    atomic_store((atomic_uint_fast64_t *)ctx, version);
}

static void watches(void **state)
{
    struct fixture *f = *state;
    atomic_uint_fast64_t a = 0, b = 0, other = 0;
    struct engine_watch *wa = engine_watch_new(f->g, P, seen, &a), *wb = engine_watch_new(f->g, P, seen, &b);
    struct engine_watch *wq = engine_watch_new(f->g, Q, seen, &other);
    put(f, P, STR("a"), STR("1"));
    assert_int_equal(atomic_load(&a), 1);
    assert_int_equal(atomic_load(&b), 1);
    assert_int_equal(atomic_load(&other), 0);
    engine_watch_free(wa);
    put(f, P, STR("a"), STR("2"));
    assert_int_equal(atomic_load(&a), 1);
    assert_int_equal(atomic_load(&b), 2);
    engine_watch_free(wb);
    engine_watch_free(wq);
    engine_watch_free(NULL);
}

static void state_counts(void **state)
{
    struct fixture *f = *state;
    struct engine_state s;
    uint64_t epoch = engine_epoch(f->g);
    put(f, P, STR("a"), STR("1"));
    put(f, Q, STR("a"), STR("1"));
    engine_state(f->g, &s);
    assert_true(s.writable);
    assert_string_equal(s.why, "ok");
    assert_int_equal(s.commits, 2);
    assert_true(s.free_bytes > 0);
    assert_int_equal(engine_epoch(f->g), epoch);
}

/* A copy has what was durable when it was made, blobs too, and goes its own way. */
static void checkpoint_is_a_copy_of_its_time(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    char path[64];
    engine_blob blob;
    (void)snprintf(path, sizeof path, "%s/copy", f->dir[0] ? f->dir : "/tmp/valise-no-such-directory");
    put(f, P, STR("a"), STR("1"));
    assert_int_equal(engine_blob_put(f->g, P, STR("a message"), &blob), 0);
    struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
    engine_link(t, blob);
    engine_put(t, STR("b"), STR("2"));
    assert_int_equal(engine_commit_unsynced(t, NULL), 0);
    int rc = engine_checkpoint(f->g, path, &e);
    if (strcmp(f->kind, "rocksdb") != 0) {
        assert_int_equal(rc, ERR_UNSUPPORTED);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(engine_checkpoint(f->g, path, &e), ERR_EXISTS);
    put(f, P, STR("c"), STR("3"));
    struct fixture copy = { .kind = f->kind };
    arena_init(&copy.a, 64 << 20);
    assert_int_equal(engine_rocksdb_open(path, &(struct engine_settings){ .reserve_bytes = 1 << 20 }, &copy.g, &e), 0);
    assert_string_equal(rows_of(&copy, P, STR(""), STR("")), "a=1 b=2 ");
    char text[16];
    size_t n;
    assert_int_equal(engine_blob_read(copy.g, &blob, 0, text, sizeof text, &n), 0);
    assert_true(str_eq((str){ text, n }, STR("a message")));
    put(&copy, P, STR("d"), STR("4"));
    engine_close(copy.g);
    arena_done(&copy.a);
    assert_string_equal(rows_of(f, P, STR(""), STR("")), "a=1 b=2 c=3 ");
}

#define CASES(kind)                                                                                                              \
    T(kind, put_then_get), T(kind, version_counts_commits), T(kind, stale_version_conflicts_and_leaves_no_trace),                \
        T(kind, expectations), T(kind, expectation_sees_the_state_before), T(kind, operations_apply_in_order),                   \
        T(kind, keys_and_values_are_binary), T(kind, limits_hold), T(kind, get_of_several_keys), T(kind, get_beyond_the_arena),  \
        T(kind, scan_bounds), T(kind, scan_stops_with_the_callers_code), T(kind, scan_of_many_rows),                             \
        T(kind, scan_is_of_one_version), T(kind, range_delete), T(kind, abort_leaves_nothing),                                   \
        T(kind, unsynced_is_visible_and_ordered), T(kind, no_update_is_lost), T(kind, watches), T(kind, state_counts),           \
        T(kind, checkpoint_is_a_copy_of_its_time)

int main(void)
{
    const struct CMUnitTest tests[] = { CASES("memory"), CASES("rocksdb"), CASES("faulty") };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
