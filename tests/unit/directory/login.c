/* login: passwords, what is remembered of them, and what failures cost. */
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
    engine_part alice;
};

static int setup(void **state)
{
    static struct fixture f;
    engine_part id;
    f = (struct fixture){ .a = ARENA_INIT(1 << 20) };
    assert_int_equal(engine_memory_open(&f.engine), 0);
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    assert_int_equal(directory_domain_add(f.d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_domain_add(f.d, STR("b.example"), NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("alice@a.example"), STR("alice's secret"), &f.alice, NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("bob@b.example"), STR("bob's secret"), &id, NULL), 0);
    assert_int_equal(directory_account_add(f.d, STR("none@a.example"), STR(""), &id, NULL), 0);
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

static int64_t delay;

static int login(struct fixture *f, const char *name, str password, const char *peer)
{
    struct directory_account account = { 0 };
    return directory_authenticate(f->d, str_from_z(name), password, str_from_z(peer), &f->a, &account, &delay);
}

static void names_and_passwords(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        str password;
        int expected;
    } cases[] = {
        { "alice@a.example", STR_INIT("alice's secret"), 0 },
        { "ALICE@A.example", STR_INIT("alice's secret"), 0 },
        { "alice", STR_INIT("alice's secret"), 0 },
        { "bob@b.example", STR_INIT("bob's secret"), 0 },
        { "bob", STR_INIT("bob's secret"), ERR_REFUSED },
        { "alice@a.example", STR_INIT("alice's secret "), ERR_REFUSED },
        { "alice@a.example", STR_INIT("alice's secret\0"), ERR_REFUSED },
        { "alice@a.example", STR_INIT("Alice's secret"), ERR_REFUSED },
        { "alice@a.example", STR_INIT(""), ERR_REFUSED },
        { "alice@a.example", STR_INIT("bob's secret"), ERR_REFUSED },
        { "none@a.example", STR_INIT(""), ERR_REFUSED },
        { "none@a.example", STR_INIT("x"), ERR_REFUSED },
        { "nobody@a.example", STR_INIT("x"), ERR_REFUSED },
        { "alice+x@a.example", STR_INIT("alice's secret"), ERR_REFUSED },
        { "", STR_INIT("x"), ERR_REFUSED },
        { "a b c", STR_INIT("x"), ERR_REFUSED },
        { "@", STR_INIT("x"), ERR_REFUSED },
    };
    uint64_t before = directory_argon2_runs();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = login(f, cases[i].name, cases[i].password, "192.0.2.1");
        if (r != cases[i].expected)
            fail_msg("case %zu: %s", i, err_name(r));
    }
    /* Each costs the same work, but for the two that are remembered. */
    assert_int_equal(directory_argon2_runs() - before, sizeof cases / sizeof cases[0] - 2);
    struct directory_account account;
    assert_int_equal(directory_authenticate(f->d, STR("alice"), STR("alice's secret"), STR("192.0.2.1"), &f->a, &account, &delay),
                     0);
    assert_memory_equal(account.id.b, f->alice.b, sizeof f->alice.b);
    assert_true(str_eq(account.address, STR("alice@a.example")));
    /* White space around a name, which telephones write, means nothing; within it, and around a password, it does. */
    static const char *const spaced[] = { "alice@a.example ", " alice@a.example", "\talice@a.example \r\n", "alice ",
                                          " ALICE@a.example" };
    for (size_t i = 0; i < sizeof spaced / sizeof *spaced; i++)
        assert_int_equal(login(f, spaced[i], STR("alice's secret"), "192.0.2.1"), 0);
    static const char *const split[] = { "alice @a.example", "alice@ a.example", "al ice", " ", "\xc2\xa0" };
    for (size_t i = 0; i < sizeof split / sizeof *split; i++)
        assert_int_equal(login(f, split[i], STR("alice's secret"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice@a.example ", STR("alice's secret "), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice@a.example", STR(" alice's secret"), "192.0.2.1"), ERR_REFUSED);
    char *big = calloc(1, 5000);
    assert_int_equal(login(f, "alice", (str){ big, 5000 }, "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), (str){ big, 1025 }, NULL), ERR_LIMIT);
    free(big);
}

/* What is set on one keyboard is typed on another, and SCRAM's keys are those of the same form. */
static void passwords_have_one_form(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str set;
        str typed[3];
    } cases[] = {
        { STR_INIT("caf\u00e9 secret"),
          { STR_INIT("cafe\u0301 secret"), STR_INIT("caf\u00e9 secret"), STR_INIT("caf\u00e9\u00a0secret") } },
        { STR_INIT("cafe\u0301\u3000secret"),
          { STR_INIT("cafe\u0301 secret"), STR_INIT("caf\u00e9 secret"), STR_INIT("caf\u00e9\u2003secret") } },
        { STR_INIT("\U0001f600 laughs aloud"),
          { STR_INIT("\U0001f600 laughs aloud"), STR_INIT("\U0001f600\u00a0laughs aloud"),
            STR_INIT("\U0001f600 laughs\u00ad aloud") } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        if (directory_account_password(f->d, STR("alice@a.example"), cases[i].set, &e) < 0)
            fail_msg("case %zu: %s", i, e.text);
        for (size_t k = 0; k < 3; k++)
            if (login(f, "alice", cases[i].typed[k], "192.0.2.1") != 0)
                fail_msg("case %zu, typed %zu", i, k);
        assert_int_equal(login(f, "alice", STR("cafe secret"), "192.0.2.1"), ERR_REFUSED);
    }
    static const str bad[] = { STR_INIT("tab\tin the middle"), STR_INIT("nul\0in the middle"),      STR_INIT("not UTF-8 \xe9"),
                               STR_INIT("bell \x07 rings"),    STR_INIT("\u05d0 mixed with latin"), STR_INIT("\u00ad") };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error e = ERROR_NONE;
        if (directory_account_password(f->d, STR("alice@a.example"), bad[i], &e) != ERR_SYNTAX)
            fail_msg("bad %zu was taken", i);
        assert_true(str_find(str_from_z(e.text), STR("RFC 4013")) < strlen(e.text));
    }
}

/* Hashes of what was not prepared, as they are in stores, fit what was typed then. */
static void former_hashes_fit(void **state)
{
    static const str table[] = { STR_INIT("cafe\u0301"), STR_INIT("a\u00a0b"), STR_INIT("tab\there"), STR_INIT("\u05d0a"),
                                 STR_INIT("raw \xe9") };
    struct gate *g = gate_new();
    const struct directory_cost cost = { DIRECTORY_COST_KIB_MIN, DIRECTORY_COST_PASSES_MIN };
    char hash[DIRECTORY_HASH_MAX];
    bool is_old;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(password_hash(g, table[i], hash, NULL), 0);
        assert_int_equal(gate_enter(g), 0);
        assert_int_equal(password_fits(g, &cost, str_from_z(hash), table[i], &is_old), 0);
        assert_int_equal(is_old, i < 2); /* the others have no other form */
        assert_int_equal(password_fits(g, &cost, str_from_z(hash), STR("caf\u00e9s"), &is_old), ERR_REFUSED);
        gate_leave(g);
    }
    gate_free(g);
}

static void ten_logins_cost_one_hash(void **state)
{
    struct fixture *f = *state;
    uint64_t before = directory_argon2_runs();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
        assert_int_equal(delay, 0);
    }
    assert_int_equal(directory_argon2_runs() - before, 1);
    /* A wrong one is never remembered. */
    assert_int_equal(login(f, "alice", STR("wrong"), "192.0.2.2"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", STR("wrong"), "192.0.2.2"), ERR_REFUSED);
    assert_int_equal(directory_argon2_runs() - before, 3);
}

static void changes_end_what_is_remembered(void **state)
{
    struct fixture *f = *state;
    str old = STR_INIT("alice's secret"), new = STR_INIT("new");
    assert_int_equal(login(f, "alice", old, "192.0.2.1"), 0);
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), new, NULL), 0);
    assert_int_equal(login(f, "alice", old, "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), 0);
    /* The same password anew is another hash. */
    uint64_t before = directory_argon2_runs();
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), new, NULL), 0);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), 0);
    assert_int_equal(directory_argon2_runs() - before, 2);
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), true, NULL), 0);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), 0);
    /* And it is there after a restart. */
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    assert_int_equal(login(f, "alice", old, "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), 0);
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR(""), NULL), 0);
    assert_int_equal(login(f, "alice", new, "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", STR(""), "192.0.2.1"), ERR_REFUSED);
}

/* P4: no password of its own, by any mechanism; its mailboxes are nobody's to read. */
static void programs_send_with_application_passwords(void **state)
{
    struct fixture *f = *state;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    struct directory_scram keys, decoy;
    struct directory_account account;
    struct error e = ERROR_NONE;
    engine_part id;
    struct directory_attempt t = { .login = STR("alice"), .peer = STR("192.0.2.1"), .password = STR("alice's secret") };
    assert_int_equal(directory_account_role(f->d, STR("alice@a.example"), DIRECTORY_PROGRAM, NULL), 0);
    assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), ERR_REFUSED);
    t.proof = DIRECTORY_PROVED;
    assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), ERR_REFUSED);
    assert_int_equal(directory_scram_find(f->d, STR("alice"), DIRECTORY_SHA256, &keys), 0);
    assert_int_equal(directory_scram_find(f->d, STR("alice"), DIRECTORY_SHA256, &decoy), 0);
    assert_memory_not_equal(keys.stored_key, decoy.stored_key, 32); /* nothing fits twice */
    assert_int_equal(directory_app_password_add(f->d, STR("alice@a.example"), STR("printer"), secret, NULL), 0);
    t = (struct directory_attempt){ .login = STR("alice"), .peer = STR("192.0.2.1"), .password = str_from_z(secret) };
    assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), 0);
    assert_int_equal(account.role, DIRECTORY_PROGRAM);
    t.service = DIRECTORY_MAILBOXES;
    assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), ERR_UNSUPPORTED);
    /* A user again, everything is as it was. */
    assert_int_equal(directory_account_role(f->d, STR("alice@a.example"), DIRECTORY_USER, NULL), 0);
    t.password = STR("alice's secret");
    assert_int_equal(directory_login(f->d, &t, &f->a, &account, &delay), 0);
    assert_int_equal(directory_account_add_as(f->d, STR("fax@a.example"), DIRECTORY_PROGRAM, STR("x"), &id, &e), ERR_REFUSED);
    assert_int_equal(directory_account_add_as(f->d, STR("fax@a.example"), DIRECTORY_PROGRAM, STR(""), &id, &e), 0);
    assert_int_equal(directory_account_password(f->d, STR("fax@a.example"), STR("x"), &e), ERR_REFUSED);
}

static void what_is_remembered_is_bounded(void **state)
{
    struct verified *v = verified_new();
    engine_part id = { { 1 } };
    struct verified_tag first = verified_tag(v, id, STR("hash"), STR("0")), same = verified_tag(v, id, STR("hash"), STR("0"));
    struct verified_tag shifted = verified_tag(v, id, STR("has"), STR("h0"));
    assert_memory_equal(first.b, same.b, sizeof first.b);
    assert_memory_not_equal(first.b, shifted.b, sizeof first.b);
    assert_false(verified_has(v, &first));
    verified_add(v, &first);
    assert_true(verified_has(v, &first));
    struct verified_tag last = first;
    for (int i = 1; i <= 10000; i++) {
        char password[16];
        int n = snprintf(password, sizeof password, "%d", i);
        last = verified_tag(v, id, STR("hash"), (str){ password, (size_t)n });
        verified_add(v, &last);
    }
    assert_true(verified_has(v, &last));
    assert_false(verified_has(v, &first));
    verified_free(v);
}

/* A memory as keeper's is one: of proofs, without a hash. One that lies says yes to everything. */
static struct {
    bool has, lies;
    engine_part id;
    struct directory_witness proof;
    unsigned asked, forgotten;
} kept;

static bool memory_ask(void *ctx, const engine_part *id, const uint8_t question[32], uint8_t ret_answer[16])
{
    kept.asked++;
    memcpy(ret_answer, kept.proof.answer, sizeof kept.proof.answer);
    return kept.lies || (kept.has && memcmp(&kept.id, id, sizeof *id) == 0 &&
                         memcmp(kept.proof.question, question, sizeof kept.proof.question) == 0);
}

static void memory_remember(void *ctx, const engine_part *id, const struct directory_witness *proof)
{
    kept.has = true;
    kept.id = *id;
    kept.proof = *proof;
}

static void memory_forget(void *ctx, const engine_part *id)
{
    kept.forgotten++;
}

static const struct directory_memory memory = { .ask = memory_ask, .remember = memory_remember, .forget = memory_forget };

/* As many are checked at a time as there are places; the others are told when to come again, one later than the other, and are served in the order in
 * which they first came. */
static void the_gate_is_fair(void **state)
{
    struct gate *g = gate_new();
    unsigned places = gate_places(g), n = 0;
    int64_t again = 0, last = 0;
    (void)state;
    for (unsigned i = 0; i < places; i++)
        assert_int_equal(gate_try(g, 1 + i, &again), 0);
    for (; n < 100; n++) {
        assert_int_equal(gate_try(g, 1000 + n, &again), ERR_UNAVAILABLE);
        assert_true(again > 0 && again + 1 >= last);
        last = again;
    }
    /* Who comes again before his turn keeps it and gets no other. */
    assert_int_equal(gate_try(g, 1000, &again), ERR_UNAVAILABLE);
    assert_true(again < last);
    gate_leave(g);
    assert_int_equal(gate_try(g, 5000, &again), ERR_UNAVAILABLE); /* a place is free, but not for who comes last */
    assert_int_equal(gate_try(g, 1000 + n - 1, &again), ERR_UNAVAILABLE);
    assert_int_equal(gate_try(g, 1000, &again), 0);
    gate_leave(g);
    assert_int_equal(gate_try(g, 1001, &again), 0);
    again = 1;
    /* Many more: then somebody is told not to come again. */
    for (n = 0; n < 3000 && again > 0; n++)
        assert_int_equal(gate_try(g, 100000 + n, &again), ERR_UNAVAILABLE);
    assert_in_range(n, 500, 2000);
    for (unsigned i = 0; i < places; i++)
        gate_leave(g);
    gate_free(g);
}

static void note_thread(void *ctx)
{
    *(pthread_t *)ctx = pthread_self();
}

static void hashing_has_threads_of_its_own(void **state)
{
    struct gate *g = gate_new();
    pthread_t ran = pthread_self();
    int64_t again;
    (void)state;
    assert_int_equal(gate_try(g, 1, &again), 0);
    gate_run(g, note_thread, &ran);
    assert_false(pthread_equal(ran, pthread_self()));
    gate_leave(g);
    gate_free(g);
}

/* A weak machine gets the least, a strong one more memory, none without end. */
static void what_a_hash_costs(void **state)
{
    (void)state;
    static const struct {
        int64_t taken_us;
        unsigned kib;
    } rows[] = { { 26000, 19456 }, { 10000, 19456 }, { 9900, 19456 }, { 5000, 38912 },
                 { 4000, 48128 },  { 100, 131072 },  { 0, 19456 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct directory_cost c = directory_cost_for(rows[i].taken_us, 10000);
        assert_int_equal(c.kib, rows[i].kib);
        assert_int_equal(c.passes, 2);
    }
    struct directory_cost c = directory_cost_measure(1);
    assert_int_equal(c.kib, DIRECTORY_COST_KIB_MIN);
    assert_int_equal(c.passes, DIRECTORY_COST_PASSES_MIN);
}

/* Hashes of another cost, as libargon2 made them, are right, and are made anew once; who is not there costs what somebody costs. */
static void another_cost_is_taken_over_at_the_next_login(void **state)
{
    struct fixture *f = *state;
    const struct directory_cost more = { 20480, 3 };
    struct directory_cost got;
    assert_true(password_cost_of(STR("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"), &got));
    assert_true(got.kib == 19456 && got.passes == 2);
    assert_false(password_cost_of(STR("$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"), &got));
    assert_false(password_cost_of(STR(""), &got));
    directory_set_cost(f->d, &more);
    directory_set_memory(f->d, &memory);
    memset(&kept, 0, sizeof kept);
    assert_int_equal(login(f, "alice", STR("wrong"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
    const struct entry *n = table_entry(&f->d->table, STR("alice@a.example"));
    assert_true(password_cost_of(n->hash, &got));
    assert_true(got.kib == more.kib && got.passes == more.passes);
    /* What is remembered is remembered of the new hash. */
    struct directory_witness w = verified_proof(f->alice, n->hash, STR("alice's secret"));
    assert_memory_equal(&w, &kept.proof, sizeof w);
    uint64_t before = directory_argon2_runs();
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
    assert_int_equal(directory_argon2_runs() - before, 0);
}

/* The same store in a new process. */
static void open_again(struct fixture *f)
{
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    directory_set_memory(f->d, &memory);
}

static void who_was_known_costs_no_hash_after_a_restart(void **state)
{
    struct fixture *f = *state;
    memset(&kept, 0, sizeof kept);
    open_again(f);
    assert_int_equal(login(f, "alice", STR("wrong"), "192.0.2.1"), ERR_REFUSED);
    assert_false(kept.has);
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
    assert_true(kept.has);
    open_again(f);
    uint64_t before = directory_argon2_runs();
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
    assert_int_equal(directory_argon2_runs() - before, 0);
    assert_int_equal(login(f, "alice", STR("alice's secret "), "192.0.2.1"), ERR_REFUSED);
    /* Who is not there, and who has no password, cost the question as well. */
    unsigned asked = kept.asked;
    assert_int_equal(login(f, "nobody@a.example", STR("x"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "none@a.example", STR("x"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(kept.asked, asked + 2);
    assert_int_equal(directory_argon2_runs() - before, 3);
    kept.lies = true;
    assert_int_equal(login(f, "alice", STR("wrong"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "none@a.example", STR("x"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "bob@b.example", STR("alice's secret"), "192.0.2.1"), ERR_REFUSED);
}

/* Told at once; and a memory that is deaf lets nobody in who has another password now, is disabled or gone. */
static void a_memory_that_forgets_nothing_lets_nobody_in(void **state)
{
    struct fixture *f = *state;
    memset(&kept, 0, sizeof kept);
    open_again(f);
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), 0);
    assert_int_equal(directory_account_password(f->d, STR("alice@a.example"), STR("another secret"), NULL), 0);
    assert_int_equal(kept.forgotten, 1);
    open_again(f);
    assert_int_equal(login(f, "alice", STR("alice's secret"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(login(f, "alice", STR("another secret"), "192.0.2.1"), 0);
    assert_int_equal(directory_account_enable(f->d, STR("alice@a.example"), false, NULL), 0);
    assert_int_equal(kept.forgotten, 2);
    open_again(f);
    assert_int_equal(login(f, "alice", STR("another secret"), "192.0.2.1"), ERR_REFUSED);
    assert_int_equal(directory_account_remove(f->d, STR("alice@a.example"), false, &f->alice, NULL), 0);
    assert_int_equal(kept.forgotten, 3);
    assert_int_equal(login(f, "alice", STR("another secret"), "192.0.2.1"), ERR_REFUSED);
}

struct guess {
    struct fixture *f;
    pthread_t thread;
    int right, wrong, busy;
};

/* A certificate needs no password, but an account that may log in. */
static void certificates(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        enum directory_proof proof;
        int expected;
    } cases[] = {
        { "alice@a.example", DIRECTORY_CERTIFIED, 0 },
        { "none@a.example", DIRECTORY_CERTIFIED, 0 },
        { "none@a.example", DIRECTORY_PROVED, ERR_REFUSED },
        { "alice@a.example", DIRECTORY_REFUTED, ERR_REFUSED },
        { "bob@b.example", DIRECTORY_CERTIFIED, ERR_REFUSED }, /* disabled */
        { "nobody@a.example", DIRECTORY_CERTIFIED, ERR_REFUSED },
    };
    assert_int_equal(directory_account_enable(f->d, STR("bob@b.example"), false, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct directory_account account = { 0 };
        const struct directory_attempt attempt = { .login = str_from_z(cases[i].name),
                                                   .proof = cases[i].proof,
                                                   .peer = STR("192.0.2.1") };
        int r = directory_login(f->d, &attempt, &f->a, &account, &delay);
        if (r != cases[i].expected)
            fail_msg("case %zu: %s", i, err_name(r));
        if (r == 0)
            assert_true(str_eq(account.address, attempt.login));
    }
    assert_true(delay > 0);
}

static void *guess_run(void *p)
{
    struct guess *g = p;
    for (int i = 0; i < 6; i++) {
        struct arena a = ARENA_INIT(1 << 16);
        struct directory_account account;
        int64_t ms;
        int r = directory_authenticate(g->f->d, STR("alice"), i % 2 ? STR("wrong") : STR("alice's secret"), STR("192.0.2.9"), &a,
                                       &account, &ms);
        g->right += r == 0;
        g->wrong += r == ERR_REFUSED;
        g->busy += r == ERR_UNAVAILABLE;
        arena_done(&a);
    }
    return NULL;
}

static void many_at_once(void **state)
{
    struct guess g[8];
    for (int i = 0; i < 8; i++) {
        g[i] = (struct guess){ .f = *state };
        assert_int_equal(pthread_create(&g[i].thread, NULL, guess_run, &g[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(g[i].thread, NULL);
        assert_int_equal(g[i].right + g[i].wrong + g[i].busy, 6);
        assert_true(g[i].right <= 3 && g[i].wrong <= 3);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_and_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(passwords_have_one_form, setup, teardown),
        cmocka_unit_test(former_hashes_fit),
        cmocka_unit_test_setup_teardown(ten_logins_cost_one_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_end_what_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(programs_send_with_application_passwords, setup, teardown),
        cmocka_unit_test(what_is_remembered_is_bounded),
        cmocka_unit_test_setup_teardown(certificates, setup, teardown),
        cmocka_unit_test(the_gate_is_fair),
        cmocka_unit_test(hashing_has_threads_of_its_own),
        cmocka_unit_test(what_a_hash_costs),
        cmocka_unit_test_setup_teardown(another_cost_is_taken_over_at_the_next_login, setup, teardown),
        cmocka_unit_test_setup_teardown(who_was_known_costs_no_hash_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_memory_that_forgets_nothing_lets_nobody_in, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
