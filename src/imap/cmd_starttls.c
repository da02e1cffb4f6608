/* cmd_starttls: STARTTLS (RFC 3501 section 6.2.1). */
#include "imap/session_private.h"

/* Whether the client has sent anything behind the command: somebody in the middle could have put it there, and it would be taken
 * for words under TLS. */
static bool has_more_input(struct imap_session *s)
{
    return s->ahead.n > 0 || stream_peek(s->stream).n > 0 || stream_fill(s->stream) == 0;
}

IMAP_HANDLER(starttls)
{
    (void)args;
    if (conn_tls(s->conn)->active)
        return imap_bad(s, "TLS is active already; go on with the login");
    if (!conn_can_starttls(s->conn))
        return imap_no(s, "[UNAVAILABLE] TLS is not available here; tell the administrator");
    if (has_more_input(s)) {
        s->state = IMAP_LOGGED_OUT;
        return imap_bad(s, "Nothing may follow STARTTLS before the handshake; wait for the answer");
    }
    imap_ok_text(s, "Begin TLS negotiation now");
    return IMAP_TLS;
}
