/* The grammar of SMTP commands. Inputs are heap copies of exactly their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/scan.h"
#include "base/buf.h"
#include "smtp/syntax.h"

#define A50     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A250    A50 A50 A50 A50 A50
#define E_ACUTE "\xc3\xa9"

static str exact(str s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert_non_null(p);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

struct address_case {
    const char *in;
    enum smtp_fault fault;
    const char *out;
};

static void test_addresses(void **state)
{
    static const struct address_case table[] = {
        { "alice@example.org", 0, "alice@example.org" },
        { "Alice.B@EXAMPLE.org", 0, "Alice.B@EXAMPLE.org" },
        { "!#$%&'*+-/=?^_`{|}~@x", 0, "!#$%&'*+-/=?^_`{|}~@x" },
        { "\"alice\"@example.org", 0, "alice@example.org" },
        { "\"a\\lice\"@example.org", 0, "alice@example.org" },
        { "\"odd user\"@example.org", 0, "\"odd user\"@example.org" },
        { "\"a\\\"b\\\\c\"@x", 0, "\"a\\\"b\\\\c\"@x" },
        { "\"a@b\"@x", 0, "\"a@b\"@x" },
        { "\"a..b\"@x", 0, "\"a..b\"@x" },
        { "\"\"@x", 0, "\"\"@x" },
        { "a@[192.0.2.1]", 0, "a@[192.0.2.1]" },
        { "a@[IPv6:2001:db8::1]", 0, "a@[IPv6:2001:db8::1]" },
        { "a@[ipv6:::]", 0, "a@[ipv6:::]" },
        { "a@[tag:content]", 0, "a@[tag:content]" },
        { E_ACUTE "@" E_ACUTE ".org", 0, E_ACUTE "@" E_ACUTE ".org" },
        { "a@1.2-3.x4", 0, "a@1.2-3.x4" },
        { A250 "@x", 0, A250 "@x" },
        { A250 "aaaaaa@x", SMTP_FAULT_TOO_LONG },
        { A250 "@" A50 "." A50, SMTP_FAULT_TOO_LONG },
        { "a@" A50 A50 ".org", SMTP_FAULT_ADDRESS },
        { "", SMTP_FAULT_ADDRESS },
        { "alice", SMTP_FAULT_ADDRESS },
        { "@example.org", SMTP_FAULT_ADDRESS },
        { "alice@", SMTP_FAULT_ADDRESS },
        { ".alice@x", SMTP_FAULT_ADDRESS },
        { "alice.@x", SMTP_FAULT_ADDRESS },
        { "a..b@x", SMTP_FAULT_ADDRESS },
        { "a b@x", SMTP_FAULT_ADDRESS },
        { "a@b@c", SMTP_FAULT_ADDRESS },
        { "a@-x", SMTP_FAULT_ADDRESS },
        { "a@x-", SMTP_FAULT_ADDRESS },
        { "a@x.", SMTP_FAULT_ADDRESS },
        { "a@x..y", SMTP_FAULT_ADDRESS },
        { "a@x_y", SMTP_FAULT_ADDRESS },
        { "a@[192.0.2]", SMTP_FAULT_ADDRESS },
        { "a@[192.0.2.256]", SMTP_FAULT_ADDRESS },
        { "a@[IPv6:1::2::3]", SMTP_FAULT_ADDRESS },
        { "a@[IPv6:]", SMTP_FAULT_ADDRESS },
        { "a@[tag]", SMTP_FAULT_ADDRESS },
        { "a@[tag:]", SMTP_FAULT_ADDRESS },
        { "a@[192.0.2.1", SMTP_FAULT_ADDRESS },
        { "\"alice@x", SMTP_FAULT_ADDRESS },
        { "\"alice\\", SMTP_FAULT_ADDRESS },
        { "\"a\tb\"@x", SMTP_FAULT_ADDRESS },
        { "\xff@x", SMTP_FAULT_UTF8_INVALID },
        { "a@\xc3", SMTP_FAULT_UTF8_INVALID },
        { "\"\\\xc3\xa9\"@x", SMTP_FAULT_ADDRESS },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct arena a = ARENA_INIT(4096);
        struct smtp_address got = { 0 };
        str in = exact(str_from_z(table[i].in));
        enum smtp_fault fault = smtp_address_parse(in, &smtp_limits_default, &a, &got);
        free((char *)in.p);
        if (fault != table[i].fault || !str_eq(got.text, str_from_z(table[i].out)))
            fail_msg("%s: fault %d, <%.*s>", table[i].in, (int)fault, STR_ARG(got.text));
        arena_done(&a);
    }
}

struct mail_case {
    const char *in;
    enum smtp_fault fault;
    struct smtp_mail out;
};

static void test_mail(void **state)
{
    static const struct mail_case table[] = {
        { "FROM:<a@x>", 0, { .reverse_path = { STR_INIT("a@x"), false } } },
        { "from:<a@x>", 0, { .reverse_path = { STR_INIT("a@x"), false } } },
        { "FROM:<>", 0, { .has_size = false } },
        { "FROM: <a@x>", 0, { .reverse_path = { STR_INIT("a@x"), false } } },
        { "FROM:<@one,@two.org:a@x>", 0, { .reverse_path = { STR_INIT("a@x"), false } } },
        { "FROM:<a@x> SIZE=123", 0, { .reverse_path = { STR_INIT("a@x"), false }, .has_size = true, .size = 123 } },
        { "FROM:<a@x>  size=0  BODY=8bitmime",
          0,
          { .reverse_path = { STR_INIT("a@x"), false }, .has_size = true, .body = SMTP_BODY_8BITMIME } },
        { "FROM:<a@x> BODY=7BIT SMTPUTF8", 0, { .reverse_path = { STR_INIT("a@x"), false }, .smtputf8 = true } },
        { "FROM:<" E_ACUTE "@x> SMTPUTF8", 0, { .reverse_path = { STR_INIT(E_ACUTE "@x"), true }, .smtputf8 = true } },
        { "FROM:<a@x> AUTH=<>", 0, { .reverse_path = { STR_INIT("a@x"), false }, .has_auth = true } },
        { "FROM:<a@x> AUTH=e+3Dmc2@x", 0, { .reverse_path = { STR_INIT("a@x"), false }, .has_auth = true } },
        { "", SMTP_FAULT_ARGUMENT },
        { "FROM", SMTP_FAULT_ARGUMENT },
        { "FROM:", SMTP_FAULT_ARGUMENT },
        { "TO:<a@x>", SMTP_FAULT_ARGUMENT },
        { "FROM :<a@x>", SMTP_FAULT_ARGUMENT },
        { "FROM:a@x", SMTP_FAULT_BRACKETS },
        { "FROM:<a@x", SMTP_FAULT_ADDRESS },
        { "FROM:<a@x>>", SMTP_FAULT_ARGUMENT },
        { "FROM:<a@x>SIZE=1", SMTP_FAULT_ARGUMENT },
        { "FROM:< a@x>", SMTP_FAULT_ADDRESS },
        { "FROM:<@one:>", SMTP_FAULT_ADDRESS },
        { "FROM:<@one a@x>", SMTP_FAULT_ADDRESS },
        { "FROM:<Postmaster>", SMTP_FAULT_ADDRESS },
        { "FROM:<" E_ACUTE "@x>", SMTP_FAULT_UTF8_ADDRESS },
        { "FROM:<a@x> SIZE=", SMTP_FAULT_ARGUMENT },
        { "FROM:<a@x> SIZE", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> SIZE=-1", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> SIZE=99999999999999999999", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> SIZE=1 SIZE=1", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> BODY=BINARY", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> SMTPUTF8=1", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> AUTH=+3", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> RET=FULL ENVID=QQ314159",
          0,
          { .reverse_path = { STR_INIT("a@x"), false }, .ret = DSN_RET_FULL, .envid = STR_INIT("QQ314159") } },
        { "FROM:<a@x> ret=hdrs", 0, { .reverse_path = { STR_INIT("a@x"), false }, .ret = DSN_RET_HDRS } },
        { "FROM:<> ENVID=a+20b", 0, { .envid = STR_INIT("a+20b") } },
        { "FROM:<a@x> RET=HALF", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> RET", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> RET=FULL RET=FULL", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> ENVID", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> ENVID=a+2", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> ENVID=a+0A", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> ENVID=a+80", SMTP_FAULT_PARAM_VALUE },
        { "FROM:<a@x> NOTIFY=NEVER", SMTP_FAULT_PARAM_UNKNOWN },
        { "FROM:<a@x> -SIZE=1", SMTP_FAULT_ARGUMENT },
        { "FROM:<a@x> SIZE=1=2", SMTP_FAULT_ARGUMENT },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct arena a = ARENA_INIT(4096);
        struct smtp_mail got = { 0 };
        const struct smtp_mail *want = &table[i].out;
        str in = exact(str_from_z(table[i].in));
        enum smtp_fault fault = smtp_mail_parse(in, &smtp_limits_default, true, &a, &got);
        free((char *)in.p);
        bool same = str_eq(got.reverse_path.text, want->reverse_path.text) && got.reverse_path.utf8 == want->reverse_path.utf8 &&
                    got.has_size == want->has_size && got.size == want->size && got.body == want->body &&
                    got.smtputf8 == want->smtputf8 && got.has_auth == want->has_auth && got.ret == want->ret &&
                    str_eq(got.envid, want->envid);
        if (fault != table[i].fault || !same)
            fail_msg("%s: fault %d, <%.*s>", table[i].in, (int)fault, STR_ARG(got.reverse_path.text));
        arena_done(&a);
    }
}

static void test_auth_parameter_only_where_offered(void **state)
{
    struct arena a = ARENA_INIT(4096);
    struct smtp_mail got;
    static const char *const unoffered[] = { "FROM:<a@x> AUTH=<>", "FROM:<a@x> RET=FULL", "FROM:<a@x> ENVID=x" };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(smtp_mail_parse(str_from_z(unoffered[i]), &smtp_limits_default, false, &a, &got),
                         SMTP_FAULT_PARAM_UNKNOWN);
    arena_done(&a);
}

struct rcpt_case {
    const char *in;
    bool smtputf8;
    enum smtp_fault fault;
    const char *out;
    unsigned notify;
    const char *orcpt;
};

static void test_rcpt(void **state)
{
    static const struct rcpt_case table[] = {
        { "TO:<a@x>", false, 0, "a@x" },
        { "to: <a@x>", false, 0, "a@x" },
        { "TO:<Postmaster>", false, 0, "postmaster" },
        { "TO:<POSTMASTER>", false, 0, "postmaster" },
        { "TO:<postmaster@x>", false, 0, "postmaster@x" },
        { "TO:<@relay.org:a@x>", false, 0, "a@x" },
        { "TO:<" E_ACUTE "@x>", true, 0, E_ACUTE "@x" },
        { "TO:<" E_ACUTE "@x>", false, SMTP_FAULT_UTF8_ADDRESS, "" },
        { "TO:<>", false, SMTP_FAULT_ADDRESS, "" },
        { "TO:<alice>", false, SMTP_FAULT_ADDRESS, "" },
        { "TO:alice@x", false, SMTP_FAULT_BRACKETS, "" },
        { "TO:", false, SMTP_FAULT_ARGUMENT, "" },
        { "FROM:<a@x>", false, SMTP_FAULT_ARGUMENT, "" },
        { "TO:<a@x> NOTIFY=NEVER", false, 0, "a@x", DSN_NOTIFY_NEVER, "" },
        { "TO:<a@x> notify=success,Delay,FAILURE", false, 0, "a@x", DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY | DSN_NOTIFY_FAILURE,
          "" },
        { "TO:<a@x> NOTIFY=FAILURE,FAILURE", false, 0, "a@x", DSN_NOTIFY_FAILURE, "" },
        { "TO:<a@x> ORCPT=rfc822;b+2Bc@x NOTIFY=DELAY", false, 0, "a@x", DSN_NOTIFY_DELAY, "rfc822;b+2Bc@x" },
        { "TO:<a@x> ORCPT=utf-8;" E_ACUTE "@x", true, 0, "a@x", 0, "utf-8;" E_ACUTE "@x" },
        { "TO:<a@x> ORCPT=utf-8;\\x{E9}@x", false, 0, "a@x", 0, "utf-8;\\x{E9}@x" },
        { "TO:<Postmaster> NOTIFY=NEVER", false, 0, "postmaster", DSN_NOTIFY_NEVER, "" },
        { "TO:<a@x> NOTIFY", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> NOTIFY=NEVER,SUCCESS", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> NOTIFY=SUCCESS,", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> NOTIFY=,SUCCESS", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> NOTIFY=ALWAYS", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> NOTIFY=NEVER NOTIFY=NEVER", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=b@x", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=;b@x", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=rfc822;", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=rfc822;a+0D@x", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=rfc822;" E_ACUTE "@x", true, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=utf-8;" E_ACUTE "@x", false, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> ORCPT=utf-8;\xff@x", true, SMTP_FAULT_PARAM_VALUE, "" },
        { "TO:<a@x> RET=FULL", false, SMTP_FAULT_PARAM_UNKNOWN, "" },
        { "TO:<a@x> =", false, SMTP_FAULT_ARGUMENT, "" },
        { "TO:<a@x>,<b@x>", false, SMTP_FAULT_ARGUMENT, "" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct arena a = ARENA_INIT(4096);
        struct smtp_rcpt got = { 0 };
        str in = exact(str_from_z(table[i].in)), orcpt = table[i].orcpt ? str_from_z(table[i].orcpt) : STR("");
        enum smtp_fault fault = smtp_rcpt_parse(in, &smtp_limits_default, table[i].smtputf8, true, &a, &got);
        free((char *)in.p);
        if (fault != table[i].fault || !str_eq(got.address.text, str_from_z(table[i].out)) || got.dsn.notify != table[i].notify ||
            !str_eq(got.dsn.orcpt, orcpt))
            fail_msg("%s: fault %d, <%.*s>", table[i].in, (int)fault, STR_ARG(got.address.text));
        arena_done(&a);
    }
}

static void test_long_dsn_parameters(void **state)
{
    for (size_t over = 0; over < 2; over++) {
        struct buf mail = BUF_INIT(1024), rcpt = BUF_INIT(1024);
        struct arena a = ARENA_INIT(4096);
        struct smtp_mail got_mail;
        struct smtp_rcpt got_rcpt;
        buf_add(&mail, STR("FROM:<a@x> ENVID="));
        buf_add(&rcpt, STR("TO:<a@x> ORCPT=rfc822;"));
        for (size_t i = 0; i < 100 + over; i++)
            buf_add_byte(&mail, 'e');
        for (size_t i = 0; i < 493 + over; i++)
            buf_add_byte(&rcpt, 'o');
        enum smtp_fault want = over ? SMTP_FAULT_PARAM_VALUE : SMTP_FAULT_NONE;
        assert_int_equal(smtp_mail_parse(buf_str(&mail), &smtp_limits_default, true, &a, &got_mail), want);
        assert_int_equal(smtp_rcpt_parse(buf_str(&rcpt), &smtp_limits_default, false, true, &a, &got_rcpt), want);
        arena_done(&a);
        buf_done(&mail);
        buf_done(&rcpt);
    }
}

static void test_helo(void **state)
{
    static const struct {
        const char *in;
        enum smtp_fault fault;
        const char *out, *written; /* NULL: the same */
    } table[] = {
        { "mail.example.org", 0, "mail.example.org" },
        { "localhost", 0, "localhost" },
        { "my_pc", 0, "my_pc" },
        { "mail.example.org.", 0, "mail.example.org." },
        { "192.0.2.1", 0, "192.0.2.1" },
        { "[192.0.2.1]", 0, "[192.0.2.1]" },
        { "[IPv6:::1]", 0, "[IPv6:::1]" },
        { "", SMTP_FAULT_ARGUMENT, "" },
        { "two words", 0, "two words", "two?words" },
        { "(none)", 0, "(none)", "?none?" },
        { "a;b\x01", 0, "a;b\x01", "a?b?" },
        { "[::1]", 0, "[::1]", "[::1]" },
        { E_ACUTE ".org", 0, E_ACUTE ".org", "??.org" },
        { A250 "aaaaa", 0, A250 "aaaaa" },
        { A250 "aaaaaa", SMTP_FAULT_ARGUMENT, "" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        str got = { 0 }, in = exact(str_from_z(table[i].in));
        enum smtp_fault fault = smtp_helo_parse(in, &got);
        struct buf written = BUF_INIT(512);
        smtp_helo_add(&written, got);
        bool same = str_eq(got, str_from_z(table[i].out)) &&
                    str_eq(buf_str(&written), str_from_z(table[i].written ? table[i].written : table[i].out));
        buf_done(&written);
        free((char *)in.p);
        if (fault != table[i].fault || !same)
            fail_msg("%s: fault %d", table[i].in, (int)fault);
    }
}

static void test_line_split(void **state)
{
    static const struct {
        const char *line, *verb, *argument;
    } table[] = {
        { "NOOP", "NOOP", "" }, { "NOOP  ", "NOOP", "" }, { "MAIL FROM:<> ", "MAIL", "FROM:<>" },
        { "", "", "" },         { "  x y", "", "x y" },   { "a\tb", "a", "b" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        str verb, argument, in = exact(str_from_z(table[i].line));
        smtp_line_split(in, &verb, &argument);
        assert_true(str_eq(verb, str_from_z(table[i].verb)));
        assert_true(str_eq(argument, str_from_z(table[i].argument)));
        free((char *)in.p);
    }
}

/* An address that was written is read back as itself: the least quoting is a fixed point. */
static void test_round_trip(void **state)
{
    static const char *const table[] = { "\"a b\"@x", "\"\\a\\ \\\\\"@[1.2.3.4]", "\"a.b\"@x", "\".a\"@x", "\"\\\"\"@x" };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct arena a = ARENA_INIT(4096);
        struct smtp_address once, twice;
        assert_int_equal(smtp_address_parse(str_from_z(table[i]), &smtp_limits_default, &a, &once), 0);
        assert_int_equal(smtp_address_parse(once.text, &smtp_limits_default, &a, &twice), 0);
        assert_true(str_eq(once.text, twice.text));
        arena_done(&a);
    }
}

static void test_bdat(void **state)
{
    static const struct {
        const char *in;
        enum smtp_fault fault;
        uint64_t size;
        bool is_last;
    } table[] = {
        { "0", 0, 0, false },
        { "10", 0, 10, false },
        { "10 LAST", 0, 10, true },
        { "10\t last", 0, 10, true },
        { "18446744073709551615", 0, UINT64_MAX, false },
        { "", SMTP_FAULT_ARGUMENT, 0, false },
        { "LAST", SMTP_FAULT_ARGUMENT, 0, false },
        { "10LAST", SMTP_FAULT_ARGUMENT, 0, false },
        { "10 LASTING", SMTP_FAULT_ARGUMENT, 0, false },
        { "10 LAST LAST", SMTP_FAULT_ARGUMENT, 0, false },
        { "-1", SMTP_FAULT_ARGUMENT, 0, false },
        { "+1", SMTP_FAULT_ARGUMENT, 0, false },
        { "0x10", SMTP_FAULT_ARGUMENT, 0, false },
        { "1 0", SMTP_FAULT_ARGUMENT, 0, false },
        { "18446744073709551616", SMTP_FAULT_ARGUMENT, 0, false },
        { "100000000000000000000000000000", SMTP_FAULT_ARGUMENT, 0, false },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        str in = exact(str_from_z(table[i].in));
        uint64_t size = 0;
        bool is_last = false;
        enum smtp_fault fault = smtp_bdat_parse(in, &size, &is_last);
        if (fault != table[i].fault || size != table[i].size || is_last != table[i].is_last)
            fail_msg("BDAT %s: fault %d, size %llu", table[i].in, (int)fault, (unsigned long long)size);
        free((char *)in.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),  cmocka_unit_test(test_mail), cmocka_unit_test(test_auth_parameter_only_where_offered),
        cmocka_unit_test(test_rcpt),       cmocka_unit_test(test_helo), cmocka_unit_test(test_line_split),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bdat), cmocka_unit_test(test_long_dsn_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
