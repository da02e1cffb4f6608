/* cmd_capability: CAPABILITY (RFC 3501 section 6.1.1) and ENABLE (RFC 5161). */
#include "imap/session_private.h"

#include "imap/syntax_private.h"

IMAP_HANDLER(capability)
{
    (void)args;
    buf_add(&s->out, STR("* CAPABILITY "));
    imap_write_capabilities(s, &s->out);
    buf_add(&s->out, STR("\r\n"));
    return imap_ok(s);
}

/* capability-enable = "ENABLE" 1*(SP capability) (RFC 5161 section 3.1). Unknown names are ignored. */
IMAP_HANDLER(enable)
{
    str capability;
    bool condstore = false, qresync = false;
    do {
        if (!scan_byte(args, ' ') || imap_parse_atom(args, &capability) < 0)
            return imap_bad_arguments(s, ERR_SYNTAX);
        condstore |= str_ieq(capability, STR("CONDSTORE"));
        qresync |= str_ieq(capability, STR("QRESYNC"));
    } while (!scan_done(args));
    buf_add_all(&s->out, STR("* ENABLED"), condstore ? STR(" CONDSTORE") : STR(""), qresync ? STR(" QRESYNC") : STR(""),
                STR("\r\n"));
    s->qresync |= qresync;
    if (condstore || qresync)
        imap_condstore_enable(s);
    return imap_ok(s);
}
