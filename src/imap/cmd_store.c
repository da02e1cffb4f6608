/* cmd_store: STORE and UID STORE (RFC 3501 section 6.4.6). */
#include "imap/session_private.h"

struct store_work {
    struct imap_set set;
    size_t range;
    uint32_t done;                   /* of the range */
    size_t missing;
};

static enum imap_next store_end(struct imap_session *s)
{
    const struct store_work *w = s->work;
    if (w->missing && !s->uid)
        return imap_no(s, "[EXPUNGEISSUED] Some of the messages no longer exist");
    return imap_ok(s);
}

/* The new flags of each message, after what others have changed meanwhile. Expunges stay back, so the numbers hold. */
static enum imap_next store_more(struct imap_session *s)
{
    struct store_work *w = s->work;
    if (imap_updates_send(s) == ERR_AGAIN)
        return IMAP_MORE;
    for (; w->range < w->set.n; w->range++, w->done = 0) {
        const struct imap_range *range = &w->set.ranges[w->range];
        while (w->done <= range->last - range->first) {
            if (imap_out_is_full(s))
                return IMAP_MORE;
            imap_write_flags_update(s, range->first + w->done++);
        }
    }
    return store_end(s);
}

/* store = "STORE" SP sequence-set SP store-att-flags */
IMAP_HANDLER(store)
{
    struct imap_set set;
    struct imap_store store;
    uint32_t *seqs;
    size_t n, modified_n = 0;
    struct store_work *w = arena_new(&s->arena, struct store_work);
    int r = w ? imap_parse_sp(args) : ERR_LIMIT;
    if (r == 0)
        r = imap_parse_set(args, &s->arena, &imap_limits_default, &set);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_store(args, &s->arena, &imap_limits_default, &store);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (!imap_check_writable(s))
        return IMAP_DONE;
    s->work = w;
    s->resume = store_more;
    r = imap_set_resolve(s, &set, s->uid, &w->set);
    if (r < 0)
        return imap_bad(s, "No message has that number");
    r = imap_set_expand(s, &w->set, &seqs, &n);
    if (r == 0)
        r = mail_view_store(s->view, seqs, n, store.mode, &store.flags, true, UINT64_MAX, NULL, &modified_n, &w->missing);
    if (r == ERR_LIMIT)
        return imap_no(s, "[LIMIT] The mailbox has no room for more keywords");
    if (r < 0)
        return imap_fail(s, r, NULL);
    if (store.silent)
        return store_end(s);
    r = imap_updates_collect(s, false);
    return r < 0 ? imap_fail(s, r, NULL) : store_more(s);
}
