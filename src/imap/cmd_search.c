/* cmd_search: SEARCH and UID SEARCH (RFC 3501 section 6.4.4), with ESEARCH answers (RFC 4731), in slices: a search of a large
 * mailbox leaves room for others. */
#include "imap/search_match.h"

enum { SLICE_COST = 50000 };

struct search_work {
    struct imap_search search;
    uint32_t done, n;         /* messages looked at, of all */
    uint32_t page;            /* how many are looked at together: few at first where one is enough */
    bool backwards;           /* only the last one is wanted */
    uint32_t min, max, count; /* sequence numbers of what was found, 0: none; how many */
    uint64_t modseq;          /* the highest one of what the answer names */
    uint64_t min_modseq, max_modseq;
    uint8_t *found;   /* bits by sequence number, for ALL */
    uint32_t written; /* those up to here are written; UINT32_MAX: the head of the answer is not */
};

static uint32_t number_of(const struct imap_session *s, uint32_t seq)
{
    return s->uid ? mail_view_uid(s->view, seq) : seq;
}

/* Messages come in ascending order, but for a search of the last one alone. */
static void take(struct imap_session *s, struct search_work *w, uint32_t seq, uint64_t modseq)
{
    if (!w->min) {
        w->min = seq;
        w->min_modseq = modseq;
    }
    w->max = seq;
    w->max_modseq = modseq;
    w->count++;
    w->modseq = modseq > w->modseq ? modseq : w->modseq;
    if (w->found)
        w->found[seq / 8] |= (uint8_t)(1 << seq % 8);
    if (w->search.returns)
        return;
    buf_add_byte(&s->out, ' ');
    buf_add_u64(&s->out, number_of(s, seq));
}

static bool has(const struct search_work *w, uint32_t seq)
{
    return w->found[seq / 8] >> (seq % 8) & 1;
}

static void write_number(struct buf *b, str name, uint64_t value)
{
    buf_add(b, name);
    buf_add_u64(b, value);
}

/* The mod-sequence that goes with what is returned (RFC 4731 section 3.2). */
static uint64_t returned_modseq(const struct search_work *w)
{
    switch (w->search.returns) {
    case IMAP_RETURN_MIN:
        return w->min_modseq;
    case IMAP_RETURN_MAX:
        return w->max_modseq;
    case IMAP_RETURN_MIN | IMAP_RETURN_MAX:
        return w->min_modseq > w->max_modseq ? w->min_modseq : w->max_modseq;
    default:
        return w->modseq;
    }
}

/* esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data) (RFC 4466 section 6), all but ALL and MODSEQ,
 * which come behind. */
static void write_head(struct imap_session *s, const struct search_work *w)
{
    struct buf *b = &s->out;
    unsigned returns = w->search.returns;
    buf_add(b, STR("* ESEARCH (TAG "));
    imap_write_string(b, imap_tag(s));
    buf_add(b, s->uid ? STR(") UID") : STR(")"));
    if (returns & IMAP_RETURN_MIN && w->count)
        write_number(b, STR(" MIN "), number_of(s, w->min));
    if (returns & IMAP_RETURN_MAX && w->count)
        write_number(b, STR(" MAX "), number_of(s, w->max));
    if (returns & IMAP_RETURN_COUNT)
        write_number(b, STR(" COUNT "), w->count);
}

/* ALL as a sequence set, neighbours joined. False when the peer must read first. */
static bool write_all(struct imap_session *s, struct search_work *w)
{
    struct buf *b = &s->out;
    if (!w->found || !w->count)
        return true;
    if (w->written == 0)
        buf_add(b, STR(" ALL "));
    for (uint32_t seq = w->written + 1; seq <= w->max; seq++) {
        if (!has(w, seq))
            continue;
        uint32_t first = number_of(s, seq), last = first;
        for (; seq < w->max && has(w, seq + 1) && number_of(s, seq + 1) == last + 1; seq++)
            last++;
        write_number(b, w->written ? STR(",") : STR(""), first);
        if (last > first)
            write_number(b, STR(":"), last);
        w->written = seq;
        if (imap_out_is_full(s))
            return w->written == w->max;
    }
    return true;
}

static void search_page(struct imap_session *s, struct search_work *w, unsigned *cost)
{
    struct imap_search_candidate list[IMAP_SEARCH_PAGE];
    uint32_t n = w->n - w->done < w->page ? w->n - w->done : w->page;
    bool one = w->backwards || w->search.returns == IMAP_RETURN_MIN;
    for (uint32_t i = 0; i < n; i++)
        list[i].seq = w->backwards ? w->n - w->done - i : w->done + i + 1;
    size_t decided = imap_search_page(s, &w->search, list, n, SLICE_COST, cost);
    for (size_t i = 0; i < decided && w->done < w->n; i++) {
        w->done++;
        if (!list[i].found)
            continue;
        take(s, w, list[i].seq, list[i].modseq);
        if (one)
            w->done = w->n;
    }
    w->page = w->page * 2 < IMAP_SEARCH_PAGE ? w->page * 2 : IMAP_SEARCH_PAGE;
}

static enum imap_next search_more(struct imap_session *s)
{
    struct search_work *w = s->work;
    unsigned cost = 0;
    while (w->done < w->n) {
        if (cost >= SLICE_COST || imap_out_is_full(s))
            return IMAP_MORE;
        search_page(s, w, &cost);
    }
    if (w->search.returns) {
        if (w->written == UINT32_MAX) {
            write_head(s, w);
            w->written = 0;
        }
        if (!write_all(s, w))
            return IMAP_MORE;
        if (w->search.modseq && w->count)
            write_number(&s->out, STR(" MODSEQ "), returned_modseq(w));
    } else if (w->search.modseq && w->count) {
        /* search-sort-mod-seq = "(" "MODSEQ" SP mod-sequence-value ")" (RFC 7162 section 3.1.5) */
        write_number(&s->out, STR(" (MODSEQ "), w->modseq);
        buf_add_byte(&s->out, ')');
    }
    buf_add(&s->out, STR("\r\n"));
    return imap_ok(s);
}

/* search = "SEARCH" [search-return-opts] [SP "CHARSET" SP astring] 1*(SP search-key) */
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
        return imap_no(s, "[BADCHARSET (US-ASCII UTF-8)] Unknown charset; send the words in UTF-8");
    if (r == ERR_SYNTAX)
        return imap_bad(s, "No message has that number; EXISTS tells the highest");
    if (r < 0)
        return imap_fail(s, r, NULL);
    s->numbers_hold = w->search.numbers; /* RFC 7162 section 3.2.10.2 */
    w->n = mail_view_count(s->view);
    w->written = UINT32_MAX;
    w->backwards = w->search.returns == IMAP_RETURN_MAX;
    w->page = w->backwards || w->search.returns == IMAP_RETURN_MIN ? 4 : IMAP_SEARCH_PAGE;
    if (w->search.returns & IMAP_RETURN_ALL) {
        w->found = arena_alloc(&s->arena, w->n / 8 + 1);
        if (!w->found)
            return imap_fail(s, ERR_LIMIT, NULL);
        memset(w->found, 0, w->n / 8 + 1);
    }
    s->work = w;
    s->resume = search_more;
    if (w->search.modseq)
        imap_condstore_enable(s);
    if (!w->search.returns)
        buf_add(&s->out, STR("* SEARCH"));
    return search_more(s);
}
