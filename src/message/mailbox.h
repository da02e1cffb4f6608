/* mailbox: author fields, read strictly (RFC 5322 section 3.4, UTF-8 of RFC 6532).
 *
 * message/address.h makes the best of whatever is in a field, as a reader must. Who decides whether a sender may call himself so
 * needs the opposite: two programs must not find different authors in the same bytes. So nothing is taken here but what the grammar
 * of section 3 generates; the obsolete forms of section 4.4, comments within an address (section 3.4.1 advises against them) and
 * groups are refused. One exception: a dot in a display name without quotes ("John Q. Public"), which section 4.1 calls common; it
 * stands where no program looks for an address. */
#ifndef VALISE_MESSAGE_MAILBOX_H
#define VALISE_MESSAGE_MAILBOX_H

#include "base/arena.h"
#include "base/buf.h"

struct message_mailbox {
    str address; /* the addr-spec as it is written; points into the field */
    str shown; /* what programs may show beside it: display name and comments, quotes and quoted pairs resolved, encoded words as they
                    are, single spaces between */
};

/* Parses FIELD, the value of a field, folded, as a list of mailboxes (RFC 5322 section 3.4: mailbox-list), at most MAX, into *RET,
 * allocated from A. 0; ERR_SYNTAX: *RET_WHY says what is wrong, as the rest of a sentence that begins with the field's name ("names a
 * group"); ERR_LIMIT for A's quota. Linear. */
int message_mailboxes_parse(str field, unsigned max, struct arena *a, const struct message_mailbox **ret, unsigned *ret_n,
                            const char **ret_why) MUST_USE;

/* The next address that TEXT shows at *AT or later, encoded words decoded already: something, an "@" of any width, and a domain. *RET_LOCAL
 * and *RET_DOMAIN point into TEXT. False when there is none. Linear over all calls, *AT is 0 at first. */
bool message_text_next_address(str text, size_t *at, str *ret_local, str *ret_domain);

/* Appends TEXT as it looks to OUT, for a comparison: without what is not shown (base/show.h, and variation selectors), in lower case, characters of other
 * widths and shapes as the plain ones (Unicode's NFKC_Casefold, character by character and decomposed); line ends, tabs and bytes that are no UTF-8 as spaces. 0; ERR_LIMIT
 * for OUT's; ERR_INTERNAL when ICU has no data. Linear. */
int message_text_fold(str text, struct buf *out) MUST_USE;

#endif
