/* header: the fields of a header block (RFC 5322 sections 2.2 and 3.5, lenient as old mail needs it).
 *
 * A line ends with CRLF or a lone LF. The header ends with the first empty line, or where the bytes end. A line that begins with
 * white space continues the field before it. Nothing fails: a line that is no field (no colon, or no printable ASCII name before
 * it, such as mbox's "From " line) is handed out with an empty name, so that the pieces always add up to the block. */
#ifndef VALISE_MESSAGE_HEADER_H
#define VALISE_MESSAGE_HEADER_H

#include "base/arena.h"
#include "base/buf.h"

struct message_header_field {
    size_t offset, size; /* the whole field in the block, folded lines and line end included */
    str name;            /* as written, without white space before the colon; empty for a line that is no field */
    str value;           /* between the colon and the final line end, still folded, p never NULL; the whole line without a name */
};

/* The next field of HEADER from *AT on (0 at first), and *AT behind it. False at the empty line or the end; *AT is then the
 * offset of that empty line, or HEADER.n. Linear over all calls. HEADER may be a whole message. */
bool message_header_next(str header, size_t *at, struct message_header_field *ret);
/* The first field called NAME (ASCII letters folded); false when there is none. */
bool message_header_find(str header, str name, struct message_header_field *ret);
/* Bytes of the header of MESSAGE, the empty line included; MESSAGE.n when there is no empty line. */
size_t message_header_size(str message);

/* Appends VALUE on one line: white space at both ends and line ends removed (RFC 5322 section 2.2.3), a lone CR becomes a space,
 * NUL becomes '?'. Cut at B's maximum without an error. */
void message_header_unfold(struct buf *b, str value);
/* The same into A, cut to MAX bytes (never inside a UTF-8 sequence). 0 or ERR_LIMIT for A's quota. */
int message_header_unfold_arena(struct arena *a, str value, size_t max, str *ret) MUST_USE;

#endif
