/* note: a message of the server to one of its users, written by itself. */
#ifndef VALISE_DSN_NOTE_H
#define VALISE_DSN_NOTE_H

#include "base/buf.h"
#include "base/language.h"

/* A note from the server to somebody: what is filled in already. */
struct dsn_note {
    str hostname; /* of the server */
    str from;     /* address of the human to ask */
    str to;       /* whom it goes to */
    str id;       /* unique: for Message-ID; letters, digits */
    int64_t now_s;
    int zone;               /* minutes east of UTC */
    enum language language; /* of the text; UNSAID: not known */
    str subject, text;      /* UTF-8; lines of TEXT end with LF or CRLF */
};
/* Appends the note to OUT, a whole message with CRLF line ends, UTF-8 as quoted-printable (RFC 2045 section 6.7), that no program answers (RFC 3834
 * section 5). The null reverse-path is the caller's. 0 or ERR_LIMIT from OUT. */
int dsn_note_write(struct buf *out, const struct dsn_note *n) MUST_USE;

#endif
