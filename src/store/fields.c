/* fields: what is kept of a message's header beside its structure, so that lists and searches need not read the message: the fields that programs ask
 * for in the email's record, the day it was sent in each of its entries. */
#include "message/date.h"
#include "store/mail_private.h"

/* Of a record, besides prefix, fields and structure. */
enum { RECORD_ROOM = 256 };

/* A day that no Date field can name counts as none. */
static uint32_t sent_of(int64_t day)
{
    return day > MAIL_SENT_NONE - MAIL_SENT_EPOCH && day < MAIL_SENT_EPOCH ? (uint32_t)(day + MAIL_SENT_EPOCH) : MAIL_SENT_NONE;
}

int email_summary_of(str structure, uint64_t size, struct email_summary *ret)
{
    struct arena arena = ARENA_INIT(8 << 20);
    const struct structure *s;
    int r = structure_open(structure, size, &arena, &s);
    if (!r) {
        const struct part *root = structure_root(s);
        int64_t day;
        bool dated = root->envelope && message_date_day(root->envelope->date, &day);
        *ret = (struct email_summary){ .header_n = (size_t)root->header_size, .sent = dated ? sent_of(day) : MAIL_SENT_NONE };
    }
    arena_done(&arena);
    return r;
}

void email_fields_write(str prefix, str header, size_t structure_n, struct buf *out)
{
    buf_reset(out);
    message_fields_write(prefix, header, out);
    if (buf_error(out) || prefix.n + structure_n + out->n + RECORD_ROOM > ENGINE_VALUE_MAX)
        buf_reset(out);
}
