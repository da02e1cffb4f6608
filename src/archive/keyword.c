/* keyword: see keyword.h. */
#include "archive/keyword.h"

#include "imap/utf7.h"

static bool is_atom_byte(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("(){%*\"\\]", c);
}

static bool is_atom(str name)
{
    bool good = name.n <= MAIL_KEYWORD_BYTES_MAX;
    for (size_t i = 0; i < name.n; i++)
        good = good && is_atom_byte((unsigned char)name.p[i]);
    return good;
}

int keyword_list_add(struct keyword_list *l, str name)
{
    struct buf b = BUF_INIT(4 * MAIL_NAME_MAX);
    name = str_trim(name);
    if (is_atom(name))
        buf_add(&b, name);
    else
        imap_utf7_encode(&b, str_sub(name, 0, MAIL_NAME_MAX));
    str made = str_sub(buf_str(&b), 0, MAIL_KEYWORD_BYTES_MAX), kept;
    for (size_t i = 0; i < made.n; i++)
        if (!is_atom_byte((unsigned char)b.p[i]))
            b.p[i] = '_';
    int err = 0;
    bool there = made.n == 0;
    for (size_t i = 0; i < l->n; i++)
        there = there || str_ieq(l->names[i], made);
    if (!there && l->n == MAIL_KEYWORDS_MAX)
        l->lost++;
    else if (!there && (err = arena_dup(l->arena, made, &kept)) == 0)
        l->names[l->n++] = kept;
    buf_done(&b);
    return err;
}

int keyword_list_add_words(struct keyword_list *l, str text)
{
    int err = 0;
    size_t from = 0;
    for (size_t i = 0; i <= text.n && err == 0; i++)
        if (i == text.n || text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\r' || text.p[i] == '\n') {
            err = i > from ? keyword_list_add(l, str_sub(text, from, i - from)) : 0;
            from = i + 1;
        }
    return err;
}

int keyword_list_flags(const struct keyword_list *l, uint64_t system, struct mail_flags *ret)
{
    str *names = arena_array(l->arena, l->n, sizeof *names);
    if (!names)
        return ERR_LIMIT;
    for (size_t i = 0; i < l->n; i++)
        names[i] = l->names[i];
    *ret = (struct mail_flags){ .system = system, .keywords = names, .keyword_n = l->n };
    return 0;
}
