/* Framing of commands: lines, literals, what is refused, at every split point (RFC 3501 section 2.2, RFC 7888). */
#include "tests/unit/imap/check.h"

#include "imap/frame.h"

enum { LINE_MAX_HERE = 60, LITERAL_MAX_HERE = 20 };

/* What happened, as text: C<unit>, ? for a literal kept, + when it was synchronizing, ! when refused, B bad, L long, R
 * refused. */
struct record {
    struct buf text;
    struct imap_frame frame;
};

static void take(struct record *r, enum imap_frame_event event)
{
    switch (event) {
    case IMAP_FRAME_MORE:
    case IMAP_FRAME_DIVERTED:
        return;
    case IMAP_FRAME_LITERAL: {
        bool over = r->frame.synchronizing;
        if (imap_frame_keep(&r->frame)) {
            buf_add(&r->text, over ? STR("?+") : STR("?"));
            return;
        }
        imap_frame_refuse(&r->frame);
        buf_add_byte(&r->text, '!');
        if (over)
            imap_frame_reset(&r->frame);
        return;
    }
    case IMAP_FRAME_COMMAND:
        buf_add_all(&r->text, STR("C<"), buf_str(&r->frame.unit), STR(">"));
        break;
    case IMAP_FRAME_BAD_LINE:
        buf_add_byte(&r->text, 'B');
        break;
    case IMAP_FRAME_TOO_LONG:
        buf_add_byte(&r->text, 'L');
        break;
    case IMAP_FRAME_REFUSED:
        buf_add_byte(&r->text, 'R');
        break;
    }
    imap_frame_reset(&r->frame);
}

static void feed(struct record *r, str in)
{
    while (in.n) {
        size_t used;
        enum imap_frame_event event = imap_frame_feed(&r->frame, in, &used);
        assert_true(used <= in.n);
        take(r, event);
        in = str_from(in, used);
    }
}

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
static const struct {
    const char *in, *out;
} dialogues[] = {
    { "a NOOP\r\n", "C<a NOOP>" },
    { "a NOOP\r\nb NOOP\r\n", "C<a NOOP>C<b NOOP>" },
    { "\r\n", "C<>" },
    { "a X {3}\r\nabc\r\n", "?+C<a X {3}\r\nabc>" },
    { "a X {3+}\r\na\rc {0+}\r\n\r\nb\r\n", "??C<a X {3+}\r\na\rc {0+}\r\n>C<b>" },
    { "a X {0}\r\n y\r\n", "?+C<a X {0}\r\n y>" },
    { "a X {99999}\r\nb NOOP\r\n", "!C<b NOOP>" },
    { "a X {22+}\r\nb NOOP\r\nb NOOP\r\nb NO\r\n\r\nc NOOP\r\n", "!RC<c NOOP>" },
    { "a X {21+}\r\nb NOOP\r\nb NOOP\r\nb NO {2+}\r\n\r\n\r\nc\r\n", "!RC<c>" },
    { "a X {15+}\r\n123456789012345 {6+}\r\n123456\r\nb\r\n", "?!RC<b>" },
    { "a X {3x}\r\n", "C<a X {3x}>" },
    { "a X {}\r\n", "C<a X {}>" },
    { "a X {99999999999}\r\n", "C<a X {99999999999}>" },
    { "a\nb\r\n", "BC<b>" },
    { "a\rb\r\nc\r\n", "BC<c>" },
    { "a\r\r\nc\r\n", "BC<c>" },
    { "a\r\r\r\nc\r\n", "BC<c>" },
    { "a " LONG "\r\nb\r\n", "LC<b>" },
    { "a " LONG " {3+}\r\nx\r\n\r\nb\r\n", "LC<b>" },
    { "a " LONG " {3}\r\nb\r\n", "LC<b>" },
};

static void run_split(size_t i, size_t step, size_t first)
{
    struct record r = { .text = BUF_INIT(4096) };
    imap_frame_init(&r.frame, LINE_MAX_HERE, LITERAL_MAX_HERE);
    char *copy = heap_copy(dialogues[i].in);
    str in = { copy, strlen(dialogues[i].in) };
    feed(&r, str_sub(in, 0, first));
    for (size_t at = first; at < in.n; at += step)
        feed(&r, str_sub(in, at, step));
    assert_str(buf_str(&r.text), dialogues[i].out);
    imap_frame_done(&r.frame);
    buf_done(&r.text);
    free(copy);
}

static void commands_end_where_they_should_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
        for (size_t first = 0; first <= strlen(dialogues[i].in); first++)
            run_split(i, SIZE_MAX / 2, first);
        run_split(i, 1, 0);
        run_split(i, 3, 1);
    }
}

static void nul_spoils_a_line(void **state)
{
    (void)state;
    struct record r = { .text = BUF_INIT(4096) };
    imap_frame_init(&r.frame, LINE_MAX_HERE, LITERAL_MAX_HERE);
    feed(&r, STR("a \0\r\nb\r\n"));
    assert_str(buf_str(&r.text), "BC<b>");
    imap_frame_done(&r.frame);
    buf_done(&r.text);
}

static void a_spoilt_line_keeps_its_head_and_little_memory(void **state)
{
    (void)state;
    struct imap_frame f;
    imap_frame_init(&f, 1000, 20);
    size_t used;
    assert_int_equal(imap_frame_feed(&f, STR("tag X "), &used), IMAP_FRAME_MORE);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(imap_frame_feed(&f, STR("xyz"), &used), IMAP_FRAME_MORE);
    assert_true(f.unit.n <= 1200);
    assert_int_equal(imap_frame_feed(&f, STR("\r\n"), &used), IMAP_FRAME_TOO_LONG);
    assert_true(str_starts(buf_str(&f.unit), STR("tag X xyz")));
    imap_frame_done(&f);
}

/* What is told as the tag is the beginning of the command, at every split: never a piece of a password. */
static void a_spoilt_command_keeps_its_tag_at_every_split(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum imap_frame_event event;
    } lines[] = {
        { "a LOGIN marie@example.org mauvais-mot-de-passe\r\r\n", IMAP_FRAME_BAD_LINE },
        { "a LOGIN marie@example.org \r mauvais-mot-de-passe-secret\r\n", IMAP_FRAME_BAD_LINE },
        { "a LOGIN marie@example.org mauvais-mot-de-passe-secret\n", IMAP_FRAME_BAD_LINE },
        { "a LOGIN " LONG " mauvais-mot-de-passe-secret\r\n", IMAP_FRAME_TOO_LONG },
        { "a LOGIN " LONG LONG LONG LONG LONG LONG LONG LONG " mauvais-mot-de-passe-secret\r\n", IMAP_FRAME_TOO_LONG },
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t first = 0; first < strlen(lines[i].in); first++) {
            struct imap_frame f;
            imap_frame_init(&f, LINE_MAX_HERE, LITERAL_MAX_HERE);
            char *copy = heap_copy(lines[i].in);
            str in = { copy, strlen(lines[i].in) };
            size_t used = 0;
            if (first)
                assert_int_equal(imap_frame_feed(&f, str_sub(in, 0, first), &used), IMAP_FRAME_MORE);
            assert_int_equal(used, first);
            assert_int_equal(imap_frame_feed(&f, str_from(in, first), &used), lines[i].event);
            assert_true(str_starts(buf_str(&f.unit), STR("a LOGIN ")));
            imap_frame_done(&f);
            free(copy);
        }
}

static void a_diverted_literal_is_the_callers(void **state)
{
    (void)state;
    struct imap_frame f;
    imap_frame_init(&f, 1000, 20);
    size_t used;
    assert_int_equal(imap_frame_feed(&f, STR("a APPEND x {5+}\r\nhello\r\n"), &used), IMAP_FRAME_LITERAL);
    assert_int_equal(used, 17);
    imap_frame_divert(&f, f.unit.n);
    assert_int_equal(imap_frame_feed(&f, STR("hello\r\n"), &used), IMAP_FRAME_DIVERTED);
    assert_int_equal(used, 0);
    assert_int_equal(f.literal, 5);
    imap_frame_resume(&f);
    assert_int_equal(imap_frame_feed(&f, STR("\r\n"), &used), IMAP_FRAME_COMMAND);
    assert_str(buf_str(&f.unit), "a APPEND x {5+}");
    imap_frame_done(&f);
}

/* A unit keeps what it is told to, so that any number of literals costs no memory and no line is too long by them. */
static void what_is_diverted_is_forgotten(void **state)
{
    (void)state;
    struct imap_frame f;
    imap_frame_init(&f, 100, 20);
    size_t used, keep = 0;
    assert_int_equal(imap_frame_feed(&f, STR("a APPEND {1+}\r\n"), &used), IMAP_FRAME_LITERAL);
    assert_true(imap_frame_keep(&f));
    assert_int_equal(imap_frame_feed(&f, STR("x {5+}\r\n"), &used), IMAP_FRAME_LITERAL);
    keep = f.unit.n;
    for (int i = 0; i < 10000; i++) {
        assert_true(str_starts(buf_str(&f.unit), STR("a APPEND {1+}\r\nx {5+}")));
        imap_frame_divert(&f, keep);
        assert_int_equal(f.unit.n, keep);
        assert_int_equal(imap_frame_feed(&f, STR("hello"), &used), IMAP_FRAME_DIVERTED);
        imap_frame_resume(&f);
        assert_int_equal(imap_frame_feed(&f, STR(" (\\Seen $Junk) {5+}\r\n"), &used), IMAP_FRAME_LITERAL);
        assert_str(str_from(buf_str(&f.unit), keep), " (\\Seen $Junk) {5+}");
    }
    imap_frame_divert(&f, keep);
    imap_frame_resume(&f);
    assert_int_equal(imap_frame_feed(&f, STR(" " LONG LONG "\r\n"), &used), IMAP_FRAME_TOO_LONG); /* one line still can be */
    assert_true(str_starts(buf_str(&f.unit), STR("a APPEND {1+}\r\nx {5+}")));
    imap_frame_done(&f);
}

/* A refused command is framed to its end, however many literals it still has (F4). */
static void a_spoilt_command_has_any_number_of_literals(void **state)
{
    (void)state;
    struct imap_frame f;
    imap_frame_init(&f, 1000, 20);
    size_t used;
    assert_int_equal(imap_frame_feed(&f, STR("a X {5+}\r\n"), &used), IMAP_FRAME_LITERAL);
    imap_frame_refuse(&f);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(imap_frame_feed(&f, STR("hello (\\Seen) {5+}\r\n"), &used), IMAP_FRAME_MORE);
        assert_true(f.unit.n <= 1000);
    }
    assert_int_equal(imap_frame_feed(&f, STR("hello\r\n"), &used), IMAP_FRAME_REFUSED);
    assert_true(str_starts(buf_str(&f.unit), STR("a X {5+}")));
    imap_frame_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_end_where_they_should_at_every_split),
        cmocka_unit_test(nul_spoils_a_line),
        cmocka_unit_test(a_spoilt_line_keeps_its_head_and_little_memory),
        cmocka_unit_test(a_spoilt_command_keeps_its_tag_at_every_split),
        cmocka_unit_test(a_diverted_literal_is_the_callers),
        cmocka_unit_test(what_is_diverted_is_forgotten),
        cmocka_unit_test(a_spoilt_command_has_any_number_of_literals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
