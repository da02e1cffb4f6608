/* message: what DATA and BDAT have in common: the trace field before a message, the checks after it, and the answer at its
 * end, which is when the responsibility passes: 250 is said only after service.accept has returned 0 (RFC 5321 section 6.1). */
#include "smtp/session_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "message/binary.h"
#include "smtp/author.h"

static void put(void *ctx, str bytes)
{
    smtp_header_put(ctx, bytes);
}

void smtp_message_begin(struct smtp_session *s, bool chunked)
{
    struct smtp_transaction *t = s->transaction;
    struct buf trace = BUF_INIT(4096);
    int64_t now_s = clock_real_ms() / 1000;
    str id = id_str(&t->id);
    smtp_trace_add(&trace, &(struct smtp_trace){ .helo = smtp_session_helo(s),
                                                 .name = (str){ s->name, s->name_n },
                                                 .peer = conn_peer_address(s->conn),
                                                 .hostname = s->config->hostname,
                                                 .id = id,
                                                 .session = conn_id(s->conn),
                                                 .lmtp = s->config->lmtp,
                                                 .esmtp = s->esmtp,
                                                 .authenticated = s->is_authenticated,
                                                 .smtputf8 = t->mail.smtputf8,
                                                 .tls = smtp_session_tls(s),
                                                 .recipient = t->recipient_n == 1 ? t->recipients[0] : STR(""),
                                                 .now_s = now_s,
                                                 .zone = date_local_zone(now_s) });
    require(!buf_error(&trace));
    smtp_body_add(&t->body, buf_str(&trace));
    buf_done(&trace);
    smtp_header_guard(&t->header, s->config->hostname, t->recipients, t->recipient_n);
    if (s->config->submission)
        smtp_header_complete(&t->header, t->mail.reverse_path.text, id, s->config->hostname, now_s);
    struct smtp_data_sink sink = { .put = put, .ctx = &t->header };
    if (chunked)
        smtp_data_init_chunked(&t->data, s->config->size_max, t->mail.body == SMTP_BODY_BINARYMIME, sink);
    else
        smtp_data_init(&t->data, s->config->size_max, sink);
    if (s->config->submission)
        smtp_data_repair(&t->data);
}

/* The answer to what is wrong with the message as bytes: the most telling fault first. */
static enum smtp_reply from_data_faults(unsigned faults)
{
    if (faults & SMTP_DATA_TOO_LARGE)
        return SMTP_REPLY_TOO_LARGE;
    if (faults & SMTP_DATA_TOO_MANY_CHUNKS)
        return SMTP_REPLY_TOO_MANY_CHUNKS;
    if (faults & SMTP_DATA_BARE_LF)
        return SMTP_REPLY_BARE_LF;
    if (faults & SMTP_DATA_BARE_CR)
        return SMTP_REPLY_BARE_CR;
    if (faults & SMTP_DATA_NUL)
        return SMTP_REPLY_HAS_NUL;
    return faults & SMTP_DATA_HEADER_TOO_LARGE ? SMTP_REPLY_HEADER_TOO_LARGE : SMTP_REPLY_BODY_LINE_TOO_LONG;
}

static int accept(const struct smtp_service *service, const struct smtp_delivery *d, int *results, struct error *e)
{
    return results ? service->accept_each(service->ctx, d, results, e) : service->accept(service->ctx, d, e);
}

static void put_line(void *ctx, str bytes)
{
    smtp_body_add(ctx, bytes);
}

/* RFC 3030 section 3: what has come as BINARYMIME is made into lines, for no mailbox and no next server has to take anything else. *RET:
 * how the message is refused when it cannot be. 0 or an error. */
static int encode_binary(struct smtp_session *s, struct smtp_delivery *d, struct buf *structure, enum smtp_reply *ret,
                         struct error *e)
{
    struct smtp_body *lines = &s->transaction->lines;
    const struct structure *opened;
    int rc = structure_open(buf_str(structure), d->message.n, conn_arena(s->conn), &opened);
    if (!rc)
        rc = message_binary_encode(d->message, opened, MESSAGE_TEXT_LINES, put_line, lines);
    if (rc == ERR_SYNTAX || rc == ERR_REFUSED) {
        *ret = rc == ERR_REFUSED ? SMTP_REPLY_SIGNED_BINARY : SMTP_REPLY_NOT_ENCODABLE;
        return 0;
    }
    if (!rc)
        rc = smtp_body_finish(lines, &d->message, &d->fd, e);
    buf_reset(structure);
    return rc ? rc : message_parse(d->message, &message_limits_default, structure);
}

/* The message of the transaction with its structure, in lines. *RET: how it is refused, if it is. 0 or an error. */
static int take_message(struct smtp_session *s, struct smtp_delivery *d, struct buf *structure, enum smtp_reply *ret,
                        struct error *e)
{
    struct smtp_transaction *t = s->transaction;
    int rc = smtp_body_finish(&t->body, &d->message, &d->fd, e);
    if (!rc)
        rc = message_parse(d->message, &message_limits_default, structure);
    if (!rc && t->mail.body == SMTP_BODY_BINARYMIME && !message_text_is(d->message, MESSAGE_TEXT_LINES))
        rc = encode_binary(s, d, structure, ret, e);
    d->structure = buf_str(structure);
    return rc && e && !e->code ? error_set(e, rc, "the message's structure cannot be made") : rc;
}

/* Checks the whole message and hands it to the service. RESULTS: NULL, or in LMTP what became of each recipient once the
 * message is accepted. */
static enum smtp_reply deliver(struct smtp_session *s, int *results, struct error *e)
{
    struct smtp_transaction *t = s->transaction;
    struct buf structure = BUF_INIT(message_limits_default.structure_max);
    struct smtp_delivery d = { .session = conn_id(s->conn),
                               .id = id_str(&t->id),
                               .reverse_path = t->mail.reverse_path.text,
                               .recipients = t->recipients,
                               .recipient_n = t->recipient_n,
                               .dsn = t->dsn,
                               .ret = t->mail.ret,
                               .envid = t->mail.envid,
                               .smtputf8 = t->mail.smtputf8,
                               .body_8bit = t->mail.body != SMTP_BODY_7BIT || t->data.has_8bit,
                               .login = smtp_session_login(s),
                               .fd = -1 };
    enum smtp_reply reply = SMTP_REPLY_ACCEPTED;
    if (t->data.faults)
        return from_data_faults(t->data.faults);
    smtp_header_finish(&t->header);
    if (t->header.forged_n)
        log_info("smtp-trace-removed", LOG_STR("session", conn_id(s->conn)), LOG_STR("id", d.id),
                 LOG_NUM("fields", t->header.forged_n));
    if (t->header.received_n > SMTP_RECEIVED_MAX)
        return SMTP_REPLY_LOOP;
    int rc = take_message(s, &d, &structure, &reply, e);
    if (rc)
        reply = smtp_reply_from_error(rc);
    if (reply == SMTP_REPLY_ACCEPTED && s->config->submission)
        reply = smtp_author_check(s->config->service, &s->login, d.message, &t->why);
    if (reply == SMTP_REPLY_ACCEPTED && (rc = accept(s->config->service, &d, results, e)) != 0)
        reply = smtp_reply_from_delivery(rc, s->config->full_is_final);
    buf_done(&structure);
    return reply;
}

static void log_result(const struct smtp_session *s, enum smtp_reply reply, const struct error *e)
{
    const struct smtp_transaction *t = s->transaction;
    bool is_accepted = reply == SMTP_REPLY_ACCEPTED;
    log_event(is_accepted ? LOG_INFO : LOG_WARNING, is_accepted ? "smtp-accepted" : "smtp-message-refused",
              LOG_STR("session", conn_id(s->conn)), LOG_STR("id", id_str(&t->id)), LOG_STR("from", t->mail.reverse_path.text),
              LOG_NUM("recipients", t->recipient_n), LOG_NUM("size", t->data.size), LOG_STR("tls", smtp_session_tls(s)->version),
              LOG_STR("peer", conn_peer_address(s->conn)), LOG_STR("login", s->login.address),
              LOG_NUM("code", smtp_reply_code(reply)),
              LOG_STR("error", is_accepted ? str_from_z(e->text) : smtp_reply_reason(reply, buf_str(&t->why), e)));
}

/* Says that the message is accepted; ADDRESS, in LMTP, for whom. */
static void say_accepted(struct smtp_session *s, str address)
{
    struct buf text = BUF_INIT(1024);
    str id = id_str(&s->transaction->id);
    if (address.n)
        buf_add_all(&text, STR("<"), address, STR("> "));
    buf_add_all(&text, smtp_reply_text(SMTP_REPLY_ACCEPTED), STR(" as "), id);
    smtp_say_text(s, SMTP_REPLY_ACCEPTED, buf_str(&text));
    buf_done(&text);
}

/* Says that the message, accepted for others, is refused for ADDRESS. */
static void say_not_for(struct smtp_session *s, enum smtp_reply reply, str address)
{
    const struct smtp_transaction *t = s->transaction;
    log_info("smtp-recipient-refused", LOG_STR("session", conn_id(s->conn)), LOG_STR("id", id_str(&t->id)),
             LOG_STR("peer", conn_peer_address(s->conn)), LOG_STR("from", t->mail.reverse_path.text), LOG_STR("to", address),
             LOG_NUM("code", smtp_reply_code(reply)), LOG_STR("error", smtp_reply_reason(reply, STR(""), &ERROR_NONE)));
    smtp_say_about(s, reply, address);
}

/* RFC 2033 section 4.2: after the message one answer for each recipient that was accepted, in the order of RCPT. RESULTS says
 * what became of each if REPLY is that the message is accepted. */
static void say_each(struct smtp_session *s, enum smtp_reply reply, const int *results)
{
    const struct smtp_transaction *t = s->transaction;
    for (size_t i = 0; i < t->recipient_n && !s->is_closing; i++) {
        if (reply != SMTP_REPLY_ACCEPTED)
            smtp_say(s, reply);
        else if (results[i])
            say_not_for(s, smtp_reply_from_delivery(results[i], s->config->full_is_final), t->recipients[i]);
        else
            say_accepted(s, t->recipients[i]);
    }
}

/* Answers, and ends the transaction whatever the answer is (RFC 5321 section 4.1.1.4). RESULTS: one answer for each recipient. */
static void end(struct smtp_session *s, enum smtp_reply reply, const int *results, const struct error *e)
{
    log_result(s, reply, e);
    if (results)
        say_each(s, reply, results);
    else if (s->transaction->why.n)
        smtp_say_text(s, reply, buf_str(&s->transaction->why));
    else if (reply == SMTP_REPLY_ACCEPTED)
        say_accepted(s, STR(""));
    else
        smtp_say(s, reply);
    if (reply == SMTP_REPLY_ACCEPTED) {
        s->message_n++;
        s->junk = 0;
    }
    smtp_session_command_mode(s);
    smtp_transaction_end(s);
}

void smtp_message_end(struct smtp_session *s)
{
    struct error e = ERROR_NONE;
    int *results = NULL;
    if (s->config->lmtp && !(results = calloc(s->transaction->recipient_n, sizeof(*results))))
        panic("out of memory");
    enum smtp_reply reply = deliver(s, results, &e);
    end(s, reply, results, &e);
    free(results);
}

void smtp_message_refuse(struct smtp_session *s, enum smtp_reply reply)
{
    end(s, reply, NULL, &ERROR_NONE);
}

void smtp_message_refuse_chunk(struct smtp_session *s)
{
    end(s, from_data_faults(s->transaction->data.faults), NULL, &ERROR_NONE);
}
