/* sealer: who seals the secrets of the directory (struct directory_sealer): keeper, whose key core does not have; without a server the aide of
 * the command (role/keeper.h). */
#ifndef VALISE_ROLE_SEALER_H
#define VALISE_ROLE_SEALER_H

#include "directory/directory.h"

/* The key in keys/, made by the command that flags the first account. */
#define SEALER_KEY "passwords.seal"

struct channel;

struct directory_sealer role_sealer(struct channel *keeper);

#endif
