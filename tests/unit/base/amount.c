/* amount: sizes and lengths of time with and without units. */
#include "../check.h"

#include "base/amount.h"

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        { "0", 0 },           { "52428800", 52428800 }, { "50M", 50 << 20 },     { "50m", 50 << 20 },
        { "50MB", 50 << 20 }, { "50 MiB", 50 << 20 },   { "2 GiB", 2ULL << 30 }, { "2g", 2ULL << 30 },
        { "16k", 16 << 10 },  { "1T", 1ULL << 40 },     { "9 bytes", 9 },        { "9B", 9 },
        { "0G", 0 },
    };
    static const char *const bad[] = { "",      " ",    "M",        "50X",      "50 ",
                                       "50  M", "-1",   "+1",       "1.5G",     "50 MiX",
                                       "1Mi",   "0x10", "2097152T", "1048577T", "18446744073709551616",
                                       "5 0",   "50M " };
    uint64_t n;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str text = check_copy(str_from_z(rows[i].text));
        if (!amount_bytes(text, 1ULL << 60, &n) || n != rows[i].bytes)
            fail_msg("'%s'", rows[i].text);
        check_free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        str text = check_copy(str_from_z(bad[i]));
        if (amount_bytes(text, 1ULL << 60, &n))
            fail_msg("'%s' was taken", bad[i]);
        check_free(text);
    }
    assert_true(amount_bytes(STR("1K"), 1024, &n));
    assert_false(amount_bytes(STR("1K"), 1023, &n));
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t unit, seconds;
    } rows[] = {
        { "90", 1, 90 },
        { "90", AMOUNT_DAY, 90 * 86400 },
        { "90d", 1, 90 * 86400 },
        { "36h", AMOUNT_DAY, 36 * 3600 },
        { "15min", 0, 900 },
        { "15m", 0, 900 },
        { "15 minutes", 0, 900 },
        { "1 Hour", 0, 3600 },
        { "2w", 0, 14 * 86400 },
        { "1y", 0, 365 * 86400 },
        { "30 secs", 0, 30 },
        { "30S", 0, 30 },
        { "3 days", 1, 3 * 86400 },
        { "0", 1, 0 },
    };
    static const char *const bad[] = { "", "d", "90x", "90 ", "-1d", "1.5h", "90dd", "90ss", "1000000000000y", "1d2h", "5 M M" };
    uint64_t n;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str text = check_copy(str_from_z(rows[i].text));
        if (!amount_seconds(text, rows[i].unit, 1ULL << 40, &n) || n != rows[i].seconds)
            fail_msg("'%s'", rows[i].text);
        check_free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        str text = check_copy(str_from_z(bad[i]));
        if (amount_seconds(text, 1, 1ULL << 40, &n))
            fail_msg("'%s' was taken", bad[i]);
        check_free(text);
    }
    assert_false(amount_seconds(STR("90"), 0, 1ULL << 40, &n));
    assert_false(amount_seconds(STR("2d"), 1, 86400, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sizes), cmocka_unit_test(test_times) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
