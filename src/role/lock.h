/* lock: who works in a valise directory. A server holds the lock as long as it lives, a command that works without a server while
 * it does. */
#ifndef VALISE_ROLE_LOCK_H
#define VALISE_ROLE_LOCK_H

#include "base/err.h"

/* Takes the lock of the working directory, waiting up to MS milliseconds. A descriptor that holds it until it is closed;
 * ERR_AGAIN when another process has it, else an error that E explains. Root gives the file to the directory's owner, who may be
 * the next to take it. */
int lock_take(int64_t ms, struct error *e) MUST_USE;
/* Sees that the file is there, before root becomes a user who could not make it in root's directory. 0 or an error. */
int lock_make(struct error *e) MUST_USE;

#endif
