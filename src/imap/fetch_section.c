/* fetch_section: BODY[...] (RFC 3501 section 6.4.5) as ranges of the stored message; only HEADER.FIELDS looks at bytes: at those kept beside the
 * structure where they are all that was asked for, else at the message's header. */
#include "imap/fetch_private.h"

#include "message/header.h"

enum { DIRECT_MAX = 8 * 1024 };

struct byte_range {
    uint64_t offset, n;
};

/* Which bytes SECTION names (for the header subsets: the whole header); false when the message has no such part. */
static bool find_range(const struct imap_section *section, const struct mail_email *email, const struct structure *structure,
                       struct byte_range *ret)
{
    const struct part *part = structure_part(structure, section->path, section->path_n);
    if (!part)
        return false;
    if (section->text == IMAP_SECTION_ALL) {
        *ret =
            section->path_n ? (struct byte_range){ part->body_offset, part->body_size } : (struct byte_range){ 0, email->size };
        return true;
    }
    if (section->text == IMAP_SECTION_MIME) {
        /* Part 1 of a multipart without parts is its body, and has no header. */
        bool itself = !part->child_n && str_eq(part->type, STR("multipart")) && section->path_n &&
                      structure_part(structure, section->path, section->path_n - 1) == part;
        *ret = (struct byte_range){ part->header_offset, itself ? 0 : part->header_size };
        return true;
    }
    /* HEADER and TEXT of a part are those of the message that a message/rfc822 part holds. */
    if (section->path_n) {
        if (!str_eq(part->type, STR("message")) || part->child_n != 1)
            return false;
        part = part->children[0];
    }
    *ret = section->text == IMAP_SECTION_TEXT ? (struct byte_range){ part->body_offset, part->body_size }
                                              : (struct byte_range){ part->header_offset, part->header_size };
    return true;
}

static bool is_named(const struct imap_section *section, str name)
{
    for (size_t i = 0; i < section->field_n; i++) {
        if (str_ieq(section->fields[i], name))
            return true;
    }
    return false;
}

/* "BODY" section ["<" number ">"]: section as it was asked for. */
static void write_name(struct buf *b, const struct imap_section *section)
{
    static const str texts[] = {
        [IMAP_SECTION_ALL] = STR_INIT(""),
        [IMAP_SECTION_HEADER] = STR_INIT("HEADER"),
        [IMAP_SECTION_FIELDS] = STR_INIT("HEADER.FIELDS"),
        [IMAP_SECTION_FIELDS_NOT] = STR_INIT("HEADER.FIELDS.NOT"),
        [IMAP_SECTION_TEXT] = STR_INIT("TEXT"),
        [IMAP_SECTION_MIME] = STR_INIT("MIME"),
    };
    buf_add(b, STR("BODY["));
    for (size_t i = 0; i < section->path_n; i++) {
        if (i)
            buf_add_byte(b, '.');
        buf_add_u64(b, section->path[i]);
    }
    if (section->path_n && section->text != IMAP_SECTION_ALL)
        buf_add_byte(b, '.');
    buf_add(b, texts[section->text]);
    for (size_t i = 0; i < section->field_n; i++) {
        buf_add(b, i ? STR(" ") : STR(" ("));
        imap_write_astring(b, section->fields[i]);
    }
    buf_add(b, section->field_n ? STR(")]") : STR("]"));
    if (section->partial) {
        buf_add_byte(b, '<');
        buf_add_u64(b, section->offset);
        buf_add_byte(b, '>');
    }
}

/* "<" offset "." count ">": "any partial fetch that attempts to read beyond the end of the text is truncated as appropriate" */
static struct byte_range cut(const struct imap_section *section, struct byte_range range)
{
    if (!section->partial)
        return range;
    uint64_t skip = section->offset < range.n ? section->offset : range.n;
    uint64_t left = range.n - skip;
    return (struct byte_range){ range.offset + skip, section->count < left ? section->count : left };
}

static void write_literal_size(struct buf *b, uint64_t n)
{
    buf_add_byte(b, '{');
    buf_add_u64(b, n);
    buf_add(b, STR("}\r\n"));
}

/* Reads RANGE of the message into B; false when the store does not give all of it. */
static bool read_range(struct imap_session *s, const struct mail_email *email, struct byte_range range, struct buf *b)
{
    char *p = buf_reserve(b, (size_t)range.n);
    size_t got = 0;
    if (!p || mail_email_read(s->account, email, range.offset, p, (size_t)range.n, &got) < 0 || got != range.n)
        return false;
    buf_commit(b, got);
    return true;
}

/* A literal of RANGE, straight from the store. */
static void write_range(struct imap_session *s, const struct mail_email *email, struct byte_range range)
{
    if (range.n > DIRECT_MAX) {
        write_literal_size(&s->out, range.n);
        imap_out_flush(s);
        stream_write_source(s->stream, mail_email_source(s->account, email, range.offset, range.n), range.n);
        return;
    }
    size_t start = s->out.n;
    write_literal_size(&s->out, range.n);
    if (range.n && !read_range(s, email, range, &s->out)) {
        buf_truncate(&s->out, start);
        buf_add(&s->out, STR("NIL"));
    }
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT: "the subset ... contains only those header fields with a field-name that matches one of
 * the names in the list ... the blank line is included in all header fetches, except in the case of a message which has no body
 * and no blank line". The header is in memory meanwhile, whatever its size: a literal begins with its length. */
static void write_fields(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                         struct byte_range header)
{
    struct buf bytes = BUF_INIT((size_t)header.n), subset = BUF_INIT((size_t)header.n + 2);
    if (header.n && !read_range(s, email, header, &bytes)) {
        buf_add(&s->out, STR("NIL"));
        goto out;
    }
    struct message_header_field field;
    size_t at = 0;
    while (message_header_next(buf_str(&bytes), &at, &field)) {
        if (is_named(section, field.name) == (section->text == IMAP_SECTION_FIELDS))
            buf_add(&subset, str_sub(buf_str(&bytes), field.offset, field.size));
    }
    if (at < bytes.n)
        buf_add(&subset, STR("\r\n"));
    struct byte_range range = cut(section, (struct byte_range){ 0, subset.n });
    write_literal_size(&s->out, range.n);
    imap_out_add(s, str_sub(buf_str(&subset), (size_t)range.offset, (size_t)range.n));
out:
    buf_done(&subset);
    buf_done(&bytes);
}

/* The names of SECTION, 0 when not all of them are kept. */
static message_fields_set kept_names(const struct imap_section *section)
{
    message_fields_set all = 0;
    if (section->kind != IMAP_SECTION_BODY || section->text != IMAP_SECTION_FIELDS || section->path_n)
        return 0;
    for (size_t i = 0; i < section->field_n; i++) {
        message_fields_set bit = message_fields_bit(section->fields[i]);
        if (!bit)
            return 0;
        all |= bit;
    }
    return all;
}

int imap_fetch_prepare(struct imap_session *s, struct imap_fetch *fetch)
{
    struct imap_section *sections = arena_array(&s->arena, fetch->section_n, sizeof *sections);
    struct buf name = BUF_INIT(SIZE_MAX);
    int r = sections ? 0 : ERR_LIMIT;
    for (size_t i = 0; i < fetch->section_n && !r; i++) {
        sections[i] = fetch->sections[i];
        sections[i].kept = kept_names(&sections[i]);
        if (sections[i].name.n || sections[i].kind != IMAP_SECTION_BODY)
            continue;
        buf_reset(&name);
        write_name(&name, &sections[i]);
        r = arena_dup(&s->arena, buf_str(&name), &sections[i].name);
    }
    buf_done(&name);
    if (!r)
        fetch->sections = sections;
    return r;
}

bool imap_fetch_kept(struct imap_session *s, const struct imap_section *section, const struct message_fields *fields)
{
    char subset[MESSAGE_FIELDS_BYTES_MAX + 2];
    struct message_fields_item item;
    size_t n = 0;
    if (!section->kept || section->kept & ~fields->known)
        return false;
    for (size_t at = 0; message_fields_next(fields, &at, &item);) {
        if (!(item.bit & section->kept))
            continue;
        if (n + item.raw.n > MESSAGE_FIELDS_BYTES_MAX)
            return false;
        memcpy(subset + n, item.raw.p, item.raw.n);
        n += item.raw.n;
    }
    if (fields->blank) {
        memcpy(subset + n, "\r\n", 2);
        n += 2;
    }
    struct byte_range range = cut(section, (struct byte_range){ 0, n });
    buf_add(&s->out, section->name);
    buf_add_byte(&s->out, ' ');
    write_literal_size(&s->out, range.n);
    buf_add(&s->out, (str){ subset + range.offset, (size_t)range.n });
    return true;
}

void imap_fetch_section(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                        const struct structure *structure)
{
    struct byte_range range;
    buf_add(&s->out, section->name);
    buf_add_byte(&s->out, ' ');
    if (!find_range(section, email, structure, &range))
        buf_add(&s->out, STR("NIL"));
    else if (section->text == IMAP_SECTION_FIELDS || section->text == IMAP_SECTION_FIELDS_NOT)
        write_fields(s, section, email, range);
    else
        write_range(s, email, cut(section, range));
}
