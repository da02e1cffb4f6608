/* fold: see fold.h. */
#include "imap/fold.h"

#include <unicode/uchar.h>

#include "base/utf8.h"

void imap_fold(struct buf *b, str s)
{
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
        char out[4];
        size_t n = utf8_decode(s, &code);
        if (!n)
            code = 0xfffd;
        s = str_from(s, n ? n : 1);
        buf_add(b, (str){ out, utf8_encode((uint32_t)u_foldCase((UChar32)code, U_FOLD_CASE_DEFAULT), out) });
    }
}
