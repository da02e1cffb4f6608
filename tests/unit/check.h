/* check: what every cmocka test of ours includes: the headers cmocka wants before it, and exact-size heap copies for parser inputs. */
#ifndef VALISE_TESTS_CHECK_H
#define VALISE_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

/* A copy of S in a heap block of exactly its size: reading one byte past it is an error that ASan sees. free((char *)copy.p). */
static inline str check_copy(str s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert_non_null(p);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

static inline void check_free(str copy)
{
    free((char *)(uintptr_t)copy.p);
}

/* How often or how many: MANY, or FEW where everything takes twenty times as long (scripts/test sets CHECK_FEW under valgrind). */
static inline unsigned check_many(unsigned many, unsigned few)
{
    return getenv("CHECK_FEW") ? few : many;
}

/* S equals Z; shows both when not. */
#define check_str(s, z)                                                                                                          \
    do {                                                                                                                         \
        str check_s_ = (s);                                                                                                      \
        if (!str_eq(check_s_, str_from_z(z)))                                                                                    \
            fail_msg("got '%.*s', expected '%s'", STR_ARG(check_s_), (z));                                                       \
    } while (0)

#endif
