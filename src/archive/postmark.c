/* postmark: see postmark.h. */
#include "archive/postmark.h"

#include "base/clock.h"

enum { WORDS_MAX = 14, YEAR_MIN = 1900, YEAR_MAX = 9999, PIVOT = 70, FIELD_NAME_MAX = 76 };

struct words {
    str list[WORDS_MAX];
    size_t n;
};

static int month_of(str word)
{
    for (int m = 1; m <= 12; m++)
        if (str_ieq(word, date_month_name(m)))
            return m;
    return 0;
}

/* "Mon", "Mon," */
static bool is_weekday(str word)
{
    word = str_ends(word, STR(",")) ? str_sub(word, 0, word.n - 1) : word;
    for (int d = 0; d < 7; d++)
        if (str_ieq(word, date_weekday_name(d)))
            return true;
    return false;
}

/* "22:13:20", "22:13"; a fraction of a second is left out. */
static bool take_time(str word, struct date *d)
{
    str part;
    uint32_t v[3] = { 0, 0, 0 };
    size_t n = 0;
    while (str_split(&word, ':', &part)) {
        if (n == 2)
            part = str_sub(part, 0, str_find_byte(part, '.', 0));
        if (n == 3 || part.n > 2 || !str_to_u32(part, n == 0 ? 23 : n == 1 ? 59 : 60, &v[n]))
            return false;
        n++;
    }
    d->hour = (int)v[0];
    d->minute = (int)v[1];
    d->second = (int)v[2];
    return n >= 2;
}

/* "+0100", "+01:00" */
static bool take_zone(str word, struct date *d)
{
    uint32_t hour, minute;
    bool colon = word.n == 6 && word.p[3] == ':';
    if ((word.n != 5 && !colon) || (word.p[0] != '+' && word.p[0] != '-') || !str_to_u32(str_sub(word, 1, 2), 23, &hour) ||
        !str_to_u32(str_from(word, colon ? 4 : 3), 59, &minute))
        return false;
    int minutes = (int)(hour * 60 + minute);
    d->zone = word.p[0] == '-' ? -minutes : minutes;
    return true;
}

static bool take_year(str word, struct date *d)
{
    uint32_t year;
    if ((word.n != 4 && word.n != 2) || !str_to_u32(word, YEAR_MAX, &year))
        return false;
    if (word.n == 2)
        year += year < PIVOT ? 2000 : 1900;
    d->year = (int)year;
    return d->year >= YEAR_MIN;
}

/* The name of a zone, as in "22:13:20 MET DST 2023". What time it means depends on who wrote it: only UTC is certain. */
static bool is_zone_name(str word)
{
    bool good = word.n >= 1 && word.n <= 5;
    for (size_t i = 0; i < word.n; i++)
        good = good && word.p[i] >= 'A' && word.p[i] <= 'Z';
    return good;
}

/* "2023-11-14" */
static bool take_iso_day(str word, struct date *d)
{
    uint32_t month, day;
    if (word.n != 10 || word.p[4] != '-' || word.p[7] != '-' || !take_year(str_sub(word, 0, 4), d) ||
        !str_to_u32(str_sub(word, 5, 2), 12, &month) || !str_to_u32(str_from(word, 8), 31, &day))
        return false;
    d->month = (int)month;
    d->day = (int)day;
    return true;
}

/* "2023-11-14T22:13:20Z": the words T and what follows are cut off. */
static bool take_iso(str word, struct date *d)
{
    size_t t = str_find_byte(word, 'T', 0);
    if (t == word.n || !take_iso_day(str_sub(word, 0, t), d))
        return false;
    str clock = str_from(word, t + 1);
    size_t zone = 0;
    while (zone < clock.n && clock.p[zone] != '+' && clock.p[zone] != '-' && clock.p[zone] != 'Z')
        zone++;
    str tail = str_from(clock, zone);
    return take_time(str_sub(clock, 0, zone), d) && (tail.n == 0 || str_eq(tail, STR("Z")) || take_zone(tail, d));
}

/* "Nov 14", "14 Nov", "14 Nov 2023": how many words, 0 for none. */
static size_t take_day(const str *words, size_t n, struct date *d)
{
    uint32_t day;
    if (n < 2)
        return 0;
    bool month_first = (d->month = month_of(words[0])) != 0;
    str number = words[month_first ? 1 : 0];
    if (!month_first && (d->month = month_of(words[1])) == 0)
        return 0;
    if (number.n > 2 || !str_to_u32(number, 31, &day))
        return 0;
    d->day = (int)day;
    return !month_first && n > 2 && take_year(words[2], d) ? 3 : 2;
}

/* A date that begins with the first of WORDS. */
static bool take_date(const str *words, size_t n, int64_t *ret)
{
    struct date d = { 0 };
    size_t at = n && is_weekday(words[0]) ? 1 : 0, used = 0;
    bool whole = at < n && take_iso(words[at], &d);
    if (!whole && at < n && take_iso_day(words[at], &d))
        used = 1;
    else if (!whole)
        used = take_day(words + at, n - at, &d);
    at += whole ? 1 : used;
    if (!whole && (used == 0 || at >= n || !take_time(words[at++], &d)))
        return false;
    for (; at < n; at++)
        if (!take_zone(words[at], &d) && (d.year || !take_year(words[at], &d)) && !is_zone_name(words[at]))
            break; /* "remote from x" */
    if (d.year == 0 || d.day == 0 || d.month == 0 || d.day > date_month_days(d.year, d.month))
        return false;
    *ret = date_to_unix(&d);
    return true;
}

static void split(str rest, struct words *w)
{
    w->n = 0;
    size_t from = 0;
    for (size_t i = 0; i <= rest.n && w->n < WORDS_MAX; i++)
        if (i == rest.n || rest.p[i] == ' ' || rest.p[i] == '\t') {
            if (i > from)
                w->list[w->n++] = str_sub(rest, from, i - from);
            from = i + 1;
        }
}

struct postmark postmark_read(str line)
{
    struct postmark p = { .received = INT64_MIN };
    struct words w;
    if (!str_starts(line, STR("From ")))
        return p;
    split(str_from(line, 5), &w);
    p.kind = POSTMARK_ODD;
    p.sender = w.n ? w.list[0] : (str){ NULL, 0 };
    for (size_t i = 0; i < w.n && p.kind == POSTMARK_ODD; i++)
        if ((i < 2 || is_weekday(w.list[i])) && take_date(w.list + i, w.n - i, &p.received))
            p.kind = POSTMARK_DATED;
    if (p.kind == POSTMARK_ODD && w.n == 0)
        p.kind = POSTMARK_BARE;
    else if (p.kind == POSTMARK_ODD && w.n == 1 &&
             (str_find_byte(p.sender, '@', 0) < p.sender.n || str_eq(p.sender, STR("-")) ||
              str_eq(p.sender, STR("MAILER-DAEMON"))))
        p.kind = POSTMARK_ADDRESS;
    return p;
}

str postmark_field_name(str line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
        n++;
    return n && n < line.n && n <= FIELD_NAME_MAX && line.p[n] == ':' ? str_sub(line, 0, n) : (str){ line.p, 0 };
}

bool postmark_is_telling(str name)
{
    static const str names[] = { STR_INIT("From"),          STR_INIT("Date"),       STR_INIT("Received"),
                                 STR_INIT("Return-Path"),   STR_INIT("Message-ID"), STR_INIT("Subject"),
                                 STR_INIT("Status"),        STR_INIT("X-Status"),   STR_INIT("X-Mozilla-Status"),
                                 STR_INIT("X-Gmail-Labels") };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, names[i]))
            return true;
    return false;
}
