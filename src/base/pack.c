/* pack: see pack.h. */
#include "base/pack.h"

static void pack_le(struct buf *b, uint64_t v, size_t n)
{
    char out[8];
    for (size_t i = 0; i < n; i++, v >>= 8)
        out[i] = (char)v;
    buf_add(b, (str){ out, n });
}

void pack_u8(struct buf *b, uint8_t v)
{
    pack_le(b, v, 1);
}

void pack_u16(struct buf *b, uint16_t v)
{
    pack_le(b, v, 2);
}

void pack_u32(struct buf *b, uint32_t v)
{
    pack_le(b, v, 4);
}

void pack_u64(struct buf *b, uint64_t v)
{
    pack_le(b, v, 8);
}

void pack_varint(struct buf *b, uint64_t v)
{
    char out[10];
    size_t n = 0;
    do {
        out[n] = (char)((v & 127) | (v > 127 ? 128 : 0));
        n++;
        v >>= 7;
    } while (v);
    buf_add(b, (str){ out, n });
}

void pack_str(struct buf *b, str s)
{
    pack_varint(b, s.n);
    buf_add(b, s);
}

struct unpack unpack_init(str s)
{
    const unsigned char *p = (const unsigned char *)(s.p ? s.p : "");
    return (struct unpack){ .p = p, .end = p + s.n };
}

static uint64_t unpack_le(struct unpack *u, size_t n)
{
    const unsigned char *p = unpack_take(u, n);
    uint64_t v = 0;
    if (p)
        for (size_t i = n; i-- > 0;)
            v = v << 8 | p[i];
    return v;
}

uint16_t unpack_u16(struct unpack *u)
{
    return (uint16_t)unpack_le(u, 2);
}

uint32_t unpack_u32(struct unpack *u)
{
    return (uint32_t)unpack_le(u, 4);
}

uint64_t unpack_u64(struct unpack *u)
{
    return unpack_le(u, 8);
}

uint64_t unpack_varint_long(struct unpack *u)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const unsigned char *p = unpack_take(u, 1);
        if (!p)
            return 0;
        if (shift == 63 && *p > 1)
            break;
        v |= (uint64_t)(*p & 127) << shift;
        if (!(*p & 128)) {
            if (*p == 0 && shift > 0)
                break;
            return v;
        }
    }
    u->error = ERR_CORRUPT;
    u->p = u->end;
    return 0;
}

str unpack_rest(const struct unpack *u)
{
    return (str){ (const char *)u->p, (size_t)(u->end - u->p) };
}

int unpack_end(const struct unpack *u)
{
    return u->error || u->p != u->end ? ERR_CORRUPT : 0;
}
