/* session: the SMTP server's dialogue (RFC 5321, submission: RFC 6409). One loop: read a line or a piece of a message, act,
 * answer; the runtime flushes when nothing more has come, so PIPELINING (RFC 2920) needs no code of its own.
 *
 * Invariants, checked after every step
 *  1. A transaction exists only after EHLO or HELO, and on submission only after AUTH.
 *  2. MODE_DATA has a transaction with at least one recipient, and so has MODE_CHUNK unless the chunk is dropped.
 *  3. MODE_AUTH, and no other mode, has a SASL exchange.
 *  4. A session never authenticates without TLS.
 *  5. After an answer that closes, nothing more is read.
 *  6. No command and no message is taken up once the login was taken back (conn_is_ended). */
#include "smtp/session_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "smtp/xclient.h"

enum smtp_stage smtp_session_stage(const struct smtp_session *s)
{
    if (!s->helo_n)
        return SMTP_STAGE_START;
    if (!s->transaction)
        return SMTP_STAGE_READY;
    if (s->transaction->chunk_n)
        return SMTP_STAGE_CHUNK;
    return s->transaction->recipient_n ? SMTP_STAGE_RCPT : SMTP_STAGE_MAIL;
}

static void check(const struct smtp_session *s)
{
    require(!s->transaction || s->helo_n);
    require(!s->transaction || !s->config->submission || s->is_authenticated);
    require(s->mode != SMTP_MODE_DATA || smtp_session_stage(s) == SMTP_STAGE_RCPT);
    require(s->mode != SMTP_MODE_CHUNK || s->chunk.is_refused || smtp_session_stage(s) == SMTP_STAGE_CHUNK);
    require((s->mode == SMTP_MODE_AUTH || s->auth_asks_again) == (s->sasl != NULL || s->auth_is_proved));
    require(!s->is_authenticated || smtp_session_may_auth(s));
}

const struct smtp_login *smtp_session_login(const struct smtp_session *s)
{
    return s->is_authenticated ? &s->login : NULL;
}

const struct tls_info *smtp_session_tls(const struct smtp_session *s)
{
    return conn_tls(s->conn);
}

str smtp_session_helo(const struct smtp_session *s)
{
    return (str){ s->helo, s->helo_n };
}

bool smtp_session_offers_starttls(const struct smtp_session *s)
{
    return s->config->tls != SMTP_TLS_OFF && !smtp_session_tls(s)->active && conn_can_starttls(s->conn);
}

bool smtp_session_may_auth(const struct smtp_session *s)
{
    return smtp_session_tls(s)->active || s->config->clear_login;
}

bool smtp_session_offers_auth(const struct smtp_session *s)
{
    return s->config->submission && smtp_session_may_auth(s) && !s->is_authenticated;
}

void smtp_say_lines(struct smtp_session *s, enum smtp_reply r, const str *lines, size_t n)
{
    struct buf out = BUF_INIT(32 * 1024);
    unsigned flags = smtp_reply_flags(r);
    int rc = smtp_reply_add(&out, r, lines, n);
    require(rc == 0);
    stream_write(s->stream, buf_str(&out));
    buf_done(&out);
    if (flags & SMTP_REPLY_BAD)
        s->errors++;
    if (flags & SMTP_REPLY_CLOSE)
        s->is_closing = true;
}

void smtp_say(struct smtp_session *s, enum smtp_reply r)
{
    str text = smtp_reply_text(r);
    smtp_say_lines(s, r, &text, 1);
}

void smtp_say_text(struct smtp_session *s, enum smtp_reply r, str text)
{
    struct buf escaped = BUF_INIT(8 * 1024);
    buf_add_escaped(&escaped, str_sub(text, 0, SMTP_REPLY_LINE_MAX));
    str line = buf_str(&escaped);
    smtp_say_lines(s, r, &line, 1);
    buf_done(&escaped);
}

void smtp_say_about(struct smtp_session *s, enum smtp_reply r, str address)
{
    static const str mailbox = STR_INIT("The mailbox is full");
    str usual = smtp_reply_text(r);
    struct buf text = BUF_INIT(8 * 1024);
    if (address.n && str_starts(usual, mailbox)) {
        buf_add_all(&text, STR("The mailbox of <"), address, STR("> is full"), str_from(usual, mailbox.n));
        usual = buf_str(&text);
    }
    smtp_say_text(s, r, usual);
    buf_done(&text);
}

void smtp_session_wait(struct smtp_session *s, int64_t ms)
{
    s->wait_until_ms = clock_mono_ms() + ms;
}

static bool is_reading_message(const struct smtp_session *s)
{
    return s->mode == SMTP_MODE_DATA || s->mode == SMTP_MODE_CHUNK;
}

void smtp_session_command_mode(struct smtp_session *s)
{
    s->mode = SMTP_MODE_COMMAND;
    smtp_session_wait(s, SMTP_IDLE_MS);
    conn_min_rate(s->conn, 0);
}

/* The runtime counts a deadline from each park, so what is left of the wait is set each time: a line that drips in byte by byte
 * must be whole in time, and an answer that is held is not put off by input. A message has its minimum rate instead. */
static enum conn_next park(struct smtp_session *s)
{
    int64_t left = is_reading_message(s) ? SMTP_IDLE_MS : s->wait_until_ms - clock_mono_ms();
    conn_deadline(s->conn, left > 1 ? left : 1);
    return CONN_WAIT;
}

static void *session_open(struct conn *c, void *ctx)
{
    struct smtp_session *s = calloc(1, sizeof(*s));
    if (!s)
        panic("out of memory");
    s->conn = c;
    s->stream = conn_stream(c);
    s->config = ctx;
    buf_init(&s->login_address, SASL_NAME_MAX);
    buf_init(&s->auth_proof, SASL_RESPONSE_MAX);
    smtp_session_wait(s, SMTP_IDLE_MS);
    return s;
}

static void session_close(struct conn *c, void *session)
{
    struct smtp_session *s = session;
    const struct log_field fields[] = { LOG_STR("user", s->login.address),
                                        LOG_STR("mechanism", s->login.by.how),
                                        LOG_STR("helo", smtp_session_helo(s)),
                                        LOG_NUM("messages", s->message_n),
                                        LOG_NUM("errors", s->errors),
                                        LOG_NUM("unknown-recipients", s->unknown),
                                        { .key = NULL } };
    conn_tell(c, fields);
    smtp_auth_abort(s);
    smtp_transaction_end(s);
    buf_done(&s->login_address);
    buf_done(&s->auth_proof);
    free(s);
}

/* RFC 5321 section 3.1: a 554 in place of the greeting leaves the client to say QUIT; a 421 closes. */
static bool is_turned_away(struct smtp_session *s)
{
    str why;
    enum conn_refusal refusal = conn_refusal(s->conn, &why);
    if (refusal == CONN_WELCOME)
        return false;
    s->is_unwelcome = true;
    smtp_say_text(s, refusal == CONN_NOT_SERVED ? SMTP_REPLY_NOT_SERVED : SMTP_REPLY_TURNED_AWAY, why);
    smtp_session_wait(s, SMTP_UNWELCOME_MS);
    return true;
}

static void greet(struct smtp_session *s)
{
    struct buf text = BUF_INIT(SMTP_REPLY_LINE_MAX);
    if (is_turned_away(s))
        return;
    buf_add_all(&text, s->config->hostname, s->config->lmtp ? STR(" LMTP ready") : STR(" ESMTP ready"));
    smtp_say_text(s, SMTP_REPLY_GREETING, buf_str(&text));
    buf_done(&text);
}

/* RFC 3207 section 4.2: after the handshake everything said before is forgotten, on both sides. */
static void forget(struct smtp_session *s)
{
    smtp_transaction_end(s);
    s->helo_n = 0;
    s->esmtp = false;
    s->is_authenticated = false;
    s->login = (struct smtp_login){ 0 };
    buf_reset(&s->login_address);
}

/* "The SMTP server must not reset attributes that were received with the last XCLIENT command." */
void smtp_session_restart(struct smtp_session *s, const struct smtp_xclient *x)
{
    require(x->name.n <= SMTP_HELO_MAX && x->helo.n <= SMTP_HELO_MAX);
    forget(s);
    s->is_unwelcome = false;
    if (x->has_name) {
        memcpy(s->name, x->name.n ? x->name.p : "", x->name.n);
        s->name_n = x->name.n;
    }
    memcpy(s->helo, x->helo.n ? x->helo.p : "", x->helo.n);
    s->helo_n = x->helo.n;
    s->esmtp = !x->has_proto || x->esmtp;
    greet(s);
}

static void on_timeout(struct smtp_session *s)
{
    if (s->mode == SMTP_MODE_HELD)
        smtp_auth_release(s);
    else
        smtp_say(s, is_reading_message(s) ? SMTP_REPLY_TOO_SLOW : SMTP_REPLY_TIMEOUT);
}

/* Counts what has come of KIND since it was counted last for the peer, *COUNTED. False when the peer has too many in a time, over all its
 * connections. */
static bool count(struct smtp_session *s, enum limit_kind kind, unsigned now, unsigned *counted, str *ret_why)
{
    unsigned n = now > *counted ? now - *counted : 0;
    *counted = now;
    return n == 0 || conn_count(s->conn, kind, n, ret_why);
}

/* The last things to say about a command that has run: too many of a kind end the session. */
static void check_counts(struct smtp_session *s)
{
    str why;
    if (s->is_closing || is_reading_message(s) || s->mode == SMTP_MODE_HELD)
        return;
    if (!count(s, LIMIT_ERRORS, s->errors, &s->counted.errors, &why) || !count(s, LIMIT_JUNK, s->junk, &s->counted.junk, &why))
        smtp_say_text(s, SMTP_REPLY_TOO_MANY_IN_TIME, why);
    else if (s->errors >= s->config->errors_max)
        smtp_say(s, SMTP_REPLY_TOO_MANY_ERRORS);
    else if (s->junk > s->config->junk_max)
        smtp_say(s, SMTP_REPLY_TOO_MUCH_JUNK);
    else if (s->unknown >= s->config->unknown_max && !s->config->lmtp) /* a relay of ours may have as many in one run */
        smtp_say(s, SMTP_REPLY_TOO_MANY_UNKNOWN);
}

/* Takes one line in MODE_COMMAND or MODE_AUTH. 0 with *NEXT, or why there is none. */
static int take_line(struct smtp_session *s, enum conn_next *next)
{
    const struct smtp_limits *limits = &smtp_limits_default;
    str line;
    int rc = stream_line(s->stream, s->config->submission ? limits->auth_line_max : limits->line_max, &line);
    *next = CONN_WAIT;
    if (rc == 0 || rc == ERR_SYNTAX || rc == ERR_LIMIT)
        smtp_session_wait(s, SMTP_IDLE_MS);
    if (rc == ERR_SYNTAX || rc == ERR_LIMIT) {
        bool in_auth = s->mode == SMTP_MODE_AUTH;
        smtp_auth_abort(s);
        smtp_say(s, rc == ERR_SYNTAX ? SMTP_REPLY_BAD_LINE : in_auth ? SMTP_REPLY_AUTH_TOO_LONG : SMTP_REPLY_LINE_TOO_LONG);
    } else if (rc) {
        return rc;
    } else if (s->mode == SMTP_MODE_AUTH) {
        smtp_auth_line(s, line);
    } else {
        *next = smtp_command_run(s, line);
    }
    check_counts(s);
    arena_reset(conn_arena(s->conn)); /* many commands may come before the connection parks */
    return 0;
}

/* Takes a piece of the message in MODE_DATA or MODE_CHUNK. */
static int take_data(struct smtp_session *s)
{
    str bytes = stream_peek(s->stream);
    if (!bytes.n) {
        int rc = stream_fill(s->stream);
        if (rc)
            return rc;
        bytes = stream_peek(s->stream);
    }
    size_t used = 0;
    if (s->mode == SMTP_MODE_DATA)
        smtp_data_input(s, bytes, &used);
    else
        smtp_chunk_input(s, bytes, &used);
    stream_consume(s->stream, used);
    check_counts(s);
    return 0;
}

/* MODE_HELD: input is taken so that the connection can park, and remembered: it should not have come (see smtp_auth_release). */
static int drop_input(struct smtp_session *s)
{
    int rc;
    do {
        size_t n = stream_peek(s->stream).n;
        s->has_input_while_held |= n > 0;
        stream_consume(s->stream, n);
        rc = stream_fill(s->stream);
    } while (rc == 0);
    return rc;
}

static int take(struct smtp_session *s, enum conn_next *next)
{
    switch (s->mode) {
    case SMTP_MODE_COMMAND:
    case SMTP_MODE_AUTH:
        return take_line(s, next);
    case SMTP_MODE_DATA:
    case SMTP_MODE_CHUNK:
        return take_data(s);
    case SMTP_MODE_HELD:
        return drop_input(s);
    }
    panic("impossible SMTP mode %d", (int)s->mode);
}

static enum conn_next loop(struct smtp_session *s)
{
    for (;;) {
        check(s);
        if (conn_is_ended(s->conn) && !s->is_closing)
            smtp_say(s, SMTP_REPLY_ENDED); /* also within a message, which was never ours (RFC 5321 section 3.8) */
        if (s->is_stopping && !is_reading_message(s) && !s->is_closing)
            smtp_say(s, SMTP_REPLY_SHUTDOWN);
        if (s->is_closing)
            return CONN_CLOSE;
        if (stream_is_full(s->stream)) /* a peer that asks without reading answers waits until it has read */
            return CONN_DRAIN;
        enum conn_next next = CONN_WAIT;
        int rc = take(s, &next);
        if (rc == ERR_AGAIN)
            return park(s);
        if (rc) /* ended or broken: an unfinished message was never ours */
            return CONN_CLOSE;
        if (next != CONN_WAIT)
            return next;
        s->is_stopping |= conn_is_stopping(s->conn);
    }
}

static enum conn_next session_run(struct conn *c, void *session, unsigned why)
{
    struct smtp_session *s = session;
    if (why & CONN_START)
        greet(s);
    if (why & CONN_SECURED)
        forget(s);
    if (why & CONN_SHUTDOWN)
        s->is_stopping = true;
    if (why & CONN_TIMEOUT)
        on_timeout(s);
    return loop(s);
}

const struct conn_ops smtp_session_ops = { .name = "smtp", .open = session_open, .run = session_run, .close = session_close };
