/* str: views, searches, numbers. */
#include "../check.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a"), STR("a")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_eq((str){ NULL, 0 }, STR("")));
    assert_true(str_ieq(STR("InBoX"), STR("inbox")));
    assert_false(str_ieq(STR("\xc4"), STR("\xe4")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("a"), STR("a\xff")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_icmp(STR("ABC"), STR("abc")), 0);
    assert_true(str_eq_secret(STR("secret"), STR("secret")));
    assert_false(str_eq_secret(STR("secret"), STR("secreT")));
    assert_false(str_eq_secret(STR("secret"), STR("")));
    assert_false(str_eq_secret(STR(""), STR("x")));
}

static void test_prefixes(void **state)
{
    (void)state;
    assert_true(str_starts(STR("RCPT TO"), STR("RCPT")));
    assert_false(str_starts(STR("R"), STR("RCPT")));
    assert_true(str_istarts(STR("rcpt to"), STR("RCPT")));
    assert_true(str_ends(STR("x.key"), STR(".key")));
    assert_false(str_ends(STR("key"), STR(".key")));
    assert_true(str_iends(STR("X.KEY"), STR(".key")));
    assert_true(str_starts(STR("x"), STR("")));
}

static void test_find(void **state)
{
    (void)state;
    str s = check_copy(STR("one,two,three"));
    assert_int_equal(str_find_byte(s, ',', 0), 3);
    assert_int_equal(str_find_byte(s, ',', 4), 7);
    assert_int_equal(str_find_byte(s, 'x', 0), s.n);
    assert_int_equal(str_find_byte(s, 'o', 99), s.n);
    assert_int_equal(str_rfind_byte(s, ','), 7);
    assert_int_equal(str_find(s, STR("three")), 8);
    assert_int_equal(str_find(s, STR("threee")), s.n);
    assert_int_equal(str_ifind(s, STR("TWO")), 4);
    assert_int_equal(str_find(s, STR("")), 0);
    check_free(s);
}

static void test_cut(void **state)
{
    (void)state;
    check_str(str_sub(STR("abcdef"), 2, 2), "cd");
    check_str(str_sub(STR("abcdef"), 4, 99), "ef");
    check_str(str_sub(STR("abcdef"), 6, 1), "");
    check_str(str_from(STR("abcdef"), 3), "def");
    check_str(str_trim(STR(" \t x y \r\n")), "x y");
    check_str(str_trim(STR("   ")), "");
}

static void test_split(void **state)
{
    (void)state;
    static const char *const expected[] = { "a", "", "b" };
    str rest = STR("a,,b"), part;
    size_t n = 0;
    while (str_split(&rest, ',', &part)) {
        assert_true(n < 3);
        check_str(part, expected[n]);
        n++;
    }
    assert_int_equal(n, 3);
    rest = STR("");
    assert_true(str_split(&rest, ',', &part));
    assert_int_equal(part.n, 0);
    assert_false(str_split(&rest, ',', &part));
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        uint64_t max;
        bool good;
        uint64_t value;
    } rows[] = {
        { "0", 10, true, 0 },
        { "10", 10, true, 10 },
        { "11", 10, false, 0 },
        { "", 10, false, 0 },
        { "-1", 10, false, 0 },
        { "+1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1x", 10, false, 0 },
        { "007", 10, true, 7 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999999", UINT64_MAX, false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t v = 4711;
        str in = check_copy(str_from_z(rows[i].in));
        assert_int_equal(str_to_u64(in, rows[i].max, &v), rows[i].good);
        assert_int_equal(v, rows[i].good ? rows[i].value : 4711);
        check_free(in);
    }
    uint32_t w = 7;
    assert_false(str_to_u32(STR("4294967296"), UINT32_MAX, &w));
    assert_int_equal(w, 7);
    assert_true(str_to_u32(STR("4294967295"), UINT32_MAX, &w));
    assert_int_equal(w, UINT32_MAX);
}

static void test_hash_uses_seed(void **state)
{
    (void)state;
    assert_true(str_hash(STR("x"), 1) != str_hash(STR("x"), 2));
    assert_true(str_hash(STR("x"), 1) == str_hash(STR("x"), 1));
    assert_int_equal(ascii_hex_value('f'), 15);
    assert_int_equal(ascii_hex_value('A'), 10);
    assert_int_equal(ascii_hex_value('g'), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_find),           cmocka_unit_test(test_cut),
        cmocka_unit_test(test_split),          cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hash_uses_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
