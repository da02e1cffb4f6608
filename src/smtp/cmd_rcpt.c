/* RCPT (RFC 5321 section 4.1.1.3): adds a recipient if its mail is taken here. */
#include "smtp/session_private.h"

#include <arpa/inet.h>

#include "base/log.h"

/* The local part without its quotes; *DOMAIN is what stands behind the last "@". */
static str local_part(str address, str *domain)
{
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    *domain = str_from(address, at);
    str local = str_sub(address, 0, at > 0 ? at - 1 : 0);
    return str_starts(local, STR("\"")) ? str_sub(local, 1, local.n - 2) : local;
}

/* Whether LOCAL has a route of its own: "user%elsewhere", "elsewhere!user", "user@elsewhere" in quotes. They were once
 * followed, and are tried to find relays; none is followed here, and saying so is better than "no such mailbox" (RFC 5321
 * section 7.9). */
static bool is_routed(str local)
{
    return str_find_byte(local, '%', 0) < local.n || str_find_byte(local, '!', 0) < local.n ||
           str_find_byte(local, '@', 0) < local.n;
}

/* Whether DOMAIN is "[address]" with the address that the client has connected to. */
static bool is_own_literal(const struct smtp_session *s, str domain)
{
    char literal_z[64], own_z[64];
    unsigned char literal[16] = { 0 }, own_address[16] = { 0 };
    str own = conn_local_address(s->conn), content = str_sub(domain, 1, domain.n > 2 ? domain.n - 2 : 0);
    if (!str_starts(domain, STR("[")))
        return false;
    bool is_v6 = str_istarts(content, STR("IPv6:"));
    content = is_v6 ? str_from(content, 5) : content;
    if (content.n >= sizeof(literal_z) || own.n >= sizeof(own_z))
        return false;
    memcpy(literal_z, content.p, content.n);
    literal_z[content.n] = '\0';
    memcpy(own_z, own.p, own.n);
    own_z[own.n] = '\0';
    int family = is_v6 ? AF_INET6 : AF_INET;
    return inet_pton(family, literal_z, literal) == 1 && inet_pton(family, own_z, own_address) == 1 &&
           !memcmp(literal, own_address, sizeof(literal));
}

/* Puts the server's name in place of a literal of its own address; its postmaster is always there (RFC 5321 sections 4.1.3 and
 * 4.5.1). 0 or ERR_LIMIT. */
static int resolve_literal(struct smtp_session *s, struct smtp_address *address)
{
    str domain, local = local_part(address->text, &domain);
    if (!is_own_literal(s, domain))
        return 0;
    if (str_ieq(local, STR("postmaster"))) {
        address->text = STR("postmaster");
        return 0;
    }
    str before = str_sub(address->text, 0, address->text.n - domain.n); /* with its quotes and "@" */
    return arena_printf(conn_arena(s->conn), &address->text, "%.*s%.*s", STR_ARG(before), STR_ARG(s->config->hostname));
}

static enum smtp_reply from_verdict(const struct smtp_session *s, enum smtp_recipient_verdict verdict, str address)
{
    str domain;
    if (verdict != SMTP_RECIPIENT_NOT_OURS && is_routed(local_part(address, &domain)))
        return SMTP_REPLY_ROUTED_RECIPIENT;
    switch (verdict) {
    case SMTP_RECIPIENT_OK:
        return SMTP_REPLY_RECIPIENT_OK;
    case SMTP_RECIPIENT_UNKNOWN:
        return SMTP_REPLY_UNKNOWN_RECIPIENT;
    case SMTP_RECIPIENT_DISABLED:
        return SMTP_REPLY_DISABLED_RECIPIENT;
    case SMTP_RECIPIENT_FULL:
        return smtp_reply_from_delivery(ERR_REFUSED, s->config->full_is_final);
    case SMTP_RECIPIENT_TOO_SMALL:
        return smtp_reply_from_delivery(ERR_LIMIT, true);
    case SMTP_RECIPIENT_FORBIDDEN:
        return SMTP_REPLY_CLOSED_GROUP;
    case SMTP_RECIPIENT_TOO_MANY:
        return SMTP_REPLY_TOO_MANY_MAILBOXES;
    case SMTP_RECIPIENT_NOT_OURS:
        return s->config->submission ? SMTP_REPLY_NO_QUEUE : SMTP_REPLY_RELAY_DENIED;
    }
    panic("impossible verdict %d", (int)verdict);
}

/* Asks the service about ADDRESS. RFC 1870 section 6.1: a message that says its size is refused here where there is no room for
 * it. One that does not, and might not fit, is taken for that recipient alone (*ALONE): a stranger gets one answer for all
 * recipients, and a full mailbox must neither cost the others their mail nor bring it to them twice. The client sends the others theirs in
 * another transaction (RFC 5321 section 4.5.3.1.10). */
static int ask(struct smtp_session *s, str address, enum smtp_recipient_verdict *ret, bool *alone, struct error *e)
{
    const struct smtp_service *service = s->config->service;
    const struct smtp_login *login = smtp_session_login(s);
    const struct smtp_mail *mail = &s->transaction->mail;
    bool is_split = !s->config->submission && !s->config->lmtp && !mail->has_size;
    uint64_t size = is_split ? s->config->size_max : mail->has_size ? mail->size : 0;
    int rc = service->recipient(service->ctx, login, address, size + SMTP_ADDED_MAX, ret, e);
    *alone = is_split && (*ret == SMTP_RECIPIENT_FULL || *ret == SMTP_RECIPIENT_TOO_SMALL);
    return rc || !*alone ? rc : service->recipient(service->ctx, login, address, 0, ret, e);
}

static bool is_unknown(enum smtp_reply r)
{
    return r == SMTP_REPLY_UNKNOWN_RECIPIENT || r == SMTP_REPLY_ROUTED_RECIPIENT;
}

/* The answer to RCPT for TO, *WHY its words where they are not the usual ones.
 *
 * Whether a name is there is told only within the limit of unknown ones, whoever is asked for: who guesses over many connections would otherwise
 * have each answer before the limit strikes. One beyond it that another connection has got in between is not told either. */
static enum smtp_reply judge(struct smtp_session *s, struct smtp_rcpt *to, bool *alone, str *why, struct error *e)
{
    struct smtp_transaction *t = s->transaction;
    enum smtp_recipient_verdict verdict = SMTP_RECIPIENT_UNKNOWN;
    if (!s->config->lmtp && !conn_count(s->conn, LIMIT_RECIPIENTS, 1, why))
        return SMTP_REPLY_TOO_MANY_TO_RECIPIENTS;
    int rc = resolve_literal(s, &to->address);
    if (rc)
        return SMTP_REPLY_TEMPORARY;
    if (smtp_transaction_has(t, to->address.text)) /* was asked for, and counts for as much as another one would */
        return SMTP_REPLY_RECIPIENT_OK;
    if (!conn_allows(s->conn, LIMIT_UNKNOWN, 1, why))
        return SMTP_REPLY_TOO_MANY_IN_TIME;
    rc = ask(s, to->address.text, &verdict, alone, e);
    if (rc)
        return smtp_reply_from_error(rc);
    enum smtp_reply reply = from_verdict(s, verdict, to->address.text);
    if (is_unknown(reply) && !conn_count(s->conn, LIMIT_UNKNOWN, 1, why))
        return SMTP_REPLY_TOO_MANY_IN_TIME;
    if (reply == SMTP_REPLY_RECIPIENT_OK && t->recipient_n && (*alone || t->is_alone))
        return SMTP_REPLY_TOO_MANY_RECIPIENTS;
    return reply;
}

enum conn_next smtp_cmd_rcpt(struct smtp_session *s, str argument)
{
    struct smtp_transaction *t = s->transaction;
    struct smtp_rcpt to = { 0 };
    struct error e = ERROR_NONE;
    bool alone = false;
    str why = { 0 };
    enum smtp_fault fault =
        smtp_rcpt_parse(argument, &smtp_limits_default, t->mail.smtputf8, s->config->submission, conn_arena(s->conn), &to);
    enum smtp_reply reply =
        fault != SMTP_FAULT_NONE ? smtp_reply_from_fault(fault, SMTP_CLAUSE_RECIPIENT) : judge(s, &to, &alone, &why, &e);
    if (reply == SMTP_REPLY_RECIPIENT_OK && smtp_transaction_add(t, s->config, &to))
        reply = SMTP_REPLY_TOO_MANY_RECIPIENTS;
    if (reply == SMTP_REPLY_RECIPIENT_OK) {
        t->is_alone |= alone;
    } else {
        t->recipient_refused_n++;
        s->unknown += is_unknown(reply);
        log_info("smtp-recipient-refused", LOG_STR("session", conn_id(s->conn)), LOG_STR("peer", conn_peer_address(s->conn)),
                 LOG_STR("from", t->mail.reverse_path.text), LOG_STR("to", to.address.text),
                 LOG_NUM("code", smtp_reply_code(reply)), LOG_STR("error", smtp_reply_reason(reply, why, &e)));
    }
    if (why.n)
        smtp_say_text(s, reply, why);
    else
        smtp_say_about(s, reply, to.address.text);
    return CONN_WAIT;
}
