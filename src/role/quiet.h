/* quiet: when a process that has worked may give its memory back: what was kept for the next use is worth nothing to who has little to do. Pure. */
#ifndef VALISE_ROLE_QUIET_H
#define VALISE_ROLE_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* Zero at first. */
struct quiet {
    int64_t at_ms, cpu_ms; /* of the last look */
    bool has_worked;       /* since memory was given back */
};

enum { QUIET_CPU_SHARE = 100 }; /* less than a hundredth of a processor */

/* To be called about once a minute with the time by clock_mono_ms and the processor's time that the process has had: whether it was quiet since the last call
 * and has not been so since it worked. */
bool quiet_is_due(struct quiet *q, int64_t now_ms, int64_t cpu_ms);

#endif
