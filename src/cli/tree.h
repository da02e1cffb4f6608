/* tree: files on their way into a backup and back, with the checksums that its manifest keeps. */
#ifndef VALISE_CLI_TREE_H
#define VALISE_CLI_TREE_H

#include <sys/types.h>

#include "base/beneath.h"

enum { TREE_PATH_MAX = BENEATH_PATH_MAX, TREE_SUM_TEXT = 65 };

/* One file of a backup. */
struct tree_file {
    char path[TREE_PATH_MAX]; /* relative */
    uint64_t size;
    int64_t mtime_ns;
    mode_t mode;
    char sum[TREE_SUM_TEXT]; /* SHA-256, hexadecimal */
};

/* Writes a file's bytes somewhere; 0 or an error. */
typedef int tree_write_fn(void *ctx, str bytes, struct error *e);

/* Gives all bytes of the open file FD to FN (NULL: nobody) and their number and checksum to *RET_SIZE and SUM. NAME is for messages. */
int tree_read(int fd, const char *name, tree_write_fn *fn, void *ctx, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e) MUST_USE;
/* Copies the open file FD to the new file TO below DIR, durable, with RIGHTS; its size and checksum are in *RET_SIZE and SUM. */
int tree_copy(int fd, int dir, const char *to, struct beneath_rights rights, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e) MUST_USE;
/* Marks the open directory FD as in use by this process, until it is closed or the process ends. ERR_UNAVAILABLE when another one has; NAME is for
 * the message. */
int tree_claim(int fd, const char *name, struct error *e) MUST_USE;
/* Removes each directory in DIR that is ours, whose name begins with PREFIX and that nobody has claimed: what an interrupted command left. What
 * cannot be removed stays. */
void tree_remove_stale(int dir, const char *prefix);
/* The bytes of all files below the directory DIR; what cannot be looked at counts as none. */
uint64_t tree_bytes(int dir);

#endif
