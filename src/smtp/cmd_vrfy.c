/* VRFY and EXPN (RFC 5321 sections 3.5.3, 4.1.1.6, 4.1.1.7, 7.3): who asks learns nothing about which addresses exist. */
#include "smtp/session_private.h"

enum conn_next smtp_cmd_vrfy(struct smtp_session *s, str argument)
{
    smtp_say(s, argument.n ? SMTP_REPLY_CANNOT_VERIFY : SMTP_REPLY_BAD_ARGUMENT);
    return CONN_WAIT;
}

enum conn_next smtp_cmd_expn(struct smtp_session *s, str argument)
{
    smtp_say(s, SMTP_REPLY_DISABLED);
    return CONN_WAIT;
}
