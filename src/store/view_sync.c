/* view_sync: what has changed in a mailbox since a session was last told.
 *
 * Nothing new: two numbers are compared. Little new: the mailbox's ring of events has it. Much new: the view is compared with
 * the index. */
#include "store/view_private.h"

/* Differences, collected under the lock and told without it. Lists are ascending by uid. */
struct changes {
    uint32_t *list[3]; /* gone, flags, new */
    size_t n[3], cap[3];
};
enum { GONE, FLAGS, NEW };

static void list_add(uint32_t **list, size_t *n, size_t *cap, uint32_t uid)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 32;
        *list = reallocarray(*list, *cap, sizeof **list);
        if (!*list)
            panic("out of memory for %zu changes", *cap);
    }
    (*list)[(*n)++] = uid;
}

static void changes_add(struct changes *c, int which, uint32_t uid)
{
    list_add(&c->list[which], &c->n[which], &c->cap[which], uid);
}

static int uid_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void list_sort(uint32_t *list, size_t *n)
{
    if (*n < 2)
        return;
    qsort(list, *n, sizeof *list, uid_cmp);
    size_t out = 1;
    for (size_t i = 1; i < *n; i++)
        if (list[i] != list[out - 1])
            list[out++] = list[i];
    *n = out;
}

static int silent_cmp(const void *a, const void *b)
{
    const struct uid_modseq *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->modseq < y->modseq ? -1 : x->modseq > y->modseq;
}

/* Whether the state of UID as of MODSEQ is this view's own silent doing. The list is sorted. */
static bool is_silent(const struct mail_view *v, uint32_t uid, uint64_t modseq)
{
    struct uid_modseq want = { uid, modseq };
    return v->silent_n && bsearch(&want, v->silent, v->silent_n, sizeof want, silent_cmp);
}

static bool shows(const struct mail_view *v, uint32_t uid)
{
    uint32_t seq = mail_view_seq_from(v, uid);
    return seq <= v->n && v->uids[seq - 1] == uid;
}

/* The events after the view's modseq. An event that is not the latest of its message counts all the same: what follows it may
 * be this view's own silent change, which hides only itself. */
static void collect_ring(struct mail_view *v, struct changes *c)
{
    const struct mailbox_ring *ring = v->mb->ring;
    uint64_t from = ring->next > MAILBOX_RING ? ring->next - MAILBOX_RING : 0;
    while (from < ring->next && ring->list[from % MAILBOX_RING].modseq <= v->modseq)
        from++;
    for (; from < ring->next; from++) {
        const struct mailbox_event *e = &ring->list[from % MAILBOX_RING];
        if (e->kind == CHANGE_APPEND)
            changes_add(c, NEW, e->uid);
        else if (e->kind == CHANGE_EXPUNGE)
            changes_add(c, GONE, e->uid);
        else if (!is_silent(v, e->uid, e->modseq))
            changes_add(c, FLAGS, e->uid);
    }
}

static void collect_index(struct mail_view *v, struct changes *c)
{
    const struct mailbox *mb = v->mb;
    size_t i = 0;
    for (uint32_t at = 0; at < v->n; at++) {
        if (i == mb->index_n || mb->index[i].uid != v->uids[at]) {
            changes_add(c, GONE, v->uids[at]);
            continue;
        }
        const struct mail_entry *e = &mb->index[i++];
        if (e->modseq > v->modseq && !is_silent(v, e->uid, e->modseq))
            changes_add(c, FLAGS, e->uid);
    }
    for (; i < mb->index_n; i++)
        changes_add(c, NEW, mb->index[i].uid);
}

/* A message that came and went before it was told does not count; one that went needs no flags. */
static void changes_settle(struct mail_view *v, struct changes *c)
{
    for (int i = 0; i < 3; i++)
        list_sort(c->list[i], &c->n[i]);
    size_t kept = 0;
    for (size_t i = 0; i < c->n[NEW]; i++)
        if (!c->n[GONE] || !bsearch(&c->list[NEW][i], c->list[GONE], c->n[GONE], sizeof(uint32_t), uid_cmp))
            c->list[NEW][kept++] = c->list[NEW][i];
    c->n[NEW] = kept;
    size_t flags = 0;
    for (size_t i = 0; i < v->echo_n; i++)
        changes_add(c, FLAGS, v->echo[i]);
    list_sort(c->list[FLAGS], &c->n[FLAGS]);
    for (size_t i = 0; i < c->n[FLAGS]; i++) {
        uint32_t uid = c->list[FLAGS][i];
        if (shows(v, uid) && !(c->n[GONE] && bsearch(&uid, c->list[GONE], c->n[GONE], sizeof uid, uid_cmp)))
            c->list[FLAGS][flags++] = uid;
    }
    c->n[FLAGS] = flags;
    for (size_t i = 0; i < c->n[GONE]; i++)
        if (shows(v, c->list[GONE][i]))
            list_add(&v->gone, &v->gone_n, &v->gone_cap, c->list[GONE][i]);
    list_sort(v->gone, &v->gone_n);
    v->silent_n = v->echo_n = 0;
}

/* Appends the new messages and takes the counts. Lock held. */
static void view_advance(struct mail_view *v, const struct changes *c)
{
    size_t n = v->n + c->n[NEW];
    if (n > v->cap) {
        v->cap = n + 8 + n / 16;
        v->uids = reallocarray(v->uids, v->cap, sizeof *v->uids);
        if (!v->uids)
            panic("out of memory for %zu messages", v->cap);
    }
    for (size_t i = 0; i < c->n[NEW]; i++) {
        require(v->n == 0 || v->uids[v->n - 1] < c->list[NEW][i]); /* V1 */
        v->uids[v->n++] = c->list[NEW][i];
    }
    view_take_recent(v);
    view_take_info(v);
}

/* Collects with the lock held. */
static int sync_collect(struct mail_view *v, struct changes *c, bool *ret_deleted)
{
    int r = account_enter(v->a);
    if (r == ERR_NOTFOUND) {
        *ret_deleted = true; /* with the whole account */
        return 0;
    }
    if (r)
        return r;
    struct mailbox *mb = v->mb;
    view_adopt_keywords(v);
    for (int round = 0; !r && !mb->gone && mb->c.modseq > v->a->synced_modseq; round++) /* P1 */
        r = round < 3 ? account_settle(v->a, mb->c.modseq) : account_settle_held(v->a);
    bool nothing = v->modseq == mb->c.modseq && !v->echo_n && !v->silent_n;
    if (!r && mb->gone) {
        *ret_deleted = true;
    } else if (!r && !nothing) {
        bool near = mb->ring && mb->ring->floor <= v->modseq;
        if (!r && !near)
            r = mailbox_index_load(v->a, mb);
        if (!r) {
            if (v->silent_n)
                qsort(v->silent, v->silent_n, sizeof *v->silent, silent_cmp);
            if (near)
                collect_ring(v, c);
            else
                collect_index(v, c);
            changes_settle(v, c);
            view_advance(v, c);
        }
    }
    account_leave(v->a);
    return r;
}

/* Takes the expunged messages out in one pass and tells each with the number it has at that moment. */
static void tell_expunges(struct mail_view *v, void (*fn)(void *ctx, enum mail_change change, uint32_t seq), void *ctx)
{
    uint32_t to = 0;
    size_t gone = 0;
    for (uint32_t from = 0; from < v->n; from++) {
        if (gone < v->gone_n && v->gone[gone] == v->uids[from]) {
            v->uids[to] = v->gone[gone++]; /* so that FN may still ask for its uid */
            fn(ctx, MAIL_CHANGE_EXPUNGE, to + 1);
            continue;
        }
        v->uids[to++] = v->uids[from];
    }
    require(gone == v->gone_n); /* V3 */
    v->n = to;
    v->gone_n = 0;
}

int mail_view_sync(struct mail_view *v, bool allow_expunge, void (*fn)(void *ctx, enum mail_change change, uint32_t seq),
                   void *ctx)
{
    struct changes c = { .n = { 0 } };
    bool deleted = false;
    int r;
    for (int attempt = 0; (r = sync_collect(v, &c, &deleted)) == ERR_CONFLICT && attempt < 5; attempt++)
        ;
    if (!r && deleted && !v->deleted_told) {
        v->deleted_told = true;
        fn(ctx, MAIL_CHANGE_DELETED, 0);
    }
    if (!r && !deleted) {
        if (allow_expunge && v->gone_n)
            tell_expunges(v, fn, ctx);
        uint32_t keywords = atomic_load(&v->keywords->n);
        if (keywords != v->keywords_told) {
            v->keywords_told = keywords;
            fn(ctx, MAIL_CHANGE_KEYWORDS, keywords);
        }
        for (size_t i = 0; i < c.n[FLAGS]; i++)
            fn(ctx, MAIL_CHANGE_FLAGS, mail_view_seq_from(v, c.list[FLAGS][i]));
        if (c.n[NEW])
            fn(ctx, MAIL_CHANGE_EXISTS, v->n);
        if (c.n[NEW] && mail_view_is_recent(v, v->n)) /* recent ones are the newest */
            fn(ctx, MAIL_CHANGE_RECENT, mail_view_recent(v));
    }
    for (int i = 0; i < 3; i++)
        free(c.list[i]);
    return r;
}
