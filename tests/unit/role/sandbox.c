/* sandbox: in each role, what it must do works and what it must not is refused by the kernel. Every attempt is made in a process of its own that has
 * entered the role's profile, with the kernel's Landlock and with that of Debian 12 (ABI 2): an errno of refusal or death by SIGSYS counts as
 * refused. Run by root, each role has a user of its own as in an installed system, else all are one user's as in a lab. */
#include "../check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "role/role.h"
#include "run/sandbox_private.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

enum { CORE = 61001, KEEPER = 61002, MX = 61003 }; /* users that need no name */

static char top[] = "/tmp/valise-sandbox-XXXXXX";
static char key[64], config[64], control[64], store[64];
static int listening_fd = -1, empty_fd = -1;
static uint16_t listening_port;
static pid_t sibling; /* a process of core's user, or of ours */

/* --- attempts on PATH: 0 when it worked, else errno --- */

static int fail_of(long r)
{
    return r < 0 ? errno : 0;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? errno : 0;
}

static int try_read(const char *path)
{
    return try_open(path, O_RDONLY);
}
static int try_change(const char *path)
{
    return try_open(path, O_RDWR);
}
static int try_make(const char *path)
{
    return try_open(path, O_RDWR | O_CREAT);
}
static int try_cut_at_open(const char *path)
{
    return try_open(path, O_RDONLY | O_TRUNC);
}
static int try_make_nameless(const char *path)
{
    return try_open(path, O_RDWR | O_TMPFILE);
}
static int try_truncate(const char *path)
{
    return fail_of(truncate(path, 0));
}
static int try_chmod(const char *path)
{
    return fail_of(chmod(path, 0666));
}
static int try_chown(const char *path)
{
    return fail_of(chown(path, geteuid(), getegid()));
}
static int try_touch(const char *path)
{
    return fail_of(utimensat(AT_FDCWD, path, NULL, 0));
}
static int try_attribute(const char *path)
{
    return fail_of(setxattr(path, "user.valise", "x", 1, 0));
}
static int try_remove(const char *path)
{
    return fail_of(unlink(path));
}
static int try_stat(const char *path)
{
    struct stat st;
    return fail_of(fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW));
}
/* By a descriptor, which may be one that is only for reading. */
static int try_chmod_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : fail_of(fchmod(fd, 0666));
}

/* --- attempts on others --- */

static int try_kill(const char *path)
{
    return fail_of(kill(sibling, SIGURG));
}

/* Has the kernel send the signal when there is something to read. */
static int try_signal_by_fcntl(const char *path)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return errno;
    return fail_of(fcntl(fds[0], F_SETOWN, sibling));
}
static int try_choose_signal(const char *path)
{
    int fds[2];
    return pipe2(fds, O_CLOEXEC) < 0 ? errno : fail_of(fcntl(fds[0], F_SETSIG, SIGKILL));
}
static int try_async(const char *path)
{
    int fds[2];
    return pipe2(fds, O_CLOEXEC) < 0 ? errno : fail_of(fcntl(fds[0], F_SETFL, O_ASYNC));
}
static int try_lease(const char *path)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    return fd < 0 ? errno : fail_of(fcntl(fd, F_SETLEASE, F_RDLCK));
}
static int try_owner_by_ioctl(const char *path)
{
    int fds[2], pid = sibling;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return errno;
    return fail_of(ioctl(fds[0], FIOSETOWN, &pid));
}
static int duplicate(const char *path)
{
    return fail_of(fcntl(listening_fd, F_DUPFD_CLOEXEC, 0)) | fail_of(fcntl(listening_fd, F_SETFL, O_NONBLOCK));
}

static int connect_unix(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    return fail_of(connect(fd, (struct sockaddr *)&sa, sizeof sa));
}

static int call_out(const char *path)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(listening_port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    return connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ? errno : 0;
}

static int take_call(const char *path)
{
    int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 && errno != EAGAIN ? errno : 0;
}

static int run_program(const char *path)
{
    char name[] = "/bin/true";
    char *argv[] = { name, NULL }, *envp[] = { NULL };
    (void)execve(name, argv, envp);
    return errno;
}

static int trace_parent(const char *path)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) != 0 ? errno : 0;
}
static int mount_something(const char *path)
{
    return mount("none", "/mnt", "tmpfs", 0, NULL) != 0 ? errno : 0;
}

static int fork_child(const char *path)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : 0;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static int start_thread(const char *path)
{
    pthread_t t;
    int r = pthread_create(&t, NULL, do_nothing, NULL);
    return r ? r : pthread_join(t, NULL);
}

static int pass_a_body(const char *path)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return errno;
    int fd = channel_memfd("body", STR("text"));
    if (fd < 0)
        return EPERM;
    struct frame f = { .type = 2, .fds = { fd }, .fd_n = 1 };
    return frame_send(fds[0], &f, 1000) ? EPERM : 0;
}

/* --- the table --- */

enum { ANY, AS_ROOT }; /* what holds only where roles have users of their own */

static const struct row {
    const struct sandbox_profile *profile;
    const char *what;
    int (*attempt)(const char *path);
    const char *path;
    bool allowed;
    bool plain_only; /* sanitizers need the call themselves, so only the plain build (which the e2e stage tests too) refuses it */
    int when;
} rows[] = {
#define EVERYWHERE(profile)                                                                                                      \
    { profile, "chmod a key", try_chmod, key, false }, { profile, "chmod the configuration", try_chmod, config, false },         \
        { profile, "chmod the control socket", try_chmod, control, false }, { profile, "chown a key", try_chown, key, false },   \
        { profile, "chown the configuration", try_chown, config, false },                                                        \
        { profile, "chown the control socket", try_chown, control, false },                                                      \
        { profile, "truncate a key", try_truncate, key, false },                                                                 \
        { profile, "truncate the configuration", try_truncate, config, false },                                                  \
        { profile, "cut a key as it is opened", try_cut_at_open, key, false },                                                   \
        { profile, "cut the configuration as it is opened", try_cut_at_open, config, false },                                    \
        { profile, "set the times of a key", try_touch, key, false },                                                            \
        { profile, "set the times of the configuration", try_touch, config, false },                                             \
        { profile, "set the times of the control socket", try_touch, control, false },                                           \
        { profile, "set an attribute of a key", try_attribute, key, false },                                                     \
        { profile, "set an attribute of the configuration", try_attribute, config, false },                                      \
        { profile, "chmod a key by descriptor", try_chmod_open, key, false },                                                    \
        { profile, "change a private key", try_change, key, false },                                                             \
        { profile, "change the configuration", try_change, config, false },                                                      \
        { profile, "read /etc/shadow", try_read, "/etc/shadow", false },                                                         \
        { profile, "write to /tmp", try_make, "/tmp/valise-sandbox-escape", false },                                             \
        { profile, "have a signal sent by fcntl", try_signal_by_fcntl, NULL, false },                                            \
        { profile, "choose that signal", try_choose_signal, NULL, false }, { profile, "lease a file", try_lease, NULL, false },  \
        { profile, "have a signal sent by ioctl", try_owner_by_ioctl, NULL, false },                                             \
        { profile, "use a descriptor twice", duplicate, NULL, true }, { profile, "ptrace", trace_parent, NULL, false },          \
    {                                                                                                                            \
        profile, "mount", mount_something, NULL, false                                                                           \
    }
#define IN_ROLES(profile)                                                                                                        \
    EVERYWHERE(profile), { profile, "kill another role", try_kill, NULL, false },                                                \
        { profile, "have signals sent", try_async, NULL, false }, { profile, "connect", call_out, NULL, false },                 \
        { profile, "remove a key", try_remove, key, false }, { profile, "remove the configuration", try_remove, config, false }, \
        { profile, "remove the control socket", try_remove, control, false },                                                    \
        { profile, "read the configuration", try_read, config, false },                                                          \
        { profile, "read /etc/passwd", try_read, "/etc/passwd", false },                                                         \
        { profile, "call the control socket", connect_unix, control, false }, { profile, "execute", run_program, NULL, false },  \
        { profile, "fork", fork_child, NULL, false, true }, { profile, "start a thread", start_thread, NULL, true },             \
    {                                                                                                                            \
        profile, "pass a descriptor", pass_a_body, NULL, true                                                                    \
    }
    IN_ROLES(&role_keeper_profile),
    { &role_keeper_profile, "read a private key", try_read, "server.key", true },
    { &role_keeper_profile, "change the key where it sees it", try_change, "server.key", false },
    { &role_keeper_profile, "cut the key where it sees it", try_cut_at_open, "server.key", false },
    { &role_keeper_profile, "chmod the key where it sees it", try_chmod, "server.key", false },
    { &role_keeper_profile, "chmod the key by descriptor", try_chmod_open, "server.key", false },
    { &role_keeper_profile, "make a private key", try_make, "other.key", false },
    { &role_keeper_profile, "read the store", try_read, store, false },
    { &role_keeper_profile, "see the configuration", try_stat, config, false, true, AS_ROOT },
    { &role_keeper_profile, "see what is above", try_stat, "../valise.conf", false, true, AS_ROOT },
    { &role_keeper_profile, "see /etc", try_stat, "/etc/passwd", false, true, AS_ROOT },
    { &role_keeper_profile, "accept", take_call, NULL, false },
    IN_ROLES(&role_mx_profile),
    { &role_mx_profile, "read a private key", try_read, key, false },
    { &role_mx_profile, "read the store", try_read, store, false },
    { &role_mx_profile, "make a spool file itself", try_make_nameless, "spool", false },
    { &role_mx_profile, "make a file where it lives", try_make, "x", false },
    { &role_mx_profile, "see the configuration", try_stat, config, false, true },
    { &role_mx_profile, "see where it lives", try_stat, ".", false, true },
    { &role_mx_profile, "see the root", try_stat, "/", false, true },
    { &role_mx_profile, "see /etc", try_stat, "/etc/passwd", false, true },
    { &role_mx_profile, "accept", take_call, NULL, true },
    IN_ROLES(&role_core_profile),
    { &role_core_profile, "read the store", try_read, store, true },
    { &role_core_profile, "make a file in the store", try_make, "store/new", true },
    { &role_core_profile, "make a spool file", try_make_nameless, "spool", true },
    { &role_core_profile, "read a private key", try_read, key, false },
    { &role_core_profile, "chmod what is its own", try_chmod, store, false },
    { &role_core_profile, "accept", take_call, NULL, true },
    EVERYWHERE(&role_supervisor_profile),
    { &role_supervisor_profile, "read the configuration", try_read, config, true },
    { &role_supervisor_profile, "make a file in the directory", try_make, "new", false },
    { &role_supervisor_profile, "chmod a program by descriptor", try_chmod_open, "/usr/bin/env", false },
    { &role_supervisor_profile, "kill a role", try_kill, NULL, true },
    { &role_supervisor_profile, "fork", fork_child, NULL, true },
};

enum { WORKED = 0, REFUSED = 1, NOT_REFUSED_BUT_FAILED = 2, NO_SANDBOX = 3 };

/* As the supervisor has it run: the user, the directory to live in, the profile. */
static void enter(const struct sandbox_profile *profile, int abi_max)
{
    struct error e = ERROR_NONE;
    struct sandbox_state state;
    const bool keeper = profile == &role_keeper_profile, mx = profile == &role_mx_profile;
    const uint32_t supervisors =
        1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SYS_CHROOT | 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE;
    int root_fd = -1, err = chdir(top) != 0;
    if (err == 0 && keeper)
        root_fd = open("keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    else if (mx)
        root_fd = empty_fd;
    if (err == 0 && geteuid() == 0 && profile->children)
        err = sandbox_keep_capabilities(supervisors, &e);
    else if (err == 0 && geteuid() == 0) {
        unsigned id = keeper ? KEEPER : mx ? MX : CORE;
        err = sandbox_become(id, id, root_fd < 0 ? 0 : 1u << CAP_SYS_CHROOT, &e);
    }
    if (err || sandbox_enter_at_most(profile, root_fd, abi_max, &state, &e) || !state.landlock_abi || !state.seccomp)
        _exit(NO_SANDBOX);
}

/* In an empty root nothing is there, which is as good as refused. */
static bool is_refusal(const struct row *row, int code)
{
    bool rooted = row->profile == &role_keeper_profile || row->profile == &role_mx_profile;
    return code == EPERM || code == EACCES || code == ENOSYS || code == EAFNOSUPPORT ||
           (rooted && (code == ENOENT || code == EXDEV));
}

static int outcome(const struct row *row, int abi_max)
{
    int status;
    (void)fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        enter(row->profile, abi_max);
        int r = row->attempt(row->path);
        _exit(r == 0 ? WORKED : is_refusal(row, r) ? REFUSED : NOT_REFUSED_BUT_FAILED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return REFUSED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : NOT_REFUSED_BUT_FAILED;
}

static void try_all(int abi_max)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((rows[i].plain_only && SANITIZED) || (rows[i].when == AS_ROOT && geteuid() != 0))
            continue;
        int got = outcome(&rows[i], abi_max);
        if (got == NO_SANDBOX)
            fail_msg("%s: the sandbox could not be entered (does this kernel have Landlock and seccomp?)", rows[i].profile->name);
        if (got != (rows[i].allowed ? WORKED : REFUSED))
            print_error("%s: \"%s\" gave %d, expected %s\n", rows[i].profile->name, rows[i].what, got,
                        rows[i].allowed ? "to work" : "refusal");
        wrong += got != (rows[i].allowed ? WORKED : REFUSED);
    }
    assert_int_equal(wrong, 0);
}

static void test_every_role_can_do_what_it_must_and_nothing_else(void **state)
{
    (void)state;
    try_all(INT_MAX);
}

static void test_the_same_holds_with_the_landlock_of_debian_12(void **state)
{
    (void)state;
    try_all(2);
}

/* --- a directory like an installed one --- */

static void put_file(const char *name, char *ret, uid_t uid, gid_t gid, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    if (geteuid() == 0)
        assert_true(fchown(fd, uid, gid) == 0 && fchmod(fd, mode) == 0);
    (void)close(fd);
    if (ret)
        (void)snprintf(ret, 64, "%.63s", path);
}

static void put_folder(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    assert_int_equal(mkdir(path, 0700), 0);
    if (geteuid() == 0)
        assert_true(chown(path, uid, gid) == 0 && chmod(path, mode) == 0);
}

static void put_socket(void)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    (void)snprintf(control, sizeof control, "%.40s/control.sock", top);
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", control);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 16) == 0);
}

static void start_sibling(void)
{
    sibling = fork();
    assert_true(sibling >= 0);
    if (sibling == 0) {
        if (geteuid() == 0 && (setgid(CORE) != 0 || setuid(CORE) != 0))
            _exit(1);
        for (;;)
            (void)pause();
    }
}

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof sa;
    char empty[64];
    if (!mkdtemp(top))
        return -1;
    if (geteuid() == 0 && (chown(top, 0, CORE) != 0 || chmod(top, 0750) != 0))
        return -1;
    put_folder("keys", 0, KEEPER, 0750);
    put_folder("store", CORE, CORE, 0700);
    put_folder("spool", CORE, CORE, 0700);
    put_folder("tls", CORE, CORE, 0755);
    put_file("keys/server.key", key, 0, KEEPER, 0640);
    put_file("store/CURRENT", store, CORE, CORE, 0644);
    put_file("valise.conf", config, 0, CORE, 0640);
    put_socket();
    (void)snprintf(empty, sizeof empty, "%.40s/empty", top);
    empty_fd = mkdir(empty, 0755) == 0 ? open(empty, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (empty_fd < 0 || rmdir(empty) != 0)
        return -1;
    start_sibling();
    listening_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening_fd < 0 || bind(listening_fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(listening_fd, 16) != 0 ||
        getsockname(listening_fd, (struct sockaddr *)&sa, &n) != 0)
        return -1;
    listening_port = ntohs(sa.sin_port);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {
        "keys/server.key", "store/CURRENT", "store/new", "valise.conf", "control.sock", "keys", "store", "spool", "tls", ""
    };
    (void)kill(sibling, SIGKILL);
    (void)waitpid(sibling, NULL, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", top, names[i]);
        (void)remove(path);
    }
    (void)close(listening_fd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_role_can_do_what_it_must_and_nothing_else),
                                        cmocka_unit_test(test_the_same_holds_with_the_landlock_of_debian_12) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
