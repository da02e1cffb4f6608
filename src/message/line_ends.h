/* line_ends: text whose lines end with LF alone, as scripts write it, made into what mail is (RFC 5322 section 2.3). */
#ifndef VALISE_MESSAGE_LINE_ENDS_H
#define VALISE_MESSAGE_LINE_ENDS_H

#include "message/structure.h"

/* Whether S has an LF without a CR before it. */
bool message_has_bare_lf(str s);
/* Hands MESSAGE, whose structure is STRUCTURE, to PUT in pieces with CR LF in place of each bare LF. The body of a part that says
 * Content-Transfer-Encoding: binary stays byte for byte (RFC 2045 section 2.9), that of a multipart aside, where it says what the parts
 * may be. All of the message stays when its structure was cut, for then nobody knows where such bodies are. Linear. */
void message_line_ends_repair(str message, const struct structure *structure, void (*put)(void *ctx, str bytes), void *ctx);

#endif
