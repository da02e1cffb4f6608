/* utf7: see utf7.h. Base64 with "," for "/", without padding, between "&" and "-", of UTF-16 in network order; "&-" is "&". */
#include "imap/utf7.h"

#include "base/scan.h"
#include "base/utf8.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* One more UTF-16 unit of a shifted run: a code point, or half of one kept in *HIGH. Adds to OUT. */
static bool add_unit(uint32_t unit, uint32_t *high, char *out, size_t *n)
{
    uint32_t code = unit;
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (*high)
            return false;
        *high = unit;
        return true;
    }
    if (unit >= 0xdc00 && unit < 0xe000) {
        if (!*high)
            return false;
        code = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
        *high = 0;
    } else if (*high) {
        return false;
    }
    /* What can represent itself must (section 5.1.3); controls have no place in a name. */
    if (code < 0x80)
        return false;
    *n += utf8_encode(code, out + *n);
    return true;
}

/* The base64 between "&" and "-", not empty. */
static bool decode_run(str run, char *out, size_t *n)
{
    uint32_t bits = 0, high = 0;
    unsigned have = 0;
    for (size_t i = 0; i < run.n; i++) {
        int v = digit_value(run.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 16)
            continue;
        have -= 16;
        if (!add_unit(bits >> have & 0xffff, &high, out, n))
            return false;
        bits &= (1U << have) - 1;
    }
    /* Left-over bits are fewer than a digit and zero; at least one unit was there. */
    return have < 6 && bits == 0 && !high && run.n >= 3;
}

int imap_utf7_decode(str name, struct arena *a, str *ret)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 127)
            return ERR_SYNTAX;
    }
    if (!utf8_valid(name))
        return ERR_SYNTAX;
    if (str_find_byte(name, '&', 0) == name.n) {
        *ret = name;
        return 0;
    }
    /* 8 base64 digits hold 48 bits: at most 3 units of at most 3 bytes; output is at most 3/2 of the input. */
    char *out = arena_alloc(a, name.n * 2);
    if (!out)
        return ERR_LIMIT;
    struct scan s = scan_init(name);
    size_t n = 0;
    bool shifted = false; /* the last thing was a run: another must not follow at once */
    while (!scan_done(&s)) {
        str run, one;
        if (!scan_byte(&s, '&')) {
            if (!scan_take(&s, 1, &one))
                return ERR_INTERNAL;
            out[n++] = one.p[0];
            shifted = false;
            continue;
        }
        if (!scan_until(&s, '-', &run) || !scan_byte(&s, '-'))
            return ERR_SYNTAX;
        if (!run.n) {
            out[n++] = '&';
            shifted = false;
        } else if (shifted || !decode_run(run, out, &n)) {
            return ERR_SYNTAX;
        } else {
            shifted = true;
        }
    }
    *ret = (str){ out, n };
    return 0;
}

struct run_writer {
    struct buf *out;
    uint32_t bits;
    unsigned have;
    bool open;
};

static void add_bits(struct run_writer *w, uint32_t unit)
{
    if (!w->open)
        buf_add_byte(w->out, '&');
    w->open = true;
    w->bits = w->bits << 16 | unit;
    w->have += 16;
    while (w->have >= 6) {
        w->have -= 6;
        buf_add_byte(w->out, digits[w->bits >> w->have & 63]);
    }
    w->bits &= (1U << w->have) - 1;
}

static void end_run(struct run_writer *w)
{
    if (!w->open)
        return;
    if (w->have)
        buf_add_byte(w->out, digits[w->bits << (6 - w->have) & 63]);
    buf_add_byte(w->out, '-');
    *w = (struct run_writer){ .out = w->out };
}

void imap_utf7_encode(struct buf *b, str name)
{
    struct run_writer w = { .out = b };
    while (name.n) {
        uint32_t code;
        size_t n = utf8_decode(name, &code);
        if (!n) {
            n = 1;
            code = 0xfffd;
        }
        name = str_from(name, n);
        if (code >= ' ' && code < 127) {
            end_run(&w);
            if (code == '&')
                buf_add(b, STR("&-"));
            else
                buf_add_byte(b, (char)code);
        } else if (code >= 0x10000) {
            add_bits(&w, 0xd800 + ((code - 0x10000) >> 10));
            add_bits(&w, 0xdc00 + ((code - 0x10000) & 0x3ff));
        } else {
            add_bits(&w, code);
        }
    }
    end_run(&w);
}
