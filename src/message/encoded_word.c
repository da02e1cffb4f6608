/* encoded_word: see encoded_word.h. */
#include "message/encoded_word.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "message/charset.h"
#include "message/encoding.h"
#include "message/lex_private.h"

struct word {
    str charset;
    char method; /* 'q' or 'b' */
    str text;
    size_t size; /* of the whole word in the text */
};

/* RFC 2047 section 2: encoded-word = "=?" charset "?" encoding "?" encoded-text "?=". RFC 2231 section 5: charset ["*" language].
 * Spaces inside the text are tolerated, a line end is not: so a look-ahead never passes the next "?" twice. */
static bool word_parse(str s, struct word *ret)
{
    if (!str_starts(s, STR("=?")))
        return false;
    size_t charset_end = 2;
    while (charset_end < s.n && charset_end < 80 && s.p[charset_end] > ' ' && s.p[charset_end] != '?')
        charset_end++;
    if (charset_end == 2 || charset_end + 3 > s.n || s.p[charset_end] != '?' || s.p[charset_end + 2] != '?')
        return false;
    char method = ascii_lower(s.p[charset_end + 1]);
    size_t text = charset_end + 3, end = str_find_byte(s, '?', text);
    if ((method != 'q' && method != 'b') || end + 1 >= s.n || s.p[end + 1] != '=')
        return false;
    str charset = str_sub(s, 2, charset_end - 2);
    *ret = (struct word){
        .charset = str_sub(charset, 0, str_find_byte(charset, '*', 0)),
        .method = method,
        .text = str_sub(s, text, end - text),
        .size = end + 2,
    };
    return true;
}

/* RFC 2047 section 4.2: "_" is a space, "=XX" a byte. */
static void q_decode(str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '=' && s.n - i > 2 && ascii_hex_value(s.p[i + 1]) >= 0 && ascii_hex_value(s.p[i + 2]) >= 0) {
            c = (char)(ascii_hex_value(s.p[i + 1]) << 4 | ascii_hex_value(s.p[i + 2]));
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        buf_add_byte(out, c);
    }
}

static void one_line(struct buf *b, size_t from)
{
    for (size_t i = from; i < b->n; i++)
        if (b->p[i] == '\r' || b->p[i] == '\n' || b->p[i] == 0)
            b->p[i] = ' ';
}

/* Converts the bytes collected from adjacent words of one charset. */
static int flush_words(struct buf *bytes, str charset, struct buf *out)
{
    size_t from = out->n;
    int r = bytes->n ? message_charset_to_utf8(charset, buf_str(bytes), out) : 0;
    one_line(out, from);
    buf_reset(bytes);
    return r == ERR_UNSUPPORTED ? 0 : r;
}

/* Text between words, unfolded; bytes that are not UTF-8 replaced. */
static int add_raw(str s, struct buf *out)
{
    struct buf line = BUF_INIT(s.n);
    message_lex_add(&line, s);
    int r = line.n ? message_charset_to_utf8(STR("utf-8"), buf_str(&line), out) : 0;
    buf_done(&line);
    return r;
}

int message_encoded_word_decode(str text, struct buf *out)
{
    struct buf bytes = BUF_INIT(text.n);
    str charset = { 0 };
    size_t raw = 0, at = 0; /* text from RAW on is not written yet; the search continues at AT */
    bool after_word = false;
    int r = 0;
    while (!r && at < text.n) {
        struct word w;
        if (text.p[at] != '=' || !word_parse(str_from(text, at), &w)) {
            const char *next = memchr(text.p + at + 1, '=', text.n - at - 1);
            at = next ? (size_t)(next - text.p) : text.n;
            continue;
        }
        str between = str_sub(text, raw, at - raw);
        bool adjacent = after_word && str_trim(between).n == 0;
        if (!adjacent || !str_ieq(charset, w.charset))
            r = flush_words(&bytes, charset, out);
        if (!r && !adjacent)
            r = add_raw(between, out);
        charset = w.charset;
        if (w.method == 'q')
            q_decode(w.text, &bytes);
        else if (!r && message_decode(MESSAGE_ENCODING_BASE64, w.text, &bytes))
            r = ERR_LIMIT;
        at += w.size;
        raw = at;
        after_word = true;
    }
    if (!r)
        r = flush_words(&bytes, charset, out);
    if (!r)
        r = add_raw(str_from(text, raw), out);
    buf_done(&bytes);
    return r;
}

/* RFC 2047 section 5 (3): what may stand for itself even in a phrase. */
static bool q_is_plain(char c)
{
    return ascii_is_alnum(c) || (c && strchr("!*+-/", c));
}

static size_t q_size(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += q_is_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
    return n;
}

static void q_encode(struct buf *b, str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == ' ')
            buf_add_byte(b, '_');
        else if (q_is_plain((char)c))
            buf_add_byte(b, (char)c);
        else
            buf_add(b, (str){ (const char[]){ '=', hex[c >> 4], hex[c & 15] }, 3 });
    }
}

/* How much of S fits into ROOM encoded characters, whole code points, at least one. */
static size_t word_fill(str s, size_t room, bool q)
{
    size_t n = 0;
    while (n < s.n) {
        size_t len = utf8_decode(str_from(s, n), NULL);
        size_t size = q ? q_size(str_sub(s, 0, n + len)) : (n + len + 2) / 3 * 4;
        if (n > 0 && size > room)
            break;
        n += len;
    }
    return n;
}

void message_encoded_word_encode(struct buf *b, str s, size_t column)
{
    enum { LINE = 76, WORD = 75, AROUND = 12 }; /* "=?UTF-8?Q?" and "?=" */
    struct buf clean = BUF_INIT(s.n * 3 + 1);
    if (s.n && message_charset_to_utf8(STR("utf-8"), s, &clean))
        panic("UTF-8 repair grew more than threefold");
    one_line(&clean, 0);
    str rest = buf_str(&clean);
    if (utf8_is_ascii(rest) && str_find(rest, STR("=?")) == rest.n) {
        buf_add(b, rest);
        rest.n = 0;
    }
    bool q = q_size(rest) <= (rest.n + 2) / 3 * 4;
    while (rest.n) {
        if (column + AROUND + 12 > LINE) { /* no room for one escaped code point */
            buf_add(b, STR("\r\n "));
            column = 1;
        }
        size_t room = (LINE - column > WORD ? WORD : LINE - column) - AROUND;
        size_t n = word_fill(rest, room, q);
        size_t from = b->n;
        buf_add(b, q ? STR("=?UTF-8?Q?") : STR("=?UTF-8?B?"));
        if (q)
            q_encode(b, str_sub(rest, 0, n));
        else
            base64_encode(b, str_sub(rest, 0, n));
        buf_add(b, STR("?="));
        column += b->n - from;
        rest = str_from(rest, n);
    }
    buf_done(&clean);
}
