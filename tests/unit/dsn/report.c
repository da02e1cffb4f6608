/* Reports: what each part says, what is returned, and that every report is a multipart/report of three parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsn/report.h"
#include "message/structure.h"

#define MESSAGE                                                                                                                  \
    "Received: from x\r\nMessage-ID: <one@example.org>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nFrom: alice@example.org\r\n\r\n"     \
    "Body\r\n--report-x\r\n"

static const struct dsn_outcome delivered = { .recipient = STR_INIT("bob@example.org"),
                                              .action = DSN_ACTION_DELIVERED,
                                              .status = STR_INIT("2.1.5") };
static const struct dsn_outcome failed = { .recipient = STR_INIT("carol@example.org"),
                                           .orcpt = STR_INIT("rfc822;c+2Bx@example.org"),
                                           .action = DSN_ACTION_FAILED,
                                           .status = STR_INIT("5.2.2"),
                                           .reply = STR_INIT("552 5.2.2 The mailbox is full") };

static struct dsn_report report_of(const struct dsn_outcome *outcomes, size_t n)
{
    return (struct dsn_report){ .hostname = STR("mx.example.org"),
                                .from = STR("postmaster@example.org"),
                                .sender = STR("alice@example.org"),
                                .id = STR("abc123"),
                                .arrived_s = 1700000000,
                                .now_s = 1700000001,
                                .language = LANGUAGE_EN,
                                .message = STR(MESSAGE),
                                .outcomes = outcomes,
                                .outcome_n = n };
}

/* The report, whose structure is checked: text for people, machine-readable part of type STATUS, returned part of type RETURNED. */
static void write_report(struct buf *out, const struct dsn_report *r, str status, str returned)
{
    struct buf bytes = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    const struct structure *s;
    *out = BUF_INIT(1 << 20);
    assert_int_equal(dsn_report_write(out, r), 0);
    assert_int_equal(message_parse(buf_str(out), &message_limits_default, &bytes), 0);
    assert_int_equal(structure_open(buf_str(&bytes), out->n, &a, &s), 0);
    const struct part *root = structure_root(s);
    assert_true(str_eq(root->type, STR("multipart")) && str_eq(root->subtype, STR("report")));
    assert_int_equal(root->child_n, 3);
    assert_true(str_eq(root->children[0]->subtype, STR("plain")));
    assert_true(str_eq(root->children[1]->type, STR("message")) && str_eq(root->children[1]->subtype, status));
    assert_true(str_eq(root->children[2]->subtype, returned));
    arena_done(&a);
    buf_done(&bytes);
}

static bool has(const struct buf *out, const char *text)
{
    return str_find(buf_str(out), str_from_z(text)) < out->n;
}

static void success_returns_the_header_only(void **state)
{
    struct buf out;
    struct dsn_report r = report_of(&delivered, 1);
    r.envid = STR("Q+2B1");
    r.ret = DSN_RET_FULL;
    write_report(&out, &r, STR("delivery-status"), STR("rfc822-headers"));
    assert_true(has(&out, "\r\nOriginal-Envelope-Id: Q+1\r\nReporting-MTA: dns; mx.example.org\r\n"));
    assert_true(has(&out, "\r\n\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: delivered\r\nStatus: 2.1.5\r\nLast-"));
    assert_true(has(&out, "To: <alice@example.org>\r\nSubject: Your message was delivered\r\n"));
    assert_true(has(&out, "From: Mail delivery <postmaster@example.org>\r\n"));
    assert_true(has(&out, "In-Reply-To: <one@example.org>\r\n") && has(&out, "Auto-Submitted: auto-replied\r\n"));
    assert_true(has(&out, "\r\n    caf\xc3\xa9\r\n"));
    assert_false(has(&out, "Original-Recipient") || has(&out, "Body") || has(&out, "Diagnostic-Code"));
    buf_done(&out);
}

static void failure_returns_the_message_unless_headers_are_wanted(void **state)
{
    struct buf out;
    const struct dsn_outcome both[] = { delivered, failed };
    struct dsn_report r = report_of(both, 2);
    write_report(&out, &r, STR("delivery-status"), STR("rfc822"));
    assert_true(has(&out, "Subject: Your message was not delivered to everyone\r\n") && has(&out, "\r\nBody\r\n"));
    assert_true(has(&out, "\r\n\r\nOriginal-Recipient: rfc822; c+x@example.org\r\nFinal-Recipient: rfc822; carol@example.org\r\n"
                          "Action: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 The mailbox is full\r\n"));
    assert_false(has(&out, "Original-Envelope-Id"));
    buf_done(&out);
    r.ret = DSN_RET_HDRS;
    write_report(&out, &r, STR("delivery-status"), STR("rfc822-headers"));
    assert_false(has(&out, "Body"));
    buf_done(&out);
    /* others may have got it of whom nothing was to be said */
    r = report_of(&failed, 1);
    write_report(&out, &r, STR("delivery-status"), STR("rfc822"));
    assert_true(has(&out, "Subject: Your message was not delivered\r\n"));
    buf_done(&out);
    r.has_reached_others = true;
    write_report(&out, &r, STR("delivery-status"), STR("rfc822"));
    assert_true(has(&out, "Subject: Your message was not delivered to everyone\r\n"));
    buf_done(&out);
}

static void a_long_message_is_returned_as_its_header(void **state)
{
    static char text[DSN_RETURNED_MAX + 1];
    struct buf out;
    struct dsn_report r = report_of(&failed, 1);
    r.ret = DSN_RET_FULL;
    memset(text, 'x', sizeof text);
    memcpy(text, "Subject: a\r\n\r\n", 14);
    r.message = (str){ text, sizeof text };
    write_report(&out, &r, STR("delivery-status"), STR("rfc822-headers"));
    assert_true(has(&out, "Subject: a\r\n\r\n\r\n--report-") && out.n < 4096);
    buf_done(&out);
    /* a header that is too long itself is cut at a line; one line of it all leaves nothing */
    memset(text, 'x', sizeof text);
    memcpy(text, "A: b\r\n", 6);
    write_report(&out, &r, STR("delivery-status"), STR("rfc822-headers"));
    assert_true(has(&out, "\r\n\r\nA: b\r\n\r\n--report-"));
    buf_done(&out);
}

static void utf8_makes_the_parts_global(void **state)
{
    static const struct dsn_outcome outcome = { .recipient = STR_INIT("\xc3\xa9lise@example.org"),
                                                .orcpt = STR_INIT("utf-8;\\x{E9}lise\\x{2B}a@example.org"),
                                                .action = DSN_ACTION_FAILED,
                                                .status = STR_INIT("5.2.2") };
    struct buf out;
    struct dsn_report r = report_of(&outcome, 1);
    write_report(&out, &r, STR("global-delivery-status"), STR("global"));
    assert_true(has(&out, "\r\nOriginal-Recipient: utf-8; \xc3\xa9lise+a@example.org\r\nFinal-Recipient: utf-8; \xc3\xa9lise@"));
    buf_done(&out);
    r.ret = DSN_RET_HDRS;
    write_report(&out, &r, STR("global-delivery-status"), STR("global-headers"));
    buf_done(&out);
}

/* RFC 6533 section 3: what says that it is UTF-8 and is not is copied as it is. */
static void a_malformed_utf8_address_is_copied(void **state)
{
    static const char *const bad[] = { "utf-8;\\x{D800}a", "utf-8;\\x{E9",  "utf-8;\\y{E9}",
                                       "utf-8;\\x{}",      "utf-8;\\x{0D}", "utf-8;\\" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out, line = BUF_INIT(200);
        struct dsn_outcome outcome = failed;
        outcome.orcpt = str_from_z(bad[i]);
        struct dsn_report r = report_of(&outcome, 1);
        r.utf8 = true;
        write_report(&out, &r, STR("global-delivery-status"), STR("global"));
        buf_add_all(&line, STR("\r\nOriginal-Recipient: utf-8; "), str_from(outcome.orcpt, 6), STR("\r\n"));
        assert_true(str_find(buf_str(&out), buf_str(&line)) < out.n);
        buf_done(&out);
        buf_done(&line);
    }
}

static void a_message_without_a_usable_id_is_not_referred_to(void **state)
{
    static const char *const messages[] = { "Subject: x\r\n\r\n", "Message-ID: <a b@c>\r\n\r\n", "Message-ID: x\r\n\r\n",
                                            "Message-ID: <\xc3\xa9@c>\r\n\r\n", "" };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct buf out;
        struct dsn_report r = report_of(&delivered, 1);
        r.message = str_from_z(messages[i]);
        write_report(&out, &r, STR("delivery-status"), STR("rfc822-headers"));
        assert_false(has(&out, "In-Reply-To"));
        buf_done(&out);
    }
}

/* RFC 3461 sections 5.2.3 and 5.2.6. */
static void reports_are_wanted_by_the_rules(void **state)
{
    static const struct {
        unsigned notify;
        bool success, failure;
    } rows[] = { { 0, false, true },
                 { DSN_NOTIFY_NEVER, false, false },
                 { DSN_NOTIFY_SUCCESS, true, false },
                 { DSN_NOTIFY_FAILURE, false, true },
                 { DSN_NOTIFY_DELAY, false, false },
                 { DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY, true, true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(dsn_request_wants(rows[i].notify, DSN_ACTION_DELIVERED), rows[i].success);
        assert_int_equal(dsn_request_wants(rows[i].notify, DSN_ACTION_EXPANDED), rows[i].success);
        assert_int_equal(dsn_request_wants(rows[i].notify, DSN_ACTION_FAILED), rows[i].failure);
    }
}

/* In the sender's language; to who is no user here in all of them. */
static void the_words_are_in_the_senders_language(void **state)
{
    (void)state;
    struct dsn_report r = report_of(&failed, 1);
    struct buf out;
    r.language = LANGUAGE_FR;
    write_report(&out, &r, STR("delivery-status"), STR("rfc822"));
    assert_true(has(&out, "Il n’a pas pu être remis à\xc2\xa0:") && has(&out, "Content-Language: fr\r\n"));
    assert_false(has(&out, "It could not be delivered"));
    buf_done(&out);
    r.language = LANGUAGE_UNSAID;
    write_report(&out, &r, STR("delivery-status"), STR("rfc822"));
    assert_true(has(&out, "Il n’a pas pu être remis à\xc2\xa0:") && has(&out, "It could not be delivered to:"));
    assert_false(has(&out, "Content-Language"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_returns_the_header_only),
        cmocka_unit_test(failure_returns_the_message_unless_headers_are_wanted),
        cmocka_unit_test(a_long_message_is_returned_as_its_header),
        cmocka_unit_test(utf8_makes_the_parts_global),
        cmocka_unit_test(a_malformed_utf8_address_is_copied),
        cmocka_unit_test(a_message_without_a_usable_id_is_not_referred_to),
        cmocka_unit_test(reports_are_wanted_by_the_rules),
        cmocka_unit_test(the_words_are_in_the_senders_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
