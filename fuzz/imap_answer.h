/* Whether bytes are whole IMAP responses as RFC 3501 section 9 frames them: lines of printable ASCII; in data, quoted strings are
 * closed, parentheses balanced, and only literals hold anything else. */
#include "base/err.h"
#include "base/scan.h"

/* text: to the end of the line. */
static void check_text(struct scan *s)
{
    str line;
    require(scan_until(s, '\r', &line) && scan_literal(s, STR("\r\n")));
    for (size_t i = 0; i < line.n; i++)
        require(line.p[i] >= ' ' && line.p[i] < 127);
}

static void check_quoted(struct scan *s)
{
    while (!scan_byte(s, '"')) {
        (void)scan_byte(s, '\\');
        int c = scan_peek(s);
        require(c >= ' ' && c < 127);
        s->p++;
    }
}

static void check_literal(struct scan *s)
{
    uint64_t n;
    str bytes;
    require(scan_number(s, UINT32_MAX, &n) && scan_literal(s, STR("}\r\n")) && scan_take(s, (size_t)n, &bytes));
}

/* Values up to the CRLF that ends the response; false at the end of S. */
static void check_data(struct scan *s)
{
    unsigned depth = 0;
    while (!scan_literal(s, STR("\r\n"))) {
        int c = scan_peek(s);
        require(c >= ' ' && c < 127);
        s->p++;
        if (c == '"')
            check_quoted(s);
        else if (c == '{')
            check_literal(s);
        else if (c == '(')
            depth++;
        else if (c == ')')
            require(depth-- > 0);
    }
    require(depth == 0);
}

static inline void check_responses(str said)
{
    struct scan s = scan_init(said);
    while (!scan_done(&s)) {
        bool data = scan_literal(&s, STR("* "));
        str rest = scan_rest(&s);
        if (!data || str_starts(rest, STR("OK ")) || str_starts(rest, STR("NO ")) || str_starts(rest, STR("BAD ")) ||
            str_starts(rest, STR("BYE ")))
            check_text(&s);
        else
            check_data(&s);
    }
}
