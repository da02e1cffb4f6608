/* mime: see mime.h.
 *
 * A field is read into pieces first, one per "name=value" with the RFC 2231 marks taken off the name; parameters are put together
 * from them afterwards, because pieces may come in any order. */
#include "message/mime.h"

#include "message/charset.h"
#include "message/lex_private.h"

enum { TOKEN_MAX = 128, PIECE_NUMBER_MAX = 9999 };

struct piece {
    str name;      /* lower case, without marks */
    str value;     /* unquoted, not percent-decoded */
    int number;    /* of "name*3", -1 without */
    bool extended; /* "*" at the end: charset'language'percent-encoded */
    bool used;
};

struct pieces {
    struct piece *list;
    unsigned n, max;
};

/* RFC 2045 section 5.1: token, widened to what senders write: anything but white space, controls and tspecials. */
static bool is_token_byte(char c)
{
    return (unsigned char)c > ' ' && c != 127 && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static str take_token(struct scan *s)
{
    const char *from = s->p;
    while (s->p != s->end && is_token_byte(*s->p))
        s->p++;
    return (str){ from, (size_t)(s->p - from) };
}

static int lower_dup(struct arena *a, str s, str *ret)
{
    str copy;
    if (arena_dup(a, str_sub(s, 0, TOKEN_MAX), &copy))
        return ERR_LIMIT;
    for (size_t i = 0; i < copy.n; i++)
        ((char *)(uintptr_t)copy.p)[i] = ascii_lower(copy.p[i]);
    *ret = copy;
    return 0;
}

/* Whether "token=" stands at S: a parameter whose ";" was forgotten. */
static bool at_parameter(struct scan s)
{
    return take_token(&s).n > 0 && scan_byte(&s, '=');
}

/* An unquoted value: up to ";", a comment behind white space, or the next "name=". */
static str take_loose_value(struct scan *s)
{
    const char *from = s->p, *end = s->p;
    while (s->p != s->end && *s->p != ';') {
        if (message_lex_is_wsp(*s->p)) {
            message_lex_wsp(s);
            if (s->p != s->end && (*s->p == '(' || at_parameter(*s)))
                break;
            continue;
        }
        end = ++s->p;
    }
    return (str){ from, (size_t)(end - from) };
}

static int take_value(struct scan *s, size_t max, struct arena *a, str *ret, bool *ret_cut)
{
    struct buf b = BUF_INIT(max);
    if (!message_lex_quoted(s, &b)) {
        bool unclosed = scan_byte(s, '"');
        str value = take_loose_value(s);
        message_lex_add(&b, unclosed ? str_trim(value) : value);
    }
    if (b.n == max && ret_cut)
        *ret_cut = true;
    int r = message_lex_take(&b, a, ret);
    buf_done(&b);
    return r;
}

/* RFC 2231 section 7: attribute [ "*" 1*DIGIT ] [ "*" ]. */
static void name_unmark(struct piece *p)
{
    p->number = -1;
    if (str_ends(p->name, STR("*")) && p->name.n > 1) {
        p->extended = true;
        p->name.n--;
    }
    size_t star = str_rfind_byte(p->name, '*');
    uint32_t number;
    if (star > 0 && star < p->name.n && str_to_u32(str_from(p->name, star + 1), PIECE_NUMBER_MAX, &number)) {
        p->number = (int)number;
        p->name.n = star;
    }
}

/* Reads *( ";" attribute "=" value ) to the end; junk up to the next ";" is skipped. */
static int pieces_read(struct scan *s, const struct message_limits *limits, struct arena *a, struct pieces *ret, bool *ret_cut)
{
    while (!scan_done(s)) {
        message_lex_cfws(s);
        str name = take_token(s);
        message_lex_cfws(s);
        if (name.n == 0 || !scan_byte(s, '=')) {
            if (name.n == 0 && !scan_done(s))
                s->p++;
            continue;
        }
        if (ret->n == ret->max) {
            if (ret_cut)
                *ret_cut = true;
            return 0;
        }
        message_lex_cfws(s);
        struct piece p = { 0 };
        if (lower_dup(a, name, &p.name) || take_value(s, limits->value_max, a, &p.value, ret_cut))
            return ERR_LIMIT;
        name_unmark(&p);
        ret->list[ret->n++] = p;
    }
    return 0;
}

static void percent_decode(str s, struct buf *b)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && s.n - i > 2 && ascii_hex_value(s.p[i + 1]) >= 0 && ascii_hex_value(s.p[i + 2]) >= 0) {
            c = (char)(ascii_hex_value(s.p[i + 1]) << 4 | ascii_hex_value(s.p[i + 2]));
            i += 2;
        }
        buf_add_byte(b, c);
    }
}

/* RFC 2231 section 4: takes charset'language' off an extended value. */
static str take_charset(str *value)
{
    size_t first = str_find_byte(*value, '\'', 0);
    if (first == value->n)
        return (str){ 0 };
    size_t second = str_find_byte(*value, '\'', first + 1);
    if (second == value->n)
        return (str){ 0 };
    str charset = str_sub(*value, 0, first);
    *value = str_from(*value, second + 1);
    return charset;
}

/* The piece NUMBER of NAME that is not used yet; the search begins at HINT, where senders put it: mostly one step. */
static struct piece *piece_find(const struct pieces *all, str name, int number, unsigned hint)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct piece *p = &all->list[(hint + i) % all->n];
        if (p->number == number && !p->used && str_eq(p->name, name))
            return p;
    }
    return NULL;
}

/* RFC 2231 sections 3 and 4: the joined, decoded and converted value that begins with FIRST. */
static int value_join(const struct pieces *all, struct piece *first, size_t max, struct arena *a, str *ret, bool *ret_cut)
{
    struct buf bytes = BUF_INIT(max), text = BUF_INIT(max), clean = BUF_INIT(max);
    str value = first->value, charset = { 0 };
    if (first->extended)
        charset = take_charset(&value);
    bool extended = first->extended;
    struct piece *p = first;
    for (int number = first->number; p; value = p ? p->value : value) {
        p->used = true;
        size_t room = max - bytes.n;
        if (value.n > room && ret_cut)
            *ret_cut = true;
        if (p->extended)
            percent_decode(str_sub(value, 0, room), &bytes);
        else
            buf_add(&bytes, str_sub(value, 0, room));
        extended |= p->extended;
        p = number < 0 ? NULL : piece_find(all, first->name, ++number, (unsigned)(p - all->list) + 1);
    }
    int r = 0;
    if (extended) {
        r = message_charset_to_utf8(charset, buf_str(&bytes), &text);
        if (r == ERR_LIMIT && ret_cut)
            *ret_cut = true;
    } else {
        buf_add(&text, buf_str(&bytes));
    }
    for (size_t i = 0; i < text.n; i++)
        message_lex_add_byte(&clean, text.p[i]);
    r = message_lex_take(&clean, a, ret);
    buf_done(&bytes);
    buf_done(&text);
    buf_done(&clean);
    return r;
}

static int params_join(struct pieces *all, size_t max, struct arena *a, struct message_params *ret, bool *ret_cut)
{
    struct message_param *list = arena_array(a, all->n, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    unsigned n = 0;
    for (unsigned i = 0; i < all->n; i++) {
        str name = all->list[i].name;
        if (message_param_find(list, n, name).p)
            continue;
        /* The extended forms win wherever they stand; without a piece 0 the pieces mean nothing. */
        struct piece *first = piece_find(all, name, 0, i);
        for (unsigned k = i; k < all->n && !first; k++)
            if (all->list[k].number < 0 && all->list[k].extended && str_eq(all->list[k].name, name))
                first = &all->list[k];
        if (!first && !(first = piece_find(all, name, -1, i)))
            continue;
        list[n].name = name;
        if (value_join(all, first, max, a, &list[n].value, ret_cut))
            return ERR_LIMIT;
        n++;
    }
    *ret = (struct message_params){ list, n };
    return 0;
}

static int params_parse(struct scan *s, const struct message_limits *limits, struct arena *a, struct message_params *ret,
                        bool *ret_cut)
{
    unsigned max = limits->params_max < scan_left(s) ? limits->params_max : (unsigned)scan_left(s);
    struct pieces all = { .list = calloc(max ? max : 1, sizeof *all.list), .max = max };
    if (!all.list)
        panic("out of memory for %u parameters", max);
    int r = pieces_read(s, limits, a, &all, ret_cut);
    if (!r)
        r = params_join(&all, limits->value_max, a, ret, ret_cut);
    free(all.list);
    return r;
}

str message_param_find(const struct message_param *list, unsigned n, str name)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(list[i].name, name))
            return list[i].value.p ? list[i].value : STR("");
    return (str){ 0 };
}

static str default_subtype(str type)
{
    if (str_eq(type, STR("text")))
        return STR("plain");
    if (str_eq(type, STR("multipart")))
        return STR("mixed");
    return str_eq(type, STR("message")) ? STR("rfc822") : STR("octet-stream");
}

/* RFC 2045 section 5.1: content := "Content-Type" ":" type "/" subtype *(";" parameter). */
int message_content_type_parse(str value, const struct message_limits *limits, struct arena *a, struct message_content_type *ret,
                               bool *ret_cut)
{
    struct scan s = scan_init(value);
    struct message_content_type ct = { .type = STR_INIT("text"), .subtype = STR_INIT("plain") };
    message_lex_cfws(&s);
    struct scan start = s;
    str type = take_token(&s);
    if (type.n && !scan_done(&s) && *s.p == '=') { /* the type is missing: parameters only */
        s = start;
    } else if (type.n) {
        message_lex_cfws(&s);
        str subtype = { 0 };
        if (scan_byte(&s, '/')) {
            message_lex_cfws(&s);
            subtype = take_token(&s);
        }
        if (lower_dup(a, type, &ct.type))
            return ERR_LIMIT;
        ct.subtype = default_subtype(ct.type);
        if (subtype.n && lower_dup(a, subtype, &ct.subtype))
            return ERR_LIMIT;
    }
    if (params_parse(&s, limits, a, &ct.params, ret_cut))
        return ERR_LIMIT;
    *ret = ct;
    return 0;
}

/* RFC 2183 section 2: disposition := "Content-Disposition" ":" disposition-type *(";" disposition-parm). */
int message_disposition_parse(str value, const struct message_limits *limits, struct arena *a, struct message_disposition *ret,
                              bool *ret_cut)
{
    struct scan s = scan_init(value);
    struct message_disposition d = { 0 };
    message_lex_cfws(&s);
    struct scan start = s;
    str name = take_token(&s);
    if (!scan_done(&s) && *s.p == '=')
        s = start;
    else if (name.n && lower_dup(a, name, &d.name))
        return ERR_LIMIT;
    if (params_parse(&s, limits, a, &d.params, ret_cut))
        return ERR_LIMIT;
    *ret = d;
    return 0;
}

int message_token_parse(str value, struct arena *a, str *ret)
{
    struct scan s = scan_init(value);
    message_lex_cfws(&s);
    return lower_dup(a, take_token(&s), ret);
}

int message_languages_parse(str value, unsigned max, struct arena *a, const str **ret, unsigned *ret_n)
{
    struct scan s = scan_init(value);
    size_t most = scan_left(&s) / 2 + 1 < max ? scan_left(&s) / 2 + 1 : max;
    str *list = arena_array(a, most, sizeof *list);
    unsigned n = 0;
    if (!list)
        return ERR_LIMIT;
    while (!scan_done(&s) && n < most) {
        message_lex_cfws(&s);
        str tag = take_token(&s);
        if (tag.n == 0 && !scan_done(&s))
            s.p++;
        else if (tag.n && arena_dup(a, str_sub(tag, 0, TOKEN_MAX), &list[n++]))
            return ERR_LIMIT;
    }
    *ret = list;
    *ret_n = n;
    return 0;
}
