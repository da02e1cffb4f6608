/* RCPT (RFC 5321 section 4.1.1.3): adds a recipient if its mail is taken here. */
#include "smtp/session_private.h"

#include "base/log.h"

static enum smtp_reply from_verdict(const struct smtp_session *s, enum smtp_recipient_verdict verdict)
{
    switch (verdict) {
    case SMTP_RECIPIENT_OK:
        return SMTP_REPLY_RECIPIENT_OK;
    case SMTP_RECIPIENT_UNKNOWN:
        return SMTP_REPLY_UNKNOWN_RECIPIENT;
    case SMTP_RECIPIENT_DISABLED:
        return SMTP_REPLY_DISABLED_RECIPIENT;
    case SMTP_RECIPIENT_NOT_OURS:
        return s->config->submission ? SMTP_REPLY_NO_QUEUE : SMTP_REPLY_RELAY_DENIED;
    }
    panic("impossible verdict %d", (int)verdict);
}

enum conn_next smtp_cmd_rcpt(struct smtp_session *s, str argument)
{
    const struct smtp_service *service = s->config->service;
    struct smtp_transaction *t = s->transaction;
    struct smtp_rcpt to = { 0 };
    enum smtp_recipient_verdict verdict = SMTP_RECIPIENT_UNKNOWN;
    struct error e = ERROR_NONE;
    enum smtp_reply reply;
    int rc = 0;
    enum smtp_fault fault = smtp_rcpt_parse(argument, &smtp_limits_default, t->mail.smtputf8, conn_arena(s->conn), &to);
    if (fault != SMTP_FAULT_NONE)
        reply = smtp_reply_from_fault(fault, SMTP_CLAUSE_RECIPIENT);
    else if ((rc = service->recipient(service->ctx, to.address.text, &verdict, &e)) != 0)
        reply = smtp_reply_from_error(rc);
    else
        reply = from_verdict(s, verdict);
    if (reply == SMTP_REPLY_RECIPIENT_OK && smtp_transaction_add(t, s->config, &to))
        reply = SMTP_REPLY_TOO_MANY_RECIPIENTS;
    if (reply != SMTP_REPLY_RECIPIENT_OK) {
        t->recipient_refused_n++;
        s->unknown += reply == SMTP_REPLY_UNKNOWN_RECIPIENT;
        log_info("smtp-recipient-refused", LOG_STR("session", conn_id(s->conn)), LOG_STR("peer", conn_peer_address(s->conn)),
                 LOG_STR("from", t->mail.reverse_path.text), LOG_STR("to", to.address.text), LOG_NUM("code", smtp_reply_code(reply)),
                 LOG_Z("error", e.text));
    }
    smtp_say(s, reply);
    return CONN_WAIT;
}
