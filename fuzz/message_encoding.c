/* Fuzzes the transfer encodings: the first byte chooses, the second one where the rest is cut. Decoding does not depend on the
 * cut, and what was encoded is decoded to itself. */
#include "message/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_cut(enum message_encoding encoding, str in, size_t step, struct buf *out)
{
    struct message_decoder d;
    message_decoder_init(&d, encoding);
    for (size_t at = 0; at < in.n; at += step)
        require(message_decoder_feed(&d, str_sub(in, at, step), out) == 0);
    require(message_decoder_end(&d, out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum message_encoding encoding = data[0] & 1 ? MESSAGE_ENCODING_BASE64 : MESSAGE_ENCODING_QUOTED_PRINTABLE;
    str in = { (const char *)data + 2, size - 2 };
    struct buf whole = BUF_INIT(in.n), cut = BUF_INIT(in.n), coded = BUF_INIT(in.n * 4 + 100), back = BUF_INIT(in.n);
    require(message_decode(encoding, in, &whole) == 0);
    decode_cut(encoding, in, (size_t)data[1] + 1, &cut);
    require(str_eq(buf_str(&whole), buf_str(&cut)));
    if (encoding == MESSAGE_ENCODING_BASE64)
        message_base64_encode(&coded, in);
    else
        message_quoted_printable_encode(&coded, in, false);
    require(buf_error(&coded) == 0 && message_decode(encoding, buf_str(&coded), &back) == 0);
    require(str_eq(buf_str(&back), in));
    buf_done(&whole);
    buf_done(&cut);
    buf_done(&coded);
    buf_done(&back);
    return 0;
}
