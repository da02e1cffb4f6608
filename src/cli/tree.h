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

/* Locks the directory DIR, called NAME, by a file FILE in it that only we can open: who can merely open the directory cannot hold it. Gives it back with
 * tree_unlock; when the process ends, the lock ends. A descriptor; ERR_UNAVAILABLE when another command has it, ERR_REFUSED when the file is somebody else's. */
int tree_lock(int dir, const char *file, const char *name, struct error *e) MUST_USE;
void tree_unlock(int dir, const char *file, int lock);

/* What an interrupted command leaves is removed by the next one, as root in folders of others too: so not by its name alone, which its owner may give to
 * anything, but when it is ours, others cannot write in it, it says inside that it is unfinished under that very name, and nobody has claimed it.
 *
 * Says so in the open directory FD, which we have made as NAME. */
int tree_mark(int fd, const char *name, struct error *e) MUST_USE;
void tree_unmark(int fd, const char *name);
/* Removes NAME in DIR if it is such a directory. */
void tree_remove_unfinished(int dir, const char *name);
/* The same for each name that begins with PREFIX. */
void tree_remove_stale(int dir, const char *prefix);
/* Whether the open directory FD is ours and nobody else can write in it. */
bool tree_is_ours(int fd);
/* Removes FD, our directory that is called NAME in DIR, and all that is in it; nothing when it is called otherwise by now. */
void tree_remove(int dir, const char *name, int fd);

/* The bytes of the open file FD, of SIZE bytes, that were never written: a hole is read as zeros and takes no space. FD is at its beginning then. */
uint64_t tree_holes(int fd, uint64_t size);
/* The bytes of all files below the directory DIR; what cannot be looked at counts as none. */
uint64_t tree_bytes(int dir);

#endif
