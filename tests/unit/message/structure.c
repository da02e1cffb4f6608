/* Structure: parse, open, and what the parts are, for good mail and ugly mail. */
#include "support.h"

#include "message/structure.h"

static void parse_limits(str message, const struct message_limits *limits, struct buf *out)
{
    str in = exact(message);
    assert_int_equal(message_parse(in, limits, out), 0);
    struct buf again = BUF_INIT(60000);
    assert_int_equal(message_parse(in, limits, &again), 0); /* deterministic */
    assert_true(str_eq(buf_str(out), buf_str(&again)));
    buf_done(&again);
    free_exact(in);
}

static void check_string(str s)
{
    for (size_t i = 0; i < s.n; i++)
        assert_true(s.p[i] != 0 && s.p[i] != '\r' && s.p[i] != '\n');
}

/* What structure_open promises, for one part and all below it; returns how many there are. */
static unsigned check_part(const struct part *p, unsigned depth)
{
    unsigned n = 1;
    uint64_t at = p->body_offset;
    assert_true(depth <= 64);
    assert_true(p->type.n && p->subtype.n && p->encoding.n);
    assert_int_equal(p->body_offset, p->header_offset + p->header_size);
    assert_int_equal(p->envelope != NULL, !p->parent || str_eq(p->parent->type, STR("message")));
    check_string(p->id);
    check_string(p->description);
    for (unsigned i = 0; i < p->param_n; i++)
        check_string(p->params[i].value);
    for (unsigned i = 0; i < p->child_n; i++) {
        const struct part *c = p->children[i];
        assert_ptr_equal(c->parent, p);
        assert_true(c->header_offset >= at);
        at = c->body_offset + c->body_size;
        assert_true(at <= p->body_offset + p->body_size);
        n += check_part(c, depth + 1);
    }
    return n;
}

/* A and B without what the root's envelope says. */
static void same_parts(const struct part *a, const struct part *b)
{
    assert_true(a->header_offset == b->header_offset && a->header_size == b->header_size && a->body_size == b->body_size);
    assert_true(str_eq(a->type, b->type) && str_eq(a->subtype, b->subtype) && str_eq(a->encoding, b->encoding));
    assert_true(a->param_n == b->param_n && a->child_n == b->child_n);
    if (a->parent && a->envelope)
        assert_str(a->envelope->subject, b->envelope->subject);
    for (unsigned i = 0; i < a->child_n; i++)
        same_parts(a->children[i], b->children[i]);
}

/* Opens FLAT from an exact copy; the arena and the copy live until close_opened. */
struct opened {
    struct arena arena;
    str bytes;
    const struct structure *s;
};

static unsigned open_checked(struct opened *o, str flat, uint64_t size)
{
    o->arena = ARENA_INIT(16 << 20);
    o->bytes = exact(flat);
    assert_int_equal(structure_open(o->bytes, size, &o->arena, &o->s), 0);
    const struct part *root = structure_root(o->s);
    assert_int_equal(root->header_offset, 0);
    assert_int_equal(root->body_offset + root->body_size, size);
    const struct envelope *alone;
    assert_int_equal(structure_envelope(o->bytes, &o->arena, &alone), 0);
    assert_str(alone->subject, root->envelope->subject);
    assert_int_equal(alone->to.n, root->envelope->to.n);
    assert_int_equal(structure_open(o->bytes, size + 1, &o->arena, &(const struct structure *){ 0 }), ERR_CORRUPT);
    const struct structure *parts;
    assert_int_equal(structure_open_parts(o->bytes, size, &o->arena, &parts), 0);
    same_parts(root, structure_root(parts));
    assert_null(structure_root(parts)->envelope);
    return check_part(root, 0);
}

static void close_opened(struct opened *o)
{
    arena_done(&o->arena);
    free_exact(o->bytes);
}

/* "type/subtype{lines|body}" for a leaf, "type/subtype(children)" for the others. */
static void describe(struct buf *b, const struct part *p, str message)
{
    buf_add_all(b, p->type, STR("/"), p->subtype);
    if (p->child_n == 0) {
        buf_addf(b, "{%u|", p->body_lines);
        buf_add_escaped(b, str_sub(message, p->body_offset, p->body_size));
        buf_add_byte(b, '}');
        return;
    }
    for (unsigned i = 0; i < p->child_n; i++) {
        buf_add_byte(b, i ? ' ' : '(');
        describe(b, p->children[i], message);
    }
    buf_add_byte(b, ')');
}

static void check_limits(str message, const struct message_limits *limits, const char *expected, bool truncated)
{
    struct buf flat = BUF_INIT(60000), text = BUF_INIT(1 << 20);
    struct opened o;
    parse_limits(message, limits, &flat);
    open_checked(&o, buf_str(&flat), message.n);
    describe(&text, structure_root(o.s), message);
    assert_strz(buf_str(&text), expected);
    assert_int_equal(structure_truncated(o.s), truncated);
    close_opened(&o);
    buf_done(&flat);
    buf_done(&text);
}

#define MP "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void trees(void **state)
{
    static const struct {
        str in;
        const char *tree;
    } cases[] = {
        { STR_INIT(""), "text/plain{0|}" },
        { STR_INIT("\r\n"), "text/plain{0|}" },
        { STR_INIT("Subject: x\r\n"), "text/plain{0|}" },
        { STR_INIT("Subject: x\r\n\r\na\r\nb"), "text/plain{1|a\\x0d\\x0ab}" },
        { STR_INIT("Subject: x\n\na\nb\n"), "text/plain{2|a\\x0ab\\x0a}" },
        { STR_INIT(MP "preamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n"),
          "multipart/mixed(text/plain{0|one} text/html{1|two\\x0d\\x0a})" },
        { STR_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n"),
          "multipart/mixed(text/plain{0|one} text/plain{0|two})" },
        { STR_INIT(MP "--b \t\r\n\r\none\r\n--b-- \r\n--b\r\n"), "multipart/mixed(text/plain{0|one})" },
        { STR_INIT(MP "--b\r\n\r\none"), "multipart/mixed(text/plain{0|one})" },
        { STR_INIT(MP "--b\r\n\r\none\r\n--b"), "multipart/mixed(text/plain{0|one} text/plain{0|})" },
        { STR_INIT(MP "--b\r\n--b\r\n\r\n--b--"), "multipart/mixed(text/plain{0|} text/plain{0|})" },
        { STR_INIT(MP "--b\r\nContent-Type: text/html\r\n--b--\r\n"), "multipart/mixed(text/html{0|})" },
        { STR_INIT(MP "--bx\r\n\r\n-- b\r\n --b\r\n--b---\r\n"), "multipart/mixed(text/plain{1|-- b\\x0d\\x0a --b})" },
        /* RFC 2046 section 5.1.1: the beginning of the line counts */
        { STR_INIT("Content-Type: multipart/mixed; boundary=Enmime-Test-100\r\n\r\n--Enmime-Test-100\r\n\r\n1\r\n"
                   "--Enmime-Test-100-->\r\n\r\nepilogue"),
          "multipart/mixed(text/plain{0|1})" },
        { STR_INIT(MP "--b This should be ignored\r\n\r\n1\r\n--bother\r\n\r\n2\r\n--b--- \r\n--b\r\n\r\n3"),
          "multipart/mixed(text/plain{0|1} text/plain{0|2})" },
        { STR_INIT(MP "--b\r\n\r\n1\r\n--B\r\n-b\r\n--\r\n--b--"),
          "multipart/mixed(text/plain{3|1\\x0d\\x0a--B\\x0d\\x0a-b\\x0d\\x0a--})" },
        /* the outer boundary begins like the inner one, which has not closed */
        { STR_INIT(
              "Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\nContent-Type: multipart/related; boundary=ab\r\n\r\n"
              "--ab\r\n\r\n1\r\n--abd\r\n\r\n2\r\n--abcd\r\n\r\n3\r\n--abc--x"),
          "multipart/mixed(multipart/related(text/plain{0|1} text/plain{0|2}) text/plain{0|3})" },
        { STR_INIT("Content-Type: multipart/mixed\r\n\r\n--b\r\n"), "multipart/mixed{1|--b\\x0d\\x0a}" },
        { STR_INIT("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"), "multipart/mixed{1|--\\x0d\\x0a}" },
        { STR_INIT(MP "nothing"), "multipart/mixed{0|nothing}" },
        { STR_INIT(MP "--b--\r\n"), "multipart/mixed{1|--b--\\x0d\\x0a}" },
        /* nested: the inner boundary begins like the outer one */
        { STR_INIT(MP
                   "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\n1\r\n--bb\r\n\r\n2\r\n--bb--\r\n"
                   "--bb\r\nstill the epilogue\r\n--b\r\n\r\n3\r\n--b--\r\n"),
          "multipart/mixed(multipart/alternative(text/plain{0|1} text/plain{0|2}) text/plain{0|3})" },
        /* the outer delimiter ends an inner multipart that does not end itself */
        { STR_INIT(MP "--b\r\nContent-Type: multipart/related; boundary=i\r\n\r\n--i\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n"),
          "multipart/mixed(multipart/related(text/plain{0|1}) text/plain{0|2})" },
        /* the same boundary twice: the innermost counts until it closes */
        { STR_INIT(
              MP "--b\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n2\r\n--b--\r\n"),
          "multipart/mixed(multipart/related(text/plain{0|1}) text/plain{0|2})" },
        { STR_INIT("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"),
          "message/rfc822(text/plain{1|body\\x0d\\x0a})" },
        { STR_INIT("Content-Type: message/global\r\n\r\n\r\nbody"), "message/global(text/plain{0|body})" },
        { STR_INIT("Content-Type: message/rfc822\r\n\r\n"), "message/rfc822(text/plain{0|})" },
        { STR_INIT("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi"), "message/rfc822{0|U3Vi}" },
        { STR_INIT("Content-Type: message/delivery-status\r\n\r\nA: b"), "message/delivery-status{0|A: b}" },
        { STR_INIT(MP "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--b\r\n\r\n2\r\n--b--\r\n"),
          "multipart/mixed(message/rfc822(text/plain{0|}) text/plain{0|2})" },
        { STR_INIT(MP "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
                      "boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c--\r\n"
                      "\r\n--b--\r\n"),
          "multipart/mixed(message/rfc822(multipart/mixed(text/plain{0|1})))" },
        { STR_INIT("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\nContent-Type: "
                   "text/html"
                   "\r\n\r\ntwo\r\n--b--\r\n"),
          "multipart/digest(message/rfc822(text/plain{0|one}) text/html{0|two})" },
        { STR_INIT("Content-Type: junk\r\nContent-Type: text/html\r\n\r\nx"), "junk/octet-stream{0|x}" },
        { STR_INIT("\r\nContent-Type: text/html\r\n\r\nx"), "text/plain{2|Content-Type: text/html\\x0d\\x0a\\x0d\\x0ax}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_limits(cases[i].in, &message_limits_default, cases[i].tree, false);
}

static const char sample[] = "Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
                             "Date: Mon, 23 Nov 2026\r\n 13:00:00 +0100 (CET)\r\n"
                             "From: Alice <alice@mondomaine.fr>\r\n"
                             "To: Bob <bob@example.org>, friends: carol@example.net, dave@example.net;\r\n"
                             "TO: eve@example.com\r\n"
                             "Subject: =?utf-8?q?caf=C3=A9?=\r\n  again\r\n"
                             "Subject: second\r\n"
                             "Message-ID: <1@mondomaine.fr>\r\n"
                             "In-Reply-To: <0@example.org>\r\n"
                             "References: <a@x> junk <b\r\n @y>\r\n\t<c@z\r\n"
                             "Reply-To: \r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: multipart/mixed; boundary=\"=_outer\"\r\n"
                             "\r\n"
                             "preamble\r\n"
                             "--=_outer\r\n"
                             "Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
                             "Content-Transfer-Encoding: 8BIT\r\n"
                             "Content-Language: fr, en\r\n"
                             "\r\n"
                             "caf\xc3\xa9\r\n"
                             "--=_outer\r\n"
                             "Content-Type: application/pdf; name*0*=utf-8''r%C3%A9; name*1=sum\xc3\xa9.pdf\r\n"
                             "Content-Transfer-Encoding: Base64\r\n"
                             "Content-Disposition: Attachment; filename=\"x y.pdf\"\r\n"
                             "Content-ID: <pdf@x>\r\n"
                             "Content-Description: a\r\n description\r\n"
                             "Content-MD5: Q2hlY2s=\r\n"
                             "Content-Location: http://x/\r\n"
                             "\r\n"
                             "AAAA\r\n"
                             "--=_outer\r\n"
                             "Content-Type: message/rfc822\r\n"
                             "\r\n"
                             "From: inner@example.org\r\n"
                             "Sender: sender@example.org\r\n"
                             "Content-Type: multipart/alternative; boundary=inner\r\n"
                             "\r\n"
                             "--inner\r\n\r\nplain\0text\r\n--inner\r\nContent-Type: text/html\r\n\r\n<p>\r\n--inner--\r\n"
                             "\r\n"
                             "--=_outer--\r\n"
                             "epilogue\r\n";
#define SAMPLE ((str){ sample, sizeof sample - 1 })

static void assert_address(const struct message_addresses *l, unsigned i, const char *name, const char *mailbox, const char *host)
{
    assert_true(i < l->n);
    if (name)
        assert_strz(l->list[i].name, name);
    else
        assert_null(l->list[i].name.p);
    if (mailbox)
        assert_strz(l->list[i].mailbox, mailbox);
    else
        assert_null(l->list[i].mailbox.p);
    if (host)
        assert_strz(l->list[i].host, host);
    else
        assert_null(l->list[i].host.p);
}

static void envelope_of_the_sample(void **state)
{
    struct buf flat = BUF_INIT(60000);
    struct opened o;
    parse_limits(SAMPLE, &message_limits_default, &flat);
    assert_int_equal(open_checked(&o, buf_str(&flat), SAMPLE.n), 7);
    const struct envelope *e = structure_root(o.s)->envelope;
    assert_strz(e->date, "Mon, 23 Nov 2026 13:00:00 +0100 (CET)");
    assert_int_equal(e->date_unix, 1795435200);
    assert_strz(e->subject, "=?utf-8?q?caf=C3=A9?=  again");
    assert_strz(e->message_id, "<1@mondomaine.fr>");
    assert_strz(e->in_reply_to, "<0@example.org>");
    assert_strz(e->references, "<a@x> <b@y>");
    assert_int_equal(e->from.n, 1);
    assert_address(&e->from, 0, "Alice", "alice", "mondomaine.fr");
    assert_ptr_equal(e->sender.list, e->from.list);
    assert_ptr_equal(e->reply_to.list, e->from.list);
    assert_int_equal(e->to.n, 6); /* both fields */
    assert_address(&e->to, 0, "Bob", "bob", "example.org");
    assert_address(&e->to, 1, NULL, "friends", NULL);
    assert_address(&e->to, 2, NULL, "carol", "example.net");
    assert_address(&e->to, 4, NULL, NULL, NULL);
    assert_address(&e->to, 5, NULL, "eve", "example.com");
    assert_int_equal(e->cc.n, 0);
    assert_int_equal(e->bcc.n, 0);
    const struct part *inner = structure_part(o.s, (const uint32_t[]){ 3 }, 1)->children[0];
    assert_address(&inner->envelope->sender, 0, NULL, "sender", "example.org");
    assert_address(&inner->envelope->reply_to, 0, NULL, "inner", "example.org");
    assert_null(inner->envelope->subject.p);
    assert_null(inner->envelope->date.p);
    assert_true(inner->envelope->date_unix == INT64_MIN);
    assert_false(structure_truncated(o.s));
    close_opened(&o);
    buf_done(&flat);
}

static void parts_of_the_sample(void **state)
{
    struct buf flat = BUF_INIT(60000);
    struct opened o;
    parse_limits(SAMPLE, &message_limits_default, &flat);
    open_checked(&o, buf_str(&flat), SAMPLE.n);
    const struct part *root = structure_root(o.s);
    assert_true(root->has_8bit && root->has_nul);
    assert_int_equal(root->header_lines, 18);
    const struct part *text = structure_part(o.s, (const uint32_t[]){ 1 }, 1);
    assert_strz(text->encoding, "8bit");
    assert_true(text->has_8bit && !text->has_nul);
    assert_int_equal(text->param_n, 2);
    assert_strz(text->params[1].name, "format");
    assert_strz(text->params[1].value, "flowed");
    assert_int_equal(text->language_n, 2);
    assert_strz(text->languages[1], "en");
    assert_int_equal(text->header_lines, 4);
    assert_str(str_sub(SAMPLE, text->body_offset, text->body_size), STR("caf\xc3\xa9"));
    const struct part *pdf = structure_part(o.s, (const uint32_t[]){ 2 }, 1);
    assert_strz(pdf->encoding, "base64");
    assert_strz(pdf->params[0].name, "name*");
    assert_strz(pdf->params[0].value, "utf-8''r%C3%A9sum%C3%A9.pdf");
    assert_strz(pdf->disposition, "attachment");
    assert_strz(pdf->disposition_params[0].name, "filename");
    assert_strz(pdf->disposition_params[0].value, "x y.pdf");
    assert_strz(pdf->id, "<pdf@x>");
    assert_strz(pdf->description, "a description");
    assert_strz(pdf->md5, "Q2hlY2s=");
    assert_strz(pdf->location, "http://x/");
    assert_false(pdf->has_8bit || pdf->has_nul);
    static const struct {
        uint32_t path[4];
        size_t n;
        const char *type, *subtype;
    } paths[] = {
        { { 0 }, 0, "multipart", "mixed" }, { { 1 }, 1, "text", "plain" },    { { 2 }, 1, "application", "pdf" },
        { { 3 }, 1, "message", "rfc822" },  { { 3, 1 }, 2, "text", "plain" }, { { 3, 2 }, 2, "text", "html" },
        { { 0 }, 1, NULL, NULL },           { { 4 }, 1, NULL, NULL },         { { 1, 1 }, 2, NULL, NULL },
        { { 3, 3 }, 2, NULL, NULL },        { { 3, 1, 1 }, 3, NULL, NULL },   { { 3, 0 }, 2, NULL, NULL },
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct part *p = structure_part(o.s, paths[i].path, paths[i].n);
        assert_int_equal(p != NULL, paths[i].type != NULL);
        if (p) {
            assert_strz(p->type, paths[i].type);
            assert_strz(p->subtype, paths[i].subtype);
        }
    }
    const struct part *html = structure_part(o.s, (const uint32_t[]){ 3, 2 }, 2),
                      *plain = structure_part(o.s, (const uint32_t[]){ 3, 1 }, 2);
    assert_true(plain->has_nul && !plain->has_8bit && !html->has_nul);
    close_opened(&o);
    buf_done(&flat);
}

/* RFC 3501 section 6.4.5 for messages that are one part. */
static void section_one_is_the_message_itself(void **state)
{
    static const struct {
        str in;
        uint32_t path[3];
        size_t n;
        const char *subtype;
    } cases[] = {
        { STR_INIT("\r\nx"), { 1 }, 1, "plain" },
        { STR_INIT("\r\nx"), { 2 }, 1, NULL },
        { STR_INIT("\r\nx"), { 1, 1 }, 2, NULL },
        { STR_INIT("Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n"), { 1 }, 1, "rfc822" },
        { STR_INIT("Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n"), { 1, 1 }, 2, "html" },
        { STR_INIT("Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n"), { 1, 1, 1 }, 3, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf flat = BUF_INIT(60000);
        struct opened o;
        parse_limits(cases[i].in, &message_limits_default, &flat);
        open_checked(&o, buf_str(&flat), cases[i].in.n);
        const struct part *p = structure_part(o.s, cases[i].path, cases[i].n);
        assert_int_equal(p != NULL, cases[i].subtype != NULL);
        if (p)
            assert_strz(p->subtype, cases[i].subtype);
        close_opened(&o);
        buf_done(&flat);
    }
}

/* RFC 3501 section 7.4.2: absent is NIL, present but empty the empty string; the first of several counts, empty or not. */
static void empty_fields_are_not_absent(void **state)
{
    struct buf flat = BUF_INIT(60000);
    struct opened o;
    str m = STR("Date:\r\nSubject: \r\nsubject: x\r\nFrom:\r\nSender: a@b\r\nTo: <>\r\nMessage-ID:\t\r\n\r\n");
    parse_limits(m, &message_limits_default, &flat);
    open_checked(&o, buf_str(&flat), m.n);
    const struct envelope *e = structure_root(o.s)->envelope;
    assert_true(e->date.p && e->date.n == 0 && e->date_unix == INT64_MIN);
    assert_true(e->subject.p && e->subject.n == 0);
    assert_true(e->message_id.p && e->message_id.n == 0);
    assert_null(e->in_reply_to.p);
    assert_null(e->references.p);
    assert_int_equal(e->from.n, 0);
    assert_int_equal(e->reply_to.n, 0);
    assert_int_equal(e->sender.n, 1);
    assert_int_equal(e->to.n, 0);
    close_opened(&o);
    buf_done(&flat);
}

static void every_prefix_opens(void **state)
{
    for (size_t n = 0; n <= SAMPLE.n; n++) {
        struct buf flat = BUF_INIT(60000);
        struct opened o;
        parse_limits(str_sub(SAMPLE, 0, n), &message_limits_default, &flat);
        open_checked(&o, buf_str(&flat), n);
        close_opened(&o);
        buf_done(&flat);
    }
}

static void limits_cut_as_they_say(void **state)
{
    struct message_limits l = message_limits_default;
    str two = STR(MP "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n");
    l.parts_max = 2;
    check_limits(two, &l, "multipart/mixed(text/plain{5|1\\x0d\\x0a--b\\x0d\\x0a\\x0d\\x0a2\\x0d\\x0a--b--\\x0d\\x0a})", true);
    l.parts_max = 1;
    check_limits(STR("Content-Type: message/rfc822\r\n\r\nA: b"), &l, "message/rfc822{0|A: b}", true);
    l = message_limits_default;
    l.nesting_max = 0;
    check_limits(STR(MP "--b"), &l, "multipart/mixed{0|--b}", true);
    l.nesting_max = 1;
    check_limits(STR(MP "--b\r\nContent-Type: message/rfc822\r\n\r\nx"), &l, "multipart/mixed(message/rfc822{0|x})", true);
    l = message_limits_default;
    l.headers_max = 1;
    check_limits(STR("A: b\r\nContent-Type: text/html\r\n\r\nx"), &l, "text/plain{0|x}", true);
    l = message_limits_default;
    l.header_bytes_max = 8;
    check_limits(STR("A: b\r\nContent-Type: text/html\r\n\r\nx"), &l, "text/plain{0|x}", true);
    struct buf small = BUF_INIT(59999);
    assert_int_equal(message_parse(STR("x"), &message_limits_default, &small), ERR_LIMIT);
    assert_int_equal(small.n, 0);
    buf_done(&small);
}

/* Appends to OUT, opens, and returns the number of parts. */
static unsigned count_parts(str message, const struct message_limits *limits, bool *ret_truncated)
{
    struct buf flat = BUF_INIT(60000);
    struct opened o;
    parse_limits(message, limits, &flat);
    unsigned n = open_checked(&o, buf_str(&flat), message.n);
    *ret_truncated = structure_truncated(o.s);
    close_opened(&o);
    buf_done(&flat);
    return n;
}

static void ten_thousand_parts(void **state)
{
    struct buf m = BUF_INIT(16 << 20);
    bool truncated;
    buf_add(&m, STR("Subject: many\r\n" MP));
    for (int i = 0; i < 10000; i++)
        buf_addf(
            &m,
            "--b\r\nContent-Type: application/x-%d; name=\"file number %d.dat\"\r\nContent-Disposition: attachment\r\n\r\n%d\r\n",
            i, i, i);
    buf_add(&m, STR("--b--\r\n"));
    assert_int_equal(count_parts(buf_str(&m), &message_limits_default, &truncated), 1000);
    assert_true(truncated);
    /* No byte is out of reach: the last part that is counted goes on to the end (valise(1), LIMITS). */
    struct buf flat = BUF_INIT(60000);
    struct opened o;
    const uint32_t last[] = { 999 }, beyond[] = { 1000 };
    parse_limits(buf_str(&m), &message_limits_default, &flat);
    (void)open_checked(&o, buf_str(&flat), m.n);
    const struct part *part = structure_part(o.s, last, 1);
    assert_non_null(part);
    assert_int_equal(part->body_offset + part->body_size, m.n);
    assert_null(structure_part(o.s, beyond, 1));
    close_opened(&o);
    buf_done(&flat);
    struct message_limits l = message_limits_default;
    l.parts_max = 100000; /* does not fit into 60 000 bytes: fewer parts */
    assert_in_range(count_parts(buf_str(&m), &l, &truncated), 1000, 9999);
    assert_true(truncated);
    l.structure_max = 1024;
    assert_in_range(count_parts(buf_str(&m), &l, &truncated), 2, 100);
    assert_true(truncated);
    buf_done(&m);
}

static void deep_nesting(void **state)
{
    struct message_limits l = message_limits_default;
    static const char *const units[] = {
        "Content-Type: message/rfc822\r\n\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    };
    for (size_t u = 0; u < 2; u++) {
        struct buf m = BUF_INIT(16 << 20);
        bool truncated;
        for (int i = 0; i < 20000; i++)
            buf_add(&m, str_from_z(units[u]));
        assert_in_range(count_parts(buf_str(&m), &message_limits_default, &truncated), 33, 1000);
        assert_true(truncated);
        l.nesting_max = 100000;
        assert_in_range(count_parts(buf_str(&m), &l, &truncated), 65, 1000);
        buf_done(&m);
    }
}

/* 1 MB and more of what could be slow or large. */
static void ugly_and_long(void **state)
{
    static const struct {
        str start, unit;
    } cases[] = {
        { STR_INIT("Subject: "), STR_INIT("x") },
        { STR_INIT("To: "), STR_INIT("a@b,") },
        { STR_INIT("To: "), STR_INIT("\"long name that repeats\" <mailbox@host.example>,\r\n ") },
        { STR_INIT("Content-Type: text/plain; "), STR_INIT("a*1=b;") },
        { STR_INIT("Content-Type: text/plain"), STR_INIT("; a=\"") },
        { STR_INIT(""), STR_INIT("\r") },
        { STR_INIT(""), STR_INIT("\n") },
        { STR_INIT("A: b\r\n\r\n"), STR_INIT("\r\n") },
        { STR_INIT(""), STR_INIT("\0") },
        { STR_INIT(""), STR_INIT(":\n") },
        { STR_INIT(""), STR_INIT(" \n") },
        { STR_INIT(""), STR_INIT("To: \xff\xfe@\x80\n") },
        { STR_INIT(MP), STR_INIT("--b\n") },
        { STR_INIT(MP), STR_INIT("--b--\n") },
        { STR_INIT(MP), STR_INIT("--") },
        { STR_INIT(MP), STR_INIT("--b\nContent-Type: multipart/x; boundary=b\n\n") },
        { STR_INIT("Content-Type: multipart/x; boundary=b\rContent-Type: x/y\r\r--b\r"), STR_INIT("--b\r") },
        { STR_INIT("References: "), STR_INIT("<") },
        { STR_INIT("References: "), STR_INIT("<a@b>") },
        { STR_INIT("Date: "), STR_INIT("(") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf m = BUF_INIT(2 << 20);
        buf_add(&m, cases[i].start);
        while (m.n < 1 << 20)
            buf_add(&m, cases[i].unit);
        bool truncated;
        assert_in_range(count_parts(buf_str(&m), &message_limits_default, &truncated), 1, 1000);
        buf_done(&m);
    }
}

/* A structure much larger than allowed keeps the tree and loses the rest. */
static void large_values_give_way(void **state)
{
    struct buf m = BUF_INIT(1 << 20);
    struct opened o;
    for (int i = 0; i < 900; i++)
        buf_addf(&m, "%s\"a name of some length, number %d\" <recipient-%d@a-long-domain.example>", i ? ",\r\n " : "To: ", i, i);
    buf_add(&m, STR("\r\nSubject: kept\r\n" MP "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n"));
    struct buf flat = BUF_INIT(60000);
    parse_limits(buf_str(&m), &message_limits_default, &flat);
    assert_int_equal(open_checked(&o, buf_str(&flat), m.n), 3);
    assert_true(structure_truncated(o.s));
    assert_strz(structure_root(o.s)->envelope->subject, "kept");
    assert_int_equal(structure_root(o.s)->envelope->to.n, 200);
    close_opened(&o);
    buf_done(&flat);
    buf_done(&m);
}

/* Anything at all: an error or a structure that keeps its promises. */
static void open_hostile(str flat, uint64_t size)
{
    str in = exact(flat);
    struct arena a = ARENA_INIT(16 << 20);
    const struct structure *s;
    const struct envelope *e;
    int r = structure_open(in, size, &a, &s);
    assert_true(r == 0 || r == ERR_CORRUPT);
    if (r == 0)
        check_part(structure_root(s), 0);
    int parts = structure_open_parts(in, size, &a, &s);
    assert_true(parts == ERR_CORRUPT || (parts == 0 && structure_root(s)->body_offset + structure_root(s)->body_size == size));
    assert_true(r != 0 || parts == 0);
    r = structure_envelope(in, &a, &e);
    assert_true(r == 0 || r == ERR_CORRUPT);
    arena_done(&a);
    free_exact(in);
}

static void damaged_structures_are_refused_or_sound(void **state)
{
    struct buf flat = BUF_INIT(60000), bad = BUF_INIT(60000);
    parse_limits(SAMPLE, &message_limits_default, &flat);
    for (size_t n = 0; n < flat.n; n++) { /* no prefix is a structure */
        struct arena a = ARENA_INIT(1 << 20);
        str in = exact(str_sub(buf_str(&flat), 0, n));
        assert_int_equal(structure_open(in, SAMPLE.n, &a, &(const struct structure *){ 0 }), ERR_CORRUPT);
        free_exact(in);
        arena_done(&a);
        for (unsigned v = 0; v < 256; v += n < 40 ? 1 : 37) {
            buf_reset(&bad);
            buf_add(&bad, buf_str(&flat));
            bad.p[n] = (char)((unsigned char)bad.p[n] ^ v);
            open_hostile(buf_str(&bad), SAMPLE.n);
        }
    }
    uint64_t x = 88172645463325252;
    for (int round = 0; round < 20000; round++) {
        buf_reset(&bad);
        buf_add(&bad, buf_str(&flat));
        for (int k = 0; k < 4; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            bad.p[x % bad.n] = (char)(x >> 32);
        }
        open_hostile(str_sub(buf_str(&bad), 0, x >> 40 & 1 ? bad.n : x % bad.n), SAMPLE.n);
    }
    buf_add_byte(&flat, 0); /* nothing may follow */
    struct arena a = ARENA_INIT(1 << 20);
    assert_int_equal(structure_open(buf_str(&flat), SAMPLE.n, &a, &(const struct structure *){ 0 }), ERR_CORRUPT);
    arena_done(&a);
    a = ARENA_INIT(200);
    assert_int_equal(structure_open(str_sub(buf_str(&flat), 0, flat.n - 1), SAMPLE.n, &a, &(const struct structure *){ 0 }),
                     ERR_LIMIT);
    arena_done(&a);
    buf_done(&flat);
    buf_done(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),
        cmocka_unit_test(envelope_of_the_sample),
        cmocka_unit_test(parts_of_the_sample),
        cmocka_unit_test(section_one_is_the_message_itself),
        cmocka_unit_test(empty_fields_are_not_absent),
        cmocka_unit_test(every_prefix_opens),
        cmocka_unit_test(limits_cut_as_they_say),
        cmocka_unit_test(ten_thousand_parts),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(ugly_and_long),
        cmocka_unit_test(large_values_give_way),
        cmocka_unit_test(damaged_structures_are_refused_or_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
