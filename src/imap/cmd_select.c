/* cmd_select: SELECT, EXAMINE, CLOSE and UNSELECT (RFC 3501 sections 6.3.1, 6.3.2, 6.4.2; RFC 3691). */
#include "imap/fetch_private.h"

static void wake(void *ctx)
{
    conn_wake(ctx);
}

/* The untagged answers of section 6.3.1, and HIGHESTMODSEQ (RFC 7162 section 3.1.2.1). */
static void describe(struct imap_session *s)
{
    struct mailbox_info info = mail_view_info(s->view);
    uint32_t unseen = mail_view_first_unseen(s->view);
    imap_write_mailbox_flags(s);
    buf_addf(&s->out, "* %u EXISTS\r\n* %u RECENT\r\n", mail_view_count(s->view), mail_view_recent(s->view));
    if (unseen)
        buf_addf(&s->out, "* OK [UNSEEN %u] First unseen\r\n", unseen);
    buf_addf(&s->out, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Next UID\r\n", info.uidvalidity, info.uidnext);
    imap_write_highest_modseq(s);
}

static enum imap_next select_end(struct imap_session *s)
{
    return imap_ok_text(s, "[%s] %.*s completed", mail_view_read_only(s->view) ? "READ-ONLY" : "READ-WRITE",
                        STR_ARG(s->command->name));
}

static enum imap_next select_more(struct imap_session *s)
{
    return imap_fetch_write(s) ? select_end(s) : IMAP_MORE;
}

/* select = "SELECT" SP mailbox [SP select-params] */
static enum imap_next select_mailbox(struct imap_session *s, struct scan *args, bool read_only)
{
    str name;
    struct imap_select_params params = { 0 };
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_mailbox(args, &s->arena, &name);
    if (r == 0 && scan_byte(args, ' '))
        r = imap_parse_select_params(args, &s->arena, &imap_limits_default, &params);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (params.qresync && !s->qresync)
        return imap_bad(s, "ENABLE QRESYNC first");
    /* A failed SELECT leaves no mailbox selected (section 6.3.1). */
    if (s->view)
        buf_add(&s->out, STR("* OK [CLOSED] Closed\r\n")); /* RFC 7162 section 3.2.11 */
    imap_deselect(s);
    s->condstore |= params.condstore;
    r = mail_view_open(s->account, name, read_only, wake, s->conn, &s->view);
    if (r < 0) {
        s->view = NULL;
        return imap_fail(s, r, NULL);
    }
    s->state = IMAP_SELECTED;
    describe(s);
    if (!params.qresync || params.uidvalidity != mail_view_info(s->view).uidvalidity)
        return select_end(s);
    r = imap_resync(s, &params);
    if (r < 0) {
        imap_deselect(s);
        return imap_fail(s, r, NULL);
    }
    s->resume = select_more;
    return select_more(s);
}

IMAP_HANDLER(select)
{
    return select_mailbox(s, args, false);
}

IMAP_HANDLER(examine)
{
    return select_mailbox(s, args, true);
}

/* Messages with \Deleted go without a word, unless the mailbox is read-only. */
IMAP_HANDLER(close)
{
    (void)args;
    if (!mail_view_read_only(s->view)) {
        int r = mail_view_expunge(s->view, NULL, 0);
        if (r < 0)
            return imap_fail(s, r, NULL);
    }
    imap_deselect(s);
    return imap_ok(s);
}

IMAP_HANDLER(unselect)
{
    (void)args;
    imap_deselect(s);
    return imap_ok(s);
}
