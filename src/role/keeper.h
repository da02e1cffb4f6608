/* keeper: what it does for a command when no server runs.
 *
 * The command becomes the owner of the store before it parses a byte of it (cli_enter), and that user cannot read keys/. Whoever needs a key asks, as
 * in a server: over a lane, of a process that lives in keys/ and sees nothing else. */
#ifndef VALISE_ROLE_KEEPER_H
#define VALISE_ROLE_KEEPER_H

#include <sys/types.h>

#include "run/channel.h"

struct keeper_aide {
    pid_t pid;
    struct channel *channel;
};

/* Starts it for the directory DIR (a descriptor), before the caller gives up what it may: as root it becomes the user whose group keys/ has. The
 * process must have one thread. 0 with *RET, or an error; when keys/ is not ours to enter there is no process and no channel. */
int keeper_aide_start(int dir, struct keeper_aide *ret, struct error *e) MUST_USE;
/* Ends it and waits for that. */
void keeper_aide_stop(struct keeper_aide *aide);

#endif
