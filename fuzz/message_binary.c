/* message_binary: any bytes are refused or made into what was asked for, in the same tree, and every body decodes to what it was. */
#include "message/binary.h"
#include "message/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(void *ctx, str bytes)
{
    buf_add(ctx, bytes);
}

static const struct structure *parse(str message, struct buf *bytes, struct arena *a)
{
    const struct structure *s;
    require(message_parse(message, &message_limits_default, bytes) == 0);
    require(structure_open(buf_str(bytes), message.n, a, &s) == 0);
    return s;
}

static void compare(const struct part *a, str before, const struct part *b, str after)
{
    require(a->child_n == b->child_n);
    for (unsigned i = 0; i < a->child_n; i++)
        compare(a->children[i], before, b->children[i], after);
    if (a->child_n)
        return;
    str was = str_sub(before, a->body_offset, a->body_size), is = str_sub(after, b->body_offset, b->body_size);
    struct buf out = BUF_INIT(is.n);
    if (!str_eq(was, is)) {
        require(str_eq(b->encoding, STR("base64")) && message_decode(MESSAGE_ENCODING_BASE64, is, &out) == 0);
        require(str_eq(buf_str(&out), was));
    }
    buf_done(&out);
}

static void check(str message, enum message_text kind)
{
    struct buf bytes = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20), out = BUF_INIT(message.n * 4 + (1 << 20));
    struct arena a = ARENA_INIT(4 << 20);
    const struct structure *s = parse(message, &bytes, &a);
    if (message_binary_encode(message, s, kind, put, &out) == 0) {
        const struct structure *t = parse(buf_str(&out), &again, &a);
        require(message_text_is(buf_str(&out), MESSAGE_TEXT_NO_NUL));
        if (!structure_truncated(s) && !structure_truncated(t))
            compare(structure_root(s), message, structure_root(t), buf_str(&out));
    }
    arena_done(&a);
    buf_done(&bytes);
    buf_done(&again);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str message = { (const char *)data, size };
    check(message, MESSAGE_TEXT_NO_NUL);
    check(message, MESSAGE_TEXT_LINES);
    return 0;
}
