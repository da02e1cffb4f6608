/* XCLIENT: from relays that the listener's configuration names, whose session this is in truth. */
#include "smtp/session_private.h"

#include "base/log.h"
#include "smtp/xclient.h"

enum conn_next smtp_cmd_xclient(struct smtp_session *s, str argument)
{
    struct smtp_xclient x;
    if (!conn_may_override(s->conn)) {
        smtp_say(s, SMTP_REPLY_XCLIENT_REFUSED);
        return CONN_WAIT;
    }
    int rc = smtp_xclient_parse(argument, conn_arena(s->conn), &x);
    if (rc) {
        smtp_say(s, rc == ERR_UNSUPPORTED ? SMTP_REPLY_XCLIENT_ATTRIBUTE : SMTP_REPLY_BAD_ARGUMENT);
        return CONN_WAIT;
    }
    log_debug("smtp-xclient", LOG_STR("session", conn_id(s->conn)), LOG_STR("by", conn_peer_address(s->conn)),
              LOG_STR("said", argument));
    conn_override(s->conn, &x.ends);
    smtp_session_restart(s, &x);
    return CONN_WAIT;
}
