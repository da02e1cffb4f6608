/* QUIT (RFC 5321 section 4.1.1.10): answers and closes; an open transaction is dropped. */
#include "smtp/session_private.h"

enum conn_next smtp_cmd_quit(struct smtp_session *s, str argument)
{
    smtp_transaction_end(s);
    smtp_say(s, SMTP_REPLY_BYE);
    return CONN_WAIT;
}
