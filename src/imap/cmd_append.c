/* cmd_append: APPEND (RFC 3501 section 6.3.11, APPENDUID of RFC 4315) of one message or several (MULTIAPPEND, RFC 3502).
 *
 * A message is never in the command: when its literal is announced the arguments are read, its bytes go to a deposit as they
 * come, and the connection parks between them. The handler runs when the line behind the last literal is complete, and appends
 * all in one commit: all or none. Its answer waits for the disk (acknowledge.c). What one commit may not hold is refused with [LIMIT] (messages) or [TOOBIG] (bytes) before it
 * is sent: a command has at most IMAP_APPENDS_MAX messages, and all together are at most as large as one may be alone. */
#include "imap/session_private.h"

void imap_append_drop(struct imap_session *s)
{
    if (!s->append)
        return;
    for (size_t i = 0; i < s->append->n; i++)
        mail_deposit_free(s->append->items[i].deposit);
    s->append = NULL;
    conn_min_rate(s->conn, 0);
}

/* Whether the unit is "tag APPEND arguments {n}" with nothing but the announcement left; the arguments then, copied to the arena,
 * since the unit may still grow. Of a further message of S->append what follows the one before. append-data = literal / literal8
 * (RFC 3516 section 7) */
static int parse_front(struct imap_session *s, struct imap_append *ret, bool *ret_literal8)
{
    str unit, tag, name;
    size_t from = s->append ? s->append->unit_n : 0;
    int r = arena_dup(&s->arena, str_from(buf_str(&s->frame.unit), from), &unit);
    if (r < 0)
        return r;
    struct scan at = scan_init(unit);
    if (s->append) {
        r = imap_parse_append_message(&at, &s->arena, &imap_limits_default, ret);
    } else {
        if (imap_parse_tag(&at, &tag) < 0 || imap_parse_sp(&at) < 0 || imap_parse_atom(&at, &name) < 0 ||
            imap_parse_sp(&at) < 0 || !str_ieq(name, STR("APPEND")))
            return ERR_SYNTAX;
        r = imap_parse_append(&at, &s->arena, &imap_limits_default, ret);
    }
    if (r < 0)
        return r;
    *ret_literal8 = scan_byte(&at, '~');
    return scan_peek(&at) == '{' ? 0 : ERR_SYNTAX;
}

/* Why the message is not even asked for, or NULL. */
static const char *refusal(struct imap_session *s, const struct imap_append *args)
{
    struct mailbox_info info;
    uint64_t before = s->append ? s->append->bytes : 0, max = s->config->append_max;
    if (max && s->frame.literal > max)
        return "NO [TOOBIG] The message is larger than is taken here; send a smaller one";
    if (max && s->frame.literal > max - before)
        return "NO [TOOBIG] The messages together are larger than is taken in one APPEND: send them in several";
    if (!s->frame.literal)
        return "NO [CANNOT] The message is empty; send it with its header at least";
    if (s->append)
        return s->append->n < IMAP_APPENDS_MAX ? NULL : "NO [LIMIT] Too many messages for one APPEND: send them in several";
    if (mailbox_is_there(s->account, args->mailbox))
        return NULL;
    int r = mailbox_find(s->account, args->mailbox, &s->arena, &info);
    if (r == ERR_NOTFOUND || (r == 0 && !info.exists))
        return "NO [TRYCREATE] No such mailbox; create it first";
    return r < 0 ? "NO [UNAVAILABLE] The store is not available now; try again" : NULL;
}

bool imap_append_announced(struct imap_session *s)
{
    struct imap_append args = { 0 };
    bool literal8 = false;
    if (!s->account)
        return false;
    int r = parse_front(s, &args, &literal8);
    if (r < 0) {
        if (r == ERR_REFUSED)
            s->refusal = "NO " IMAP_NO_UTF7;
        else if (s->append)
            s->refusal = "BAD Invalid arguments: only flags, a date and a message may follow a message";
        return false;
    }
    s->refusal = refusal(s, &args);
    if (s->refusal)
        return false;
    if (!s->append) {
        s->append = arena_new(&s->arena, struct imap_append_work);
        if (!s->append) {
            s->refusal = "NO [LIMIT] Too much in one APPEND; send it in several";
            return false;
        }
        s->append->mailbox = args.mailbox;
    }
    struct imap_append_work *w = s->append;
    w->items[w->n++] = (struct mail_append){ .deposit = mail_deposit_new(s->config->store, s->account),
                                             .flags = args.flags,
                                             .received_ms = args.received_ms };
    if (!literal8)
        mail_deposit_repair_lines(w->items[w->n - 1].deposit);
    w->bytes += s->frame.literal;
    w->unit_n = s->frame.unit.n;
    w->literal8 = literal8;
    imap_frame_divert(&s->frame);
    conn_min_rate(s->conn, IMAP_BODY_RATE);
    if (s->frame.synchronizing)
        stream_write(s->stream, STR("+ Ready for the message\r\n"));
    return true;
}

/* After an error the rest is still taken, so that it is never read as commands. */
void imap_append_write(struct imap_session *s, str bytes)
{
    struct imap_append_work *w = s->append;
    w->has_nul |= !w->literal8 && str_find_byte(bytes, '\0', 0) != bytes.n;
    if (w->result == 0 && !w->has_nul)
        w->result = mail_deposit_write(w->items[w->n - 1].deposit, bytes);
}

/* append = "APPEND" SP mailbox 1*append-message (RFC 3502 section 6.3.11); resp-code-apnd = "APPENDUID" SP nz-number SP
 * append-uid, a set when there are several (RFC 4315 section 4). */
IMAP_HANDLER(append)
{
    (void)args;
    struct imap_append_work *w = s->append;
    struct error e = ERROR_NONE;
    uint32_t uids[IMAP_APPENDS_MAX], uidvalidity = 0;
    if (!w || s->frame.unit.n != w->unit_n)
        return imap_bad_arguments(s, ERR_SYNTAX);
    if (w->has_nul) /* *CHAR8: a literal holds none */
        return imap_no(s, "[CANNOT] The message holds NUL bytes; send it as literal8, or encode the part as base64");
    int r = w->result;
    if (r == 0)
        r = mail_append_begin(s->account, w->mailbox, w->items, w->n, uids, &uidvalidity, &s->pending, &e);
    if (r == ERR_SYNTAX) /* RFC 3516 section 4.4: the store has encoded what it could */
        return imap_no(s, "[UNKNOWN-CTE] The message holds NUL bytes where they cannot be encoded; encode the part as base64");
    if (r == ERR_REFUSED)
        return imap_over_quota(s);
    if (r == ERR_NOTFOUND)
        return imap_fail_target(s, r);
    if (r < 0)
        return imap_fail(s, r, &e);
    s->appended += w->n;
    buf_reset(&s->answer);
    buf_add(&s->answer, STR("OK [APPENDUID "));
    buf_add_u64(&s->answer, uidvalidity);
    buf_add_byte(&s->answer, ' ');
    imap_write_uids(&s->answer, uids, w->n);
    buf_add(&s->answer, STR("] APPEND completed"));
    return IMAP_DONE;
}
