/* encoded_word: non-ASCII text in header fields (RFC 2047), to UTF-8 and back. */
#ifndef VALISE_MESSAGE_ENCODED_WORD_H
#define VALISE_MESSAGE_ENCODED_WORD_H

#include "base/buf.h"

/* Appends TEXT (folded or not) to OUT as valid UTF-8 on one line. White space between encoded words is dropped, and words of
 * one charset that follow each other are decoded as one, so that a character may be split between them. What only looks like an
 * encoded word stays as it is; raw bytes that are not UTF-8 become U+FFFD; decoded CR, LF and NUL become spaces.
 * 0, or ERR_LIMIT when OUT is full (it then holds what fitted). Linear. */
int message_encoded_word_decode(str text, struct buf *out) MUST_USE;

/* Appends S (UTF-8; anything else is replaced) for unstructured fields and phrases: as it is when it is ASCII without "=?", else
 * in UTF-8 encoded words of at most 75 characters, joined by CRLF and a space where the line, which has COLUMN characters
 * already, would exceed 76. B or Q, whichever is shorter. CR, LF and NUL in S become spaces. */
void message_encoded_word_encode(struct buf *b, str s, size_t column);

#endif
