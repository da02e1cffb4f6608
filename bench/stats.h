/* stats: time, samples and percentiles of the load generators. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic time in nanoseconds. */
uint64_t stats_now(void);

/* A growing set of durations in nanoseconds; zero-initialise. */
struct stats_samples {
    uint64_t *values;
    size_t count, capacity;
};

/* Adds one duration. Ends the program when memory is exhausted. */
void stats_add(struct stats_samples *s, uint64_t nanoseconds);
/* The P-th percentile (0..100, nearest rank) in milliseconds; 0 without samples. Sorts the samples. */
double stats_percentile_ms(struct stats_samples *s, double p);
void stats_done(struct stats_samples *s);

/* CPU seconds (user and system) this process used: a generator near one full core is the limit, not the server. */
double stats_cpu_seconds(void);

/* Results are printed as they are reported, in order: "name value" lines, or one JSON object. */
struct stats_report {
    int json;    /* one line of JSON instead of a table */
    int entries; /* printed so far */
};
void stats_print(struct stats_report *r, const char *name, double value, const char *unit);
void stats_print_end(struct stats_report *r);

#endif
