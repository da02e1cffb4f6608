/* tar: a backup as a stream, in the ustar format (POSIX.1-1988) with sizes beyond 8 GiB as GNU tar writes them. */
#ifndef VALISE_CLI_TAR_H
#define VALISE_CLI_TAR_H

#include "cli/tree.h"

/* Writes the open file FROM to FD as ROOT/files/<file->path>; its size must be what FILE says. Its checksum goes into FILE. */
int tar_add(int fd, const char *root, int from, struct tree_file *file, struct error *e) MUST_USE;
/* Writes TEXT as ROOT/NAME. */
int tar_add_text(int fd, const char *root, const char *name, str text, struct error *e) MUST_USE;
/* Begins ROOT/NAME; its SIZE bytes are the caller's to write, and tar_pad. */
int tar_begin(int fd, const char *root, const char *name, mode_t mode, uint64_t size, struct error *e) MUST_USE;
int tar_pad(int fd, uint64_t size, struct error *e) MUST_USE;
/* Ends the archive. */
int tar_end(int fd, struct error *e) MUST_USE;

#endif
