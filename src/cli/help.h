/* help: what --help and `valise help' print, in lines of at most 80 columns. */
#ifndef VALISE_CLI_HELP_H
#define VALISE_CLI_HELP_H

#include "cli/cli.h"

/* All commands by topic. Returns 0. */
int help_all(void);
/* Everything about command C. Returns 0. */
int help_command(const struct cli_command *c);
/* A line, or more, about C: its operands and what it does. */
void help_line(FILE *out, const struct cli_command *c);

#endif
