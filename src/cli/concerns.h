/* concerns: what in a status wants somebody's attention, in words. */
#ifndef VALISE_CLI_CONCERNS_H
#define VALISE_CLI_CONCERNS_H

#include <jansson.h>

/* The concerns in STATUS (the reply to "status", role/admin.h): an array of lines, the caller's; empty when all is well. */
json_t *concerns_of(const json_t *status);

#endif
