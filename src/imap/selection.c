/* selection: sequence sets against the selected mailbox, and what is told of its changes (RFC 3501 sections 2.3.1, 7.2 to
 * 7.4). */
#include "imap/session_private.h"

void imap_deselect(struct imap_session *s)
{
    if (s->view)
        mail_view_close(s->view);
    s->view = NULL;
    free(s->updates.list);
    s->updates = (struct imap_updates){ 0 };
    if (s->state == IMAP_SELECTED)
        s->state = IMAP_AUTHENTICATED;
}

bool imap_check_writable(struct imap_session *s)
{
    if (!mail_view_read_only(s->view))
        return true;
    imap_no(s, "[READ-ONLY] The mailbox was opened with EXAMINE; SELECT it to change it");
    return false;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct imap_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts N ranges and joins those that touch; returns how many are left. */
static size_t normalize(struct imap_range *ranges, size_t n)
{
    if (!n)
        return 0;
    qsort(ranges, n, sizeof *ranges, compare_ranges);
    size_t k = 0;
    for (size_t i = 1; i < n; i++) {
        if (ranges[i].first <= ranges[k].last || ranges[i].first == ranges[k].last + 1) {
            if (ranges[i].last > ranges[k].last)
                ranges[k].last = ranges[i].last;
        } else {
            ranges[++k] = ranges[i];
        }
    }
    return k + 1;
}

/* UIDs FIRST to LAST as sequence numbers; an empty range gives first > last. */
static struct imap_range uids_to_seqs(const struct imap_session *s, uint32_t first, uint32_t last)
{
    uint32_t from = mail_view_seq_from(s->view, first);
    uint32_t behind = last == UINT32_MAX ? mail_view_count(s->view) + 1 : mail_view_seq_from(s->view, last + 1);
    return (struct imap_range){ from, behind - 1 };
}

/* "*" is the last message; with UIDs and no message it is UIDNEXT (RFC 3501 section 9: seq-number). */
int imap_set_resolve(struct imap_session *s, const struct imap_set *set, bool uid, struct imap_set *ret)
{
    uint32_t count = mail_view_count(s->view);
    uint32_t star = count;
    if (uid)
        star = count ? mail_view_uid(s->view, count) : mail_view_info(s->view).uidnext;
    struct imap_range *ranges = arena_array(&s->arena, set->n, sizeof *ranges);
    if (!ranges)
        return ERR_LIMIT;
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        uint32_t a = set->ranges[i].first == IMAP_STAR ? star : set->ranges[i].first;
        uint32_t b = set->ranges[i].last == IMAP_STAR ? star : set->ranges[i].last;
        struct imap_range range = a <= b ? (struct imap_range){ a, b } : (struct imap_range){ b, a };
        if (uid)
            range = uids_to_seqs(s, range.first, range.last);
        else if (range.last > count || range.first == 0)
            return ERR_SYNTAX;
        if (range.first <= range.last)
            ranges[n++] = range;
    }
    *ret = (struct imap_set){ ranges, normalize(ranges, n) };
    return 0;
}

int imap_set_expand(struct imap_session *s, const struct imap_set *set, uint32_t **ret, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += set->ranges[i].last - set->ranges[i].first + 1;
    uint32_t *seqs = arena_array(&s->arena, n, sizeof *seqs);
    if (!seqs)
        return ERR_LIMIT;
    size_t k = 0;
    for (size_t i = 0; i < set->n; i++) {
        for (uint32_t seq = set->ranges[i].first; k < n && seq <= set->ranges[i].last; seq++)
            seqs[k++] = seq;
    }
    *ret = seqs;
    *ret_n = n;
    return 0;
}

bool imap_set_has(const struct imap_set *set, uint32_t number)
{
    size_t from = 0, to = set->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (number > set->ranges[middle].last)
            from = middle + 1;
        else
            to = middle;
    }
    return from < set->n && set->ranges[from].first <= number;
}

/* --- updates --- */

static void push_update(struct imap_updates *u, enum mail_change change, uint32_t seq)
{
    if (u->n == u->cap) {
        size_t cap = u->cap ? u->cap * 2 : 64;
        uint64_t *list = realloc(u->list, cap * sizeof *list);
        if (!list)
            panic("out of memory for %zu updates", cap);
        u->list = list;
        u->cap = cap;
    }
    u->list[u->n++] = (uint64_t)change << 32 | seq;
}

static void note_change(void *ctx, enum mail_change change, uint32_t seq)
{
    struct imap_session *s = ctx;
    struct imap_updates *u = &s->updates;
    switch (change) {
    case MAIL_CHANGE_EXPUNGE:
        push_update(u, change, u->vanished ? mail_view_uid(s->view, seq) : seq);
        break;
    case MAIL_CHANGE_FLAGS:
        push_update(u, change, seq);
        break;
    case MAIL_CHANGE_KEYWORDS:
        u->keywords = true;
        break;
    case MAIL_CHANGE_EXISTS:
        u->exists = true;
        break;
    case MAIL_CHANGE_RECENT:
        u->recent = true;
        break;
    case MAIL_CHANGE_DELETED:
        u->deleted = true;
        break;
    }
}

int imap_updates_collect(struct imap_session *s, bool allow_expunge)
{
    if (s->updates.active)
        return 0;
    s->updates.vanished = s->qresync;
    int r = mail_view_sync(s->view, allow_expunge, note_change, s);
    if (r == ERR_NOTFOUND)
        s->updates.deleted = true;
    s->updates.active = r == 0;
    return r;
}

/* "FLAGS" SP flag-list (section 7.2.6), "PERMANENTFLAGS" (section 7.1) */
void imap_write_mailbox_flags(struct imap_session *s)
{
    const uint64_t system = MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT;
    size_t n;
    const str *keywords = mail_view_keywords(s->view, &n);
    uint64_t all = system | (n ? (UINT64_MAX >> (64 - n)) << MAIL_KEYWORD_BIT : 0);
    buf_add(&s->out, STR("* FLAGS ("));
    imap_write_flags(&s->out, all, false, keywords, n);
    buf_add(&s->out, STR(")\r\n* OK [PERMANENTFLAGS ("));
    if (!mail_view_read_only(s->view)) {
        imap_write_flags(&s->out, all, false, keywords, n);
        buf_add(&s->out, mail_view_takes_keywords(s->view) ? STR(" \\*") : STR(""));
    }
    buf_add(&s->out, mail_view_read_only(s->view) ? STR(")] No changes here\r\n") : STR(")] Flags kept\r\n"));
}

void imap_write_update(struct imap_session *s, uint32_t seq, bool flags)
{
    struct mail_entry entry;
    if (mail_view_entry(s->view, seq, &entry) < 0)
        return;
    size_t n;
    const str *keywords = mail_view_keywords(s->view, &n);
    buf_add(&s->out, STR("* "));
    buf_add_u64(&s->out, seq);
    buf_add(&s->out, STR(" FETCH ("));
    if (flags) {
        buf_add(&s->out, STR("FLAGS ("));
        imap_write_flags(&s->out, entry.flags, mail_view_is_recent(s->view, seq), keywords, n);
        buf_add_byte(&s->out, ')');
    }
    if (s->condstore) {
        buf_add(&s->out, flags ? STR(" MODSEQ (") : STR("MODSEQ ("));
        buf_add_u64(&s->out, entry.modseq);
        buf_add_byte(&s->out, ')');
    }
    if (s->uid || s->condstore) {
        buf_add(&s->out, STR(" UID "));
        buf_add_u64(&s->out, entry.uid);
    }
    buf_add(&s->out, STR(")\r\n"));
}

void imap_write_highest_modseq(struct imap_session *s)
{
    uint64_t modseq = mail_view_info(s->view).modseq;
    buf_add(&s->out, STR("* OK [HIGHESTMODSEQ "));
    buf_add_u64(&s->out, modseq ? modseq : 1);
    buf_add(&s->out, STR("] Highest\r\n"));
}

void imap_condstore_enable(struct imap_session *s)
{
    if (!s->condstore && s->view)
        imap_write_highest_modseq(s);
    s->condstore = true;
}

static void write_count(struct imap_session *s, uint32_t n, str what)
{
    buf_add(&s->out, STR("* "));
    buf_add_u64(&s->out, n);
    buf_add(&s->out, what);
}

/* "* VANISHED" of the expunges that are next in the list, not too many in one line (RFC 7162 section 3.2.10.2). */
static void send_vanished(struct imap_session *s)
{
    enum { LINE_UIDS = 512 };
    struct imap_updates *u = &s->updates;
    uint32_t uids[LINE_UIDS];
    size_t n = 0;
    while (n < LINE_UIDS && u->sent < u->n && u->list[u->sent] >> 32 == MAIL_CHANGE_EXPUNGE)
        uids[n++] = (uint32_t)u->list[u->sent++];
    buf_add(&s->out, STR("* VANISHED "));
    imap_write_uids(&s->out, uids, n);
    buf_add(&s->out, STR("\r\n"));
    s->expunged += n;
}

int imap_updates_send(struct imap_session *s)
{
    struct imap_updates *u = &s->updates;
    if (!u->active)
        return 0;
    if (u->keywords)
        imap_write_mailbox_flags(s);
    u->keywords = false;
    while (u->sent < u->n) {
        if (imap_out_is_full(s))
            return ERR_AGAIN;
        uint64_t update = u->list[u->sent];
        if (u->vanished && update >> 32 == MAIL_CHANGE_EXPUNGE) {
            send_vanished(s);
            continue;
        }
        u->sent++;
        if (update >> 32 == MAIL_CHANGE_EXPUNGE) {
            write_count(s, (uint32_t)update, STR(" EXPUNGE\r\n"));
            s->expunged++;
        } else {
            imap_write_update(s, (uint32_t)update, true);
        }
    }
    if (u->exists)
        write_count(s, mail_view_count(s->view), STR(" EXISTS\r\n"));
    if (u->recent || u->exists)
        write_count(s, mail_view_recent(s->view), STR(" RECENT\r\n"));
    imap_out_flush(s);
    bool deleted = u->deleted;
    free(u->list);
    *u = (struct imap_updates){ .deleted = deleted };
    return 0;
}
