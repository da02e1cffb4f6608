/* csv: see csv.h. */
#include "base/csv.h"

#include "base/utf8.h"

/* The separator of the first line: what it has most of outside quotes; of equals the one that is rarer in text. */
static char guess(str text)
{
    static const char candidates[] = { ',', ';', '\t' };
    size_t count[sizeof candidates] = { 0 }, best = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n && (quoted || text.p[i] != '\n'); i++) {
        quoted ^= text.p[i] == '"';
        for (size_t k = 0; k < sizeof candidates && !quoted; k++)
            count[k] += text.p[i] == candidates[k];
    }
    for (size_t k = 1; k < sizeof candidates; k++)
        if (count[k] && count[k] >= count[best])
            best = k;
    return candidates[best];
}

int csv_init(struct csv *c, str text, struct error *e)
{
    if (str_starts(text, STR("\xff\xfe")) || str_starts(text, STR("\xfe\xff")))
        return error_set(e, ERR_SYNTAX, "the file is in UTF-16; save it as CSV UTF-8");
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_from(text, 3);
    size_t line = 1;
    for (str rest = text, one; str_split(&rest, '\n', &one); line++)
        if (!utf8_valid(one))
            return error_set(e, ERR_SYNTAX, "line %zu is not in UTF-8; save the file as CSV UTF-8", line);
    *c = (struct csv){ text, guess(text), 1 };
    if (str_starts(text, STR("sep=")) && text.n > 4) { /* Excel says it so */
        c->separator = text.p[4];
        c->rest = str_from(text, str_find_byte(text, '\n', 0) + 1);
        c->line = 2;
    }
    return 0;
}

static bool is_end(str s)
{
    return !s.n || s.p[0] == '\n' || (s.p[0] == '\r' && (s.n == 1 || s.p[1] == '\n'));
}

/* The rest of a field whose first quote was taken. */
static int quoted_field(struct csv *c, struct arena *a, str *ret, struct error *e)
{
    size_t begin = c->line, doubled = 0, i = 0;
    for (; i < c->rest.n; i++) {
        if (c->rest.p[i] == '"' && (i + 1 == c->rest.n || c->rest.p[i + 1] != '"'))
            break;
        doubled += c->rest.p[i] == '"';
        i += c->rest.p[i] == '"';
        c->line += c->rest.p[i] == '\n';
    }
    if (i >= c->rest.n)
        return error_set(e, ERR_SYNTAX, "line %zu: a quote is opened and not closed", begin);
    str inside = str_sub(c->rest, 0, i);
    char *p = doubled ? arena_alloc(a, inside.n) : NULL;
    if (doubled && !p)
        return error_set(e, ERR_LIMIT, "line %zu is too long", begin);
    for (size_t k = 0, n = 0; doubled && k < inside.n; k++, n++) {
        p[n] = inside.p[k];
        k += inside.p[k] == '"';
    }
    *ret = doubled ? (str){ p, inside.n - doubled } : inside;
    c->rest = str_from(c->rest, i + 1);
    while (c->rest.n && c->rest.p[0] == ' ')
        c->rest = str_from(c->rest, 1);
    return is_end(c->rest) || c->rest.p[0] == c->separator
               ? 0
               : error_set(e, ERR_SYNTAX, "line %zu: text behind a closed quote; a quote inside quotes is doubled", c->line);
}

static str plain_field(struct csv *c)
{
    size_t n = 0;
    while (n < c->rest.n && c->rest.p[n] != c->separator && c->rest.p[n] != '\n')
        n++;
    str field = str_sub(c->rest, 0, n);
    c->rest = str_from(c->rest, n);
    return str_trim(field);
}

static int one_record(struct csv *c, struct arena *a, str ret[CSV_FIELDS_MAX], size_t *ret_n, struct error *e)
{
    for (*ret_n = 0;;) {
        if (*ret_n == CSV_FIELDS_MAX)
            return error_set(e, ERR_LIMIT, "line %zu has more than %d fields", c->line, CSV_FIELDS_MAX);
        str ahead = c->rest;
        while (ahead.n && ahead.p[0] == ' ')
            ahead = str_from(ahead, 1);
        int r = 0;
        if (ahead.n && ahead.p[0] == '"') {
            c->rest = str_from(ahead, 1);
            r = quoted_field(c, a, &ret[*ret_n], e);
        } else {
            ret[*ret_n] = plain_field(c);
        }
        if (r)
            return r;
        ++*ret_n;
        if (is_end(c->rest))
            break;
        c->rest = str_from(c->rest, 1);
    }
    if (c->rest.n) {
        c->rest = str_from(c->rest, c->rest.p[0] == '\r' ? 2 : 1);
        c->line++;
    }
    return 0;
}

int csv_next(struct csv *c, struct arena *a, str ret[CSV_FIELDS_MAX], size_t *ret_n, size_t *ret_line, struct error *e)
{
    while (c->rest.n) {
        bool blank = true;
        *ret_line = c->line;
        int r = one_record(c, a, ret, ret_n, e);
        if (r)
            return r;
        for (size_t i = 0; i < *ret_n; i++)
            blank &= ret[i].n == 0;
        if (!blank)
            return 1;
    }
    return 0;
}
