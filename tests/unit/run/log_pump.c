/* The roles' lines on their way to the log (run/log_pump.h). */
#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/log_pump.h"
#include "role/role.h"

enum { TEXT_MAX = 8 << 20 };

static int new_file(void)
{
    char name[] = "/tmp/valise-log-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    return fd;
}

/* All that FD holds, from its beginning. */
static str contents(int fd)
{
    static char text[TEXT_MAX];
    ssize_t n = pread(fd, text, sizeof text, 0);
    assert_true(n >= 0);
    return (str){ text, (size_t)n };
}

static bool has(str text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static size_t count(str text, const char *part)
{
    size_t n = 0;
    for (const char *p = text.p; (p = memmem(p, text.n - (size_t)(p - text.p), part, strlen(part))); p++)
        n++;
    return n;
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void lines_come_whole_and_unmixed(void **state)
{
    (void)state;
    struct log_pump *p;
    int to = new_file();
    assert_int_equal(log_pump_new(to, &p, NULL), 0);
    int a = log_pump_pipe(p, NULL), b = log_pump_pipe(p, NULL);
    assert_true(a >= 0 && b >= 0);
    put(a, "half of a");
    put(b, "b1\nhalf of b");
    put(a, " and the rest\na2\n");
    (void)close(b);
    (void)close(a);
    log_pump_free(p, 5000);
    str text = contents(to);
    assert_true(has(text, "half of a and the rest\n") && has(text, "b1\n") && has(text, "half of b\n") && has(text, "a2\n"));
    assert_int_equal(text.n, strlen("half of a and the rest\na2\nb1\nhalf of b\n"));
    (void)close(to);
}

/* What has no end is given one, so that it cannot be the beginning of another's line. */
static void a_line_without_end_is_cut(void **state)
{
    (void)state;
    struct log_pump *p;
    int to = new_file();
    assert_int_equal(log_pump_new(to, &p, NULL), 0);
    int a = log_pump_pipe(p, NULL);
    char many[40000];
    memset(many, 'x', sizeof many);
    assert_int_equal(write(a, many, sizeof many), sizeof many);
    (void)close(a);
    log_pump_free(p, 5000);
    str text = contents(to);
    assert_int_equal(count(text, "x"), sizeof many);
    assert_int_equal(count(text, "\n"), 3);
    assert_int_equal(text.p[text.n - 1], '\n');
    (void)close(to);
}

/* Who has the pipe can neither shorten what was written, nor is he bound by how large his files may be. */
static void a_pipe_shortens_nothing_and_has_no_bound(void **state)
{
    (void)state;
    struct log_pump *p;
    int to = new_file();
    assert_int_equal(log_pump_new(to, &p, NULL), 0);
    int a = log_pump_pipe(p, NULL);
    put(a, "before\n");
    assert_int_equal(ftruncate(a, 0), -1);
    assert_int_equal(errno, EINVAL);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit one = { 1, 1 };
        bool ok = setrlimit(RLIMIT_FSIZE, &one) == 0 && write(a, "bounded\n", 8) == 8;
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(a);
    log_pump_free(p, 5000);
    assert_true(has(contents(to), "before\n") && has(contents(to), "bounded\n"));
    (void)close(to);
}

/* A log that takes nothing: who writes does not wait, and it is told how much is missing once it takes something again. */
static void a_log_that_stalls_holds_nobody_up(void **state)
{
    (void)state;
    struct log_pump *p;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(log_pump_new(fds[1], &p, NULL), 0);
    int a = log_pump_pipe(p, NULL);
    log_set_fd(a);
    for (int i = 0; i < 20000; i++) /* more than both pipes hold */
        log_info("flood", LOG_NUM("number", i), LOG_Z("text", "some words that make a line as long as lines are"));
    static char text[TEXT_MAX];
    size_t n = 0;
    /* Read at last: with each line that comes there is room for more, and what was lost is told. */
    int64_t end = clock_mono_ms() + 30000;
    bool told = false;
    while (!told && clock_mono_ms() < end && n < sizeof text - 65536) {
        ssize_t got = read(fds[0], text + n, 65536);
        n += got > 0 ? (size_t)got : 0;
        log_info("after");
        told = has((str){ text, n }, "event=log-lost lines=");
        if (got <= 0)
            (void)usleep(1000);
    }
    assert_true(told);
    log_set_fd(STDERR_FILENO);
    (void)close(a);
    (void)close(fds[0]);
    log_pump_free(p, 0);
    (void)close(fds[1]);
}

/* A disk that is full for a while: the line that was torn gets an end, and what is missing is told. */
static void a_full_log_says_what_is_missing(void **state)
{
    (void)state;
    struct log_pump *p;
    struct rlimit was;
    int to = new_file();
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 10, was.rlim_max }), 0);
    assert_int_equal(log_pump_new(to, &p, NULL), 0);
    int a = log_pump_pipe(p, NULL);
    put(a, "first\nsecond\nthird\n");
    int64_t end = clock_mono_ms() + 30000;
    while (contents(to).n < 10 && clock_mono_ms() < end)
        (void)usleep(1000);
    (void)usleep(20000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    put(a, "fourth\n");
    (void)close(a);
    log_pump_free(p, 5000);
    str text = contents(to);
    assert_true(str_starts(text, STR("first\nseco\n")) && has(text, "event=log-lost lines=2") && has(text, "\nfourth\n"));
    assert_false(has(text, "third"));
    (void)close(to);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the supervisor */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_and_unmixed),
        cmocka_unit_test(a_line_without_end_is_cut),
        cmocka_unit_test(a_pipe_shortens_nothing_and_has_no_bound),
        cmocka_unit_test(a_log_that_stalls_holds_nobody_up),
        cmocka_unit_test(a_full_log_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
