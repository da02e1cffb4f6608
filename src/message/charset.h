/* charset: text in any charset to UTF-8, by ICU's converters. */
#ifndef VALISE_MESSAGE_CHARSET_H
#define VALISE_MESSAGE_CHARSET_H

#include "base/buf.h"

/* Whether a converter for CHARSET (an IANA name or alias, any case) exists. */
bool message_charset_known(str charset);
/* Appends IN, written in CHARSET, to OUT as valid UTF-8. What cannot be read becomes U+FFFD. An empty or unknown charset is read
 * as UTF-8 where that is valid, every other byte >= 0x80 becomes U+FFFD.
 * ISO-8859-1 is read as windows-1252 and GB2312 as GB18030: mail so labelled means the larger set.
 * 0, ERR_UNSUPPORTED for an unknown charset (the text is there all the same), or ERR_LIMIT when OUT is full (it then holds what
 * fitted, cut between code points). */
int message_charset_to_utf8(str charset, str in, struct buf *out) MUST_USE;

/* The same of text that comes in pieces, in memory that does not grow with it. */
struct message_charset_reader;
struct message_charset_reader *message_charset_reader_new(str charset);
void message_charset_reader_free(struct message_charset_reader *r);
/* Appends IN, the next bytes of the text, to OUT; LAST ends it. A character that IN ends in the middle of comes with the next piece. 0, or
 * ERR_LIMIT from OUT (4 times the bytes of IN and 16 more are enough). */
int message_charset_reader_feed(struct message_charset_reader *r, str in, bool last, struct buf *out) MUST_USE;

#endif
