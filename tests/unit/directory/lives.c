/* lives: what ends with an account or its credentials: logins that stand no longer, and who is told; names that lead nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "directory/directory_private.h"
#include "directory/lockout.h"

struct fixture {
    struct engine *engine;
    struct directory *d;
    struct arena a;
    engine_part alice;
    unsigned told, told_all;
    engine_part last;
    bool stood; /* what directory_login_stands said of `asked` when told */
    struct directory_account asked;
};

static void on_changed(void *ctx, const engine_part *id)
{
    struct fixture *f = ctx;
    f->told++;
    f->told_all += id == NULL;
    if (id)
        f->last = *id;
    f->stood = directory_login_stands(f->d, f->asked.id, &f->asked.by);
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .a = ARENA_INIT(1 << 24) };
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    directory_set_watcher(f.d, &(struct directory_watcher){ &f, on_changed });
    assert_int_equal(directory_domain_add(f.d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("alice@a.example"), STR("alice's"), &f.alice, NULL), 0);
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

/* Logs alice in by PROOF, with PASSWORD where it needs one. */
static struct directory_account login(struct fixture *f, enum directory_proof proof, const char *password)
{
    struct directory_account ret = { 0 };
    int64_t delay;
    const struct directory_attempt attempt = { .login = STR("alice@a.example"),
                                               .proof = proof,
                                               .password = str_from_z(password),
                                               .peer = STR("192.0.2.1"),
                                               .mechanism = STR("PLAIN") };
    assert_int_equal(directory_login(f->d, &attempt, &f->a, &ret, &delay), 0);
    return ret;
}

static bool stands(struct fixture *f, const struct directory_account *a)
{
    return directory_login_stands(f->d, a->id, &a->by);
}

static void a_new_password_ends_what_the_old_one_began(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("phone"), secret, NULL), 0);
    struct directory_account own = login(f, DIRECTORY_PASSWORD, "alice's"), scram = login(f, DIRECTORY_PROVED, ""),
                             phone = login(f, DIRECTORY_PASSWORD, secret), card = login(f, DIRECTORY_CERTIFIED, "");
    assert_true(stands(f, &own) && stands(f, &scram) && stands(f, &phone) && stands(f, &card));
    assert_int_equal(f->told, 0);
    f->asked = own;
    /* Also the same one: an administrator who sets it wants whoever had it out. */
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("alice's"), NULL), 0);
    assert_int_equal(f->told, 1);
    assert_memory_equal(f->last.b, f->alice.b, sizeof f->alice.b);
    assert_false(f->stood);
    assert_true(!stands(f, &own) && !stands(f, &scram) && stands(f, &phone) && stands(f, &card));
    own = login(f, DIRECTORY_PASSWORD, "alice's");
    assert_true(stands(f, &own));
}

/* What a login renews of old credentials by itself is no change of the password. */
static void credentials_made_anew_end_nothing(void **state)
{
    struct fixture *f = *state;
    struct directory_account own = login(f, DIRECTORY_PASSWORD, "alice's");
    str hash = table_entry(&f->d->table, STR("alice@a.example"))->hash, copy;
    assert_int_equal(arena_dup(&f->a, hash, &copy), 0);
    assert_int_equal(change_upgrade(f->d, STR("alice@a.example"), copy, STR("alice's"), NULL), 0);
    assert_false(str_eq(table_entry(&f->d->table, STR("alice@a.example"))->hash, copy));
    assert_true(stands(f, &own));
    assert_int_equal(f->told, 0);
}

static void an_application_password_ends_its_own(void **state)
{
    struct fixture *f = *state;
    char phone[DIRECTORY_APP_SECRET_SIZE], laptop[DIRECTORY_APP_SECRET_SIZE], again[DIRECTORY_APP_SECRET_SIZE];
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("phone"), phone, NULL), 0);
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("laptop"), laptop, NULL), 0);
    struct directory_account own = login(f, DIRECTORY_PASSWORD, "alice's"), by_phone = login(f, DIRECTORY_PASSWORD, phone),
                             by_laptop = login(f, DIRECTORY_PASSWORD, laptop);
    assert_int_equal(directory_app_password_remove(f->d, STR("alice@a.example"), STR("phone"), NULL), 0);
    assert_int_equal(f->told, 1);
    assert_true(stands(f, &own) && !stands(f, &by_phone) && stands(f, &by_laptop));
    /* One of the same name is another. */
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("phone"), again, NULL), 0);
    assert_false(stands(f, &by_phone));
}

static void who_is_disabled_or_gets_another_role_is_out(void **state)
{
    struct fixture *f = *state;
    struct directory_account own = login(f, DIRECTORY_PASSWORD, "alice's"), card = login(f, DIRECTORY_CERTIFIED, "");
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), true, NULL), 0);
    assert_int_equal(directory_account_role(f->d, STR("alice@a.example"), DIRECTORY_USER, NULL), 0);
    assert_int_equal(f->told, 0);
    assert_true(stands(f, &own) && stands(f, &card));
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(f->told, 1);
    assert_true(!stands(f, &own) && !stands(f, &card));
    /* Enabled again at once: those who are being told do not come back in. */
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), true, NULL), 0);
    assert_true(!stands(f, &own) && !stands(f, &card));
    own = login(f, DIRECTORY_PASSWORD, "alice's");
    card = login(f, DIRECTORY_CERTIFIED, "");
    assert_true(stands(f, &own) && stands(f, &card));
    assert_int_equal(directory_account_role(f->d, STR("alice@a.example"), DIRECTORY_ADMIN, NULL), 0);
    assert_true(!stands(f, &own) && !stands(f, &card));
}

static void the_next_one_with_the_address_is_another(void **state)
{
    struct fixture *f = *state;
    struct directory_account card = login(f, DIRECTORY_CERTIFIED, ""), fresh;
    engine_part id;
    int64_t delay;
    size_t lifted;
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(
            directory_authenticate(f->d, STR("alice@a.example"), STR("wrong"), STR("203.0.113.9"), &f->a, &fresh, &delay), 0);
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_memory_equal(id.b, f->alice.b, sizeof id.b);
    assert_false(stands(f, &card));
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("new"), &id, NULL), 0);
    assert_false(stands(f, &card));
    fresh = login(f, DIRECTORY_CERTIFIED, "");
    assert_memory_not_equal(fresh.id.b, card.id.b, sizeof id.b);
    assert_int_equal(directory_lockout_lift(f->d, STR("alice@a.example"), &lifted, NULL), 0);
    assert_int_equal(lifted, 0); /* nothing of the former one's was left */
}

/* Another opener of the same rows: found out with the next change, and whatever looks different is out. */
static void what_another_process_has_changed_counts_too(void **state)
{
    struct fixture *f = *state;
    struct directory *other;
    struct directory_account own = login(f, DIRECTORY_PASSWORD, "alice's"), card = login(f, DIRECTORY_CERTIFIED, "");
    assert_int_equal(directory_open(f->engine, &other, NULL), 0);
    assert_int_equal(directory_account_password(other, STR("alice@a.example"), STR("other"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("b.example"), NULL), 0);
    assert_int_equal(f->told_all, 1);
    assert_true(!stands(f, &own) && stands(f, &card));
    assert_int_equal(directory_account_enable(other, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(directory_account_enable(other, STR("alice@a.example"), true, NULL), 0);
    assert_int_equal(directory_account_role(other, STR("alice@a.example"), DIRECTORY_PROGRAM, NULL), 0);
    assert_int_equal(directory_domain_remove(f->d, STR("b.example"), NULL), 0);
    assert_int_equal(f->told_all, 2);
    assert_false(stands(f, &card));
    directory_free(other);
}

/* --- what leads to a name --- */

static void alias(struct fixture *f, const char *address, const char *first, const char *second)
{
    const str targets[] = { str_from_z(first), str_from_z(second ? second : "") };
    assert_int_equal(directory_alias_add(f->d, str_from_z(address), targets, second ? 2 : 1, NULL), 0);
}

static void on_dangling(void *ctx, str name, str what)
{
    buf_add_all(ctx, name, STR(": "), what, STR("\n"));
}

static const char *dangling(struct fixture *f)
{
    struct buf b = BUF_INIT(1 << 16);
    directory_dangling(f->d, on_dangling, &b);
    char *z = arena_z(&f->a, buf_str(&b));
    buf_done(&b);
    return z;
}

static int on_alias(void *ctx, str address, const str *targets, size_t n)
{
    buf_add_all(ctx, address, STR(">"));
    for (size_t i = 0; i < n; i++)
        buf_add_all(ctx, targets[i], STR(" "));
    return 0;
}

static const char *aliases(struct fixture *f)
{
    struct buf b = BUF_INIT(1 << 16);
    assert_int_equal(directory_aliases(f->d, STR(""), on_alias, &b), 0);
    char *z = arena_z(&f->a, buf_str(&b));
    buf_done(&b);
    return z;
}

static void names_that_lead_to_it_are_in_the_way(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    struct error e = ERROR_NONE;
    assert_int_equal(directory_account_add(f->d, STR("bob@a.example"), STR(""), &id, NULL), 0);
    assert_int_equal(directory_domain_alias_add(f->d, STR("z.example"), STR("a.example"), NULL), 0);
    alias(f, "info@a.example", "bob+info@z.example", "alice@a.example");
    alias(f, "shop@a.example", "bob@a.example", NULL);
    alias(f, "sales@a.example", "shop@a.example", NULL);
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("sales@a.example"), NULL), 0);
    assert_int_equal(directory_account_remove(f->d, STR("bob@a.example"), false, &id, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "alias info@a.example"));
    assert_non_null(strstr(e.text, "alias shop@a.example"));
    assert_non_null(strstr(e.text, "--with-references"));
    assert_int_equal(directory_alias_remove(f->d, STR("sales@a.example"), false, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "the catch-all of a.example"));
    assert_int_equal(f->told, 0);
    for (int turn = 0; turn < 2; turn++) { /* what went along is gone from the rows, too */
        if (turn == 0)
            assert_int_equal(directory_account_remove(f->d, STR("bob@a.example"), true, &id, &e), 0);
        assert_string_equal(aliases(f), "info@a.example>alice@a.example ");
        assert_string_equal(dangling(f), "");
        struct directory_account *list;
        size_t n;
        assert_int_equal(directory_resolve(f->d, STR("nobody@a.example"), &f->a, &list, &n), ERR_NOTFOUND);
        directory_free(f->d);
        assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    }
}

static void groups_lose_the_member(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    assert_int_equal(directory_group_add(f->d, STR("inner"), DIRECTORY_SENDERS_ANYONE, NULL), 0);
    assert_int_equal(directory_group_add(f->d, STR("team@a.example"), DIRECTORY_SENDERS_ANYONE, NULL), 0);
    assert_int_equal(directory_group_member_add(f->d, STR("team@a.example"), STR("alice@a.example"), NULL), 0);
    assert_int_equal(directory_group_member_add(f->d, STR("team@a.example"), STR("inner"), NULL), 0);
    assert_int_equal(directory_group_member_add(f->d, STR("inner"), STR("alice@a.example"), NULL), 0);
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(table_entry(&f->d->table, STR("inner"))->member_n, 0);
    assert_int_equal(table_entry(&f->d->table, STR("team@a.example"))->member_n, 1);
    assert_int_equal(directory_group_remove(f->d, STR("inner"), false, NULL), 0);
    assert_int_equal(table_entry(&f->d->table, STR("team@a.example"))->member_n, 0);
    assert_string_equal(dangling(f), "");
}

/* As removals before this one left it. */
static void what_leads_nowhere_is_found(void **state)
{
    struct fixture *f = *state;
    struct buf key = BUF_INIT(DIRECTORY_KEY_MAX), value = BUF_INIT(ENGINE_VALUE_MAX);
    engine_part gone = { { 7 } };
    const str target = STR("bob@a.example");
    struct engine_txn *t = engine_begin(f->engine, directory_part, ENGINE_ANY_VERSION);
    row_key(&key, 'l', STR("info@a.example"));
    row_encode_alias(&value, &target, 1);
    engine_put(t, buf_str(&key), buf_str(&value));
    buf_reset(&key);
    buf_reset(&value);
    row_key(&key, 'g', STR("team"));
    row_encode_group(&value, &(struct entry){ .id = { { 9 } }, .members = &gone, .member_n = 1 });
    engine_put(t, buf_str(&key), buf_str(&value));
    buf_reset(&key);
    buf_reset(&value);
    row_key(&key, 'd', STR("a.example"));
    row_encode_domain(&value, &(struct domain){ .seq = 1, .catch_all = target });
    engine_put(t, buf_str(&key), buf_str(&value));
    assert_int_equal(engine_commit(t, NULL), 0);
    buf_done(&key);
    buf_done(&value);
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    const char *found = dangling(f);
    assert_non_null(strstr(found, "info@a.example: the alias leads to bob@a.example, who is not there\n"));
    assert_non_null(strstr(found, "team: the group has a member who is not there\n"));
    assert_non_null(strstr(found, "a.example: the catch-all leads to bob@a.example, who is not there\n"));
}

#define LIVES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVES_TEST(a_new_password_ends_what_the_old_one_began),
        LIVES_TEST(credentials_made_anew_end_nothing),
        LIVES_TEST(an_application_password_ends_its_own),
        LIVES_TEST(who_is_disabled_or_gets_another_role_is_out),
        LIVES_TEST(the_next_one_with_the_address_is_another),
        LIVES_TEST(what_another_process_has_changed_counts_too),
        LIVES_TEST(names_that_lead_to_it_are_in_the_way),
        LIVES_TEST(groups_lose_the_member),
        LIVES_TEST(what_leads_nowhere_is_found),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
