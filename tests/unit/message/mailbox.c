/* Author fields read strictly: what is taken, and the reason for each refusal; addresses that text shows. */
#include "support.h"

#include "message/mailbox.h"

/* "address[shown] ..." or the reason. */
static void describe(struct buf *b, str field, unsigned max)
{
    struct arena a = ARENA_INIT(1 << 20);
    const struct message_mailbox *list;
    const char *why;
    unsigned n;
    int r = message_mailboxes_parse(field, max, &a, &list, &n, &why);
    if (r == ERR_SYNTAX)
        buf_add(b, str_from_z(why));
    else
        assert_int_equal(r, 0);
    for (unsigned i = 0; r == 0 && i < n; i++)
        buf_add_all(b, i ? STR(" ") : STR(""), list[i].address, STR("["), list[i].shown, STR("]"));
    arena_done(&a);
}

#define SPACE     "has a comment or a space within an address"
#define MALFORMED "has a malformed address"
#define UNENDED   "has a quote or a comment that does not end"
#define CONTROL   "has a control character"
#define BLANK     "has a line of white space only"
#define MISSING   "has a comma or a comment where an address is missing"

static const struct {
    str in;
    const char *out;
} cases[] = {
    { STR_INIT(" a@b"), "a@b[]" },
    { STR_INIT("a@b"), "a@b[]" },
    { STR_INIT(" A B <a@b>"), "a@b[A B]" },
    { STR_INIT(" \"A \\\"B\" C <a@b>"), "a@b[A \"B C]" },
    { STR_INIT(" \"a b\"@c"), "\"a b\"@c[]" },
    { STR_INIT(" <\"a\\\"@x\"@c>"), "\"a\\\"@x\"@c[]" },
    { STR_INIT(" < a@b >"), "a@b[]" },
    { STR_INIT("\r\n a@b,\r\n\tc@d"), "a@b[] c@d[]" },
    { STR_INIT(" a@b (x (y) z)"), "a@b[x  y  z]" },
    { STR_INIT(" (x) a@b"), "a@b[x]" },
    { STR_INIT(" J. R. R. T. <a@b>"), "a@b[J. R. R. T.]" },
    { STR_INIT(" =?utf-8?q?x?= <a.b@c.d>"), "a.b@c.d[=?utf-8?q?x?=]" },
    { STR_INIT(" \xc3\xa9 <\xc3\xa9@\xc3\xa9.example>"), "\xc3\xa9@\xc3\xa9.example[\xc3\xa9]" },
    { STR_INIT(" a@[192.0.2.1]"), "a@[192.0.2.1][]" },
    { STR_INIT("\" x\r\n y\" <a@b>"), "a@b[ x y]" },
    { STR_INIT(""), "has no address" },
    { STR_INIT(" \r\n "), BLANK },
    { STR_INIT("  "), "has no address" },
    { STR_INIT(" ()"), MISSING },
    { STR_INIT(" ,a@b"), MISSING },
    { STR_INIT(" a@b,"), MISSING },
    { STR_INIT(" a@b,,c@d"), MISSING },
    { STR_INIT(" a"), "has a name without an address" },
    { STR_INIT(" \"a@b\""), "has a name without an address" },
    { STR_INIT(" <>"), "has angle brackets without an address" },
    { STR_INIT(" <@x:a@b>"), "has a route in an address (RFC 5322 section 4.4: obsolete)" },
    { STR_INIT(" <@x,@y:a@b>"), "has a route in an address (RFC 5322 section 4.4: obsolete)" },
    { STR_INIT(" <a@b> <c@d>"), "has a second address without a comma before it" },
    { STR_INIT(" a@b <c@d>"), "has a second address without a comma before it" },
    { STR_INIT(" a@b c"), "has text behind an address" },
    { STR_INIT(" a@b; c@d"), "has text behind an address" },
    { STR_INIT(" a@b@c"), "has text behind an address" },
    { STR_INIT(" <a@b>c"), "has text behind an address" },
    { STR_INIT(" b a@c"), "has words before an address: put the address in angle brackets" },
    { STR_INIT(" \"b\"a@c"), "has words before an address: put the address in angle brackets" },
    { STR_INIT(" x: a@b;"), "names a group; only recipients may be groups" },
    { STR_INIT(" \"a@b\": c@d;"), "names a group; only recipients may be groups" },
    { STR_INIT(" x:;"), "names a group; only recipients may be groups" },
    { STR_INIT(" a @b"), SPACE },
    { STR_INIT(" a@ b"), SPACE },
    { STR_INIT(" a(x)@b"), SPACE },
    { STR_INIT(" a@(x)b"), SPACE },
    { STR_INIT(" <a(x)@b>"), SPACE },
    { STR_INIT(" <(x)a@b>"), "has a comment within an address" },
    { STR_INIT(" <a@b(x)>"), "has a comment within an address" },
    { STR_INIT(" a. b@c"), "has words before an address: put the address in angle brackets" },
    { STR_INIT(" .a@b"), MALFORMED },
    { STR_INIT(" a.@b"), MALFORMED },
    { STR_INIT(" a..b@c"), MALFORMED },
    { STR_INIT(" a@b."), MALFORMED },
    { STR_INIT(" @b"), MALFORMED },
    { STR_INIT(" a@"), MALFORMED },
    { STR_INIT(" <a>"), MALFORMED },
    { STR_INIT(" <a@b"), MALFORMED },
    { STR_INIT(" a@[1"), MALFORMED },
    { STR_INIT(" a@[x,y]"), MALFORMED },
    { STR_INIT(" a@[1[2]"), MALFORMED },
    { STR_INIT(" <\"a\r\n b\"@c>"), "has an address that is folded" },
    { STR_INIT(" \"a"), UNENDED },
    { STR_INIT(" a@b (x"), UNENDED },
    { STR_INIT(" a@b (x\\"), UNENDED },
    { STR_INIT(" a@b\r\n \r\n"), CONTROL },
    { STR_INIT(" a@b\r\n \t"), BLANK },
    { STR_INIT("\r\n \r\n a@b"), BLANK },
    { STR_INIT(" a@b\n c"), CONTROL },
    { STR_INIT(" a@b\rc"), CONTROL },
    { STR_INIT(" \0a@b"), CONTROL },
    { STR_INIT(" \x7f <a@b>"), CONTROL },
    { STR_INIT(" \"\x01\" <a@b>"), CONTROL },
    { STR_INIT(" \xc2\x9b <a@b>"), CONTROL },
    { STR_INIT(" \"\\\r\n \" <a@b>"), "has a backslash at the end of a line" },
    { STR_INIT(" \xff <a@b>"), "is not UTF-8; encode other text as RFC 2047 says" },
    { STR_INIT(" \xe9 <a@b>"), "is not UTF-8; encode other text as RFC 2047 says" },
};

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(cases[i].in);
        struct buf b = BUF_INIT(4096);
        describe(&b, in, 10);
        if (!str_eq(buf_str(&b), str_from_z(cases[i].out)))
            fail_msg("case %zu: \"%.*s\": got \"%.*s\", expected \"%s\"", i, STR_ARG(in), STR_ARG(buf_str(&b)), cases[i].out);
        for (size_t n = 0; n < in.n; n++) { /* no read behind the end */
            str part = exact(str_sub(in, 0, n));
            struct buf ignored = BUF_INIT(4096);
            describe(&ignored, part, 10);
            buf_done(&ignored);
            free_exact(part);
        }
        buf_done(&b);
        free_exact(in);
    }
}

static void test_limit(void **state)
{
    struct buf b = BUF_INIT(4096);
    describe(&b, STR(" a@b, c@d"), 2);
    assert_strz(buf_str(&b), "a@b[] c@d[]");
    buf_reset(&b);
    describe(&b, STR(" a@b, c@d, e@f"), 2);
    assert_strz(buf_str(&b), "has too many addresses");
    buf_done(&b);
}

/* RFC 5322 section 3.2.2 nests comments to any depth: in linear time and without a stack. */
static void test_deep_comments(void **state)
{
    enum { DEPTH = 100000 };
    struct buf field = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    for (int i = 0; i < DEPTH; i++)
        buf_add_byte(&field, '(');
    for (int i = 0; i < DEPTH; i++)
        buf_add_byte(&field, ')');
    buf_add(&field, STR("a@b"));
    describe(&b, buf_str(&field), 1);
    assert_true(str_starts(buf_str(&b), STR("a@b[")));
    buf_done(&field);
    buf_done(&b);
}

static void test_addresses_in_text(void **state)
{
    static const struct {
        str in;
        const char *out;
    } table[] = {
        { STR_INIT("nothing here"), "" },
        { STR_INIT("a@b"), "a|b;" },
        { STR_INIT("Mr. X <a.b@c.example>, d@e."), "a.b|c.example;d|e;" },
        { STR_INIT("a@b@c"), "a|b;b|c;" },
        { STR_INIT("a @ b, @c, d@"), "" },
        { STR_INIT("\"a@b\"(c@d)"), "a|b;c|d;" },
        { STR_INIT("\u201ca@b.example\u201d"), "a|b.example;" },
        { STR_INIT("\u00ab\u00e9@b\u00fc.example\u00bb"), "\u00e9|b\u00fc.example;" },
        { STR_INIT("a\uff20b a\ufe6bc"), "a|b;a|c;" },
        { STR_INIT("x\u200ba@b\u3002example"), "a|b\u3002example;" },
        { STR_INIT("\xff@a \x80"
                   "b@c\xff"),
          "b|c;" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        str in = exact(table[i].in), local, domain;
        struct buf b = BUF_INIT(4096);
        for (size_t at = 0; message_text_next_address(in, &at, &local, &domain);)
            buf_add_all(&b, local, STR("|"), domain, STR(";"));
        assert_strz(buf_str(&b), table[i].out);
        buf_done(&b);
        free_exact(in);
    }
}

static void test_how_text_looks(void **state)
{
    static const struct {
        str in;
        const char *out;
    } table[] = {
        { STR_INIT(""), "" },
        { STR_INIT("A.b@C"), "a.b@c" },
        { STR_INIT("a\u200bb\u200cc\u2060d\u00ade\ufefff\u202eg\u2069h\ufe0fi\u034fj\001k"), "abcdefghijk" },
        { STR_INIT("a\u2024b\uff20c\ufe6bd"), "a.b@c@d" },
        { STR_INIT("a\tb\r\nc\xff"
                   "d\u00a0e"),
          "a b  c d e" },
        { STR_INIT("\u00c9\u4e2d\ufb01"), "e\u0301\u4e2dfi" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        str in = exact(table[i].in);
        struct buf b = BUF_INIT(4096), small = BUF_INIT(1);
        assert_int_equal(message_text_fold(in, &b), 0);
        assert_strz(buf_str(&b), table[i].out);
        assert_int_equal(message_text_fold(in, &small), b.n > 1 ? ERR_LIMIT : 0);
        buf_done(&b);
        buf_done(&small);
        free_exact(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_limit),
        cmocka_unit_test(test_deep_comments),  cmocka_unit_test(test_addresses_in_text),
        cmocka_unit_test(test_how_text_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
