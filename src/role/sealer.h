/* sealer: who seals the secrets of the directory (struct directory_sealer): keeper, whose key core does not have; without a server the command
 * itself, which can read keys/. */
#ifndef VALISE_ROLE_SEALER_H
#define VALISE_ROLE_SEALER_H

#include "directory/directory.h"

/* The key, made by the command that flags the first account. */
#define SEALER_KEY "keys/passwords.seal"

struct role_run;

/* RUN is NULL when no server runs. */
struct directory_sealer role_sealer(struct role_run *run);

#endif
