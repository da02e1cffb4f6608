/* Modified UTF-7 (RFC 3501 section 5.1.3): what is decoded from ASCII encodes to the same bytes, and each name survives the way
 * out and back. */
#include "base/utf8.h"
#include "imap/utf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = { (const char *)data, size }, name, back;
    struct arena a = ARENA_INIT(16 << 20);
    struct buf wire = BUF_INIT(16 << 20);
    if (imap_utf7_decode(in, &a, &name) == 0) {
        require(utf8_valid(name));
        imap_utf7_encode(&wire, name);
        require(!utf8_is_ascii(in) || str_eq(buf_str(&wire), in));
        buf_reset(&wire);
    }
    bool clean = utf8_valid(in);
    for (size_t i = 0; i < in.n; i++)
        clean &= (unsigned char)in.p[i] >= ' ' && in.p[i] != 127;
    imap_utf7_encode(&wire, in);
    require(utf8_is_ascii(buf_str(&wire)));
    if (clean)
        require(imap_utf7_decode(buf_str(&wire), &a, &back) == 0 && str_eq(back, in));
    buf_done(&wire);
    arena_done(&a);
    return 0;
}
