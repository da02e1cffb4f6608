/* The writers of answers: strings, sets, dates, flags, ENVELOPE and BODYSTRUCTURE (RFC 3501 sections 7.4.2 and 9). */
#include "tests/unit/imap/check.h"

#include "imap/syntax.h"
#include "imap/write.h"

static void strings_are_quoted_or_literals(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *string, *astring;
    } rows[] = {
        { STR_INIT("abc"), "\"abc\"", "abc" },
        { STR_INIT(""), "\"\"", "\"\"" },
        { STR_INIT("a b"), "\"a b\"", "\"a b\"" },
        { STR_INIT("a\"b\\"), "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\"" },
        { STR_INIT("a\r\nb"), "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
        { STR_INIT("a\0b"), "{3}\r\na?b", "{3}\r\na?b" },
        { STR_INIT("\303\251"), "{2}\r\n\303\251", "{2}\r\n\303\251" },
        { STR_INIT("nil"), "\"nil\"", "\"nil\"" },
        { STR_INIT("a]"), "\"a]\"", "a]" },
        { STR_INIT("a*"), "\"a*\"", "\"a*\"" },
        { STR_INIT("\177"), "{1}\r\n\177", "{1}\r\n\177" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT(1000);
        imap_write_string(&b, rows[i].in);
        assert_str(buf_str(&b), rows[i].string);
        buf_reset(&b);
        imap_write_astring(&b, rows[i].in);
        assert_str(buf_str(&b), rows[i].astring);
        buf_done(&b);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 256; c++) {
        const char bytes[3] = { 'x', (char)c, 'y' };
        struct arena a = ARENA_INIT(4096);
        struct buf b = BUF_INIT(100);
        imap_write_astring(&b, (str){ bytes, 3 });
        struct scan s = scan_init(buf_str(&b));
        str back;
        assert_int_equal(imap_parse_astring(&s, &a, &back), 0);
        assert_true(scan_done(&s) && str_eq(back, (str){ bytes, 3 }));
        buf_done(&b);
        arena_done(&a);
    }
}

static void dates_flags_and_sets(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    imap_write_date_time(&b, 837596665999);
    assert_str(buf_str(&b), "\"17-Jul-1996 09:44:25 +0000\"");
    buf_reset(&b);
    imap_write_date_time(&b, -1);
    assert_str(buf_str(&b), "\"31-Dec-1969 23:59:59 +0000\"");
    buf_reset(&b);
    imap_write_date_time(&b, 0);
    assert_str(buf_str(&b), "\" 1-Jan-1970 00:00:00 +0000\"");
    buf_reset(&b);
    const str keywords[] = { STR("$A"), STR("b") };
    imap_write_flags(&b, MAIL_SEEN | MAIL_DRAFT | (uint64_t)2 << MAIL_KEYWORD_BIT, true, keywords, 2);
    assert_str(buf_str(&b), "\\Seen \\Draft \\Recent b");
    buf_reset(&b);
    imap_write_flags(&b, (uint64_t)1 << MAIL_KEYWORD_BIT, false, keywords, 2);
    assert_str(buf_str(&b), "$A");
    buf_reset(&b);
    const uint32_t uids[] = { 1, 2, 3, 7, 9, 10, 4 };
    imap_write_uids(&b, uids, sizeof uids / sizeof *uids);
    assert_str(buf_str(&b), "1:3,7,9:10,4");
    buf_done(&b);
}

static void check_message(const char *message, const char *envelope, const char *body, const char *bodystructure)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf bytes = BUF_INIT(65536), b = BUF_INIT(65536);
    const struct structure *structure;
    assert_int_equal(message_parse(str_from_z(message), &message_limits_default, &bytes), 0);
    assert_int_equal(structure_open(buf_str(&bytes), strlen(message), &a, &structure), 0);
    imap_write_envelope(&b, structure_root(structure)->envelope);
    assert_str(buf_str(&b), envelope);
    buf_reset(&b);
    imap_write_body(&b, structure_root(structure), false, NULL);
    assert_str(buf_str(&b), body);
    buf_reset(&b);
    imap_write_body(&b, structure_root(structure), true, NULL);
    assert_str(buf_str(&b), bodystructure);
    buf_done(&b);
    buf_done(&bytes);
    arena_done(&a);
}

#define NOTHING "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

static void messages_of_all_kinds(void **state)
{
    (void)state;
    check_message("\r\nhello\r\n", NOTHING, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)",
                  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1 NIL NIL NIL NIL)");
    check_message("Subject: s\r\nTo: friends: a@b.org, Bob <c@d.org>;, x\r\n\r\n",
                  "(NIL \"s\" NIL NIL NIL ((NIL NIL \"friends\" NIL)(NIL NIL \"a\" \"b.org\")(\"Bob\" NIL \"c\" \"d.org\")(NIL "
                  "NIL NIL NIL)(NIL NIL "
                  "\"x\" \"missing-host.invalid\")) NIL NIL NIL NIL)",
                  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)",
                  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)");
    check_message("Content-Type: multipart/mixed; boundary=x\r\n\r\nno parts here\r\n", NOTHING,
                  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 15 1) \"mixed\")",
                  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 15 1 NIL NIL NIL NIL) \"mixed\" "
                  "(\"boundary\" \"x\") NIL NIL NIL)");
    check_message("Content-Type: image/png; name*=utf-8''%C3%A9.png\r\nContent-MD5: Q2hlY2s=\r\nContent-ID: <i@d>\r\n"
                  "Content-Language: fr, en\r\nContent-Location: http://x/\r\nContent-Description: a \"picture\"\r\n\r\n",
                  NOTHING, "(\"image\" \"png\" (\"name*\" \"utf-8''%C3%A9.png\") \"<i@d>\" \"a \\\"picture\\\"\" \"7bit\" 0)",
                  "(\"image\" \"png\" (\"name*\" \"utf-8''%C3%A9.png\") \"<i@d>\" \"a \\\"picture\\\"\" \"7bit\" 0 \"Q2hlY2s=\" "
                  "NIL (\"fr\" \"en\") "
                  "\"http://x/\")");
    /* RFC 2231 section 4: charset, language and octets as they came, a plain value beside them */
    check_message(
        "Content-Type: image/png; name*0*=ISO-8859-1'fr'%e9t; name*1*=%E9; name=ete\r\n\r\n", NOTHING,
        "(\"image\" \"png\" (\"name*\" \"ISO-8859-1'fr'%e9t%E9\" \"name\" \"ete\") NIL NIL \"7bit\" 0)",
        "(\"image\" \"png\" (\"name*\" \"ISO-8859-1'fr'%e9t%E9\" \"name\" \"ete\") NIL NIL \"7bit\" 0 NIL NIL NIL NIL)");
    /* what cannot be opened promises nothing below it */
    check_message("Content-Type: message/rfc822; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0K",
                  NOTHING, "(\"application\" \"octet-stream\" (\"name\" \"a.eml\") NIL NIL \"base64\" 16)",
                  "(\"application\" \"octet-stream\" (\"name\" \"a.eml\") NIL NIL \"base64\" 16 NIL NIL NIL NIL)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_quoted_or_literals),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(dates_flags_and_sets),
        cmocka_unit_test(messages_of_all_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
