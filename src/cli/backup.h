/* backup: what a backup looks like. A directory holds generations named by their time, each complete:
 *
 *     20261123T142400Z/manifest.json     {"version": 1, "valise": ..., "files": [{path size mtime mode sha256}]}
 *     20261123T142400Z/files/            as in the valise directory: valise.conf, ca.pem, keys/, tls/, store/
 *
 * Files of the store that never change are hard links to those of the generation before: a further backup takes the space of what is new.
 *
 *  B1  A directory without ".partial" in its name is whole: it is renamed after all of it is durable.
 *  B2  Nothing in a generation is ever written again. */
#ifndef VALISE_CLI_BACKUP_H
#define VALISE_CLI_BACKUP_H

#include <jansson.h>

#include "cli/tree.h"

enum { BACKUP_VERSION = 1 };

/* The generation that PATH means, itself one or the latest in it, in RET. ERR_NOTFOUND. */
int backup_find(const char *path, char ret[TREE_PATH_MAX], struct error *e) MUST_USE;
/* Its manifest, the caller's; checked: each path is relative and stays below. */
int backup_manifest(const char *generation, json_t **ret, struct error *e) MUST_USE;

#endif
