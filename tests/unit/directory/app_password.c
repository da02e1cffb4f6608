/* Application passwords: made, used, listed, removed, and what they leave alone. */
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
    assert_non_null(f);
    f->a = ARENA_INIT(1 << 20);
    assert_int_equal(engine_memory_open(&f->engine), 0);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("robot@a.example"), STR(""), &id, NULL), 0);
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

static int login(struct fixture *f, str name, str password)
{
    struct directory_account account;
    int64_t delay;
    return directory_authenticate(f->d, name, password, STR("192.0.2.1"), &f->a, &account, &delay);
}

struct listed {
    size_t n, used;
    char names[256];
};

static int on_listed(void *ctx, str name, uint64_t created, uint64_t used)
{
    struct listed *l = ctx;
    assert_true(created > 1000000000 && (used == 0 || used >= created));
    l->n++;
    l->used += used > 0;
    (void)snprintf(l->names + strlen(l->names), sizeof l->names - strlen(l->names), "%.*s,", STR_ARG(name));
    return 0;
}

static struct listed list(struct fixture *f, str address)
{
    struct listed l = { 0 };
    assert_int_equal(directory_app_passwords(f->d, address, on_listed, &l), 0);
    return l;
}

static void each_logs_in_until_it_is_removed(void **state)
{
    struct fixture *f = *state;
    char phone[DIRECTORY_APP_SECRET_SIZE], printer[DIRECTORY_APP_SECRET_SIZE];
    str alice = STR_INIT("alice@a.example");
    assert_int_equal(directory_app_password_add(f->d, alice, STR("phone"), phone, NULL), 0);
    assert_int_equal(directory_app_password_add(f->d, alice, STR("the printer, 2nd floor"), printer, NULL), 0);
    assert_int_equal(directory_app_password_add(f->d, alice, STR("phone"), printer, NULL), ERR_EXISTS);
    assert_int_equal(strlen(phone), 29);
    assert_string_not_equal(phone, printer);
    assert_string_equal(list(f, alice).names, "phone,the printer, 2nd floor,");
    assert_int_equal(list(f, alice).used, 0);

    uint64_t before = directory_argon2_runs();
    assert_int_equal(login(f, STR("alice"), str_from_z(phone)), 0);
    assert_int_equal(directory_argon2_runs() - before, 0);
    assert_int_equal(list(f, alice).used, 1);
    /* As people type it. */
    char typed[64] = "  ";
    for (size_t i = 0; phone[i]; i++)
        typed[i + 2] = phone[i] == '-' ? ' ' : ascii_upper(phone[i]);
    assert_int_equal(login(f, STR("alice"), str_from_z(typed)), 0);
    /* Nobody else's, nor half of it, nor with something added. */
    assert_int_equal(login(f, STR("robot@a.example"), str_from_z(phone)), ERR_REFUSED);
    assert_int_equal(login(f, STR("alice"), str_sub(str_from_z(phone), 0, 28)), ERR_REFUSED);
    (void)snprintf(typed, sizeof typed, "%sa", phone);
    assert_int_equal(login(f, STR("alice"), str_from_z(typed)), ERR_REFUSED);

    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    assert_int_equal(login(f, STR("alice"), str_from_z(printer)), 0);
    assert_int_equal(list(f, alice).used, 2);
    /* The account's own password is another matter, and changing it leaves them. */
    assert_int_equal(login(f, STR("alice"), STR("pencil")), 0);
    assert_int_equal(directory_account_password(f->d, alice, STR("eraser"), NULL), 0);
    assert_int_equal(login(f, STR("alice"), str_from_z(phone)), 0);

    assert_int_equal(directory_app_password_remove(f->d, alice, STR("phone"), NULL), 0);
    assert_int_equal(directory_app_password_remove(f->d, alice, STR("phone"), NULL), ERR_NOTFOUND);
    assert_int_equal(login(f, STR("alice"), str_from_z(phone)), ERR_REFUSED);
    assert_int_equal(login(f, STR("alice"), str_from_z(printer)), 0);
    assert_int_equal(login(f, STR("alice"), STR("eraser")), 0);
    assert_int_equal(directory_account_enable(f->d, alice, false, NULL), 0);
    assert_int_equal(login(f, STR("alice"), str_from_z(printer)), ERR_REFUSED);
}

static void an_account_may_have_nothing_else(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    struct directory_account account;
    struct directory_attempt proved = { .login = STR("robot"), .proof = DIRECTORY_PROVED, .peer = STR("192.0.2.1") };
    int64_t delay;
    assert_int_equal(directory_app_password_add(f->d, STR("robot@a.example"), STR("cron"), secret, NULL), 0);
    assert_int_equal(login(f, STR("robot"), str_from_z(secret)), 0);
    assert_int_equal(login(f, STR("robot"), STR("")), ERR_REFUSED);
    assert_int_equal(login(f, STR("robot"), STR("x")), ERR_REFUSED);
    assert_int_equal(directory_login(f->d, &proved, &f->a, &account, &delay), ERR_REFUSED);
}

static void bounds(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE], name[80];
    str alice = STR_INIT("alice@a.example");
    memset(name, 'x', sizeof name);
    assert_int_equal(directory_app_password_add(f->d, alice, STR(""), secret, NULL), ERR_SYNTAX);
    assert_int_equal(directory_app_password_add(f->d, alice, STR("a\nb"), secret, NULL), ERR_SYNTAX);
    assert_int_equal(directory_app_password_add(f->d, alice, (str){ name, 65 }, secret, NULL), ERR_SYNTAX);
    assert_int_equal(directory_app_password_add(f->d, STR("none@a.example"), STR("x"), secret, NULL), ERR_NOTFOUND);
    assert_int_equal(directory_app_passwords(f->d, STR("none@a.example"), on_listed, NULL), ERR_NOTFOUND);
    for (int i = 0; i < 32; i++) {
        name[0] = (char)('A' + i);
        assert_int_equal(directory_app_password_add(f->d, alice, (str){ name, 64 }, secret, NULL), 0);
    }
    assert_int_equal(directory_app_password_add(f->d, alice, STR("one more"), secret, NULL), ERR_LIMIT);
    assert_int_equal(login(f, STR("alice"), str_from_z(secret)), 0);
}

static void lists_that_cannot_be(void **state)
{
    struct buf list = BUF_INIT(DIRECTORY_APPS_MAX);
    assert_int_equal(app_passwords_add(STR(""), STR("x"), STR("abcd-efgh-ijkl-mnop-qrst-uvwx"), &list, NULL), 0);
    assert_int_equal(app_passwords_check(buf_str(&list)), 0);
    for (size_t n = 1; n < list.n; n++) {
        char *cut = malloc(n);
        str name;
        uint64_t tag;
        assert_non_null(cut);
        memcpy(cut, list.p, n);
        assert_int_equal(app_passwords_check((str){ cut, n }), ERR_CORRUPT);
        assert_false(app_passwords_find((str){ cut, n }, STR("abcd-efgh-ijkl-mnop-qrst-uvwx"), &name, &tag));
        free(cut);
    }
    buf_done(&list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_logs_in_until_it_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_account_may_have_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test(lists_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
