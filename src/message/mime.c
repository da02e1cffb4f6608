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
    struct piece *next; /* of the same value */
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
    /* "n**0" is no piece of "n*": a name with a star at its end is an extended one to whoever reads the parameter. */
    if (star > 0 && star < p->name.n && p->name.p[star - 1] != '*' &&
        str_to_u32(str_from(p->name, star + 1), PIECE_NUMBER_MAX, &number)) {
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

/* RFC 2231 section 7: what stands for itself in an extended value. */
static bool is_attribute_char(char c)
{
    return is_token_byte(c) && (unsigned char)c < 128 && !memchr("*'%", c, 3);
}

/* Adds VALUE in the extended form, a byte that may not stand in it percent-encoded; of a value that has that form already (AS_IT_IS) the
 * escapes and quotes stay. False when it does not fit whole. */
static bool add_extended(struct buf *b, str value, bool as_it_is)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = is_attribute_char(value.p[i]) || (as_it_is && (c == '%' || c == '\''));
        if (b->max - b->n < (plain ? 1 : 3))
            return false;
        if (plain)
            buf_add_byte(b, (char)c);
        else
            buf_add_all(b, STR("%"), (str){ digits + (c >> 4), 1 }, (str){ digits + (c & 15), 1 });
    }
    return true;
}

/* Links the pieces of the value that begins with FIRST, up to the first gap (RFC 2231 section 3); whether one of them is extended, and so all
 * of the value. */
static bool chain_is_extended(const struct pieces *all, struct piece *first)
{
    bool extended = first->extended;
    struct piece *p = first;
    p->next = NULL;
    for (int number = first->number + 1; first->number >= 0; number++) {
        p->next = piece_find(all, first->name, number, (unsigned)(p - all->list) + 1);
        if (!p->next)
            break;
        p = p->next;
        p->next = NULL;
        extended |= p->extended;
    }
    return extended;
}

static bool value_add_extended(struct buf *b, const struct piece *first)
{
    bool fits = first->extended || add_extended(b, STR("''"), true); /* no charset was said */
    for (const struct piece *p = first; p && fits; p = p->next)
        fits = add_extended(b, p->value, p->extended);
    return fits;
}

static bool value_add_plain(struct buf *b, const struct piece *first)
{
    bool fits = true;
    for (const struct piece *p = first; p && fits; p = p->next) {
        fits = p->value.n <= b->max - b->n;
        message_lex_add(b, p->value);
    }
    return fits;
}

/* RFC 2231 sections 3 and 4: the value of the chain that begins with FIRST; of an extended one charset, language and octets stay as they
 * came, and its name ends in "*". */
static int value_join(struct piece *first, bool extended, size_t max, struct arena *a, struct message_param *ret, bool *ret_cut)
{
    struct buf value = BUF_INIT(max);
    if (!(extended ? value_add_extended(&value, first) : value_add_plain(&value, first)) && ret_cut)
        *ret_cut = true;
    for (struct piece *p = first; p; p = p->next)
        p->used = true;
    int r = message_lex_take(&value, a, &ret->value);
    ret->name = first->name;
    if (!r && extended)
        r = arena_printf(a, &ret->name, "%.*s*", STR_ARG(first->name));
    buf_done(&value);
    return r;
}

static bool has_param(const struct message_param *list, unsigned n, str name, bool extended)
{
    for (unsigned i = 0; i < n; i++) {
        str have = list[i].name;
        bool star = have.n > 1 && have.p[have.n - 1] == '*';
        if (star == extended && str_eq(str_sub(have, 0, have.n - star), name))
            return true;
    }
    return false;
}

static int params_join(struct pieces *all, size_t max, struct arena *a, struct message_params *ret, bool *ret_cut)
{
    struct message_param *list = arena_array(a, all->n, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    unsigned n = 0;
    for (unsigned i = 0; i < all->n; i++) {
        struct piece *first = &all->list[i];
        if (first->used)
            continue;
        /* Pieces win over a plain value of the same name wherever they stand; without a piece 0 they mean nothing. */
        struct piece *zero = first->extended && first->number < 0 ? NULL : piece_find(all, first->name, 0, i);
        if (first->number > 0 && !zero)
            continue;
        if (zero && (first->number >= 0 || !chain_is_extended(all, zero)))
            first = zero;
        bool extended = chain_is_extended(all, first);
        if (has_param(list, n, first->name, extended))
            continue;
        if (value_join(first, extended, max, a, &list[n], ret_cut))
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

bool message_param_is_extended(const struct message_param *param)
{
    return param->name.n > 1 && param->name.p[param->name.n - 1] == '*';
}

const struct message_param *message_param_find(const struct message_param *list, unsigned n, str name)
{
    const struct message_param *plain = NULL;
    for (unsigned i = 0; i < n; i++) {
        bool extended = message_param_is_extended(&list[i]);
        if (!str_eq(str_sub(list[i].name, 0, list[i].name.n - extended), name))
            continue;
        if (extended)
            return &list[i];
        plain = plain ? plain : &list[i];
    }
    return plain;
}

void message_param_text(const struct message_param *param, struct buf *out)
{
    if (!message_param_is_extended(param)) {
        message_lex_add(out, param->value);
        return;
    }
    struct buf bytes = BUF_INIT(param->value.n + 1), text = BUF_INIT(4 * param->value.n + 16);
    str value = param->value, charset = take_charset(&value);
    percent_decode(value, &bytes);
    (void)!message_charset_to_utf8(charset, buf_str(&bytes), &text); /* the text is there in any case */
    for (size_t i = 0; i < text.n; i++)
        message_lex_add_byte(out, text.p[i]);
    buf_done(&bytes);
    buf_done(&text);
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
