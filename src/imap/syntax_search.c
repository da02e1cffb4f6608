/* syntax_search: the keys of SEARCH (RFC 3501 sections 6.4.4 and 9); see syntax.h. */
#include "imap/syntax_private.h"

enum argument { ARG_NONE, ARG_DATE, ARG_NUMBER, ARG_ASTRING, ARG_KEYWORD, ARG_HEADER, ARG_SET, ARG_NOT, ARG_OR, ARG_MODSEQ };

struct key_name {
    str name;
    enum imap_search_type type;
    enum argument argument;
    bool negate;
    int64_t number;
    str field;
};

/* Those that need a header field by name are HEADER keys; NEW is taken apart below. */
static const struct key_name key_names[] = {
    { STR_INIT("ALL"), IMAP_SEARCH_ALL, ARG_NONE, false, 0, STR_INIT("") },
    { STR_INIT("ANSWERED"), IMAP_SEARCH_FLAG, ARG_NONE, false, MAIL_ANSWERED, STR_INIT("") },
    { STR_INIT("BCC"), IMAP_SEARCH_ADDRESSES, ARG_ASTRING, false, 0, STR_INIT("Bcc") },
    { STR_INIT("BEFORE"), IMAP_SEARCH_BEFORE, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("BODY"), IMAP_SEARCH_BODY, ARG_ASTRING, false, 0, STR_INIT("") },
    { STR_INIT("CC"), IMAP_SEARCH_ADDRESSES, ARG_ASTRING, false, 0, STR_INIT("Cc") },
    { STR_INIT("DELETED"), IMAP_SEARCH_FLAG, ARG_NONE, false, MAIL_DELETED, STR_INIT("") },
    { STR_INIT("DRAFT"), IMAP_SEARCH_FLAG, ARG_NONE, false, MAIL_DRAFT, STR_INIT("") },
    { STR_INIT("FLAGGED"), IMAP_SEARCH_FLAG, ARG_NONE, false, MAIL_FLAGGED, STR_INIT("") },
    { STR_INIT("FROM"), IMAP_SEARCH_ADDRESSES, ARG_ASTRING, false, 0, STR_INIT("From") },
    { STR_INIT("HEADER"), IMAP_SEARCH_HEADER, ARG_HEADER, false, 0, STR_INIT("") },
    { STR_INIT("KEYWORD"), IMAP_SEARCH_KEYWORD, ARG_KEYWORD, false, 0, STR_INIT("") },
    { STR_INIT("LARGER"), IMAP_SEARCH_LARGER, ARG_NUMBER, false, 0, STR_INIT("") },
    { STR_INIT("MODSEQ"), IMAP_SEARCH_MODSEQ, ARG_MODSEQ, false, 0, STR_INIT("") },
    { STR_INIT("NEW"), IMAP_SEARCH_AND, ARG_NONE, false, 0, STR_INIT("") },
    { STR_INIT("NOT"), IMAP_SEARCH_AND, ARG_NOT, true, 0, STR_INIT("") },
    { STR_INIT("OLD"), IMAP_SEARCH_RECENT, ARG_NONE, true, 0, STR_INIT("") },
    { STR_INIT("ON"), IMAP_SEARCH_ON, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("OR"), IMAP_SEARCH_OR, ARG_OR, false, 0, STR_INIT("") },
    { STR_INIT("RECENT"), IMAP_SEARCH_RECENT, ARG_NONE, false, 0, STR_INIT("") },
    { STR_INIT("SEEN"), IMAP_SEARCH_FLAG, ARG_NONE, false, MAIL_SEEN, STR_INIT("") },
    { STR_INIT("SENTBEFORE"), IMAP_SEARCH_SENTBEFORE, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("SENTON"), IMAP_SEARCH_SENTON, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("SENTSINCE"), IMAP_SEARCH_SENTSINCE, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("SINCE"), IMAP_SEARCH_SINCE, ARG_DATE, false, 0, STR_INIT("") },
    { STR_INIT("SMALLER"), IMAP_SEARCH_SMALLER, ARG_NUMBER, false, 0, STR_INIT("") },
    { STR_INIT("SUBJECT"), IMAP_SEARCH_HEADER, ARG_ASTRING, false, 0, STR_INIT("Subject") },
    { STR_INIT("TEXT"), IMAP_SEARCH_TEXT, ARG_ASTRING, false, 0, STR_INIT("") },
    { STR_INIT("TO"), IMAP_SEARCH_ADDRESSES, ARG_ASTRING, false, 0, STR_INIT("To") },
    { STR_INIT("UID"), IMAP_SEARCH_UID, ARG_SET, false, 0, STR_INIT("") },
    { STR_INIT("UNANSWERED"), IMAP_SEARCH_FLAG, ARG_NONE, true, MAIL_ANSWERED, STR_INIT("") },
    { STR_INIT("UNDELETED"), IMAP_SEARCH_FLAG, ARG_NONE, true, MAIL_DELETED, STR_INIT("") },
    { STR_INIT("UNDRAFT"), IMAP_SEARCH_FLAG, ARG_NONE, true, MAIL_DRAFT, STR_INIT("") },
    { STR_INIT("UNFLAGGED"), IMAP_SEARCH_FLAG, ARG_NONE, true, MAIL_FLAGGED, STR_INIT("") },
    { STR_INIT("UNKEYWORD"), IMAP_SEARCH_KEYWORD, ARG_KEYWORD, true, 0, STR_INIT("") },
    { STR_INIT("UNSEEN"), IMAP_SEARCH_FLAG, ARG_NONE, true, MAIL_SEEN, STR_INIT("") },
};

struct search_parser {
    struct scan at;
    struct arena *arena;
    const struct imap_limits *limits;
    unsigned keys;
    bool modseq, numbers;
};

static int parse_key(struct search_parser *p, unsigned depth, struct imap_search_key **ret);

static struct imap_search_key *new_key(struct search_parser *p, enum imap_search_type type)
{
    if (p->keys++ == p->limits->search_keys_max)
        return NULL;
    struct imap_search_key *key = arena_new(p->arena, struct imap_search_key);
    if (key)
        key->type = type;
    return key;
}

/* search-key *(SP search-key) */
static int parse_keys(struct search_parser *p, unsigned depth, struct imap_search_key **ret)
{
    int r;
    do {
        r = parse_key(p, depth, ret);
        if (r < 0)
            return r;
        ret = &(*ret)->next;
    } while (scan_byte(&p->at, ' '));
    return 0;
}

/* NEW = (RECENT UNSEEN) (section 6.4.4) */
static int expand_new(struct search_parser *p, struct imap_search_key *key)
{
    key->child = new_key(p, IMAP_SEARCH_RECENT);
    if (!key->child)
        return ERR_LIMIT;
    struct imap_search_key *unseen = key->child->next = new_key(p, IMAP_SEARCH_FLAG);
    if (!unseen)
        return ERR_LIMIT;
    unseen->number = MAIL_SEEN;
    unseen->negate = true;
    return 0;
}

/* search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer (RFC 7162 section 7). One modseq is kept
 * for all flags of a message: "the server MUST ignore the entry" then (section 3.1.5), of which the type must still be one. */
static int parse_modseq(struct search_parser *p, struct imap_search_key *key)
{
    str entry;
    uint64_t modseq;
    if (scan_peek(&p->at) == '"') {
        int r = imap_parse_string(&p->at, p->arena, &entry);
        if (r < 0)
            return r;
        if (!str_starts(entry, STR("/flags/")) || !scan_byte(&p->at, ' '))
            return ERR_SYNTAX;
        bool type =
            imap_scan_word(&p->at, STR("all")) || imap_scan_word(&p->at, STR("priv")) || imap_scan_word(&p->at, STR("shared"));
        if (!type || !scan_byte(&p->at, ' '))
            return ERR_SYNTAX;
    }
    if (!imap_scan_modseq(&p->at, &modseq))
        return ERR_SYNTAX;
    key->number = (int64_t)modseq;
    p->modseq = true;
    return 0;
}

static int parse_argument(struct search_parser *p, const struct key_name *name, unsigned depth, struct imap_search_key *key)
{
    uint32_t number = 0;
    int r = 0;
    if (name->argument == ARG_NONE)
        return name->type == IMAP_SEARCH_AND ? expand_new(p, key) : 0;
    if (!scan_byte(&p->at, ' '))
        return ERR_SYNTAX;
    switch (name->argument) {
    case ARG_DATE:
        return imap_parse_date(&p->at, &key->number);
    case ARG_NUMBER:
        if (!imap_scan_number(&p->at, &number))
            return ERR_SYNTAX;
        key->number = number;
        return 0;
    case ARG_ASTRING:
        return imap_parse_astring(&p->at, p->arena, &key->text);
    case ARG_KEYWORD:
        return imap_parse_atom(&p->at, &key->text);
    case ARG_HEADER:
        r = imap_parse_astring(&p->at, p->arena, &key->field);
        if (r < 0)
            return r;
        return scan_byte(&p->at, ' ') ? imap_parse_astring(&p->at, p->arena, &key->text) : ERR_SYNTAX;
    case ARG_SET:
        return imap_parse_set(&p->at, p->arena, p->limits, &key->set);
    case ARG_MODSEQ:
        return parse_modseq(p, key);
    case ARG_NOT:
        return parse_key(p, depth + 1, &key->child);
    case ARG_OR:
        r = parse_key(p, depth + 1, &key->child);
        if (r < 0)
            return r;
        return scan_byte(&p->at, ' ') ? parse_key(p, depth + 1, &key->child->next) : ERR_SYNTAX;
    case ARG_NONE:
        break;
    }
    return ERR_INTERNAL;
}

/* search-key */
static int parse_key(struct search_parser *p, unsigned depth, struct imap_search_key **ret)
{
    if (depth > p->limits->search_depth_max)
        return ERR_LIMIT;
    struct imap_search_key *key = new_key(p, IMAP_SEARCH_AND);
    if (!key)
        return ERR_LIMIT;
    *ret = key;
    if (scan_byte(&p->at, '(')) {
        int r = parse_keys(p, depth + 1, &key->child);
        if (r < 0)
            return r;
        return scan_byte(&p->at, ')') ? 0 : ERR_SYNTAX;
    }
    for (size_t i = 0; i < sizeof key_names / sizeof *key_names; i++) {
        const struct key_name *name = &key_names[i];
        if (!imap_scan_word(&p->at, name->name))
            continue;
        key->type = name->type;
        key->negate = name->negate;
        key->number = name->number;
        key->field = name->field;
        return parse_argument(p, name, depth, key);
    }
    key->type = IMAP_SEARCH_SET;
    p->numbers = true;
    return imap_parse_set(&p->at, p->arena, p->limits, &key->set);
}

/* "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP; "If the list of result options is empty ... equivalent to
 * (ALL)" (RFC 4731 section 3.1) */
static int parse_returns(struct scan *s, unsigned *ret)
{
    static const str names[] = { STR_INIT("MIN"), STR_INIT("MAX"), STR_INIT("ALL"), STR_INIT("COUNT") };
    const size_t n = sizeof names / sizeof *names;
    if (!imap_scan_word(s, STR("RETURN")))
        return 0;
    if (!scan_byte(s, ' ') || !scan_byte(s, '('))
        return ERR_SYNTAX;
    if (scan_byte(s, ')')) {
        *ret = IMAP_RETURN_ALL;
        return scan_byte(s, ' ') ? 0 : ERR_SYNTAX;
    }
    do {
        size_t i = 0;
        while (i < n && !imap_scan_word(s, names[i]))
            i++;
        if (i == n)
            return ERR_SYNTAX;
        *ret |= 1u << i;
    } while (scan_byte(s, ' '));
    return scan_byte(s, ')') && scan_byte(s, ' ') ? 0 : ERR_SYNTAX;
}

/* [search-return-opts SP] ["CHARSET" SP astring SP] search-key *(SP search-key) (RFC 4466 section 6) */
int imap_parse_search(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_search *ret)
{
    struct search_parser p = { .at = *s, .arena = a, .limits = limits };
    struct imap_search search = { 0 };
    int r = parse_returns(&p.at, &search.returns);
    if (r < 0)
        return r;
    if (imap_scan_word(&p.at, STR("CHARSET"))) {
        if (!scan_byte(&p.at, ' '))
            return ERR_SYNTAX;
        r = imap_parse_astring(&p.at, a, &search.charset);
        if (r < 0)
            return r;
        if (!scan_byte(&p.at, ' '))
            return ERR_SYNTAX;
    }
    r = parse_keys(&p, 0, &search.keys);
    if (r < 0)
        return r;
    search.modseq = p.modseq;
    search.numbers = p.numbers;
    *s = p.at;
    *ret = search;
    return 0;
}
