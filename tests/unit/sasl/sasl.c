/* SASL exchanges: what each mechanism takes, asks for and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "sasl/sasl.h"

#define NUL "\0"

/* A heap copy of exactly the bytes, so that reading one too many is seen. */
static str exact(str s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert_non_null(p);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

struct exchange {
    const char *mechanism;
    bool has_initial;
    str responses[4]; /* the first is the initial response when there is one */
    size_t response_n;
    int expected; /* result of the last step */
    const char *authzid, *authcid, *password;
};

static char long_name[SASL_NAME_MAX + 3], long_password[SASL_PASSWORD_MAX + 8], long_response[SASL_RESPONSE_MAX + 1];

static int run(const struct exchange *x, struct sasl_server **ret, struct buf *challenge)
{
    struct error e = ERROR_NONE;
    const struct sasl_mechanism *m = sasl_mechanism_find(str_from_z(x->mechanism));
    assert_non_null(m);
    assert_int_equal(sasl_server_new(m, ret, &e), 0);
    size_t i = 0;
    int rc;
    if (x->has_initial) {
        str r = exact(x->responses[i++]);
        rc = sasl_server_start(*ret, &r, challenge, &e);
        free((char *)r.p);
    } else {
        rc = sasl_server_start(*ret, NULL, challenge, &e);
    }
    while (rc == ERR_AGAIN && i < x->response_n) {
        assert_null(sasl_server_credentials(*ret));
        str r = exact(x->responses[i++]);
        rc = sasl_server_step(*ret, r, challenge, &e);
        free((char *)r.p);
    }
    assert_int_equal(i, x->response_n);
    return rc;
}

static void test_exchanges(void **state)
{
    static const struct exchange table[] = {
        { "PLAIN", true, { STR(NUL "alice" NUL "secret") }, 1, 0, "", "alice", "secret" },
        { "plain", false, { STR(NUL "alice" NUL "secret") }, 1, 0, "", "alice", "secret" },
        { "PLAIN", true, { STR("bob" NUL "alice" NUL "secret") }, 1, 0, "bob", "alice", "secret" },
        { "PLAIN",
          true,
          { STR(NUL "\xc3\xa9lo\xc3\xafse" NUL "\xc3\xa9t\xc3\xa9") },
          1,
          0,
          "",
          "\xc3\xa9lo\xc3\xafse",
          "\xc3\xa9t\xc3\xa9" },
        { "PLAIN", true, { STR("") }, 1, ERR_SYNTAX },
        { "PLAIN", false, { STR("") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR("alice") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR("alice" NUL "secret") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR(NUL NUL) }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR(NUL NUL "secret") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR(NUL "alice" NUL) }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR(NUL "alice" NUL "sec" NUL "ret") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR(NUL "alice" NUL "\xff\xfe") }, 1, ERR_SYNTAX },
        { "PLAIN", true, { { long_response, sizeof(long_response) } }, 1, ERR_LIMIT },
        { "PLAIN", true, { { long_name, sizeof(long_name) } }, 1, ERR_SYNTAX },
        { "PLAIN", true, { STR("alice" NUL "alice" NUL "secret") }, 1, 0, "", "alice", "secret" },
        { "PLAIN", true, { { long_password, sizeof(long_password) } }, 1, ERR_LIMIT },
        { "LOGIN", false, { STR("alice"), STR("secret") }, 2, 0, "", "alice", "secret" },
        { "LOGIN", true, { STR("alice"), STR("secret") }, 2, 0, "", "alice", "secret" },
        { "EXTERNAL", true, { STR("") }, 1, 0, "", "", "" },
        { "EXTERNAL", false, { STR("") }, 1, 0, "", "", "" },
        { "EXTERNAL", true, { STR("alice@example.org") }, 1, 0, "alice@example.org", "", "" },
        { "EXTERNAL", false, { STR("\xc3\xa9lo\xc3\xafse@example.org") }, 1, 0, "\xc3\xa9lo\xc3\xafse@example.org", "", "" },
        { "EXTERNAL", true, { STR("alice" NUL) }, 1, ERR_SYNTAX },
        { "EXTERNAL", true, { STR("\xff\xfe") }, 1, ERR_SYNTAX },
        { "EXTERNAL", true, { { long_response, SASL_NAME_MAX + 1 } }, 1, ERR_LIMIT },
        { "EXTERNAL", false, { { long_response, sizeof(long_response) } }, 1, ERR_LIMIT },
        { "LOGIN", false, { STR("alice"), STR("") }, 2, ERR_SYNTAX },
        { "LOGIN", false, { STR("") }, 1, ERR_SYNTAX },
        { "LOGIN", true, { STR("") }, 1, ERR_SYNTAX },
        { "LOGIN", false, { STR("al" NUL "ice") }, 1, ERR_SYNTAX },
        { "LOGIN", false, { STR("alice"), STR("sec" NUL "ret") }, 2, ERR_SYNTAX },
        { "LOGIN", false, { { long_response, sizeof(long_response) } }, 1, ERR_LIMIT },
    };
    memset(long_name, 'a', sizeof(long_name));
    memset(long_response, 'a', sizeof(long_response));
    memset(long_password, 'p', sizeof(long_password));
    memcpy(long_password, "\0u\0", 3);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct exchange *x = &table[i];
        struct sasl_server *s = NULL;
        struct buf challenge = BUF_INIT(1024);
        int rc = run(x, &s, &challenge);
        if (rc != x->expected)
            fail_msg("exchange %zu: %s instead of %s", i, err_name(rc), err_name(x->expected));
        const struct sasl_credentials *c = sasl_server_credentials(s);
        if (rc == 0) {
            assert_non_null(c);
            assert_true(str_eq(c->authzid, str_from_z(x->authzid)));
            assert_true(str_eq(c->authcid, str_from_z(x->authcid)));
            assert_true(str_eq(c->password, str_from_z(x->password)));
        } else {
            assert_null(c);
        }
        buf_done(&challenge);
        sasl_server_free(s);
    }
}

static void test_name_too_long(void **state)
{
    struct buf r = BUF_INIT(SASL_RESPONSE_MAX), challenge = BUF_INIT(64);
    buf_add_byte(&r, '\0');
    for (size_t i = 0; i <= SASL_NAME_MAX; i++)
        buf_add_byte(&r, 'a');
    buf_add(&r, STR("\0secret"));
    struct exchange x = { "PLAIN", true, { buf_str(&r) }, 1, ERR_LIMIT };
    struct sasl_server *s = NULL;
    assert_int_equal(run(&x, &s, &challenge), ERR_LIMIT);
    sasl_server_free(s);
    buf_done(&r);
    buf_done(&challenge);
}

static void test_challenges(void **state)
{
    struct sasl_server *s = NULL;
    struct buf challenge = BUF_INIT(64);
    struct exchange plain = { "PLAIN", false, { STR("") }, 0, ERR_AGAIN };
    assert_int_equal(run(&plain, &s, &challenge), ERR_AGAIN);
    assert_int_equal(challenge.n, 0);
    sasl_server_free(s);

    struct exchange login = { "LOGIN", false, { STR("") }, 0, ERR_AGAIN };
    assert_int_equal(run(&login, &s, &challenge), ERR_AGAIN);
    assert_true(str_eq(buf_str(&challenge), STR("Username:")));
    sasl_server_free(s);

    struct exchange named = { "LOGIN", true, { STR("alice") }, 1, ERR_AGAIN };
    assert_int_equal(run(&named, &s, &challenge), ERR_AGAIN);
    assert_true(str_eq(buf_str(&challenge), STR("Password:")));
    sasl_server_free(s);
    buf_done(&challenge);
}

static void test_mechanism_list(void **state)
{
    size_t n = 0;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    assert_true(n >= 2);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(sasl_mechanism_find(list[i].name), &list[i]);
        assert_true((list[i].kind == SASL_KIND_SCRAM) == (list[i].hash != SASL_HASH_NONE));
        assert_true(sasl_set_of(&list[i]) == (sasl_set)1 << i);
        assert_true(!list[i].binding || list[i].hash != SASL_HASH_NONE);
    }
    assert_null(sasl_mechanism_find(STR("")));
    assert_null(sasl_mechanism_find(STR("PLAINX")));
    assert_null(sasl_mechanism_find(STR("ANONYMOUS")));
}

static void *many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct exchange x = { "PLAIN", true, { STR(NUL "alice" NUL "secret") }, 1, 0 };
        struct sasl_server *s = NULL;
        struct buf challenge = BUF_INIT(64);
        assert_int_equal(run(&x, &s, &challenge), 0);
        assert_true(str_eq(sasl_server_credentials(s)->password, STR("secret")));
        sasl_server_free(s);
        buf_done(&challenge);
    }
    return arg;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),      cmocka_unit_test(test_name_too_long), cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_mechanism_list), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
