/* acknowledge: tagged answers that wait for the disk together.
 *
 * A client that uploads many messages sends one APPEND after the other without waiting (RFC 7888, RFC 3501 section 5.5). Each is
 * committed when it is complete, but its OK is put aside, and the disk is waited for when there is no more input, when another
 * command or a synchronizing literal must be answered, when the peer has enough to read, or when IMAP_HELD_MAX are held. Nothing
 * is acknowledged before it is durable (S5), and answers come in the order of their commands. */
#include "imap/session_private.h"

void imap_answer_hold(struct imap_session *s)
{
    if (!s->held) {
        s->held = calloc(1, sizeof *s->held);
        if (!s->held)
            panic("out of memory for an answer");
        s->held->event = IMAP_FRAME_MORE;
        buf_init(&s->held->text, IMAP_OUT_MAX);
    }
    struct imap_held *h = s->held;
    struct imap_held_answer *answer = &h->answers[h->n++];
    require(h->n <= IMAP_HELD_MAX);
    answer->pending = s->pending;
    s->pending.mailbox = NULL;
    buf_add(&h->text, imap_tag(s));
    answer->tag = h->text.n;
    buf_add(&h->text, buf_str(&s->answer));
    answer->end = h->text.n;
}

bool imap_answers_precede(const struct imap_session *s, enum imap_frame_event event)
{
    if (!s->held)
        return false;
    switch (event) {
    case IMAP_FRAME_MORE:
    case IMAP_FRAME_DIVERTED:
        return false;
    case IMAP_FRAME_LITERAL:
        return s->frame.synchronizing;
    case IMAP_FRAME_COMMAND:
        return !s->append;
    case IMAP_FRAME_BAD_LINE:
    case IMAP_FRAME_TOO_LONG:
    case IMAP_FRAME_REFUSED:
        break;
    }
    return true;
}

static void wait_for_disk(struct imap_session *s)
{
    struct imap_held *h = s->held;
    for (size_t i = 0; i < h->n; i++)
        h->results[i] = h->answers[i].pending.mailbox ? mail_pending_wait(s->account, &h->answers[i].pending) : 0;
    h->settled = true;
}

static void write_held(struct imap_session *s)
{
    const struct imap_held *h = s->held;
    str text = buf_str(&h->text);
    struct buf present = s->answer; /* of a command that is not held */
    size_t from = 0;
    buf_init(&s->answer, IMAP_OUT_MAX);
    for (size_t i = 0; i < h->n; i++) {
        const struct imap_held_answer *a = &h->answers[i];
        stream_write(s->stream, str_sub(text, from, a->tag - from));
        stream_write(s->stream, STR(" "));
        if (h->results[i] < 0) {
            (void)imap_fail(s, h->results[i], NULL);
            stream_write(s->stream, buf_str(&s->answer));
        } else {
            stream_write(s->stream, str_sub(text, a->tag, a->end - a->tag));
        }
        stream_write(s->stream, STR("\r\n"));
        from = a->end;
    }
    buf_done(&s->answer);
    s->answer = present;
}

int imap_answers_settle(struct imap_session *s)
{
    struct imap_held *h = s->held;
    if (!h->settled) {
        wait_for_disk(s);
        /* What the store cannot tell now comes later. */
        if (s->view)
            (void)!imap_updates_collect(s, true);
    }
    if (s->view && imap_updates_send(s) == ERR_AGAIN)
        return ERR_AGAIN;
    write_held(s);
    buf_done(&h->text);
    free(h);
    s->held = NULL;
    return 0;
}

void imap_answers_drop(struct imap_session *s)
{
    if (!s->held)
        return;
    if (!s->held->settled)
        wait_for_disk(s);
    buf_done(&s->held->text);
    free(s->held);
    s->held = NULL;
}
