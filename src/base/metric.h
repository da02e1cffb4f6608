/* metric: what this process counts, for whoever watches it (Prometheus exposition format 0.0.4).
 *
 * A family is a name with a meaning; a series is a family with labels. A series is looked up once and kept; adding to it is an atomic operation
 * and never blocks. Numbers only grow as long as the process lives. Thread-safe. */
#ifndef VALISE_BASE_METRIC_H
#define VALISE_BASE_METRIC_H

#include "base/buf.h"

enum metric_family {
    METRIC_CONNECTIONS,   /* listener, protocol */
    METRIC_REFUSED,       /* listener, protocol */
    METRIC_BYTES_IN,      /* listener, protocol */
    METRIC_BYTES_OUT,     /* listener, protocol */
    METRIC_TURNS,         /* listener, protocol; a histogram */
    METRIC_TLS,           /* version, cipher */
    METRIC_TLS_FAILED,    /* listener, protocol */
    METRIC_LOGINS,        /* service, result */
    METRIC_LOGIN_TIME,    /* a histogram */
    METRIC_DELIVERIES,    /* result */
    METRIC_DELIVERY_TIME, /* a histogram */
    METRIC_SIGNATURES     /* for, result */
};
enum { METRIC_FAMILIES = METRIC_SIGNATURES + 1, METRIC_LABELS_MAX = 200, METRIC_SERIES_MAX = 2000 };

struct metric;
/* The series of FAMILY with labels made from name and value pairs that end with NULL: metric_get(METRIC_TLS, "version", "TLSv1.3", NULL). It lives
 * as long as the process. When there are too many series, all others of a family are one, without labels. */
struct metric *metric_get(enum metric_family family, ...) __attribute__((sentinel));
void metric_add(struct metric *m, uint64_t n);
/* Of a histogram: one thing took US microseconds. */
void metric_observe(struct metric *m, int64_t us);

/* Appends all series of this process to B, for metric_render in another. */
void metric_pack(struct buf *b);

/* What one process packed. */
struct metric_pack {
    str process; /* the value of the label "process" */
    str packed;
};
/* Appends the series of the N processes in LIST to OUT as text, family by family. ERR_CORRUPT when one was not made by metric_pack. */
int metric_render(const struct metric_pack *list, size_t n, struct buf *out) MUST_USE;
/* Appends "# HELP" and "# TYPE" of NAME. */
void metric_render_head(struct buf *out, const char *name, const char *type, const char *help);
/* Appends S as the value of a label: quotes, backslashes and line ends escaped. */
void metric_render_label(struct buf *out, str s);

#endif
