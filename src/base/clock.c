/* clock: see clock.h. Calendar arithmetic after the proleptic Gregorian calendar, 400-year eras. */
#include "base/clock.h"

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0)
        panic("clock_gettime failed");
    return (int64_t)ts.tv_sec * per_second + ts.tv_nsec / (1000000000 / per_second);
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

uint64_t clock_boot_s(void)
{
    return (uint64_t)read_clock(CLOCK_BOOTTIME, 1);
}

int64_t clock_real_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

struct date date_from_unix(int64_t seconds, int zone)
{
    int64_t t = seconds + (int64_t)zone * 60;
    int64_t days = t / 86400, rest = t % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    int64_t weekday = (days + 4) % 7;
    return (struct date){
        .year = (int)(yoe + era * 400 + (month <= 2)),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .zone = zone,
        .weekday = (int)(weekday < 0 ? weekday + 7 : weekday),
    };
}

int64_t date_to_unix(const struct date *d)
{
    int64_t days = days_from_civil(d->year, d->month, d->day);
    return days * 86400 + d->hour * 3600 + d->minute * 60 + d->second - (int64_t)d->zone * 60;
}

int date_month_days(int year, int month)
{
    static const unsigned char days[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
        return 29;
    return month >= 1 && month <= 12 ? days[month] : 0;
}

str date_weekday_name(int weekday)
{
    static const char names[] = "SunMonTueWedThuFriSat";
    require(weekday >= 0 && weekday < 7);
    return (str){ names + (size_t)weekday * 3, 3 };
}

str date_month_name(int month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    require(month >= 1 && month <= 12);
    return (str){ names + ((size_t)month - 1) * 3, 3 };
}

void date_add_rfc5322(struct buf *b, const struct date *d)
{
    int zone = d->zone < 0 ? -d->zone : d->zone;
    buf_addf(b, "%.*s, %d %.*s %04d %02d:%02d:%02d %c%02d%02d", STR_ARG(date_weekday_name(d->weekday)), d->day,
             STR_ARG(date_month_name(d->month)), d->year, d->hour, d->minute, d->second, d->zone < 0 ? '-' : '+', zone / 60,
             zone % 60);
}

void date_add_rfc3339(struct buf *b, int64_t real_ms)
{
    int64_t s = real_ms / 1000;
    struct date d = date_from_unix(s, 0);
    buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", d.year, d.month, d.day, d.hour, d.minute, d.second,
             (int)(real_ms - s * 1000));
}

int date_local_zone(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!localtime_r(&t, &tm))
        return 0;
    return (int)(tm.tm_gmtoff / 60);
}
