/* roll: who is logged in on a server over real sockets, and the end of sessions; no assertion depends on time. */
#include "loopback.h"

static const struct server_settings small = { .workers_min = 2, .workers_max = 3 };

static bool is_account(void *ctx, const struct server_session *s)
{
    assert_string_equal(s->listener, "test");
    assert_string_equal(s->protocol, "echo");
    assert_true(str_eq(s->login->how, STR("TEST")) && str_eq(s->peer, STR("127.0.0.1")));
    return s->login->account[0] == *(const char *)ctx;
}

static bool count_session(void *ctx, const struct server_session *s)
{
    (void)s;
    ++*(unsigned *)ctx;
    return false;
}

static unsigned logged_in(struct loopback *l)
{
    unsigned n = 0;
    assert_int_equal(server_sessions_end(l->server, count_session, &n), 0);
    return n;
}

static int client_log_in(struct loopback *l, char account)
{
    char line[] = { 'A', 'C', 'C', 'O', 'U', 'N', 'T', ' ', account, '\r', '\n', 0 };
    int fd = client_connect(l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, str_from_z(line));
    client_expect(fd, STR("in\r\n"));
    return fd;
}

/* Whatever the session says to it, and whether its peer reads or not. */
static void sessions_end_with_their_logins(void **state)
{
    static const char *const openings[] = { "", "half a li", "BIG 500000000\r\n", "MANY 9000000\r\n" };
    struct loopback l;
    int a[4], b, nobody;
    (void)state;
    loopback_start(&l, &small, NULL, false);
    for (size_t i = 0; i < 4; i++) {
        a[i] = client_log_in(&l, 'a');
        client_send(a[i], str_from_z(openings[i]));
    }
    b = client_log_in(&l, 'b');
    nobody = client_connect(&l);
    client_expect(nobody, STR("hello\r\n"));
    assert_int_equal(logged_in(&l), 5);
    assert_int_equal(server_sessions_end(l.server, is_account, (char[]){ 'x' }), 0);
    assert_int_equal(server_sessions_end(l.server, is_account, (char[]){ 'a' }), 4);
    assert_int_equal(server_sessions_end(l.server, is_account, (char[]){ 'a' }), 0); /* each is ended once */
    for (size_t i = 0; i < 2; i++) {
        client_expect(a[i], STR("ended\r\n"));
        client_expect_eof(a[i]);
    }
    while (logged_in(&l) > 1) /* those that do not read are cut */
        (void)usleep(1000);
    client_send(b, STR("b\r\n"));
    client_expect(b, STR("b\r\n"));
    client_send(nobody, STR("n\r\n"));
    client_expect(nobody, STR("n\r\n"));
    for (size_t i = 0; i < 4; i++)
        (void)close(a[i]);
    client_send(b, STR("QUIT\r\n"));
    client_expect(b, STR("bye\r\n"));
    client_expect_eof(b);
    assert_int_equal(logged_in(&l), 0);
    (void)close(b);
    (void)close(nobody);
    loopback_stop(&l, 10000);
}

static bool is_not_x(void *ctx, const struct server_session *s)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
    return s->login->account[0] != 'x';
}

/* A login that was taken back before it was on the roll. */
static void a_late_login_is_asked_about(void **state)
{
    struct loopback l;
    atomic_uint asked = 0;
    (void)state;
    loopback_init(&l, &small, NULL, false);
    server_set_stands(l.server, is_not_x, &asked);
    loopback_run(&l);
    int y = client_log_in(&l, 'y'), x = client_log_in(&l, 'x');
    client_expect(x, STR("ended\r\n"));
    client_expect_eof(x);
    client_send(y, STR("y\r\n"));
    client_expect(y, STR("y\r\n"));
    assert_int_equal(atomic_load(&asked), 2);
    (void)close(x);
    (void)close(y);
    loopback_stop(&l, 10000);
}

struct ender {
    struct loopback *l;
    atomic_bool stop;
};

static void *ender_main(void *arg)
{
    struct ender *e = arg;
    while (!atomic_load(&e->stop))
        (void)server_sessions_end(e->l->server, is_account, (char[]){ 'a' });
    return NULL;
}

/* Logins, ends and closings at the same time. */
static void ends_meet_closings(void **state)
{
    struct loopback l;
    (void)state;
    loopback_start(&l, &small, NULL, false);
    struct ender e = { .l = &l };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, ender_main, &e), 0);
    for (unsigned i = 0; i < check_many(300, 30); i++) {
        int fd = client_connect(&l);
        client_expect(fd, STR("hello\r\n"));
        client_send(fd, i % 2 ? STR("ACCOUNT a\r\n") : STR("ACCOUNT b\r\nQUIT\r\n"));
        if (i % 3)
            client_expect(fd, STR("in\r\n"));
        (void)close(fd);
    }
    atomic_store(&e.stop, true);
    pthread_join(t, NULL);
    loopback_stop(&l, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_end_with_their_logins),
        cmocka_unit_test(a_late_login_is_asked_about),
        cmocka_unit_test(ends_meet_closings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
