/* commands: the table of all commands; ends with name NULL. */
#ifndef VALISE_CLI_COMMANDS_H
#define VALISE_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_command cli_commands[];
/* What every command takes besides its own; ends with name NULL. */
extern const struct cli_option cli_common_options[];

#endif
