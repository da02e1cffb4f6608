/* What only an engine on a disk can do wrong: reopening, being killed, syncs that fail or are not shared, full disks, damaged files.
 *
 * fdatasync is ours here, so that the tests see each sync, can hold it and can let it fail. What needs a process of its own (to be killed, to have
 * a file system of its own) is this program again with arguments. Longer than 800 lines: the interposed fdatasync and the program's own
 * sub-commands serve all of the tests. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "store/engine.h"
#include "../check.h"

extern char **environ;

static atomic_int sync_error; /* what fdatasync fails with; 0: it works */
static atomic_uint sync_count;
static atomic_uint sync_hold; /* 1: the next one waits until this is 0 */
static atomic_uint sync_held;

/* How much of each log the disk holds for certain; shared with the process that pulls the plug. By name: numbers are not used again, inodes are. */
enum { SYNCED_MAX = 512 };
struct synced {
    char log[24];
    off_t size;
};
static struct synced *synced;

static void note_synced(const char *log, off_t size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < SYNCED_MAX && synced[i].log[0] && strcmp(synced[i].log, log) != 0)
        i++;
    require(i < SYNCED_MAX);
    (void)snprintf(synced[i].log, sizeof synced[i].log, "%s", log);
    if (synced[i].size < size)
        synced[i].size = size;
    pthread_mutex_unlock(&lock);
}

static off_t synced_size(const char *log)
{
    for (size_t i = 0; i < SYNCED_MAX && synced[i].log[0]; i++) {
        if (!strcmp(synced[i].log, log))
            return synced[i].size;
    }
    return 0;
}

/* The path of a log that FD is open for. False: it is something else. */
static bool log_path(int fd, char path[static 4096])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4095);
    if (n <= 0 || !str_ends((str){ path, (size_t)n }, STR(".log")))
        return false;
    path[n] = 0;
    return true;
}

static atomic_bool order_watched;            /* each sync waits a moment and looks for newer logs that are in use */
static atomic_uint order_seen, order_broken; /* such syncs; those that met R8 broken */

/* A log that is synced only now while a newer one has bytes already. */
static void watch_order(const char *path, off_t size)
{
    char dir_name[4096];
    const char *log = strrchr(path, '/') + 1;
    (void)snprintf(dir_name, sizeof dir_name, "%.*s", (int)(log - path), path);
    usleep(5000);
    DIR *dir = opendir(dir_name);
    require(dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        struct stat st;
        if (!str_ends(str_from_z(d->d_name), STR(".log")) || strcmp(d->d_name, log) <= 0)
            continue;
        atomic_fetch_add(&order_seen, 1);
        if (!fstatat(dirfd(dir), d->d_name, &st, 0) && st.st_size > 0 && synced_size(log) < size)
            atomic_fetch_add(&order_broken, 1);
    }
    (void)closedir(dir);
}

static atomic_int flush_error; /* what the next fdatasync of a file that is no log fails with; 0: it works */
static atomic_uint flush_hold, flush_held;

int fdatasync(int fd);
int fdatasync(int fd)
{
    struct stat before;
    char path[4096];
    bool is_log = log_path(fd, path);
    if (atomic_load(&flush_error) && !is_log) {
        atomic_fetch_add(&flush_held, 1);
        while (atomic_load(&flush_hold))
            usleep(500);
        errno = atomic_exchange(&flush_error, 0);
        if (errno)
            return -1;
    }
    require(!fstat(fd, &before));
    atomic_fetch_add(&sync_count, 1);
    if (atomic_load(&sync_hold)) {
        atomic_fetch_add(&sync_held, 1);
        while (atomic_load(&sync_hold))
            usleep(500);
    }
    if (atomic_load(&sync_error)) {
        errno = atomic_load(&sync_error);
        return -1;
    }
    if (is_log && atomic_load(&order_watched))
        watch_order(path, before.st_size);
    int rc = (int)syscall(SYS_fdatasync, fd);
    if (!rc && synced && is_log)
        note_synced(strrchr(path, '/') + 1, before.st_size);
    return rc;
}

struct fixture {
    char dir[32];
    struct engine *g;
    struct engine_settings settings;
    struct arena a;
};

static const engine_part P = { "partition-one--" }, Q = { "partition-two--" };

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void open_again(struct fixture *f)
{
    struct error e = ERROR_NONE;
    engine_close(f->g);
    f->g = NULL;
    int rc = engine_rocksdb_open(f->dir, &f->settings, &f->g, &e);
    if (rc)
        fail_msg("%s: %s", err_name(rc), e.text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->settings = (struct engine_settings){ .reserve_bytes = 1 << 20, .grace_ms = 1 };
    arena_init(&f->a, 64 << 20);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/valise-rocksdb-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_again(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    atomic_store(&sync_error, 0);
    engine_close(f->g);
    arena_done(&f->a);
    (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static int try_put(struct engine *g, engine_part part, str key, str value)
{
    struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
    engine_put(t, key, value);
    return engine_commit(t, NULL);
}

static int put_unsynced(struct engine *g, engine_part part, str key, str value)
{
    struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
    engine_put(t, key, value);
    return engine_commit_unsynced(t, NULL);
}

static str get(struct fixture *f, engine_part part, str key, uint64_t *version)
{
    str value;
    assert_int_equal(engine_get(f->g, part, &key, 1, ENGINE_SYNCED, &f->a, &value, version), 0);
    return value;
}

static void pause_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

/* Tries until the engine has come back, for at most 20 s. */
static void put_when_back(struct fixture *f, str key)
{
    int rc = ERR_UNAVAILABLE;
    for (int i = 0; i < 400 && rc; i++) {
        rc = try_put(f->g, P, key, STR("back"));
        if (rc)
            pause_ms(50);
    }
    assert_int_equal(rc, 0);
}

/* --- reopening --- */

static void reopen_keeps_all(void **state)
{
    struct fixture *f = *state;
    static char bytes[3 << 20], back[3 << 20];
    engine_blob small, large;
    size_t got;
    uint64_t version;
    random_bytes(bytes, sizeof bytes);
    assert_int_equal(engine_blob_put(f->g, P, STR("small"), &small), 0);
    assert_int_equal(engine_blob_put(f->g, P, (str){ bytes, sizeof bytes }, &large), 0);
    struct engine_txn *t = engine_begin(f->g, P, 0);
    engine_put(t, STR("a"), STR("1"));
    engine_link(t, small);
    engine_link(t, large);
    assert_int_equal(engine_commit(t, NULL), 0);
    assert_int_equal(put_unsynced(f->g, Q, STR("b"), STR("2")), 0);
    for (int i = 0; i < 2; i++) {
        open_again(f);
        assert_true(str_eq(get(f, P, STR("a"), &version), STR("1")));
        assert_int_equal(version, 1);
        assert_true(str_eq(get(f, Q, STR("b"), NULL), STR("2")));
        assert_int_equal(engine_blob_read(f->g, &small, 0, back, sizeof back, &got), 0);
        assert_int_equal(got, 5);
        assert_int_equal(engine_blob_read(f->g, &large, 0, back, sizeof back, &got), 0);
        assert_int_equal(got, sizeof bytes);
        assert_memory_equal(bytes, back, sizeof bytes);
    }
    t = engine_begin(f->g, P, 0);
    assert_int_equal(engine_commit(t, NULL), ERR_CONFLICT);
}

static void versions_survive_a_crowd_of_partitions(void **state)
{
    struct fixture *f = *state;
    const uint32_t crowd = check_many(40000, 1000); /* more than the engine keeps in memory */
    for (uint32_t i = 0; i < crowd; i++) {
        engine_part part = { { 0 } };
        memcpy(part.b, &i, sizeof i);
        assert_int_equal(put_unsynced(f->g, part, STR("k"), STR("v")), 0);
        if (i % 500 == 0)
            assert_int_equal(engine_wait_synced(f->g, part), 0);
    }
    for (uint32_t i = 0; i < crowd; i += 97) {
        engine_part part = { { 0 } };
        memcpy(part.b, &i, sizeof i);
        struct engine_txn *t = engine_begin(f->g, part, 1);
        assert_int_equal(engine_commit_unsynced(t, NULL), 0);
    }
}

static void a_crowd_does_not_hide_what_is_pending(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_unsynced(f->g, P, STR("a"), STR("1")), 0);
    for (uint32_t i = 0; i < check_many(60000, 1000); i++) {
        engine_part part = { { 0 } };
        memcpy(part.b, &i, sizeof i);
        assert_int_equal(put_unsynced(f->g, part, STR("k"), STR("v")), 0);
    }
    struct engine_state before, after;
    engine_state(f->g, &before);
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    engine_state(f->g, &after);
    assert_int_equal(after.syncs, before.syncs + 1);
}

static void second_opener_is_refused(void **state)
{
    struct fixture *f = *state;
    struct engine *g = NULL;
    struct error e = ERROR_NONE;
    assert_int_equal(engine_rocksdb_open(f->dir, NULL, &g, &e), ERR_UNAVAILABLE);
    assert_null(g);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, f->dir));
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
}

static void path_that_cannot_be(void **state)
{
    struct engine *g = NULL;
    struct error e = ERROR_NONE;
    assert_int_equal(engine_rocksdb_open("/proc/nowhere/store", NULL, &g, &e), ERR_NOTFOUND);
    assert_int_equal(e.code, ERR_NOTFOUND);
    assert_null(g);
}

/* --- other processes --- */

static const char *program; /* ours; under valgrind /proc/self/exe is valgrind */

static pid_t spawn_self(const char *mode, const char *dir, int *ret_fd)
{
    int fds[2];
    pid_t pid;
    char *argv[] = { (char *)(uintptr_t) "engine_rocksdb", (char *)(uintptr_t)mode, (char *)(uintptr_t)dir, NULL };
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 3);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

enum { KILL_THREADS = 4 };

enum { SMALL = 5000, LARGE = 200000 }; /* with large ones the logs change often */

struct committer {
    struct engine *g;
    unsigned id;
    size_t bytes;
};

/* Commits n = 1, 2, 3 ... with a blob and tells each one that is durable. */
static void *committing(void *ctx)
{
    const struct committer *c = ctx;
    engine_part part = { { (uint8_t)(c->id + 1) } };
    struct arena a = ARENA_INIT(4096);
    str key = STR("n"), value;
    uint64_t version;
    require(!engine_get(c->g, part, &key, 1, ENGINE_SYNCED, &a, &value, &version));
    arena_done(&a);
    char *bytes = malloc(c->bytes);
    require(bytes != NULL);
    random_bytes(bytes, c->bytes);
    for (uint64_t n = version + 1;; n++) {
        engine_blob blob;
        bytes[0] = (char)n;
        require(!engine_blob_put(c->g, part, (str){ bytes, c->bytes }, &blob));
        struct engine_txn *t = engine_begin(c->g, part, n - 1);
        engine_put(t, STR("n"), (str){ (const char *)&n, sizeof n });
        engine_put(t, STR("blob"), (str){ (const char *)blob.b, sizeof blob.b });
        engine_link(t, blob);
        require(!engine_commit(t, NULL));
        uint64_t told[2] = { c->id, n };
        require(write(3, told, sizeof told) == (ssize_t)sizeof told);
    }
    return NULL;
}

/* The table of what is synced, in a file beside the store. */
static struct synced *synced_map(const char *dir)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s.synced", dir);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    require(fd >= 0 && !ftruncate(fd, SYNCED_MAX * sizeof(struct synced)));
    struct synced *map = mmap(NULL, SYNCED_MAX * sizeof(struct synced), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    require(map != MAP_FAILED);
    (void)close(fd);
    return map;
}

static int child_commits(const char *dir, size_t bytes)
{
    struct engine *g;
    struct committer committers[KILL_THREADS];
    pthread_t threads[KILL_THREADS];
    if (bytes == LARGE)
        synced = synced_map(dir);
    require(!engine_rocksdb_open(dir, &(struct engine_settings){ .reserve_bytes = 1 << 20 }, &g, NULL));
    for (unsigned i = 0; i < KILL_THREADS; i++) {
        committers[i] = (struct committer){ g, i, bytes };
        require(!pthread_create(&threads[i], NULL, committing, &committers[i]));
    }
    for (unsigned i = 0; i < KILL_THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* The newest log loses its last bytes, as when power fails in the middle of a write. */
static void tear_log(const char *dir_name, off_t bytes)
{
    char newest[256] = "";
    DIR *dir = opendir(dir_name);
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));)
        if (str_ends(str_from_z(d->d_name), STR(".log")) && strcmp(d->d_name, newest) > 0)
            (void)snprintf(newest, sizeof newest, "%s", d->d_name);
    struct stat st;
    assert_int_equal(fstatat(dirfd(dir), newest, &st, 0), 0);
    int fd = openat(dirfd(dir), newest, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, st.st_size > bytes ? st.st_size - bytes : 0), 0);
    (void)close(fd);
    (void)closedir(dir);
}

static void check_committed(struct fixture *f, const uint64_t *acked, uint64_t *reached, size_t size)
{
    char *bytes = malloc(size);
    for (unsigned i = 0; i < KILL_THREADS; i++) {
        engine_part part = { { (uint8_t)(i + 1) } };
        uint64_t version, n = 0;
        str value = get(f, part, STR("n"), &version);
        if (value.p)
            memcpy(&n, value.p, sizeof n);
        assert_int_equal(n, version);
        assert_true(n >= acked[i]);
        reached[i] = n;
        if (!n)
            continue;
        engine_blob blob;
        size_t got;
        memcpy(blob.b, get(f, part, STR("blob"), NULL).p, sizeof blob.b);
        assert_int_equal(engine_blob_read(f->g, &blob, 0, bytes, size, &got), 0);
        assert_int_equal(got, size);
        assert_int_equal(bytes[0], (char)n);
    }
    free(bytes);
}

/* What was not synced is gone from the logs, but that the disk may have got more of the newest one. */
static void lose_unsynced(const char *dir_name, bool newest_too)
{
    char newest[256] = "";
    synced = synced_map(dir_name);
    DIR *dir = opendir(dir_name);
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        if (str_ends(str_from_z(d->d_name), STR(".log")) && strcmp(d->d_name, newest) > 0)
            (void)snprintf(newest, sizeof newest, "%s", d->d_name);
    }
    rewinddir(dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        struct stat st;
        if (!str_ends(str_from_z(d->d_name), STR(".log")) || (!newest_too && !strcmp(d->d_name, newest)))
            continue;
        int fd = openat(dirfd(dir), d->d_name, O_WRONLY);
        assert_true(fd >= 0 && !fstat(fd, &st));
        off_t size = synced_size(d->d_name);
        assert_int_equal(ftruncate(fd, size < st.st_size ? size : st.st_size), 0);
        (void)close(fd);
    }
    (void)closedir(dir);
    (void)munmap(synced, SYNCED_MAX * sizeof *synced);
    synced = NULL;
}

/* Lets another process commit, kills it after 1 to MOST commits, and looks for what it told. */
static void kill_rounds(struct fixture *f, const char *mode, size_t bytes, unsigned rounds, uint32_t most)
{
    uint64_t acked[KILL_THREADS] = { 0 };
    for (unsigned round = 0; round < rounds; round++) {
        int fd;
        engine_close(f->g);
        f->g = NULL;
        pid_t pid = spawn_self(mode, f->dir, &fd);
        uint64_t told[2];
        for (uint32_t left = 1 + random_below(most); left && read(fd, told, sizeof told) == (ssize_t)sizeof told; left--)
            acked[told[0]] = told[1];
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(fd, told, sizeof told) == (ssize_t)sizeof told)
            acked[told[0]] = told[1];
        (void)close(fd);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (bytes == LARGE) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s.synced", f->dir);
            lose_unsynced(f->dir, round % 2);
            assert_int_equal(unlink(name), 0);
        }
        open_again(f);
        check_committed(f, acked, acked, bytes);
    }
}

static void killed_keeps_what_was_told(void **state)
{
    kill_rounds(*state, "commits", SMALL, check_many(5, 2), 300);
}

static void power_loss_keeps_what_was_told(void **state)
{
    kill_rounds(*state, "power", LARGE, check_many(4, 1), 400);
}

static void older_logs_are_synced_before_a_newer_one_is_used(void **state)
{
    struct fixture *f = *state;
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    random_bytes(bytes, LARGE);
    synced = synced_map(f->dir);
    atomic_store(&order_watched, true);
    for (unsigned i = 0; i < check_many(400, 200); i++) {
        engine_blob blob;
        memcpy(bytes, &i, sizeof i);
        assert_int_equal(engine_blob_put(f->g, P, (str){ bytes, LARGE }, &blob), 0);
        assert_int_equal(put_unsynced(f->g, i % 2 ? P : Q, STR("row"), STR("of it")), 0);
    }
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    atomic_store(&order_watched, false);
    char name[64];
    (void)snprintf(name, sizeof name, "%s.synced", f->dir);
    (void)munmap(synced, SYNCED_MAX * sizeof *synced);
    synced = NULL;
    assert_int_equal(unlink(name), 0);
    free(bytes);
    assert_true(atomic_load(&order_seen) > 0);
    assert_int_equal(atomic_load(&order_broken), 0);
}

static void torn_log_gives_a_prefix(void **state)
{
    struct fixture *f = *state;
    const uint64_t none[KILL_THREADS] = { 0 };
    for (unsigned round = 0; round < check_many(5, 2); round++) {
        int fd;
        uint64_t told[2], reached[KILL_THREADS];
        engine_close(f->g);
        f->g = NULL;
        pid_t pid = spawn_self("commits", f->dir, &fd);
        for (int left = 100; left && read(fd, told, sizeof told) == (ssize_t)sizeof told; left--)
            ;
        assert_int_equal(kill(pid, SIGKILL), 0);
        (void)close(fd);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        tear_log(f->dir, 1 + random_below(20000));
        open_again(f);
        check_committed(f, none, reached, SMALL); /* whole commits, their blobs with them */
    }
}

static void other_process_is_refused(void **state)
{
    struct fixture *f = *state;
    int fd;
    uint64_t told[2];
    struct error e = ERROR_NONE;
    engine_close(f->g);
    f->g = NULL;
    pid_t pid = spawn_self("commits", f->dir, &fd);
    assert_int_equal(read(fd, told, sizeof told), sizeof told);
    assert_int_equal(engine_rocksdb_open(f->dir, NULL, &f->g, &e), ERR_UNAVAILABLE);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(fd);
    open_again(f);
}

/* --- syncs --- */

static void each_commit_alone_syncs_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        unsigned before = atomic_load(&sync_count);
        assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
        assert_int_equal(atomic_load(&sync_count), before + 1);
    }
    unsigned before = atomic_load(&sync_count);
    for (int i = 0; i < 10; i++)
        assert_int_equal(put_unsynced(f->g, P, STR("a"), STR("1")), 0);
    str key = STR("a"), value;
    assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_UNSYNCED, &f->a, &value, NULL), 0);
    assert_int_equal(engine_wait_synced(f->g, Q), 0);
    assert_int_equal(atomic_load(&sync_count), before);
    assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_SYNCED, &f->a, &value, NULL), 0); /* E4 */
    assert_int_equal(atomic_load(&sync_count), before + 1);
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    assert_int_equal(atomic_load(&sync_count), before + 1);
}

struct single {
    struct engine *g;
    unsigned id;
    int rc;
    atomic_bool done;
};

static void *commit_one(void *ctx)
{
    struct single *s = ctx;
    engine_part part = { { (uint8_t)(s->id + 1) } };
    s->rc = try_put(s->g, part, STR("a"), STR("1"));
    atomic_store(&s->done, true);
    return NULL;
}

/* One commit is in its sync; seven more are written meanwhile; one more sync serves them all. */
static void commits_share_a_sync(void **state)
{
    struct fixture *f = *state;
    struct single singles[8];
    pthread_t threads[8];
    struct engine_state before, after;
    engine_state(f->g, &before);
    atomic_store(&sync_held, 0);
    atomic_store(&sync_hold, 1);
    for (unsigned i = 0; i < 8; i++) {
        singles[i] = (struct single){ .g = f->g, .id = i };
        assert_int_equal(pthread_create(&threads[i], NULL, commit_one, &singles[i]), 0);
        while (!i && !atomic_load(&sync_held))
            pause_ms(1);
    }
    for (unsigned i = 1; i < 8; i++) {
        engine_part part = { { (uint8_t)(i + 1) } };
        str key = STR("a"), value = { NULL, 0 };
        while (!value.p) {
            assert_int_equal(engine_get(f->g, part, &key, 1, ENGINE_UNSYNCED, &f->a, &value, NULL), 0);
            pause_ms(1);
        }
        assert_false(atomic_load(&singles[i].done));
    }
    atomic_store(&sync_hold, 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(singles[i].rc, 0);
    }
    engine_state(f->g, &after);
    assert_int_equal(after.commits - before.commits, 8);
    assert_int_equal(after.syncs - before.syncs, 2);
}

static void failed_sync_is_unknown_and_the_engine_comes_back(void **state)
{
    struct fixture *f = *state;
    struct engine_state s;
    str key = STR("a"), value;
    uint64_t version, epoch = engine_epoch(f->g);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
    atomic_store(&sync_error, EIO);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("2")), ERR_UNKNOWN);
    engine_state(f->g, &s);
    assert_false(s.writable);
    assert_string_equal(s.why, "io-error");
    assert_int_equal(engine_get(f->g, P, &key, 1, ENGINE_SYNCED, &f->a, &value, NULL), ERR_UNAVAILABLE);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("3")), ERR_UNAVAILABLE);
    atomic_store(&sync_error, 0);
    put_when_back(f, STR("b"));
    assert_int_equal(engine_epoch(f->g), epoch + 1);
    value = get(f, P, STR("a"), &version);
    assert_true((str_eq(value, STR("1")) && version == 2) || (str_eq(value, STR("2")) && version == 3));
    engine_state(f->g, &s);
    assert_true(s.writable);
    open_again(f);
    assert_true(str_eq(get(f, P, STR("b"), NULL), STR("back")));
}

/* Nobody meets the failure: it is answered before the next commit. */
static void failed_flush_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct engine_state s;
    unsigned done;
    uint64_t epoch = engine_epoch(f->g);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
    assert_int_equal(put_unsynced(f->g, P, STR("b"), STR("2")), 0);
    atomic_store(&flush_error, EIO);
    for (int i = 0; i < 3; i++) /* the second one finds it idle, and writes out */
        assert_int_equal(engine_collect(f->g, 10, &done), 0);
    assert_int_equal(atomic_load(&flush_error), 0);
    assert_int_equal(engine_epoch(f->g), epoch + 1);
    engine_state(f->g, &s);
    assert_true(s.writable);
    assert_int_equal(engine_wait_synced(f->g, P), 0);
    assert_true(str_eq(get(f, P, STR("b"), NULL), STR("2")));
    assert_int_equal(try_put(f->g, P, STR("c"), STR("3")), 0);
    open_again(f);
    assert_true(str_eq(get(f, P, STR("a"), NULL), STR("1")) && str_eq(get(f, P, STR("b"), NULL), STR("2")));
}

/* The same when RocksDB writes out by itself, under load. */
static void failed_flush_in_the_background_fails_no_commit(void **state)
{
    struct fixture *f = *state;
    static char bytes[60000];
    unsigned n = 0;
    uint64_t epoch = engine_epoch(f->g);
    random_bytes(bytes, sizeof bytes);
    atomic_store(&flush_held, 0);
    atomic_store(&flush_hold, 1);
    atomic_store(&flush_error, EIO);
    for (; !atomic_load(&flush_held) && n < 1000; n++)
        assert_int_equal(put_unsynced(f->g, P, (str){ (const char *)&n, sizeof n }, (str){ bytes, sizeof bytes }), 0);
    assert_true(atomic_load(&flush_held));
    atomic_store(&flush_hold, 0);
    for (int i = 0; i < 100 && engine_epoch(f->g) == epoch; i++) {
        pause_ms(150); /* longer than it may be until one looks */
        assert_int_equal(try_put(f->g, P, STR("healthy"), STR("yes")), 0);
    }
    assert_int_equal(engine_epoch(f->g), epoch + 1);
    for (unsigned i = 0; i < n; i++)
        assert_true(get(f, P, (str){ (const char *)&i, sizeof i }, NULL).n == sizeof bytes);
}

/* --- full disks --- */

static void reserve_is_kept_back(void **state)
{
    struct fixture *f = *state;
    struct engine_state s;
    engine_blob blob;
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
    f->settings.reserve_bytes = UINT64_MAX / 4;
    open_again(f);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("2")), ERR_FULL);
    assert_int_equal(engine_blob_put(f->g, P, STR("x"), &blob), ERR_FULL);
    engine_state(f->g, &s);
    assert_false(s.writable);
    assert_string_equal(s.why, "disk-full");
    assert_true(str_eq(get(f, P, STR("a"), NULL), STR("1")));
    f->settings.reserve_bytes = 1 << 20;
    open_again(f);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("2")), 0);
}

/* What others were promised is not free, and is again when they have let go of it. */
static void promised_space_is_not_free(void **state)
{
    struct fixture *f = *state;
    _Atomic uint64_t claimed = 0;
    struct engine_state before, after;
    f->settings.claimed = &claimed;
    open_again(f);
    engine_state(f->g, &before);
    assert_int_equal(before.reserve_bytes, 1 << 20);
    atomic_store(&claimed, UINT64_MAX / 4);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), ERR_FULL);
    engine_state(f->g, &after);
    assert_int_equal(after.free_bytes, 0);
    assert_string_equal(after.why, "disk-full");
    atomic_store(&claimed, 0);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0);
    f->settings.claimed = NULL;
    open_again(f);
}

/* RocksDB itself runs into the limit: the same path as ENOSPC. */
static void write_beyond_a_limit_is_full_and_passes(void **state)
{
    struct fixture *f = *state;
    struct rlimit was, small = { .rlim_cur = 200000 };
    static char bytes[60000];
    unsigned n = 0;
    int rc;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small.rlim_max = was.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    do {
        n++;
        rc = try_put(f->g, P, (str){ (const char *)&n, sizeof n }, (str){ bytes, sizeof bytes });
    } while (!rc && n < 100);
    assert_int_equal(rc, ERR_FULL);
    assert_true(n > 1);
    assert_true(get(f, P, (str){ (const char *)&(unsigned){ 1 }, sizeof n }, NULL).p != NULL); /* reading goes on */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    put_when_back(f, STR("after"));
    for (unsigned i = 1; i <= n; i++)
        assert_int_equal(get(f, P, (str){ (const char *)&i, sizeof i }, NULL).p != NULL, i < n); /* E7: no trace */
    open_again(f);
    assert_non_null(get(f, P, STR("after"), NULL).p);
}

#define check(cond)                                                                                                              \
    do {                                                                                                                         \
        if (!(cond)) {                                                                                                           \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                                     \
            return 1;                                                                                                            \
        }                                                                                                                        \
    } while (0)

enum { MAILS_MAX = 2000, MAIL_BYTES = 100000 };

static int mail_put(struct engine *g, unsigned n, engine_blob *ret)
{
    static char bytes[MAIL_BYTES];
    random_bytes(bytes, sizeof bytes);
    int rc = engine_blob_put(g, P, (str){ bytes, sizeof bytes }, ret);
    if (rc)
        return rc;
    struct engine_txn *t = engine_begin(g, P, ENGINE_ANY_VERSION);
    engine_put(t, (str){ (const char *)&n, sizeof n }, (str){ (const char *)ret->b, sizeof ret->b });
    engine_link(t, *ret);
    return engine_commit(t, NULL);
}

/* Fills the file system, empties it by deleting mail, and fills it again; nothing waits for the grace time (E6). */
static int fill_and_empty(struct engine *g)
{
    static engine_blob blobs[MAILS_MAX];
    static char back[MAIL_BYTES];
    for (int round = 0; round < 2; round++) {
        unsigned n = 0;
        int rc = 0;
        while (n < MAILS_MAX && !(rc = mail_put(g, n, &blobs[n])))
            n++;
        check(rc == ERR_FULL && n > 100);
        size_t got;
        for (unsigned i = 0; i < n; i++)
            check(!engine_blob_read(g, &blobs[i], 0, back, sizeof back, &got) && got == sizeof back);
        for (unsigned i = 0; i < n; i++) {
            struct engine_txn *t = engine_begin(g, P, ENGINE_ANY_VERSION);
            engine_del(t, (str){ (const char *)&i, sizeof i });
            engine_unlink(t, blobs[i]);
            check(!engine_commit(t, NULL));
        }
        (void)usleep(5000);
        unsigned done = 1;
        while (done)
            check(!engine_collect(g, 1000, &done));
        engine_blob blob;
        rc = ERR_FULL;
        for (int i = 0; i < 200 && rc; i++) {
            rc = mail_put(g, 0, &blob);
            (void)usleep(20000);
        }
        check(!rc);
    }
    return 0;
}

/* No reserve: RocksDB meets ENOSPC, in the log or in the background; a file that goes away makes room. */
static int run_into_the_wall(const char *dir, struct engine *g)
{
    static engine_blob blobs[MAILS_MAX];
    char name[64];
    (void)snprintf(name, sizeof name, "%s/ballast", dir);
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    check(fd >= 0 && !posix_fallocate(fd, 0, 24 << 20) && !close(fd));
    unsigned n = 0;
    int rc = 0;
    while (n < MAILS_MAX && !(rc = mail_put(g, n, &blobs[n])))
        n++;
    check((rc == ERR_FULL || rc == ERR_UNKNOWN || rc == ERR_UNAVAILABLE) && n > 50);
    check(!unlink(name));
    engine_blob blob;
    rc = ERR_FULL;
    for (int i = 0; i < 300 && rc; i++) {
        rc = mail_put(g, MAILS_MAX, &blob);
        (void)usleep(50000);
    }
    check(!rc);
    static char back[MAIL_BYTES];
    size_t got;
    for (unsigned i = 0; i < n; i++)
        check(!engine_blob_read(g, &blobs[i], 0, back, sizeof back, &got) && got == sizeof back);
    return 0;
}

enum { NO_MOUNT = 77 };

static int child_full(const char *dir, bool wall)
{
    struct engine *g;
    char store[64];
    if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", dir, "tmpfs", 0, "size=64m"))
        return NO_MOUNT;
    (void)snprintf(store, sizeof store, "%s/store", dir);
    check(!engine_rocksdb_open(store, &(struct engine_settings){ .reserve_bytes = wall }, &g, NULL));
    int rc = wall ? run_into_the_wall(dir, g) : fill_and_empty(g);
    engine_close(g);
    return rc;
}

static void run_full(struct fixture *f, const char *mode)
{
    int fd, status;
    engine_close(f->g);
    f->g = NULL;
    pid_t pid = spawn_self(mode, f->dir, &fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(fd);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_MOUNT)
        print_message("no right to mount a small file system; the limit and reserve tests stand for it\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void small_file_system_fills_and_empties(void **state)
{
    run_full(*state, "full");
}

static void small_file_system_without_reserve(void **state)
{
    run_full(*state, "wall");
}

/* --- damage --- */

static void damaged_blob_is_noticed(void **state)
{
    struct fixture *f = *state;
    static char bytes[100000];
    engine_blob blob;
    size_t got, files = 0;
    random_bytes(bytes, sizeof bytes);
    assert_int_equal(engine_blob_put(f->g, P, (str){ bytes, sizeof bytes }, &blob), 0);
    open_again(f); /* recovery moves it from the log to a blob file */
    engine_close(f->g);
    f->g = NULL;
    DIR *dir = opendir(f->dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        if (!str_ends(str_from_z(d->d_name), STR(".blob")))
            continue;
        int fd = openat(dirfd(dir), d->d_name, O_RDWR);
        char c;
        assert_int_equal(pread(fd, &c, 1, 50000), 1);
        c ^= 4;
        assert_int_equal(pwrite(fd, &c, 1, 50000), 1);
        (void)close(fd);
        files++;
    }
    (void)closedir(dir);
    assert_int_equal(files, 1);
    open_again(f);
    assert_int_equal(engine_blob_read(f->g, &blob, 0, bytes, 10, &got), ERR_CORRUPT);
    assert_int_equal(try_put(f->g, P, STR("a"), STR("1")), 0); /* the rest goes on */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 3 && !strcmp(argv[1], "commits"))
        return child_commits(argv[2], SMALL);
    if (argc == 3 && !strcmp(argv[1], "power"))
        return child_commits(argv[2], LARGE);
    if (argc == 3)
        return child_full(argv[2], !strcmp(argv[1], "wall"));
    const struct CMUnitTest tests[] = {
        T(reopen_keeps_all),
        T(versions_survive_a_crowd_of_partitions),
        T(a_crowd_does_not_hide_what_is_pending),
        T(second_opener_is_refused),
        T(path_that_cannot_be),
        T(killed_keeps_what_was_told),
        T(power_loss_keeps_what_was_told),
        T(older_logs_are_synced_before_a_newer_one_is_used),
        T(torn_log_gives_a_prefix),
        T(other_process_is_refused),
        T(each_commit_alone_syncs_once),
        T(commits_share_a_sync),
        T(failed_sync_is_unknown_and_the_engine_comes_back),
        T(failed_flush_is_answered_at_once),
        T(failed_flush_in_the_background_fails_no_commit),
        T(reserve_is_kept_back),
        T(promised_space_is_not_free),
        T(write_beyond_a_limit_is_full_and_passes),
        T(small_file_system_fills_and_empties),
        T(small_file_system_without_reserve),
        T(damaged_blob_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
