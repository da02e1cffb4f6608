/* base64: whole strings, strict (RFC 4648 section 4). The streaming, forgiving decoder for mail bodies is message/encoding.h. */
#ifndef VALISE_BASE_BASE64_H
#define VALISE_BASE_BASE64_H

#include "base/buf.h"

/* Appends the padded encoding of S to B, without line breaks. */
void base64_encode(struct buf *b, str s);
/* Appends the decoding of S to B. Padding required, no white space, unused bits zero. 0, ERR_SYNTAX (B is as it was) or
 * ERR_LIMIT. */
int base64_decode(struct buf *b, str s) MUST_USE;

#endif
