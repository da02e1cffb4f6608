/* map: a hash table from str keys to pointers, keyed by a random seed so that peers cannot choose collisions.
 *
 * Keys are copied and owned by the map; values stay the caller's. Not thread-safe. */
#ifndef VALISE_BASE_MAP_H
#define VALISE_BASE_MAP_H

#include "base/err.h"

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t cap, n;
    uint64_t seed;
};

void map_init(struct map *m);
/* Frees keys and table, not the values. */
void map_done(struct map *m);
/* The value of KEY, or NULL. */
void *map_get(const struct map *m, str key);
/* Sets KEY to VALUE (not NULL) and returns the former value or NULL. */
void *map_put(struct map *m, str key, void *value);
/* Removes KEY and returns its value or NULL. */
void *map_remove(struct map *m, str key);
/* Walks all entries: start with *ITER = 0; false at the end. The map may not change meanwhile. */
bool map_next(const struct map *m, size_t *iter, str *ret_key, void **ret_value);

#endif
