/* Every operation of the engine fails once, in every way: afterwards the account verifies, works, and has all that was
 * acknowledged, also when the power fails in the end. */
#include "mail_fixture.h"
#include "store/faulty/faulty.h"

enum { KEPT_MAX = 64 };

struct run {
    struct fixture f;
    uint32_t kept[KEPT_MAX]; /* uids in Archive whose append was acknowledged */
    size_t kept_n;
    int errors; /* operations that answered an error */
};

static void keep(struct run *run)
{
    uint32_t uid;
    int r = fixture_try_append(run->f.s, run->f.a, "Archive", "kept", 0, &uid);
    if (r)
        run->errors++;
    else
        run->kept[run->kept_n++] = uid;
}

static void deliver(struct run *run, size_t size)
{
    struct buf b = BUF_INIT(1 << 20), structure = BUF_INIT(60000);
    buf_add(&b, STR("Subject: delivered\r\n\r\n"));
    while (b.n < size)
        buf_add(&b, STR("All work and no play makes Jack a dull boy.\r\n"));
    assert_int_equal(message_parse(buf_str(&b), &message_limits_default, &structure), 0);
    struct mail_deposit *d;
    assert_int_equal(mail_deposit_from(run->f.s, buf_str(&b), buf_str(&structure), &d, NULL), 0);
    struct mail_recipient r[2] = { { .account = run->f.id, .mailbox = STR("Archive"), .prefix = STR("X: y\r\n") },
                                   { .account = fixture_part(2), .prefix = STR("X: z\r\n") } };
    if (mail_deliver(run->f.s, d, r, 2, NULL))
        run->errors++;
    mail_deposit_free(d);
    buf_done(&b);
    buf_done(&structure);
}

static void note(void *ctx, enum mail_change change, uint32_t seq) {}

/* A day in the life of a mailbox; whatever fails is left. */
static void script(struct run *run)
{
    struct mail_view *v;
    struct fixture *f = &run->f;
    static uint32_t seqs[1000];
    static struct mail_uid_pair pairs[1000];
    size_t n;
    uint32_t uidvalidity;
    for (uint32_t i = 0; i < 1000; i++)
        seqs[i] = i + 1;
    keep(run);
    run->errors += mailbox_create(f->a, STR("a/b"), MAIL_USE_NONE, NULL) != 0;
    for (int i = 0; i < 4; i++)
        run->errors += fixture_try_append(f->s, f->a, "INBOX", "m", i % 2 ? MAIL_DELETED : 0, NULL) != 0;
    if (mail_view_open(f->a, STR("INBOX"), false, NULL, NULL, &v)) {
        run->errors++;
        return;
    }
    uint32_t count = mail_view_count(v);
    struct mail_flags set = { .system = MAIL_DELETED, .keywords = (const str[]){ STR_INIT("word") }, .keyword_n = 1 };
    run->errors += mail_view_copy(v, seqs, count, STR("a/b"), false, pairs, &n, &uidvalidity) != 0;
    run->errors += mail_view_store(v, seqs, count, MAIL_FLAGS_ADD, &set, true, UINT64_MAX, NULL, NULL, NULL) != 0;
    keep(run);
    run->errors += mail_view_copy(v, seqs, count ? 1 : 0, STR("Trash"), true, pairs, &n, &uidvalidity) != 0;
    run->errors += mail_view_sync(v, true, note, NULL) != 0;
    run->errors += mail_view_expunge(v, NULL, 0) != 0;
    run->errors += mail_view_sync(v, true, note, NULL) != 0;
    run->errors += mailbox_rename(f->a, STR("a"), STR("c"), NULL) != 0;
    deliver(run, 500);
    deliver(run, 100000);
    run->errors += mailbox_rename(f->a, STR("INBOX"), STR("old"), NULL) != 0;
    run->errors += mailbox_subscribe(f->a, STR("old"), true) != 0;
    run->errors += mailbox_delete(f->a, STR("c/b"), NULL) != 0;
    keep(run);
    mail_view_close(v);
}

static void run_open(struct run *run)
{
    struct engine *g;
    memset(run, 0, sizeof *run);
    assert_int_equal(engine_faulty_open(NULL, NULL, 1, &g), 0);
    fixture_open_on(&run->f, g);
    assert_int_equal(mail_account_create(run->f.s, fixture_part(2)), 0);
}

static void verify(struct run *run, const char *what, uint64_t nth)
{
    struct fixture *f = &run->f;
    struct mail_view *v;
    struct mail_check_report report = { 0 };
    assert_int_equal(mail_check(f->s, f->id, true, fixture_fail, NULL, &report), 0);
    assert_int_equal(mail_check(f->s, fixture_part(2), true, fixture_fail, NULL, &report), 0);
    if (report.problems)
        fail_msg("%s %llu: %llu problems", what, (unsigned long long)nth, (unsigned long long)report.problems);
    assert_int_equal(mail_view_open(f->a, STR("Archive"), false, NULL, NULL, &v), 0);
    for (size_t i = 0; i < run->kept_n; i++) {
        uint32_t seq = mail_view_seq_from(v, run->kept[i]);
        if (seq > mail_view_count(v) || mail_view_uid(v, seq) != run->kept[i])
            fail_msg("%s %llu: uid %u was acknowledged and is lost", what, (unsigned long long)nth, run->kept[i]);
    }
    mail_view_close(v);
    keep(run); /* it works again */
}

static void run_close(struct run *run, const char *what, uint64_t nth)
{
    verify(run, what, nth);
    assert_int_equal(run->errors <= 25, 1);
    engine_faulty_crash(run->f.g, nth % 3);
    verify(run, what, nth);
    fixture_reopen(&run->f);
    verify(run, what, nth);
    fixture_close(&run->f);
}

static const struct {
    const char *name;
    enum engine_faulty_op op;
} ops[] = {
    { "get", ENGINE_FAULTY_GET },
    { "scan", ENGINE_FAULTY_SCAN },
    { "commit", ENGINE_FAULTY_COMMIT },
    { "sync", ENGINE_FAULTY_SYNC },
    { "blob write", ENGINE_FAULTY_BLOB_WRITE },
};
enum { OPS_N = sizeof ops / sizeof *ops };

static const struct engine_fault faults[] = {
    { .error = ERR_FULL },        { .error = ERR_UNKNOWN }, { .error = ERR_UNKNOWN, .applied = true },
    { .error = ERR_UNAVAILABLE }, { .error = ERR_IO },      { .error = ERR_CONFLICT },
};

static void each_operation_fails_once(void **state)
{
    static struct run run;
    uint64_t counts[OPS_N], felt = 0;
    run_open(&run);
    for (size_t i = 0; i < OPS_N; i++)
        counts[i] = engine_faulty_count(run.f.g, ops[i].op);
    script(&run);
    assert_int_equal(run.errors, 0);
    for (size_t i = 0; i < OPS_N; i++) {
        counts[i] = engine_faulty_count(run.f.g, ops[i].op) - counts[i];
        assert_true(counts[i] > 0);
    }
    run_close(&run, "nothing", 0);
    for (size_t i = 0; i < OPS_N; i++) {
        for (size_t j = 0; j < sizeof faults / sizeof *faults; j++) {
            if (faults[j].error == ERR_CONFLICT && ops[i].op != ENGINE_FAULTY_COMMIT)
                continue; /* others do not say so */
            for (uint64_t nth = 1; nth <= counts[i]; nth++) {
                run_open(&run);
                engine_faulty_at(run.f.g, ops[i].op, nth, faults[j]);
                script(&run);
                felt += run.errors > 0;
                run_close(&run, ops[i].name, nth);
            }
        }
    }
    assert_true(felt > 200); /* most faults show as an error of some operation */
}

/* The power fails at each commit: after that the old or the new state is there, whole. */
static void the_power_fails(void **state)
{
    static struct run run;
    for (size_t kept = 0; kept < 3; kept++) {
        for (uint64_t nth = 1; nth < 40; nth++) {
            run_open(&run);
            engine_faulty_at(run.f.g, ENGINE_FAULTY_SYNC, nth, (struct engine_fault){ .error = ERR_UNKNOWN });
            engine_faulty_at(run.f.g, ENGINE_FAULTY_COMMIT, nth + 1, (struct engine_fault){ .error = ERR_UNKNOWN });
            script(&run);
            engine_faulty_crash(run.f.g, kept);
            script(&run);
            run_close(&run, "power", nth);
        }
    }
}

static uint32_t count_in(struct fixture *f, const char *name)
{
    struct mail_view *v = fixture_view(f, name);
    uint32_t n = mail_view_count(v);
    mail_view_close(v);
    return n;
}

/* A copy of several commits is all there or not at all, whichever of them fails, and with the power cut at once or after the next change. */
static void a_large_copy_is_all_or_nothing(void **state)
{
    static struct run run;
    static uint32_t seqs[1024];
    static struct mail_uid_pair pairs[1024];
    size_t n, failed = 0;
    uint32_t uidvalidity;
    for (uint32_t i = 0; i < 1024; i++)
        seqs[i] = i + 1;
    for (size_t j = 0; j < sizeof faults / sizeof *faults; j++) {
        for (uint64_t nth = 1; nth <= 6; nth++) {
            for (int cut = 0; cut < 3; cut++) {
                run_open(&run);
                struct fixture *f = &run.f;
                for (int i = 0; i < 90; i++)
                    fixture_append(f, "INBOX", "m", 0);
                struct mail_view *v = fixture_view(f, "INBOX");
                while (mail_view_count(v) < 700) {
                    assert_int_equal(mail_view_copy(v, seqs, mail_view_count(v), STR("INBOX"), false, pairs, &n, &uidvalidity),
                                     0);
                    assert_int_equal(mail_view_sync(v, true, note, NULL), 0);
                }
                uint32_t count = mail_view_count(v);
                engine_faulty_at(f->g, ENGINE_FAULTY_COMMIT, nth, faults[j]);
                int r = mail_view_copy(v, seqs, count, STR("Archive"), false, pairs, &n, &uidvalidity);
                mail_view_close(v);
                failed += r != 0;
                engine_faulty_at(f->g, ENGINE_FAULTY_COMMIT, 1 << 20, faults[j]);
                if (cut == 1)
                    engine_faulty_crash(f->g, nth % 4);
                uint32_t copied = count_in(f, "Archive");
                assert_true(copied == count || (r && copied == 0));
                if (cut == 2)
                    keep(&run); /* takes back what is left */
                run_close(&run, "large copy", nth);
            }
        }
    }
    assert_true(failed > 30);
}

/* N messages for one APPEND, one of them large enough for a blob of its own. */
static struct mail_batch *batch_of(struct fixture *f, size_t n)
{
    struct mail_batch *b = mail_batch_new(f->s);
    for (size_t i = 0; i < n; i++) {
        struct mail_deposit *d = mail_deposit_new(f->s, f->a);
        struct buf bytes = BUF_INIT(1 << 20);
        buf_addf(&bytes, "Subject: %zu\r\nMessage-ID: <%zu@x>\r\n\r\n", i, i);
        for (size_t k = 0; i == n / 2 && k < 30000; k++)
            buf_add(&bytes, STR("ten bytes\n"));
        assert_int_equal(mail_deposit_write(d, buf_str(&bytes)), 0);
        struct mail_flags flags = { .keywords = (const str[]){ STR_INIT("word") }, .keyword_n = 1 };
        assert_int_equal(mail_batch_add(b, d, &flags, 1000, NULL), 0);
        mail_deposit_free(d);
        buf_done(&bytes);
    }
    return b;
}

/* An APPEND of several commits as well. */
static void a_large_append_is_all_or_nothing(void **state)
{
    static struct run run;
    enum { MESSAGES = 240 }; /* two commits */
    size_t failed = 0;
    for (size_t j = 0; j < sizeof faults / sizeof *faults; j++) {
        for (uint64_t nth = 1; nth <= 3; nth++) {
            for (int cut = 0; cut < 3; cut++) {
                run_open(&run);
                struct fixture *f = &run.f;
                struct mail_batch *b = batch_of(f, MESSAGES);
                struct mail_pending pending;
                uint32_t uid, uidvalidity;
                engine_faulty_at(f->g, ENGINE_FAULTY_COMMIT, nth, faults[j]);
                int r = mail_batch_append_begin(f->a, STR("Archive"), b, &uid, &uidvalidity, &pending, NULL);
                if (!r)
                    r = mail_pending_wait(f->a, &pending);
                mail_batch_free(b);
                failed += r != 0;
                engine_faulty_at(f->g, ENGINE_FAULTY_COMMIT, 1 << 20, faults[j]);
                if (cut == 1)
                    engine_faulty_crash(f->g, nth % 4);
                uint32_t there = count_in(f, "Archive");
                assert_true(there == MESSAGES || (r && there == 0));
                if (cut == 2)
                    keep(&run); /* takes back what is left */
                run_close(&run, "large append", nth);
            }
        }
    }
    assert_true(failed > 20);
}

static void a_full_disk(void **state)
{
    static struct run run;
    run_open(&run);
    script(&run);
    engine_faulty_full(run.f.g, true);
    uint32_t uid;
    assert_int_equal(fixture_try_append(run.f.s, run.f.a, "INBOX", "m", 0, &uid), ERR_FULL);
    assert_int_equal(mailbox_create(run.f.a, STR("full"), MAIL_USE_NONE, NULL), ERR_FULL);
    struct mail_view *v = fixture_view(&run.f, "INBOX"); /* reading works */
    mail_view_close(v);
    engine_faulty_full(run.f.g, false);
    run.errors = 0;
    run_close(&run, "full", 0);
}

/* What memory remembers of a lost commit must not be taken for stored. */
static void keywords_of_a_lost_commit(void **state)
{
    static struct run run;
    run_open(&run);
    keep(&run);
    struct mail_view *v;
    assert_int_equal(mail_view_open(run.f.a, STR("Archive"), false, NULL, NULL, &v), 0);
    struct mail_flags set = { .keywords = (const str[]){ STR_INIT("lost") }, .keyword_n = 1 };
    uint32_t seq = 1;
    engine_faulty_random(run.f.g, ENGINE_FAULTY_SYNC, 1000, (struct engine_fault){ .error = ERR_UNKNOWN });
    assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_ADD, &set, false, UINT64_MAX, NULL, NULL, NULL), ERR_UNKNOWN);
    engine_faulty_crash(run.f.g, 0);
    engine_faulty_random(run.f.g, ENGINE_FAULTY_SYNC, 0, (struct engine_fault){ 0 });
    assert_int_equal(fixture_flags(v, 1), 0);
    assert_int_equal(mail_view_store(v, &seq, 1, MAIL_FLAGS_ADD, &set, false, UINT64_MAX, NULL, NULL, NULL), 0);
    assert_int_equal(fixture_flags(v, 1), 1 << MAIL_KEYWORD_BIT);
    mail_view_close(v);
    run_close(&run, "keywords", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_fails_once),
        cmocka_unit_test(the_power_fails),
        cmocka_unit_test(a_large_copy_is_all_or_nothing),
        cmocka_unit_test(a_large_append_is_all_or_nothing),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(keywords_of_a_lost_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
