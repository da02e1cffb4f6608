/* cmd_mailbox: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7). */
#include "imap/session_private.h"

static int parse_mailbox_argument(struct imap_session *s, struct scan *args, str *ret)
{
    int r = imap_parse_sp(args);
    return r < 0 ? r : imap_parse_mailbox(args, &s->arena, ret);
}

static enum imap_next answer(struct imap_session *s, int r, const struct error *e)
{
    return r < 0 ? imap_fail(s, r, e) : imap_ok(s);
}

/* "If the mailbox name is suffixed with the server's hierarchy separator character, this is a declaration that the client intends
 * to create mailbox names under this name": the name itself is created without it (section 6.3.3).
 * create = "CREATE" SP mailbox [SP "(" create-param ")"]; what cannot have the use is not created (RFC 6154 section 3:
 * USEATTR). */
IMAP_HANDLER(create)
{
    str name;
    struct error e = ERROR_NONE;
    enum mail_special_use use = MAIL_USE_NONE;
    int r = parse_mailbox_argument(s, args, &name);
    if (r == 0 && scan_byte(args, ' ')) {
        r = imap_parse_create_use(args, &use);
        if (r == ERR_LIMIT || r == ERR_UNSUPPORTED)
            return imap_no(s, "[USEATTR] %s",
                           r == ERR_LIMIT ? "A mailbox has one special use; name one"
                                          : "That special use is not known; LIST shows those that there are");
    }
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (str_ends(name, STR("/")))
        name.n--;
    r = mailbox_create(s->account, name, use, &e);
    if (r == ERR_REFUSED && use != MAIL_USE_NONE)
        return imap_no(s, "[USEATTR] %s", e.text);
    return answer(s, r, &e);
}

IMAP_HANDLER(delete)
{
    str name;
    struct error e = ERROR_NONE;
    int r = parse_mailbox_argument(s, args, &name);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    return answer(s, mailbox_delete(s->account, name, &e), &e);
}

IMAP_HANDLER(rename)
{
    str from, to;
    struct error e = ERROR_NONE;
    int r = parse_mailbox_argument(s, args, &from);
    if (r == 0)
        r = parse_mailbox_argument(s, args, &to);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (str_ends(to, STR("/")))
        to.n--;
    return answer(s, mailbox_rename(s->account, from, to, &e), &e);
}

static enum imap_next subscribe(struct imap_session *s, struct scan *args, bool on)
{
    str name;
    int r = parse_mailbox_argument(s, args, &name);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    return answer(s, mailbox_subscribe(s->account, name, on), NULL);
}

IMAP_HANDLER(subscribe)
{
    return subscribe(s, args, true);
}

IMAP_HANDLER(unsubscribe)
{
    return subscribe(s, args, false);
}
