/* search_match: see search_match.h. What looks at a message's words is in search_text.c. */
#include "imap/search_match.h"

#include "imap/finder.h"
#include "imap/fold.h"
#include "imap/search_text.h"
#include "message/charset.h"
#include "message/date.h"
#include "message/fields.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* --- preparing --- */

static unsigned key_cost(const struct imap_search_key *key)
{
    unsigned cost = 0;
    switch (key->type) {
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_SET:
    case IMAP_SEARCH_UID:
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_RECENT:
    case IMAP_SEARCH_KEYWORD:
    case IMAP_SEARCH_SMALLER:
    case IMAP_SEARCH_LARGER:
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
    case IMAP_SEARCH_MODSEQ:
        return IMAP_COST_ENTRY;
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        return IMAP_COST_ENTRY + 1;
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_ADDRESSES:
        return key->kept ? IMAP_COST_ROW : IMAP_COST_HEADER;
    case IMAP_SEARCH_BODY:
        return IMAP_COST_BODY;
    case IMAP_SEARCH_TEXT:
        return IMAP_COST_BODY + 1;
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
        for (const struct imap_search_key *child = key->child; child; child = child->next)
            cost = key_cost(child) > cost ? key_cost(child) : cost;
        return cost;
    }
    return cost;
}

/* Sorts a list by cost, keeping the order of equals: lists are short, insertion is enough. */
static void sort_keys(struct imap_search_key **list)
{
    struct imap_search_key *sorted = NULL;
    while (*list) {
        struct imap_search_key *key = *list;
        *list = key->next;
        struct imap_search_key **at = &sorted;
        while (*at && key_cost(*at) <= key_cost(key))
            at = &(*at)->next;
        key->next = *at;
        *at = key;
    }
    *list = sorted;
}

/* TEXT in CHARSET as folded UTF-8 in the arena. */
static int fold_text(struct imap_session *s, str charset, str text, enum imap_blanks blanks, str *ret)
{
    bool blank = false;
    struct buf utf8 = BUF_INIT(4 * IMAP_LITERALS_MAX), folded = BUF_INIT(8 * IMAP_LITERALS_MAX);
    int r = message_charset_to_utf8(charset, text, &utf8);
    if (r == 0) {
        imap_fold(&folded, buf_str(&utf8));
        if (blanks == IMAP_BLANKS_AS_ONE)
            imap_fold_blanks(&folded, 0, &blank);
        r = buf_error(&folded);
    }
    if (r == 0)
        r = arena_dup(&s->arena, buf_str(&folded), ret);
    buf_done(&utf8);
    buf_done(&folded);
    return r;
}

static uint64_t keyword_bit(struct imap_session *s, str name)
{
    size_t n;
    const str *keywords = mail_view_keywords(s->view, &n);
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(keywords[i], name))
            return (uint64_t)1 << (MAIL_KEYWORD_BIT + i);
    }
    return 0;
}

static int prepare_keys(struct imap_session *s, str charset, struct imap_search_key **list)
{
    for (struct imap_search_key *key = *list; key; key = key->next) {
        int r = 0;
        if (key->type == IMAP_SEARCH_SET || key->type == IMAP_SEARCH_UID)
            r = imap_set_resolve(s, &key->set, key->type == IMAP_SEARCH_UID, &key->set);
        else if (key->type == IMAP_SEARCH_KEYWORD)
            key->number = (int64_t)keyword_bit(s, key->text);
        if (key->type == IMAP_SEARCH_HEADER || key->type == IMAP_SEARCH_ADDRESSES)
            key->kept = message_fields_bit(key->field);
        if (key->type == IMAP_SEARCH_HEADER || key->type == IMAP_SEARCH_ADDRESSES)
            r = fold_text(s, charset, key->text, IMAP_BLANKS_AS_ONE, &key->text);
        else if (key->type == IMAP_SEARCH_BODY || key->type == IMAP_SEARCH_TEXT) /* of which headers are only a part */
            r = fold_text(s, charset, key->text, IMAP_BLANKS_AS_THEY_ARE, &key->text);
        if (key->child)
            r = prepare_keys(s, charset, &key->child);
        if (r < 0)
            return r;
    }
    sort_keys(list);
    return 0;
}

int imap_search_prepare(struct imap_session *s, struct imap_search *search)
{
    /* US-ASCII with bytes above 127 is UTF-8 more often than anything else. */
    str charset = search->charset;
    if (!charset.n || str_ieq(charset, STR("US-ASCII")))
        charset = STR("UTF-8");
    if (!message_charset_known(charset))
        return ERR_UNSUPPORTED;
    return prepare_keys(s, charset, &search->keys);
}

/* --- matching --- */

struct candidate {
    struct imap_session *s;
    uint32_t seq;
    struct mail_entry entry;
    bool settled;                 /* whether the email has been looked for: keys that need it can be answered */
    struct imap_search_message m; /* its email NULL: not there */
    struct message_fields fields;
};

/* VALUE unfolded and folded into TEXT, which has room for it, runs of white space as one blank: for the many that are printable ASCII without
 * encoded words, what message_encoded_word_decode, imap_fold and imap_fold_blanks make of it. False for others. */
static bool fold_plain(str value, char *text, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool last = i + 1 == value.n;
        if (c == '\n' || (c == '\r' && !last && value.p[i + 1] == '\n'))
            continue;
        if ((c < ' ' && c != '\t') || c == 127 || (c == '=' && !last && value.p[i + 1] == '?'))
            return false;
        if ((c != ' ' && c != '\t') || !n || text[n - 1] != ' ')
            text[n++] = c == '\t' ? ' ' : ascii_lower(c);
    }
    *ret_n = n;
    return true;
}

static bool field_contains(str value, str needle)
{
    char text[1024];
    size_t n;
    if (value.n <= sizeof text && fold_plain(value, text, &n))
        return str_find((str){ text, n }, needle) < n || !needle.n;
    return imap_search_text_has(value, needle);
}

/* The longest run of letters and digits in S. */
static str longest_word(str s)
{
    str best = { s.p, 0 };
    for (size_t i = 0; i < s.n; i++) {
        size_t from = i;
        while (i < s.n && ascii_is_alnum(s.p[i]))
            i++;
        if (i - from > best.n)
            best = str_sub(s, from, i - from);
    }
    return best;
}

static bool parts_words(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '<' || c == '>' || c == ',';
}

/* Whether the addresses that the parser makes of VALUE may hold NEEDLE although VALUE does not: false where it is certain that each run of letters and
 * digits of theirs is one of VALUE's, and the longest one of NEEDLE is in none. It is not certain where the parser drops bytes within a
 * word (comments, quotes, brackets, quoted pairs) or decodes any. */
static bool may_have(str value, str needle)
{
    char text[1024];
    size_t n;
    str word = longest_word(needle);
    if (!word.n || value.n > sizeof text || !fold_plain(value, text, &n))
        return true;
    for (size_t i = 0; i < n; i++) {
        if (memchr("()[]\\", text[i], 5))
            return true;
        if (text[i] == '"' && i > 0 && i + 1 < n && !parts_words(text[i - 1]) && !parts_words(text[i + 1]))
            return true;
    }
    return str_find((str){ text, n }, word) < n;
}

/* HEADER, from the fields that are kept beside the structure, or from the message. */
static bool header_has(struct candidate *c, const struct imap_search_key *key)
{
    if (!key->kept || key->kept & ~c->fields.known)
        return imap_search_header(&c->m, key->field, key->text);
    struct message_fields_item item;
    for (size_t at = 0; message_fields_next(&c->fields, &at, &item);) {
        if (item.bit == key->kept && field_contains(message_fields_value(item.raw), key->text))
            return true;
    }
    return false;
}

/* FROM and its kin: the envelope is looked at where the fields that are kept do not say that it cannot have the text. */
static bool addresses_have(struct candidate *c, const struct imap_search_key *key)
{
    struct message_fields_item item;
    bool may = !key->kept || key->kept & ~c->fields.known;
    for (size_t at = 0; !may && message_fields_next(&c->fields, &at, &item);)
        may = item.bit == key->kept && may_have(message_fields_value(item.raw), key->text);
    return may && imap_search_addresses(&c->m, key->field, key->text);
}

/* What is known of a key's answer: UNSURE while the email has not been looked for. */
enum truth { NO, YES, UNSURE };

static enum truth truth_of(bool b)
{
    return b ? YES : NO;
}

/* The day of the Date: field where it was written: "disregarding time and timezone". */
static enum truth sent_matches(struct candidate *c, const struct imap_search_key *key)
{
    int64_t day = (int64_t)c->entry.sent - MAIL_SENT_EPOCH;
    if (c->entry.sent == MAIL_SENT_UNKNOWN) {
        if (!c->settled)
            return UNSURE;
        const struct envelope *e = imap_search_envelope(&c->m);
        if (!e || !message_date_day(e->date, &day))
            return NO;
    } else if (c->entry.sent == MAIL_SENT_NONE) {
        return NO;
    }
    return truth_of(key->type == IMAP_SEARCH_SENTBEFORE ? day < key->number
                    : key->type == IMAP_SEARCH_SENTON   ? day == key->number
                                                        : day >= key->number);
}

static bool matches_text(struct candidate *c, const struct imap_search_key *key)
{
    if (!c->m.email)
        return false;
    if (key->type == IMAP_SEARCH_HEADER)
        return header_has(c, key);
    if (key->type == IMAP_SEARCH_ADDRESSES)
        return addresses_have(c, key);
    return key->type == IMAP_SEARCH_TEXT ? imap_search_all(&c->m, key->text) : imap_search_body(&c->m, key->text);
}

/* Keys of the entry alone. */
static bool matches_entry(struct candidate *c, const struct imap_search_key *key)
{
    const struct mail_entry *entry = &c->entry;
    int64_t day = (entry->received_ms - (entry->received_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS;
    switch (key->type) {
    case IMAP_SEARCH_SET:
    case IMAP_SEARCH_UID:
        return imap_set_has(&key->set, c->seq);
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_KEYWORD:
        return entry->flags & (uint64_t)key->number;
    case IMAP_SEARCH_RECENT:
        return mail_view_is_recent(c->s->view, c->seq);
    case IMAP_SEARCH_MODSEQ:
        return entry->modseq >= (uint64_t)key->number;
    case IMAP_SEARCH_SMALLER:
        return entry->size < key->number;
    case IMAP_SEARCH_LARGER:
        return entry->size > key->number;
    case IMAP_SEARCH_BEFORE:
        return day < key->number;
    case IMAP_SEARCH_ON:
        return day == key->number;
    case IMAP_SEARCH_SINCE:
        return day >= key->number;
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_ADDRESSES:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
        break;
    }
    return true;
}

static enum truth list_matches(struct candidate *c, const struct imap_search_key *list, enum truth ends);

static enum truth key_matches(struct candidate *c, const struct imap_search_key *key)
{
    switch (key->type) {
    case IMAP_SEARCH_AND:
        return list_matches(c, key->child, NO);
    case IMAP_SEARCH_OR:
        return list_matches(c, key->child, YES);
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        return sent_matches(c, key);
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_ADDRESSES:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        return c->settled ? truth_of(matches_text(c, key)) : UNSURE;
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_SET:
    case IMAP_SEARCH_UID:
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_RECENT:
    case IMAP_SEARCH_KEYWORD:
    case IMAP_SEARCH_SMALLER:
    case IMAP_SEARCH_LARGER:
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
    case IMAP_SEARCH_MODSEQ:
        return truth_of(matches_entry(c, key));
    }
    return NO;
}

/* All of LIST (ENDS is NO: one that does not match decides) or any (ENDS is YES). */
static enum truth list_matches(struct candidate *c, const struct imap_search_key *list, enum truth ends)
{
    enum truth sum = ends == NO ? YES : NO;
    for (; list; list = list->next) {
        enum truth t = key_matches(c, list);
        if (t == UNSURE)
            sum = UNSURE;
        else if (truth_of((t == YES) != list->negate) == ends)
            return ends;
    }
    return sum;
}

/* --- a page of messages --- */

struct page {
    struct imap_session *s;
    const struct imap_search *search;
    struct imap_search_candidate *list;
    struct arena arena;
    size_t n, next; /* messages that need their emails; those before next are decided */
    size_t from;    /* the first that is being read */
    size_t which[IMAP_SEARCH_PAGE];
    uint64_t emails[IMAP_SEARCH_PAGE];
    struct mail_entry entries[IMAP_SEARCH_PAGE];
    unsigned cost, cost_max;
};
enum { PAGE_STOPPED = 1 };

/* Decides the next of P with its EMAIL (NULL: it cannot be read). */
static void page_decide(struct page *p, const struct mail_email *email)
{
    size_t i = p->next++;
    struct imap_search_candidate *ret = &p->list[p->which[i]];
    struct candidate c = { .s = p->s, .seq = ret->seq, .entry = p->entries[i], .settled = true };
    imap_search_message_init(&c.m, p->s->account, email, &p->arena);
    if (email && message_fields_open(email->fields, &c.fields) < 0)
        c.fields = (struct message_fields){ 0 };
    ret->found = list_matches(&c, p->search->keys, NO) == YES;
    p->cost += IMAP_COST_ROW + c.m.cost;
    imap_search_message_done(&c.m);
    arena_reset(&p->arena);
}

static int page_email(void *ctx, size_t i, const struct mail_email *email)
{
    struct page *p = ctx;
    while (p->next < p->from + i) /* those between are gone */
        page_decide(p, NULL);
    page_decide(p, email);
    return p->cost >= p->cost_max ? PAGE_STOPPED : 0;
}

/* Asks the entry alone; what that does not decide comes into the page. */
static void page_add(struct page *p, size_t i)
{
    struct imap_search_candidate *ret = &p->list[i];
    struct candidate c = { .s = p->s, .seq = ret->seq };
    ret->found = false;
    p->cost += IMAP_COST_ENTRY;
    if (mail_view_entry(p->s->view, ret->seq, &c.entry) < 0)
        return;
    enum truth t = list_matches(&c, p->search->keys, NO);
    ret->found = t == YES;
    ret->modseq = c.entry.modseq;
    if (t != UNSURE)
        return;
    p->which[p->n] = i;
    p->emails[p->n] = c.entry.email;
    p->entries[p->n++] = c.entry;
}

size_t imap_search_page(struct imap_session *s, const struct imap_search *search, struct imap_search_candidate *list, size_t n,
                        unsigned cost_max, unsigned *cost)
{
    struct page p;
    require(n <= IMAP_SEARCH_PAGE);
    p.s = s;
    p.search = search;
    p.list = list;
    p.n = p.next = p.from = 0;
    p.cost = *cost;
    p.cost_max = cost_max;
    arena_init(&p.arena, 8 * 1024 * 1024);
    for (size_t i = 0; i < n; i++)
        page_add(&p, i);
    int r = 0;
    while (p.next < p.n && r <= 0) {
        p.from = p.next;
        r = mail_email_each(s->account, p.emails + p.next, p.n - p.next, page_email, &p);
        if (r <= 0 && p.next < p.n) /* it is gone or cannot be read, which must not keep those behind it from being looked at */
            page_decide(&p, NULL);
    }
    arena_done(&p.arena);
    *cost = p.cost;
    return p.next < p.n ? p.which[p.next] : n;
}
