/* cmd_quota: GETQUOTA and GETQUOTAROOT (RFC 9208). An account is one quota root, named "", when it has a limit; limits are the
 * administrator's to set, so there is no SETQUOTA. */
#include "imap/session_private.h"

enum { STORAGE_UNIT = 1024 };

static void write_resource(struct buf *b, str name, uint64_t used, uint64_t max)
{
    buf_add_all(b, b->p[b->n - 1] == '(' ? STR("") : STR(" "), name, STR(" "));
    buf_add_u64(b, used);
    buf_add_byte(b, ' ');
    buf_add_u64(b, max);
}

/* quota-response = "QUOTA" SP quota-root-name SP quota-list; STORAGE in units of 1024 octets */
static void write_quota(struct buf *b, const struct mail_quota *q)
{
    buf_add(b, STR("* QUOTA \"\" ("));
    if (q->bytes_max)
        write_resource(b, STR("STORAGE"), (q->bytes + STORAGE_UNIT - 1) / STORAGE_UNIT, q->bytes_max / STORAGE_UNIT);
    if (q->messages_max)
        write_resource(b, STR("MESSAGE"), q->messages, q->messages_max);
    buf_add(b, STR(")\r\n"));
}

/* getquota = "GETQUOTA" SP quota-root-name */
IMAP_HANDLER(getquota)
{
    str root;
    struct mail_quota q;
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_astring(args, &s->arena, &root);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    r = mail_account_quota(s->account, &q);
    if (r < 0)
        return imap_fail(s, r, NULL);
    if (root.n || (!q.bytes_max && !q.messages_max))
        return imap_no(s, "[NONEXISTENT] No such quota root; GETQUOTAROOT INBOX names it");
    write_quota(&s->out, &q);
    return imap_ok(s);
}

/* getquotaroot = "GETQUOTAROOT" SP mailbox, which need not exist; quotaroot-response = "QUOTAROOT" SP mailbox *(SP
 * quota-root-name) */
IMAP_HANDLER(getquotaroot)
{
    str name;
    struct mail_quota q;
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_mailbox(args, &s->arena, &name);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    r = mail_account_quota(s->account, &q);
    if (r < 0)
        return imap_fail(s, r, NULL);
    bool limited = q.bytes_max || q.messages_max;
    buf_add(&s->out, STR("* QUOTAROOT "));
    imap_write_mailbox(&s->out, name);
    buf_add(&s->out, limited ? STR(" \"\"\r\n") : STR("\r\n"));
    if (limited)
        write_quota(&s->out, &q);
    return imap_ok(s);
}
