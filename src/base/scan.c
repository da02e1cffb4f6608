/* scan: see scan.h. */
#include "base/scan.h"

void scan_set_add(struct scan_set *set, unsigned char from, unsigned char to)
{
    for (unsigned c = from; c <= to; c++)
        set->bits[c >> 6] |= (uint64_t)1 << (c & 63);
}

bool scan_take(struct scan *s, size_t n, str *ret)
{
    if (scan_left(s) < n)
        return false;
    *ret = (str){ s->p, n };
    s->p += n;
    return true;
}

bool scan_byte(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

bool scan_literal(struct scan *s, str lit)
{
    if (!str_starts(scan_rest(s), lit))
        return false;
    s->p += lit.n;
    return true;
}

bool scan_iliteral(struct scan *s, str lit)
{
    if (!str_istarts(scan_rest(s), lit))
        return false;
    s->p += lit.n;
    return true;
}

bool scan_while(struct scan *s, const struct scan_set *set, size_t max, str *ret)
{
    const char *p = s->p;
    while (p != s->end && scan_set_has(set, *p)) {
        if ((size_t)(p - s->p) == max)
            return false;
        p++;
    }
    if (p == s->p)
        return false;
    *ret = (str){ s->p, (size_t)(p - s->p) };
    s->p = p;
    return true;
}

bool scan_until(struct scan *s, char c, str *ret)
{
    str rest = scan_rest(s);
    size_t at = str_find_byte(rest, c, 0);
    if (at == rest.n)
        return false;
    *ret = (str){ rest.p, at };
    s->p += at;
    return true;
}

bool scan_number(struct scan *s, uint64_t max, uint64_t *ret)
{
    str rest = scan_rest(s);
    size_t n = 0;
    while (n < rest.n && ascii_is_digit(rest.p[n]))
        n++;
    if (n > 20 || !str_to_u64((str){ rest.p, n }, max, ret))
        return false;
    s->p += n;
    return true;
}

bool scan_digits(struct scan *s, size_t count, uint32_t *ret)
{
    str digits = str_sub(scan_rest(s), 0, count);
    if (digits.n != count || !str_to_u32(digits, 999999999, ret))
        return false;
    s->p += count;
    return true;
}
