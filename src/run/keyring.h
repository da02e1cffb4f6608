/* keyring: small secrets that outlive the process and never reach a disk, in keys of type "user" of the Linux kernel (keyrings(7)). The kernel's memory is
 * not swapped, a restart of the machine empties it, and a time limit makes it forget by itself.
 *
 * A ring holds a fixed number of keys. Who starts the server makes it before he shuts himself in; from then on a process reads, writes and prolongs
 * exactly these keys by their numbers, and its filter kills it for any other call (run/sandbox.h). */
#ifndef VALISE_RUN_KEYRING_H
#define VALISE_RUN_KEYRING_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

enum { KEYRING_KEYS = 128, KEYRING_VALUE_MAX = 4096 }; /* the kernel updates no more than a page */

/* Numbers of the kernel's; ring 0: there is none. */
struct keyring {
    int32_t ring, keys[KEYRING_KEYS];
};

/* Finds the ring NAME of our user, or makes it; what its keys hold stays. Its keys are readable and writable for our user, and for GROUP unless that is
 * (gid_t)-1, which takes the right to become a member of any. ERR_UNAVAILABLE, with the reason in E, where the kernel has no keyrings or does not let
 * us (containers), *RET without ring then. Works in a process of its own, so that nothing of ours changes; call single-threaded. */
int keyring_open(const char *name, gid_t group, struct keyring *ret, struct error *e) MUST_USE;

/* What key I holds, to P, which has MAX bytes: the number of bytes; 0 when nothing was written to it; ERR_LIMIT when it is more, ERR_UNAVAILABLE. */
int64_t keyring_read(const struct keyring *k, size_t i, char *p, size_t max) MUST_USE;
/* Replaces it by BYTES, at most KEYRING_VALUE_MAX; empties it when there are none. ERR_FULL: the user may not have more keys' bytes (keyrings(7)); what was
 * there stays. ERR_UNAVAILABLE. */
int keyring_write(const struct keyring *k, size_t i, str bytes) MUST_USE;
/* The kernel forgets the ring and all in it SECONDS from now, unless told again. ERR_UNAVAILABLE: it has forgotten it already. */
int keyring_expire(const struct keyring *k, unsigned seconds) MUST_USE;

#endif
