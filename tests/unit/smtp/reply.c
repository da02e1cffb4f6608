/* Replies: the table's own rules, and the writer that never makes two answers of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/reply.h"

static void test_table(void **state)
{
    for (unsigned r = 0; r < SMTP_REPLY_COUNT; r++) {
        struct buf out = BUF_INIT(1024);
        unsigned code = smtp_reply_code((enum smtp_reply)r);
        str text = smtp_reply_text((enum smtp_reply)r), line;
        assert_int_equal(smtp_reply_add(&out, (enum smtp_reply)r, &text, 1), 0);
        line = buf_str(&out);
        assert_true(str_ends(line, STR("\r\n")) && line.n <= SMTP_REPLY_LINE_MAX);
        assert_true(code >= 200 && code < 600);
        /* RFC 2034 section 4: the class of the enhanced status code is the first digit of the code. */
        if (line.n > 6 && line.p[5] == '.' && ascii_is_digit(line.p[4]))
            assert_int_equal(line.p[4], line.p[0]);
        else
            assert_true(code == 220 || code == 250 || code == 334 || code == 354);
        /* RFC 5321 section 3.8: 421 is said before the server closes, and only then. */
        assert_true(code != 421 || (smtp_reply_flags((enum smtp_reply)r) & SMTP_REPLY_CLOSE));
        buf_done(&out);
    }
}

static void test_lines(void **state)
{
    struct buf out = BUF_INIT(8192);
    str lines[] = { STR("one"), STR(""), STR("three") };
    assert_int_equal(smtp_reply_add(&out, SMTP_REPLY_OK, lines, 3), 0);
    assert_true(str_eq(buf_str(&out), STR("250-2.0.0 one\r\n250-2.0.0 \r\n250 2.0.0 three\r\n")));
    buf_reset(&out);
    assert_int_equal(smtp_reply_add(&out, SMTP_REPLY_HELO, lines, 1), 0);
    assert_true(str_eq(buf_str(&out), STR("250 one\r\n")));
    buf_done(&out);
}

static void test_refuses_control_bytes(void **state)
{
    static const str bad[] = { STR_INIT("a\rb"),    STR_INIT("a\n250 b"), STR_INIT("a\0b"), STR_INIT("\r\n"),
                               STR_INIT("\x1b[0m"), STR_INIT("a\tb"),     STR_INIT("\x7f") };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf out = BUF_INIT(8192);
        str lines[] = { STR("fine"), bad[i] };
        assert_int_equal(smtp_reply_add(&out, SMTP_REPLY_OK, lines, 2), ERR_SYNTAX);
        assert_int_equal(out.n, 0);
        buf_done(&out);
    }
}

static void test_cuts_and_stays_ascii(void **state)
{
    struct buf out = BUF_INIT(8192);
    static char text[2000];
    memset(text, 0xe9, sizeof(text));
    str line = { text, sizeof(text) };
    assert_int_equal(smtp_reply_add(&out, SMTP_REPLY_OK, &line, 1), 0);
    assert_int_equal(out.n, SMTP_REPLY_LINE_MAX);
    assert_true(str_starts(buf_str(&out), STR("250 2.0.0 ????")) && str_ends(buf_str(&out), STR("?\r\n")));
    buf_reset(&out);
    assert_int_equal(smtp_reply_add(&out, SMTP_REPLY_CHALLENGE, &line, 1), 0);
    assert_int_equal(out.n, strlen("334 ") + sizeof(text) + strlen("\r\n"));
    buf_done(&out);
}

static void test_errors_are_temporary(void **state)
{
    for (int code = -1; code > ERR_LAST_; code--)
        assert_int_equal(smtp_reply_code(smtp_reply_from_error(code)) / 100, 4);
    assert_int_equal(smtp_reply_code(smtp_reply_from_error(ERR_FULL)), 452);
}

/* RFC 1870 section 6.1: 452 while it may pass, 552 when it cannot. */
static void test_quotas_have_answers(void **state)
{
    assert_int_equal(smtp_reply_from_delivery(ERR_REFUSED, false), SMTP_REPLY_MAILBOX_FULL);
    assert_int_equal(smtp_reply_from_delivery(ERR_REFUSED, true), SMTP_REPLY_MAILBOX_FULL_FINAL);
    assert_int_equal(smtp_reply_from_delivery(ERR_LIMIT, false), SMTP_REPLY_MAILBOX_TOO_SMALL);
    for (int code = -1; code > ERR_LAST_; code--)
        assert_true(code == ERR_REFUSED || code == ERR_LIMIT ||
                    smtp_reply_from_delivery(code, true) == smtp_reply_from_error(code));
}

static void test_every_fault_has_an_answer(void **state)
{
    for (unsigned f = SMTP_FAULT_ARGUMENT; f <= SMTP_FAULT_PARAM_VALUE; f++) {
        for (unsigned clause = SMTP_CLAUSE_SENDER; clause <= SMTP_CLAUSE_OTHER; clause++)
            assert_int_equal(smtp_reply_code(smtp_reply_from_fault((enum smtp_fault)f, (enum smtp_clause)clause)) / 100, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refuses_control_bytes),
        cmocka_unit_test(test_cuts_and_stays_ascii),
        cmocka_unit_test(test_errors_are_temporary),
        cmocka_unit_test(test_quotas_have_answers),
        cmocka_unit_test(test_every_fault_has_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
