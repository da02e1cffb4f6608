/* mbox: many messages in one file (RFC 4155), in the variant mboxrd: each message after a line "From sender date" and an empty line at its end; what looks
 * like such a line in a message, however often quoted, is quoted once more. Flags travel in the fields Status, X-Status and X-Keywords.
 *
 * What mbox_add wrote, mbox_next and mbox_decode give back, byte for byte when its line ends are CRLF and its last line has one. Fields of these
 * names that the message had itself are kept. */
#ifndef VALISE_ARCHIVE_MBOX_H
#define VALISE_ARCHIVE_MBOX_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/mail.h"

struct mbox_message {
    str text;         /* in the file's own form */
    int64_t received; /* seconds since 1970; INT64_MIN when the line does not tell */
};

/* Takes the next message from *REST, the file's text that was not read yet. False at the end, and when *REST does not begin with a message. */
bool mbox_next(str *rest, struct mbox_message *ret);

/* Appends the message TEXT of mbox_next to B as it was sent, CRLF line ends, without the fields that tell its flags, which are in *RET; their names in A.
 * ERR_LIMIT. */
int mbox_decode(str text, struct buf *b, struct arena *a, struct mail_flags *ret) MUST_USE;

/* Appends MESSAGE to the mbox in B. RECEIVED in seconds since 1970. */
void mbox_add(struct buf *b, str message, const struct mail_flags *flags, int64_t received);

#endif
