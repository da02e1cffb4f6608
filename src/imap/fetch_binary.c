/* fetch_binary: BINARY[...] and BINARY.SIZE[...] (RFC 3516): a part after its transfer encoding.
 *
 * A literal's size stands in front of it, so a part is decoded twice: once to count and to see whether NUL is in it (a literal8
 * then), once on its way out, piece by piece. No part is ever in memory as a whole. */
#include "imap/fetch_private.h"

enum { RAW_PIECE = 16 * 1024, DECODED_MAX = 64 * 1024, DIRECT_MAX = 8 * 1024 };

/* The decoded bytes [skip, skip + left) of a part. */
struct decoding {
    struct source source;
    struct source *raw;
    struct message_decoder decoder;
    struct buf decoded;
    uint64_t skip, left;
    bool ended; /* raw is */
};

/* Decodes until something is there to take. 0 also when the part has ended. */
static int decode_some(struct decoding *d)
{
    char raw[RAW_PIECE];
    while (!d->decoded.n && !d->ended) {
        int64_t n = d->raw->pull(d->raw, raw, sizeof raw);
        if (n < 0)
            return (int)n;
        d->ended = n == 0;
        int r = d->ended ? message_decoder_end(&d->decoder, &d->decoded)
                         : message_decoder_feed(&d->decoder, (str){ raw, (size_t)n }, &d->decoded);
        if (r < 0)
            return r;
        size_t skip = d->skip < d->decoded.n ? (size_t)d->skip : d->decoded.n;
        buf_consume(&d->decoded, skip);
        d->skip -= skip;
    }
    return 0;
}

static int64_t decoding_pull(struct source *source, char *p, size_t n)
{
    struct decoding *d = (struct decoding *)source;
    int r = d->left ? decode_some(d) : 0;
    if (r < 0)
        return r;
    n = n < d->decoded.n ? n : d->decoded.n;
    n = n < d->left ? n : (size_t)d->left;
    if (n)
        memcpy(p, d->decoded.p, n);
    buf_consume(&d->decoded, n);
    d->left -= n;
    return (int64_t)n;
}

static void decoding_close(struct source *source)
{
    struct decoding *d = (struct decoding *)source;
    d->raw->close(d->raw);
    buf_done(&d->decoded);
    free(d);
}

/* What of the message SECTION is, before decoding: the body of its part, or all of it as it is. */
static struct source *decoding_new(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                                   const struct part *part)
{
    struct decoding *d = calloc(1, sizeof *d);
    if (!d)
        panic("out of memory for a part");
    d->source = (struct source){ .pull = decoding_pull, .close = decoding_close };
    d->skip = section->partial ? section->offset : 0;
    d->left = section->partial ? section->count : UINT64_MAX;
    buf_init(&d->decoded, DECODED_MAX);
    message_decoder_init(&d->decoder, section->path_n ? imap_binary_encoding(part) : MESSAGE_ENCODING_IDENTITY);
    d->raw = section->path_n ? mail_email_source(s->account, email, part->body_offset, part->body_size)
                             : mail_email_source(s->account, email, 0, email->size);
    return &d->source;
}

/* Composite parts are not encoded, whatever they say (RFC 2045 section 6.4). */
enum message_encoding imap_binary_encoding(const struct part *part)
{
    if (part->child_n || str_eq(part->type, STR("multipart")))
        return MESSAGE_ENCODING_IDENTITY;
    return message_encoding_from_name(part->encoding);
}

/* How many bytes SECTION has, whether NUL is among them, and the bytes themselves in B as far as they fit. */
static int measure(struct source *source, struct buf *b, uint64_t *ret_n, bool *ret_nul)
{
    char piece[RAW_PIECE];
    int64_t n;
    *ret_n = 0;
    *ret_nul = false;
    while ((n = source->pull(source, piece, sizeof piece)) > 0) {
        *ret_n += (uint64_t)n;
        *ret_nul |= memchr(piece, 0, (size_t)n) != NULL;
        if (*ret_n <= DIRECT_MAX)
            buf_add(b, (str){ piece, (size_t)n });
    }
    source->close(source);
    return (int)n;
}

/* "BINARY" [".SIZE"] section-binary ["<" number ">"] */
static void write_name(struct buf *b, const struct imap_section *section)
{
    buf_add(b, section->kind == IMAP_SECTION_BINARY_SIZE ? STR("BINARY.SIZE[") : STR("BINARY["));
    for (size_t i = 0; i < section->path_n; i++) {
        if (i)
            buf_add_byte(b, '.');
        buf_add_u64(b, section->path[i]);
    }
    buf_add(b, STR("] "));
    if (!section->partial)
        return;
    buf_truncate(b, b->n - 1);
    buf_add_byte(b, '<');
    buf_add_u64(b, section->offset);
    buf_add(b, STR("> "));
}

/* nstring / literal8 = "~{" number "}" CRLF *OCTET */
void imap_fetch_binary(struct imap_session *s, const struct imap_section *section, const struct mail_email *email,
                       const struct structure *structure)
{
    const struct part *part = structure_part(structure, section->path, section->path_n);
    bool size = section->kind == IMAP_SECTION_BINARY_SIZE, nul = false;
    struct buf bytes = BUF_INIT(DIRECT_MAX), *b = &s->out;
    uint64_t n = 0;
    write_name(b, section);
    if (!part || measure(decoding_new(s, section, email, part), &bytes, &n, &nul) < 0) {
        buf_add(b, size ? STR("0") : STR("NIL"));
    } else if (size) {
        buf_add_u64(b, n);
    } else {
        buf_add(b, nul ? STR("~{") : STR("{"));
        buf_add_u64(b, n);
        buf_add(b, STR("}\r\n"));
        if (n <= DIRECT_MAX) {
            buf_add(b, buf_str(&bytes));
        } else {
            imap_out_flush(s);
            stream_write_source(s->stream, decoding_new(s, section, email, part), n);
        }
    }
    buf_done(&bytes);
}
