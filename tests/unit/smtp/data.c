/* The framing of DATA: transparency, the one end, and what must not be taken for it. Each input is fed whole, cut at every point,
 * and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "smtp/data.h"

struct data_case {
    str in;
    unsigned faults;
    str out;  /* what the sink gets when there is no fault */
    str rest; /* what is left after the end */
};

#define END "\r\n.\r\n"

static const struct data_case table[] = {
    { STR_INIT("hello" END), 0, STR_INIT("hello\r\n"), STR_INIT("") },
    { STR_INIT(".\r\n"), 0, STR_INIT(""), STR_INIT("") },
    { STR_INIT("\r\n.\r\n"), 0, STR_INIT("\r\n"), STR_INIT("") },
    { STR_INIT("hello" END "QUIT\r\n"), 0, STR_INIT("hello\r\n"), STR_INIT("QUIT\r\n") },
    { STR_INIT("..\r\n.\r\n"), 0, STR_INIT(".\r\n"), STR_INIT("") },
    { STR_INIT("..x\r\n...\r\n.y\r\n.\r\n"), 0, STR_INIT(".x\r\n..\r\ny\r\n"), STR_INIT("") },
    { STR_INIT("a.\r\n b.c" END), 0, STR_INIT("a.\r\n b.c\r\n"), STR_INIT("") },
    { STR_INIT(". \r\n.\r\n"), 0, STR_INIT(" \r\n"), STR_INIT("") },
    { STR_INIT("\xc3\xa9" END), 0, STR_INIT("\xc3\xa9\r\n"), STR_INIT("") },
    /* smuggling: none of these ends the message; the text after it is still part of it */
    { STR_INIT("a\n.\nMAIL FROM:<x@y>\r\n" END), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\n.\r\nMAIL FROM:<x@y>" END), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\n.\nMAIL FROM:<x@y>" END), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r.\rMAIL FROM:<x@y>" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r.\r\nMAIL FROM:<x@y>" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\n.\rMAIL FROM:<x@y>" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\n.\r\r\nMAIL FROM:<x@y>" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\r\n.\r\nrest"), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("rest") },
    { STR_INIT("a\n\r\n.\r\nrest"), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("rest") },
    { STR_INIT("\n.\r\nx" END), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT(".\nx" END), SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT(".\rx" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\n.\0\r\nb" END), SMTP_DATA_NUL, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\0b" END), SMTP_DATA_NUL, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\r\0\n.\r\nb" END), SMTP_DATA_BARE_CR | SMTP_DATA_NUL | SMTP_DATA_BARE_LF, STR_INIT(""), STR_INIT("") },
    { STR_INIT("\r\n\r\n.\r\n.\r\n"), 0, STR_INIT("\r\n\r\n"), STR_INIT(".\r\n") },
};
enum { TABLE_N = sizeof(table) / sizeof(table[0]) };

/* The same where a bare LF is taken for CR LF. */
static const struct data_case repaired[] = {
    { STR_INIT("a\nb" END), 0, STR_INIT("a\r\nb\r\n"), STR_INIT("") },
    { STR_INIT("a\n" END), 0, STR_INIT("a\r\n\r\n"), STR_INIT("") },
    { STR_INIT("\n\n.\r\n.\r\nrest"), 0, STR_INIT("\r\n\r\n.\r\n"), STR_INIT("rest") },
    { STR_INIT("a\n.\nMAIL FROM:<x@y>" END), 0, STR_INIT("a\r\n.\r\nMAIL FROM:<x@y>\r\n"), STR_INIT("") },
    { STR_INIT("a\n.\r\nMAIL FROM:<x@y>" END), 0, STR_INIT("a\r\n.\r\nMAIL FROM:<x@y>\r\n"), STR_INIT("") },
    { STR_INIT("a\r\n.\nMAIL FROM:<x@y>" END), 0, STR_INIT("a\r\n.\r\nMAIL FROM:<x@y>\r\n"), STR_INIT("") },
    { STR_INIT(".\n.\r\n" END), 0, STR_INIT(".\r\n.\r\n\r\n"), STR_INIT("") },
    { STR_INIT("a\n..b\n" END), 0, STR_INIT("a\r\n..b\r\n\r\n"), STR_INIT("") },
    { STR_INIT("a\n.b\r\n..c\n.d" END), 0, STR_INIT("a\r\n.b\r\n.c\r\n.d\r\n"), STR_INIT("") },
    { STR_INIT("..\n" END), 0, STR_INIT(".\r\n\r\n"), STR_INIT("") },
    { STR_INIT("a\r\r\n.\r\nrest"), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("rest") },
    { STR_INIT("a\r.\r\n" END), SMTP_DATA_BARE_CR, STR_INIT(""), STR_INIT("") },
    { STR_INIT("a\n\0" END), SMTP_DATA_NUL, STR_INIT(""), STR_INIT("") },
};
enum { REPAIRED_N = sizeof(repaired) / sizeof(repaired[0]) };

static void sink_put(void *ctx, str bytes)
{
    buf_add(ctx, bytes);
}

/* Feeds PIECE as an exact heap copy; adds what it left over to REST. */
static bool feed(struct smtp_data *d, str piece, struct buf *rest)
{
    if (d->state == SMTP_DATA_END) {
        buf_add(rest, piece);
        return true;
    }
    char *copy = malloc(piece.n ? piece.n : 1);
    assert_non_null(copy);
    if (piece.n)
        memcpy(copy, piece.p, piece.n);
    size_t used = 0;
    int rc = smtp_data_feed(d, (str){ copy, piece.n }, &used);
    assert_true(used <= piece.n);
    if (rc == ERR_AGAIN)
        assert_int_equal(used, piece.n);
    else
        assert_int_equal(rc, 0);
    buf_add(rest, str_from(piece, used));
    free(copy);
    return rc == 0;
}

static void check(const struct data_case *c, const struct smtp_data *d, struct buf *out, struct buf *rest, size_t i, size_t cut)
{
    if (d->state != SMTP_DATA_END)
        fail_msg("case %zu cut at %zu: no end seen", i, cut);
    if (d->faults != c->faults)
        fail_msg("case %zu cut at %zu: faults %u instead of %u", i, cut, d->faults, c->faults);
    if (!c->faults && !str_eq(buf_str(out), c->out))
        fail_msg("case %zu cut at %zu: wrong message", i, cut);
    if (!c->faults)
        assert_int_equal(d->size, c->out.n);
    if (!str_eq(buf_str(rest), c->rest))
        fail_msg("case %zu cut at %zu: %zu bytes left instead of %zu", i, cut, rest->n, c->rest.n);
    for (size_t k = 0; k < out->n; k++)
        assert_true(out->p[k] != '\0');
}

/* Of both tables: what is left as it comes, then what is repaired. */
static const struct data_case *case_at(size_t i)
{
    return i < TABLE_N ? &table[i] : &repaired[i - TABLE_N];
}

static void start(struct smtp_data *d, size_t i, struct buf *out)
{
    smtp_data_init(d, 1000, (struct smtp_data_sink){ sink_put, out });
    if (i >= TABLE_N)
        smtp_data_repair(d);
}

static void test_every_cut(void **state)
{
    for (size_t i = 0; i < TABLE_N + REPAIRED_N; i++) {
        const struct data_case *c = case_at(i);
        for (size_t cut = 0; cut <= c->in.n; cut++) {
            struct buf out = BUF_INIT(1024), rest = BUF_INIT(1024);
            struct smtp_data d;
            start(&d, i, &out);
            (void)feed(&d, str_sub(c->in, 0, cut), &rest);
            (void)feed(&d, str_from(c->in, cut), &rest);
            check(c, &d, &out, &rest, i, cut);
            buf_done(&out);
            buf_done(&rest);
        }
    }
}

static void test_byte_by_byte(void **state)
{
    for (size_t i = 0; i < TABLE_N + REPAIRED_N; i++) {
        const struct data_case *c = case_at(i);
        struct buf out = BUF_INIT(1024), rest = BUF_INIT(1024);
        struct smtp_data d;
        start(&d, i, &out);
        for (size_t k = 0; k < c->in.n; k++)
            (void)feed(&d, str_sub(c->in, k, 1), &rest);
        check(c, &d, &out, &rest, i, 999);
        buf_done(&out);
        buf_done(&rest);
    }
}

/* No message of these bytes, however long, ends other than by its last five. */
static void test_only_the_one_end(void **state)
{
    static const char alphabet[] = { '\r', '\n', '.', 'x' };
    for (unsigned code = 0; code < 2u * 4 * 4 * 4 * 4 * 4 * 4; code++) {
        char in[6];
        unsigned v = code / 2;
        for (size_t k = 0; k < sizeof(in); k++, v /= 4)
            in[k] = alphabet[v % 4];
        struct buf out = BUF_INIT(1024);
        struct smtp_data d;
        size_t used = 0, want = sizeof(in) + 1;
        start(&d, code % 2 ? TABLE_N : 0, &out); /* repaired or not */
        int rc = smtp_data_feed(&d, (str){ in, sizeof(in) }, &used);
        if (!memcmp(in, ".\r\n", 3))
            want = 3;
        for (size_t k = 0; k + 5 <= sizeof(in) && want > sizeof(in); k++) {
            if (!memcmp(in + k, "\r\n.\r\n", 5))
                want = k + 5;
        }
        assert_int_equal(rc, want <= sizeof(in) ? 0 : ERR_AGAIN);
        assert_int_equal(used, want <= sizeof(in) ? want : sizeof(in));
        buf_done(&out);
    }
}

static void fill(struct smtp_data *d, size_t n, size_t line)
{
    size_t used;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(smtp_data_feed(d, (i + 1) % line ? STR("x") : STR("\r\n"), &used), ERR_AGAIN);
}

static void test_size_limit(void **state)
{
    for (size_t over = 0; over < 2; over++) {
        struct buf out = BUF_INIT(4096);
        struct smtp_data d;
        size_t used;
        smtp_data_init(&d, 100, (struct smtp_data_sink){ sink_put, &out });
        fill(&d, 98 + over, 1000);
        assert_int_equal(smtp_data_feed(&d, STR("\r\n.\r\n"), &used), 0);
        assert_int_equal(d.faults, over ? SMTP_DATA_TOO_LARGE : 0);
        assert_true(out.n <= 100);
        buf_done(&out);
    }
}

static void test_far_too_large_is_cut(void **state)
{
    struct buf out = BUF_INIT(4096);
    struct smtp_data d;
    size_t used, calls = 0;
    static char block[65536];
    int rc;
    memset(block, 'x', sizeof(block));
    smtp_data_init(&d, 100, (struct smtp_data_sink){ sink_put, &out });
    do
        rc = smtp_data_feed(&d, (str){ block, sizeof(block) }, &used);
    while (rc == ERR_AGAIN && ++calls < 1000);
    assert_int_equal(rc, ERR_LIMIT);
    assert_true(calls * sizeof(block) <= SMTP_DATA_OVERRUN_MAX + sizeof(block));
    buf_done(&out);
}

static void test_long_line(void **state)
{
    for (size_t over = 0; over < 2; over++) {
        struct buf out = BUF_INIT(1 << 20);
        struct smtp_data d;
        size_t used;
        smtp_data_init(&d, 1 << 20, (struct smtp_data_sink){ sink_put, &out });
        fill(&d, SMTP_DATA_LINE_MAX + over, 1 << 20);
        assert_int_equal(smtp_data_feed(&d, STR("\r\n.\r\n"), &used), 0);
        assert_int_equal(d.faults, over ? SMTP_DATA_LINE_TOO_LONG : 0);
        buf_done(&out);
    }
}

static void test_large_header(void **state)
{
    for (size_t body = 0; body < 2; body++) {
        struct buf out = BUF_INIT(1 << 20);
        struct smtp_data d;
        size_t used;
        smtp_data_init(&d, 1 << 20, (struct smtp_data_sink){ sink_put, &out });
        if (body)
            assert_int_equal(smtp_data_feed(&d, STR("\r\n"), &used), ERR_AGAIN);
        fill(&d, SMTP_DATA_HEADER_MAX + 100, 100);
        assert_int_equal(smtp_data_feed(&d, STR("\r\n.\r\n"), &used), 0);
        assert_int_equal(d.faults, body ? 0 : SMTP_DATA_HEADER_TOO_LARGE);
        buf_done(&out);
    }
}

struct chunk_case {
    str in;
    bool binary;
    unsigned faults;
};

static const struct chunk_case chunk_table[] = {
    { STR_INIT(""), false, 0 },
    { STR_INIT("hello\r\n"), false, 0 },
    { STR_INIT("no line end"), false, 0 },
    { STR_INIT("a\r\n.\r\nb\r\n..c\r\n."), false, 0 },
    { STR_INIT(".\r\n"), false, 0 },
    { STR_INIT("\xc3\xa9\r\n"), false, 0 },
    { STR_INIT("a\r"), false, SMTP_DATA_BARE_CR },
    { STR_INIT("a\rb\r\n"), false, SMTP_DATA_BARE_CR },
    { STR_INIT("a\n.\nb"), false, SMTP_DATA_BARE_LF },
    { STR_INIT("a: b\r\n\r\nc\0d"), false, SMTP_DATA_NUL },
    { STR_INIT("a: b\r\n\r\nc\0d\r\r\n\n\xff\r"), true, 0 },
    { STR_INIT("\r\n\0\n"), true, 0 },
    { STR_INIT("a: \0\r\n\r\nc"), true, SMTP_DATA_NUL },
    { STR_INIT("a: b\n\nc\r\n"), true, SMTP_DATA_BARE_LF },
    { STR_INIT("a: b\r"), true, SMTP_DATA_BARE_CR },
};

/* In chunks too a bare LF of text is repaired, and one of a binary body is not. */
static void test_chunks_repaired(void **state)
{
    for (size_t binary = 0; binary < 2; binary++) {
        struct buf out = BUF_INIT(1024);
        struct smtp_data d;
        smtp_data_init_chunked(&d, 1000, binary, (struct smtp_data_sink){ sink_put, &out });
        smtp_data_repair(&d);
        smtp_data_chunk(&d, STR("a: b\n\nc\n."));
        smtp_data_chunk(&d, STR("\nd"));
        smtp_data_chunk_end(&d);
        assert_int_equal(d.faults, 0);
        assert_true(str_eq(buf_str(&out), binary ? STR("a: b\r\n\r\nc\n.\nd") : STR("a: b\r\n\r\nc\r\n.\r\nd")));
        buf_done(&out);
    }
}

/* Chunks give back what was put in, wherever they are cut: a dot is a dot, and only a binary body may hold anything. */
static void test_chunks(void **state)
{
    for (size_t i = 0; i < sizeof(chunk_table) / sizeof(chunk_table[0]); i++) {
        const struct chunk_case *c = &chunk_table[i];
        for (size_t step = 1; step <= c->in.n + 1; step++) {
            struct buf out = BUF_INIT(1024);
            struct smtp_data d;
            smtp_data_init_chunked(&d, 1000, c->binary, (struct smtp_data_sink){ sink_put, &out });
            for (size_t at = 0; at < c->in.n; at += step) {
                str piece = str_sub(c->in, at, step);
                char *copy = malloc(piece.n);
                assert_non_null(copy);
                memcpy(copy, piece.p, piece.n);
                smtp_data_chunk(&d, (str){ copy, piece.n });
                free(copy);
            }
            smtp_data_chunk_end(&d);
            if (d.faults != c->faults)
                fail_msg("chunk case %zu in steps of %zu: faults %u instead of %u", i, step, d.faults, c->faults);
            if (!c->faults && !str_eq(buf_str(&out), c->in))
                fail_msg("chunk case %zu in steps of %zu: wrong message", i, step);
            if (!c->faults)
                assert_int_equal(d.size, c->in.n);
            buf_done(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_only_the_one_end),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_far_too_large_is_cut),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_large_header),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunks_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
