/* search_text: see search_text.h. Text is compared as UTF-8, folded (fold.h): fields after RFC 2047, parameters after RFC 2231, text parts
 * after their transfer encoding and charset. In header fields runs of white space compare as one blank. */
#include "imap/search_text.h"

#include "imap/finder.h"
#include "imap/search_match.h"
#include "message/address.h"
#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/encoding.h"
#include "message/mime.h"

enum { PIECE = 16 * 1024, DECODED_MAX = 2 * PIECE, TEXT_MAX = 4 * DECODED_MAX + 1024, FIELD_TEXT_MAX = 4 * IMAP_HEADER_WINDOW };

void imap_search_message_init(struct imap_search_message *m, struct mail_account *account, const struct mail_email *email,
                              struct arena *arena)
{
    *m = (struct imap_search_message){ .account = account, .email = email, .arena = arena };
    buf_init(&m->header, IMAP_HEADER_WINDOW);
}

void imap_search_message_done(struct imap_search_message *m)
{
    buf_done(&m->header);
}

/* Opens the structure. */
static bool load(struct imap_search_message *m)
{
    if (m->structure || m->broken)
        return !m->broken;
    m->broken = !m->email || structure_open(m->email->structure, m->email->size, m->arena, &m->structure) < 0;
    m->cost += IMAP_COST_ROW;
    return !m->broken;
}

const struct envelope *imap_search_envelope(struct imap_search_message *m)
{
    const struct envelope *e;
    if (m->structure)
        return structure_root(m->structure)->envelope;
    return m->email && structure_envelope(m->email->structure, m->arena, &e) == 0 ? e : NULL;
}

/* --- fields --- */

/* Opens the header of PART. The message's own is read once where it is small. */
static void open_fields(struct imap_search_message *m, const struct part *part, struct imap_header_fields *f)
{
    bool root = !part->parent;
    m->cost += root && m->header_read ? 0 : IMAP_COST_HEADER + (unsigned)(part->header_size / 256);
    if (!root || part->header_size > IMAP_HEADER_WINDOW) {
        imap_header_fields_open(f, m->account, m->email, part->header_offset, part->header_size);
        return;
    }
    if (!m->header_read) {
        size_t want = (size_t)part->header_size, got = 0;
        char *p = buf_reserve(&m->header, want);
        if (p && mail_email_read(m->account, m->email, part->header_offset, p, want, &got) == 0)
            buf_commit(&m->header, got);
        m->header_read = true;
    }
    imap_header_fields_of(f, buf_str(&m->header));
}

/* Encoded words are decoded; what does not fit is cut, and the rest compared all the same. */
static void find_in_field(struct imap_finder *finder, str text)
{
    struct buf decoded = BUF_INIT(FIELD_TEXT_MAX);
    (void)!message_encoded_word_decode(text, &decoded);
    imap_finder_add(finder, buf_str(&decoded));
    buf_done(&decoded);
}

bool imap_search_text_has(str value, str needle)
{
    struct imap_finder finder;
    imap_finder_init(&finder, needle, IMAP_BLANKS_AS_ONE);
    find_in_field(&finder, value);
    bool found = finder.found;
    imap_finder_done(&finder);
    return found;
}

/* Whether a field FIELD of PART's header has NEEDLE in its text; with an empty FIELD: whether any has it, its name included. */
static bool fields_have(struct imap_search_message *m, const struct part *part, str field, str needle)
{
    struct imap_header_fields fields;
    struct imap_header_piece piece;
    bool found = false;
    open_fields(m, part, &fields);
    struct imap_finder finder;
    imap_finder_init(&finder, needle, IMAP_BLANKS_AS_ONE);
    while (!found && imap_header_fields_next(&fields, &piece)) {
        if (field.n && !str_ieq(piece.name, field))
            continue;
        find_in_field(&finder, field.n ? piece.value : piece.whole);
        found = finder.found;
        if (piece.last)
            imap_finder_break(&finder);
    }
    imap_finder_done(&finder);
    imap_header_fields_done(&fields);
    return found;
}

/* "HEADER <field-name> <string>: messages that have a header with the specified field-name and that contains the specified string
 * in the text of the header. If the string to search is zero-length, this matches all messages that have a header line with the
 * specified field-name." */
bool imap_search_header(struct imap_search_message *m, str field, str needle)
{
    return field.n && load(m) && fields_have(m, structure_root(m->structure), field, needle);
}

/* --- addresses --- */

/* Addresses as people write them, one text for a list. */
struct address_text {
    struct imap_finder finder;
    bool begun, group_begun; /* something is in front */
};

static void find_in_address(struct address_text *t, const struct message_address *a)
{
    struct buf b = BUF_INIT(FIELD_TEXT_MAX);
    bool ends_group = !a->host.n && !a->mailbox.n;
    if (t->begun && !t->group_begun && !ends_group)
        buf_add(&b, STR(", "));
    t->begun = true;
    t->group_begun = !a->host.n && a->mailbox.n;
    if (!a->host.n) {
        buf_add_all(&b, a->mailbox, ends_group ? STR(";") : STR(": "));
    } else {
        bool angle = a->name.n || a->route.n;
        buf_add_all(&b, a->name, a->name.n ? STR(" ") : STR(""), angle ? STR("<") : STR(""));
        if (a->route.n)
            buf_add_all(&b, a->route, STR(":"));
        buf_add(&b, a->mailbox);
        if (!str_eq(a->host, MESSAGE_HOST_MISSING))
            buf_add_all(&b, STR("@"), a->host);
        buf_add(&b, angle ? STR(">") : STR(""));
    }
    find_in_field(&t->finder, buf_str(&b));
    buf_done(&b);
}

static void find_in_list(struct address_text *t, const struct message_addresses *list)
{
    for (unsigned i = 0; i < list->n && !t->finder.found; i++)
        find_in_address(t, &list->list[i]);
}

/* The same from the message, where the structure has not all of it. Of several From fields the first counts. */
static void find_in_address_fields(struct imap_search_message *m, str field, struct address_text *t)
{
    struct imap_header_fields fields;
    struct imap_header_piece piece;
    struct message_address_reader *reader = message_address_reader_new();
    bool ended = false;
    open_fields(m, structure_root(m->structure), &fields);
    while (!ended && !t->finder.found && imap_header_fields_next(&fields, &piece)) {
        if (!str_ieq(piece.name, field))
            continue;
        struct arena a = ARENA_INIT(SIZE_MAX); /* of one piece: bounded */
        struct message_addresses list;
        if (message_address_reader_feed(reader, piece.value, piece.last, &a, &list) == 0)
            find_in_list(t, &list);
        arena_done(&a);
        ended = piece.last && str_ieq(field, STR("From"));
    }
    message_address_reader_free(reader);
    imap_header_fields_done(&fields);
}

bool imap_search_addresses(struct imap_search_message *m, str field, str needle)
{
    const struct envelope *e = imap_search_envelope(m);
    const struct message_addresses *list = !e                            ? NULL
                                           : str_ieq(field, STR("From")) ? &e->from
                                           : str_ieq(field, STR("To"))   ? &e->to
                                           : str_ieq(field, STR("Cc"))   ? &e->cc
                                           : str_ieq(field, STR("Bcc"))  ? &e->bcc
                                                                         : NULL;
    struct address_text text = { .begun = false };
    imap_finder_init(&text.finder, needle, IMAP_BLANKS_AS_ONE);
    text.finder.found = false; /* an empty needle is in each list that there is */
    if (m->email && structure_is_truncated(m->email->structure) && load(m))
        find_in_address_fields(m, field, &text);
    else if (list)
        find_in_list(&text, list);
    bool found = text.finder.found || (!needle.n && text.begun);
    imap_finder_done(&text.finder);
    return found;
}

/* --- parts --- */

/* What PART says its charset is; without saying so, or when nobody knows it, nothing. */
static void known_charset(const struct part *part, struct buf *ret)
{
    const struct message_param *param = message_param_find(part->params, part->param_n, STR("charset"));
    if (param)
        message_param_text(param, ret);
    str name = buf_str(ret);
    if (!str_ieq(name, STR("utf-8")) && (str_ieq(name, STR("us-ascii")) || !message_charset_known(name)))
        buf_reset(ret);
}

/* A text part on its way: read, decoded, converted, compared, a piece at a time. */
struct text_reading {
    struct source *source;
    struct message_decoder decoder;
    struct message_charset_reader *charset;
    struct buf decoded, text;
    struct imap_finder finder;
    bool valid; /* not a byte so far that UTF-8 has not */
};

/* Takes what was decoded; LAST: it is the end. */
static void take_decoded(struct text_reading *t, bool last)
{
    buf_reset(&t->text);
    (void)!message_charset_reader_feed(t->charset, buf_str(&t->decoded), last, &t->text);
    t->valid = t->valid && str_find(buf_str(&t->text), STR("\xef\xbf\xbd")) == t->text.n;
    imap_finder_add(&t->finder, buf_str(&t->text));
    buf_reset(&t->decoded);
}

/* Whether PART's text, in CHARSET, has NEEDLE; *RET_VALID: whether it has nothing that CHARSET cannot read (as far as it was looked at). */
static bool text_in_charset(struct imap_search_message *m, const struct part *part, str charset, str needle, bool *ret_valid)
{
    struct text_reading t = { .source = mail_email_source(m->account, m->email, part->body_offset, part->body_size),
                              .charset = message_charset_reader_new(charset),
                              .decoded = BUF_INIT(DECODED_MAX),
                              .text = BUF_INIT(TEXT_MAX),
                              .valid = true };
    char raw[PIECE];
    int64_t n;
    imap_finder_init(&t.finder, needle, IMAP_BLANKS_AS_THEY_ARE);
    message_decoder_init(&t.decoder, message_encoding_from_name(part->encoding));
    m->cost += IMAP_COST_BODY / 10;
    while (!t.finder.found && (n = t.source->pull(t.source, raw, sizeof raw)) > 0) {
        m->cost += (unsigned)(n / 256);
        if (message_decoder_feed(&t.decoder, (str){ raw, (size_t)n }, &t.decoded) < 0)
            break;
        take_decoded(&t, false);
    }
    if (!t.finder.found && message_decoder_end(&t.decoder, &t.decoded) == 0)
        take_decoded(&t, true);
    bool found = t.finder.found;
    *ret_valid = t.valid;
    t.source->close(t.source);
    message_charset_reader_free(t.charset);
    imap_finder_done(&t.finder);
    buf_done(&t.decoded);
    buf_done(&t.text);
    return found;
}

/* Where the charset is not known it is UTF-8 if the text is that, and the commonest of the others. */
static bool text_has(struct imap_search_message *m, const struct part *part, str needle)
{
    struct buf charset = BUF_INIT(128);
    bool valid;
    known_charset(part, &charset);
    bool found = text_in_charset(m, part, charset.n ? buf_str(&charset) : STR("utf-8"), needle, &valid);
    if (!found && !charset.n && !valid)
        found = text_in_charset(m, part, STR("windows-1252"), needle, &valid);
    buf_done(&charset);
    return found;
}

/* Whether PART is to be read as text: also a report, and a multipart or message in which no part could be found. */
static bool is_text(const struct part *part)
{
    return !part->child_n &&
           (str_eq(part->type, STR("text")) || str_eq(part->type, STR("message")) || str_eq(part->type, STR("multipart")));
}

/* Names of files that RFC 2231 wraps: their field has percent signs, a person looks for letters. */
static bool params_have(const struct message_param *params, unsigned n, str needle)
{
    bool found = false;
    for (unsigned i = 0; i < n && !found; i++) {
        if (!message_param_is_extended(&params[i]))
            continue;
        struct buf text = BUF_INIT(FIELD_TEXT_MAX);
        struct imap_finder finder;
        imap_finder_init(&finder, needle, IMAP_BLANKS_AS_ONE);
        message_param_text(&params[i], &text);
        imap_finder_add(&finder, buf_str(&text));
        found = finder.found;
        imap_finder_done(&finder);
        buf_done(&text);
    }
    return found;
}

/* The header of PART, be it a message's or MIME's ("TEXT: ... in the header (including MIME header fields) or body of the message"). */
static bool header_has(struct imap_search_message *m, const struct part *part, str needle)
{
    return (part->header_size && fields_have(m, part, STR(""), needle)) || params_have(part->params, part->param_n, needle) ||
           params_have(part->disposition_params, part->disposition_param_n, needle);
}

/* What is below PART; the headers of parts, and of an enclosed message, are body of the message around them. */
static bool part_has(struct imap_search_message *m, const struct part *part, str needle)
{
    if (part->parent && header_has(m, part, needle))
        return true;
    for (unsigned i = 0; i < part->child_n; i++) {
        if (part_has(m, part->children[i], needle))
            return true;
    }
    return is_text(part) && text_has(m, part, needle);
}

bool imap_search_body(struct imap_search_message *m, str needle)
{
    return load(m) && part_has(m, structure_root(m->structure), needle);
}

bool imap_search_all(struct imap_search_message *m, str needle)
{
    return load(m) && (header_has(m, structure_root(m->structure), needle) || part_has(m, structure_root(m->structure), needle));
}
