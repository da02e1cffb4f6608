/* header: see header.h. */
#include "message/header.h"

#include "message/lex_private.h"

/* The end of the line that begins at AT, its line end included. */
static size_t line_end(str s, size_t at)
{
    const char *lf = at < s.n ? memchr(s.p + at, '\n', s.n - at) : NULL;
    return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static bool line_is_empty(str s, size_t at)
{
    return s.p[at] == '\n' || (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n');
}

/* RFC 5322 section 3.6.8: field-name = 1*ftext, printable but the colon; section 4.5: white space may stand before the colon. */
static size_t name_length(str line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
        n++;
    size_t colon = n;
    while (colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'))
        colon++;
    return colon < line.n && line.p[colon] == ':' ? n : 0;
}

static str without_line_end(str s)
{
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

bool message_header_next(str header, size_t *at, struct message_header_field *ret)
{
    size_t from = *at;
    if (from >= header.n || line_is_empty(header, from))
        return false;
    size_t end = line_end(header, from);
    while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'))
        end = line_end(header, end);
    str line = without_line_end(str_sub(header, from, end - from));
    size_t name = name_length(line);
    size_t skip = name ? str_find_byte(line, ':', name) + 1 : 0;
    *ret = (struct message_header_field){
        .offset = from,
        .size = end - from,
        .name = str_sub(line, 0, name),
        .value = { line.p + skip, line.n - skip }, /* not NULL when empty: a present field is told from an absent one */
    };
    *at = end;
    return true;
}

bool message_header_find(str header, str name, struct message_header_field *ret)
{
    struct message_header_field field;
    for (size_t at = 0; message_header_next(header, &at, &field);) {
        if (name.n && str_ieq(field.name, name)) {
            *ret = field;
            return true;
        }
    }
    return false;
}

size_t message_header_size(str message)
{
    size_t at = 0;
    while (at < message.n) {
        bool last = line_is_empty(message, at);
        at = line_end(message, at);
        if (last)
            break;
    }
    return at;
}

void message_header_unfold(struct buf *b, str value)
{
    message_lex_add(b, str_trim(value));
}

int message_header_unfold_arena(struct arena *a, str value, size_t max, str *ret)
{
    struct buf b = BUF_INIT(max);
    message_header_unfold(&b, value);
    int r = message_lex_take(&b, a, ret);
    buf_done(&b);
    return r;
}
