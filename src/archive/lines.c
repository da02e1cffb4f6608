/* lines: see lines.h. */
#include "archive/lines.h"

void archive_to_crlf(struct buf *b, str text)
{
    size_t from = 0;
    while (from < text.n) {
        size_t lf = str_find_byte(text, '\n', from);
        buf_add(b, str_sub(text, from, lf - from));
        if (lf < text.n)
            buf_add(b, lf > 0 && text.p[lf - 1] == '\r' ? STR("\n") : STR("\r\n"));
        from = lf + 1;
    }
}

void archive_to_lf(struct buf *b, str text)
{
    size_t from = 0;
    while (from < text.n) {
        size_t lf = str_find_byte(text, '\n', from), end = lf;
        if (lf < text.n && lf > 0 && text.p[lf - 1] == '\r' && (lf < 2 || text.p[lf - 2] != '\r'))
            end--;
        buf_add(b, str_sub(text, from, end - from));
        if (lf < text.n)
            buf_add_byte(b, '\n');
        from = lf + 1;
    }
}

bool archive_next_line(str *rest, str *ret_whole, str *ret)
{
    if (rest->n == 0)
        return false;
    size_t lf = str_find_byte(*rest, '\n', 0);
    *ret_whole = str_sub(*rest, 0, lf + 1);
    *ret = str_sub(*rest, 0, lf);
    if (lf < rest->n && ret->n && ret->p[ret->n - 1] == '\r')
        ret->n--;
    *rest = str_from(*rest, ret_whole->n);
    return true;
}
