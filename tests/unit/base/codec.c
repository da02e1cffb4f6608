/* base64, utf8, pack, scan, clock, id, log: encodings and cursors. */
#include "../check.h"

#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/scan.h"
#include "base/utf8.h"

static void test_base64(void **state)
{
    (void)state;
    /* RFC 4648 section 10 */
    static const struct {
        const char *plain, *coded;
    } rows[] = { { "", "" },
                 { "f", "Zg==" },
                 { "fo", "Zm8=" },
                 { "foo", "Zm9v" },
                 { "foob", "Zm9vYg==" },
                 { "fooba", "Zm9vYmE=" },
                 { "foobar", "Zm9vYmFy" } };
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Zg= =", "====", "Z===", "Zm\n=" };
    struct buf b = BUF_INIT(100);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_reset(&b);
        base64_encode(&b, str_from_z(rows[i].plain));
        check_str(buf_str(&b), rows[i].coded);
        buf_reset(&b);
        str in = check_copy(str_from_z(rows[i].coded));
        assert_int_equal(base64_decode(&b, in), 0);
        check_str(buf_str(&b), rows[i].plain);
        check_free(in);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_reset(&b);
        buf_add(&b, STR("keep"));
        str in = check_copy(str_from_z(bad[i]));
        if (base64_decode(&b, in) != ERR_SYNTAX)
            fail_msg("'%s' was decoded", bad[i]);
        check_str(buf_str(&b), "keep");
        check_free(in);
    }
    buf_done(&b);
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = { "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",
                                       "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                       "\xc3",         "\xe2\x82",         "\xf0\x9f\x92",     "\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        str in = check_copy(str_from_z(bad[i]));
        if (utf8_valid(in))
            fail_msg("row %zu is taken for valid", i);
        check_free(in);
    }
    for (uint32_t code = 0; code < 0x110000; code += 7) {
        char out[4];
        size_t n = utf8_encode(code, out);
        uint32_t back = 0;
        if (code >= 0xd800 && code < 0xe000) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_int_equal(utf8_decode((str){ out, n }, &back), n);
        assert_int_equal(back, code);
        if (n > 1)
            assert_int_equal(utf8_decode((str){ out, n - 1 }, NULL), 0);
    }
    assert_true(utf8_is_ascii(STR("abc")));
    assert_false(utf8_is_ascii(STR("\xc3\xa9")));
}

static void test_pack_round_trip(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX };
    struct buf b = BUF_INIT(1000);
    pack_u8(&b, 200);
    pack_u16(&b, 60000);
    pack_u32(&b, 4000000000u);
    pack_u64(&b, UINT64_MAX - 1);
    pack_str(&b, STR("text"));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        pack_varint(&b, values[i]);
    for (size_t cut = 0; cut <= b.n; cut++) {
        str in = check_copy(str_sub(buf_str(&b), 0, cut));
        struct unpack u = unpack_init(in);
        (void)unpack_u8(&u);
        (void)unpack_u16(&u);
        (void)unpack_u32(&u);
        (void)unpack_u64(&u);
        str text = unpack_str(&u, 10);
        uint64_t last = 0;
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            last = unpack_varint(&u);
            if (cut == b.n)
                assert_true(last == values[i]);
        }
        assert_int_equal(unpack_end(&u), cut == b.n ? 0 : ERR_CORRUPT);
        if (cut == b.n)
            check_str(text, "text");
        check_free(in);
    }
    buf_done(&b);
}

static void test_unpack_refuses(void **state)
{
    (void)state;
    static const str bad[] = { STR_INIT("\x80\x00"), STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                               STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), STR_INIT("\x80") };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct unpack u = unpack_init(bad[i]);
        (void)unpack_varint(&u);
        assert_int_equal(u.error, ERR_CORRUPT);
    }
    struct unpack u = unpack_init(STR("\x05"
                                      "abcde"));
    assert_int_equal(unpack_str(&u, 4).n, 0);
    assert_int_equal(u.error, ERR_CORRUPT);
    assert_int_equal(unpack_u8(&u), 0);
    u = unpack_init(STR("\x01\x02"));
    (void)unpack_u8(&u);
    assert_int_equal(unpack_end(&u), ERR_CORRUPT);
}

static void test_scan_moves_only_on_success(void **state)
{
    (void)state;
    str in = check_copy(STR("RCPT 250 ab;"));
    struct scan s = scan_init(in);
    struct scan_set letters = { { 0 } };
    str got = STR("untouched");
    uint64_t n = 9;
    uint32_t d = 9;
    scan_set_add(&letters, 'a', 'z');
    assert_false(scan_literal(&s, STR("rcpt")));
    assert_true(scan_iliteral(&s, STR("rcpt")));
    assert_false(scan_byte(&s, 'x'));
    assert_true(scan_byte(&s, ' '));
    assert_false(scan_number(&s, 249, &n));
    assert_int_equal(n, 9);
    assert_false(scan_digits(&s, 4, &d));
    assert_true(scan_digits(&s, 2, &d));
    assert_int_equal(d, 25);
    assert_true(scan_number(&s, 10, &n));
    assert_int_equal(n, 0);
    assert_false(scan_while(&s, &letters, 5, &got));
    assert_true(scan_byte(&s, ' '));
    assert_false(scan_while(&s, &letters, 1, &got));
    check_str(got, "untouched");
    assert_true(scan_while(&s, &letters, 2, &got));
    check_str(got, "ab");
    assert_false(scan_until(&s, 'x', &got));
    assert_true(scan_until(&s, ';', &got));
    assert_int_equal(got.n, 0);
    assert_false(scan_take(&s, 2, &got));
    assert_int_equal(scan_peek(&s), ';');
    assert_true(scan_take(&s, 1, &got));
    assert_true(scan_done(&s));
    assert_int_equal(scan_peek(&s), -1);
    check_free(in);
}

static void test_calendar(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_seconds;
        const char *text;
    } rows[] = {
        { 0, "Thu, 1 Jan 1970 00:00:00 +0000" },           { -1, "Wed, 31 Dec 1969 23:59:59 +0000" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },  { 4107542400, "Mon, 1 Mar 2100 00:00:00 +0000" },
        { 1795435200, "Mon, 23 Nov 2026 12:00:00 +0000" }, { -62135596800, "Mon, 1 Jan 0001 00:00:00 +0000" },
    };
    struct buf b = BUF_INIT(100);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct date d = date_from_unix(rows[i].unix_seconds, 0);
        buf_reset(&b);
        date_add_rfc5322(&b, &d);
        check_str(buf_str(&b), rows[i].text);
        assert_true(date_to_unix(&d) == rows[i].unix_seconds);
    }
    for (int64_t t = -5000000000; t < 5000000000; t += 7654321) {
        struct date d = date_from_unix(t, -570);
        assert_true(date_to_unix(&d) == t);
        assert_true(d.day >= 1 && d.day <= date_month_days(d.year, d.month));
    }
    buf_reset(&b);
    struct date west = date_from_unix(0, -210);
    date_add_rfc5322(&b, &west);
    check_str(buf_str(&b), "Wed, 31 Dec 1969 20:30:00 -0330");
    buf_reset(&b);
    date_add_rfc3339(&b, 1795435200123);
    check_str(buf_str(&b), "2026-11-23T12:00:00.123Z");
    assert_int_equal(date_month_days(2100, 2), 28);
    assert_int_equal(date_month_days(2000, 2), 29);
    buf_done(&b);
}

static void test_ids_differ_and_sort(void **state)
{
    (void)state;
    struct id before = id_new();
    (void)usleep(2000);
    struct id after = id_new();
    assert_int_equal(id_str(&before).n, 13);
    assert_true(str_cmp(id_str(&before), id_str(&after)) < 0);
}

/* A peer's bytes cannot end a log line or add a field to it. */
static void test_log_lines_cannot_be_forged(void **state)
{
    (void)state;
    int fds[2];
    char line[4096];
    assert_int_equal(pipe(fds), 0);
    log_set_fd(fds[1]);
    log_info("test", LOG_STR("a", STR("plain")), LOG_STR("b", STR("x\nlevel=error \"q\"")), LOG_NUM("n", -5),
             LOG_STR("empty", STR("")));
    log_debug("hidden");
    log_set_fd(2);
    ssize_t n = read(fds[0], line, sizeof line);
    assert_true(n > 0);
    str s = { line, (size_t)n };
    assert_int_equal(str_find_byte(s, '\n', 0), s.n - 1);
    assert_true(str_find(s, STR("event=test a=plain b=\"x\\x0alevel=error \\x22q\\x22\" n=-5 empty=\"\"\n")) < s.n);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_pack_round_trip),
        cmocka_unit_test(test_unpack_refuses),
        cmocka_unit_test(test_scan_moves_only_on_success),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_ids_differ_and_sort),
        cmocka_unit_test(test_log_lines_cannot_be_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
