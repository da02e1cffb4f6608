/* The session as a machine: every command in every stage, and what scripts cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "service_table.h"
#include "smtp/session_private.h"

enum stage { START, READY, MAIL, RCPT, CHUNK, STAGE_N };
/* What a session is brought to each stage with; each includes the ones before it. */
static const char *const approach[STAGE_N] = { "", "EHLO c\r\n", "MAIL FROM:<alice@example.org>\r\n",
                                               "RCPT TO:<bob@example.org>\r\n", "BDAT 9\r\nFrom: a\r\n" };
static const char login[] = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";

static struct conn *arrive(struct service_table *t, enum stage stage, bool submission)
{
    t->config.submission = submission;
    t->config.errors_max = 1000;
    struct conn *c = conn_memory_new(&smtp_session_ops, &t->config, 0, 0, true, submission);
    for (unsigned i = 0; i <= stage; i++) {
        conn_memory_feed(c, str_from_z(approach[i]));
        if (i == READY && submission)
            conn_memory_feed(c, str_from_z(login));
    }
    (void)conn_memory_take(c);
    return c;
}

/* Feeds LINE and returns the code of the last line answered; 0 when nothing was. */
static unsigned ask(struct conn *c, const char *line)
{
    conn_memory_feed(c, str_from_z(line));
    str said = conn_memory_take(c);
    unsigned code = 0;
    str one;
    while (str_split(&said, '\n', &one)) {
        uint32_t n;
        if (one.n >= 3 && str_to_u32(str_sub(one, 0, 3), 999, &n))
            code = n;
    }
    return code;
}

/* What a session accepts next tells its stage. */
static enum stage probe(struct conn *c)
{
    static const char *const bad_data = "DATA x\r\n"; /* 501 with recipients, 503 or 554 before; changes nothing */
    if (ask(c, bad_data) == 501)
        return RCPT;
    unsigned code = ask(c, "RCPT TO:<broken>\r\n"); /* 501 within a transaction, 503 outside; changes nothing */
    if (code == 501)
        return MAIL;
    if (ask(c, "BDAT 0\r\n") == 250) /* 503 but where a message has begun; changes nothing there */
        return CHUNK;
    return ask(c, "MAIL FROM:<broken>\r\n") == 503 ? START : READY;
}

struct transition {
    const char *command;
    unsigned codes[STAGE_N];
    enum stage after[STAGE_N];
};

static void drive(const struct transition *table, size_t n, bool submission)
{
    for (size_t i = 0; i < n; i++) {
        for (unsigned stage = START; stage < STAGE_N; stage++) {
            struct service_table t;
            service_table_init(&t);
            struct conn *c = arrive(&t, (enum stage)stage, submission);
            assert_int_equal(probe(c), stage);
            unsigned code = ask(c, table[i].command);
            if (code != table[i].codes[stage])
                fail_msg("%s in stage %u: %u instead of %u", table[i].command, stage, code, table[i].codes[stage]);
            enum stage after = probe(c);
            if (after != table[i].after[stage])
                fail_msg("%s in stage %u: now in stage %u instead of %u", table[i].command, stage, after, table[i].after[stage]);
            conn_memory_free(c);
            service_table_done(&t);
        }
    }
}

#define STAYS                                                                                                                    \
    {                                                                                                                            \
        START, READY, MAIL, RCPT, CHUNK                                                                                          \
    }
#define TO_READY                                                                                                                 \
    {                                                                                                                            \
        READY, READY, READY, READY, READY                                                                                        \
    }

static void test_every_command_in_every_stage(void **state)
{
    static const struct transition table[] = {
        { "EHLO d\r\n", { 250, 250, 250, 250, 250 }, TO_READY },
        { "HELO d\r\n", { 250, 250, 250, 250, 250 }, TO_READY },
        { "EHLO\r\n", { 501, 501, 501, 501, 501 }, STAYS },
        { "HELO\r\n", { 501, 501, 501, 501, 501 }, STAYS },
        { "HELO (none)\r\n", { 250, 250, 250, 250, 250 }, TO_READY },
        { "MAIL FROM:<x@y>\r\n", { 503, 250, 503, 503, 503 }, { START, MAIL, MAIL, RCPT, CHUNK } },
        { "MAIL FROM:<x@y> FOO\r\n", { 503, 555, 503, 503, 503 }, STAYS },
        { "MAIL FROM:<x@y> SIZE=999999999999\r\n", { 503, 552, 503, 503, 503 }, STAYS },
        { "RCPT TO:<bob@example.org>\r\n", { 503, 503, 250, 250, 503 }, { START, READY, RCPT, RCPT, CHUNK } },
        { "RCPT TO:<nobody@example.org>\r\n", { 503, 503, 550, 550, 503 }, STAYS },
        { "RCPT TO:<busy@example.org>\r\n", { 503, 503, 451, 451, 503 }, STAYS },
        { "RCPT TO:<x@elsewhere>\r\n", { 503, 503, 550, 550, 503 }, STAYS },
        { "DATA\r\n.\r\n", { 500, 500, 500, 250, 500 }, { START, READY, MAIL, READY, CHUNK } },
        { "DATA\r\na\nb\r\n.\r\n", { 500, 500, 500, 550, 500 }, { START, READY, MAIL, READY, CHUNK } },
        { "BDAT 5\r\nhello", { 503, 503, 554, 250, 250 }, { START, READY, MAIL, CHUNK, CHUNK } },
        { "BDAT 7 LAST\r\nhello\r\n", { 503, 503, 554, 250, 250 }, { START, READY, MAIL, READY, READY } },
        { "BDAT 2\r\nx\n", { 503, 503, 554, 550, 550 }, { START, READY, MAIL, READY, READY } },
        { "RSET\r\n", { 250, 250, 250, 250, 250 }, { START, READY, READY, READY, READY } },
        { "RSET x\r\n", { 501, 501, 501, 501, 501 }, STAYS },
        { "NOOP x\r\n", { 250, 250, 250, 250, 250 }, STAYS },
        { "HELP\r\n", { 214, 214, 214, 214, 214 }, STAYS },
        { "VRFY x\r\n", { 252, 252, 252, 252, 252 }, STAYS },
        { "EXPN x\r\n", { 502, 502, 502, 502, 502 }, STAYS },
        { "AUTH PLAIN\r\n", { 502, 502, 502, 502, 502 }, STAYS },
        { "STARTTLS x\r\n", { 501, 501, 501, 501, 501 }, STAYS },
        { "STARTTLS\r\n", { 220, 220, 220, 220, 220 }, { START, START, START, START, START } },
        { "FOO\r\n", { 500, 500, 500, 500, 500 }, STAYS },
        { "\r\n", { 500, 500, 500, 500, 500 }, STAYS },
        { "NOOP\n\r\n", { 500, 500, 500, 500, 500 }, STAYS },
    };
    drive(table, sizeof(table) / sizeof(table[0]), false);
}

static void test_every_command_in_every_stage_of_submission(void **state)
{
    static const struct transition table[] = {
        { "EHLO d\r\n", { 250, 250, 250, 250, 250 }, TO_READY },
        { "MAIL FROM:<bob@example.org>\r\n", { 503, 553, 503, 503, 503 }, STAYS },
        { "RCPT TO:<x@elsewhere>\r\n", { 503, 503, 550, 550, 503 }, STAYS },
        { "DATA\r\nFrom: bob@example.org\r\n\r\n.\r\n", { 500, 500, 500, 550, 500 }, { START, READY, MAIL, READY, CHUNK } },
        { "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", { 503, 503, 503, 503, 503 }, STAYS },
        { "STARTTLS\r\n", { 503, 503, 503, 503, 503 }, STAYS },
    };
    drive(table, sizeof(table) / sizeof(table[0]), true);
}

/* RFC 3207 section 5: what came in the clear behind STARTTLS never counts. */
static void test_commands_behind_starttls(void **state)
{
    struct service_table t;
    service_table_init(&t);
    struct conn *c = conn_memory_new(&smtp_session_ops, &t.config, 0, 0, true, false);
    (void)conn_memory_take(c);
    assert_int_equal(ask(c, "STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.net>\r\n"), 554);
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    service_table_done(&t);
}

/* Whole messages of every size around the places where the body moves from memory to memfd to spool file come out as they went in. */
static void test_message_sizes(void **state)
{
    static const struct {
        size_t size;
        int kind;
    } table[] = {
        { 0, 0 },
        { 1000, 0 },
        { SMTP_BODY_HEAP_MAX - 1000, 0 },
        { SMTP_BODY_HEAP_MAX, 1 },
        { 300000, 1 },
        { SMTP_BODY_MEMFD_MAX - 70000, 1 },
        { SMTP_BODY_MEMFD_MAX + 1000, 2 },
        { 3000000, 2 },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct service_table t;
        service_table_init(&t);
        struct conn *c = arrive(&t, RCPT, false);
        struct buf message = BUF_INIT(8 * 1024 * 1024);
        buf_add(&message, STR("\r\n"));
        for (unsigned line = 0; message.n < table[i].size; line++)
            buf_addf(&message, "line %u of a message\r\n", line);
        assert_int_equal(ask(c, "DATA\r\n"), 354);
        conn_memory_feed(c, buf_str(&message));
        assert_int_equal(ask(c, ".\r\n"), 250);
        assert_int_equal(t.accepted, 1);
        assert_int_equal(t.fd_kind, table[i].kind);
        assert_true(str_ends(buf_str(&t.message), buf_str(&message)));
        assert_true(str_starts(buf_str(&t.message), STR("Received: from c ")));
        buf_done(&message);
        conn_memory_free(c);
        service_table_done(&t);
    }
}

/* The answer of a peer that sends without reading is bounded: the session stops taking commands. */
static void test_output_is_bounded(void **state)
{
    struct service_table t;
    service_table_init(&t);
    t.config.errors_max = 1000000;
    struct conn *c = conn_memory_new(&smtp_session_ops, &t.config, 0, 0, false, false);
    layer_memory_block_writes(conn_memory_layer(c), true);
    struct buf flood = BUF_INIT(1024 * 1024);
    for (unsigned i = 0; i < 20000; i++)
        buf_add(&flood, STR("XXXX\r\n"));
    conn_memory_feed(c, buf_str(&flood));
    assert_true(stream_queued(conn_stream(c)) < 128 * 1024);
    assert_false(conn_memory_is_closed(c));
    layer_memory_block_writes(conn_memory_layer(c), false);
    conn_memory_run(c, CONN_DRAINED);
    str said = conn_memory_take(c);
    size_t answers = 0;
    while (str_split(&said, '\n', &(str){ 0 }))
        answers++;
    assert_int_equal(answers, 1 + 20000 + 1); /* the greeting, each answer, and what follows the last line end */
    buf_done(&flood);
    conn_memory_free(c);
    service_table_done(&t);
}

/* Dripping input while an answer is held puts the answer off no further. */
static void test_held_answer_deadline_shrinks(void **state)
{
    struct service_table t;
    service_table_init(&t);
    t.config.submission = true;
    struct conn *c = conn_memory_new(&smtp_session_ops, &t.config, 0, 0, false, true);
    conn_memory_feed(c, STR("EHLO c\r\nAUTH PLAIN AHNsb3cAc2VjcmV0\r\n"));
    str said = conn_memory_take(c);
    assert_true(str_find(said, STR("235")) == said.n);
    assert_true(conn_memory_deadline(c) <= 1000);
    conn_memory_feed(c, STR("x"));
    assert_true(conn_memory_deadline(c) <= 1000);
    conn_memory_run(c, CONN_TIMEOUT);
    said = conn_memory_take(c);
    assert_true(str_starts(said, STR("235 2.7.0 ")));
    assert_true(conn_memory_is_closed(c));
    conn_memory_free(c);
    service_table_done(&t);
}

/* A line that drips in byte by byte gets no more time than one that does not come at all. */
static void test_a_dripping_line_gets_no_more_time(void **state)
{
    struct service_table t;
    service_table_init(&t);
    struct conn *c = conn_memory_new(&smtp_session_ops, &t.config, 0, 0, false, false);
    int64_t before = conn_memory_deadline(c);
    assert_true(SMTP_IDLE_MS >= 5 * 60 * 1000); /* RFC 5321 section 4.5.3.2.7 */
    assert_true(before > 0 && before <= SMTP_IDLE_MS);
    (void)nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
    conn_memory_feed(c, STR("NO"));
    assert_true(conn_memory_deadline(c) <= SMTP_IDLE_MS - 5);
    conn_memory_free(c);
    service_table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_in_every_stage),
        cmocka_unit_test(test_every_command_in_every_stage_of_submission),
        cmocka_unit_test(test_commands_behind_starttls),
        cmocka_unit_test(test_message_sizes),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_held_answer_deadline_shrinks),
        cmocka_unit_test(test_a_dripping_line_gets_no_more_time),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
