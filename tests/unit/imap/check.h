/* check: what the tests of this folder share: strings without a NUL behind them, and comparing a str. */
#ifndef VALISE_TESTS_UNIT_IMAP_CHECK_H
#define VALISE_TESTS_UNIT_IMAP_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

/* The bytes of Z in memory of exactly their size, so that a read behind them is found. */
static inline char *heap_copy(const char *z)
{
    size_t n = strlen(z);
    char *p = malloc(n ? n : 1);
    assert_non_null(p);
    memcpy(p, z, n);
    return p;
}

#define assert_str(s, z) assert_str_at((s), (z), __FILE__, __LINE__)
static inline void assert_str_at(str s, const char *z, const char *file, int line)
{
    if (!str_eq(s, str_from_z(z))) {
        print_error("got      \"%.*s\"\nexpected \"%s\"\n", STR_ARG(s), z);
        _fail(file, line);
    }
}

#endif
