/* copy: COPY and MOVE.
 *
 * What fits one commit is one commit. A larger copy is written in several, with uids from the target's uidnext on, where
 * nobody looks; the last one raises uidnext and the counts and so makes all messages visible at once. A record (P) says since
 * the first commit what would have to be taken back, and the account's next change does so if the last one never came. A
 * larger move is several whole moves, each message being here or there (RFC 6851 section 3.3 asks no more). */
#include "store/view_private.h"

enum { COPY_AT_ONCE = 300, MOVE_AT_ONCE = 240 };

/* --- taking back --- */

struct rollback {
    uint64_t emails[RELEASE_MAX];
    uint32_t uids[RELEASE_MAX];
    size_t n;
    uint64_t mailbox;
};
enum { ROLLBACK_FULL = 1 };

static int rollback_row(void *ctx, str key, str value)
{
    struct rollback *b = ctx;
    struct mail_entry e;
    uint32_t uid;
    if (b->n == RELEASE_MAX)
        return ROLLBACK_FULL;
    if (!key_read_entry(key, &b->mailbox, &uid) || entry_decode(value, uid, &e))
        return ERR_CORRUPT;
    b->uids[b->n] = uid;
    b->emails[b->n++] = e.email;
    return 0;
}

/* Removes up to RELEASE_MAX entries of MAILBOX with uids in [*FROM, TO) and, when these were all, the row DONE. *FROM moves
 * on, so that the next scan does not walk over what was deleted. */
static int remove_some(struct mail_account *a, uint64_t mailbox, uint32_t *from, uint64_t to, const struct key *done,
                       bool *ret_all)
{
    struct rollback b = { .n = 0 };
    struct key first = key_of_entry(mailbox, *from),
               last = to > UINT32_MAX ? key_of_entry(mailbox + 1, 0) : key_of_entry(mailbox, (uint32_t)to);
    int r = engine_scan(a->store->g, a->id, key_str(&first), key_str(&last), ENGINE_UNSYNCED, rollback_row, &b, NULL);
    if (r != 0 && r != ROLLBACK_FULL)
        return r;
    struct update u;
    update_begin(&u, a);
    engine_urgent(u.t);
    *ret_all = r == 0;
    r = b.n ? emails_release(&u, b.emails, b.n) : 0;
    for (size_t i = 0; i < b.n; i++) {
        struct key k = key_of_entry(mailbox, b.uids[i]);
        update_del(&u, &k);
    }
    if (*ret_all)
        update_del(&u, done);
    if (r) {
        update_abort(&u);
        return r;
    }
    r = update_commit_unseen(&u);
    if (!r && b.n)
        *from = b.uids[b.n - 1];
    return r;
}

int account_rollback(struct mail_account *a)
{
    struct key done = key_of(KEY_PENDING);
    uint32_t from = a->pending_at.from;
    bool all = false;
    int r = 0;
    while (!all && !r)
        r = remove_some(a, a->pending_at.mailbox, &from, a->pending_at.to, &done, &all);
    if (!r)
        a->pending = false;
    return r;
}

int account_purge(struct mail_account *a)
{
    uint64_t mailbox = a->doomed[a->doomed_n - 1];
    struct key done = key_of_id(KEY_DOOMED, mailbox);
    bool all = false;
    int r = remove_some(a, mailbox, &a->doomed_from, (uint64_t)UINT32_MAX + 1, &done, &all);
    if (!r && all) {
        a->doomed_n--;
        a->doomed_from = 0;
    }
    return r;
}

/* --- keywords travel by name --- */

/* The bits that the flags of a message in FROM have in TO's mailbox, which gets the keywords that it lacks as far as it has room; others come into
 * DROPPED. */
static int translate(const struct mailbox *from, struct keyword_plan *to, uint64_t flags, struct mail_dropped *dropped,
                     uint64_t *ret)
{
    uint64_t bits = flags & ((1 << MAIL_KEYWORD_BIT) - 1), bit;
    for (size_t i = 0; i < mailbox_keyword_n(from); i++) {
        if (!(flags >> (MAIL_KEYWORD_BIT + i) & 1))
            continue;
        int r = keyword_plan_add(to, from->keywords->list[i], &bit);
        if (r && r != ERR_LIMIT)
            return r;
        bits |= r ? 0 : bit;
        if (r)
            mail_dropped_add(dropped, from->keywords->list[i]);
    }
    *ret = bits;
    return 0;
}

/* --- copying --- */

struct copying {
    struct mail_account *a;
    struct mailbox *from, *to;
    struct mail_entry *list; /* source entries, ascending */
    size_t n;
    struct mail_uid_pair *pairs;
    struct keyword_plan keywords; /* of TO */
    struct mail_dropped dropped;
};

/* The source's entries become the target's: email, size, date stay; flags are translated. */
static int entry_copy(struct copying *c, const struct mail_entry *e, struct mail_entry *ret)
{
    *ret = *e;
    return translate(c->from, &c->keywords, e->flags, &c->dropped, &ret->flags);
}

static int retain(struct update *u, const struct mail_entry *list, size_t n)
{
    uint64_t emails[COPY_AT_ONCE];
    for (size_t i = 0; i < n; i++)
        emails[i] = list[i].email;
    return emails_retain(u, emails, n);
}

/* On a full disk mail is deleted by moving it to the trash; programs that do not know MOVE copy it there first. A copy costs no body, only rows. */
static void urge(const struct copying *c, struct update *u, bool move)
{
    if (move || c->to->use == MAIL_USE_TRASH)
        engine_urgent(u->t);
}

/* Entries [FIRST, FIRST + N) in one commit, visible. */
static int copy_commit(struct copying *c, size_t first, size_t n, bool move)
{
    struct update u;
    update_begin(&u, c->a);
    urge(c, &u, move);
    keyword_plan_begin(&c->keywords, c->a, c->to);
    int r = 0;
    for (size_t i = first; i < first + n && !r; i++) {
        struct mail_entry e;
        r = entry_copy(c, &c->list[i], &e);
        if (!r) {
            update_append(&u, c->to, &e, false);
            c->pairs[i] = (struct mail_uid_pair){ c->list[i].uid, e.uid };
        }
    }
    for (size_t i = first; i < first + n && move && !r; i++)
        update_expunge(&u, c->from, &c->list[i]);
    if (!r && !move)
        r = retain(&u, c->list + first, n);
    if (r) {
        update_abort(&u);
        return r;
    }
    mail_flags_write(&u, &c->keywords);
    r = update_commit(&u);
    if (!r)
        mail_flags_adopt(&c->keywords);
    return r;
}

/* A part of a large copy: rows that nobody sees yet. */
static int copy_unseen(struct copying *c, size_t first, size_t n, uint64_t modseq)
{
    struct update u;
    update_begin(&u, c->a);
    urge(c, &u, false);
    update_pend(&u, &(struct pending_record){ c->to->id, c->to->c.uidnext, c->to->c.uidnext + (uint32_t)c->n });
    int r = retain(&u, c->list + first, n);
    for (size_t i = first; i < first + n && !r; i++) {
        struct mail_entry e;
        r = entry_copy(c, &c->list[i], &e);
        e.uid = c->to->c.uidnext + (uint32_t)i;
        e.modseq = modseq;
        update_put_entry(&u, c->to->id, &e);
    }
    if (!r)
        return update_commit_unseen(&u);
    update_abort(&u);
    return r;
}

static int copy_large(struct copying *c)
{
    uint64_t modseq = c->a->h.modseq + 1;
    if (c->n >= UINT32_MAX - c->to->c.uidnext)
        return ERR_LIMIT;
    keyword_plan_begin(&c->keywords, c->a, c->to);
    int r = 0;
    for (size_t i = 0; i < c->n && !r; i += COPY_AT_ONCE)
        r = copy_unseen(c, i, c->n - i < COPY_AT_ONCE ? c->n - i : COPY_AT_ONCE, modseq);
    if (r)
        return r;
    struct update u;
    update_begin(&u, c->a);
    urge(c, &u, false);
    for (size_t i = 0; i < c->n && !r; i++) {
        struct mail_entry e;
        r = entry_copy(c, &c->list[i], &e);
        update_append(&u, c->to, &e, true);
        c->pairs[i] = (struct mail_uid_pair){ c->list[i].uid, e.uid };
    }
    require(!r && u.h.modseq == modseq);
    mail_flags_write(&u, &c->keywords);
    r = update_commit_pending(&u);
    if (!r)
        mail_flags_adopt(&c->keywords);
    return r;
}

/* All of C. *RET_DONE of the entries have gone over, also on error (a large move is done in parts). */
static int copy_all(struct copying *c, bool move, size_t *ret_done)
{
    *ret_done = 0;
    int r = 0;
    if (!move && c->n > COPY_AT_ONCE) {
        r = copy_large(c);
        if (!r)
            *ret_done = c->n;
        else if (c->a->loaded && c->a->pending && account_rollback(c->a))
            account_drop(c->a); /* the next change tries again */
        return r;
    }
    while (*ret_done < c->n && !r) {
        size_t most = move ? MOVE_AT_ONCE : COPY_AT_ONCE, n = c->n - *ret_done < most ? c->n - *ret_done : most;
        r = copy_commit(c, *ret_done, n, move);
        if (!r)
            *ret_done += n;
    }
    return r;
}

int mailbox_move_all(struct mail_account *a, struct mailbox *from, struct mailbox *to)
{
    int r = mailbox_index_load(a, from);
    if (r || from->index_n == 0)
        return r;
    size_t done;
    struct copying c = { .a = a, .from = from, .to = to, .n = from->index_n };
    c.list = reallocarray(NULL, c.n, sizeof *c.list);
    c.pairs = reallocarray(NULL, c.n, sizeof *c.pairs);
    if (!c.list || !c.pairs)
        panic("out of memory for %zu messages", c.n);
    memcpy(c.list, from->index, c.n * sizeof *c.list);
    r = copy_all(&c, true, &done);
    free(c.list);
    free(c.pairs);
    return r;
}

/* --- COPY and MOVE of a view --- */

struct view_copy {
    struct mail_view *v;
    const uint32_t *seqs;
    size_t n, done;
    str target;
    bool move;
    struct mail_uid_pair *pairs;
    uint32_t uidvalidity;
    uint64_t epoch, modseq;
    struct mail_dropped dropped;
    struct mailbox *to; /* referenced once something was committed */
};

static int copy_enter(struct view_copy *p)
{
    struct mail_view *v = p->v;
    if (p->move)
        return view_enter_write(v);
    int r = account_enter_write(v->a);
    if (r)
        return r;
    r = v->mb->gone ? ERR_NOTFOUND : mailbox_index_load(v->a, v->mb);
    if (r)
        account_leave(v->a);
    return r;
}

static int copy_try(struct view_copy *p)
{
    struct mail_view *v = p->v;
    struct copying c = { .a = v->a, .from = v->mb, .pairs = p->pairs };
    int r = copy_enter(p);
    if (r)
        return r;
    c.to = account_mailbox(v->a, p->target);
    if (!c.to) {
        account_leave(v->a);
        return ERR_NOTFOUND;
    }
    c.list = reallocarray(NULL, p->n + 1, sizeof *c.list);
    if (!c.list)
        panic("out of memory for %zu messages", p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct mail_entry *e = mailbox_index_get(v->mb, mail_view_uid(v, p->seqs[i]), p->seqs[i] - 1);
        if (e)
            c.list[c.n++] = *e;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < c.n; i++)
        bytes += c.list[i].size;
    r = p->move ? 0 : account_check_quota(v->a, c.n, bytes);
    p->uidvalidity = c.to->uidvalidity;
    /* A MOVE to the mailbox where the messages are gives them new uids, as a copy and an expunge would. */
    if (!r)
        r = copy_all(&c, p->move, &p->done);
    if (p->done) {
        mailbox_ref(c.to);
        mailbox_ref(v->mb);
        p->to = c.to;
        p->dropped = c.dropped;
        p->epoch = v->a->epoch;
        p->modseq = v->a->h.modseq;
    }
    free(c.list);
    account_leave(v->a);
    return r;
}

int mail_view_copy(struct mail_view *v, const uint32_t *seqs, size_t n, str target, bool move, struct mail_uid_pair *pairs,
                   size_t *ret_n, uint32_t *ret_uidvalidity)
{
    struct view_copy p = { .v = v, .seqs = seqs, .n = n, .target = target, .move = move, .pairs = pairs };
    int r;
    for (int attempt = 0; (r = copy_try(&p)) == ERR_CONFLICT && p.done == 0 && attempt < 5; attempt++)
        ;
    *ret_n = p.done;
    free(v->copy_dropped);
    v->copy_dropped = NULL;
    if (p.dropped.n || p.dropped.more) {
        v->copy_dropped = malloc(sizeof *v->copy_dropped);
        if (!v->copy_dropped)
            panic("out of memory for keywords");
        *v->copy_dropped = p.dropped;
    }
    if (p.done) {
        int waited = view_finish(v, p.to, p.epoch, p.modseq);
        mailbox_wake(v->a, v->mb, v);
        r = r ? r : waited;
    }
    if (!r)
        *ret_uidvalidity = p.uidvalidity;
    return r;
}

const struct mail_dropped *mail_view_copy_dropped(const struct mail_view *v)
{
    return v->copy_dropped;
}
