/* STARTTLS (RFC 3207 section 4). The argument is refused with 501 by the table. */
#include "smtp/session_private.h"

#include "base/log.h"

enum conn_next smtp_cmd_starttls(struct smtp_session *s, str argument)
{
    if (smtp_session_tls(s)->active) {
        smtp_say(s, SMTP_REPLY_TLS_ACTIVE);
        return CONN_WAIT;
    }
    if (s->config->tls == SMTP_TLS_OFF || !conn_can_starttls(s->conn)) {
        smtp_say(s, SMTP_REPLY_TLS_UNAVAILABLE);
        return CONN_WAIT;
    }
    /* A client waits for the answer before it begins the handshake. Bytes that are here already were said in the clear, perhaps
     * by somebody in between, and would count as said under TLS if they were kept. */
    if (stream_peek(s->stream).n || stream_fill(s->stream) == 0 || stream_has_input(s->stream)) {
        log_warning("smtp-starttls-injection", LOG_STR("session", conn_id(s->conn)), LOG_STR("peer", conn_peer_address(s->conn)));
        smtp_say(s, SMTP_REPLY_INJECTION);
        return CONN_WAIT;
    }
    smtp_say(s, SMTP_REPLY_READY_FOR_TLS);
    return CONN_STARTTLS;
}
