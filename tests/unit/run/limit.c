/* limit: what is counted, for whom, over several tallies; and the words for it. */
#include "../check.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "run/limit_private.h"

static const uint64_t seed[2] = { 0x1234567890abcdef, 0xfedcba0987654321 };

static struct limit_rules rules_of(enum limit_kind kind, enum limit_scope scope, uint32_t max, uint32_t period_s)
{
    struct limit_rules r = { .address_bits_6 = 64, .network_bits_4 = 24, .network_bits_6 = 48 };
    r.limits[kind][scope] = (struct limit){ max, period_s };
    return r;
}

static struct limits *alone(void)
{
    struct limits *l = NULL;
    assert_int_equal(limits_new(-1, &l, NULL), 0);
    return l;
}

static struct limit_hold from(const struct limit_rules *rules, const char *address)
{
    struct limit_hold h = { 0 };
    struct ip_address a;
    assert_true(ip_address_parse(str_from_z(address), &a));
    limits_set_peer(&h, rules, &a);
    return h;
}

enum { PEER = 1 << LIMIT_ADDRESS | 1 << LIMIT_NETWORK };

static bool enter(struct limits *l, const struct limit_rules *rules, struct limit_hold *h)
{
    struct limit_strike strike;
    return limits_enter(l, rules, h, PEER, &strike);
}

static void test_connections_are_limited_by_address_and_network(void **state)
{
    static const struct {
        enum limit_scope scope;
        const char *first, *second;
        bool together; /* counted as one */
    } rows[] = {
        { LIMIT_ADDRESS, "192.0.2.1", "192.0.2.1", true },
        { LIMIT_ADDRESS, "192.0.2.1", "192.0.2.2", false },
        { LIMIT_ADDRESS, "2001:db8::1", "2001:db8::2", true },
        { LIMIT_ADDRESS, "2001:db8::1", "2001:db8:0:1::1", false },
        { LIMIT_NETWORK, "192.0.2.1", "192.0.2.200", true },
        { LIMIT_NETWORK, "192.0.2.1", "192.0.3.1", false },
        { LIMIT_NETWORK, "2001:db8:1:2::1", "2001:db8:1:3::1", true },
        { LIMIT_NETWORK, "2001:db8:1::1", "2001:db8:2::1", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct limits *l = alone();
        struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, rows[i].scope, 1, 0);
        struct limit_hold one = from(&rules, rows[i].first), two = from(&rules, rows[i].second), three;
        assert_true(enter(l, &rules, &one));
        if (enter(l, &rules, &two) == rows[i].together)
            fail_msg("row %zu", i);
        limits_leave(l, &one);
        three = from(&rules, rows[i].first);
        assert_true(enter(l, &rules, &three)); /* what was refused took nothing */
        limits_leave(l, &two);
        limits_leave(l, &three);
        limits_free(l);
    }
}

static void test_groups_are_counted_apart(void **state)
{
    struct limits *l = alone();
    struct limit_rules a = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 1, 0), b = a;
    (void)state;
    b.group = 1;
    struct limit_hold one = from(&a, "192.0.2.1"), two = from(&b, "192.0.2.1");
    assert_true(enter(l, &a, &one));
    assert_true(enter(l, &b, &two));
    limits_leave(l, &one);
    limits_leave(l, &two);
    limits_free(l);
}

static void test_exempt_networks_are_not_counted(void **state)
{
    struct limits *l = alone();
    struct ip_network n;
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 1, 0);
    struct limit_report r;
    const struct limit_rules *all[LIMIT_GROUPS] = { &rules };
    (void)state;
    assert_int_equal(ip_network_parse(STR("192.0.2.0/24"), &n, NULL), 0);
    rules.exempt = (struct ip_networks){ &n, 1 };
    struct limit_hold h[3];
    for (size_t i = 0; i < 3; i++) {
        h[i] = from(&rules, "192.0.2.1");
        assert_true(enter(l, &rules, &h[i]));
    }
    assert_int_equal(limits_report(l, all, &r), 0);
    assert_int_equal(r.n, 0);
    limits_report_done(&r);
    limits_free(l);
}

static void test_rates_end_with_their_period(void **state)
{
    struct tally_slot s = { .strikes = 0 };
    struct limit hour = { 10, 3600 };
    int64_t start = 3600 * 1000ll * 500;
    (void)state;
    atomic_store(&s.rates[LIMIT_MESSAGES - 1].window, 500);
    atomic_store(&s.rates[LIMIT_MESSAGES - 1].now, 8);
    atomic_store(&s.rates[LIMIT_MESSAGES - 1].before, 6);
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, hour, start), 14);
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, hour, start + 1800 * 1000), 11);
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, hour, start + 3600 * 1000), 8);
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, hour, start + 5400 * 1000), 4);
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, hour, start + 7200 * 1000), 0);
    /* Another period, after a reload: what was counted for the former one is forgotten. */
    struct limit minute = { 10, 60 };
    assert_int_equal(limits_rate_of(&s, LIMIT_MESSAGES, minute, start), 0);
}

static void test_rates_count_events_of_all_connections(void **state)
{
    struct limits *l = alone();
    struct limit_rules rules = rules_of(LIMIT_MESSAGES, LIMIT_ADDRESS, 3, 86400);
    struct limit_hold one = from(&rules, "192.0.2.1"), two = from(&rules, "192.0.2.1"), other = from(&rules, "192.0.2.2");
    struct limit_strike strike = { 0 };
    char text[LIMIT_TEXT_MAX];
    (void)state;
    assert_true(limits_count(l, &rules, &one, LIMIT_MESSAGES, 2, &strike));
    assert_false(limits_count(l, &rules, &two, LIMIT_MESSAGES, 2, &strike));
    assert_false(limits_allow(l, &rules, &two, LIMIT_MESSAGES, 2, &strike));
    assert_true(limits_allow(l, &rules, &two, LIMIT_MESSAGES, 1, &strike)); /* which asks and does not count */
    assert_true(limits_count(l, &rules, &two, LIMIT_MESSAGES, 1, &strike)); /* the refused two did not count */
    assert_false(limits_count(l, &rules, &one, LIMIT_MESSAGES, 1, &strike));
    check_str(limit_strike_text(&strike, text), "Too many messages from your address, 3 in a day are allowed; try again later");
    assert_true(limits_count(l, &rules, &other, LIMIT_MESSAGES, 3, &strike));
    assert_true(limits_count(l, &rules, &one, LIMIT_ERRORS, 1000, &strike)); /* no limit of that */
    limits_free(l);
}

static void test_accounts_are_counted_wherever_they_come_from(void **state)
{
    struct limits *l = alone();
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ACCOUNT, 1, 0);
    static const uint8_t alice[16] = "alice", bob[16] = "bob";
    struct limit_hold one = from(&rules, "192.0.2.1"), two = from(&rules, "198.51.100.1");
    struct limit_strike strike;
    (void)state;
    limits_set_account(l, &one, &rules, alice);
    limits_set_account(l, &two, &rules, alice);
    assert_true(limits_enter(l, &rules, &one, 1 << LIMIT_ACCOUNT, &strike));
    assert_false(limits_enter(l, &rules, &two, 1 << LIMIT_ACCOUNT, &strike));
    limits_set_account(l, &one, &rules, bob); /* lets go of alice */
    assert_true(limits_enter(l, &rules, &two, 1 << LIMIT_ACCOUNT, &strike));
    limits_leave(l, &one);
    limits_leave(l, &two);
    limits_free(l);
}

/* Two processes of a server, as the supervisor makes them. */
struct pair {
    int fds[2], shown[2];
    struct limits *l[2];
};

static void pair_init(struct pair *p, bool summed)
{
    for (size_t i = 0; i < 2; i++) {
        p->fds[i] = limits_tally_create(seed);
        p->shown[i] = limits_tally_share(p->fds[i]);
        assert_true(p->fds[i] >= 0 && p->shown[i] >= 0);
        assert_int_equal(limits_new(p->fds[i], &p->l[i], NULL), 0);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(limits_add(p->l[i], p->shown[1 - i], summed, NULL), 0);
}

static void pair_done(struct pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        limits_free(p->l[i]);
        (void)close(p->fds[i]);
        (void)close(p->shown[i]);
    }
}

static void test_processes_keep_one_common_limit(void **state)
{
    struct pair p;
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 4, 0);
    rules.limits[LIMIT_MESSAGES][LIMIT_ADDRESS] = (struct limit){ 3, 86400 };
    struct limit_hold h[5];
    struct limit_strike strike;
    (void)state;
    pair_init(&p, true);
    for (size_t i = 0; i < 4; i++) {
        h[i] = from(&rules, "192.0.2.1");
        assert_true(enter(p.l[i % 2], &rules, &h[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        h[4] = from(&rules, "192.0.2.1");
        assert_false(enter(p.l[i], &rules, &h[4]));
    }
    assert_true(limits_count(p.l[0], &rules, &h[0], LIMIT_MESSAGES, 2, &strike));
    assert_true(limits_count(p.l[1], &rules, &h[1], LIMIT_MESSAGES, 1, &strike));
    assert_false(limits_count(p.l[0], &rules, &h[0], LIMIT_MESSAGES, 1, &strike));
    /* The second process ends: what it counted is forgotten. */
    limits_tally_clear(p.fds[1], seed);
    assert_true(enter(p.l[0], &rules, &h[4]));
    assert_true(limits_count(p.l[0], &rules, &h[0], LIMIT_MESSAGES, 1, &strike));
    pair_done(&p);
}

static void test_tallies_that_are_only_shown_limit_nothing(void **state)
{
    struct pair p;
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 1, 0);
    const struct limit_rules *all[LIMIT_GROUPS] = { &rules };
    struct limit_hold one = from(&rules, "192.0.2.1"), two = from(&rules, "192.0.2.1");
    struct limit_report r;
    char text[IP_NETWORK_TEXT_MAX];
    (void)state;
    pair_init(&p, false);
    assert_true(enter(p.l[0], &rules, &one));
    assert_true(enter(p.l[1], &rules, &two));
    assert_int_equal(limits_report(p.l[0], all, &r), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.entries[0].counts[LIMIT_CONNECTIONS], 2);
    assert_int_equal(r.entries[0].limited, 1 << LIMIT_CONNECTIONS);
    check_str(ip_network_text(&r.entries[0].network, text), "192.0.2.1");
    limits_report_done(&r);
    pair_done(&p);
}

static void test_a_sibling_cannot_write_or_shrink(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, true);
    assert_ptr_equal(mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, p.shown[0], 0), MAP_FAILED);
    void *m = mmap(NULL, sizeof(struct tally), PROT_READ, MAP_SHARED, p.shown[0], 0);
    assert_ptr_not_equal(m, MAP_FAILED);
    assert_int_not_equal(mprotect(m, sizeof(struct tally), PROT_READ | PROT_WRITE), 0);
    (void)munmap(m, sizeof(struct tally));
    assert_int_not_equal(ftruncate(p.fds[0], 0), 0); /* nor can its owner make the others fault */
    pair_done(&p);
}

/* Whatever a process that was taken over puts into its tally, its siblings live on, and those it does not name are served. */
static void test_any_bytes_in_a_siblings_tally_are_harmless(void **state)
{
    struct pair p;
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 2, 0);
    const struct limit_rules *all[LIMIT_GROUPS] = { &rules, &rules, &rules, &rules };
    struct limit_report r;
    uint32_t x = 1;
    (void)state;
    pair_init(&p, true);
    char *bytes = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, p.fds[1], 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    for (size_t i = 0; i < sizeof(struct tally); i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (char)(x >> 24);
    }
    struct limit_hold h = from(&rules, "192.0.2.1");
    assert_true(enter(p.l[0], &rules, &h));
    assert_int_equal(limits_report(p.l[0], all, &r), 0);
    limits_report_done(&r);
    memset(bytes, 0xff, sizeof(struct tally));
    assert_int_equal(limits_report(p.l[0], all, &r), 0);
    limits_report_done(&r);
    limits_leave(p.l[0], &h);
    (void)munmap(bytes, sizeof(struct tally));
    pair_done(&p);
}

/* More addresses than there is room for: the table does not grow, those that are connected keep their count. */
static void test_a_flood_of_addresses_is_bounded(void **state)
{
    struct limits *l = alone();
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 1, 0);
    struct limit_hold kept = from(&rules, "198.51.100.7"), again = from(&rules, "198.51.100.7");
    (void)state;
    assert_true(enter(l, &rules, &kept));
    for (uint32_t i = 0; i < 4 * TALLY_SETS * TALLY_WAYS; i++) {
        unsigned char four[4] = { 10, (unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i };
        struct ip_address a = ip_address_from_4(four);
        struct limit_hold h = { 0 };
        limits_set_peer(&h, &rules, &a);
        assert_true(enter(l, &rules, &h));
        limits_leave(l, &h);
    }
    assert_false(enter(l, &rules, &again));
    limits_free(l);
}

/* When every place of a set counts a connection, one more is let in and told to be uncounted. */
static void test_connections_without_room_are_let_in(void **state)
{
    struct limits *l = alone();
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_ADDRESS, 1, 0);
    const struct limit_rules *all[LIMIT_GROUPS] = { &rules };
    struct limit_report r;
    uint32_t counted = 0, n = 2 * TALLY_SETS * TALLY_WAYS;
    struct limit_hold *h = calloc(n, sizeof *h);
    (void)state;
    assert_non_null(h);
    for (uint32_t i = 0; i < n; i++) {
        unsigned char four[4] = { 10, (unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i };
        struct ip_address a = ip_address_from_4(four);
        limits_set_peer(&h[i], &rules, &a);
        assert_true(enter(l, &rules, &h[i]));
        counted += h[i].slots[LIMIT_ADDRESS] != 0;
    }
    assert_int_equal(limits_report(l, all, &r), 0);
    assert_int_equal(r.untracked, n - counted);
    assert_int_equal(r.n, counted);
    limits_report_done(&r);
    for (uint32_t i = 0; i < n; i++)
        limits_leave(l, &h[i]);
    assert_int_equal(limits_report(l, all, &r), 0);
    assert_int_equal(r.n, 0);
    limits_report_done(&r);
    free(h);
    limits_free(l);
}

static void test_reports_tell_what_struck(void **state)
{
    struct limits *l = alone();
    struct limit_rules rules = rules_of(LIMIT_CONNECTIONS, LIMIT_NETWORK, 1, 0);
    const struct limit_rules *all[LIMIT_GROUPS] = { &rules };
    struct limit_hold one = from(&rules, "192.0.2.1"), two = from(&rules, "192.0.2.2");
    struct limit_report r;
    char text[IP_NETWORK_TEXT_MAX];
    (void)state;
    assert_true(enter(l, &rules, &one));
    assert_false(enter(l, &rules, &two));
    assert_int_equal(limits_report(l, all, &r), 0);
    assert_int_equal(r.strikes[0][LIMIT_CONNECTIONS][LIMIT_NETWORK], 1);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.entries[0].scope, LIMIT_NETWORK); /* who is limited comes first */
    assert_int_equal(r.entries[0].strikes, 1);
    check_str(ip_network_text(&r.entries[0].network, text), "192.0.2.0/24");
    limits_report_done(&r);
    limits_free(l);
}

static void test_rates_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        uint32_t max, period_s; /* 0: refused */
        const char *written;
    } rows[] = {
        { "100/minute", 100, 60, "100/minute" },
        { "1/second", 1, 1, "1/second" },
        { "30/10 minutes", 30, 600, "30/10 minutes" },
        { "30/10minutes", 30, 600, "30/10 minutes" },
        { "5/90 seconds", 5, 90, "5/90 seconds" },
        { "7/1 hour", 7, 3600, "7/hour" },
        { "9/7 days", 9, 604800, "9/7 days" },
        { "0", 0, 0, "0" },
        { "9/8 days", 0, 0, NULL },
        { "100", 0, 0, NULL },
        { "/minute", 0, 0, NULL },
        { "1/", 0, 0, NULL },
        { "1/0 minutes", 0, 0, NULL },
        { "1/minutess", 0, 0, NULL },
        { "1/fortnight", 0, 0, NULL },
        { "-1/minute", 0, 0, NULL },
        { "4294967295/minute", 0, 0, NULL },
        { "1/99999999999999999999 seconds", 0, 0, NULL },
        { "", 0, 0, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct limit limit = { 77, 77 };
        char text[LIMIT_TEXT_MAX];
        str in = check_copy(str_from_z(rows[i].text));
        int r = limit_rate_parse(in, &limit, NULL);
        check_free(in);
        if (r != (rows[i].written ? 0 : ERR_SYNTAX))
            fail_msg("'%s' gives %d", rows[i].text, r);
        if (r)
            continue;
        assert_int_equal(limit.max, rows[i].max);
        assert_int_equal(limit.period_s, rows[i].period_s);
        check_str(limit_text(LIMIT_MESSAGES, limit, text), rows[i].written);
    }
}

static void test_words(void **state)
{
    static const struct {
        struct limit_strike strike;
        const char *text, *name;
    } rows[] = {
        { { LIMIT_CONNECTIONS, LIMIT_ACCOUNT, { 5, 0 } },
          "Too many connections for your account, 5 at a time are allowed; try again later",
          "connections-per-account" },
        { { LIMIT_UNKNOWN, LIMIT_NETWORK, { 30, 600 } },
          "Too many unknown recipients from your network, 30 in 10 minutes are allowed; try again later",
          "unknown-rate-per-network" },
    };
    char text[LIMIT_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_str(limit_strike_text(&rows[i].strike, text), rows[i].text);
        check_str(limit_name(rows[i].strike.kind, rows[i].strike.scope, text), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_are_limited_by_address_and_network),
        cmocka_unit_test(test_groups_are_counted_apart),
        cmocka_unit_test(test_exempt_networks_are_not_counted),
        cmocka_unit_test(test_rates_end_with_their_period),
        cmocka_unit_test(test_rates_count_events_of_all_connections),
        cmocka_unit_test(test_accounts_are_counted_wherever_they_come_from),
        cmocka_unit_test(test_processes_keep_one_common_limit),
        cmocka_unit_test(test_tallies_that_are_only_shown_limit_nothing),
        cmocka_unit_test(test_a_sibling_cannot_write_or_shrink),
        cmocka_unit_test(test_any_bytes_in_a_siblings_tally_are_harmless),
        cmocka_unit_test(test_a_flood_of_addresses_is_bounded),
        cmocka_unit_test(test_connections_without_room_are_let_in),
        cmocka_unit_test(test_reports_tell_what_struck),
        cmocka_unit_test(test_rates_are_read_and_written),
        cmocka_unit_test(test_words),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
