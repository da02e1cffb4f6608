/* bulk_file: many users, or many members of a group, from the file that --from names. See bulk_file.c. */
#ifndef VALISE_CLI_BULK_FILE_H
#define VALISE_CLI_BULK_FILE_H

#include "cli/cli.h"

/* Adds the users of the file, or with MEMBERS puts them into the group that is the first operand. The options --dry-run, and for users --generate,
 * --skip-existing, --passwords and --role, say how. An exit status. */
int bulk_from_file(const struct cli *c, bool members) MUST_USE;

/* Reads the users of FILE as user add --from does: an array of {"line", "address", "name", "password", "groups"}, where all but the first two may be
 * absent, to *RET, the caller's. 0, or an exit status after all mistakes were told with their lines. */
int bulk_read_users(const struct cli *c, const char *file, json_t **ret) MUST_USE;

#endif
