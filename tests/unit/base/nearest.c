/* nearest: the distance of names, and which one was meant. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {
        { "", "", 0 },         { "", "abc", 3 },      { "abc", "", 3 },          { "list", "list", 0 },
        { "LIST", "list", 0 }, { "lsit", "list", 1 }, { "lst", "list", 1 },      { "liist", "list", 1 },
        { "lisy", "list", 1 }, { "ca", "abc", 3 },    { "stauts", "status", 1 }, { "kitten", "sitting", 3 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(nearest_distance(str_from_z(rows[i].a), str_from_z(rows[i].b)), rows[i].distance);
        assert_int_equal(nearest_distance(str_from_z(rows[i].b), str_from_z(rows[i].a)), rows[i].distance);
    }
}

static void test_limits(void **state)
{
    char longest[NEAREST_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    str fits = { longest, NEAREST_NAME_MAX }, too_long = { longest, NEAREST_NAME_MAX + 1 };
    assert_int_equal(nearest_distance(fits, fits), 0);
    assert_int_equal(nearest_distance(fits, too_long), UINT32_MAX);
    assert_int_equal(nearest_distance(too_long, fits), UINT32_MAX);
    struct nearest n = nearest_to(too_long);
    nearest_offer(&n, fits);
    assert_int_equal(n.name.n, 0);
}

static void test_meant(void **state)
{
    static const struct {
        const char *given, *meant;
    } rows[] = {
        { "stauts", "status" }, { "ad", "add" }, { "ls", "" }, { "generat", "generate" },
        { "nonsense", "" },     { "", "" },      { "x", "" },  { "lis", "list" },
    };
    static const char *const names[] = { "status", "add", "list", "generate", "remove" };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nearest n = nearest_to(str_from_z(rows[i].given));
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            nearest_offer(&n, str_from_z(names[k]));
        assert_true(str_eq(n.name, str_from_z(rows[i].meant)));
    }
}

static void test_as_near(void **state)
{
    struct nearest n = nearest_to(STR("lit"));
    nearest_offer(&n, STR("list"));
    nearest_offer(&n, STR("list"));
    assert_int_equal(n.other.n, 0);
    nearest_offer(&n, STR("lift"));
    assert_true(str_eq(n.name, STR("list")) && str_eq(n.other, STR("lift")));
    nearest_offer(&n, STR("lit"));
    assert_true(str_eq(n.name, STR("lit")) && n.other.n == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_distance), cmocka_unit_test(test_limits),
                                        cmocka_unit_test(test_meant), cmocka_unit_test(test_as_near) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
