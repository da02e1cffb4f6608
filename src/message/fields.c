/* fields: see fields.h.
 *
 * A record: u8 number of names that its writer knew, u8 flags, varint of the names it left out, then for each field u8 name, varint size, the
 * bytes. Names are numbered by their place in the table: append only. */
#include "message/fields.h"

#include "base/pack.h"
#include "message/header.h"

enum { FLAG_BLANK = 1 };

/* What Thunderbird, mutt, K-9, Apple Mail, Roundcube and alpine ask for when they list a folder, and what SEARCH and SORT name, but what is large in most messages
 * (Received, DKIM-Signature, Authentication-Results). */
static const str names[] = {
    STR_INIT("from"),
    STR_INIT("to"),
    STR_INIT("cc"),
    STR_INIT("bcc"),
    STR_INIT("subject"),
    STR_INIT("date"),
    STR_INIT("message-id"),
    STR_INIT("references"),
    STR_INIT("in-reply-to"),
    STR_INIT("reply-to"),
    STR_INIT("sender"),
    STR_INIT("content-type"),
    STR_INIT("content-description"),
    STR_INIT("content-disposition"),
    STR_INIT("content-language"),
    STR_INIT("content-location"),
    STR_INIT("content-md5"),
    STR_INIT("content-transfer-encoding"),
    STR_INIT("mime-version"),
    STR_INIT("list-id"),
    STR_INIT("list-post"),
    STR_INIT("list-subscribe"),
    STR_INIT("list-unsubscribe"),
    STR_INIT("list-unsubscribe-post"),
    STR_INIT("importance"),
    STR_INIT("priority"),
    STR_INIT("x-priority"),
    STR_INIT("x-label"),
    STR_INIT("lines"),
    STR_INIT("newsgroups"),
    STR_INIT("followup-to"),
    STR_INIT("mail-followup-to"),
    STR_INIT("resent-message-id"),
    STR_INIT("resent-from"),
    STR_INIT("resent-to"),
    STR_INIT("resent-date"),
    STR_INIT("return-path"),
    STR_INIT("delivered-to"),
    STR_INIT("x-original-to"),
    STR_INIT("disposition-notification-to"),
    STR_INIT("x-mailer"),
    STR_INIT("user-agent"),
    STR_INIT("x-k9mail-identity"),
    STR_INIT("x-tuid"),
    STR_INIT("x-uniform-type-identifier"),
    STR_INIT("x-universally-unique-identifier"),
    STR_INIT("bimi-indicator"),
    STR_INIT("bimi-location"),
    STR_INIT("x-spam-status"),
    STR_INIT("x-spam-flag"),
    STR_INIT("auto-submitted"),
    STR_INIT("precedence"),
};
enum { NAMES = sizeof names / sizeof *names };
_Static_assert(NAMES <= 64, "one bit for each");

static unsigned name_number(str name)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (names[i].n == name.n && names[i].p[0] == ascii_lower(name.p[0]) && str_ieq(names[i], name))
            return i;
    return NAMES;
}

message_fields_set message_fields_bit(str name)
{
    unsigned i = name.n ? name_number(name) : NAMES;
    return i < NAMES ? (message_fields_set)1 << i : 0;
}

/* Adds up how many bytes each name takes. */
static void measure(str header, size_t *sizes)
{
    struct message_header_field f;
    for (size_t at = 0; message_header_next(header, &at, &f);) {
        unsigned i = f.name.n ? name_number(f.name) : NAMES;
        if (i < NAMES)
            sizes[i] += f.size;
    }
}

/* The names to leave out so that the rest fits. */
static message_fields_set choose(const size_t *sizes)
{
    message_fields_set out = 0;
    size_t sum = 0;
    for (unsigned i = 0; i < NAMES; i++)
        sum += sizes[i];
    while (sum > MESSAGE_FIELDS_MAX) {
        unsigned largest = NAMES;
        for (unsigned i = 0; i < NAMES; i++)
            if (!(out >> i & 1) && (largest == NAMES || sizes[i] > sizes[largest]))
                largest = i;
        require(largest < NAMES);
        out |= (message_fields_set)1 << largest;
        sum -= sizes[largest];
    }
    return out;
}

/* Returns where the fields end: at the empty line, or the end of HEADER. */
static size_t copy(str header, message_fields_set left_out, struct buf *out)
{
    struct message_header_field f;
    size_t at = 0;
    while (message_header_next(header, &at, &f)) {
        unsigned i = f.name.n ? name_number(f.name) : NAMES;
        if (i == NAMES || left_out >> i & 1)
            continue;
        pack_u8(out, (uint8_t)i);
        pack_str(out, str_sub(header, f.offset, f.size));
    }
    return at;
}

void message_fields_write(str prefix, str header, struct buf *out)
{
    size_t sizes[NAMES] = { 0 };
    /* A first line that continues nothing would continue the prefix. */
    if (prefix.n + header.n > MESSAGE_FIELDS_HEADER_MAX || (prefix.n && header.n && (header.p[0] == ' ' || header.p[0] == '\t')))
        return;
    measure(prefix, sizes);
    measure(header, sizes);
    message_fields_set left_out = choose(sizes);
    size_t start = out->n;
    pack_u8(out, NAMES);
    pack_u8(out, 0);
    pack_varint(out, left_out);
    (void)copy(prefix, left_out, out);
    size_t end = copy(header, left_out, out);
    if (out->n - start > MESSAGE_FIELDS_BYTES_MAX) /* a great many short ones */
        buf_truncate(out, start);
    else if (end < header.n && !buf_error(out))
        out->p[start + 1] = FLAG_BLANK;
}

int message_fields_open(str bytes, struct message_fields *ret)
{
    *ret = (struct message_fields){ 0 };
    if (!bytes.n)
        return 0;
    struct unpack u = unpack_init(bytes);
    uint8_t n = unpack_u8(&u), flags = unpack_u8(&u);
    uint64_t left_out = unpack_varint(&u);
    if (u.error || n == 0 || n > 64 || flags > FLAG_BLANK)
        return ERR_CORRUPT;
    ret->known = UINT64_MAX >> (64 - n) & ~left_out;
    ret->blank = flags & FLAG_BLANK;
    ret->list = unpack_rest(&u);
    return 0;
}

bool message_fields_next(const struct message_fields *f, size_t *at, struct message_fields_item *ret)
{
    size_t left = f->list.n - *at;
    if (left < 3) /* name, size, a byte */
        return false;
    const unsigned char *p = (const unsigned char *)f->list.p + *at;
    size_t size = p[1] & 0x7f, head = 2; /* whole mailboxes are read: a varint of at most MESSAGE_FIELDS_MAX by hand */
    if (p[1] & 0x80) {
        size |= (size_t)(p[2] & 0x7f) << 7;
        head = 3;
    }
    if (p[0] >= 64 || size > left - head || !size || (head == 3 && p[2] & 0x80))
        return false;
    *at += head + size;
    *ret = (struct message_fields_item){ (message_fields_set)1 << p[0], { (const char *)p + head, size } };
    return true;
}

str message_fields_value(str raw)
{
    str value = str_from(raw, str_find_byte(raw, ':', 0) + 1);
    if (value.n && value.p[value.n - 1] == '\n')
        value.n--;
    if (value.n && value.p[value.n - 1] == '\r')
        value.n--;
    return value;
}
