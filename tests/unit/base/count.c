/* count: one is one, and all else is many. */
#include "base/count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void only_one_is_singular(void **state)
{
    (void)state;
    assert_string_equal(COUNT(1, "mailbox", "mailboxes"), "1 mailbox");
    assert_string_equal(COUNT(0, "mailbox", "mailboxes"), "0 mailboxes");
    assert_string_equal(COUNT(2ULL, "mailbox has", "mailboxes have"), "2 mailboxes have");
    assert_string_equal(COUNT(-1, "day", "days"), "-1 days");
    assert_string_equal(COUNT((size_t)1 << 40, "byte", "bytes"), "1099511627776 bytes");
}

/* Several in one call do not share their text. */
static void each_has_its_own_text(void **state)
{
    (void)state;
    char both[2 * COUNT_MAX];
    (void)snprintf(both, sizeof both, "%s in %s", COUNT(1, "message", "messages"), COUNT(3, "mailbox", "mailboxes"));
    assert_string_equal(both, "1 message in 3 mailboxes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_is_singular),
        cmocka_unit_test(each_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
