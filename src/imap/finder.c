/* finder: see finder.h. */
#include "imap/finder.h"

#include "imap/fold.h"

/* Folding makes at most 33 bytes of 3 (U+FDFA), and a needle is shorter than IMAP_LITERALS_MAX folded. */
enum { PIECE = 16 * 1024, FOLDED_MAX = 12 * PIECE + 4 * 1024 * 1024 };

void imap_finder_init(struct imap_finder *f, str needle, enum imap_blanks blanks)
{
    *f = (struct imap_finder){ .needle = needle, .blanks = blanks, .found = needle.n == 0 };
    buf_init(&f->folded, FOLDED_MAX);
    buf_init(&f->own, needle.n);
    if (blanks == IMAP_BLANKS_AS_ONE && needle.n) {
        bool blank = false;
        buf_add(&f->own, needle);
        imap_fold_blanks(&f->own, 0, &blank);
        f->needle = buf_str(&f->own);
    }
}

void imap_finder_done(struct imap_finder *f)
{
    buf_done(&f->folded);
    buf_done(&f->own);
}

void imap_finder_break(struct imap_finder *f)
{
    buf_reset(&f->folded);
    f->blank = false;
}

/* At most PIECE bytes of S, whole characters. */
static size_t piece_size(str s)
{
    if (s.n <= PIECE)
        return s.n;
    size_t n = PIECE;
    while (n > PIECE - 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

void imap_finder_add(struct imap_finder *f, str text)
{
    while (text.n && !f->found && f->needle.n) {
        size_t n = piece_size(text);
        size_t from = f->folded.n;
        imap_fold(&f->folded, str_sub(text, 0, n));
        if (f->blanks == IMAP_BLANKS_AS_ONE)
            imap_fold_blanks(&f->folded, from, &f->blank);
        text = str_from(text, n);
        f->found = str_find(buf_str(&f->folded), f->needle) < f->folded.n;
        if (f->folded.n >= f->needle.n)
            buf_consume(&f->folded, f->folded.n - f->needle.n + 1);
    }
}
