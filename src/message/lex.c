/* lex: see lex_private.h. */
#include "message/lex_private.h"

#include "base/utf8.h"

void message_lex_add_byte(struct buf *b, char c)
{
    if (b->n < b->max)
        buf_add_byte(b, c == 0 ? '?' : c == '\r' || c == '\n' ? ' ' : c);
}

void message_lex_add(struct buf *b, str s)
{
    while (s.n) {
        size_t run = 0;
        while (run < s.n && s.p[run] != '\r' && s.p[run] != '\n' && s.p[run] != 0)
            run++;
        buf_add(b, str_sub(s, 0, b->max - b->n < run ? b->max - b->n : run));
        s = str_from(s, run);
        if (s.n == 0)
            break;
        if (s.p[0] == 0 || (s.p[0] == '\r' && (s.n == 1 || s.p[1] != '\n')))
            message_lex_add_byte(b, s.p[0]);
        s = str_from(s, 1);
    }
}

int message_lex_take(const struct buf *b, struct arena *a, str *ret)
{
    str s = buf_str(b);
    if (s.n && s.n == b->max) {
        size_t lead = s.n;
        while (lead > 0 && s.n - lead < 3 && ((unsigned char)s.p[lead - 1] & 0xc0) == 0x80)
            lead--;
        if (lead > 0 && (unsigned char)s.p[lead - 1] >= 0xc0 && !utf8_decode(str_from(s, lead - 1), NULL))
            s.n = lead - 1;
    }
    return arena_dup(a, s, ret);
}

bool message_lex_wsp(struct scan *s)
{
    const char *from = s->p;
    while (s->p != s->end && message_lex_is_wsp(*s->p))
        s->p++;
    return s->p != from;
}

/* RFC 5322 section 3.2.2: comment = "(" *([FWS] ccontent) [FWS] ")". Inner parentheses stay part of the text. */
bool message_lex_comment(struct scan *s, struct buf *text)
{
    if (!scan_byte(s, '('))
        return false;
    if (text)
        buf_reset(text);
    size_t depth = 1;
    while (s->p != s->end) {
        char c = *s->p++;
        if (c == '\\' && s->p != s->end)
            c = *s->p++;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            break;
        if (text && c != '\r' && c != '\n')
            message_lex_add_byte(text, c);
    }
    return true;
}

bool message_lex_cfws(struct scan *s)
{
    bool some = false;
    while (message_lex_wsp(s) || message_lex_comment(s, NULL))
        some = true;
    return some;
}

/* RFC 5322 section 3.2.4. */
bool message_lex_quoted(struct scan *s, struct buf *out)
{
    struct scan t = *s;
    if (!scan_byte(&t, '"'))
        return false;
    while (t.p != t.end && *t.p != '"')
        t.p += *t.p == '\\' && t.end - t.p > 1 ? 2 : 1;
    if (t.p == t.end)
        return false;
    struct scan in = { s->p + 1, t.p };
    while (out && in.p != in.end) {
        const char *run = in.p;
        while (in.p != in.end && *in.p != '\\')
            in.p++;
        message_lex_add(out, (str){ run, (size_t)(in.p - run) });
        if (in.p == in.end)
            break;
        in.p++;
        if (in.p != in.end)
            message_lex_add_byte(out, *in.p++);
    }
    s->p = t.p + 1;
    return true;
}
