/* dsn: what a sender says about reports on its message (RFC 3461): RET and ENVID with MAIL, NOTIFY and ORCPT with RCPT.
 *
 * The values are checked here and travel with the envelope as they were given, in xtext, to whoever writes the report. */
#ifndef VALISE_DSN_REQUEST_H
#define VALISE_DSN_REQUEST_H

#include "base/str.h"

enum { DSN_ENVID_MAX = 100, DSN_ORCPT_MAX = 500 };

/* What of the message a report of failure returns. */
enum dsn_ret { DSN_RET_UNSAID, DSN_RET_FULL, DSN_RET_HDRS };

/* When a report is wanted; bits. None: not said. */
enum dsn_notify { DSN_NOTIFY_NEVER = 1, DSN_NOTIFY_SUCCESS = 2, DSN_NOTIFY_FAILURE = 4, DSN_NOTIFY_DELAY = 8 };

/* Of one recipient. */
struct dsn_request {
    uint8_t notify; /* enum dsn_notify */
    str orcpt;      /* "rfc822;alice@example.org" in xtext; empty: not said */
};

/* Whether S is xtext: "+" begins two hexadecimal digits, all is ASCII (RFC 3461 section 4). */
bool dsn_xtext_valid(str s);
/* Whether NOTIFY is a set of bits that can have been said. */
bool dsn_notify_valid(unsigned notify);

/* The values of the four parameters, true when they are valid. */
bool dsn_ret_parse(str value, enum dsn_ret *ret);
bool dsn_notify_parse(str value, uint8_t *ret);
bool dsn_envid_valid(str value);
/* With UTF8 the address may be in UTF-8 if its type is "utf-8" (RFC 6533 section 3). */
bool dsn_orcpt_valid(str value, bool utf8);

#endif
