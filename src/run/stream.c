/* stream: see stream.h.
 *
 * Input is one contiguous buffer that grows from 4 to 64 KiB. Output is a list of segments, each of bytes followed by at most one
 * source. Before each write the first segment is topped up from its source and from the segments behind it, so that a
 * header, a body and the line after it leave in one write, and a large source costs one buffer of at most 192 KiB and no copy. Where source and layer
 * can, its bytes are sent from where they lie, and only what the peer does not take is copied.
 *
 * Invariants:
 *   S1  in_at <= in_n <= in_cap <= INPUT_MAX; unread input is in[in_at, in_n).
 *   S2  scanned <= in_n - in_at: so many unread bytes are known to hold no LF.
 *   S3  while skipping, the bytes so far of the present line were dropped because it is too long.
 *   S4  a segment that is not the last one has bytes or a source; only the last one is appended to, and only if it has no source.
 *   S5  once broken, the output queue is empty and stays so.
 *   S6  what was consumed is wiped before the next input is read and when the buffer is given back: it may have been a password. Bytes
 *       in[0, wiped) and in[in_n, in_cap) hold no input. */
#include "run/stream.h"

#include <stdarg.h>

#include "base/buf.h"
#include "run/stream_private.h"

enum {
    INPUT_MIN = 4096,
    INPUT_MAX = 65536,
    OUTPUT_MIN = 1024,
    OUTPUT_CHUNK = 65536,     /* a write is topped up to so many bytes */
    OUTPUT_PULL = 131072,     /* room that a source is given, if it has so much left */
    OUTPUT_LOW = 16384,       /* ... when fewer than so many are ready */
    OUTPUT_LENT = 32768,      /* fewer bytes of a source are copied, and gathered, rather than sent from where they lie */
    OUTPUT_SOURCES = 1048576, /* what may be left of sources, and how many there may be, before the queue is full */
    OUTPUT_SOURCES_N = 32,
    OUTPUT_MAX = 64 * 1024 * 1024 /* a session that queues more than this ignores stream_is_full: a bug, ends the connection */
};

struct segment {
    struct segment *next;
    char *bytes;
    size_t at, n, cap;  /* bytes[at, n) are not sent yet */
    struct source *src; /* follows the bytes; NULL when there is none */
    uint64_t src_left;
};

struct stream {
    struct layer *layer;
    char *in;
    size_t in_at, in_n, in_cap, scanned, wiped;
    struct segment *first, *last;
    size_t queued;        /* bytes in segments, sources not counted */
    uint64_t source_left; /* what is left of all sources */
    size_t source_n;
    uint64_t bytes_in, bytes_out;
    int in_error; /* ERR_EOF or ERR_IO: no more input will come */
    bool starved; /* the last look for input ended in ERR_AGAIN and nothing was consumed since */
    bool skipping;
    bool broken;
};

struct stream *stream_new(struct layer *layer)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for a stream");
    s->layer = layer;
    return s;
}

static void segment_free(struct segment *g)
{
    if (g->src)
        g->src->close(g->src);
    free(g->bytes);
    free(g);
}

static void output_drop(struct stream *s)
{
    while (s->first) {
        struct segment *g = s->first;
        s->first = g->next;
        segment_free(g);
    }
    s->last = NULL;
    s->queued = 0;
    s->source_left = 0;
    s->source_n = 0;
}

void stream_abort(struct stream *s)
{
    output_drop(s);
    s->broken = true;
    if (!s->in_error)
        s->in_error = ERR_IO;
}

bool stream_is_broken(const struct stream *s)
{
    return s->broken;
}

bool stream_is_ended(const struct stream *s)
{
    return s->broken || s->in_error != 0;
}

/* S6. */
static void input_wipe(struct stream *s)
{
    if (s->wiped < s->in_at)
        secret_wipe(s->in + s->wiped, s->in_at - s->wiped);
    s->wiped = s->in_at;
}

static void input_free(struct stream *s)
{
    if (s->in)
        secret_wipe(s->in, s->in_n);
    free(s->in);
    s->in = NULL;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    output_drop(s);
    s->layer->ops->close(s->layer);
    input_free(s);
    free(s);
}

struct layer *stream_swap_layer(struct stream *s, struct layer *layer)
{
    require(s->in_at == s->in_n && !s->first && !s->skipping);
    struct layer *old = s->layer;
    s->layer = layer;
    s->starved = false;
    return old;
}

struct layer *stream_layer(const struct stream *s)
{
    return s->layer;
}

void stream_idle(struct stream *s)
{
    if (s->in && s->in_at == s->in_n) {
        input_free(s);
        s->in_at = s->in_n = s->in_cap = s->scanned = s->wiped = 0;
    } else if (s->in) {
        input_wipe(s);
    }
    if (s->first && s->queued == 0 && s->source_left == 0)
        output_drop(s);
    s->layer->ops->idle(s->layer);
}

uint64_t stream_bytes_in(const struct stream *s)
{
    return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    return s->bytes_out;
}

/* --- input --- */

static char *resize(char *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        panic("out of memory for a stream buffer of %zu bytes", n);
    return p;
}

/* Makes room for at least one more byte; false when 64 KiB are unread. */
static bool input_make_room(struct stream *s)
{
    input_wipe(s);
    if (s->in_at == s->in_n)
        s->in_at = s->in_n = s->scanned = s->wiped = 0;
    if (s->in_n < s->in_cap)
        return true;
    if (s->in_at) {
        memmove(s->in, s->in + s->in_at, s->in_n - s->in_at);
        secret_wipe(s->in + s->in_n - s->in_at, s->in_at);
        s->in_n -= s->in_at;
        s->in_at = s->wiped = 0;
        /* A mostly full buffer grows as well: otherwise each small fill would move it again. */
        if (s->in_n < s->in_cap / 2)
            return true;
    }
    if (s->in_cap < INPUT_MAX) {
        size_t cap = s->in_cap ? s->in_cap * 2 : INPUT_MIN;
        char *in = resize(NULL, cap);
        if (s->in_n)
            memcpy(in, s->in, s->in_n);
        input_free(s);
        s->in = in;
        s->in_cap = cap;
    }
    return s->in_n < s->in_cap;
}

int stream_fill(struct stream *s)
{
    if (s->in_error)
        return s->in_error;
    if (!input_make_room(s))
        return ERR_LIMIT;
    int64_t n = s->layer->ops->read(s->layer, s->in + s->in_n, s->in_cap - s->in_n);
    if (n == ERR_AGAIN) {
        s->starved = true;
        return ERR_AGAIN;
    }
    if (n <= 0) {
        s->in_error = n == ERR_EOF ? ERR_EOF : ERR_IO;
        return s->in_error;
    }
    require((uint64_t)n <= s->in_cap - s->in_n);
    s->in_n += (size_t)n;
    s->bytes_in += (uint64_t)n;
    s->starved = false;
    return 0;
}

str stream_peek(const struct stream *s)
{
    return (str){ s->in ? s->in + s->in_at : NULL, s->in_n - s->in_at };
}

void stream_consume(struct stream *s, size_t n)
{
    require(n <= s->in_n - s->in_at);
    s->in_at += n;
    s->scanned = 0;
    if (n)
        s->starved = false;
}

bool stream_has_input(const struct stream *s)
{
    return (s->in_at < s->in_n && !s->starved) || s->layer->ops->pending(s->layer);
}

/* What a line that ended with LF is: 0, ERR_LIMIT or ERR_SYNTAX. LINE is without its LF; *LINE loses its CR. */
static int line_check(str *line, size_t max)
{
    bool crlf = line->n && line->p[line->n - 1] == '\r';
    if (crlf)
        line->n--;
    if (line->n > max)
        return ERR_LIMIT;
    if (!crlf || (line->n && (memchr(line->p, '\r', line->n) || memchr(line->p, 0, line->n))))
        return ERR_SYNTAX;
    return 0;
}

int stream_line(struct stream *s, size_t max, str *ret)
{
    if (max > INPUT_MAX - 2)
        max = INPUT_MAX - 2;
    for (;;) {
        str in = stream_peek(s);
        const char *lf = in.n > s->scanned ? memchr(in.p + s->scanned, '\n', in.n - s->scanned) : NULL;
        if (lf) {
            str line = { in.p, (size_t)(lf - in.p) };
            bool skipped = s->skipping;
            s->skipping = false;
            stream_consume(s, line.n + 1);
            int r = skipped ? ERR_LIMIT : line_check(&line, max);
            if (r == 0)
                *ret = line;
            return r;
        }
        s->scanned = in.n;
        /* Too long already, whatever follows: max bytes and one more that is not the CR of the end. */
        if (in.n && (s->skipping || in.n > max + 1 || (in.n == max + 1 && in.p[max] != '\r'))) {
            s->skipping = true;
            stream_consume(s, in.n);
        }
        int r = stream_fill(s);
        if (r)
            return r;
    }
}

/* --- output --- */

/* Room for N more bytes at the end of the queue, or NULL once broken. */
static char *output_reserve(struct stream *s, size_t n)
{
    if (s->broken)
        return NULL;
    if (n > OUTPUT_MAX || s->queued > OUTPUT_MAX - n) {
        stream_abort(s);
        return NULL;
    }
    struct segment *g = s->last;
    if (!g || g->src) {
        g = calloc(1, sizeof *g);
        if (!g)
            panic("out of memory for a stream segment");
        if (s->last)
            s->last->next = g;
        else
            s->first = g;
        s->last = g;
    }
    if (g->at && (g->at == g->n || g->cap - g->n < n)) {
        memmove(g->bytes, g->bytes + g->at, g->n - g->at);
        g->n -= g->at;
        g->at = 0;
    }
    if (g->cap - g->n < n || !g->bytes) {
        size_t cap = g->cap ? g->cap : OUTPUT_MIN;
        while (cap - g->n < n)
            cap *= 2;
        g->bytes = resize(g->bytes, cap);
        g->cap = cap;
    }
    return g->bytes + g->n;
}

static void output_commit(struct stream *s, size_t n)
{
    s->last->n += n;
    s->queued += n;
}

void stream_write(struct stream *s, str bytes)
{
    if (bytes.n == 0)
        return;
    char *to = output_reserve(s, bytes.n);
    if (!to)
        return;
    memcpy(to, bytes.p, bytes.n);
    output_commit(s, bytes.n);
}

void stream_printf(struct stream *s, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    require(n >= 0);
    char *to = output_reserve(s, (size_t)n + 1);
    if (to) {
        (void)vsnprintf(to, (size_t)n + 1, fmt, again);
        output_commit(s, (size_t)n);
    }
    va_end(again);
}

void stream_write_source(struct stream *s, struct source *src, uint64_t n)
{
    if (n == 0 || n > UINT64_MAX - s->source_left || !output_reserve(s, 0)) {
        src->close(src);
        return;
    }
    s->last->src = src;
    s->last->src_left = n;
    s->source_left += n;
    s->source_n++;
}

/* GOT bytes of G's source are in the segment, or were sent. */
static void segment_got(struct stream *s, struct segment *g, size_t got)
{
    g->src_left -= got;
    s->source_left -= got;
    if (g->src_left)
        return;
    g->src->close(g->src);
    g->src = NULL;
    s->source_n--;
}

/* Whether G's bytes are few and followed by many that can be sent from where they lie. */
static bool can_lend(const struct stream *s, const struct segment *g)
{
    return g->src && g->src->lend && g->src_left >= OUTPUT_LENT && s->layer->ops->write_both && g->n - g->at < OUTPUT_LOW;
}

/* Pulls from G's source until the segment has a chunk ready, the source is used up, or it can be lent. */
static int segment_pull(struct stream *s, struct segment *g)
{
    while (g->src && g->n < OUTPUT_CHUNK && !can_lend(s, g)) {
        size_t want = g->src_left < OUTPUT_PULL ? (size_t)g->src_left : OUTPUT_PULL;
        if (g->cap - g->n < want) {
            g->cap = g->n + want;
            g->bytes = resize(g->bytes, g->cap);
        }
        size_t room = g->cap - g->n;
        if (room > g->src_left)
            room = (size_t)g->src_left;
        int64_t got = g->src->pull(g->src, g->bytes + g->n, room);
        if (got <= 0 || (uint64_t)got > room)
            return ERR_IO;
        g->n += (size_t)got;
        s->queued += (size_t)got;
        segment_got(s, g, (size_t)got);
    }
    return 0;
}

/* Bytes of a source that are lent to us, and what became of them. */
struct loan {
    struct stream *s;
    struct segment *g;
    int error; /* 0, ERR_AGAIN when the layer did not take all, ERR_IO */
};

static void segment_add(struct stream *s, struct segment *g, str bytes)
{
    if (!bytes.n)
        return;
    if (g->at) {
        memmove(g->bytes, g->bytes + g->at, g->n - g->at);
        g->n -= g->at;
        g->at = 0;
    }
    if (g->cap - g->n < bytes.n) {
        g->cap = g->n + bytes.n;
        g->bytes = resize(g->bytes, g->cap);
    }
    memcpy(g->bytes + g->n, bytes.p, bytes.n);
    g->n += bytes.n;
    s->queued += bytes.n;
}

/* Sends what the segment has and BYTES behind it; the rest of these is copied. */
static void loan_take(void *ctx, str bytes)
{
    struct loan *loan = ctx;
    struct stream *s = loan->s;
    struct segment *g = loan->g;
    size_t ready = g->n - g->at;
    if (bytes.n < OUTPUT_LENT) {
        segment_add(s, g, bytes);
        return;
    }
    int64_t n = ready ? s->layer->ops->write_both(s->layer, (str){ g->bytes + g->at, ready }, bytes)
                      : s->layer->ops->write(s->layer, bytes.p, bytes.n);
    if (n <= 0 && n != ERR_AGAIN) {
        loan->error = ERR_IO;
        return;
    }
    size_t sent = n > 0 ? (size_t)n : 0, of_ready = sent < ready ? sent : ready;
    require(sent <= ready + bytes.n);
    loan->error = sent < ready + bytes.n ? ERR_AGAIN : 0;
    s->bytes_out += sent;
    s->queued -= of_ready;
    g->at += of_ready;
    segment_add(s, g, str_from(bytes, sent - of_ready));
}

/* Sends G's bytes and some of its source behind them. 0, ERR_AGAIN, ERR_IO. */
static int segment_lend(struct stream *s, struct segment *g)
{
    struct loan loan = { .s = s, .g = g };
    size_t want = g->src_left < OUTPUT_PULL ? (size_t)g->src_left : OUTPUT_PULL;
    int64_t got = g->src->lend(g->src, want, loan_take, &loan);
    if (got <= 0 || (uint64_t)got > want)
        return ERR_IO;
    segment_got(s, g, (size_t)got);
    return loan.error;
}

/* Moves the bytes of the segment behind G into G when they fit, and with them its source. */
static bool segment_merge(struct stream *s, struct segment *g)
{
    struct segment *next = g->next;
    if (!next || g->src || next->n - next->at > OUTPUT_CHUNK || g->n - g->at > OUTPUT_CHUNK - (next->n - next->at))
        return false;
    size_t n = next->n - next->at;
    if (g->cap - g->n < n) {
        g->cap = g->n + n;
        g->bytes = resize(g->bytes, g->cap);
    }
    if (n)
        memcpy(g->bytes + g->n, next->bytes + next->at, n);
    g->n += n;
    g->src = next->src;
    g->src_left = next->src_left;
    next->src = NULL;
    g->next = next->next;
    if (s->last == next)
        s->last = g;
    segment_free(next);
    return true;
}

/* Makes the first segment hold a good piece to write. Bytes that were offered to the layer before stay in front and are never
 * fewer than then: TLS wants the same record again. */
static int output_top_up(struct stream *s)
{
    struct segment *g = s->first;
    while (g->at == g->n && !g->src && g->next) {
        s->first = g->next;
        segment_free(g);
        g = s->first;
    }
    if (g->n - g->at >= OUTPUT_LOW || (!g->src && !g->next))
        return 0;
    if (g->at) {
        memmove(g->bytes, g->bytes + g->at, g->n - g->at);
        g->n -= g->at;
        g->at = 0;
    }
    do {
        int r = segment_pull(s, g);
        if (r)
            return r;
    } while (segment_merge(s, g));
    return 0;
}

int stream_flush(struct stream *s)
{
    if (s->broken)
        return ERR_IO;
    while (s->first) {
        int r = output_top_up(s);
        struct segment *g = s->first;
        if (r == 0 && can_lend(s, g)) {
            r = segment_lend(s, g);
            if (r == 0)
                continue;
        }
        if (r == ERR_AGAIN)
            return ERR_AGAIN;
        if (r < 0) {
            stream_abort(s);
            return ERR_IO;
        }
        if (g->at == g->n) {
            /* S4: nothing to top up from, so this is the last one. */
            require(!g->src && !g->next);
            output_drop(s);
            break;
        }
        int64_t n = s->layer->ops->write(s->layer, g->bytes + g->at, g->n - g->at);
        if (n == ERR_AGAIN)
            return ERR_AGAIN;
        if (n <= 0) {
            stream_abort(s);
            return ERR_IO;
        }
        require((uint64_t)n <= g->n - g->at);
        g->at += (size_t)n;
        s->queued -= (size_t)n;
        s->bytes_out += (uint64_t)n;
    }
    return 0;
}

size_t stream_queued(const struct stream *s)
{
    return s->source_left > SIZE_MAX - s->queued ? SIZE_MAX : s->queued + (size_t)s->source_left;
}

bool stream_is_full(const struct stream *s)
{
    return s->queued > OUTPUT_CHUNK || s->source_left > OUTPUT_SOURCES || s->source_n >= OUTPUT_SOURCES_N;
}
