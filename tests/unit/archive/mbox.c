/* mbox: what is written is read back; what other programs write is understood. */
#include "../check.h"

#include "archive/lines.h"
#include "archive/mbox.h"

enum { MAX = 1 << 20 };

static void test_line_ends(void **state)
{
    (void)state;
    static const struct {
        str crlf, lf;
    } rows[] = {
        { STR_INIT(""), STR_INIT("") },
        { STR_INIT("a"), STR_INIT("a") },
        { STR_INIT("a\r\n"), STR_INIT("a\n") },
        { STR_INIT("\r\n\r\nb"), STR_INIT("\n\nb") },
        { STR_INIT("a\r\r\nb\r\n"), STR_INIT("a\r\r\nb\n") },
        { STR_INIT("a\rb\r"), STR_INIT("a\rb\r") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf lf = BUF_INIT(MAX), crlf = BUF_INIT(MAX);
        str from = check_copy(rows[i].crlf);
        archive_to_lf(&lf, from);
        assert_true(str_eq(buf_str(&lf), rows[i].lf));
        str back = check_copy(rows[i].lf);
        archive_to_crlf(&crlf, back);
        assert_true(str_eq(buf_str(&crlf), rows[i].crlf));
        check_free(from);
        check_free(back);
        buf_done(&lf);
        buf_done(&crlf);
    }
}

static const str keyword_names[] = { STR_INIT("$Forwarded"), STR_INIT("later") };
static const struct {
    str message;
    struct mail_flags flags;
    int64_t received;
} letters[] = {
    { STR_INIT("Subject: a\r\n\r\nbody\r\n"),
      { .system = MAIL_SEEN | MAIL_ANSWERED, .keywords = keyword_names, .keyword_n = 2 },
      1700000000 },
    { STR_INIT("Subject: quoted\r\n\r\nFrom here on\r\n>From there\r\n>>From far\r\n> From no\r\n\r\n"), { .system = 0 }, 0 },
    { STR_INIT("Status: mine\r\nX-Status: too\r\nSubject: b\r\n\r\nx\r\n"),
      { .system = MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT },
      951782400 },
    { STR_INIT(""), { .system = MAIL_SEEN }, 1 },
    { STR_INIT("\r\n\r\n\r\n"), { .system = 0 }, 2 },
};

static void test_round_trip(void **state)
{
    (void)state;
    struct buf file = BUF_INIT(MAX);
    size_t n = sizeof letters / sizeof letters[0], i;
    for (i = 0; i < n; i++)
        mbox_add(&file, letters[i].message, &letters[i].flags, letters[i].received);
    str copy = check_copy(buf_str(&file)), rest = copy;
    struct mbox_message m;
    for (i = 0; mbox_next(&rest, &m); i++) {
        struct arena a = ARENA_INIT(MAX);
        struct buf out = BUF_INIT(MAX);
        struct mail_flags flags;
        assert_true(i < n);
        assert_int_equal(m.received, letters[i].received);
        assert_int_equal(mbox_decode(m.text, &out, &a, &flags), 0);
        if (!str_eq(buf_str(&out), letters[i].message))
            fail_msg("letter %zu came back as '%.*s'", i, STR_ARG(buf_str(&out)));
        assert_int_equal(flags.system, letters[i].flags.system);
        assert_int_equal(flags.keyword_n, letters[i].flags.keyword_n);
        for (size_t k = 0; k < flags.keyword_n; k++)
            assert_true(str_eq(flags.keywords[k], letters[i].flags.keywords[k]));
        buf_done(&out);
        arena_done(&a);
    }
    assert_int_equal(i, n);
    assert_int_equal(rest.n, 0);
    check_free(copy);
    buf_done(&file);
}

static void test_lines_that_begin_a_message(void **state)
{
    (void)state;
    static const struct {
        str line;
        int64_t received;
    } rows[] = {
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 2023\n"), 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 22:13:20 2023\r\n"), 1700000000 },
        { STR_INIT("From - Tue Nov 14 22:13:20 2023"), 1700000000 },
        { STR_INIT("From a@example.org  Tue Nov 14 22:13 2023\n"), 1699999980 },
        { STR_INIT("From a@example.org Tue Nov 14 23:13:20 2023 +0100\n"), 1700000000 },
        { STR_INIT("From a@example.org Tue Nov 14 17:13:20 -0500 2023\n"), 1700000000 },
        { STR_INIT("From a@example.org Sat Jan  1 00:00:00 2000\n"), 946684800 },
        { STR_INIT("From \"a b\"@example.org Tue Nov 14 22:13:20 2023 remote from x\n"), 1700000000 },
        { STR_INIT("From here on it is downhill\n"), INT64_MIN },
        { STR_INIT("From a Tue Nov 31 22:13:20 2023\n"), INT64_MIN },
        { STR_INIT("From a Tue Nov 14 25:13:20 2023\n"), INT64_MIN },
        { STR_INIT("From: a Tue Nov 14 22:13:20 2023\n"), INT64_MIN },
        { STR_INIT(">From a Tue Nov 14 22:13:20 2023\n"), INT64_MIN },
        { STR_INIT("From"), INT64_MIN },
        { STR_INIT(""), INT64_MIN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str copy = check_copy(rows[i].line), rest = copy;
        struct mbox_message m = { .received = INT64_MIN };
        bool is = mbox_next(&rest, &m);
        if (is != (rows[i].received != INT64_MIN) || m.received != rows[i].received)
            fail_msg("'%.*s' gave %d, %lld", STR_ARG(rows[i].line), is, (long long)m.received);
        check_free(copy);
    }
}

/* Fields anywhere in the header, CRLF, no empty line before a From that is none. */
static void test_files_of_others(void **state)
{
    (void)state;
    str file = check_copy(STR("From a@b Tue Nov 14 22:13:20 2023\r\nSubject: x\r\nX-Keywords: work\r\n   \r\nStatus: "
                              "RO\r\nX-Status: AF\r\nTo: y\r\n\r\n"
                              "Status: of the body\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n\r\nFrom now on\r\n\r\n"
                              "From c@d Tue Nov 14 22:13:21 2023\r\nSubject: z\r\n\r\nlast"));
    str rest = file;
    struct arena a = ARENA_INIT(MAX);
    struct buf out = BUF_INIT(MAX);
    struct mbox_message m;
    struct mail_flags flags;
    assert_true(mbox_next(&rest, &m));
    assert_int_equal(mbox_decode(m.text, &out, &a, &flags), 0);
    check_str(buf_str(&out),
              "Subject: x\r\nTo: y\r\n\r\nStatus: of the body\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n\r\nFrom now on\r\n");
    assert_int_equal(flags.system, MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED);
    assert_int_equal(flags.keyword_n, 1);
    check_str(flags.keywords[0], "work");
    buf_reset(&out);
    assert_true(mbox_next(&rest, &m));
    assert_int_equal(m.received, 1700000001);
    assert_int_equal(mbox_decode(m.text, &out, &a, &flags), 0);
    check_str(buf_str(&out), "Subject: z\r\n\r\nlast");
    assert_false(mbox_next(&rest, &m));
    buf_done(&out);
    arena_done(&a);
    check_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_line_ends), cmocka_unit_test(test_round_trip),
                                        cmocka_unit_test(test_lines_that_begin_a_message),
                                        cmocka_unit_test(test_files_of_others) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
