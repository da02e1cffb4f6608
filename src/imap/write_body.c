/* write_body: ENVELOPE, BODY and BODYSTRUCTURE from a message's structure (RFC 3501 section 7.4.2); see write.h. */
#include "imap/write.h"

#include "base/utf8.h"

enum { DEPTH_MAX = 200 };

/* nstring where an empty value means that there is none. */
static void write_or_nil(struct buf *b, str s)
{
    imap_write_unfolded(b, s.n ? s : (str){ NULL, 0 });
}

/* NIL hosts begin and end groups. */
void imap_write_address(struct buf *b, const struct message_address *a)
{
    buf_add_byte(b, '(');
    write_or_nil(b, a->name);
    buf_add_byte(b, ' ');
    write_or_nil(b, a->route);
    buf_add_byte(b, ' ');
    imap_write_unfolded(b, a->mailbox);
    buf_add_byte(b, ' ');
    imap_write_unfolded(b, a->host);
    buf_add_byte(b, ')');
}

static void write_addresses(struct buf *b, const struct message_addresses *list)
{
    if (!list->n) {
        buf_add(b, STR("NIL"));
        return;
    }
    buf_add_byte(b, '(');
    for (unsigned i = 0; i < list->n; i++)
        imap_write_address(b, &list->list[i]);
    buf_add_byte(b, ')');
}

/* envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
 *            env-in-reply-to SP env-message-id ")" */
void imap_write_envelope(struct buf *b, const struct envelope *e)
{
    static const struct envelope nothing;
    if (!e)
        e = &nothing;
    const struct message_addresses *lists[] = { &e->from, &e->sender, &e->reply_to, &e->to, &e->cc, &e->bcc };
    buf_add_byte(b, '(');
    imap_write_unfolded(b, e->date);
    buf_add_byte(b, ' ');
    imap_write_unfolded(b, e->subject);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        buf_add_byte(b, ' ');
        write_addresses(b, lists[i]);
    }
    buf_add_byte(b, ' ');
    imap_write_unfolded(b, e->in_reply_to);
    buf_add_byte(b, ' ');
    imap_write_unfolded(b, e->message_id);
    buf_add_byte(b, ')');
}

/* An extended parameter goes out as it came. One whose value is not ASCII is written as RFC 2231 section 4 has it: raw bytes, or an extended one
 * in a structure of a former version, which has it decoded. */
static void write_param(struct buf *b, const struct message_param *param)
{
    if (utf8_is_ascii(param->value)) {
        imap_write_string(b, param->name);
        buf_add_byte(b, ' ');
        imap_write_string(b, param->value);
        return;
    }
    bool utf8 = utf8_valid(param->value);
    struct buf text = BUF_INIT(4 * 65536);
    buf_add_all(&text, param->name, STR("*"));
    imap_write_string(b, buf_str(&text));
    buf_add_byte(b, ' ');
    buf_reset(&text);
    buf_add(&text, utf8 ? STR("utf-8''") : STR("''"));
    for (size_t i = 0; i < param->value.n; i++) {
        char c = param->value.p[i];
        if (ascii_is_alnum(c) || c == '.' || c == '-' || c == '_')
            buf_add_byte(&text, c);
        else
            buf_addf(&text, "%%%02X", (unsigned)(unsigned char)c);
    }
    imap_write_string(b, buf_str(&text));
    buf_done(&text);
}

/* What plain text is in when it does not say (RFC 2045 section 5.2): clients expect to be told, every server does. */
static bool needs_charset(const struct part *part)
{
    for (unsigned i = 0; i < part->param_n; i++) {
        if (str_ieq(part->params[i].name, STR("charset")) || str_ieq(part->params[i].name, STR("charset*")))
            return false;
    }
    return str_eq(part->type, STR("text"));
}

static void write_text_params(struct buf *b, const struct part *part)
{
    for (unsigned i = 0; i < part->param_n; i++) {
        buf_add_byte(b, i ? ' ' : '(');
        write_param(b, &part->params[i]);
    }
    buf_add(b, part->param_n ? STR(" ") : STR("("));
    buf_add(b, STR("\"charset\" \"us-ascii\")"));
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void write_params(struct buf *b, const struct message_param *params, unsigned n)
{
    if (!n) {
        buf_add(b, STR("NIL"));
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        buf_add_byte(b, i ? ' ' : '(');
        write_param(b, &params[i]);
    }
    buf_add_byte(b, ')');
}

/* SP body-fld-dsp SP body-fld-lang SP body-fld-loc
 * body-fld-dsp = "(" string SP body-fld-param ")" / nil; body-fld-lang = nstring / "(" string *(SP string) ")" */
static void write_extension(struct buf *b, const struct part *part)
{
    if (part->disposition.n) {
        buf_add(b, STR(" ("));
        imap_write_string(b, part->disposition);
        buf_add_byte(b, ' ');
        write_params(b, part->disposition_params, part->disposition_param_n);
        buf_add_byte(b, ')');
    } else {
        buf_add(b, STR(" NIL"));
    }
    for (unsigned i = 0; i < part->language_n; i++) {
        buf_add(b, i ? STR(" ") : STR(" ("));
        imap_write_string(b, part->languages[i]);
    }
    buf_add(b, part->language_n ? STR(") ") : STR(" NIL "));
    write_or_nil(b, part->location);
}

/* What stands for a part that is declared but not there: the body of a multipart in which no part was found, as it is (it can be
 * fetched as part 1). */
static void write_plain(struct buf *b, uint64_t size, uint64_t lines, bool extended)
{
    buf_add(b, STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "));
    buf_add_u64(b, size);
    buf_add_byte(b, ' ');
    buf_add_u64(b, lines);
    buf_add(b, extended ? STR(" NIL NIL NIL NIL)") : STR(")"));
}

/* How a body is written. */
struct body_style {
    bool extended;
    const struct imap_enveloper *enveloper;
};

static void write_body(struct buf *b, const struct part *part, const struct body_style *style, unsigned depth);

/* body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]; body-ext-mpart = body-fld-param [...] */
static void write_multipart(struct buf *b, const struct part *part, const struct body_style *style, unsigned depth)
{
    for (unsigned i = 0; i < part->child_n; i++)
        write_body(b, part->children[i], style, depth + 1);
    if (!part->child_n)
        write_plain(b, part->body_size, part->body_lines, style->extended);
    buf_add_byte(b, ' ');
    imap_write_string(b, part->subtype);
    if (!style->extended)
        return;
    buf_add_byte(b, ' ');
    write_params(b, part->params, part->param_n);
    write_extension(b, part);
}

/* A message/rfc822 in which nothing can be fetched, because it is encoded (which RFC 2046 section 5.2.1 forbids) or nested too deep, is told as
 * what it is to a reader: a file to be decoded (RFC 2045 section 6.4 does so with encodings that nobody knows). body-type-msg would promise
 * an envelope and a part below it that FETCH does not have.
 *
 * body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
 * body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets */
static void write_single(struct buf *b, const struct part *part, const struct body_style *style, unsigned depth)
{
    bool message = str_eq(part->type, STR("message")) && str_eq(part->subtype, STR("rfc822"));
    bool closed = message && !part->child_n;
    message = message && !closed;
    imap_write_string(b, closed ? STR("application") : part->type);
    buf_add_byte(b, ' ');
    imap_write_string(b, closed ? STR("octet-stream") : part->subtype);
    buf_add_byte(b, ' ');
    if (needs_charset(part))
        write_text_params(b, part);
    else
        write_params(b, part->params, part->param_n);
    buf_add_byte(b, ' ');
    write_or_nil(b, part->id);
    buf_add_byte(b, ' ');
    write_or_nil(b, part->description);
    buf_add_byte(b, ' ');
    imap_write_string(b, part->encoding.n ? part->encoding : STR("7bit"));
    buf_add_byte(b, ' ');
    buf_add_u64(b, part->body_size);
    if (message) {
        buf_add_byte(b, ' ');
        if (style->enveloper)
            style->enveloper->write(style->enveloper->ctx, part->children[0]);
        else
            imap_write_envelope(b, part->children[0]->envelope);
        buf_add_byte(b, ' ');
        write_body(b, part->children[0], style, depth + 1);
    }
    if (message || str_eq(part->type, STR("text"))) {
        buf_add_byte(b, ' ');
        buf_add_u64(b, part->body_lines);
    }
    if (!style->extended)
        return;
    buf_add_byte(b, ' ');
    write_or_nil(b, part->md5);
    write_extension(b, part);
}

/* body = "(" (body-type-1part / body-type-mpart) ")" */
static void write_body(struct buf *b, const struct part *part, const struct body_style *style, unsigned depth)
{
    if (depth > DEPTH_MAX) {
        write_plain(b, 0, 0, style->extended);
        return;
    }
    buf_add_byte(b, '(');
    if (str_eq(part->type, STR("multipart")))
        write_multipart(b, part, style, depth);
    else
        write_single(b, part, style, depth);
    buf_add_byte(b, ')');
}

void imap_write_body(struct buf *b, const struct part *part, bool extended, const struct imap_enveloper *enveloper)
{
    write_body(b, part, &(struct body_style){ extended, enveloper }, 0);
}
