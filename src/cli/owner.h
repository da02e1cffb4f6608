/* owner: what root does in a tree that belongs to somebody else, it does as that one.
 *
 * A command started as root is asked to read and write where others can write too: core's store, a user's Maildir. Files by descriptor
 * (base/beneath.h) keep it inside the tree; with the rights of the tree's owner it can do no more there than he could himself, whatever he put
 * in its way. Started by anybody else, all of this does nothing.
 *
 * The owner is that of the open directory, not of a path. Groups other than the directory's are given up at the first use, for good. */
#ifndef VALISE_CLI_OWNER_H
#define VALISE_CLI_OWNER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

/* Becomes the owner of directory DIR for good: nothing brings root's rights back. ERR_REFUSED. */
int owner_become(int dir, struct error *e) MUST_USE;

/* For a child that will become the owner and read what he wrote: it leaves the terminal (sandbox_leave_terminal), and from owner_become on it ends
 * with its parent, as the terminal's Ctrl-C reaches only that one. */
void owner_apart(void);

/* As owner_become, for one call: until owner_return files are looked for with the rights of DIR's owner. Not to be nested. */
int owner_borrow(int dir, struct error *e) MUST_USE;
/* Ends it; aborts when root's rights do not come back, and does nothing when none were given up. */
void owner_return(void);

/* Opens the regular file PATH below DIR for reading, as beneath_file, with the rights of DIR's owner. */
int owner_open_file(int dir, const char *path, struct stat *ret, struct error *e) MUST_USE;

/* Removes PATH below DIR and all that is in it, as beneath_remove_tree, with the rights of DIR's owner. */
int owner_remove_tree(int dir, const char *path, struct error *e) MUST_USE;

/* Opens "store" in the valise directory TOP, whose owner is the server's user. ERR_REFUSED where it is root's and TOP is not. */
int owner_open_store(int top, struct error *e) MUST_USE;

#endif
