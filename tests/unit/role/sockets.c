/* sockets: what a reload binds, shares and closes, and what a service manager hands over. */
#include "../check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role/supervisor_private.h"

static struct config *config_of(const char *listeners)
{
    char text[2000];
    struct config *c;
    struct error e = ERROR_NONE;
    (void)snprintf(text, sizeof text, "hostname = \"a.example\"\n%s", listeners);
    if (config_parse("test", str_from_z(text), &c, &e))
        fail_msg("%s", e.text);
    return c;
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_shared_bound_closed(void **state)
{
    (void)state;
    static struct socket_set none, first, second;
    char text[600];
    struct error e = ERROR_NONE;
    uint16_t a = free_port(), b = free_port();
    (void)snprintf(text, sizeof text,
                   "listener one { protocol = \"imap\" port = %u tls = \"off\" }\n"
                   "listener two { protocol = \"lmtp\" socket = \"sockets-test.sock\" tls = \"off\" }\n",
                   a);
    struct config *c = config_of(text);
    assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), 0);
    config_free(c);
    assert_int_equal(first.n, 2);
    assert_string_equal(first.list[0].kind, "core");
    struct stat st;
    assert_int_equal(lstat("sockets-test.sock", &st), 0);
    /* The port goes to another listener and role, on the same socket; the path goes. */
    (void)snprintf(text, sizeof text,
                   "listener uno { protocol = \"smtp\" port = %u tls = \"off\" }\n"
                   "listener due { protocol = \"imap\" port = %u tls = \"off\" }\n",
                   a, b);
    c = config_of(text);
    assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &first, &second, &e), 0);
    config_free(c);
    assert_int_equal(second.n, 2);
    assert_int_equal(second.list[0].fd, first.list[0].fd);
    assert_string_equal(second.list[0].kind, "mx");
    assert_string_equal(second.list[0].name, "uno");
    int path_fd = first.list[1].fd;
    sockets_close(&first, &second);
    assert_false(is_open(path_fd));
    assert_true(is_open(second.list[0].fd));
    assert_int_equal(lstat("sockets-test.sock", &st), -1);
    sockets_close(&second, NULL);
}

/* The second listener cannot be bound: the first is closed again, what was there stays. */
static void test_failure_leaves_nothing(void **state)
{
    (void)state;
    static struct socket_set none, first, second;
    char text[600];
    struct error e = ERROR_NONE;
    uint16_t a = free_port(), b = free_port();
    (void)snprintf(text, sizeof text, "listener one { protocol = \"imap\" port = %u tls = \"off\" }\n", a);
    struct config *c = config_of(text);
    assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), 0);
    config_free(c);
    (void)snprintf(text, sizeof text,
                   "listener one { protocol = \"imap\" port = %u tls = \"off\" }\n"
                   "listener two { protocol = \"imap\" port = %u tls = \"off\" }\n"
                   "listener three { protocol = \"smtp\" port = 9 tls = \"off\" addresses = {\"192.0.2.1\"} }\n",
                   a, b);
    c = config_of(text);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    (void)close(next);
    assert_true(sockets_bind(c, (gid_t)-1, 0, &first, &second, &e) < 0);
    assert_non_null(strstr(e.text, "three"));
    config_free(c);
    assert_false(is_open(next)); /* the number that "two" had */
    assert_true(is_open(first.list[0].fd));
    sockets_close(&first, NULL);
}

/* Somebody else's socket at PATH, listening or, with a backlog below 0, dead. */
static int open_foreign(const char *path, int backlog)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* Only a dead socket of our own makes room. */
static void test_what_others_have_at_a_path_stays(void **state)
{
    (void)state;
    static struct socket_set none, first;
    const char *path = "sockets-foreign.sock";
    struct error e = ERROR_NONE;
    struct stat before, st;
    struct config *c = config_of("listener two { protocol = \"lmtp\" socket = \"sockets-foreign.sock\" tls = \"off\" }\n");
    int foreign = open_foreign(path, 0);
    assert_int_equal(lstat(path, &before), 0);
    assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "another program listens at sockets-foreign.sock"));
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_ino, before.st_ino);
    (void)close(foreign);
    if (geteuid() == 0) {
        assert_int_equal(lchown(path, 4711, 4711), 0);
        assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), ERR_REFUSED);
        assert_non_null(strstr(e.text, "4711"));
        assert_int_equal(lchown(path, 0, 0), 0);
    }
    assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), 0); /* dead, and ours */
    /* What has come to its place meanwhile is not ours to remove. */
    foreign = open_foreign(path, -1);
    sockets_close(&first, NULL);
    assert_int_equal(lstat(path, &st), 0);
    (void)close(foreign);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(i == 0   ? mknod(path, S_IFREG | 0600, 0)
                         : i == 1 ? symlink("sockets-elsewhere", path)
                                  : mkdir(path, 0700),
                         0);
        assert_int_equal(sockets_bind(c, (gid_t)-1, 0, &none, &first, &e), ERR_EXISTS);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(remove(path), 0);
    }
    config_free(c);
}

static int open_listening(const char *address, uint16_t *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void announce(int n, const char *names)
{
    char text[20];
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", text, 1);
    (void)snprintf(text, sizeof text, "%d", n);
    (void)setenv("LISTEN_FDS", text, 1);
    (void)setenv("LISTEN_FDNAMES", names, 1);
}

/* Two sockets under a listener's name, one that is found by its place, and one of nobody. In a child, whose descriptors from 3 on are free to use. */
static int inherits(void)
{
    static struct socket_set inherited, used, again;
    char text[600];
    struct error e = ERROR_NONE;
    uint16_t port[4];
    for (int i = 0; i < 4; i++)
        if (dup2(open_listening("127.0.0.1", &port[i]), 60 + i) != 60 + i)
            return 1;
    for (int i = 0; i < 4; i++)
        if (dup2(60 + i, 3 + i) != 3 + i)
            return 2;
    (void)snprintf(text, sizeof text,
                   "listener one { protocol = \"smtp\" port = 1 tls = \"off\" addresses = {\"192.0.2.1\"} }\n"
                   "listener two { protocol = \"smtp\" port = %u tls = \"off\" }\n",
                   port[2]);
    struct config *c = config_of(text);
    announce(4, "one:one:valise.socket:stray");
    if (sockets_inherit(&inherited, &e) || inherited.n != 4 || getenv("LISTEN_FDS"))
        return 3;
    if (sockets_bind(c, (gid_t)-1, 0, &inherited, &used, &e) || used.n != 3 || used.list[0].fd != 3 || used.list[1].fd != 4 ||
        used.list[2].fd != 5)
        return 4;
    if (strcmp(used.list[1].name, "one") != 0 || strcmp(used.list[2].kind, "mx") != 0)
        return 5;
    if (sockets_all_used(&inherited, &used, &e) != ERR_SYNTAX || !strstr(e.text, "stray"))
        return 6;
    /* A reload keeps them. */
    if (sockets_bind(c, (gid_t)-1, 0, &used, &again, &e) || again.n != 3 || again.list[1].fd != 4)
        return 7;
    config_free(c);
    announce(1, "x");
    (void)setenv("LISTEN_PID", "1", 1);
    if (sockets_inherit(&inherited, &e) || inherited.n) /* for another process */
        return 8;
    announce(1, "x");
    (void)dup2(0, 3);
    return sockets_inherit(&inherited, &e) == ERR_REFUSED ? 0 : 9;
}

static void test_inherited(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(inherits());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shared_bound_closed), cmocka_unit_test(test_failure_leaves_nothing),
                                        cmocka_unit_test(test_what_others_have_at_a_path_stays),
                                        cmocka_unit_test(test_inherited) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
