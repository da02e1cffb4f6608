/* descriptors: how many files and sockets this process may have open, and which of them are kept for whom.
 *
 * A process that runs out of descriptors fails anywhere: in the store, which then takes no mail, on the control socket, at the lanes to other
 * processes. So connections are bounded in number (struct server_settings), and what is opened for one message more is let go of again when it has
 * one of the last descriptors: the kernel gives the lowest number that is free, so a number says how many are in use. */
#ifndef VALISE_RUN_DESCRIPTORS_H
#define VALISE_RUN_DESCRIPTORS_H

#include <stdbool.h>

#include "base/err.h"

/* Raises what this process, and those that it starts, may have open to the most that the system allows without asking (RLIMIT_NOFILE, soft to hard). */
void descriptors_raise(void);
/* How many this process may have open. */
unsigned descriptors_limit(void);
/* From now on the last RESERVE descriptors are kept for what the process cannot do without. Before any thread. */
void descriptors_keep(unsigned reserve);
/* FD, new and the caller's, when it is none of those that are kept; else it is closed: ERR_UNAVAILABLE. A negative FD stays. */
int descriptors_spare(int fd);
/* How many this process has open now, without those that only name a file (O_PATH). One system call for each 256 numbers. Thread-safe. */
unsigned descriptors_used(void);

/* One descriptor more is held back for what must be answered even when there are none left: the administrator. Thread-safe.
 * Takes it where it is not held: whoever opens descriptors for strangers does this before, so that the next that is free is the one held back. False
 * with errno: there is none. */
bool descriptors_last_hold(void);
/* Lets go of it, so that the next that is opened finds one. False: it is lent already. */
bool descriptors_last_lend(void);

#endif
