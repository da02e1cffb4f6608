/* quiet: see quiet.h. */
#include "role/quiet.h"

bool quiet_is_due(struct quiet *q, int64_t now_ms, int64_t cpu_ms)
{
    bool is_first = q->at_ms == 0;
    bool is_quiet = !is_first && (cpu_ms - q->cpu_ms) * QUIET_CPU_SHARE < now_ms - q->at_ms;
    bool due = is_quiet && q->has_worked;
    q->has_worked = !is_quiet; /* what was done since the start counts */
    q->at_ms = now_ms;
    q->cpu_ms = cpu_ms;
    return due;
}
