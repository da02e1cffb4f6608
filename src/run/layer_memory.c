/* layer_memory: the layer for tests; see stream.h.
 *
 * With a step the layer behaves like a slow network: after each piece one call answers ERR_AGAIN, so that whoever reads or writes
 * must be able to stop and go on at every boundary. */
#include "base/buf.h"
#include "run/stream_private.h"

enum { MEMORY_MAX = 1 << 30 };

struct layer_memory {
    struct layer layer;
    struct buf in, out, taken;
    size_t in_at;
    size_t read_step, write_step;
    bool eof, blocked;
    bool read_pause, write_pause; /* the next call answers ERR_AGAIN */
};

static struct layer_memory *memory_of(const struct layer *l)
{
    return (struct layer_memory *)(uintptr_t)l;
}

static int64_t memory_read(struct layer *l, char *p, size_t n)
{
    struct layer_memory *m = memory_of(l);
    size_t left = m->in.n - m->in_at;
    if (left == 0)
        return m->eof ? ERR_EOF : ERR_AGAIN;
    if (m->read_pause) {
        m->read_pause = false;
        return ERR_AGAIN;
    }
    if (n > left)
        n = left;
    if (m->read_step && n > m->read_step)
        n = m->read_step;
    memcpy(p, m->in.p + m->in_at, n);
    m->in_at += n;
    if (m->in_at == m->in.n) {
        buf_reset(&m->in);
        m->in_at = 0;
    }
    m->read_pause = m->read_step != 0;
    return (int64_t)n;
}

static int64_t memory_write(struct layer *l, const char *p, size_t n)
{
    struct layer_memory *m = memory_of(l);
    if (m->blocked)
        return ERR_AGAIN;
    if (m->write_pause) {
        m->write_pause = false;
        return ERR_AGAIN;
    }
    if (m->write_step && n > m->write_step)
        n = m->write_step;
    buf_add(&m->out, (str){ p, n });
    if (buf_error(&m->out))
        return ERR_IO;
    m->write_pause = m->write_step != 0;
    return (int64_t)n;
}

static int64_t memory_write_both(struct layer *l, str first, str second)
{
    int64_t n = memory_write(l, first.p, first.n);
    if (n < 0 || (size_t)n < first.n)
        return n;
    int64_t m = memory_of(l)->write_pause ? 0 : memory_write(l, second.p, second.n);
    return m > 0 ? n + m : n;
}

static bool memory_pending(const struct layer *l)
{
    return false;
}

static void memory_idle(struct layer *l) {}

static void memory_close(struct layer *l)
{
    struct layer_memory *m = memory_of(l);
    buf_done(&m->in);
    buf_done(&m->out);
    buf_done(&m->taken);
    free(m);
}

static const struct layer_ops memory_ops = { .read = memory_read,
                                             .write = memory_write,
                                             .write_both = memory_write_both,
                                             .pending = memory_pending,
                                             .idle = memory_idle,
                                             .close = memory_close };

struct layer *layer_memory_new(size_t read_step, size_t write_step)
{
    struct layer_memory *m = calloc(1, sizeof *m);
    if (!m)
        panic("out of memory for a memory layer");
    m->layer.ops = &memory_ops;
    buf_init(&m->in, MEMORY_MAX);
    buf_init(&m->out, MEMORY_MAX);
    buf_init(&m->taken, MEMORY_MAX);
    m->read_step = read_step;
    m->write_step = write_step;
    return &m->layer;
}

void layer_memory_feed(struct layer *l, str bytes)
{
    struct layer_memory *m = memory_of(l);
    require(!m->eof || bytes.n == 0);
    buf_add(&m->in, bytes);
    require(buf_error(&m->in) == 0);
}

void layer_memory_feed_eof(struct layer *l)
{
    memory_of(l)->eof = true;
}

str layer_memory_take(struct layer *l)
{
    struct layer_memory *m = memory_of(l);
    struct buf old = m->taken;
    m->taken = m->out;
    m->out = old;
    buf_reset(&m->out);
    return buf_str(&m->taken);
}

void layer_memory_block_writes(struct layer *l, bool block)
{
    memory_of(l)->blocked = block;
}

bool layer_memory_is_readable(const struct layer *l)
{
    const struct layer_memory *m = memory_of(l);
    return m->in_at < m->in.n || m->eof;
}

bool layer_memory_is_blocked(const struct layer *l)
{
    return memory_of(l)->blocked;
}
