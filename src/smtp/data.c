/* data: see data.h.
 *
 *   LINE_START  just after CR LF (or DATA): a dot here is framing
 *   DOT         a dot at the start of a line: the end, or to be removed (RFC 5321 section 4.5.2)
 *   DOT_CR      "." CR at the start of a line
 *   TEXT        within a line
 *   CR          a CR within a line: LF must follow
 *   END         CR LF "." CR LF was seen, or the last chunk is complete
 *   BINARY      the body of a BINARYMIME message, to its end
 *
 * Invariants
 *  1. LINE_START is entered at the beginning and after CR LF only; END only from DOT_CR by LF. In chunks there is
 *     no DOT, no DOT_CR, and END only at smtp_data_chunk_end.
 *     A bare LF that is taken for CR LF leads to TEXT.
 *  2. What goes to the sink before BINARY has no bare CR, no bare LF and no NUL, unless a fault is set; then nothing goes
 *     there any more.
 *  3. The result does not depend on how the bytes are cut into pieces. */
#include "smtp/data.h"

void smtp_data_init(struct smtp_data *d, uint64_t size_max, struct smtp_data_sink sink)
{
    *d = (struct smtp_data){ .state = SMTP_DATA_LINE_START, .size_max = size_max, .in_header = true, .sink = sink };
}

void smtp_data_init_chunked(struct smtp_data *d, uint64_t size_max, bool binary, struct smtp_data_sink sink)
{
    smtp_data_init(d, size_max, sink);
    d->is_chunked = true;
    d->is_binary = binary;
}

void smtp_data_repair(struct smtp_data *d)
{
    d->repairs = true;
}

static void emit(struct smtp_data *d, str bytes)
{
    d->size += bytes.n;
    if (d->size > d->size_max)
        d->faults |= SMTP_DATA_TOO_LARGE;
    if (d->in_header && d->size > SMTP_DATA_HEADER_MAX)
        d->faults |= SMTP_DATA_HEADER_TOO_LARGE;
    if (!d->faults)
        d->sink.put(d->sink.ctx, bytes);
}

/* The bytes of S up to the first CR, LF or NUL belong to the present line. Returns how many. */
static size_t take_text(struct smtp_data *d, str s)
{
    size_t n = 0;
    unsigned char all = 0;
    while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
        all |= (unsigned char)s.p[n++];
    if (n == 0)
        return 0;
    d->has_8bit |= all > 127;
    d->line_n += n;
    if (d->line_n > SMTP_DATA_LINE_MAX)
        d->faults |= SMTP_DATA_LINE_TOO_LONG;
    emit(d, (str){ s.p, n });
    return n;
}

static void end_line(struct smtp_data *d)
{
    emit(d, STR("\r\n"));
    if (d->line_n == 0)
        d->in_header = false;
    d->line_n = 0;
    d->state = d->is_binary && !d->in_header ? SMTP_DATA_BINARY : SMTP_DATA_LINE_START;
}

/* One byte in state TEXT that take_text stops at. */
static void special_byte(struct smtp_data *d, char c)
{
    if (c == '\r') {
        d->state = SMTP_DATA_CR;
        return;
    }
    if (c == '\n' && d->repairs) {
        end_line(d);
        if (d->state == SMTP_DATA_LINE_START) /* invariant 1: a dot here is text */
            d->state = SMTP_DATA_TEXT;
        return;
    }
    d->faults |= c == '\n' ? SMTP_DATA_BARE_LF : SMTP_DATA_NUL;
    d->size++;
}

/* A CR that no LF followed. */
static void bare_cr(struct smtp_data *d)
{
    d->faults |= SMTP_DATA_BARE_CR;
    d->size++;
    d->state = SMTP_DATA_TEXT;
}

/* One step; returns the bytes of S (not empty) used, which may be 0 when only the state changes. */
static size_t step(struct smtp_data *d, str s)
{
    char c = s.p[0];
    switch (d->state) {
    case SMTP_DATA_LINE_START: {
        bool is_framing = c == '.' && !d->is_chunked;
        d->state = is_framing ? SMTP_DATA_DOT : SMTP_DATA_TEXT;
        return is_framing;
    }
    case SMTP_DATA_DOT:
        d->state = c == '\r' ? SMTP_DATA_DOT_CR : SMTP_DATA_TEXT;
        if (c == '\n' && d->repairs) /* a line with a dot: RFC 5321 section 4.5.2 removes one before other characters only */
            (void)take_text(d, STR("."));
        return c == '\r';
    case SMTP_DATA_DOT_CR:
        if (c == '\n') {
            d->state = SMTP_DATA_END;
            return 1;
        }
        bare_cr(d);
        return 0;
    case SMTP_DATA_CR:
        if (c == '\n') {
            end_line(d);
            return 1;
        }
        bare_cr(d);
        return 0;
    case SMTP_DATA_TEXT: {
        size_t n = take_text(d, s);
        if (n)
            return n;
        special_byte(d, c);
        return 1;
    }
    case SMTP_DATA_BINARY:
        d->has_8bit = true;
        emit(d, s);
        return s.n;
    case SMTP_DATA_END:
        break;
    }
    panic("impossible DATA state %d", (int)d->state);
}

int smtp_data_feed(struct smtp_data *d, str bytes, size_t *ret_used)
{
    size_t used = 0;
    require(d->state != SMTP_DATA_END);
    while (used < bytes.n && d->state != SMTP_DATA_END)
        used += step(d, str_from(bytes, used));
    *ret_used = used;
    if (d->state == SMTP_DATA_END)
        return 0;
    return d->size > d->size_max && d->size - d->size_max > SMTP_DATA_OVERRUN_MAX ? ERR_LIMIT : ERR_AGAIN;
}

void smtp_data_chunk(struct smtp_data *d, str bytes)
{
    require(d->is_chunked && d->state != SMTP_DATA_END);
    for (size_t used = 0; used < bytes.n;)
        used += step(d, str_from(bytes, used));
}

void smtp_data_chunk_end(struct smtp_data *d)
{
    require(d->is_chunked && d->state != SMTP_DATA_END);
    if (d->state == SMTP_DATA_CR) /* the last line needs no CR LF, but half of one is wrong */
        bare_cr(d);
    d->state = SMTP_DATA_END;
}
