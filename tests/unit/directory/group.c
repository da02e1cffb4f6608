/* group: groups, other names of domains, who gets what is for nobody, and quotas. */
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
    engine_part alice, bob, carol;
};

static void reopen(struct fixture *f)
{
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .a = ARENA_INIT(1 << 24) };
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    assert_int_equal(directory_domain_add(f.d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f.d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("alice@a.example"), STR("alice's"), &f.alice, NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("bob@a.example"), STR(""), &f.bob, NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("carol@b.example"), STR(""), &f.carol, NULL), 0);
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

static void group(struct fixture *f, const char *name, enum directory_senders senders, const char *first, const char *second)
{
    const char *members[] = { first, second };
    struct error e = ERROR_NONE;
    if (directory_group_add(f->d, str_from_z(name), senders, &e))
        fail_msg("%s: %s", name, e.text);
    for (size_t i = 0; i < 2 && members[i]; i++)
        if (directory_group_member_add(f->d, str_from_z(name), str_from_z(members[i]), &e))
            fail_msg("%s: %s", name, e.text);
}

/* The accounts that mail of SENDER for ADDRESS goes to, or the error's name. */
static const char *resolved(struct fixture *f, const engine_part *sender, const char *address)
{
    struct directory_account *list;
    size_t n;
    struct buf b = BUF_INIT(1 << 16);
    int r = directory_resolve_from(f->d, sender, str_from_z(address), &f->a, &list, &n);
    if (r < 0)
        return err_name(r);
    for (size_t i = 0; i < n; i++)
        buf_add_all(&b, STR(" "), str_sub(list[i].address, 0, str_find_byte(list[i].address, '@', 0)));
    char *z = arena_z(&f->a, str_from(buf_str(&b), 1));
    buf_done(&b);
    return z;
}

static void mail_for_a_group_goes_to_all_in_it(void **state)
{
    struct fixture *f = *state;
    group(f, "inner", DIRECTORY_SENDERS_ANYONE, "bob@a.example", "carol@b.example");
    group(f, "Team@a.example", DIRECTORY_SENDERS_ANYONE, "alice@a.example", "inner");
    /* Loops are cut. */
    assert_int_equal(directory_group_member_add(f->d, STR("inner"), STR("team@a.example"), NULL), 0);
    for (int turn = 0; turn < 2; turn++) {
        assert_string_equal(resolved(f, NULL, "team@a.example"), "alice bob carol");
        assert_string_equal(resolved(f, NULL, "TEAM+x@a.example"), "alice bob carol");
        assert_string_equal(resolved(f, NULL, "inner@a.example"), "not-found");
        reopen(f);
    }
    assert_int_equal(directory_group_member_remove(f->d, STR("inner"), STR("bob@a.example"), NULL), 0);
    assert_string_equal(resolved(f, NULL, "team@a.example"), "alice carol");
    assert_int_equal(directory_group_remove(f->d, STR("inner"), false, NULL), 0);
    assert_string_equal(resolved(f, NULL, "team@a.example"), "alice");
    assert_int_equal(directory_group_remove(f->d, STR("team@a.example"), false, NULL), 0);
    assert_string_equal(resolved(f, NULL, "team@a.example"), "not-found");
}

static void a_member_goes_with_its_account(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    group(f, "team@a.example", DIRECTORY_SENDERS_ANYONE, "bob@a.example", NULL);
    assert_int_equal(directory_account_remove(f->d, STR("bob@a.example"), false, &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("bob@a.example"), STR(""), &id, NULL), 0);
    assert_string_equal(resolved(f, NULL, "team@a.example"), "not-found");
}

static void who_may_write_is_asked(void **state)
{
    struct fixture *f = *state;
    group(f, "inner", DIRECTORY_SENDERS_ANYONE, "carol@b.example", NULL);
    group(f, "board@a.example", DIRECTORY_SENDERS_MEMBERS, "alice@a.example", "inner");
    group(f, "house@a.example", DIRECTORY_SENDERS_DOMAIN, "carol@b.example", NULL);
    group(f, "all@a.example", DIRECTORY_SENDERS_ANYONE, "board@a.example", "house@a.example");
    str targets[] = { STR_INIT("board@a.example"), STR_INIT("bob@a.example") };
    assert_int_equal(directory_alias_add(f->d, STR("info@a.example"), targets, 2, NULL), 0);
    assert_string_equal(resolved(f, NULL, "board@a.example"), "unsupported");
    assert_string_equal(resolved(f, &f->bob, "board@a.example"), "unsupported");
    assert_string_equal(resolved(f, &f->alice, "board@a.example"), "alice carol");
    assert_string_equal(resolved(f, &f->carol, "board@a.example"), "alice carol");
    assert_string_equal(resolved(f, NULL, "house@a.example"), "unsupported");
    assert_string_equal(resolved(f, &f->bob, "house@a.example"), "carol");
    assert_string_equal(resolved(f, &f->carol, "house@a.example"), "unsupported");
    /* A group in a group is only part of a set; an alias is a way to write to it like its own address. */
    assert_string_equal(resolved(f, NULL, "all@a.example"), "alice carol");
    assert_string_equal(resolved(f, NULL, "info@a.example"), "bob");
    assert_string_equal(resolved(f, &f->alice, "info@a.example"), "bob alice carol");
    assert_int_equal(directory_group_senders(f->d, STR("board@a.example"), DIRECTORY_SENDERS_ANYONE, NULL), 0);
    assert_string_equal(resolved(f, NULL, "board@a.example"), "alice carol");
    /* Being in it gives no right to write in its name; an alias does. */
    assert_false(directory_may_send_as(f->d, f->alice, STR("board@a.example")));
    assert_true(directory_may_send_as(f->d, f->alice, STR("info@a.example")));
}

static void changes_of_groups_are_checked(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    struct directory *d = f->d;
    assert_int_equal(directory_group_add(d, STR("alice@a.example"), DIRECTORY_SENDERS_ANYONE, &e), ERR_EXISTS);
    assert_int_equal(directory_group_add(d, STR("x@c.example"), DIRECTORY_SENDERS_ANYONE, &e), ERR_REFUSED);
    assert_int_equal(directory_group_add(d, STR("a b"), DIRECTORY_SENDERS_ANYONE, &e), ERR_SYNTAX);
    assert_int_equal(directory_group_add(d, STR(""), DIRECTORY_SENDERS_ANYONE, &e), ERR_SYNTAX);
    assert_int_equal(directory_group_add(d, STR("staff"), DIRECTORY_SENDERS_MEMBERS, &e), ERR_REFUSED);
    assert_int_equal(directory_group_add(d, STR("Staff"), DIRECTORY_SENDERS_ANYONE, &e), 0);
    assert_int_equal(directory_group_add(d, STR("staff"), DIRECTORY_SENDERS_ANYONE, &e), ERR_EXISTS);
    assert_int_equal(directory_group_member_add(d, STR("none"), STR("alice@a.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_group_member_add(d, STR("staff"), STR("nobody@a.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_group_member_add(d, STR("staff"), STR("STAFF"), &e), ERR_REFUSED);
    assert_int_equal(directory_group_member_add(d, STR("staff"), STR("alice@a.example"), &e), 0);
    assert_int_equal(directory_group_member_add(d, STR("staff"), STR("Alice@a.example"), &e), ERR_EXISTS);
    assert_int_equal(directory_group_member_remove(d, STR("staff"), STR("bob@a.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_group_remove(d, STR("alice@a.example"), false, &e), ERR_NOTFOUND);
    assert_int_equal(directory_group_add(d, STR("g@b.example"), DIRECTORY_SENDERS_ANYONE, &e), 0);
    assert_int_equal(directory_account_remove(d, STR("carol@b.example"), false, &f->carol, &e), 0);
    assert_int_equal(directory_domain_remove(d, STR("b.example"), &e), ERR_REFUSED);
    assert_string_equal(e.text, "the domain b.example still has 1 group; remove it first");
    assert_int_equal(directory_group_remove(d, STR("g@b.example"), false, &e), 0);
    assert_int_equal(directory_domain_remove(d, STR("b.example"), &e), 0);
}

/* Users u0 to u1000 and groups of 600 and 401 of them that are no address. */
static void add_a_thousand_and_one(struct fixture *f)
{
    char name[48];
    engine_part id;
    assert_int_equal(directory_group_add(f->d, STR("many"), DIRECTORY_SENDERS_ANYONE, NULL), 0);
    assert_int_equal(directory_group_add(f->d, STR("more"), DIRECTORY_SENDERS_ANYONE, NULL), 0);
    for (int i = 0; i < 1001; i++) {
        (void)snprintf(name, sizeof name, "u%d@a.example", i);
        assert_int_equal(directory_account_add(f->d, str_from_z(name), STR(""), &id, NULL), 0);
        assert_int_equal(directory_group_member_add(f->d, i < 600 ? STR("many") : STR("more"), str_from_z(name), NULL), 0);
    }
}

static int member_add(struct fixture *f, const char *group, const char *member)
{
    return directory_group_member_add(f->d, str_from_z(group), str_from_z(member), NULL);
}

static void more_than_a_thousand_are_too_many(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    add_a_thousand_and_one(f);
    group(f, "all@a.example", DIRECTORY_SENDERS_ANYONE, "many", NULL);
    /* The group itself, by one within, */
    assert_int_equal(directory_group_member_add(f->d, STR("all@a.example"), STR("more"), &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "all@a.example would stand for more than 1000 accounts"));
    /* and one within that grows. Where nothing with an address is above, there is no mail to be refused. */
    assert_int_equal(member_add(f, "many", "more"), ERR_LIMIT);
    assert_int_equal(directory_group_member_remove(f->d, STR("all@a.example"), STR("many"), NULL), 0);
    assert_int_equal(member_add(f, "many", "more"), 0);
    assert_int_equal(member_add(f, "all@a.example", "many"), ERR_LIMIT);
    assert_string_equal(resolved(f, NULL, "all@a.example"), "not-found");
}

static void what_leads_to_a_group_that_grows_is_looked_at(void **state)
{
    struct fixture *f = *state;
    struct directory_account *list;
    size_t n;
    str one[] = { STR_INIT("all@a.example") }, two[] = { STR_INIT("every@a.example"), STR_INIT("rest@a.example") };
    add_a_thousand_and_one(f);
    group(f, "all@a.example", DIRECTORY_SENDERS_ANYONE, "many", NULL);
    group(f, "rest@a.example", DIRECTORY_SENDERS_MEMBERS, "more", NULL);
    assert_int_equal(directory_alias_add(f->d, STR("every@a.example"), one, 1, NULL), 0);
    /* An alias of both, even by way of another, */
    assert_int_equal(directory_alias_add(f->d, STR("each@a.example"), two, 2, NULL), ERR_LIMIT);
    /* and what an alias leads to may not grow beyond either: u1000 is the one too many. */
    assert_int_equal(directory_group_member_remove(f->d, STR("more"), STR("u1000@a.example"), NULL), 0);
    assert_int_equal(directory_alias_add(f->d, STR("each@a.example"), two, 2, NULL), 0);
    assert_int_equal(directory_resolve_from(f->d, &f->alice, STR("each@a.example"), &f->a, &list, &n), 0);
    assert_int_equal(member_add(f, "more", "u1000@a.example"), ERR_LIMIT);
    assert_int_equal(member_add(f, "all@a.example", "u1000@a.example"), ERR_LIMIT);
    assert_int_equal(member_add(f, "all@a.example", "more"), 0); /* who is in it twice counts once */
    assert_int_equal(directory_resolve(f->d, STR("all@a.example"), &f->a, &list, &n), 0);
    assert_int_equal(n, 1000);
}

static void a_domain_has_other_names(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    int64_t delay;
    struct directory_account account;
    str target = STR_INIT("bob@a.example");
    assert_int_equal(directory_alias_add(f->d, STR("info@a.example"), &target, 1, NULL), 0);
    assert_int_equal(directory_domain_alias_add(f->d,
                                                STR("B\xc3\xbc"
                                                    "cher.example"),
                                                STR("A.example"), &e),
                     0);
    assert_int_equal(directory_domain_alias_add(f->d,
                                                STR("b\xc3\xbc"
                                                    "cher.example"),
                                                STR("a.example"), &e),
                     ERR_EXISTS);
    assert_int_equal(directory_domain_alias_add(f->d, STR("b.example"), STR("a.example"), &e), ERR_EXISTS);
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("d.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("xn--bcher-kva.example"), &e), ERR_REFUSED);
    for (int turn = 0; turn < 2; turn++) {
        assert_true(directory_has_domain(f->d, STR("xn--bcher-kva.example")));
        assert_string_equal(resolved(f, NULL, "alice@xn--bcher-kva.example"), "alice");
        assert_string_equal(resolved(f, NULL,
                                     "Alice+x@B\xc3\xbc"
                                     "cher.example"),
                            "alice");
        assert_string_equal(resolved(f, NULL, "info@xn--bcher-kva.example"), "bob");
        assert_string_equal(resolved(f, NULL, "postmaster@xn--bcher-kva.example"), "alice");
        assert_string_equal(resolved(f, NULL, "carol@xn--bcher-kva.example"), "not-found");
        assert_true(directory_may_send_as(f->d, f->alice, STR("alice@xn--bcher-kva.example")));
        assert_true(directory_may_send_as(f->d, f->bob, STR("info@xn--bcher-kva.example")));
        assert_false(directory_may_send_as(f->d, f->bob, STR("alice@xn--bcher-kva.example")));
        assert_int_equal(directory_authenticate(f->d, STR("alice@xn--bcher-kva.example"), STR("alice's"), STR("192.0.2.1"), &f->a,
                                                &account, &delay),
                         0);
        assert_true(str_eq(account.address, STR("alice@a.example")));
        reopen(f);
    }
    /* Accounts are added in the domain itself, whichever name is given; it stays while it has other names. */
    engine_part id;
    assert_int_equal(directory_account_add(f->d, STR("x@xn--bcher-kva.example"), STR(""), &id, &e), 0);
    assert_int_equal(directory_account_add(f->d, STR("x@a.example"), STR(""), &id, &e), ERR_EXISTS);
    assert_int_equal(directory_account_remove(f->d, STR("x@a.example"), false, &id, &e), 0);
    assert_int_equal(directory_domain_remove(f->d, STR("xn--bcher-kva.example"), &e), ERR_REFUSED);
    assert_int_equal(directory_account_remove(f->d, STR("carol@b.example"), false, &id, &e), 0);
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("b.example"), &e), 0);
    assert_int_equal(directory_domain_remove(f->d, STR("b.example"), &e), ERR_REFUSED);
    assert_int_equal(directory_domain_alias_remove(f->d, STR("b.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_alias_remove(f->d, STR("c.example"), &e), 0);
    assert_int_equal(directory_domain_remove(f->d, STR("b.example"), &e), 0);
    assert_string_equal(resolved(f, NULL, "carol@c.example"), "refused");
    struct directory_counts c;
    directory_counts(f->d, &c);
    assert_int_equal(c.domains, 1);
}

/* Guesses by the other name count with those by the first. */
static void failures_by_another_name_count_together(void **state)
{
    struct fixture *f = *state;
    struct directory_account account;
    int64_t delay;
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("a.example"), NULL), 0);
    for (int i = 0; i < 11; i++) {
        struct directory_attempt t = { .login = i % 2 ? STR("alice@c.example") : STR("alice@a.example"),
                                       .proof = DIRECTORY_REFUTED,
                                       .peer = STR("192.0.2.66") };
        assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), i < 10 ? ERR_REFUSED : ERR_AGAIN);
    }
}

static void what_is_for_nobody_has_a_taker(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("nobody@a.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_catch_all(f->d, STR("x.example"), STR("bob@a.example"), &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_catch_all(f->d, STR("c.example"), STR("bob@a.example"), &e), ERR_REFUSED);
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("bob@a.example"), &e), 0);
    for (int turn = 0; turn < 2; turn++) {
        assert_string_equal(resolved(f, NULL, "whoever@a.example"), "bob");
        assert_string_equal(resolved(f, NULL, "whoever@c.example"), "bob");
        assert_string_equal(resolved(f, NULL, "alice@a.example"), "alice");
        assert_string_equal(resolved(f, NULL, "postmaster@a.example"), "alice");
        assert_string_equal(resolved(f, NULL, "whoever@b.example"), "not-found");
        assert_false(directory_may_send_as(f->d, f->bob, STR("whoever@a.example")));
        reopen(f);
    }
    /* Whoever is gone gets nothing, and nothing else happens. */
    assert_int_equal(directory_account_remove(f->d, STR("bob@a.example"), true, &f->bob, NULL), 0);
    assert_string_equal(resolved(f, NULL, "whoever@a.example"), "not-found");
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("alice@a.example"), &e), 0);
    assert_string_equal(resolved(f, NULL, "whoever@a.example"), "alice");
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR(""), &e), 0);
    assert_string_equal(resolved(f, NULL, "whoever@a.example"), "not-found");
}

static void assert_quota(struct fixture *f, const char *address, uint64_t bytes, uint64_t messages)
{
    struct directory_account account;
    assert_int_equal(directory_find_account(f->d, str_from_z(address), &f->a, &account), 0);
    assert_int_equal(account.quota.bytes, bytes);
    assert_int_equal(account.quota.messages, messages);
}

static void the_nearest_quota_counts(void **state)
{
    struct fixture *f = *state;
    const struct directory_quota domain = { 1000, 10 }, small = { 2000, 0 }, large = { 3000, 5 }, own = { 7, 0 };
    group(f, "inner", DIRECTORY_SENDERS_ANYONE, "bob@a.example", NULL);
    group(f, "small", DIRECTORY_SENDERS_ANYONE, "alice@a.example", "inner");
    group(f, "large", DIRECTORY_SENDERS_ANYONE, "bob@a.example", NULL);
    assert_quota(f, "alice@a.example", 0, 0);
    assert_int_equal(directory_domain_quota(f->d, STR("a.example"), &domain, NULL), 0);
    assert_quota(f, "alice@a.example", 1000, 10);
    assert_quota(f, "carol@b.example", 0, 0);
    assert_int_equal(directory_group_quota(f->d, STR("small"), &small, NULL), 0);
    assert_int_equal(directory_group_quota(f->d, STR("large"), &large, NULL), 0);
    assert_int_equal(directory_account_quota(f->d, STR("carol@b.example"), &own, NULL), 0);
    for (int turn = 0; turn < 2; turn++) {
        assert_quota(f, "alice@a.example", 2000, 0);
        assert_quota(f, "bob@a.example", 3000, 0); /* the larger of each; none is larger than any */
        assert_quota(f, "carol@b.example", 7, 0);
        reopen(f);
    }
    assert_int_equal(directory_account_quota(f->d, STR("alice@a.example"), &(struct directory_quota){ 0, 0 }, NULL), 0);
    assert_quota(f, "alice@a.example", 0, 0);
    assert_int_equal(directory_account_quota(f->d, STR("alice@a.example"), NULL, NULL), 0);
    assert_int_equal(directory_group_quota(f->d, STR("small"), NULL, NULL), 0);
    assert_quota(f, "alice@a.example", 1000, 10);
    assert_int_equal(directory_domain_quota(f->d, STR("a.example"), NULL, NULL), 0);
    assert_quota(f, "alice@a.example", 0, 0);
}

static int on_domain(void *ctx, const struct directory_domain *d)
{
    buf_addf(ctx, "%.*s=%.*s,%.*s,%d;", STR_ARG(d->name), STR_ARG(d->alias_of), STR_ARG(d->catch_all),
             d->has_quota ? (int)d->quota.bytes : -1);
    return 0;
}

static int on_group(void *ctx, const struct directory_group *g)
{
    buf_addf(ctx, "%.*s %s", STR_ARG(g->name), directory_senders_name(g->senders));
    for (size_t i = 0; i < g->member_n; i++)
        buf_addf(ctx, " %.*s", STR_ARG(g->members[i]));
    buf_add(ctx, STR(";"));
    return 0;
}

static void lists_show_it_all(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT(4096);
    engine_part id;
    group(f, "staff", DIRECTORY_SENDERS_ANYONE, "bob@a.example", "alice@a.example");
    group(f, "team@a.example", DIRECTORY_SENDERS_MEMBERS, "staff", NULL);
    assert_int_equal(directory_domain_alias_add(f->d, STR("c.example"), STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("bob@a.example"), NULL), 0);
    assert_int_equal(directory_domain_quota(f->d, STR("b.example"), &(struct directory_quota){ 5, 0 }, NULL), 0);
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(directory_domains(f->d, on_domain, &b), 0);
    assert_int_equal(directory_groups(f->d, STR(""), on_group, &b), 0);
    assert_int_equal(directory_groups(f->d, STR("c.example"), on_group, &b), 0);
    assert_string_equal(buf_z(&b), "a.example=,bob@a.example,-1;b.example=,,5;c.example=a.example,,-1;"
                                   "staff anyone bob@a.example;team@a.example members staff;"
                                   "team@a.example members staff;");
    buf_done(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mail_for_a_group_goes_to_all_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_member_goes_with_its_account, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_write_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_of_groups_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_a_thousand_are_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(what_leads_to_a_group_that_grows_is_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(a_domain_has_other_names, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_by_another_name_count_together, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_for_nobody_has_a_taker, setup, teardown),
        cmocka_unit_test_setup_teardown(the_nearest_quota_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_show_it_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
