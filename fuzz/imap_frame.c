/* Where commands and literals end. The first byte chooses how literals are answered: kept, refused, or taken as APPEND takes them, any number in one command; the rest comes
 * whole and in pieces, which must make no difference. */
#include "base/log.h"
#include "imap/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_BYTES = 1000, LITERAL_BYTES = 600 };

struct run {
    struct imap_frame f;
    struct buf told;
    unsigned choice, literals;
    size_t first; /* length of the unit with the first literal that was taken */
};

/* The answer to an announced literal. */
static void answer(struct run *r)
{
    unsigned choice = (r->choice >> (r->literals++ % 4 * 2)) & 3;
    buf_addf(&r->told, "{%llu%s}", (unsigned long long)r->f.literal, r->f.synchronizing ? "" : "+");
    if (choice == 0 && !r->first && imap_frame_keep(&r->f))
        return;
    if (choice <= 2 && r->f.literal) {
        r->first = r->first ? r->first : r->f.unit.n;
        imap_frame_divert(&r->f, r->first);
        require(r->f.unit.n == r->first);
        return;
    }
    bool over = r->f.synchronizing;
    imap_frame_refuse(&r->f);
    if (over) {
        imap_frame_reset(&r->f);
        r->first = 0;
    }
}

static size_t take(struct run *r, str in)
{
    size_t used;
    enum imap_frame_event event = imap_frame_feed(&r->f, in, &used);
    require(used <= in.n);
    require(r->f.unit.n <= 2 * LINE_BYTES + LITERAL_BYTES + 1024); /* F2, and the head of what is spoilt */
    if (event == IMAP_FRAME_MORE) {
        require(used == in.n);
    } else if (event == IMAP_FRAME_LITERAL) {
        answer(r);
    } else if (event == IMAP_FRAME_DIVERTED) {
        str bytes = str_sub(in, used, r->f.literal < in.n ? (size_t)r->f.literal : in.n);
        buf_add(&r->told, bytes);
        used += bytes.n;
        r->f.literal -= bytes.n;
        if (!r->f.literal)
            imap_frame_resume(&r->f);
    } else {
        bool spoilt =
            event == IMAP_FRAME_BAD_LINE || event == IMAP_FRAME_TOO_LONG; /* which is found first may depend on the pieces */
        buf_addf(&r->told, "<%d ", spoilt ? IMAP_FRAME_BAD_LINE : (int)event);
        if (event == IMAP_FRAME_COMMAND) {
            require(r->f.line_n <= LINE_BYTES);
            buf_add(&r->told, buf_str(&r->f.unit));
        }
        buf_add_byte(&r->told, '>');
        imap_frame_reset(&r->f);
        r->first = 0;
    }
    return used;
}

static void run(struct run *r, unsigned choice, str in, size_t step)
{
    *r = (struct run){ .choice = choice, .told = BUF_INIT(1 << 24) };
    imap_frame_init(&r->f, LINE_BYTES, LITERAL_BYTES);
    while (in.n)
        in = str_from(in, take(r, str_sub(in, 0, step)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = { 1, 3, 17 };
    struct run whole, pieces;
    if (size < 1 || size > 100000)
        return 0;
    str in = { (const char *)data + 1, size - 1 };
    run(&whole, data[0], in, SIZE_MAX);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        run(&pieces, data[0], in, steps[i]);
        require(str_eq(buf_str(&whole.told), buf_str(&pieces.told)));
        buf_done(&pieces.told);
        imap_frame_done(&pieces.f);
    }
    buf_done(&whole.told);
    imap_frame_done(&whole.f);
    return 0;
}
