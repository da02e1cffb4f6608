/* Address lists: well-formed, obsolete and broken ones give the defined result. */
#include "support.h"

#include "message/address.h"

/* The list as one line: "name|route|mailbox|host" per entry, ";" between, "-" for NIL. */
static void describe(struct buf *b, const struct message_addresses *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        const struct message_address *a = &list->list[i];
        const str parts[] = { a->name, a->route, a->mailbox, a->host };
        for (size_t k = 0; k < 4; k++) {
            buf_add(b, parts[k].p ? parts[k] : STR("-"));
            buf_add(b, k < 3 ? STR("|") : STR(";"));
        }
    }
}

static void check_limits(str field, const struct message_limits *limits, const char *expected, bool expect_cut)
{
    str in = exact(field);
    struct arena a = ARENA_INIT(1 << 20);
    struct message_addresses list;
    bool cut = false;
    struct buf b = BUF_INIT(1 << 16);
    assert_int_equal(message_addresses_parse(in, limits, &a, &list, &cut), 0);
    free_exact(in);
    describe(&b, &list);
    assert_strz(buf_str(&b), expected);
    assert_int_equal(cut, expect_cut);
    buf_done(&b);
    arena_done(&a);
}

static void check(str field, const char *expected)
{
    check_limits(field, &message_limits_default, expected, false);
}

static void table(void **state)
{
    static const struct {
        const char *in, *expected;
    } cases[] = {
        { "", "" },
        { " \r\n\t", "" },
        { "joe@example.com", "-|-|joe|example.com;" },
        { "Joe Doe <joe@example.com>", "Joe Doe|-|joe|example.com;" },
        { "\"Joe \\\"J\\\" Doe\" <joe@example.com>", "Joe \"J\" Doe|-|joe|example.com;" },
        { "joe@example.com (Joe Doe)", "Joe Doe|-|joe|example.com;" },
        { "<joe@example.com> (Joe)", "Joe|-|joe|example.com;" },
        { "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test;" },
        { "A Group(Some people):Chris Jones <c@(Chris's host.)public.example>, joe@example.org, John <jdoe@one.test> (my dear "
          "friend);"
          " (the end of the group)",
          "-|-|A Group|-;Chris Jones|-|c|public.example;-|-|joe|example.org;John|-|jdoe|one.test;-|-|-|-;" },
        { "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "-|-|Hidden recipients|-;-|-|-|-;" },
        { "undisclosed-recipients:;", "-|-|undisclosed-recipients|-;-|-|-|-;" },
        { "Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com;" },
        { "Mary Smith <@node.test,@b.example:mary@example.net>, , jdoe@test  . example",
          "Mary Smith|@node.test,@b.example|mary|example.net;-|-|jdoe|test.example;" },
        { "<@a.example:b@c>", "-|@a.example|b|c;" },
        { "john . doe @ example . com", "-|-|john.doe|example.com;" },
        { "\"a b\"@example.com", "-|-|a b|example.com;" },
        { "\"\"@example.com", "-|-||example.com;" },
        { "a.\"b c\".d@example.com", "-|-|a.b c.d|example.com;" },
        { "root@[127.0.0.1]", "-|-|root|[127.0.0.1];" },
        { "x@[IPv6:::1], y@[ 1 . 2 ]", "-|-|x|[IPv6:::1];-|-|y|[1.2];" },
        { "J\xc3\xbcrgen <j\xc3\xbcrgen@m\xc3\xbcnchen.example>", "J\xc3\xbcrgen|-|j\xc3\xbcrgen|m\xc3\xbcnchen.example;" },
        { "=?utf-8?q?J=C3=BC?= <j@x>", "=?utf-8?q?J=C3=BC?=|-|j|x;" },
        { "Joe\r\n Doe\r\n <joe@\r\n example.com>", "Joe Doe|-|joe|example.com;" },
        { "\"Joe\r\n Doe\" <joe@x>", "Joe Doe|-|joe|x;" },
        { ",,a@b,,c@d,", "-|-|a|b;-|-|c|d;" },
        { "a@b;c@d", "-|-|a|b;-|-|c|d;" },
        /* broken */
        { "root", "-|-|root|missing-host.invalid;" },
        { "John Doe", "-|-|John Doe|missing-host.invalid;" },
        { "<root>", "-|-|root|missing-host.invalid;" },
        { "Name <>", "Name|-||missing-host.invalid;" },
        { "<>", "" },
        { "@host", "-|-||host;" },
        { "<@host>", "-|-||host;" },
        { "a@", "-|-|a|missing-host.invalid;" },
        { "a@b@c", "-|-|a@b|c;" },
        { "a@b <c@d>", "a@b|-|c|d;" },
        { "John Doe joe@x.example", "-|-|joe|x.example;" },
        { "joe@x.example John", "-|-|joe|x.example;" },
        { "Name <joe@x", "Name|-|joe|x;" },
        { "Name <joe@x, b@c", "Name|-|joe|x;-|-|b|c;" },
        { "Name <joe@x> junk, b@c", "Name|-|joe|x;-|-|b|c;" },
        { "\"never closed <a@b>, c@d", "never closed|-|a|b;-|-|c|d;" },
        { "a@b (never closed, c@d", "never closed, c@d|-|a|b;" },
        { "((((a))))b@c", "(((a)))|-|b|c;" },
        { "G: a@b, c@d", "-|-|G|-;-|-|a|b;-|-|c|d;-|-|-|-;" },
        { "G: H: a@b;, c@d;", "-|-|G|-;-|-|a|b;-|-|-|-;-|-|c|d;" },
        { ": a@b;", "-|-|a|b;" },
        { "\"\": a@b;", "-|-|a|b;" },
        { "[List] Joe <joe@x>", "[List] Joe|-|joe|x;" },
        { "[List X] Joe <joe@x>", "[List X] Joe|-|joe|x;" },
        { "a@[1.2.3.4", "-|-|a|[1.2.3.4;" },
        { "a\\b@c", "-|-|ab|c;" },
        { "<a@b:25>", "-|-|a|b;" },
        { "<a:b@c>", "-|-|a:b|c;" },
        { "a@\"b, c@d\"", "-|-|a|missing-host.invalid;" },
        { "a@b\"x> <c@d\"", "-|-|a|b;" },
        { "a@[1\\]> ,2]", "-|-|a|[1;-|-|2|missing-host.invalid;" },
        { ">>>", "" },
        { ")))a@b", "-|-|a|b;" },
        { "\"", "" },
        { "(", "" },
        { "<", "" },
        { "\\", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(str_from_z(cases[i].in), cases[i].expected);
    }
    check(STR("a\0b@c"), "-|-|a?b|c;");
    check(STR("\"x\0\ry\" <a@b>"), "x? y|-|a|b;");
}

/* "a@b c@d" are two addresses: whoever reads only the first and the last word would show a mailbox that nobody wrote to. */
static void a_forgotten_comma(void **state)
{
    (void)state;
    check(STR("a@b c@d"), "-|-|a|b;-|-|c|d;");
    check(STR("a@b junk c@d e@f"), "-|-|a|b;-|-|c|d;-|-|e|f;");
    check(STR("a@b c@d <e@f>"), "-|-|a|b;c@d|-|e|f;");
}

static void limits(void **state)
{
    struct message_limits l = message_limits_default;
    l.addresses_max = 2;
    check_limits(STR("a@x, b@x, c@x"), &l, "-|-|a|x;-|-|b|x;", true);
    check_limits(STR("a@x, b@x"), &l, "-|-|a|x;-|-|b|x;", false);
    check_limits(STR("g: a@x;"), &l, "-|-|g|-;-|-|-|-;", true);
    check_limits(STR("a@x, g: b@x;"), &l, "-|-|a|x;-|-|b|x;", true); /* no room for the markers */
    l.addresses_max = 1;
    check_limits(STR("g:;"), &l, "", true);
    l.addresses_max = 0;
    check_limits(STR("a@x"), &l, "", true);
    l = message_limits_default;
    l.value_max = 4;
    check_limits(STR("abcdefgh@ijklmn"), &l, "-|-|abcd|ijkl;", true);
    check_limits(STR("\"abc\xc3\xbc\" <a@b>"), &l, "abc|-|a|b;", true); /* not inside a code point */
}

static void several_fields_join(void **state)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct message_addresses list;
    struct buf b = BUF_INIT(1 << 12);
    const str fields[] = { STR_INIT("a@x, \"open"), STR_INIT("g: b@x"), STR_INIT("c@x") };
    assert_int_equal(message_addresses_parse_n(fields, 3, &message_limits_default, &a, &list, NULL), 0);
    describe(&b, &list);
    assert_strz(buf_str(&b), "-|-|a|x;-|-|open|missing-host.invalid;-|-|g|-;-|-|b|x;-|-|-|-;-|-|c|x;");
    buf_done(&b);
    arena_done(&a);
}

static void quota_is_an_error(void **state)
{
    struct arena a = ARENA_INIT(100);
    struct message_addresses list;
    assert_int_equal(message_addresses_parse(STR("a@b, c@d, e@f, g@h"), &message_limits_default, &a, &list, NULL), ERR_LIMIT);
    arena_done(&a);
}

static void writes_what_it_reads(void **state)
{
    static const struct {
        struct message_address addr;
        const char *spec;
    } cases[] = {
        { { .mailbox = STR_INIT("joe"), .host = STR_INIT("x") }, "joe@x" },
        { { .mailbox = STR_INIT("a.b"), .host = STR_INIT("x") }, "a.b@x" },
        { { .mailbox = STR_INIT("a..b"), .host = STR_INIT("x") }, "\"a..b\"@x" },
        { { .mailbox = STR_INIT(".a"), .host = STR_INIT("x") }, "\".a\"@x" },
        { { .mailbox = STR_INIT("a b\"\\"), .host = STR_INIT("x") }, "\"a b\\\"\\\\\"@x" },
        { { .mailbox = STR_INIT(""), .host = STR_INIT("x") }, "\"\"@x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF_INIT(1 << 12);
        message_address_add_spec(&b, &cases[i].addr);
        assert_strz(buf_str(&b), cases[i].spec);
        struct arena a = ARENA_INIT(1 << 12);
        struct message_addresses list;
        assert_int_equal(message_addresses_parse(buf_str(&b), &message_limits_default, &a, &list, NULL), 0);
        assert_int_equal(list.n, 1);
        assert_str(list.list[0].mailbox, cases[i].addr.mailbox);
        assert_str(list.list[0].host, cases[i].addr.host);
        arena_done(&a);
        buf_done(&b);
    }
    struct buf b = BUF_INIT(100);
    message_address_add_phrase(&b, STR("Joe Doe"));
    message_address_add_phrase(&b, STR("J. Doe"));
    message_address_add_phrase(&b, STR(""));
    assert_strz(buf_str(&b), "Joe Doe\"J. Doe\"\"\"");
    buf_done(&b);
}

/* 1 MB each of what could be quadratic: the test would not end. */
static void long_ones_are_linear(void **state)
{
    static const char *const units[] = { "\"", "(", "\\\"", "<@a,", "a@", "a b ", ":", "a:", "[", ",", "a@b,", "\"a\" ", "()" };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct buf b = BUF_INIT(2 << 20);
        while (b.n < 1 << 20)
            buf_add(&b, str_from_z(units[i]));
        str in = exact(buf_str(&b));
        struct arena a = ARENA_INIT(8 << 20);
        struct message_addresses list;
        assert_int_equal(message_addresses_parse(in, &message_limits_default, &a, &list, NULL), 0);
        assert_true(list.n <= message_limits_default.addresses_max);
        arena_done(&a);
        free_exact(in);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(a_forgotten_comma),
        cmocka_unit_test(limits),
        cmocka_unit_test(several_fields_join),
        cmocka_unit_test(quota_is_an_error),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(long_ones_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
