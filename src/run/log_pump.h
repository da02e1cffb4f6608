/* log_pump: where the roles' lines go.
 *
 * The log may be a file, and whoever has a file open for writing can shorten it: so no role has the log. Each has a pipe as its standard output and error, and a
 * thread of the supervisor copies whole lines from there to the log. A pipe cannot be shortened, knows no RLIMIT_FSIZE, and is one role's own: a role that floods
 * its pipe loses its own lines.
 *
 *  P1  Nobody waits for the log. The pipes do not block: a line that does not fit is lost, and counted by who wrote it (base/log.h). What the log itself does
 *      not take within a second is lost, too, and counted here; the next line that fits says how many.
 *  P2  Lines of different roles never mix, nor does half a line stay without an end.
 *  P3  What was written before the last end of a pipe was closed is copied before log_pump_free returns, unless the log stalls. */
#ifndef VALISE_RUN_LOG_PUMP_H
#define VALISE_RUN_LOG_PUMP_H

#include <stdint.h>

#include "base/err.h"

struct log_pump;

/* Starts the thread; TO, the log, stays the caller's. Signals that the thread shall not have are blocked by the caller, who is in its sandbox. ERR_INTERNAL. */
int log_pump_new(int to, struct log_pump **ret, struct error *e) MUST_USE;
/* A new pipe into the pump: the descriptor of its writing end (close-on-exec, non-blocking), the caller's, or ERR_LIMIT. It is read until its last copy is
 * closed. */
int log_pump_pipe(struct log_pump *p, struct error *e) MUST_USE;
/* Copies what is in the pipes, for at most MS milliseconds, and ends the thread. A log that stalls is left to the thread, which ends with the process. NULL
 * accepted. */
void log_pump_free(struct log_pump *p, int64_t ms);

#endif
