/* sandbox: what a role may do, closed for good before the first foreign byte.
 *
 * Landlock for files (and TCP connect/bind where the kernel knows it), a seccomp filter for system calls, no-new-privs, no
 * core dumps, resource limits. Forbidden calls answer EPERM and are tested; the clearly hostile ones (execve, ptrace, mount,
 * ...) kill. */
#ifndef VALISE_RUN_SANDBOX_H
#define VALISE_RUN_SANDBOX_H

#include "base/err.h"

enum sandbox_right { SANDBOX_READ = 1, SANDBOX_WRITE = 2, SANDBOX_MAKE = 4 }; /* WRITE: change files; MAKE: create and delete */

struct sandbox_path {
    const char *path; /* NULL ends the list; what does not exist is skipped */
    unsigned rights;
};

struct sandbox_profile {
    const char *name;
    const struct sandbox_path *paths; /* nothing else of the file system is reachable */
    bool network_accept;              /* accept4 on inherited listeners, TCP I/O */
    bool network_connect;             /* connect to others (DNS, relay) */
    bool unix_sockets;                /* socketpair, sendmsg with descriptors */
    bool threads;                     /* clone for threads */
    bool file_writes;                 /* pwrite, fsync, rename, unlink ... for RocksDB within the paths */
    /* Fork, exec, wait, kill: the supervisor only. Its children inherit the profile: all calls but the hostile ones, and
     * SANDBOX_READ includes execution. */
    bool children;
};

/* Applies the profile to the whole process; call while single-threaded and after sandbox_drop_user. What a library loads late
 * (modules, time zones) must be loaded before: executable mappings are refused from now on. 0, or ERR_UNAVAILABLE with E set
 * when the kernel lacks a mechanism (the caller logs it and goes on with what there is; *RET_MISSING says which), or
 * ERR_INTERNAL. */
int sandbox_enter(const struct sandbox_profile *profile, const char **ret_missing, struct error *e) MUST_USE;
/* Changes to user NAME (uid, gid, no supplementary groups) for good; no-op when not root. ERR_NOTFOUND when there is no such
 * user. */
int sandbox_drop_user(const char *name, struct error *e) MUST_USE;

#endif
