/* memory: what tests ask of the reference engine beyond engine.h. */
#ifndef VALISE_STORE_MEMORY_MEMORY_H
#define VALISE_STORE_MEMORY_MEMORY_H

#include "store/engine.h"

/* engine_memory_open with settings (only the grace time counts); SETTINGS may be NULL. */
int engine_memory_open_with(const struct engine_settings *settings, struct engine **ret) MUST_USE;
/* A second engine with the same content, which goes its own way from now on. */
struct engine *engine_memory_copy(struct engine *g);

#endif
