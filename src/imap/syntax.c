/* syntax: tokens, sets, flags, dates and the smaller arguments (RFC 3501 section 9); see syntax.h. */
#include "imap/syntax_private.h"

#include "base/clock.h"
#include "imap/utf7.h"

const struct imap_limits imap_limits_default = {
    .tag_bytes_max = 256,
    .ranges_max = 20000,
    .flags_max = 100,
    .items_max = 100,
    .fields_max = 200,
    .section_depth_max = 40,
    .search_keys_max = 1000,
    .search_depth_max = 20,
};

/* ATOM-CHAR = <any CHAR except atom-specials>
 * atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials */
static bool is_atom_char(char c)
{
    return c > ' ' && c < 127 && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\' && c != ']';
}

/* ASTRING-CHAR = ATOM-CHAR / resp-specials. Bytes above 127 are taken too: clients send raw UTF-8 names, and what is meant is
 * clear; whoever uses the string checks that it is UTF-8. */
static bool is_astring_char(char c)
{
    return is_atom_char(c) || c == ']' || (unsigned char)c >= 128;
}

static bool is_tag_char(char c)
{
    return (is_atom_char(c) || c == ']') && c != '+';
}

static bool is_list_char(char c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

static bool scan_chars(struct scan *s, bool (*is)(char), size_t max, str *ret)
{
    str rest = scan_rest(s);
    size_t n = 0;
    while (n < rest.n && is(rest.p[n]))
        n++;
    return n > 0 && n <= max && scan_take(s, n, ret);
}

bool imap_scan_word(struct scan *s, str word)
{
    struct scan at = *s;
    if (!scan_iliteral(&at, word) || (!scan_done(&at) && is_atom_char(*at.p)))
        return false;
    *s = at;
    return true;
}

bool imap_scan_number(struct scan *s, uint32_t *ret)
{
    uint64_t v;
    if (!scan_number(s, UINT32_MAX, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

bool imap_scan_modseq(struct scan *s, uint64_t *ret)
{
    return scan_number(s, INT64_MAX, ret);
}

bool imap_scan_nz_number(struct scan *s, uint32_t *ret)
{
    struct scan at = *s;
    uint32_t v;
    if (!imap_scan_number(&at, &v) || v == 0)
        return false;
    *s = at;
    *ret = v;
    return true;
}

int imap_parse_sp(struct scan *s)
{
    return scan_byte(s, ' ') ? 0 : ERR_SYNTAX;
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
int imap_parse_tag(struct scan *s, str *ret)
{
    return scan_chars(s, is_tag_char, imap_limits_default.tag_bytes_max, ret) ? 0 : ERR_SYNTAX;
}

/* atom = 1*ATOM-CHAR */
int imap_parse_atom(struct scan *s, str *ret)
{
    return scan_chars(s, is_atom_char, SIZE_MAX, ret) ? 0 : ERR_SYNTAX;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE
 * QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials */
static int parse_quoted(struct scan *s, struct arena *a, str *ret)
{
    struct scan at = *s;
    if (!scan_byte(&at, '"'))
        return ERR_SYNTAX;
    str rest = scan_rest(&at);
    size_t n = 0, escapes = 0;
    while (n < rest.n && rest.p[n] != '"') {
        if (rest.p[n] == '\r' || rest.p[n] == '\n' || rest.p[n] == '\0')
            return ERR_SYNTAX;
        if (rest.p[n] == '\\') {
            if (n + 1 == rest.n || (rest.p[n + 1] != '"' && rest.p[n + 1] != '\\'))
                return ERR_SYNTAX;
            escapes++;
            n++;
        }
        n++;
    }
    if (n == rest.n)
        return ERR_SYNTAX;
    str raw = str_sub(rest, 0, n);
    if (escapes) {
        char *p = arena_alloc(a, n - escapes);
        if (!p)
            return ERR_LIMIT;
        size_t k = 0;
        for (size_t i = 0; i < n; i++) {
            if (raw.p[i] == '\\')
                i++;
            p[k++] = raw.p[i];
        }
        raw = (str){ p, k };
    }
    at.p += n + 1;
    *s = at;
    *ret = raw;
    return 0;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8 (RFC 7888 section 3). NUL must not occur. */
static int parse_literal(struct scan *s, str *ret)
{
    struct scan at = *s;
    uint64_t n;
    str bytes;
    if (!scan_byte(&at, '{') || !scan_number(&at, UINT32_MAX, &n))
        return ERR_SYNTAX;
    (void)scan_byte(&at, '+');
    if (!scan_literal(&at, STR("}\r\n")) || !scan_take(&at, (size_t)n, &bytes))
        return ERR_SYNTAX;
    if (str_find_byte(bytes, '\0', 0) != bytes.n)
        return ERR_SYNTAX;
    *s = at;
    *ret = bytes;
    return 0;
}

/* string = quoted / literal */
int imap_parse_string(struct scan *s, struct arena *a, str *ret)
{
    return scan_peek(s) == '{' ? parse_literal(s, ret) : parse_quoted(s, a, ret);
}

/* astring = 1*ASTRING-CHAR / string */
int imap_parse_astring(struct scan *s, struct arena *a, str *ret)
{
    return scan_chars(s, is_astring_char, SIZE_MAX, ret) ? 0 : imap_parse_string(s, a, ret);
}

/* nstring = string / nil */
int imap_parse_nstring(struct scan *s, struct arena *a, str *ret)
{
    if (!imap_scan_word(s, STR("NIL")))
        return imap_parse_string(s, a, ret);
    *ret = (str){ NULL, 0 };
    return 0;
}

/* A name that is no modified UTF-7 is well-formed as an argument, and no mailbox has it: that is NO, not BAD. */
static int decode_name(str raw, struct arena *a, str *ret)
{
    int r = imap_utf7_decode(raw, a, ret);
    return r == ERR_SYNTAX ? ERR_REFUSED : r;
}

/* mailbox = "INBOX" / astring, in modified UTF-7 (section 5.1.3). INBOX is
 * put into its one spelling, also above others, because some answers say the name again. */
int imap_parse_mailbox(struct scan *s, struct arena *a, str *ret)
{
    struct scan at = *s;
    str raw, name;
    int r = imap_parse_astring(&at, a, &raw);
    if (r < 0)
        return r;
    r = decode_name(raw, a, &name);
    size_t inbox = r < 0 ? 0 : mailbox_name_inbox(name);
    if (inbox)
        r = arena_printf(a, &name, "INBOX%.*s", STR_ARG(str_from(name, inbox)));
    if (r < 0)
        return r;
    *s = at;
    *ret = name;
    return 0;
}

/* list-mailbox = 1*list-char / string */
int imap_parse_list_mailbox(struct scan *s, struct arena *a, str *ret)
{
    struct scan at = *s;
    str raw;
    int r = scan_chars(&at, is_list_char, SIZE_MAX, &raw) ? 0 : imap_parse_string(&at, a, &raw);
    if (r < 0)
        return r;
    r = decode_name(raw, a, ret);
    if (r < 0)
        return r;
    *s = at;
    return 0;
}

/* seq-number = nz-number / "*" */
static bool scan_seq_number(struct scan *s, uint32_t *ret)
{
    if (scan_byte(s, '*')) {
        *ret = IMAP_STAR;
        return true;
    }
    return imap_scan_nz_number(s, ret);
}

/* sequence-set = (seq-number / seq-range) *("," sequence-set)
 * seq-range = seq-number ":" seq-number */
int imap_parse_set(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_set *ret)
{
    struct scan at = *s;
    size_t n = 1;
    for (const char *p = at.p; p != at.end && *p != ' ' && *p != ')'; p++)
        n += *p == ',';
    if (n > limits->ranges_max)
        return ERR_LIMIT;
    struct imap_range *ranges = arena_array(a, n, sizeof *ranges);
    if (!ranges)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (i && !scan_byte(&at, ','))
            return ERR_SYNTAX;
        if (!scan_seq_number(&at, &ranges[i].first))
            return ERR_SYNTAX;
        ranges[i].last = ranges[i].first;
        if (scan_byte(&at, ':') && !scan_seq_number(&at, &ranges[i].last))
            return ERR_SYNTAX;
    }
    *s = at;
    *ret = (struct imap_set){ ranges, n };
    return 0;
}

static const struct {
    str name;
    uint64_t bit;
} system_flags[] = {
    { STR_INIT("\\Seen"), MAIL_SEEN },       { STR_INIT("\\Answered"), MAIL_ANSWERED }, { STR_INIT("\\Flagged"), MAIL_FLAGGED },
    { STR_INIT("\\Deleted"), MAIL_DELETED }, { STR_INIT("\\Draft"), MAIL_DRAFT },
};

/* flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
 * "\Recent" is not a flag that a client can set, and no flag-extension is known. */
static int parse_flag(struct scan *s, struct mail_flags *flags, str *keywords, size_t max)
{
    for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++) {
        if (imap_scan_word(s, system_flags[i].name)) {
            flags->system |= system_flags[i].bit;
            return 0;
        }
    }
    str keyword;
    int r = imap_parse_atom(s, &keyword);
    if (r < 0)
        return r;
    if (keyword.n > MAIL_KEYWORD_BYTES_MAX || flags->keyword_n == max)
        return ERR_LIMIT;
    keywords[flags->keyword_n++] = keyword;
    return 0;
}

/* flag *(SP flag) */
static int parse_flags(struct scan *s, struct arena *a, const struct imap_limits *limits, struct mail_flags *ret)
{
    str *keywords = arena_array(a, limits->flags_max, sizeof *keywords);
    if (!keywords)
        return ERR_LIMIT;
    struct mail_flags flags = { .keywords = keywords };
    int r = parse_flag(s, &flags, keywords, limits->flags_max);
    while (r == 0 && scan_byte(s, ' '))
        r = parse_flag(s, &flags, keywords, limits->flags_max);
    if (r == 0)
        *ret = flags;
    return r;
}

/* flag-list = "(" [flag *(SP flag)] ")" */
int imap_parse_flag_list(struct scan *s, struct arena *a, const struct imap_limits *limits, struct mail_flags *ret)
{
    struct scan at = *s;
    struct mail_flags flags = { 0 };
    if (!scan_byte(&at, '('))
        return ERR_SYNTAX;
    if (!scan_byte(&at, ')')) {
        int r = parse_flags(&at, a, limits, &flags);
        if (r < 0)
            return r;
        if (!scan_byte(&at, ')'))
            return ERR_SYNTAX;
    }
    *s = at;
    *ret = flags;
    return 0;
}

/* date-month = "Jan" / ... "-" date-year = 4DIGIT, checked against the day in D. */
static bool scan_month_year(struct scan *s, struct date *d)
{
    uint32_t year;
    if (!scan_byte(s, '-'))
        return false;
    for (d->month = 1; d->month <= 12 && !scan_iliteral(s, date_month_name(d->month)); d->month++)
        ;
    if (d->month > 12 || !scan_byte(s, '-') || !scan_digits(s, 4, &year))
        return false;
    d->year = (int)year;
    return d->day >= 1 && d->day <= date_month_days(d->year, d->month);
}

/* date = date-text / DQUOTE date-text DQUOTE; date-text = date-day "-" date-month "-" date-year; date-day = 1*2DIGIT */
int imap_parse_date(struct scan *s, int64_t *ret_day)
{
    struct scan at = *s;
    struct date d = { 0 };
    uint32_t day;
    bool quoted = scan_byte(&at, '"');
    if (!scan_digits(&at, 2, &day) && !scan_digits(&at, 1, &day))
        return ERR_SYNTAX;
    d.day = (int)day;
    if (!scan_month_year(&at, &d) || (quoted && !scan_byte(&at, '"')))
        return ERR_SYNTAX;
    int64_t seconds = date_to_unix(&d);
    *s = at;
    *ret_day = (seconds - (seconds < 0 ? 86399 : 0)) / 86400;
    return 0;
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT; zone = ("+" / "-") 4DIGIT */
static bool scan_time_zone(struct scan *s, struct date *d)
{
    uint32_t hour, minute, second, zone_hour, zone_minute;
    if (!scan_digits(s, 2, &hour) || !scan_byte(s, ':') || !scan_digits(s, 2, &minute) || !scan_byte(s, ':') ||
        !scan_digits(s, 2, &second) || !scan_byte(s, ' '))
        return false;
    bool west = scan_byte(s, '-');
    if ((!west && !scan_byte(s, '+')) || !scan_digits(s, 2, &zone_hour) || !scan_digits(s, 2, &zone_minute))
        return false;
    if (hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59)
        return false;
    d->hour = (int)hour;
    d->minute = (int)minute;
    d->second = (int)second;
    d->zone = (int)(zone_hour * 60 + zone_minute) * (west ? -1 : 1);
    return true;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE; date-day-fixed = (SP DIGIT) / 2DIGIT */
int imap_parse_date_time(struct scan *s, int64_t *ret_ms)
{
    struct scan at = *s;
    struct date d = { 0 };
    uint32_t day;
    if (!scan_byte(&at, '"'))
        return ERR_SYNTAX;
    /* date-day-fixed is " 3" or "03"; some clients write "3" and would lose their copy of what they sent */
    struct scan two = at;
    bool is_one = scan_byte(&at, ' ') || !scan_digits(&two, 2, &day);
    if (is_one ? !scan_digits(&at, 1, &day) : !scan_digits(&at, 2, &day))
        return ERR_SYNTAX;
    d.day = (int)day;
    if (!scan_month_year(&at, &d) || !scan_byte(&at, ' ') || !scan_time_zone(&at, &d) || !scan_byte(&at, '"'))
        return ERR_SYNTAX;
    *s = at;
    *ret_ms = date_to_unix(&d) * 1000;
    return 0;
}

/* append-message = append-opts SP append-data; append-opts = [SP flag-list] [SP date-time] (RFC 3502, RFC 4466 section 6) */
int imap_parse_append_message(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_append *ret)
{
    struct scan at = *s;
    struct imap_append append = { .mailbox = ret->mailbox, .received_ms = INT64_MIN };
    if (!scan_byte(&at, ' '))
        return ERR_SYNTAX;
    if (scan_peek(&at) == '(') {
        int r = imap_parse_flag_list(&at, a, limits, &append.flags);
        if (r < 0)
            return r;
        if (!scan_byte(&at, ' '))
            return ERR_SYNTAX;
    }
    if (scan_peek(&at) == '"') {
        int r = imap_parse_date_time(&at, &append.received_ms);
        if (r < 0)
            return r;
        if (!scan_byte(&at, ' '))
            return ERR_SYNTAX;
    }
    *s = at;
    *ret = append;
    return 0;
}

/* append = "APPEND" SP mailbox 1*append-message */
int imap_parse_append(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_append *ret)
{
    struct scan at = *s;
    struct imap_append append = { 0 };
    int r = imap_parse_mailbox(&at, a, &append.mailbox);
    if (r == 0)
        r = imap_parse_append_message(&at, a, limits, &append);
    if (r < 0)
        return r;
    *s = at;
    *ret = append;
    return 0;
}

/* "(" status-att *(SP status-att) ")" */
int imap_parse_status_items(struct scan *s, unsigned *ret)
{
    static const struct {
        str name;
        unsigned bit;
    } items[] = {
        { STR_INIT("MESSAGES"), IMAP_STATUS_MESSAGES },
        { STR_INIT("RECENT"), IMAP_STATUS_RECENT },
        { STR_INIT("UIDNEXT"), IMAP_STATUS_UIDNEXT },
        { STR_INIT("UIDVALIDITY"), IMAP_STATUS_UIDVALIDITY },
        { STR_INIT("UNSEEN"), IMAP_STATUS_UNSEEN },
        { STR_INIT("SIZE"), IMAP_STATUS_SIZE },
        { STR_INIT("HIGHESTMODSEQ"), IMAP_STATUS_HIGHESTMODSEQ },
        { STR_INIT("DELETED"), IMAP_STATUS_DELETED },
        { STR_INIT("DELETED-STORAGE"), IMAP_STATUS_DELETED_STORAGE },
    };
    const size_t item_n = sizeof items / sizeof *items;
    struct scan at = *s;
    unsigned bits = 0;
    if (!scan_byte(&at, '('))
        return ERR_SYNTAX;
    do {
        size_t i = 0;
        while (i < item_n && !imap_scan_word(&at, items[i].name))
            i++;
        if (i == item_n)
            return ERR_SYNTAX;
        bits |= items[i].bit;
    } while (scan_byte(&at, ' '));
    if (!scan_byte(&at, ')'))
        return ERR_SYNTAX;
    *s = at;
    *ret = bits;
    return 0;
}

/* known-uids, known-sequence-set: sequence-set without "*" (RFC 7162 section 7) */
static int parse_known(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_set *ret)
{
    int r = imap_parse_set(s, a, limits, ret);
    for (size_t i = 0; r == 0 && i < ret->n; i++) {
        if (ret->ranges[i].first == IMAP_STAR || ret->ranges[i].last == IMAP_STAR)
            r = ERR_SYNTAX;
    }
    return r;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static int parse_match_data(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_select_params *p)
{
    if (!scan_byte(s, '('))
        return ERR_SYNTAX;
    int r = parse_known(s, a, limits, &p->match_seqs);
    if (r == 0 && !scan_byte(s, ' '))
        r = ERR_SYNTAX;
    if (r == 0)
        r = parse_known(s, a, limits, &p->match_uids);
    return r < 0 || scan_byte(s, ')') ? r : ERR_SYNTAX;
}

/* "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static int parse_qresync(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_select_params *p)
{
    int r = 0;
    if (!scan_byte(s, ' ') || !scan_byte(s, '(') || !imap_scan_nz_number(s, &p->uidvalidity) || !scan_byte(s, ' ') ||
        !imap_scan_modseq(s, &p->modseq) || !p->modseq)
        return ERR_SYNTAX;
    bool more = scan_byte(s, ' ');
    if (more && scan_peek(s) != '(') {
        r = parse_known(s, a, limits, &p->uids);
        more = r == 0 && scan_byte(s, ' ');
    }
    if (more)
        r = parse_match_data(s, a, limits, p);
    return r < 0 || scan_byte(s, ')') ? r : ERR_SYNTAX;
}

/* select-params = "(" select-param *(SP select-param) ")" (RFC 4466 section 6); select-param = "CONDSTORE" / "QRESYNC" SP ... */
int imap_parse_select_params(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_select_params *ret)
{
    struct scan at = *s;
    struct imap_select_params p = { 0 };
    if (!scan_byte(&at, '('))
        return ERR_SYNTAX;
    do {
        if (imap_scan_word(&at, STR("CONDSTORE"))) {
            p.condstore = true;
            continue;
        }
        if (p.qresync || !imap_scan_word(&at, STR("QRESYNC")))
            return ERR_SYNTAX;
        p.qresync = true;
        int r = parse_qresync(&at, a, limits, &p);
        if (r < 0)
            return r;
    } while (scan_byte(&at, ' '));
    if (!scan_byte(&at, ')'))
        return ERR_SYNTAX;
    *s = at;
    *ret = p;
    return 0;
}

/* store-modifiers = "(" store-modifier ")" SP; store-modifier = "UNCHANGEDSINCE" SP mod-sequence-valzer (RFC 7162 section 7) */
static int parse_store_modifiers(struct scan *s, struct imap_store *store)
{
    if (!scan_byte(s, '('))
        return 0;
    bool ok = imap_scan_word(s, STR("UNCHANGEDSINCE")) && scan_byte(s, ' ') && imap_scan_modseq(s, &store->unchanged_since) &&
              scan_byte(s, ')') && scan_byte(s, ' ');
    return ok ? 0 : ERR_SYNTAX;
}

/* store = [store-modifiers] store-att-flags; store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP
 *         (flag-list / (flag *(SP flag))) */
int imap_parse_store(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_store *ret)
{
    struct scan at = *s;
    struct imap_store store = { .mode = MAIL_FLAGS_SET, .unchanged_since = UINT64_MAX };
    int r = parse_store_modifiers(&at, &store);
    if (r < 0)
        return r;
    if (scan_byte(&at, '+'))
        store.mode = MAIL_FLAGS_ADD;
    else if (scan_byte(&at, '-'))
        store.mode = MAIL_FLAGS_REMOVE;
    store.silent = imap_scan_word(&at, STR("FLAGS.SILENT"));
    if ((!store.silent && !imap_scan_word(&at, STR("FLAGS"))) || !scan_byte(&at, ' '))
        return ERR_SYNTAX;
    r = scan_peek(&at) == '(' ? imap_parse_flag_list(&at, a, limits, &store.flags) : parse_flags(&at, a, limits, &store.flags);
    if (r < 0)
        return r;
    *s = at;
    *ret = store;
    return 0;
}
