/* encoding: see encoding.h.
 *
 * Invariants
 *  E1  base64: digits < 4, and bits holds exactly 6 * digits bits.
 *  E2  quoted-printable: hold is empty, or white space only, or begins with "=" and is followed by a hex digit, or by white
 *      space and perhaps one CR. Whatever is held is shorter than hold. */
#include "message/encoding.h"

#include "base/base64.h"

enum { LINE_MAX_CHARS = 76 };

enum message_encoding message_encoding_from_name(str name)
{
    if (name.n == 0 || str_ieq(name, STR("7bit")) || str_ieq(name, STR("8bit")) || str_ieq(name, STR("binary")))
        return MESSAGE_ENCODING_IDENTITY;
    if (str_ieq(name, STR("quoted-printable")))
        return MESSAGE_ENCODING_QUOTED_PRINTABLE;
    return str_ieq(name, STR("base64")) ? MESSAGE_ENCODING_BASE64 : MESSAGE_ENCODING_UNKNOWN;
}

void message_decoder_init(struct message_decoder *d, enum message_encoding encoding)
{
    *d = (struct message_decoder){ .encoding = encoding };
}

/* RFC 4648 table 1: value of a digit + 1, 0 for a byte outside the alphabet. */
#define DIGITS(x, v) [(x)] = (v) + 1, [(x) + 1] = (v) + 2, [(x) + 2] = (v) + 3, [(x) + 3] = (v) + 4, [(x) + 4] = (v) + 5
static const unsigned char base64_digit[256] = {
    DIGITS('A', 0),  DIGITS('F', 5),  DIGITS('K', 10), DIGITS('P', 15), DIGITS('U', 20), ['Z'] = 26,
    DIGITS('a', 26), DIGITS('f', 31), DIGITS('k', 36), DIGITS('p', 41), DIGITS('u', 46), ['z'] = 52,
    DIGITS('0', 52), DIGITS('5', 57), ['+'] = 63,      ['/'] = 64,
};
#undef DIGITS

/* Whole quanta from P on while everything is regular; returns where the slow path has to look. */
static const unsigned char *base64_fast(const unsigned char *p, const unsigned char *end, char **out)
{
    while (end - p >= 4) {
        unsigned a = base64_digit[p[0]], b = base64_digit[p[1]], c = base64_digit[p[2]], d = base64_digit[p[3]];
        if (!a || !b || !c || !d)
            break;
        uint32_t v = (uint32_t)(a - 1) << 18 | (uint32_t)(b - 1) << 12 | (uint32_t)(c - 1) << 6 | (d - 1);
        (*out)[0] = (char)(v >> 16);
        (*out)[1] = (char)(v >> 8);
        (*out)[2] = (char)v;
        *out += 3;
        p += 4;
    }
    return p;
}

/* Gives the whole bytes of an incomplete quantum. */
static size_t base64_flush(struct message_decoder *d, char out[2])
{
    size_t n = d->digits >= 2 ? d->digits - 1 : 0;
    uint32_t v = d->bits << (24 - 6 * d->digits);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(v >> (16 - 8 * i));
    d->defect |= d->digits == 1;
    d->digits = 0;
    d->bits = 0;
    return n;
}

/* RFC 2045 section 6.8. */
static size_t base64_piece(struct message_decoder *d, str in, char *out)
{
    char *to = out;
    const unsigned char *p = (const unsigned char *)in.p, *end = p + in.n;
    while (p != end) {
        if (d->digits == 0 && !d->padded && (p = base64_fast(p, end, &to)) == end)
            break;
        unsigned v = base64_digit[*p];
        if (v) {
            d->defect |= d->padded;
            d->padded = false;
            d->bits = d->bits << 6 | (v - 1);
            if (++d->digits == 4) {
                to[0] = (char)(d->bits >> 16);
                to[1] = (char)(d->bits >> 8);
                to[2] = (char)d->bits;
                to += 3;
                d->digits = 0;
                d->bits = 0;
            }
        } else if (*p == '=') {
            d->defect |= d->digits == 0 && !d->padded;
            to += base64_flush(d, to);
            d->padded = true;
        } else {
            d->defect |= *p != '\r' && *p != '\n' && *p != ' ' && *p != '\t';
        }
        p++;
    }
    return (size_t)(to - out);
}

/* In pieces through the stack, so that OUT needs no more room than the result takes. */
static int base64_feed(struct message_decoder *d, str in, struct buf *out)
{
    enum { PIECE = 4096 };
    char piece[PIECE]; /* a piece gives at most 3 bytes per 4, and 3 for a quantum begun before it */
    for (size_t at = 0; at < in.n; at += PIECE)
        buf_add(out, (str){ piece, base64_piece(d, str_sub(in, at, PIECE), piece) });
    return buf_error(out);
}

static void hold_flush(struct message_decoder *d, struct buf *out)
{
    buf_add(out, (str){ d->hold, d->hold_n });
    d->hold_n = 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A byte after a held "=". True when it was used up, false when the hold was given out and C is to be looked at afresh. */
static bool qp_escape(struct message_decoder *d, char c, struct buf *out)
{
    char last = d->hold[d->hold_n - 1];
    if (c == '\n') { /* soft line break, white space and CR before it included */
        if (d->hold_n > 1 && ascii_hex_value(last) >= 0)
            goto literal;
        d->hold_n = 0;
        return true;
    }
    if (d->hold_n == 2 && ascii_hex_value(last) >= 0 && ascii_hex_value(c) >= 0) {
        buf_add_byte(out, (char)(ascii_hex_value(last) << 4 | ascii_hex_value(c)));
        d->hold_n = 0;
        return true;
    }
    bool more = last != '\r' && d->hold_n < sizeof d->hold - 1 &&
                (d->hold_n == 1 ? ascii_hex_value(c) >= 0 || is_blank(c) || c == '\r'
                                : (last == '=' || is_blank(last)) && (is_blank(c) || c == '\r'));
    if (more) {
        d->hold[d->hold_n++] = c;
        return true;
    }
literal:
    d->defect = true;
    hold_flush(d, out);
    return false;
}

/* RFC 2045 section 6.7. */
static int qp_feed(struct message_decoder *d, str in, struct buf *out)
{
    size_t i = 0;
    while (i < in.n) {
        char c = in.p[i];
        if (d->hold_n && d->hold[0] == '=') {
            i += qp_escape(d, c, out) ? 1 : 0;
        } else if (c == '=') {
            hold_flush(d, out);
            d->hold[d->hold_n++] = c;
            i++;
        } else if (is_blank(c)) {
            if (d->hold_n == sizeof d->hold - 1) /* no line of text has so much: not trailing white space */
                hold_flush(d, out);
            d->hold[d->hold_n++] = c;
            i++;
        } else if (c == '\r' || c == '\n') {
            d->hold_n = 0; /* rule 3: trailing white space was added on the way */
            buf_add_byte(out, c);
            i++;
        } else {
            hold_flush(d, out);
            size_t run = i;
            while (i < in.n && in.p[i] != '=' && !is_blank(in.p[i]) && in.p[i] != '\r' && in.p[i] != '\n')
                i++;
            buf_add(out, str_sub(in, run, i - run));
        }
    }
    return buf_error(out);
}

int message_decoder_feed(struct message_decoder *d, str in, struct buf *out)
{
    if (in.n == 0)
        return buf_error(out);
    switch (d->encoding) {
    case MESSAGE_ENCODING_BASE64:
        return base64_feed(d, in, out);
    case MESSAGE_ENCODING_QUOTED_PRINTABLE:
        return qp_feed(d, in, out);
    case MESSAGE_ENCODING_IDENTITY:
    case MESSAGE_ENCODING_UNKNOWN:
        break;
    }
    buf_add(out, in);
    return buf_error(out);
}

int message_decoder_end(struct message_decoder *d, struct buf *out)
{
    if (d->encoding == MESSAGE_ENCODING_BASE64) {
        char rest[2];
        d->defect |= d->digits > 0;
        buf_add(out, (str){ rest, base64_flush(d, rest) });
    } else if (d->hold_n) {
        bool hex = d->hold[0] == '=' && d->hold_n == 2 && ascii_hex_value(d->hold[1]) >= 0;
        d->defect |= hex;
        if (hex)
            hold_flush(d, out); /* else "=" or white space at the very end: a soft break, or trailing */
        d->hold_n = 0;
    }
    return buf_error(out);
}

int message_decode(enum message_encoding encoding, str in, struct buf *out)
{
    struct message_decoder d;
    message_decoder_init(&d, encoding);
    int r = message_decoder_feed(&d, in, out);
    return r ? r : message_decoder_end(&d, out);
}

void message_base64_encode(struct buf *b, str s)
{
    for (size_t at = 0; at < s.n; at += LINE_MAX_CHARS / 4 * 3) {
        base64_encode(b, str_sub(s, at, LINE_MAX_CHARS / 4 * 3));
        buf_add(b, STR("\r\n"));
    }
}

static size_t line_end_length(str s, size_t at)
{
    if (s.p[at] == '\n')
        return 1;
    return s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n' ? 2 : 0;
}

/* Whether the byte at AT cannot stand for itself; COLUMN is how many characters its line has already. */
static bool qp_must_escape(str s, size_t at, size_t column, bool text)
{
    unsigned char c = (unsigned char)s.p[at];
    bool last = at + 1 == s.n || (text && line_end_length(s, at + 1) > 0);
    if (c == ' ' || c == '\t')
        return last;
    if (column == 0 && ((c == '.' && last) || (c == 'F' && str_starts(str_from(s, at), STR("From ")))))
        return true;
    return c < 33 || c > 126 || c == '=';
}

void message_quoted_printable_encode(struct buf *b, str s, bool text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t end = text ? line_end_length(s, i) : 0;
        if (end) {
            buf_add(b, STR("\r\n"));
            column = 0;
            i += end - 1;
            continue;
        }
        if (column > 0 && column + 3 > LINE_MAX_CHARS - 1) { /* room for an escape and the soft break's "=" */
            buf_add(b, STR("=\r\n"));
            column = 0;
        }
        unsigned char c = (unsigned char)s.p[i];
        if (qp_must_escape(s, i, column, text)) {
            buf_add(b, (str){ (const char[]){ '=', hex[c >> 4], hex[c & 15] }, 3 });
            column += 3;
        } else {
            buf_add_byte(b, (char)c);
            column++;
        }
    }
}
