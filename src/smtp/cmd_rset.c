/* RSET (RFC 5321 section 4.1.1.5): ends the transaction without delivering anything; the name of EHLO and the login stay. */
#include "smtp/session_private.h"

enum conn_next smtp_cmd_rset(struct smtp_session *s, str argument)
{
    smtp_transaction_end(s);
    smtp_say(s, SMTP_REPLY_OK);
    return CONN_WAIT;
}
