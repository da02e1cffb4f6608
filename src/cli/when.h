/* when: times as an administrator reads and writes them, in the zone of this machine. */
#ifndef VALISE_CLI_WHEN_H
#define VALISE_CLI_WHEN_H

#include "cli/cli.h"

enum { WHEN_MAX = 32 };

/* "2026-11-23 14:05", or "never" for 0, in TEXT. SECONDS since 1970. */
const char *when_text(long long seconds, char text[WHEN_MAX]);
/* "2026-11-23", "2026-11-23 14:05", or how long ago: "90m", "12h", "7d". 0 or ERR_SYNTAX. */
int when_parse(const char *text, long long *ret) MUST_USE;

#endif
