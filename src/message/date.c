/* date: see date.h. */
#include "message/date.h"

#include "message/lex_private.h"

enum { ZONE_MAX = 23 * 60 + 59 };

/* 1 to 12 by the first three letters, 0 for none. */
static int month_number(str name)
{
    for (int m = 1; m <= 12 && name.n >= 3; m++)
        if (str_istarts(name, date_month_name(m)))
            return m;
    return 0;
}

static str take_letters(struct scan *s)
{
    const char *from = s->p;
    while (s->p != s->end && ascii_is_alpha(*s->p))
        s->p++;
    return (str){ from, (size_t)(s->p - from) };
}

/* Up to MAX digits; how many there were. */
static size_t take_number(struct scan *s, size_t max, int *ret)
{
    size_t n = 0;
    int value = 0;
    while (n < max && s->p != s->end && ascii_is_digit(*s->p)) {
        value = value * 10 + (*s->p++ - '0');
        n++;
    }
    if (n)
        *ret = value;
    return n;
}

/* RFC 5322 section 4.3: obs-year. */
static int year_full(int year, size_t digits)
{
    if (digits == 2)
        return year + (year < 50 ? 2000 : 1900);
    return digits == 3 ? year + 1900 : year;
}

/* RFC 5322 section 4.3: obs-zone. Military letters and unknown names mean nothing reliable: +0000. */
static int zone_named(str name)
{
    static const struct {
        char name[4];
        int minutes;
    } zones[] = {
        { "EDT", -240 }, { "EST", -300 }, { "CDT", -300 }, { "CST", -360 },
        { "MDT", -360 }, { "MST", -420 }, { "PDT", -420 }, { "PST", -480 },
    };
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (str_ieq(name, (str){ zones[i].name, 3 }))
            return zones[i].minutes;
    return 0;
}

/* RFC 5322 section 3.3: zone = ("+" / "-") 4DIGIT; a colon inside is tolerated. False when a sign stands there without a zone. */
static bool zone_parse(struct scan *s, int *ret)
{
    int sign = scan_byte(s, '+') ? 1 : scan_byte(s, '-') ? -1 : 0;
    if (!sign) {
        *ret = zone_named(take_letters(s));
        return true;
    }
    int hours, minutes;
    if (take_number(s, 2, &hours) != 2)
        return false;
    (void)scan_byte(s, ':');
    if (take_number(s, 2, &minutes) != 2 || minutes > 59)
        return false;
    int zone = hours * 60 + minutes;
    *ret = zone > ZONE_MAX ? 0 : sign * zone;
    return true;
}

static bool date_is_valid(const struct date *d)
{
    return d->year >= 0 && d->year <= 9999 && d->month >= 1 && d->month <= 12 && d->day >= 1 &&
           d->day <= date_month_days(d->year, d->month) && d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

/* RFC 5322 section 3.3: time-of-day = hour ":" minute [ ":" second ], with obsolete white space. */
static bool time_parse(struct scan *s, struct date *d)
{
    if (!take_number(s, 2, &d->hour))
        return false;
    message_lex_cfws(s);
    if (!scan_byte(s, ':'))
        return false;
    message_lex_cfws(s);
    if (!take_number(s, 2, &d->minute))
        return false;
    message_lex_cfws(s);
    if (!scan_byte(s, ':'))
        return true;
    message_lex_cfws(s);
    return take_number(s, 2, &d->second) > 0;
}

/* RFC 5322 section 3.3: date-time = [ day-of-week "," ] date time [CFWS]. */
static bool date_read(str text, struct date *ret)
{
    struct scan s = scan_init(text);
    struct date d = { 0 };
    message_lex_cfws(&s);
    if (take_letters(&s).n) {
        message_lex_cfws(&s);
        (void)scan_byte(&s, ',');
        message_lex_cfws(&s);
    }
    if (!take_number(&s, 2, &d.day))
        return false;
    /* "1-Jan-2026" and "1. Jan 2026" are seen in the wild. */
    while (message_lex_cfws(&s) || scan_byte(&s, '-') || scan_byte(&s, '.'))
        ;
    d.month = month_number(take_letters(&s));
    while (message_lex_cfws(&s) || scan_byte(&s, '-') || scan_byte(&s, '.'))
        ;
    size_t digits = take_number(&s, 4, &d.year);
    if (digits < 2)
        return false;
    d.year = year_full(d.year, digits);
    message_lex_cfws(&s);
    if (!time_parse(&s, &d))
        return false;
    message_lex_cfws(&s);
    if (!zone_parse(&s, &d.zone) || !date_is_valid(&d))
        return false;
    *ret = d;
    return true;
}

bool message_date_parse(str text, int64_t *ret_unix, int *ret_zone)
{
    struct date d;
    if (!date_read(text, &d))
        return false;
    *ret_unix = date_to_unix(&d);
    if (ret_zone)
        *ret_zone = d.zone;
    return true;
}

bool message_date_day(str text, int64_t *ret_day)
{
    struct date d;
    if (!date_read(text, &d))
        return false;
    d.hour = d.minute = d.second = d.zone = 0;
    *ret_day = date_to_unix(&d) / (24 * 60 * 60);
    return true;
}

/* RFC 3501 section 9: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE. */
bool message_internaldate_parse(str text, int64_t *ret_unix, int *ret_zone)
{
    struct scan s = scan_init(text);
    struct date d = { 0 };
    size_t day_digits = scan_byte(&s, ' ') ? 1 : 2; /* date-day-fixed; "3-Feb-2025" too, as some clients write it */
    str month;
    int zone_hour, zone_minute;
    if (take_number(&s, day_digits, &d.day) == 0 || !scan_byte(&s, '-') || !scan_take(&s, 3, &month) || !scan_byte(&s, '-') ||
        take_number(&s, 4, &d.year) != 4 || !scan_byte(&s, ' '))
        return false;
    if (take_number(&s, 2, &d.hour) != 2 || !scan_byte(&s, ':') || take_number(&s, 2, &d.minute) != 2 || !scan_byte(&s, ':') ||
        take_number(&s, 2, &d.second) != 2 || !scan_byte(&s, ' '))
        return false;
    int sign = scan_byte(&s, '+') ? 1 : scan_byte(&s, '-') ? -1 : 0;
    if (!sign || take_number(&s, 2, &zone_hour) != 2 || take_number(&s, 2, &zone_minute) != 2 || !scan_done(&s))
        return false;
    d.month = month_number(month);
    d.zone = sign * (zone_hour * 60 + zone_minute);
    if (!date_is_valid(&d) || zone_minute > 59 || zone_hour > 23)
        return false;
    *ret_unix = date_to_unix(&d);
    if (ret_zone)
        *ret_zone = d.zone;
    return true;
}

void message_internaldate_add(struct buf *b, int64_t seconds, int zone)
{
    struct date d = date_from_unix(seconds, zone);
    int east = d.zone < 0 ? -d.zone : d.zone;
    buf_addf(b, "%2d-%.*s-%04d %02d:%02d:%02d %c%02d%02d", d.day, STR_ARG(date_month_name(d.month)), d.year, d.hour, d.minute,
             d.second, d.zone < 0 ? '-' : '+', east / 60, east % 60);
}
