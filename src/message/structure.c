/* structure: opens the flat form (structure_private.h), trusting no byte of it.
 *
 * Invariants of what structure_open returns
 *  S1  every part lies in its parent's body, siblings in order and apart; the root is the whole message.
 *  S2  only multiparts have children, and message parts exactly one, which has an envelope; no deeper than STRUCTURE_NESTING_MAX.
 *  S3  no string holds CR, LF or NUL; types, encodings, dispositions and parameter names have no upper-case letters; type and
 *      subtype are not empty.
 *  S4  group starts and ends alternate in an address list; nothing else has an empty host. */
#include "message/structure.h"

#include "base/pack.h"
#include "message/structure_private.h"

struct structure {
    bool truncated;
    const struct part *root;
};

/* One step on the way from the root to the part being read. */
struct frame {
    struct part *part;
    const struct part **children;
    unsigned left;        /* children not read yet */
    uint64_t cursor, end; /* where the next child may begin, where all end */
};

struct reader {
    struct unpack u;
    struct arena *arena;
    bool quota;         /* the arena refused: not the bytes' fault */
    struct frame *path; /* room for STRUCTURE_NESTING_MAX + 1 where there is more than one part */
    unsigned depth;     /* frames in use */
};

static void corrupt(struct reader *r)
{
    r->u.error = ERR_CORRUPT;
    r->u.p = r->u.end;
}

static void *reader_array(struct reader *r, size_t n, size_t size)
{
    void *p = r->u.error ? NULL : arena_array(r->arena, n, size);
    if (!p && !r->u.error) {
        r->quota = true;
        corrupt(r);
    }
    return p;
}

/* The number of things of at least EACH bytes that follow. */
static unsigned read_count(struct reader *r, size_t each)
{
    return (unsigned)unpack_varint_max(&r->u, (size_t)(r->u.end - r->u.p) / each);
}

/* S3: CR, LF or NUL in S. Eight bytes at a time, since whole mailboxes are read: most strings have no control bytes at all. */
static bool has_line_end(str s)
{
    size_t i = 0;
    for (uint64_t v; s.n - i >= sizeof v; i += sizeof v) {
        memcpy(&v, s.p + i, sizeof v);
        if ((v - UINT64_C(0x2020202020202020)) & ~v & UINT64_C(0x8080808080808080))
            break;
    }
    for (; i < s.n; i++)
        if (s.p[i] == 0 || s.p[i] == '\r' || s.p[i] == '\n')
            return true;
    return false;
}

static str read_string(struct reader *r)
{
    uint64_t code = unpack_varint(&r->u);
    if (code < STRUCTURE_STRING_WORDS) {
        if (code > structure_word_n)
            corrupt(r);
        return code == 0 || code > structure_word_n ? (str){ 0 } : structure_words[code - 1];
    }
    str s = unpack_bytes(&r->u, code - STRUCTURE_STRING_WORDS);
    if (has_line_end(s))
        corrupt(r);
    return s;
}

static str read_lower(struct reader *r)
{
    str s = read_string(r);
    for (size_t i = 0; i < s.n; i++)
        if (ascii_lower(s.p[i]) != s.p[i])
            corrupt(r);
    return s;
}

static str read_type(struct reader *r)
{
    str s = read_lower(r);
    if (s.n == 0)
        corrupt(r);
    return s;
}

static unsigned read_params(struct reader *r, const struct message_param **ret)
{
    unsigned n = read_count(r, 2);
    struct message_param *list = n ? reader_array(r, n, sizeof *list) : NULL;
    for (unsigned i = 0; list && i < n && !r->u.error; i++) {
        list[i].name = read_type(r);
        list[i].value = read_string(r);
    }
    *ret = list;
    return list ? n : 0;
}

/* S4. FROM is the list that ADDRESSES_AS_FROM means, NULL where it may not stand. */
static struct message_addresses read_addresses(struct reader *r, const struct message_addresses *from)
{
    uint64_t code = unpack_varint(&r->u);
    if (code == ADDRESSES_AS_FROM && !from)
        corrupt(r);
    if (code == ADDRESSES_AS_FROM && from)
        return *from;
    if (code > (size_t)(r->u.end - r->u.p) / 4 + 1)
        corrupt(r);
    if (code == 0 || r->u.error)
        return (struct message_addresses){ 0 };
    unsigned n = (unsigned)code - 1;
    struct message_address *list = reader_array(r, n, sizeof *list);
    bool in_group = false;
    for (unsigned i = 0; list && i < n && !r->u.error; i++) {
        struct message_address *addr = &list[i];
        addr->name = read_string(r);
        addr->route = read_string(r);
        addr->mailbox = read_string(r);
        addr->host = read_string(r);
        if (addr->host.n > 0)
            continue;
        if (addr->host.p || addr->name.p || addr->route.p || (addr->mailbox.n == 0) != in_group || (in_group && addr->mailbox.p))
            corrupt(r);
        in_group = !in_group;
    }
    if (in_group)
        corrupt(r);
    return (struct message_addresses){ list, list ? n : 0 };
}

static void read_envelope(struct reader *r, struct envelope *e)
{
    uint64_t date = unpack_varint(&r->u);
    e->date_unix = INT64_MIN;
    if (date) {
        date--;
        e->date_unix = (int64_t)(date >> 1 ^ -(date & 1));
        if (e->date_unix < STRUCTURE_DATE_MIN || e->date_unix > STRUCTURE_DATE_MAX)
            corrupt(r);
    }
    e->date = read_string(r);
    e->subject = read_string(r);
    e->in_reply_to = read_string(r);
    e->message_id = read_string(r);
    e->references = read_string(r);
    e->from = read_addresses(r, NULL);
    e->sender = read_addresses(r, &e->from);
    e->reply_to = read_addresses(r, &e->from);
    e->to = read_addresses(r, NULL);
    e->cc = read_addresses(r, NULL);
    e->bcc = read_addresses(r, NULL);
}

static void read_extras(struct reader *r, struct part *p)
{
    p->id = read_string(r);
    p->description = read_string(r);
    p->md5 = read_string(r);
    p->location = read_string(r);
    p->disposition = read_lower(r);
    p->disposition_param_n = read_params(r, &p->disposition_params);
    unsigned n = read_count(r, 1);
    str *list = n ? reader_array(r, n, sizeof *list) : NULL;
    for (unsigned i = 0; list && i < n; i++)
        list[i] = read_string(r);
    p->languages = list;
    p->language_n = list ? n : 0;
}

/* S1: takes N bytes from *LEFT. */
static uint64_t read_extent(struct reader *r, uint64_t *left)
{
    uint64_t n = unpack_varint_max(&r->u, *left);
    *left -= n;
    return n;
}

/* Reads one part into P; F is its place in its parent. Returns its number of children. */
static unsigned read_part(struct reader *r, struct frame *f, struct part *p)
{
    uint64_t flags = unpack_varint_max(&r->u, PART_FLAG_NUL | PART_FLAG_8BIT | PART_FLAG_EXTRAS);
    unsigned child_n = read_count(r, PART_BYTES_MIN);
    uint64_t left = f->end - f->cursor;
    p->header_offset = f->cursor + read_extent(r, &left);
    p->header_size = read_extent(r, &left);
    p->body_offset = p->header_offset + p->header_size;
    p->body_size = read_extent(r, &left);
    p->header_lines = (uint32_t)unpack_varint_max(&r->u, p->header_size < UINT32_MAX ? p->header_size : UINT32_MAX);
    p->body_lines = (uint32_t)unpack_varint_max(&r->u, p->body_size < UINT32_MAX ? p->body_size : UINT32_MAX);
    f->cursor = p->body_offset + p->body_size;
    p->has_nul = flags & PART_FLAG_NUL;
    p->has_8bit = flags & PART_FLAG_8BIT;
    p->parent = f->part;
    p->type = read_type(r);
    p->subtype = read_type(r);
    p->encoding = read_type(r);
    p->param_n = read_params(r, &p->params);
    if (f->part && str_eq(f->part->type, STR("message"))) {
        struct envelope *e = reader_array(r, 1, sizeof *e);
        if (e)
            read_envelope(r, e);
        p->envelope = e;
    }
    if (flags & PART_FLAG_EXTRAS)
        read_extras(r, p);
    if (child_n > 0 && !str_eq(p->type, STR("multipart")) && !(str_eq(p->type, STR("message")) && child_n == 1))
        corrupt(r);
    return child_n;
}

/* Reads COUNT parts in pre-order into PARTS; CHILDREN has room for a pointer to each but the root. */
static void read_tree(struct reader *r, struct part *parts, const struct part **children, unsigned count)
{
    unsigned room = count - 1;
    for (unsigned i = 0; i < count && !r->u.error; i++) {
        while (r->depth > 0 && r->path[r->depth].left == 0)
            r->depth--;
        struct frame *f = &r->path[r->depth];
        if (f->left == 0) {
            corrupt(r);
            return;
        }
        f->left--;
        if (f->part)
            f->children[f->part->child_n - 1 - f->left] = &parts[i];
        unsigned n = read_part(r, f, &parts[i]);
        if (n == 0)
            continue;
        if (n > room || r->depth == STRUCTURE_NESTING_MAX) {
            corrupt(r);
            return;
        }
        parts[i].children = children;
        parts[i].child_n = n;
        r->path[++r->depth] = (struct frame){ .part = &parts[i],
                                              .children = children,
                                              .left = n,
                                              .cursor = parts[i].body_offset,
                                              .end = parts[i].body_offset + parts[i].body_size };
        children += n;
        room -= n;
    }
    if (room > 0)
        corrupt(r);
}

/* Version, flags and the root envelope (E NULL: not looked at); what follows is left in r->u. */
static void read_head(struct reader *r, str bytes, struct envelope *e, bool *ret_truncated)
{
    r->u = unpack_init(bytes);
    uint8_t version = unpack_u8(&r->u), flags = unpack_u8(&r->u);
    if (bytes.n > STRUCTURE_BYTES_MAX || version != STRUCTURE_VERSION || flags > STRUCTURE_FLAG_TRUNCATED)
        corrupt(r);
    *ret_truncated = flags & STRUCTURE_FLAG_TRUNCATED;
    str envelope = unpack_str(&r->u, STRUCTURE_BYTES_MAX);
    if (r->u.error || !e)
        return;
    struct unpack rest = r->u;
    r->u = unpack_init(envelope);
    read_envelope(r, e);
    if (unpack_end(&r->u))
        corrupt(r);
    else
        r->u = rest;
}

static int reader_result(const struct reader *r)
{
    if (r->u.error)
        return r->quota ? ERR_LIMIT : ERR_CORRUPT;
    return 0;
}

static int open_with(str bytes, uint64_t size, struct arena *a, struct envelope *envelope, const struct structure **ret)
{
    struct frame root = { .left = 1, .end = size };
    struct reader r = { .arena = a, .path = &root };
    struct structure *s = arena_new(a, struct structure);
    if (!s)
        return ERR_LIMIT;
    read_head(&r, bytes, envelope, &s->truncated);
    unsigned count = read_count(&r, PART_BYTES_MIN);
    if (count == 0)
        corrupt(&r);
    struct part *parts = reader_array(&r, count, sizeof *parts);
    const struct part **children = reader_array(&r, count, sizeof *children);
    if (count > 1) {
        r.path = reader_array(&r, STRUCTURE_NESTING_MAX + 1, sizeof *r.path);
        if (r.path)
            r.path[0] = root;
    }
    if (parts && children && r.path)
        read_tree(&r, parts, children, count);
    if (!r.u.error && (unpack_end(&r.u) || parts[0].header_offset != 0 || r.path[0].cursor != size))
        corrupt(&r);
    int result = reader_result(&r);
    if (result)
        return result;
    parts[0].envelope = envelope;
    s->root = parts;
    *ret = s;
    return 0;
}

int structure_open(str bytes, uint64_t size, struct arena *a, const struct structure **ret)
{
    struct envelope *envelope = arena_new(a, struct envelope);
    return envelope ? open_with(bytes, size, a, envelope, ret) : ERR_LIMIT;
}

int structure_open_parts(str bytes, uint64_t size, struct arena *a, const struct structure **ret)
{
    return open_with(bytes, size, a, NULL, ret);
}

int structure_envelope(str bytes, struct arena *a, const struct envelope **ret)
{
    struct reader r = { .arena = a };
    struct envelope *envelope = arena_new(a, struct envelope);
    if (!envelope)
        return ERR_LIMIT;
    bool truncated;
    read_head(&r, bytes, envelope, &truncated);
    int result = reader_result(&r);
    if (!result)
        *ret = envelope;
    return result;
}

const struct part *structure_root(const struct structure *s)
{
    return s->root;
}

bool structure_truncated(const struct structure *s)
{
    return s->truncated;
}

bool structure_is_truncated(str bytes)
{
    return bytes.n > 1 && bytes.p[1] & STRUCTURE_FLAG_TRUNCATED;
}

/* RFC 3501 section 6.4.5: a part that is no multipart has itself as part 1, at the top of a message only. So has a multipart in
 * which no part was found, wherever it is: it must have one. */
const struct part *structure_part(const struct structure *s, const uint32_t *path, size_t n)
{
    const struct part *p = s->root;
    bool itself = false;
    for (size_t i = 0; i < n; i++) {
        bool top = i == 0; /* P is the root of a message */
        bool empty = !p->child_n && str_eq(p->type, STR("multipart"));
        if (!top && p->child_n > 0 && str_eq(p->type, STR("message"))) {
            p = p->children[0];
            top = true;
        }
        if (p->child_n > 0 && str_eq(p->type, STR("multipart"))) {
            if (path[i] == 0 || path[i] > p->child_n)
                return NULL;
            p = p->children[path[i] - 1];
        } else if (itself || (!top && !empty) || path[i] != 1) {
            return NULL;
        } else {
            itself = empty;
        }
    }
    return p;
}
