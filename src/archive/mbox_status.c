/* mbox_status: what fields in an mbox say of a message that is no part of it; see mbox.h. */
#include "archive/keyword.h"
#include "archive/lines.h"
#include "archive/mbox.h"

enum field {
    FIELD_NONE,
    FIELD_STATUS,
    FIELD_X_STATUS,
    FIELD_X_KEYWORDS,
    FIELD_MOZILLA,
    FIELD_MOZILLA_2,
    FIELD_MOZILLA_KEYS,
    FIELD_EVOLUTION,
    FIELD_FOLDER, /* says something of the folder */
    FIELD_UID,
    FIELD_LENGTH
};

static const struct {
    str name;
    enum field field;
} names[] = {
    { STR_INIT("Status:"), FIELD_STATUS },
    { STR_INIT("X-Status:"), FIELD_X_STATUS },
    { STR_INIT("X-Keywords:"), FIELD_X_KEYWORDS },
    { STR_INIT("X-Mozilla-Status:"), FIELD_MOZILLA },
    { STR_INIT("X-Mozilla-Status2:"), FIELD_MOZILLA_2 },
    { STR_INIT("X-Mozilla-Keys:"), FIELD_MOZILLA_KEYS },
    { STR_INIT("X-Evolution:"), FIELD_EVOLUTION },
    { STR_INIT("X-IMAP:"), FIELD_FOLDER },
    { STR_INIT("X-IMAPbase:"), FIELD_FOLDER },
    { STR_INIT("X-UID:"), FIELD_UID },
    { STR_INIT("Content-Length:"), FIELD_LENGTH },
};

/* Letters of Status and X-Status, as c-client, mutt and Dovecot write them. */
static const struct {
    char letter;
    enum field field;
    uint64_t flag;
} letters[] = {
    { 'R', FIELD_STATUS, MAIL_SEEN },      { 'A', FIELD_X_STATUS, MAIL_ANSWERED }, { 'F', FIELD_X_STATUS, MAIL_FLAGGED },
    { 'D', FIELD_X_STATUS, MAIL_DELETED }, { 'T', FIELD_X_STATUS, MAIL_DRAFT },
};

enum { MOZILLA_EXPUNGED = 0x0008 };

/* Bits of hexadecimal fields: nsMsgMessageFlags of Thunderbird, CamelMessageFlags of Evolution. */
static const struct {
    enum field field;
    uint32_t bit;
    uint64_t flag;
    const char *keyword;
} bits[] = {
    { FIELD_MOZILLA, 0x0001, MAIL_SEEN, NULL },     { FIELD_MOZILLA, 0x0002, MAIL_ANSWERED, NULL },
    { FIELD_MOZILLA, 0x0004, MAIL_FLAGGED, NULL },  { FIELD_MOZILLA, MOZILLA_EXPUNGED, MAIL_DELETED, NULL },
    { FIELD_MOZILLA, 0x1000, 0, "$Forwarded" },     { FIELD_MOZILLA_2, 0x00200000, MAIL_DELETED, NULL },
    { FIELD_MOZILLA_2, 0x00800000, 0, "$MDNSent" }, { FIELD_EVOLUTION, 0x01, MAIL_ANSWERED, NULL },
    { FIELD_EVOLUTION, 0x02, MAIL_DELETED, NULL },  { FIELD_EVOLUTION, 0x04, MAIL_DRAFT, NULL },
    { FIELD_EVOLUTION, 0x08, MAIL_FLAGGED, NULL },  { FIELD_EVOLUTION, 0x10, MAIL_SEEN, NULL },
    { FIELD_EVOLUTION, 0x80, 0, "$Junk" },          { FIELD_EVOLUTION, 0x400, 0, "$Forwarded" },
};

struct decoding {
    struct keyword_list keywords;
    uint64_t system;
    bool measured;
    bool folder, internal, expunged;
    int error;
};

static enum field field_of(const struct decoding *d, str line, str *ret_value)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_istarts(line, names[i].name) && (names[i].field != FIELD_LENGTH || d->measured)) {
            *ret_value = str_trim(str_from(line, names[i].name.n));
            return names[i].field;
        }
    return FIELD_NONE;
}

static uint32_t hex_of(str text)
{
    uint32_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = ascii_hex_value(text.p[i]);
        if (digit < 0 || v >> 28)
            return i && digit < 0 ? v : 0;
        v = v << 4 | (uint32_t)digit;
    }
    return v;
}

static void add_keywords(struct decoding *d, str words)
{
    int err = keyword_list_add_words(&d->keywords, words);
    d->error = d->error ? d->error : err;
}

/* Labels of old versions, 1 to 5, are numbers in the topmost bits. */
static void take_mozilla_label(struct decoding *d, uint32_t v)
{
    char name[] = "$Label0";
    uint32_t label = v >> 25 & 7;
    name[6] = (char)('0' + label);
    if (label >= 1 && label <= 5)
        add_keywords(d, str_from_z(name));
}

static void take_bits(struct decoding *d, enum field field, str value)
{
    if (field == FIELD_EVOLUTION) /* "UID-FLAGS" */
        value = str_from(value, str_find_byte(value, '-', 0) + 1);
    uint32_t v = hex_of(value);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (bits[i].field != field || !(v & bits[i].bit))
            continue;
        d->system |= bits[i].flag;
        if (bits[i].keyword)
            add_keywords(d, str_from_z(bits[i].keyword));
    }
    d->expunged = d->expunged || (field == FIELD_MOZILLA && v & MOZILLA_EXPUNGED);
    if (field == FIELD_MOZILLA_2)
        take_mozilla_label(d, v);
}

static void take_field(struct decoding *d, enum field field, str value)
{
    if (field == FIELD_X_KEYWORDS || field == FIELD_MOZILLA_KEYS)
        add_keywords(d, value);
    else if (field == FIELD_STATUS || field == FIELD_X_STATUS)
        for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
            d->system |= letters[i].field == field && str_find_byte(value, letters[i].letter, 0) < value.n ? letters[i].flag : 0;
    else
        take_bits(d, field, value);
    d->folder = d->folder || field == FIELD_FOLDER;
}

/* Appends LINE (WHOLE with its end) with one quote less. */
static void add_unquoted(struct buf *b, str whole, str line)
{
    size_t quotes = 0;
    while (quotes < line.n && line.p[quotes] == '>')
        quotes++;
    archive_to_crlf(b, quotes && str_starts(str_from(line, quotes), STR("From ")) ? str_from(whole, 1) : whole);
}

/* Whether a line of TEXT begins with "From ": in a message that Content-Length measures this means that nobody has quoted (mboxcl2). */
static bool has_unquoted(str text)
{
    str whole, line;
    while (archive_next_line(&text, &whole, &line))
        if (str_starts(line, STR("From ")))
            return true;
    return false;
}

/* Our own fields stand first, each once; then those that the message has itself are left alone. */
static bool take_own_fields(struct decoding *d, str *text)
{
    str whole, line, value;
    if (!mbox_is_ours(*text))
        return false;
    for (int i = 0; i < 3 && archive_next_line(text, &whole, &line); i++)
        take_field(d, field_of(d, line, &value), value);
    return true;
}

static void add_header(struct decoding *d, str *text, bool quoted, struct buf *b)
{
    str whole, line, value;
    enum field skipped = FIELD_NONE;
    while (archive_next_line(text, &whole, &line)) {
        bool folded = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
        if (!folded || skipped == FIELD_NONE) {
            skipped = field_of(d, line, &value);
            if (skipped != FIELD_NONE)
                take_field(d, skipped, value);
        } else if (skipped == FIELD_X_KEYWORDS || skipped == FIELD_MOZILLA_KEYS) {
            add_keywords(d, line);
        }
        if (str_istarts(line, STR("Subject:")) && str_find(line, STR("FOLDER INTERNAL DATA")) < line.n)
            d->internal = true;
        if (skipped == FIELD_NONE && quoted)
            add_unquoted(b, whole, line);
        else if (skipped == FIELD_NONE)
            archive_to_crlf(b, whole);
        if (line.n == 0)
            break;
    }
}

int mbox_decode(const struct mbox_message *m, struct buf *b, struct arena *a, struct mbox_status *ret)
{
    struct decoding d = { .keywords = { .arena = a }, .measured = m->measured };
    str text = m->text, whole, line;
    bool quoted = !m->measured || !has_unquoted(text);
    if (!take_own_fields(&d, &text))
        add_header(&d, &text, quoted, b);
    while (archive_next_line(&text, &whole, &line)) {
        if (quoted)
            add_unquoted(b, whole, line);
        else
            archive_to_crlf(b, whole);
    }
    struct mail_flags flags;
    int err = d.error ? d.error : keyword_list_flags(&d.keywords, d.system, &flags);
    if (err == 0)
        err = buf_error(b);
    if (err == 0)
        *ret = (struct mbox_status){ flags, d.keywords.lost, d.expunged, d.folder && d.internal };
    return err;
}
