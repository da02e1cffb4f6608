/* What is kept for CRAM-MD5 and DIGEST-MD5: only for flagged accounts, sealed, always of the present password, and decoys for all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "directory/directory_private.h"

struct fixture {
    struct engine *engine;
    struct directory *d;
    struct buf last_sealed;
    int failure; /* what the sealer answers instead of its work */
    unsigned seals, unseals;
};

/* Bytes turned round behind the context's length and the context: enough to see what is asked for. */
static int turn(str s, struct buf *out)
{
    for (size_t i = s.n; i > 0; i--)
        buf_add_byte(out, (char)~s.p[i - 1]);
    return buf_error(out);
}

static int seal(void *ctx, str context, str plain, struct buf *out, struct error *e)
{
    struct fixture *f = ctx;
    f->seals++;
    if (f->failure)
        return error_set(e, f->failure, "as the test asked");
    assert_int_equal(context.n, sizeof(engine_part));
    buf_add(out, context);
    int r = turn(plain, out);
    buf_reset(&f->last_sealed);
    buf_add(&f->last_sealed, buf_str(out));
    return r;
}

static int unseal(void *ctx, str context, str sealed, struct buf *out, struct error *e)
{
    struct fixture *f = ctx;
    f->unseals++;
    if (f->failure)
        return error_set(e, f->failure, "as the test asked");
    if (!str_starts(sealed, context))
        return error_set(e, ERR_CORRUPT, "another's");
    return turn(str_from(sealed, context.n), out);
}

static void open_directory(struct fixture *f)
{
    const struct directory_sealer sealer = { .ctx = f, .seal = seal, .unseal = unseal };
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    directory_set_sealer(f->d, &sealer);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    engine_part id;
    assert_non_null(f);
    buf_init(&f->last_sealed, 8192);
    assert_int_equal(engine_memory_open(&f->engine), 0);
    open_directory(f);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f->d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("bob@b.example"), STR("\xc3\xa9t\xc3\xa9"), &id, NULL), 0);
    assert_int_equal(directory_account_add_as(f->d, STR("robot@a.example"), DIRECTORY_PROGRAM, STR(""), &id, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    directory_free(f->d);
    engine_close(f->engine);
    buf_done(&f->last_sealed);
    free(f);
    return 0;
}

static bool cram_is(struct fixture *f, const char *login, const char *password)
{
    struct buf found = BUF_INIT(2048);
    assert_int_equal(directory_cram_find(f->d, str_from_z(login), &found), 0);
    bool is = str_eq(buf_str(&found), str_from_z(password));
    buf_done(&found);
    return is;
}

/* Whether the hash of NAME is that of TEXT. */
static bool digest_is(struct fixture *f, const char *name, const char *realm, const char *text)
{
    uint8_t found[DIRECTORY_DIGEST_SIZE], expected[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    assert_int_equal(directory_digest_find(f->d, str_from_z(name), str_from_z(realm), found), 0);
    assert_int_equal(EVP_Digest(text, strlen(text), expected, &n, EVP_md5(), NULL), 1);
    return memcmp(found, expected, sizeof found) == 0;
}

static void flagged_accounts_only(void **state)
{
    struct fixture *f = *state;
    assert_false(cram_is(f, "alice", "pencil"));
    assert_int_equal(
        directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_CRAM_MD5 | DIRECTORY_DIGEST_MD5, STR("pencil"), NULL),
        0);
    assert_true(cram_is(f, "alice", "pencil"));
    assert_true(cram_is(f, "ALICE@a.example", "pencil"));
    assert_true(cram_is(f, " alice@a.example ", "pencil"));
    assert_false(cram_is(f, "bob@b.example", "\xc3\xa9t\xc3\xa9"));
    assert_true(digest_is(f, "alice", "a.example", "alice:a.example:pencil"));
    assert_true(digest_is(f, "alice@a.example", "a.example", "alice@a.example:a.example:pencil"));
    /* The hash is of the name as it is written, in our realm. */
    assert_false(digest_is(f, "ALICE", "a.example", "ALICE:a.example:pencil"));
    assert_false(digest_is(f, "alice ", "a.example", "alice :a.example:pencil"));
    assert_false(digest_is(f, "alice", "b.example", "alice:b.example:pencil"));
    assert_false(digest_is(f, "alice", "", "alice::pencil"));
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), 0, STR(""), NULL), 0);
    assert_false(cram_is(f, "alice", "pencil"));
    assert_false(digest_is(f, "alice", "a.example", "alice:a.example:pencil"));
}

static void one_mechanism_keeps_nothing_for_the_other(void **state)
{
    struct fixture *f = *state;
    struct buf turned = BUF_INIT(8192);
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_DIGEST_MD5, STR("pencil"), NULL), 0);
    assert_true(digest_is(f, "alice", "a.example", "alice:a.example:pencil"));
    assert_false(cram_is(f, "alice", "pencil"));
    assert_int_equal(turn(str_from(buf_str(&f->last_sealed), sizeof(engine_part)), &turned), 0);
    assert_true(str_find(buf_str(&turned), STR("pencil")) == turned.n); /* not even sealed */
    buf_done(&turned);
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_CRAM_MD5, STR("pencil"), NULL), 0);
    assert_true(cram_is(f, "alice", "pencil"));
    assert_false(digest_is(f, "alice", "a.example", "alice:a.example:pencil"));
}

/* RFC 2831 section 2.1.2.1: what ISO 8859-1 can write is hashed so. */
static void latin1(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(directory_account_legacy(f->d, STR("bob@b.example"), DIRECTORY_DIGEST_MD5, STR("\xc3\xa9t\xc3\xa9"), NULL),
                     0);
    assert_true(digest_is(f, "bob@b.example", "a.example", "bob@b.example:a.example:\xe9t\xe9"));
    assert_int_equal(directory_account_password(f->d, STR("bob@b.example"), STR("\xe2\x82\xac 5"), NULL), 0);
    assert_true(digest_is(f, "bob@b.example", "a.example", "bob@b.example:a.example:\xe2\x82\xac 5"));
    assert_false(digest_is(f, "bob", "a.example", "bob:a.example:\xe2\x82\xac 5")); /* a name alone is in the first domain */
}

static void a_new_password_is_followed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_CRAM_MD5, STR("pencil"), NULL), 0);
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("ball pen"), NULL), 0);
    assert_true(cram_is(f, "alice", "ball pen"));
    directory_free(f->d);
    open_directory(f);
    assert_true(cram_is(f, "alice", "ball pen"));
    /* One that cannot be followed is not set. */
    f->failure = ERR_UNAVAILABLE;
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("crayon"), NULL), ERR_UNAVAILABLE);
    f->failure = 0;
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("bell\a"), NULL), ERR_SYNTAX);
    assert_true(cram_is(f, "alice", "ball pen"));
    struct directory_account account;
    struct arena a = ARENA_INIT(1 << 16);
    int64_t delay;
    assert_int_equal(directory_authenticate(f->d, STR("alice"), STR("ball pen"), STR("192.0.2.1"), &a, &account, &delay), 0);
    assert_int_equal(directory_find_account(f->d, STR("alice@a.example"), &a, &account), 0);
    assert_int_equal(account.legacy, DIRECTORY_CRAM_MD5);
    arena_done(&a);
}

static void who_may_be_flagged(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *address, *password;
        int expected;
    } cases[] = {
        { "alice@a.example", "wrong", ERR_REFUSED },
        { "alice@a.example", "", ERR_REFUSED },
        { "nobody@a.example", "pencil", ERR_NOTFOUND },
        { "robot@a.example", "pencil", ERR_REFUSED },
        { "alice@a.example", "pencil", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        int r =
            directory_account_legacy(f->d, str_from_z(cases[i].address), DIRECTORY_CRAM_MD5, str_from_z(cases[i].password), &e);
        if (r != cases[i].expected || (r && !e.text[0]))
            fail_msg("case %zu: %s", i, err_name(r));
    }
    assert_int_equal(f->seals, 1);
    directory_set_sealer(f->d, &(struct directory_sealer){ 0 });
    assert_int_equal(directory_account_legacy(f->d, STR("bob@b.example"), DIRECTORY_CRAM_MD5, STR("\xc3\xa9t\xc3\xa9"), NULL),
                     ERR_UNSUPPORTED);
}

/* L2: the same questions are asked for everybody, and "not now" is said to everybody. */
static void decoys(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "alice", "bob@b.example", "nobody", "nobody@elsewhere.example", "robot@a.example", "@",
                                         "a b" };
    uint8_t hash[DIRECTORY_DIGEST_SIZE];
    assert_int_equal(directory_account_legacy(f->d, STR("alice@a.example"), DIRECTORY_CRAM_MD5, STR("pencil"), NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buf password = BUF_INIT(2048), again = BUF_INIT(2048);
        str name = str_from_z(names[i]);
        f->unseals = 0;
        assert_int_equal(directory_cram_find(f->d, name, &password), 0);
        assert_int_equal(directory_cram_find(f->d, name, &again), 0);
        assert_int_equal(directory_digest_find(f->d, name, STR("a.example"), hash), 0);
        assert_int_equal(f->unseals, 3);
        assert_true(password.n >= 6);
        assert_int_equal(str_eq(buf_str(&password), buf_str(&again)), i == 0);
        buf_done(&again);
        buf_done(&password);
        f->failure = ERR_UNAVAILABLE;
        buf_init(&password, 2048);
        assert_int_equal(directory_cram_find(f->d, name, &password), ERR_UNAVAILABLE);
        assert_int_equal(directory_digest_find(f->d, name, STR("a.example"), hash), ERR_UNAVAILABLE);
        f->failure = 0;
        buf_done(&password);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flagged_accounts_only, setup, teardown),
        cmocka_unit_test_setup_teardown(one_mechanism_keeps_nothing_for_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(latin1, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_password_is_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_be_flagged, setup, teardown),
        cmocka_unit_test_setup_teardown(decoys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
