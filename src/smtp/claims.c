/* claims: see claims.h. */
#include "smtp/claims.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/scan.h"
#include "directory/directory.h"

enum { NAME_MAX_BYTES = 1024, ARENA_MAX = 16384 };

void smtp_claims_init(struct smtp_claims *c, str hostname, const str *recipients, size_t recipient_n)
{
    *c = (struct smtp_claims){ .hostname = hostname, .recipients = recipients, .recipient_n = recipient_n };
    map_init(&c->names);
}

void smtp_claims_done(struct smtp_claims *c)
{
    map_done(&c->names);
}

/* NAME in its canonical form: as a domain where it is one, else its letters folded. */
static str canonical(str name, struct arena *a)
{
    str ret;
    while (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (directory_canonical_domain(name, a, &ret, NULL) == 0)
        return ret;
    if (arena_dup(a, str_sub(name, 0, NAME_MAX_BYTES), &ret) != 0)
        return STR("");
    for (char *p = (char *)(uintptr_t)ret.p; p < ret.p + ret.n; p++)
        *p = ascii_lower(*p);
    return ret;
}

static void add_name(struct smtp_claims *c, str name)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    str key = canonical(name, &a);
    if (key.n)
        (void)map_put(&c->names, key, c);
    arena_done(&a);
}

static void make_names(struct smtp_claims *c)
{
    str above = c->hostname, last = { 0 };
    c->is_made = true;
    for (size_t dot; above.n; above = str_from(above, dot + 1)) {
        dot = str_find_byte(above, '.', 0);
        if (dot == above.n && above.n != c->hostname.n) /* a top-level domain is nobody's name */
            break;
        add_name(c, above);
    }
    for (size_t i = 0; i < c->recipient_n; i++) {
        str domain = str_from(c->recipients[i], str_rfind_byte(c->recipients[i], '@') + 1);
        if (!str_eq(domain, last))
            add_name(c, domain);
        last = domain;
    }
}

/* Moves behind a comment (RFC 5322 section 3.2.2), or to the end when it is not closed. */
static void skip_comment(struct scan *s)
{
    size_t depth = 0;
    while (!scan_done(s)) {
        char c = *s->p++;
        if (c == '\\' && !scan_done(s))
            s->p++;
        depth += c == '(';
        if (c == ')' && --depth == 0)
            return;
    }
}

/* The next word before the first ";": a token, or a quoted string without its quotes. Comments are nothing. False when there is none. */
static bool next_word(struct scan *s, struct buf *out)
{
    bool in_quotes = false, any = false;
    buf_reset(out);
    for (; !scan_done(s); s->p++) {
        char c = *s->p;
        bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!in_quotes && c == ';')
            break;
        if (!in_quotes && c == '(') {
            if (any)
                break;
            skip_comment(s);
            s->p--; /* the loop steps on */
            continue;
        }
        if (!in_quotes && is_space && any)
            break;
        if (c == '"') {
            in_quotes = !in_quotes;
            any = true;
        } else if (!is_space || in_quotes) {
            if (c == '\\' && in_quotes && scan_left(s) > 1)
                c = *++s->p;
            if (c != '\r' && c != '\n' && out->n < NAME_MAX_BYTES)
                buf_add_byte(out, c);
            any = true;
        }
    }
    if (in_quotes) /* never closed: no word */
        buf_reset(out);
    return any;
}

/* RFC 8601 section 2.2: [CFWS] authserv-id [CFWS version]. Every word before the ";" is looked at, for readers that are not exact. A field
 * that names nobody is nobody's. */
static bool is_ours(struct smtp_claims *c, str value)
{
    struct scan s = scan_init(value);
    struct buf word = BUF_INIT(NAME_MAX_BYTES);
    bool ours = false, any = false;
    if (!c->is_made)
        make_names(c);
    while (!ours && next_word(&s, &word)) {
        struct arena a = ARENA_INIT(ARENA_MAX);
        /* "mx.example.org/1": the version, as former programs wrote it */
        str name = str_sub(buf_str(&word), 0, str_find_byte(buf_str(&word), '/', 0));
        ours = map_get(&c->names, canonical(name, &a)) != NULL;
        any = any || name.n;
        arena_done(&a);
    }
    buf_done(&word);
    return ours || !any;
}

bool smtp_claims_forged(struct smtp_claims *c, const struct message_header_field *f)
{
    if (str_ieq(f->name, STR("Return-Path")))
        return true;
    return str_ieq(f->name, STR("Authentication-Results")) && is_ours(c, f->value);
}
