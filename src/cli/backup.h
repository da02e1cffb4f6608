/* backup: what a backup looks like. A directory holds generations named by their time, each complete:
 *
 *     20261123T142400Z/manifest.json     {"version": 1, "valise": ..., "files": [{path size mtime mode sha256}]}
 *     20261123T142400Z/files/            as in the valise directory: valise.conf, ca.pem, keys/, tls/, store/
 *
 * An encrypted one has version 2, pieces/ instead of files/, and its list in a file of its own (vault.h). The CA's key is in a backup only when that
 * was asked for.
 *
 * Files of the store that never change are hard links to those of the generation before: a further backup takes the space of what is new.
 *
 *  B1  A directory without ".partial" in its name is whole: it is renamed after all of it is durable.
 *  B2  Nothing in a generation is ever written again. Whoever makes or prunes holds the lock of the directory, a file that only he can open; what is left of
 *      an interrupted command says so itself (tree.h) and is removed by the next one. */
#ifndef VALISE_CLI_BACKUP_H
#define VALISE_CLI_BACKUP_H

#include <jansson.h>

#include "cli/tree.h"

enum { BACKUP_VERSION = 1, BACKUP_NAME_MAX = 17 };

/* Whether NAME is one of a generation. */
bool backup_is_name(str name);
/* Whether PATH is relative and leads nowhere else. */
bool backup_stays_below(str path);

/* Whether FILES, the list of a manifest, is one and has what every backup has: valise.conf and files of the store, nothing twice, and nothing that a backup
 * never has. ERR_CORRUPT: else nothing to restore would pass for a good backup, and a list that somebody wrote himself would put files where a server obeys them. */
int backup_list_whole(const json_t *files, struct error *e) MUST_USE;

/* The names of the generations in the open directory TARGET (called NAME), oldest first; freed with backup_list_done, which may be called after a
 * failure too. ERR_NOTFOUND when there is none. */
struct backup_list {
    char (*names)[BACKUP_NAME_MAX];
    size_t n;
};
int backup_generations(int target, const char *name, struct backup_list *ret, struct error *e) MUST_USE;
void backup_list_done(struct backup_list *l);
/* Opens TARGET for the only command that writes there; what interrupted ones left is removed. A descriptor of it; *RET_LOCK is to be given back with
 * backup_unlock, which closes both and may be called after a failure too. ERR_UNAVAILABLE. */
int backup_lock(const char *target, int *ret_lock, struct error *e) MUST_USE;
void backup_unlock(int target, int lock);
/* Removes all but the KEEP latest generations of the directory TARGET (called NAME), which is locked. */
int backup_prune(int target, const char *name, uint64_t keep, uint64_t *ret_removed, struct error *e) MUST_USE;

/* A generation that is open for reading. */
struct backup_generation {
    int fd;                   /* of its directory; -1: none */
    int beside;               /* of the directory that it is in */
    int files;                /* of its files/ or pieces/ */
    char path[TREE_PATH_MAX]; /* for people */
};
/* The generation that PATH, which the administrator named, means: itself one or the latest in it. ERR_NOTFOUND. Closed with backup_close, which may
 * be called after a failure too. */
int backup_open(const char *path, struct backup_generation *ret, struct error *e) MUST_USE;
/* Generation NAME of the open directory TARGET, called TARGET_NAME; the descriptor is copied. */
int backup_open_in(int target, const char *target_name, const char *name, struct backup_generation *ret,
                   struct error *e) MUST_USE;
void backup_close(struct backup_generation *g);
/* Its manifest.json, the caller's; checked: it lists what every backup has, each path is relative and stays below, each checksum is there. An encrypted backup's has "pieces" and no
 * "files" (vault.h). */
int backup_manifest(const struct backup_generation *g, json_t **ret, struct error *e) MUST_USE;
/* Opens the file that the manifest's entry FILE is about. A descriptor or an error. */
int backup_open_file(const struct backup_generation *g, const json_t *file, struct error *e) MUST_USE;

#endif
