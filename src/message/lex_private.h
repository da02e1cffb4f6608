/* lex: what all parsers of structured header fields share: folding white space, comments, quoted strings (RFC 5322 section 3.2).
 *
 * Texts taken out of a field never hold CR, LF or NUL afterwards, so that no writer can be tricked into a new line. Everything
 * walks a scan cursor forward only and is linear; nesting of comments is counted, not recursed, so depth needs no limit. */
#ifndef VALISE_MESSAGE_LEX_PRIVATE_H
#define VALISE_MESSAGE_LEX_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/scan.h"

/* Space, tab and the bytes of a line end. */
static inline bool message_lex_is_wsp(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Appends one byte; NUL becomes '?', CR and LF become a space. What exceeds B's maximum is dropped without an error. */
void message_lex_add_byte(struct buf *b, char c);
/* Appends S unfolded: line ends are removed, a lone CR becomes a space, NUL becomes '?'. Cut at B's maximum without an error. */
void message_lex_add(struct buf *b, str s);
/* Copies what B holds into A, minus a UTF-8 sequence that B's maximum cut in two. 0 or ERR_LIMIT. */
int message_lex_take(const struct buf *b, struct arena *a, str *ret) MUST_USE;

/* Skips white space; true when there was some. */
bool message_lex_wsp(struct scan *s);
/* At "(": moves behind the matching ")" or, when there is none, to the end. The text inside, quoted pairs resolved, replaces what
 * TEXT (may be NULL) holds. False and unmoved when there is no "(". */
bool message_lex_comment(struct scan *s, struct buf *text);
/* Skips white space and comments; true when there was some. */
bool message_lex_cfws(struct scan *s);
/* At a quote: appends the content, quoted pairs resolved, to OUT (may be NULL) and moves behind the closing quote. False and
 * unmoved when there is no quote or it is never closed; the caller then skips the quote as junk and should not ask again. */
bool message_lex_quoted(struct scan *s, struct buf *out);

#endif
