/* EHLO and HELO (RFC 5321 section 4.1.1.1), and the table of extensions that EHLO's answer is generated from. */
#include "smtp/session_private.h"
#include "smtp/xclient.h"

struct extension {
    str keyword;
    bool (*is_offered)(const struct smtp_session *s);                  /* NULL: always */
    void (*parameters)(const struct smtp_session *s, struct buf *out); /* NULL: none; begins with a space */
    const char *source;
};

static void size_parameters(const struct smtp_session *s, struct buf *out)
{
    buf_add_byte(out, ' ');
    buf_add_u64(out, s->config->size_max);
}

/* RFC 9422 section 4: what a client would otherwise learn by running into it. */
static void limits_parameters(const struct smtp_session *s, struct buf *out)
{
    buf_add(out, STR(" RCPTMAX="));
    buf_add_u64(out, smtp_recipients_max(s->config));
}

static void auth_parameters(const struct smtp_session *s, struct buf *out)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n);
    for (size_t i = 0; i < n; i++) {
        if (sasl_lists(&s->config->auth, s->conn, &list[i]))
            buf_add_all(out, STR(" "), list[i].name);
    }
}

/* DSN is offered where senders are ours, so that every report that is promised can be delivered (role/delivery.c). A stranger's server that is not
 * offered it tells its user itself that the message was relayed here (RFC 3461 section 5.2.2), and a failure after 250 does not
 * occur: what a quota leaves no room for is refused before. An LMTP client gets an answer for each recipient and reports from
 * that. */
static bool offers_dsn(const struct smtp_session *s)
{
    return s->config->submission;
}

static bool offers_xclient(const struct smtp_session *s)
{
    return !s->config->lmtp && conn_may_override(s->conn);
}

static void xclient_parameters(const struct smtp_session *s, struct buf *out)
{
    buf_add(out, STR(" " SMTP_XCLIENT_ATTRIBUTES));
}

static const struct extension extensions[] = {
    { STR_INIT("PIPELINING"), NULL, NULL, "RFC 2920" },
    { STR_INIT("SIZE"), NULL, size_parameters, "RFC 1870" },
    { STR_INIT("8BITMIME"), NULL, NULL, "RFC 6152" },
    { STR_INIT("CHUNKING"), NULL, NULL, "RFC 3030" },
    { STR_INIT("BINARYMIME"), NULL, NULL, "RFC 3030" },
    { STR_INIT("SMTPUTF8"), NULL, NULL, "RFC 6531" },
    { STR_INIT("ENHANCEDSTATUSCODES"), NULL, NULL, "RFC 2034" },
    { STR_INIT("DSN"), offers_dsn, NULL, "RFC 3461" },
    { STR_INIT("LIMITS"), NULL, limits_parameters, "RFC 9422" },
    { STR_INIT("STARTTLS"), smtp_session_offers_starttls, NULL, "RFC 3207" },
    { STR_INIT("AUTH"), smtp_session_offers_auth, auth_parameters, "RFC 4954" },
    { STR_INIT("XCLIENT"), offers_xclient, xclient_parameters, "Postfix XCLIENT Howto" },
    { STR_INIT("HELP"), NULL, NULL, "RFC 5321" },
};
enum { EXTENSION_N = sizeof(extensions) / sizeof(extensions[0]) };

/* Both end a transaction as RSET does (RFC 5321 section 4.1.4). False when the argument is bad, which changes nothing. */
static bool take_name(struct smtp_session *s, str argument, bool esmtp)
{
    str name;
    enum smtp_fault fault = smtp_helo_parse(argument, &name);
    if (fault != SMTP_FAULT_NONE) {
        smtp_say(s, smtp_reply_from_fault(fault, SMTP_CLAUSE_OTHER));
        return false;
    }
    require(name.n > 0 && name.n <= SMTP_HELO_MAX);
    memcpy(s->helo, name.p, name.n);
    s->helo_n = name.n;
    s->esmtp = esmtp;
    smtp_transaction_end(s);
    return true;
}

enum conn_next smtp_cmd_helo(struct smtp_session *s, str argument)
{
    if (take_name(s, argument, false))
        smtp_say_text(s, SMTP_REPLY_HELO, s->config->hostname);
    return CONN_WAIT;
}

enum conn_next smtp_cmd_ehlo(struct smtp_session *s, str argument)
{
    struct arena *a = conn_arena(s->conn);
    str lines[EXTENSION_N + 1];
    size_t n = 0;
    if (!take_name(s, argument, true))
        return CONN_WAIT;
    lines[n++] = s->config->hostname;
    for (size_t i = 0; i < EXTENSION_N; i++) {
        const struct extension *x = &extensions[i];
        struct buf line = BUF_INIT(SMTP_REPLY_LINE_MAX);
        if (x->is_offered && !x->is_offered(s))
            continue;
        buf_add(&line, x->keyword);
        if (x->parameters)
            x->parameters(s, &line);
        if (!arena_dup(a, buf_str(&line), &lines[n])) /* a keyword left out is no lie: it is not offered then */
            n++;
        buf_done(&line);
    }
    smtp_say_lines(s, SMTP_REPLY_HELO, lines, n);
    return CONN_WAIT;
}
