/* format: a store says its version; an old one is brought up, a newer one is refused and left alone. */
#include "../check.h"

#include "base/log.h"
#include "base/pack.h"
#include "role/format.h"

static const engine_part part = { "valise-format" };

static void write_row(struct engine *g, str value)
{
    struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
    engine_put(t, STR("format"), value);
    assert_int_equal(engine_commit(t, NULL), 0);
}

static struct admin open_all(void)
{
    struct admin a = { 0 };
    struct error e = ERROR_NONE;
    assert_int_equal(engine_memory_open(&a.engine), 0);
    a.mail = mail_store_new(a.engine);
    assert_int_equal(directory_open(a.engine, &a.directory, &e), 0);
    return a;
}

static void close_all(struct admin *a)
{
    directory_free(a->directory);
    mail_store_free(a->mail);
    engine_close(a->engine);
}

static void test_up(void **state)
{
    (void)state;
    struct admin a = open_all();
    struct engine *g = a.engine;
    uint32_t format = 0;
    size_t n;
    assert_int_equal(store_format(g, &format), 0);
    assert_int_equal(format, 1);
    const struct store_step *s = store_steps(format, &n);
    assert_int_equal(n, STORE_FORMAT - 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s[i].to, i + 2);
    assert_int_equal(store_upgrade(&a, NULL), 0);
    assert_int_equal(store_format(g, &format), 0);
    assert_int_equal(format, STORE_FORMAT);
    assert_null(store_steps(format, &n));
    assert_int_equal(n, 0);
    assert_int_equal(store_upgrade(&a, NULL), 0);
    close_all(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int err;
    } rows[] = { { "\0\0\0\3", ERR_UNSUPPORTED }, { "\3\0\0\0", ERR_UNSUPPORTED }, { "\0\0\0\0", ERR_CORRUPT } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct admin a = open_all();
        struct engine *g = a.engine;
        struct error e = ERROR_NONE;
        uint32_t before = 0, after = 0;
        write_row(g, (str){ rows[i].bytes, 4 });
        (void)!store_format(g, &before);
        assert_int_equal(store_upgrade(&a, &e), rows[i].err);
        assert_true(rows[i].err != ERR_UNSUPPORTED || (strstr(e.text, "newer valise") && strstr(e.text, "backup")));
        (void)!store_format(g, &after);
        assert_int_equal(before, after);
        close_all(&a);
    }
    struct admin a = open_all();
    write_row(a.engine, STR("odd"));
    assert_int_equal(store_upgrade(&a, NULL), ERR_CORRUPT);
    close_all(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_up), cmocka_unit_test(test_refused) };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
