/* structure_write: the tree and the header fields of its parts as the flat form (structure_private.h). */
#include "base/pack.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"
#include "message/mime.h"
#include "message/structure_private.h"

const str structure_words[] = {
    STR_INIT("text"),
    STR_INIT("plain"),
    STR_INIT("html"),
    STR_INIT("multipart"),
    STR_INIT("mixed"),
    STR_INIT("alternative"),
    STR_INIT("related"),
    STR_INIT("signed"),
    STR_INIT("encrypted"),
    STR_INIT("report"),
    STR_INIT("digest"),
    STR_INIT("message"),
    STR_INIT("rfc822"),
    STR_INIT("global"),
    STR_INIT("delivery-status"),
    STR_INIT("application"),
    STR_INIT("octet-stream"),
    STR_INIT("pdf"),
    STR_INIT("zip"),
    STR_INIT("pgp-signature"),
    STR_INIT("pkcs7-mime"),
    STR_INIT("pkcs7-signature"),
    STR_INIT("image"),
    STR_INIT("png"),
    STR_INIT("jpeg"),
    STR_INIT("gif"),
    STR_INIT("calendar"),
    STR_INIT("csv"),
    STR_INIT("7bit"),
    STR_INIT("8bit"),
    STR_INIT("binary"),
    STR_INIT("quoted-printable"),
    STR_INIT("base64"),
    STR_INIT("charset"),
    STR_INIT("utf-8"),
    STR_INIT("UTF-8"),
    STR_INIT("us-ascii"),
    STR_INIT("iso-8859-1"),
    STR_INIT("ISO-8859-1"),
    STR_INIT("windows-1252"),
    STR_INIT("format"),
    STR_INIT("flowed"),
    STR_INIT("delsp"),
    STR_INIT("yes"),
    STR_INIT("boundary"),
    STR_INIT("name"),
    STR_INIT("filename"),
    STR_INIT("size"),
    STR_INIT("type"),
    STR_INIT("protocol"),
    STR_INIT("micalg"),
    STR_INIT("sha-256"),
    STR_INIT("smime-type"),
    STR_INIT("method"),
    STR_INIT("report-type"),
    STR_INIT("attachment"),
    STR_INIT("inline"),
    STR_INIT("application/pkcs7-signature"),
    STR_INIT("application/pgp-signature"),
    STR_INIT("text/html"),
    STR_INIT("creation-date"),
    STR_INIT("modification-date"),
    STR_INIT("en"),
};
const unsigned structure_word_n = sizeof structure_words / sizeof *structure_words;
_Static_assert(sizeof structure_words / sizeof *structure_words < STRUCTURE_STRING_WORDS, "one code per word");

struct writer {
    str m;
    const struct message_limits *limits;
    struct arena scratch;
    struct buf *out;
    bool truncated;
};

/* --- the fields of one header --- */

static bool joined_take(struct message_part_header *h, str name, str value)
{
    static const struct {
        str name;
        size_t offset;
    } joined[] = {
        { STR_INIT("to"), offsetof(struct message_part_header, to) },
        { STR_INIT("cc"), offsetof(struct message_part_header, cc) },
        { STR_INIT("bcc"), offsetof(struct message_part_header, bcc) },
    };
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        if (!str_ieq(name, joined[i].name))
            continue;
        struct message_joined *j = (struct message_joined *)(void *)((char *)h + joined[i].offset);
        if (j->n < JOINED_FIELDS_MAX)
            j->list[j->n++] = value;
        else
            h->truncated = true;
        return true;
    }
    return false;
}

static void field_take(struct message_part_header *h, str name, str value)
{
    static const struct {
        str name;
        size_t offset;
    } single[] = {
        { STR_INIT("content-type"), offsetof(struct message_part_header, content_type) },
        { STR_INIT("content-transfer-encoding"), offsetof(struct message_part_header, encoding) },
        { STR_INIT("content-id"), offsetof(struct message_part_header, id) },
        { STR_INIT("content-description"), offsetof(struct message_part_header, description) },
        { STR_INIT("content-md5"), offsetof(struct message_part_header, md5) },
        { STR_INIT("content-location"), offsetof(struct message_part_header, location) },
        { STR_INIT("content-disposition"), offsetof(struct message_part_header, disposition) },
        { STR_INIT("content-language"), offsetof(struct message_part_header, language) },
        { STR_INIT("date"), offsetof(struct message_part_header, date) },
        { STR_INIT("subject"), offsetof(struct message_part_header, subject) },
        { STR_INIT("from"), offsetof(struct message_part_header, from) },
        { STR_INIT("sender"), offsetof(struct message_part_header, sender) },
        { STR_INIT("reply-to"), offsetof(struct message_part_header, reply_to) },
        { STR_INIT("in-reply-to"), offsetof(struct message_part_header, in_reply_to) },
        { STR_INIT("message-id"), offsetof(struct message_part_header, message_id) },
        { STR_INIT("references"), offsetof(struct message_part_header, references) },
    };
    if (joined_take(h, name, value))
        return;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (!str_ieq(name, single[i].name))
            continue;
        str *at = (str *)(void *)((char *)h + single[i].offset);
        if (!at->p)
            *at = value;
        return;
    }
}

void message_part_header_collect(str header, const struct message_limits *limits, struct message_part_header *ret)
{
    *ret = (struct message_part_header){ 0 };
    ret->truncated = header.n > limits->header_bytes_max;
    header = str_sub(header, 0, limits->header_bytes_max);
    struct message_header_field field;
    unsigned n = 0;
    for (size_t at = 0; message_header_next(header, &at, &field);) {
        if (n++ == limits->headers_max) {
            ret->truncated = true;
            return;
        }
        if (field.name.n)
            field_take(ret, field.name, field.value);
    }
}

/* --- strings, parameters, addresses --- */

static void write_string(struct writer *w, str s)
{
    if (!s.p) {
        pack_varint(w->out, 0);
        return;
    }
    for (unsigned i = 0; i < structure_word_n; i++) {
        if (str_eq(structure_words[i], s)) {
            pack_varint(w->out, i + 1);
            return;
        }
    }
    pack_varint(w->out, s.n + STRUCTURE_STRING_WORDS);
    buf_add(w->out, s);
}

/* A token or the like that only a hostile sender makes long. */
static void write_short(struct writer *w, str s)
{
    w->truncated |= s.n > w->limits->value_max;
    write_string(w, str_sub(s, 0, w->limits->value_max));
}

/* Field text on one line; absent stays absent. */
static void write_text(struct writer *w, str raw)
{
    str line = { 0 };
    if (raw.p) {
        w->truncated |= str_trim(raw).n > w->limits->value_max;
        int r = message_header_unfold_arena(&w->scratch, raw, w->limits->value_max, &line);
        require(r == 0);
    }
    write_string(w, line);
}

/* RFC 5322 section 3.6.4: the msg-ids of RAW, one space between; whole ones while they fit. */
static void write_references(struct writer *w, str raw)
{
    struct buf b = BUF_INIT(w->limits->value_max);
    str ids = { 0 };
    for (size_t at = str_find_byte(raw, '<', 0); at < raw.n; at = str_find_byte(raw, '<', at)) {
        size_t end = str_find_byte(raw, '>', at);
        if (end == raw.n)
            break;
        str id = str_sub(raw, at, end + 1 - at);
        if (id.n + 1 > b.max - b.n) {
            w->truncated = true;
            break;
        }
        if (b.n)
            buf_add_byte(&b, ' ');
        for (size_t i = 0; i < id.n; i++)
            if ((unsigned char)id.p[i] > ' ' && id.p[i] != 127)
                buf_add_byte(&b, id.p[i]);
        at = end + 1;
    }
    if (b.n && arena_dup(&w->scratch, buf_str(&b), &ids))
        panic("references exceeded an arena without quota");
    write_string(w, ids);
    buf_done(&b);
}

static void write_params(struct writer *w, const struct message_params *params)
{
    pack_varint(w->out, params->n);
    for (unsigned i = 0; i < params->n; i++) {
        write_short(w, params->list[i].name);
        write_string(w, params->list[i].value);
    }
}

/* OR_FROM: RFC 3501 section 7.4.2, Sender and Reply-To that are absent or empty are as From. */
static void write_addresses(struct writer *w, const str *fields, size_t n, bool or_from)
{
    struct message_addresses list = { 0 };
    int r = message_addresses_parse_n(fields, n, w->limits, &w->scratch, &list, &w->truncated);
    require(r == 0);
    if (list.n == 0) {
        pack_varint(w->out, or_from ? ADDRESSES_AS_FROM : 0);
        return;
    }
    pack_varint(w->out, (uint64_t)list.n + 1);
    for (unsigned i = 0; i < list.n; i++) {
        const struct message_address *addr = &list.list[i];
        write_string(w, addr->name);
        write_string(w, addr->route);
        write_string(w, addr->mailbox);
        write_string(w, addr->host);
    }
}

static void write_envelope(struct writer *w, const struct message_part_header *h)
{
    int64_t date;
    if (h->date.p && message_date_parse(h->date, &date, NULL))
        pack_varint(w->out, ((uint64_t)date << 1 ^ (uint64_t)(date >> 63)) + 1);
    else
        pack_varint(w->out, 0);
    write_text(w, h->date);
    write_text(w, h->subject);
    write_text(w, h->in_reply_to);
    write_text(w, h->message_id);
    write_references(w, h->references);
    write_addresses(w, &h->from, h->from.p ? 1 : 0, false);
    write_addresses(w, &h->sender, h->sender.p ? 1 : 0, true);
    write_addresses(w, &h->reply_to, h->reply_to.p ? 1 : 0, true);
    write_addresses(w, h->to.list, h->to.n, false);
    write_addresses(w, h->cc.list, h->cc.n, false);
    write_addresses(w, h->bcc.list, h->bcc.n, false);
}

/* --- parts --- */

static void write_extras(struct writer *w, const struct message_part_header *h)
{
    struct message_disposition d = { 0 };
    const str *languages = NULL;
    unsigned language_n = 0;
    int r = 0;
    if (h->disposition.p)
        r = message_disposition_parse(h->disposition, w->limits, &w->scratch, &d, &w->truncated);
    if (!r && h->language.p)
        r = message_languages_parse(h->language, w->limits->params_max, &w->scratch, &languages, &language_n);
    require(r == 0);
    write_text(w, h->id);
    write_text(w, h->description);
    write_text(w, h->md5);
    write_text(w, h->location);
    write_short(w, d.name);
    write_params(w, &d.params);
    pack_varint(w->out, language_n);
    for (unsigned i = 0; i < language_n; i++)
        write_short(w, languages[i]);
}

static void write_part(struct writer *w, const struct message_node *n, uint64_t after, bool extras)
{
    struct message_part_header h;
    message_part_header_collect(str_sub(w->m, n->header_offset, n->header_size), w->limits, &h);
    extras = extras && (h.id.p || h.description.p || h.md5.p || h.location.p || h.disposition.p || h.language.p);
    arena_reset(&w->scratch);
    pack_varint(w->out, (n->has_nul ? PART_FLAG_NUL : 0) | (n->has_8bit ? PART_FLAG_8BIT : 0) | (extras ? PART_FLAG_EXTRAS : 0));
    pack_varint(w->out, n->child_n);
    pack_varint(w->out, n->header_offset - after);
    pack_varint(w->out, n->header_size);
    pack_varint(w->out, n->body_size);
    pack_varint(w->out, n->header_lines < UINT32_MAX ? n->header_lines : UINT32_MAX);
    pack_varint(w->out, n->body_lines < UINT32_MAX ? n->body_lines : UINT32_MAX);
    write_short(w, n->type);
    write_short(w, n->subtype);

    struct message_content_type ct = { 0 };
    str encoding = { 0 };
    int r = 0;
    if (h.encoding.p)
        r = message_token_parse(h.encoding, &w->scratch, &encoding);
    if (!r && h.content_type.p)
        r = message_content_type_parse(h.content_type, w->limits, &w->scratch, &ct, &w->truncated);
    require(r == 0);
    write_short(w, encoding.n ? encoding : STR("7bit"));
    write_params(w, &ct.params);
    if (n->parent && n->is_message)
        write_envelope(w, &h);
    if (extras)
        write_extras(w, &h);
}

static void write_root_envelope(struct writer *w, const struct message_node *root)
{
    struct message_part_header h;
    message_part_header_collect(str_sub(w->m, root->header_offset, root->header_size), w->limits, &h);
    struct buf *out = w->out, envelope = BUF_INIT(out->max);
    w->out = &envelope;
    write_envelope(w, &h);
    w->out = out;
    if (buf_error(&envelope) == 0)
        pack_str(out, buf_str(&envelope));
    else
        out->error = ERR_LIMIT;
    buf_done(&envelope);
}

bool structure_write(const struct message_tree *tree, str message, const struct message_limits *limits, bool extras,
                     struct buf *out)
{
    struct writer w = {
        .m = message, .limits = limits, .scratch = ARENA_INIT(SIZE_MAX), .out = out, .truncated = tree->truncated || !extras
    };
    size_t start = out->n;
    pack_u8(out, STRUCTURE_VERSION);
    pack_u8(out, 0);
    write_root_envelope(&w, tree->root);
    pack_varint(out, tree->n);
    const struct message_node *n = tree->root;
    uint64_t after = 0;
    while (n && buf_error(out) == 0) {
        write_part(&w, n, after, extras);
        after = message_node_body(n);
        if (n->first) {
            n = n->first;
            continue;
        }
        while (n && !n->next)
            n = n->parent;
        if (n) {
            after = message_node_body(n) + n->body_size;
            n = n->next;
        }
    }
    arena_done(&w.scratch);
    if (buf_error(out))
        return false;
    if (w.truncated)
        out->p[start + 1] = STRUCTURE_FLAG_TRUNCATED;
    return true;
}
