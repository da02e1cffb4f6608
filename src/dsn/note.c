/* note: see note.h. */
#include "dsn/note.h"

#include "base/clock.h"
#include "message/encoded_word.h"
#include "message/encoding.h"

int dsn_note_write(struct buf *out, const struct dsn_note *n)
{
    struct date d = date_from_unix(n->now_s, n->zone);
    buf_add_all(out, STR("From: <"), n->from, STR(">\r\nTo: <"), n->to, STR(">\r\nSubject: "));
    message_encoded_word_encode(out, n->subject, sizeof "Subject: " - 1);
    buf_add(out, STR("\r\nDate: "));
    date_add_rfc5322(out, &d);
    buf_add_all(out, STR("\r\nMessage-ID: <"), n->id, STR("@"), n->hostname, STR(">\r\nAuto-Submitted: auto-generated\r\n"));
    if (n->language != LANGUAGE_UNSAID)
        buf_add_all(out, STR("Content-Language: "), language_tag(n->language), STR("\r\n"));
    buf_add(out, STR("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
                     "quoted-printable\r\n\r\n"));
    message_quoted_printable_encode(out, n->text, true);
    return buf_error(out);
}
