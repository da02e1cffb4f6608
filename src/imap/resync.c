/* resync: what a client that comes back is told of the time it was away (QRESYNC, RFC 7162 section 3.2). */
#include "imap/fetch_private.h"

enum { LINE_BYTES = 8 * 1024 };

/* UIDs that vanished, written as they are found: "* VANISHED (EARLIER)" known-uids, a new line when one has grown long. */
struct vanished {
    struct imap_session *s;
    const struct imap_range *wanted; /* ascending, disjoint */
    size_t wanted_n, at;
    size_t line; /* where in s->out the line began */
    bool begun;
};

static void write_range(struct vanished *v, uint32_t from, uint32_t to)
{
    struct buf *b = &v->s->out;
    if (v->begun && b->n - v->line > LINE_BYTES) {
        buf_add(b, STR("\r\n"));
        imap_out_flush(v->s);
        v->begun = false;
    }
    if (!v->begun)
        v->line = b->n;
    buf_add(b, v->begun ? STR(",") : STR("* VANISHED (EARLIER) "));
    v->begun = true;
    buf_add_u64(b, from);
    if (to == from)
        return;
    buf_add_byte(b, ':');
    buf_add_u64(b, to);
}

/* Takes ranges in ascending order; what of them is wanted is written. */
static void take_range(void *ctx, uint32_t from, uint32_t to)
{
    struct vanished *v = ctx;
    while (v->at < v->wanted_n && v->wanted[v->at].last < from)
        v->at++;
    for (size_t i = v->at; i < v->wanted_n && v->wanted[i].first <= to; i++) {
        uint32_t first = v->wanted[i].first > from ? v->wanted[i].first : from;
        uint32_t last = v->wanted[i].last < to ? v->wanted[i].last : to;
        write_range(v, first, last);
    }
}

/* All UIDs that the mailbox has given away and has no more: "a server that receives a mod-sequence smaller than <minmodseq> ...
 * MUST behave as if it was requested to report all expunged messages from the provided UID set". */
static void take_all_gaps(struct vanished *v)
{
    uint32_t count = mail_view_count(v->s->view), next = 1, end = mail_view_info(v->s->view).uidnext;
    for (uint32_t seq = 1; seq <= count; seq++) {
        uint32_t uid = mail_view_uid(v->s->view, seq);
        if (uid > next)
            take_range(v, next, uid - 1);
        next = uid + 1;
    }
    if (end > next)
        take_range(v, next, end - 1);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct imap_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The UIDs of SET (n 0: all) above FLOOR that were ever given, ascending and disjoint. "*" is the highest of them. */
static int wanted_ranges(struct imap_session *s, const struct imap_set *set, uint32_t floor, struct imap_range **ret,
                         size_t *ret_n)
{
    static const struct imap_range all = { 1, IMAP_STAR };
    const struct imap_set use = set->n ? *set : (struct imap_set){ &all, 1 };
    uint32_t highest = mail_view_info(s->view).uidnext - 1;
    struct imap_range *ranges = arena_array(&s->arena, use.n, sizeof *ranges);
    if (!ranges)
        return ERR_LIMIT;
    size_t n = 0, k = 0;
    for (size_t i = 0; i < use.n; i++) {
        uint32_t a = use.ranges[i].first == IMAP_STAR ? highest : use.ranges[i].first;
        uint32_t b = use.ranges[i].last == IMAP_STAR ? highest : use.ranges[i].last;
        uint32_t first = a < b ? a : b, last = a < b ? b : a;
        first = first > floor ? first : floor + 1;
        last = last < highest ? last : highest;
        if (first && first <= last)
            ranges[n++] = (struct imap_range){ first, last };
    }
    if (n)
        qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (k && ranges[i].first <= ranges[k - 1].last)
            ranges[k - 1].last = ranges[i].last > ranges[k - 1].last ? ranges[i].last : ranges[k - 1].last;
        else
            ranges[k++] = ranges[i];
    }
    *ret = ranges;
    *ret_n = k;
    return 0;
}

int imap_write_vanished(struct imap_session *s, uint64_t since, const struct imap_set *uids, uint32_t floor)
{
    struct vanished v = { .s = s };
    struct imap_range *wanted;
    int r = wanted_ranges(s, uids, floor, &wanted, &v.wanted_n);
    if (r < 0)
        return r;
    v.wanted = wanted;
    r = mail_view_vanished(s->view, since, take_range, &v);
    if (r == ERR_NOTFOUND) {
        take_all_gaps(&v);
        r = 0;
    }
    if (v.begun)
        buf_add(&s->out, STR("\r\n"));
    return r;
}

/* The numbers of a set, one by one. */
struct steps {
    const struct imap_set *set;
    size_t range;
    uint32_t done;
};

static bool step_next(struct steps *p, uint32_t *ret)
{
    if (p->range == p->set->n)
        return false;
    const struct imap_range *range = &p->set->ranges[p->range];
    *ret = range->first + p->done;
    if (range->first + p->done++ >= range->last) {
        p->range++;
        p->done = 0;
    }
    return true;
}

/* "If a pair matches, then the client knows of any expunges up to, and including, the message" (section 3.2.5.2): the last such
 * UID, 0 when there is none. */
static uint32_t known_up_to(struct imap_session *s, const struct imap_select_params *params)
{
    struct steps seqs = { .set = &params->match_seqs }, uids = { .set = &params->match_uids };
    uint32_t seq, uid, floor = 0, count = mail_view_count(s->view);
    while (step_next(&seqs, &seq) && step_next(&uids, &uid) && seq <= count && mail_view_uid(s->view, seq) == uid)
        floor = uid;
    return floor;
}

int imap_resync(struct imap_session *s, const struct imap_select_params *params)
{
    static const struct imap_range all = { 1, IMAP_STAR };
    struct imap_set set = params->uids.n ? params->uids : (struct imap_set){ &all, 1 };
    int r = imap_write_vanished(s, params->modseq, &params->uids, known_up_to(s, params));
    if (r == 0)
        r = imap_set_resolve(s, &set, true, &set);
    return r < 0 ? r : imap_fetch_begin(s, &set, params->modseq);
}
