/* frame: see frame.h. */
#include "imap/frame.h"

/* Of a spoilt command the first bytes, with the tag, and the last ones, in which the longest announcement lies. */
enum { TAIL = 32, HEAD = 512, DIGITS_MAX = 20 };

void imap_frame_init(struct imap_frame *f, size_t line_max, size_t literal_max)
{
    *f = (struct imap_frame){ .line_max = line_max, .literal_max = literal_max };
    /* A command may hold passwords: wiped when given back. An announcement adds at most its CRLF to what is counted. */
    buf_init_secret(&f->unit, line_max + literal_max + line_max + HEAD + 5 * TAIL);
}

void imap_frame_done(struct imap_frame *f)
{
    buf_done(&f->unit);
}

void imap_frame_reset(struct imap_frame *f)
{
    size_t line_max = f->line_max, literal_max = f->literal_max;
    buf_done(&f->unit);
    imap_frame_init(f, line_max, literal_max);
}

bool imap_frame_is_begun(const struct imap_frame *f)
{
    return f->line_n > 0 || f->state != IMAP_FRAME_IN_LINE;
}

/* A literal's announcement at the end of LINE: "{" number ["+"] "}". */
static bool parse_announcement(str line, uint64_t *ret_n, bool *ret_sync)
{
    size_t open = str_rfind_byte(line, '{');
    if (open == line.n || line.p[line.n - 1] != '}')
        return false;
    str number = str_sub(line, open + 1, line.n - open - 2);
    bool plus = number.n && number.p[number.n - 1] == '+';
    if (plus)
        number.n--;
    *ret_sync = !plus;
    return number.n <= DIGITS_MAX && str_to_u64(number, UINT32_MAX, ret_n);
}

/* The end of a line: the end of the command, or a literal follows. */
static enum imap_frame_event end_line(struct imap_frame *f)
{
    str line = str_from(buf_str(&f->unit), f->line_start);
    if (!parse_announcement(line, &f->literal, &f->synchronizing)) {
        /* Spaces behind a command mean nothing in any: some clients leave one there. */
        while (f->spoilt == IMAP_FRAME_MORE && f->unit.n > f->line_start && f->unit.p[f->unit.n - 1] == ' ')
            buf_truncate(&f->unit, f->unit.n - 1);
        f->state = IMAP_FRAME_ENDED;
        return f->spoilt == IMAP_FRAME_MORE ? IMAP_FRAME_COMMAND : f->spoilt;
    }
    if (f->spoilt != IMAP_FRAME_MORE) {
        /* F4: nobody will ask for a synchronizing literal, so it does not come; the other kind is on its way. */
        f->state = f->synchronizing ? IMAP_FRAME_ENDED : IMAP_FRAME_IN_SKIPPED;
        return f->synchronizing ? f->spoilt : IMAP_FRAME_MORE;
    }
    f->state = IMAP_FRAME_ASKED;
    return IMAP_FRAME_LITERAL;
}

/* Adds PIECE, the next bytes of a line; of a spoilt command only its head, with the tag, and a tail that can show an announcement are kept. The head
 * is filled first, however the bytes came: a piece of the tail in its place would be told as the tag. */
static void add_line(struct imap_frame *f, str piece)
{
    f->line_n += piece.n;
    if (f->line_n > f->line_max && f->spoilt == IMAP_FRAME_MORE)
        f->spoilt = IMAP_FRAME_TOO_LONG;
    if (f->spoilt == IMAP_FRAME_MORE) {
        buf_add(&f->unit, piece);
        return;
    }
    if (f->unit.n < HEAD) {
        str head = str_sub(piece, 0, HEAD - f->unit.n);
        buf_add(&f->unit, head);
        piece = str_from(piece, head.n);
    }
    buf_add(&f->unit, piece.n > TAIL ? str_from(piece, piece.n - TAIL) : piece);
    size_t keep = f->line_start > HEAD ? f->line_start : HEAD;
    if (f->unit.n > keep + 4 * TAIL) {
        memmove(f->unit.p + keep, f->unit.p + f->unit.n - TAIL, TAIL);
        buf_truncate(&f->unit, keep + TAIL);
    }
}

static void spoil(struct imap_frame *f, enum imap_frame_event why)
{
    if (f->spoilt == IMAP_FRAME_MORE)
        f->spoilt = why;
}

/* Takes line bytes up to and with the next LF. */
static enum imap_frame_event feed_line(struct imap_frame *f, str in, size_t *used)
{
    str rest = str_from(in, *used);
    size_t lf = str_find_byte(rest, '\n', 0);
    bool whole = lf < rest.n;
    str piece = str_sub(rest, 0, lf);
    *used += piece.n + whole;
    if (f->cr && (piece.n || !whole) && rest.n) {
        /* The CR of the last piece was not followed by LF. */
        f->cr = false;
        add_line(f, STR("\r"));
        spoil(f, IMAP_FRAME_BAD_LINE);
    }
    if (piece.n && piece.p[piece.n - 1] == '\r') {
        f->cr = true;
        piece.n--;
    }
    if (str_find_byte(piece, '\r', 0) != piece.n || str_find_byte(piece, '\0', 0) != piece.n)
        spoil(f, IMAP_FRAME_BAD_LINE);
    add_line(f, piece);
    if (!whole)
        return IMAP_FRAME_MORE;
    if (!f->cr)
        spoil(f, IMAP_FRAME_BAD_LINE);
    f->cr = false;
    return end_line(f);
}

/* Takes literal bytes; the line goes on after them. */
static void feed_literal(struct imap_frame *f, str in, size_t *used)
{
    str piece = str_sub(str_from(in, *used), 0, f->literal < in.n ? (size_t)f->literal : in.n);
    if (f->state == IMAP_FRAME_IN_LITERAL)
        buf_add(&f->unit, piece);
    *used += piece.n;
    f->literal -= piece.n;
    if (!f->literal)
        imap_frame_resume(f);
}

enum imap_frame_event imap_frame_feed(struct imap_frame *f, str in, size_t *ret_used)
{
    size_t used = 0;
    enum imap_frame_event event = IMAP_FRAME_MORE;
    while (event == IMAP_FRAME_MORE && used < in.n) {
        switch (f->state) {
        case IMAP_FRAME_IN_LINE:
            event = feed_line(f, in, &used);
            if (f->state == IMAP_FRAME_IN_SKIPPED && !f->literal)
                imap_frame_resume(f);
            break;
        case IMAP_FRAME_IN_LITERAL:
        case IMAP_FRAME_IN_SKIPPED:
            feed_literal(f, in, &used);
            break;
        case IMAP_FRAME_IN_DIVERTED:
            event = IMAP_FRAME_DIVERTED;
            break;
        case IMAP_FRAME_ASKED:
        case IMAP_FRAME_ENDED:
            panic("imap_frame_feed without an answer to the last event");
        }
    }
    *ret_used = used;
    return event;
}

bool imap_frame_keep(struct imap_frame *f)
{
    require(f->state == IMAP_FRAME_ASKED);
    if (f->literal > f->literal_max - f->literal_n)
        return false;
    f->literal_n += (size_t)f->literal;
    f->line_n += 2;
    buf_add(&f->unit, STR("\r\n"));
    f->state = IMAP_FRAME_IN_LITERAL;
    if (!f->literal)
        imap_frame_resume(f);
    return true;
}

void imap_frame_divert(struct imap_frame *f, size_t keep)
{
    require(f->state == IMAP_FRAME_ASKED && keep <= f->unit.n);
    size_t cut = f->unit.n - keep;
    f->line_n -= cut < f->line_n ? cut : f->line_n;
    buf_truncate(&f->unit, keep);
    f->state = IMAP_FRAME_IN_DIVERTED;
}

void imap_frame_resume(struct imap_frame *f)
{
    f->state = IMAP_FRAME_IN_LINE;
    f->literal = 0;
    if (f->spoilt != IMAP_FRAME_MORE && f->unit.n > HEAD) /* else the lines of many skipped literals would fill it */
        buf_truncate(&f->unit, HEAD);
    f->line_start = f->unit.n;
}

void imap_frame_refuse(struct imap_frame *f)
{
    require(f->state == IMAP_FRAME_ASKED);
    spoil(f, IMAP_FRAME_REFUSED);
    f->state = f->synchronizing ? IMAP_FRAME_ENDED : IMAP_FRAME_IN_SKIPPED;
    if (f->state == IMAP_FRAME_IN_SKIPPED && !f->literal)
        imap_frame_resume(f);
}
