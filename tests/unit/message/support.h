/* support: what the tests of this folder share. */
#ifndef VALISE_TESTS_MESSAGE_SUPPORT_H
#define VALISE_TESTS_MESSAGE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

/* A heap copy of exactly S.n bytes, so that a read behind the end is found. Free .p with free_exact. */
static inline str exact(str s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert_non_null(p);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

static inline void free_exact(str s)
{
    free((void *)(uintptr_t)s.p);
}

/* Fails with both texts shown. */
static inline void assert_str(str got, str expected)
{
    if (!str_eq(got, expected))
        fail_msg("got \"%.*s\" (%zu bytes), expected \"%.*s\" (%zu bytes)", STR_ARG(got), got.n, STR_ARG(expected), expected.n);
}
#define assert_strz(got, z) assert_str((got), str_from_z(z))

#endif
