/* unknown: what to say of a command or an option that there is not: which one was meant, and where they are listed. */
#ifndef VALISE_CLI_UNKNOWN_H
#define VALISE_CLI_UNKNOWN_H

#include "cli/cli.h"

/* Reports that the words from argv[1] on name no command, or prints the family when help was asked for. The exit status. */
int unknown_command(const struct cli *c, int argc, char **argv);
/* Reports that c->command has no option WORD, which has its dashes, one or two. Returns EX_USAGE. */
int unknown_option(const struct cli *c, str word);
/* Of the words of CHOICES, divided by spaces, the one that GIVEN is most like, as "; did you mean 'x'?" in TEXT; "" when none is. */
enum { UNKNOWN_TEXT_MAX = 96 };
const char *unknown_word(str given, str choices, char text[UNKNOWN_TEXT_MAX]);

#endif
