/* Transfer encodings: decoding at every split point, encoding and back. */
#include "support.h"

#include "message/encoding.h"

#define B64 MESSAGE_ENCODING_BASE64
#define QP  MESSAGE_ENCODING_QUOTED_PRINTABLE

static bool decode_split(enum message_encoding encoding, str in, size_t split, struct buf *out)
{
    str head = exact(str_sub(in, 0, split)), tail = exact(str_from(in, split));
    struct message_decoder d;
    message_decoder_init(&d, encoding);
    assert_int_equal(message_decoder_feed(&d, head, out), 0);
    assert_int_equal(message_decoder_feed(&d, tail, out), 0);
    assert_int_equal(message_decoder_end(&d, out), 0);
    free_exact(head);
    free_exact(tail);
    return d.defect;
}

static bool decode_bytewise(enum message_encoding encoding, str in, struct buf *out)
{
    struct message_decoder d;
    message_decoder_init(&d, encoding);
    for (size_t i = 0; i < in.n; i++)
        assert_int_equal(message_decoder_feed(&d, str_sub(in, i, 1), out), 0);
    assert_int_equal(message_decoder_end(&d, out), 0);
    return d.defect;
}

static void decoding(void **state)
{
    static const struct {
        enum message_encoding encoding;
        str in, out;
        bool defect;
    } cases[] = {
        { B64, STR_INIT(""), STR_INIT(""), false },
        { B64, STR_INIT("SGVsbG8="), STR_INIT("Hello"), false },
        { B64, STR_INIT("SGVs\r\nbG8=\r\n"), STR_INIT("Hello"), false },
        { B64, STR_INIT("S G\tV\ns\rbG8 ="), STR_INIT("Hello"), false },
        { B64, STR_INIT("SGVsbG8h"), STR_INIT("Hello!"), false },
        { B64, STR_INIT("SGVsbG8"), STR_INIT("Hello"), true },
        { B64, STR_INIT("SGVsbA=="), STR_INIT("Hell"), false },
        { B64, STR_INIT("SGVsbA="), STR_INIT("Hell"), false },
        { B64, STR_INIT("SGVsbA"), STR_INIT("Hell"), true },
        { B64, STR_INIT("SGVsb"), STR_INIT("Hel"), true },
        { B64,
          STR_INIT("SG!Vs\x80"
                   "bG8="),
          STR_INIT("Hello"), true },
        { B64, STR_INIT("SGk=SGk="), STR_INIT("HiHi"), true },
        { B64, STR_INIT("SGk=\r\nSGk=\r\n"), STR_INIT("HiHi"), true },
        { B64, STR_INIT("===="), STR_INIT(""), true },
        { B64, STR_INIT("AAEC/+8="), STR_INIT("\0\1\2\xff\xef"), false },
        { QP, STR_INIT(""), STR_INIT(""), false },
        { QP, STR_INIT("a=20b"), STR_INIT("a b"), false },
        { QP, STR_INIT("a=C3=bc"), STR_INIT("a\xc3\xbc"), false },
        { QP, STR_INIT("a=\r\nb"), STR_INIT("ab"), false },
        { QP, STR_INIT("a=\nb"), STR_INIT("ab"), false },
        { QP, STR_INIT("a= \t\r\nb"), STR_INIT("ab"), false },
        { QP, STR_INIT("a= \nb"), STR_INIT("ab"), false },
        { QP, STR_INIT("a \t\r\nb"), STR_INIT("a\r\nb"), false },
        { QP, STR_INIT("a b"), STR_INIT("a b"), false },
        { QP, STR_INIT("a  "), STR_INIT("a"), false },
        { QP, STR_INIT("a="), STR_INIT("a"), false },
        { QP, STR_INIT("a= "), STR_INIT("a"), false },
        { QP, STR_INIT("a=4"), STR_INIT("a=4"), true },
        { QP, STR_INIT("a=4g"), STR_INIT("a=4g"), true },
        { QP, STR_INIT("a=4=41"), STR_INIT("a=4A"), true },
        { QP, STR_INIT("a=4\nb"), STR_INIT("a=4\nb"), true },
        { QP, STR_INIT("a=gg"), STR_INIT("a=gg"), true },
        { QP, STR_INIT("a==41"), STR_INIT("a=A"), true },
        { QP, STR_INIT("a= b"), STR_INIT("a= b"), true },
        { QP, STR_INIT("a=\rb"), STR_INIT("a=\rb"), true },
        { QP, STR_INIT("a=\r\rb"), STR_INIT("a=\r\rb"), true },
        { QP, STR_INIT("a=00\xff"), STR_INIT("a\0\xff"), false },
        { MESSAGE_ENCODING_IDENTITY, STR_INIT("a=41\0"), STR_INIT("a=41\0"), false },
        { MESSAGE_ENCODING_UNKNOWN, STR_INIT("a=41"), STR_INIT("a=41"), false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t split = 0; split <= cases[i].in.n; split++) {
            struct buf out = BUF_INIT(cases[i].out.n); /* exactly enough */
            bool defect = decode_split(cases[i].encoding, cases[i].in, split, &out);
            assert_str(buf_str(&out), cases[i].out);
            assert_int_equal(defect, cases[i].defect);
            buf_done(&out);
        }
        struct buf out = BUF_INIT(cases[i].out.n);
        assert_int_equal(decode_bytewise(cases[i].encoding, cases[i].in, &out), cases[i].defect);
        assert_str(buf_str(&out), cases[i].out);
        buf_done(&out);
    }
}

static void long_white_space_is_split_independent(void **state)
{
    struct buf in = BUF_INIT(4096);
    buf_add(&in, STR("a"));
    for (int i = 0; i < 300; i++)
        buf_add_byte(&in, i % 3 ? ' ' : '\t');
    buf_add(&in, STR("\r\n="));
    for (int i = 0; i < 300; i++)
        buf_add_byte(&in, ' ');
    buf_add(&in, STR("\r\nb"));
    struct buf whole = BUF_INIT(4096);
    (void)decode_split(QP, buf_str(&in), 0, &whole);
    for (size_t split = 1; split <= in.n; split++) {
        struct buf out = BUF_INIT(4096);
        (void)decode_split(QP, buf_str(&in), split, &out);
        assert_str(buf_str(&out), buf_str(&whole));
        buf_done(&out);
    }
    buf_done(&in);
    buf_done(&whole);
}

static void full_output_is_an_error(void **state)
{
    struct buf out = BUF_INIT(4);
    assert_int_equal(message_decode(B64, STR("SGVsbG8="), &out), ERR_LIMIT);
    buf_done(&out);
    assert_int_equal(message_decode(QP, STR("Hello"), &out), ERR_LIMIT);
    buf_done(&out);
    assert_int_equal(message_decode(MESSAGE_ENCODING_IDENTITY, STR("Hello"), &out), ERR_LIMIT);
    buf_done(&out);
}

static void encoding_quoted_printable(void **state)
{
    static const struct {
        str in;
        const char *out;
        bool text;
    } cases[] = {
        { STR_INIT(""), "", true },
        { STR_INIT("a=b"), "a=3Db", true },
        { STR_INIT("a \r\nb\t"), "a=20\r\nb=09", true },
        { STR_INIT("a\nb"), "a\r\nb", true },
        { STR_INIT("a\nb\r"), "a=0Ab=0D", false },
        { STR_INIT("\xc3\xbc"), "=C3=BC", true },
        { STR_INIT("From me\r\n.\r\n.x"), "=46rom me\r\n=2E\r\n.x", true },
        { STR_INIT("a\rb"), "a=0Db", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(cases[i].in);
        struct buf out = BUF_INIT(1000);
        message_quoted_printable_encode(&out, in, cases[i].text);
        assert_strz(buf_str(&out), cases[i].out);
        buf_done(&out);
        free_exact(in);
    }
}

static void longest_line_is_76(str s)
{
    while (s.n) {
        size_t end = str_find(s, STR("\r\n"));
        assert_true(end <= 76);
        s = str_from(s, end + 2);
    }
}

static void there_and_back(void **state)
{
    struct buf in = BUF_INIT(4096);
    for (unsigned n = 0; n < 600; n++) {
        for (int kind = 0; kind < 3; kind++) {
            struct buf coded = BUF_INIT(8192), out = BUF_INIT(4096);
            if (kind == 0)
                message_base64_encode(&coded, buf_str(&in));
            else
                message_quoted_printable_encode(&coded, buf_str(&in), kind == 1 && !memchr(in.p ? in.p : "", '\n', in.n));
            longest_line_is_76(buf_str(&coded));
            assert_int_equal(message_decode(kind == 0 ? B64 : QP, buf_str(&coded), &out), 0);
            assert_str(buf_str(&out), buf_str(&in));
            buf_done(&coded);
            buf_done(&out);
        }
        buf_add_byte(&in, (char)(n * 7 + n / 256));
    }
    buf_done(&in);
}

static void names(void **state)
{
    assert_int_equal(message_encoding_from_name(STR("")), MESSAGE_ENCODING_IDENTITY);
    assert_int_equal(message_encoding_from_name(STR("8BIT")), MESSAGE_ENCODING_IDENTITY);
    assert_int_equal(message_encoding_from_name(STR("Base64")), B64);
    assert_int_equal(message_encoding_from_name(STR("quoted-printable")), QP);
    assert_int_equal(message_encoding_from_name(STR("x-uuencode")), MESSAGE_ENCODING_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding),
        cmocka_unit_test(long_white_space_is_split_independent),
        cmocka_unit_test(full_output_is_an_error),
        cmocka_unit_test(encoding_quoted_printable),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
