/* cmd_status: STATUS (RFC 3501 section 6.3.10), with SIZE (RFC 8438) and DELETED (RFC 9208). */
#include "imap/session_private.h"

static void write_item(struct buf *b, bool wanted, str name, uint64_t value)
{
    if (!wanted)
        return;
    if (b->p[b->n - 1] != '(')
        buf_add_byte(b, ' ');
    buf_add(b, name);
    buf_add_u64(b, value);
}

/* "STATUS" SP mailbox SP "(" [status-att-list] ")"; SIZE is "the sum of the RFC822.SIZE of the messages" (RFC 8438 section 2). */
void imap_write_status(struct imap_session *s, const struct mailbox_info *info, unsigned items)
{
    struct buf *b = &s->out;
    const unsigned counted = items & (IMAP_STATUS_DELETED | IMAP_STATUS_DELETED_STORAGE);
    uint32_t deleted = 0;
    uint64_t deleted_bytes = 0;
    /* "If the server runs into unexpected problems ... it MAY drop the corresponding STATUS reply" (RFC 5819 section 2). */
    if (counted && mailbox_count_deleted(s->account, info->name, &deleted, &deleted_bytes) < 0)
        return;
    buf_add(b, STR("* STATUS "));
    imap_write_mailbox(b, info->name);
    buf_add(b, STR(" ("));
    write_item(b, items & IMAP_STATUS_MESSAGES, STR("MESSAGES "), info->messages);
    write_item(b, items & IMAP_STATUS_RECENT, STR("RECENT "), info->recent);
    write_item(b, items & IMAP_STATUS_UIDNEXT, STR("UIDNEXT "), info->uidnext);
    write_item(b, items & IMAP_STATUS_UIDVALIDITY, STR("UIDVALIDITY "), info->uidvalidity);
    write_item(b, items & IMAP_STATUS_UNSEEN, STR("UNSEEN "), info->unseen);
    write_item(b, items & IMAP_STATUS_SIZE, STR("SIZE "), info->bytes);
    write_item(b, items & IMAP_STATUS_HIGHESTMODSEQ, STR("HIGHESTMODSEQ "), info->modseq ? info->modseq : 1);
    write_item(b, items & IMAP_STATUS_DELETED, STR("DELETED "), deleted);
    write_item(b, items & IMAP_STATUS_DELETED_STORAGE, STR("DELETED-STORAGE "), deleted_bytes);
    buf_add(b, STR(")\r\n"));
}

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" */
IMAP_HANDLER(status)
{
    str name;
    unsigned items = 0;
    struct mailbox_info info;
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_mailbox(args, &s->arena, &name);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_status_items(args, &items);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    r = mailbox_find(s->account, name, &s->arena, &info);
    if (r == 0 && !info.exists)
        r = ERR_NOTFOUND;
    if (r < 0)
        return imap_fail(s, r, NULL);
    if (items & IMAP_STATUS_HIGHESTMODSEQ)
        imap_condstore_enable(s);
    imap_write_status(s, &info, items);
    return imap_ok(s);
}
