/* whole: what libconfuse takes without a word at the end of a file, though it is surely cut or mistyped: a section, a text or a comment that nobody
 * closes. What follows in the file would be part of it. */
#include "config/config_private.h"

enum { DEPTH_MAX = 8 };

struct place {
    str rest;
    int line;
};

static void step(struct place *p, size_t n)
{
    for (size_t i = 0; i < n && p->rest.n; i++) {
        p->line += p->rest.p[0] == '\n';
        p->rest = str_from(p->rest, 1);
    }
}

/* Passes over the text in quotes, or the comment, that begins at P; false when it does not end. */
static bool pass_over(struct place *p)
{
    char first = p->rest.p[0];
    if (first == '"' || first == '\'') {
        step(p, 1);
        while (p->rest.n && p->rest.p[0] != first)
            step(p, p->rest.p[0] == '\\' ? 2 : 1);
        bool closed = p->rest.n > 0;
        step(p, 1);
        return closed;
    }
    if (first == '#' || str_starts(p->rest, STR("//"))) {
        step(p, str_find_byte(p->rest, '\n', 0));
        return true;
    }
    step(p, 2); /* slash and star */
    while (p->rest.n && !str_starts(p->rest, STR("*/")))
        step(p, 1);
    bool closed = p->rest.n > 0;
    step(p, 2);
    return closed;
}

int config_check_whole(str text, const char *name, struct error *e)
{
    struct place p = { text, 1 };
    int opened[DEPTH_MAX];
    size_t depth = 0;
    while (p.rest.n) {
        char c = p.rest.p[0];
        int line = p.line;
        bool comment = c == '#' || str_starts(p.rest, STR("//")) || str_starts(p.rest, STR("/*"));
        if (comment || c == '"' || c == '\'') {
            if (!pass_over(&p))
                return error_set(e, ERR_SYNTAX, "%s:%d: a %s begins here and does not end; close it with %s", name, line,
                                 comment ? "comment" : "text in quotes",
                                 comment    ? "*/"
                                 : c == '"' ? "\""
                                            : "'");
            continue;
        }
        if (c == '{' && depth < DEPTH_MAX)
            opened[depth++] = line;
        else if (c == '}' && depth)
            depth--;
        step(&p, 1);
    }
    return depth ? error_set(e, ERR_SYNTAX, "%s:%d: a section or a list begins here and does not end; close it with }", name,
                             opened[depth - 1])
                 : 0;
}
