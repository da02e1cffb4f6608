/* cmd_search: SEARCH and UID SEARCH (RFC 3501 section 6.4.4), in slices: a search of a large mailbox leaves room for others. */
#include "imap/search_match.h"

enum { SLICE_COST = 50000 };

struct search_work {
    struct imap_search search;
    uint32_t seq;                    /* the next to look at */
};

static enum imap_next search_more(struct imap_session *s)
{
    struct search_work *w = s->work;
    unsigned cost = 0;
    for (; w->seq <= mail_view_count(s->view); w->seq++) {
        if (cost >= SLICE_COST || imap_out_is_full(s))
            return IMAP_MORE;
        if (!imap_search_matches(s, &w->search, w->seq, &cost))
            continue;
        buf_add_byte(&s->out, ' ');
        buf_add_u64(&s->out, s->uid ? mail_view_uid(s->view, w->seq) : w->seq);
    }
    buf_add(&s->out, STR("\r\n"));
    return imap_ok(s);
}

/* search = "SEARCH" [SP "CHARSET" SP astring] 1*(SP search-key) */
IMAP_HANDLER(search)
{
    struct search_work *w = arena_new(&s->arena, struct search_work);
    int r = w ? imap_parse_sp(args) : ERR_LIMIT;
    if (r == 0)
        r = imap_parse_search(args, &s->arena, &imap_limits_default, &w->search);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    r = imap_search_prepare(s, &w->search);
    if (r == ERR_UNSUPPORTED)
        return imap_no(s, "[BADCHARSET (US-ASCII UTF-8)] Unknown charset");
    if (r == ERR_SYNTAX)
        return imap_bad(s, "No message has that number");
    if (r < 0)
        return imap_fail(s, r, NULL);
    w->seq = 1;
    s->work = w;
    s->resume = search_more;
    buf_add(&s->out, STR("* SEARCH"));
    return search_more(s);
}
