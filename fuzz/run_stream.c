/* run_stream: framing of lines over random cuts. However the bytes arrive, the lines and errors are those of a plain reading
 * of the rule: a line ends at its first LF; too long, else not clean, else good.
 *
 * Input: most bytes of a line, seed of the cuts, size of reads, then what the peer sends. */
#include "base/buf.h"
#include "run/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUTPUT_MAX = 1 << 24 };

static void note(struct buf *out, int r, str line)
{
    buf_addf(out, "%d %zu ", r, line.n);
    buf_add(out, line);
}

/* The rule, on the whole input at once. */
static void expect_lines(str in, size_t max, struct buf *out)
{
    for (;;) {
        size_t lf = str_find_byte(in, '\n', 0);
        if (lf == in.n)
            break;
        str line = str_sub(in, 0, lf);
        in = str_from(in, lf + 1);
        bool crlf = str_ends(line, STR("\r"));
        if (crlf)
            line.n--;
        bool clean = crlf && str_find_byte(line, '\r', 0) == line.n && str_find_byte(line, 0, 0) == line.n;
        int r = line.n > max ? ERR_LIMIT : clean ? 0 : ERR_SYNTAX;
        note(out, r, r ? STR("") : line);
    }
    note(out, ERR_EOF, STR(""));
}

/* Takes lines until more must arrive; false at the end. */
static bool take_lines(struct stream *s, size_t max, struct buf *out)
{
    for (;;) {
        str line = { 0 };
        int r = stream_line(s, max, &line);
        if (r == ERR_AGAIN)
            return true;
        note(out, r, line);
        if (r == ERR_EOF)
            return false;
        require(r == 0 || r == ERR_SYNTAX || r == ERR_LIMIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t max = data[0];
    uint32_t cuts = data[1];
    str in = { (const char *)data + 3, size - 3 };
    struct buf want = BUF_INIT(OUTPUT_MAX), got = BUF_INIT(OUTPUT_MAX);
    struct layer *l = layer_memory_new(data[2], 0);
    struct stream *s = stream_new(l);
    expect_lines(in, max, &want);
    while (in.n) {
        cuts = cuts * 1664525 + 1013904223;
        str piece = str_sub(in, 0, 1 + (cuts >> 16) % 64);
        in = str_from(in, piece.n);
        layer_memory_feed(l, piece);
        (void)take_lines(s, max, &got);
        if (cuts & 1)
            stream_idle(s);
    }
    layer_memory_feed_eof(l);
    while (take_lines(s, max, &got))
        ;
    require(str_eq(buf_str(&want), buf_str(&got)));
    stream_free(s);
    buf_done(&want);
    buf_done(&got);
    return 0;
}
