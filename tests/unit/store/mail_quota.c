/* How much an account may keep. */
#include "mail_fixture.h"
#include "store/codec.h"

static void limits_last_and_count_what_is_there(void **state)
{
    (void)state;
    struct fixture f;
    struct mail_quota q;
    fixture_open(&f);
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    assert_true(q.bytes == 0 && q.messages == 0 && q.bytes_max == 0 && q.messages_max == 0);
    fixture_append(&f, "INBOX", "one", 0);
    fixture_append(&f, "Drafts", "two", 0);
    assert_int_equal(mail_account_set_quota(f.a, 5000000000, 3), 0);
    fixture_reopen(&f);
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    assert_true(q.bytes > 100 && q.messages == 2);
    assert_true(q.bytes_max == 5000000000 && q.messages_max == 3);
    assert_int_equal(mail_account_set_quota(f.a, 0, 0), 0);
    fixture_reopen(&f);
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    assert_true(q.bytes_max == 0 && q.messages_max == 0);
    fixture_close(&f);
}

static void nothing_is_added_above_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct mail_quota q;
    uint32_t seq = 1, uidvalidity;
    struct mail_uid_pair pair;
    size_t n;
    fixture_open(&f);
    fixture_append(&f, "INBOX", "one", 0);
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    /* exactly room for one more of the same size */
    assert_int_equal(mail_account_set_quota(f.a, 2 * q.bytes, 0), 0);
    assert_int_equal(fixture_try_append(f.s, f.a, "INBOX", "longer", 0, NULL), ERR_REFUSED);
    fixture_append(&f, "INBOX", "two", 0);
    assert_int_equal(fixture_try_append(f.s, f.a, "Trash", "two", 0, NULL), ERR_REFUSED);
    assert_int_equal(fixture_try_append(f.s, f.a, "nowhere", "two", 0, NULL), ERR_NOTFOUND);
    struct mail_view *v = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_copy(v, &seq, 1, STR("Trash"), false, &pair, &n, &uidvalidity), ERR_REFUSED);
    assert_int_equal(n, 0);
    assert_int_equal(mail_view_copy(v, &seq, 1, STR("Trash"), true, &pair, &n, &uidvalidity), 0);
    assert_int_equal(n, 1);
    mail_view_close(v);
    /* A limit below what is there takes nothing away. */
    assert_int_equal(mail_account_set_quota(f.a, 0, 1), 0);
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    assert_int_equal(q.messages, 2);
    fixture_close(&f);
}

static void a_delivery_tells_who_is_full(void **state)
{
    (void)state;
    struct fixture f;
    struct mail_account *other;
    fixture_open(&f);
    assert_int_equal(mail_account_create(f.s, fixture_part(77)), 0);
    assert_int_equal(mail_account_open(f.s, fixture_part(77), &other), 0);
    assert_int_equal(mail_account_set_quota(f.a, 10, 0), 0);
    struct mail_deposit *d = mail_deposit_new(f.s, f.a);
    assert_int_equal(mail_deposit_write(d, STR("Subject: x\r\n\r\nHello\r\n")), 0);
    struct mail_recipient to[2] = { { .account = f.id, .address = STR("a@x") },
                                    { .account = fixture_part(77), .address = STR("b@x") } };
    assert_int_equal(mail_deliver(f.s, d, to, 2, NULL), ERR_REFUSED);
    assert_int_equal(to[0].result, ERR_REFUSED);
    assert_int_equal(to[1].result, 0);
    to[0].beyond_quota = true;
    assert_int_equal(mail_deliver(f.s, d, to, 1, NULL), 0);
    to[0].beyond_quota = false;
    assert_int_equal(mail_account_set_quota(f.a, 0, 0), 0);
    assert_int_equal(mail_deliver(f.s, d, to, 1, NULL), 0);
    mail_deposit_free(d);
    mail_account_unref(other);
    fixture_close(&f);
}

/* Room is what the quota leaves, in bytes and in messages; what can never fit is told apart from what does not fit now. */
static void room_is_told_before_a_delivery(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(mail_account_room(f.s, f.id, UINT32_MAX), 0);
    assert_int_equal(mail_account_room(f.s, fixture_part(99), 1), ERR_NOTFOUND);
    assert_int_equal(mail_account_set_quota(f.a, 1000, 2), 0);
    assert_int_equal(mail_account_room(f.s, f.id, 1000), 0);
    assert_int_equal(mail_account_room(f.s, f.id, 1001), ERR_LIMIT);
    assert_int_equal(fixture_try_append(f.s, f.a, "INBOX", "one", 0, NULL), 0);
    assert_int_equal(mail_account_room(f.s, f.id, 1000), ERR_REFUSED);
    assert_int_equal(mail_account_room(f.s, f.id, 0), 0);
    assert_int_equal(fixture_try_append(f.s, f.a, "INBOX", "two", 0, NULL), 0);
    assert_int_equal(mail_account_room(f.s, f.id, 0), ERR_REFUSED);
    fixture_close(&f);
}

/* A header without limits is what it was before there were any; a version that is not known is refused. */
static void headers_of_both_versions_are_read(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(256);
    struct header_record h = { .modseq = 300, .floor = 2, .next_email = 4, .next_mailbox = 5, .last_uidvalidity = 6 }, back;
    header_encode(&b, &h);
    assert_int_equal(b.p[0], 1);
    assert_int_equal(header_decode(buf_str(&b), &back), 0);
    assert_true(back.modseq == 300 && back.quota_bytes == 0 && back.quota_messages == 0);
    h.quota_messages = 1000;
    header_encode(&b, &h);
    assert_int_equal(b.p[0], 2);
    assert_int_equal(header_decode(buf_str(&b), &back), 0);
    assert_true(back.last_uidvalidity == 6 && back.quota_bytes == 0 && back.quota_messages == 1000);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(header_decode((str){ b.p, n }, &back), ERR_CORRUPT);
    b.p[0] = 3;
    assert_int_equal(header_decode(buf_str(&b), &back), ERR_CORRUPT);
    buf_done(&b);
}

static void deleted_messages_are_counted(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t n = 9;
    uint64_t bytes = 9;
    fixture_open(&f);
    assert_int_equal(mailbox_count_deleted(f.a, STR("nowhere"), &n, &bytes), ERR_NOTFOUND);
    assert_int_equal(mailbox_count_deleted(f.a, STR("INBOX"), &n, &bytes), 0);
    assert_true(n == 0 && bytes == 0);
    fixture_append(&f, "INBOX", "one", MAIL_DELETED);
    fixture_append(&f, "INBOX", "two", MAIL_SEEN);
    assert_int_equal(mailbox_count_deleted(f.a, STR("INBOX"), &n, &bytes), 0);
    assert_int_equal(n, 1);
    struct mail_quota q;
    assert_int_equal(mail_account_quota(f.a, &q), 0);
    assert_true(bytes * 2 == q.bytes);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_last_and_count_what_is_there), cmocka_unit_test(nothing_is_added_above_a_limit),
        cmocka_unit_test(a_delivery_tells_who_is_full),        cmocka_unit_test(room_is_told_before_a_delivery),
        cmocka_unit_test(headers_of_both_versions_are_read),   cmocka_unit_test(deleted_messages_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
