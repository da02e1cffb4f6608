/* search_match: see search_match.h. Text is compared as UTF-8, folded (fold.h): header fields after RFC 2047, text parts after
 * their transfer encoding and charset. */
#include "imap/search_match.h"

#include "base/utf8.h"
#include "imap/fold.h"
#include "message/address.h"
#include "message/charset.h"
#include "message/date.h"
#include "message/encoded_word.h"
#include "message/encoding.h"
#include "message/header.h"
#include "message/mime.h"

enum {
    HEADER_BYTES_MAX = 256 * 1024,    /* of a header that is looked at */
    BODY_BYTES_MAX = 4 * 1024 * 1024, /* of one text part that is looked at */
    TEXT_BYTES_MAX = 3 * BODY_BYTES_MAX,
    DAY_MS = 24 * 60 * 60 * 1000
};

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
        return IMAP_COST_STRUCTURE;
    case IMAP_SEARCH_HEADER:
        return IMAP_COST_HEADER;
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
static int fold_text(struct imap_session *s, str charset, str text, str *ret)
{
    struct buf utf8 = BUF_INIT(4 * IMAP_LITERALS_MAX), folded = BUF_INIT(8 * IMAP_LITERALS_MAX);
    int r = message_charset_to_utf8(charset, text, &utf8);
    if (r == 0) {
        imap_fold(&folded, buf_str(&utf8));
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
        else if (key->type == IMAP_SEARCH_HEADER || key->type == IMAP_SEARCH_BODY || key->type == IMAP_SEARCH_TEXT)
            r = fold_text(s, charset, key->text, &key->text);
        else if (key->child)
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
    struct arena arena;
    bool loaded, broken; /* email and structure; cannot be read */
    struct mail_email email;
    const struct structure *structure;
    bool header_read;
    struct buf header;
    unsigned cost;
};

static bool load(struct candidate *c)
{
    if (c->loaded || c->broken)
        return c->loaded;
    c->cost += IMAP_COST_STRUCTURE;
    int r = mail_email_get(c->s->account, c->entry.email, &c->arena, &c->email);
    if (r == 0)
        r = structure_open(c->email.structure, c->email.size, &c->arena, &c->structure);
    c->loaded = r == 0;
    c->broken = r < 0;
    return c->loaded;
}

static bool read_bytes(struct candidate *c, uint64_t offset, uint64_t n, size_t max, struct buf *b)
{
    size_t want = n < max ? (size_t)n : max, got = 0;
    char *p = buf_reserve(b, want);
    if (!p || mail_email_read(c->s->account, &c->email, offset, p, want, &got) < 0)
        return false;
    buf_commit(b, got);
    c->cost += (unsigned)(got / 256);
    return true;
}

static str root_header(struct candidate *c)
{
    if (!c->header_read && load(c)) {
        const struct part *root = structure_root(c->structure);
        c->cost += IMAP_COST_HEADER;
        (void)read_bytes(c, root->header_offset, root->header_size, HEADER_BYTES_MAX, &c->header);
    }
    c->header_read = true;
    return buf_str(&c->header);
}

/* Whether TEXT (UTF-8) has folded NEEDLE. */
static bool contains(str text, str needle)
{
    struct buf folded = BUF_INIT(2 * TEXT_BYTES_MAX);
    imap_fold(&folded, text);
    bool found = str_find(buf_str(&folded), needle) < folded.n || !needle.n;
    buf_done(&folded);
    return found;
}

static bool field_contains(str value, str needle)
{
    struct buf decoded = BUF_INIT(4 * HEADER_BYTES_MAX);
    /* What does not fit is cut: the rest is compared all the same. */
    bool found = message_encoded_word_decode(value, &decoded) <= 0 && contains(buf_str(&decoded), needle);
    buf_done(&decoded);
    return found;
}

/* Addresses of the envelope: "anne @ example . org" is found by "anne@example.org" too. */
static bool envelope_has(struct candidate *c, str field, str needle)
{
    if (!load(c))
        return false;
    const struct envelope *e = structure_root(c->structure)->envelope;
    const struct message_addresses *list = !e                            ? NULL
                                           : str_ieq(field, STR("From")) ? &e->from
                                           : str_ieq(field, STR("To"))   ? &e->to
                                           : str_ieq(field, STR("Cc"))   ? &e->cc
                                           : str_ieq(field, STR("Bcc"))  ? &e->bcc
                                                                         : NULL;
    bool found = false;
    for (unsigned i = 0; list && i < list->n && !found; i++) {
        struct buf text = BUF_INIT(HEADER_BYTES_MAX);
        buf_add_all(&text, list->list[i].name, STR(" "), list->list[i].mailbox, STR("@"));
        if (!str_eq(list->list[i].host, MESSAGE_HOST_MISSING))
            buf_add(&text, list->list[i].host);
        found = list->list[i].host.n && field_contains(buf_str(&text), needle);
        buf_done(&text);
    }
    return found;
}

/* "HEADER <field-name> <string>: messages that have a header with the specified field-name and that contains the specified string
 * in the text of the header. If the string to search is zero-length, this matches all messages that have a header line with the
 * specified field-name." */
static bool header_has(struct candidate *c, str field, str needle)
{
    struct message_header_field f;
    str header = root_header(c);
    for (size_t at = 0; message_header_next(header, &at, &f);) {
        if (str_ieq(f.name, field) && field_contains(f.value, needle))
            return true;
    }
    return envelope_has(c, field, needle);
}

/* Any field of a header block, its name too. */
static bool block_has(str header, str needle)
{
    struct message_header_field f;
    for (size_t at = 0; message_header_next(header, &at, &f);) {
        if (field_contains(str_sub(header, f.offset, f.size), needle))
            return true;
    }
    return false;
}

/* What TEXT of PART is to be read as: its charset, or where that says nothing or nobody knows it, UTF-8 if it is that and the
 * commonest of the others. */
static str text_charset(const struct part *part, str text, struct buf *name)
{
    str charset = STR("us-ascii");
    const struct message_param *param = message_param_find(part->params, part->param_n, STR("charset"));
    if (param) {
        message_param_text(param, name);
        charset = buf_str(name);
    }
    if (str_ieq(charset, STR("utf-8")) || (!str_ieq(charset, STR("us-ascii")) && message_charset_known(charset)))
        return charset;
    return utf8_valid(text) ? STR("utf-8") : STR("windows-1252");
}

static bool text_has(struct candidate *c, const struct part *part, str needle)
{
    struct buf charset = BUF_INIT(128), raw = BUF_INIT(BODY_BYTES_MAX), decoded = BUF_INIT(BODY_BYTES_MAX + 64),
               text = BUF_INIT(TEXT_BYTES_MAX);
    bool found = false;
    c->cost += IMAP_COST_BODY / 10;
    if (read_bytes(c, part->body_offset, part->body_size, BODY_BYTES_MAX, &raw) &&
        message_decode(message_encoding_from_name(part->encoding), buf_str(&raw), &decoded) == 0) {
        (void)!message_charset_to_utf8(text_charset(part, buf_str(&decoded), &charset), buf_str(&decoded), &text);
        found = contains(buf_str(&text), needle);
    }
    buf_done(&charset);
    buf_done(&raw);
    buf_done(&decoded);
    buf_done(&text);
    return found;
}

/* Whether PART is to be read as text: also a report, and a multipart or message in which no part could be found. */
static bool is_text(const struct part *part)
{
    return !part->child_n &&
           (str_eq(part->type, STR("text")) || str_eq(part->type, STR("message")) || str_eq(part->type, STR("multipart")));
}

/* The texts below PART; the header of an enclosed message is body of the one around it. */
static bool body_has(struct candidate *c, const struct part *part, str needle)
{
    if (part->parent && part->envelope && part->header_size) {
        struct buf header = BUF_INIT(HEADER_BYTES_MAX);
        bool found = read_bytes(c, part->header_offset, part->header_size, HEADER_BYTES_MAX, &header) &&
                     block_has(buf_str(&header), needle);
        buf_done(&header);
        if (found)
            return true;
    }
    for (unsigned i = 0; i < part->child_n; i++) {
        if (body_has(c, part->children[i], needle))
            return true;
    }
    return is_text(part) && text_has(c, part, needle);
}

/* The day of the Date: field where it was written: "disregarding time and timezone". */
static bool sent_day(struct candidate *c, int64_t *ret)
{
    if (!load(c))
        return false;
    const struct envelope *e = structure_root(c->structure)->envelope;
    return e && message_date_day(e->date, ret);
}

static bool matches_all(struct candidate *c, const struct imap_search_key *list);

static bool matches_any(struct candidate *c, const struct imap_search_key *list);

static bool matches_text(struct candidate *c, const struct imap_search_key *key)
{
    if (key->type == IMAP_SEARCH_HEADER)
        return header_has(c, key->field, key->text);
    if (!load(c))
        return false;
    return (key->type == IMAP_SEARCH_TEXT && block_has(root_header(c), key->text)) ||
           body_has(c, structure_root(c->structure), key->text);
}

static bool matches_key(struct candidate *c, const struct imap_search_key *key)
{
    const struct mail_entry *entry = &c->entry;
    int64_t day = (entry->received_ms - (entry->received_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS, sent;
    switch (key->type) {
    case IMAP_SEARCH_ALL:
        return true;
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
    case IMAP_SEARCH_SENTBEFORE:
        return sent_day(c, &sent) && sent < key->number;
    case IMAP_SEARCH_SENTON:
        return sent_day(c, &sent) && sent == key->number;
    case IMAP_SEARCH_SENTSINCE:
        return sent_day(c, &sent) && sent >= key->number;
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        return matches_text(c, key);
    case IMAP_SEARCH_AND:
        return matches_all(c, key->child);
    case IMAP_SEARCH_OR:
        return matches_any(c, key->child);
    }
    return false;
}

static bool matches_all(struct candidate *c, const struct imap_search_key *list)
{
    for (; list; list = list->next) {
        if (matches_key(c, list) == list->negate)
            return false;
    }
    return true;
}

static bool matches_any(struct candidate *c, const struct imap_search_key *list)
{
    for (; list; list = list->next) {
        if (matches_key(c, list) != list->negate)
            return true;
    }
    return false;
}

bool imap_search_matches(struct imap_session *s, const struct imap_search *search, uint32_t seq, unsigned *cost,
                         uint64_t *ret_modseq)
{
    struct candidate c = { .s = s, .seq = seq, .cost = IMAP_COST_ENTRY };
    if (mail_view_entry(s->view, seq, &c.entry) < 0)
        return false;
    arena_init(&c.arena, 8 * 1024 * 1024);
    buf_init(&c.header, HEADER_BYTES_MAX);
    bool found = matches_all(&c, search->keys);
    buf_done(&c.header);
    arena_done(&c.arena);
    *cost += c.cost;
    *ret_modseq = c.entry.modseq;
    return found;
}
