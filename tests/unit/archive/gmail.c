/* gmail: labels to one folder and flags; in the languages that are known, quoted, encoded and folded. */
#include "../check.h"

#include "archive/gmail.h"

enum { MAX = 1 << 20 };

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *value, *folder, *keywords;
        uint64_t system;
    } rows[] = {
        { "Inbox,Important,Opened", "INBOX", "$Important ", MAIL_SEEN },
        { " Inbox,Unread,Starred", "INBOX", "", MAIL_FLAGGED },
        { "Archived,Opened,Category Updates", "Archive", "", MAIL_SEEN },
        { "Archived,Opened,Work/Projects,Later", "Work/Projects", "", MAIL_SEEN },
        { "Inbox,Work", "INBOX", "", MAIL_SEEN },
        { "Sent,Work", "Work", "", MAIL_SEEN },
        { "Sent,Inbox", "INBOX", "", MAIL_SEEN },
        { "Sent,Opened", "Sent", "", MAIL_SEEN },
        { "Trash,Inbox,Work", "Trash", "", MAIL_SEEN },
        { "Spam,Unread,Category Promotions", "Junk", "", 0 },
        { "Draft,Opened", "Drafts", "", MAIL_SEEN | MAIL_DRAFT },
        { "IMAP_$Forwarded,Inbox,IMAP_NonJunk", "INBOX", "$Forwarded NonJunk ", MAIL_SEEN },
        { "\"a, b\",Opened", "a, b", "", MAIL_SEEN },
        { "\"a \\\"q\\\", b\"", "a \"q\", b", "", MAIL_SEEN },
        { "//a///b/,c", "a/b", "", MAIL_SEEN },
        { "/,Opened", "Archive", "", MAIL_SEEN },
        { "", "Archive", "", MAIL_SEEN },
        { ",,", "Archive", "", MAIL_SEEN },
        { "=?UTF-8?Q?Bo=C3=AEte_de_r=C3=A9ception,Non_lus,Suivis?=", "INBOX", "", MAIL_FLAGGED },
        { "=?UTF-8?Q?Messages_archiv=C3=A9s,Ouvert,Cat=C3=A9gorie=C2=A0:_E-mails_?=\r\n "
          "=?UTF-8?Q?personnels,\"Culture,_associations\"?=",
          "Culture, associations", "", MAIL_SEEN },
        { "=?UTF-8?B?TWVzc2FnZXMgZW52b3nDqXM=?=", "Sent", "", MAIL_SEEN },
        { "=?UTF-8?Q?Posteingang,Wichtig,Ungelesen,Kategorie:_=22Neuigkeiten=22?=", "INBOX", "$Important ", 0 },
        { "=?UTF-8?Q?Entw=C3=BCrfe,Ge=C3=B6ffnet?=", "Drafts", "", MAIL_SEEN | MAIL_DRAFT },
        { "Papierkorb,Gesendet", "Trash", "", MAIL_SEEN },
        { "Recibidos,Destacados,Importante", "INBOX", "$Important ", MAIL_SEEN | MAIL_FLAGGED },
        { "Posta in arrivo,Da leggere", "INBOX", "", 0 },
        { "=?UTF-8?Q?Caixa_de_entrada,N=C3=A3o_lidas,Com_estrela?=", "INBOX", "", MAIL_FLAGGED },
        { "Verzonden,Geopend", "Sent", "", MAIL_SEEN },
        { "Inbox,=?UTF-8?Q?Kunden/=C3=9Cbung?=", "INBOX", "", MAIL_SEEN },
        { "=?UTF-8?Q?Kunden/=C3=9Cbung?=,Opened",
          "Kunden/\xc3\x9c"
          "bung",
          "", MAIL_SEEN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a = ARENA_INIT(MAX);
        struct buf keywords = BUF_INIT(MAX);
        struct gmail_labels found;
        str copy = check_copy(str_from_z(rows[i].value));
        assert_int_equal(gmail_labels_read(copy, &a, &found), 0);
        for (size_t k = 0; k < found.flags.keyword_n; k++)
            buf_add_all(&keywords, found.flags.keywords[k], STR(" "));
        if (!str_eq(found.folder, str_from_z(rows[i].folder)) || found.flags.system != rows[i].system ||
            !str_eq(buf_str(&keywords), str_from_z(rows[i].keywords)))
            fail_msg("'%s' gave %.*s, %llx, %.*s", rows[i].value, STR_ARG(found.folder), (unsigned long long)found.flags.system,
                     STR_ARG(buf_str(&keywords)));
        check_free(copy);
        buf_done(&keywords);
        arena_done(&a);
    }
}

/* Whoever sends mail could write such a field, too: then it stands below those of transport. */
static void test_whose_field_it_is(void **state)
{
    (void)state;
    check_str(gmail_labels_find(STR("X-GM-THRID: 1\nX-Gmail-Labels: a,\n b\nReceived: x\n\nbody")), " a,\n b");
    check_str(gmail_labels_find(STR("From: x\nX-Gmail-Labels: a\n\nbody")), " a");
    assert_null(gmail_labels_find(STR("Delivered-To: x\nX-Gmail-Labels: Trash\n\nbody")).p);
    assert_null(gmail_labels_find(STR("Received: x\n\ty\nX-Gmail-Labels: Trash\n\nbody")).p);
    assert_null(gmail_labels_find(STR("From: x\n\nX-Gmail-Labels: Trash\n")).p);
}

/* Where another program has had the file since, its owner's folders count and not the labels. */
static void test_whose_file_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *text;
        bool takeout;
    } rows[] = {
        { "1594782345678@xxx", "X-GM-THRID: 1\nX-Gmail-Labels: a\nReceived: x\n\nbody", true },
        { "1@xxx", "Status: x\nX-Gmail-Labels: a\n\nX-Mozilla-Status: 0001", true },
        { "1@xxxx", "X-Gmail-Labels: a\n\n", false },
        { "@xxx", "X-Gmail-Labels: a\n\n", false },
        { "a1@xxx", "X-Gmail-Labels: a\n\n", false },
        { "MAILER-DAEMON", "X-Gmail-Labels: a\n\n", false },
        { "-", "X-Gmail-Labels: a\n\n", false },
        { "", "X-Gmail-Labels: a\n\n", false },
        { "1@xxx", "Status: RO\nX-Status: F\nX-Keywords:\nX-Gmail-Labels: a\n\n", false },
        { "1@xxx", "X-Mozilla-Status: 0001\nX-Gmail-Labels: a\n\n", false },
        { "1@xxx", "X-Gmail-Labels: a\nX-Evolution: 1-10\n\n", false },
        { "1@xxx", "X-Gmail-Labels: a\nStatus: RO\nX-UID: 7\n\n", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (gmail_is_takeout(str_from_z(rows[i].sender), str_from_z(rows[i].text)) != rows[i].takeout)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_labels), cmocka_unit_test(test_whose_field_it_is),
                                        cmocka_unit_test(test_whose_file_it_is) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
