/* stream: framing at every split point, output order and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/random.h"
#include "run/stream_private.h"

/* --- lines --- */

enum { LINE_MAX_TEST = 10 };

struct line_case {
    str input;
    const char *expect; /* results joined by '|': a line in <>, S syntax, L limit, E end */
};

static const struct line_case line_cases[] = {
    { STR_INIT(""), "E" },
    { STR_INIT("\r\n"), "<>|E" },
    { STR_INIT("EHLO a\r\n"), "<EHLO a>|E" },
    { STR_INIT("a\r\nb\r\nc"), "<a>|<b>|E" },
    { STR_INIT("a\nb\r\n"), "S|<b>|E" },
    { STR_INIT("a\rb\r\nc\r\n"), "S|<c>|E" },
    { STR_INIT("a\r\r\nc\r\n"), "S|<c>|E" },
    { STR_INIT("a\0b\r\nc\r\n"), "S|<c>|E" },
    { STR_INIT("\n\r\n"), "S|<>|E" },
    { STR_INIT("0123456789\r\nz\r\n"), "<0123456789>|<z>|E" },
    { STR_INIT("0123456789x\r\nz\r\n"), "L|<z>|E" },
    { STR_INIT("0123456789\r\r\nz\r\n"), "L|<z>|E" },
    { STR_INIT("0123456789\nz\r\n"), "S|<z>|E" },
    { STR_INIT("0123456789\r0\r\nz\r\n"), "L|<z>|E" },
    { STR_INIT("0123456789012345678901234567890123456789\r\n\r\n"), "L|<>|E" },
    { STR_INIT("01234567890123456789\n0123456789\r\n"), "L|<0123456789>|E" },
    { STR_INIT("01234567890123\0\r456789\r\nb\r\n"), "L|<b>|E" },
    { STR_INIT("0123456789012345678901234567"), "E" },
};

static void describe(struct buf *out, int r, str line)
{
    if (out->n)
        buf_add_byte(out, '|');
    if (r == 0)
        buf_add_all(out, STR("<"), line, STR(">"));
    else
        buf_add(out, r == ERR_SYNTAX ? STR("S") : r == ERR_LIMIT ? STR("L") : r == ERR_EOF ? STR("E") : STR("?"));
}

/* Takes lines until none is left; false once the end was seen. */
static bool take_lines(struct stream *s, struct buf *out)
{
    for (;;) {
        str line = { 0 };
        int r = stream_line(s, LINE_MAX_TEST, &line);
        if (r == ERR_AGAIN)
            return true;
        describe(out, r, line);
        if (r == ERR_EOF)
            return false;
    }
}

static void check_lines(const struct line_case *c, size_t cut, size_t cut2, size_t step)
{
    struct layer *l = layer_memory_new(step, 0);
    struct stream *s = stream_new(l);
    struct buf out = BUF_INIT(4096);
    str parts[3] = { str_sub(c->input, 0, cut), str_sub(c->input, cut, cut2 - cut), str_from(c->input, cut2) };
    for (size_t i = 0; i < 3; i++) {
        layer_memory_feed(l, parts[i]);
        for (size_t turn = 0; turn <= parts[i].n; turn++)
            assert_true(take_lines(s, &out));
    }
    layer_memory_feed_eof(l);
    while (take_lines(s, &out))
        ;
    if (!str_eq(buf_str(&out), str_from_z(c->expect)))
        fail_msg("cut %zu %zu step %zu: expected %s, got %.*s", cut, cut2, step, c->expect, STR_ARG(buf_str(&out)));
    assert_int_equal(stream_bytes_in(s), c->input.n);
    buf_done(&out);
    stream_free(s);
}

static void lines_at_every_split(void **state)
{
    for (size_t i = 0; i < sizeof line_cases / sizeof line_cases[0]; i++) {
        const struct line_case *c = &line_cases[i];
        for (size_t cut = 0; cut <= c->input.n; cut++)
            for (size_t cut2 = cut; cut2 <= c->input.n; cut2++)
                check_lines(c, cut, cut2, 0);
        check_lines(c, 0, 0, 1);
        check_lines(c, 0, 0, 3);
    }
}

static void a_long_line_costs_no_memory(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    static char junk[100000];
    memset(junk, 'x', sizeof junk);
    str line;
    for (int i = 0; i < 50; i++) {
        layer_memory_feed(l, (str){ junk, sizeof junk });
        assert_int_equal(stream_line(s, 1000000, &line), ERR_AGAIN);
        assert_int_equal(stream_peek(s).n, 0);
    }
    layer_memory_feed(l, STR("\r\nok\r\n"));
    assert_int_equal(stream_line(s, 1000000, &line), ERR_LIMIT);
    assert_int_equal(stream_line(s, 1000000, &line), 0);
    assert_true(str_eq(line, STR("ok")));
    stream_free(s);
}

static void the_longest_line_fits(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    static char junk[65534];
    memset(junk, 'x', sizeof junk);
    layer_memory_feed(l, (str){ junk, sizeof junk });
    layer_memory_feed(l, STR("\r\nok\r\n"));
    str line;
    assert_int_equal(stream_line(s, 65534, &line), 0);
    assert_int_equal(line.n, 65534);
    assert_int_equal(stream_line(s, 65534, &line), 0);
    assert_true(str_eq(line, STR("ok")));
    stream_free(s);
}

static void fill_stops_at_64_kib(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    static char junk[70000];
    layer_memory_feed(l, (str){ junk, sizeof junk });
    int r;
    while ((r = stream_fill(s)) == 0)
        ;
    assert_int_equal(r, ERR_LIMIT);
    assert_int_equal(stream_peek(s).n, 65536);
    assert_true(stream_has_input(s));
    stream_consume(s, 65536);
    assert_int_equal(stream_fill(s), 0);
    assert_int_equal(stream_peek(s).n, 70000 - 65536);
    stream_free(s);
}

/* S6: what was consumed is gone from the buffer when more is read, also when what is left moves to its front. */
static void consumed_input_is_wiped(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    struct buf many = BUF_INIT(5000);
    str line;
    (void)state;
    layer_memory_feed(l, STR("secret one\r\nsecret two\r\nrest"));
    assert_int_equal(stream_line(s, 100, &line), 0);
    const char *start = line.p;
    assert_int_equal(stream_line(s, 100, &line), 0);
    assert_int_equal(stream_line(s, 100, &line), ERR_AGAIN);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(start[i], 0);
    assert_true(str_eq(stream_peek(s), STR("rest")));
    /* Up to the end of the buffer, so that what is left moves and then the buffer grows. */
    while (many.n < 4096 - 28)
        buf_add_byte(&many, 'x');
    layer_memory_feed(l, buf_str(&many));
    assert_int_equal(stream_fill(s), 0);
    stream_consume(s, 4000);
    layer_memory_feed(l, STR("y"));
    assert_int_equal(stream_fill(s), 0);
    assert_ptr_equal(stream_peek(s).p, start);
    for (size_t i = stream_peek(s).n; i < 4096; i++)
        assert_int_equal(start[i], 0);
    buf_done(&many);
    stream_free(s);
}

static void incomplete_input_is_no_reason_to_run(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    str line;
    layer_memory_feed(l, STR("a\r\nb\r\nincomp"));
    assert_false(stream_has_input(s));
    assert_int_equal(stream_line(s, 100, &line), 0);
    assert_true(stream_has_input(s));
    assert_int_equal(stream_line(s, 100, &line), 0);
    assert_true(stream_has_input(s)); /* nobody has looked at the rest */
    assert_int_equal(stream_line(s, 100, &line), ERR_AGAIN);
    assert_false(stream_has_input(s));
    assert_int_equal(stream_peek(s).n, 6);
    stream_idle(s); /* keeps what is unread */
    layer_memory_feed(l, STR("lete\r\n"));
    assert_int_equal(stream_line(s, 100, &line), 0);
    assert_true(str_eq(line, STR("incomplete")));
    stream_idle(s);
    layer_memory_feed_eof(l);
    assert_int_equal(stream_line(s, 100, &line), ERR_EOF);
    assert_int_equal(stream_line(s, 100, &line), ERR_EOF);
    stream_free(s);
}

/* --- output --- */

struct pattern_source {
    struct source source;
    uint64_t at, end; /* fails when asked beyond END */
    size_t step;      /* 0: all that is asked for */
    int *closed;
};

static char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 8) * 7);
}

static int64_t pattern_pull(struct source *src, char *p, size_t n)
{
    struct pattern_source *x = (struct pattern_source *)src;
    if (x->step && n > x->step)
        n = x->step;
    if (n > x->end - x->at)
        n = (size_t)(x->end - x->at);
    for (size_t i = 0; i < n; i++)
        p[i] = pattern(x->at++);
    return (int64_t)n;
}

static void pattern_close(struct source *src)
{
    struct pattern_source *x = (struct pattern_source *)src;
    ++*x->closed;
    free(x);
}

/* The same bytes lent, from memory that is gone afterwards. */
static int64_t pattern_lend(struct source *src, size_t n, void (*take)(void *ctx, str bytes), void *ctx)
{
    struct pattern_source *x = (struct pattern_source *)src;
    size_t step = x->step;
    char *p = malloc(n + 1);
    x->step = step * 64; /* more than what is worth a write of its own */
    int64_t got = pattern_pull(src, p, n);
    x->step = step;
    if (got > 0)
        take(ctx, (str){ p, (size_t)got });
    free(p);
    return got;
}

static struct source *pattern_new(uint64_t end, size_t step, int *closed);
static struct source *lender_new(uint64_t end, size_t step, int *closed)
{
    struct source *s = pattern_new(end, step, closed);
    s->lend = pattern_lend;
    return s;
}

static struct source *pattern_new(uint64_t end, size_t step, int *closed)
{
    struct pattern_source *x = calloc(1, sizeof *x);
    *x = (struct pattern_source){ { pattern_pull, pattern_close }, 0, end, step, closed };
    return &x->source;
}

/* Random writes and sources, random blocking; the bytes must come out whole and in order. */
static void output_keeps_its_order(void **state)
{
    static const size_t steps[] = { 0, 1, 512, 16384 };
    for (size_t round = 0; round < 60; round++) {
        struct layer *l = layer_memory_new(0, steps[round % 4]);
        struct stream *s = stream_new(l);
        struct buf want = BUF_INIT(1 << 26), got = BUF_INIT(1 << 26);
        int opened = 0, closed = 0;
        size_t most = round % 4 == 1 ? 300 : 200000;
        for (int i = 0; i < 20; i++) {
            size_t n = random_below((uint32_t)most);
            if (random_below(2)) {
                n = random_below(2) ? n % 100 : n;
                char *p = malloc(n + 1);
                for (size_t k = 0; k < n; k++)
                    p[k] = (char)('a' + k % 26);
                stream_write(s, (str){ p, n });
                buf_add(&want, (str){ p, n });
                free(p);
            } else {
                struct source *(*make)(uint64_t, size_t, int *) = random_below(2) ? pattern_new : lender_new;
                stream_write_source(s, make(n, random_below(2) ? 0 : 1000, &closed), n);
                opened++;
                for (size_t k = 0; k < n; k++)
                    buf_add_byte(&want, pattern(k));
            }
            assert_int_equal(stream_queued(s) + got.n, want.n);
            layer_memory_block_writes(l, random_below(3) == 0);
            for (int k = 0; k < 3; k++) {
                int r = stream_flush(s);
                assert_true(r == 0 || r == ERR_AGAIN);
            }
            buf_add(&got, layer_memory_take(l));
        }
        layer_memory_block_writes(l, false);
        while (stream_flush(s) == ERR_AGAIN)
            ;
        buf_add(&got, layer_memory_take(l));
        assert_true(str_eq(buf_str(&want), buf_str(&got)));
        assert_int_equal(opened, closed);
        assert_int_equal(stream_queued(s), 0);
        assert_int_equal(stream_bytes_out(s), want.n);
        buf_done(&want);
        buf_done(&got);
        stream_free(s);
    }
}

/* A layer that counts writes. */
static size_t counted_writes;
static int64_t counting_write(struct layer *l, const char *p, size_t n)
{
    counted_writes++;
    return (int64_t)n;
}
static void counting_close(struct layer *l) {}
static void counting_idle(struct layer *l) {}

static void one_write_per_flush(void **state)
{
    static const struct layer_ops ops = { .write = counting_write, .close = counting_close, .idle = counting_idle };
    struct layer l = { &ops };
    struct stream *s = stream_new(&l);
    int closed = 0;
    stream_printf(s, "* %d FETCH (BODY[] {%d}\r\n", 1, 5000);
    stream_write_source(s, pattern_new(5000, 100, &closed), 5000);
    stream_write(s, STR(")\r\n"));
    stream_printf(s, "* %d FETCH (BODY[] {%d}\r\n", 2, 5000);
    stream_write_source(s, pattern_new(5000, 100, &closed), 5000);
    stream_write(s, STR(")\r\nA1 OK\r\n"));
    assert_int_equal(stream_flush(s), 0);
    assert_int_equal(counted_writes, 1);
    assert_int_equal(closed, 2);
    stream_free(s);
}

static int64_t lent_sent, lent_most;
static const char *lent_at;
static int64_t lent_write(struct layer *l, const char *p, size_t n)
{
    lent_sent += (int64_t)n;
    return (int64_t)n;
}
static int64_t lent_write_both(struct layer *l, str first, str second)
{
    int64_t n = (int64_t)(first.n + second.n) < lent_most ? (int64_t)(first.n + second.n) : lent_most;
    lent_at = second.p;
    lent_sent += n;
    return n;
}
static char lent_bytes[100000];
static int64_t lent_lend(struct source *src, size_t n, void (*take)(void *ctx, str bytes), void *ctx)
{
    assert_int_equal(n, sizeof lent_bytes);
    take(ctx, (str){ lent_bytes, n });
    return (int64_t)n;
}
static int64_t lent_pull(struct source *src, char *p, size_t n)
{
    fail(); /* that would be a copy */
    return 0;
}
static void lent_close(struct source *src) {}

/* A large body goes from where it lies to the layer, with what is before it; what the peer does not take is kept. */
static void what_is_lent_is_not_copied(void **state)
{
    static const struct layer_ops ops = {
        .write = lent_write, .write_both = lent_write_both, .close = counting_close, .idle = counting_idle
    };
    struct layer l = { &ops };
    struct source body[2] = { { lent_pull, lent_close, lent_lend }, { lent_pull, lent_close, lent_lend } };
    struct stream *s = stream_new(&l);
    stream_write(s, STR("* 1 FETCH (BODY[] {100000}\r\n"));
    stream_write_source(s, &body[0], sizeof lent_bytes);
    stream_write(s, STR(")\r\n* 2 FETCH (BODY[] {100000}\r\n"));
    stream_write_source(s, &body[1], sizeof lent_bytes);
    stream_write(s, STR(")\r\n"));
    size_t all = stream_queued(s);
    assert_false(stream_is_full(s));
    lent_most = INT64_MAX;
    lent_sent = 0;
    assert_int_equal(stream_flush(s), 0);
    assert_ptr_equal(lent_at, lent_bytes);
    assert_int_equal(lent_sent, all);

    stream_write(s, STR("* 3 FETCH (BODY[] {100000}\r\n"));
    stream_write_source(s, &body[0], sizeof lent_bytes);
    all = stream_queued(s);
    lent_most = 50000;
    lent_sent = 0;
    assert_int_equal(stream_flush(s), ERR_AGAIN);
    assert_int_equal(lent_sent, 50000);
    assert_int_equal(stream_queued(s), all - 50000);
    assert_int_equal(stream_flush(s), 0);
    assert_int_equal(lent_sent, all);
    stream_free(s);
}

/* Some bodies are asked of the store together; how many and how much is bounded. */
static void sources_fill_the_queue(void **state)
{
    struct stream *s = stream_new(layer_memory_new(0, 0));
    int closed = 0, n = 0;
    for (; !stream_is_full(s) && n < 1000; n++)
        stream_write_source(s, pattern_new(20000, 0, &closed), 20000);
    assert_in_range(n, 2, 64);
    assert_int_equal(stream_flush(s), 0);
    assert_int_equal(closed, n);
    assert_false(stream_is_full(s));
    for (n = 0; !stream_is_full(s) && n < 1000; n++)
        stream_write_source(s, pattern_new(10, 0, &closed), 10);
    assert_in_range(n, 2, 64);
    stream_free(s);
}

static void a_source_that_ends_early_breaks_the_connection(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    int closed = 0;
    stream_write_source(s, pattern_new(100000, 0, &closed), 100001);
    stream_write(s, STR("after"));
    assert_int_equal(stream_flush(s), ERR_IO);
    assert_int_equal(closed, 1);
    stream_write(s, STR("more"));
    stream_write_source(s, pattern_new(10, 0, &closed), 10);
    assert_int_equal(closed, 2);
    assert_int_equal(stream_flush(s), ERR_IO);
    assert_int_equal(stream_queued(s), 0);
    stream_free(s);
}

static void sources_are_closed_with_the_stream(void **state)
{
    struct stream *s = stream_new(layer_memory_new(0, 0));
    int closed = 0;
    stream_write_source(s, pattern_new(10, 0, &closed), 10);
    stream_write_source(s, pattern_new(10, 0, &closed), 10);
    stream_write_source(s, pattern_new(0, 0, &closed), 0);
    assert_int_equal(closed, 1);
    stream_write_source(s, pattern_new(2 << 20, 0, &closed), 2 << 20);
    assert_true(stream_is_full(s));
    stream_free(s);
    assert_int_equal(closed, 4);
}

static void endless_output_breaks_the_connection(void **state)
{
    struct layer *l = layer_memory_new(0, 0);
    struct stream *s = stream_new(l);
    static char junk[1 << 20];
    layer_memory_block_writes(l, true);
    for (int i = 0; i < 64; i++) {
        stream_write(s, (str){ junk, sizeof junk });
        assert_int_equal(stream_flush(s), ERR_AGAIN);
    }
    stream_write(s, STR("x"));
    assert_int_equal(stream_flush(s), ERR_IO);
    stream_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_at_every_split),
        cmocka_unit_test(a_long_line_costs_no_memory),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(fill_stops_at_64_kib),
        cmocka_unit_test(consumed_input_is_wiped),
        cmocka_unit_test(incomplete_input_is_no_reason_to_run),
        cmocka_unit_test(output_keeps_its_order),
        cmocka_unit_test(one_write_per_flush),
        cmocka_unit_test(what_is_lent_is_not_copied),
        cmocka_unit_test(sources_fill_the_queue),
        cmocka_unit_test(a_source_that_ends_early_breaks_the_connection),
        cmocka_unit_test(sources_are_closed_with_the_stream),
        cmocka_unit_test(endless_output_breaks_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
