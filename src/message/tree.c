/* tree: finds the parts of a message (RFC 2046 section 5) in one pass over its lines.
 *
 * The nodes from the root to the innermost one that is still open form a path. Each line that begins with "--" is compared with
 * the boundaries of the multiparts on that path; everything else is skipped by memchr. Line ends, NUL and 8-bit bytes are counted
 * once, by position, and each body takes the difference, so that nesting costs nothing.
 *
 * Invariants
 *  T1  at is the start of a line, or the end of the message; lines is the number of line ends before it.
 *  T2  a node's body begins after its header and ends within its parent's body; siblings follow each other.
 *  T3  segments, the ranges searched for NUL and 8-bit bytes, never straddle the start or end of a body.
 *
 * Decisions
 *  - A delimiter is a line that begins with "--", boundary, perhaps "--"; whatever follows is ignored (RFC 2046 section 5.1.1: "an exact
 *    match of the entire candidate line is not required"). Of boundaries that begin alike the longest that fits wins, of equal ones
 *    the innermost that is not closed.
 *  - A multipart that closed is open for its epilogue only: its boundary delimits nothing any more, but still wins over a shorter one
 *    around it, so that what repeats it in the epilogue does not end a part further out.
 *  - A delimiter inside a header ends that header.
 *  - message/rfc822 in base64 or quoted-printable, which RFC 2046 section 5.2.1 forbids, is a leaf. */
#include "message/header.h"
#include "message/mime.h"
#include "message/structure_private.h"

struct builder {
    str m;
    const struct message_limits *limits;
    struct arena *arena;
    struct arena scratch;
    struct message_tree *tree;
    struct message_node *open; /* innermost */
    size_t at;
    uint64_t lines;
    size_t segment;                /* start of what was not searched for NUL and 8-bit bytes yet */
    size_t nul_after, eight_after; /* start + 1 of the last segment that has one; 0 for none */
    bool splitting;                /* delimiters are looked for */
    unsigned nesting_max;
};

static bool has_8bit(const char *p, size_t n)
{
    uint64_t all = 0, w[4];
    for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
        memcpy(w, p, sizeof w);
        all |= w[0] | w[1] | w[2] | w[3];
    }
    unsigned char rest = 0;
    for (; n; p++, n--)
        rest |= (unsigned char)*p;
    return (all & UINT64_C(0x8080808080808080)) || (rest & 0x80);
}

/* Ends a segment at TO (T3). Works in pieces that stay in the cache. */
static void segment_end(struct builder *b, size_t to)
{
    enum { PIECE = 65536 };
    bool nul = false, eight = false;
    for (size_t at = b->segment; at < to && !(nul && eight); at += PIECE) {
        str piece = str_sub(b->m, at, to - at < PIECE ? to - at : PIECE);
        nul = nul || memchr(piece.p, 0, piece.n);
        eight = eight || has_8bit(piece.p, piece.n);
    }
    if (nul)
        b->nul_after = b->segment + 1;
    if (eight)
        b->eight_after = b->segment + 1;
    b->segment = to;
}

/* Moves behind the line at b->at (T1). */
static void line_skip(struct builder *b)
{
    const char *lf = memchr(b->m.p + b->at, '\n', b->m.n - b->at);
    b->lines += lf ? 1 : 0;
    b->at = lf ? (size_t)(lf - b->m.p) + 1 : b->m.n;
}

/* The multipart that the line at b->at delimits, or NULL. */
static struct message_node *delimiter(const struct builder *b, bool *ret_close)
{
    const char *p = b->m.p + b->at, *end = b->m.p + b->m.n;
    struct message_node *best = NULL;
    if (!b->splitting || end - p < 3 || p[0] != '-' || p[1] != '-')
        return NULL;
    p += 2;
    for (struct message_node *n = b->open; n; n = n->parent) {
        size_t len = n->boundary.n;
        if (!n->multipart || (size_t)(end - p) < len || memcmp(p, n->boundary.p, len) != 0)
            continue;
        if (!best || len > best->boundary.n || (len == best->boundary.n && best->closed))
            best = n;
    }
    if (!best || best->closed)
        return NULL;
    const char *rest = p + best->boundary.n;
    *ret_close = end - rest >= 2 && rest[0] == '-' && rest[1] == '-';
    return best;
}

/* The next delimiter from b->at on; b->at is at its line, or at the end when there is none. */
static struct message_node *next_delimiter(struct builder *b, bool *ret_close)
{
    struct message_node *n = NULL;
    while (b->at < b->m.n && !(n = delimiter(b, ret_close)))
        line_skip(b);
    return n;
}

/* Skips the header: up to and with the empty line, or up to a delimiter or the end. */
static void header_skip(struct builder *b, struct message_node *node)
{
    uint64_t lines = b->lines;
    bool last = false, close;
    while (b->at < b->m.n && !last && !delimiter(b, &close)) {
        const char *p = b->m.p + b->at;
        last = p[0] == '\n' || (p[0] == '\r' && b->m.n - b->at > 1 && p[1] == '\n');
        line_skip(b);
    }
    node->header_size = b->at - node->header_offset;
    node->header_lines = b->lines - lines;
}

static str keep(struct builder *b, str s)
{
    str copy;
    int r = arena_dup(b->arena, s, &copy);
    require(r == 0);
    return copy;
}

/* RFC 2046 section 5.1.5: in a digest a part without a type is a message. */
static bool type_is_default_message(const struct message_node *node)
{
    return node->parent && !node->is_message && str_eq(node->parent->type, STR("multipart")) &&
           str_eq(node->parent->subtype, STR("digest"));
}

static void node_classify(struct builder *b, struct message_node *node)
{
    struct message_part_header h;
    message_part_header_collect(str_sub(b->m, node->header_offset, node->header_size), b->limits, &h);
    b->tree->truncated |= h.truncated;
    struct message_content_type ct = { .type = STR_INIT("text"), .subtype = STR_INIT("plain") };
    str encoding = { 0 };
    arena_reset(&b->scratch);
    if (h.content_type.p && message_content_type_parse(h.content_type, b->limits, &b->scratch, &ct, &b->tree->truncated))
        panic("a content type exceeded an arena without quota");
    if (h.encoding.p && message_token_parse(h.encoding, &b->scratch, &encoding))
        panic("an encoding exceeded an arena without quota");
    if (!h.content_type.p && type_is_default_message(node)) {
        ct.type = STR("message");
        ct.subtype = STR("rfc822");
    }
    node->type = keep(b, ct.type);
    node->subtype = keep(b, ct.subtype);
    struct buf boundary = BUF_INIT(b->limits->value_max);
    const struct message_param *param = message_param_find(ct.params.list, ct.params.n, STR("boundary"));
    if (param && str_eq(ct.type, STR("multipart")))
        message_param_text(param, &boundary);
    bool multipart = boundary.n > 0;
    bool embeds = str_eq(ct.type, STR("message")) && (str_eq(ct.subtype, STR("rfc822")) || str_eq(ct.subtype, STR("global"))) &&
                  !str_eq(encoding, STR("base64")) && !str_eq(encoding, STR("quoted-printable"));
    if ((multipart || embeds) && node->depth >= b->nesting_max) {
        b->tree->truncated = true;
    } else {
        node->embeds = embeds;
        if (multipart) /* trailing white space is no part of a boundary: RFC 2046 section 5.1.1 */
            node->boundary = keep(b, str_trim(buf_str(&boundary)));
        node->multipart = node->boundary.n > 0;
    }
    buf_done(&boundary);
}

/* Begins a part at b->at as the last child of PARENT (NULL: the root); b->at is then the start of its body. */
static void node_begin(struct builder *b, struct message_node *parent)
{
    struct message_node *node = arena_new(b->arena, struct message_node);
    require(node);
    node->parent = parent;
    node->depth = parent ? parent->depth + 1 : 0;
    node->is_message = !parent || parent->embeds;
    node->header_offset = b->at;
    if (!parent)
        b->tree->root = node;
    else if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    if (parent) {
        parent->last = node;
        parent->child_n++;
    }
    b->tree->n++;
    header_skip(b, node);
    node_classify(b, node);
    segment_end(b, b->at);
    node->lines_before_body = b->lines;
    b->open = node;
}

/* Ends all open nodes inside STOP (NULL: all) where the line at b->at begins. The line end before a delimiter belongs to the
 * delimiter (RFC 2046 section 5.1.1), unless a header needs it. */
static void nodes_end(struct builder *b, const struct message_node *stop, bool at_delimiter)
{
    uint64_t end = b->at, lines = b->lines;
    segment_end(b, b->at);
    if (at_delimiter && end > 0 && b->m.p[end - 1] == '\n') {
        end--;
        lines--;
        if (end > 0 && b->m.p[end - 1] == '\r')
            end--;
    }
    for (struct message_node *n = b->open; n != stop; n = n->parent) {
        uint64_t body = message_node_body(n);
        if (end < body) { /* T2: and then the nodes around it end no earlier */
            end = body;
            lines = n->lines_before_body;
        }
        n->body_size = end - body;
        n->body_lines = lines - n->lines_before_body;
        n->has_nul = b->nul_after > body;
        n->has_8bit = b->eight_after > body;
        b->open = n->parent;
    }
}

/* Begins the messages that begin here because the part around them is nothing but a message. */
static void embedded_begin(struct builder *b)
{
    while (b->open->embeds && b->open->child_n == 0) {
        if (b->tree->n >= b->limits->parts_max) {
            b->tree->truncated = true;
            return;
        }
        node_begin(b, b->open);
    }
}

void message_tree_build(str message, const struct message_limits *limits, struct arena *a, struct message_tree *ret)
{
    *ret = (struct message_tree){ 0 };
    struct builder b = {
        .m = message, .limits = limits, .arena = a, .scratch = ARENA_INIT(SIZE_MAX), .tree = ret, .splitting = true
    };
    b.nesting_max = limits->nesting_max < STRUCTURE_NESTING_MAX ? limits->nesting_max : STRUCTURE_NESTING_MAX;
    if (!b.m.p)
        b.m.p = "";
    node_begin(&b, NULL);
    embedded_begin(&b);
    bool close = false;
    for (struct message_node *n; (n = next_delimiter(&b, &close));) {
        if (!close && ret->n >= limits->parts_max) { /* what follows belongs to the last part */
            ret->truncated = true;
            b.splitting = false;
            continue;
        }
        nodes_end(&b, n, true);
        line_skip(&b);
        segment_end(&b, b.at);
        if (close) {
            n->closed = true;
        } else {
            node_begin(&b, n);
            embedded_begin(&b);
        }
    }
    nodes_end(&b, NULL, false);
    arena_done(&b.scratch);
}
