/* What is kept for SCRAM: keys that follow from the password, decoys, accounts from before, counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>
#include <openssl/evp.h>

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
    directory_set_scram_sha1(f->d, true);
    assert_int_equal(directory_domain_add(f->d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f->d, STR("none@a.example"), STR(""), &id, NULL), 0);
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

static void reopen(struct fixture *f)
{
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    directory_set_scram_sha1(f->d, true);
}

/* Whether the keys of LOGIN are those of PASSWORD. */
static bool fits(struct fixture *f, str login, const char *password, enum directory_hash hash)
{
    struct directory_scram s;
    char salted[32], client[32], server[32], stored[32];
    size_t n = hash == DIRECTORY_SHA1 ? 20 : 32;
    assert_int_equal(directory_scram_find(f->d, login, hash, &s), 0);
    assert_true(s.iterations >= 4096);
    /* OpenSSL's rounds: the library's take several times as long. */
    assert_int_equal(PKCS5_PBKDF2_HMAC(password, -1, s.salt, sizeof s.salt, (int)s.iterations,
                                       hash == DIRECTORY_SHA1 ? EVP_sha1() : EVP_sha256(), (int)n, (unsigned char *)salted),
                     1);
    int rc = gsasl_scram_secrets_from_salted_password(hash == DIRECTORY_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256, salted,
                                                      client, server, stored);
    return rc == GSASL_OK && memcmp(server, s.server_key, n) == 0 && memcmp(stored, s.stored_key, n) == 0;
}

static bool same_salt(struct fixture *f, str a, str b, enum directory_hash hash)
{
    struct directory_scram x, y;
    assert_int_equal(directory_scram_find(f->d, a, hash, &x), 0);
    assert_int_equal(directory_scram_find(f->d, b, hash, &y), 0);
    assert_int_equal(x.iterations, y.iterations);
    return memcmp(x.salt, y.salt, sizeof x.salt) == 0;
}

static void keys_follow_the_password(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < DIRECTORY_HASH_N; i++) {
        enum directory_hash hash = (enum directory_hash)i;
        assert_true(fits(f, STR("alice@a.example"), "pencil", hash));
        assert_true(fits(f, STR("ALICE"), "pencil", hash));
        assert_true(fits(f, STR(" alice@a.example "), "pencil", hash));
        assert_true(fits(f, STR("alice "), "pencil", hash));
        assert_true(same_salt(f, STR("none@a.example "), STR("none@a.example"), hash));
        assert_false(fits(f, STR("alice@a.example"), "Pencil", hash));
        assert_false(fits(f, STR("none@a.example"), "", hash));
        reopen(f);
        assert_true(fits(f, STR("alice@a.example"), "pencil", hash));
    }
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("crayon\xc2\xa0neuf"), NULL), 0);
    assert_false(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
    /* RFC 4013 section 2.1: a no-break space is a space. */
    assert_true(fits(f, STR("alice@a.example"), "crayon neuf", DIRECTORY_SHA256));
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"),
                                                STR("a\x07"
                                                    "b"),
                                                NULL),
                     ERR_SYNTAX);
    assert_true(fits(f, STR("alice@a.example"), "crayon neuf", DIRECTORY_SHA256));
}

static void unknown_names_cannot_be_told(void **state)
{
    struct fixture *f = *state;
    str names[] = { STR("nobody@a.example"), STR("alice@a.example"), STR("none@a.example"), STR("a b c"), STR("") };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct directory_scram before, after;
        assert_int_equal(directory_scram_find(f->d, names[i], DIRECTORY_SHA256, &before), 0);
        assert_true(same_salt(f, names[i], names[i], DIRECTORY_SHA1));
        assert_false(same_salt(f, names[i], names[(i + 1) % 5], DIRECTORY_SHA256));
        reopen(f);
        assert_int_equal(directory_scram_find(f->d, names[i], DIRECTORY_SHA256, &after), 0);
        assert_memory_equal(before.salt, after.salt, sizeof after.salt);
    }
    assert_true(same_salt(f, STR("nobody"), STR("NOBODY@a.example"), DIRECTORY_SHA256));
    /* A name gets the same kind of answer when it is disabled. */
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_true(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
}

static int attempt(struct fixture *f, str login, enum directory_proof proof, int64_t *ret_delay)
{
    struct directory_account account;
    struct directory_attempt t = { .login = login, .proof = proof, .peer = STR("192.0.2.1") };
    int r = directory_login(f->d, &t, &f->a, &account, ret_delay);
    if (r == 0)
        assert_true(str_eq(account.address, STR("alice@a.example")));
    return r;
}

static void proofs_are_counted_as_passwords_are(void **state)
{
    struct fixture *f = *state;
    int64_t delay;
    assert_int_equal(attempt(f, STR("alice"), DIRECTORY_PROVED, &delay), 0);
    assert_int_equal(delay, 0);
    assert_int_equal(attempt(f, STR("alice"), DIRECTORY_REFUTED, &delay), ERR_REFUSED);
    assert_int_equal(delay, 500);
    assert_int_equal(attempt(f, STR("nobody"), DIRECTORY_REFUTED, &delay), ERR_REFUSED);
    assert_int_equal(delay, 1000);
    assert_int_equal(attempt(f, STR("nobody"), DIRECTORY_PROVED, &delay), ERR_REFUSED);
    assert_int_equal(attempt(f, STR("none@a.example"), DIRECTORY_PROVED, &delay), ERR_REFUSED);
    assert_int_equal(attempt(f, STR("alice"), DIRECTORY_PROVED, &delay), 0);
    assert_int_equal(delay, 500); /* the network is known for her */
    assert_int_equal(attempt(f, STR("alice"), DIRECTORY_PASSWORD, &delay), ERR_REFUSED);
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(attempt(f, STR("alice"), DIRECTORY_PROVED, &delay), ERR_REFUSED);
}

/* Puts alice's row as ROW. */
static void put_row(struct fixture *f, str row)
{
    directory_free(f->d);
    struct engine_txn *t = engine_begin(f->engine, directory_part, ENGINE_ANY_VERSION);
    engine_put(t, STR("aalice@a.example"), row);
    assert_int_equal(engine_commit(t, NULL), 0);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    directory_set_scram_sha1(f->d, true);
}

static unsigned rounds_of(struct fixture *f, str login, enum directory_hash hash)
{
    struct directory_scram s;
    assert_int_equal(directory_scram_find(f->d, login, hash, &s), 0);
    return s.iterations;
}

static int log_in(struct fixture *f, const char *name, const char *peer)
{
    struct directory_account account;
    int64_t delay;
    return directory_authenticate(f->d, str_from_z(name), STR("pencil"), str_from_z(peer), &f->a, &account, &delay);
}

/* The rows of accounts get the former rounds; N of them. */
static void age_accounts(struct fixture *f, int n)
{
    struct buf key = BUF_INIT(64), row = BUF_INIT(2048);
    char name[32];
    struct engine_txn *t = engine_begin(f->engine, directory_part, ENGINE_ANY_VERSION);
    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "user%d@a.example", i);
        struct entry e = *table_entry(&f->d->table, str_from_z(name));
        char keys[DIRECTORY_HASH_N][DIRECTORY_SCRAM_MAX];
        for (unsigned h = 0; h < DIRECTORY_HASH_N; h++) {
            memcpy(keys[h], e.scram[h].p, e.scram[h].n);
            assert_memory_equal(keys[h], "\xe8\xfb\x03", 3); /* 65000 */
            memcpy(keys[h], "\x80\x80\x01", 3);              /* 16384 */
            e.scram[h].p = keys[h];
        }
        buf_reset(&key);
        buf_reset(&row);
        row_key(&key, 'a', str_from_z(name));
        row_encode_account(&row, &e);
        engine_put(t, buf_str(&key), buf_str(&row));
    }
    assert_int_equal(engine_commit(t, NULL), 0);
    buf_done(&key);
    buf_done(&row);
    reopen(f);
}

/* Rounds are raised when the password is shown, and until all are, names that are not there have the former ones as often. */
static void former_rounds_are_raised_and_tell_nothing(void **state)
{
    enum { USERS = 3, NAMES = 400 };
    struct fixture *f = *state;
    engine_part id;
    char name[32], peer[32];
    bool was_old[NAMES];
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    for (int i = 0; i < USERS; i++) {
        (void)snprintf(name, sizeof name, "user%d@a.example", i);
        assert_int_equal(directory_account_add(f->d, str_from_z(name), STR("pencil"), &id, NULL), 0);
        assert_int_equal(rounds_of(f, str_from_z(name), DIRECTORY_SHA256), 65000);
    }
    age_accounts(f, USERS);
    for (int i = 0; i <= USERS; i++) {
        int old = 0;
        for (int k = 0; k < NAMES; k++) {
            (void)snprintf(name, sizeof name, "nobody%d", k);
            unsigned rounds = rounds_of(f, str_from_z(name), DIRECTORY_SHA256);
            assert_true(rounds == 16384 || rounds == 65000);
            assert_true(i == 0 || was_old[k] || rounds == 65000); /* once raised it stays */
            was_old[k] = rounds == 16384;
            old += was_old[k];
        }
        int expected = NAMES * (USERS - i) / USERS;
        assert_true(i == 0 || i == USERS ? old == expected : old > expected - 100 && old < expected + 100);
        if (i == USERS)
            break;
        (void)snprintf(name, sizeof name, "user%d@a.example", i);
        (void)snprintf(peer, sizeof peer, "10.0.%d.1", i);
        assert_int_equal(rounds_of(f, str_from_z(name), DIRECTORY_SHA256), 16384);
        assert_int_equal(log_in(f, name, peer), 0);
        assert_int_equal(rounds_of(f, str_from_z(name), DIRECTORY_SHA256), 65000);
        assert_true(i > 0 || fits(f, str_from_z(name), "pencil", DIRECTORY_SHA256));
    }
}

static void keys_for_sha1_only_where_asked_for(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    struct entry *n = table_entry(&f->d->table, STR("alice@a.example"));
    assert_true(n->scram[DIRECTORY_SHA1].n > 0);
    directory_set_scram_sha1(f->d, false);
    assert_int_equal(directory_account_add(f->d, STR("carol@a.example"), STR("pencil"), &id, NULL), 0);
    assert_int_equal(table_entry(&f->d->table, STR("carol@a.example"))->scram[DIRECTORY_SHA1].n, 0);
    assert_true(fits(f, STR("carol"), "pencil", DIRECTORY_SHA256));
    /* What is there is forgotten at the next login that shows the password. */
    assert_int_equal(log_in(f, "alice", "10.0.0.1"), 0);
    assert_int_equal(table_entry(&f->d->table, STR("alice@a.example"))->scram[DIRECTORY_SHA1].n, 0);
    assert_true(fits(f, STR("alice"), "pencil", DIRECTORY_SHA256));
    reopen(f); /* asked for again */
    assert_int_equal(log_in(f, "alice", "10.0.0.1"), 0);
    assert_true(fits(f, STR("alice"), "pencil", DIRECTORY_SHA1));
}

static void credentials_are_renewed_at_login(void **state)
{
    struct fixture *f = *state;
    /* Version 1 of the row, with weaker parameters of Argon2: m=64,t=1. */
    static const char old[] = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$";
    struct directory_account account;
    int64_t delay;
    struct buf row = BUF_INIT(1024);
    struct entry *n = table_entry(&f->d->table, STR("alice@a.example"));
    assert_non_null(n);
    const struct directory_cost cost = { DIRECTORY_COST_KIB_MIN, DIRECTORY_COST_PASSES_MIN };
    assert_false(password_is_outdated(n->hash, &cost));
    assert_true(password_is_outdated(str_from_z(old), &cost));
    buf_add_byte(&row, 1);
    buf_add(&row, (str){ (const char *)n->id.b, sizeof n->id.b });
    buf_add(&row, STR("\x01\x01"));
    buf_add_byte(&row, (char)n->hash.n);
    buf_add(&row, n->hash);
    put_row(f, buf_str(&row));
    assert_false(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
    /* A wrong password renews nothing, the right one does, once, and it lasts. */
    assert_int_equal(directory_authenticate(f->d, STR("alice"), STR("wrong"), STR("192.0.2.7"), &f->a, &account, &delay),
                     ERR_REFUSED);
    assert_false(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
    assert_int_equal(directory_authenticate(f->d, STR("alice"), STR("pencil"), STR("192.0.2.1"), &f->a, &account, &delay), 0);
    uint64_t version = f->d->version;
    assert_true(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
    assert_true(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA1));
    reopen(f);
    assert_int_equal(f->d->version, version);
    assert_true(fits(f, STR("alice@a.example"), "pencil", DIRECTORY_SHA256));
    assert_int_equal(directory_authenticate(f->d, STR("alice"), STR("pencil"), STR("192.0.2.1"), &f->a, &account, &delay), 0);
    assert_int_equal(f->d->version, version);
    /* Somebody was faster. */
    assert_int_equal(change_upgrade(f->d, STR("alice@a.example"), STR("another"), STR("pencil"), NULL), ERR_NOTFOUND);
    buf_done(&row);
}

static void rows_that_cannot_be(void **state)
{
    struct directory_scram s;
    struct buf made = BUF_INIT(DIRECTORY_SCRAM_MAX);
    for (unsigned i = 0; i < DIRECTORY_HASH_N; i++) {
        enum directory_hash hash = (enum directory_hash)i;
        buf_reset(&made);
        scram_make(STR("pencil"), hash, &made);
        assert_int_equal(buf_error(&made), 0);
        for (size_t n = 0; n < made.n; n++) {
            char *cut = malloc(n ? n : 1);
            assert_non_null(cut);
            memcpy(cut, made.p, n);
            assert_int_equal(scram_decode((str){ cut, n }, hash, &s), ERR_CORRUPT);
            free(cut);
        }
        assert_int_equal(scram_decode(buf_str(&made), hash, &s), 0);
        assert_int_equal(scram_decode(buf_str(&made), (enum directory_hash)(1 - i), &s), ERR_CORRUPT);
    }
    buf_done(&made);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_follow_the_password, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_names_cannot_be_told, setup, teardown),
        cmocka_unit_test_setup_teardown(proofs_are_counted_as_passwords_are, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials_are_renewed_at_login, setup, teardown),
        cmocka_unit_test_setup_teardown(former_rounds_are_raised_and_tell_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_for_sha1_only_where_asked_for, setup, teardown),
        cmocka_unit_test(rows_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
