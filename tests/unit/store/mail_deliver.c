/* Appends, deliveries, and reading what came in. */
#include "mail_fixture.h"
#include "store/mail_private.h"

/* A message of about SIZE bytes. */
static void message_make(struct buf *b, const char *id, const char *in_reply_to, size_t size)
{
    buf_addf(b, "From: alice@example.org\r\nSubject: test\r\nMessage-ID: <%s@example.org>\r\n", id);
    if (in_reply_to)
        buf_addf(b, "In-Reply-To: <%s@example.org>\r\n", in_reply_to);
    buf_add(b,
            STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\nContent-Type: image/png\r\n\r\n"));
    for (unsigned i = 0; b->n < size; i++)
        buf_addf(b, "%070u\r\n", i);
    buf_add(b, STR("\r\n--b--\r\n"));
}

static uint64_t email_of(struct mail_view *v, uint32_t seq)
{
    struct mail_entry e;
    assert_int_equal(mail_view_entry(v, seq, &e), 0);
    return e.email;
}

/* All of an email through mail_email_read in steps of STEP, and through its source, must be WANT. */
static void assert_content(struct mail_account *a, const struct mail_email *email, str want, size_t step)
{
    assert_int_equal(email->size, want.n);
    char *p = malloc(want.n + step);
    size_t at = 0, n;
    do {
        assert_int_equal(mail_email_read(a, email, at, p + at, step, &n), 0);
        at += n;
    } while (n == step);
    assert_int_equal(at, want.n);
    assert_memory_equal(p, want.p, want.n);
    struct source *s = mail_email_source(a, email, 3, UINT64_MAX);
    int64_t got;
    at = 3;
    while ((got = s->pull(s, p + at, step)) > 0)
        at += (size_t)got;
    assert_int_equal(got, 0);
    assert_int_equal(at, want.n);
    assert_memory_equal(p + 3, want.p + 3, want.n - 3);
    s->close(s);
    free(p);
}

static void deposits_of_any_size(void **state)
{
    static const size_t sizes[] = { 300, 60000, 70000, (1 << 20) - 40, (1 << 20) + 1, 3 << 20 };
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf b = BUF_INIT(8 << 20);
        message_make(&b, "big", NULL, sizes[i]);
        struct mail_deposit *d = mail_deposit_new(f.s, f.a);
        for (size_t at = 0; at < b.n; at += 4099)
            assert_int_equal(mail_deposit_write(d, str_sub(buf_str(&b), at, 4099)), 0);
        assert_int_equal(mail_deposit_size(d), b.n);
        struct mail_append item = { .deposit = d, .received_ms = 5 };
        uint32_t uid, uidvalidity;
        assert_int_equal(mail_append(f.a, STR("INBOX"), &item, 1, &uid, &uidvalidity, NULL), 0);
        mail_deposit_free(d);
        struct mail_view *v = fixture_view(&f, "INBOX");
        struct arena arena = ARENA_INIT(1 << 20);
        struct mail_email email;
        assert_int_equal(mail_email_get(f.a, email_of(v, (uint32_t)i + 1), &arena, &email), 0);
        assert_content(f.a, &email, buf_str(&b), 65536);
        mail_email_done(&email);
        assert_int_equal(email.received_ms, 5);
        arena_done(&arena);
        mail_view_close(v);
        buf_done(&b);
    }
    fixture_close(&f);
}

static void an_empty_message(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct mail_deposit *d = mail_deposit_new(f.s, f.a);
    struct mail_append item = { .deposit = d, .received_ms = INT64_MIN };
    uint32_t uid, uidvalidity;
    assert_int_equal(mail_append(f.a, STR("INBOX"), &item, 1, &uid, &uidvalidity, NULL), 0);
    mail_deposit_free(d);
    fixture_close(&f);
}

static void many_in_one_append(void **state)
{
    enum { N = 60 };
    struct fixture f;
    fixture_open(&f);
    struct mail_append items[N];
    static const str keywords[] = { STR_INIT("one"), STR_INIT("two"), STR_INIT("three") };
    uint32_t uids[N], uidvalidity;
    for (int i = 0; i < N; i++) {
        struct buf b = BUF_INIT(4096);
        message_make(&b, i % 2 ? "odd" : "even", NULL, 300);
        items[i].deposit = mail_deposit_new(f.s, f.a);
        assert_int_equal(mail_deposit_write(items[i].deposit, buf_str(&b)), 0);
        items[i].flags =
            (struct mail_flags){ .system = MAIL_SEEN, .keywords = keywords + (i ? i % 2 : 0), .keyword_n = i ? 2 : 1 };
        items[i].received_ms = i;
        buf_done(&b);
    }
    assert_int_equal(mail_append(f.a, STR("INBOX"), items, N, uids, &uidvalidity, NULL), 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_count(v), N);
    assert_int_equal(uids[N - 1], N);
    size_t n;
    const str *list = mail_view_keywords(v, &n);
    assert_int_equal(n, 3);
    for (uint32_t i = 0; i < N; i++) {
        uint64_t want = MAIL_SEEN;
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < items[i].flags.keyword_n; j++)
                if (str_eq(list[k], items[i].flags.keywords[j]))
                    want |= 1ull << (MAIL_KEYWORD_BIT + k);
        assert_int_equal(fixture_flags(v, i + 1), want);
        mail_deposit_free(items[i].deposit);
    }
    mail_view_close(v);
    fixture_close(&f);
}

/* Message I, of SIZE bytes; every third begins a thread, the others answer the one before. */
static void batch_add(struct fixture *f, struct mail_batch *b, uint32_t i, size_t size)
{
    static const str keywords[] = { STR_INIT("one"), STR_INIT("two"), STR_INIT("three") };
    char id[32], before[32];
    struct buf bytes = BUF_INIT(2 << 20);
    (void)snprintf(id, sizeof id, "b%u", i);
    (void)snprintf(before, sizeof before, "b%u", i - 1);
    message_make(&bytes, id, i % 3 ? before : NULL, size);
    struct mail_deposit *d = mail_deposit_new(f->s, f->a);
    assert_int_equal(mail_deposit_write(d, buf_str(&bytes)), 0);
    struct mail_flags flags = { .system = i % 2 ? MAIL_SEEN : 0, .keywords = keywords + i % 3, .keyword_n = 1 };
    assert_int_equal(mail_batch_add(b, d, &flags, 1000 + i, NULL), 0);
    mail_deposit_free(d);
    buf_done(&bytes);
}

/* More than one commit holds, in memory or in a file, small ones and large ones: one change, uids without a gap, each what it was. */
static void a_batch_of_any_number(void **state)
{
    static const struct {
        uint32_t n;
        size_t size, large;
    } cases[] = { { 1, 300, 300 }, { 200, 300, 300 }, { 1500, 300, 400 * 1024 }, { 20, 100 * 1024, 1200 * 1024 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct fixture f;
        fixture_open(&f);
        assert_int_equal(fixture_append(&f, "INBOX", "first", 0), 1);
        struct mail_view *v = fixture_view(&f, "INBOX");
        struct mail_batch *b = mail_batch_new(f.s);
        uint32_t uid, uidvalidity, n = cases[k].n;
        for (uint32_t i = 0; i < n; i++)
            batch_add(&f, b, i, i % 700 == 5 ? cases[k].large : cases[k].size);
        assert_int_equal(mail_batch_count(b), n);
        uint64_t modseq = mail_view_info(v).modseq;
        struct mail_pending pending;
        assert_int_equal(mail_batch_append_begin(f.a, STR("INBOX"), b, &uid, &uidvalidity, &pending, NULL), 0);
        assert_int_equal(mail_pending_wait(f.a, &pending), 0);
        mail_batch_free(b);
        assert_int_equal(uid, 2);
        struct buf told = BUF_INIT(4096);
        assert_int_equal(mail_view_sync(v, true, fixture_note, &told), 0);
        buf_done(&told);
        assert_int_equal(mail_view_count(v), n + 1);
        assert_int_equal(mail_view_info(v).modseq, modseq + 1);
        struct arena arena = ARENA_INIT(4 << 20);
        size_t keyword_n;
        for (uint32_t i = 0; i < n; i++) {
            struct mail_entry e;
            struct mail_email email;
            char head[200], id[40];
            size_t got;
            assert_int_equal(mail_view_uid(v, i + 2), i + 2);
            assert_int_equal(mail_view_entry(v, i + 2, &e), 0);
            assert_int_equal(e.received_ms, 1000 + i);
            const str *list = mail_view_keywords(v, &keyword_n);
            for (size_t j = 0; j < keyword_n; j++)
                if (e.flags >> (MAIL_KEYWORD_BIT + j) & 1)
                    assert_true(str_eq(list[j], i % 3 == 0 ? STR("one") : i % 3 == 1 ? STR("two") : STR("three")));
            assert_int_equal(e.flags & 255, i % 2 ? MAIL_SEEN : 0);
            assert_int_equal(mail_email_get(f.a, e.email, &arena, &email), 0);
            assert_int_equal(mail_email_read(f.a, &email, 0, head, sizeof head - 1, &got), 0);
            head[got] = 0;
            (void)snprintf(id, sizeof id, "<b%u@", i);
            assert_non_null(strstr(head, id));
            assert_int_equal(email.thread, e.email - i % 3);
            mail_email_done(&email);
            arena_reset(&arena);
        }
        arena_done(&arena);
        mail_view_close(v);
        fixture_close(&f);
    }
}

static void threads_follow_references(void **state)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const ids[][2] = { { "a", NULL }, { "b", "a" },         { "x", NULL },
                                          { "c", "b" },  { "late", "unseen" }, { "unseen", NULL } };
    static const uint64_t want[] = { 1, 1, 3, 1, 5, 5 };
    struct arena arena = ARENA_INIT(1 << 20);
    for (int i = 0; i < 6; i++) {
        struct buf b = BUF_INIT(4096);
        message_make(&b, ids[i][0], ids[i][1], 300);
        struct mail_append item = { .deposit = mail_deposit_new(f.s, f.a) };
        assert_int_equal(mail_deposit_write(item.deposit, buf_str(&b)), 0);
        uint32_t uid, uidvalidity;
        item.flags.system = MAIL_DELETED;
        assert_int_equal(mail_append(f.a, STR("INBOX"), &item, 1, &uid, &uidvalidity, NULL), 0);
        struct mail_email email;
        assert_int_equal(mail_email_get(f.a, uid, &arena, &email), 0);
        assert_int_equal(email.thread, want[i]);
        mail_email_done(&email);
        mail_deposit_free(item.deposit);
        buf_done(&b);
    }
    arena_done(&arena);
    struct mail_view *v = fixture_view(&f, "INBOX");
    uint32_t seqs[] = { 1, 4 };
    assert_int_equal(mail_view_expunge(v, seqs, 2), 0);
    struct mail_check_report report = { 0 };
    assert_int_equal(mail_check(f.s, f.id, false, fixture_fail, NULL, &report), 0);
    assert_int_equal(report.problems, 0);
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    mail_view_close(v);
    fixture_close(&f);
}

static void deliver_sizes(size_t size)
{
    enum { N = 5 };
    struct fixture f;
    fixture_open(&f);
    struct buf b = BUF_INIT(8 << 20), structure = BUF_INIT(60000);
    message_make(&b, "d", NULL, size);
    assert_int_equal(message_parse(buf_str(&b), &message_limits_default, &structure), 0);
    struct mail_deposit *d;
    assert_int_equal(mail_deposit_from(f.s, buf_str(&b), buf_str(&structure), &d, NULL), 0);
    struct mail_recipient r[N] = { { .account = f.id } };
    struct mail_account *accounts[N] = { f.a };
    r[0].prefix = STR("Return-Path: <a@example.org>\r\nDelivered-To: me@example.org\r\n");
    r[1].prefix = STR("Delivered-To: somebody-else@example.org\r\n");
    for (unsigned i = 1; i < N - 1; i++) {
        r[i].account = fixture_part(i + 1);
        assert_int_equal(mail_account_create(f.s, r[i].account), 0);
        assert_int_equal(mail_account_open(f.s, r[i].account, &accounts[i]), 0);
    }
    r[N - 1].account = fixture_part(99);
    r[N - 1].address = STR("nobody@example.org");
    r[2].mailbox = STR("Junk");
    struct error e = ERROR_NONE;
    assert_int_equal(mail_deliver(f.s, d, r, N, &e), ERR_NOTFOUND);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(r[i].result, i == N - 1 ? ERR_NOTFOUND : 0);
    /* Once more to the same accounts: another copy each. */
    assert_int_equal(mail_deliver(f.s, d, r, N - 1, &e), 0);
    for (unsigned i = 0; i < N - 1; i++) {
        struct mail_view *v;
        struct arena arena = ARENA_INIT(4 << 20);
        struct mail_email email;
        struct buf whole = BUF_INIT(8 << 20), parsed = BUF_INIT(60000);
        assert_int_equal(mail_view_open(accounts[i], i == 2 ? STR("Junk") : STR("INBOX"), true, NULL, NULL, &v), 0);
        assert_int_equal(mail_view_count(v), 2);
        assert_int_equal(mail_email_get(accounts[i], email_of(v, 2), &arena, &email), 0);
        buf_add_all(&whole, r[i].prefix, buf_str(&b));
        assert_content(accounts[i], &email, buf_str(&whole), 40);
        mail_email_done(&email);
        assert_int_equal(message_parse(buf_str(&whole), &message_limits_default, &parsed), 0);
        assert_int_equal(email.structure.n, parsed.n);
        assert_memory_equal(email.structure.p, parsed.p, parsed.n);
        buf_done(&whole);
        buf_done(&parsed);
        arena_done(&arena);
        mail_view_close(v);
        struct mail_check_report report = { 0 };
        assert_int_equal(mail_check(f.s, r[i].account, true, fixture_fail, NULL, &report), 0);
        assert_int_equal(report.problems, 0);
        if (i)
            mail_account_unref(accounts[i]);
    }
    mail_deposit_free(d);
    buf_done(&b);
    buf_done(&structure);
    fixture_close(&f);
}

static void deliveries_with_own_blobs(void **state)
{
    deliver_sizes(2000);
}

static void deliveries_with_a_shared_blob(void **state)
{
    deliver_sizes(100000);
}

static void a_wrong_structure_is_refused(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct buf b = BUF_INIT(1 << 16), structure = BUF_INIT(60000);
    message_make(&b, "d", NULL, 2000);
    assert_int_equal(message_parse(buf_str(&b), &message_limits_default, &structure), 0);
    struct mail_deposit *d;
    assert_int_equal(mail_deposit_from(f.s, str_sub(buf_str(&b), 0, 500), buf_str(&structure), &d, NULL), ERR_CORRUPT);
    assert_int_equal(mail_deposit_from(f.s, buf_str(&b), str_sub(buf_str(&structure), 0, 9), &d, NULL), ERR_CORRUPT);
    buf_done(&b);
    buf_done(&structure);
    fixture_close(&f);
}

struct seen {
    struct mail_account *a;
    const uint64_t *emails;
    size_t list[64], n;
};
static int see(void *ctx, size_t i, const struct mail_email *email)
{
    struct seen *s = ctx;
    char c;
    size_t n;
    assert_int_equal(email->id, s->emails[i]);
    assert_int_equal(mail_email_read(s->a, email, 0, &c, 1, &n), 0); /* FN may use the store */
    s->list[s->n++] = i;
    return s->n == 40 ? 77 : 0;
}

/* The same from the records. */
static int see_record(void *ctx, size_t i, const struct mail_email *email)
{
    struct seen *s = ctx;
    assert_int_equal(email->id, s->emails[i]);
    assert_true(email->structure.n > 0 && email->size > 0);
    s->list[s->n++] = i;
    return s->n == 40 ? 77 : 0;
}

static void each_email_in_order(void **state)
{
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 50; i++)
        fixture_append(&f, "INBOX", "m", i == 10 ? MAIL_DELETED : 0);
    struct mail_view *v = fixture_view(&f, "INBOX");
    assert_int_equal(mail_view_expunge(v, NULL, 0), 0);
    mail_view_close(v);
    uint64_t emails[60];
    size_t n = 0;
    for (uint64_t i = 5; i <= 20; i++)
        emails[n++] = i; /* a run with a hole at 11 */
    emails[n++] = 20;
    emails[n++] = 3;
    emails[n++] = 44;
    emails[n++] = 1000; /* not there */
    for (uint64_t i = 30; i <= 33; i++)
        emails[n++] = i;
    struct seen s = { .a = f.a, .emails = emails };
    assert_int_equal(mail_email_each(f.a, emails, n, see, &s), 0);
    assert_int_equal(s.n, n - 2);
    for (size_t i = 1; i < s.n; i++)
        assert_true(s.list[i] > s.list[i - 1]);
    struct seen walked = { .a = f.a, .emails = emails };
    assert_int_equal(mail_email_walk(f.a, emails, n, see_record, &walked), 0);
    assert_int_equal(walked.n, s.n);
    assert_memory_equal(walked.list, s.list, s.n * sizeof *s.list);
    assert_int_equal(mail_email_walk(f.a, emails, 0, see_record, &walked), 0);
    for (n = 0; n < 50; n++)
        emails[n] = n + 1;
    s.n = walked.n = 0;
    assert_int_equal(mail_email_each(f.a, emails, n, see, &s), 77);
    assert_int_equal(s.n, 40);
    assert_int_equal(mail_email_walk(f.a, emails, n, see_record, &walked), 77);
    assert_int_equal(walked.n, 40);
    fixture_close(&f);
}

/* What comes of MESSAGE when it is appended, REPAIR or not: the result, and in OUT what is kept. */
static int append_bytes(struct fixture *f, str message, bool repair, struct buf *out)
{
    struct mail_deposit *d = mail_deposit_new(f->s, f->a);
    struct mail_append item = { .deposit = d, .received_ms = 1000 };
    uint32_t uid, uidvalidity;
    for (size_t at = 0; at < message.n; at += 100000)
        assert_int_equal(mail_deposit_write(d, str_sub(message, at, 100000)), 0);
    if (repair)
        mail_deposit_repair(d);
    int r = mail_append(f->a, STR("INBOX"), &item, 1, &uid, &uidvalidity, NULL);
    mail_deposit_free(d);
    if (r)
        return r;
    struct arena a = ARENA_INIT(1 << 20);
    struct mail_view *v = fixture_view(f, "INBOX");
    struct mail_entry entry;
    struct mail_email email;
    size_t n;
    assert_int_equal(mail_view_entry(v, mail_view_count(v), &entry), 0);
    assert_int_equal(mail_email_get(f->a, entry.email, &a, &email), 0);
    buf_reset(out);
    char *p = buf_reserve(out, (size_t)email.size);
    assert_int_equal(mail_email_read(f->a, &email, 0, p, (size_t)email.size, &n), 0);
    mail_email_done(&email);
    buf_commit(out, n);
    assert_int_equal(entry.size, n);
    mail_view_close(v);
    arena_done(&a);
    return 0;
}

/* Invariant M11. */
static void no_message_keeps_a_nul(void **state)
{
    static char large[3 << 20];
    struct fixture f;
    struct buf out = BUF_INIT(8 << 20);
    struct mail_deposit *d;
    fixture_open(&f);
    assert_int_equal(append_bytes(&f, STR("A: b\r\n\r\n\0"), false, &out), 0);
    assert_true(str_ends(buf_str(&out), STR("Content-Transfer-Encoding: base64\r\n\r\nAA==\r\n")));
    memcpy(large, "A: b\r\n\r\n", 8); /* in a file, before and after */
    assert_int_equal(append_bytes(&f, (str){ large, sizeof large }, false, &out), 0);
    assert_true(out.n > sizeof large && !memchr(out.p, 0, out.n));
    assert_int_equal(append_bytes(&f, STR("A: \0\r\n\r\nx"), false, &out), ERR_SYNTAX);
    assert_int_equal(append_bytes(&f, STR("A: \0\r\n\r\n\0x\0"), true, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("A: ?\r\n\r\n?x?")));
    struct buf structure = BUF_INIT(65536);
    assert_int_equal(message_parse(STR("A: b\r\n\r\n\0"), &message_limits_default, &structure), 0);
    assert_int_equal(mail_deposit_from(f.s, STR("A: b\r\n\r\n\0"), buf_str(&structure), &d, NULL), ERR_CORRUPT);
    buf_done(&structure);
    buf_done(&out);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deposits_of_any_size),
        cmocka_unit_test(an_empty_message),
        cmocka_unit_test(many_in_one_append),
        cmocka_unit_test(a_batch_of_any_number),
        cmocka_unit_test(threads_follow_references),
        cmocka_unit_test(deliveries_with_own_blobs),
        cmocka_unit_test(deliveries_with_a_shared_blob),
        cmocka_unit_test(a_wrong_structure_is_refused),
        cmocka_unit_test(each_email_in_order),
        cmocka_unit_test(no_message_keeps_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
