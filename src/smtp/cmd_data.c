/* DATA (RFC 5321 section 4.1.1.4): takes the message in line by line. */
#include "smtp/session_private.h"

enum conn_next smtp_cmd_data(struct smtp_session *s, str argument)
{
    if (s->transaction->mail.body == SMTP_BODY_BINARYMIME) { /* RFC 3030 section 3 */
        smtp_say(s, SMTP_REPLY_BINARY_NEEDS_BDAT);
        return CONN_WAIT;
    }
    smtp_message_begin(s, false);
    s->mode = SMTP_MODE_DATA;
    conn_min_rate_by_hand(s->conn, SMTP_BODY_RATE);
    smtp_say(s, SMTP_REPLY_GO_AHEAD);
    return CONN_WAIT;
}

void smtp_data_input(struct smtp_session *s, str bytes, size_t *ret_used)
{
    int rc = smtp_data_feed(&s->transaction->data, bytes, ret_used);
    if (rc == 0)
        smtp_message_end(s);
    else if (rc == ERR_LIMIT)
        smtp_message_refuse(s, SMTP_REPLY_TOO_LARGE_CLOSE);
}
