/* Random operations on an account, compared with a model of arrays; views are followed by what they are told alone. */
#include "mail_fixture.h"
#include "store/faulty/faulty.h"

enum { BOXES = 3, VIEWS = 4, MESSAGES = 400, STEPS = 500 };

static const char *const box_names[BOXES] = { "INBOX", "Trash", "Archive" };

struct model_box {
    struct {
        uint32_t uid;
        uint64_t flags;
    } list[MESSAGES * 4];
    size_t n;
    uint32_t uidnext;
};
/* What a client would believe. */
struct follower {
    struct mail_view *v;
    size_t box;
    uint64_t flags[MESSAGES * 4];
    uint32_t n;
};
struct world {
    struct fixture f;
    struct model_box boxes[BOXES];
    struct follower views[VIEWS];
    uint64_t seed;
    bool cuts;      /* the power fails now and then */
    unsigned cut_n; /* times that it did */
};

static uint32_t pick(struct world *w, uint32_t bound)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->seed >> 33) % bound;
}

static void follow(void *ctx, enum mail_change change, uint32_t seq)
{
    struct follower *o = ctx;
    switch (change) {
    case MAIL_CHANGE_EXPUNGE:
        assert_in_range(seq, 1, o->n);
        memmove(o->flags + seq - 1, o->flags + seq, (o->n - seq) * sizeof *o->flags);
        o->n--;
        break;
    case MAIL_CHANGE_FLAGS:
        assert_in_range(seq, 1, mail_view_count(o->v));
        o->flags[seq - 1] = UINT64_MAX; /* to be asked for */
        break;
    case MAIL_CHANGE_EXISTS:
        for (uint32_t i = o->n; i < seq; i++)
            o->flags[i] = UINT64_MAX;
        o->n = seq;
        break;
    case MAIL_CHANGE_RECENT:
    case MAIL_CHANGE_KEYWORDS:
        break;
    case MAIL_CHANGE_DELETED:
        fail_msg("no mailbox was deleted");
    }
}

static void follower_sync(struct follower *o, bool expunge)
{
    assert_int_equal(mail_view_sync(o->v, expunge, follow, o), 0);
    assert_int_equal(o->n, mail_view_count(o->v));
    for (uint32_t i = 0; i < o->n; i++) {
        struct mail_entry e;
        if (o->flags[i] == UINT64_MAX && mail_view_entry(o->v, i + 1, &e) == 0)
            o->flags[i] = e.flags;
    }
}

static void follower_compare(struct world *w, struct follower *o)
{
    const struct model_box *box = &w->boxes[o->box];
    follower_sync(o, true);
    assert_int_equal(o->n, box->n);
    for (uint32_t i = 0; i < o->n; i++) {
        assert_int_equal(mail_view_uid(o->v, i + 1), box->list[i].uid);
        assert_int_equal(o->flags[i], box->list[i].flags);
        assert_int_equal(fixture_flags(o->v, i + 1), box->list[i].flags);
    }
}

static void box_add(struct model_box *box, uint64_t flags)
{
    box->list[box->n].uid = box->uidnext++;
    box->list[box->n++].flags = flags;
}

static size_t box_find(const struct model_box *box, uint32_t uid)
{
    size_t i = 0;
    while (i < box->n && box->list[i].uid != uid)
        i++;
    return i;
}

static void box_remove(struct model_box *box, size_t i)
{
    memmove(box->list + i, box->list + i + 1, (box->n - i - 1) * sizeof *box->list);
    box->n--;
}

/* Some of the numbers of O, ascending. */
static size_t some_seqs(struct world *w, const struct follower *o, uint32_t *seqs)
{
    size_t n = 0;
    uint32_t every = 1 + pick(w, 8);
    for (uint32_t i = 1; i <= o->n; i++)
        if (pick(w, every) == 0)
            seqs[n++] = i;
    return n;
}

static void step_store(struct world *w, struct follower *o, const uint32_t *seqs, size_t n)
{
    static const uint64_t choices[] = { MAIL_SEEN, MAIL_DELETED, MAIL_FLAGGED | MAIL_SEEN, MAIL_ANSWERED };
    struct model_box *box = &w->boxes[o->box];
    struct mail_flags set = { .system = choices[pick(w, 4)] };
    enum mail_store_mode mode = (enum mail_store_mode)pick(w, 3);
    bool silent = pick(w, 2);
    size_t missing, lost = 0;
    assert_int_equal(mail_view_store(o->v, seqs, n, mode, &set, silent, UINT64_MAX, NULL, NULL, &missing), 0);
    for (size_t i = 0; i < n; i++) {
        size_t at = box_find(box, mail_view_uid(o->v, seqs[i]));
        if (at == box->n) {
            lost++;
            continue;
        }
        uint64_t *flags = &box->list[at].flags, old = o->flags[seqs[i] - 1];
        *flags = mode == MAIL_FLAGS_SET ? set.system : mode == MAIL_FLAGS_ADD ? *flags | set.system : *flags & ~set.system;
        if (silent && old != UINT64_MAX) /* the client works it out itself */
            o->flags[seqs[i] - 1] = mode == MAIL_FLAGS_SET   ? set.system
                                    : mode == MAIL_FLAGS_ADD ? old | set.system
                                                             : old & ~set.system;
    }
    assert_int_equal(missing, lost);
}

static void step_expunge(struct world *w, struct follower *o, const uint32_t *seqs, size_t n)
{
    struct model_box *box = &w->boxes[o->box];
    assert_int_equal(mail_view_expunge(o->v, seqs, n), 0);
    for (size_t i = 0; i < n; i++) {
        size_t at = box_find(box, mail_view_uid(o->v, seqs[i]));
        if (at < box->n && box->list[at].flags & MAIL_DELETED)
            box_remove(box, at);
    }
}

static void step_copy(struct world *w, struct follower *o, const uint32_t *seqs, size_t n, bool move)
{
    static struct mail_uid_pair pairs[MESSAGES * 4];
    size_t target = pick(w, BOXES), done, found = 0;
    struct model_box *from = &w->boxes[o->box], *to = &w->boxes[target];
    uint32_t uidvalidity;
    if (to->n + n > MESSAGES)
        return;
    assert_int_equal(mail_view_copy(o->v, seqs, n, str_from_z(box_names[target]), move, pairs, &done, &uidvalidity), 0);
    for (size_t i = 0; i < n; i++) {
        uint32_t uid = mail_view_uid(o->v, seqs[i]);
        size_t at = box_find(from, uid);
        if (at == from->n)
            continue;
        assert_int_equal(pairs[found].from, uid);
        assert_int_equal(pairs[found++].to, to->uidnext);
        box_add(to, from->list[at].flags);
    }
    assert_int_equal(done, found);
    for (size_t i = 0; i < found && move; i++)
        box_remove(from, box_find(from, pairs[i].from));
}

static void step(struct world *w)
{
    static uint32_t seqs[MESSAGES * 4];
    struct follower *o = &w->views[pick(w, VIEWS)];
    struct model_box *box = &w->boxes[o->box];
    size_t n = some_seqs(w, o, seqs);
    if (w->cuts && pick(w, 20) == 0) { /* every operation so far was answered, so nothing of it may be lost */
        engine_faulty_crash(w->f.g, pick(w, 4));
        w->cut_n++;
    }
    switch (pick(w, 8)) {
    case 0:
    case 1:
        if (box->n < MESSAGES) {
            assert_int_equal(fixture_append(&w->f, box_names[o->box], "m", MAIL_DRAFT), box->uidnext);
            box_add(box, MAIL_DRAFT);
        }
        break;
    case 2:
        step_store(w, o, seqs, n);
        break;
    case 3:
        step_expunge(w, o, seqs, n);
        break;
    case 4:
        step_copy(w, o, seqs, n, false);
        break;
    case 5:
        step_copy(w, o, seqs, n, true);
        break;
    case 6:
        follower_sync(o, pick(w, 2));
        break;
    default:
        follower_compare(w, o);
    }
}

/* Returns how often the power failed. */
static unsigned run(uint64_t seed, size_t cache, bool cuts)
{
    static struct world w;
    struct engine *g;
    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.cuts = cuts;
    assert_int_equal(cuts ? engine_faulty_open(NULL, NULL, seed, &g) : engine_memory_open(&g), 0);
    fixture_open_on(&w.f, g);
    if (cache)
        mail_store_set_cache(w.f.s, cache);
    for (size_t i = 0; i < BOXES; i++)
        w.boxes[i].uidnext = 1;
    for (size_t i = 0; i < VIEWS; i++) {
        w.views[i].box = i % BOXES;
        w.views[i].v = fixture_view(&w.f, box_names[i % BOXES]);
    }
    for (int i = 0; i < STEPS; i++)
        step(&w);
    for (size_t i = 0; i < VIEWS; i++) {
        follower_compare(&w, &w.views[i]);
        mail_view_close(w.views[i].v);
    }
    fixture_reopen(&w.f);
    for (size_t i = 0; i < BOXES; i++) {
        struct mail_view *v = fixture_view(&w.f, box_names[i]);
        struct mailbox_info info = mail_view_info(v);
        assert_int_equal(info.messages, w.boxes[i].n);
        assert_int_equal(info.uidnext, w.boxes[i].uidnext);
        for (uint32_t m = 0; m < info.messages; m++)
            assert_int_equal(fixture_flags(v, m + 1), w.boxes[i].list[m].flags);
        mail_view_close(v);
    }
    fixture_close(&w.f);
    return w.cut_n;
}

static void random_operations(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        run(seed, 0, false);
}

/* The same with indexes that are dropped after each call. */
static void random_operations_without_memory(void **state)
{
    for (uint64_t seed = 5; seed <= 6; seed++)
        run(seed, 1, false);
}

static void random_operations_and_power_cuts(void **state)
{
    unsigned cuts = 0;
    for (uint64_t seed = 7; seed <= 10; seed++)
        cuts += run(seed, 0, true);
    assert_true(cuts >= 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(random_operations_without_memory),
        cmocka_unit_test(random_operations_and_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
