/* write: strings, flags, dates and sets; see write.h. The structures of messages are in write_body.c. */
#include "imap/write.h"

#include "base/clock.h"
#include "imap/utf7.h"

enum { QUOTED_MAX = 1024 };

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* Whether one of the eight bytes of V is C: exact for bytes below 128. */
static uint64_t has_byte(uint64_t v, unsigned char c)
{
    v ^= EACH_BYTE * c;
    return (v - EACH_BYTE) & ~v;
}

/* Bytes at the beginning of S that go between quotes as they are, eight at a time: a FETCH of a large mailbox writes millions. */
static size_t plain_run(str s)
{
    size_t i = 0;
    for (uint64_t v; s.n - i >= sizeof v; i += sizeof v) {
        memcpy(&v, s.p + i, sizeof v);
        uint64_t odd = v | (v - EACH_BYTE * ' ') | has_byte(v, '"') | has_byte(v, '\\') | has_byte(v, 127);
        if (odd & EACH_BYTE * 128)
            break;
    }
    while (i < s.n && s.p[i] >= ' ' && s.p[i] < 127 && s.p[i] != '"' && s.p[i] != '\\')
        i++;
    return i;
}

static bool is_quotable(str s)
{
    if (s.n > QUOTED_MAX)
        return false;
    for (size_t i = plain_run(s); i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] > 126)
            return false;
    }
    return true;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; literal = "{" number "}" CRLF *CHAR8 */
void imap_write_string(struct buf *b, str s)
{
    size_t plain = plain_run(s);
    if (s.n <= QUOTED_MAX && plain == s.n) {
        char *p = buf_reserve(b, s.n + 2);
        if (!p)
            return;
        *p = '"';
        if (s.n)
            memcpy(p + 1, s.p, s.n);
        p[s.n + 1] = '"';
        buf_commit(b, s.n + 2);
        return;
    }
    if (is_quotable(s)) {
        buf_add_byte(b, '"');
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buf_add_byte(b, '\\');
            buf_add_byte(b, s.p[i]);
        }
        buf_add_byte(b, '"');
        return;
    }
    buf_add_byte(b, '{');
    buf_add_u64(b, s.n);
    buf_add(b, STR("}\r\n"));
    char *p = buf_reserve(b, s.n);
    if (!p)
        return;
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] ? s.p[i] : '?';
    buf_commit(b, s.n);
}

void imap_write_nstring(struct buf *b, str s)
{
    if (s.p)
        imap_write_string(b, s);
    else
        buf_add(b, STR("NIL"));
}

void imap_write_unfolded(struct buf *b, str s)
{
    const char *tab = s.n ? memchr(s.p, '\t', s.n) : NULL;
    if (!tab) {
        imap_write_nstring(b, s);
        return;
    }
    struct buf line = BUF_INIT(s.n);
    buf_add(&line, s);
    for (char *p = line.p + (tab - s.p); p < line.p + line.n; p++) {
        if (*p == '\t')
            *p = ' ';
    }
    imap_write_string(b, buf_str(&line));
    buf_done(&line);
}

/* astring = 1*ASTRING-CHAR / string */
void imap_write_astring(struct buf *b, str s)
{
    bool atom = s.n > 0 && s.n <= QUOTED_MAX && !str_ieq(s, STR("NIL"));
    for (size_t i = 0; atom && i < s.n; i++) {
        char c = s.p[i];
        atom = c > ' ' && c < 127 && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\';
    }
    if (atom)
        buf_add(b, s);
    else
        imap_write_string(b, s);
}

void imap_write_mailbox(struct buf *b, str name)
{
    struct buf wire = BUF_INIT(8 * MAIL_NAME_MAX);
    imap_utf7_encode(&wire, name);
    imap_write_astring(b, buf_str(&wire));
    buf_done(&wire);
}

static char *put_digits(char *p, unsigned v, unsigned n)
{
    for (unsigned i = n; i-- > 0; v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + n;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE. Formatted by hand: a FETCH of a whole
 * mailbox writes one for each message. */
void imap_write_date_time(struct buf *b, int64_t ms)
{
    enum { SIZE = sizeof "\"23-Nov-2026 12:00:00 +0000\"" - 1 };
    int64_t seconds = (ms - (ms < 0 ? 999 : 0)) / 1000;
    struct date d = date_from_unix(seconds, 0);
    char *start = buf_reserve(b, SIZE), *p = start;
    if (!p)
        return;
    *p++ = '"';
    p = put_digits(p, (unsigned)d.day, 2);
    if (start[1] == '0')
        start[1] = ' ';
    *p++ = '-';
    memcpy(p, date_month_name(d.month).p, 3);
    p += 3;
    *p++ = '-';
    p = put_digits(p, (unsigned)d.year, 4);
    *p++ = ' ';
    p = put_digits(p, (unsigned)d.hour, 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)d.minute, 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)d.second, 2);
    memcpy(p, " +0000\"", 7);
    buf_commit(b, SIZE);
}

void imap_write_flags(struct buf *b, uint64_t flags, bool recent, const str *keywords, size_t keyword_n)
{
    static const str names[] = { STR_INIT(" \\Seen"), STR_INIT(" \\Answered"), STR_INIT(" \\Flagged"), STR_INIT(" \\Deleted"),
                                 STR_INIT(" \\Draft") };
    size_t start = b->n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (flags >> i & 1)
            buf_add(b, b->n == start ? str_from(names[i], 1) : names[i]);
    }
    if (recent)
        buf_add(b, b->n == start ? STR("\\Recent") : STR(" \\Recent"));
    if (flags >> MAIL_KEYWORD_BIT == 0)
        return;
    for (size_t i = 0; i < keyword_n; i++) {
        if (!(flags >> (MAIL_KEYWORD_BIT + i) & 1))
            continue;
        if (b->n != start)
            buf_add_byte(b, ' ');
        buf_add(b, keywords[i]);
    }
}

/* sequence-set, neighbours joined (RFC 4315 section 3: uid-set). */
void imap_write_uids(struct buf *b, const uint32_t *uids, size_t n)
{
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && uids[k] == uids[k - 1] + 1; k++)
            ;
        if (i)
            buf_add_byte(b, ',');
        buf_add_u64(b, uids[i]);
        if (k - i > 1) {
            buf_add_byte(b, ':');
            buf_add_u64(b, uids[k - 1]);
        }
    }
}
