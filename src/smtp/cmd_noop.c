/* NOOP (RFC 5321 section 4.1.1.9): changes nothing; an argument is ignored. */
#include "smtp/session_private.h"

enum conn_next smtp_cmd_noop(struct smtp_session *s, str argument)
{
    smtp_say(s, SMTP_REPLY_OK);
    return CONN_WAIT;
}
