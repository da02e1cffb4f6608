/* author: whether a submitted message is from whom it says (RFC 6409 section 8.1, RFC 5322 sections 3.6.2 and 3.6.6).
 *
 * From, Sender, Resent-From and Resent-Sender are read strictly (message/mailbox.h) and must name only addresses that the login may send
 * as. A field that programs would choose differently from is refused: one that is there twice where once is allowed, one with a space
 * before its colon. What is shown beside an address, a display name or a comment, must not show an address of ours that is another's, by
 * characters that are not seen or only look like those of the address either;
 * foreign ones may stand there, as contact forms write them. */
#ifndef VALISE_SMTP_AUTHOR_H
#define VALISE_SMTP_AUTHOR_H

#include "base/buf.h"
#include "smtp/reply.h"
#include "smtp/service.h"

enum { SMTP_AUTHORS_MAX = 100 }; /* addresses in one field, and addresses shown beside them */

/* Checks MESSAGE, which begins with its header, for LOGIN. SMTP_REPLY_ACCEPTED; or how it is refused, with the field and the reason appended
 * to WHY (SMTP_REPLY_BAD_FROM, SMTP_REPLY_NOT_YOUR_FROM), or SMTP_REPLY_TEMPORARY. May block on the service. */
enum smtp_reply smtp_author_check(const struct smtp_service *service, const struct smtp_login *login, str message,
                                  struct buf *why);

#endif
