/* mishaps: what went wrong with single items of a long piece of work that goes on without them. Each is named at once on standard error, or in the result with
 * --json; the command ends with an exit status that says so. */
#ifndef VALISE_CLI_MISHAPS_H
#define VALISE_CLI_MISHAPS_H

#include "cli/cli.h"
#include "cli/progress.h"

struct mishaps {
    json_t *list;              /* the first MISHAPS_NAMED, {name reason} */
    struct progress *progress; /* the bar to draw around; NULL: none */
    bool quiet;                /* not on standard error */
    uint64_t n;
};

enum { MISHAPS_NAMED = 10000 };

void mishaps_init(struct mishaps *m, struct progress *progress, bool quiet);
void mishaps_done(struct mishaps *m);
/* WHAT could not be done for REASON. */
void mishaps_add(struct mishaps *m, const char *what, const char *reason);
/* Adds "failed" and "failures" to the result V of a command, and "ok": false when there are any. */
void mishaps_add_json(const struct mishaps *m, json_t *v);
/* Ends the command: EX_DATAERR when there was a mishap or WORSE, else 0. SAYING is what the items are, such as "messages or folders"; it is told on standard
 * error how many are missing. */
int mishaps_status(const struct mishaps *m, bool worse, const char *saying);

#endif
