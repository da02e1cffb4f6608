/* cmd_store: STORE and UID STORE (RFC 3501 section 6.4.6), conditional ones too (RFC 7162 section 3.1.3). */
#include "imap/session_private.h"

struct store_work {
    struct imap_store store;
    struct imap_set set;
    size_t range;
    uint32_t done;      /* of the range */
    size_t n, missing;  /* messages named, and those of them that are gone */
    uint32_t dropped;   /* keywords that found no room: the change is ignored, its rest done (RFC 3501 section 7.1) */
    uint32_t *modified; /* sequence numbers that failed the condition, ascending */
    size_t modified_n, modified_at;
};

/* What was left out because another session has expunged it (RFC 2180 section 4.2.1): nothing to say with UIDs, which may name what
 * is not there, nor to who asked for silence. */
static bool tells_missing(const struct imap_session *s, const struct store_work *w)
{
    return w->missing && !s->uid && !w->store.silent;
}

/* resp-text-code = "MODIFIED" SP sequence-set; of numbers, or of UIDs for UID STORE. There is room for one code: it is this one, since
 * the client has to try again with what it names. */
static enum imap_next answer_modified(struct imap_session *s, struct store_work *w)
{
    for (size_t i = 0; i < w->modified_n && s->uid; i++)
        w->modified[i] = mail_view_uid(s->view, w->modified[i]);
    buf_reset(&s->answer);
    buf_add(&s->answer, STR("OK [MODIFIED "));
    imap_write_uids(&s->answer, w->modified, w->modified_n);
    buf_add(&s->answer, tells_missing(s, w) ? STR("] Some of the messages no longer exist") : STR("] Conditional STORE failed"));
    return IMAP_DONE;
}

/* When some of the messages still exist they were changed and told, so the answer is OK, which RFC 2180 section 4.2.2 wants to be NO:
 * clients take that for "nothing was done" and show the former flags. */
static enum imap_next store_end(struct imap_session *s)
{
    struct store_work *w = s->work;
    if (w->modified_n)
        return answer_modified(s, w);
    if (!tells_missing(s, w) && w->dropped)
        return imap_ok_text(
            s, "STORE completed without new keywords: the mailbox has no room for them, clear some that are not needed");
    if (!tells_missing(s, w))
        return imap_ok(s);
    if (w->missing == w->n)
        return imap_no(s, "[EXPUNGEISSUED] The messages no longer exist; NOOP tells what was expunged");
    return imap_ok_text(s, "[EXPUNGEISSUED] STORE completed for the messages that still exist");
}

/* The new flags of each message, after what others have changed meanwhile. Expunges stay back, so the numbers hold. When the
 * client wants silence it gets the modseqs alone, which it needs to know its own change (RFC 7162 section 3.1.3), but the flags
 * too of what failed the condition: they are why. */
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
            uint32_t seq = range->first + w->done++;
            bool modified = w->modified_at < w->modified_n && w->modified[w->modified_at] == seq;
            w->modified_at += modified;
            imap_write_update(s, seq, modified || !w->store.silent);
        }
    }
    return store_end(s);
}

/* store = "STORE" SP sequence-set SP [store-modifiers] store-att-flags */
IMAP_HANDLER(store)
{
    struct imap_set set;
    uint32_t *seqs;
    size_t n;
    struct store_work *w = arena_new(&s->arena, struct store_work);
    int r = w ? imap_parse_sp(args) : ERR_LIMIT;
    if (r == 0)
        r = imap_parse_set(args, &s->arena, &imap_limits_default, &set);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_store(args, &s->arena, &imap_limits_default, &w->store);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (!imap_check_writable(s))
        return IMAP_DONE;
    s->work = w;
    s->resume = store_more;
    r = imap_set_resolve(s, &set, s->uid, &w->set);
    if (r < 0)
        return imap_bad(s, "No message has that number; EXISTS tells the highest");
    r = imap_set_expand(s, &w->set, &seqs, &n);
    if (r == 0) {
        w->modified = arena_array(&s->arena, n, sizeof *w->modified);
        r = w->modified ? 0 : ERR_LIMIT;
    }
    if (r < 0)
        return imap_fail(s, r, NULL);
    w->n = n;
    if (w->store.unchanged_since != UINT64_MAX)
        imap_condstore_enable(s);
    r = mail_view_store(s->view, seqs, n, w->store.mode, &w->store.flags, true, w->store.unchanged_since, w->modified,
                        &w->modified_n, &w->missing);
    if (r < 0)
        return imap_fail(s, r, NULL);
    w->dropped = mail_view_dropped(s->view);
    w->store.silent &= !w->dropped; /* the flags are not what the client takes them for */
    if (w->store.silent && !s->condstore)
        return store_end(s);
    r = imap_updates_collect(s, false);
    return r < 0 ? imap_fail(s, r, NULL) : store_more(s);
}
