/* Which passwords are accepted, and by whom it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "directory/directory_private.h"

static const struct directory_policy usual = { .length_min = 10, .refuse_common = true };
static const struct directory_policy strict = { .length_min = 8, .refuse_common = true, .need_mixed = true };
static const struct directory_policy lax = { .length_min = 1 };

static void passwords(void **state)
{
    static const struct {
        const struct directory_policy *policy;
        str password;
        const char *refused; /* a word of the reason, NULL when accepted */
    } table[] = {
        { &usual, STR_INIT("un nouveau secret"), NULL },
        { &usual, STR_INIT("mot de passe"), NULL },
        { &usual, STR_INIT("court"), "5 characters" },
        { &usual, STR_INIT("neuflettr"), "at least 10" },
        { &usual, STR_INIT("dixlettres"), NULL },
        /* Characters count, not bytes. */
        { &usual, STR_INIT("\xc3\xa9\xc3\xa8\xc3\xa0\xc3\xb9\xc3\xa7"), "5 characters" },
        { &usual, STR_INIT("\xc3\xa9\xc3\xa8\xc3\xa0\xc3\xb9\xc3\xa7-mars-"), NULL },
        { &usual, STR_INIT("1234567890"), "tried first" },
        { &usual, STR_INIT("0123456789"), "regular" },
        { &usual, STR_INIT("jihgfedcba"), "regular" },
        { &usual, STR_INIT("abababababab"), "regular" },
        { &usual, STR_INIT("aaaaaaaaaaaa"), "regular" },
        { &usual, STR_INIT("qwertyuiop"), "tried first" },
        { &usual, STR_INIT("Password2024!"), "tried first" },
        { &usual, STR_INIT("MOTDEPASSE!"), "tried first" },
        { &usual, STR_INIT("motdepasse compliqu\xc3\xa9"), NULL },
        { &usual, STR_INIT("x-Alice-2024"), "name" },
        { &strict, STR_INIT("lettres7"), "letters, digits" },
        { &strict, STR_INIT("lettres!"), "letters, digits" },
        { &strict, STR_INIT("7777-4321"), "letters, digits" },
        { &strict, STR_INIT("chien7-gris"), NULL },
        { &lax, STR_INIT("x"), NULL },
        { &lax, STR_INIT("password"), NULL },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct error e = ERROR_NONE;
        char *copy = malloc(table[i].password.n);
        assert_non_null(copy);
        memcpy(copy, table[i].password.p, table[i].password.n);
        int r = policy_check(table[i].policy, STR("alice@a.example"), (str){ copy, table[i].password.n }, &e);
        bool as_expected = table[i].refused ? r == ERR_REFUSED && strstr(e.text, table[i].refused) : r == 0;
        if (!as_expected)
            fail_msg("password %zu: %s, %s", i, err_name(r), e.text);
        free(copy);
    }
    /* A short name may be part of a password. */
    assert_int_equal(policy_check(&usual, STR("al@a.example"), STR("general store"), NULL), 0);
}

static void changes_follow_the_policy(void **state)
{
    struct engine *engine;
    struct directory *d;
    struct directory_account account;
    struct arena a = ARENA_INIT(1 << 16);
    engine_part id;
    int64_t delay;
    assert_int_equal(engine_memory_open(&engine), 0);
    assert_int_equal(directory_open(engine, &d, NULL), 0);
    assert_int_equal(directory_domain_add(d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(d, STR("alice@a.example"), STR("x"), &id, NULL), 0);
    directory_set_policy(d, &usual);
    assert_int_equal(directory_account_add(d, STR("bob@a.example"), STR("x"), &id, NULL), ERR_REFUSED);
    assert_int_equal(directory_account_add(d, STR("alice@a.example"), STR("x"), &id, NULL), ERR_EXISTS);
    assert_int_equal(directory_account_add(d, STR("bob@a.example"), STR("un nouveau secret"), &id, NULL), 0);
    assert_int_equal(directory_account_password(d, STR("bob@a.example"), STR("qwertyuiop"), NULL), ERR_REFUSED);
    assert_int_equal(directory_account_password(d, STR("none@a.example"), STR("x"), NULL), ERR_NOTFOUND);
    /* A password from before stays good, and none at all is no password that could be guessed. */
    assert_int_equal(directory_authenticate(d, STR("alice"), STR("x"), STR("192.0.2.1"), &a, &account, &delay), 0);
    assert_int_equal(directory_authenticate(d, STR("bob"), STR("un nouveau secret"), STR("192.0.2.1"), &a, &account, &delay), 0);
    assert_int_equal(directory_account_password(d, STR("bob@a.example"), STR(""), NULL), 0);
    directory_free(d);
    engine_close(engine);
    arena_done(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(passwords), cmocka_unit_test(changes_follow_the_policy) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
