/* lockout: the rules B1 to B13 of directory/lockout.h, on a clock that the tests set.
 * Longer than 800 lines because all of them are tried on the same accounts, whose passwords cost time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "directory/directory_private.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static int64_t now;
static int64_t fake_clock(void)
{
    return now;
}

struct fixture {
    struct engine *engine;
    struct directory *d;
    unsigned guesses; /* so that each wrong password is another */
    int64_t delay;
};

static void reopen(struct fixture *f)
{
    directory_free(f->d);
    assert_int_equal(directory_open(f->engine, &f->d, NULL), 0);
    f->d->clock = fake_clock;
}

/* The accounts are made once, as their passwords cost time; what logging in leaves behind is each test's own. */
static struct engine *shared;

static int make_accounts(void **state)
{
    struct directory *d;
    engine_part id;
    (void)state;
    assert_int_equal(engine_memory_open(&shared), 0);
    assert_int_equal(directory_open(shared, &d, NULL), 0);
    assert_int_equal(directory_domain_add(d, STR("a.example"), NULL), 0);
    assert_int_equal(directory_account_add(d, STR("alice@a.example"), STR("alice's"), &id, NULL), 0);
    assert_int_equal(directory_account_add(d, STR("bob@a.example"), STR("bob's"), &id, NULL), 0);
    directory_free(d);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(shared);
    return 0;
}

static int setup(void **state)
{
    static struct fixture f;
    struct engine_txn *t = engine_begin(shared, logins_part, ENGINE_ANY_VERSION);
    engine_del_range(t, STR(""), STR("\xff"));
    assert_int_equal(engine_commit(t, NULL), 0);
    f = (struct fixture){ .engine = shared };
    now = clock_real_ms();
    assert_int_equal(directory_open(f.engine, &f.d, NULL), 0);
    f.d->clock = fake_clock;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    directory_free(f->d);
    return 0;
}

static int attempt(struct fixture *f, struct directory_attempt t)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct directory_account account;
    int r = directory_login(f->d, &t, &a, &account, &f->delay);
    arena_done(&a);
    return r;
}

static int login(struct fixture *f, const char *name, const char *password, const char *peer)
{
    return attempt(
        f, (struct directory_attempt){ .login = str_from_z(name), .password = str_from_z(password), .peer = str_from_z(peer) });
}

/* Fails by a proof, which costs no Argon2. */
static int refute(struct fixture *f, const char *name, const char *peer)
{
    return attempt(f,
                   (struct directory_attempt){ .login = str_from_z(name), .proof = DIRECTORY_REFUTED, .peer = str_from_z(peer) });
}

static void refute_times(struct fixture *f, const char *name, const char *peer, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(refute(f, name, peer), ERR_REFUSED);
}

static bool is_locked(struct fixture *f, const char *name, const char *peer)
{
    int r =
        attempt(f, (struct directory_attempt){ .login = str_from_z(name), .proof = DIRECTORY_PROVED, .peer = str_from_z(peer) });
    assert_true(r == 0 || r == ERR_AGAIN || r == ERR_REFUSED);
    return r == ERR_AGAIN;
}

static int count_one(void *ctx, const struct directory_lockout *l)
{
    *(int *)ctx += l->locked_until_ms > 0;
    return 0;
}

static int locked_out(struct fixture *f)
{
    int n = 0;
    assert_int_equal(directory_lockouts(f->d, count_one, &n), 0);
    return n;
}

/* B1 and B2. */
static void failures_double_the_delay(void **state)
{
    struct fixture *f = *state;
    static const int64_t expected[] = { 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    directory_set_lockout_policy(f->d, &(struct directory_lockout_policy){ 0, 0, MINUTE, { NULL, 0 }, { NULL, 0 } });
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(refute(f, "alice", "192.0.2.66"), ERR_REFUSED);
        assert_int_equal(f->delay, expected[i]);
    }
    /* The network's count delays another account too; a right password waits as long as a wrong one. */
    assert_int_equal(login(f, "bob", "bob's", "192.0.2.66"), 0);
    assert_int_equal(f->delay, 30000);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    assert_int_equal(f->delay, 30000);
    /* Her failures from there are forgiven, and the network is known for her now. */
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    assert_int_equal(f->delay, 0);
    /* Elsewhere nobody waits. */
    assert_int_equal(login(f, "alice", "alice's", "198.51.100.1"), 0);
    assert_int_equal(f->delay, 0);
    /* A minute takes one of the network's back. */
    now += 3 * MINUTE;
    assert_int_equal(refute(f, "nobody", "192.0.2.66"), ERR_REFUSED);
    assert_int_equal(f->delay, 16000);
    now += 4 * MINUTE;
    assert_int_equal(refute(f, "nobody2", "192.0.2.66"), ERR_REFUSED);
    assert_int_equal(f->delay, 2000);
}

/* B2: in a class behind one address, another's typos delay nobody's right password, while guesses are bounded as before. */
static void a_right_password_does_not_wait_for_others(void **state)
{
    struct fixture *f = *state;
    static const char *const peers[] = { "192.0.2.66", "2001:db8:1:2::3" };
    for (size_t i = 0; i < 2; i++) {
        refute_times(f, "alice", peers[i], 7);
        assert_int_equal(f->delay, 30000);
        assert_int_equal(login(f, "bob", "bob's", peers[i]), 0);
        assert_int_equal(f->delay, 0);
        /* What she has failed herself she waits for. */
        assert_int_equal(login(f, "alice", "alice's", peers[i]), 0);
        assert_int_equal(f->delay, 30000);
    }
    /* Also what was failed for her everywhere. */
    now += DAY;
    for (int i = 0; i < 15; i++) {
        char peer[32];
        (void)snprintf(peer, sizeof peer, "198.51.%d.1", i);
        refute_times(f, "alice", peer, 1);
    }
    assert_int_equal(login(f, "alice", "alice's", "203.0.113.7"), 0);
    assert_int_equal(f->delay, 8000);
    /* One guess at each of many accounts: the fiftieth failure locks the network out, and nothing more is learnt. */
    for (int i = 0; i < 50; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name%d", i);
        refute_times(f, name, "198.18.0.1", 1);
    }
    assert_int_equal(f->delay, 30000);
    assert_true(is_locked(f, "bob", "198.18.0.1"));
}

static void networks_are_addresses_and_64s(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "192.0.2.1", "192.0.2.2", false },
        { "2001:db8::1", "2001:db8::ffff:1", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "::ffff:192.0.2.1", "192.0.2.1", true },
        { "unix", "", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f;
        assert_int_equal(setup((void **)&f), 0);
        refute_times(f, "alice", cases[i].a, 10);
        assert_true(is_locked(f, "alice", cases[i].a));
        assert_int_equal(is_locked(f, "alice", cases[i].b), cases[i].same);
        teardown((void **)&f);
    }
    (void)state;
}

/* B3. */
static void ten_failures_lock_out_longer_each_time(void **state)
{
    struct fixture *f = *state;
    static const int64_t minutes[] = { 15, 30, 60, 120, 240, 480, 960, 1440, 1440 };
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        uint64_t hashes = directory_argon2_runs();
        refute_times(f, "alice", "192.0.2.66", 10);
        assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), ERR_AGAIN);
        assert_int_equal(login(f, "alice", "wrong", "192.0.2.66"), ERR_AGAIN);
        assert_int_equal(directory_argon2_runs(), hashes);
        now += minutes[i] * MINUTE - 1;
        assert_true(is_locked(f, "alice", "192.0.2.66"));
        now += 1;
    }
    /* Days in peace take the doublings back. */
    now += 9 * DAY;
    refute_times(f, "alice", "192.0.2.66", 10);
    now += 15 * MINUTE;
    assert_false(is_locked(f, "alice", "192.0.2.66"));
    struct directory_lockout_counts c;
    directory_lockout_counts(f->d, &c);
    assert_int_equal(c.lockouts, 10);
    assert_int_equal(c.failed, 100);
    assert_true(c.turned_away > 20);
}

static void slow_guesses_lock_out_too(void **state)
{
    struct fixture *f = *state;
    int tries = 0;
    for (; refute(f, "alice", "192.0.2.66") == ERR_REFUSED; tries++)
        now += 2 * MINUTE; /* the network's failures are forgiven faster than that */
    assert_true(tries >= 10 && tries <= 13);
}

static void fifty_failures_lock_a_network_out(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "name%d@a.example", i);
        refute_times(f, name, "192.0.2.66", 1);
    }
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    assert_true(is_locked(f, "whoever", "192.0.2.66"));
    assert_false(is_locked(f, "alice", "192.0.2.67"));
    struct directory_lockout_counts c;
    directory_lockout_counts(f->d, &c);
    assert_int_equal(c.networks, 1);
    assert_int_equal(c.logins, 0);
    now += 15 * MINUTE;
    assert_false(is_locked(f, "alice", "192.0.2.66"));
}

/* B4. */
static void a_known_network_stays_open(void **state)
{
    struct fixture *f = *state;
    char name[32];
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "name%d@a.example", i);
        refute_times(f, name, "192.0.2.66", 1);
    }
    /* Bob comes from there for the first time, Alice does not; the network next to hers is known as well. */
    assert_int_equal(login(f, "bob", "bob's", "192.0.2.66"), ERR_AGAIN);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    assert_int_equal(f->delay, 0);
    reopen(f);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.200"), 0);
    /* Her own failures from there count as anywhere, though the answer is a stranger's (B13). */
    for (int i = 0; i < 10; i++)
        assert_int_equal(refute(f, "alice", "192.0.2.66"), ERR_AGAIN);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), ERR_AGAIN);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.200"), 0);
    /* After three months it is unknown again. */
    now += 91 * (int64_t)DAY;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "name%d@a.example", i);
        refute_times(f, name, "192.0.2.66", 1);
    }
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), ERR_AGAIN);
}

static void the_network_not_seen_for_longest_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct arena a = ARENA_INIT(1 << 14);
    struct directory_account alice;
    struct ip_address peer;
    char text[32];
    assert_int_equal(directory_find_account(f->d, STR("alice@a.example"), &a, &alice), 0);
    for (int i = 0; i < 17; i++, now += DAY) {
        (void)snprintf(text, sizeof text, "10.0.%d.1", i);
        assert_true(ip_address_parse(str_from_z(text), &peer));
        known_add(f->d, alice.id, &peer, now);
        assert_true(known_has(f->d, alice.id, &peer, now));
    }
    for (int i = 0; i < 17; i++) {
        (void)snprintf(text, sizeof text, "10.0.%d.77", i);
        assert_true(ip_address_parse(str_from_z(text), &peer));
        assert_int_equal(known_has(f->d, alice.id, &peer, now), i > 0);
    }
    arena_done(&a);
}

/* B5. */
static void many_networks_slow_an_account_down_and_never_lock_it_out(void **state)
{
    struct fixture *f = *state;
    char peer[32];
    assert_int_equal(login(f, "alice", "alice's", "203.0.113.1"), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(peer, sizeof peer, "10.%d.%d.1", i / 200, i % 200);
        refute_times(f, "alice", peer, 1);
        assert_int_equal(f->delay, i < 11 ? 500 : i == 11 ? 1000 : i == 12 ? 2000 : f->delay);
    }
    assert_int_equal(f->delay, 30000);
    /* Somewhere new she waits, where she is known she does not; Bob does not either. */
    assert_int_equal(login(f, "alice", "alice's", "198.51.100.1"), 0);
    assert_int_equal(f->delay, 30000);
    assert_int_equal(login(f, "alice", "alice's", "203.0.113.1"), 0);
    assert_int_equal(f->delay, 0);
    assert_int_equal(login(f, "bob", "bob's", "198.51.100.2"), 0);
    assert_int_equal(f->delay, 0);
    assert_int_equal(locked_out(f), 0);
}

/* B6. */
static void the_same_wrong_password_counts_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(login(f, "alice", "the old one", "192.0.2.66"), ERR_REFUSED);
        assert_int_equal(f->delay, 500);
    }
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    /* Proofs cannot be told apart, so each counts; and another password does. */
    for (int i = 0; i < 10; i++) {
        char password[32];
        (void)snprintf(password, sizeof password, "guess %d", i);
        assert_int_equal(login(f, "alice", password, "192.0.2.66"), ERR_REFUSED);
    }
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), ERR_AGAIN);
}

/* B7. */
static void a_name_that_is_not_there_counts_alike(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 11; i++) {
        int there = refute(f, "alice", "192.0.2.66");
        int64_t delay = f->delay;
        assert_int_equal(refute(f, "nobody@a.example", "192.0.2.67"), there);
        assert_int_equal(f->delay, delay);
        assert_int_equal(there, i < 10 ? ERR_REFUSED : ERR_AGAIN);
    }
    refute_times(f, "no address at all", "192.0.2.68", 10);
    assert_int_equal(refute(f, "no address", "192.0.2.68"), ERR_AGAIN);
}

/* B8. */
static void the_allow_list_is_exempt(void **state)
{
    struct fixture *f = *state;
    struct ip_network office;
    assert_int_equal(ip_network_parse(STR("192.0.2.0/25"), &office, NULL), 0);
    struct directory_lockout_policy p = DIRECTORY_LOCKOUT_DEFAULT;
    refute_times(f, "alice", "192.0.2.66", 10);
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    p.allow = (struct ip_networks){ &office, 1 };
    directory_set_lockout_policy(f->d, &p);
    assert_false(is_locked(f, "alice", "192.0.2.66"));
    refute_times(f, "alice", "192.0.2.66", 100);
    assert_int_equal(f->delay, 0);
    refute_times(f, "alice", "192.0.2.200", 10);
    assert_true(is_locked(f, "alice", "192.0.2.200"));
}

/* B8: behind a webmail or a tunnel the network is nobody, but each account is guarded as anywhere. */
static void an_exempt_network_guards_accounts(void **state)
{
    struct fixture *f = *state;
    struct ip_network local;
    assert_int_equal(ip_network_parse(STR("127.0.0.0/8"), &local, NULL), 0);
    struct directory_lockout_policy p = DIRECTORY_LOCKOUT_DEFAULT;
    p.exempt = (struct ip_networks){ &local, 1 };
    directory_set_lockout_policy(f->d, &p);
    for (int i = 0; i < 500; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name%d", i % 100);
        if (i < 100)
            assert_int_equal(refute(f, name, "127.0.0.1"), ERR_REFUSED);
        else
            (void)refute(f, name, "127.0.0.1");
        if (i < 100)
            assert_int_equal(f->delay, 500); /* its own first failure, whatever the hundred before it */
    }
    assert_false(is_locked(f, "bob", "127.0.0.1"));
    assert_int_equal(f->delay, 0);
    refute_times(f, "alice", "127.0.0.1", 10);
    assert_int_equal(f->delay, 30000);
    assert_true(is_locked(f, "alice", "127.0.0.1"));
    assert_int_equal(login(f, "bob", "bob's", "127.0.0.1"), 0);
    assert_int_equal(f->delay, 0);
    /* Without the exemption the same is the network's. */
    p.exempt = (struct ip_networks){ NULL, 0 };
    directory_set_lockout_policy(f->d, &p);
    for (int i = 0; i < 50; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "other%d", i);
        assert_int_equal(refute(f, name, "127.0.0.1"), ERR_REFUSED);
    }
    assert_int_equal(refute(f, "one more", "127.0.0.1"), ERR_AGAIN);
}

/* B9. */
static void a_restart_forgets_nothing(void **state)
{
    struct fixture *f = *state;
    struct directory *other;
    refute_times(f, "bob", "192.0.2.77", 3);
    refute_times(f, "alice", "192.0.2.66", 10);
    /* A lock-out is written at once: who opens the store now, as after a crash, sees it. */
    assert_int_equal(directory_open(f->engine, &other, NULL), 0);
    struct directory *crashed = f->d;
    f->d = other;
    f->d->clock = fake_clock;
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    f->d = crashed;
    directory_free(other);
    reopen(f);
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    assert_int_equal(refute(f, "bob", "192.0.2.77"), ERR_REFUSED);
    assert_int_equal(f->delay, 4000);
    /* Over the second restart the doubling is kept too. */
    now += 15 * MINUTE;
    refute_times(f, "alice", "192.0.2.66", 10);
    reopen(f);
    now += 30 * MINUTE - 1;
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    now += 1;
    reopen(f);
    assert_false(is_locked(f, "alice", "192.0.2.66"));
}

static void a_clock_that_is_set_back_locks_nobody_out_for_ever(void **state)
{
    struct fixture *f = *state;
    refute_times(f, "alice", "192.0.2.66", 10);
    now -= 300 * (int64_t)DAY;
    reopen(f);
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    now += DAY;
    assert_false(is_locked(f, "alice", "192.0.2.66"));
}

/* B10. */
static void a_certificate_is_no_guess(void **state)
{
    struct fixture *f = *state;
    struct directory_attempt t = { .login = STR("alice"), .proof = DIRECTORY_CERTIFIED, .peer = STR("192.0.2.66") };
    refute_times(f, "alice", "192.0.2.66", 10);
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    assert_int_equal(attempt(f, t), 0);
    assert_int_equal(f->delay, 0);
}

static int count_row(void *ctx, str key, str value)
{
    (void)key, (void)value;
    ++*(size_t *)ctx;
    return 0;
}

static void a_flood_takes_no_more_room_and_no_commit_each(void **state)
{
    struct fixture *f = *state;
    struct throttle_try try = { .login = STR("alice@a.example") };
    struct engine_state before, after;
    size_t rows = 0;
    bool locked;
    refute_times(f, "alice", "192.0.2.66", 10);
    engine_state(f->engine, &before);
    for (unsigned i = 0; i < 25000; i++) {
        uint8_t b[4] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
        try.peer = ip_address_from_4(b);
        (void)throttle_fail(f->d->throttle, &try, now, false, &locked);
    }
    /* The lock-out does not give way to mere failures. */
    assert_true(is_locked(f, "alice", "192.0.2.66"));
    directory_tend(f->d);
    engine_state(f->engine, &after);
    assert_true(after.commits - before.commits <= 2 * (THROTTLE_SLOTS + 100) / 500 + 3);
    assert_int_equal(engine_scan(f->engine, logins_part, STR("t"), STR("u"), ENGINE_SYNCED, count_row, &rows, NULL), 0);
    assert_true(rows <= 2 * (THROTTLE_SLOTS + 100) + 1);
    reopen(f);
    assert_true(is_locked(f, "alice", "192.0.2.66"));
}

/* The address 2001:db8:: with SITE and SUBNET as the third and fourth group. */
static const char *v6(unsigned provider, unsigned site, unsigned subnet)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "2001:%x:%x:%x::1", provider, site, subnet);
    return text;
}

/* Failures at alice that are checked before she is locked out from the network of the next address that NAME_OF gives. */
static int checked_of(struct fixture *f, const char *(*name_of)(int i), int tries)
{
    int checked = 0;
    for (int i = 0; i < tries; i++)
        checked += refute(f, "alice", name_of(i)) == ERR_REFUSED;
    return checked;
}

static const char *subnets_of_56(int i)
{
    return v6(0xdb8, 1, (unsigned)i % 256);
}
static const char *subnets_of_48(int i)
{
    return v6(0xdb8, 1, (unsigned)i);
}
static const char *sites_of_32(int i)
{
    return v6(0xdb8, (unsigned)i, 0);
}
static const char *addresses_of_24(int i)
{
    static char text[32];
    (void)snprintf(text, sizeof text, "192.0.2.%d", i % 256);
    return text;
}

/* B11: one who has many networks guesses no more than the thresholds say, and whoever comes from elsewhere is not locked out. */
static void wider_networks_lock_out_too(void **state)
{
    static const struct {
        const char *(*name_of)(int i);
        int tries, checked;
        const char *within, *outside;
    } cases[] = {
        { subnets_of_56, 256, 20, "2001:db8:1:ff::9", "2001:db8:1:100::1" },
        { subnets_of_48, 1200, 40, "2001:db8:1:ffff::9", "2001:db8:2::1" },
        { sites_of_32, 1200, 160, "2001:db8:ffff::9", "2001:db9::1" },
        { addresses_of_24, 256, 40, "192.0.2.9", "192.0.3.1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f;
        assert_int_equal(setup((void **)&f), 0);
        assert_int_equal(checked_of(f, cases[i].name_of, cases[i].tries), cases[i].checked);
        assert_true(is_locked(f, "alice", cases[i].within));
        assert_false(is_locked(f, "bob", cases[i].within));
        assert_false(is_locked(f, "alice", cases[i].outside));
        reopen(f);
        assert_true(is_locked(f, "alice", cases[i].within));
        /* Whoever lets one address in again means the networks around it as well. */
        size_t n;
        assert_int_equal(directory_lockout_lift(f->d, str_from_z(cases[i].within), &n, NULL), 0);
        assert_true(n > 0);
        assert_false(is_locked(f, "alice", cases[i].within));
        teardown((void **)&f);
    }
    (void)state;
}

/* B11: names tried one after the other lock the networks themselves out. */
static void many_names_from_many_networks(void **state)
{
    static const struct {
        unsigned sites, step, subnets;
        int checked;
    } cases[] = { { 1, 1, 200, 100 }, { 1, 257, 65536, 200 }, { 5000, 0, 1, 1600 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f;
        char name[32];
        int checked = 0;
        assert_int_equal(setup((void **)&f), 0);
        for (unsigned k = 0; k < 1800; k++) {
            (void)snprintf(name, sizeof name, "name%u@a.example", k);
            checked += refute(f, name, v6(0xdb8, k % cases[i].sites, k * cases[i].step % cases[i].subnets)) == ERR_REFUSED;
        }
        assert_int_equal(checked, cases[i].checked);
        assert_false(is_locked(f, "bob", v6(0xdb9, 0, 0)));
        teardown((void **)&f);
    }
    (void)state;
}

/* B12: whoever has a /32 cannot push out of the table what he has done. */
static void nobody_flushes_the_table(void **state)
{
    struct fixture *f = *state;
    struct throttle_try try = { 0 };
    char name[32];
    bool locked;
    refute_times(f, "alice", "2001:db8:7:7::1", 9);
    refute_times(f, "bob", "2001:db8:7:7::1", 10);
    for (unsigned i = 0; i < 12000; i++) {
        /* Beyond what the rules let anybody do: straight into the counts. */
        (void)snprintf(name, sizeof name, "name%u@a.example", i);
        try.login = str_from_z(name);
        assert_true(ip_address_parse(str_from_z(v6(0xdc0 + i % 4, i, i)), &try.peer));
        (void)throttle_fail(f->d->throttle, &try, now, false, &locked);
    }
    /* He himself is locked out as a whole long before. */
    try.login = STR("alice@a.example");
    assert_true(throttle_locked(f->d->throttle, &try, now, false).is_closed);
    assert_true(ip_address_parse(STR("2001:db8:7:7::1"), &try.peer));
    assert_false(throttle_locked(f->d->throttle, &try, now, false).is_own);
    (void)throttle_fail(f->d->throttle, &try, now, false, &locked); /* the tenth */
    assert_true(throttle_locked(f->d->throttle, &try, now, false).is_own);
    try.login = STR("bob@a.example");
    assert_true(throttle_locked(f->d->throttle, &try, now, false).is_own);
}

static int answer_of(struct fixture *f, const char *name, struct directory_attempt t)
{
    t.login = str_from_z(name);
    return attempt(f, t);
}

/* B13: from a network that is locked out, nobody learns who has logged in from it; nor by what failing costs elsewhere. */
static void failing_tells_nothing_of_who_is_known(void **state)
{
    struct fixture *f = *state;
    char name[32];
    static const struct directory_attempt tries[] = {
        { .proof = DIRECTORY_PASSWORD, .password = STR_INIT("wrong"), .peer = STR_INIT("192.0.2.66") },
        { .proof = DIRECTORY_REFUTED, .peer = STR_INIT("192.0.2.66") },
    };
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "name%d@a.example", i);
        refute_times(f, name, "192.0.2.66", 1);
    }
    for (int i = 0; i < 12; i++) {
        struct directory_attempt t = tries[i % 2];
        static const char *const names[] = { "alice", "bob", "nobody", "no address at all" };
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            assert_int_equal(answer_of(f, names[k], t), ERR_AGAIN);
            assert_true(f->delay > 0 && f->delay <= 2000);
        }
    }
    /* The right password still opens to who is known. The others' failures were counted as hers were, so that when the network is open
     * again all are where they would be. */
    now += 15 * MINUTE;
    refute_times(f, "bob", "192.0.2.66", 3);
    refute_times(f, "alice", "192.0.2.66", 3);
    assert_int_equal(refute(f, "bob", "192.0.2.66"), ERR_REFUSED);
    int64_t delay = f->delay;
    assert_int_equal(refute(f, "alice", "192.0.2.66"), ERR_REFUSED);
    assert_int_equal(f->delay, delay);
}

static void who_is_known_gets_in_where_strangers_are_locked_out(void **state)
{
    struct fixture *f = *state;
    char name[32];
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "name%d@a.example", i);
        refute_times(f, name, "192.0.2.66", 1);
    }
    assert_int_equal(login(f, "bob", "bob's", "192.0.2.66"), ERR_AGAIN);
    assert_int_equal(login(f, "alice", "wrong", "192.0.2.66"), ERR_AGAIN);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.66"), 0);
    assert_true(f->delay <= 500);
}

/* B13: from elsewhere one cannot see either whether a failure was made where the account is known. */
static void a_failure_counts_everywhere_alike(void **state)
{
    struct fixture *f = *state;
    char peer[32];
    assert_int_equal(login(f, "alice", "alice's", "203.0.113.1"), 0);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(peer, sizeof peer, "203.0.113.%d", 10 + i);
        refute_times(f, "alice", peer, 1);
        int64_t delay = f->delay;
        refute_times(f, "bob", peer, 1);
        assert_true(f->delay >= delay);
    }
    refute_times(f, "alice", "198.51.100.1", 1);
    int64_t delay = f->delay;
    refute_times(f, "bob", "198.51.100.2", 1);
    assert_int_equal(f->delay, delay);
}

static void lock_outs_are_listed_and_lifted(void **state)
{
    struct fixture *f = *state;
    size_t n = 99;
    struct error e = ERROR_NONE;
    refute_times(f, "alice", "192.0.2.66", 10);
    refute_times(f, "alice", "2001:db8::66", 10);
    refute_times(f, "bob", "192.0.2.66", 10);
    assert_int_equal(locked_out(f), 3);
    assert_int_equal(directory_lockout_lift(f->d, STR("not an address"), &n, &e), ERR_SYNTAX);
    assert_int_equal(directory_lockout_lift(f->d, STR("carol@a.example"), &n, &e), 0);
    assert_int_equal(n, 0);
    assert_int_equal(directory_lockout_lift(f->d, STR("Alice@A.example"), &n, &e), 0);
    assert_int_equal(n, 3); /* from two networks, and the delay everywhere */
    assert_false(is_locked(f, "alice", "192.0.2.66"));
    assert_true(is_locked(f, "bob", "192.0.2.66"));
    refute_times(f, "alice", "2001:db8::66", 10);
    assert_int_equal(directory_lockout_lift(f->d, STR("192.0.2.0/24"), &n, &e), 0);
    assert_int_equal(n, 2); /* Bob there, and the network's delay */
    assert_int_equal(locked_out(f), 1);
    reopen(f);
    assert_int_equal(locked_out(f), 1);
    assert_int_equal(directory_lockout_lift(f->d, STR(""), &n, &e), 0);
    assert_int_equal(locked_out(f), 0);
    reopen(f);
    assert_int_equal(locked_out(f), 0);
    /* The doubling is forgiven as well. */
    refute_times(f, "alice", "2001:db8::66", 10);
    now += 15 * MINUTE;
    assert_false(is_locked(f, "alice", "2001:db8::66"));
}

static void damaged_rows_keep_nobody_out(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str key, value;
    } rows[] = {
        { STR_INIT("t"), STR_INIT("") },
        { STR_INIT("t\1\1\1"), STR_INIT("\1") },
        { STR_INIT("t\11\1\1"), STR_INIT("\1\21aaaaaaaaaaaaaaaaa\1\1\1\1") },
        { STR_INIT("t\1\377\377"), STR_INIT("\1\21aaaaaaaaaaaaaaaaa\1\1\1\1") },
        { STR_INIT("t\1\1\2"), STR_INIT("\1\3abc\1\1\1\1") },
        { STR_INIT("t\1\1\3"), STR_INIT("\2\21aaaaaaaaaaaaaaaaa\1\1\1\1") },
    };
    struct engine_txn *t = engine_begin(f->engine, logins_part, ENGINE_ANY_VERSION);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        engine_put(t, rows[i].key, rows[i].value);
    assert_int_equal(engine_commit(t, NULL), 0);
    reopen(f);
    assert_int_equal(login(f, "alice", "alice's", "192.0.2.1"), 0);
}

struct guess {
    struct fixture *f;
    pthread_t thread;
    int number, checked, turned_away;
};

static void *guess_run(void *p)
{
    struct guess *g = p;
    for (int i = 0; i < 5; i++) {
        char password[32];
        struct arena a = ARENA_INIT(1 << 16);
        struct directory_account account;
        int64_t delay;
        (void)snprintf(password, sizeof password, "guess %d %d", g->number, i);
        int r;
        do {
            r = directory_login(
                g->f->d,
                &(struct directory_attempt){ .login = STR("alice"), .password = str_from_z(password), .peer = STR("192.0.2.66") },
                &a, &account, &delay);
            if (r == ERR_UNAVAILABLE)
                usleep((unsigned)delay * 1000);
        } while (r == ERR_UNAVAILABLE);
        g->checked += r == ERR_REFUSED;
        g->turned_away += r == ERR_AGAIN || r == ERR_UNAVAILABLE; /* too many wait already: a slow machine */
        arena_done(&a);
    }
    return NULL;
}

/* P3 of login.c: ten are checked, and no more than run when the tenth fails. */
static void guesses_at_once_are_no_way_around(void **state)
{
    struct guess g[12];
    int checked = 0, turned_away = 0;
    for (int i = 0; i < 12; i++) {
        g[i] = (struct guess){ .f = *state, .number = i };
        assert_int_equal(pthread_create(&g[i].thread, NULL, guess_run, &g[i]), 0);
    }
    for (int i = 0; i < 12; i++) {
        pthread_join(g[i].thread, NULL);
        checked += g[i].checked;
        turned_away += g[i].turned_away;
    }
    assert_int_equal(checked + turned_away, 60);
    assert_in_range(checked, 10, 14);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(failures_double_the_delay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_right_password_does_not_wait_for_others, setup, teardown),
        cmocka_unit_test(networks_are_addresses_and_64s),
        cmocka_unit_test_setup_teardown(ten_failures_lock_out_longer_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_guesses_lock_out_too, setup, teardown),
        cmocka_unit_test_setup_teardown(fifty_failures_lock_a_network_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_known_network_stays_open, setup, teardown),
        cmocka_unit_test_setup_teardown(the_network_not_seen_for_longest_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(many_networks_slow_an_account_down_and_never_lock_it_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_wrong_password_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_not_there_counts_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(the_allow_list_is_exempt, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exempt_network_guards_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_forgets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_locks_nobody_out_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(a_certificate_is_no_guess, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_takes_no_more_room_and_no_commit_each, setup, teardown),
        cmocka_unit_test(wider_networks_lock_out_too),
        cmocka_unit_test(many_names_from_many_networks),
        cmocka_unit_test_setup_teardown(nobody_flushes_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_tells_nothing_of_who_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_known_gets_in_where_strangers_are_locked_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_counts_everywhere_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(lock_outs_are_listed_and_lifted, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_rows_keep_nobody_out, setup, teardown),
        cmocka_unit_test_setup_teardown(guesses_at_once_are_no_way_around, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_accounts, close_engine);
}
