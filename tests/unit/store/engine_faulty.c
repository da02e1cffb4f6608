/* The faulty engine fails exactly as told: a test above it can rely on what happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "store/engine.h"
#include "store/faulty/faulty.h"

static const engine_part P = { "partition-one--" }, Q = { "partition-two--" };

static int setup(void **state)
{
    struct engine *g;
    assert_int_equal(engine_faulty_open(NULL, &(struct engine_settings){ .grace_ms = 1 }, 7, &g), 0);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    engine_close(*state);
    return 0;
}

static int put(struct engine *g, engine_part part, const char *key, bool synced)
{
    struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
    engine_put(t, str_from_z(key), STR("x"));
    return synced ? engine_commit(t, NULL) : engine_commit_unsynced(t, NULL);
}

static bool has(struct engine *g, engine_part part, const char *key)
{
    struct arena a = ARENA_INIT(1000);
    str k = str_from_z(key), value;
    assert_int_equal(engine_get(g, part, &k, 1, ENGINE_UNSYNCED, &a, &value, NULL), 0);
    bool there = value.p != NULL;
    arena_done(&a);
    return there;
}

static uint64_t version_of(struct engine *g, engine_part part)
{
    struct arena a = ARENA_INIT(1000);
    str k = STR("k"), value;
    uint64_t version;
    assert_int_equal(engine_get(g, part, &k, 1, ENGINE_UNSYNCED, &a, &value, &version), 0);
    arena_done(&a);
    return version;
}

static void crash_loses_what_was_not_synced(void **state)
{
    struct engine *g = *state;
    engine_blob kept, lost;
    uint64_t size, epoch = engine_epoch(g);
    assert_int_equal(put(g, P, "a", false), 0);
    assert_int_equal(engine_blob_put(g, P, STR("x"), &kept), 0);
    assert_int_equal(put(g, Q, "b", true), 0);
    assert_int_equal(put(g, P, "c", false), 0);
    assert_int_equal(engine_blob_put(g, P, STR("x"), &lost), 0);
    assert_true(has(g, P, "c"));
    engine_faulty_crash(g, 0);
    assert_true(has(g, P, "a")); /* one log: the sync for Q covers what was before it */
    assert_true(has(g, Q, "b"));
    assert_false(has(g, P, "c"));
    assert_int_equal(version_of(g, P), 1);
    assert_int_equal(engine_blob_size(g, &kept, &size), 0);
    assert_int_equal(engine_blob_size(g, &lost, &size), ERR_NOTFOUND);
    assert_int_equal(engine_epoch(g), epoch + 1);
}

static void crash_may_keep_a_prefix(void **state)
{
    struct engine *g = *state;
    assert_int_equal(put(g, P, "a", false), 0);
    assert_int_equal(put(g, P, "b", false), 0);
    assert_int_equal(put(g, P, "c", false), 0);
    engine_faulty_crash(g, 2);
    assert_true(has(g, P, "a") && has(g, P, "b"));
    assert_false(has(g, P, "c"));
    assert_int_equal(put(g, P, "d", true), 0);
    engine_faulty_crash(g, 0);
    assert_true(has(g, P, "a") && has(g, P, "b") && has(g, P, "d"));
    assert_int_equal(version_of(g, P), 3);
}

static void synced_read_makes_durable(void **state)
{
    struct engine *g = *state;
    struct arena a = ARENA_INIT(1000);
    str key = STR("a"), value;
    assert_int_equal(put(g, P, "a", false), 0);
    assert_int_equal(engine_get(g, P, &key, 1, ENGINE_SYNCED, &a, &value, NULL), 0);
    engine_faulty_crash(g, 0);
    assert_true(has(g, P, "a"));
    arena_done(&a);
}

static void nth_commit_fails(void **state)
{
    struct engine *g = *state;
    static const struct {
        struct engine_fault fault;
        bool there;
    } table[] = {
        { { .error = ERR_FULL }, false },
        { { .error = ERR_UNAVAILABLE }, false },
        { { .error = ERR_UNKNOWN }, false },
        { { .error = ERR_UNKNOWN, .applied = true }, true },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char key[3] = { 'k', (char)('0' + i), 0 };
        engine_faulty_at(g, ENGINE_FAULTY_COMMIT, 2, table[i].fault);
        assert_int_equal(put(g, P, "first", true), 0);
        assert_int_equal(put(g, P, key, true), table[i].fault.error);
        assert_int_equal(has(g, P, key), table[i].there);
        assert_int_equal(put(g, P, "third", true), 0);
    }
}

static void failed_sync_leaves_the_commit_in_doubt(void **state)
{
    struct engine *g = *state;
    engine_faulty_at(g, ENGINE_FAULTY_SYNC, 1, (struct engine_fault){ .error = ERR_UNKNOWN });
    assert_int_equal(put(g, P, "a", true), ERR_UNKNOWN);
    assert_true(has(g, P, "a"));
    engine_faulty_crash(g, 0);
    assert_false(has(g, P, "a"));
}

static void other_operations_fail_too(void **state)
{
    struct engine *g = *state;
    struct arena a = ARENA_INIT(1000);
    str key = STR("a"), value;
    char c;
    size_t n;
    engine_blob blob;
    const struct engine_fault io = { .error = ERR_IO };
    engine_faulty_at(g, ENGINE_FAULTY_GET, 1, io);
    assert_int_equal(engine_get(g, P, &key, 1, ENGINE_SYNCED, &a, &value, NULL), ERR_IO);
    engine_faulty_at(g, ENGINE_FAULTY_SCAN, 1, io);
    assert_int_equal(engine_scan(g, P, STR(""), STR(""), ENGINE_SYNCED, NULL, NULL, NULL), ERR_IO);
    engine_faulty_at(g, ENGINE_FAULTY_BLOB_WRITE, 1, io);
    assert_int_equal(engine_blob_put(g, P, STR("x"), &blob), ERR_IO);
    assert_int_equal(engine_blob_put(g, P, STR("x"), &blob), 0);
    engine_faulty_at(g, ENGINE_FAULTY_BLOB_READ, 1, io);
    assert_int_equal(engine_blob_read(g, &blob, 0, &c, 1, &n), ERR_IO);
    engine_faulty_at(g, ENGINE_FAULTY_BLOB_READ, 1, (struct engine_fault){ .corrupt = true });
    assert_int_equal(engine_blob_read(g, &blob, 0, &c, 1, &n), ERR_CORRUPT);
    assert_int_equal(engine_blob_read(g, &blob, 0, &c, 1, &n), 0);
    assert_int_equal(engine_faulty_count(g, ENGINE_FAULTY_BLOB_READ), 3);
    arena_done(&a);
}

static void never_lent(void *ctx, str bytes)
{
    fail(); /* it went to somebody already, perhaps */
}

static void every_flipped_bit_is_noticed(void **state)
{
    struct engine *g = *state;
    engine_faulty_random(g, ENGINE_FAULTY_BLOB_READ, 1000, (struct engine_fault){ .corrupt = true });
    for (size_t n = 0; n < 300; n++) {
        char bytes[300];
        size_t got;
        engine_blob blob;
        random_bytes(bytes, sizeof bytes);
        assert_int_equal(engine_blob_put(g, P, (str){ bytes, n }, &blob), 0);
        assert_int_equal(engine_blob_read(g, &blob, 0, bytes, sizeof bytes, &got), n ? ERR_CORRUPT : 0);
        assert_int_equal(engine_blob_lend(g, &blob, 0, sizeof bytes, never_lent, NULL, &got), n ? ERR_CORRUPT : 0);
    }
}

static void random_faults_repeat_for_a_seed(void **state)
{
    bool failed[2][200];
    size_t sum = 0;
    for (int run = 0; run < 2; run++) {
        struct engine *g;
        assert_int_equal(engine_faulty_open(NULL, NULL, 42, &g), 0);
        engine_faulty_random(g, ENGINE_FAULTY_COMMIT, 300, (struct engine_fault){ .error = ERR_UNKNOWN });
        for (int i = 0; i < 200; i++)
            failed[run][i] = put(g, P, "a", true) != 0;
        engine_close(g);
    }
    assert_memory_equal(failed[0], failed[1], sizeof failed[0]);
    for (int i = 0; i < 200; i++)
        sum += failed[0][i];
    assert_in_range(sum, 20, 120);
}

static void full_refuses_writes_but_lets_mail_go(void **state)
{
    struct engine *g = *state;
    struct engine_state s;
    engine_blob blob, other;
    assert_int_equal(engine_blob_put(g, P, STR("x"), &blob), 0);
    struct engine_txn *t = engine_begin(g, P, ENGINE_ANY_VERSION);
    engine_link(t, blob);
    assert_int_equal(engine_commit(t, NULL), 0);
    engine_faulty_full(g, true);
    assert_int_equal(put(g, P, "a", true), ERR_FULL);
    assert_int_equal(engine_blob_put(g, P, STR("x"), &other), ERR_FULL);
    engine_state(g, &s);
    assert_false(s.writable);
    assert_false(has(g, P, "a"));
    t = engine_begin(g, P, ENGINE_ANY_VERSION);
    engine_unlink(t, blob);
    assert_int_equal(engine_commit(t, NULL), 0);
    engine_faulty_full(g, false);
    assert_int_equal(put(g, P, "a", true), 0);
}

static void wraps_another_engine(void **state)
{
    struct engine *inner, *g;
    assert_int_equal(engine_memory_open(&inner), 0);
    assert_int_equal(put(inner, P, "before", true), 0);
    assert_int_equal(engine_faulty_open(inner, NULL, 1, &g), 0);
    assert_true(has(g, P, "before"));
    engine_faulty_at(g, ENGINE_FAULTY_COMMIT, 1, (struct engine_fault){ .error = ERR_UNKNOWN, .delay_ms = 1 });
    assert_int_equal(put(g, P, "a", true), ERR_UNKNOWN);
    assert_int_equal(put(g, P, "a", true), 0);
    assert_int_equal(version_of(inner, P), 2);
    engine_close(g);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(crash_loses_what_was_not_synced),
        T(crash_may_keep_a_prefix),
        T(synced_read_makes_durable),
        T(nth_commit_fails),
        T(failed_sync_leaves_the_commit_in_doubt),
        T(other_operations_fail_too),
        T(every_flipped_bit_is_noticed),
        T(random_faults_repeat_for_a_seed),
        T(full_refuses_writes_but_lets_mail_go),
        T(wraps_another_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
