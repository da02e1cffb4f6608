/* cmd_fetch: FETCH and UID FETCH (RFC 3501 section 6.4.5).
 *
 * FLAGS, UID, INTERNALDATE and RFC822.SIZE come from the mailbox entry alone, ENVELOPE and BODYSTRUCTURE from the stored
 * structure, the header fields that most programs ask for from what is kept beside it, sections are ranges of the stored bytes (fetch_section.c). Nothing is parsed again. */
#include "imap/fetch_private.h"

#include <stdalign.h>

enum { STRUCTURE_ARENA_MAX = 8 * 1024 * 1024, STRUCTURE_ROOM = 1024, FETCH_PAGE = 128, FETCH_WALK = 256 };

struct fetch_work {
    struct imap_fetch fetch;
    struct imap_set set;
    size_t range; /* where it stands: this range of set, DONE messages of it */
    uint32_t done;
    bool records;      /* the records of emails answer, as a rule: what else is in the messages is not asked */
    size_t page;       /* messages to be read at once: about as many as the stream takes */
    uint8_t *seen_now; /* bits by sequence number: \Seen was set by this command; NULL: of none */
    bool unknown_cte;  /* a part cannot be decoded for BINARY */
    bool missing;      /* a message was expunged by another session and cannot be read any more */
};

static void separate(struct buf *b)
{
    if (b->p[b->n - 1] != '(')
        buf_add_byte(b, ' ');
}

/* Most of what clients fetch is these few items of thousands of messages: they are put into reserved room, with one check for
 * all. */
enum { ENTRY_ITEMS_MAX = 256 };

static char *put(char *p, str s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static char *put_number(char *p, uint32_t v)
{
    char digits[10];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return put(p, (str){ digits + i, sizeof digits - i });
}

static char *put_long(char *p, uint64_t v)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return put(p, (str){ digits + i, sizeof digits - i });
}

/* "FLAGS" SP "(" [flag-fetch *(SP flag-fetch)] ")" without keywords. */
static char *put_flags(char *p, uint64_t flags, bool recent)
{
    static const str names[] = { STR_INIT("\\Seen "), STR_INIT("\\Answered "), STR_INIT("\\Flagged "), STR_INIT("\\Deleted "),
                                 STR_INIT("\\Draft ") };
    p = put(p, STR("FLAGS ("));
    char *start = p;
    for (size_t i = 0; flags >> i; i++) {
        if (flags >> i & 1)
            p = put(p, names[i]);
    }
    if (recent)
        p = put(p, STR("\\Recent "));
    if (p != start)
        p--;
    return put(p, STR(") "));
}

/* message-data up to the items that an entry knows (msg-att-dynamic and some of msg-att-static), a space behind each. */
static void write_entry_items(struct imap_session *s, unsigned items, const struct mail_entry *entry, uint32_t seq)
{
    struct buf *b = &s->out;
    bool keywords = entry->flags >> MAIL_KEYWORD_BIT;
    char *start = buf_reserve(b, ENTRY_ITEMS_MAX), *p = start;
    if (!p)
        return;
    p = put(p, STR("* "));
    p = put_number(p, seq);
    p = put(p, STR(" FETCH ("));
    if (items & IMAP_FETCH_UID) {
        p = put(p, STR("UID "));
        p = put_number(p, entry->uid);
        *p++ = ' ';
    }
    if (items & IMAP_FETCH_FLAGS && !keywords)
        p = put_flags(p, entry->flags, mail_view_is_recent(s->view, seq));
    if (items & IMAP_FETCH_MODSEQ) {
        p = put(p, STR("MODSEQ ("));
        p = put_long(p, entry->modseq);
        p = put(p, STR(") "));
    }
    if (items & IMAP_FETCH_SIZE) {
        p = put(p, STR("RFC822.SIZE "));
        p = put_number(p, entry->size);
        *p++ = ' ';
    }
    buf_commit(b, (size_t)(p - start));
    if (items & IMAP_FETCH_FLAGS && keywords) {
        size_t n;
        const str *names = mail_view_keywords(s->view, &n);
        buf_add(b, STR("FLAGS ("));
        imap_write_flags(b, entry->flags, mail_view_is_recent(s->view, seq), names, n);
        buf_add(b, STR(") "));
    }
    if (items & IMAP_FETCH_INTERNALDATE) {
        buf_add(b, STR("INTERNALDATE "));
        imap_write_date_time(b, entry->received_ms);
        buf_add_byte(b, ' ');
    }
    if (b->p[b->n - 1] == ' ')
        buf_truncate(b, b->n - 1);
}

/* ENVELOPE, which stands first in the structure: the rest of it is not looked at when nobody asks. */
static int write_envelope(struct imap_session *s, const struct mail_email *email, struct arena *scratch)
{
    const struct envelope *envelope;
    int r = structure_envelope(email->structure, scratch, &envelope);
    if (r < 0)
        return r;
    separate(&s->out);
    buf_add(&s->out, STR("ENVELOPE "));
    imap_write_envelope(&s->out, envelope);
    return 0;
}

/* Whether BINARY is wanted of a part that nobody knows to decode: "it MUST fail the request" (RFC 3516 section 4.3). */
static bool has_unknown_encoding(const struct imap_fetch *fetch, const struct structure *structure)
{
    for (size_t i = 0; i < fetch->section_n; i++) {
        const struct imap_section *section = &fetch->sections[i];
        if (section->kind == IMAP_SECTION_BODY || !section->path_n)
            continue;
        const struct part *part = structure_part(structure, section->path, section->path_n);
        if (part && imap_binary_encoding(part) == MESSAGE_ENCODING_UNKNOWN)
            return true;
    }
    return false;
}

/* Whether all sections that FETCH wants are in FIELDS. */
static bool is_kept(const struct imap_fetch *fetch, const struct message_fields *fields)
{
    for (size_t i = 0; i < fetch->section_n; i++) {
        if (!fetch->sections[i].kept || fetch->sections[i].kept & ~fields->known)
            return false;
    }
    return true;
}

static void write_section(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                          const struct structure *structure, const struct message_fields *fields)
{
    /* After a flush or a queued source s->out is empty, and something is in front of this for sure. */
    if (s->out.n >= IMAP_OUT_PIECE)
        imap_out_flush(s);
    if (s->out.n == 0)
        buf_add_byte(&s->out, ' ');
    else
        separate(&s->out);
    if (imap_fetch_kept(s, section, fields))
        return;
    require(structure); /* is_kept */
    if (section->kind == IMAP_SECTION_BODY)
        imap_fetch_section(s, section, email, structure);
    else
        imap_fetch_binary(s, section, email, structure);
}

struct enclosed {
    struct imap_session *s;
    const struct mail_email *email;
};

static void write_enclosed(void *ctx, const struct part *root)
{
    const struct enclosed *e = ctx;
    imap_fetch_envelope(e->s, e->email, root);
}

/* BODY or BODYSTRUCTURE; where the structure may have cut the envelopes of enclosed messages these are read from the message. */
static void write_structure(struct imap_session *s, const struct mail_email *email, const struct part *root, bool extended)
{
    struct enclosed enclosed = { s, email };
    const struct imap_enveloper from_message = { write_enclosed, &enclosed };
    separate(&s->out);
    buf_add(&s->out, extended ? STR("BODYSTRUCTURE ") : STR("BODY "));
    imap_write_body(&s->out, root, extended, structure_is_truncated(email->structure) ? &from_message : NULL);
}

/* ENVELOPE, BODY, BODYSTRUCTURE and sections. 0, or an error before anything was given to the stream: ERR_UNSUPPORTED when a part
 * cannot be decoded, ERR_AGAIN when RECORDS is set and the record is not enough. */
static int write_email_items(struct imap_session *s, const struct imap_fetch *fetch, const struct mail_email *email, bool records)
{
    alignas(max_align_t) char room[STRUCTURE_ROOM] __attribute__((uninitialized)); /* the arena zeroes what it gives */
    struct arena scratch = ARENA_INIT_ON(room, sizeof room, STRUCTURE_ARENA_MAX);
    const struct structure *structure = NULL;
    struct message_fields fields;
    struct buf *b = &s->out;
    bool envelope = fetch->items & IMAP_FETCH_ENVELOPE, whole = envelope && structure_is_truncated(email->structure);
    int r = envelope && !whole ? write_envelope(s, email, &scratch) : 0;
    if (r == 0)
        r = message_fields_open(email->fields, &fields);
    if (r < 0)
        goto out;
    bool kept = is_kept(fetch, &fields);
    bool cut = structure_is_truncated(email->structure) &&
               fetch->items & (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE);
    if (records && (cut || !kept)) {
        r = ERR_AGAIN;
        goto out;
    }
    if (!whole && kept && !(fetch->items & (IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE))) {
        for (size_t i = 0; i < fetch->section_n; i++)
            write_section(s, &fetch->sections[i], email, NULL, &fields);
        goto out;
    }
    r = (whole ? structure_open : structure_open_parts)(email->structure, email->size, &scratch, &structure);
    if (r == 0 && has_unknown_encoding(fetch, structure))
        r = ERR_UNSUPPORTED;
    if (r < 0)
        goto out;
    const struct part *root = structure_root(structure);
    if (whole) {
        separate(b);
        buf_add(b, STR("ENVELOPE "));
        imap_fetch_envelope(s, email, root);
    }
    if (fetch->items & IMAP_FETCH_BODY)
        write_structure(s, email, root, false);
    if (fetch->items & IMAP_FETCH_BODYSTRUCTURE)
        write_structure(s, email, root, true);
    for (size_t i = 0; i < fetch->section_n; i++)
        write_section(s, &fetch->sections[i], email, structure, &fields);
out:
    arena_done(&scratch);
    return r;
}

/* message-data = nz-number SP "FETCH" SP msg-att. EMAIL: NULL when only items of the entry are wanted. False when RECORDS is set and more than the email's
 * record is needed. */
static bool write_message(struct imap_session *s, struct fetch_work *w, uint32_t seq, struct mail_entry entry,
                          const struct mail_email *email, bool records)
{
    unsigned items = w->fetch.items;
    if (w->seen_now && w->seen_now[seq / 8] >> (seq % 8) & 1) {
        entry.flags |= MAIL_SEEN;
        items |= IMAP_FETCH_FLAGS | (s->condstore ? IMAP_FETCH_MODSEQ | IMAP_FETCH_UID : 0);
    }
    size_t start = s->out.n;
    write_entry_items(s, items, &entry, seq);
    int r = email ? write_email_items(s, &w->fetch, email, records) : 0;
    if (r < 0) {
        buf_truncate(&s->out, start);
        if (records && r == ERR_AGAIN)
            return false;
        w->unknown_cte |= r == ERR_UNSUPPORTED;
        w->missing |= r != ERR_UNSUPPORTED;
        return true;
    }
    buf_add(&s->out, STR(")\r\n"));
    s->fetched++;
    return true;
}

/* The sequence number where W stands; false at the end. */
static bool work_seq(const struct fetch_work *w, uint32_t *ret)
{
    if (w->range == w->set.n)
        return false;
    *ret = w->set.ranges[w->range].first + w->done;
    return true;
}

static void work_step(struct fetch_work *w)
{
    const struct imap_range *range = &w->set.ranges[w->range];
    if (w->done++ == range->last - range->first) {
        w->range++;
        w->done = 0;
    }
}

/* The entry of SEQ; false when the message is gone. */
static bool work_entry(struct imap_session *s, struct fetch_work *w, uint32_t seq, struct mail_entry *ret)
{
    *ret = (struct mail_entry){ 0 };
    if (mail_view_entry(s->view, seq, ret) == 0 || ret->uid)
        return true;
    w->missing = true;
    return false;
}

/* Some messages whose emails are read together: one walk of the store costs far less than a lookup for each. */
struct fetch_page {
    struct imap_session *s;
    struct fetch_work *w;
    size_t n, next; /* messages; those before next are dealt with */
    size_t from;    /* where the present reading began */
    bool records;   /* nothing may be read but the records */
    bool unmet;     /* which is not enough for the next one */
    uint32_t seqs[FETCH_WALK];
    uint64_t emails[FETCH_WALK];
    struct mail_entry entries[FETCH_WALK];
};
enum { PAGE_STOPPED = 1 };

static int page_email(void *ctx, size_t i, const struct mail_email *email)
{
    struct fetch_page *p = ctx;
    i += p->from;
    p->w->missing |= i != p->next; /* those between are gone */
    p->next = i;
    p->unmet = !write_message(p->s, p->w, p->seqs[i], p->entries[i], email, p->records);
    p->next += !p->unmet;
    return p->unmet || imap_out_is_full(p->s) ? PAGE_STOPPED : 0;
}

/* Reads P's messages from the next one on, and answers for them: from the RECORDS, until one is not enough, or from all there is. 0 when all were looked
 * at, PAGE_STOPPED, or the error of the email that cannot be read. */
static int page_run(struct fetch_page *p, bool records)
{
    p->from = p->next;
    p->records = records;
    p->unmet = false;
    return (records ? mail_email_walk : mail_email_each)(p->s->account, p->emails + p->from, p->n - p->from, page_email, p);
}

/* Where one message must be looked into, its neighbours are likely to be of the same kind: the rest of the page is not tried twice. */
static int page_read(struct fetch_page *p)
{
    int r = p->w->records ? page_run(p, true) : 0;
    return !p->w->records || p->unmet ? page_run(p, false) : r;
}

/* Answers for a page of messages, or for its beginning when the peer takes no more; W stands behind what is done. */
static void fetch_page(struct imap_session *s, struct fetch_work *w)
{
    struct fetch_page p = { .s = s, .w = w };
    struct fetch_work ahead = *w;
    for (uint32_t seq; p.n < w->page && work_seq(&ahead, &seq); work_step(&ahead)) {
        if (!work_entry(s, w, seq, &p.entries[p.n]))
            continue;
        p.seqs[p.n] = seq;
        p.emails[p.n] = p.entries[p.n].email;
        p.n++;
    }
    int r = p.n ? page_read(&p) : 0;
    /* An email that cannot be read must not keep those behind it from being read. */
    w->missing |= r < 0 || (r == 0 && p.next < p.n);
    p.next += r < 0;
    size_t most = w->records ? FETCH_WALK : FETCH_PAGE;
    w->page = p.next < p.n ? p.next + 1 : w->page * 2 < most ? w->page * 2 : most;
    if (r == 0 || p.next >= p.n) {
        w->range = ahead.range;
        w->done = ahead.done;
        return;
    }
    for (uint32_t seq; work_seq(w, &seq) && seq != p.seqs[p.next];)
        work_step(w);
}

bool imap_fetch_write(struct imap_session *s)
{
    struct fetch_work *w = s->work;
    bool emails = w->fetch.section_n || w->fetch.items & ~(unsigned)IMAP_FETCH_ENTRY_ITEMS;
    struct mail_entry entry;
    for (uint32_t seq; work_seq(w, &seq);) {
        if (imap_out_is_full(s))
            return false;
        if (emails) {
            fetch_page(s, w);
            continue;
        }
        if (work_entry(s, w, seq, &entry))
            (void)write_message(s, w, seq, entry, NULL, false);
        work_step(w);
    }
    return true;
}

static enum imap_next fetch_more(struct imap_session *s)
{
    struct fetch_work *w = s->work;
    if (!imap_fetch_write(s))
        return IMAP_MORE;
    if (w->unknown_cte)
        return imap_no(s, "[UNKNOWN-CTE] Some of the parts cannot be decoded; fetch them with BODY in place of BINARY");
    /* RFC 5530: with UIDs a missing message is nothing special. */
    if (w->missing && !s->uid)
        return imap_no(s,
                       "[EXPUNGEISSUED] Some of the messages could not be read; they may have been expunged: say NOOP and see");
    return imap_ok(s);
}

/* "The \Seen flag is implicitly set; if this causes the flags to change, they SHOULD be included as part of the FETCH responses."
 * All at once, in front. When the store takes no change (disk full) the messages can be read all the same. */
static void set_seen(struct imap_session *s, struct fetch_work *w)
{
    uint32_t *seqs;
    size_t n, k = 0, modified_n, missing;
    bool wanted = false;
    for (size_t i = 0; i < w->fetch.section_n; i++)
        wanted |= !w->fetch.sections[i].peek;
    if (!wanted || mail_view_read_only(s->view) || imap_set_expand(s, &w->set, &seqs, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct mail_entry entry;
        if (mail_view_entry(s->view, seqs[i], &entry) == 0 && !(entry.flags & MAIL_SEEN))
            seqs[k++] = seqs[i];
    }
    const struct mail_flags seen = { .system = MAIL_SEEN };
    uint8_t *bits = k ? arena_alloc(&s->arena, mail_view_count(s->view) / 8 + 1) : NULL;
    if (!bits || mail_view_store(s->view, seqs, k, MAIL_FLAGS_ADD, &seen, true, UINT64_MAX, NULL, &modified_n, &missing) < 0)
        return;
    for (size_t i = 0; i < k; i++)
        bits[seqs[i] / 8] |= (uint8_t)(1 << seqs[i] % 8);
    w->seen_now = bits;
}

/* Leaves of W's set the messages changed after CHANGEDSINCE (RFC 7162 section 3.1.4.1). */
static int keep_changed(struct imap_session *s, struct fetch_work *w)
{
    uint32_t *seqs;
    size_t n, k = 0;
    int r = imap_set_expand(s, &w->set, &seqs, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        struct mail_entry entry;
        if (mail_view_entry(s->view, seqs[i], &entry) == 0 && entry.modseq > w->fetch.changed_since)
            seqs[k++] = seqs[i];
    }
    struct imap_range *ranges = arena_array(&s->arena, k, sizeof *ranges);
    if (!ranges)
        return ERR_LIMIT;
    size_t range_n = 0;
    for (size_t i = 0; i < k; i++) {
        if (range_n && ranges[range_n - 1].last + 1 == seqs[i])
            ranges[range_n - 1].last++;
        else
            ranges[range_n++] = (struct imap_range){ seqs[i], seqs[i] };
    }
    w->set = (struct imap_set){ ranges, range_n };
    return 0;
}

int imap_fetch_begin(struct imap_session *s, const struct imap_set *set, uint64_t since)
{
    struct fetch_work *w = arena_new(&s->arena, struct fetch_work);
    if (!w)
        return ERR_LIMIT;
    w->fetch = (struct imap_fetch){ .items = IMAP_FETCH_UID | IMAP_FETCH_FLAGS | IMAP_FETCH_MODSEQ, .changed_since = since };
    w->set = *set;
    s->work = w;
    return keep_changed(s, w);
}

static bool needs_records_only(const struct imap_fetch *fetch)
{
    for (size_t i = 0; i < fetch->section_n; i++) {
        if (!fetch->sections[i].kept)
            return false;
    }
    return true;
}

/* fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
 * [fetch-modifiers] */
IMAP_HANDLER(fetch)
{
    struct fetch_work *w = arena_new(&s->arena, struct fetch_work);
    struct imap_set set;
    int r = w ? imap_parse_sp(args) : ERR_LIMIT;
    if (r == 0)
        r = imap_parse_set(args, &s->arena, &imap_limits_default, &set);
    if (r == 0)
        r = imap_parse_sp(args);
    if (r == 0)
        r = imap_parse_fetch(args, &s->arena, &imap_limits_default, &w->fetch);
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    if (w->fetch.vanished && (!s->uid || !s->qresync))
        return imap_bad(s, s->uid ? "ENABLE QRESYNC first" : "VANISHED is for UID FETCH; leave it out, or say UID FETCH");
    r = imap_set_resolve(s, &set, s->uid, &w->set);
    if (r < 0)
        return imap_bad(s, "No message has that number; EXISTS tells the highest");
    r = imap_fetch_prepare(s, &w->fetch);
    if (r < 0)
        return imap_fail(s, r, NULL);
    if (s->uid)
        w->fetch.items |= IMAP_FETCH_UID;
    if (w->fetch.items & IMAP_FETCH_MODSEQ)
        imap_condstore_enable(s);
    r = w->fetch.vanished ? imap_write_vanished(s, w->fetch.changed_since, &set, 0) : 0;
    if (r == 0 && w->fetch.changed)
        r = keep_changed(s, w);
    if (r < 0)
        return imap_fail(s, r, NULL);
    w->records = needs_records_only(&w->fetch);
    w->page = w->records ? FETCH_WALK / 4 : FETCH_PAGE / 8;
    set_seen(s, w);
    s->work = w;
    s->resume = fetch_more;
    return fetch_more(s);
}
