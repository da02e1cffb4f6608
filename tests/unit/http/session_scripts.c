/* Runs every script of tests/session/http, each in four ways: as it comes, with 1-byte reads, with 512-byte writes, with both. There are two
 * resources: /metrics says "x 1", /broken is not available. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "http/http.h"
#include "tests/session/script.h"

static int get_metrics(void *ctx, struct buf *out, struct error *e)
{
    (void)ctx;
    buf_add(out, STR("x 1\r\n"));
    return 0;
}

static int get_broken(void *ctx, struct buf *out, struct error *e)
{
    (void)ctx;
    buf_add(out, STR("half"));
    return error_set(e, ERR_UNAVAILABLE, "the supervisor is away");
}

static const struct http_resource resources[] = { { "/metrics", "text/plain", get_metrics },
                                                  { "/broken", "text/plain", get_broken } };
static struct http_config config = { resources, 2, NULL };

struct tally {
    size_t read_step, write_step;
    unsigned failed;
};

static bool run_one(void *ctx, const char *path)
{
    struct tally *t = ctx;
    struct buf report = BUF_INIT(65536);
    const struct script_setup setup = {
        .ops = &http_session_ops, .ctx = &config, .read_step = t->read_step, .write_step = t->write_step
    };
    if (!script_run(path, &setup, &report)) {
        print_error("read %zu write %zu: %.*s\n", t->read_step, t->write_step, STR_ARG(buf_str(&report)));
        t->failed++;
    }
    buf_done(&report);
    return true;
}

static void every_script_holds_in_every_mode(void **state)
{
    (void)state;
    struct tally tally = { 0 };
    size_t n = 0;
    for (unsigned mode = 0; mode < 4; mode++) {
        tally.read_step = mode & 1;
        tally.write_step = mode & 2 ? 512 : 0;
        assert_true(script_each(HTTP_SCRIPTS, run_one, &tally, &n));
    }
    print_message("# %zu scripts, %u failed\n", n, tally.failed);
    assert_true(n >= 10);
    assert_int_equal(tally.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_script_holds_in_every_mode) };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
