/* Charsets and encoded words. */
#include "support.h"

#include "base/utf8.h"
#include "message/charset.h"
#include "message/encoded_word.h"

/* However the text is cut, the same comes out. */
static void in_pieces(str charset, str in, str expected)
{
    for (size_t size = 1; size <= in.n + 1; size++) {
        struct message_charset_reader *r = message_charset_reader_new(charset);
        struct buf out = BUF_INIT(1 << 16);
        for (size_t at = 0; at < in.n; at += size) {
            str piece = exact(str_sub(in, at, size));
            assert_int_equal(message_charset_reader_feed(r, piece, false, &out), 0);
            free_exact(piece);
        }
        assert_int_equal(message_charset_reader_feed(r, STR(""), true, &out), 0);
        assert_str(buf_str(&out), expected);
        buf_done(&out);
        message_charset_reader_free(r);
    }
}

static void pieces(void **state)
{
    in_pieces(
        STR("utf-8"), STR("\xe2\xc3\xa4\xf0\x9f\x98\x80\xf0\x9f\x98z\xff\xe2\x82"),
        STR("\xef\xbf\xbd\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
    (void)state;
}

static void charsets(void **state)
{
    static const struct {
        const char *charset;
        str in, out;
        int result;
    } cases[] = {
        { "utf-8", STR_INIT("a\xc3\xbc"), STR_INIT("a\xc3\xbc"), 0 },
        { "UTF8", STR_INIT("a\xc3\xbc"), STR_INIT("a\xc3\xbc"), 0 },
        { "utf-8", STR_INIT("a\xc3"), STR_INIT("a\xef\xbf\xbd"), 0 },
        { "utf-8",
          STR_INIT("\xff"
                   "a"),
          STR_INIT("\xef\xbf\xbd"
                   "a"),
          0 },
        { "us-ascii", STR_INIT("a\xe4"), STR_INIT("a\xef\xbf\xbd"), 0 },
        { "iso-8859-1", STR_INIT("a\xe4"), STR_INIT("a\xc3\xa4"), 0 },
        { "ISO-8859-1", STR_INIT("\x80"), STR_INIT("\xe2\x82\xac"), 0 },
        { "iso-8859-15", STR_INIT("\xa4"), STR_INIT("\xe2\x82\xac"), 0 },
        { "windows-1252", STR_INIT("\x81x"), STR_INIT("\xc2\x81x"), 0 },
        { "iso-2022-jp", STR_INIT("\033$B$\"\033(B"), STR_INIT("\xe3\x81\x82"), 0 },
        { "shift_jis", STR_INIT("\x82\xa0"), STR_INIT("\xe3\x81\x82"), 0 },
        { "gb2312", STR_INIT("\xc4\xe3"), STR_INIT("\xe4\xbd\xa0"), 0 },
        { "big5", STR_INIT("\xa7\x41"), STR_INIT("\xe4\xbd\xa0"), 0 },
        { "koi8-r", STR_INIT("\xc1"), STR_INIT("\xd0\xb0"), 0 },
        { "utf-16be", STR_INIT("\0a\0b"), STR_INIT("ab"), 0 },
        { "utf-16be", STR_INIT("\0a\0"), STR_INIT("a\xef\xbf\xbd"), 0 },
        { "utf-7", STR_INIT("a+AOQ-b"),
          STR_INIT("a\xc3\xa4"
                   "b"),
          0 },
        { "", STR_INIT("a\xe4"), STR_INIT("a\xef\xbf\xbd"), ERR_UNSUPPORTED },
        { "no-such", STR_INIT("a\xc3\xa4\xe4"), STR_INIT("a\xc3\xa4\xef\xbf\xbd"), ERR_UNSUPPORTED },
        { "utf-16,version=1", STR_INIT("a"), STR_INIT("a"), ERR_UNSUPPORTED },
        { "../../etc/passwd", STR_INIT("a"), STR_INIT("a"), ERR_UNSUPPORTED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        in_pieces(str_from_z(cases[i].charset), cases[i].in, cases[i].out);
        str in = exact(cases[i].in), charset = exact(str_from_z(cases[i].charset));
        struct buf out = BUF_INIT(100);
        assert_int_equal(message_charset_to_utf8(charset, in, &out), cases[i].result);
        assert_str(buf_str(&out), cases[i].out);
        buf_done(&out);
        free_exact(in);
        free_exact(charset);
    }
    struct buf none = BUF_INIT(10);
    assert_int_equal(message_charset_to_utf8(STR("koi8-r"), (str){ 0 }, &none), 0);
    assert_int_equal(none.n, 0);
    assert_true(message_charset_known(STR("EUC-JP")));
    assert_false(message_charset_known(STR("x-unknown")));
}

static void output_is_bounded(void **state)
{
    static const char *const names[] = { "utf-8", "us-ascii", "iso-8859-1", "gb18030", "x-unknown" };
    struct buf in = BUF_INIT(20000);
    while (in.n < 20000)
        buf_add_byte(&in, (char)(0x80 + in.n % 100));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t max = 0; max < 20; max++) {
            struct buf out = BUF_INIT(max);
            assert_int_equal(message_charset_to_utf8(str_from_z(names[i]), buf_str(&in), &out), ERR_LIMIT);
            assert_true(out.n <= max && out.n + 3 >= max);
            assert_true(utf8_valid(buf_str(&out)));
            buf_done(&out);
        }
        struct buf out = BUF_INIT(100000);
        assert_int_not_equal(message_charset_to_utf8(str_from_z(names[i]), buf_str(&in), &out), ERR_LIMIT);
        assert_true(out.n > 20000 && utf8_valid(buf_str(&out)));
        buf_done(&out);
    }
    buf_done(&in);
}

static void decoding(void **state)
{
    static const struct {
        str in;
        const char *out;
    } cases[] = {
        { STR_INIT(""), "" },
        { STR_INIT("plain = text ?="), "plain = text ?=" },
        { STR_INIT("=?utf-8?q?a=20b?="), "a b" },
        { STR_INIT("=?UTF-8?Q?a_b?= c"), "a b c" },
        { STR_INIT("=?iso-8859-1?q?=E4?= =?utf-8?b?w6Q=?="), "\xc3\xa4\xc3\xa4" },
        { STR_INIT("=?utf-8?q?a?=\r\n =?utf-8?q?b?="), "ab" },
        { STR_INIT("=?utf-8?q?a?= x =?utf-8?q?b?="), "a x b" },
        { STR_INIT("=?utf-8?q?=C3?= =?UTF-8?q?=A4?="), "\xc3\xa4" },
        { STR_INIT("=?utf-8?b?4oI=?= =?utf-8?b?rA==?="), "\xe2\x82\xac" },
        { STR_INIT("=?utf-8?q?=C3?= =?iso-8859-1?q?=A4?="), "\xef\xbf\xbd\xc2\xa4" },
        { STR_INIT("=?utf-8*en?q?a?="), "a" },
        { STR_INIT("x=?utf-8?q?a?=y"), "xay" },
        { STR_INIT("=?utf-8?q?a b?="), "a b" },
        { STR_INIT("=?utf-8?x?a?="), "=?utf-8?x?a?=" },
        { STR_INIT("=?utf-8?q?a"), "=?utf-8?q?a" },
        { STR_INIT("=?utf-8?q?a?"), "=?utf-8?q?a?" },
        { STR_INIT("=?utf-8?q?a?b?="), "=?utf-8?q?a?b?=" },
        { STR_INIT("=??q?a?="), "=??q?a?=" },
        { STR_INIT("=?"), "=?" },
        { STR_INIT("=?utf-8?q?\?="), "" },
        { STR_INIT("=?utf-8?q?a=0D=0ABcc:_x=00?="), "a  Bcc: x " },
        { STR_INIT("=?utf-8?q?=g=?="), "=g=" },
        { STR_INIT("=?no-such?q?=E4x?="), "\xef\xbf\xbdx" },
        { STR_INIT("raw \xe4 and \xc3\xa4"), "raw \xef\xbf\xbd and \xc3\xa4" },
        { STR_INIT("folded\r\n text"), "folded text" },
        { STR_INIT("=?iso-2022-jp?b?GyRCJCIbKEI=?="), "\xe3\x81\x82" },
        { STR_INIT("nul \0 cr \r."), "nul ? cr  ." },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t n = 0; n <= cases[i].in.n; n++) {
            str in = exact(str_sub(cases[i].in, 0, n));
            struct buf out = BUF_INIT(1000);
            assert_int_equal(message_encoded_word_decode(in, &out), 0);
            assert_true(utf8_valid(buf_str(&out)));
            if (n == cases[i].in.n)
                assert_strz(buf_str(&out), cases[i].out);
            buf_done(&out);
            free_exact(in);
        }
    }
    struct buf out = BUF_INIT(3);
    assert_int_equal(message_encoded_word_decode(STR("=?utf-8?q?abcdef?="), &out), ERR_LIMIT);
    assert_strz(buf_str(&out), "abc");
    buf_done(&out);
}

static void encoding(void **state)
{
    static const struct {
        str in;
        const char *out;
    } cases[] = {
        { STR_INIT(""), "" },
        { STR_INIT("plain text"), "plain text" },
        { STR_INIT("caf\xc3\xa9"), "=?UTF-8?B?Y2Fmw6k=?=" },
        { STR_INIT("un caf\xc3\xa9 noir"), "=?UTF-8?Q?un_caf=C3=A9_noir?=" },
        { STR_INIT("a =? b"), "=?UTF-8?B?YSA9PyBi?=" },
        { STR_INIT("a\r\nBcc: b"), "a  Bcc: b" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT(1000);
        message_encoded_word_encode(&out, cases[i].in, 9);
        assert_strz(buf_str(&out), cases[i].out);
        buf_done(&out);
    }
    /* any length, any starting column: lines of 76, words of 75, and back to the same text */
    struct buf text = BUF_INIT(4000);
    for (unsigned n = 0; n < 200; n++) {
        buf_add(&text, n % 5 ? STR("\xc3\xa4") : n % 3 ? STR("abc ") : STR("\xf0\x9f\x98\x80"));
        struct buf out = BUF_INIT(8000), back = BUF_INIT(4000);
        size_t column = n % 80;
        message_encoded_word_encode(&out, buf_str(&text), column);
        str rest = buf_str(&out);
        for (bool first = true; rest.n; first = false) {
            size_t end = str_find(rest, STR("\r\n"));
            if (end > 0)
                assert_true(end + (first ? column : 0) <= 76);
            rest = str_from(rest, end + 2);
        }
        assert_int_equal(message_encoded_word_decode(str_trim(buf_str(&out)), &back), 0);
        assert_str(buf_str(&back), buf_str(&text));
        buf_done(&out);
        buf_done(&back);
    }
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charsets), cmocka_unit_test(pieces),   cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(decoding), cmocka_unit_test(encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
