/* reply: see reply.h. */
#include "smtp/reply.h"

struct reply_row {
    unsigned short code, flags;
    const char *status; /* enhanced status code, "" where there is none: 3yz, greetings, EHLO (RFC 2034 section 4) */
    const char *text;
};

#define SMTP_REPLY_ROW(name, reply_code, reply_status, reply_flags, reply_text)                                                  \
    [SMTP_REPLY_##name] = { .code = (reply_code), .flags = (reply_flags), .status = (reply_status), .text = (reply_text) },
static const struct reply_row rows[SMTP_REPLY_COUNT] = { SMTP_REPLIES(SMTP_REPLY_ROW) };
#undef SMTP_REPLY_ROW

unsigned smtp_reply_code(enum smtp_reply r)
{
    return rows[r].code;
}

unsigned smtp_reply_flags(enum smtp_reply r)
{
    return rows[r].flags;
}

str smtp_reply_text(enum smtp_reply r)
{
    return str_from_z(rows[r].text);
}

str smtp_reply_reason(enum smtp_reply r, str why, const struct error *e)
{
    return e->text[0] ? str_from_z(e->text) : why.n ? why : smtp_reply_text(r);
}

static bool is_one_line(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
            return false;
    }
    return true;
}

int smtp_reply_add(struct buf *out, enum smtp_reply r, const str *lines, size_t n)
{
    const struct reply_row *row = &rows[r];
    /* RFC 4954 section 4: a challenge is no text that could be cut. */
    size_t max = r == SMTP_REPLY_CHALLENGE ? SMTP_CHALLENGE_LINE_MAX : SMTP_REPLY_LINE_MAX;
    require(n > 0);
    for (size_t i = 0; i < n; i++) {
        if (!is_one_line(lines[i]))
            return ERR_SYNTAX;
    }
    for (size_t i = 0; i < n; i++) {
        size_t start = out->n;
        buf_addf(out, "%u%c%s%s", row->code, i + 1 < n ? '-' : ' ', row->status, row->status[0] ? " " : "");
        size_t prefix = out->n - start;
        str text = str_sub(lines[i], 0, max - 2 - prefix);
        for (size_t j = 0; j < text.n; j++)
            buf_add_byte(out, (unsigned char)text.p[j] > 126 ? '?' : text.p[j]);
        buf_add(out, STR("\r\n"));
    }
    return buf_error(out);
}

/* RFC 5321 section 4.3.2, RFC 3463 sections 3.2 and 3.6, RFC 6531 section 3.5. */
enum smtp_reply smtp_reply_from_fault(enum smtp_fault fault, enum smtp_clause clause)
{
    bool sender = clause == SMTP_CLAUSE_SENDER;
    switch (fault) {
    case SMTP_FAULT_BRACKETS:
        return sender ? SMTP_REPLY_BRACKETS_SENDER : SMTP_REPLY_BRACKETS_RECIPIENT;
    case SMTP_FAULT_ADDRESS:
    case SMTP_FAULT_UTF8_INVALID:
        return sender ? SMTP_REPLY_BAD_SENDER : SMTP_REPLY_BAD_RECIPIENT;
    case SMTP_FAULT_TOO_LONG:
        return sender ? SMTP_REPLY_LONG_SENDER : SMTP_REPLY_LONG_RECIPIENT;
    case SMTP_FAULT_UTF8_ADDRESS:
        return sender ? SMTP_REPLY_UTF8_SENDER : SMTP_REPLY_UTF8_RECIPIENT;
    case SMTP_FAULT_PARAM_UNKNOWN:
        return SMTP_REPLY_PARAMETER_UNKNOWN;
    case SMTP_FAULT_PARAM_VALUE:
        return SMTP_REPLY_BAD_PARAMETER;
    case SMTP_FAULT_ARGUMENT:
        return SMTP_REPLY_BAD_ARGUMENT;
    case SMTP_FAULT_NONE:
        break;
    }
    panic("no answer to fault %d", (int)fault);
}

enum smtp_reply smtp_reply_from_error(int error)
{
    /* Whatever else went wrong is ours, so the sender is asked to try again: nothing is lost by a full queue elsewhere. */
    return error == ERR_FULL ? SMTP_REPLY_STORE_FULL : SMTP_REPLY_TEMPORARY;
}

enum smtp_reply smtp_reply_from_delivery(int error, bool full_is_final)
{
    if (error == ERR_REFUSED)
        return full_is_final ? SMTP_REPLY_MAILBOX_FULL_FINAL : SMTP_REPLY_MAILBOX_FULL;
    return error == ERR_LIMIT ? SMTP_REPLY_MAILBOX_TOO_SMALL : smtp_reply_from_error(error);
}
