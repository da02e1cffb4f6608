/* quiet: memory is given back once after work, and not while there is some. */
#include "../check.h"

#include "role/quiet.h"

static void once_after_work(void **state)
{
    static const struct {
        int64_t now_ms, cpu_ms;
        bool due;
    } rows[] = {
        { 60000, 5000, false },   /* started, and worked */
        { 120000, 5100, true },   /* 0.1 s in a minute */
        { 180000, 5200, false },  /* still quiet: nothing to give back */
        { 240000, 5900, false },  /* 0.7 s: some work */
        { 300000, 65900, false }, /* much */
        { 360000, 66000, true },  /* and quiet again */
        { 420000, 66700, false }, { 480000, 66750, true },
    };
    struct quiet q = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (quiet_is_due(&q, rows[i].now_ms, rows[i].cpu_ms) != rows[i].due)
            fail_msg("row %zu", i);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(once_after_work) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
