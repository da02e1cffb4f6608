/* random: bytes from the kernel. Aborts if the kernel cannot give any: nothing secure can be done without. */
#ifndef VALISE_BASE_RANDOM_H
#define VALISE_BASE_RANDOM_H

#include "base/str.h"

/* Fills P with N random bytes. Blocks only before the kernel's pool is initialised at boot. */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
/* Uniform in [0, bound); bound must not be 0. */
uint32_t random_below(uint32_t bound);

#endif
