/* metric: series, their text, and what comes from another process. */
#include "../check.h"

#include <pthread.h>

#include "base/metric.h"

static void *add_many(void *ctx)
{
    for (int i = 0; i < 10000; i++)
        metric_add(ctx, 1);
    return NULL;
}

static void test_text(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT(65536), out = BUF_INIT(65536);
    struct metric *imap = metric_get(METRIC_CONNECTIONS, "listener", "im\"a\\p\n", "protocol", "imap", NULL);
    assert_ptr_equal(imap, metric_get(METRIC_CONNECTIONS, "listener", "im\"a\\p\n", "protocol", "imap", NULL));
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, imap), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct metric *time = metric_get(METRIC_LOGIN_TIME, NULL);
    metric_observe(time, 100);
    metric_observe(time, 101);
    metric_observe(time, 40000000);
    metric_observe(time, -5);
    metric_pack(&packed);
    const struct metric_pack list[] = { { STR("core"), buf_str(&packed) }, { STR("mx-0"), STR("") } };
    assert_int_equal(metric_render(list, 2, &out), 0);
    static const char *const lines[] = {
        "# TYPE valise_connections_accepted_total counter\n",
        "valise_connections_accepted_total{process=\"core\",listener=\"im\\\"a\\\\p\\n\",protocol=\"imap\"} 40000\n",
        "# TYPE valise_login_seconds histogram\n",
        "valise_login_seconds_bucket{process=\"core\",le=\"0.0001\"} 2\n",
        "valise_login_seconds_bucket{process=\"core\",le=\"0.0005\"} 3\n",
        "valise_login_seconds_bucket{process=\"core\",le=\"30\"} 3\n",
        "valise_login_seconds_bucket{process=\"core\",le=\"+Inf\"} 4\n",
        "valise_login_seconds_sum{process=\"core\"} 40.000201\n",
        "valise_login_seconds_count{process=\"core\"} 4\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (str_find(buf_str(&out), str_from_z(lines[i])) == out.n)
            fail_msg("no %s in %.*s", lines[i], STR_ARG(buf_str(&out)));
    buf_done(&packed);
    buf_done(&out);
}

/* Two processes with the same family: one head. What is damaged is refused at every cut, and read nowhere else. */
static void test_packs(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT(65536), out = BUF_INIT(1 << 20);
    metric_add(metric_get(METRIC_TLS, "version", "TLSv1.3", NULL), 7);
    metric_pack(&packed);
    const struct metric_pack two[] = { { STR("mx-0"), buf_str(&packed) }, { STR("mx-1"), buf_str(&packed) } };
    assert_int_equal(metric_render(two, 2, &out), 0);
    str text = buf_str(&out), head = STR("# TYPE valise_tls_handshakes_total");
    size_t first = str_find(text, head);
    assert_true(first < text.n);
    assert_int_equal(str_find(str_from(text, first + 1), head), text.n - first - 1);
    assert_true(str_find(text, STR("{process=\"mx-1\",version=\"TLSv1.3\"} 7\n")) < text.n);
    unsigned refused = 0;
    for (size_t n = 0; n < packed.n; n++) {
        char *copy = malloc(n ? n : 1); /* of its exact size */
        memcpy(copy, packed.p, n);
        const struct metric_pack cut = { STR("x"), { copy, n } };
        buf_reset(&out);
        refused += metric_render(&cut, 1, &out) == ERR_CORRUPT;
        free(copy);
    }
    assert_true(refused > packed.n / 2);
    const struct metric_pack unknown = { STR("x"), STR("\377\0\0") };
    assert_int_equal(metric_render(&unknown, 1, &out), ERR_CORRUPT);
    buf_done(&packed);
    buf_done(&out);
}

static void test_too_many(void **state)
{
    (void)state;
    char name[300];
    struct metric *rest = NULL;
    for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        rest = metric_get(METRIC_REFUSED, "listener", name, NULL);
    }
    assert_ptr_equal(rest, metric_get(METRIC_REFUSED, "listener", "another", NULL));
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_ptr_equal(rest, metric_get(METRIC_REFUSED, "listener", name, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_packs),
                                        cmocka_unit_test(test_too_many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
