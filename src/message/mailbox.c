/* mailbox: see mailbox.h.
 *
 * The field's bytes are looked at once (check_text), so that the grammar below meets only printable text, tabs and line ends that begin
 * folding white space; then one pass over its tokens. Nothing is read twice but the bytes of an address. */
#include "message/mailbox.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "base/scan.h"
#include "base/show.h"
#include "base/utf8.h"

enum { FOLDED_MAX = 64 }; /* UTF-16 units that one character may become; 18 is the most */

struct strict {
    struct scan s;
    struct buf shown;
    const char *why; /* the first fault */
};

static bool fault(struct strict *p, const char *why)
{
    if (!p->why)
        p->why = why;
    return false;
}

static bool is_fws(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5322 section 3.2.3, with the non-ASCII of RFC 6532 section 3.2. */
static bool is_atext(int c)
{
    return c >= 0x80 || (c > 0 && (ascii_is_alnum((char)c) || strchr("!#$%&'*+-/=?^_`{|}~", c)));
}

/* The bytes of the field: UTF-8, no controls, and folding white space as section 3.2.2 generates it: no line of white space only. */
static const char *check_text(str field)
{
    bool blank = false;
    if (!utf8_valid(field))
        return "is not UTF-8; encode other text as RFC 2047 says";
    for (size_t i = 0; i < field.n; i++) {
        unsigned char c = (unsigned char)field.p[i];
        bool is_end = c == '\r' && i + 2 < field.n && field.p[i + 1] == '\n' && (field.p[i + 2] == ' ' || field.p[i + 2] == '\t');
        if (is_end && blank)
            return "has a line of white space only";
        if (is_end) {
            blank = true;
            i++;
        } else if ((c < ' ' && c != '\t') || c == 127 || (c == 0xc2 && (unsigned char)field.p[i + 1] < 0xa0)) {
            return "has a control character";
        } else if (c != ' ' && c != '\t') {
            blank = false;
        }
    }
    return blank ? "has a line of white space only" : NULL;
}

static void show_space(struct strict *p)
{
    if (p->shown.n)
        buf_add_byte(&p->shown, ' ');
}

static bool skip_fws(struct strict *p)
{
    const char *from = p->s.p;
    while (is_fws(scan_peek(&p->s)))
        p->s.p++;
    return p->s.p != from;
}

/* A byte of a comment or quoted string, a quoted pair resolved. False at the end of the field. */
static bool next_byte(struct strict *p, char *ret, bool *ret_quoted)
{
    *ret_quoted = scan_byte(&p->s, '\\');
    if (scan_done(&p->s))
        return fault(p, "has a quote or a comment that does not end");
    *ret = *p->s.p++;
    return *ret_quoted && is_fws((unsigned char)*ret) && *ret != ' ' && *ret != '\t'
               ? fault(p, "has a backslash at the end of a line")
               : true;
}

static void show(struct strict *p, char c)
{
    if (c != '\r' && c != '\n')
        buf_add_byte(&p->shown, c == '\t' ? ' ' : c);
}

/* RFC 5322 section 3.2.2; depth is counted. */
static bool comment(struct strict *p)
{
    size_t depth = 1;
    show_space(p);
    while (depth) {
        char c;
        bool quoted;
        if (!next_byte(p, &c, &quoted))
            return false;
        if (!quoted && c == '(')
            depth++;
        else if (!quoted && c == ')')
            depth--;
        if (depth)
            show(p, !quoted && (c == '(' || c == ')') ? ' ' : c);
    }
    return true;
}

/* Comments and white space; *RET (may be NULL) whether there was any. */
static bool cfws(struct strict *p, bool *ret)
{
    const char *from = p->s.p;
    while (skip_fws(p) || scan_peek(&p->s) == '(') {
        if (scan_byte(&p->s, '(') && !comment(p))
            return false;
    }
    if (ret)
        *ret = p->s.p != from;
    return true;
}

/* At the quote. VISIBLE: what is in it is shown. */
static bool quoted_string(struct strict *p, bool visible)
{
    char c;
    bool quoted;
    p->s.p++;
    for (;;) {
        if (!next_byte(p, &c, &quoted))
            return false;
        if (!quoted && c == '"')
            return true;
        if (visible)
            show(p, c);
        else if (c == '\r' || c == '\n')
            return fault(p, "has an address that is folded");
    }
}

/* RFC 5322 section 3.2.3: dot-atom-text, no dot at an end, no two together. */
static bool dot_atom(struct strict *p)
{
    for (;;) {
        const char *from = p->s.p;
        while (is_atext(scan_peek(&p->s)))
            p->s.p++;
        if (p->s.p == from)
            return fault(p, "has a malformed address");
        if (!scan_byte(&p->s, '.'))
            return true;
    }
}

/* RFC 5322 section 3.4.1, behind the "@". */
static bool domain(struct strict *p)
{
    int c = scan_peek(&p->s);
    if (c == '(' || is_fws(c))
        return fault(p, "has a comment or a space within an address");
    if (c != '[')
        return dot_atom(p);
    for (p->s.p++; (c = scan_peek(&p->s)) != ']'; p->s.p++) {
        if (c < 0 || !(ascii_is_alnum((char)c) || c == '.' || c == ':' || c == '-')) /* what the literals of RFC 5321 have */
            return fault(p, "has a malformed address");
    }
    p->s.p++;
    return true;
}

/* At "<": angle-addr, white space within the brackets allowed. */
static bool angle(struct strict *p, str *ret)
{
    p->s.p++;
    skip_fws(p);
    const char *from = p->s.p;
    int c = scan_peek(&p->s);
    if (c == '@')
        return fault(p, "has a route in an address (RFC 5322 section 4.4: obsolete)");
    if (c == '>')
        return fault(p, "has angle brackets without an address");
    if (c == '(')
        return fault(p, "has a comment within an address");
    if (!(c == '"' ? quoted_string(p, false) : dot_atom(p)))
        return false;
    c = scan_peek(&p->s);
    if (c != '@')
        return fault(p, c == '(' || is_fws(c) ? "has a comment or a space within an address" : "has a malformed address");
    p->s.p++;
    if (!domain(p))
        return false;
    *ret = (str){ from, (size_t)(p->s.p - from) };
    skip_fws(p);
    if (scan_byte(&p->s, '>'))
        return true;
    return fault(p, scan_peek(&p->s) == '(' ? "has a comment within an address" : "has a malformed address");
}

/* At a word: an atom, with dots, or a quoted string. */
static bool word(struct strict *p)
{
    show_space(p);
    if (scan_peek(&p->s) == '"')
        return quoted_string(p, true);
    while (is_atext(scan_peek(&p->s)) || scan_peek(&p->s) == '.')
        buf_add_byte(&p->shown, *p->s.p++);
    return true;
}

/* Behind WORDS words, or one word at FROM and an "@": what ends the element. */
static bool after_words(struct strict *p, size_t words, const char *from, str *ret)
{
    switch (scan_peek(&p->s)) {
    case '<':
        return angle(p, ret);
    case '@': { /* the word was the local part: it is read again, strictly */
        if (words != 1)
            return fault(p, words ? "has words before an address: put the address in angle brackets" : "has a malformed address");
        const char *at = p->s.p;
        p->s.p = from;
        if (!(*from == '"' ? quoted_string(p, false) : dot_atom(p)))
            return false;
        if (p->s.p != at)
            return fault(p, "has a comment or a space within an address");
        p->s.p++;
        if (!domain(p))
            return false;
        *ret = (str){ from, (size_t)(p->s.p - from) };
        return true;
    }
    case ':':
        return fault(p, "names a group; only recipients may be groups");
    default:
        return fault(p, words ? "has a name without an address" : "has a comma or a comment where an address is missing");
    }
}

/* mailbox = name-addr / addr-spec, up to the comma or the end. */
static bool mailbox(struct strict *p, str *ret)
{
    size_t words = 0;
    const char *from = p->s.p;
    size_t comments_n;
    buf_reset(&p->shown);
    if (!cfws(p, NULL))
        return false;
    comments_n = p->shown.n;
    for (;;) {
        int c = scan_peek(&p->s);
        if (c != '"' && c != '.' && !is_atext(c))
            break;
        from = p->s.p;
        words++;
        if (!word(p) || (scan_peek(&p->s) != '@' && !cfws(p, NULL)))
            return false;
    }
    bool bare = scan_peek(&p->s) == '@';
    if (!after_words(p, words, from, ret))
        return false;
    if (bare) { /* the only word is no name */
        p->shown.n = comments_n;
    }
    if (!cfws(p, NULL))
        return false;
    if (scan_done(&p->s) || scan_peek(&p->s) == ',')
        return true;
    return fault(p, scan_peek(&p->s) == '<' ? "has a second address without a comma before it" : "has text behind an address");
}

static int add(struct strict *p, str address, struct arena *a, struct message_mailbox **list, unsigned *n)
{
    if ((*n & (*n - 1)) == 0) { /* full at each power of two */
        struct message_mailbox *larger = arena_array(a, *n ? 2 * *n : 1, sizeof *larger);
        if (!larger)
            return ERR_LIMIT;
        if (*n)
            memcpy(larger, *list, *n * sizeof *larger);
        *list = larger;
    }
    struct message_mailbox *m = &(*list)[(*n)++];
    m->address = address;
    return arena_dup(a, buf_str(&p->shown), &m->shown);
}

int message_mailboxes_parse(str field, unsigned max, struct arena *a, const struct message_mailbox **ret, unsigned *ret_n,
                            const char **ret_why)
{
    struct strict p = { .s = scan_init(field), .shown = BUF_INIT(2 * field.n + 16), .why = check_text(field) };
    struct message_mailbox *list = NULL;
    unsigned n = 0;
    int r = 0;
    if (!p.why && str_trim(field).n == 0)
        p.why = "has no address";
    while (!p.why && r == 0) {
        str address;
        if (n == max)
            fault(&p, "has too many addresses");
        else if (mailbox(&p, &address))
            r = add(&p, address, a, &list, &n);
        if (!p.why && !scan_byte(&p.s, ','))
            break;
    }
    buf_done(&p.shown);
    if (p.why) {
        *ret_why = p.why;
        return ERR_SYNTAX;
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}

/* --- addresses in text --- */

/* Whether CODE may be part of an address as people read it: no space, bracket, quote or other punctuation that stands around one. */
static bool is_address_code(uint32_t code)
{
    if (code < 0x80)
        return code == '.' || is_atext((int)code);
    bool is_punctuation = code < 0xc0 || (code >= 0x2000 && code < 0x2070) || (code >= 0x3000 && code < 0x3040 && code != 0x3002);
    return !is_punctuation && code != 0xfeff && code != 0xfffd;
}

/* "@" in the widths that programs fold into it: fullwidth and small. */
static size_t at_sign(str s)
{
    uint32_t code;
    size_t n = utf8_decode(s, &code);
    return n && (code == '@' || code == 0xff20 || code == 0xfe6b) ? n : 0;
}

bool message_text_next_address(str text, size_t *at, str *ret_local, str *ret_domain)
{
    size_t local = *at; /* where the run of address bytes before the present place begins */
    for (size_t i = *at; i < text.n;) {
        str rest = str_from(text, i);
        uint32_t code = 0;
        size_t sign = at_sign(rest), n = utf8_decode(rest, &code);
        if (sign && i > local) {
            size_t end = i + sign;
            for (size_t m; end < text.n && (m = utf8_decode(str_from(text, end), &code)) != 0 && !at_sign(str_from(text, end)) &&
                           is_address_code(code);)
                end += m;
            str domain = str_sub(text, i + sign, end - i - sign);
            while (domain.n && domain.p[domain.n - 1] == '.')
                domain.n--;
            if (domain.n) {
                *ret_local = str_sub(text, local, i - local);
                *ret_domain = domain;
                *at = i + sign; /* "a@b@c": b is the next one's local part */
                return true;
            }
        }
        if (sign || n == 0 || !is_address_code(code))
            local = i + (n ? n : 1);
        i += n ? n : 1;
    }
    *at = text.n;
    return false;
}

int message_text_fold(str text, struct buf *out)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *form = unorm2_getNFKCCasefoldInstance(&error);
    if (U_FAILURE(error))
        return ERR_INTERNAL;
    for (size_t n; text.n; text = str_from(text, n ? n : 1)) {
        UChar parts[FOLDED_MAX];
        char folded[3 * FOLDED_MAX];
        int32_t folded_n = 0;
        uint32_t code = 0;
        n = utf8_decode(text, &code);
        if (!n || code == '\t' || code == '\r' || code == '\n') {
            buf_add_byte(out, ' ');
            continue;
        }
        if (!show_is_plain(code))
            continue;
        int32_t parts_n = unorm2_getDecomposition(form, (UChar32)code, parts, FOLDED_MAX, &error);
        if (parts_n >= 0)
            u_strToUTF8(folded, sizeof folded, &folded_n, parts, parts_n, &error);
        if (U_FAILURE(error))
            return ERR_INTERNAL;
        buf_add(out, parts_n < 0 ? str_sub(text, 0, n) : (str){ folded, (size_t)folded_n });
    }
    return buf_error(out);
}
