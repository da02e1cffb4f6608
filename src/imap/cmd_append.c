/* cmd_append: APPEND (RFC 3501 section 6.3.11, APPENDUID of RFC 4315) of one message or several (MULTIAPPEND, RFC 3502).
 *
 * A message is never in the command: when its literal is announced the arguments are read, its bytes go to a deposit as they
 * come, and the connection parks between them. When a further one is announced, the one before it goes to a batch (store/mail.h) and its announcement is forgotten, so that
 * any number is held in bounded memory. The handler runs when the line behind the last literal is complete, and appends
 * all in one change: all or none. Its answer waits for the disk (acknowledge.c). All together are at most as large as one may be alone, else [TOOBIG], and a message counts
 * with 1 KiB at least, else [LIMIT]. */
#include "imap/session_private.h"

void imap_append_drop(struct imap_session *s)
{
    if (!s->append)
        return;
    mail_deposit_free(s->append->last.deposit);
    mail_batch_free(s->append->batch);
    arena_done(&s->append->arena);
    s->append = NULL;
    conn_min_rate(s->conn, 0);
}

/* Whether the unit is "tag APPEND arguments {n}" with nothing but the announcement left; the arguments then, copied to the arena,
 * since the unit may still grow. Of a further message of S->append what follows the one before. append-data = literal / literal8
 * (RFC 3516 section 7) */
static int parse_front(struct imap_session *s, struct imap_append *ret, bool *ret_literal8)
{
    str unit, tag, name;
    struct arena *arena = s->append ? &s->append->arena : &s->arena;
    size_t from = s->append ? s->append->unit_n : 0;
    int r = arena_dup(arena, str_from(buf_str(&s->frame.unit), from), &unit);
    if (r < 0)
        return r;
    struct scan at = scan_init(unit);
    if (s->append) {
        r = imap_parse_append_message(&at, arena, &imap_limits_default, ret);
    } else {
        if (imap_parse_tag(&at, &tag) < 0 || imap_parse_sp(&at) < 0 || imap_parse_atom(&at, &name) < 0 ||
            imap_parse_sp(&at) < 0 || !str_ieq(name, STR("APPEND")))
            return ERR_SYNTAX;
        r = imap_parse_append(&at, arena, &imap_limits_default, ret);
    }
    if (r < 0)
        return r;
    *ret_literal8 = scan_byte(&at, '~');
    return scan_peek(&at) == '{' ? 0 : ERR_SYNTAX;
}

/* The answer when the messages cannot be appended for R, which E tells of. */
static enum imap_next append_failed(struct imap_session *s, int r, const struct error *e)
{
    if (s->append->has_nul) /* *CHAR8: a literal holds none */
        return imap_no(s, "[CANNOT] The message holds NUL bytes; send it as literal8, or encode the part as base64");
    if (r == ERR_SYNTAX) /* RFC 3516 section 4.4: the store has encoded what it could */
        return imap_no(s, "[UNKNOWN-CTE] The message holds NUL bytes where they cannot be encoded; encode the part as base64");
    if (r == ERR_REFUSED)
        return imap_over_quota(s);
    if (r == ERR_NOTFOUND)
        return imap_fail_target(s, r);
    return imap_fail(s, r, e);
}

/* The message that has come goes to those before it. */
static void gather(struct imap_session *s)
{
    struct imap_append_work *w = s->append;
    if (!w->batch)
        w->batch = mail_batch_new(s->config->store);
    if (w->result == 0 && !w->has_nul)
        w->result = mail_batch_add(w->batch, w->last.deposit, &w->last.flags, w->last.received_ms, &w->why);
    mail_deposit_free(w->last.deposit);
    w->last.deposit = NULL;
    arena_reset(&w->arena);
}

/* Why no further message is taken, or NULL. */
static const char *refusal_of_more(struct imap_session *s)
{
    struct imap_append_work *w = s->append;
    uint64_t max = s->config->append_max;
    if (w->result < 0 || w->has_nul) {
        (void)append_failed(s, w->result, &w->why);
        const char *text = arena_z(&s->arena, buf_str(&s->answer));
        return text ? text : "NO [UNAVAILABLE] The store is not available now; try again";
    }
    if (max && w->n >= IMAP_APPENDS_MIN && w->n >= max / IMAP_APPEND_COST)
        return "NO [LIMIT] Too many messages for one APPEND: send them in several";
    /* Structures are smaller than their messages, but for those that are made to be otherwise. */
    if (max && mail_batch_kept(w->batch) > 2 * max + (1 << 20))
        return "NO [LIMIT] The messages have too many parts for one APPEND: send them in several";
    return NULL;
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
        return refusal_of_more(s);
    if (mailbox_is_there(s->account, args->mailbox))
        return NULL;
    int r = mailbox_find(s->account, args->mailbox, &s->arena, &info);
    if (r == ERR_NOTFOUND || (r == 0 && !info.exists))
        return "NO [TRYCREATE] No such mailbox; create it first";
    return r < 0 ? "NO [UNAVAILABLE] The store is not available now; try again" : NULL;
}

/* The work of a first message. */
static bool append_start(struct imap_session *s, str mailbox)
{
    s->append = arena_new(&s->arena, struct imap_append_work);
    if (!s->append) {
        s->refusal = "NO [LIMIT] Too much in one APPEND; send it in several";
        return false;
    }
    s->append->mailbox = mailbox;
    s->append->unit_n = s->frame.unit.n;
    arena_init(&s->append->arena, IMAP_OUT_MAX);
    return true;
}

bool imap_append_announced(struct imap_session *s)
{
    struct imap_append args = { 0 };
    bool literal8 = false;
    if (!s->account)
        return false;
    if (s->append)
        gather(s);
    int r = parse_front(s, &args, &literal8);
    if (r < 0) {
        if (r == ERR_REFUSED)
            s->refusal = "NO " IMAP_NO_UTF7;
        else if (s->append)
            s->refusal = "BAD Invalid arguments: only flags, a date and a message may follow a message";
        return false;
    }
    s->refusal = refusal(s, &args);
    if (s->refusal || (!s->append && !append_start(s, args.mailbox)))
        return false;
    struct imap_append_work *w = s->append;
    w->last = (struct mail_append){ .deposit = mail_deposit_new(s->config->store, s->account),
                                    .flags = args.flags,
                                    .received_ms = args.received_ms };
    if (!literal8)
        mail_deposit_repair_lines(w->last.deposit);
    w->n++;
    w->bytes += s->frame.literal;
    w->literal8 = literal8;
    imap_frame_divert(&s->frame, w->unit_n);
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
        w->result = mail_deposit_write(w->last.deposit, bytes);
}

/* append = "APPEND" SP mailbox 1*append-message (RFC 3502 section 6.3.11); resp-code-apnd = "APPENDUID" SP nz-number SP
 * append-uid, a set when there are several (RFC 4315 section 4). */
IMAP_HANDLER(append)
{
    (void)args;
    struct imap_append_work *w = s->append;
    uint32_t uid, uidvalidity = 0;
    struct mail_dropped dropped = { 0 };
    if (!w || s->frame.unit.n != w->unit_n)
        return imap_bad_arguments(s, ERR_SYNTAX);
    if (w->batch)
        gather(s);
    w->last.ret_names = &dropped;
    int r = w->has_nul ? ERR_SYNTAX : w->result;
    if (r == 0 && w->batch)
        r = mail_batch_append_begin(s->account, w->mailbox, w->batch, &uid, &uidvalidity, &s->pending, &w->why);
    else if (r == 0)
        r = mail_append_begin(s->account, w->mailbox, &w->last, 1, &uid, &uidvalidity, &s->pending, &w->why);
    if (r < 0)
        return append_failed(s, r, &w->why);
    s->appended += w->n;
    buf_reset(&s->answer);
    buf_addf(&s->answer, "OK [APPENDUID %u %u", uidvalidity, uid);
    if (w->n > 1)
        buf_addf(&s->answer, ":%u", uid + (uint32_t)w->n - 1);
    buf_add(&s->answer, STR("] APPEND completed"));
    imap_ok_without(s, w->batch ? mail_batch_dropped(w->batch) : &dropped);
    return IMAP_DONE;
}
