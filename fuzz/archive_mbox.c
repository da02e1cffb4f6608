/* Fuzzes mbox both ways: any file is read to its end, and any message that is written comes back as it was. */
#include "archive/lines.h"
#include "archive/mbox.h"

enum { MAX = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(str file)
{
    struct mbox_message m;
    size_t before = file.n + 1;
    while (mbox_next(&file, &m)) {
        struct arena a = ARENA_INIT(MAX);
        struct buf out = BUF_INIT(MAX);
        struct mail_flags flags;
        require(file.n < before && m.text.n < before);
        before = file.n;
        require(mbox_decode(m.text, &out, &a, &flags) == 0 && flags.keyword_n <= MAIL_KEYWORDS_MAX);
        buf_done(&out);
        arena_done(&a);
    }
}

static void write_and_read(str text)
{
    struct buf message = BUF_INIT(MAX), file = BUF_INIT(MAX), out = BUF_INIT(MAX);
    struct arena a = ARENA_INIT(MAX);
    struct mail_flags flags = { .system = text.n & 31 }, again;
    struct mbox_message m;
    archive_to_crlf(&message, text);
    if (message.n && message.p[message.n - 1] != '\n')
        buf_add(&message, message.p[message.n - 1] == '\r' ? STR("\n") : STR("\r\n"));
    mbox_add(&file, buf_str(&message), &flags, 1700000000);
    str rest = buf_str(&file);
    require(mbox_next(&rest, &m) && rest.n == 0 && m.received == 1700000000);
    require(mbox_decode(m.text, &out, &a, &again) == 0);
    require(str_eq(buf_str(&out), buf_str(&message)) && again.system == flags.system);
    buf_done(&message);
    buf_done(&file);
    buf_done(&out);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size };
    read_all(text);
    write_and_read(text);
    return 0;
}
