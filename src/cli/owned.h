/* owned: owners and modes of a directory, for check and upgrade. */
#ifndef VALISE_CLI_OWNED_H
#define VALISE_CLI_OWNED_H

#include <stdbool.h>

#include "cli/cli.h"

/* A line in LIST (a JSON array) for everything in c->dir whose owner or mode is not as role/owners.h says, at most OWNED_LINES_MAX and a last one that
 * counts the others. As root, with MEND, they are set right; the directory of an ordinary user, which no server of root's can use, is left to
 * him unless TAKE. What only root can see is left out for others. */
enum { OWNED_LINES_MAX = 200 };
int owned_compare(const struct cli *c, bool mend, bool take, json_t *list, struct error *e) MUST_USE;

/* As root, for a directory of root's: that the users which valise.conf names are there and fit. ERR_* with what to type. A server cannot look for itself
 * once it is in its sandbox. */
int owned_look_for_users(const struct cli *c, struct error *e) MUST_USE;

#endif
