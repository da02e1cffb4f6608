/* stats: time, samples and percentiles of the load generators. */
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

uint64_t stats_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

void stats_add(struct stats_samples *s, uint64_t nanoseconds)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 1024;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
        if (!s->values)
            abort();
    }
    s->values[s->count++] = nanoseconds;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

double stats_percentile_ms(struct stats_samples *s, double p)
{
    if (s->count == 0)
        return 0;
    qsort(s->values, s->count, sizeof *s->values, compare);
    size_t rank = (size_t)ceil(p / 100.0 * (double)s->count);
    return (double)s->values[rank ? rank - 1 : 0] / 1e6;
}

void stats_done(struct stats_samples *s)
{
    free(s->values);
    *s = (struct stats_samples){ 0 };
}

double stats_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void stats_print(struct stats_report *r, const char *name, double value, const char *unit)
{
    if (r->json)
        printf("%s\"%s\": %.6g", r->entries ? ", " : "{", name, value);
    else
        printf("%-18s %14.3f %s\n", name, value, unit);
    r->entries++;
}

void stats_print_end(struct stats_report *r)
{
    if (r->json)
        printf("%s}\n", r->entries ? "" : "{");
    fflush(stdout);
}
