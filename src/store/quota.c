/* quota: how much an account may keep (RFC 9208: STORAGE and MESSAGE). The limits are in the account's header; what is used is
 * the sum of the mailboxes' counters (M5), so that nothing has to be kept in step. A message that is in two mailboxes counts
 * twice, as its owner sees it. */
#include "store/mail_private.h"

static void usage(const struct mail_account *a, struct mail_quota *ret)
{
    *ret = (struct mail_quota){ .bytes_max = a->h.quota_bytes, .messages_max = a->h.quota_messages };
    for (size_t i = 0; i < a->mailbox_n; i++) {
        ret->bytes += a->mailboxes[i]->c.bytes;
        ret->messages += a->mailboxes[i]->c.messages;
    }
}

int account_check_quota(const struct mail_account *a, uint64_t messages, uint64_t bytes)
{
    struct mail_quota q;
    if (!a->h.quota_bytes && !a->h.quota_messages)
        return 0;
    usage(a, &q);
    bool over = (q.bytes_max && q.bytes + bytes > q.bytes_max) || (q.messages_max && q.messages + messages > q.messages_max);
    return over ? ERR_REFUSED : 0;
}

const unsigned mail_quota_marks[MAIL_QUOTA_MARKS] = { 80, 95 };

unsigned mail_quota_percent(const struct mail_quota *q)
{
    enum { MOST = 9999 };
    double bytes = q->bytes_max ? (double)q->bytes * 100 / (double)q->bytes_max : 0;
    double messages = q->messages_max ? (double)q->messages * 100 / (double)q->messages_max : 0;
    double most = bytes > messages ? bytes : messages;
    return most > MOST ? MOST : (unsigned)most;
}

unsigned mail_quota_level(const struct mail_quota *q)
{
    unsigned level = 0;
    while (level < MAIL_QUOTA_MARKS && mail_quota_percent(q) >= mail_quota_marks[level])
        level++;
    return level;
}

void mail_store_watch_quotas(struct mail_store *s, bool (*fn)(void *ctx, engine_part id), void *ctx)
{
    s->quota_fn = fn;
    s->quota_ctx = ctx;
}

void account_tell_quota(struct mail_account *a)
{
    struct mail_quota q;
    bool limited = a->h.quota_bytes || a->h.quota_messages;
    if (!a->store->quota_fn || (!limited && a->quota_told <= 1))
        return;
    usage(a, &q);
    unsigned told = 1 + mail_quota_level(&q);
    if (told != a->quota_told && a->store->quota_fn(a->store->quota_ctx, a->id))
        a->quota_told = told;
}

int mail_account_quota(struct mail_account *a, struct mail_quota *ret)
{
    int r = account_enter_durable(a);
    if (r)
        return r;
    usage(a, ret);
    account_leave(a);
    return 0;
}

int mail_account_room(struct mail_store *s, engine_part id, uint64_t bytes)
{
    struct mail_account *a;
    int r = mail_account_open(s, id, &a);
    if (r)
        return r;
    r = account_enter(a);
    if (!r) {
        r = a->h.quota_bytes && bytes > a->h.quota_bytes ? ERR_LIMIT : account_check_quota(a, 1, bytes);
        account_leave(a);
    }
    mail_account_unref(a);
    return r;
}

int mail_account_set_quota(struct mail_account *a, uint64_t bytes_max, uint64_t messages_max)
{
    int r = ERR_CONFLICT;
    uint64_t epoch = 0, modseq = 0;
    for (int attempt = 0; r == ERR_CONFLICT && attempt < 5; attempt++) {
        r = account_enter_write(a);
        if (r)
            return r;
        struct update u;
        update_begin(&u, a);
        engine_urgent(u.t);
        u.h.quota_bytes = bytes_max;
        u.h.quota_messages = messages_max;
        r = update_commit(&u);
        epoch = a->epoch;
        modseq = a->h.modseq;
        account_leave(a);
    }
    return r ? r : account_wait(a, epoch, modseq);
}

static int count_deleted(struct mail_account *a, str name, uint32_t *ret_n, uint64_t *ret_bytes)
{
    struct mailbox *mb = account_mailbox(a, name);
    int r = mb ? mailbox_index_load(a, mb) : ERR_NOTFOUND;
    if (r)
        return r;
    *ret_n = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < mb->index_n; i++) {
        if (!(mb->index[i].flags & MAIL_DELETED))
            continue;
        (*ret_n)++;
        *ret_bytes += mb->index[i].size;
    }
    return 0;
}

int mailbox_count_deleted(struct mail_account *a, str name, uint32_t *ret_n, uint64_t *ret_bytes)
{
    int r = ERR_CONFLICT;
    for (int attempt = 0; r == ERR_CONFLICT && attempt < 5; attempt++) {
        r = account_enter_durable(a);
        if (r)
            return r;
        r = count_deleted(a, name, ret_n, ret_bytes);
        account_leave(a);
    }
    return r;
}
