/* append: new emails from APPEND and from deliveries. */
#include "base/clock.h"
#include "store/mail_private.h"

void update_put_email(struct update *u, struct thread_rows *rows, const struct new_email *n, struct mail_entry *ret)
{
    struct email_record e = { .blob = n->blob,
                              .size = n->size,
                              .received_ms = n->received_ms,
                              .prefix = n->prefix,
                              .structure = n->structure,
                              .fields = n->fields,
                              .ref_n = n->refs->n };
    uint64_t id = u->h.next_email++;
    memcpy(e.refs, n->refs->list, sizeof e.refs);
    e.thread = thread_rows_join(rows, n->refs, id);
    struct key k = key_of_id(KEY_EMAIL, id);
    if (n->bytes.p)
        engine_put_blob(u->t, n->bytes, &e.blob);
    else
        engine_link(u->t, n->blob);
    u->ops++;
    u->bytes += n->bytes.n;
    email_encode(&u->scratch, &e);
    update_put(u, &k, buf_str(&u->scratch));
    require(id <= MAIL_EMAIL_MAX);
    *ret = (struct mail_entry){ .size = (uint32_t)n->size,
                                .flags = n->flags,
                                .email = id & MAIL_EMAIL_MAX,
                                .sent = n->sent & MAIL_SENT_MAX,
                                .received_ms = n->received_ms };
}

uint32_t update_new_email(struct update *u, struct mailbox *mb, struct thread_rows *rows, const struct new_email *n)
{
    struct mail_entry entry;
    update_put_email(u, rows, n, &entry);
    update_append(u, mb, &entry, false);
    return entry.uid;
}

/* --- APPEND ---
 *
 * What fits one commit is one commit. More is written in several, with uids from the mailbox's uidnext on, where nobody looks, as a large copy is (copy.c); the last one
 * shows all. */

struct append {
    struct mail_account *a;
    str name;
    const struct mail_append *items; /* deposits that are ready, or else */
    struct mail_batch *batch;        /* one that is finished */
    size_t n;                        /* messages */
    uint64_t bytes;                  /* of all */
    engine_blob *blobs;              /* of each that is large; NULL: none is */
    struct mail_entry *entries;      /* as they are written */
    struct arena arena;              /* of one message */
    int64_t now;
    struct keyword_plan keywords;
    uint32_t uid, uidvalidity; /* of the first, once committed */
    uint64_t epoch, modseq;
    struct mailbox *mb; /* referenced once committed */
};

/* A commit of a part takes no further message beyond these, so that the largest still fits. */
enum { PART_BYTES = 512 * 1024, PART_OPS = UPDATE_OPS_MAX - 4 * (EMAIL_REFS_MAX + 3) };
_Static_assert(PART_BYTES + ENGINE_TXN_BLOB_MAX + ENGINE_VALUE_MAX < UPDATE_BYTES_MAX, "one more message fits");

void incoming_of(const struct mail_deposit *d, struct incoming *ret)
{
    *ret =
        (struct incoming){ .message = d->message, .structure = buf_str(&d->structure), .refs = d->refs, .summary = d->summary };
}

/* Message I of P, until the next is asked for. */
static int append_get(struct append *p, size_t i, struct incoming *ret)
{
    arena_reset(&p->arena);
    if (p->batch)
        return batch_get(p->batch, i, &p->arena, ret);
    incoming_of(p->items[i].deposit, ret);
    ret->flags = p->items[i].flags;
    ret->received_ms = p->items[i].received_ms;
    ret->ret_dropped = p->items[i].ret_dropped;
    ret->ret_names = p->items[i].ret_names;
    return 0;
}

/* Adds message I to U, with its entry. */
static int append_one(struct append *p, struct update *u, struct thread_rows *rows, struct buf *fields, size_t i)
{
    struct incoming in;
    uint64_t bits = 0;
    uint32_t dropped = p->keywords.dropped;
    int r = append_get(p, i, &in);
    if (!r)
        r = mail_flags_resolve(&p->keywords, &in.flags, MAIL_FLAGS_OR_DROP, &bits);
    if (!r)
        r = thread_rows_read(p->a, rows, in.refs.list, in.refs.n);
    if (r)
        return r;
    if (in.ret_dropped)
        *in.ret_dropped = p->keywords.dropped - dropped;
    if (in.ret_names)
        *in.ret_names = p->keywords.names;
    bool small = deposit_is_small(in.message.n);
    struct mail_entry *entry = &p->entries[i];
    email_fields_write((str){ 0 }, str_sub(in.message, 0, in.summary.header_n), in.structure.n, fields);
    update_put_email(u, rows,
                     &(struct new_email){ .blob = small ? (engine_blob){ { 0 } } : p->blobs[i],
                                          .bytes = small ? in.message : (str){ NULL, 0 },
                                          .size = in.message.n,
                                          .structure = in.structure,
                                          .fields = buf_str(fields),
                                          .sent = in.summary.sent,
                                          .refs = &in.refs,
                                          .received_ms = in.received_ms == INT64_MIN ? p->now : in.received_ms,
                                          .flags = bits },
                     entry);
    entry->uid = p->mb->c.uidnext + (uint32_t)i;
    entry->modseq = u->h.modseq;
    update_put_entry(u, p->mb->id, entry);
    return 0;
}

/* Adds messages from *AT on to U, as many as fit a commit. */
static int append_part(struct append *p, struct update *u, size_t *at)
{
    struct thread_rows rows = { .n = 0 };
    struct buf fields = BUF_INIT(MESSAGE_FIELDS_BYTES_MAX + MESSAGE_FIELDS_MAX);
    int r = 0;
    while (*at < p->n && !r && u->bytes <= PART_BYTES && u->ops + rows.n <= PART_OPS) {
        r = append_one(p, u, &rows, &fields, *at);
        *at += !r;
    }
    if (!r)
        thread_rows_write(&rows, u);
    thread_rows_done(&rows);
    buf_done(&fields);
    return r;
}

/* Shows all of P, the last of which are added by U. */
static int append_show(struct append *p, struct update *u, bool pending)
{
    for (size_t i = 0; i < p->n; i++) {
        struct mail_entry e = p->entries[i];
        update_append(u, p->mb, &e, true);
        require(e.uid == p->entries[i].uid && e.modseq == p->entries[i].modseq);
    }
    mail_flags_write(u, &p->keywords);
    int r = pending ? update_commit_pending(u) : update_commit(u);
    if (!r)
        mail_flags_adopt(&p->keywords);
    return r;
}

/* Commits all of P. *RET_LINKED of the messages were in commits that came through, also on error. */
static int append_all(struct append *p, size_t *ret_linked)
{
    size_t at = 0;
    int r = 0;
    *ret_linked = 0;
    while (at < p->n && !r) {
        struct update u;
        update_begin(&u, p->a);
        r = append_part(p, &u, &at);
        if (r) {
            update_abort(&u);
        } else if (at == p->n) {
            r = append_show(p, &u, *ret_linked > 0);
        } else {
            update_pend(&u, &(struct pending_record){ p->mb->id, p->mb->c.uidnext, p->mb->c.uidnext + (uint32_t)p->n });
            r = update_commit_unseen(&u);
        }
        if (!r)
            *ret_linked = at;
    }
    return r;
}

/* One attempt; ERR_CONFLICT asks for another. */
static int append_try(struct append *p, size_t *ret_linked)
{
    struct mail_account *a = p->a;
    *ret_linked = 0;
    int r = account_enter_write(a);
    if (r)
        return r;
    struct mailbox *mb = p->mb = account_mailbox(a, p->name);
    r = mb ? account_check_quota(a, p->n, p->bytes) : ERR_NOTFOUND;
    if (!r && p->n >= UINT32_MAX - mb->c.uidnext)
        r = ERR_LIMIT;
    if (r) {
        account_leave(a);
        return r;
    }
    keyword_plan_begin(&p->keywords, a, mb);
    p->uid = mb->c.uidnext;
    r = append_all(p, ret_linked);
    if (!r) {
        mailbox_ref(mb);
        p->uidvalidity = mb->uidvalidity;
        p->epoch = a->epoch;
        p->modseq = a->h.modseq;
    } else if (a->loaded && a->pending && account_rollback(a)) {
        account_drop(a); /* the next change tries again */
    }
    account_leave(a);
    return r;
}

static int append_error(int r, struct error *e)
{
    return error_set(e, r,
                     r == ERR_NOTFOUND  ? "there is no such mailbox"
                     : r == ERR_FULL    ? "the disk is full"
                     : r == ERR_REFUSED ? MAIL_QUOTA_IS_USED_UP
                                        : "the message could not be stored");
}

int mail_pending_wait(struct mail_account *a, struct mail_pending *p)
{
    int r = account_wait(a, p->epoch, p->modseq);
    mailbox_wake(a, p->mailbox, NULL);
    p->mailbox = NULL;
    return r;
}

/* Puts the large messages of P. *RET_PUT messages have been looked at, also on error. */
static int put_blobs(struct append *p, size_t *ret_put)
{
    int r = 0;
    for (*ret_put = 0; *ret_put < p->n && !r && p->blobs; *ret_put += !r) {
        struct incoming in;
        r = append_get(p, *ret_put, &in);
        if (!r && !deposit_is_small(in.message.n))
            r = engine_blob_put(p->a->store->g, p->a->id, in.message, &p->blobs[*ret_put]);
    }
    return r;
}

/* The blobs of messages [FROM, TO) were put in vain: where it is certain that no commit links them they go now, as the disk may be full. The rest is collected. */
static void give_up(const struct append *p, size_t from, size_t to, int why)
{
    static const engine_blob none;
    if (why == ERR_UNKNOWN || why == ERR_UNAVAILABLE || !p->blobs)
        return;
    for (size_t i = from; i < to; i++)
        if (memcmp(&p->blobs[i], &none, sizeof none) && engine_blob_drop(p->a->store->g, p->a->id, p->blobs[i]))
            return;
}

/* All of P, messages and their number set, in one change. */
static int append_begin(struct append *p, bool large, struct mail_pending *ret, struct error *e)
{
    int r = ERR_CONFLICT;
    arena_init(&p->arena, 16 << 20);
    p->now = clock_real_ms();
    p->entries = reallocarray(NULL, p->n, sizeof *p->entries);
    p->blobs = large ? calloc(p->n, sizeof *p->blobs) : NULL;
    if (!p->entries || (large && !p->blobs))
        panic("out of memory for %zu messages", p->n);
    /* A conflict may also mean that the collector has condemned a blob that waited too long: so the blobs are put again each
     * time. */
    for (int attempt = 0; attempt < 5 && r == ERR_CONFLICT; attempt++) {
        size_t put, linked = 0;
        r = put_blobs(p, &put);
        if (!r)
            r = append_try(p, &linked);
        if (r)
            give_up(p, linked, put, r);
    }
    arena_done(&p->arena);
    free(p->entries);
    free(p->blobs);
    if (r)
        return append_error(r, e);
    *ret = (struct mail_pending){ .mailbox = p->mb, .epoch = p->epoch, .modseq = p->modseq };
    return 0;
}

int mail_append_begin(struct mail_account *a, str name, const struct mail_append *items, size_t n, uint32_t *ret_uids,
                      uint32_t *ret_uidvalidity, struct mail_pending *ret, struct error *e)
{
    struct append p = { .a = a, .name = name, .items = items, .n = n };
    int r = n ? 0 : ERR_LIMIT;
    bool large = false;
    for (size_t i = 0; i < n && !r; i++) {
        r = deposit_finish(items[i].deposit, e);
        p.bytes += items[i].deposit->size;
        large |= !deposit_is_small(items[i].deposit->size);
    }
    if (!r)
        r = append_begin(&p, large, ret, e);
    if (r)
        return r;
    *ret_uidvalidity = p.uidvalidity;
    for (size_t i = 0; i < n; i++)
        ret_uids[i] = p.uid + (uint32_t)i;
    return 0;
}

int mail_append(struct mail_account *a, str name, const struct mail_append *items, size_t n, uint32_t *ret_uids,
                uint32_t *ret_uidvalidity, struct error *e)
{
    struct mail_pending pending;
    uint32_t uidvalidity;
    int r = mail_append_begin(a, name, items, n, ret_uids, &uidvalidity, &pending, e);
    if (r)
        return r;
    r = mail_pending_wait(a, &pending);
    if (r)
        return append_error(r, e);
    *ret_uidvalidity = uidvalidity;
    return 0;
}

int mail_batch_append_begin(struct mail_account *a, str name, struct mail_batch *b, uint32_t *ret_uid, uint32_t *ret_uidvalidity,
                            struct mail_pending *ret, struct error *e)
{
    struct append p = { .a = a, .name = name, .batch = b, .n = mail_batch_count(b), .bytes = mail_batch_bytes(b) };
    int r = p.n ? batch_finish(b, e) : ERR_LIMIT;
    if (!r)
        r = append_begin(&p, mail_batch_bytes(b) > ENGINE_TXN_BLOB_MAX, ret, e);
    if (r)
        return r;
    batch_set_dropped(b, &p.keywords.names);
    *ret_uid = p.uid;
    *ret_uidvalidity = p.uidvalidity;
    return 0;
}
