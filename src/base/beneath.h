/* beneath: files by descriptor, below a directory that is already open.
 *
 * Whoever works in a tree that somebody else can write to never names a file by a path from the root: between two looks the other one swaps a
 * folder for a symbolic link. Here each path is relative and stays below the directory DIR (a descriptor, or AT_FDCWD), the kernel follows no
 * symbolic link in it, not in its last part either, and a path that is absolute, empty or has a part "." or ".." is refused (openat2 with
 * RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: Linux 5.6). Nothing but a regular file is read or written: a FIFO never
 * makes us wait, a device is never touched.
 *
 * All descriptors are close-on-exec. Errors: ERR_REFUSED for rights, links, ways out and things that are not files; ERR_NOTFOUND, ERR_EXISTS,
 * ERR_LIMIT, ERR_FULL, ERR_IO. All calls may block on the disk, none on a peer. E's text names the path as the caller gave it; put the name
 * of the directory before it with error_prefix where that helps. */
#ifndef VALISE_BASE_BENEATH_H
#define VALISE_BASE_BENEATH_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    BENEATH_PATH_MAX = 1024, /* bytes of a path, its NUL included */
    BENEATH_NAME_MAX = 256,  /* bytes of one name, its NUL included */
    BENEATH_DEPTH_MAX = 128, /* folders in one another that a walk goes into */
    BENEATH_NAMES_MAX = 1 << 24
};

/* What a new file or directory shall belong to and allow; -1 leaves the owner or the group as the system makes it. */
struct beneath_rights {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* Rights that leave owner and group alone. */
#define BENEATH_MODE(bits) ((struct beneath_rights){ .mode = (bits), .uid = (uid_t)-1, .gid = (gid_t)-1 })

/* Opens the directory PATH, as a person or the configuration wrote it: absolute or not, over symbolic links. For what the administrator named
 * himself, never for words of a peer or for what lies below it. A descriptor or an error. */
int beneath_start(const char *path, struct error *e) MUST_USE;

/* Opens the directory that PATH, as a person wrote it, is or will be in; the last part, which must be a name, goes to RET. */
int beneath_start_above(const char *path, char ret[BENEATH_NAME_MAX], struct error *e) MUST_USE;

/* The same as beneath_start for the regular file PATH that the administrator named, for reading; a FIFO or a device is refused. */
int beneath_start_file(const char *path, struct error *e) MUST_USE;

/* The same for a directory or a regular file; RET (may be NULL) gets what fstat says. */
int beneath_start_any(const char *path, struct stat *ret, struct error *e) MUST_USE;

/* The same over no symbolic link at all: for a path that leads through folders of others, whatever the administrator believes is there. */
int beneath_start_unlinked(const char *path, struct stat *ret, struct error *e) MUST_USE;

/* Opens the directory PATH below DIR; "." is allowed here, for a descriptor of DIR itself. A descriptor or an error. */
int beneath_directory(int dir, const char *path, struct error *e) MUST_USE;

/* Opens the regular file PATH for reading; RET (may be NULL) gets what fstat says. A descriptor or an error. */
int beneath_file(int dir, const char *path, struct stat *ret, struct error *e) MUST_USE;

/* Makes the new regular file PATH, open for writing. A descriptor or an error, ERR_EXISTS when there is anything of that name. */
int beneath_create(int dir, const char *path, struct beneath_rights rights, struct error *e) MUST_USE;

/* Makes the new directory PATH and opens it. A descriptor or an error, ERR_EXISTS when there is anything of that name; ERR_REFUSED when somebody has put a folder
 * of his in its place meanwhile. */
int beneath_make(int dir, const char *path, struct beneath_rights rights, struct error *e) MUST_USE;

/* Whether the open file or directory FD belongs to us; true where the filesystem gives what is made to others (NFS without root, CIFS, FUSE, FAT). */
bool beneath_is_ours(int fd);

/* Makes a new directory in DIR that only we can enter (0700), named PREFIX and random letters; its name goes to RET. A descriptor or an error. */
int beneath_make_private(int dir, const char *prefix, char ret[BENEATH_NAME_MAX], struct error *e) MUST_USE;

/* Adds all bytes of the regular file PATH to OUT; ERR_LIMIT when there are more than OUT has room for by its maximum. */
int beneath_read(int dir, const char *path, struct buf *out, struct error *e) MUST_USE;

/* The same for the open file FD, from where it stands; NAME is for messages. */
int beneath_read_open(int fd, const char *name, struct buf *out, struct error *e) MUST_USE;

/* Writes all BYTES to FD; NAME is for messages. */
int beneath_write_open(int fd, const char *name, str bytes, struct error *e) MUST_USE;

/* Writes the file PATH with BYTES, durable, whole or not at all: to a new file of another name beside it that is then renamed. Unless REPLACE,
 * ERR_EXISTS when there is one. */
int beneath_write(int dir, const char *path, str bytes, struct beneath_rights rights, bool replace, struct error *e) MUST_USE;

/* What lstat says of PATH; of a link itself, not of what it points to. RET may be NULL. */
int beneath_look(int dir, const char *path, struct stat *ret, struct error *e) MUST_USE;

/* True when there is something called PATH, of whatever kind. */
bool beneath_exists(int dir, const char *path);

/* Gives the regular file or directory PATH these rights. */
int beneath_grant(int dir, const char *path, struct beneath_rights rights, struct error *e) MUST_USE;

/* Renames, within a filesystem; unless REPLACE, ERR_EXISTS when there is something of the new name. */
int beneath_rename(int from_dir, const char *from, int to_dir, const char *to, bool replace, struct error *e) MUST_USE;

/* Gives the regular file FROM a second name TO; ERR_EXISTS when there is something of that name, ERR_UNSUPPORTED across filesystems. */
int beneath_link(int from_dir, const char *from, int to_dir, const char *to, struct error *e) MUST_USE;

/* Removes PATH: anything but a directory. */
int beneath_remove(int dir, const char *path, struct error *e) MUST_USE;

/* Removes the directory PATH, which is empty. */
int beneath_remove_directory(int dir, const char *path, struct error *e) MUST_USE;

/* Removes PATH and, if it is a directory, all that is in it, never over a mount point. Goes on after an error and returns the first;
 * ERR_NOTFOUND when there is none. */
int beneath_remove_tree(int dir, const char *path, struct error *e) MUST_USE;

/* The names in the open directory DIR in the order of their bytes, without "." and "..". */
struct beneath_names {
    char **list;
    size_t n;
};
/* Reads all names into *RET, which the caller frees with beneath_names_free; ERR_LIMIT for more than BENEATH_NAMES_MAX. */
int beneath_list(int dir, struct beneath_names *ret, struct error *e) MUST_USE;
void beneath_names_free(struct beneath_names *names);

/* One thing that a walk comes by. */
struct beneath_entry {
    int dir;          /* the open directory it is in; not the callee's */
    const char *name; /* in it */
    const char *path; /* from where the walk began */
    struct stat st;   /* as lstat says */
    bool leaving;     /* a directory after all that is in it */
};
typedef int beneath_walk_fn(void *ctx, const struct beneath_entry *entry, struct error *e);
/* Calls FN for everything below the directory DIR, names in the order of their bytes, directories before and after what is in them; enters real
 * directories only, no mount points. Stops at the first error of FN and returns it. ERR_LIMIT beyond BENEATH_DEPTH_MAX or BENEATH_PATH_MAX. */
int beneath_walk(int dir, beneath_walk_fn *fn, void *ctx, struct error *e) MUST_USE;

/* Makes what was made, renamed or removed in the open directory or file FD durable; NAME is for messages. */
int beneath_sync(int fd, const char *name, struct error *e) MUST_USE;

/* True when NAME can be the name of one thing in a directory: not empty, not "." or "..", without '/', NUL and control bytes, shorter than
 * BENEATH_NAME_MAX. For names that come from somebody else. */
bool beneath_is_name(str name);

#endif
