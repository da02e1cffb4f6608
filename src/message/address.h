/* address: mailboxes, groups and lists of them in header fields (RFC 5322 section 3.4, obsolete forms of section 4.4, UTF-8 of
 * RFC 6532).
 *
 * Never fails on what a sender wrote. The result for malformed text is defined:
 * - a word without "@" is a mailbox at MESSAGE_HOST_MISSING; "@host" alone has an empty mailbox;
 * - of several "@" the last one counts;
 * - "a@b <c@d>" is c@d called "a@b"; a name may also stand in a comment: "c@d (Carl)";
 * - a quote that is never closed is ignored, a comment that is never closed runs to the end;
 * - empty list elements are dropped; a group without a name loses its markers, not its members; a group is closed where the text
 *   ends, and a group inside a group is read as members of the outer one. */
#ifndef VALISE_MESSAGE_ADDRESS_H
#define VALISE_MESSAGE_ADDRESS_H

#include "message/structure.h"

/* The host of an address without one. It must not be empty, since that would mark a group (RFC 3501 section 7.4.2). */
#define MESSAGE_HOST_MISSING STR("missing-host.invalid")

/* Parses FIELD (folded or not) into *RET, allocated from A: quotes, quoted pairs, comments and folding resolved, no CR, LF or NUL
 * left, encoded words as they are. Groups appear as struct message_address says, always closed. At most LIMITS->addresses_max
 * entries (group markers count) of at most value_max bytes a text; when something was cut, *RET_CUT (may be NULL) is set to true,
 * else it is left alone. 0 or ERR_LIMIT for A's quota. Linear. */
int message_addresses_parse(str field, const struct message_limits *limits, struct arena *a, struct message_addresses *ret,
                            bool *ret_cut) MUST_USE;
/* The list of all N FIELDS together, as of a field that appears several times. */
int message_addresses_parse_n(const str *fields, size_t n, const struct message_limits *limits, struct arena *a,
                              struct message_addresses *ret, bool *ret_cut) MUST_USE;

/* Whether ADDR is a mailbox, not the start or end of a group. */
static inline bool message_address_is_mailbox(const struct message_address *addr)
{
    return addr->host.n > 0;
}
/* Appends MAILBOX "@" HOST, the mailbox quoted where it must be (RFC 5322 section 3.4.1). */
void message_address_add_spec(struct buf *b, const struct message_address *addr);
/* Appends S as a phrase of header text: an atom sequence as it is, anything else as a quoted string. S holds no CR, LF, NUL. */
void message_address_add_phrase(struct buf *b, str s);

/* An address list that comes in pieces, in memory that does not grow with it. */
struct message_address_reader;
struct message_address_reader *message_address_reader_new(void);
void message_address_reader_free(struct message_address_reader *r);
/* Takes TEXT, the next bytes of the list; LAST ends the field, and another may follow it. What is complete comes in *RET, allocated from A (0 or
 * more entries; group starts and ends may come with different calls). Words and quoted strings longer than 64 KiB are cut. 0, or ERR_LIMIT for
 * A's quota. */
int message_address_reader_feed(struct message_address_reader *r, str text, bool last, struct arena *a,
                                struct message_addresses *ret) MUST_USE;

#endif
