/* What a name may mean: addresses, local parts in any domain, aliases and groups with who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "directory/directory_private.h"

struct fixture {
    struct engine *engine;
    struct directory *d;
    struct arena a;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    engine_part id;
    static const str staff[] = { STR_INIT("bob@a.example"), STR_INIT("alice@a.example") };
    assert_non_null(f);
    f->a = ARENA_INIT(1 << 20);
    assert_int_equal(engine_memory_open(&f->engine), 0);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@b.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("bob@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_enable(f->d, STR("bob@a.example"), false, NULL), 0);
    assert_int_equal(directory_alias_add(f->d, STR("staff@a.example"), staff, 2, NULL), 0);
    assert_int_equal(directory_group_add(f->d, STR("choir@b.example"), DIRECTORY_SENDERS_MEMBERS, NULL), 0);
    assert_int_equal(directory_group_member_add(f->d, STR("choir@b.example"), STR("bob@a.example"), NULL), 0);
    assert_int_equal(directory_group_member_add(f->d, STR("choir@b.example"), STR("alice@b.example"), NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    directory_free(f->d);
    engine_close(f->engine);
    arena_done(&f->a);
    free(f);
    return 0;
}

static void names(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        int expected;
        size_t n;
        const char *first;
        enum directory_kind kind;
        bool enabled;
        size_t members;
    } cases[] = {
        { "alice@a.example", 0, 1, "alice@a.example", DIRECTORY_ACCOUNT, true, 0 },
        { "ALICE@A.Example", 0, 1, "alice@a.example", DIRECTORY_ACCOUNT, true, 0 },
        { "alice+lists@a.example", 0, 1, "alice@a.example", DIRECTORY_ACCOUNT, true, 0 },
        { "Alice", 0, 2, "alice@a.example", DIRECTORY_ACCOUNT, true, 0 },
        { "bob", 0, 1, "bob@a.example", DIRECTORY_ACCOUNT, false, 0 },
        { "staff", 0, 1, "staff@a.example", DIRECTORY_ALIAS, true, 2 },
        { "staff@a.example", 0, 1, "staff@a.example", DIRECTORY_ALIAS, true, 2 },
        { "choir", 0, 1, "choir@b.example", DIRECTORY_GROUP, true, 2 },
        { "nobody", ERR_NOTFOUND },
        { "staff@b.example", ERR_NOTFOUND },
        { "alice@c.example", ERR_REFUSED },
        { "", ERR_SYNTAX },
        { "a b", ERR_SYNTAX },
        { "@", ERR_SYNTAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct directory_match *list = NULL;
        size_t n = 0;
        int r = directory_match(f->d, str_from_z(cases[i].name), &f->a, &list, &n);
        if (r != cases[i].expected || n != cases[i].n)
            fail_msg("case %zu: %s, %zu", i, err_name(r), n);
        if (r == 0 && (!str_eq(list[0].address, str_from_z(cases[i].first)) || list[0].kind != cases[i].kind ||
                       list[0].enabled != cases[i].enabled || list[0].member_n != cases[i].members))
            fail_msg("case %zu: %.*s", i, STR_ARG(list[0].address));
        if (n == 2)
            assert_true(str_eq(list[1].address, STR("alice@b.example")));
        for (size_t k = 0; r == 0 && k < cases[i].members; k++)
            assert_true(str_starts(list[0].members[k], STR("bob@")) || str_starts(list[0].members[k], STR("alice@")));
    }
}

/* More than are told are counted. */
static void many(void **state)
{
    struct fixture *f = *state;
    struct directory_match *list;
    engine_part id;
    size_t n;
    for (int i = 0; i < DIRECTORY_MATCHES_MAX + 5; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "d%02d.example", i);
        assert_int_equal(directory_domain_add(f->d, str_from_z(text), NULL), 0);
        (void)snprintf(text, sizeof text, "smith@d%02d.example", i);
        assert_int_equal(directory_account_add(f->d, str_from_z(text), STR(""), &id, NULL), 0);
    }
    assert_int_equal(directory_match(f->d, STR("smith"), &f->a, &list, &n), 0);
    assert_int_equal(n, DIRECTORY_MATCHES_MAX + 5);
    for (size_t i = 1; i < DIRECTORY_MATCHES_MAX; i++)
        assert_true(str_cmp(list[i - 1].address, list[i].address) < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(names, setup, teardown),
                                               cmocka_unit_test_setup_teardown(many, setup, teardown) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
