/* advice: what to do about what the system refused, where a message names the cause only. */
#ifndef VALISE_CLI_ADVICE_H
#define VALISE_CLI_ADVICE_H

#include "cli/cli.h"

/* Adds to TEXT (a string in SIZE bytes) what to do about the cause with which it ends ("keys/ca.key: Permission denied"), or how to see what there is where it says that something is not, after a semicolon; a text
 * that ends otherwise stays as it is. DIR is the valise directory of the command, to which relative paths in TEXT belong. Looks at the file
 * system for owners; changes nothing. */
void advice_add(const char *dir, char *text, size_t size);

#endif
