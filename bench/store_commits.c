/* Durable commits per second: how many threads on how many partitions share how many syncs.
 *
 *     store_commits DIRECTORY [THREADS [PARTITIONS [SECONDS [BLOB_BYTES]]]]
 *
 * Each commit puts two small rows and, when BLOB_BYTES is not 0, a blob that it links: the shape of a delivery. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/engine.h"

struct run {
    struct engine *g;
    unsigned partitions;
    size_t blob_bytes;
    int64_t until_ms;
    atomic_uint next;
    atomic_uint_fast64_t commits, us, worst_us;
};

static int deliver(struct run *run, engine_part part, const char *bytes, uint64_t n)
{
    engine_blob blob;
    struct engine_txn *t = engine_begin(run->g, part, ENGINE_ANY_VERSION);
    if (run->blob_bytes) {
        int rc = engine_blob_put(run->g, part, (str){ bytes, run->blob_bytes }, &blob);
        if (rc) {
            engine_abort(t);
            return rc;
        }
        engine_link(t, blob);
    }
    char row[200] = { 0 };
    engine_put(t, (str){ (const char *)&n, sizeof n }, (str){ row, sizeof row });
    engine_put(t, STR("counters"), (str){ row, 40 });
    return engine_commit(t, NULL);
}

static void *work(void *ctx)
{
    struct run *run = ctx;
    unsigned me = atomic_fetch_add(&run->next, 1);
    engine_part part = { { 0 } };
    unsigned p = me % run->partitions;
    memcpy(part.b, &p, sizeof p);
    char *bytes = malloc(run->blob_bytes + 1);
    require(bytes != NULL);
    random_bytes(bytes, run->blob_bytes);
    for (uint64_t n = 0; clock_mono_ms() < run->until_ms; n++) {
        int64_t start = clock_mono_us();
        int rc = deliver(run, part, bytes, (uint64_t)me << 40 | n);
        if (rc)
            panic("commit: %s", err_name(rc));
        uint64_t us = (uint64_t)(clock_mono_us() - start);
        atomic_fetch_add(&run->commits, 1);
        atomic_fetch_add(&run->us, us);
        if (us > atomic_load(&run->worst_us))
            atomic_store(&run->worst_us, us);
    }
    free(bytes);
    return NULL;
}

static uint64_t number(char **argv, int argc, int i, uint64_t otherwise)
{
    uint64_t n = otherwise;
    if (argc > i && !str_to_u64(str_from_z(argv[i]), 1 << 26, &n))
        panic("not a number: %s", argv[i]);
    return n;
}

int main(int argc, char **argv)
{
    struct error e = ERROR_NONE;
    struct run run = { .partitions = (unsigned)number(argv, argc, 3, 8), .blob_bytes = number(argv, argc, 5, 0) };
    unsigned threads = (unsigned)number(argv, argc, 2, 8);
    int64_t seconds = (int64_t)number(argv, argc, 4, 3);
    pthread_t *ids = calloc(threads, sizeof *ids);
    if (argc < 2 || !threads || !run.partitions || !ids) {
        (void)fprintf(stderr, "usage: store_commits DIRECTORY [THREADS [PARTITIONS [SECONDS [BLOB_BYTES]]]]\n");
        return 64;
    }
    if (engine_rocksdb_open(argv[1], NULL, &run.g, &e)) {
        (void)fprintf(stderr, "%s\n", e.text);
        return 75;
    }
    run.until_ms = clock_mono_ms() + seconds * 1000;
    for (unsigned i = 0; i < threads; i++)
        require(!pthread_create(&ids[i], NULL, work, &run));
    for (unsigned i = 0; i < threads; i++)
        require(!pthread_join(ids[i], NULL));
    struct engine_state s;
    engine_state(run.g, &s);
    uint64_t n = atomic_load(&run.commits);
    (void)printf("threads=%u partitions=%u blob=%zu commits/s=%.0f commits=%lu syncs=%lu commits-per-sync=%.1f mean-us=%.0f "
                 "worst-us=%lu\n",
                 threads, run.partitions, run.blob_bytes, (double)n / (double)seconds, (unsigned long)s.commits,
                 (unsigned long)s.syncs, (double)s.commits / (double)(s.syncs ? s.syncs : 1),
                 (double)atomic_load(&run.us) / (double)(n ? n : 1), (unsigned long)atomic_load(&run.worst_us));
    engine_close(run.g);
    free(ids);
    return 0;
}
