/* Modified UTF-7 of mailbox names (RFC 3501 section 5.1.3). */
#include "tests/unit/imap/check.h"

#include "imap/utf7.h"

static const struct {
    const char *wire, *name;
} pairs[] = {
    { "INBOX", "INBOX" },
    { "&-", "&" },
    { "R&-D", "R&D" },
    { "Projet R&AOk-seaux", "Projet R\303\251seaux" },
    { "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236" },
    { "&2D3eAA-", "\360\237\230\200" },
    { "&AOk-&-&AOk-", "\303\251&\303\251" },
};

static void pairs_convert_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct arena a = ARENA_INIT(4096);
        struct buf wire = BUF_INIT(4096);
        char *copy = heap_copy(pairs[i].wire);
        str name;
        assert_int_equal(imap_utf7_decode((str){ copy, strlen(pairs[i].wire) }, &a, &name), 0);
        assert_str(name, pairs[i].name);
        imap_utf7_encode(&wire, name);
        assert_str(buf_str(&wire), pairs[i].wire);
        buf_done(&wire);
        arena_done(&a);
        free(copy);
    }
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "&",
        "&AOk",
        "&AOk-&AOk-",
        "&AEE-" /* "A" can represent itself */,
        "&AOl-" /* bits left over */,
        "&AO-",
        "&A-",
        "&2D0-" /* half a pair */,
        "&3gA-",
        "&2D3YPQ-",
        "&AO k-",
        "&AO/p-",
        "\377",
        "a\tb",
        "&AAA-",
        "&AAo-",
        "a\177",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena a = ARENA_INIT(4096);
        char *copy = heap_copy(bad[i]);
        str name;
        if (imap_utf7_decode((str){ copy, strlen(bad[i]) }, &a, &name) != ERR_SYNTAX)
            fail_msg("accepted: %s", bad[i]);
        arena_done(&a);
        free(copy);
    }
}

static void raw_utf8_is_taken_as_it_is(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT(4096);
    str name;
    assert_int_equal(imap_utf7_decode(STR("R\303\251seaux"), &a, &name), 0);
    assert_str(name, "R\303\251seaux");
    arena_done(&a);
}

static void broken_utf8_is_written_as_replacement(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    imap_utf7_encode(&b, STR("a\377b"));
    assert_str(buf_str(&b), "a&,,0-b");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_convert_both_ways),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(raw_utf8_is_taken_as_it_is),
        cmocka_unit_test(broken_utf8_is_written_as_replacement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
