/* batch: many messages on their way in together, for an APPEND of several (RFC 3502).
 *
 * Each message is parsed when it is added, and then lies with its structure, flags and dates in one stretch of bytes, which is a deposit: on the heap up to 1 MiB for
 * all, above that in a file without a name. In memory there is one number a message. Mapped and read in order at the end, a window at a time. */
#include "store/mail_private.h"

#include <sys/mman.h>

enum { BATCH_WINDOW = 1 << 20 };

struct mail_batch {
    struct mail_deposit *bytes; /* a struct batch_row, keywords, structure, message; and again */
    uint64_t *at;               /* where each begins */
    size_t n, cap;
    uint64_t sum; /* bytes of the messages alone */
    uint64_t released;
    bool too_long;               /* a keyword was, and is not in bytes */
    struct mail_dropped dropped; /* keywords that the messages do without; set with them */
};

struct batch_row {
    uint32_t message_n, structure_n, keywords_n; /* bytes */
    uint32_t keyword_n;                          /* each a byte with its length and the word */
    uint64_t system;
    int64_t received_ms;
    struct thread_refs refs;
    struct email_summary summary;
};

struct mail_batch *mail_batch_new(struct mail_store *s)
{
    struct mail_batch *b = calloc(1, sizeof *b);
    if (!b)
        panic("out of memory for messages");
    b->bytes = deposit_new(s);
    return b;
}

void mail_batch_free(struct mail_batch *b)
{
    if (!b)
        return;
    mail_deposit_free(b->bytes);
    free(b->at);
    free(b);
}

size_t mail_batch_count(const struct mail_batch *b)
{
    return b->n;
}

uint64_t mail_batch_bytes(const struct mail_batch *b)
{
    return b->sum;
}

const struct mail_dropped *mail_batch_dropped(const struct mail_batch *b)
{
    return &b->dropped;
}

void batch_set_dropped(struct mail_batch *b, const struct mail_dropped *d)
{
    b->dropped = *d;
    b->dropped.more |= b->too_long;
}

uint64_t mail_batch_kept(const struct mail_batch *b)
{
    return mail_deposit_size(b->bytes);
}

static int write_keywords(struct mail_batch *b, const struct mail_flags *flags, struct batch_row *row)
{
    struct buf words = BUF_INIT(flags->keyword_n * (MAIL_KEYWORD_BYTES_MAX + 1) + 1);
    for (size_t i = 0; i < flags->keyword_n; i++) {
        str word = flags->keywords[i];
        if (word.n > MAIL_KEYWORD_BYTES_MAX) { /* no mailbox takes it */
            b->too_long = true;
            continue;
        }
        buf_add_byte(&words, (char)word.n);
        buf_add(&words, word);
        row->keyword_n++;
    }
    row->keywords_n = (uint32_t)words.n;
    int r = mail_deposit_write(b->bytes, (str){ (const char *)row, sizeof *row });
    if (!r)
        r = mail_deposit_write(b->bytes, buf_str(&words));
    buf_done(&words);
    return r;
}

int mail_batch_add(struct mail_batch *b, struct mail_deposit *d, const struct mail_flags *flags, int64_t received_ms,
                   struct error *e)
{
    int r = deposit_finish(d, e);
    if (r)
        return r;
    struct batch_row row = { .message_n = (uint32_t)d->size,
                             .structure_n = (uint32_t)d->structure.n,
                             .system = flags->system,
                             .received_ms = received_ms,
                             .refs = d->refs,
                             .summary = d->summary };
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->at = reallocarray(b->at, b->cap, sizeof *b->at);
        if (!b->at)
            panic("out of memory for %zu messages", b->cap);
    }
    b->at[b->n] = mail_deposit_size(b->bytes);
    r = write_keywords(b, flags, &row);
    if (!r)
        r = mail_deposit_write(b->bytes, buf_str(&d->structure));
    if (!r)
        r = mail_deposit_write(b->bytes, d->message);
    if (r)
        return error_set(e, r, "the messages could not be kept until all are there");
    b->n++;
    b->sum += d->size;
    return 0;
}

int batch_finish(struct mail_batch *b, struct error *e)
{
    b->released = 0;
    return b->bytes->message.p ? 0 : deposit_complete(b->bytes, e);
}

/* Pages of the file that lie before AT are not ours any more. */
static void release_before(struct mail_batch *b, uint64_t at)
{
    uint64_t to = at - at % BATCH_WINDOW;
    if (b->bytes->map && to > b->released) {
        (void)madvise(b->bytes->map + b->released, (size_t)(to - b->released), MADV_DONTNEED);
        b->released = to;
    }
}

int batch_get(struct mail_batch *b, size_t i, struct arena *arena, struct incoming *ret)
{
    struct batch_row row;
    release_before(b, b->at[i]);
    str rest = str_from(b->bytes->message, (size_t)b->at[i]);
    memcpy(&row, rest.p, sizeof row);
    rest = str_from(rest, sizeof row);
    str words = str_sub(rest, 0, row.keywords_n);
    str *list = arena_array(arena, row.keyword_n ? row.keyword_n : 1, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    for (uint32_t k = 0; k < row.keyword_n; k++) {
        size_t n = (unsigned char)words.p[0];
        list[k] = str_sub(words, 1, n);
        words = str_from(words, 1 + n);
    }
    rest = str_from(rest, row.keywords_n);
    *ret = (struct incoming){ .structure = str_sub(rest, 0, row.structure_n),
                              .message = str_sub(rest, row.structure_n, row.message_n),
                              .refs = row.refs,
                              .summary = row.summary,
                              .flags = { row.system, list, row.keyword_n },
                              .received_ms = row.received_ms };
    return 0;
}
