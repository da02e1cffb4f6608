/* Fuzzes structure_open with what a hostile process may send: 4 bytes of message size, then the flat form. What opens must keep
 * the promises that its readers rely on. */
#include "message/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(str s)
{
    for (size_t i = 0; i < s.n; i++)
        require(s.p[i] != 0 && s.p[i] != '\r' && s.p[i] != '\n');
}

static void check_addresses(const struct message_addresses *l)
{
    bool in_group = false;
    for (unsigned i = 0; i < l->n; i++) {
        const struct message_address *a = &l->list[i];
        check_text(a->name);
        check_text(a->mailbox);
        check_text(a->host);
        if (a->host.n)
            continue;
        require((a->mailbox.p == NULL) == in_group);
        in_group = !in_group;
    }
    require(!in_group);
}

static void check_envelope(const struct envelope *e)
{
    const struct message_addresses *lists[] = { &e->from, &e->sender, &e->reply_to, &e->to, &e->cc, &e->bcc };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        check_addresses(lists[i]);
    check_text(e->date);
    check_text(e->subject);
    check_text(e->in_reply_to);
    check_text(e->message_id);
    check_text(e->references);
}

static void walk(const struct part *p, unsigned depth)
{
    uint64_t at = p->body_offset;
    require(depth <= 64 && p->type.n && p->subtype.n && p->encoding.n);
    require(p->child_n == 0 || str_eq(p->type, STR("multipart")) || (str_eq(p->type, STR("message")) && p->child_n == 1));
    require((p->envelope != NULL) == (!p->parent || str_eq(p->parent->type, STR("message"))));
    if (p->envelope)
        check_envelope(p->envelope);
    for (unsigned i = 0; i < p->param_n; i++)
        check_text(p->params[i].value);
    for (unsigned i = 0; i < p->disposition_param_n; i++)
        check_text(p->disposition_params[i].value);
    for (unsigned i = 0; i < p->language_n; i++)
        check_text(p->languages[i]);
    for (unsigned i = 0; i < p->child_n; i++) {
        require(p->children[i]->parent == p && p->children[i]->header_offset >= at);
        at = p->children[i]->body_offset + p->children[i]->body_size;
        require(at <= p->body_offset + p->body_size);
        walk(p->children[i], depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    uint64_t message_size = (uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16 | (uint64_t)data[3] << 24;
    str flat = { (const char *)data + 4, size - 4 };
    struct arena a = ARENA_INIT(16 << 20);
    const struct structure *s;
    const struct envelope *e;
    int r = structure_open(flat, message_size, &a, &s);
    require(r == 0 || r == ERR_CORRUPT);
    if (r == 0) {
        const struct part *root = structure_root(s);
        require(root->header_offset == 0 && root->body_offset + root->body_size == message_size);
        walk(root, 0);
        require(structure_envelope(flat, &a, &e) == 0);
        require(structure_open_parts(flat, message_size, &a, &s) == 0 && !structure_root(s)->envelope);
    } else if (structure_open_parts(flat, message_size, &a, &s) == 0) { /* the envelope alone is damaged */
        require(structure_envelope(flat, &a, &e) == ERR_CORRUPT);
    } else if (structure_envelope(flat, &a, &e) == 0) {
        check_envelope(e);
    }
    arena_done(&a);
    return 0;
}
