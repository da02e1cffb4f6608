/* clock: time without locale or hidden state. Milliseconds everywhere; two clocks that are never mixed by type name:
 * monotonic for deadlines, real for what is written down. */
#ifndef VALISE_BASE_CLOCK_H
#define VALISE_BASE_CLOCK_H

#include "base/buf.h"

/* Milliseconds since an arbitrary start, never going back: for deadlines. */
int64_t clock_mono_ms(void);
/* Microseconds of the same clock: for measuring. */
int64_t clock_mono_us(void);
/* Seconds since the machine started, suspended ones too: for what lasts over restarts of a process. */
uint64_t clock_boot_s(void);
/* Milliseconds since 1970-01-01 UTC: for what is written down. */
int64_t clock_real_ms(void);

struct date {
    int year;                 /* 0 to 9999 */
    int month;                /* 1 to 12 */
    int day;                  /* 1 to 31 */
    int hour, minute, second; /* second may be 60 */
    int zone;                 /* minutes east of UTC, -1439 to 1439 */
    int weekday;              /* 0 = Sunday */
};

/* Seconds since 1970 (may be negative) as a date in the zone ZONE minutes east of UTC. */
struct date date_from_unix(int64_t seconds, int zone);
/* The reverse; fields must be in range (weekday is ignored). */
int64_t date_to_unix(const struct date *d);
/* Days in a month of a year, 1-based month. */
int date_month_days(int year, int month);
/* "Mon", "Jan": three letters; weekday 0 = Sunday, month 1 = Jan. */
str date_weekday_name(int weekday);
str date_month_name(int month);
/* Appends "Mon, 23 Nov 2026 12:00:00 +0000" (RFC 5322 section 3.3). */
void date_add_rfc5322(struct buf *b, const struct date *d);
/* Appends "2026-11-23T12:00:00.123Z" (RFC 3339) for milliseconds since 1970. */
void date_add_rfc3339(struct buf *b, int64_t real_ms);
/* Minutes east of UTC that this machine's zone has at SECONDS. Thread-safe. */
int date_local_zone(int64_t seconds);

#endif
