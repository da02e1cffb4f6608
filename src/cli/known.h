/* known: what a mailbox has already, so that import and restore bring in what it lacks and nothing else.
 *
 * Two messages are the same when all their bytes are, as the store keeps them; Message-ID, date and flags say nothing of that: scanners send without an ID, and programs
 * that mend or copy mail leave two messages under one. Sizes are looked at first, then SHA-256 of those that have the same; the server makes it, once a
 * message and only where it is asked for. What a mailbox has once covers one message: a source that has three of it brings in two more. */
#ifndef VALISE_CLI_KNOWN_H
#define VALISE_CLI_KNOWN_H

#include "base/map.h"
#include "cli/port.h"

struct known {
    struct port *port;
    struct map sizes; /* to a list of the messages of that size */
};
void known_init(struct known *k);
void known_done(struct known *k);
/* Reads what messages MAILBOX of the account that is open at P has. K is used with that account only. Blocks. */
int known_read(struct known *k, struct port *p, str mailbox, struct error *e) MUST_USE;
/* *RET: whether one more message is MESSAGE, byte for byte; it is taken off then. One that cannot be read any more is none. Blocks where sizes do not tell. */
int known_take(struct known *k, str message, bool *ret, struct error *e) MUST_USE;

#endif
