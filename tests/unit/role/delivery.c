/* delivery: quotas and reports, from the three ways in to what is in the mailboxes afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "role/core.h"

enum { ALICE, BOB, CAROL, USER_N, TEXT_MAX = 1 << 20 };
static const char *const users[USER_N] = { "alice@example.org", "bob@example.org", "carol@example.org" };
#define MESSAGE "From: alice@example.org\r\nMessage-ID: <m@example.org>\r\nSubject: s\r\n\r\nHello\r\n"

struct fixture {
    struct config config;
    struct role_snapshot snapshot;
    struct role_run run;
    struct core core;
    engine_part id[USER_N];
    struct buf structure;
    struct smtp_delivery d;
    str recipients[3];
    struct dsn_request dsn[3];
    struct error e;
};

/* Three users, and everyone@ that stands for bob and carol, info@ that stands for bob. */
static struct fixture *open_fixture(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    const str both[] = { STR("bob@example.org"), STR("carol@example.org") };
    assert_non_null(f);
    f->config.hostname = STR("mx.example.org");
    f->snapshot.config = &f->config;
    atomic_init(&f->snapshot.refs, 1);
    pthread_mutex_init(&f->run.lock, NULL);
    f->run.snapshot = &f->snapshot;
    f->core.run = &f->run;
    assert_int_equal(engine_memory_open(&f->core.engine), 0);
    f->core.mail = mail_store_new(f->core.engine);
    assert_int_equal(directory_open(f->core.engine, &f->core.directory, &f->e), 0);
    assert_int_equal(directory_domain_add(f->core.directory, STR("example.org"), &f->e), 0);
    for (size_t i = 0; i < USER_N; i++) {
        assert_int_equal(directory_account_add(f->core.directory, str_from_z(users[i]), STR(""), &f->id[i], &f->e), 0);
        assert_int_equal(mail_account_create(f->core.mail, f->id[i]), 0);
    }
    assert_int_equal(directory_alias_add(f->core.directory, STR("everyone@example.org"), both, 2, &f->e), 0);
    assert_int_equal(directory_alias_add(f->core.directory, STR("info@example.org"), both, 1, &f->e), 0);
    f->structure = BUF_INIT(1 << 16);
    assert_int_equal(message_parse(STR(MESSAGE), &message_limits_default, &f->structure), 0);
    f->d = (struct smtp_delivery){ .session = STR("s"),
                                   .id = STR("i"),
                                   .reverse_path = STR("alice@example.org"),
                                   .recipients = f->recipients,
                                   .dsn = f->dsn,
                                   .message = STR(MESSAGE),
                                   .fd = -1,
                                   .structure = buf_str(&f->structure) };
    return f;
}

static void close_fixture(struct fixture *f)
{
    buf_done(&f->structure);
    directory_free(f->core.directory);
    mail_store_free(f->core.mail);
    engine_close(f->core.engine);
    pthread_mutex_destroy(&f->run.lock);
    free(f);
}

static void to(struct fixture *f, const char *address, unsigned notify)
{
    f->recipients[f->d.recipient_n] = str_from_z(address);
    f->dsn[f->d.recipient_n++] = (struct dsn_request){ .notify = (uint8_t)notify };
}

static void limit(struct fixture *f, size_t user, uint64_t bytes, uint64_t messages)
{
    struct mail_account *a;
    assert_int_equal(mail_account_open(f->core.mail, f->id[user], &a), 0);
    assert_int_equal(mail_account_set_quota(a, bytes, messages), 0);
    mail_account_unref(a);
}

/* Fills the mailbox of USER: one message, and no room for another. */
static void fill(struct fixture *f, size_t user)
{
    struct mail_deposit *d = mail_deposit_new(f->core.mail, NULL);
    struct mail_recipient r = { .account = f->id[user], .address = str_from_z(users[user]) };
    assert_int_equal(mail_deposit_write(d, STR("Subject: first\r\n\r\n")), 0);
    assert_int_equal(mail_deliver(f->core.mail, d, &r, 1, NULL), 0);
    mail_deposit_free(d);
    limit(f, user, 0, 1);
}

/* How many messages USER has; the last one's text in OUT (may be NULL). */
static unsigned count(struct fixture *f, size_t user, struct buf *out)
{
    struct mail_account *a;
    struct mail_view *v;
    struct mail_entry entry;
    struct mail_email email;
    struct arena arena = ARENA_INIT(1 << 20);
    assert_int_equal(mail_account_open(f->core.mail, f->id[user], &a), 0);
    assert_int_equal(mail_view_open(a, STR("INBOX"), true, NULL, NULL, &v), 0);
    unsigned n = mail_view_count(v);
    if (out && n) {
        size_t got;
        assert_int_equal(mail_view_entry(v, n, &entry), 0);
        assert_int_equal(mail_email_get(a, entry.email, &arena, &email), 0);
        buf_reset(out);
        char *p = buf_reserve(out, (size_t)email.size);
        assert_int_equal(mail_email_read(a, &email, 0, p, (size_t)email.size, &got), 0);
        mail_email_done(&email);
        buf_commit(out, got);
    }
    mail_view_close(v);
    mail_account_unref(a);
    arena_done(&arena);
    return n;
}

static bool has(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_from_z(text)) < b->n;
}

/* --- strangers --- */

static void a_stranger_is_refused_for_all_when_one_is_full(void **state)
{
    struct fixture *f = open_fixture();
    fill(f, BOB);
    to(f, "carol@example.org", 0);
    to(f, "bob@example.org", 0);
    assert_int_equal(core_accept(&f->core, &f->d, &f->e), ERR_REFUSED);
    assert_int_equal(count(f, CAROL, NULL), 0);
    f->d.recipient_n = 1;
    assert_int_equal(core_accept(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    f->d.recipient_n = 0;
    to(f, "everyone@example.org", 0);
    assert_int_equal(core_accept(&f->core, &f->d, &f->e), ERR_REFUSED);
    assert_int_equal(count(f, CAROL, NULL), 1);
    close_fixture(f);
}

static void what_can_never_fit_is_told_apart(void **state)
{
    struct fixture *f = open_fixture();
    limit(f, BOB, 20, 0);
    to(f, "bob@example.org", 0);
    assert_int_equal(core_accept(&f->core, &f->d, &f->e), ERR_LIMIT);
    close_fixture(f);
}

static void a_stranger_gets_no_reports(void **state)
{
    struct fixture *f = open_fixture();
    to(f, "bob@example.org", DSN_NOTIFY_SUCCESS);
    assert_int_equal(core_accept(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, ALICE, NULL), 0);
    close_fixture(f);
}

/* --- LMTP --- */

static void lmtp_answers_for_each_and_a_group_is_all_or_nothing(void **state)
{
    struct fixture *f = open_fixture();
    int results[3];
    fill(f, BOB);
    to(f, "everyone@example.org", 0);
    to(f, "bob@example.org", 0);
    to(f, "alice@example.org", 0);
    assert_int_equal(core_accept_each(&f->core, &f->d, results, &f->e), 0);
    assert_int_equal(results[0], ERR_REFUSED);
    assert_int_equal(results[1], ERR_REFUSED);
    assert_int_equal(results[2], 0);
    assert_int_equal(count(f, CAROL, NULL), 0);
    assert_int_equal(count(f, ALICE, NULL), 1);
    f->recipients[1] = STR("carol@example.org"); /* by herself she gets it, once */
    assert_int_equal(core_accept_each(&f->core, &f->d, results, &f->e), 0);
    assert_int_equal(results[0], ERR_REFUSED);
    assert_int_equal(results[1], 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    close_fixture(f);
}

/* --- submission --- */

static void a_user_gets_a_report_on_who_is_full(void **state)
{
    struct fixture *f = open_fixture();
    struct buf text = BUF_INIT(TEXT_MAX);
    fill(f, BOB);
    fill(f, ALICE); /* also who has no room is told */
    to(f, "carol@example.org", 0);
    to(f, "bob@example.org", 0);
    f->d.envid = STR("Q1");
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    assert_int_equal(count(f, BOB, NULL), 1);
    assert_int_equal(count(f, ALICE, &text), 2);
    assert_true(str_starts(buf_str(&text), STR("Return-Path: <>\r\nFrom: Mail delivery <postmaster@example.org>\r\n")));
    assert_true(has(&text, "Original-Envelope-Id: Q1\r\n") && has(&text, "Reporting-MTA: dns; mx.example.org\r\n"));
    assert_true(has(&text, "Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\n"));
    assert_false(has(&text, "Final-Recipient: rfc822; carol"));
    assert_true(has(&text, "Content-Type: message/rfc822\r\n\r\nFrom: alice@example.org\r\n"));
    buf_done(&text);
    close_fixture(f);
}

static void a_user_is_refused_when_nobody_has_room(void **state)
{
    struct fixture *f = open_fixture();
    fill(f, BOB);
    to(f, "bob@example.org", 0);
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), ERR_REFUSED);
    assert_int_equal(count(f, ALICE, NULL), 0);
    close_fixture(f);
}

static void no_report_goes_to_the_null_sender_or_where_none_is_wanted(void **state)
{
    struct fixture *f = open_fixture();
    fill(f, BOB);
    to(f, "carol@example.org", 0);
    to(f, "bob@example.org", DSN_NOTIFY_NEVER);
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    assert_int_equal(count(f, ALICE, NULL), 0);
    f->d.reverse_path = STR("");
    f->dsn[1].notify = 0;
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), ERR_REFUSED);
    assert_int_equal(count(f, CAROL, NULL), 1);
    close_fixture(f);
}

static void success_is_reported_when_asked_for(void **state)
{
    struct fixture *f = open_fixture();
    struct buf text = BUF_INIT(TEXT_MAX);
    to(f, "carol@example.org", DSN_NOTIFY_SUCCESS);
    to(f, "bob@example.org", DSN_NOTIFY_FAILURE);
    to(f, "info@example.org", DSN_NOTIFY_SUCCESS); /* an alias of one is not expanded: what it stands for stays unsaid */
    f->dsn[0].orcpt = STR("rfc822;Carol@example.org");
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, ALICE, &text), 1);
    assert_true(has(&text, "Original-Recipient: rfc822; Carol@example.org\r\nFinal-Recipient: rfc822; carol@example.org\r\n"
                           "Action: delivered\r\nStatus: 2.0.0\r\n"));
    assert_true(has(&text, "Final-Recipient: rfc822; info@example.org\r\nAction: delivered\r\n"));
    assert_false(has(&text, "bob@example.org"));
    assert_true(has(&text, "text/rfc822-headers"));
    buf_done(&text);
    close_fixture(f);
}

/* RFC 3461 section 5.2.7.3 (c). */
static void a_group_is_expanded_and_its_failures_are_told(void **state)
{
    struct fixture *f = open_fixture();
    struct buf text = BUF_INIT(TEXT_MAX);
    limit(f, BOB, 20, 0);
    to(f, "everyone@example.org", DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE);
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    assert_int_equal(count(f, ALICE, &text), 1);
    assert_true(has(&text, "Final-Recipient: rfc822; everyone@example.org\r\nAction: expanded\r\n"));
    assert_true(has(&text, "Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.2.3\r\n"));
    buf_done(&text);
    close_fixture(f);
}

/* The sender's address may have gone since MAIL; the message is delivered all the same. */
static void a_sender_that_is_gone_gets_no_report(void **state)
{
    struct fixture *f = open_fixture();
    to(f, "carol@example.org", DSN_NOTIFY_SUCCESS);
    f->d.reverse_path = STR("gone@example.org");
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    assert_int_equal(count(f, CAROL, NULL), 1);
    close_fixture(f);
}

/* Invariant 2: what was promised a report and could not be given one is not answered with success. */
static void a_report_that_cannot_be_kept_fails_the_message(void **state)
{
    struct fixture *f = open_fixture();
    engine_part id; /* in the directory, without mailboxes */
    assert_int_equal(directory_account_add(f->core.directory, STR("dave@example.org"), STR(""), &id, &f->e), 0);
    to(f, "carol@example.org", DSN_NOTIFY_SUCCESS);
    f->d.reverse_path = STR("dave@example.org");
    assert_int_not_equal(core_submit(&f->core, &f->d, &f->e), 0);
    f->dsn[0].notify = 0;
    assert_int_equal(core_submit(&f->core, &f->d, &f->e), 0);
    close_fixture(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_is_refused_for_all_when_one_is_full),
        cmocka_unit_test(what_can_never_fit_is_told_apart),
        cmocka_unit_test(a_stranger_gets_no_reports),
        cmocka_unit_test(lmtp_answers_for_each_and_a_group_is_all_or_nothing),
        cmocka_unit_test(a_user_gets_a_report_on_who_is_full),
        cmocka_unit_test(a_user_is_refused_when_nobody_has_room),
        cmocka_unit_test(no_report_goes_to_the_null_sender_or_where_none_is_wanted),
        cmocka_unit_test(success_is_reported_when_asked_for),
        cmocka_unit_test(a_group_is_expanded_and_its_failures_are_told),
        cmocka_unit_test(a_sender_that_is_gone_gets_no_report),
        cmocka_unit_test(a_report_that_cannot_be_kept_fails_the_message),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
