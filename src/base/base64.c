/* base64: see base64.h. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *b, str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        char out[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], left > 1 ? alphabet[v >> 6 & 63] : '=',
                        left > 2 ? alphabet[v & 63] : '=' };
        buf_add(b, (str){ out, 4 });
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct buf *b, str s)
{
    size_t start = b->n;
    if (s.n % 4)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i += 4) {
        size_t pad = i + 4 < s.n ? 0 : (size_t)(s.p[i + 3] == '=') + (size_t)(s.p[i + 3] == '=' && s.p[i + 2] == '=');
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k >= 4 - pad ? 0 : value_of(s.p[i + k]);
            if (d < 0)
                goto bad;
            v = v << 6 | (uint32_t)d;
        }
        if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
            goto bad;
        char out[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
        buf_add(b, (str){ out, 3 - pad });
    }
    return buf_error(b);
bad:
    buf_truncate(b, start);
    return ERR_SYNTAX;
}
