/* metrics: the numbers of all processes as text for Prometheus and its kin (exposition format 0.0.4): what each role counts (base/metric.h), what the
 * supervisor knows of the roles, the store, the ends of certificates. For `valise metrics` and for listeners of protocol "metrics". */
#ifndef VALISE_ROLE_METRICS_H
#define VALISE_ROLE_METRICS_H

#include "role/admin.h"

/* Appends the text to OUT. ERR_UNAVAILABLE where no server runs, or as the supervisor fails. Blocks. */
int metrics_text(struct admin *a, struct buf *out, struct error *e) MUST_USE;
/* The same as {"text": ...}; see admin.c for the table. */
json_t *metrics_show(struct admin *a, const json_t *request);

#endif
