/* removed: accounts that go and come back, that are erased, and that get another name: what stays and what does not. */
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
    engine_part alice, bob;
    char app[DIRECTORY_APP_SECRET_SIZE];
};

static int seal(void *ctx, str context, str plain, struct buf *out, struct error *e)
{
    (void)ctx, (void)context, (void)e;
    buf_add(out, plain);
    return buf_error(out);
}

static int setup(void **state)
{
    static struct fixture f;
    const struct directory_new_account alice = { .address = STR("alice@a.example"),
                                                 .name = STR("Alice A."),
                                                 .password = STR("alice's") };
    const struct directory_sealer sealer = { .seal = seal, .unseal = seal };
    f = (struct fixture){ .a = ARENA_INIT(1 << 24) };
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    directory_set_sealer(f.d, &sealer);
    assert_int_equal(directory_domain_add(f.d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f.d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_account_make(f.d, &alice, &f.alice, NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("bob@a.example"), STR(""), &f.bob, NULL), 0);
    assert_int_equal(directory_app_password_add(f.d, STR("alice@a.example"), STR("phone"), f.app, NULL), 0);
    assert_int_equal(directory_account_quota(f.d, STR("alice@a.example"), &(struct directory_quota){ 0, 77 }, NULL), 0);
    for (int i = 0; i < 2; i++) {
        str group = i ? STR("all") : STR("staff@a.example");
        assert_int_equal(directory_group_add(f.d, group, DIRECTORY_SENDERS_ANYONE, NULL), 0);
        assert_int_equal(directory_group_member_add(f.d, group, STR("alice@a.example"), NULL), 0);
        assert_int_equal(directory_group_member_add(f.d, group, STR("bob@a.example"), NULL), 0);
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    directory_free(f->d);
    engine_close(f->engine);
    arena_done(&f->a);
    return 0;
}

static void reopen(struct fixture *f)
{
    const struct directory_sealer sealer = { .seal = seal, .unseal = seal };
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    directory_set_sealer(f->d, &sealer);
}

static int login(struct fixture *f, const char *name, const char *password, struct directory_account *ret)
{
    int64_t delay;
    return directory_authenticate(f->d, str_from_z(name), str_from_z(password), STR("192.0.2.1"), &f->a, ret, &delay);
}

/* How many accounts mail for ADDRESS goes to; -1: nobody there. */
static int reaches(struct fixture *f, const char *address, engine_part *ret_first)
{
    struct directory_account *list;
    size_t n;
    if (directory_resolve(f->d, str_from_z(address), &f->a, &list, &n) != 0)
        return -1;
    *ret_first = list[0].id;
    return (int)n;
}

static bool is(const engine_part *a, const engine_part *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static int count_removed(void *ctx, const struct directory_removed *one)
{
    assert_true(one->removed_s > 1600000000);
    *(size_t *)ctx += str_eq(one->address, STR("alice@a.example"));
    return 0;
}

static size_t removed(struct fixture *f)
{
    size_t n = 0;
    assert_int_equal(directory_removed(f->d, count_removed, &n), 0);
    return n;
}

static int note_name(void *ctx, const struct directory_account *account)
{
    str *name = ctx;
    if (account->name.n)
        (void)snprintf((char *)(uintptr_t)name->p, 64, "%.*s", STR_ARG(account->name));
    return 0;
}

static void whoever_was_removed_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    struct directory_account who;
    engine_part id, first;
    bool unflagged = true;
    char room[64] = "";
    str name = { room, sizeof room };
    assert_int_equal(directory_account_retire(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_true(is(&id, &f->alice));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(login(f, "alice@a.example", "alice's", &who), ERR_REFUSED);
        assert_int_equal(login(f, "alice@a.example", f->app, &who), ERR_REFUSED);
        assert_int_equal(reaches(f, "alice@a.example", &first), -1);
        assert_int_equal(reaches(f, "staff@a.example", &first), 1);
        assert_int_equal(directory_account_of(f->d, f->alice, &f->a, &who), ERR_NOTFOUND);
        assert_int_equal(removed(f), 1);
        reopen(f);
    }
    assert_int_equal(directory_group_remove(f->d, STR("all"), false, NULL), 0);
    assert_int_equal(directory_account_undelete(f->d, id, STR("alice@a.example"), &unflagged, NULL), 0);
    assert_false(unflagged);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(login(f, "alice@a.example", "alice's", &who), 0);
        assert_true(is(&who.id, &f->alice));
        assert_int_equal(login(f, "alice@a.example", f->app, &who), 0);
        assert_int_equal(directory_account_of(f->d, f->alice, &f->a, &who), 0);
        assert_int_equal(who.quota.messages, 77);
        assert_int_equal(reaches(f, "staff@a.example", &first), 2);
        assert_int_equal(removed(f), 0);
        reopen(f);
    }
    assert_int_equal(directory_accounts(f->d, STR(""), note_name, &name), 0);
    assert_string_equal(room, "Alice A.");
    assert_int_equal(directory_account_undelete(f->d, id, STR("alice@a.example"), &unflagged, NULL), ERR_NOTFOUND);
}

static void an_address_that_was_taken_meanwhile_stays_its_new_owners(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    struct directory_account who;
    engine_part id, next, first;
    bool unflagged;
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_DIGEST_MD5, STR("alice's"), NULL), 0);
    assert_int_equal(directory_account_retire(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("another"), &next, NULL), 0);
    assert_false(is(&next, &f->alice));
    assert_int_equal(login(f, "alice@a.example", "alice's", &who), ERR_REFUSED);
    assert_int_equal(login(f, "alice@a.example", f->app, &who), ERR_REFUSED);
    assert_int_equal(reaches(f, "staff@a.example", &first), 1);
    assert_int_equal(directory_account_undelete(f->d, id, STR("alice@a.example"), &unflagged, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "--as"));
    assert_int_equal(directory_account_undelete(f->d, id, STR("alice@c.example"), &unflagged, &e), ERR_REFUSED);
    assert_int_equal(removed(f), 1);
    /* Both of that address may be removed at once. */
    assert_int_equal(directory_account_retire(f->d, STR("alice@a.example"), false, &next, NULL), 0);
    assert_int_equal(removed(f), 2);
    assert_int_equal(directory_account_undelete(f->d, id, STR("former@b.example"), &unflagged, &e), 0);
    assert_true(unflagged);
    assert_int_equal(login(f, "former@b.example", "alice's", &who), 0);
    assert_true(is(&who.id, &f->alice));
    assert_int_equal(directory_account_undelete(f->d, next, STR("alice@a.example"), &unflagged, &e), 0);
    assert_int_equal(login(f, "alice@a.example", "another", &who), 0);
}

static void what_is_erased_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    engine_part id, left[4];
    size_t n = 9;
    bool unflagged;
    assert_int_equal(directory_account_erase(f->d, f->alice), ERR_NOTFOUND);
    assert_int_equal(directory_account_retire(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(directory_left_behind(f->d, left, 4, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(directory_account_erase(f->d, id), 0);
    assert_int_equal(removed(f), 0);
    assert_int_equal(directory_account_undelete(f->d, id, STR("alice@a.example"), &unflagged, NULL), ERR_NOTFOUND);
    assert_int_equal(directory_account_erase(f->d, id), ERR_NOTFOUND);
    assert_int_equal(directory_left_behind(f->d, left, 4, &n), 0);
    assert_true(n == 1 && is(&left[0], &id));
    /* The directory goes on with what it knows. */
    assert_int_equal(directory_account_enable(f->d, STR("bob@a.example"), false, NULL), 0);
}

static void another_process_that_brings_it_back_is_seen(void **state)
{
    struct fixture *f = *state;
    struct directory *other;
    engine_part id;
    bool unflagged;
    assert_int_equal(directory_account_retire(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(directory_open(f->engine, &other, NULL), 0);
    assert_int_equal(directory_account_undelete(other, id, STR("alice@a.example"), &unflagged, NULL), 0);
    assert_int_equal(directory_account_erase(f->d, id), ERR_NOTFOUND);
    assert_int_equal(directory_account_undelete(f->d, id, STR("again@a.example"), &unflagged, NULL), ERR_NOTFOUND);
    directory_free(other);
}

static void a_new_name_keeps_everything(void **state)
{
    struct fixture *f = *state;
    struct directory_account who, before;
    struct directory_renamed renamed = { 0 };
    engine_part first;
    str targets[] = { STR_INIT("alice+list@a.example"), STR_INIT("bob@a.example") };
    assert_int_equal(directory_alias_add(f->d, STR("info@a.example"), targets, 2, NULL), 0);
    assert_int_equal(directory_domain_catch_all(f->d, STR("b.example"), STR("alice@a.example"), NULL), 0);
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_CRAM_MD5, STR("alice's"), NULL), 0);
    assert_int_equal(login(f, "alice@a.example", "alice's", &before), 0);
    assert_int_equal(directory_account_rename(f->d, STR("alice@a.example"), STR("Alice.New@B.example"), false, &renamed, NULL),
                     0);
    assert_true(is(&renamed.id, &f->alice) && !renamed.unflagged);
    assert_false(directory_login_stands(f->d, before.id, &before.by));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(login(f, "alice@a.example", "alice's", &who), ERR_REFUSED);
        assert_int_equal(login(f, "alice.new@b.example", "alice's", &who), 0);
        assert_true(is(&who.id, &f->alice));
        assert_int_equal(login(f, "alice.new@b.example", f->app, &who), 0);
        assert_int_equal(directory_account_of(f->d, f->alice, &f->a, &who), 0);
        assert_int_equal(who.quota.messages, 77);
        assert_int_equal(reaches(f, "alice@a.example", &first), -1);
        assert_int_equal(reaches(f, "staff@a.example", &first), 2);
        assert_int_equal(reaches(f, "info@a.example", &first), 2);
        assert_int_equal(reaches(f, "whoever@b.example", &first), 1);
        assert_true(is(&first, &f->alice));
        assert_true(directory_may_send_as(f->d, f->alice, STR("info@a.example")));
        assert_false(directory_may_send_as(f->d, f->alice, STR("alice@a.example")));
        reopen(f);
    }
    /* What stood in aliases with its detail does so still. */
    struct directory_match *m;
    size_t n;
    assert_int_equal(directory_match(f->d, STR("info@a.example"), &f->a, &m, &n), 0);
    assert_true(n == 1 && m[0].member_n == 2 && str_eq(m[0].members[0], STR("alice.new+list@b.example")));
}

static void a_former_name_may_stay_as_an_alias(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    struct directory_renamed renamed;
    engine_part first, next;
    assert_int_equal(directory_account_rename(f->d, STR("alice@a.example"), STR("bob@a.example"), true, &renamed, &e),
                     ERR_EXISTS);
    assert_int_equal(directory_account_rename(f->d, STR("alice@a.example"), STR("ALICE@a.example"), true, &renamed, &e),
                     ERR_EXISTS);
    assert_int_equal(directory_account_rename(f->d, STR("alice@a.example"), STR("x@c.example"), true, &renamed, &e), ERR_REFUSED);
    assert_int_equal(directory_account_rename(f->d, STR("nobody@a.example"), STR("x@a.example"), true, &renamed, &e),
                     ERR_NOTFOUND);
    assert_int_equal(directory_account_rename(f->d, STR("staff@a.example"), STR("x@a.example"), true, &renamed, &e),
                     ERR_NOTFOUND);
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_DIGEST_MD5, STR("alice's"), NULL), 0);
    assert_int_equal(directory_account_rename(f->d, STR("alice@a.example"), STR("new@a.example"), true, &renamed, &e), 0);
    assert_true(renamed.unflagged);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(reaches(f, "alice@a.example", &first), 1);
        assert_true(is(&first, &f->alice));
        assert_true(directory_may_send_as(f->d, f->alice, STR("alice@a.example")));
        reopen(f);
    }
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("another"), &next, NULL), ERR_EXISTS);
    /* And back again, when the alias is gone. */
    assert_int_equal(directory_alias_remove(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(directory_account_rename(f->d, STR("new@a.example"), STR("alice@a.example"), false, &renamed, &e), 0);
}

static void a_question_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    engine_part id;
    struct directory_new_account n = { .address = STR("carol@a.example"), .password = STR("x"), .is_question = true };
    uint64_t runs = directory_argon2_runs();
    assert_int_equal(directory_account_make(f->d, &n, &id, NULL), 0);
    assert_int_equal(directory_argon2_runs(), runs);
    assert_int_equal(reaches(f, "carol@a.example", &id), -1);
    n.address = STR("bob@a.example");
    assert_int_equal(directory_account_make(f->d, &n, &id, &e), ERR_EXISTS);
    directory_set_policy(f->d, &(struct directory_policy){ .length_min = 10 });
    n.address = STR("carol@a.example");
    assert_int_equal(directory_account_make(f->d, &n, &id, &e), ERR_REFUSED);
    n.name = STR("two\nlines");
    assert_int_equal(directory_account_make(f->d, &n, &id, &e), ERR_SYNTAX);
    assert_int_equal(directory_group_ask(f->d, STR("all"), STR(""), &e), 0);
    assert_int_equal(directory_group_ask(f->d, STR("none"), STR(""), &e), ERR_NOTFOUND);
    assert_int_equal(directory_group_ask(f->d, STR("all"), STR("bob@a.example"), &e), ERR_EXISTS);
    assert_int_equal(directory_group_ask(f->d, STR("all"), STR("staff@a.example"), &e), 0);
    assert_int_equal(directory_group_ask(f->d, STR("all"), STR("nobody@a.example"), &e), ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_was_removed_comes_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_that_was_taken_meanwhile_stays_its_new_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_erased_does_not_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(another_process_that_brings_it_back_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_name_keeps_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_former_name_may_stay_as_an_alias, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
