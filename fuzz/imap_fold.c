/* The form in which SEARCH compares text: always UTF-8, and folding it again changes nothing (or what is folded once and what is
 * folded twice would not find each other). */
#include "base/utf8.h"
#include "imap/fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = { (const char *)data, size };
    struct buf once = BUF_INIT(16 << 20), twice = BUF_INIT(16 << 20);
    imap_fold(&once, in);
    imap_fold(&twice, buf_str(&once));
    require(buf_error(&once) == 0 && utf8_valid(buf_str(&once)));
    require(str_eq(buf_str(&once), buf_str(&twice)));
    /* Runs of white space: in pieces they become what they become at once. */
    struct buf pieces = BUF_INIT(16 << 20);
    bool blank = false;
    for (size_t from = 0, n; from < once.n; from += n) {
        n = once.n - from < 7 ? once.n - from : 7;
        size_t at = pieces.n;
        buf_add(&pieces, str_sub(buf_str(&once), from, n));
        imap_fold_blanks(&pieces, at, &blank);
    }
    blank = false;
    imap_fold_blanks(&once, 0, &blank);
    require(str_eq(buf_str(&once), buf_str(&pieces)));
    require(str_find(buf_str(&once), STR("  ")) == once.n && str_find_byte(buf_str(&once), '\t', 0) == once.n);
    buf_done(&once);
    buf_done(&twice);
    buf_done(&pieces);
    return 0;
}
