/* cmd_noop: NOOP, CHECK and LOGOUT (RFC 3501 sections 6.1.2, 6.4.1, 6.1.3). What changed in the mailbox follows every command. */
#include "imap/session_private.h"

IMAP_HANDLER(noop)
{
    (void)args;
    return imap_ok(s);
}

/* Nothing is ever kept back that a checkpoint would have to write. */
IMAP_HANDLER(check)
{
    (void)args;
    return imap_ok(s);
}

IMAP_HANDLER(logout)
{
    (void)args;
    imap_deselect(s);
    s->state = IMAP_LOGGED_OUT;
    s->bye = true;
    buf_add(&s->out, STR("* BYE Logging out\r\n"));
    return imap_ok(s);
}
