/* address: see address.h.
 *
 * One pass over the tokens of the field. Words are collected twice while an element lasts: with spaces, as what might be a
 * display name, and without, as what might be an addr-spec; the punctuation that follows decides which it was. So nothing is
 * read twice.
 *
 * Invariants
 *  A1  n + (a group is open ? 1 : 0) <= max: an open group can always be closed.
 *  A2  every entry with an empty host is a group start or end, and they alternate. */
#include "message/address.h"

#include "message/lex_private.h"

struct addresses {
    struct arena *arena;
    struct message_address *list;
    size_t n, cap, max;
    bool cut, in_group;

    struct buf phrase;  /* words with single spaces: display name or group name */
    struct buf local;   /* before the "@", no spaces */
    struct buf host;    /* behind it */
    struct buf next;    /* the word behind a complete host: the local part of a next address that lacks its comma */
    struct buf route;   /* "@a,@b" (RFC 5322 section 4.4) */
    struct buf comment; /* the last one */
    bool angle;         /* inside "<": words no longer belong to the phrase */
    bool had_angle;     /* the element had one: all that follows is junk */
    bool at;            /* an "@" was seen: words belong to the host */
    bool host_done;     /* the host is complete: further words are junk */
    bool space;         /* white space before the next word */
    bool commented;
    bool quotes_done; /* no closing quote ahead */
    bool quoted;      /* a quoted string, perhaps empty, is part of the local part */
};

static void element_reset(struct addresses *p)
{
    buf_reset(&p->phrase);
    buf_reset(&p->local);
    buf_reset(&p->host);
    buf_reset(&p->next);
    buf_reset(&p->route);
    buf_reset(&p->comment);
    p->angle = p->had_angle = p->at = p->host_done = p->space = p->commented = p->quoted = false;
}

static int entry_add(struct addresses *p, struct message_address entry)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 4;
        struct message_address *list = arena_array(p->arena, cap, sizeof *list);
        if (!list)
            return ERR_LIMIT;
        if (p->n)
            memcpy(list, p->list, p->n * sizeof *list);
        p->list = list;
        p->cap = cap;
    }
    p->list[p->n++] = entry;
    return 0;
}

/* Whether N more entries fit beside the end of an open group (A1). */
static bool entries_fit(struct addresses *p, size_t n)
{
    if (p->n + n + (p->in_group ? 1 : 0) <= p->max)
        return true;
    p->cut = true;
    return false;
}

static int text_take(struct addresses *p, const struct buf *b, str *ret)
{
    if (b->n == b->max)
        p->cut = true;
    return message_lex_take(b, p->arena, ret);
}

/* Ends an element: what was collected becomes an entry, unless nothing was. */
static int element_end(struct addresses *p)
{
    bool empty = p->local.n == 0 && p->host.n == 0 && p->phrase.n == 0 && p->route.n == 0;
    if ((empty && !p->quoted) || !entries_fit(p, 1)) {
        element_reset(p);
        return 0;
    }
    struct message_address entry = { 0 };
    const struct buf *name = p->had_angle && p->phrase.n ? &p->phrase : p->commented ? &p->comment : NULL;
    int r = 0;
    if (name && name->n)
        r = text_take(p, name, &entry.name);
    if (!r && p->route.n)
        r = text_take(p, &p->route, &entry.route);
    /* Words alone, "John Doe", are no addr-spec: keep the spaces. */
    if (!r)
        r = text_take(p, p->had_angle || p->at ? &p->local : &p->phrase, &entry.mailbox);
    if (!r && p->host.n)
        r = text_take(p, &p->host, &entry.host);
    if (entry.host.n == 0)
        entry.host = MESSAGE_HOST_MISSING;
    element_reset(p);
    return r ? r : entry_add(p, entry);
}

/* "name:" opens a group (RFC 5322 section 3.4). */
static int group_start(struct addresses *p)
{
    int r = 0;
    if (!p->in_group && p->phrase.n && entries_fit(p, 2)) {
        struct message_address entry = { 0 };
        r = text_take(p, &p->phrase, &entry.mailbox);
        if (!r && entry.mailbox.n) {
            r = entry_add(p, entry);
            p->in_group = true;
        }
    }
    element_reset(p);
    return r;
}

static int group_end(struct addresses *p)
{
    int r = element_end(p);
    if (r || !p->in_group)
        return r;
    p->in_group = false;
    return entry_add(p, (struct message_address){ 0 });
}

/* Whether WORD, after what B holds, begins something new: words of one addr-spec touch, or a dot stands between them. */
static bool is_apart(const struct addresses *p, const struct buf *b, str word)
{
    return p->space && b->n && b->p[b->n - 1] != '.' && !(word.n && word.p[0] == '.');
}

/* A word, unescaped, dots included: to the phrase and to the part of the addr-spec that is being written. */
static void word_add(struct addresses *p, str word)
{
    if (p->had_angle && !p->angle)
        return;
    if (!p->angle) {
        if (p->space && p->phrase.n)
            message_lex_add_byte(&p->phrase, ' ');
        message_lex_add(&p->phrase, word);
    }
    if (p->at) { /* "a@b c": the host ends at the space */
        p->host_done |= is_apart(p, &p->host, word);
        if (!p->host_done) {
            message_lex_add(&p->host, word);
        } else {
            if (is_apart(p, &p->next, word))
                buf_reset(&p->next);
            message_lex_add(&p->next, word);
        }
    } else { /* "a b@c": the local part is the last word */
        if (is_apart(p, &p->local, word))
            buf_reset(&p->local);
        message_lex_add(&p->local, word);
    }
    p->space = false;
}

static int element_next(struct addresses *p)
{
    struct buf local = BUF_INIT(p->local.max);
    buf_add(&local, buf_str(&p->next));
    int r = element_end(p);
    buf_add(&p->local, buf_str(&local));
    buf_add_all(&p->phrase, buf_str(&local), STR("@"));
    buf_done(&local);
    p->at = true;
    return r;
}

static int at_sign(struct addresses *p)
{
    if (p->had_angle && !p->angle)
        return 0;
    if (p->at && p->host_done && p->next.n && !p->angle && !p->commented)
        return element_next(p); /* "a@b c@d" */
    if (!p->angle)
        message_lex_add_byte(&p->phrase, '@');
    if (p->at) { /* a second one: what looked like the host was part of the mailbox */
        message_lex_add_byte(&p->local, '@');
        message_lex_add(&p->local, buf_str(&p->host));
        buf_reset(&p->host);
    }
    p->at = true;
    p->space = p->host_done = false;
    return 0;
}

static void angle_start(struct addresses *p)
{
    if (p->had_angle)
        return;
    buf_reset(&p->local);
    buf_reset(&p->host);
    buf_reset(&p->next);
    p->at = p->host_done = p->quoted = p->space = false;
    p->angle = p->had_angle = true;
}

/* RFC 5322 section 4.4: obs-route = obs-domain-list ":". SEPARATOR is the comma between domains or the colon behind them. */
static bool route_part(struct addresses *p, char separator)
{
    if (!p->angle || p->local.n || p->quoted)
        return false;
    if (p->at && p->host.n) {
        message_lex_add(&p->route, p->route.n ? STR(",@") : STR("@"));
        message_lex_add(&p->route, buf_str(&p->host));
    } else if (separator == ':' && p->route.n == 0) {
        return false;
    }
    buf_reset(&p->host);
    p->at = p->host_done = false;
    return true;
}

/* Ends a route, or the host of "<a@b:25>", or belongs to a local part that lacks its quotes. */
static void colon_in_angle(struct addresses *p)
{
    if (route_part(p, ':'))
        return;
    if (p->at)
        p->host_done = true;
    else
        word_add(p, STR(":"));
}

/* One of ( ) < > @ , ; : \ " [ ] or a control that no word begins with. */
static int special(struct addresses *p, char c)
{
    switch (c) {
    case '@':
        return at_sign(p);
    case '<':
        angle_start(p);
        return 0;
    case '>':
        p->angle = false;
        return 0;
    case ',':
        return route_part(p, c) ? 0 : element_end(p);
    case ';':
        return group_end(p);
    case ':':
        if (p->angle)
            colon_in_angle(p);
        return p->angle || p->had_angle ? 0 : group_start(p);
    default:
        return 0;
    }
}

static bool is_word_byte(char c)
{
    unsigned char u = (unsigned char)c;
    return u == 0 || (u > ' ' && u != 127 && !memchr("()<>@,;:\\\"[]", c, 12)) || (u < ' ' && !message_lex_is_wsp(c));
}

/* "[...]" up to the bracket or what must end it when there is none; white space is dropped in a host, kept in "[List] Name".
 * A quoted pair loses a byte that would end the literal when it is written again. */
static void domain_literal(struct addresses *p, struct scan *s)
{
    struct buf text = BUF_INIT(p->host.max);
    while (s->p != s->end && *s->p != ']' && *s->p != '>' && *s->p != ',') {
        bool pair = *s->p == '\\';
        if (pair && ++s->p == s->end)
            break;
        if (pair && memchr("[]\\<>,", *s->p, 6)) {
            s->p++;
            continue;
        }
        if (!p->at || !message_lex_is_wsp(*s->p))
            message_lex_add_byte(&text, *s->p);
        s->p++;
    }
    if (scan_byte(s, ']'))
        message_lex_add_byte(&text, ']');
    word_add(p, buf_str(&text));
    buf_done(&text);
}

static int token(struct addresses *p, struct scan *s)
{
    if (message_lex_wsp(s)) {
        p->space = true;
        return 0;
    }
    if (message_lex_comment(s, &p->comment)) {
        p->space = p->commented = true;
        return 0;
    }
    if (*s->p == '"' && !p->quotes_done) {
        struct buf text = BUF_INIT(p->phrase.max);
        p->quotes_done = !message_lex_quoted(s, &text);
        if (!p->quotes_done && p->at) { /* no host has quotes: what is in them must not pass for one */
            p->host_done = true;
            p->space = true;
        } else if (!p->quotes_done) {
            word_add(p, buf_str(&text));
            p->quoted = true;
        }
        buf_done(&text);
        return 0;
    }
    if (*s->p == '[') {
        domain_literal(p, s);
        return 0;
    }
    struct scan word = { s->p, s->p };
    while (s->p != s->end && is_word_byte(*s->p))
        s->p++;
    if (s->p != word.p) {
        word_add(p, (str){ word.p, (size_t)(s->p - word.p) });
        return 0;
    }
    return special(p, *s->p++);
}

static void addresses_init(struct addresses *p, struct arena *a, size_t bytes_max, size_t n_max)
{
    *p = (struct addresses){ .arena = a,
                             .max = n_max,
                             .phrase = BUF_INIT(bytes_max),
                             .local = BUF_INIT(bytes_max),
                             .host = BUF_INIT(bytes_max),
                             .next = BUF_INIT(bytes_max),
                             .route = BUF_INIT(bytes_max),
                             .comment = BUF_INIT(bytes_max) };
}

static void addresses_done(struct addresses *p)
{
    buf_done(&p->phrase);
    buf_done(&p->local);
    buf_done(&p->host);
    buf_done(&p->next);
    buf_done(&p->route);
    buf_done(&p->comment);
}

int message_addresses_parse_n(const str *fields, size_t n, const struct message_limits *limits, struct arena *a,
                              struct message_addresses *ret, bool *ret_cut)
{
    struct addresses p;
    addresses_init(&p, a, limits->value_max, limits->addresses_max);
    int r = 0;
    for (size_t i = 0; i < n && !r; i++) {
        struct scan s = scan_init(fields[i]);
        p.quotes_done = false;
        while (!r && !scan_done(&s) && (p.n < p.max || !p.cut))
            r = token(&p, &s);
        if (!r)
            r = group_end(&p);
    }
    if (!r) {
        require(p.n <= p.max || p.max == 0);
        *ret = (struct message_addresses){ p.list, (unsigned)p.n };
        if (p.cut && ret_cut)
            *ret_cut = true;
    }
    addresses_done(&p);
    return r;
}

int message_addresses_parse(str field, const struct message_limits *limits, struct arena *a, struct message_addresses *ret,
                            bool *ret_cut)
{
    return message_addresses_parse_n(&field, 1, limits, a, ret, ret_cut);
}

/* A token is looked at when this much of what follows is there, so that it is seen whole. */
enum { READER_AHEAD = 64 * 1024, READER_PENDING_MAX = 1024 * 1024 };

struct message_address_reader {
    struct addresses state;
    struct buf pending; /* not looked at yet */
};

struct message_address_reader *message_address_reader_new(void)
{
    struct message_address_reader *r = calloc(1, sizeof *r);
    if (!r)
        panic("out of memory for an address list");
    addresses_init(&r->state, NULL, READER_AHEAD, SIZE_MAX - 2);
    buf_init(&r->pending, READER_PENDING_MAX);
    return r;
}

void message_address_reader_free(struct message_address_reader *r)
{
    if (!r)
        return;
    addresses_done(&r->state);
    buf_done(&r->pending);
    free(r);
}

int message_address_reader_feed(struct message_address_reader *r, str text, bool last, struct arena *a,
                                struct message_addresses *ret)
{
    struct addresses *p = &r->state;
    int result = 0;
    p->arena = a;
    p->list = NULL;
    p->n = p->cap = 0;
    do {
        str some = str_sub(text, 0, READER_PENDING_MAX - READER_AHEAD);
        text = str_from(text, some.n);
        buf_add(&r->pending, some);
        struct scan s = scan_init(buf_str(&r->pending));
        while (!result && !scan_done(&s) && ((last && !text.n) || scan_left(&s) > READER_AHEAD))
            result = token(p, &s);
        buf_consume(&r->pending, r->pending.n - scan_left(&s));
    } while (!result && text.n);
    if (!result && last) {
        result = group_end(p);
        p->quotes_done = false;
    }
    *ret = (struct message_addresses){ p->list, (unsigned)p->n };
    return result;
}

/* RFC 5322 section 3.2.3, with the non-ASCII of RFC 6532 section 3.2. */
static bool is_atext(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static void quoted_add(struct buf *b, str s)
{
    buf_add_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_add_byte(b, '\\');
        buf_add_byte(b, s.p[i]);
    }
    buf_add_byte(b, '"');
}

void message_address_add_spec(struct buf *b, const struct message_address *addr)
{
    str s = addr->mailbox;
    bool plain = s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.';
    for (size_t i = 0; i < s.n && plain; i++)
        plain = is_atext(s.p[i]) || (s.p[i] == '.' && s.p[i - 1] != '.');
    if (plain)
        buf_add(b, s);
    else
        quoted_add(b, s);
    buf_add_byte(b, '@');
    buf_add(b, addr->host);
}

void message_address_add_phrase(struct buf *b, str s)
{
    bool plain = s.n > 0 && s.p[0] != ' ' && s.p[s.n - 1] != ' ';
    for (size_t i = 0; i < s.n && plain; i++)
        plain = is_atext(s.p[i]) || (s.p[i] == ' ' && s.p[i - 1] != ' ');
    if (plain)
        buf_add(b, s);
    else
        quoted_add(b, s);
}
