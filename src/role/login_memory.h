/* login_memory: who remembers for the directory that a password was right (struct directory_memory): keeper, which has no hashes (role/verifiers.h).
 * Without an answer nothing is remembered. */
#ifndef VALISE_ROLE_LOGIN_MEMORY_H
#define VALISE_ROLE_LOGIN_MEMORY_H

#include "directory/directory.h"

struct channel;

struct directory_memory role_login_memory(struct channel *keeper);

#endif
