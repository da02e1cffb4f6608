/* history: the rules H1 to H4 of directory/history.h, on a clock that the tests set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "directory/directory_private.h"

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

static int64_t now;
static int64_t fake_clock(void)
{
    return now;
}

struct fixture {
    struct engine *engine;
    struct directory *d;
    struct buf text; /* what the history says */
    size_t n;
    engine_part alice;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .text = BUF_INIT(1 << 20) };
    now = clock_real_ms() / 1000 * 1000;
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    f.d->clock = fake_clock;
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
    buf_done(&f->text);
    return 0;
}

static void login(struct fixture *f, const char *name, enum directory_proof proof, const char *peer)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct directory_account account;
    int64_t delay;
    struct directory_attempt t = { .login = str_from_z(name),
                                   .service = DIRECTORY_MAILBOXES,
                                   .proof = proof,
                                   .peer = str_from_z(peer),
                                   .mechanism = STR("SCRAM-SHA-256"),
                                   .tls = STR("TLSv1.3") };
    int r = directory_login(f->d, &t, &a, &account, &delay);
    assert_true(r == 0 || r == ERR_REFUSED || r == ERR_AGAIN);
    arena_done(&a);
}

static int on_event(void *ctx, const struct directory_event *e)
{
    struct fixture *f = ctx;
    buf_addf(&f->text, "%s %s %.*s %.*s %.*s %.*s %d %d-%d;", directory_result_name(e->result),
             directory_service_name(e->service), STR_ARG(e->peer), STR_ARG(e->mechanism), STR_ARG(e->tls),
             STR_ARG(e->app_password), (int)e->count, (int)((e->first_ms - now) / 1000), (int)((e->last_ms - now) / 1000));
    f->n++;
    return 0;
}

static const char *history(struct fixture *f, int64_t since, bool failed)
{
    buf_reset(&f->text);
    f->n = 0;
    assert_int_equal(directory_history(f->d, STR("Alice@a.example"), since, failed, on_event, f), 0);
    return buf_z(&f->text) ? buf_z(&f->text) : "";
}

static void reopen(struct fixture *f)
{
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    f->d->clock = fake_clock;
}

static void it_tells_when_whence_and_how(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    assert_string_equal(history(f, 0, false), "");
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    now += 1000;
    login(f, "alice", DIRECTORY_REFUTED, "192.0.2.2");
    now += 1000;
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("fax"), secret, NULL), 0);
    struct arena a = ARENA_INIT(1 << 16);
    struct directory_account account;
    int64_t delay;
    assert_int_equal(directory_authenticate(f->d, STR("alice"), str_from_z(secret), STR("2001:db8::1"), &a, &account, &delay), 0);
    arena_done(&a);
    const char *expected = "ok imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1 -2--2;"
                           "wrong imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 -1--1;"
                           "ok submission 2001:db8::1   fax 1 0-0;";
    for (int turn = 0; turn < 2; turn++) {
        assert_string_equal(history(f, 0, false), expected);
        assert_string_equal(history(f, now, false), "ok submission 2001:db8::1   fax 1 0-0;");
        assert_string_equal(history(f, 0, true), "wrong imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 -1--1;");
        reopen(f);
    }
    assert_int_equal(directory_history(f->d, STR("bob@a.example"), 0, false, on_event, f), ERR_NOTFOUND);
}

static void it_says_what_a_client_is_not_told(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 11; i++)
        login(f, "alice", DIRECTORY_REFUTED, "192.0.2.2");
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    assert_string_equal(history(f, 0, true), "wrong imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  10 0-0;"
                                             "locked-out imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 0-0;"
                                             "disabled imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1 0-0;");
}

static int count_row(void *ctx, str key, str value)
{
    (void)key, (void)value;
    ++*(size_t *)ctx;
    return 0;
}

static size_t rows(struct fixture *f)
{
    size_t n = 0;
    directory_tend(f->d);
    assert_int_equal(engine_scan(f->engine, logins_part, STR("h"), STR("i"), ENGINE_SYNCED, count_row, &n, NULL), 0);
    return n;
}

/* H1. */
static void names_that_are_not_there_leave_nothing(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "name%d", i);
        login(f, name, DIRECTORY_REFUTED, "192.0.2.2");
    }
    login(f, "no address", DIRECTORY_REFUTED, "192.0.2.2");
    assert_int_equal(rows(f), 0);
}

static int attempt(struct fixture *f, const struct directory_attempt *t)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct directory_account account;
    int64_t delay;
    int r = directory_login(f->d, t, &a, &account, &delay);
    arena_done(&a);
    return r;
}

/* P5 of login.c, by every proof and for both services. */
static void right_and_refused_is_no_success(void **state)
{
    struct fixture *f = *state;
    struct ip_address peer;
    struct directory_lockout_counts counts;
    assert_int_equal(directory_account_add(f->d, STR("bob@a.example"), STR("bob's"), &(engine_part){ 0 }, NULL), 0);
    assert_true(ip_address_parse(STR("192.0.2.9"), &peer));
    struct directory_attempt t = {
        .login = STR("alice"), .password = STR("alice's"), .peer = STR("192.0.2.9"), .mechanism = STR("PLAIN")
    };
    const enum directory_proof proofs[] = { DIRECTORY_PASSWORD, DIRECTORY_PROVED, DIRECTORY_CERTIFIED };
    const str others[] = { STR("bob@a.example"), STR("bob"), STR("nobody"), STR("no address @@") };
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 4; k++) {
            t.proof = proofs[i];
            t.acting_as = others[k];
            t.service = k % 2 ? DIRECTORY_MAILBOXES : DIRECTORY_SUBMISSION;
            assert_int_equal(attempt(f, &t), ERR_UNSUPPORTED);
        }
    }
    directory_lockout_counts(f->d, &counts);
    assert_int_equal(counts.succeeded, 0);
    assert_int_equal(counts.failed, 0);
    assert_false(known_has(f->d, f->alice, &peer, now));
    assert_string_equal(history(f, 0, false),
                        "not-allowed submission 192.0.2.9 PLAIN   6 0-0;not-allowed imap 192.0.2.9 PLAIN   6 0-0;");
    /* A wrong password is a wrong one, whomever it is to act as. */
    t.proof = DIRECTORY_PASSWORD;
    t.password = STR("guess");
    assert_int_equal(attempt(f, &t), ERR_REFUSED);
    /* Oneself, however it is written. */
    const str own[] = { STR(""), STR("alice"), STR(" Alice@A.example ") };
    t.password = STR("alice's");
    for (size_t i = 0; i < 3; i++) {
        t.acting_as = own[i];
        assert_int_equal(attempt(f, &t), 0);
    }
    assert_true(known_has(f->d, f->alice, &peer, now));
}

static void a_program_that_reads_is_no_success(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    struct ip_address peer;
    engine_part id;
    assert_int_equal(directory_account_add_as(f->d, STR("robot@a.example"), DIRECTORY_PROGRAM, STR(""), &id, NULL), 0);
    assert_int_equal(directory_app_password_add(f->d, STR("robot@a.example"), STR("cron"), secret, NULL), 0);
    struct directory_attempt t = { .login = STR("robot"), .password = str_from_z(secret), .peer = STR("192.0.2.9") };
    assert_true(ip_address_parse(t.peer, &peer));
    t.service = DIRECTORY_MAILBOXES;
    assert_int_equal(attempt(f, &t), ERR_UNSUPPORTED);
    assert_false(known_has(f->d, id, &peer, now));
    t.service = DIRECTORY_SUBMISSION;
    assert_int_equal(attempt(f, &t), 0);
    assert_true(known_has(f->d, id, &peer, now));
}

static void a_certificate_is_for_one_account(void **state)
{
    struct fixture *f = *state;
    struct directory_attempt t = { .login = STR("alice"), .proof = DIRECTORY_CERTIFIED, .peer = STR("192.0.2.9") };
    t.certified = &(engine_part){ "former" };
    assert_int_equal(attempt(f, &t), ERR_REFUSED);
    assert_string_equal(history(f, 0, false), "wrong submission 192.0.2.9    1 0-0;");
    t.certified = &f->alice;
    assert_int_equal(attempt(f, &t), 0);
}

/* H2 and H3. */
static void a_thousand_logins_are_one_entry_and_one_commit(void **state)
{
    struct fixture *f = *state;
    struct engine_state before, after;
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1"); /* makes the network known */
    directory_tend(f->d);
    engine_state(f->engine, &before);
    for (int i = 0; i < 1000; i++)
        login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    directory_tend(f->d);
    engine_state(f->engine, &after);
    assert_int_equal(after.commits - before.commits, 1);
    now += 23 * HOUR;
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1002 -82800-0;");
    now += 2 * HOUR;
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1002 -90000--7200;"
                                              "ok imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1 0-0;");
}

/* H4. */
static void failures_do_not_push_out_successes(void **state)
{
    struct fixture *f = *state;
    char peer[32];
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    for (int i = 0; i < 6000; i++, now += 10) {
        (void)snprintf(peer, sizeof peer, "10.0.%d.%d", i / 200, i % 200);
        login(f, "alice", DIRECTORY_REFUTED, peer);
    }
    (void)history(f, 0, true);
    assert_int_equal(f->n, 100);
    assert_non_null(strstr(buf_z(&f->text), " 10.0.29.199 "));
    assert_null(strstr(buf_z(&f->text), " 10.0.29.99 "));
    (void)history(f, 0, false);
    assert_int_equal(f->n, 101);
    assert_non_null(strstr(buf_z(&f->text), "ok imap 192.0.2.1 "));
    assert_int_equal(rows(f), 2);
}

static void what_is_old_goes(void **state)
{
    struct fixture *f = *state;
    directory_set_history_days(f->d, 30);
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    now += 31 * (int64_t)DAY;
    assert_string_equal(history(f, 0, false), "");
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.2");
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 0-0;");
    directory_set_history_days(f->d, 365);
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 0-0;");
    directory_set_history_days(f->d, 0);
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.3");
    directory_set_history_days(f->d, 365);
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.2 SCRAM-SHA-256 TLSv1.3  1 0-0;");
}

static void it_goes_with_the_account(void **state)
{
    struct fixture *f = *state;
    engine_part id;
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    login(f, "alice", DIRECTORY_REFUTED, "192.0.2.1");
    assert_int_equal(rows(f), 2);
    login(f, "alice", DIRECTORY_REFUTED, "192.0.2.9");
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &id, NULL), 0);
    assert_int_equal(rows(f), 0);
    assert_int_equal(directory_account_add(f->d, STR("alice@a.example"), STR(""), &id, NULL), 0);
    assert_string_equal(history(f, 0, false), "");
}

static void a_damaged_row_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    struct buf key = BUF_INIT(32);
    buf_add_all(&key, STR("h"), (str){ (const char *)f->alice.b, sizeof f->alice.b }, STR("o"));
    struct engine_txn *t = engine_begin(f->engine, logins_part, ENGINE_ANY_VERSION);
    engine_put(t, buf_str(&key), STR("\1\5abc"));
    assert_int_equal(engine_commit(t, NULL), 0);
    assert_string_equal(history(f, 0, false), "");
    login(f, "alice", DIRECTORY_PROVED, "192.0.2.1");
    assert_string_equal(history(f, 0, false), "ok imap 192.0.2.1 SCRAM-SHA-256 TLSv1.3  1 0-0;");
    buf_done(&key);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_tells_when_whence_and_how, setup, teardown),
        cmocka_unit_test_setup_teardown(it_says_what_a_client_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(right_and_refused_is_no_success, setup, teardown),
        cmocka_unit_test_setup_teardown(a_program_that_reads_is_no_success, setup, teardown),
        cmocka_unit_test_setup_teardown(a_certificate_is_for_one_account, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_are_not_there_leave_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_logins_are_one_entry_and_one_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_do_not_push_out_successes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_old_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(it_goes_with_the_account, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_begun_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
