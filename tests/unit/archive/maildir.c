/* maildir: names of messages, keywords and folders, both ways. */
#include "../check.h"

#include "archive/maildir.h"

enum { MAX = 1 << 20 };

static void test_message_names(void **state)
{
    (void)state;
    static const struct {
        str name;
        uint64_t system;
        size_t keyword_n;
    } rows[] = {
        { STR_INIT("1700000000.M1P2.host,S=10,W=12:2,"), 0, 0 },
        { STR_INIT("1700000000.M1P2.host:2,S"), MAIL_SEEN, 0 },
        { STR_INIT("x:2,DFRST"), MAIL_DRAFT | MAIL_FLAGGED | MAIL_ANSWERED | MAIL_SEEN | MAIL_DELETED, 0 },
        { STR_INIT("x:2,Sab"), MAIL_SEEN, 1 },
        { STR_INIT("x:2,z"), 0, 0 },
        { STR_INIT("x:1,S"), 0, 0 },
        { STR_INIT("x:2,PS"), MAIL_SEEN, 1 },
        { STR_INIT("1700000000.M1P2.host;2,FS"), MAIL_FLAGGED | MAIL_SEEN, 0 },
        { STR_INIT("1700000000.M1P2.host!2,S"), MAIL_SEEN, 0 },
        { STR_INIT("x;2,Sa"), MAIL_SEEN, 1 },
        { STR_INIT("x;2,"), 0, 0 },
        { STR_INIT("x;2"), 0, 0 },
        { STR_INIT("x;2,S.eml"), 0, 0 },
        { STR_INIT("x;2,F!2,S"), MAIL_SEEN, 0 },
        { STR_INIT("x!2,F:2,S"), MAIL_SEEN, 0 },
        { STR_INIT("1700000002.host;2,S"), MAIL_SEEN, 2 },
        { STR_INIT("1700000001.M2:3.host:2,F"), MAIL_FLAGGED, 2 },
        { STR_INIT("1700000001.M2:3.host"), 0, 2 },
        { STR_INIT("1700000002.host:2,a"), 0, 2 },
        { STR_INIT("1700000003.host:2,"), 0, 2 },
        { STR_INIT("1700000004.host:2,"), 0, 0 },
        { STR_INIT("S"), 0, 0 },
        { STR_INIT(""), 0, 0 },
    };
    struct maildir_keywords k = { .names = { STR("work") } };
    struct maildir_courier c;
    struct arena names = ARENA_INIT(MAX);
    str list = check_copy(
        STR("$Junk\nwork\n\"odd (one)\n\n1700000001.M2:3.host:0 2 9 x\n:1\n1700000002.host:1 0 0\nnothing\n1700000003.host:"));
    assert_int_equal(maildir_courier_parse(list, &names, &c), 0);
    assert_int_equal(maildir_courier_replace(&c, STR("1700000003.host"), STR("later\n$Label3\n"), &names), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a = ARENA_INIT(MAX);
        struct mail_flags flags;
        str copy = check_copy(rows[i].name);
        uint32_t lost = 7;
        assert_int_equal(maildir_name_parse(copy, &k, &c, &a, &flags, &lost), 0);
        assert_int_equal(lost, 0);
        if (rows[i].system == MAIL_FLAGGED && flags.keyword_n == 2) {
            check_str(flags.keywords[0], "$Junk");
            check_str(flags.keywords[1], "_odd__one_");
        }
        if (flags.system != rows[i].system || flags.keyword_n != rows[i].keyword_n)
            fail_msg("%.*s: flags %llx, %zu keywords", STR_ARG(rows[i].name), (unsigned long long)flags.system, flags.keyword_n);
        check_free(copy);
        arena_done(&a);
    }
    maildir_courier_done(&c);
    arena_done(&names);
    check_free(list);
    struct buf b = BUF_INIT(MAX);
    maildir_name_add(&b, 1700000000, 7, 42, MAIL_SEEN | MAIL_DRAFT, 5);
    check_str(buf_str(&b), "1700000000.V7.valise,S=42:2,DSac");
    buf_done(&b);
}

static void test_keywords(void **state)
{
    (void)state;
    struct maildir_keywords k;
    struct buf b = BUF_INIT(MAX);
    maildir_keywords_parse(STR("0 work\n2 $Junk\n26 many\nx y\n3\n4 two words\n"), &k);
    check_str(k.names[0], "work");
    check_str(k.names[2], "$Junk");
    assert_int_equal(k.names[3].n + k.names[4].n, 0);
    assert_int_equal(maildir_keyword_letter(&k, STR("WORK")), 0);
    assert_int_equal(maildir_keyword_letter(&k, STR("new")), 1);
    maildir_keywords_add(&b, &k);
    check_str(buf_str(&b), "0 work\n1 new\n2 $Junk\n");
    char names[30][4];
    for (size_t i = 0; i < 30; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
        assert_int_equal(maildir_keyword_letter(&k, str_from_z(names[i])) >= 0, i < 23);
    }
    buf_done(&b);
}

static void test_folders(void **state)
{
    (void)state;
    static const struct {
        const char *name, *folder;
    } rows[] = {
        { "Sent", ".Sent" }, { "Work/2026", ".Work.2026" }, { "v1.2/a\\b", ".v1\\2e2.a\\5cb" }, { "Re\xc3\xa7us", ".Re&AOc-us" },
        { "R&D", ".R&-D" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(MAX);
        struct arena a = ARENA_INIT(MAX);
        str name;
        maildir_folder_add(&b, str_from_z(rows[i].name));
        check_str(buf_str(&b), rows[i].folder);
        str copy = check_copy(buf_str(&b));
        assert_int_equal(maildir_folder_parse(copy, &a, &name), 0);
        check_str(name, rows[i].name);
        check_free(copy);
        buf_done(&b);
        arena_done(&a);
    }
    static const char *const bad[] = { "",    ".",       "Sent",   "..",     "..Sent", ".a..b",
                                       ".a.", ".a\\2fb", ".a\\00", ".a\\e1", ".&",     ".a&AOc" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena a = ARENA_INIT(MAX);
        str name, copy = check_copy(str_from_z(bad[i]));
        if (maildir_folder_parse(copy, &a, &name) != ERR_SYNTAX)
            fail_msg("%s was taken as a folder", bad[i]);
        check_free(copy);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_message_names), cmocka_unit_test(test_keywords),
                                        cmocka_unit_test(test_folders) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
