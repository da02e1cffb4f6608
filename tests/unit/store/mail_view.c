/* What a session is told of its mailbox, and what its STORE, EXPUNGE, COPY and MOVE do. */
#include "mail_fixture.h"

static void append_shows_in_open_views(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct mail_view *v = fixture_view(&f, "inbox");
    assert_int_equal(mail_view_count(v), 0);
    assert_int_equal(fixture_append(&f, "INBOX", "one", 0), 1);
    assert_int_equal(fixture_append(&f, "INBOX", "two", MAIL_SEEN), 2);
    assert_int_equal(mail_view_count(v), 0);
    fixture_sync(v, true, "exists 2, recent 2");
    fixture_sync(v, true, "");
    assert_int_equal(mail_view_uid(v, 2), 2);
    assert_int_equal(mail_view_seq_from(v, 2), 2);
    assert_int_equal(mail_view_seq_from(v, 3), 3);
    struct mail_entry e;
    assert_int_equal(mail_view_entry(v, 2, &e), 0);
    assert_int_equal(e.flags, MAIL_SEEN);
    assert_int_equal(e.received_ms, 1000);
    assert_true(mail_view_is_recent(v, 1));
    struct mailbox_info info = mail_view_info(v);
    assert_int_equal(info.messages, 2);
    assert_int_equal(info.unseen, 1);
    assert_int_equal(info.uidnext, 3);
    /* Recent belongs to the first session. */
    struct mail_view *second = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_recent(second), 0);
    assert_int_equal(mail_view_first_unseen(second), 1);
    mail_view_close(second);
    mail_view_close(v);
    fixture_close(&f);
}

static void store_tells_others_and_self_unless_silent(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 3; i++)
        fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX"), *w = fixture_view(&f, "INBOX");
    assert_int_equal(fixture_store(v, 2, MAIL_FLAGS_ADD, MAIL_SEEN, false), 0);
    fixture_sync(v, true, "flags 2");
    fixture_sync(w, true, "flags 2");
    assert_int_equal(fixture_flags(w, 2), MAIL_SEEN);
    assert_int_equal(fixture_store(v, 1, MAIL_FLAGS_SET, MAIL_FLAGGED, true), 0);
    fixture_sync(v, true, "");
    fixture_sync(w, true, "flags 1");
    /* No effect: told to the one who asked only. */
    assert_int_equal(fixture_store(v, 1, MAIL_FLAGS_ADD, MAIL_FLAGGED, false), 0);
    fixture_sync(v, true, "flags 1");
    fixture_sync(w, true, "");
    /* A silent change does not hide what another session did before it... */
    assert_int_equal(fixture_store(w, 3, MAIL_FLAGS_ADD, MAIL_ANSWERED, true), 0);
    assert_int_equal(fixture_store(v, 3, MAIL_FLAGS_ADD, MAIL_SEEN, true), 0);
    fixture_sync(v, true, "flags 3");
    fixture_sync(w, true, "flags 3");
    /* ...or after it. */
    assert_int_equal(fixture_store(v, 3, MAIL_FLAGS_REMOVE, MAIL_SEEN, true), 0);
    assert_int_equal(fixture_store(w, 3, MAIL_FLAGS_REMOVE, MAIL_ANSWERED, true), 0);
    fixture_sync(v, true, "flags 3");
    assert_int_equal(fixture_flags(v, 3), 0);
    mail_view_close(v);
    mail_view_close(w);
    fixture_close(&f);
}

static void unchanged_since_guards_store(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 3; i++)
        fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    uint64_t before = mail_view_info(v).modseq;
    assert_int_equal(fixture_store(v, 2, MAIL_FLAGS_ADD, MAIL_SEEN, true), 0);
    uint32_t seqs[] = { 1, 2, 3 }, modified[3];
    size_t modified_n = 9, missing = 9;
    struct mail_flags set = { .system = MAIL_FLAGGED };
    assert_int_equal(mail_view_store(v, seqs, 3, MAIL_FLAGS_ADD, &set, true, before, modified, &modified_n, &missing), 0);
    assert_int_equal(modified_n, 1);
    assert_int_equal(modified[0], 2);
    assert_int_equal(missing, 0);
    assert_int_equal(fixture_flags(v, 2), MAIL_SEEN);
    assert_int_equal(fixture_flags(v, 3), MAIL_FLAGGED);
    mail_view_close(v);
    fixture_close(&f);
}

static void expunge_waits_until_allowed(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 5; i++)
        fixture_append(&f, "INBOX", "m", i == 1 || i == 2 || i == 4 ? MAIL_DELETED : 0);
    struct mail_view *v = fixture_view(&f, "INBOX"), *w = fixture_view(&f, "INBOX");
    uint32_t second = 2;
    assert_int_equal(mail_view_expunge(v, &second, 1), 0);
    fixture_sync(w, false, "");
    assert_int_equal(mail_view_count(w), 5);
    struct mail_entry e = { 0 };
    assert_int_equal(mail_view_entry(w, 2, &e), ERR_NOTFOUND);
    assert_int_equal(e.uid, 2);
    assert_int_equal(e.flags, MAIL_DELETED);
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    fixture_append(&f, "INBOX", "new", 0);
    fixture_sync(w, false, "exists 6, recent 1");
    fixture_sync(w, true, "expunge 2, expunge 2, expunge 3");
    fixture_sync(v, true, "expunge 2, expunge 2, expunge 3, exists 3");
    assert_int_equal(mail_view_uid(w, 3), 6);
    mail_view_close(v);
    mail_view_close(w);
    fixture_close(&f);
}

static void store_counts_missing(void **state)
{
    struct fixture f;
    fixture_open(&f);
    fixture_append(&f, "INBOX", "m", MAIL_DELETED);
    fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX"), *w = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    uint32_t seqs[] = { 1, 2 };
    size_t missing = 0;
    struct mail_flags set = { .system = MAIL_SEEN };
    assert_int_equal(mail_view_store(w, seqs, 2, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, &missing), 0);
    assert_int_equal(missing, 1);
    fixture_sync(w, true, "expunge 1");
    assert_int_equal(fixture_flags(w, 1), MAIL_SEEN);
    mail_view_close(v);
    mail_view_close(w);
    fixture_close(&f);
}

static void keywords_are_shared_and_keep_their_spelling(void **state)
{
    struct fixture f;
    fixture_open(&f);
    fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX"), *w = fixture_view(&f, "INBOX");
    str keywords[] = { STR_INIT("$Forwarded"), STR_INIT("Work"), STR_INIT("$FORWARDED") };
    struct mail_flags set = { .keywords = keywords, .keyword_n = 3 };
    uint32_t seq = 1;
    assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, NULL), 0);
    fixture_sync(w, true, "keywords 2, flags 1");
    size_t n;
    const str *list = mail_view_keywords(w, &n);
    assert_int_equal(n, 2);
    assert_true(str_eq(list[0], STR("$Forwarded")));
    assert_int_equal(fixture_flags(w, 1), 3 << MAIL_KEYWORD_BIT);
    set.keyword_n = 1;
    keywords[0] = STR("work");
    assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_REMOVE, &set, true, UINT64_MAX, NULL, NULL, NULL), 0);
    assert_int_equal(fixture_flags(w, 1), 1 << MAIL_KEYWORD_BIT);
    keywords[0] = STR("bad keyword");
    assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, NULL), 0);
    assert_int_equal(mail_view_dropped(v), 1);
    assert_int_equal(fixture_flags(w, 1), 1 << MAIL_KEYWORD_BIT);
    /* They travel by name. */
    struct mail_uid_pair pair;
    size_t copied;
    uint32_t uidvalidity;
    assert_int_equal(mail_view_copy(v, &seq, 1, STR("Archive"), false, &pair, &copied, &uidvalidity), 0);
    struct mail_view *archive = fixture_view(&f, "Archive");
    list = mail_view_keywords(archive, &n);
    assert_int_equal(n, 1);
    assert_true(str_eq(list[0], STR("$Forwarded")));
    mail_view_close(archive);
    mail_view_close(v);
    mail_view_close(w);
    fixture_reopen(&f);
    v = fixture_view(&f, "INBOX");
    mail_view_keywords(v, &n);
    assert_int_equal(n, 2);
    mail_view_close(v);
    fixture_close(&f);
}

static void keywords_are_bounded(void **state)
{
    struct fixture f;
    fixture_open(&f);
    fixture_append(&f, "INBOX", "m", 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    uint32_t seq = 1;
    for (int i = 0; i <= MAIL_KEYWORDS_MAX; i++) {
        char name[16];
        str k = { name, (size_t)snprintf(name, sizeof name, "k%d", i) };
        struct mail_flags set = { .keywords = &k, .keyword_n = 1 };
        assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, NULL), 0);
        assert_int_equal(mail_view_dropped(v), i == MAIL_KEYWORDS_MAX); /* the mail is kept, the keyword is not */
    }
    assert_false(mail_view_takes_keywords(v));
    mail_view_close(v);
    fixture_close(&f);
}

/* The name of the keyword that message SEQ has, which has one at most. */
static str keyword_of(struct mail_view *v, uint32_t seq)
{
    struct mail_entry e;
    size_t n;
    assert_int_equal(mail_view_entry(v, seq, &e), 0);
    const str *names = mail_view_keywords(v, &n);
    for (size_t i = 0; i < n; i++)
        if (e.flags >> (MAIL_KEYWORD_BIT + i) & 1)
            return names[i];
    return STR("");
}

static void append_with(struct fixture *f, const char *mailbox, const char *keyword)
{
    str k = str_from_z(keyword);
    uint32_t uid, uidvalidity;
    struct mail_append item = { .deposit = mail_deposit_new(f->s, f->a),
                                .flags = { .keywords = &k, .keyword_n = 1 },
                                .received_ms = INT64_MIN };
    assert_int_equal(mail_deposit_write(item.deposit, STR("A: b\r\n\r\nc")), 0);
    assert_int_equal(mail_append(f->a, str_from_z(mailbox), &item, 1, &uid, &uidvalidity, NULL), 0);
    mail_deposit_free(item.deposit);
}

static void change_keyword(struct mail_view *v, uint32_t seq, enum mail_store_mode mode, const char *keyword)
{
    str k = str_from_z(keyword);
    struct mail_flags flags = { .keywords = &k, .keyword_n = 1 };
    assert_int_equal(mail_view_store(v, &seq, 1, mode, &flags, true, UINT64_MAX, NULL, NULL, NULL), 0);
}

/* Syncs; whether keywords were told. */
static bool sync_tells_keywords(struct mail_view *v)
{
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(mail_view_sync(v, true, fixture_note, &b), 0);
    bool tells = str_find(buf_str(&b), STR("keywords")) < b.n;
    buf_done(&b);
    return tells;
}

/* A keyword that no message has gives its place to another, for APPEND, COPY and STORE, under the eyes of who has the mailbox open. Where all are
 * in use the message comes without the keyword. */
static void keywords_that_nobody_has_are_freed(void **state)
{
    struct fixture f;
    fixture_open(&f);
    char name[16];
    for (int i = 0; i < MAIL_KEYWORDS_MAX; i++) {
        (void)snprintf(name, sizeof name, "k%d", i);
        append_with(&f, "INBOX", name);
    }
    struct mail_view *v = fixture_view(&f, "INBOX"), *other = fixture_view(&f, "INBOX");
    append_with(&f, "INBOX", "dropped"); /* full: the message is taken */
    append_with(&f, "Sent", "moved");
    (void)sync_tells_keywords(v);
    assert_true(str_eq(keyword_of(v, MAIL_KEYWORDS_MAX + 1), STR("")));
    assert_true(str_eq(keyword_of(v, 8), STR("k7")));
    assert_false(mail_view_takes_keywords(v));
    change_keyword(v, 8, MAIL_FLAGS_REMOVE, "k7");
    change_keyword(v, 9, MAIL_FLAGS_REMOVE, "k8");
    change_keyword(v, 10, MAIL_FLAGS_REMOVE, "k9");
    assert_true(mail_view_takes_keywords(v));
    append_with(&f, "INBOX", "appended");
    struct mail_view *sent = fixture_view(&f, "Sent");
    struct mail_uid_pair pair;
    uint32_t seq = 1, uidvalidity = 0;
    size_t n = 0;
    assert_int_equal(mail_view_copy(sent, &seq, 1, STR("INBOX"), false, &pair, &n, &uidvalidity), 0);
    change_keyword(v, 1, MAIL_FLAGS_SET, "stored");
    for (int i = 0; i < 2; i++) {
        struct mail_view *w = i ? other : v;
        assert_true(sync_tells_keywords(w));
        assert_true(str_eq(keyword_of(w, 1), STR("stored")));
        assert_true(str_eq(keyword_of(w, 2), STR("k1")));
        assert_true(str_eq(keyword_of(w, 8), STR("")));
        assert_true(str_eq(keyword_of(w, MAIL_KEYWORDS_MAX + 2), STR("appended")));
        assert_true(str_eq(keyword_of(w, MAIL_KEYWORDS_MAX + 3), STR("moved")));
    }
    mail_view_close(sent);
    mail_view_close(other);
    mail_view_close(v);
    fixture_reopen(&f); /* as it is stored */
    v = fixture_view(&f, "INBOX");
    assert_true(str_eq(keyword_of(v, 1), STR("stored")));
    assert_true(str_eq(keyword_of(v, 11), STR("k10")));
    assert_true(str_eq(keyword_of(v, MAIL_KEYWORDS_MAX + 2), STR("appended")));
    assert_true(str_eq(keyword_of(v, MAIL_KEYWORDS_MAX + 3), STR("moved")));
    mail_view_close(v);
    fixture_close(&f);
}

static void copy_and_move(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        fixture_append(&f, "INBOX", "m", i == 1 ? MAIL_FLAGGED : 0);
    struct mail_view *v = fixture_view(&f, "INBOX"), *t = fixture_view(&f, "Trash");
    uint32_t seqs[] = { 2, 4 }, uidvalidity = 0;
    struct mail_uid_pair pairs[4];
    size_t n = 0;
    assert_int_equal(mail_view_copy(v, seqs, 2, STR("Trash"), false, pairs, &n, &uidvalidity), 0);
    assert_int_equal(n, 2);
    assert_int_equal(pairs[1].from, 4);
    assert_int_equal(pairs[1].to, 2);
    assert_int_equal(uidvalidity, mail_view_info(t).uidvalidity);
    fixture_sync(t, true, "exists 2, recent 2");
    assert_int_equal(fixture_flags(t, 1), MAIL_FLAGGED);
    fixture_sync(v, true, "");
    assert_int_equal(mail_view_copy(v, seqs, 2, STR("Trash"), true, pairs, &n, &uidvalidity), 0);
    assert_int_equal(n, 2);
    fixture_sync(v, true, "expunge 2, expunge 3");
    fixture_sync(t, true, "exists 4, recent 4");
    assert_int_equal(mail_view_copy(v, seqs, 1, STR("Nowhere"), false, pairs, &n, &uidvalidity), ERR_NOTFOUND);
    /* Into itself. */
    uint32_t first = 1;
    assert_int_equal(mail_view_copy(v, &first, 1, STR("INBOX"), false, pairs, &n, &uidvalidity), 0);
    assert_int_equal(mail_view_copy(v, &first, 1, STR("INBOX"), true, pairs, &n, &uidvalidity), 0);
    fixture_sync(v, true, "expunge 1, exists 3, recent 3");
    mail_view_close(v);
    mail_view_close(t);
    fixture_close(&f);
}

static void large_copy_and_move(void **state)
{
    enum { N = 1500 };
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 30; i++)
        fixture_append(&f, "INBOX", "m", 0);
    static uint32_t seqs[N * 2];
    static struct mail_uid_pair pairs[N * 2];
    uint32_t uidvalidity;
    size_t n;
    for (uint32_t i = 0; i < N * 2; i++)
        seqs[i] = i + 1;
    struct mail_view *v = fixture_view(&f, "INBOX");
    while (mail_view_count(v) < N) { /* doubles */
        uint32_t count = mail_view_count(v);
        assert_int_equal(mail_view_copy(v, seqs, count, STR("INBOX"), false, pairs, &n, &uidvalidity), 0);
        assert_int_equal(n, count);
        struct buf b = BUF_INIT(1 << 20);
        assert_int_equal(mail_view_sync(v, true, fixture_note, &b), 0);
        buf_done(&b);
        assert_int_equal(mail_view_count(v), count * 2);
    }
    struct mail_view *t = fixture_view(&f, "Archive");
    uint32_t count = mail_view_count(v);
    assert_int_equal(mail_view_copy(v, seqs, count, STR("Archive"), true, pairs, &n, &uidvalidity), 0);
    assert_int_equal(n, count);
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(mail_view_sync(v, true, fixture_note, &b), 0);
    assert_int_equal(mail_view_sync(t, true, fixture_note, &b), 0);
    buf_done(&b);
    assert_int_equal(mail_view_count(v), 0);
    assert_int_equal(mail_view_count(t), count);
    struct mail_flags set = { .system = MAIL_DELETED };
    assert_int_equal(mail_view_store(t, seqs, count, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, NULL), 0);
    fixture_sync(t, true, "");
    assert_int_equal(mail_view_expunge(t, seqs, count - 10), 0);
    mail_view_close(v);
    mail_view_close(t);
    fixture_close(&f);
}

struct wakes {
    _Atomic int n;
};
static void wake(void *ctx)
{
    ((struct wakes *)ctx)->n++;
}

static void views_are_woken(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct wakes w = { 0 };
    struct mail_view *v, *other = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_open(f.a, STR("INBOX"), true, wake, &w, &v), 0);
    fixture_append(&f, "Sent", "m", 0);
    assert_int_equal(w.n, 0);
    fixture_append(&f, "INBOX", "m", 0);
    assert_int_equal(w.n, 1);
    assert_true(mail_view_read_only(v));
    fixture_sync(v, true, "exists 1, recent 1");
    assert_int_equal(fixture_store(v, 1, MAIL_FLAGS_ADD, MAIL_SEEN, false), ERR_REFUSED);
    fixture_sync(other, true, "exists 1, recent 1");
    assert_int_equal(fixture_store(other, 1, MAIL_FLAGS_ADD, MAIL_SEEN, false), 0);
    assert_int_equal(w.n, 2);
    mail_view_close(v);
    assert_int_equal(fixture_store(other, 1, MAIL_FLAGS_ADD, MAIL_DRAFT, false), 0);
    assert_int_equal(w.n, 2);
    mail_view_close(other);
    fixture_close(&f);
}

/* An idle view does not need the index: it is up to date from the events alone, and right even when they were too many. */
static void views_survive_a_small_cache(void **state)
{
    struct fixture f;
    fixture_open(&f);
    mail_store_set_cache(f.s, 1);
    struct mail_view *v = fixture_view(&f, "INBOX");
    for (int i = 0; i < 600; i++)
        fixture_append(&f, "INBOX", "m", 0);
    fixture_sync(v, true, "exists 600, recent 600");
    assert_int_equal(fixture_store(v, 300, MAIL_FLAGS_ADD, MAIL_DELETED, true), 0);
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    fixture_sync(v, true, "expunge 300");
    assert_int_equal(mail_view_uid(v, 300), 301);
    assert_int_equal(fixture_flags(v, 599), 0);
    mail_view_close(v);
    fixture_close(&f);
}

/* What rest takes is had again when it is wanted. */
static void memory_is_given_back(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct mail_view *v = fixture_view(&f, "INBOX");
    for (int i = 0; i < 600; i++)
        fixture_append(&f, "INBOX", "m", 0);
    fixture_sync(v, true, "exists 600, recent 600");
    size_t kept = mail_store_rest(f.s, SIZE_MAX);
    assert_true(kept > 600 * 8);
    assert_int_equal(mail_store_rest(f.s, kept), kept);
    assert_true(mail_store_rest(f.s, 0) < kept / 2);
    assert_int_equal(fixture_store(v, 300, MAIL_FLAGS_ADD, MAIL_SEEN, true), 0);
    assert_int_equal(mail_view_uid(v, 600), 600);
    assert_true(mail_store_rest(f.s, SIZE_MAX) > 600 * 8); /* it is kept as before */
    mail_view_close(v);
    fixture_close(&f);
}

static void note_range(void *ctx, uint32_t from, uint32_t to)
{
    struct buf *b = ctx;
    buf_addf(b, "%s%u:%u", b->n ? "," : "", from, to);
}

#define assert_vanished(v, since, want)                                                                                          \
    do {                                                                                                                         \
        struct buf vanished_b = BUF_INIT(4096);                                                                                  \
        assert_int_equal(mail_view_vanished((v), (since), note_range, &vanished_b), 0);                                          \
        buf_add_byte(&vanished_b, '\0');                                                                                         \
        assert_string_equal(vanished_b.p, (want));                                                                               \
        buf_done(&vanished_b);                                                                                                   \
    } while (0)

static void vanished_messages_are_known(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 9; i++)
        fixture_append(&f, "INBOX", "m", i % 3 ? MAIL_DELETED : 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    uint64_t start = mail_view_info(v).modseq;
    uint32_t seqs[] = { 5, 9 };
    assert_int_equal(mail_view_expunge(v, seqs, 2), 0);
    assert_vanished(v, start, ""); /* not told yet */
    fixture_sync(v, true, "expunge 5, expunge 8");
    uint64_t middle = mail_view_info(v).modseq;
    assert_vanished(v, start, "5:5,9:9");
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    fixture_append(&f, "INBOX", "m", 0);
    fixture_sync(v, true, "expunge 2, expunge 2, expunge 3, expunge 4, exists 4, recent 4");
    assert_vanished(v, start, "2:3,5:6,8:9");
    assert_vanished(v, middle, "2:3,6:6,8:8");
    assert_vanished(v, 0, "2:3,5:6,8:9");
    assert_vanished(v, mail_view_info(v).modseq, "");
    mail_view_close(v);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_shows_in_open_views),
        cmocka_unit_test(store_tells_others_and_self_unless_silent),
        cmocka_unit_test(unchanged_since_guards_store),
        cmocka_unit_test(expunge_waits_until_allowed),
        cmocka_unit_test(store_counts_missing),
        cmocka_unit_test(keywords_are_shared_and_keep_their_spelling),
        cmocka_unit_test(keywords_are_bounded),
        cmocka_unit_test(keywords_that_nobody_has_are_freed),
        cmocka_unit_test(copy_and_move),
        cmocka_unit_test(large_copy_and_move),
        cmocka_unit_test(views_are_woken),
        cmocka_unit_test(vanished_messages_are_known),
        cmocka_unit_test(views_survive_a_small_cache),
        cmocka_unit_test(memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
