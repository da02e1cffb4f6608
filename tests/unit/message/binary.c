/* Bodies that are no lines, made into lines: what changes, what stays byte for byte, what is refused. */
#include "../check.h"
#include "message/binary.h"
#include "message/encoding.h"

#define TOP   "MIME-Version: 1.0\r\nSubject: x\r\n"
#define MIXED TOP "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void put(void *ctx, str bytes)
{
    buf_add(ctx, bytes);
}

static int encode(str message, enum message_text kind, struct buf *out)
{
    struct buf bytes = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    const struct structure *s;
    assert_int_equal(message_parse(message, &message_limits_default, &bytes), 0);
    assert_int_equal(structure_open(buf_str(&bytes), message.n, &a, &s), 0);
    int r = message_binary_encode(message, s, kind, put, out);
    arena_done(&a);
    buf_done(&bytes);
    return r;
}

struct row {
    str in, out;
};

static void bodies_that_are_no_lines_are_encoded(void **state)
{
    static const struct row rows[] = {
        /* the only part, whatever its type; MIME-Version where it is missing */
        { STR_INIT("Subject: x\r\n\r\na\0b"),
          STR_INIT("Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n") },
        { STR_INIT(TOP "Content-Transfer-Encoding: binary\r\nX: y\r\n\r\na\nb"),
          STR_INIT(TOP "X: y\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpi\r\n") },
        { STR_INIT(TOP "\r\na\r"), STR_INIT(TOP "Content-Transfer-Encoding: base64\r\n\r\nYQ0=\r\n") },
        /* one of several; the others and all around them stay */
        { STR_INIT(MIXED "before\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: image/png\r\n\r\n\0\r\n--b\r\nA: "
                         "\r\n\r\nend\r\n--b--\r\nafter\r\n"),
          STR_INIT(MIXED "before\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: "
                         "base64\r\n\r\nAA==\r\n\r\n"
                         "--b\r\nA: \r\n\r\nend\r\n--b--\r\nafter\r\n") },
        /* a part without a header gets one */
        { STR_INIT(MIXED "--b\r\n\r\n\r\r\n--b--\r\n"),
          STR_INIT(MIXED "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nDQ==\r\n\r\n--b--\r\n") },
        /* a part of a message in the message */
        { STR_INIT(TOP "Content-Type: message/rfc822\r\n\r\nFrom: a@x\r\n\r\n\0"),
          STR_INIT(TOP "Content-Type: message/rfc822\r\n\r\nFrom: a@x\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n") },
        /* lines stay, in whatever bytes */
        { STR_INIT(TOP "\r\n\xff\x01\r\n.\r\nlast"), STR_INIT(TOP "\r\n\xff\x01\r\n.\r\nlast") },
        { STR_INIT(""), STR_INIT("") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(1 << 20);
        str in = check_copy(rows[i].in);
        assert_int_equal(encode(in, MESSAGE_TEXT_LINES, &out), 0);
        if (!str_eq(buf_str(&out), rows[i].out))
            fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&out)));
        assert_true(message_text_is(buf_str(&out), MESSAGE_TEXT_LINES));
        buf_done(&out);
        check_free(in);
    }
}

/* For IMAP's sake only NUL has to go. */
static void without_nul_bare_line_ends_stay(void **state)
{
    static const struct row rows[] = {
        { STR_INIT(TOP "\r\na\nb\r"), STR_INIT(TOP "\r\na\nb\r") },
        { STR_INIT(MIXED "--b\n\na\nb\n--b\n\n\0\n--b--\n"),
          STR_INIT(MIXED "--b\n\na\nb\n--b\nContent-Transfer-Encoding: base64\r\n\nAA==\r\n\n--b--\n") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(1 << 20);
        assert_int_equal(encode(rows[i].in, MESSAGE_TEXT_NO_NUL, &out), 0);
        if (!str_eq(buf_str(&out), rows[i].out))
            fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

static void what_cannot_be_encoded_is_refused(void **state)
{
    static const struct {
        str in;
        int result;
    } rows[] = {
        { STR_INIT("Subject: \0\r\n\r\nx"), ERR_SYNTAX },
        { STR_INIT("Subject: a\rb\r\n\r\n\0"), ERR_SYNTAX },
        { STR_INIT(MIXED "\0\r\n--b\r\n\r\nx\r\n--b--\r\n"), ERR_SYNTAX },
        { STR_INIT(MIXED "--b\r\n\r\nx\r\n--b--\r\n\0"), ERR_SYNTAX },
        { STR_INIT(MIXED "--b\r\nA: \0\r\n\r\nx\r\n--b--\r\n"), ERR_SYNTAX },
        { STR_INIT(MIXED "--b\r\nA: \n\r\n\0\r\n--b--\r\n"), ERR_SYNTAX },
        /* a delimiter after a bare LF: nobody agrees whether it is one */
        { STR_INIT(MIXED "--b\r\n\r\nx\n--b\r\n\r\ny\r\n--b--\r\n"), ERR_SYNTAX },
        { STR_INIT(TOP "Content-Transfer-Encoding: base64\r\n\r\nYQ==\0"), ERR_SYNTAX },
        { STR_INIT(TOP "Content-Transfer-Encoding: x-mine\r\n\r\n\0"), ERR_SYNTAX },
        { STR_INIT(MIXED "no part\0"), ERR_SYNTAX },
        { STR_INIT(TOP "Content-Type: message/partial\r\n\r\n\0"), ERR_SYNTAX },
        { STR_INIT(TOP "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: "
                       "image/png\r\n\r\n\0\r\n--b\r\n\r\ns\r\n--b--\r\n"),
          ERR_REFUSED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(1 << 20);
        int r = encode(rows[i].in, MESSAGE_TEXT_LINES, &out);
        if (r != rows[i].result)
            fail_msg("row %zu: %d", i, r);
        buf_done(&out);
    }
}

/* Past the limits of the parser nobody knows where a body ends: lines pass, others are refused. */
static void a_structure_that_was_cut_is_not_encoded(void **state)
{
    struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    buf_add(&in, STR(MIXED));
    for (size_t i = 0; i < message_limits_default.parts_max + 10; i++)
        buf_add(&in, STR("--b\r\n\r\nx\r\n"));
    assert_int_equal(encode(buf_str(&in), MESSAGE_TEXT_LINES, &out), 0);
    assert_true(str_eq(buf_str(&in), buf_str(&out)));
    buf_add_byte(&in, '\0');
    assert_int_equal(encode(buf_str(&in), MESSAGE_TEXT_LINES, &out), ERR_SYNTAX);
    buf_done(&in);
    buf_done(&out);
}

/* RFC 6152 section 2 with RFC 5321 section 4.5.3.1.6: 998 bytes and CR LF. */
static void a_line_too_long_is_no_line(void **state)
{
    static char line[1001];
    memset(line, 'x', sizeof line);
    memcpy(line + 998, "\r\n", 2);
    assert_true(message_text_is((str){ line, 1000 }, MESSAGE_TEXT_LINES));
    assert_true(message_text_is((str){ line, 998 }, MESSAGE_TEXT_LINES));
    memcpy(line + 998, "x\r\n", 3);
    assert_false(message_text_is((str){ line, 1001 }, MESSAGE_TEXT_LINES));
    assert_true(message_text_is((str){ line, 1001 }, MESSAGE_TEXT_NO_NUL));
}

/* Every byte comes back, also where pieces of the encoder meet. */
static void large_bodies_come_back(void **state)
{
    struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    buf_add(&in, STR(TOP "\r\n"));
    size_t header_n = in.n;
    for (size_t i = 0; i < 100001; i++)
        buf_add_byte(&in, (char)(i * 7));
    assert_int_equal(encode(buf_str(&in), MESSAGE_TEXT_LINES, &out), 0);
    size_t body = str_find(buf_str(&out), STR("\r\n\r\n")) + 4;
    assert_int_equal(message_decode(MESSAGE_ENCODING_BASE64, str_from(buf_str(&out), body), &back), 0);
    assert_true(str_eq(buf_str(&back), str_from(buf_str(&in), header_n)));
    assert_true(message_text_is(buf_str(&out), MESSAGE_TEXT_LINES));
    buf_done(&in);
    buf_done(&out);
    buf_done(&back);
}

/* What imports keep: no NUL is left, whatever the message is, and one without is not touched. */
static void nuls_are_repaired(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { STR_INIT("Subject: x\r\n\r\na\0b"),
          STR_INIT("Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n") },
        { STR_INIT("Subject: a\0b\r\n\r\nx"), STR_INIT("Subject: a?b\r\n\r\nx") },
        { STR_INIT("Subject: a\r\n\0"), STR_INIT("Subject: a\r\n?") },
        { STR_INIT(TOP "Content-Transfer-Encoding: base64\r\n\r\nYQ=\0="),
          STR_INIT(TOP "Content-Transfer-Encoding: base64\r\n\r\nYQ=?=") },
        { STR_INIT(TOP "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\0\0\r\n--b--\r\n"),
          STR_INIT(TOP "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n??\r\n--b--\r\n") },
        { STR_INIT("\0"), STR_INIT("?") },
        { STR_INIT(TOP "\r\nbody\n"), STR_INIT(TOP "\r\nbody\n") },
        { STR_INIT(""), STR_INIT("") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
        struct arena a = ARENA_INIT(1 << 20);
        const struct structure *s;
        str in = check_copy(rows[i].in);
        assert_int_equal(message_parse(in, &message_limits_default, &bytes), 0);
        assert_int_equal(structure_open(buf_str(&bytes), in.n, &a, &s), 0);
        message_nul_repair(in, s, put, &out);
        if (!str_eq(buf_str(&out), rows[i].out))
            fail_msg("row %zu gave '%.*s'", i, STR_ARG(buf_str(&out)));
        check_free(in);
        buf_done(&out);
        buf_done(&bytes);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nuls_are_repaired),
        cmocka_unit_test(bodies_that_are_no_lines_are_encoded),
        cmocka_unit_test(without_nul_bare_line_ends_stay),
        cmocka_unit_test(what_cannot_be_encoded_is_refused),
        cmocka_unit_test(a_line_too_long_is_no_line),
        cmocka_unit_test(large_bodies_come_back),
        cmocka_unit_test(a_structure_that_was_cut_is_not_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
