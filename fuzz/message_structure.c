/* Fuzzes message_parse with whole messages. The result must open, be the same twice, and keep what structure.h promises; small
 * limits must hold too. Bodies are decoded by their encoding. */
#include "message/encoding.h"
#include "message/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned walk(const struct part *p, str message, unsigned depth)
{
    unsigned n = 1;
    uint64_t at = p->body_offset;
    require(depth <= 64 && p->type.n && p->subtype.n && p->encoding.n);
    require(p->body_offset + p->body_size <= message.n);
    require((p->envelope != NULL) == (!p->parent || str_eq(p->parent->type, STR("message"))));
    str body = str_sub(message, p->body_offset, p->body_size);
    bool nul = body.n && memchr(body.p, 0, body.n), eight = false;
    uint32_t lines = 0;
    for (size_t i = 0; i < body.n; i++) {
        lines += body.p[i] == '\n';
        eight |= (unsigned char)body.p[i] >= 0x80;
    }
    require(nul == p->has_nul && eight == p->has_8bit && lines == p->body_lines);
    if (p->child_n == 0) {
        struct buf out = BUF_INIT(body.n); /* decoding never grows */
        require(message_decode(message_encoding_from_name(p->encoding), body, &out) == 0);
        buf_done(&out);
    }
    for (unsigned i = 0; i < p->child_n; i++) {
        require(p->children[i]->parent == p && p->children[i]->header_offset >= at);
        at = p->children[i]->body_offset + p->children[i]->body_size;
        require(at <= p->body_offset + p->body_size);
        n += walk(p->children[i], message, depth + 1);
    }
    return n;
}

static void check(str message, const struct message_limits *limits)
{
    struct buf flat = BUF_INIT(limits->structure_max), again = BUF_INIT(limits->structure_max);
    require(message_parse(message, limits, &flat) == 0 && message_parse(message, limits, &again) == 0);
    require(str_eq(buf_str(&flat), buf_str(&again)));
    struct arena a = ARENA_INIT(16 << 20);
    const struct structure *s;
    const struct envelope *e;
    require(structure_open(buf_str(&flat), message.n, &a, &s) == 0);
    require(structure_envelope(buf_str(&flat), &a, &e) == 0);
    const struct envelope *root = structure_root(s)->envelope;
    require(str_eq(e->subject, root->subject) && e->from.n == root->from.n && e->date_unix == root->date_unix);
    require(walk(structure_root(s), message, 0) <= (limits->parts_max ? limits->parts_max : 1));
    require(structure_part(s, NULL, 0) == structure_root(s));
    arena_done(&a);
    buf_done(&flat);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct message_limits small = { .nesting_max = 2,
                                                 .parts_max = 4,
                                                 .headers_max = 8,
                                                 .header_bytes_max = 200,
                                                 .params_max = 2,
                                                 .addresses_max = 3,
                                                 .value_max = 30,
                                                 .structure_max = 1024 };
    str message = { (const char *)data, size };
    check(message, &message_limits_default);
    check(message, &small);
    return 0;
}
