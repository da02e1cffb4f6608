/* Rule E6 on every engine: what is deleted before the grace time is over, and what is not. */
#include "engine_fixture.h"

enum { HOUR_MS = 3600 * 1000, BLOB = 300000, HEAVY = 8 << 20 }; /* more than all else that the tests store */

/* A grace that no test lives through; a single unlinked byte weighs enough. */
static int setup_early(void **state)
{
    return setup_with(state, &(struct engine_settings){ .reserve_bytes = 1 << 20, .grace_ms = HOUR_MS, .early_bytes = 1 });
}

/* The default weight. */
static int setup_late(void **state)
{
    return setup_with(state, &(struct engine_settings){ .reserve_bytes = 1 << 20, .grace_ms = HOUR_MS });
}

static void collect(struct fixture *f)
{
    unsigned done;
    do
        assert_int_equal(engine_collect(f->g, 1000, &done), 0);
    while (done);
}

static engine_blob linked_blob(struct fixture *f, engine_part part, size_t n)
{
    engine_blob blob;
    char *bytes = noise(n);
    assert_int_equal(engine_blob_put(f->g, part, (str){ bytes, n }, &blob), 0);
    assert_int_equal(link_in(f, part, blob, true), 0);
    free(bytes);
    return blob;
}

static void unlinked_goes_early(void **state)
{
    struct fixture *f = *state;
    engine_blob stays = linked_blob(f, P, BLOB), goes = linked_blob(f, P, BLOB), large = linked_blob(f, P, HEAVY + 5);
    uint64_t version = version_of(f, P);
    collect(f);
    assert_true(blob_there(f, goes));
    assert_int_equal(link_in(f, P, goes, false), 0);
    assert_int_equal(link_in(f, P, large, false), 0);
    assert_true(engine_is_pressed(f->g));
    assert_true(blob_there(f, goes)); /* by collection only */
    collect(f);
    assert_false(blob_there(f, goes));
    assert_false(blob_there(f, large));
    assert_true(blob_there(f, stays));
    assert_false(engine_is_pressed(f->g));
    assert_int_equal(version_of(f, P), version + 2); /* the owner is not disturbed */
    assert_int_equal(link_in(f, P, goes, true), ERR_CONFLICT);
    for (int i = 0; i < 3; i++) { /* later rounds find what was unlinked since */
        goes = linked_blob(f, P, HEAVY);
        assert_int_equal(link_in(f, P, goes, false), 0);
        collect(f);
        assert_false(blob_there(f, goes));
    }
    assert_true(blob_there(f, stays));
}

static void light_waits_for_the_grace(void **state)
{
    struct fixture *f = *state;
    engine_blob blob = linked_blob(f, P, BLOB);
    assert_int_equal(link_in(f, P, blob, false), 0);
    assert_false(engine_is_pressed(f->g));
    collect(f);
    assert_true(blob_there(f, blob));
    assert_int_equal(link_in(f, P, blob, true), 0);
}

static void reader_keeps_what_it_may_name(void **state)
{
    struct fixture *f = *state;
    engine_blob blob = linked_blob(f, P, BLOB), elsewhere = linked_blob(f, Q, BLOB);
    struct engine_reader *r = engine_read_begin(f->g, P);
    assert_int_equal(link_in(f, P, blob, false), 0);
    assert_int_equal(link_in(f, Q, elsewhere, false), 0);
    struct engine_reader *late = engine_read_begin(f->g, P);
    collect(f);
    assert_true(blob_there(f, blob));
    assert_false(blob_there(f, elsewhere));                    /* it is a reader of P */
    assert_int_equal(link_in(f, P, blob, true), ERR_CONFLICT); /* condemned already */
    struct engine_reader *source = engine_read_on(r);          /* what streams on after R */
    struct engine_reader *behind = engine_read_begin(f->g, P); /* cannot know it any more */
    engine_read_end(r);
    engine_read_end(late);
    collect(f);
    assert_true(blob_there(f, blob));
    char c;
    size_t got;
    assert_int_equal(engine_blob_read(f->g, &blob, BLOB - 1, &c, 1, &got), 0);
    engine_read_end(source);
    collect(f);
    assert_false(blob_there(f, blob)); /* though BEHIND has not ended: readers without end starve nothing */
    engine_read_end(behind);
}

static void orphans_wait(void **state)
{
    struct fixture *f = *state;
    engine_blob orphan, shared;
    char *bytes = noise(BLOB);
    assert_int_equal(engine_blob_put(f->g, P, (str){ bytes, BLOB }, &orphan), 0);
    assert_int_equal(engine_blob_put_shared(f->g, (str){ bytes, BLOB }, &shared), 0);
    engine_blob goes = linked_blob(f, P, HEAVY);
    assert_int_equal(link_in(f, P, goes, false), 0);
    collect(f);
    assert_false(blob_there(f, goes));
    assert_int_equal(link_in(f, P, orphan, true), 0); /* the commit that was under way */
    assert_int_equal(engine_blob_hold(f->g, shared, Q), 0);
    assert_int_equal(link_in(f, Q, shared, true), 0);
    assert_true(blob_there(f, orphan));
    free(bytes);
}

static void relinked_in_time_stays(void **state)
{
    struct fixture *f = *state;
    engine_blob blob = linked_blob(f, P, BLOB);
    assert_int_equal(link_in(f, P, blob, false), 0);
    assert_int_equal(link_in(f, P, blob, true), 0);
    collect(f);
    assert_true(blob_there(f, blob));
    assert_int_equal(link_in(f, P, blob, false), 0);
    collect(f);
    assert_false(blob_there(f, blob));
}

static void shared_goes_with_its_last_holder(void **state)
{
    struct fixture *f = *state;
    engine_blob blob;
    char *bytes = noise(BLOB);
    assert_int_equal(engine_blob_put_shared(f->g, (str){ bytes, BLOB }, &blob), 0);
    assert_int_equal(engine_blob_hold(f->g, blob, P), 0);
    assert_int_equal(link_in(f, P, blob, true), 0);
    assert_int_equal(engine_blob_hold(f->g, blob, Q), 0);
    assert_int_equal(link_in(f, Q, blob, true), 0);
    assert_int_equal(link_in(f, P, blob, false), 0);
    collect(f);
    assert_true(blob_there(f, blob));
    struct engine_reader *r = engine_read_begin(f->g, Q);
    assert_int_equal(link_in(f, Q, blob, false), 0);
    collect(f);
    assert_true(blob_there(f, blob));
    engine_read_end(r);
    collect(f);
    assert_false(blob_there(f, blob));
    free(bytes);
}

static void given_up_is_gone_at_once(void **state)
{
    struct fixture *f = *state;
    engine_blob dropped, linked = linked_blob(f, P, BLOB), shared;
    char *bytes = noise(3 << 20);
    assert_int_equal(engine_blob_put(f->g, P, (str){ bytes, 3 << 20 }, &dropped), 0);
    assert_int_equal(engine_blob_drop(f->g, P, dropped), 0);
    assert_false(blob_there(f, dropped));
    assert_int_equal(engine_blob_drop(f->g, P, linked), ERR_CONFLICT);
    assert_int_equal(engine_blob_drop(f->g, Q, linked), ERR_INTERNAL);
    assert_int_equal(engine_blob_put_shared(f->g, STR("x"), &shared), 0);
    assert_int_equal(engine_blob_drop(f->g, P, shared), ERR_INTERNAL);
    assert_true(blob_there(f, linked) && blob_there(f, shared));
    free(bytes);
}

/* Readers and one who links and unlinks, while rounds go on without a pause: what a reader has found linked it can read to its end. */
struct crowd {
    struct fixture *f;
    atomic_bool over;
    atomic_uint reads, wrong;
};

static void *crowd_reader(void *ctx)
{
    struct crowd *w = ctx;
    struct arena a = ARENA_INIT(1 << 20);
    char *p = malloc(BLOB);
    while (!atomic_load(&w->over)) {
        struct engine_reader *r = engine_read_begin(w->f->g, P);
        str key = STR("names"), value;
        engine_blob blob;
        size_t got = 0;
        arena_reset(&a);
        if (!engine_get(w->f->g, P, &key, 1, ENGINE_UNSYNCED, &a, &value, NULL) && value.n == sizeof blob) {
            memcpy(blob.b, value.p, sizeof blob.b);
            for (size_t at = 0; at < BLOB; at += 100000) {
                int rc = engine_blob_read(w->f->g, &blob, at, p, 100000, &got);
                if (rc || got != 100000)
                    atomic_fetch_add(&w->wrong, 1);
                pause_ms(1);
            }
            atomic_fetch_add(&w->reads, 1);
        }
        engine_read_end(r);
    }
    free(p);
    arena_done(&a);
    return NULL;
}

static void *crowd_collector(void *ctx)
{
    struct crowd *w = ctx;
    while (!atomic_load(&w->over))
        if (engine_collect(w->f->g, 100, NULL))
            atomic_fetch_add(&w->wrong, 1);
    return NULL;
}

static void readers_in_a_crowd_read_to_the_end(void **state)
{
    struct crowd w = { .f = *state };
    pthread_t threads[4];
    engine_blob last = { { 0 } };
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i ? crowd_reader : crowd_collector, &w), 0);
    char *bytes = noise(BLOB);
    for (int i = 0; i < 60; i++) {
        engine_blob blob;
        assert_int_equal(engine_blob_put(w.f->g, P, (str){ bytes, BLOB }, &blob), 0);
        struct engine_txn *t = engine_begin(w.f->g, P, ENGINE_ANY_VERSION);
        engine_link(t, blob);
        if (i)
            engine_unlink(t, last);
        engine_put(t, STR("names"), (str){ (const char *)blob.b, sizeof blob.b });
        assert_int_equal(engine_commit(t, NULL), 0);
        last = blob;
    }
    while (!atomic_load(&w.reads))
        pause_ms(1);
    atomic_store(&w.over, true);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&w.wrong), 0);
    collect(w.f);
    assert_true(blob_there(w.f, last));
    free(bytes);
}

/* Power fails after any number of the writes that were under way: a blob that is still linked is there, whole; what is not is deleted in the end. */
static void power_cut_takes_no_linked_blob(void **state)
{
    char *bytes = noise(BLOB), back[100];
    bool reached = false;
    for (size_t keep = 0; !reached; keep++) {
        struct engine *g;
        assert_int_equal(engine_faulty_open(NULL, &(struct engine_settings){ .grace_ms = HOUR_MS, .early_bytes = 1 }, 3, &g), 0);
        struct fixture f = { .g = g };
        arena_init(&f.a, 1 << 20);
        engine_blob blobs[3], shared;
        for (int i = 0; i < 3; i++)
            blobs[i] = linked_blob(&f, P, BLOB);
        assert_int_equal(engine_blob_put_shared(g, (str){ bytes, BLOB }, &shared), 0);
        assert_int_equal(engine_blob_hold(g, shared, Q), 0);
        assert_int_equal(link_in(&f, Q, shared, true), 0);
        for (int i = 0; i < 3; i++) {
            struct engine_txn *t = engine_begin(g, i < 2 ? P : Q, ENGINE_ANY_VERSION);
            engine_unlink(t, i < 2 ? blobs[i] : shared);
            engine_put(t, i == 0 ? STR("0") : STR("1"), STR("unlinked"));
            assert_int_equal(engine_commit_unsynced(t, NULL), 0);
        }
        collect(&f); /* deletes all three, nothing of it is durable */
        assert_false(blob_there(&f, blobs[0]) || blob_there(&f, blobs[1]) || blob_there(&f, shared));
        engine_faulty_crash(g, keep);
        bool gone[3] = { get(&f, P, STR("0")).p, get(&f, P, STR("1")).p, get(&f, Q, STR("1")).p };
        const engine_blob *all[3] = { &blobs[0], &blobs[1], &shared };
        size_t got;
        for (int i = 0; i < 3; i++)
            if (!gone[i])
                assert_int_equal(engine_blob_read(g, all[i], BLOB - 100, back, 100, &got), 0);
        assert_int_equal(engine_blob_read(g, &blobs[2], 0, back, 100, &got), 0);
        reached =
            gone[0] && gone[1] && gone[2] && !blob_there(&f, blobs[0]) && !blob_there(&f, blobs[1]) && !blob_there(&f, shared);
        for (int i = 0; i < 3; i++)
            if (!gone[i])
                assert_int_equal(link_in(&f, i < 2 ? P : Q, *all[i], false), 0);
        engine_blob more = linked_blob(&f, P, BLOB); /* something to weigh */
        assert_int_equal(link_in(&f, P, more, false), 0);
        collect(&f);
        for (int i = 0; i < 3; i++)
            assert_false(blob_there(&f, *all[i]));
        assert_true(blob_there(&f, blobs[2]));
        engine_close(g);
        arena_done(&f.a);
        assert_true(keep < 100);
    }
    free(bytes);
}

static uint64_t dir_bytes;

static int add_bytes(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    dir_bytes += flag == FTW_F ? (uint64_t)st->st_blocks * 512 : 0;
    return 0;
}

/* Much comes and goes, little stays: what is on the disk follows what lives. */
static void churn_does_not_pile_up(void **state)
{
    struct fixture *f = *state;
    enum { SMALL = 64 * 1024, LIVING = 32, ALL = 3200 };
    static engine_blob list[LIVING];
    char *bytes = noise(SMALL);
    for (unsigned i = 0; i < ALL; i++) {
        struct engine_txn *t = engine_begin(f->g, P, ENGINE_ANY_VERSION);
        if (i >= LIVING)
            engine_unlink(t, list[i % LIVING]);
        random_bytes(bytes, 4096); /* each is another */
        engine_put_blob(t, (str){ bytes, SMALL }, &list[i % LIVING]);
        assert_int_equal(engine_commit_unsynced(t, NULL), 0);
        if (i % 100 == 99)
            assert_int_equal(engine_collect(f->g, 1000, NULL), 0);
    }
    for (int i = 0; i < 3; i++) /* idle: what is in memory goes to the files */
        assert_int_equal(engine_collect(f->g, 1000, NULL), 0);
    dir_bytes = 0;
    (void)nftw(f->dir, add_bytes, 16, FTW_PHYS);
    assert_true(dir_bytes < (64 << 20)); /* of 200 MiB; 2 MiB live, and up to 16 are left alone */
    for (unsigned i = 0; i < LIVING; i++)
        assert_true(blob_there(f, list[i]));
    free(bytes);
}

#define E(kind, f)                                                                                                               \
    {                                                                                                                            \
        kind ": " #f, f, setup_early, teardown, (void *)(uintptr_t)kind                                                          \
    }
#define L(kind, f)                                                                                                               \
    {                                                                                                                            \
        kind ": " #f, f, setup_late, teardown, (void *)(uintptr_t)kind                                                           \
    }
#define CASES(kind)                                                                                                              \
    E(kind, unlinked_goes_early), L(kind, light_waits_for_the_grace), E(kind, reader_keeps_what_it_may_name),                    \
        E(kind, orphans_wait), E(kind, relinked_in_time_stays), E(kind, shared_goes_with_its_last_holder),                       \
        E(kind, given_up_is_gone_at_once), E(kind, readers_in_a_crowd_read_to_the_end)

int main(void)
{
    const struct CMUnitTest tests[] = { CASES("memory"), CASES("rocksdb"), CASES("faulty"), L("rocksdb", churn_does_not_pile_up),
                                        cmocka_unit_test(power_cut_takes_no_linked_blob) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
