/* session: the IMAP server's side of one connection (RFC 3501).
 *
 * One loop: read a unit (frame.h), look its command up in the table (commands.c), run it, send what changed in the mailbox, send
 * the tagged answer, park. A command that has much to say keeps its place in the arena and is resumed whenever the peer has
 * read. */
#include "imap/session_private.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/nearest.h"

static void *imap_open(struct conn *c, void *ctx)
{
    struct imap_session *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for a session");
    s->conn = c;
    s->stream = conn_stream(c);
    s->config = ctx;
    s->state = IMAP_NOT_AUTHENTICATED;
    imap_frame_init(&s->frame, IMAP_LINE_MAX_NOT_AUTHENTICATED, IMAP_LITERALS_MAX_NOT_AUTHENTICATED);
    buf_init_secret(&s->ahead, IMAP_AHEAD_MAX);
    buf_init(&s->out, IMAP_OUT_MAX);
    buf_init(&s->answer, IMAP_OUT_MAX);
    buf_init(&s->user, 1024);
    buf_init(&s->client, 2 * IMAP_ID_TOLD_MAX + 1);
    arena_init(&s->arena, IMAP_ARENA_MAX);
    return s;
}

static void end_command(struct imap_session *s)
{
    imap_append_drop(s);
    sasl_server_free(s->sasl);
    s->sasl = NULL;
    s->command = NULL;
    s->uid = false;
    s->resume = NULL;
    s->line = NULL;
    s->work = NULL;
    s->refusal = NULL;
    s->idling = s->numbers_hold = false;
    s->expunged_told = 0;
    arena_reset(&s->arena);
    buf_done(&s->answer);
    buf_done(&s->out);
}

static void tell_end(const struct imap_session *s)
{
    const struct log_field fields[] = { LOG_STR("user", buf_str(&s->user)),     LOG_STR("mechanism", s->mechanism),
                                        LOG_STR("client", buf_str(&s->client)), LOG_NUM("commands", s->commands),
                                        LOG_NUM("fetched", s->fetched),         LOG_NUM("appended", s->appended),
                                        LOG_NUM("expunged", s->expunged),       { .key = NULL } };
    conn_tell(s->conn, fields);
}

static void imap_close(struct conn *c, void *session)
{
    struct imap_session *s = session;
    imap_answers_drop(s);
    end_command(s);
    if (s->view)
        mail_view_close(s->view);
    if (s->account)
        mail_account_unref(s->account);
    tell_end(s);
    free(s->updates.list);
    imap_frame_done(&s->frame);
    buf_done(&s->ahead);
    buf_done(&s->user);
    buf_done(&s->client);
    arena_done(&s->arena);
    free(s);
}

static void bye(struct imap_session *s, const char *code, str why)
{
    char text[LIMIT_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s%.*s", code, STR_ARG(why));
    imap_bye(s, text);
}

/* greeting = "*" SP (resp-cond-auth / resp-cond-bye) CRLF (RFC 3501 section 7.1.4) */
static void greet(struct imap_session *s)
{
    str why;
    enum conn_refusal refusal = conn_refusal(s->conn, &why);
    if (refusal) {
        bye(s, refusal == CONN_TRY_LATER ? "[LIMIT] " : "", why);
        return;
    }
    buf_add(&s->out, STR("* OK [CAPABILITY "));
    imap_write_capabilities(s, &s->out);
    buf_add_all(&s->out, STR("] "), s->config->hostname, STR(" ready\r\n"));
    imap_out_flush(s);
    buf_done(&s->out);
}

/* The tagged answer; of an EXPUNGE or MOVE that took messages away, with the modseq that the client then knows of (RFC 7162 section
 * 3.2.7, RFC 6851 section 4.4). */
static void write_answer(struct imap_session *s)
{
    str answer = buf_str(&s->answer);
    if (s->qresync && s->view && s->expunged_told && s->expunged >= s->expunged_told && str_starts(answer, STR("OK "))) {
        char code[64];
        (void)snprintf(code, sizeof code, "OK [HIGHESTMODSEQ %llu] ", (unsigned long long)mail_view_info(s->view).modseq);
        stream_write(s->stream, str_from_z(code));
        answer = str_from(answer, 3);
    }
    stream_write(s->stream, answer);
}

/* Whether the peer's address or account has made too many errors in a time, over all its connections. */
static bool has_too_many_errors(struct imap_session *s, str *ret_why)
{
    unsigned n = s->errors - s->errors_counted;
    s->errors_counted = s->errors;
    return n && !conn_count(s->conn, LIMIT_ERRORS, n, ret_why);
}

/* The command is over: its tagged answer goes out and its memory back (S1). */
static void finish(struct imap_session *s)
{
    imap_out_flush(s);
    stream_write(s->stream, s->tag_n ? imap_tag(s) : STR("*"));
    stream_write(s->stream, STR(" "));
    write_answer(s);
    stream_write(s->stream, STR("\r\n"));
    bool tls = s->step == IMAP_STEP_TLS;
    end_command(s);
    imap_frame_reset(&s->frame);
    unsigned errors_max = s->config->errors_max ? s->config->errors_max : 20;
    str why;
    if (s->state == IMAP_LOGGED_OUT)
        s->step = IMAP_STEP_CLOSE;
    else if (has_too_many_errors(s, &why))
        bye(s, "[LIMIT] ", why);
    else if (s->errors >= errors_max)
        imap_bye(s, "Too many errors; mend the program, then connect again");
    else if (s->failed_logins >= IMAP_LOGINS_MAX)
        imap_bye(s, "Too many failed logins; check name and password, then connect again");
    else if (s->updates.deleted)
        imap_bye(s, "The selected mailbox was deleted; connect again and select another");
    else if (s->stopping)
        imap_bye(s, "Server shutting down; connect again in a minute");
    else if (!tls)
        s->step = IMAP_STEP_READ;
}

/* The command is over, but its answer waits for the disk. */
static void hold_answer(struct imap_session *s)
{
    imap_answer_hold(s);
    end_command(s);
    imap_frame_reset(&s->frame);
    s->held->next = IMAP_STEP_READ;
    s->step = s->stopping || s->held->n == IMAP_HELD_MAX ? IMAP_STEP_SETTLE : IMAP_STEP_READ;
}

/* What a handler returned. */
static void take_next(struct imap_session *s, enum imap_next next)
{
    imap_out_flush(s);
    switch (next) {
    case IMAP_DONE:
        s->line = NULL;
        s->idling = false;
        if (s->pending.mailbox) {
            hold_answer(s);
            break;
        }
        s->step = s->held ? IMAP_STEP_SETTLE : IMAP_STEP_UPDATES;
        if (s->held)
            s->held->next = IMAP_STEP_UPDATES;
        break;
    case IMAP_MORE:
        s->step = IMAP_STEP_RESUME;
        break;
    case IMAP_LINE:
        imap_frame_reset(&s->frame);
        s->step = IMAP_STEP_READ;
        break;
    case IMAP_HOLD:
        s->step = IMAP_STEP_HOLD;
        break;
    case IMAP_TLS:
        s->step = IMAP_STEP_TLS;
        finish(s);
        break;
    }
}

/* Which command may have been meant: there is no HELP here. */
static void say_unknown(struct imap_session *s, str name)
{
    struct nearest meant = nearest_to(name);
    size_t n;
    const struct imap_command *commands = imap_commands(&n);
    if (s->uid) {
        imap_bad(s, "Unknown command; COPY, EXPUNGE, FETCH, MOVE, SEARCH and STORE may follow UID");
        return;
    }
    for (size_t i = 0; i < n; i++)
        nearest_offer(&meant, commands[i].name);
    if (meant.name.n)
        imap_bad(s, "Unknown command; did you mean %.*s?", STR_ARG(meant.name));
    else
        imap_bad(s, "Unknown command; CAPABILITY tells what is offered beside those of RFC 3501");
}

/* Takes tag, name and "UID" off the unit. Sets the answer and returns false when there is no such command here. */
static bool find_command(struct imap_session *s, struct scan *args)
{
    str tag, name;
    if (imap_parse_tag(args, &tag) < 0) {
        imap_bad(s, "Missing or invalid tag; begin each command with one, as in: a1 NOOP");
        return false;
    }
    s->tag_n = tag.n;
    memcpy(s->tag, tag.p, tag.n);
    if (imap_parse_sp(args) < 0 || imap_parse_atom(args, &name) < 0) {
        imap_bad(s, "Missing command; it follows the tag, as in: a1 NOOP");
        return false;
    }
    if (str_ieq(name, STR("UID"))) {
        s->uid = true;
        if (imap_parse_sp(args) < 0 || imap_parse_atom(args, &name) < 0) {
            imap_bad(s, "Missing command after UID; COPY, EXPUNGE, FETCH, MOVE, SEARCH and STORE may follow");
            return false;
        }
    }
    s->command = imap_command_find(name);
    if (!s->command || (s->uid && !(s->command->flags & IMAP_CMD_UID))) {
        s->command = NULL;
        say_unknown(s, name);
        return false;
    }
    if (!(s->command->states & s->state)) {
        bool early = s->state == IMAP_NOT_AUTHENTICATED;
        imap_bad(s, "%.*s is not allowed %s", STR_ARG(s->command->name),
                 early                                ? "before login; log in with LOGIN or AUTHENTICATE"
                 : s->command->states & IMAP_SELECTED ? "when no mailbox is selected; SELECT one"
                                                      : "after login; connect anew for that");
        return false;
    }
    if (s->command->flags & IMAP_CMD_NO_ARGUMENTS && !scan_done(args)) {
        imap_bad_arguments(s, ERR_SYNTAX);
        return false;
    }
    return true;
}

static enum imap_next run_command(struct imap_session *s)
{
    struct scan args = scan_init(buf_str(&s->frame.unit));
    s->commands++;
    s->tag_n = 0;
    return find_command(s, &args) ? s->command->run(s, &args) : IMAP_DONE;
}

/* The tag of a command that cannot be run, for the answer. */
static void take_tag(struct imap_session *s)
{
    struct scan args = scan_init(buf_str(&s->frame.unit));
    str tag;
    s->tag_n = 0;
    if (imap_parse_tag(&args, &tag) == 0 && scan_peek(&args) == ' ') {
        s->tag_n = tag.n;
        memcpy(s->tag, tag.p, tag.n);
    }
}

/* A literal is announced: part of the command, APPEND's message, or refused. */
static void answer_announcement(struct imap_session *s)
{
    if (!s->line && imap_append_announced(s))
        return;
    if (!s->refusal && !s->line && imap_frame_keep(&s->frame)) {
        if (s->frame.synchronizing)
            stream_write(s->stream, STR("+ Ready\r\n"));
        return;
    }
    if (!s->refusal)
        s->refusal = s->line ? "BAD No literal expected; send the response in a line"
                             : "BAD [TOOBIG] Literal too large for this command; send a shorter one";
    bool over = s->frame.synchronizing;
    imap_frame_refuse(&s->frame);
    if (!over)
        return;
    if (!s->line)
        take_tag(s);
    s->errors += str_starts(str_from_z(s->refusal), STR("BAD"));
    buf_reset(&s->answer);
    buf_add(&s->answer, str_from_z(s->refusal));
    take_next(s, IMAP_DONE);
}

static void answer_unit(struct imap_session *s, enum imap_frame_event event)
{
    if (s->frame.state == IMAP_FRAME_ENDED && event != IMAP_FRAME_COMMAND) {
        if (!s->line)
            take_tag(s);
        imap_append_drop(s);
    }
    switch (event) {
    case IMAP_FRAME_COMMAND:
        take_next(s, s->line ? s->line(s, buf_str(&s->frame.unit)) : run_command(s));
        break;
    case IMAP_FRAME_BAD_LINE:
        take_next(s, imap_bad(s, "Bare CR, bare LF or NUL in the command; end lines with CR LF"));
        break;
    case IMAP_FRAME_TOO_LONG:
        take_next(s, imap_bad(s, "[TOOBIG] Command line too long; do it in several"));
        break;
    case IMAP_FRAME_REFUSED:
        s->errors += str_starts(str_from_z(s->refusal), STR("BAD"));
        buf_reset(&s->answer);
        buf_add(&s->answer, str_from_z(s->refusal));
        take_next(s, IMAP_DONE);
        break;
    case IMAP_FRAME_MORE:
    case IMAP_FRAME_LITERAL:
    case IMAP_FRAME_DIVERTED:
        break;
    }
}

/* S6: nothing new is begun; what is done is still answered. */
static void end_early(struct imap_session *s)
{
    if (s->held)
        s->step = IMAP_STEP_SETTLE;
    else
        imap_bye(s, "Your login or certificate was withdrawn, or an administrator has ended this session; log in again, or ask "
                    "the administrator");
}

static void take_event(struct imap_session *s, enum imap_frame_event event)
{
    if (conn_is_ended(s->conn))
        end_early(s);
    else if (event == IMAP_FRAME_LITERAL)
        answer_announcement(s);
    else
        answer_unit(s, event);
}

/* Unread input: what came while an answer was held, then the stream. */
static str input_peek(struct imap_session *s)
{
    return s->ahead.n ? buf_str(&s->ahead) : stream_peek(s->stream);
}

static void input_consume(struct imap_session *s, size_t n)
{
    if (s->ahead.n)
        buf_consume(&s->ahead, n);
    else
        stream_consume(s->stream, n);
}

/* Reads until a unit is complete and answers it. 0, or what reading said. */
static int read_unit(struct imap_session *s)
{
    while (s->step == IMAP_STEP_READ) {
        str in = input_peek(s);
        if (!in.n) {
            buf_done(&s->ahead);
            int r = stream_fill(s->stream);
            if (r < 0 && s->held) {
                s->step = IMAP_STEP_SETTLE;
                break;
            }
            if (r < 0)
                return r;
            in = input_peek(s);
        }
        size_t used;
        enum imap_frame_event event = imap_frame_feed(&s->frame, in, &used);
        if (event == IMAP_FRAME_DIVERTED) {
            str rest = str_from(in, used);
            str bytes = str_sub(rest, 0, s->frame.literal < rest.n ? (size_t)s->frame.literal : rest.n);
            imap_append_write(s, bytes);
            used += bytes.n;
            s->frame.literal -= bytes.n;
            if (!s->frame.literal)
                imap_frame_resume(&s->frame);
        }
        input_consume(s, used);
        if (imap_answers_precede(s, event)) {
            s->held->event = event;
            s->step = IMAP_STEP_SETTLE;
            break;
        }
        take_event(s, event);
        if (stream_is_full(s->stream) || s->idling) { /* what changed before IDLE is told first */
            s->step = s->held && s->step == IMAP_STEP_READ ? IMAP_STEP_SETTLE : s->step;
            break;
        }
    }
    return 0;
}

/* Input that comes while an answer is held is put aside, so that the connection can park. */
static int read_ahead(struct imap_session *s)
{
    int r;
    do {
        str in = stream_peek(s->stream);
        buf_add(&s->ahead, in);
        if (buf_error(&s->ahead) < 0)
            return ERR_LIMIT;
        stream_consume(s->stream, in.n);
        r = stream_fill(s->stream);
    } while (r == 0);
    return r == ERR_AGAIN ? 0 : r;
}

static void set_deadline(struct imap_session *s)
{
    conn_deadline(s->conn, s->state == IMAP_NOT_AUTHENTICATED ? IMAP_LOGIN_MS : IMAP_IDLE_MS);
}

static enum conn_next step_read(struct imap_session *s, bool *ret_wait)
{
    *ret_wait = true;
    if (s->idling && s->view) {
        if (imap_updates_collect(s, true) == 0 && imap_updates_send(s) == ERR_AGAIN)
            return CONN_DRAIN;
        if (s->updates.deleted) {
            imap_bye(s, "The selected mailbox was deleted; connect again and select another");
            return CONN_CLOSE;
        }
    }
    if (stream_is_full(s->stream))
        return CONN_DRAIN;
    int r = read_unit(s);
    if (r == ERR_AGAIN) {
        set_deadline(s);
        return CONN_WAIT;
    }
    if (r < 0)
        return CONN_CLOSE;
    *ret_wait = false;
    return CONN_WAIT;
}

static enum conn_next step_hold(struct imap_session *s, bool *ret_wait)
{
    int64_t left = s->hold_until - clock_mono_ms();
    *ret_wait = left > 0;
    if (left <= 0) {
        take_next(s, s->resume(s));
        return CONN_WAIT;
    }
    if (read_ahead(s) < 0)
        return CONN_CLOSE;
    conn_deadline(s->conn, left);
    return CONN_WAIT;
}

static enum conn_next step_updates(struct imap_session *s, bool *ret_wait)
{
    bool no_expunge = s->command && s->command->flags & IMAP_CMD_NO_EXPUNGE && (!s->uid || s->numbers_hold);
    /* When the store cannot say what changed, the command's own answer still stands; the changes come later. */
    int r = s->view && imap_updates_collect(s, !no_expunge) == 0 ? imap_updates_send(s) : 0;
    *ret_wait = r == ERR_AGAIN;
    if (!*ret_wait)
        finish(s);
    return CONN_DRAIN;
}

/* What was held is answered; then the unit that waited for that, or what follows the command behind it. */
static enum conn_next step_settle(struct imap_session *s, bool *ret_wait)
{
    enum imap_step next = s->held->next;
    enum imap_frame_event event = s->held->event;
    *ret_wait = imap_answers_settle(s) == ERR_AGAIN;
    if (*ret_wait)
        return CONN_DRAIN;
    s->step = next;
    if (s->updates.deleted)
        imap_bye(s, "The selected mailbox was deleted; connect again and select another");
    else if (next == IMAP_STEP_READ && event != IMAP_FRAME_MORE)
        take_event(s, event);
    else if (next == IMAP_STEP_READ && s->stopping)
        imap_bye(s, "Server shutting down; connect again in a minute");
    return CONN_DRAIN;
}

/* One step; *RET_WAIT whether run returns what this returns. */
static enum conn_next run_step(struct imap_session *s, bool *ret_wait)
{
    *ret_wait = false;
    switch (s->step) {
    case IMAP_STEP_READ:
        return step_read(s, ret_wait);
    case IMAP_STEP_RESUME: {
        enum imap_next next = s->resume(s);
        take_next(s, next);
        *ret_wait = next == IMAP_MORE;
        return CONN_DRAIN;
    }
    case IMAP_STEP_HOLD:
        return step_hold(s, ret_wait);
    case IMAP_STEP_UPDATES:
        return step_updates(s, ret_wait);
    case IMAP_STEP_SETTLE:
        return step_settle(s, ret_wait);
    case IMAP_STEP_TLS:
        *ret_wait = true;
        s->step = IMAP_STEP_READ;
        return CONN_STARTTLS;
    case IMAP_STEP_CLOSE:
        *ret_wait = true;
        return CONN_CLOSE;
    }
    return CONN_CLOSE;
}

static enum conn_next imap_run(struct conn *c, void *session, unsigned why)
{
    struct imap_session *s = session;
    if (why & CONN_START)
        greet(s);
    if (why & CONN_SHUTDOWN) {
        s->stopping = true;
        if (s->step == IMAP_STEP_READ || s->step == IMAP_STEP_HOLD)
            imap_bye(s, "Server shutting down; connect again in a minute");
    }
    if (why & CONN_TIMEOUT) {
        if (s->step == IMAP_STEP_HOLD)
            s->hold_until = 0;
        else
            imap_bye(s, s->state == IMAP_NOT_AUTHENTICATED ? "Login took too long; connect again"
                                                           : "Autologout, nothing came for too long; connect again");
    }
    bool wait;
    enum conn_next next;
    do {
        if (conn_is_ended(s->conn) && (s->step == IMAP_STEP_READ || s->step == IMAP_STEP_RESUME || s->step == IMAP_STEP_HOLD))
            end_early(s);
        next = run_step(s, &wait);
    } while (!wait);
    if (s->view)
        require(s->state == IMAP_SELECTED && s->account); /* S2 */
    return next;
}

const struct conn_ops imap_session_ops = { .name = "imap", .open = imap_open, .run = imap_run, .close = imap_close };
