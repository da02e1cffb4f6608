/* parse: message_parse, from bytes to the flat form.
 *
 * A structure that would be too large is written again with less in it, then with fewer parts: in this order, because finding
 * one's way in a message matters more than its thousandth recipient. Each step is a constant factor at most, so time stays
 * linear. */
#include "message/structure_private.h"

const struct message_limits message_limits_default = {
    .nesting_max = 32,
    .parts_max = 1000,
    .headers_max = 100000,
    .header_bytes_max = 4 * 1024 * 1024,
    .params_max = 64,
    .addresses_max = 1000,
    .value_max = 8 * 1024,
    .structure_max = STRUCTURE_BYTES_MAX,
};

static const struct trim {
    unsigned value_max, addresses_max, params_max;
    bool extras;
} trims[] = {
    { UINT32_MAX, UINT32_MAX, UINT32_MAX, true },
    { 1000, 200, 16, true },
    { 200, 40, 8, true },
    { 64, 8, 4, true },
    { 24, 1, 0, false },
};

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool write_trimmed(const struct message_tree *tree, str message, const struct message_limits *limits, struct buf *out)
{
    for (size_t i = 0; i < sizeof trims / sizeof *trims; i++) {
        struct message_limits less = *limits;
        less.value_max = least(limits->value_max, trims[i].value_max);
        less.addresses_max = least(limits->addresses_max, trims[i].addresses_max);
        less.params_max = least(limits->params_max, trims[i].params_max);
        buf_reset(out);
        if (structure_write(tree, message, &less, trims[i].extras, out)) {
            if (i > 0)
                out->p[1] |= STRUCTURE_FLAG_TRUNCATED;
            return true;
        }
    }
    return false;
}

int message_parse(str message, const struct message_limits *limits, struct buf *out)
{
    struct message_limits use = *limits;
    use.structure_max = least(use.structure_max, STRUCTURE_BYTES_MAX);
    if (use.structure_max < STRUCTURE_BYTES_MIN)
        use.structure_max = STRUCTURE_BYTES_MIN;
    if (use.value_max < 24) /* the names of types must stay what they are */
        use.value_max = 24;
    if (out->error || out->n > out->max || out->max - out->n < use.structure_max)
        return ERR_LIMIT;
    struct buf flat = BUF_INIT(use.structure_max);
    struct arena arena = ARENA_INIT(SIZE_MAX);
    bool done = false;
    while (!done) {
        struct message_tree tree;
        arena_reset(&arena);
        message_tree_build(message, &use, &arena, &tree);
        done = write_trimmed(&tree, message, &use, &flat);
        require(done || tree.n > 1); /* STRUCTURE_BYTES_MIN holds a root */
        use.parts_max = tree.n / 2;
    }
    buf_add(out, buf_str(&flat));
    buf_done(&flat);
    arena_done(&arena);
    return buf_error(out);
}
