/* conn_memory: the hand-driven connection behaves as the server does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "run/conn.h"
#include "run/stream_private.h"

/* Echoes lines. "ONE" makes it handle one line a turn, "TLS" asks for STARTTLS, "MANY n" answers n lines by CONN_DRAIN, "QUIT"
 * closes. */
struct echo {
    bool one_per_turn;
    unsigned many;
};

static int sessions_open;
static bool refuse;

static void *echo_open(struct conn *c, void *ctx)
{
    if (refuse) {
        stream_write(conn_stream(c), STR("421 no\r\n"));
        return NULL;
    }
    sessions_open++;
    return calloc(1, sizeof(struct echo));
}

static enum conn_next echo_many(struct echo *e, struct stream *s)
{
    while (e->many && !stream_is_full(s))
        stream_printf(s, "line %u\r\n", e->many--);
    return e->many ? CONN_DRAIN : CONN_WAIT;
}

static enum conn_next echo_lines(struct conn *c, struct echo *e)
{
    struct stream *s = conn_stream(c);
    for (;;) {
        str line;
        int r = stream_line(s, 100, &line);
        if (r == ERR_AGAIN)
            return CONN_WAIT;
        if (r == ERR_EOF || r == ERR_IO)
            return CONN_CLOSE;
        if (r < 0) {
            stream_printf(s, "500 %s\r\n", err_name(r));
            continue;
        }
        assert_non_null(arena_alloc(conn_arena(c), 10));
        if (str_eq(line, STR("TLS")))
            return CONN_STARTTLS;
        if (str_eq(line, STR("QUIT"))) {
            stream_write(s, STR("bye\r\n"));
            return CONN_CLOSE;
        }
        if (str_eq(line, STR("ONE")))
            e->one_per_turn = true;
        if (str_starts(line, STR("MANY "))) {
            assert_true(str_to_u32(str_from(line, 5), 1000000, &e->many));
            if (echo_many(e, s) == CONN_DRAIN)
                return CONN_DRAIN;
        } else {
            stream_printf(s, "%.*s\r\n", STR_ARG(line));
        }
        if (e->one_per_turn)
            return CONN_WAIT;
    }
}

static enum conn_next echo_run(struct conn *c, void *session, unsigned why)
{
    struct echo *e = session;
    struct stream *s = conn_stream(c);
    if (why & CONN_START)
        stream_write(s, STR("hello\r\n"));
    if (why & CONN_SECURED)
        stream_printf(s, "secured %.*s\r\n", STR_ARG(conn_tls(c)->version));
    if (why & CONN_EVENT)
        stream_write(s, STR("event\r\n"));
    if (why & CONN_TIMEOUT)
        stream_write(s, STR("timeout\r\n"));
    if (why & CONN_SHUTDOWN) {
        assert_true(conn_is_stopping(c));
        stream_write(s, STR("shutdown\r\n"));
        return CONN_CLOSE;
    }
    if (why & CONN_DRAINED && echo_many(e, s) == CONN_DRAIN)
        return CONN_DRAIN;
    return echo_lines(c, e);
}

static void echo_close(struct conn *c, void *session)
{
    sessions_open--;
    free(session);
}

static const struct conn_ops echo_ops = { "echo", echo_open, echo_run, echo_close };

static void expect(struct conn *c, const char *want)
{
    str got = conn_memory_take(c);
    if (!str_eq(got, str_from_z(want)))
        fail_msg("expected \"%s\", got \"%.*s\"", want, STR_ARG(got));
}

static void a_dialogue(size_t read_step, size_t write_step)
{
    struct conn *c = conn_memory_new(&echo_ops, NULL, read_step, write_step, true, false);
    expect(c, "hello\r\n");
    conn_memory_feed(c, STR("a\r\nb\r\nc"));
    expect(c, "a\r\nb\r\n");
    conn_memory_feed(c, STR("\r\nbad\rline\r\n"));
    expect(c, "c\r\n500 syntax\r\n");
    conn_memory_feed(c, STR("ONE\r\na\r\nb\r\n"));
    expect(c, "ONE\r\na\r\nb\r\n");
    conn_wake(c);
    conn_wake(c);
    conn_memory_feed(c, STR(""));
    expect(c, "event\r\n");
    conn_memory_run(c, CONN_TIMEOUT);
    expect(c, "timeout\r\n");
    assert_true(conn_can_starttls(c));
    conn_memory_feed(c, STR("TLS\r\n"));
    expect(c, "secured TLSv1.3\r\n");
    assert_true(conn_tls(c)->active);
    assert_false(conn_can_starttls(c));
    conn_memory_feed(c, STR("x\r\nQUIT\r\nignored\r\n"));
    expect(c, "x\r\nbye\r\n");
    assert_true(conn_memory_is_closed(c));
    assert_int_equal(sessions_open, 0);
    conn_memory_free(c);
}

static void dialogues(void **state)
{
    a_dialogue(0, 0);
    a_dialogue(1, 0);
    a_dialogue(0, 1);
    a_dialogue(1, 1);
    a_dialogue(3, 512);
}

static void output_stops_at_a_peer_that_does_not_read(void **state)
{
    struct conn *c = conn_memory_new(&echo_ops, NULL, 0, 512, false, false);
    expect(c, "hello\r\n");
    layer_memory_block_writes(conn_memory_layer(c), true);
    conn_memory_feed(c, STR("MANY 100000\r\nafter\r\n"));
    assert_true(stream_queued(conn_stream(c)) < 70000);
    conn_memory_feed(c, STR("more\r\n"));
    conn_wake(c);
    expect(c, "");
    layer_memory_block_writes(conn_memory_layer(c), false);
    conn_memory_feed(c, STR(""));
    struct buf want = BUF_INIT(1 << 24);
    for (unsigned i = 100000; i; i--)
        buf_addf(&want, "line %u\r\n", i);
    str got = conn_memory_take(c);
    size_t event = str_find(got, STR("event\r\n"));
    assert_true(event < got.n);
    assert_int_equal(got.n, want.n + sizeof "event\r\nafter\r\nmore\r\n" - 1);
    assert_true(str_ends(got, STR("after\r\nmore\r\n")));
    buf_done(&want);
    conn_memory_free(c);
    assert_int_equal(sessions_open, 0);
}

static void the_end_of_input_closes(void **state)
{
    struct conn *c = conn_memory_new(&echo_ops, NULL, 1, 0, false, true);
    assert_true(conn_tls(c)->active);
    conn_memory_feed(c, STR("a\r\nb"));
    conn_memory_feed_eof(c);
    expect(c, "hello\r\na\r\n");
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    assert_int_equal(sessions_open, 0);
}

static void text_before_the_handshake_closes(void **state)
{
    struct conn *c = conn_memory_new(&echo_ops, NULL, 0, 0, true, false);
    conn_memory_feed(c, STR("TLS\r\nINJECTED\r\n"));
    expect(c, "hello\r\n");
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    c = conn_memory_new(&echo_ops, NULL, 0, 0, false, false);
    conn_memory_feed(c, STR("TLS\r\n")); /* not offered */
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    assert_int_equal(sessions_open, 0);
}

static void refusal_and_shutdown(void **state)
{
    refuse = true;
    struct conn *c = conn_memory_new(&echo_ops, NULL, 0, 0, false, false);
    refuse = false;
    expect(c, "421 no\r\n");
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    c = conn_memory_new(&echo_ops, NULL, 0, 0, false, false);
    conn_memory_run(c, CONN_SHUTDOWN);
    expect(c, "hello\r\nshutdown\r\n");
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    c = conn_memory_new(&echo_ops, NULL, 0, 0, false, false);
    conn_memory_free(c);
    assert_int_equal(sessions_open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(output_stops_at_a_peer_that_does_not_read),
        cmocka_unit_test(the_end_of_input_closes),
        cmocka_unit_test(text_before_the_handshake_closes),
        cmocka_unit_test(refusal_and_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
