/* answer: tagged answers, and which response code each error becomes (RFC 3501 section 7.1, RFC 5530). */
#include "imap/session_private.h"

#include <stdarg.h>

#include "base/log.h"

__attribute__((format(printf, 3, 0))) static void set_answer(struct imap_session *s, str status, const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    buf_reset(&s->answer);
    buf_add(&s->answer, status);
    buf_add_byte(&s->answer, ' ');
    /* text = 1*TEXT-CHAR: what may come from elsewhere is made printable. */
    for (const char *p = text; *p; p++)
        buf_add_byte(&s->answer, *p >= ' ' && *p < 127 ? *p : '?');
}

enum imap_next imap_ok(struct imap_session *s)
{
    return imap_ok_text(s, "%s%.*s completed", s->uid ? "UID " : "", STR_ARG(s->command->name));
}

enum imap_next imap_ok_text(struct imap_session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_answer(s, STR("OK"), fmt, ap);
    va_end(ap);
    return IMAP_DONE;
}

void imap_ok_without(struct imap_session *s, const struct mail_dropped *d)
{
    if (!d || (!d->n && !d->more))
        return;
    buf_add(&s->answer, d->n ? STR(" without the keywords ") : STR(" without some keywords"));
    buf_add(&s->answer, (str){ d->names, d->n });
    buf_addf(&s->answer, "%s: a mailbox has room for %d, of %d characters at most; clear some that are not needed",
             d->n && d->more ? " and more" : "", MAIL_KEYWORDS_MAX, MAIL_KEYWORD_BYTES_MAX);
}

enum imap_next imap_no(struct imap_session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_answer(s, STR("NO"), fmt, ap);
    va_end(ap);
    return IMAP_DONE;
}

enum imap_next imap_bad(struct imap_session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_answer(s, STR("BAD"), fmt, ap);
    va_end(ap);
    s->errors++;
    return IMAP_DONE;
}

enum imap_next imap_bad_arguments(struct imap_session *s, int r)
{
    if (r == ERR_LIMIT)
        return imap_bad(s, "[LIMIT] Too much in one %.*s; do it in several", STR_ARG(s->command->name));
    if (r == ERR_REFUSED)
        return imap_no(s, "%s", IMAP_NO_UTF7);
    return imap_bad(s, "Invalid arguments: %.*s takes %.*s", STR_ARG(s->command->name), STR_ARG(s->command->usage));
}

enum imap_next imap_over_quota(struct imap_session *s)
{
    return imap_no(s, "[OVERQUOTA] More than the quota of %.*s allows: delete mail first", STR_ARG(buf_str(&s->user)));
}

enum imap_next imap_fail(struct imap_session *s, int code, const struct error *e)
{
    const char *why = e && e->code ? e->text : NULL;
    switch ((enum err)code) {
    case ERR_NOTFOUND:
        return imap_no(s, "[NONEXISTENT] %s", why ? why : "No such mailbox; is the name right?");
    case ERR_EXISTS:
        return imap_no(s, "[ALREADYEXISTS] %s", why ? why : "There is such a mailbox already; take another name");
    case ERR_FULL:
        return imap_no(s, "[UNAVAILABLE] Disk full or quota used up: nothing was changed; try again when there is room");
    case ERR_LIMIT:
        return imap_no(s, "[LIMIT] %s", why ? why : "Too many or too large; take fewer or smaller ones");
    case ERR_SYNTAX:
    case ERR_REFUSED:
    case ERR_UNSUPPORTED:
        return imap_no(s, "[CANNOT] %s", why ? why : "That cannot be done with this mailbox; take another");
    case ERR_CORRUPT:
        log_error("imap-corrupt", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", buf_str(&s->user)), LOG_Z("text", why));
        return imap_no(s, "[CORRUPTION] Stored data is damaged; the administrator has been told");
    case ERR_INTERNAL:
        log_error("imap-internal", LOG_STR("session", conn_id(s->conn)), LOG_STR("user", buf_str(&s->user)), LOG_Z("text", why));
        return imap_no(s, "[SERVERBUG] Internal error; try again, and tell the administrator if it comes again");
    case OK:
    case ERR_AGAIN:
    case ERR_EOF:
    case ERR_IO:
    case ERR_TIMEOUT:
    case ERR_CONFLICT:
    case ERR_UNKNOWN:
    case ERR_FENCED:
    case ERR_UNAVAILABLE:
    case ERR_LAST_:
        break;
    }
    return imap_no(s, "[UNAVAILABLE] The store is not available now; try again");
}

enum imap_next imap_fail_target(struct imap_session *s, int code)
{
    if (code == ERR_NOTFOUND)
        return imap_no(s, "[TRYCREATE] No such mailbox; create it first");
    return imap_fail(s, code, NULL);
}

void imap_bye(struct imap_session *s, const char *text)
{
    s->step = IMAP_STEP_CLOSE;
    if (s->bye)
        return;
    s->bye = true;
    imap_out_flush(s);
    stream_write(s->stream, STR("* BYE "));
    stream_write(s->stream, str_from_z(text));
    stream_write(s->stream, STR("\r\n"));
}

void imap_out_flush(struct imap_session *s)
{
    if (s->out.n)
        stream_write(s->stream, buf_str(&s->out));
    buf_reset(&s->out);
}

void imap_out_add(struct imap_session *s, str bytes)
{
    if (bytes.n <= IMAP_OUT_PIECE) {
        buf_add(&s->out, bytes);
        return;
    }
    imap_out_flush(s);
    stream_write(s->stream, bytes);
}

bool imap_out_is_full(struct imap_session *s)
{
    if (s->out.n >= IMAP_OUT_PIECE)
        imap_out_flush(s);
    return stream_is_full(s->stream);
}
