/* fold: see fold.h. */
#include "imap/fold.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "base/utf8.h"

/* One character C beyond ASCII, with code CODE. */
static void fold_code(struct buf *b, const UNormalizer2 *form, str c, uint32_t code)
{
    UChar parts[64];
    char text[3 * 64];
    int32_t text_n = 0;
    UErrorCode error = U_ZERO_ERROR;
    int32_t n = unorm2_getDecomposition(form, (UChar32)code, parts, sizeof parts / sizeof *parts, &error);
    if (n >= 0)
        u_strToUTF8(text, sizeof text, &text_n, parts, n, &error);
    buf_add(b, n < 0 || U_FAILURE(error) ? c : (str){ text, (size_t)text_n });
}

void imap_fold(struct buf *b, str s)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *form = unorm2_getNFKCCasefoldInstance(&error);
    while (s.n) {
        size_t ascii = 0;
        while (ascii < s.n && (unsigned char)s.p[ascii] < 128)
            ascii++;
        char *p = ascii ? buf_reserve(b, ascii) : NULL;
        if (ascii && !p)
            return;
        for (size_t i = 0; i < ascii; i++)
            p[i] = ascii_lower(s.p[i]);
        if (ascii)
            buf_commit(b, ascii);
        s = str_from(s, ascii);
        if (!s.n)
            break;
        uint32_t code;
        size_t n = utf8_decode(s, &code);
        if (n && U_SUCCESS(error))
            fold_code(b, form, str_sub(s, 0, n), code);
        else
            buf_add(b, STR("\xef\xbf\xbd"));
        s = str_from(s, n ? n : 1);
    }
}

void imap_fold_blanks(struct buf *b, size_t from, bool *blank)
{
    size_t to = from;
    for (size_t i = from; i < b->n; i++) {
        char c = b->p[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!is_blank || !*blank)
            b->p[to++] = is_blank ? ' ' : c;
        *blank = is_blank;
    }
    buf_truncate(b, to);
}
