/* fetch_envelope: ENVELOPE of a message whose structure has not all of it (RFC 3501 section 7.4.2): the header is read, in pieces, and
 * every address told. Nobody is lost to a reply to all. */
#include "imap/fetch_private.h"

#include "imap/header_fields.h"
#include "message/address.h"
#include "message/header.h"

struct header {
    struct imap_session *s;
    const struct mail_email *email;
    const struct part *root;
};

/* nstring of the first field NAME, on one line. */
static void write_text(const struct header *h, str name)
{
    struct imap_header_fields fields;
    struct imap_header_piece piece;
    struct buf raw = BUF_INIT((size_t)h->root->header_size + 1), line = BUF_INIT((size_t)h->root->header_size + 1);
    struct buf out = BUF_INIT(2 * (size_t)h->root->header_size + 64);
    bool there = false, ended = false;
    imap_header_fields_open(&fields, h->s->account, h->email, h->root->header_offset, h->root->header_size);
    while (!ended && imap_header_fields_next(&fields, &piece)) {
        if (!str_ieq(piece.name, name))
            continue;
        there = true;
        ended = piece.last;
        buf_add(&raw, piece.value);
    }
    imap_header_fields_done(&fields);
    message_header_unfold(&line, buf_str(&raw));
    imap_write_unfolded(&out, there ? (str){ line.n ? line.p : "", line.n } : (str){ NULL, 0 });
    imap_out_add(h->s, buf_str(&out));
    buf_done(&raw);
    buf_done(&line);
    buf_done(&out);
}

/* The addresses of the first field NAME, or of ALL of that name, as one list; false and nothing written when there are none. */
static bool write_list(const struct header *h, str name, bool all)
{
    struct imap_header_fields fields;
    struct imap_header_piece piece;
    struct message_address_reader *reader = message_address_reader_new();
    struct buf *out = &h->s->out;
    bool any = false, ended = false;
    imap_header_fields_open(&fields, h->s->account, h->email, h->root->header_offset, h->root->header_size);
    while (!ended && imap_header_fields_next(&fields, &piece)) {
        struct arena a = ARENA_INIT(SIZE_MAX); /* of one piece: bounded */
        struct message_addresses list = { 0 };
        if (!str_ieq(piece.name, name))
            continue;
        if (message_address_reader_feed(reader, piece.value, piece.last, &a, &list) < 0)
            list.n = 0;
        for (unsigned i = 0; i < list.n; i++) {
            if (!any)
                buf_add_byte(out, '(');
            any = true;
            imap_write_address(out, &list.list[i]);
            if (out->n >= IMAP_OUT_PIECE)
                imap_out_flush(h->s);
        }
        arena_done(&a);
        ended = piece.last && !all;
    }
    if (any)
        buf_add_byte(out, ')');
    imap_header_fields_done(&fields);
    message_address_reader_free(reader);
    return any;
}

/* envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
 *            env-in-reply-to SP env-message-id ")"; Sender and Reply-To that are absent or empty are as From. */
void imap_fetch_envelope(struct imap_session *s, const struct mail_email *email, const struct part *root)
{
    static const struct {
        str name;
        bool all, or_from;
    } lists[] = {
        { STR_INIT("From"), false, false }, { STR_INIT("Sender"), false, true }, { STR_INIT("Reply-To"), false, true },
        { STR_INIT("To"), true, false },    { STR_INIT("Cc"), true, false },     { STR_INIT("Bcc"), true, false },
    };
    const struct header h = { s, email, root };
    buf_add_byte(&s->out, '(');
    write_text(&h, STR("Date"));
    buf_add_byte(&s->out, ' ');
    write_text(&h, STR("Subject"));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        buf_add_byte(&s->out, ' ');
        if (!write_list(&h, lists[i].name, lists[i].all) && !(lists[i].or_from && write_list(&h, lists[0].name, false)))
            buf_add(&s->out, STR("NIL"));
    }
    buf_add_byte(&s->out, ' ');
    write_text(&h, STR("In-Reply-To"));
    buf_add_byte(&s->out, ' ');
    write_text(&h, STR("Message-ID"));
    buf_add_byte(&s->out, ')');
}
