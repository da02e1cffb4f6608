/* sandbox: a child enters each profile and tries what it may and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/channel.h"
#include "run/sandbox_private.h"

/* Made by setup: a permitted directory with a file, and one that is not. */
static char inside[64], outside[64], inside_file[80], inside_new[80], outside_file[80];
static int listener = -1;
static uint16_t listener_port;

/* --- what is tried: 0, or the errno --- */

static int fail_of(long r)
{
    return r < 0 ? errno : 0;
}

static int close_of(int fd)
{
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int do_open_passwd(void)
{
    return close_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static int do_open_inside(void)
{
    return close_of(open(inside_file, O_RDONLY | O_CLOEXEC));
}
static int do_open_outside(void)
{
    return close_of(open(outside_file, O_RDONLY | O_CLOEXEC));
}
static int do_write_inside(void)
{
    return close_of(open(inside_file, O_WRONLY | O_TRUNC | O_CLOEXEC));
}
static int do_write_outside(void)
{
    return close_of(open(outside_file, O_WRONLY | O_CLOEXEC));
}
static int do_truncate_outside(void)
{
    return fail_of(truncate(outside_file, 0));
}
static int do_unlink_outside(void)
{
    return fail_of(unlink(outside_file));
}
static int do_socket(void)
{
    return close_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static int do_socket_raw(void)
{
    return close_of(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}
static int do_socket_netlink(void)
{
    return close_of(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}
static int do_socket_unix(void)
{
    return close_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static int do_kill_parent(void)
{
    return fail_of(kill(getppid(), 0));
}
static int do_core(void)
{
    return SANDBOX_SANITIZED ? EPERM : fail_of(setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 }));
}
static int do_dumpable(void)
{
    return SANDBOX_SANITIZED ? EPERM : prctl(PR_GET_DUMPABLE) == 0 ? EPERM : 0;
}
static int do_set_dumpable(void)
{
    return SANDBOX_SANITIZED ? EPERM : fail_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int do_setuid(void)
{
    return fail_of(syscall(SYS_setuid, 65534));
}
static int do_fork(void)
{
    pid_t pid = SANDBOX_SANITIZED ? (errno = EPERM, -1) : fork();
    if (pid == 0)
        _exit(0);
    return fail_of(pid);
}
static int do_clone3(void)
{
    return fail_of(syscall(SYS_clone3, NULL, 0)) == ENOSYS ? 0 : EINVAL;
}

static int do_exec_memory(void)
{
    void *p = SANDBOX_SANITIZED ? (errno = EPERM, MAP_FAILED)
                                : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int do_make_inside(void)
{
    int fd = open(inside_new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char renamed[96];
    if (fd < 0)
        return errno;
    snprintf(renamed, sizeof renamed, "%s.2", inside_new);
    int r = pwrite(fd, "x", 1, 3) == 1 && fsync(fd) == 0 && fdatasync(fd) == 0 && ftruncate(fd, 1) == 0 &&
                    posix_fallocate(fd, 0, 100) == 0 && rename(inside_new, renamed) == 0 && unlink(renamed) == 0
                ? 0
                : errno;
    close(fd);
    return r;
}

static int do_execve(void)
{
    char *argv[] = { (char *)(uintptr_t) "true", NULL };
    return fail_of(execve("/bin/true", argv, argv + 1));
}
static int do_fork_call(void)
{
    long pid = syscall(SYS_fork);
    if (pid == 0)
        _exit(0);
    return fail_of(pid);
}
static int do_ptrace(void)
{
    return fail_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int do_mount(void)
{
    return fail_of(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static int do_unshare(void)
{
    return fail_of(syscall(SYS_unshare, 0));
}
static int do_bpf(void)
{
    return fail_of(syscall(SYS_bpf, 0, NULL, 0));
}

static void *thread_run(void *p)
{
    *(int *)p = 1;
    return NULL;
}

static int do_thread(void)
{
    pthread_t t;
    int ran = 0;
    int r = pthread_create(&t, NULL, thread_run, &ran);
    if (r == 0)
        pthread_join(t, NULL);
    return r ? r : ran ? 0 : EINVAL;
}

static int do_everyday(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int ep = epoll_create1(EPOLL_CLOEXEC), event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    str got;
    if (ep < 0 || event < 0 || timer < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, event, &ev) < 0 || epoll_wait(ep, &ev, 1, 1000) != 1)
        return errno ? errno : EINVAL;
    int fd = channel_memfd("sandbox", STR("sealed"));
    if (fd < 0 || channel_map(fd, false, 100, &got) < 0 || !str_eq(got, STR("sealed")))
        return EINVAL;
    channel_unmap(got);
    char *p = malloc(1 << 22); /* large enough for mmap */
    if (!p)
        return ENOMEM;
    memset(p, 1, 1 << 22);
    free(p);
    return 0;
}

static int do_channel(void)
{
    int pair[2];
    struct arena a = ARENA_INIT(4096);
    struct frame got = { 0 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    struct frame f = { .type = 1, .payload = STR("x"), .fds = { pair[0] }, .fd_n = 1 };
    int r = frame_send(pair[0], &f, 1000) == 0 && frame_receive(pair[1], &a, 1000, &got) == 0 ? 0 : EINVAL;
    frame_close_fds(&got);
    arena_done(&a);
    return r;
}

static int do_connect(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = listener_port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
}

static int do_accept(void)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN ? 0 : errno;
    return fail_of(setsockopt(fd, IPPROTO_TCP, 6 /* nothing of ours */, &one, sizeof one)) == EPERM ? 0 : EINVAL;
}

static int do_spawn(void)
{
    char *argv[] = { (char *)(uintptr_t) "true", NULL };
    pid_t pid;
    int status = -1;
    int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 1);
    return r ? r : waitpid(pid, &status, 0) == pid && status == 0 ? 0 : EINVAL;
}

/* --- profiles and what is expected of them --- */

static struct sandbox_path paths[] = { { inside, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
                                       { "/nowhere", SANDBOX_READ },
                                       { 0 } };
static struct sandbox_path readable[] = { { inside, SANDBOX_READ }, { 0 } };
static struct sandbox_path system_paths[] = { { "/usr", SANDBOX_READ },
                                              { "/lib", SANDBOX_READ },
                                              { "/lib64", SANDBOX_READ },
                                              { "/bin", SANDBOX_READ },
                                              { "/proc", SANDBOX_READ },
                                              { "/etc/ld.so.cache", SANDBOX_READ },
                                              { 0 } };

static const struct sandbox_profile keeper = { .name = "keeper", .paths = readable, .unix_sockets = true, .threads = true };
static const struct sandbox_profile mx = { .name = "mx", .network_accept = true, .unix_sockets = true, .threads = true };
static const struct sandbox_profile core = {
    .name = "core", .paths = paths, .network_accept = true, .unix_sockets = true, .threads = true, .file_writes = true
};
static const struct sandbox_profile relay = { .name = "relay", .network_connect = true, .unix_sockets = true, .threads = true };
static const struct sandbox_profile bare = { .name = "bare" };
static const struct sandbox_profile supervisor = { .name = "supervisor", .paths = system_paths, .children = true };

enum outcome { ALLOWED, REFUSED, KILLED, KILLED_UNLESS_SANITIZED };

static const struct {
    const struct sandbox_profile *profile;
    int (*attempt)(void);
    enum outcome expected;
    const char *what;
} attempts[] = {
#define TRY(profile, what, expected)                                                                                             \
    {                                                                                                                            \
        &profile, do_##what, expected, #profile " " #what                                                                        \
    }
    TRY(bare, everyday, ALLOWED),
    TRY(bare, open_passwd, REFUSED),
    TRY(bare, open_inside, REFUSED),
    TRY(bare, socket, REFUSED),
    TRY(bare, channel, REFUSED),
    TRY(bare, execve, KILLED),
    TRY(bare, core, REFUSED),
    TRY(bare, dumpable, REFUSED),
    TRY(bare, set_dumpable, REFUSED),
    TRY(bare, clone3, ALLOWED),
    TRY(bare, fork, REFUSED),
    TRY(bare, fork_call, KILLED),
    TRY(bare, exec_memory, REFUSED),
    TRY(bare, setuid, REFUSED),
    TRY(bare, thread, SANDBOX_SANITIZED ? ALLOWED : REFUSED),
    TRY(keeper, everyday, ALLOWED),
    TRY(keeper, thread, ALLOWED),
    TRY(keeper, channel, ALLOWED),
    TRY(keeper, open_inside, ALLOWED),
    TRY(keeper, write_inside, REFUSED),
    TRY(keeper, make_inside, REFUSED),
    TRY(keeper, open_outside, REFUSED),
    TRY(keeper, open_passwd, REFUSED),
    TRY(keeper, socket, REFUSED),
    TRY(keeper, accept, REFUSED),
    TRY(keeper, kill_parent, REFUSED),
    TRY(mx, everyday, ALLOWED),
    TRY(mx, thread, ALLOWED),
    TRY(mx, channel, ALLOWED),
    TRY(mx, accept, ALLOWED),
    TRY(mx, connect, REFUSED),
    TRY(mx, socket, REFUSED),
    TRY(mx, open_passwd, REFUSED),
    TRY(mx, open_inside, REFUSED),
    TRY(mx, truncate_outside, REFUSED),
    TRY(mx, execve, KILLED),
    TRY(mx, mount, KILLED),
    TRY(mx, unshare, KILLED),
    TRY(mx, bpf, KILLED),
    TRY(mx, ptrace, KILLED_UNLESS_SANITIZED),
    TRY(mx, fork_call, KILLED),
    TRY(core, everyday, ALLOWED),
    TRY(core, thread, ALLOWED),
    TRY(core, channel, ALLOWED),
    TRY(core, open_inside, ALLOWED),
    TRY(core, write_inside, ALLOWED),
    TRY(core, make_inside, ALLOWED),
    TRY(core, open_outside, REFUSED),
    TRY(core, write_outside, REFUSED),
    TRY(core, truncate_outside, REFUSED),
    TRY(core, unlink_outside, REFUSED),
    TRY(core, open_passwd, REFUSED),
    TRY(core, connect, REFUSED),
    TRY(core, accept, ALLOWED),
    TRY(core, execve, KILLED),
    TRY(core, kill_parent, REFUSED),
    TRY(relay, everyday, ALLOWED),
    TRY(relay, connect, ALLOWED),
    TRY(relay, socket_raw, REFUSED),
    TRY(relay, socket_netlink, REFUSED),
    TRY(relay, socket_unix, REFUSED),
    TRY(relay, accept, REFUSED),
    TRY(relay, open_passwd, REFUSED),
    TRY(relay, execve, KILLED),
    TRY(supervisor, spawn, ALLOWED),
    TRY(supervisor, everyday, ALLOWED),
    TRY(supervisor, open_outside, REFUSED),
    TRY(supervisor, mount, KILLED),
    TRY(supervisor, unshare, KILLED),
#undef TRY
};

/* Runs ATTEMPT in a child within PROFILE: its wait status. 200 when the sandbox itself failed. */
static int status_of(const struct sandbox_profile *profile, int (*attempt)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sandbox_state state;
        struct error e = ERROR_NONE;
        if (sandbox_enter(profile, -1, &state, &e))
            _exit(200);
        errno = 0;
        _exit(attempt());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool kernel_has_landlock(void)
{
    return syscall(444 /* landlock_create_ruleset */, NULL, 0, 1) >= 1;
}

static void profiles_allow_and_forbid(void **state)
{
    if (!kernel_has_landlock())
        skip();
    int wrong = 0;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = status_of(attempts[i].profile, attempts[i].attempt);
        bool ended = WIFEXITED(status);
        int code = ended ? WEXITSTATUS(status) : 0;
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        bool ok = false;
        switch (attempts[i].expected) {
        case ALLOWED:
            ok = ended && code == 0;
            break;
        case REFUSED:
            ok = ended && (code == EPERM || code == EACCES);
            break;
        case KILLED:
            ok = killed;
            break;
        case KILLED_UNLESS_SANITIZED:
            ok = SANDBOX_SANITIZED || killed;
            break;
        }
        if (!ok)
            print_error("%s: status %#x (%s)\n", attempts[i].what, (unsigned)status, ended ? strerrordesc_np(code) : "signal");
        wrong += !ok;
    }
    assert_int_equal(wrong, 0);
}

/* A kernel without Landlock, played by a filter that answers as one. */
static int enter_without_landlock(void)
{
    struct sandbox_state state = { .root = true };
    struct error e = ERROR_NONE;
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), 444, 0) < 0 || seccomp_load(f) < 0)
        return 1;
    seccomp_release(f);
    if (sandbox_enter(&core, -1, &state, &e) != 0 || state.landlock_abi != 0 || !state.seccomp || state.root)
        return 2;
    if (!strstr(sandbox_gap(state.landlock_abi, 0), "no Landlock"))
        return 3;
    /* The other half is in force all the same. */
    return do_connect() == EPERM ? 0 : 4;
}

static void what_is_missing_is_reported(void **state)
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(enter_without_landlock());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void gaps_close_with_newer_kernels(void **state)
{
    assert_string_equal(sandbox_gap(2, 0), sandbox_gap(0, 1)); /* truncating */
    assert_non_null(sandbox_gap(5, 0));
    assert_null(sandbox_gap(5, 1));
    assert_null(sandbox_gap(6, 0));
    for (int abi = 0; abi < 7; abi++)
        for (size_t i = 0; sandbox_gap(abi, i); i++)
            assert_true(abi == 0 || !strstr(sandbox_gap(abi, i), "no Landlock"));
}

/* With a capability that goes over execve until the sandbox takes it. */
static int become_somebody(void)
{
    struct sandbox_state state;
    if (sandbox_become(61001, 61002, 1u << CAP_SYS_CHROOT, NULL) < 0)
        return 1;
    if (getuid() != 61001 || geteuid() != 61001 || getgid() != 61002 || getgroups(0, NULL) != 0 || setuid(0) == 0)
        return 2;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_CHROOT, 0, 0) != 1 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) != 0)
        return 3;
    if (sandbox_enter(&bare, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &state, NULL) != 0)
        return 4;
    return state.root == !SANDBOX_SANITIZED ? 0 : 5;
}

static void users_are_dropped_for_good(void **state)
{
    int status = -1;
    if (geteuid() != 0) {
        print_message("skipped: changing the user takes root\n");
        skip();
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(become_somebody());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void make_place(char dir[64], char file[80])
{
    snprintf(dir, 64, "/tmp/valise-sandbox-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(file, 80, "%s/file", dir);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
}

static int setup(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    make_place(inside, inside_file);
    make_place(outside, outside_file);
    snprintf(inside_new, sizeof inside_new, "%s/new", inside);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(listener, 10), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    listener_port = at.sin_port;
    return 0;
}

static int teardown(void **state)
{
    close(listener);
    unlink(inside_file);
    unlink(outside_file);
    return rmdir(inside) | rmdir(outside);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_allow_and_forbid),
        cmocka_unit_test(what_is_missing_is_reported),
        cmocka_unit_test(gaps_close_with_newer_kernels),
        cmocka_unit_test(users_are_dropped_for_good),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
