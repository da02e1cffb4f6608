/* dsn: what a sender says about reports on its message (RFC 3461): RET and ENVID with MAIL, NOTIFY and ORCPT with RCPT.
 *
 * The values are checked here and travel with the envelope as they were given, in xtext, to whoever writes the report. */
#ifndef VALISE_SMTP_DSN_H
#define VALISE_SMTP_DSN_H

#include "base/str.h"

enum { SMTP_ENVID_MAX = 100, SMTP_ORCPT_MAX = 500 };

/* What of the message a report of failure returns. */
enum smtp_ret { SMTP_RET_UNSAID, SMTP_RET_FULL, SMTP_RET_HDRS };

/* When a report is wanted; bits. None: not said. */
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

/* Of one recipient. */
struct smtp_dsn {
    uint8_t notify; /* enum smtp_notify */
    str orcpt;      /* "rfc822;alice@example.org" in xtext; empty: not said */
};

/* Whether S is xtext: "+" begins two hexadecimal digits, all is ASCII (RFC 3461 section 4). */
bool smtp_xtext_valid(str s);
/* Whether NOTIFY is a set of bits that can have been said. */
bool smtp_notify_valid(unsigned notify);

/* The values of the four parameters, true when they are valid. */
bool smtp_ret_parse(str value, enum smtp_ret *ret);
bool smtp_notify_parse(str value, uint8_t *ret);
bool smtp_envid_valid(str value);
/* With UTF8 the address may be in UTF-8 if its type is "utf-8" (RFC 6533 section 3). */
bool smtp_orcpt_valid(str value, bool utf8);

#endif
