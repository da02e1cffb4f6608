/* mbox: see mbox.h. RFC 4155 appendix A describes the "From " line; the quoting is that of mboxrd. */
#include "archive/mbox.h"

#include "archive/lines.h"
#include "base/clock.h"

enum { WORDS_MAX = 12 };

/* Takes a line from *REST with its end into *RET_WHOLE; returns it without. False at the end. */
static bool next_line(str *rest, str *ret_whole, str *ret)
{
    if (rest->n == 0)
        return false;
    size_t lf = str_find_byte(*rest, '\n', 0);
    *ret_whole = str_sub(*rest, 0, lf + 1);
    *ret = str_sub(*rest, 0, lf);
    if (lf < rest->n && ret->n && ret->p[ret->n - 1] == '\r')
        ret->n--;
    *rest = str_from(*rest, ret_whole->n);
    return true;
}

/* --- the line that begins a message --- */

static int month_of(str word)
{
    for (int m = 1; m <= 12; m++)
        if (str_ieq(word, date_month_name(m)))
            return m;
    return 0;
}

static bool is_weekday(str word)
{
    for (int d = 0; d < 7; d++)
        if (str_ieq(word, date_weekday_name(d)))
            return true;
    return false;
}

static bool take_time(str word, struct date *d)
{
    str part;
    uint32_t v[3] = { 0, 0, 0 };
    size_t n = 0;
    while (str_split(&word, ':', &part)) {
        if (n == 3 || !str_to_u32(part, n == 0 ? 23 : n == 1 ? 59 : 60, &v[n]))
            return false;
        n++;
    }
    d->hour = (int)v[0];
    d->minute = (int)v[1];
    d->second = (int)v[2];
    return n >= 2;
}

/* "+0100" */
static bool take_zone(str word, struct date *d)
{
    uint32_t v;
    if (word.n != 5 || (word.p[0] != '+' && word.p[0] != '-') || !str_to_u32(str_from(word, 1), 2359, &v) || v % 100 > 59)
        return false;
    int minutes = (int)(v / 100 * 60 + v % 100);
    d->zone = word.p[0] == '-' ? -minutes : minutes;
    return true;
}

/* "Mon Nov 23 12:00:00 2026", a zone before or after the year, as programs write it. The date must be there for the line to begin a message. */
static bool take_date(const str *words, size_t n, int64_t *ret)
{
    struct date d = { 0 };
    uint32_t day, year = 0;
    if (n < 5 || !is_weekday(words[0]) || (d.month = month_of(words[1])) == 0 || !str_to_u32(words[2], 31, &day) || day == 0 ||
        !take_time(words[3], &d))
        return false;
    for (size_t i = 4; i < n; i++)
        if (!take_zone(words[i], &d) && words[i].n == 4 && !year)
            (void)str_to_u32(words[i], 9999, &year);
    if (year < 1900 || (int)day > date_month_days((int)year, d.month))
        return false;
    d.year = (int)year;
    d.day = (int)day;
    *ret = date_to_unix(&d);
    return true;
}

static bool is_from_line(str line, int64_t *ret_received)
{
    if (!str_starts(line, STR("From ")))
        return false;
    str words[WORDS_MAX], rest = str_from(line, 5), word;
    size_t n = 0;
    while (n < WORDS_MAX && str_split(&rest, ' ', &word))
        if (word.n)
            words[n++] = word;
    for (size_t i = 0; i < n; i++)
        if (take_date(words + i, n - i, ret_received))
            return true;
    return false;
}

bool mbox_next(str *rest, struct mbox_message *ret)
{
    str text = *rest, whole, line;
    int64_t received = INT64_MIN, ignored;
    if (!next_line(&text, &whole, &line) || !is_from_line(line, &received))
        return false;
    str at = text;
    bool empty = false;
    size_t empty_n = 0; /* bytes of the empty line before AT */
    for (;;) {
        str before = at;
        if (!next_line(&at, &whole, &line) || (empty && is_from_line(line, &ignored))) {
            *rest = before;
            *ret = (struct mbox_message){ str_sub(text, 0, text.n - before.n - empty_n), received };
            return true;
        }
        empty = line.n == 0;
        empty_n = empty ? whole.n : 0;
    }
}

/* --- flags --- */

enum field { FIELD_NONE, FIELD_STATUS, FIELD_X_STATUS, FIELD_X_KEYWORDS };

static enum field field_of(str line, str *ret_value)
{
    static const struct {
        str name;
        enum field field;
    } names[] = { { STR_INIT("Status:"), FIELD_STATUS },
                  { STR_INIT("X-Status:"), FIELD_X_STATUS },
                  { STR_INIT("X-Keywords:"), FIELD_X_KEYWORDS } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_istarts(line, names[i].name)) {
            *ret_value = str_trim(str_from(line, names[i].name.n));
            return names[i].field;
        }
    return FIELD_NONE;
}

static const struct {
    char letter;
    enum field field;
    uint64_t flag;
} letters[] = {
    { 'R', FIELD_STATUS, MAIL_SEEN },      { 'A', FIELD_X_STATUS, MAIL_ANSWERED }, { 'F', FIELD_X_STATUS, MAIL_FLAGGED },
    { 'D', FIELD_X_STATUS, MAIL_DELETED }, { 'T', FIELD_X_STATUS, MAIL_DRAFT },
};

struct decoding {
    struct arena *a;
    str *keywords;
    size_t keyword_n;
    uint64_t system;
    int error;
};

static void take_keywords(struct decoding *d, str value)
{
    str word;
    while (str_split(&value, ' ', &word)) {
        if (word.n == 0 || word.n > MAIL_KEYWORD_BYTES_MAX || d->keyword_n == MAIL_KEYWORDS_MAX)
            continue;
        if (arena_dup(d->a, word, &d->keywords[d->keyword_n]))
            d->error = ERR_LIMIT;
        else
            d->keyword_n++;
    }
}

static void take_field(struct decoding *d, enum field field, str value)
{
    if (field == FIELD_X_KEYWORDS)
        take_keywords(d, value);
    else
        for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
            if (letters[i].field == field && str_find_byte(value, letters[i].letter, 0) < value.n)
                d->system |= letters[i].flag;
}

/* Our own fields stand first, each once; then those that the message has itself are left alone. */
static bool take_own_fields(struct decoding *d, str *rest)
{
    str at = *rest, whole, line, value;
    unsigned seen = 0;
    while (next_line(&at, &whole, &line)) {
        enum field field = field_of(line, &value);
        if (field == FIELD_NONE || seen & 1u << field)
            break;
        seen |= 1u << field;
        take_field(d, field, value);
        *rest = at;
    }
    return seen;
}

/* Appends LINE (WHOLE with its end) with one quote less. */
static void add_unquoted(struct buf *b, str whole, str line)
{
    size_t quotes = 0;
    while (quotes < line.n && line.p[quotes] == '>')
        quotes++;
    archive_to_crlf(b, quotes && str_starts(str_from(line, quotes), STR("From ")) ? str_from(whole, 1) : whole);
}

int mbox_decode(str text, struct buf *b, struct arena *a, struct mail_flags *ret)
{
    struct decoding d = { .a = a, .keywords = arena_array(a, MAIL_KEYWORDS_MAX, sizeof *d.keywords) };
    if (!d.keywords)
        return ERR_LIMIT;
    bool own = take_own_fields(&d, &text), header = true, skipped = false;
    str whole, line, value;
    while (next_line(&text, &whole, &line)) {
        header = header && line.n;
        enum field field = header && !own ? field_of(line, &value) : FIELD_NONE;
        if (field != FIELD_NONE)
            take_field(&d, field, value);
        skipped = field != FIELD_NONE || (skipped && header && (line.p[0] == ' ' || line.p[0] == '\t'));
        if (!skipped)
            add_unquoted(b, whole, line);
    }
    if (d.error == 0)
        d.error = buf_error(b);
    if (d.error == 0)
        *ret = (struct mail_flags){ .system = d.system, .keywords = d.keywords, .keyword_n = d.keyword_n };
    return d.error;
}

/* --- writing --- */

static void add_date(struct buf *b, int64_t received)
{
    struct date d = date_from_unix(received, 0);
    buf_addf(b, "%.*s %.*s %2d %02d:%02d:%02d %04d", STR_ARG(date_weekday_name(d.weekday)), STR_ARG(date_month_name(d.month)),
             d.day, d.hour, d.minute, d.second, d.year);
}

static void add_flags(struct buf *b, const struct mail_flags *flags)
{
    buf_add(b, flags->system & MAIL_SEEN ? STR("Status: RO\nX-Status: ") : STR("Status: O\nX-Status: "));
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (letters[i].field == FIELD_X_STATUS && flags->system & letters[i].flag)
            buf_add_byte(b, letters[i].letter);
    buf_add(b, STR("\nX-Keywords:"));
    for (size_t i = 0; i < flags->keyword_n; i++)
        buf_add_all(b, STR(" "), flags->keywords[i]);
    buf_add_byte(b, '\n');
}

void mbox_add(struct buf *b, str message, const struct mail_flags *flags, int64_t received)
{
    str whole, line;
    buf_add(b, STR("From MAILER-DAEMON "));
    add_date(b, received);
    buf_add_byte(b, '\n');
    add_flags(b, flags);
    while (next_line(&message, &whole, &line)) {
        size_t quotes = 0;
        while (quotes < line.n && line.p[quotes] == '>')
            quotes++;
        if (str_starts(str_from(line, quotes), STR("From ")))
            buf_add_byte(b, '>');
        archive_to_lf(b, whole);
        if (message.n == 0 && !str_ends(whole, STR("\n")))
            buf_add_byte(b, '\n');
    }
    buf_add_byte(b, '\n');
}
