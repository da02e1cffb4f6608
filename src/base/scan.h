/* scan: the cursor every text parser is built on.
 *
 * It walks a complete, bounded slice; framing is somebody else's work. Every function moves the cursor only on success. No
 * parser compares wire pointers itself. Character classes are 256-bit sets built once from their ABNF. */
#ifndef VALISE_BASE_SCAN_H
#define VALISE_BASE_SCAN_H

#include "base/str.h"

struct scan {
    const char *p, *end;
};

/* A set of bytes. Build with SCAN_SET_* in a static initialiser or with scan_set_add. */
struct scan_set {
    uint64_t bits[4];
};

static inline bool scan_set_has(const struct scan_set *set, char c)
{
    unsigned char u = (unsigned char)c;
    return set->bits[u >> 6] >> (u & 63) & 1;
}
/* Adds the bytes FROM to TO, both included. */
void scan_set_add(struct scan_set *set, unsigned char from, unsigned char to);

static inline struct scan scan_init(str s)
{
    return (struct scan){ s.p, s.n ? s.p + s.n : s.p };
}
static inline bool scan_done(const struct scan *s)
{
    return s->p == s->end;
}
static inline size_t scan_left(const struct scan *s)
{
    return (size_t)(s->end - s->p);
}
static inline str scan_rest(const struct scan *s)
{
    return (str){ s->p, (size_t)(s->end - s->p) };
}
/* The next byte without moving, or -1 at the end. */
static inline int scan_peek(const struct scan *s)
{
    return s->p == s->end ? -1 : (unsigned char)*s->p;
}

/* Exactly this byte. */
bool scan_byte(struct scan *s, char c);
/* Exactly these bytes. */
bool scan_literal(struct scan *s, str lit);
/* These bytes with ASCII letters folded. */
bool scan_iliteral(struct scan *s, str lit);
/* N bytes whatever they are. */
bool scan_take(struct scan *s, size_t n, str *ret);
/* 1 to MAX bytes of SET; fails when none is there or more than MAX follow. */
bool scan_while(struct scan *s, const struct scan_set *set, size_t max, str *ret);
/* Bytes up to but not including the first byte C (which must be there); may be empty. */
bool scan_until(struct scan *s, char c, str *ret);
/* 1 to 20 decimal digits of value at most MAX. */
bool scan_number(struct scan *s, uint64_t max, uint64_t *ret);
/* Exactly COUNT digits (1 to 9). */
bool scan_digits(struct scan *s, size_t count, uint32_t *ret);

#endif
