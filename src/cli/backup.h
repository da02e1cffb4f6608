/* backup: what a backup looks like. A directory holds generations named by their time, each complete:
 *
 *     20261123T142400Z/manifest.json     {"version": 1, "valise": ..., "files": [{path size mtime mode sha256}]}
 *     20261123T142400Z/files/            as in the valise directory: valise.conf, ca.pem, keys/, tls/, store/
 *
 * Files of the store that never change are hard links to those of the generation before: a further backup takes the space of what is new.
 *
 *  B1  A directory without ".partial" in its name is whole: it is renamed after all of it is durable.
 *  B2  Nothing in a generation is ever written again. Whoever makes, prunes or clones holds a lock on the directory concerned, so that what is left of
 *      an interrupted command is known for that and removed by the next one. */
#ifndef VALISE_CLI_BACKUP_H
#define VALISE_CLI_BACKUP_H

#include <jansson.h>

#include "cli/tree.h"

enum { BACKUP_VERSION = 1, BACKUP_NAME_MAX = 17 };

/* "A/B" in RET. ERR_LIMIT. */
int backup_join(char ret[TREE_PATH_MAX], const char *a, const char *b, struct error *e) MUST_USE;

/* The names of the generations in TARGET, oldest first; freed with backup_list_done, which may be called after a failure too. */
struct backup_list {
    char (*names)[BACKUP_NAME_MAX];
    size_t n;
};
int backup_generations(const char *target, struct backup_list *ret, struct error *e) MUST_USE;
void backup_list_done(struct backup_list *l);
/* One command at a time writes in TARGET; what interrupted ones left there is removed. *RET_LOCK is closed by the caller, also after a failure
 * (-1: nothing is to be closed). ERR_UNAVAILABLE. */
int backup_lock(const char *target, int *ret_lock, struct error *e) MUST_USE;
/* Removes all but the KEEP latest generations of TARGET, which is locked. */
int backup_prune(const char *target, uint64_t keep, uint64_t *ret_removed, struct error *e) MUST_USE;

/* The generation that PATH means, itself one or the latest in it, in RET. ERR_NOTFOUND. */
int backup_find(const char *path, char ret[TREE_PATH_MAX], struct error *e) MUST_USE;
/* Its manifest, the caller's; checked: each path is relative and stays below. */
int backup_manifest(const char *generation, json_t **ret, struct error *e) MUST_USE;

#endif
