/* Header fields: iteration, search, size, unfolding. */
#include "support.h"

#include "message/header.h"

/* "offset+size name=value;" per field. */
static void describe(struct buf *b, str header)
{
    struct message_header_field f;
    size_t at = 0, covered = 0;
    while (message_header_next(header, &at, &f)) {
        assert_int_equal(f.offset, covered); /* the pieces add up */
        assert_int_equal(at, f.offset + f.size);
        covered = at;
        buf_addf(b, "%zu+%zu %.*s=", f.offset, f.size, STR_ARG(f.name));
        buf_add_escaped(b, f.value);
        buf_add(b, STR(";"));
    }
    assert_int_equal(at, covered);
}

static void table(void **state)
{
    static const struct {
        str in;
        const char *fields;
        size_t size;
    } cases[] = {
        { STR_INIT(""), "", 0 },
        { STR_INIT("\r\n"), "", 2 },
        { STR_INIT("\n"), "", 1 },
        { STR_INIT("\r"), "0+1 =;", 1 },
        { STR_INIT("A: b\r\n\r\nbody: x\r\n"), "0+6 A= b;", 8 },
        { STR_INIT("A: b\n\nbody"), "0+5 A= b;", 6 },
        { STR_INIT("A: b\r\n c\r\n\td\r\nE:f"), "0+14 A= b\\x0d\\x0a c\\x0d\\x0a\\x09d;14+3 E=f;", 17 },
        { STR_INIT("A : b\r\n"), "0+7 A= b;", 7 },
        { STR_INIT("A\t :b"), "0+5 A=b;", 5 },
        { STR_INIT("A:"), "0+2 A=;", 2 },
        { STR_INIT("A:\r\n \r\nB:\r\n"), "0+7 A=\\x0d\\x0a ;7+4 B=;", 11 },
        { STR_INIT("From joe Mon Jan  1 00:00:00 2026\r\nA:b\r\n"), "0+35 =From joe Mon Jan  1 00:00:00 2026;35+5 A=b;", 40 },
        { STR_INIT("no colon\r\nA:b"), "0+10 =no colon;10+3 A=b;", 13 },
        { STR_INIT(": x\r\n"), "0+5 =: x;", 5 },
        { STR_INIT(" leading\r\nA:b"), "0+10 = leading;10+3 A=b;", 13 },
        { STR_INIT("\xc3\xbc: x"), "0+5 =\xc3\xbc: x;", 5 },
        { STR_INIT("A: x\ry\r\n"), "0+8 A= x\\x0dy;", 8 },
        { STR_INIT("A: x\0y\r\nB:c"), "0+8 A= x\\x00y;8+3 B=c;", 11 },
        { STR_INIT("A: b\r\n\n"), "0+6 A= b;", 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(cases[i].in);
        struct buf b = BUF_INIT(4096);
        describe(&b, in);
        assert_strz(buf_str(&b), cases[i].fields);
        assert_int_equal(message_header_size(in), cases[i].size);
        buf_done(&b);
        for (size_t n = 0; n < in.n; n++) {
            str part = exact(str_sub(in, 0, n));
            struct buf ignored = BUF_INIT(4096);
            describe(&ignored, part);
            assert_true(message_header_size(part) <= n);
            buf_done(&ignored);
            free_exact(part);
        }
        free_exact(in);
    }
}

static void find(void **state)
{
    str in = STR("Received: a\r\nMESSAGE-ID: <x>\r\nreceived: b\r\n\r\nDate: in the body\r\n");
    struct message_header_field f;
    assert_true(message_header_find(in, STR("message-id"), &f));
    assert_strz(f.value, " <x>");
    assert_true(message_header_find(in, STR("Received"), &f));
    assert_strz(f.value, " a");
    assert_false(message_header_find(in, STR("Date"), &f));
    assert_false(message_header_find(STR("junk\r\n"), STR(""), &f));
}

static void unfold(void **state)
{
    static const struct {
        str in;
        const char *out;
        size_t max;
    } cases[] = {
        { STR_INIT(""), "", 10 },
        { STR_INIT(" a\r\n b \r\n"), "a b", 10 },
        { STR_INIT("a\n\tb"), "a\tb", 10 },
        { STR_INIT("a\rb"), "a b", 10 },
        { STR_INIT("a\r\r\nb"), "a b", 10 },
        { STR_INIT("a\0b"), "a?b", 10 },
        { STR_INIT("abc\xc3\xbc"), "abc", 4 },
        { STR_INIT("abc\xc3\xbc"), "abc\xc3\xbc", 5 },
        { STR_INIT("ab\xf0\x9f\x98\x80"), "ab", 5 },
        { STR_INIT("ab\xf0\x9f\x98\x80x"), "ab\xf0\x9f\x98\x80", 6 },
        { STR_INIT("abc"), "", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = exact(cases[i].in), out;
        struct arena a = ARENA_INIT(4096);
        assert_int_equal(message_header_unfold_arena(&a, in, cases[i].max, &out), 0);
        assert_strz(out, cases[i].out);
        arena_done(&a);
        free_exact(in);
    }
}

static void a_megabyte_of_folds(void **state)
{
    struct buf b = BUF_INIT(4 << 20);
    buf_add(&b, STR("A:"));
    while (b.n < 1 << 20)
        buf_add(&b, STR("\r\n x"));
    str in = exact(buf_str(&b));
    struct message_header_field f;
    size_t at = 0;
    assert_true(message_header_next(in, &at, &f));
    assert_int_equal(f.size, in.n);
    free_exact(in);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(find),
        cmocka_unit_test(unfold),
        cmocka_unit_test(a_megabyte_of_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
