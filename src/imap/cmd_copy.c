/* cmd_copy: COPY (RFC 3501 section 6.4.7) and MOVE (RFC 6851), with the UIDs of the copies (RFC 4315). */
#include "imap/session_private.h"

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set (RFC 4315 section 3): both sets in the same order. */
static int write_copyuid(struct imap_session *s, struct buf *b, const struct mail_uid_pair *pairs, size_t n, uint32_t uidvalidity)
{
    uint32_t *uids = arena_array(&s->arena, n, sizeof *uids);
    if (!uids)
        return ERR_LIMIT;
    buf_add(b, STR("[COPYUID "));
    buf_add_u64(b, uidvalidity);
    buf_add_byte(b, ' ');
    for (size_t i = 0; i < n; i++)
        uids[i] = pairs[i].from;
    imap_write_uids(b, uids, n);
    buf_add_byte(b, ' ');
    for (size_t i = 0; i < n; i++)
        uids[i] = pairs[i].to;
    imap_write_uids(b, uids, n);
    buf_add(b, STR("] "));
    return 0;
}

static enum imap_next answer(struct imap_session *s, bool move, const struct mail_uid_pair *pairs, size_t n, uint32_t uidvalidity)
{
    imap_ok(s);
    if (!n)
        return IMAP_DONE;
    const struct mail_dropped *dropped = mail_view_copy_dropped(s->view);
    struct buf code = BUF_INIT(IMAP_OUT_MAX);
    if (write_copyuid(s, &code, pairs, n, uidvalidity) == 0 && buf_error(&code) == 0) {
        /* "servers ... SHOULD send the COPYUID response code in an untagged OK before sending EXPUNGE" (RFC 6851 section 4.3) */
        if (move) {
            buf_add_all(&s->out, STR("* OK "), buf_str(&code), STR("Moved\r\n"));
        } else {
            buf_reset(&s->answer);
            buf_add_all(&s->answer, STR("OK "), buf_str(&code), s->uid ? STR("UID COPY completed") : STR("COPY completed"));
        }
    }
    buf_done(&code);
    imap_ok_without(s, dropped);
    return IMAP_DONE;
}

/* copy = "COPY" SP sequence-set SP mailbox; move alike */
static enum imap_next copy(struct imap_session *s, struct scan *args, bool move)
{
    struct imap_set set;
    str target;
    uint32_t *seqs, uidvalidity = 0;
    size_t n, pair_n = 0;
    int r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_set(args, &s->arena, &imap_limits_default, &set);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_mailbox(args, &s->arena, &target);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (move && !imap_check_writable(s))
        return IMAP_DONE;
    if (move)
        s->expunged_told = s->expunged + 1;
    r = imap_set_resolve(s, &set, s->uid, &set);
    if (r < 0)
        return imap_bad(s, "No message has that number; EXISTS tells the highest");
    r = imap_set_expand(s, &set, &seqs, &n);
    if (r < 0)
        return imap_fail(s, r, NULL);
    if (!n)
        return imap_ok(s);
    struct mail_uid_pair *pairs = arena_array(&s->arena, n, sizeof *pairs);
    r = pairs ? mail_view_copy(s->view, seqs, n, target, move, pairs, &pair_n, &uidvalidity) : ERR_LIMIT;
    if (r == ERR_REFUSED)
        return imap_over_quota(s);
    return r < 0 ? imap_fail_target(s, r) : answer(s, move, pairs, pair_n, uidvalidity);
}

IMAP_HANDLER(copy)
{
    return copy(s, args, false);
}

IMAP_HANDLER(move)
{
    return copy(s, args, true);
}
