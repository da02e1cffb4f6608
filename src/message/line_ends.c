/* line_ends: see line_ends.h. Parts stand in the message in the order of the tree, so one walk with a cursor does. */
#include "message/line_ends.h"

bool message_has_bare_lf(str s)
{
    for (size_t lf = 0; (lf = str_find_byte(s, '\n', lf)) != s.n; lf++) {
        if (lf == 0 || s.p[lf - 1] != '\r')
            return true;
    }
    return false;
}

struct walk {
    str message;
    size_t at; /* everything before it has been put */
    void (*put)(void *ctx, str bytes);
    void *ctx;
};

/* Puts what lies before END with its line ends made whole. */
static void repair_to(struct walk *w, size_t end)
{
    while (w->at < end) {
        size_t lf = str_find_byte(str_sub(w->message, 0, end), '\n', w->at);
        w->put(w->ctx, str_sub(w->message, w->at, lf - w->at));
        if (lf < end)
            w->put(w->ctx, lf > 0 && w->message.p[lf - 1] == '\r' ? STR("\n") : STR("\r\n"));
        w->at = lf + (lf < end);
    }
}

/* The depth is bounded by structure_open. */
static void walk_part(struct walk *w, const struct part *part)
{
    bool is_multipart = str_eq(part->type, STR("multipart"));
    if (str_eq(part->encoding, STR("binary")) && !(is_multipart && part->child_n)) {
        repair_to(w, (size_t)part->body_offset);
        w->put(w->ctx, str_sub(w->message, w->at, (size_t)part->body_size));
        w->at += (size_t)part->body_size;
        return;
    }
    for (unsigned i = 0; i < part->child_n; i++)
        walk_part(w, part->children[i]);
}

void message_line_ends_repair(str message, const struct structure *structure, void (*put)(void *ctx, str bytes), void *ctx)
{
    struct walk w = { .message = message, .put = put, .ctx = ctx };
    if (structure_truncated(structure)) {
        put(ctx, message);
        return;
    }
    walk_part(&w, structure_root(structure));
    repair_to(&w, message.n);
}
