/* append: new emails from APPEND and from deliveries. */
#include "base/clock.h"
#include "store/mail_private.h"

uint32_t update_new_email(struct update *u, struct mailbox *mb, struct thread_rows *rows, const struct new_email *n)
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
    struct mail_entry entry = { .size = (uint32_t)n->size,
                                .flags = n->flags,
                                .email = id & MAIL_EMAIL_MAX,
                                .sent = n->sent & MAIL_SENT_MAX,
                                .received_ms = n->received_ms };
    update_append(u, mb, &entry, false);
    return entry.uid;
}

/* --- APPEND --- */

struct append {
    struct mail_account *a;
    str name;
    const struct mail_append *items;
    size_t n;
    uint64_t bytes;     /* of all */
    engine_blob *blobs; /* NULL: they go into the change */
    uint32_t *uids, uidvalidity;
    uint64_t epoch, modseq;
    struct mailbox *mb; /* referenced once committed */
};

static int append_build(struct append *p, struct update *u, struct thread_rows *rows, struct keyword_plan *keywords)
{
    struct mail_account *a = p->a;
    int64_t now = clock_real_ms();
    struct buf fields = BUF_INIT(MESSAGE_FIELDS_BYTES_MAX + MESSAGE_FIELDS_MAX);
    int r = 0;
    for (size_t i = 0; i < p->n && !r; i++) {
        const struct mail_append *item = &p->items[i];
        const struct mail_deposit *d = item->deposit;
        uint64_t bits;
        uint32_t dropped = keywords->dropped;
        r = mail_flags_resolve(keywords, &item->flags, MAIL_FLAGS_OR_DROP, &bits);
        if (!r && item->ret_dropped)
            *item->ret_dropped = keywords->dropped - dropped;
        if (!r)
            r = thread_rows_read(a, rows, d->refs.list, d->refs.n);
        if (r)
            break;
        email_fields_write((str){ 0 }, deposit_header(d), d->structure.n, &fields);
        p->uids[i] =
            update_new_email(u, p->mb, rows,
                             &(struct new_email){ .blob = p->blobs ? p->blobs[i] : (engine_blob){ { 0 } },
                                                  .bytes = p->blobs ? (str){ NULL, 0 } : d->message,
                                                  .size = d->size,
                                                  .structure = buf_str(&d->structure),
                                                  .fields = buf_str(&fields),
                                                  .sent = d->summary.sent,
                                                  .refs = &d->refs,
                                                  .received_ms = item->received_ms == INT64_MIN ? now : item->received_ms,
                                                  .flags = bits });
        if (u->ops > UPDATE_OPS_MAX - EMAIL_REFS_MAX * 2 || u->bytes > UPDATE_BYTES_MAX)
            r = ERR_LIMIT;
    }
    buf_done(&fields);
    return r;
}

/* One attempt; ERR_CONFLICT asks for another. */
static int append_try(struct append *p)
{
    struct mail_account *a = p->a;
    int r = account_enter_write(a);
    if (r)
        return r;
    struct mailbox *mb = p->mb = account_mailbox(a, p->name);
    r = mb ? account_check_quota(a, p->n, p->bytes) : ERR_NOTFOUND;
    if (r) {
        account_leave(a);
        return r;
    }
    struct update u;
    struct thread_rows rows = { .n = 0 };
    struct keyword_plan keywords;
    keyword_plan_begin(&keywords, a, mb);
    update_begin(&u, a);
    r = append_build(p, &u, &rows, &keywords);
    if (!r) {
        thread_rows_write(&rows, &u);
        mail_flags_write(&u, &keywords);
        r = update_commit(&u);
    } else {
        update_abort(&u);
    }
    thread_rows_done(&rows);
    if (!r) {
        mail_flags_adopt(&keywords);
        mailbox_ref(mb);
        p->uidvalidity = mb->uidvalidity;
        p->epoch = a->epoch;
        p->modseq = a->h.modseq;
    }
    account_leave(a);
    return r;
}

static int append_error(int r, struct error *e)
{
    return error_set(e, r,
                     r == ERR_NOTFOUND  ? "there is no such mailbox"
                     : r == ERR_FULL    ? "the disk is full"
                     : r == ERR_REFUSED ? "the quota is used up"
                                        : "the message could not be stored");
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

int mail_pending_wait(struct mail_account *a, struct mail_pending *p)
{
    int r = account_wait(a, p->epoch, p->modseq);
    mailbox_wake(a, p->mailbox, NULL);
    p->mailbox = NULL;
    return r;
}

/* The first PUT blobs were put in vain: where it is certain that no commit links them they go now, as the disk may be full. The rest is collected. */
static void give_up(const struct append *p, size_t put, int why)
{
    if (why == ERR_UNKNOWN || why == ERR_UNAVAILABLE)
        return;
    for (size_t i = 0; i < put; i++)
        if (engine_blob_drop(p->a->store->g, p->a->id, p->blobs[i]))
            return;
}

int mail_append_begin(struct mail_account *a, str name, const struct mail_append *items, size_t n, uint32_t *ret_uids,
                      uint32_t *ret_uidvalidity, struct mail_pending *ret, struct error *e)
{
    struct append p = { .a = a, .name = name, .items = items, .n = n, .uids = ret_uids };
    int r = n ? 0 : ERR_LIMIT;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n && !r; i++) {
        r = deposit_finish(items[i].deposit, e);
        bytes += items[i].deposit->size;
    }
    if (r)
        return r;
    p.bytes = bytes;
    bool small = deposit_is_small(bytes);
    p.blobs = small ? NULL : reallocarray(NULL, n, sizeof *p.blobs);
    if (!p.blobs && !small)
        panic("out of memory for %zu messages", n);
    /* A conflict may also mean that the collector has condemned a blob that waited too long: so the blobs are put again each
     * time. */
    for (int attempt = 0; attempt < 5; attempt++) {
        size_t put = 0;
        r = 0;
        while (put < n && !r && !small) {
            r = deposit_put_blob(items[put].deposit, a->id, &p.blobs[put]);
            put += !r;
        }
        if (!r)
            r = append_try(&p);
        if (r)
            give_up(&p, put, r);
        if (r != ERR_CONFLICT)
            break;
    }
    free(p.blobs);
    if (r)
        return append_error(r, e);
    *ret_uidvalidity = p.uidvalidity;
    *ret = (struct mail_pending){ .mailbox = p.mb, .epoch = p.epoch, .modseq = p.modseq };
    return 0;
}
