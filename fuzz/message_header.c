/* Fuzzes header blocks: the fields add up to the block; unfolded and decoded values are one line, decoded ones UTF-8. */
#include "base/utf8.h"
#include "message/encoded_word.h"
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(str s)
{
    for (size_t i = 0; i < s.n; i++)
        require(s.p[i] != 0 && s.p[i] != '\r' && s.p[i] != '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str block = { (const char *)data, size };
    struct message_header_field f;
    size_t at = 0, covered = 0;
    while (message_header_next(block, &at, &f)) {
        require(f.offset == covered && f.size > 0 && at == f.offset + f.size && at <= size);
        covered = at;
        for (size_t i = 0; i < f.name.n; i++)
            require(f.name.p[i] > ' ' && f.name.p[i] < 127 && f.name.p[i] != ':');
        struct buf line = BUF_INIT(f.value.n), text = BUF_INIT(f.value.n * 8);
        message_header_unfold(&line, f.value);
        check_line(buf_str(&line));
        require(message_encoded_word_decode(f.value, &text) == 0);
        check_line(buf_str(&text));
        require(utf8_valid(buf_str(&text)));
        struct buf coded = BUF_INIT(1 << 24), back = BUF_INIT(text.n);
        message_encoded_word_encode(&coded, buf_str(&text), 10);
        require(message_encoded_word_decode(buf_str(&coded), &back) == 0);
        require(str_eq(str_trim(buf_str(&back)), str_trim(buf_str(&text))));
        buf_done(&coded);
        buf_done(&back);
        buf_done(&line);
        buf_done(&text);
    }
    require(at == covered);
    size_t end = message_header_size(block);
    require(end >= covered && end <= size && end - covered <= 2);
    return 0;
}
