/* Many threads deliver, change, copy, expunge and look on: in the end each view, followed by what it was told alone, shows
 * what a new view shows. */
#include <ftw.h>
#include <pthread.h>

#include "mail_fixture.h"

enum { THREADS = 8, STEPS = 120 };

static const char *const box_names[] = { "INBOX", "Trash" };

struct worker {
    pthread_t thread;
    struct fixture *f;
    unsigned number;
    uint64_t seed;
    struct mail_view *v;
    uint32_t n; /* as told */
    _Atomic unsigned wakes;
    unsigned appended;
    const char *broken; /* cmocka may not fail in other threads */
};

static uint32_t pick(struct worker *w, uint32_t bound)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->seed >> 33) % bound;
}

static void follow(void *ctx, enum mail_change change, uint32_t seq)
{
    struct worker *w = ctx;
    if (change == MAIL_CHANGE_EXPUNGE) {
        if (seq < 1 || seq > w->n)
            w->broken = "expunge of a number that is not there";
        w->n--;
    } else if (change == MAIL_CHANGE_EXISTS) {
        if (seq <= w->n)
            w->broken = "exists does not grow";
        w->n = seq;
    } else if (change == MAIL_CHANGE_FLAGS && (seq < 1 || seq > mail_view_count(w->v))) {
        w->broken = "flags of a number that is not there";
    }
}

static void wake(void *ctx)
{
    ((struct worker *)ctx)->wakes++;
}

#define must(w, r)                                                                                                               \
    do {                                                                                                                         \
        if ((r) != 0)                                                                                                            \
            (w)->broken = #r;                                                                                                    \
    } while (0)

static void deliver(struct worker *w)
{
    char text[128];
    int n = snprintf(text, sizeof text, "Message-ID: <%u.%u@example.org>\r\n\r\nHello\r\n", w->number, w->appended);
    struct mail_deposit *d = mail_deposit_new(w->f->s, w->f->a);
    struct mail_recipient r = { .account = w->f->id,
                                .mailbox = str_from_z(box_names[pick(w, 2)]),
                                .prefix = STR("Delivered-To: x\r\n") };
    must(w, mail_deposit_write(d, (str){ text, (size_t)n }));
    must(w, mail_deliver(w->f->s, d, &r, 1, NULL));
    mail_deposit_free(d);
    w->appended++;
}

static void change(struct worker *w)
{
    uint32_t count = mail_view_count(w->v), seqs[20], uidvalidity;
    struct mail_uid_pair pairs[20];
    struct mail_flags set = { .system = pick(w, 2) ? MAIL_DELETED : MAIL_SEEN };
    size_t n = 0, done;
    for (uint32_t at = pick(w, 7) + 1; at <= count && n < 20; at += pick(w, 7) + 1)
        seqs[n++] = at;
    switch (pick(w, 4)) {
    case 0:
        must(w, mail_view_store(w->v, seqs, n, (enum mail_store_mode)pick(w, 3), &set, pick(w, 2), UINT64_MAX, NULL, NULL, NULL));
        break;
    case 1:
        must(w, mail_view_expunge(w->v, seqs, n));
        break;
    default:
        n = n < 4 ? n : 4;
        must(w, mail_view_copy(w->v, seqs, n, str_from_z(box_names[pick(w, 2)]), pick(w, 2), pairs, &done, &uidvalidity));
    }
}

static void look(struct worker *w)
{
    bool expunge = pick(w, 2);
    must(w, mail_view_sync(w->v, expunge, follow, w));
    if (w->n != mail_view_count(w->v))
        w->broken = "the view has another count than was told";
    uint32_t last = 0;
    for (uint32_t seq = 1; seq <= w->n; seq++) {
        struct mail_entry e;
        int r = mail_view_entry(w->v, seq, &e);
        if (mail_view_uid(w->v, seq) <= last)
            w->broken = "uids do not ascend";
        last = mail_view_uid(w->v, seq);
        if (r != 0 && r != ERR_NOTFOUND)
            w->broken = "no entry";
        if (r == 0 && e.uid != last)
            w->broken = "the entry of another message";
    }
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    for (int i = 0; i < STEPS && !w->broken; i++) {
        uint32_t what = pick(w, 3);
        if (what == 0)
            deliver(w);
        else if (what == 1)
            change(w);
        else
            look(w);
    }
    return NULL;
}

static void run(struct engine *g, size_t cache)
{
    static struct worker workers[THREADS];
    struct fixture f;
    fixture_open_on(&f, g);
    if (cache)
        mail_store_set_cache(f.s, cache);
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){ .f = &f, .number = i, .seed = i + 1 };
        assert_int_equal(mail_view_open(f.a, str_from_z(box_names[i % 2]), false, wake, w, &w->v), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];
        if (w->broken)
            fail_msg("thread %u: %s", i, w->broken);
        struct mail_view *fresh = fixture_view(&f, box_names[i % 2]);
        assert_int_equal(mail_view_sync(w->v, true, follow, w), 0);
        assert_int_equal(w->n, mail_view_count(fresh));
        for (uint32_t seq = 1; seq <= w->n; seq++) {
            assert_int_equal(mail_view_uid(w->v, seq), mail_view_uid(fresh, seq));
            assert_int_equal(fixture_flags(w->v, seq), fixture_flags(fresh, seq));
        }
        assert_true(w->wakes > 0);
        mail_view_close(fresh);
    }
    for (unsigned i = 0; i < THREADS; i++)
        mail_view_close(workers[i].v);
    fixture_close(&f);
}

static struct engine *memory(void)
{
    struct engine *g;
    assert_int_equal(engine_memory_open(&g), 0);
    return g;
}

static void views_agree_in_the_end(void **state)
{
    run(memory(), 0);
}

static void views_agree_without_memory(void **state)
{
    run(memory(), 1);
}

#ifndef __SANITIZE_THREAD__ /* RocksDB is not built for it: all its locking would be reported */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void views_agree_on_disk(void **state)
{
    char dir[] = "/tmp/valise-mail-XXXXXX";
    struct engine *g;
    struct error e = ERROR_NONE;
    assert_non_null(mkdtemp(dir));
    if (engine_rocksdb_open(dir, NULL, &g, &e))
        fail_msg("%s", e.text);
    run(g, 0);
    assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
#endif

/* Accounts are opened, used and forgotten by many threads at once. */
static void *churn(void *ctx)
{
    struct worker *w = ctx;
    for (int i = 0; i < 200 && !w->broken; i++) {
        struct mail_account *a;
        must(w, mail_account_open(w->f->s, fixture_part(1 + pick(w, 6)), &a));
        if (!w->broken) {
            must(w, fixture_try_append(w->f->s, a, "INBOX", "m", 0, NULL));
            mail_account_unref(a);
        }
        if (mail_account_open(w->f->s, fixture_part(100), &a) != ERR_NOTFOUND)
            w->broken = "an account that is not there";
    }
    return NULL;
}

static void accounts_come_and_go(void **state)
{
    static struct worker workers[4];
    struct fixture f;
    fixture_open(&f);
    mail_store_set_cache(f.s, 1);
    for (unsigned i = 2; i <= 6; i++)
        assert_int_equal(mail_account_create(f.s, fixture_part(i)), 0);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){ .f = &f, .seed = i + 1 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, churn, &workers[i]), 0);
    }
    uint64_t entries = 0;
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_null(workers[i].broken);
    }
    for (unsigned i = 1; i <= 6; i++) {
        struct mail_check_report report = { 0 };
        assert_int_equal(mail_check(f.s, fixture_part(i), true, fixture_fail, NULL, &report), 0);
        assert_int_equal(report.problems, 0);
        entries += report.entries;
    }
    assert_int_equal(entries, 800);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_agree_in_the_end),
        cmocka_unit_test(views_agree_without_memory),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(views_agree_on_disk),
#endif
        cmocka_unit_test(accounts_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
