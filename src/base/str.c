/* str: see str.h. */
#include "base/str.h"

#include <string.h>

str str_from_z(const char *z)
{
    return z ? (str){ z, strlen(z) } : (str){ NULL, 0 };
}

bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_ieq(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

int str_icmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)ascii_lower(a.p[i]), y = (unsigned char)ascii_lower(b.p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && str_eq((str){ s.p, prefix.n }, prefix);
}

bool str_istarts(str s, str prefix)
{
    return s.n >= prefix.n && str_ieq((str){ s.p, prefix.n }, prefix);
}

bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || str_eq((str){ s.p + s.n - suffix.n, suffix.n }, suffix));
}

bool str_iends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || str_ieq((str){ s.p + s.n - suffix.n, suffix.n }, suffix));
}

size_t str_find_byte(str s, char c, size_t from)
{
    if (from >= s.n)
        return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_rfind_byte(str s, char c)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == c)
            return i - 1;
    return s.n;
}

size_t str_find(str s, str needle)
{
    if (needle.n == 0)
        return 0;
    if (needle.n > s.n)
        return s.n;
    const char *hit = memmem(s.p, s.n, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_ifind(str s, str needle)
{
    if (needle.n > s.n)
        return s.n;
    for (size_t i = 0; i + needle.n <= s.n; i++)
        if (str_ieq((str){ s.p + i, needle.n }, needle))
            return i;
    return s.n;
}

str str_sub(str s, size_t from, size_t n)
{
    if (from >= s.n)
        return (str){ NULL, 0 };
    if (n > s.n - from)
        n = s.n - from;
    return (str){ s.p + from, n };
}

str str_from(str s, size_t from)
{
    return str_sub(s, from, SIZE_MAX);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

str str_trim(str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(str *rest, char sep, str *ret)
{
    if (rest->p == NULL)
        return false;
    size_t at = str_find_byte(*rest, sep, 0);
    *ret = (str){ rest->p, at };
    if (at == rest->n)
        *rest = (str){ NULL, 0 };
    else
        *rest = (str){ rest->p + at + 1, rest->n - at - 1 };
    return true;
}

bool str_to_u64(str s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

bool str_to_u32(str s, uint32_t max, uint32_t *ret)
{
    uint64_t v;
    if (!str_to_u64(s, max, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

uint64_t str_hash(str s, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < s.n; i++) {
        h ^= (unsigned char)s.p[i];
        h *= 0x100000001b3u;
    }
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

bool str_eq_secret(str a, str b)
{
    unsigned char diff = a.n != b.n;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)((unsigned char)a.p[i] ^ (unsigned char)(b.n ? b.p[i % b.n] : 0));
    return diff == 0;
}

int ascii_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
