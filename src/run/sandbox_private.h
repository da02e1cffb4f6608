/* sandbox_private: the two mechanisms behind sandbox_enter. */
#ifndef VALISE_RUN_SANDBOX_PRIVATE_H
#define VALISE_RUN_SANDBOX_PRIVATE_H

#include "run/sandbox.h"

/* The sanitizers of a test build need system calls of their own (personality, ptrace for the leak check, /proc/self): such
 * builds get a wider filter. They are never what is installed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/* sandbox_enter on a kernel whose Landlock is of version ABI_MAX at most: for tests, which play an older kernel. */
int sandbox_enter_at_most(const struct sandbox_profile *profile, int root_fd, int abi_max, struct sandbox_state *ret,
                          struct error *e) MUST_USE;

/* Each: 0 (sandbox_landlock: the version in use), ERR_UNAVAILABLE when the kernel lacks the mechanism, ERR_INTERNAL. E is set on failure. Needs no-new-privs. */
int sandbox_landlock(const struct sandbox_profile *profile, int abi_max, struct error *e) MUST_USE;
/* For a profile with keys of the kernel's, before sandbox_seccomp: a filter for keyctl alone, inherited by children. */
int sandbox_keyring(const struct sandbox_profile *profile, struct error *e) MUST_USE;
int sandbox_seccomp(const struct sandbox_profile *profile, struct error *e) MUST_USE;

#endif
