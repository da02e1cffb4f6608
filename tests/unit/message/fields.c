/* fields: what is kept of a header, what it is kept as, and what is left out. */
#include "message/fields.h"

#include "message/header.h"
#include "support.h"

static struct buf record;

static struct message_fields kept(const char *prefix, const char *header)
{
    struct message_fields f;
    buf_reset(&record);
    message_fields_write(str_from_z(prefix), str_from_z(header), &record);
    assert_int_equal(message_fields_open(buf_str(&record), &f), 0);
    return f;
}

/* All of F joined, in B. */
static void join(const struct message_fields *f, struct buf *b)
{
    struct message_fields_item item;
    for (size_t at = 0; message_fields_next(f, &at, &item);) {
        struct message_header_field field;
        size_t from = 0;
        assert_true(message_header_next(item.raw, &from, &field));
        assert_true(item.bit && item.bit == message_fields_bit(field.name));
        assert_true(str_eq(message_fields_value(item.raw), field.value));
        buf_add(b, item.raw);
    }
}

static void assert_kept(const char *prefix, const char *header, const char *want, bool blank)
{
    struct message_fields f = kept(prefix, header);
    struct buf b = BUF_INIT(65536);
    join(&f, &b);
    if (!str_eq(buf_str(&b), str_from_z(want)))
        fail_msg("kept \"%.*s\" of \"%s\"", STR_ARG(buf_str(&b)), header);
    assert_int_equal(f.blank, blank);
    buf_done(&b);
}

static void test_fields_stand_as_they_did(void **state)
{
    (void)state;
    assert_kept("", "Received: x\r\nSubject: a\r\n b\r\nsubject :c\r\nX-Mine: 1\r\nTO:\r\n\r\nSubject: body\r\n",
                "Subject: a\r\n b\r\nsubject :c\r\nTO:\r\n", true);
    assert_kept("", "Subject: no end", "Subject: no end", false);
    assert_kept("", "Date: x\nnonsense\n\tCc: y\nCc: z\n\n", "Date: x\nCc: z\n", true);
    assert_kept("Return-Path: <>\r\nX-A: b\r\n", "From: a\r\n\r\n", "Return-Path: <>\r\nFrom: a\r\n", true);
    assert_kept("", "", "", false);
}

static void test_names_are_known_in_any_case(void **state)
{
    (void)state;
    struct message_fields f = kept("", "From: a\r\n\r\n");
    assert_true(message_fields_bit(STR("MESSAGE-ID")) &&
                message_fields_bit(STR("Message-ID")) == message_fields_bit(STR("message-id")));
    assert_false(message_fields_bit(STR("")) || message_fields_bit(STR("received")) || message_fields_bit(STR("subjec")));
    assert_true(f.known & message_fields_bit(STR("cc"))); /* it is known to be absent */
}

static void test_a_line_that_continues_the_prefix_is_for_the_message(void **state)
{
    (void)state;
    struct message_fields f = kept("Delivered-To: a\r\n", " b\r\nSubject: c\r\n\r\n");
    assert_int_equal(f.known, 0);
    f = kept("", " b\r\nSubject: c\r\n\r\n");
    assert_true(f.known & message_fields_bit(STR("subject")));
}

static void test_the_largest_names_are_left_out(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    buf_add(&b, STR("Subject: small\r\nTo: a"));
    for (int i = 0; i < 300; i++)
        buf_add(&b, STR(",\r\n b@example.org"));
    buf_add(&b, STR("\r\nCc: c\r\n\r\n"));
    buf_add_byte(&b, 0);
    struct message_fields f = kept("", b.p);
    assert_true(f.known & message_fields_bit(STR("subject")) && f.known & message_fields_bit(STR("cc")));
    assert_false(f.known & message_fields_bit(STR("to")));
    assert_kept("", b.p, "Subject: small\r\nCc: c\r\n", true);
    buf_reset(&b);
    while (b.n < MESSAGE_FIELDS_HEADER_MAX)
        buf_add(&b, STR("X: y\r\n"));
    buf_reset(&record);
    message_fields_write((str){ NULL, 0 }, buf_str(&b), &record);
    assert_int_equal(record.n, 0);
    buf_done(&b);
}

static void test_many_short_fields_stay_within_the_record(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    for (int i = 0; i < 400; i++) {
        buf_add(&b, STR("To:\n"));
        buf_reset(&record);
        message_fields_write((str){ NULL, 0 }, buf_str(&b), &record);
        assert_true(record.n <= MESSAGE_FIELDS_BYTES_MAX);
    }
    buf_done(&b);
}

static void test_damage_is_told_or_ends_the_list(void **state)
{
    (void)state;
    struct message_fields f;
    struct message_fields_item item;
    assert_int_equal(message_fields_open(STR("\x00\x00\x00"), &f), ERR_CORRUPT);
    assert_int_equal(message_fields_open(STR("\x05\x02\x00"), &f), ERR_CORRUPT);
    assert_int_equal(message_fields_open(STR("\x41\x00\x00"), &f), ERR_CORRUPT);
    assert_int_equal(message_fields_open(STR("\x05\x00"), &f), ERR_CORRUPT);
    static const str lists[] = { STR_INIT("\x05\x00\x00\x01"),      STR_INIT("\x05\x00\x00\x01\x05"),
                                 STR_INIT("\x05\x00\x00\x01\x05z"), STR_INIT("\x05\x00\x00\x01\x80\x80\x01"),
                                 STR_INIT("\x05\x00\x00\x41\x01z"), STR_INIT("\x05\x00\x00\x01\x00z") };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t at = 0;
        assert_int_equal(message_fields_open(lists[i], &f), 0);
        assert_false(message_fields_next(&f, &at, &item));
    }
}

/* Programs and stores of different ages: a name that the writer did not know is not answered for. */
static void test_a_record_of_fewer_names_does_not_speak_for_the_others(void **state)
{
    (void)state;
    struct message_fields f;
    assert_int_equal(message_fields_open(STR("\x03\x01\x02"), &f), 0);
    assert_int_equal(f.known, 5);
    assert_true(f.blank);
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&record);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_stand_as_they_did),
        cmocka_unit_test(test_names_are_known_in_any_case),
        cmocka_unit_test(test_a_line_that_continues_the_prefix_is_for_the_message),
        cmocka_unit_test(test_the_largest_names_are_left_out),
        cmocka_unit_test(test_many_short_fields_stay_within_the_record),
        cmocka_unit_test(test_damage_is_told_or_ends_the_list),
        cmocka_unit_test(test_a_record_of_fewer_names_does_not_speak_for_the_others),
    };
    buf_init(&record, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
