/* BDAT (RFC 3030 section 2): takes the message in by chunks of a length said before.
 *
 * Invariant: the bytes of a chunk are taken out of the stream whatever becomes of it, so that the next command is found;
 * where the length cannot be read or is beyond all reason, the connection ends. The answer to a chunk comes after its last
 * byte. */
#include "smtp/session_private.h"

/* How many bytes are worth reading to stay in step with the peer. */
static uint64_t reading_max(const struct smtp_session *s)
{
    return s->config->size_max + SMTP_CHUNK_DROP_MAX;
}

/* Takes SIZE bytes from the stream from now on. */
static void begin_chunk(struct smtp_session *s, uint64_t size)
{
    s->chunk.left = size;
    s->mode = SMTP_MODE_CHUNK;
    conn_min_rate(s->conn, SMTP_BODY_RATE);
}

/* The chunk is complete. A message that has a fault ends with the chunk in which it showed, chunks pipelined after it find no
 * transaction and are dropped (RFC 3030 section 2). */
static void end_chunk(struct smtp_session *s)
{
    struct smtp_transaction *t = s->transaction;
    smtp_session_command_mode(s);
    if (s->chunk.is_refused) {
        smtp_say(s, s->chunk.refusal);
    } else if (s->chunk.is_last) {
        smtp_data_chunk_end(&t->data);
        smtp_message_end(s);
    } else if (t->data.faults) {
        smtp_message_refuse_chunk(s);
    } else {
        smtp_say(s, SMTP_REPLY_CHUNK_OK);
    }
}

void smtp_bdat_refuse(struct smtp_session *s, str argument, enum smtp_reply refusal)
{
    uint64_t size;
    bool is_last;
    if (smtp_bdat_parse(argument, &size, &is_last) != SMTP_FAULT_NONE) {
        smtp_say(s, SMTP_REPLY_BAD_CHUNK);
        return;
    }
    if (size > reading_max(s) - s->dropped) {
        smtp_say(s, SMTP_REPLY_TOO_LARGE_CLOSE);
        return;
    }
    s->dropped += size;
    s->chunk = (struct smtp_chunk){ .is_refused = true, .refusal = refusal };
    begin_chunk(s, size);
    if (size == 0)
        end_chunk(s);
}

enum conn_next smtp_cmd_bdat(struct smtp_session *s, str argument)
{
    struct smtp_transaction *t = s->transaction;
    struct smtp_chunk chunk = { 0 };
    uint64_t size;
    if (smtp_bdat_parse(argument, &size, &chunk.is_last) != SMTP_FAULT_NONE) {
        smtp_say(s, SMTP_REPLY_BAD_CHUNK);
        return CONN_WAIT;
    }
    if (size > reading_max(s)) {
        smtp_say(s, SMTP_REPLY_TOO_LARGE_CLOSE);
        return CONN_WAIT;
    }
    s->chunk = chunk;
    begin_chunk(s, size);
    if (t->chunk_n++ == 0)
        smtp_message_begin(s, true);
    if (size > s->config->size_max || t->data.size > s->config->size_max - size)
        t->data.faults |= SMTP_DATA_TOO_LARGE; /* known before it has come: nothing of it is kept */
    if (t->chunk_n > SMTP_CHUNKS_MAX)
        t->data.faults |= SMTP_DATA_TOO_MANY_CHUNKS;
    if (size == 0) {
        s->junk += !chunk.is_last;
        end_chunk(s);
    }
    return CONN_WAIT;
}

void smtp_chunk_input(struct smtp_session *s, str bytes, size_t *ret_used)
{
    size_t n = bytes.n < s->chunk.left ? bytes.n : (size_t)s->chunk.left;
    if (!s->chunk.is_refused)
        smtp_data_chunk(&s->transaction->data, str_sub(bytes, 0, n));
    s->chunk.left -= n;
    *ret_used = n;
    if (s->chunk.left == 0)
        end_chunk(s);
}
