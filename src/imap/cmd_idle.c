/* cmd_idle: IDLE (RFC 2177). The session parks; the view wakes the connection, and the loop sends what changed each time it
 * runs. */
#include "imap/session_private.h"

/* "DONE" CRLF ends it; anything else is an error. */
static enum imap_next idle_line(struct imap_session *s, str line)
{
    return str_ieq(line, STR("DONE")) ? imap_ok(s) : imap_bad(s, "Expected DONE; IDLE is over");
}

IMAP_HANDLER(idle)
{
    (void)args;
    s->line = idle_line;
    s->idling = true;
    buf_add(&s->out, STR("+ idling\r\n"));
    return IMAP_LINE;
}
