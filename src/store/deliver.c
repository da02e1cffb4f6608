/* deliver: one message to many recipients.
 *
 * Every recipient's account gets its own commit; none waits for the disk before all are under way, so that they share the
 * fsync. What differs between recipients are a few header lines (Return-Path, Delivered-To): they are kept in the email's
 * record, and the blob holds the message as it came, so that the same bytes can serve all. The structure is that of the whole:
 * made once for each shape of prefix. */
#include "base/clock.h"
#include "store/mail_private.h"

enum { SHARE_ABOVE = 64 * 1024 };

struct target {
    struct mail_recipient *rcpt;
    struct mail_account *a;
    struct mailbox *mb;
    uint64_t epoch, modseq;
    bool committed;
};

struct delivery {
    struct mail_store *s;
    struct mail_deposit *d;
    int64_t now;
    bool shared, have_shared;
    engine_blob shared_blob;
    struct buf fields;    /* of the recipient under way */
    struct buf structure; /* for prefixes of the shape below */
    size_t prefix_n;
    uint32_t prefix_lines;
};

static uint32_t count_lines(str s)
{
    uint32_t n = 0;
    for (size_t i = str_find_byte(s, '\n', 0); i < s.n; i = str_find_byte(s, '\n', i + 1))
        n++;
    return n;
}

/* The structure of prefix and message together. Header fields of a prefix mean nothing to it, only their length counts. */
static int structure_for(struct delivery *v, str prefix, str *ret)
{
    if (prefix.n == 0) {
        *ret = buf_str(&v->d->structure);
        return 0;
    }
    uint32_t lines = count_lines(prefix);
    if (v->prefix_n != prefix.n || v->prefix_lines != lines) {
        buf_reset(&v->structure);
        int r = structure_prefix(buf_str(&v->d->structure), prefix.n, lines, &v->structure);
        if (r)
            return r;
        v->prefix_n = prefix.n;
        v->prefix_lines = lines;
    }
    *ret = buf_str(&v->structure);
    return 0;
}

static int blob_for(struct delivery *v, engine_part part, engine_blob *ret)
{
    if (!v->shared)
        return deposit_put_blob(v->d, part, ret);
    for (int attempt = 0; attempt < 3; attempt++) {
        int r = v->have_shared ? 0 : engine_blob_put_shared(v->s->g, v->d->message, &v->shared_blob);
        v->have_shared = !r;
        if (!r)
            r = engine_blob_hold(v->s->g, v->shared_blob, part);
        if (r != ERR_CONFLICT) {
            *ret = v->shared_blob;
            return r;
        }
        v->have_shared = false; /* condemned: put it again */
    }
    return ERR_UNAVAILABLE;
}

/* One attempt; *RET_BLOB: what was put for it. */
static int deliver_try(struct delivery *v, struct target *t, engine_blob *ret_blob)
{
    struct new_email n = {
        .size = v->d->size + t->rcpt->prefix.n, .received_ms = v->now, .prefix = t->rcpt->prefix, .refs = &v->d->refs
    };
    int r = structure_for(v, n.prefix, &n.structure);
    email_fields_write(n.prefix, deposit_header(v->d), n.structure.n, &v->fields);
    n.fields = buf_str(&v->fields);
    n.sent = v->d->summary.sent;
    if (!v->shared && deposit_is_small(v->d->size))
        n.bytes = v->d->message;
    else if (!r)
        r = blob_for(v, t->rcpt->account, &n.blob);
    if (!r)
        *ret_blob = n.blob;
    if (!r)
        r = account_enter_write(t->a);
    if (r)
        return r;
    struct mail_account *a = t->a;
    struct mailbox *mb = account_mailbox(a, t->rcpt->mailbox.n ? t->rcpt->mailbox : STR("INBOX"));
    struct thread_rows rows = { .n = 0 };
    r = mb ? thread_rows_read(a, &rows, n.refs->list, n.refs->n) : ERR_NOTFOUND;
    if (!r && !t->rcpt->beyond_quota)
        r = account_check_quota(a, 1, n.size);
    if (!r) {
        struct update u;
        update_begin(&u, a);
        update_new_email(&u, mb, &rows, &n);
        thread_rows_write(&rows, &u);
        r = update_commit(&u);
    }
    thread_rows_done(&rows);
    if (!r) {
        mailbox_ref(mb);
        t->mb = mb;
        t->epoch = a->epoch;
        t->modseq = a->h.modseq;
        t->committed = true;
    }
    account_leave(a);
    return r;
}

/* What was put for T alone goes where it is certain that nothing links it: the disk may be full. The rest is collected. */
static int put_and_try(struct delivery *v, struct target *t)
{
    engine_blob blob = { { 0 } };
    int r = deliver_try(v, t, &blob);
    bool in_vain = r && r != ERR_UNKNOWN && r != ERR_UNAVAILABLE && !v->shared && blob.b[0];
    int dropped = in_vain ? engine_blob_drop(v->s->g, t->rcpt->account, blob) : 0;
    (void)dropped; /* if not, it is collected */
    return r;
}

static int deliver_one(struct delivery *v, struct target *t)
{
    if (t->rcpt->prefix.n > EMAIL_PREFIX_MAX || v->d->size + t->rcpt->prefix.n > UINT32_MAX)
        return ERR_LIMIT;
    int r = mail_account_open(v->s, t->rcpt->account, &t->a);
    for (int attempt = 0; attempt < 5 && !r; attempt++) {
        r = put_and_try(v, t);
        if (r != ERR_CONFLICT)
            return r;
        r = 0;
    }
    return r ? r : ERR_UNAVAILABLE;
}

int mail_deliver(struct mail_store *s, struct mail_deposit *d, struct mail_recipient *recipients, size_t n, struct error *e)
{
    int first = deposit_finish(d, e);
    if (first)
        return first;
    struct delivery v = { .s = s, .d = d, .now = clock_real_ms(), .shared = n > 1 && d->size > SHARE_ABOVE };
    buf_init(&v.structure, EMAIL_STRUCTURE_MAX);
    buf_init(&v.fields, MESSAGE_FIELDS_BYTES_MAX + MESSAGE_FIELDS_MAX);
    struct target *targets = calloc(n, sizeof *targets);
    if (!targets)
        panic("out of memory for %zu recipients", n);
    for (size_t i = 0; i < n; i++) {
        targets[i].rcpt = &recipients[i];
        recipients[i].result = deliver_one(&v, &targets[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct target *t = &targets[i];
        if (t->committed) {
            recipients[i].result = account_wait(t->a, t->epoch, t->modseq);
            mailbox_wake(t->a, t->mb, NULL);
        }
        if (t->a)
            mail_account_unref(t->a);
        if (recipients[i].result && !first)
            first = error_set(e, recipients[i].result, "delivery to %.*s failed: %s", STR_ARG(recipients[i].address),
                              err_name(recipients[i].result));
    }
    free(targets);
    buf_done(&v.structure);
    buf_done(&v.fields);
    return first;
}
