/* report: a delivery status notification (RFC 3464 in a multipart/report of RFC 6522; RFC 6533 where an address is beyond
 * ASCII): what became of a message, written for the one who sent it. Bytes in, bytes out: whom it goes to, and whether it is
 * wanted, is the caller's to know; dsn_request_wants says it by the rules of RFC 3461 section 5.2. */
#ifndef VALISE_DSN_REPORT_H
#define VALISE_DSN_REPORT_H

#include "base/buf.h"
#include "base/language.h"
#include "dsn/request.h"

/* What became of a recipient (RFC 3464 section 2.3.3). */
enum dsn_action {
    DSN_ACTION_DELIVERED, /* it is in the mailbox */
    DSN_ACTION_EXPANDED,  /* an address of several; nothing more is said about those that got it */
    DSN_ACTION_FAILED
};

struct dsn_outcome {
    str recipient; /* the address as it was in the envelope, or one that it led to */
    str orcpt;     /* as dsn_request; empty: not said */
    enum dsn_action action;
    str status; /* enhanced status code "5.2.2" */
    str reply;  /* what an SMTP server would have answered, "552 5.2.2 Mailbox full"; empty: nothing */
};

struct dsn_report {
    str hostname; /* of the server that reports */
    str from;     /* address of the human to ask */
    str sender;   /* whom it goes to: the reverse-path of the message */
    str id;       /* unique: for Message-ID and boundary; letters, digits */
    str envid;    /* in xtext; empty: not said */
    enum dsn_ret ret;
    bool utf8;         /* the message was sent with SMTPUTF8 */
    int64_t arrived_s; /* when the message came */
    int64_t now_s;
    int zone;               /* minutes east of UTC */
    enum language language; /* of the sender; UNSAID: the words for people are in all */
    str message;
    const struct dsn_outcome *outcomes;
    size_t outcome_n;        /* at least 1 */
    bool has_reached_others; /* it is in mailboxes of which nothing is to be reported */
};

/* Of the returned message at most so much: more is cut after its header (RFC 3461 section 6.2). */
enum { DSN_RETURNED_MAX = 64 * 1024 };

/* Whether a report of ACTION is wanted for a recipient with the wishes NOTIFY (RFC 3461 sections 5.2.3, 5.2.6, 5.2.7.3). */
bool dsn_request_wants(unsigned notify, enum dsn_action action);
/* Appends the report, a whole message with CRLF line ends. 0 or ERR_LIMIT from OUT. */
int dsn_report_write(struct buf *out, const struct dsn_report *r) MUST_USE;

#endif
