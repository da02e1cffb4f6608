/* cmd_expunge: EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1). The loop tells what vanished. */
#include "imap/session_private.h"

IMAP_HANDLER(expunge)
{
    struct imap_set set = { 0 };
    uint32_t *seqs = NULL;
    size_t n = 0;
    int r = 0;
    if (s->uid) {
        r = imap_parse_sp(args);
        if (r == 0)
            r = imap_parse_set(args, &s->arena, &imap_limits_default, &set);
    }
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (!imap_check_writable(s))
        return IMAP_DONE;
    s->expunged_told = s->expunged + 1;
    if (s->uid) {
        r = imap_set_resolve(s, &set, true, &set);
        if (r == 0)
            r = imap_set_expand(s, &set, &seqs, &n);
        if (r < 0)
            return imap_fail(s, r, NULL);
        if (!n)
            return imap_ok(s);
    }
    r = mail_view_expunge(s->view, seqs, n);
    return r < 0 ? imap_fail(s, r, NULL) : imap_ok(s);
}
