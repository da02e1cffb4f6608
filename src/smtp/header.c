/* header: see header.h.
 *
 * Invariants
 *  1. HELD holds everything since the start of the message until PASSED; then it is empty and bytes go straight to the body.
 *  2. The held header is at most SMTP_DATA_HEADER_MAX bytes: the data reader stops handing on when it is longer. */
#include "smtp/header.h"

#include "base/clock.h"
#include "message/header.h"
#include "smtp/syntax.h"

void smtp_header_init(struct smtp_header *h, struct smtp_body *body)
{
    *h = (struct smtp_header){ .body = body, .held = BUF_INIT(SMTP_DATA_HEADER_MAX) };
    smtp_header_guard(h, STR(""), NULL, 0);
}

void smtp_header_guard(struct smtp_header *h, str hostname, const str *recipients, size_t recipient_n)
{
    smtp_claims_done(&h->claims);
    smtp_claims_init(&h->claims, hostname, recipients, recipient_n);
}

void smtp_header_done(struct smtp_header *h)
{
    buf_done(&h->held);
    smtp_claims_done(&h->claims);
}

void smtp_header_complete(struct smtp_header *h, str default_from, str id, str hostname, int64_t now_s)
{
    h->submission = true;
    h->default_from = default_from;
    h->id = id;
    h->message_id_right = hostname;
    h->now_s = now_s;
}

static void count_field(struct smtp_header *h, str name)
{
    if (str_ieq(name, STR("Received")))
        h->received_n++;
    else if (str_ieq(name, STR("From")))
        h->from_n++;
    else if (str_ieq(name, STR("Date")))
        h->date_n++;
    else if (str_ieq(name, STR("Message-ID")))
        h->message_id_n++;
}

/* Fields of a submitted message that are not for its readers. */
static bool is_removed(str name)
{
    return str_ieq(name, STR("Bcc")) || str_ieq(name, STR("Resent-Bcc"));
}

/* RFC 6409 sections 8.2 and 8.3: what every message must have is added where a program left it out. */
static void add_missing(struct smtp_header *h)
{
    struct buf out = BUF_INIT(4096);
    if (!h->from_n && h->default_from.n) {
        buf_add_all(&out, STR("From: <"), h->default_from, STR(">\r\n"));
        h->from_n = 1;
    }
    if (!h->date_n) {
        struct date d = date_from_unix(h->now_s, date_local_zone(h->now_s));
        buf_add(&out, STR("Date: "));
        date_add_rfc5322(&out, &d);
        buf_add(&out, STR("\r\n"));
    }
    if (!h->message_id_n)
        buf_add_all(&out, STR("Message-ID: <"), h->id, STR("@"), h->message_id_right, STR(">\r\n"));
    require(!buf_error(&out));
    smtp_body_add(h->body, buf_str(&out));
    buf_done(&out);
}

/* Hands on the fields of HEADER but for those that are to be removed. Returns where they end. */
static size_t pass_fields(struct smtp_header *h, str header)
{
    struct message_header_field f;
    size_t at = 0, kept = 0;
    while (message_header_next(header, &at, &f)) {
        bool is_forged = smtp_claims_forged(&h->claims, &f);
        h->forged_n += is_forged;
        if (!is_forged && !(h->submission && is_removed(f.name)))
            continue;
        smtp_body_add(h->body, str_sub(header, kept, f.offset - kept));
        kept = at;
    }
    smtp_body_add(h->body, str_sub(header, kept, at - kept));
    return at;
}

/* Hands the held header on; what follows is body. */
static void pass(struct smtp_header *h)
{
    str held = buf_str(&h->held);
    struct message_header_field f;
    size_t at = 0, fields_end = 0;
    h->passed = true;
    /* The header is the fields up to the first line that is none: a message that begins with other text is all body. */
    while (message_header_next(held, &at, &f) && f.name.n) {
        count_field(h, f.name);
        fields_end = at;
    }
    if (h->submission) {
        add_missing(h);
        at = pass_fields(h, str_sub(held, 0, fields_end));
        if (!str_starts(str_from(held, at), STR("\r\n")))
            smtp_body_add(h->body, STR("\r\n"));
    } else if (held.n && (held.p[0] == ' ' || held.p[0] == '\t')) {
        at = 0; /* it would continue the trace field above it: it is made all body */
        smtp_body_add(h->body, STR("\r\n"));
    } else { /* to the empty line: readers find fields behind a line that is none */
        at = pass_fields(h, held);
    }
    smtp_body_add(h->body, str_from(held, at));
    buf_done(&h->held);
}

void smtp_header_put(struct smtp_header *h, str bytes)
{
    if (!h->passed) {
        size_t room = h->held.max - h->held.n, n = bytes.n < room ? bytes.n : room;
        buf_add(&h->held, str_sub(bytes, 0, n));
        bytes = str_from(bytes, n);
        /* Lines come with their CRLF as one piece of its own (data.c), so the empty line ends exactly here. */
        str held = buf_str(&h->held);
        if (str_eq(held, STR("\r\n")) || str_ends(held, STR("\r\n\r\n")) || bytes.n)
            pass(h);
    }
    smtp_body_add(h->body, bytes);
}

void smtp_header_finish(struct smtp_header *h)
{
    if (!h->passed)
        pass(h);
}

/* RFC 3848: ESMTP or LMTP, with S under TLS, with A when authenticated; RFC 6531 section 4.3: UTF8SMTP instead. */
static void add_protocol(struct buf *out, const struct smtp_trace *t)
{
    if (t->lmtp)
        buf_add(out, t->smtputf8 ? STR("UTF8LMTP") : STR("LMTP"));
    else
        buf_add(out, t->smtputf8 ? STR("UTF8SMTP") : t->esmtp ? STR("ESMTP") : STR("SMTP"));
    if (!t->esmtp)
        return;
    if (t->tls->active)
        buf_add_byte(out, 'S');
    if (t->authenticated)
        buf_add_byte(out, 'A');
}

void smtp_trace_add(struct buf *out, const struct smtp_trace *t)
{
    bool is_v6 = str_find_byte(t->peer, ':', 0) < t->peer.n;
    buf_add(out, STR("Received: from "));
    smtp_helo_add(out, t->helo.n ? t->helo : STR("unknown"));
    if (t->peer.n) {
        buf_add(out, STR(" ("));
        smtp_helo_add(out, t->name);
        buf_add_all(out, t->name.n ? STR(" [") : STR("["), is_v6 ? STR("IPv6:") : STR(""), t->peer, STR("])"));
    } else {
        buf_add(out, STR(" (through a local socket)"));
    }
    buf_add_all(out, STR("\r\n\tby "), t->hostname, STR(" with "));
    add_protocol(out, t);
    if (t->tls->active) {
        buf_add_all(out, STR("\r\n\t(using "), t->tls->version, STR(" with cipher "), t->tls->cipher);
        buf_addf(out, " (%d/%d bits))", t->tls->bits, t->tls->bits);
    }
    buf_add_all(out, STR("\r\n\tid "), t->id, STR(" (session "), t->session, STR(")"));
    if (t->recipient.n)
        buf_add_all(out, STR("\r\n\tfor <"), t->recipient, STR(">"));
    struct date d = date_from_unix(t->now_s, t->zone);
    buf_add(out, STR(";\r\n\t"));
    date_add_rfc5322(out, &d);
    buf_add(out, STR("\r\n"));
}
