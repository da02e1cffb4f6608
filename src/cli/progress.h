/* progress: a bar on standard error while much mail moves, when that is a terminal. */
#ifndef VALISE_CLI_PROGRESS_H
#define VALISE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;
    bool bytes;           /* what is counted are bytes */
    uint64_t done, total; /* total 0: not known */
    int64_t drawn_ms;
};

/* QUIET: nothing is drawn. Set BYTES afterwards where they are what is counted. */
void progress_begin(struct progress *p, uint64_t total, bool quiet);
/* N more are done. */
void progress_step(struct progress *p, uint64_t n);
/* Removes the bar for the moment, so that a line can be printed; the next step draws it again. */
void progress_wipe(struct progress *p);
/* Removes the bar. */
void progress_end(struct progress *p);

#endif
