/* tree: files on their way into a backup and back, with the checksums that its manifest keeps. */
#ifndef VALISE_CLI_TREE_H
#define VALISE_CLI_TREE_H

#include <sys/types.h>

#include "base/err.h"

enum { TREE_PATH_MAX = 1024, TREE_SUM_TEXT = 65 };

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

/* Gives all bytes of the file PATH to FN (NULL: nobody) and their number and checksum to *RET_SIZE and SUM. */
int tree_read(const char *path, tree_write_fn *fn, void *ctx, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e) MUST_USE;
/* Copies the file FROM to the new file TO, durable. The copy has MODE; its size and checksum are in *RET_SIZE and SUM. */
int tree_copy(const char *from, const char *to, mode_t mode, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e) MUST_USE;
/* Removes the directory PATH and what is in it; what cannot be removed stays. */
void tree_remove(const char *path);
/* Marks the directory PATH as in use by this process: a descriptor that holds the mark until it is closed or the process ends, or an error. */
int tree_claim(const char *path, struct error *e) MUST_USE;
/* Removes each directory in PATH whose name begins with PREFIX and that nobody has claimed: what an interrupted command left. */
void tree_remove_stale(const char *path, const char *prefix);
/* The bytes of all files in the directory PATH and below it, or of the file PATH; what cannot be looked at counts as none. */
uint64_t tree_bytes(const char *path);
/* Makes what was renamed or created in the directory PATH durable. */
int tree_sync(const char *path, struct error *e) MUST_USE;

#endif
