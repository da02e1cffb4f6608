/* MAIL (RFC 5321 section 4.1.1.2): begins a transaction. */
#include "smtp/session_private.h"

#include "base/log.h"

static bool has_lost_its_certificate(const struct smtp_session *s)
{
    const struct smtp_service *service = s->config->service;
    return s->config->certificate_required && service->is_revoked &&
           service->is_revoked(service->ctx, smtp_session_tls(s)->client_serial);
}

enum conn_next smtp_cmd_mail(struct smtp_session *s, str argument)
{
    const struct smtp_config *config = s->config;
    if (has_lost_its_certificate(s)) {
        smtp_say(s, SMTP_REPLY_ENDED);
        return CONN_WAIT;
    }
    struct smtp_transaction *t = smtp_transaction_new(config);
    s->transaction = t;
    enum smtp_fault fault = smtp_mail_parse(argument, &smtp_limits_default, config->submission, &t->arena, &t->mail);
    str from = t->mail.reverse_path.text;
    enum smtp_reply reply = SMTP_REPLY_SENDER_OK;
    str why = { 0 };
    if (fault != SMTP_FAULT_NONE)
        reply = smtp_reply_from_fault(fault, SMTP_CLAUSE_SENDER);
    else if (t->mail.has_size && t->mail.size > config->size_max) /* RFC 1870 section 6.1 */
        reply = SMTP_REPLY_TOO_LARGE;
    /* RFC 6409 section 6.1. The null sender is for what must not be answered, as receipts; the From: field is checked anyway. */
    else if (config->submission && from.n && !config->service->may_send_as(config->service->ctx, &s->login, from))
        reply = SMTP_REPLY_NOT_YOUR_ADDRESS;
    else if (!conn_count(s->conn, LIMIT_MESSAGES, 1, &why))
        reply = SMTP_REPLY_TOO_MANY_MESSAGES;
    if (reply != SMTP_REPLY_SENDER_OK) {
        log_info("smtp-sender-refused", LOG_STR("session", conn_id(s->conn)), LOG_STR("from", from),
                 LOG_STR("peer", conn_peer_address(s->conn)), LOG_NUM("code", smtp_reply_code(reply)),
                 LOG_STR("error", smtp_reply_reason(reply, why, &ERROR_NONE)));
        smtp_transaction_end(s);
    }
    if (why.n)
        smtp_say_text(s, reply, why);
    else
        smtp_say(s, reply);
    return CONN_WAIT;
}
