/* The DATA framing against a slow, plain description of it; the first bytes say where the input is cut. */
#include "smtp/data.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(void *ctx, str bytes)
{
    buf_add(ctx, bytes);
}

/* Bytes up to the end of the message, or s.n + 1 when it does not end: CR LF "." CR LF, where the first CR LF may be DATA's own. */
static size_t end_of(str s)
{
    if (str_starts(s, STR(".\r\n")))
        return 3;
    size_t at = str_find(s, STR("\r\n.\r\n"));
    return at == s.n ? s.n + 1 : at + 5;
}

/* Whether the message S has a CR without LF, an LF without CR, or a NUL. */
static bool is_bad(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool crlf_here = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n';
        if (s.p[i] == '\0' || (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) || (s.p[i] == '\r' && !crlf_here))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool repairs = data[0] & 0x80; /* then bare LF is taken, and the end must be the same */
    size_t step = data[0] & 0x7f ? data[0] & 0x7f : size, fed = 0;
    str in = { (const char *)data + 1, size - 1 };
    struct buf out = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
    struct smtp_data d;
    int rc = ERR_AGAIN;
    smtp_data_init(&d, 1 << 20, (struct smtp_data_sink){ put, &out });
    if (repairs)
        smtp_data_repair(&d);
    while (rc == ERR_AGAIN && fed < in.n) {
        str piece = str_sub(in, fed, step);
        size_t used = 0;
        rc = smtp_data_feed(&d, piece, &used);
        fed += used;
    }
    size_t end = end_of(in);
    require((rc == 0) == (end <= in.n) && fed == (end <= in.n ? end : in.n));
    if (rc == 0 && repairs) {
        str message = str_sub(in, 0, end - 3);
        require(!(d.faults & SMTP_DATA_BARE_LF));
        for (size_t i = 0; !d.faults && i < message.n; i++) {
            bool after_crlf = i == 0 || (i > 1 && message.p[i - 1] == '\n' && message.p[i - 2] == '\r');
            if (message.p[i] == '.' && after_crlf && !(i + 1 < message.n && message.p[i + 1] == '\n'))
                continue;
            if (message.p[i] == '\n' && (i == 0 || message.p[i - 1] != '\r'))
                buf_add_byte(&want, '\r');
            buf_add_byte(&want, message.p[i]);
        }
        require(d.faults || str_eq(buf_str(&out), buf_str(&want)));
    } else if (rc == 0) {
        str message = str_sub(in, 0, end - 3), line;
        require(is_bad(message) == ((d.faults & (SMTP_DATA_BARE_LF | SMTP_DATA_BARE_CR | SMTP_DATA_NUL)) != 0));
        while (!d.faults && str_split(&message, '\n', &line) && message.p)
            buf_add_all(&want, str_starts(line, STR(".")) ? str_from(line, 1) : line, STR("\n"));
        require(d.faults || str_eq(buf_str(&out), buf_str(&want)));
    }
    buf_done(&out);
    buf_done(&want);
    return 0;
}
