/* view: what one session has been told of a mailbox. */
#include "store/view_private.h"

/* --- open and close --- */

static void view_attach(struct mail_view *v, struct mailbox *mb)
{
    v->mb = mb;
    mailbox_ref(mb);
    v->next = mb->views;
    mb->views = v;
    if (!mb->ring) {
        mb->ring = calloc(1, sizeof *mb->ring);
        if (!mb->ring)
            panic("out of memory for events");
        mailbox_ring_reset(mb);
    }
}

static void uids_reserve(struct mail_view *v, size_t n)
{
    if (n <= v->cap)
        return;
    v->cap = n < 64 ? n + 8 : n + n / 16;
    v->uids = reallocarray(v->uids, v->cap, sizeof *v->uids);
    if (!v->uids)
        panic("out of memory for %zu messages", v->cap);
}

/* Messages from the mailbox's first recent one on are recent here; a session that may write takes them, so that nobody else
 * gets them. Not committed by itself: the next change of the mailbox writes it, and after a crash the messages are recent once
 * more (RFC 3501 section 2.3.2 allows that). */
void view_take_recent(struct mail_view *v)
{
    struct mail_counters *c = &v->mb->c;
    if (c->recent_from >= c->uidnext)
        return;
    struct uid_range *last = v->recent_n ? &v->recent[v->recent_n - 1] : NULL;
    if (last && last->to >= c->recent_from) {
        last->to = c->uidnext;
    } else {
        v->recent = reallocarray(v->recent, v->recent_n + 1, sizeof *v->recent);
        if (!v->recent)
            panic("out of memory for recent messages");
        v->recent[v->recent_n++] = (struct uid_range){ c->recent_from, c->uidnext };
    }
    if (!v->read_only) {
        c->recent_from = c->uidnext;
        c->recent = 0;
    }
}

/* Counts as they are told. The account is locked. */
void view_take_info(struct mail_view *v)
{
    const struct mailbox *mb = v->mb;
    v->info = (struct mailbox_info){ .id = mb->id,
                                     .name = v->name,
                                     .use = mb->use,
                                     .exists = !mb->gone,
                                     .uidvalidity = mb->uidvalidity,
                                     .uidnext = mb->c.uidnext,
                                     .unseen = mb->c.unseen,
                                     .bytes = mb->c.bytes,
                                     .modseq = mb->c.modseq };
    v->info.subscribed = account_is_subscribed(v->a, mb->name);
    v->modseq = mb->c.modseq;
    v->uidnext = mb->c.uidnext;
}

static int view_fill(struct mail_view *v)
{
    struct mailbox *mb = v->mb;
    int r = mailbox_index_load(v->a, mb);
    if (r)
        return r;
    uids_reserve(v, mb->index_n);
    for (size_t i = 0; i < mb->index_n; i++) {
        v->uids[i] = mb->index[i].uid;
        if (!v->first_unseen && !(mb->index[i].flags & MAIL_SEEN))
            v->first_unseen = (uint32_t)i + 1;
    }
    v->n = (uint32_t)mb->index_n;
    view_take_recent(v);
    view_take_info(v);
    v->keywords = keyword_table_ref(mailbox_keywords(mb));
    v->keywords_told = atomic_load(&v->keywords->n);
    return 0;
}

static int view_open_try(struct mail_view *v, str name)
{
    int r = account_enter_durable(v->a);
    if (r)
        return r;
    struct mailbox *mb = account_mailbox(v->a, name);
    r = mb ? mailbox_index_load(v->a, mb) : ERR_NOTFOUND;
    if (!r) {
        char *p = malloc(mb->name.n);
        if (!p)
            panic("out of memory for a view");
        memcpy(p, mb->name.p, mb->name.n);
        v->name = (str){ p, mb->name.n };
        view_attach(v, mb);
        r = view_fill(v);
    }
    account_leave(v->a);
    return r;
}

static void account_ref_again(struct mail_account *a)
{
    pthread_mutex_lock(&a->store->lock);
    a->refs++;
    pthread_mutex_unlock(&a->store->lock);
}

int mail_view_open(struct mail_account *a, str name, bool read_only, void (*wake)(void *ctx), void *ctx, struct mail_view **ret)
{
    struct mail_view *v = calloc(1, sizeof *v);
    if (!v)
        panic("out of memory for a view");
    v->a = a;
    account_ref_again(a);
    v->read_only = read_only;
    v->wake = wake;
    v->wake_ctx = ctx;
    int r;
    for (int attempt = 0; (r = view_open_try(v, name)) == ERR_CONFLICT && attempt < 5; attempt++)
        ;
    if (r) {
        mail_view_close(v);
        return r;
    }
    *ret = v;
    return 0;
}

void mail_view_close(struct mail_view *v)
{
    if (!v)
        return;
    struct mail_account *a = v->a;
    struct mailbox *mb = v->mb;
    if (mb) {
        pthread_mutex_lock(&a->lock);
        struct mail_view **at = &mb->views;
        while (*at != v)
            at = &(*at)->next;
        *at = v->next;
        if (!mb->views) {
            free(mb->ring);
            free(mb->ghosts);
            mb->ring = NULL;
            mb->ghosts = NULL;
            mb->ghost_n = 0;
        }
        mailbox_unref(a, mb);
        pthread_mutex_unlock(&a->lock);
    }
    mail_account_unref(a);
    keyword_table_unref(v->keywords);
    free(v->copy_dropped);
    free((char *)(uintptr_t)v->name.p);
    free(v->uids);
    free(v->recent);
    free(v->gone);
    free(v->silent);
    free(v->echo);
    free(v);
}

void mailbox_wake(struct mail_account *a, struct mailbox *mb, const struct mail_view *self)
{
    pthread_mutex_lock(&a->lock);
    for (struct mail_view *v = mb->views; v; v = v->next)
        if (v != self && v->wake)
            v->wake(v->wake_ctx);
    mailbox_unref(a, mb);
    pthread_mutex_unlock(&a->lock);
}

/* --- reading --- */

struct mailbox_info mail_view_info(const struct mail_view *v)
{
    struct mailbox_info info = v->info;
    info.messages = v->n;
    info.recent = mail_view_recent(v);
    return info;
}

bool mail_view_read_only(const struct mail_view *v)
{
    return v->read_only;
}

uint32_t mail_view_count(const struct mail_view *v)
{
    return v->n;
}

uint32_t mail_view_recent(const struct mail_view *v)
{
    uint32_t n = 0;
    for (size_t i = 0; i < v->recent_n; i++)
        n += mail_view_seq_from(v, v->recent[i].to) - mail_view_seq_from(v, v->recent[i].from);
    return n;
}

uint32_t mail_view_first_unseen(const struct mail_view *v)
{
    return v->first_unseen;
}

uint32_t mail_view_uid(const struct mail_view *v, uint32_t seq)
{
    require(seq >= 1 && seq <= v->n);
    return v->uids[seq - 1];
}

uint32_t mail_view_seq_from(const struct mail_view *v, uint32_t uid)
{
    size_t from = 0, to = v->n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (v->uids[mid] < uid)
            from = mid + 1;
        else
            to = mid;
    }
    return (uint32_t)from + 1;
}

bool mail_view_is_recent(const struct mail_view *v, uint32_t seq)
{
    uint32_t uid = mail_view_uid(v, seq);
    for (size_t i = 0; i < v->recent_n; i++)
        if (uid >= v->recent[i].from && uid < v->recent[i].to)
            return true;
    return false;
}

const str *mail_view_keywords(const struct mail_view *v, size_t *ret_n)
{
    *ret_n = atomic_load(&v->keywords->n);
    return v->keywords->list;
}

void view_adopt_keywords(struct mail_view *v)
{
    if (!v->mb->keywords || v->keywords == v->mb->keywords)
        return;
    struct keyword_table *former = v->keywords;
    v->keywords = keyword_table_ref(v->mb->keywords);
    v->keywords_told = UINT32_MAX;
    keyword_table_unref(former);
}

bool mail_view_takes_keywords(struct mail_view *v)
{
    bool room = atomic_load(&v->keywords->n) < MAIL_KEYWORDS_MAX;
    struct keyword_plan p;
    if (v->read_only || room || account_enter(v->a))
        return room && !v->read_only;
    keyword_plan_begin(&p, v->a, v->mb);
    if (v->mb->gone || keyword_plan_has_room(&p, &room))
        room = false;
    account_leave(v->a);
    return room;
}

/* The entry of UID as it is now, lock held. */
static int entry_find(struct mail_view *v, uint32_t uid, size_t hint, struct mail_entry *ret)
{
    struct mailbox *mb = v->mb;
    for (;;) {
        if (mb->gone)
            return ERR_NOTFOUND;
        int r = mailbox_index_load(v->a, mb);
        if (r)
            return r;
        const struct mail_entry *e = mailbox_index_get(mb, uid, hint);
        if (!e) {
            e = mailbox_ghost(mb, uid);
            if (e)
                *ret = *e;
            return ERR_NOTFOUND;
        }
        if (e->modseq <= v->a->synced_modseq) {
            *ret = *e;
            return 0;
        }
        r = account_settle(v->a, e->modseq); /* P1 */
        if (r)
            return r;
    }
}

int mail_view_entry(struct mail_view *v, uint32_t seq, struct mail_entry *ret)
{
    uint32_t uid = mail_view_uid(v, seq);
    int r;
    for (int attempt = 0; attempt < 5; attempt++) {
        r = account_enter(v->a);
        if (r)
            return r;
        r = entry_find(v, uid, seq - 1, ret);
        view_adopt_keywords(v);
        account_leave(v->a);
        if (r != ERR_CONFLICT)
            return r;
    }
    return r;
}
