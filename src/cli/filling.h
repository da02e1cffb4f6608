/* filling: an account that mail is brought into, by import or from a backup. */
#ifndef VALISE_CLI_FILLING_H
#define VALISE_CLI_FILLING_H

#include "cli/port.h"

/* Opens the account ADDRESS at PORT; *RET, the caller's, is the reply to bulk.open. ERR_REFUSED with the next step for a program's account, where nobody would find
 * the mail, unless ITS_OWN: it had it before. Blocks. */
int filling_open(struct port *port, const char *address, bool its_own, json_t **ret, struct error *e) MUST_USE;

/* When E says that the quota is used up: E says of how much, how much came in, and what to do. OPENED is what filling_open gave (may be NULL); PORT is asked again, since of
 * the last messages that were sent not all may have come in. Blocks. */
void filling_explain(struct port *port, const char *address, const json_t *opened, struct error *e);

#endif
