/* update: one change to an account, from its rows to the state in memory and the views. See mail_private.h. */
#include "store/mail_private.h"

/* Rows of the change log that are kept at least, and how many more before some are cut off. */
enum { RANGES_MAX = 8000 };

void update_begin(struct update *u, struct mail_account *a)
{
    *u = (struct update){ .a = a, .h = a->h };
    u->h.modseq++;
    u->t = engine_begin(a->store->g, a->id, a->version);
    buf_init(&u->scratch, ENGINE_VALUE_MAX);
    buf_init(&u->log, ENGINE_VALUE_MAX);
    change_begin(&u->log);
}

void update_put(struct update *u, const struct key *k, str value)
{
    engine_put(u->t, key_str(k), value);
    u->ops++;
    u->bytes += k->n + value.n;
}

void update_del(struct update *u, const struct key *k)
{
    engine_del(u->t, key_str(k));
    u->ops++;
}

struct mail_counters *update_counters(struct update *u, struct mailbox *mb)
{
    for (unsigned i = 0; i < u->touched_n; i++)
        if (u->touched[i].mb == mb)
            return &u->touched[i].c;
    require(u->touched_n < 2);
    u->touched[u->touched_n] = (struct update_mailbox){ .mb = mb, .c = mb->c };
    u->touched[u->touched_n].c.modseq = u->h.modseq;
    return &u->touched[u->touched_n++].c;
}

static struct update_op *add_op(struct update *u, struct mailbox *mb, enum change_kind kind)
{
    if (!u->list) {
        u->list = u->first;
        u->cap = sizeof u->first / sizeof *u->first;
    }
    if (u->n == u->cap) {
        u->cap *= 4;
        struct update_op *list = reallocarray(u->list == u->first ? NULL : u->list, u->cap, sizeof *list);
        if (!list)
            panic("out of memory for a change of %zu entries", u->cap);
        if (u->list == u->first)
            memcpy(list, u->first, sizeof u->first);
        u->list = list;
    }
    struct update_op *op = &u->list[u->n++];
    *op = (struct update_op){ .mb = mb, .kind = kind };
    return op;
}

void update_put_entry(struct update *u, uint64_t id, const struct mail_entry *e)
{
    struct key k = key_of_entry(id, e->uid);
    entry_encode(&u->scratch, e);
    update_put(u, &k, buf_str(&u->scratch));
}

void update_append(struct update *u, struct mailbox *mb, struct mail_entry *e, bool written)
{
    struct mail_counters *c = update_counters(u, mb);
    require(c->uidnext < UINT32_MAX);
    e->uid = c->uidnext++;
    e->modseq = u->h.modseq;
    c->messages++;
    c->recent++;
    c->unseen += !(e->flags & MAIL_SEEN);
    c->bytes += e->size;
    if (!written)
        update_put_entry(u, mb->id, e);
    add_op(u, mb, CHANGE_APPEND)->e = *e;
}

void update_flags(struct update *u, struct mailbox *mb, const struct mail_entry *old, uint64_t flags)
{
    struct mail_counters *c = update_counters(u, mb);
    c->unseen -= !(old->flags & MAIL_SEEN);
    c->unseen += !(flags & MAIL_SEEN);
    struct update_op *op = add_op(u, mb, CHANGE_FLAGS);
    op->old_flags = old->flags;
    op->e = *old;
    op->e.flags = flags;
    op->e.modseq = u->h.modseq;
    update_put_entry(u, mb->id, &op->e);
}

void update_expunge(struct update *u, struct mailbox *mb, const struct mail_entry *e)
{
    struct mail_counters *c = update_counters(u, mb);
    require(c->messages > 0 && c->bytes >= e->size);
    c->messages--;
    c->unseen -= !(e->flags & MAIL_SEEN);
    c->bytes -= e->size;
    if (e->uid >= c->recent_from)
        c->recent--;
    struct key k = key_of_entry(mb->id, e->uid);
    update_del(u, &k);
    add_op(u, mb, CHANGE_EXPUNGE)->e = *e;
}

void update_note(struct update *u, enum change_kind kind, uint64_t mailbox)
{
    change_add(&u->log, kind, mailbox, NULL, 0);
}

/* --- commit --- */

/* The operations as log items, neighbours joined to ranges. */
static void log_ops(struct update *u)
{
    uint32_t ranges[256][2];
    for (size_t i = 0; i < u->n;) {
        const struct update_op *first = &u->list[i];
        size_t n = 0;
        for (; i < u->n && u->list[i].mb == first->mb && u->list[i].kind == first->kind; i++) {
            uint32_t uid = u->list[i].e.uid;
            if (n && ranges[n - 1][1] + 1 == uid) {
                ranges[n - 1][1] = uid;
                continue;
            }
            if (n == sizeof ranges / sizeof *ranges || (n && uid <= ranges[n - 1][1]))
                break;
            ranges[n][0] = ranges[n][1] = uid;
            n++;
        }
        change_add(&u->log, first->kind, first->mb->id, (const uint32_t(*)[2])ranges, n);
    }
}

/* M8: one row for each modseq above the floor. */
static void put_log(struct update *u)
{
    log_ops(u);
    struct key k = key_of_id(KEY_CHANGE, u->h.modseq);
    update_put(u, &k, buf_str(&u->log));
    uint64_t keep = u->a->store->changes_kept;
    if (u->h.modseq - u->h.floor > keep + keep / 5) {
        struct key from = key_of_id(KEY_CHANGE, 0), to = key_of_id(KEY_CHANGE, u->h.modseq - keep + 1);
        engine_del_range(u->t, key_str(&from), key_str(&to));
        u->h.floor = u->h.modseq - keep;
    }
}

static void put_mailboxes(struct update *u)
{
    for (unsigned i = 0; i < u->touched_n; i++) {
        struct update_mailbox *m = &u->touched[i];
        struct key k = key_of_id(KEY_COUNTERS, m->mb->id);
        counters_encode(&u->scratch, &m->c);
        update_put(u, &k, buf_str(&u->scratch));
    }
}

static void apply_append(struct mail_account *a, struct mailbox *mb, const struct mail_entry *e)
{
    if (!mb->index)
        return;
    require(mb->index_n == 0 || mb->index[mb->index_n - 1].uid < e->uid);
    if (mb->index_n == mb->index_cap) {
        size_t cap = mb->index_cap * 2;
        mb->index = reallocarray(mb->index, cap, sizeof *mb->index);
        if (!mb->index)
            panic("out of memory for %zu entries", cap);
        a->index_bytes += (cap - mb->index_cap) * sizeof *mb->index;
        mb->index_cap = cap;
    }
    mb->index[mb->index_n++] = *e;
}

static void apply_ghost(struct mailbox *mb, const struct mail_entry *e)
{
    if (!mb->views)
        return;
    if (mb->ghost_n == MAILBOX_GHOSTS_MAX)
        mb->ghost_n = 0;
    if ((mb->ghost_n & (mb->ghost_n - 1)) == 0) {
        mb->ghosts = reallocarray(mb->ghosts, mb->ghost_n ? mb->ghost_n * 2 : 1, sizeof *mb->ghosts);
        if (!mb->ghosts)
            panic("out of memory for an entry");
    }
    mb->ghosts[mb->ghost_n++] = *e;
}

/* Removes the expunged entries OPS[0..N) of one mailbox, in order of uid, in one pass. */
static void apply_expunges(struct mailbox *mb, const struct update_op *ops, size_t n)
{
    if (!mb->index)
        return;
    size_t to = mailbox_index_find(mb, ops[0].e.uid, 0), from = to, op = 0;
    for (; from < mb->index_n && op < n; from++) {
        if (mb->index[from].uid == ops[op].e.uid)
            op++;
        else
            mb->index[to++] = mb->index[from];
    }
    require(op == n);
    memmove(mb->index + to, mb->index + from, (mb->index_n - from) * sizeof *mb->index);
    mb->index_n -= n;
}

static void apply(struct update *u, uint64_t version)
{
    struct mail_account *a = u->a;
    a->version = version;
    a->h = u->h;
    for (unsigned i = 0; i < u->touched_n; i++)
        u->touched[i].mb->c = u->touched[i].c;
    for (size_t i = 0; i < u->n; i++) {
        const struct update_op *op = &u->list[i];
        mailbox_ring_add(op->mb, op->kind, op->e.uid, u->h.modseq);
        if (op->kind == CHANGE_APPEND) {
            apply_append(a, op->mb, &op->e);
        } else if (op->kind == CHANGE_FLAGS) {
            struct mail_entry *e = op->mb->index ? mailbox_index_get(op->mb, op->e.uid, SIZE_MAX) : NULL;
            if (e)
                *e = op->e;
        } else {
            apply_ghost(op->mb, &op->e);
        }
    }
    for (size_t i = 0; i < u->n;) {
        size_t n = 1;
        while (i + n < u->n && u->list[i + n].kind == u->list[i].kind && u->list[i + n].mb == u->list[i].mb)
            n++;
        if (u->list[i].kind == CHANGE_EXPUNGE)
            apply_expunges(u->list[i].mb, u->list + i, n);
        i += n;
    }
}

static void update_done(struct update *u)
{
    if (u->list != u->first)
        free(u->list);
    buf_done(&u->scratch);
    buf_done(&u->log);
}

void update_abort(struct update *u)
{
    engine_abort(u->t);
    update_done(u);
}

int update_commit(struct update *u)
{
    put_mailboxes(u);
    put_log(u);
    struct key k = key_of(KEY_HEADER);
    header_encode(&u->scratch, &u->h);
    update_put(u, &k, buf_str(&u->scratch));
    uint64_t version = 0;
    int r = buf_error(&u->log);
    if (r)
        engine_abort(u->t);
    else
        r = engine_commit_unsynced(u->t, &version);
    if (!r) {
        apply(u, version);
        account_tell_quota(u->a);
    } else if (r != ERR_FULL && r != ERR_LIMIT) {
        account_drop(u->a); /* P2 */
    }
    update_done(u);
    return r;
}

/* --- large operations, of several commits --- */

void update_pend(struct update *u, const struct pending_record *p)
{
    struct key k = key_of(KEY_PENDING);
    pending_encode(&u->scratch, p);
    update_put(u, &k, buf_str(&u->scratch));
    u->a->pending = true;
    u->a->pending_at = *p;
}

int update_commit_unseen(struct update *u)
{
    struct mail_account *a = u->a;
    uint64_t version = 0, next_email = u->h.next_email;
    if (next_email != a->h.next_email) {
        struct key k = key_of(KEY_HEADER);
        u->h.modseq = a->h.modseq;
        header_encode(&u->scratch, &u->h);
        update_put(u, &k, buf_str(&u->scratch));
    }
    int r = engine_commit_unsynced(u->t, &version);
    if (!r) {
        a->version = version;
        a->h.next_email = next_email;
    } else if (r != ERR_FULL && r != ERR_LIMIT) {
        account_drop(a); /* P2 */
    }
    update_done(u);
    return r;
}

int update_commit_pending(struct update *u)
{
    struct mail_account *a = u->a;
    struct key k = key_of(KEY_PENDING);
    update_del(u, &k);
    int r = update_commit(u);
    if (!r)
        a->pending = false;
    return r;
}
