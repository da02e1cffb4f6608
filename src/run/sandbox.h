/* sandbox: what a role may do, closed for good before the first foreign byte.
 *
 * Landlock for files (and TCP connect/bind where the kernel knows it), a seccomp filter for system calls, no-new-privs, no
 * core dumps, resource limits. Forbidden calls answer EPERM and are tested; the clearly hostile ones (execve, ptrace, mount,
 * ...) kill. */
#ifndef VALISE_RUN_SANDBOX_H
#define VALISE_RUN_SANDBOX_H

#include <sys/types.h>

#include "base/err.h"

struct keyring;

/* WRITE: change files; MAKE: create and delete; SOCKET: create Unix sockets, and delete */
enum sandbox_right { SANDBOX_READ = 1, SANDBOX_WRITE = 2, SANDBOX_MAKE = 4, SANDBOX_SOCKET = 8 };

struct sandbox_path {
    const char
        *path; /* from the working directory, as it is after sandbox_enter; NULL ends the list; what does not exist is skipped */
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
    /* The kernel's keys that it may read, write and prolong (run/keyring.h), the supervisor for those of its children that have them here too. Any other
     * call about keys kills. NULL, or without ring: none. */
    const struct keyring *keyring;
};

/* What holds a process that has entered, beside no-new-privs. */
struct sandbox_state {
    int landlock_abi; /* 0: this kernel has no Landlock */
    bool seccomp;     /* false: it has no system call filters */
    bool root;        /* the root directory is the one that was asked for */
};

/* Applies the profile to the whole process; call while single-threaded and as the user that the role stays. What a library loads late (modules,
 * time zones) must be loaded before: executable mappings are refused from now on.
 *
 * ROOT_FD (closed here; -1: none) becomes the working directory, and where CAP_SYS_CHROOT is there the root directory as well: nothing above or
 * beside it has a name any more. All capabilities are given up then, but for the supervisor's.
 *
 * 0 with *RET, where the caller finds and tells what the kernel lacks, or ERR_INTERNAL. */
int sandbox_enter(const struct sandbox_profile *profile, int root_fd, struct sandbox_state *ret, struct error *e) MUST_USE;

/* For a process that works on what somebody else wrote, with a person at its parent's terminal: out of the terminal's session, so that it can
 * neither type into it (TIOCSTI) nor open it by /dev/tty, and without new privileges. Call right after fork; aborts when refused. */
void sandbox_leave_terminal(void);

/* Of what a Landlock of version ABI (0: none) leaves open the I-th, and what holds it instead; NULL after the last. */
const char *sandbox_gap(int abi, size_t i);

/* What is open besides when all roles run as one user. */
#define SANDBOX_ONE_USER                                                                                                         \
    "not started as root: all roles run as one user, keeper sees the names of files outside keys/ (it cannot open them), and "   \
    "only the "                                                                                                                  \
    "system call filter keeps a role from another"

/* Changes to user UID and group GID (no supplementary groups) for good. KEEP is a mask of capabilities (1 << CAP_...) that stay, also
 * over execve; the others are gone. Needs root. 0 or ERR_INTERNAL. */
int sandbox_become(uid_t uid, gid_t gid, uint32_t keep, struct error *e) MUST_USE;
/* Gives up all capabilities but KEEP, in this process and, where that may be, in all that it executes. 0 or ERR_INTERNAL. */
int sandbox_keep_capabilities(uint32_t keep, struct error *e) MUST_USE;

#endif
