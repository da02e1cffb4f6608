/* cmd_namespace: NAMESPACE (RFC 2342): one personal namespace without a prefix, "/" between levels. */
#include "imap/session_private.h"

IMAP_HANDLER(namespace)
{
    (void)args;
    buf_add(&s->out, STR("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"));
    return imap_ok(s);
}
