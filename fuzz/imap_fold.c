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
    buf_done(&once);
    buf_done(&twice);
    return 0;
}
