/* changes: what the change log knows of the past (RFC 7162 section 3.2: messages that vanished since a client last looked). */
#include "store/view_private.h"

struct vanished {
    uint64_t mailbox;
    uint32_t (*list)[2];
    size_t n, cap;
};

static int vanished_item(void *ctx, enum change_kind kind, uint64_t mailbox, uint32_t from, uint32_t to)
{
    struct vanished *x = ctx;
    if (kind != CHANGE_EXPUNGE || mailbox != x->mailbox)
        return 0;
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->list = reallocarray(x->list, x->cap, sizeof *x->list);
        if (!x->list)
            panic("out of memory for %zu ranges", x->cap);
    }
    x->list[x->n][0] = from;
    x->list[x->n++][1] = to;
    return 0;
}

static int vanished_row(void *ctx, str key, str value)
{
    return change_each(value, vanished_item, ctx);
}

static int range_cmp(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* Tells the ranges, neighbours joined. No uid is in two of them: each is expunged once (M8). */
static void vanished_tell(struct vanished *x, void (*fn)(void *ctx, uint32_t from, uint32_t to), void *ctx)
{
    if (x->n)
        qsort(x->list, x->n, sizeof *x->list, range_cmp);
    for (size_t i = 0; i < x->n;) {
        uint32_t from = x->list[i][0], to = x->list[i][1];
        for (i++; i < x->n && x->list[i][0] == to + 1; i++)
            to = x->list[i][1];
        fn(ctx, from, to);
    }
}

int mail_view_vanished(struct mail_view *v, uint64_t since, void (*fn)(void *ctx, uint32_t from, uint32_t to), void *ctx)
{
    struct mail_account *a = v->a;
    struct key from = key_of_id(KEY_CHANGE, since + 1), to = key_of_id(KEY_CHANGE, v->modseq + 1);
    if (since >= v->modseq)
        return 0;
    struct vanished x = { .mailbox = v->mb->id };
    int r;
    do {
        x.n = 0;
        r = engine_scan(a->store->g, a->id, key_str(&from), key_str(&to), ENGINE_SYNCED, vanished_row, &x, NULL);
    } while (r == ERR_CONFLICT);
    /* Looked at after the scan, for the log may have been cut while it ran. */
    if (!r)
        r = account_enter(a);
    if (!r) {
        if (since < a->h.floor)
            r = ERR_NOTFOUND;
        account_leave(a);
    }
    if (!r)
        vanished_tell(&x, fn, ctx);
    free(x.list);
    return r;
}
