/* directory: changes, lookups, persistence, and lookups during changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/buf.h"
#include "directory/directory.h"

struct fixture {
    struct engine *engine;
    struct directory *d;
    struct arena a;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .a = ARENA_INIT(1 << 22) };
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
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
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
}

static engine_part add(struct fixture *f, const char *address)
{
    engine_part id;
    struct error e = ERROR_NONE;
    if (directory_account_add(f->d, str_from_z(address), STR(""), &id, &e) < 0)
        fail_msg("%s: %s", address, e.text);
    return id;
}

static void alias(struct fixture *f, const char *address, const char *first, const char *second)
{
    str targets[] = { str_from_z(first), str_from_z(second) };
    struct error e = ERROR_NONE;
    if (directory_alias_add(f->d, str_from_z(address), targets, second ? 2 : 1, &e) < 0)
        fail_msg("%s: %s", address, e.text);
}

/* The accounts ADDRESS leads to as "a b c", or the error's name. */
static const char *resolved(struct fixture *f, const char *address)
{
    struct directory_account *list;
    size_t n;
    struct buf b = BUF_INIT(1 << 16);
    int r = directory_resolve(f->d, str_from_z(address), &f->a, &list, &n);
    if (r < 0)
        return err_name(r);
    for (size_t i = 0; i < n; i++)
        buf_add_all(&b, STR(" "), list[i].address);
    char *z = arena_z(&f->a, str_from(buf_str(&b), 1));
    buf_done(&b);
    return z;
}

static void changes_are_checked(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    engine_part id;
    str target = STR_INIT("alice@a.example");
    assert_int_equal(directory_domain_add(f->d, STR("A.Example"), &e), 0);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), &e), ERR_EXISTS);
    assert_int_equal(directory_domain_add(f->d, STR("a b"), &e), ERR_SYNTAX);
    assert_int_equal(directory_domain_add(f->d, STR("[127.0.0.1]"), &e), ERR_SYNTAX);
    assert_int_equal(directory_account_add(f->d, STR("Alice@A.example"), STR(""), &id, &e), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR(""), &id, &e), ERR_EXISTS);
    assert_int_equal(directory_account_add(f->d, STR("alice@b.example"), STR(""), &id, &e), ERR_REFUSED);
    assert_int_equal(directory_account_add(f->d, STR("alice"), STR(""), &id, &e), ERR_SYNTAX);
    assert_int_equal(directory_alias_add(f->d, STR("ALICE@a.example"), &target, 1, &e), ERR_EXISTS);
    assert_int_equal(directory_alias_add(f->d, STR("info@a.example"), &target, 0, &e), ERR_LIMIT);
    assert_int_equal(directory_alias_add(f->d, STR("info@a.example"), &target, 1, &e), 0);
    assert_int_equal(directory_alias_add(f->d, STR("x@a.example"), &STR("nobody@a.example"), 1, &e), ERR_NOTFOUND);
    assert_int_equal(directory_alias_add(f->d, STR("x@a.example"), &STR("someone@else.example"), 1, &e), ERR_REFUSED);
    assert_int_equal(directory_account_add(f->d, STR("info@a.example"), STR(""), &id, &e), ERR_EXISTS);
    assert_int_equal(directory_account_enable(f->d, STR("info@a.example"), false, &e), ERR_NOTFOUND);
    assert_int_equal(directory_alias_remove(f->d, STR("alice@a.example"), false, &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_remove(f->d, STR("a.example"), &e), ERR_REFUSED);
    assert_string_equal(e.text, "the domain a.example still has 1 account and 1 alias; remove them first");
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, &e), ERR_REFUSED);
    assert_string_equal(e.text,
                        "alice@a.example is still what others lead to: alias info@a.example; change these first, or let them go "
                        "along: --with-references");
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), true, &id, &e), 0);
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), true, &id, &e), ERR_NOTFOUND);
    assert_int_equal(directory_alias_remove(f->d, STR("info@a.example"), false, &e), ERR_NOTFOUND);
    assert_int_equal(directory_domain_remove(f->d, STR("a.example"), &e), 0);
    assert_int_equal(directory_domain_remove(f->d, STR("a.example"), &e), ERR_NOTFOUND);
    struct directory_counts c;
    directory_counts(f->d, &c);
    assert_int_equal(c.domains + c.accounts + c.accounts_enabled + c.aliases, 0);
}

static void addresses_resolve(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *address, *expected;
    } cases[] = {
        { "alice@a.example", "alice@a.example" },
        { "ALICE@A.EXAMPLE", "alice@a.example" },
        { "\"alice\"@a.example", "alice@a.example" },
        { "alice+lists@a.example", "alice@a.example" },
        { "alice+a+b@a.example", "alice@a.example" },
        { "bob+work@a.example", "bob+work@a.example" },
        { "bob+home@a.example", "bob@a.example" },
        { "+x@a.example", "not-found" },
        { "info@a.example", "alice@a.example bob@a.example" },
        { "info+x@a.example", "alice@a.example bob@a.example" },
        { "all@a.example", "j\xc3\xb6rg@xn--bcher-kva.example alice@a.example bob@a.example" },
        { "J\xc3\x96RG@B\xc3\xbc"
          "cher.example",
          "j\xc3\xb6rg@xn--bcher-kva.example" },
        { "Jo\xcc\x88rg@b\xc3\xbc"
          "cher.example",
          "j\xc3\xb6rg@xn--bcher-kva.example" },
        { "loop1+x@a.example", "bob@a.example" },
        { "loop2@a.example", "bob@a.example" },
        { "carol@a.example", "not-found" },
        { "alice@xn--bcher-kva.example", "not-found" },
        { "alice@b.example", "refused" },
        { "alice@sub.a.example", "refused" },
        { "alice@[127.0.0.1]", "refused" },
        { "alice", "syntax" },
        { "@a.example", "syntax" },
        { "", "syntax" },
        { "postmaster", "alice@a.example" },
        { "Postmaster@A.example", "alice@a.example" },
        { "postmaster+x@xn--bcher-kva.example", "alice@a.example" },
        { "postmaster@b.example", "refused" },
    };
    assert_string_equal(resolved(f, "postmaster"), "refused");
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d,
                                          STR("b\xc3\xbc"
                                              "cher.example"),
                                          NULL),
                     0);
    assert_string_equal(resolved(f, "postmaster"), "not-found");
    engine_part alice = add(f, "alice@a.example"), bob = add(f, "bob@a.example"), work = add(f, "bob+work@a.example");
    add(f, "j\xc3\xb6rg@b\xc3\xbc"
           "cher.example");
    alias(f, "info@a.example", "alice@a.example", "bob@a.example");
    alias(f, "all@a.example", "info@a.example",
          "j\xc3\xb6rg@b\xc3\xbc"
          "cher.example");
    /* A loop can be made only by a detail that becomes a name: aliases must lead to something when they are added. */
    add(f, "loop1@a.example");
    alias(f, "loop2@a.example", "loop1+x@a.example", "bob@a.example");
    alias(f, "loop1+x@a.example", "loop2@a.example", NULL);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            if (strcmp(resolved(f, cases[i].address), cases[i].expected) != 0)
                fail_msg("%s gives %s", cases[i].address, resolved(f, cases[i].address));
        }
        assert_true(directory_has_domain(f->d, STR("B\xc3\x9c"
                                                   "CHER.example")));
        assert_false(directory_has_domain(f->d, STR("example")));
        assert_true(directory_may_send_as(f->d, alice, STR("Alice+x@a.example")));
        assert_true(directory_may_send_as(f->d, alice, STR("info@a.example")));
        assert_true(directory_may_send_as(f->d, alice, STR("all@a.example")));
        assert_false(
            directory_may_send_as(f->d, alice, STR("postmaster@a.example"))); /* she stands in, and is no administrator */
        assert_false(directory_may_send_as(f->d, bob, STR("postmaster@a.example")));
        assert_false(directory_may_send_as(f->d, alice, STR("bob@a.example")));
        assert_false(directory_may_send_as(f->d, bob, STR("bob+work@a.example")));
        assert_true(directory_may_send_as(f->d, work, STR("bob+work@a.example")));
        assert_false(directory_may_send_as(f->d, alice, STR("alice@b.example")));
        assert_false(directory_may_send_as(f->d, alice, STR("")));
        reopen(f);
    }
}

static void postmaster_is_the_best_there_is(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    add(f, "old@a.example");
    add(f, "new@a.example");
    assert_string_equal(resolved(f, "postmaster@a.example"), "old@a.example");
    assert_int_equal(directory_account_role(f->d, STR("new@a.example"), DIRECTORY_ADMIN, NULL), 0);
    assert_string_equal(resolved(f, "postmaster@a.example"), "new@a.example");
    reopen(f);
    assert_string_equal(resolved(f, "postmaster@a.example"), "new@a.example");
    assert_int_equal(directory_account_enable(f->d, STR("new@a.example"), false, NULL), 0);
    assert_string_equal(resolved(f, "postmaster@a.example"), "old@a.example");
    assert_int_equal(directory_account_remove(f->d, STR("old@a.example"), false, &id, NULL), 0);
    assert_string_equal(resolved(f, "postmaster@a.example"), "new@a.example");
    add(f, "postmaster@a.example");
    assert_string_equal(resolved(f, "postmaster@a.example"), "postmaster@a.example");
}

static void offices_are_the_administrators(void **state)
{
    struct fixture *f = *state;
    static const char *const offices[] = { "postmaster@a.example", "abuse@a.example", "hostmaster+x@a.example" };
    engine_part user, admin, program;
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add_as(f->d, STR("printer@a.example"), DIRECTORY_PROGRAM, STR(""), &program, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("user@a.example"), STR(""), &user, NULL), 0);
    alias(f, "info@a.example", "postmaster@a.example", NULL);
    /* Mail for postmaster is taken; the right to speak for the domain does not come with it, not by an alias either. */
    assert_string_equal(resolved(f, "postmaster@a.example"), "user@a.example");
    assert_string_equal(resolved(f, "info@a.example"), "user@a.example");
    assert_string_equal(resolved(f, "abuse@a.example"), "not-found");
    assert_string_equal(resolved(f, "hostmaster@a.example"), "not-found");
    for (size_t i = 0; i < 3; i++)
        assert_false(directory_may_send_as(f->d, user, str_from_z(offices[i])));
    assert_false(directory_may_send_as(f->d, user, STR("info@a.example")));
    assert_int_equal(directory_domain_catch_all(f->d, STR("a.example"), STR("user@a.example"), NULL), 0);
    assert_string_equal(resolved(f, "abuse@a.example"), "user@a.example");
    assert_int_equal(directory_account_add_as(f->d, STR("admin@a.example"), DIRECTORY_ADMIN, STR(""), &admin, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(resolved(f, offices[i]), "admin@a.example");
        assert_true(directory_may_send_as(f->d, admin, str_from_z(offices[i])));
        assert_false(directory_may_send_as(f->d, user, str_from_z(offices[i])));
    }
    assert_true(directory_may_send_as(f->d, admin, STR("info@a.example")));
    assert_string_equal(resolved(f, "abuser@a.example"), "user@a.example");
    /* Who was named is who is meant. */
    alias(f, "abuse@a.example", "user@a.example", NULL);
    assert_string_equal(resolved(f, "abuse@a.example"), "user@a.example");
    assert_true(directory_may_send_as(f->d, user, STR("abuse@a.example")));
    assert_false(directory_may_send_as(f->d, admin, STR("abuse@a.example")));
}

static void canonical_forms(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str in, out; /* out empty: no address */
    } cases[] = {
        { STR_INIT("a@b"), STR_INIT("a@b") },
        { STR_INIT("A.B@C.D"), STR_INIT("a.b@c.d") },
        { STR_INIT("\"A\"@c.d"), STR_INIT("a@c.d") },
        { STR_INIT("\"a\\b\"@c.d"), STR_INIT("ab@c.d") },
        { STR_INIT("\"a b\"@c.d"), STR_INIT("\"a b\"@c.d") },
        { STR_INIT("\"\"@c.d"), STR_INIT("\"\"@c.d") },
        { STR_INIT("\"a.\"@c.d"), STR_INIT("\"a.\"@c.d") },
        { STR_INIT("\"a@b\"@c.d"), STR_INIT("\"a@b\"@c.d") },
        { STR_INIT("\"a\\\"\\\\\"@c.d"), STR_INIT("\"a\\\"\\\\\"@c.d") },
        { STR_INIT("!#$%&'*+-/=?^_`{|}~@c.d"), STR_INIT("!#$%&'*+-/=?^_`{|}~@c.d") },
        { STR_INIT("a@Fa\xc3\x9f.example"), STR_INIT("a@xn--fa-hia.example") },
        { STR_INIT("a@XN--FA-HIA.example"), STR_INIT("a@xn--fa-hia.example") },
        { STR_INIT("a@\xe4\xbe\x8b\xe3\x80\x82jp"), STR_INIT("a@xn--fsq.jp") }, /* ideographic full stop */
        { STR_INIT("E\xcc\x81@c.d"), STR_INIT("\xc3\xa9@c.d") },
        { STR_INIT("a@[192.0.2.1]"), STR_INIT("a@[192.0.2.1]") },
        { STR_INIT("a@[IPv6:2001:DB8::1]"), STR_INIT("a@[ipv6:2001:db8::1]") },
        { STR_INIT("a@[1@2]"), STR_INIT("") },
        { STR_INIT("a@b@c"), STR_INIT("") },
        { STR_INIT("a b@c.d"), STR_INIT("") },
        { STR_INIT(".a@c.d"), STR_INIT("") },
        { STR_INIT("a..b@c.d"), STR_INIT("") },
        { STR_INIT("a.@c.d"), STR_INIT("") },
        { STR_INIT("\"a@c.d"), STR_INIT("") },
        { STR_INIT("\"a\"b@c.d"), STR_INIT("") },
        { STR_INIT("\"a\nb\"@c.d"), STR_INIT("") },
        { STR_INIT("a\0b@c.d"), STR_INIT("") },
        { STR_INIT("a@c.d."), STR_INIT("") },
        { STR_INIT("a@-c.d"), STR_INIT("") },
        { STR_INIT("a@c_d.e"), STR_INIT("") },
        { STR_INIT("a@xn--\xc3\xa9.d"), STR_INIT("") },
        { STR_INIT("a@xn--999999999.d"), STR_INIT("") },
        { STR_INIT("\xff@c.d"), STR_INIT("") },
        { STR_INIT("<a@c.d>"), STR_INIT("") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str got = STR_INIT("");
        char *in = malloc(cases[i].in.n);
        memcpy(in, cases[i].in.p, cases[i].in.n);
        int r = directory_canonical((str){ in, cases[i].in.n }, &f->a, &got, NULL);
        if (r != (cases[i].out.n ? 0 : ERR_SYNTAX) || !str_eq(got, cases[i].out))
            fail_msg("case %zu: %s, %.*s", i, err_name(r), STR_ARG(got));
        free(in);
    }
    /* 64 octets of local part, 254 in all (RFC 5321 section 4.5.3.1). */
    struct buf b = BUF_INIT(400);
    for (size_t local = 64; local <= 65; local++) {
        str got;
        buf_reset(&b);
        for (size_t i = 0; i < local; i++)
            buf_add_byte(&b, 'a');
        buf_add(&b, STR("@c.d"));
        assert_int_equal(directory_canonical(buf_str(&b), &f->a, &got, NULL), local == 64 ? 0 : ERR_SYNTAX);
    }
    for (size_t total = 254; total <= 255; total++) {
        str got;
        buf_reset(&b);
        buf_add(&b, STR("aa@"));
        while (b.n + 2 < total)
            buf_add(&b, STR("a."));
        buf_add(&b, b.n + 1 == total ? STR("b") : STR("bb"));
        assert_int_equal(b.n, total);
        assert_int_equal(directory_canonical(buf_str(&b), &f->a, &got, NULL), total == 254 ? 0 : ERR_SYNTAX);
    }
    buf_done(&b);
}

struct listing {
    struct buf text;
    int stop_after;
};

static int on_domain(void *ctx, const struct directory_domain *domain)
{
    struct listing *l = ctx;
    buf_add_all(&l->text, domain->name, STR(" "));
    return --l->stop_after == 0 ? 7 : 0;
}

static int on_account(void *ctx, const struct directory_account *account)
{
    struct listing *l = ctx;
    buf_add_all(&l->text, account->address, account->enabled ? STR(" ") : STR("(off) "));
    return 0;
}

static int on_alias(void *ctx, str address, const str *targets, size_t n)
{
    struct listing *l = ctx;
    buf_add_all(&l->text, address, STR(":"));
    for (size_t i = 0; i < n; i++)
        buf_add_all(&l->text, targets[i], STR(" "));
    return 0;
}

static void lists_are_in_order(void **state)
{
    struct fixture *f = *state;
    struct listing l = { .text = BUF_INIT(4096) };
    assert_int_equal(directory_domain_add(f->d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("c.example"), NULL), 0);
    add(f, "zoe@a.example");
    add(f, "bob@b.example");
    add(f, "ann@a.example");
    alias(f, "z@a.example", "zoe@a.example", "bob@b.example");
    assert_int_equal(directory_account_enable(f->d, STR("zoe@a.example"), false, NULL), 0);
    assert_int_equal(directory_domains(f->d, on_domain, &l), 0);
    assert_int_equal(directory_accounts(f->d, STR("A.example"), on_account, &l), 0);
    assert_int_equal(directory_accounts(f->d, STR(""), on_account, &l), 0);
    assert_int_equal(directory_accounts(f->d, STR("c.example"), on_account, &l), 0);
    assert_int_equal(directory_aliases(f->d, STR("a.example"), on_alias, &l), 0);
    assert_int_equal(directory_accounts(f->d, STR("d.example"), on_account, &l), ERR_NOTFOUND);
    l.stop_after = 2;
    assert_int_equal(directory_domains(f->d, on_domain, &l), 7);
    assert_string_equal(buf_z(&l.text), "a.example b.example c.example "
                                        "ann@a.example zoe@a.example(off) "
                                        "ann@a.example bob@b.example zoe@a.example(off) "
                                        "z@a.example:zoe@a.example bob@b.example "
                                        "a.example b.example ");
    buf_done(&l.text);
}

static void a_thousand_accounts(void **state)
{
    struct fixture *f = *state;
    char address[40];
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "user%d@a.example", i);
        add(f, address);
    }
    for (int turn = 0; turn < 2; turn++) {
        struct directory_counts c;
        directory_counts(f->d, &c);
        assert_int_equal(c.accounts, 1000);
        for (int i = 0; i < 1000; i++) {
            struct directory_account found;
            snprintf(address, sizeof address, "user%d@a.example", i);
            arena_reset(&f->a);
            assert_int_equal(directory_find_account(f->d, str_from_z(address), &f->a, &found), 0);
            assert_true(str_eq(found.address, str_from_z(address)));
        }
        reopen(f);
    }
}

static void an_alias_has_at_most_a_hundred_targets(void **state)
{
    struct fixture *f = *state;
    char text[120][32];
    str targets[120];
    struct directory_account *list;
    size_t n;
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    for (size_t i = 0; i < 120; i++) {
        snprintf(text[i], sizeof text[i], "u%zu@a.example", i);
        targets[i] = str_from_z(text[i]);
        add(f, text[i]);
    }
    assert_int_equal(directory_alias_add(f->d, STR("x@a.example"), targets, 101, NULL), ERR_LIMIT);
    assert_int_equal(directory_alias_add(f->d, STR("x@a.example"), targets, 60, NULL), 0);
    assert_int_equal(directory_alias_add(f->d, STR("y@a.example"), targets + 60, 60, NULL), 0);
    alias(f, "all@a.example", "x@a.example", "y@a.example");
    assert_int_equal(directory_resolve(f->d, STR("all@a.example"), &f->a, &list, &n), 0);
    assert_int_equal(n, 120);
}

/* Two directories on one engine: what one changes the other must not overwrite unseen. */
static void two_openers_do_not_lose_changes(void **state)
{
    struct fixture *f = *state;
    struct directory *other;
    engine_part id;
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_open(f->engine, &other, NULL), 0);
    add(f, "alice@a.example");
    assert_int_equal(directory_account_add(other, STR("alice@a.example"), STR(""), &id, NULL), ERR_EXISTS);
    assert_int_equal(directory_account_add(other, STR("bob@a.example"), STR(""), &id, NULL), 0);
    add(f, "carol@a.example");
    assert_string_equal(resolved(f, "bob@a.example"), "bob@a.example");
    directory_free(other);
}

static int see_language(void *ctx, const struct directory_account *account)
{
    *(enum language *)ctx = account->language;
    return 0;
}

/* It is there wherever an account is looked up, stays when other columns change, and can be taken back. */
/* Names that cannot be told from others by eye are not made; what is one script, or several that are written together, is. */
static void lookalikes_are_not_made(void **state)
{
    static const char *const no[] = {
        "ali\u200bce@a.example", "a\u202eb@a.example", "\u0430lice@a.example", "b\u00adob@a.example", "\u03b1\u0430@a.example",
    };
    static const char *const yes[] = {
        "\u0430\u043b\u0438\u0441\u0430.1@a.example",     /* Cyrillic alone */
        "ren\u00e9e-2@a.example",                         /* Latin */
        "\u6771\u4eac\u30bf\u30ef\u30fc.tower@a.example", /* Han, Katakana and Latin */
    };
    struct fixture *f = *state;
    struct error e = ERROR_NONE;
    engine_part id;
    str target = STR("target@a.example");
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), &e), 0);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_int_equal(directory_account_add(f->d, str_from_z(no[i]), STR(""), &id, &e), ERR_SYNTAX);
        assert_int_equal(directory_alias_add(f->d, str_from_z(no[i]), &target, 1, &e), ERR_SYNTAX);
    }
    assert_non_null(strstr(e.text, "in one"));
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_int_equal(directory_account_add(f->d, str_from_z(yes[i]), STR(""), &id, &e), 0);
}

static void an_account_has_a_language(void **state)
{
    struct engine *g;
    struct directory *d = NULL;
    struct arena a = ARENA_INIT(1 << 16);
    struct directory_account one, *list;
    engine_part id;
    size_t n;
    enum language seen = LANGUAGE_N;
    (void)state;
    assert_int_equal(engine_memory_open(&g), 0);
    assert_int_equal(directory_open(g, &d, NULL), 0);
    assert_int_equal(directory_domain_add(d, STR("a.example"), NULL), 0);
    const struct directory_new_account made = { .address = STR("alice@a.example"),
                                                .name = STR("Alice"),
                                                .language = LANGUAGE_FR };
    assert_int_equal(directory_account_make(d, &made, &id, NULL), 0);
    assert_int_equal(directory_account_enable(d, made.address, true, NULL), 0);
    for (int turn = 0; turn < 2; turn++) {
        enum language wanted = turn ? LANGUAGE_UNSAID : LANGUAGE_FR;
        assert_int_equal(directory_account_of(d, id, &a, &one), 0);
        assert_int_equal(one.language, wanted);
        assert_true(str_eq(one.name, STR("Alice")));
        assert_int_equal(directory_resolve(d, made.address, &a, &list, &n), 0);
        assert_int_equal(list[0].language, wanted);
        assert_int_equal(directory_accounts(d, STR(""), see_language, &seen), 0);
        assert_int_equal(seen, wanted);
        assert_int_equal(directory_account_language(d, made.address, LANGUAGE_UNSAID, NULL), 0);
        directory_free(d);
        assert_int_equal(directory_open(g, &d, NULL), 0);
    }
    assert_int_equal(directory_account_language(d, STR("bob@a.example"), LANGUAGE_EN, NULL), ERR_NOTFOUND);
    directory_free(d);
    engine_close(g);
    arena_done(&a);
}

static void damaged_rows_are_reported(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str key, value;
    } rows[] = {
        { STR_INIT("da.example"), STR_INIT("\1") },
        { STR_INIT("da.example"), STR_INIT("\3\1") },
        { STR_INIT("da.example"), STR_INIT("\2\1\377\0") },
        { STR_INIT("da.example"), STR_INIT("\2\1\2\0") },
        { STR_INIT("da.example"), STR_INIT("\2\1\1\1\5") },
        { STR_INIT("gstaff"), STR_INIT("\1") },
        { STR_INIT("gstaff"), STR_INIT("\1"
                                       "0123456789abcdef"
                                       "\3\0") },
        { STR_INIT("gstaff"), STR_INIT("\1"
                                       "0123456789abcdef"
                                       "\0\2"
                                       "0123456789abcdef") },
        { STR_INIT("gstaff@nodomain.example"), STR_INIT("\1"
                                                        "0123456789abcdef"
                                                        "\0\0") },
        { STR_INIT("aalice@a.example"), STR_INIT("\1") },
        /* An unknown role, and a field that this program does not know. */
        { STR_INIT("aalice@a.example"), STR_INIT("\4"
                                                 "0123456789abcdef"
                                                 "\1\1\0\0\0\0\3") },
        { STR_INIT("aalice@a.example"), STR_INIT("\4"
                                                 "0123456789abcdef"
                                                 "\1\1\0\0\0\0\0\377\0") },
        { STR_INIT("aalice@a.example"), STR_INIT("\4"
                                                 "0123456789abcdef"
                                                 "\1\1\0\0\0\0\0\7\2xx") },
        { STR_INIT("lalice@a.example"), STR_INIT("\1\377\1") },
        { STR_INIT("lalice@nodomain.example"), STR_INIT("\1\0") },
    };
    static const engine_part part = { "valise-directory" };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine *g;
        struct directory *d = NULL;
        struct error e = ERROR_NONE;
        assert_int_equal(engine_memory_open(&g), 0);
        struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
        if (rows[i].key.p[0] == 'a')
            engine_put(t, STR("da.example"), STR("\1\1"));
        engine_put(t, rows[i].key, rows[i].value);
        assert_int_equal(engine_commit(t, NULL), 0);
        assert_int_equal(directory_open(g, &d, &e), ERR_CORRUPT);
        assert_null(d);
        engine_close(g);
    }
    (void)f;
}

/* Rows as versions 1 to 3 wrote them, where the flags said who is an administrator, and those of 4 before there was a language. */
static void old_rows_keep_their_meaning(void **state)
{
    static const struct {
        char version;
        char flags;
        bool enabled;
        enum directory_role role;
    } cases[] = {
        { 1, 1, true, DIRECTORY_USER },   { 1, 3, true, DIRECTORY_ADMIN }, { 2, 3, true, DIRECTORY_ADMIN },
        { 3, 2, false, DIRECTORY_ADMIN }, { 3, 0, false, DIRECTORY_USER }, { 4, 1, true, DIRECTORY_PROGRAM },
    };
    static const engine_part part = { "valise-directory" };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine *g;
        struct directory *d = NULL;
        struct arena a = ARENA_INIT(1 << 16);
        struct directory_account account;
        struct buf row = BUF_INIT(256);
        buf_add_byte(&row, cases[i].version);
        buf_add(&row, STR("0123456789abcdef\7")); /* id, order */
        buf_add_byte(&row, cases[i].flags);
        /* The hash, SCRAM's keys since version 2, application passwords since version 3. */
        buf_add(&row, str_sub(STR("\0\0\0\0"), 0, cases[i].version == 1 ? 1 : cases[i].version == 2 ? 3 : 4));
        if (cases[i].version >= 4)
            buf_add_byte(&row, (char)cases[i].role);
        assert_int_equal(engine_memory_open(&g), 0);
        struct engine_txn *t = engine_begin(g, part, ENGINE_ANY_VERSION);
        engine_put(t, STR("da.example"), STR("\1\1"));
        engine_put(t, STR("aalice@a.example"), buf_str(&row));
        assert_int_equal(engine_commit(t, NULL), 0);
        assert_int_equal(directory_open(g, &d, NULL), 0);
        for (int turn = 0; turn < 2; turn++) { /* the second time in the present form */
            assert_int_equal(directory_find_account(d, STR("alice@a.example"), &a, &account), 0);
            assert_memory_equal(account.id.b, "0123456789abcdef", 16);
            assert_int_equal(account.enabled, cases[i].enabled);
            assert_int_equal(account.role, cases[i].role);
            assert_int_equal(account.language, turn ? LANGUAGE_FR : LANGUAGE_UNSAID);
            assert_int_equal(directory_account_language(d, STR("alice@a.example"), LANGUAGE_FR, NULL), 0);
            assert_int_equal(directory_account_enable(d, STR("alice@a.example"), cases[i].enabled, NULL), 0);
            directory_free(d);
            assert_int_equal(directory_open(g, &d, NULL), 0);
        }
        directory_free(d);
        engine_close(g);
        buf_done(&row);
        arena_done(&a);
    }
}

struct reader {
    struct directory *d;
    _Atomic bool stop;
    uint64_t found;
};

static void *reader_run(void *p)
{
    struct reader *r = p;
    while (!r->stop) {
        struct arena a = ARENA_INIT(1 << 16);
        struct directory_account *list;
        size_t n;
        int code = directory_resolve(r->d, STR("all@a.example"), &a, &list, &n);
        assert_true(code == 0 || code == ERR_NOTFOUND);
        for (size_t i = 0; code == 0 && i < n; i++)
            assert_true(str_ends(list[i].address, STR("@a.example")));
        assert_int_equal(directory_resolve(r->d, STR("fixed@a.example"), &a, &list, &n), 0);
        r->found++;
        arena_done(&a);
    }
    return NULL;
}

static void lookups_during_changes(void **state)
{
    struct fixture *f = *state;
    struct reader readers[3];
    pthread_t threads[3];
    engine_part id;
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    add(f, "fixed@a.example");
    add(f, "moving@a.example");
    alias(f, "all@a.example", "moving@a.example", "fixed@a.example");
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct reader){ .d = f->d };
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &readers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        assert_int_equal(directory_account_remove(f->d, STR("moving@a.example"), true, &id, NULL), 0);
        add(f, "moving@a.example");
        assert_int_equal(directory_alias_remove(f->d, STR("all@a.example"), false, NULL), 0);
        alias(f, "all@a.example", "moving@a.example", "fixed@a.example");
    }
    for (int i = 0; i < 3; i++) {
        readers[i].stop = true;
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_resolve, setup, teardown),
        cmocka_unit_test_setup_teardown(postmaster_is_the_best_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(offices_are_the_administrators, setup, teardown),
        cmocka_unit_test_setup_teardown(canonical_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(an_alias_has_at_most_a_hundred_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(two_openers_do_not_lose_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_rows_are_reported, setup, teardown),
        cmocka_unit_test(old_rows_keep_their_meaning),
        cmocka_unit_test_setup_teardown(lookalikes_are_not_made, setup, teardown),
        cmocka_unit_test(an_account_has_a_language),
        cmocka_unit_test_setup_teardown(lookups_during_changes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
