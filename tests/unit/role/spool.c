/* spool: the files that a taken-over mx writes to. It holds on to them by every means, writes without end, and hands in what is not its own; the disk's
 * last space stays core's. */
#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "role/role.h"
#include "role/spool.h"

enum { MAX = 1 << 20, RESERVE = 1 << 20, PLENTY = 1 << 30 };

static char top[] = "/tmp/valise-spool-XXXXXX";
static int dir = -1;
static uint64_t free_bytes, claimed_then;
static _Atomic uint64_t claimed;
static struct error e;

static void space(void *ctx, uint64_t *ret_free, uint64_t *ret_reserve)
{
    *ret_free = free_bytes;
    *ret_reserve = RESERVE;
}

static struct spool *make(uint64_t bytes)
{
    free_bytes = bytes;
    return spool_new(&(struct spool_settings){ .dir = dir, .space = space, .claimed = &claimed });
}

static void fill(int fd, size_t n)
{
    static const char block[4096] = { 'x' };
    for (size_t done = 0; done < n; done += sizeof block)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
}

/* However it holds a file, it counts; and it is let go of when it does not. */
static void test_files_are_counted_while_they_are_held(void **state)
{
    struct spool *s = make((uint64_t)PLENTY);
    int fds[SPOOL_FILES_MAX];
    for (int i = 0; i < SPOOL_FILES_MAX; i++)
        assert_true((fds[i] = spool_open(s, 1, MAX, &e)) >= 0);
    assert_int_equal(spool_open(s, 1, MAX, &e), ERR_UNAVAILABLE);
    int other = spool_open(s, 2, MAX, &e), twin = dup(fds[0]); /* another process has its own count */
    assert_true(other >= 0);
    assert_int_equal(atomic_load(&claimed), (uint64_t)MAX * (SPOOL_FILES_MAX + 1));
    (void)close(fds[0]);
    assert_int_equal(spool_open(s, 1, MAX, &e), ERR_UNAVAILABLE);
    fill(twin, 4096);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, twin, 0);
    assert_true(map != MAP_FAILED);
    (void)close(twin);
    assert_int_equal(spool_open(s, 1, MAX, &e), ERR_UNAVAILABLE);
    (void)munmap(map, 4096);
    assert_true((fds[0] = spool_open(s, 1, MAX, &e)) >= 0);
    for (int i = 0; i < SPOOL_FILES_MAX; i++)
        (void)close(fds[i]);
    (void)close(other);
    spool_tend(s, 1);
    assert_int_equal(atomic_load(&claimed), 0);
    spool_free(s);
}

/* Files are given only while all of them at their largest leave twice the reserve. */
static void test_the_last_space_is_not_given(void **state)
{
    struct spool *s = make(2 * RESERVE + 3 * MAX + MAX / 2);
    int fds[3];
    for (int i = 0; i < 3; i++)
        assert_true((fds[i] = spool_open(s, 1, MAX, &e)) >= 0);
    assert_int_equal(spool_open(s, 1, MAX, &e), ERR_FULL);
    assert_int_equal(spool_open(s, 2, MAX, &e), ERR_FULL);
    assert_int_equal(spool_open(s, 1, MAX / 4, &e) < 0, 0);
    assert_int_equal(atomic_load(&claimed), 3 * MAX + MAX / 4);
    /* What it has taken is no longer free, and no longer promised. */
    fill(fds[0], MAX / 2);
    free_bytes -= MAX / 2;
    spool_tend(s, 1);
    claimed_then = atomic_load(&claimed);
    assert_in_range(claimed_then, 2 * MAX + MAX / 4, 2 * MAX + MAX * 3 / 4);
    assert_int_equal(spool_open(s, 1, MAX, &e), ERR_FULL);
    free_bytes = 0;
    assert_int_equal(spool_open(s, 1, 1, &e), ERR_FULL);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    spool_free(s);
}

static off_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_size;
}

static void test_what_is_handed_in(void **state)
{
    struct spool *s = make((uint64_t)PLENTY);
    int fd = spool_open(s, 1, MAX, &e), copy = -1, none = -1, pipes[2];
    char got[5] = "";
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    int foreign = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(spool_take(s, 2, fd, MAX, 1000, &none, &e), ERR_CORRUPT); /* another process's */
    assert_int_equal(spool_take(s, 1, foreign, MAX, 1000, &none, &e), ERR_CORRUPT);
    assert_int_equal(spool_take(s, 1, pipes[0], MAX, 1000, &none, &e), ERR_CORRUPT);
    assert_int_equal(spool_take(s, 1, -1, MAX, 1000, &none, &e), ERR_CORRUPT);
    assert_int_equal(spool_take(s, 1, fd, 4, 1000, &none, &e), ERR_CORRUPT);
    assert_int_equal(spool_take(s, 1, fd, MAX, 1000, &copy, &e), 0);
    assert_int_equal(none, -1);
    assert_int_equal(pwrite(fd, "HELLO", 5, 0), 5); /* what it writes now is not what was taken */
    assert_int_equal(pread(copy, got, 5, 0), 5);
    assert_memory_equal(got, "hello", 5);
    /* Held on to, the file is emptied, again and again, and cannot be handed in any more. */
    spool_tend(s, 1000 + SPOOL_LINGER_MS);
    assert_int_equal(size_of(fd), 5);
    spool_tend(s, 1001 + SPOOL_LINGER_MS);
    assert_int_equal(size_of(fd), 0);
    fill(fd, 4096);
    spool_tend(s, 1002 + SPOOL_LINGER_MS);
    assert_int_equal(size_of(fd), 0);
    assert_int_equal(spool_take(s, 1, fd, MAX, 1000, &none, &e), ERR_CORRUPT);
    assert_int_equal(size_of(copy), 5);
    /* No room for the copy: a file of holes would become one of bytes. */
    int holes = spool_open(s, 1, MAX, &e);
    assert_int_equal(pwrite(holes, "x", 1, MAX - 1), 1);
    free_bytes = 3 * MAX;
    assert_int_equal(spool_take(s, 1, holes, MAX, 1000, &none, &e), ERR_FULL);
    const int all[] = { fd, copy, foreign, holes, pipes[0], pipes[1] };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        (void)close(all[i]);
    spool_free(s);
}

/* What a taken-over mx does with a spool file, in a process with its profile. 0, or the line that went wrong. */
static int attack(int fd)
{
    static const char block[65536] = { 'x' };
    struct sandbox_state state;
    struct error why = ERROR_NONE;
    int entered = role_bound_files(MAX, &why);
    if (entered == 0)
        entered = sandbox_enter(&role_mx_profile, -1, &state, &why);
    if (entered != 0)
        return __LINE__;
    ssize_t n;
    while ((n = write(fd, block, sizeof block)) > 0)
        ;
    if (n == 0 || errno != EFBIG)
        return __LINE__;
    if (lseek(fd, PLENTY, SEEK_SET) != PLENTY || write(fd, "x", 1) >= 0 || errno != EFBIG)
        return __LINE__;
    int memory = memfd_create("x", MFD_CLOEXEC);
    if (memory < 0 || lseek(memory, MAX, SEEK_SET) != MAX || write(memory, "x", 1) >= 0 || errno != EFBIG)
        return __LINE__;
    if (ftruncate(fd, PLENTY) == 0 || ftruncate(fd, 0) == 0 || fallocate(fd, 0, 0, PLENTY) == 0)
        return __LINE__;
    const struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };
    if (setrlimit(RLIMIT_FSIZE, &more) == 0)
        return __LINE__;
    if (flock(fd, LOCK_UN) == 0) /* it would be counted no more */
        return __LINE__;
    return 0;
}

static void test_a_taken_over_mx_writes_without_end(void **state)
{
    struct spool *s = make((uint64_t)PLENTY);
    int fd = spool_open(s, 1, MAX, &e), status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(attack(fd) % 251);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s %d (line, modulo 251)", WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    assert_int_equal(size_of(fd), MAX);
    spool_tend(s, 1);
    assert_int_equal(atomic_load(&claimed), 0); /* all is taken that was promised */
    (void)close(fd);
    spool_free(s);
}

static void test_nothing_keeps_a_name(void **state)
{
    struct spool *s = make((uint64_t)PLENTY);
    int fd = spool_open(s, 1, MAX, &e);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
    spool_free(s);
    assert_int_equal(unlinkat(AT_FDCWD, top, AT_REMOVEDIR), 0);
    assert_int_equal(mkdir(top, 0700), 0);
}

static int set_up(void **state)
{
    log_set_level(LOG_ERROR);
    if (!mkdtemp(top))
        return -1;
    dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int tear_down(void **state)
{
    return close(dir) || rmdir(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_counted_while_they_are_held),
        cmocka_unit_test(test_the_last_space_is_not_given),
        cmocka_unit_test(test_what_is_handed_in),
        cmocka_unit_test(test_a_taken_over_mx_writes_without_end),
        cmocka_unit_test(test_nothing_keeps_a_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
