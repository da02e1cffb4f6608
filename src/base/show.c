/* show: see show.h. */
#include "base/show.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

enum { UTF8_MAX = 4, CHUNK = 4096 };

/* Characters that are not shown: controls (Cc), format characters that show nothing (Cf), separators of lines and paragraphs, and what Unicode calls
 * Default_Ignorable_Code_Point, but for variation selectors, which choose between shapes of what is seen. In order. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    { 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad }, { 0x034f, 0x034f },   { 0x061c, 0x061c },   { 0x115f, 0x1160 },
    { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f },   { 0x3164, 0x3164 },
    { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

bool show_is_plain(uint32_t code)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0] && hidden[i].first <= code; i++)
        if (code <= hidden[i].last)
            return false;
    return (code & 0xfffe) != 0xfffe; /* noncharacters */
}

void show_replace(char *text)
{
    str rest = str_from_z(text);
    char *to = text;
    while (rest.n) {
        uint32_t code = 0;
        size_t n = utf8_decode(rest, &code);
        bool plain = n && show_is_plain(code);
        if (plain)
            memmove(to, rest.p, n);
        else
            *to = '?';
        to += plain ? n : 1;
        rest = str_from(rest, n ? n : 1);
    }
    *to = 0;
}

/* --- streams --- */

struct shown {
    int fd;
    char held[UTF8_MAX]; /* the beginning of a character whose end has not come */
    size_t held_n;
};

/* Whether S could be the beginning of a character. */
static bool is_beginning(str s)
{
    unsigned char c = s.n ? (unsigned char)s.p[0] : 0;
    size_t n = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
    for (size_t i = 1; i < s.n; i++)
        n = ((unsigned char)s.p[i] & 0xc0) == 0x80 ? n : 0;
    return s.n < n;
}

/* Puts what TEXT shows as to OUT. What it ends with and is not whole stays, unless it is the last: how many bytes. */
static size_t show(str text, struct buf *out)
{
    while (text.n) {
        uint32_t code = 0;
        size_t n = utf8_decode(text, &code);
        if (!n && is_beginning(text))
            break;
        if (n && (show_is_plain(code) || code == '\n' || code == '\t')) {
            buf_add(out, str_sub(text, 0, n));
        } else {
            n = n ? n : 1;
            for (size_t i = 0; i < n; i++)
                buf_addf(out, "\\x%02x", (unsigned)(unsigned char)text.p[i]);
        }
        text = str_from(text, n);
    }
    return text.n;
}

void show_line(str text, struct buf *out)
{
    while (text.n) {
        uint32_t code = 0;
        size_t n = utf8_decode(text, &code);
        bool plain = n && show_is_plain(code);
        n = n ? n : 1;
        if (plain)
            buf_add(out, str_sub(text, 0, n));
        for (size_t i = 0; !plain && i < n; i++)
            buf_addf(out, "\\x%02x", (unsigned)(unsigned char)text.p[i]);
        text = str_from(text, n);
    }
}

static bool write_all(int fd, str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = str_from(text, (size_t)n);
    }
    return true;
}

static ssize_t on_write(void *cookie, const char *p, size_t n)
{
    struct shown *s = cookie;
    struct buf in = BUF_INIT(UTF8_MAX + n), out = BUF_INIT(4 * (UTF8_MAX + n));
    buf_add_all(&in, (str){ s->held, s->held_n }, (str){ p, n });
    s->held_n = show(buf_str(&in), &out);
    require(s->held_n < UTF8_MAX && !buf_error(&in) && !buf_error(&out));
    if (s->held_n)
        memcpy(s->held, in.p + in.n - s->held_n, s->held_n);
    bool ok = write_all(s->fd, buf_str(&out));
    buf_done(&in);
    buf_done(&out);
    return ok ? (ssize_t)n : 0; /* fopencookie: 0 says that it failed */
}

static FILE *open_shown(struct shown *s, int mode)
{
    FILE *f = fopencookie(s, "w", (cookie_io_functions_t){ .write = on_write });
    if (!f)
        panic("out of memory for a stream");
    (void)setvbuf(f, NULL, mode, mode == _IONBF ? 0 : CHUNK);
    return f;
}

void show_streams(void)
{
    static struct shown out = { .fd = STDOUT_FILENO }, err = { .fd = STDERR_FILENO };
    stdout = open_shown(&out, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    stderr = open_shown(&err, _IONBF);
}
