/* cmd_append: APPEND (RFC 3501 section 6.3.11, APPENDUID of RFC 4315).
 *
 * The message is never in the command: when its literal is announced the arguments are read, its bytes go to a deposit as they
 * come, and the connection parks between them. The handler runs when the line behind the literal is complete. */
#include "imap/session_private.h"

void imap_append_drop(struct imap_session *s)
{
    if (!s->append)
        return;
    mail_deposit_free(s->append->deposit);
    s->append = NULL;
    conn_min_rate(s->conn, 0);
}

/* Whether the unit is "tag APPEND arguments {n}" with nothing but the announcement left; the arguments then, copied to the arena,
 * since the unit may still grow. */
static int parse_front(struct imap_session *s, struct imap_append *ret)
{
    str unit, tag, name;
    int r = arena_dup(&s->arena, buf_str(&s->frame.unit), &unit);
    if (r < 0)
        return r;
    struct scan at = scan_init(unit);
    if (imap_parse_tag(&at, &tag) < 0 || imap_parse_sp(&at) < 0 || imap_parse_atom(&at, &name) < 0 || imap_parse_sp(&at) < 0 ||
        !str_ieq(name, STR("APPEND")))
        return ERR_SYNTAX;
    r = imap_parse_append(&at, &s->arena, &imap_limits_default, ret);
    return r < 0 ? r : scan_peek(&at) == '{' ? 0 : ERR_SYNTAX;
}

/* Why the message is not even asked for, or NULL. */
static const char *refusal(struct imap_session *s, const struct imap_append *args)
{
    struct mailbox_info info;
    if (s->config->append_max && s->frame.literal > s->config->append_max)
        return "NO [TOOBIG] The message is larger than is taken here";
    if (!s->frame.literal)
        return "NO [CANNOT] The message is empty";
    int r = mailbox_find(s->account, args->mailbox, &s->arena, &info);
    if (r == ERR_NOTFOUND || (r == 0 && !info.exists))
        return "NO [TRYCREATE] No such mailbox; create it first";
    return r < 0 ? "NO [UNAVAILABLE] The store is not available now, try again" : NULL;
}

bool imap_append_announced(struct imap_session *s)
{
    struct imap_append args;
    if (!s->account || s->append || parse_front(s, &args) < 0)
        return false;
    s->refusal = refusal(s, &args);
    if (s->refusal)
        return false;
    struct imap_append_work *w = arena_new(&s->arena, struct imap_append_work);
    if (!w) {
        s->refusal = "NO [LIMIT] Too much in one APPEND";
        return false;
    }
    *w = (struct imap_append_work){ .args = args, .unit_n = s->frame.unit.n };
    w->deposit = mail_deposit_new(s->config->store, s->account);
    s->append = w;
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
    if (str_find_byte(bytes, '\0', 0) != bytes.n)
        w->has_nul = true;
    if (w->result == 0 && !w->has_nul)
        w->result = mail_deposit_write(w->deposit, bytes);
}

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal */
IMAP_HANDLER(append)
{
    (void)args;
    struct imap_append_work *w = s->append;
    struct error e = ERROR_NONE;
    uint32_t uid = 0, uidvalidity = 0;
    if (!w || s->frame.unit.n != w->unit_n)
        return imap_bad_arguments(s, ERR_SYNTAX);
    /* *CHAR8: a literal holds no NUL, and BINARY (RFC 3516) is not offered. */
    if (w->has_nul)
        return imap_no(s, "[CANNOT] The message holds NUL bytes");
    struct mail_append item = { .deposit = w->deposit, .flags = w->args.flags, .received_ms = w->args.received_ms };
    int r = w->result;
    if (r == 0)
        r = mail_append(s->account, w->args.mailbox, &item, 1, &uid, &uidvalidity, &e);
    if (r == ERR_NOTFOUND)
        return imap_fail_target(s, r);
    if (r < 0)
        return imap_fail(s, r, &e);
    s->appended++;
    return imap_ok_text(s, "[APPENDUID %u %u] APPEND completed", uidvalidity, uid);
}
