/* buf: see buf.h. */
#include "base/buf.h"

#include <stdarg.h>

#include "base/show.h"
#include "base/utf8.h"

void secret_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max };
}

void buf_init_secret(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max, .secret = true };
}

static void release(struct buf *b)
{
    if (b->secret && b->p)
        secret_wipe(b->p, b->cap);
    free(b->p);
}

void buf_done(struct buf *b)
{
    release(b);
    b->p = NULL;
    b->n = b->cap = 0;
    b->error = 0;
}

void buf_reset(struct buf *b)
{
    if (b->secret && b->p)
        secret_wipe(b->p, b->cap);
    b->n = 0;
    b->error = 0;
}

static void grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > b->max) /* what buf_add counts on; NEED is not above it */
        cap = b->max;
    char *p = malloc(cap);
    if (!p)
        panic("out of memory for a buffer of %zu bytes", cap);
    if (b->n)
        memcpy(p, b->p, b->n);
    release(b);
    b->p = p;
    b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->error)
        return NULL;
    if (n > b->max || b->n > b->max - n) {
        b->error = ERR_LIMIT;
        return NULL;
    }
    if (b->n + n > b->cap || !b->p)
        grow(b, b->n + n);
    return b->p + b->n;
}

void buf_commit(struct buf *b, size_t n)
{
    require(n <= b->cap - b->n);
    b->n += n;
}

void buf_add_slowly(struct buf *b, str s)
{
    if (s.n == 0)
        return;
    char *to = buf_reserve(b, s.n);
    if (!to)
        return;
    memcpy(to, s.p, s.n);
    b->n += s.n;
}

void buf_add_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_add(b, (str){ digits + i, sizeof digits - i });
}

void buf_add_hex(struct buf *b, const void *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++) {
        buf_add_byte(b, hex[bytes[i] >> 4]);
        buf_add_byte(b, hex[bytes[i] & 15]);
    }
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    require(n >= 0);
    char *to = buf_reserve(b, (size_t)n + 1);
    if (to) {
        (void)vsnprintf(to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_add_n(struct buf *b, const str *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add(b, pieces[i]);
}

void buf_add_escaped(struct buf *b, str s)
{
    while (s.n) {
        uint32_t code = 0;
        size_t len = utf8_decode(s, &code);
        bool plain = len && show_is_plain(code) && code != '"' && code != '\\';
        len = len ? len : 1;
        for (size_t i = 0; !plain && i < len; i++) {
            buf_add(b, STR("\\x"));
            buf_add_hex(b, s.p + i, 1);
        }
        if (plain)
            buf_add(b, str_sub(s, 0, len));
        s = str_from(s, len);
    }
}

void buf_consume(struct buf *b, size_t n)
{
    require(n <= b->n);
    if (n && n < b->n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
    require(n <= b->n);
    b->n = n;
}

int buf_error(const struct buf *b)
{
    return b->error;
}

const char *buf_z(struct buf *b)
{
    if (b->n && memchr(b->p, 0, b->n))
        return NULL;
    char *end = buf_reserve(b, 1);
    if (!end)
        return NULL;
    *end = 0;
    return b->p;
}
