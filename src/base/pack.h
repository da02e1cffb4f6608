/* pack: binary fields for channels and stored records: little-endian numbers, varints, length-prefixed strings.
 *
 * The writer appends to a struct buf. The reader is a cursor over a bounded slice with a sticky error: after the first failure
 * every further read gives zero, and the caller checks unpack_end or u.error once. */
#ifndef VALISE_BASE_PACK_H
#define VALISE_BASE_PACK_H

#include "base/buf.h"

void pack_u8(struct buf *b, uint8_t v);
void pack_u16(struct buf *b, uint16_t v);
void pack_u32(struct buf *b, uint32_t v);
void pack_u64(struct buf *b, uint64_t v);
/* 7 bits a byte, low bits first, at most 10 bytes. */
void pack_varint(struct buf *b, uint64_t v);
/* A varint length and the bytes. */
void pack_str(struct buf *b, str s);

struct unpack {
    const unsigned char *p, *end;
    int error; /* 0 or ERR_CORRUPT, sticky */
};

struct unpack unpack_init(str s);
/* The next N bytes, NULL when there are fewer: the one place that checks bounds. Records of whole mailboxes are read: nothing is called where nothing is
 * wrong. */
static inline const unsigned char *unpack_take(struct unpack *u, size_t n)
{
    const unsigned char *at = u->p;
    if (__builtin_expect(u->error || (size_t)(u->end - u->p) < n, 0)) {
        u->error = ERR_CORRUPT;
        u->p = u->end;
        return NULL;
    }
    u->p += n;
    return at;
}
static inline uint8_t unpack_u8(struct unpack *u)
{
    const unsigned char *p = unpack_take(u, 1);
    return p ? *p : 0;
}
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
/* ERR_CORRUPT for more than 10 bytes, overflow or a form longer than needed. */
uint64_t unpack_varint_long(struct unpack *u);
static inline uint64_t unpack_varint(struct unpack *u)
{
    if (!u->error && u->p < u->end && *u->p < 128)
        return *u->p++;
    return unpack_varint_long(u);
}
/* The same, ERR_CORRUPT when above MAX. */
static inline uint64_t unpack_varint_max(struct unpack *u, uint64_t max)
{
    uint64_t v = unpack_varint(u);
    if (v <= max)
        return v;
    u->error = ERR_CORRUPT;
    u->p = u->end;
    return 0;
}
/* N bytes without a length prefix. */
static inline str unpack_bytes(struct unpack *u, size_t n)
{
    const unsigned char *p = unpack_take(u, n);
    return p ? (str){ (const char *)p, n } : (str){ NULL, 0 };
}
/* A view into the slice; ERR_CORRUPT when longer than MAX bytes or than what is left. */
static inline str unpack_str(struct unpack *u, size_t max)
{
    uint64_t n = unpack_varint_max(u, max);
    return unpack_bytes(u, (size_t)n);
}
/* What has not been read yet. */
str unpack_rest(const struct unpack *u);
/* 0 when all was read without error, else ERR_CORRUPT. */
int unpack_end(const struct unpack *u) MUST_USE;

#endif
