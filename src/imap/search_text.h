/* search_text: the words of one message, as SEARCH's keys look at them (RFC 3501 section 6.4.4): fields, addresses, the texts of all parts
 * with their MIME headers. In header fields a run of white space compares as one blank, since programs fold them anywhere, with blanks or TABs. Everything is read in pieces, so no size is too large to be found in. */
#ifndef VALISE_IMAP_SEARCH_TEXT_H
#define VALISE_IMAP_SEARCH_TEXT_H

#include "imap/header_fields.h"
#include "imap/session_private.h"

/* One message. */
struct imap_search_message {
    struct mail_account *account;
    const struct mail_email *email;    /* NULL: not there */
    struct arena *arena;               /* of what is read of it */
    const struct structure *structure; /* NULL: not opened, or broken */
    bool broken, header_read;
    struct buf header; /* of the message, when it is small */
    unsigned cost;     /* what was done, in the units of search_match.h */
};
/* ACCOUNT, EMAIL and ARENA must live as long. */
void imap_search_message_init(struct imap_search_message *m, struct mail_account *account, const struct mail_email *email,
                              struct arena *arena);
void imap_search_message_done(struct imap_search_message *m);

/* The envelope, as far as the structure has it; NULL when it cannot be read. */
const struct envelope *imap_search_envelope(struct imap_search_message *m);
/* Whether the text of a field, VALUE, has NEEDLE (folded), encoded words decoded. */
bool imap_search_text_has(str value, str needle);
/* Whether a field FIELD has NEEDLE (folded, fold.h) in its text, encoded words decoded; an empty needle: whether there is one. */
bool imap_search_header(struct imap_search_message *m, str field, str needle);
/* Whether the list From, To, Cc or Bcc of the envelope has it, addresses written as "name <mailbox@host>". */
bool imap_search_addresses(struct imap_search_message *m, str field, str needle);
/* Whether the texts of the parts, their MIME headers, or the header of an enclosed message have it. */
bool imap_search_body(struct imap_search_message *m, str needle);
/* The same, or the message's own header. */
bool imap_search_all(struct imap_search_message *m, str needle);

#endif
