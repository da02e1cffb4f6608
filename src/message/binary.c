/* binary: see binary.h. Parts stand in the message in the order of the tree, so one walk with a cursor copies what lies between
 * the bodies that change. */
#include "message/binary.h"

#include "message/encoding.h"
#include "message/header.h"

enum { LINE_MAX_BYTES = 998, PIECE = 57 * 512 };

/* Whether S is lines of at most LINE_MAX bytes; the last needs no end. */
static bool is_lines(str s, size_t line_max)
{
    size_t start = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\0' || c == '\n' || (c == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')))
            return false;
        if (i - start >= line_max && c != '\r')
            return false;
        if (c == '\r')
            start = ++i + 1;
    }
    return true;
}

bool message_text_is(str s, enum message_text kind)
{
    return kind == MESSAGE_TEXT_NO_NUL ? str_find_byte(s, '\0', 0) == s.n : is_lines(s, LINE_MAX_BYTES);
}

struct walk {
    str message;
    enum message_text kind;
    size_t at; /* everything before it has been put */
    void (*put)(void *ctx, str bytes);
    void *ctx;
};

/* Whether S, which nobody can encode, may stay as it is: its lines may be of any length. */
static bool may_stay(const struct walk *w, str s)
{
    return w->kind == MESSAGE_TEXT_LINES ? is_lines(s, SIZE_MAX) : message_text_is(s, w->kind);
}

/* Puts what lies before END as it is. */
static int copy_to(struct walk *w, size_t end)
{
    str s = str_sub(w->message, w->at, end - w->at);
    if (!may_stay(w, s))
        return ERR_SYNTAX;
    w->put(w->ctx, s);
    w->at = end;
    return 0;
}

/* The header of PART with another Content-Transfer-Encoding. */
static int put_header(struct walk *w, const struct part *part)
{
    int r = copy_to(w, (size_t)part->header_offset);
    str header = str_sub(w->message, w->at, (size_t)part->header_size);
    size_t at = 0;
    bool has_version = part->parent != NULL; /* RFC 2045 section 4: the message's own header says it */
    struct message_header_field f;
    if (r || !may_stay(w, header))
        return ERR_SYNTAX;
    while (message_header_next(header, &at, &f)) {
        has_version = has_version || str_ieq(f.name, STR("MIME-Version"));
        if (!str_ieq(f.name, STR("Content-Transfer-Encoding")))
            w->put(w->ctx, str_sub(header, f.offset, f.size));
    }
    if (at == header.n) /* no empty line: there is no body then, or it is not where a header can grow */
        return ERR_SYNTAX;
    if (!has_version)
        w->put(w->ctx, STR("MIME-Version: 1.0\r\n"));
    w->put(w->ctx, STR("Content-Transfer-Encoding: base64\r\n"));
    w->put(w->ctx, str_from(header, at));
    w->at += header.n;
    return 0;
}

static bool is_signed(const struct part *part)
{
    for (; part; part = part->parent)
        if (str_eq(part->type, STR("multipart")) && str_eq(part->subtype, STR("signed")))
            return true;
    return false;
}

/* RFC 2045 section 6.4: a multipart or message is never encoded itself, though one may be a leaf here when the tree was cut. */
static bool may_be_encoded(const struct part *part)
{
    return message_encoding_from_name(part->encoding) == MESSAGE_ENCODING_IDENTITY && !str_eq(part->type, STR("multipart")) &&
           !str_eq(part->type, STR("message"));
}

static int encode_leaf(struct walk *w, const struct part *part)
{
    str body = str_sub(w->message, (size_t)part->body_offset, (size_t)part->body_size);
    if (message_text_is(body, w->kind))
        return 0; /* copied with what follows */
    if (!may_be_encoded(part))
        return ERR_SYNTAX;
    if (is_signed(part))
        return ERR_REFUSED;
    int r = put_header(w, part);
    struct buf out = BUF_INIT(2 * PIECE);
    for (size_t at = 0; r == 0 && at < body.n; at += PIECE) {
        buf_reset(&out);
        message_base64_encode(&out, str_sub(body, at, PIECE));
        require(!buf_error(&out));
        w->put(w->ctx, buf_str(&out));
    }
    buf_done(&out);
    w->at += body.n;
    return r;
}

/* The depth is bounded by structure_open. */
static int walk_part(struct walk *w, const struct part *part)
{
    int r = part->child_n ? 0 : encode_leaf(w, part);
    for (unsigned i = 0; i < part->child_n && r == 0; i++)
        r = walk_part(w, part->children[i]);
    return r;
}

int message_binary_encode(str message, const struct structure *structure, enum message_text kind,
                          void (*put)(void *ctx, str bytes), void *ctx)
{
    struct walk w = { .message = message, .kind = kind, .put = put, .ctx = ctx };
    /* A tree that was cut does not tell where all bodies end. */
    int r = structure_truncated(structure) ? 0 : walk_part(&w, structure_root(structure));
    return r ? r : copy_to(&w, message.n);
}

static void put_nowhere(void *ctx, str bytes)
{
    (void)ctx;
    (void)bytes;
}

void message_nul_repair(str message, const struct structure *structure, void (*put)(void *ctx, str bytes), void *ctx)
{
    if (message_binary_encode(message, structure, MESSAGE_TEXT_NO_NUL, put_nowhere, NULL) == 0) {
        require(message_binary_encode(message, structure, MESSAGE_TEXT_NO_NUL, put, ctx) == 0);
        return;
    }
    while (message.n) {
        size_t n = str_find_byte(message, '\0', 0);
        put(ctx, str_sub(message, 0, n));
        if (n < message.n)
            put(ctx, STR("?"));
        message = str_from(message, n + 1);
    }
}
