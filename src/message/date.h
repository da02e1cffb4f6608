/* date: the dates of header fields (RFC 5322 section 3.3, obsolete forms of section 4.3) and IMAP's date-time (RFC 3501
 * section 9). */
#ifndef VALISE_MESSAGE_DATE_H
#define VALISE_MESSAGE_DATE_H

#include "base/buf.h"
#include "base/clock.h"

/* Reads a Date field's text: weekday and seconds may be missing, years may have two or three digits, month names may be written
 * out, zones may be names or missing (+0000), comments may stand anywhere, what follows the zone is ignored. The second 60 counts
 * as the next minute. RET_UNIX is seconds since 1970, RET_ZONE (may be NULL) minutes east of UTC. False, and both untouched, when
 * no date can be made of it: a field is missing or out of range (a day the month does not have, 25:00). */
bool message_date_parse(str text, int64_t *ret_unix, int *ret_zone);

/* The day of such a text where it was written, as days since 1970: time and zone do not matter. */
bool message_date_day(str text, int64_t *ret_day);

/* IMAP's "dd-Mon-yyyy hh:mm:ss +zzzz", the day with a leading space or zero, or in one digit, without the quotes. Strict: false when anything
 * else stands there. */
bool message_internaldate_parse(str text, int64_t *ret_unix, int *ret_zone);
/* Appends it for SECONDS since 1970 in the zone ZONE minutes east of UTC: " 1-Feb-2026 12:00:00 +0000". */
void message_internaldate_add(struct buf *b, int64_t seconds, int zone);

#endif
