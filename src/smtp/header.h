/* header: what a server may do to the header of a message that comes in: count, remove what only this server may say (claims.h), and
 * complete what a user submits (RFC 6409 section 8). Nothing else is changed in a stranger's message; the trace field is put in front
 * of it.
 *
 * The header is held back until its end is there, then checked, completed and handed on; the body passes through untouched. */
#ifndef VALISE_SMTP_HEADER_H
#define VALISE_SMTP_HEADER_H

#include "smtp/body.h"
#include "smtp/claims.h"
#include "smtp/data.h"

enum { SMTP_RECEIVED_MAX = 100 }; /* RFC 5321 section 6.3: simple loop detection counts Received fields */

struct smtp_header {
    struct smtp_body *body; /* where the message goes */
    struct buf held;        /* the header so far */
    struct smtp_claims claims;
    bool passed;    /* the header is over */
    size_t line_at; /* of the line in HELD that is not complete */
    /* what is known once it has passed */
    unsigned received_n, from_n, date_n, message_id_n;
    unsigned forged_n; /* removed fields */
    /* submission: complete and clean the header */
    bool submission;
    str default_from, id, message_id_right;
    int64_t now_s;
};

void smtp_header_init(struct smtp_header *h, struct smtp_body *body);
/* Says what is known now: the server's name and the message's recipients (see smtp_claims_init). They live as long as H. */
void smtp_header_guard(struct smtp_header *h, str hostname, const str *recipients, size_t recipient_n);
/* Makes H complete the header of a submitted message: Bcc is removed for all (RFC 5322 section 3.6.3, the first of its ways); missing From, Date and Message-ID are
 * added. ID and HOSTNAME make the Message-ID. DEFAULT_FROM is the reverse path, which the login was seen to be allowed to send as: a problem with one clear
 * remedy (RFC 6409 section 8). With an empty one, as of a receipt, there is none, and the message is refused (author.h). The strings live as long as H. */
void smtp_header_complete(struct smtp_header *h, str default_from, str id, str hostname, int64_t now_s);
/* Takes the next bytes of the message. */
void smtp_header_put(struct smtp_header *h, str bytes);
/* The message has ended. */
void smtp_header_finish(struct smtp_header *h);
void smtp_header_done(struct smtp_header *h);

/* What the Received: field is made of (RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3, RFC 8314 section 4.3). */
struct smtp_trace {
    str helo, name, peer, hostname, id, session; /* name: of the peer's host; empty: not known */
    bool lmtp, esmtp, authenticated, smtputf8;
    const struct tls_info *tls;
    str recipient; /* empty unless there is exactly one */
    int64_t now_s;
    int zone; /* minutes east of UTC */
};
/* Appends "Received: ..." with its CRLF, folded. */
void smtp_trace_add(struct buf *out, const struct smtp_trace *t);

#endif
