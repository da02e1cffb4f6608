/* str: a view of bytes by value; every wire and stored text travels as one.
 *
 * A str does not own its bytes and they need not end with NUL. The empty string is {NULL or anything, 0}.
 * Unless said otherwise a returned str points into an argument and lives as long as that argument does.
 * Nothing here allocates, blocks or fails other than by its return value. */
#ifndef VALISE_BASE_STR_H
#define VALISE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"

typedef struct {
    const char *p;
    size_t n;
} str;

/* A str of a string literal; the terminating NUL is not part of it. */
#define STR(lit) ((str){ "" lit, sizeof(lit) - 1 })
/* The same for static initialisers. */
#define STR_INIT(lit)                                                                                                            \
    {                                                                                                                            \
        "" lit, sizeof(lit) - 1                                                                                                  \
    }
/* printf of a str: printf("%.*s", STR_ARG(s)); cut at INT_MAX. */
#define STR_ARG(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).n ? (s).p : "")

/* The str of a NUL-terminated string from libc's border; NULL gives the empty string. */
str str_from_z(const char *z);

/* Exact comparison. */
bool str_eq(str a, str b);
/* Comparison with ASCII letters folded; other bytes must be equal. */
bool str_ieq(str a, str b);
/* Order by unsigned bytes, then by length: negative, 0 or positive. */
int str_cmp(str a, str b);
/* The same with ASCII letters folded. */
int str_icmp(str a, str b);

bool str_starts(str s, str prefix);
bool str_istarts(str s, str prefix);
bool str_ends(str s, str suffix);
bool str_iends(str s, str suffix);

/* Index of the first byte C at or after FROM, or s.n when there is none. */
size_t str_find_byte(str s, char c, size_t from);
/* Index of the last byte C, or s.n when there is none. */
size_t str_rfind_byte(str s, char c);
/* Index of the first occurrence of NEEDLE, or s.n when there is none. An empty needle is found at 0. */
size_t str_find(str s, str needle);
/* The same with ASCII letters folded. */
size_t str_ifind(str s, str needle);

/* s[from, from+n), cut to what exists. */
str str_sub(str s, size_t from, size_t n);
/* s[from, end), cut to what exists. */
str str_from(str s, size_t from);
/* Without spaces, tabs, CR and LF at both ends. */
str str_trim(str s);

/* Takes the part of *REST before the first SEP (or all of it) into *RET and leaves in *REST what follows the SEP.
 * Returns false when *REST was used up (its p is NULL then). "a,,b" gives "a", "", "b"; an empty str with p set gives one
 * empty part. */
bool str_split(str *rest, char sep, str *ret);

/* Decimal digits only, no sign, no spaces, whole string; false when malformed or above MAX. RET is untouched on failure. */
bool str_to_u64(str s, uint64_t max, uint64_t *ret);
bool str_to_u32(str s, uint32_t max, uint32_t *ret);

/* Hash for tables, keyed by SEED (FNV-1a folded; not for hostile keys without a random seed). */
uint64_t str_hash(str s, uint64_t seed);

/* Equality in time that depends on the lengths only: for secrets and tokens. */
bool str_eq_secret(str a, str b);

/* ASCII classification without locale. */
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c);
}
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
/* 0 to 15, or -1. */
int ascii_hex_value(char c);

#endif
