/* Mailboxes: names, listing, creation, deletion, renaming, subscriptions, and the life of accounts. */
#include "mail_fixture.h"
#include "store/codec.h"
#include "store/keys.h"

/* All mailboxes as text: name, then + for children, s for subscribed, ! for not existing. */
static void list(struct fixture *f, struct buf *b)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info *info;
    size_t n;
    assert_int_equal(mailbox_list(f->a, &arena, &info, &n), 0);
    buf_reset(b);
    for (size_t i = 0; i < n; i++)
        buf_addf(b, "%s%.*s%s%s%s", i ? " " : "", STR_ARG(info[i].name), info[i].has_children ? "+" : "",
                 info[i].subscribed ? "s" : "", info[i].exists ? "" : "!");
    buf_add_byte(b, '\0');
    arena_done(&arena);
}

#define assert_list(f, want)                                                                                                     \
    do {                                                                                                                         \
        struct buf list_b = BUF_INIT(1 << 16);                                                                                   \
        list((f), &list_b);                                                                                                      \
        assert_string_equal(list_b.p, (want));                                                                                   \
        buf_done(&list_b);                                                                                                       \
    } while (0)

static int create(struct fixture *f, const char *name)
{
    return mailbox_create(f->a, str_from_z(name), MAIL_USE_NONE, NULL);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        int want;
    } table[] = {
        { "Work", 0 },
        { "Work", ERR_EXISTS },
        { "", ERR_SYNTAX },
        { "/x", ERR_SYNTAX },
        { "x/", ERR_SYNTAX },
        { "x//y", ERR_SYNTAX },
        { "x\ny", ERR_SYNTAX },
        { "x\x7f", ERR_SYNTAX },
        { "\xff", ERR_SYNTAX },
        { "\xc2\x85", ERR_SYNTAX },
        { "Entw\xc3\xbcrfe", 0 },
        { "inbox", ERR_EXISTS },
        { "iNbOx/Sub", 0 },
        { "INBOX/Sub", ERR_EXISTS },
        { "inboxes", 0 },
        { "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t", 0 },
        { "b/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u", ERR_SYNTAX },
    };
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(create(&f, table[i].name), table[i].want);
    char name[MAIL_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    assert_int_equal(mailbox_create(f.a, (str){ name, MAIL_NAME_MAX + 1 }, MAIL_USE_NONE, NULL), ERR_SYNTAX);
    assert_int_equal(mailbox_create(f.a, (str){ name, MAIL_NAME_MAX }, MAIL_USE_NONE, NULL), 0);
    fixture_close(&f);
}

static void listing_is_in_hierarchical_order(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_list(&f, "INBOXs Archives Draftss Junks Sents Trashs");
    assert_int_equal(create(&f, "a/b/c"), 0);
    assert_int_equal(create(&f, "a-b"), 0);
    assert_int_equal(create(&f, "a/b!"), 0);
    assert_int_equal(mailbox_subscribe(f.a, STR("gone/away"), true), 0);
    assert_int_equal(mailbox_subscribe(f.a, STR("Junk"), false), 0);
    assert_int_equal(mailbox_delete(f.a, STR("a/b"), NULL), 0);
    assert_list(&f, "INBOXs Archives Draftss Junk Sents Trashs a+ a/b+! a/b/c a/b! a-b gone! gone/aways!");
    fixture_reopen(&f);
    assert_list(&f, "INBOXs Archives Draftss Junk Sents Trashs a+ a/b+! a/b/c a/b! a-b gone! gone/aways!");
    assert_int_equal(mailbox_subscribe(f.a, STR("gone/away"), false), 0);
    assert_int_equal(mailbox_subscribe(f.a, STR("gone/away"), false), 0);
    struct arena arena = ARENA_INIT(1 << 16);
    struct mailbox_info info;
    assert_int_equal(mailbox_find(f.a, STR("Sent"), &arena, &info), 0);
    assert_int_equal(info.use, MAIL_USE_SENT);
    assert_int_equal(mailbox_find(f.a, STR("a"), &arena, &info), 0);
    assert_true(info.has_children);
    assert_int_equal(mailbox_find(f.a, STR("a/b"), &arena, &info), ERR_NOTFOUND);
    arena_done(&arena);
    fixture_close(&f);
}

static void a_special_use_is_one_mailboxes(void **state)
{
    (void)state;
    struct fixture f;
    struct error e = ERROR_NONE;
    fixture_open(&f);
    assert_int_equal(mailbox_create(f.a, STR("Other"), MAIL_USE_SENT, &e), ERR_REFUSED);
    assert_int_equal(mailbox_create(f.a, STR("Other"), MAIL_USE_ALL, &e), ERR_REFUSED);
    assert_int_equal(mailbox_create(f.a, STR("Other"), MAIL_USE_FLAGGED, &e), ERR_REFUSED);
    assert_int_equal(mailbox_delete(f.a, STR("Sent"), &e), 0);
    assert_int_equal(mailbox_create(f.a, STR("Deep/Other"), MAIL_USE_SENT, &e), 0);
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info info;
    assert_int_equal(mailbox_find(f.a, STR("Deep/Other"), &arena, &info), 0);
    assert_int_equal(info.use, MAIL_USE_SENT);
    assert_int_equal(mailbox_find(f.a, STR("Deep"), &arena, &info), 0);
    assert_int_equal(info.use, MAIL_USE_NONE);
    arena_done(&arena);
    fixture_close(&f);
}

static void deletion_takes_the_messages_and_tells_views(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(create(&f, "Old"), 0);
    for (int i = 0; i < 250; i++)
        fixture_append(&f, "Old", "m", 0);
    struct mail_view *v = fixture_view(&f, "Old");
    uint32_t first = mail_view_info(v).uidvalidity;
    uint32_t seq = 1, uidvalidity;
    struct mail_uid_pair pair;
    size_t n;
    assert_int_equal(mail_view_copy(v, &seq, 1, STR("INBOX"), false, &pair, &n, &uidvalidity), 0);
    assert_int_equal(mailbox_delete(f.a, STR("INBOX"), NULL), ERR_REFUSED);
    assert_int_equal(mailbox_delete(f.a, STR("Older"), NULL), ERR_NOTFOUND);
    assert_int_equal(mailbox_delete(f.a, STR("Old"), NULL), 0);
    fixture_sync(v, true, "deleted 0");
    fixture_sync(v, true, "");
    struct mail_entry e;
    assert_int_equal(mail_view_entry(v, 1, &e), ERR_NOTFOUND);
    assert_int_equal(fixture_store(v, 1, MAIL_FLAGS_ADD, MAIL_SEEN, true), ERR_NOTFOUND);
    assert_int_equal(fixture_try_append(f.s, f.a, "Old", "m", 0, NULL), ERR_NOTFOUND);
    struct mail_check_report report = { 0 };
    assert_int_equal(mail_check(f.s, f.id, true, fixture_fail, NULL, &report), 0);
    assert_int_equal(report.problems, 0);
    assert_int_equal(report.emails, 1);
    assert_int_equal(create(&f, "Old"), 0);
    struct mail_view *w = fixture_view(&f, "Old");
    assert_true(mail_view_info(w).uidvalidity > first);
    assert_int_equal(mail_view_count(w), 0);
    mail_view_close(w);
    mail_view_close(v);
    fixture_close(&f);
}

/* "The combination of mailbox name, UIDVALIDITY, and UID must refer to a single immutable message on that server forever" (RFC 3501 section
 * 2.3.1.1): any mailbox may be renamed to the name of one that was deleted. */
static void no_two_mailboxes_share_a_uidvalidity(void **state)
{
    struct fixture f;
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info *list;
    size_t n;
    fixture_open(&f);
    assert_int_equal(create(&f, "a/b/c"), 0);
    assert_int_equal(create(&f, "d"), 0);
    assert_int_equal(mailbox_list(f.a, &arena, &list, &n), 0);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(list[i].uidvalidity, list[j].uidvalidity);
    arena_done(&arena);
    fixture_close(&f);
}

static void renaming_takes_children_along(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(create(&f, "a/b/c"), 0);
    assert_int_equal(create(&f, "x"), 0);
    fixture_append(&f, "a/b", "m", 0);
    struct mail_view *v = fixture_view(&f, "a/b");
    assert_int_equal(mailbox_rename(f.a, STR("a"), STR("a/b/d"), NULL), ERR_REFUSED);
    assert_int_equal(mailbox_rename(f.a, STR("a"), STR("x"), NULL), ERR_EXISTS);
    assert_int_equal(mailbox_rename(f.a, STR("a"), STR("a"), NULL), ERR_EXISTS);
    assert_int_equal(mailbox_rename(f.a, STR("q"), STR("r"), NULL), ERR_NOTFOUND);
    assert_int_equal(mailbox_rename(f.a, STR("a"), STR("p/q"), NULL), 0);
    assert_list(&f, "INBOXs Archives Draftss Junks Sents Trashs p+ p/q+ p/q/b+ p/q/b/c x");
    fixture_append(&f, "p/q/b", "m", 0);
    fixture_sync(v, true, "exists 2, recent 2");
    mail_view_close(v);
    fixture_reopen(&f);
    assert_list(&f, "INBOXs Archives Draftss Junks Sents Trashs p+ p/q+ p/q/b+ p/q/b/c x");
    fixture_close(&f);
}

static void renaming_inbox_leaves_it_empty(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 300; i++)
        fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    assert_int_equal(mailbox_rename(f.a, STR("inbox"), STR("Sent"), NULL), ERR_EXISTS);
    assert_int_equal(mailbox_rename(f.a, STR("inbox"), STR("2026/old"), NULL), 0);
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(mail_view_sync(v, true, fixture_note, &b), 0);
    buf_done(&b);
    assert_int_equal(mail_view_count(v), 0);
    fixture_append(&f, "INBOX", "m", 0);
    fixture_sync(v, true, "exists 1, recent 1");
    struct mail_view *w = fixture_view(&f, "2026/old");
    assert_int_equal(mail_view_count(w), 300);
    mail_view_close(w);
    mail_view_close(v);
    fixture_close(&f);
}

static void accounts_come_and_go(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(mail_account_create(f.s, f.id), ERR_EXISTS);
    engine_part other = fixture_part(2);
    struct mail_account *a;
    assert_int_equal(mail_account_open(f.s, other, &a), ERR_NOTFOUND);
    assert_int_equal(mail_account_create(f.s, other), 0);
    assert_int_equal(mail_account_open(f.s, other, &a), 0);
    for (int i = 0; i < 150; i++)
        assert_int_equal(fixture_try_append(f.s, a, "INBOX", "m", 0, NULL), 0);
    struct mail_view *v;
    assert_int_equal(mail_view_open(a, STR("INBOX"), false, NULL, NULL, &v), 0);
    assert_int_equal(mail_account_delete(f.s, other), 0);
    assert_int_equal(mail_account_delete(f.s, other), ERR_NOTFOUND);
    struct mail_account *again;
    assert_int_equal(mail_account_open(f.s, other, &again), ERR_NOTFOUND);
    assert_int_equal(mail_account_create(f.s, other), 0);
    fixture_sync(v, true, "deleted 0");
    mail_view_close(v);
    assert_int_equal(mail_account_open(f.s, other, &again), 0);
    assert_int_equal(mail_view_open(again, STR("INBOX"), false, NULL, NULL, &v), 0);
    assert_int_equal(mail_view_count(v), 0);
    mail_view_close(v);
    mail_account_unref(again);
    mail_account_unref(a);
    struct mail_check_report report = { 0 };
    assert_int_equal(mail_check(f.s, other, true, fixture_fail, NULL, &report), 0);
    assert_int_equal(report.problems, 0);
    fixture_close(&f);
}

/* Mailbox FROM gets the name TO in the store, whatever may be asked for today. */
static void name_as_formerly(struct fixture *f, str from, str to)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info info;
    struct buf value = BUF_INIT(4096);
    assert_int_equal(mailbox_find(f->a, from, &arena, &info), 0);
    struct key k = key_of_id(KEY_MAILBOX, info.id);
    mailbox_encode(&value, &(struct mailbox_record){ .name = to, .uidvalidity = info.uidvalidity });
    struct engine_txn *t = engine_begin(f->g, f->id, ENGINE_ANY_VERSION);
    engine_put(t, key_str(&k), buf_str(&value));
    assert_int_equal(engine_commit(t, NULL), 0);
    buf_done(&value);
    arena_done(&arena);
    fixture_reopen(f);
}

#define COMPOSED   "caf\xc3\xa9"
#define DECOMPOSED "cafe\xcc\x81"

static bool is_called(struct fixture *f, const char *name, const char *stored)
{
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info info;
    bool found = mailbox_find(f->a, str_from_z(name), &arena, &info) == 0 && str_eq(info.name, str_from_z(stored));
    arena_done(&arena);
    return found;
}

/* What was made before names were composed is found in both forms, keeps its own, and what comes below it is below it. */
static void decomposed_names_of_former_times(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(mailbox_create(f.a, STR("was"), MAIL_USE_NONE, NULL), 0);
    name_as_formerly(&f, STR("was"), STR(DECOMPOSED));
    assert_true(is_called(&f, DECOMPOSED, DECOMPOSED) && is_called(&f, COMPOSED, DECOMPOSED));
    assert_int_equal(mailbox_create(f.a, STR(COMPOSED), MAIL_USE_NONE, NULL), ERR_EXISTS);
    assert_int_equal(fixture_append(&f, COMPOSED, "m", 0), 1);
    assert_int_equal(mailbox_create(f.a, STR(COMPOSED "/" DECOMPOSED), MAIL_USE_NONE, NULL), 0);
    assert_true(is_called(&f, COMPOSED "/" COMPOSED, DECOMPOSED "/" COMPOSED));
    assert_int_equal(mailbox_rename(f.a, STR(COMPOSED), STR(DECOMPOSED "/x"), NULL), ERR_REFUSED);
    assert_int_equal(mailbox_subscribe(f.a, STR(COMPOSED), true), 0);
    struct arena arena = ARENA_INIT(1 << 20);
    struct mailbox_info info;
    assert_int_equal(mailbox_find(f.a, STR(DECOMPOSED), &arena, &info), 0);
    assert_true(info.subscribed && info.has_children && info.messages == 1);
    arena_done(&arena);
    /* A twin of former times: each form is its own mailbox's. */
    assert_int_equal(mailbox_create(f.a, STR("twin"), MAIL_USE_NONE, NULL), 0);
    name_as_formerly(&f, STR("twin"), STR(COMPOSED));
    assert_true(is_called(&f, COMPOSED, COMPOSED) && is_called(&f, DECOMPOSED, DECOMPOSED));
    assert_int_equal(mailbox_delete(f.a, STR(COMPOSED), NULL), 0);
    assert_true(is_called(&f, COMPOSED, DECOMPOSED));
    /* It can be composed by renaming it, with all below. */
    assert_int_equal(mailbox_rename(f.a, STR(DECOMPOSED), STR(COMPOSED), NULL), 0);
    assert_true(is_called(&f, DECOMPOSED, COMPOSED) && is_called(&f, DECOMPOSED "/" DECOMPOSED, COMPOSED "/" COMPOSED));
    assert_int_equal(mailbox_rename(f.a, STR(DECOMPOSED), STR(COMPOSED), NULL), ERR_EXISTS);
    fixture_close(&f);
}

/* Mailboxes that could not be made today stay reachable, below them too what was there. */
static void folder_names_of_former_times(void **state)
{
    struct fixture f;
    struct arena arena = ARENA_INIT(1 << 20);
    str apart;
    fixture_open(&f);
    assert_int_equal(mailbox_create(f.a, STR("was"), MAIL_USE_NONE, NULL), 0);
    name_as_formerly(&f, STR("was"), STR("a/new"));
    assert_int_equal(mailbox_create(f.a, STR("a/new"), MAIL_USE_NONE, NULL), ERR_EXISTS);
    assert_int_equal(mailbox_create(f.a, STR("a/tmp"), MAIL_USE_NONE, NULL), ERR_SYNTAX);
    assert_int_equal(fixture_append(&f, "a/new", "m", 0), 1);
    assert_int_equal(mailbox_rename(f.a, STR("a/new"), STR("a/news"), NULL), 0);
    assert_int_equal(mailbox_name_apart(STR("a/new/../b"), &arena, &apart), 0);
    assert_true(str_eq(apart, STR("a/new_/.._/b")));
    arena_done(&arena);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(listing_is_in_hierarchical_order),
        cmocka_unit_test(a_special_use_is_one_mailboxes),
        cmocka_unit_test(deletion_takes_the_messages_and_tells_views),
        cmocka_unit_test(no_two_mailboxes_share_a_uidvalidity),
        cmocka_unit_test(renaming_takes_children_along),
        cmocka_unit_test(renaming_inbox_leaves_it_empty),
        cmocka_unit_test(accounts_come_and_go),
        cmocka_unit_test(decomposed_names_of_former_times),
        cmocka_unit_test(folder_names_of_former_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
