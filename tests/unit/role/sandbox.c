/* sandbox: in each role, what it must do works and what it must not is refused by the kernel. Every attempt is made in a process of its own that has
 * entered the role's profile: an errno of refusal or death by SIGSYS counts as refused. */
#include "../check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role/role.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static char top[] = "/tmp/valise-sandbox-XXXXXX";
static int listening_fd = -1;
static uint16_t listening_port;

/* --- attempts: 0 when it worked, else errno --- */

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? errno : 0;
}

static int read_key(void)
{
    return try_open("keys/server.key", O_RDONLY);
}
static int change_key(void)
{
    return try_open("keys/server.key", O_RDWR);
}
static int new_key(void)
{
    return try_open("keys/other.key", O_RDWR | O_CREAT);
}
static int read_config(void)
{
    return try_open("valise.conf", O_RDONLY);
}
static int read_store(void)
{
    return try_open("store/CURRENT", O_RDONLY);
}
static int new_in_store(void)
{
    return try_open("store/new", O_RDWR | O_CREAT);
}
static int new_spool(void)
{
    return try_open("spool", O_RDWR | O_TMPFILE);
}
static int read_passwd(void)
{
    return try_open("/etc/passwd", O_RDONLY);
}
static int read_shadow(void)
{
    return try_open("/etc/shadow", O_RDONLY);
}
static int write_tmp(void)
{
    return try_open("/tmp/valise-sandbox-escape", O_RDWR | O_CREAT);
}

static int call_out(void)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(listening_port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    return connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ? errno : 0;
}

static int take_call(void)
{
    int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 && errno != EAGAIN ? errno : 0;
}

static int run_program(void)
{
    char name[] = "/bin/true";
    char *argv[] = { name, NULL }, *envp[] = { NULL };
    (void)execve(name, argv, envp);
    return errno;
}

static int trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) != 0 ? errno : 0;
}
static int mount_something(void)
{
    return mount("none", "/mnt", "tmpfs", 0, NULL) != 0 ? errno : 0;
}

static int fork_child(void)
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

static int start_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, NULL, do_nothing, NULL);
    return r ? r : pthread_join(t, NULL);
}

static int pass_a_body(void)
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

static const struct {
    const struct sandbox_profile *profile;
    const char *what;
    int (*attempt)(void);
    bool allowed;
    bool plain_only; /* sanitizers need the call themselves, so only the plain build (which the e2e stage tests too) refuses it */
} rows[] = {
    { &role_keeper_profile, "read a private key", read_key, true },
    { &role_keeper_profile, "change a private key", change_key, false },
    { &role_keeper_profile, "make a private key", new_key, false },
    { &role_keeper_profile, "read the store", read_store, false },
    { &role_keeper_profile, "read the configuration", read_config, false },
    { &role_keeper_profile, "read /etc/passwd", read_passwd, false },
    { &role_keeper_profile, "connect", call_out, false },
    { &role_keeper_profile, "accept", take_call, false },
    { &role_keeper_profile, "execute", run_program, false },
    { &role_keeper_profile, "fork", fork_child, false, true },
    { &role_keeper_profile, "ptrace", trace_parent, false },
    { &role_keeper_profile, "start a thread", start_thread, true },
    { &role_keeper_profile, "pass a descriptor", pass_a_body, true },
    { &role_mx_profile, "read a private key", read_key, false },
    { &role_mx_profile, "read the store", read_store, false },
    { &role_mx_profile, "read the configuration", read_config, false },
    { &role_mx_profile, "make a spool file itself", new_spool, false },
    { &role_mx_profile, "read /etc/passwd", read_passwd, false },
    { &role_mx_profile, "write to /tmp", write_tmp, false },
    { &role_mx_profile, "connect", call_out, false },
    { &role_mx_profile, "accept", take_call, true },
    { &role_mx_profile, "execute", run_program, false },
    { &role_mx_profile, "fork", fork_child, false, true },
    { &role_mx_profile, "ptrace", trace_parent, false },
    { &role_mx_profile, "mount", mount_something, false },
    { &role_mx_profile, "start a thread", start_thread, true },
    { &role_mx_profile, "pass a descriptor", pass_a_body, true },
    { &role_core_profile, "read the store", read_store, true },
    { &role_core_profile, "make a file in the store", new_in_store, true },
    { &role_core_profile, "make a spool file", new_spool, true },
    { &role_core_profile, "read a private key", read_key, false },
    { &role_core_profile, "read the configuration", read_config, false },
    { &role_core_profile, "read /etc/passwd", read_passwd, false },
    { &role_core_profile, "write to /tmp", write_tmp, false },
    { &role_core_profile, "connect", call_out, false },
    { &role_core_profile, "accept", take_call, true },
    { &role_core_profile, "execute", run_program, false },
    { &role_core_profile, "fork", fork_child, false, true },
    { &role_core_profile, "ptrace", trace_parent, false },
    { &role_core_profile, "start a thread", start_thread, true },
    { &role_supervisor_profile, "read the configuration", read_config, true },
    { &role_supervisor_profile, "fork", fork_child, true },
    { &role_supervisor_profile, "read /etc/shadow", read_shadow, false },
    { &role_supervisor_profile, "write to /tmp", write_tmp, false },
    { &role_supervisor_profile, "ptrace", trace_parent, false },
    { &role_supervisor_profile, "mount", mount_something, false },
};

enum { WORKED = 0, REFUSED = 1, NOT_REFUSED_BUT_FAILED = 2, NO_SANDBOX = 3 };

static int outcome(const struct sandbox_profile *profile, int (*attempt)(void))
{
    int status;
    (void)fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *missing = NULL;
        struct error e = ERROR_NONE;
        if (chdir(top) != 0 || (sandbox_enter(profile, &missing, &e) != 0))
            _exit(NO_SANDBOX);
        int r = attempt();
        _exit(r == 0 ? WORKED : r == EPERM || r == EACCES || r == ENOSYS || r == EAFNOSUPPORT ? REFUSED : NOT_REFUSED_BUT_FAILED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return REFUSED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : NOT_REFUSED_BUT_FAILED;
}

static void test_every_role_can_do_what_it_must_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].plain_only && SANITIZED)
            continue;
        int got = outcome(rows[i].profile, rows[i].attempt);
        if (got == NO_SANDBOX)
            fail_msg("%s: the sandbox could not be entered (does this kernel have Landlock and seccomp?)", rows[i].profile->name);
        if (got != (rows[i].allowed ? WORKED : REFUSED))
            fail_msg("%s: \"%s\" gave %d, expected %s", rows[i].profile->name, rows[i].what, got,
                     rows[i].allowed ? "to work" : "refusal");
    }
}

static void put_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const folders[] = { "keys", "store", "spool" };
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof sa;
    if (!mkdtemp(top))
        return -1;
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", top, folders[i]);
        if (mkdir(path, 0700) != 0)
            return -1;
    }
    put_file("keys/server.key");
    put_file("store/CURRENT");
    put_file("valise.conf");
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
    static const char *const names[] = { "keys/server.key", "store/CURRENT", "store/new", "valise.conf", "keys",
                                         "store",           "spool",         "" };
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_role_can_do_what_it_must_and_nothing_else) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
