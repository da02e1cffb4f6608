/* binary: messages whose bodies may hold anything (BODY=BINARYMIME, RFC 3030 section 3; IMAP's literal8, RFC 3516), made into lines that every way and every
 * client can carry: a part's body that is not lines goes into base64, its Content-Transfer-Encoding says so, and the rest stays
 * byte for byte. */
#ifndef VALISE_MESSAGE_BINARY_H
#define VALISE_MESSAGE_BINARY_H

#include "message/structure.h"

/* What a body may be without being encoded. */
enum message_text {
    MESSAGE_TEXT_NO_NUL, /* anything but NUL: what an IMAP literal carries (RFC 3501 section 4.3) */
    MESSAGE_TEXT_LINES   /* lines of at most 998 bytes, each with its CR LF: what 8BITMIME carries (RFC 6152 section 2) */
};

/* Whether all of S is of KIND. */
bool message_text_is(str s, enum message_text kind);
/* Hands MESSAGE, whose structure is STRUCTURE, to PUT in pieces, each leaf part whose body is not of KIND in base64. Nothing else
 * is ever changed: ERR_SYNTAX when such bytes stand elsewhere (in a header, between parts, in a part that claims to be encoded
 * or may not be), ERR_REFUSED when they are below a multipart/signed, whose signature would be broken. PUT has got pieces then
 * too. */
int message_binary_encode(str message, const struct structure *structure, enum message_text kind,
                          void (*put)(void *ctx, str bytes), void *ctx) MUST_USE;

/* Hands MESSAGE to PUT without NULs, as imports keep it: parts that hold them in base64, or else, where that cannot be, each NUL as '?'. What has none
 * stays as it is. */
void message_nul_repair(str message, const struct structure *structure, void (*put)(void *ctx, str bytes), void *ctx);

#endif
