/* sandbox_seccomp: which system calls a role may make.
 *
 * For roles: a list of what is allowed, in groups that the profile switches on; all else answers EPERM, so that a library that
 * tries something optional goes on. What only an attacker would try kills the process. Memory that is writable never becomes
 * executable.
 *
 * Landlock covers opening, making and removing, never the owner, mode, times and attributes of a file, and before ABI 3 no truncating: whoever can
 * name a file could change these. No role can: there is no chmod, chown, utime, truncate or setxattr in any filter, neither by path nor by
 * descriptor (a file that may only be read gives one as well). What a role creates has its mode from the start, and ftruncate takes a
 * descriptor that Landlock let it open for writing. fcntl and ioctl have the commands in use; those that have signals sent to other processes
 * or that tell of their doings are refused.
 *
 * For the supervisor (children): the filter is inherited by the roles it starts, so it cannot be narrower than all of them:
 * everything but the hostile calls and those above. clone3 and openat2 answer ENOSYS everywhere, because their flags lie in
 * memory where no filter sees them; the C library then uses clone, base/beneath.c openat. */
#include "run/sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/keyring.h"

/* Ends a list of call numbers: not a number, nor one of libseccomp's stand-ins for calls a machine does not have (-1 and below
 * -10000). */
enum { END = -2 };
#define CALL(name) SCMP_SYS(name)

static const int base_calls[] = {
    /* descriptors */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(preadv),
    CALL(lseek),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(fstat),
    CALL(fstatfs),
    CALL(pipe2),
    CALL(memfd_create),
    /* waiting */
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(signalfd4),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(restart_syscall),
    /* memory */
    CALL(brk),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(msync),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(mincore),
    /* threads and signals */
    CALL(futex),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(membarrier),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(getcpu),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigtimedwait),
    CALL(rt_sigpending),
    CALL(sigaltstack),
    CALL(exit),
    CALL(exit_group),
    /* what time it is, who and where we are */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(getrandom),
    CALL(getpid),
    CALL(getppid),
    CALL(gettid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getresuid),
    CALL(getresgid),
    CALL(uname),
    CALL(sysinfo),
    CALL(getrusage),
    CALL(getrlimit),
    CALL(times),
    END,
};
static const int read_calls[] = {
    CALL(getdents64), CALL(access),     CALL(faccessat), CALL(faccessat2), CALL(stat),
    CALL(lstat),      CALL(newfstatat), CALL(statx),     CALL(statfs),     CALL(readlink),
    CALL(readlinkat), CALL(getcwd),     CALL(readahead), CALL(fadvise64),  END,
};
/* openat2's flags lie in memory where no filter sees them: it is for those only who may write anyway; Landlock judges what it opens as it does
 * with open. */
static const int write_calls[] = {
    CALL(open),
    CALL(openat),
    CALL(openat2),
    CALL(creat),
    CALL(pwrite64),
    CALL(pwritev),
    CALL(fsync),
    CALL(fdatasync),
    CALL(syncfs),
    CALL(sync_file_range),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(copy_file_range),
    CALL(flock),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(rmdir),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(link),
    CALL(linkat),
    CALL(umask),
    END,
};
static const int socket_calls[] = {
    CALL(recvfrom),   CALL(recvmsg),     CALL(sendto),      CALL(sendmsg), CALL(shutdown),
    CALL(getsockopt), CALL(getsockname), CALL(getpeername), END,
};
static const int accept_calls[] = {
    CALL(accept4),
    CALL(accept),
    CALL(sendfile),
    END,
};
static const int connect_calls[] = {
    CALL(connect), CALL(bind), CALL(sendmmsg), CALL(recvmmsg), END,
};
/* Only an attacker calls these. */
static const int hostile_calls[] = {
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(kcmp),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(open_tree),
    CALL(move_mount),
    CALL(fsopen),
    CALL(fsconfig),
    CALL(fsmount),
    CALL(fspick),
    CALL(unshare),
    CALL(setns),
    CALL(open_by_handle_at),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(add_key),
    CALL(request_key),
    CALL(userfaultfd),
    CALL(reboot),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(quotactl),
    CALL(iopl),
    CALL(ioperm),
    CALL(modify_ldt),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(clock_adjtime),
    CALL(sethostname),
    CALL(setdomainname),
    CALL(syslog),
    CALL(vhangup),
    END,
};
static const int hostile_role_calls[] = {
    CALL(execve), CALL(execveat), CALL(fork), CALL(vfork), CALL(chroot), END,
};
/* Not even the supervisor changes what belongs to a file. The numbers are those of calls that Debian 12 has no names for yet: fchmodat2,
 * setxattrat, removexattrat, file_setattr. */
static const int attribute_calls[] = {
    CALL(chmod),
    CALL(fchmod),
    CALL(fchmodat),
    CALL(chown),
    CALL(fchown),
    CALL(lchown),
    CALL(fchownat),
    CALL(truncate),
    CALL(utime),
    CALL(utimes),
    CALL(futimesat),
    CALL(utimensat),
    CALL(setxattr),
    CALL(lsetxattr),
    CALL(fsetxattr),
    CALL(removexattr),
    CALL(lremovexattr),
    CALL(fremovexattr),
    452,
    463,
    466,
    469,
    END,
};
static const int file_commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_ADD_SEALS, F_GET_SEALS };
static const int lock_commands[] = { F_GETLK, F_SETLK, F_SET_RW_HINT };
static const int signal_commands[] = { F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY };
static const int signal_ioctls[] = { FIOSETOWN, SIOCSPGRP, FIOASYNC };
/* For the sanitizers only. */
static const int sanitizer_calls[] = {
    CALL(personality),
    CALL(ptrace),
    CALL(wait4),
    CALL(clone),
    CALL(mmap),
    CALL(mprotect),
    CALL(prctl),
    CALL(prlimit64),
    CALL(sched_setaffinity),
    CALL(set_tid_address),
    CALL(arch_prctl),
    CALL(process_madvise),
    END,
};

/* Socket options that are ours; none that loads a filter or hands the connection to another protocol. */
static const struct {
    int level, name;
} socket_options[] = {
    { SOL_SOCKET, SO_KEEPALIVE },        { SOL_SOCKET, SO_SNDBUF },      { SOL_SOCKET, SO_RCVBUF },
    { SOL_SOCKET, SO_LINGER },           { SOL_SOCKET, SO_RCVTIMEO },    { SOL_SOCKET, SO_SNDTIMEO },
    { SOL_SOCKET, SO_REUSEADDR },        { SOL_SOCKET, SO_REUSEPORT },   { IPPROTO_TCP, TCP_NODELAY },
    { IPPROTO_TCP, TCP_CORK },           { IPPROTO_TCP, TCP_QUICKACK },  { IPPROTO_TCP, TCP_KEEPIDLE },
    { IPPROTO_TCP, TCP_KEEPINTVL },      { IPPROTO_TCP, TCP_KEEPCNT },   { IPPROTO_TCP, TCP_USER_TIMEOUT },
    { IPPROTO_TCP, TCP_NOTSENT_LOWAT },  { IPPROTO_IPV6, IPV6_V6ONLY },  { IPPROTO_IPV6, IPV6_MTU },
    { IPPROTO_IPV6, IPV6_MTU_DISCOVER }, { IPPROTO_IPV6, IPV6_RECVERR }, { IPPROTO_IP, IP_MTU_DISCOVER },
    { IPPROTO_IP, IP_RECVERR },
};

/* Adds ACTION for the calls of LIST; a sticky error in *R. */
static void add_list(scmp_filter_ctx f, uint32_t action, const int *list, int *r)
{
    for (; *r == 0 && *list != END; list++)
        *r = seccomp_rule_add(f, action, *list, 0);
}

/* Allows CALL where argument ARG has VALUE in the bits of MASK. */
static void allow_masked(scmp_filter_ctx f, int call, unsigned arg, uint64_t mask, uint64_t value, int *r)
{
    if (*r == 0)
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

static void allow_value(scmp_filter_ctx f, int call, unsigned arg, uint64_t value, int *r)
{
    if (*r == 0)
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(arg, SCMP_CMP_EQ, value));
}

/* Refuses CALL where the 32 bits of argument ARG that the kernel reads are VALUE: in a filter that allows the rest, so that bits above them hide
 * nothing. */
static void refuse_value(scmp_filter_ctx f, int call, unsigned arg, uint32_t mask, uint32_t value, int *r)
{
    if (*r == 0)
        *r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

/* fcntl by its commands: none that has signals sent, not by O_ASYNC either. */
static void add_fcntl(scmp_filter_ctx f, bool locks, int *r)
{
    for (size_t i = 0; i < sizeof file_commands / sizeof file_commands[0]; i++)
        allow_value(f, CALL(fcntl), 1, (uint64_t)file_commands[i], r);
    for (size_t i = 0; locks && i < sizeof lock_commands / sizeof lock_commands[0]; i++)
        allow_value(f, CALL(fcntl), 1, (uint64_t)lock_commands[i], r);
    if (*r == 0)
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL),
                              SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0));
}

/* What every role has, with arguments that matter. */
static void add_limited(scmp_filter_ctx f, const struct sandbox_profile *profile, int *r)
{
    static const int controls[] = { PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA };
    static const unsigned long ioctls[] = { FIONREAD, FIONBIO, TCGETS };
    const uint64_t namespaces =
        CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
    if (SANDBOX_SANITIZED)
        return;
    allow_masked(f, CALL(mmap), 2, PROT_EXEC, 0, r);
    allow_masked(f, CALL(mprotect), 2, PROT_EXEC, 0, r);
    if (profile->threads)
        allow_masked(f, CALL(clone), 0, CLONE_VM | CLONE_THREAD | namespaces, CLONE_VM | CLONE_THREAD, r);
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++)
        allow_value(f, CALL(prctl), 0, (uint64_t)controls[i], r);
    for (size_t i = 0; i < sizeof ioctls / sizeof ioctls[0]; i++)
        allow_value(f, CALL(ioctl), 1, ioctls[i], r);
    allow_value(f, CALL(prlimit64), 2, 0, r); /* reading limits, not setting them */
    if (*r == 0 && profile->threads)          /* a thread's own priority, which it cannot raise again */
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(setpriority), 2, SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS),
                              SCMP_A1(SCMP_CMP_EQ, 0));
}

static void add_sockets(scmp_filter_ctx f, const struct sandbox_profile *profile, int *r)
{
    add_list(f, SCMP_ACT_ALLOW, socket_calls, r);
    for (size_t i = 0; *r == 0 && i < sizeof socket_options / sizeof socket_options[0]; i++)
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(setsockopt), 2, SCMP_A1(SCMP_CMP_EQ, (uint64_t)socket_options[i].level),
                              SCMP_A2(SCMP_CMP_EQ, (uint64_t)socket_options[i].name));
    if (profile->unix_sockets)
        allow_value(f, CALL(socketpair), 0, AF_UNIX, r);
    if (profile->network_accept)
        add_list(f, SCMP_ACT_ALLOW, accept_calls, r);
    if (!profile->network_connect)
        return;
    add_list(f, SCMP_ACT_ALLOW, connect_calls, r);
    static const int domains[] = { AF_INET, AF_INET6 }, types[] = { SOCK_STREAM, SOCK_DGRAM };
    for (int i = 0; *r == 0 && i < 4; i++) /* no raw sockets */
        *r = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(socket), 2, SCMP_A0(SCMP_CMP_EQ, (uint64_t)domains[i / 2]),
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (uint64_t)types[i % 2]));
}

static void add_role(scmp_filter_ctx f, const struct sandbox_profile *profile, int *r)
{
    bool reads = profile->paths && profile->paths[0].path;
    add_list(f, SCMP_ACT_ALLOW, base_calls, r);
    add_limited(f, profile, r);
    add_fcntl(f, profile->file_writes || SANDBOX_SANITIZED, r);
    allow_value(f, CALL(tgkill), 0, (uint64_t)getpid(), r); /* abort */
    if (reads || SANDBOX_SANITIZED)
        add_list(f, SCMP_ACT_ALLOW, read_calls, r);
    if (profile->file_writes) {
        add_list(f, SCMP_ACT_ALLOW, write_calls, r);
    } else if (reads || SANDBOX_SANITIZED) {
        allow_masked(f, CALL(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY, r);
        allow_masked(f, CALL(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY, r);
    }
    if (profile->network_accept || profile->network_connect || profile->unix_sockets)
        add_sockets(f, profile, r);
    if (SANDBOX_SANITIZED)
        add_list(f, SCMP_ACT_ALLOW, sanitizer_calls, r);
    add_list(f, SCMP_ACT_KILL_PROCESS, hostile_role_calls, r);
}

/* The supervisor: all but what is hostile, changes what belongs to a file, has signals sent, truncates what may only be read (which Landlock does
 * not notice before ABI 3). */
static void add_supervisor(scmp_filter_ctx f, int *r)
{
    add_list(f, SCMP_ACT_ERRNO(EPERM), attribute_calls, r);
    for (size_t i = 0; i < sizeof signal_commands / sizeof signal_commands[0]; i++)
        refuse_value(f, CALL(fcntl), 1, UINT32_MAX, (uint32_t)signal_commands[i], r);
    for (size_t i = 0; i < sizeof signal_ioctls / sizeof signal_ioctls[0]; i++)
        refuse_value(f, CALL(ioctl), 1, UINT32_MAX, (uint32_t)signal_ioctls[i], r);
    refuse_value(f, CALL(open), 1, O_ACCMODE | O_TRUNC, O_RDONLY | O_TRUNC, r);
    refuse_value(f, CALL(openat), 2, O_ACCMODE | O_TRUNC, O_RDONLY | O_TRUNC, r);
}

/* With keys: which of them and what is done with them has been looked at by sandbox_keyring's filter, whose word is the last one. */
static void add_keyctl(scmp_filter_ctx f, const struct sandbox_profile *profile, int *r)
{
    static const int only_keyctl[] = { CALL(keyctl), END };
    if (!profile->keyring || !profile->keyring->ring)
        add_list(f, SCMP_ACT_KILL_PROCESS, only_keyctl, r);
    else if (!profile->children) /* the supervisor may what is not forbidden */
        add_list(f, SCMP_ACT_ALLOW, only_keyctl, r);
}

int sandbox_seccomp(const struct sandbox_profile *profile, struct error *e)
{
    static const int only_ptrace[] = { CALL(ptrace), END };
    static const int hidden[] = { CALL(clone3), CALL(openat2), END };
    int r = 0;
    scmp_filter_ctx f = seccomp_init(profile->children ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return error_set(e, ERR_UNAVAILABLE, "no system call filter could be made");
    add_list(f, SCMP_ACT_KILL_PROCESS, hostile_calls, &r);
    add_keyctl(f, profile, &r);
    add_list(f, SCMP_ACT_ERRNO(ENOSYS), hidden, &r);
    if (!SANDBOX_SANITIZED)
        add_list(f, SCMP_ACT_KILL_PROCESS, only_ptrace, &r);
    if (profile->children)
        add_supervisor(f, &r);
    else
        add_role(f, profile, &r);
    if (r == 0)
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a chain; without it the filter is only slower */
    int loaded = r == 0 ? seccomp_load(f) : 0;
    seccomp_release(f);
    if (r < 0)
        return error_set(e, ERR_INTERNAL, "%s: a rule of the system call filter was refused: %s", profile->name,
                         strerrordesc_np(-r));
    if (loaded < 0)
        return error_set(e, loaded == -ECANCELED || loaded == -EINVAL || loaded == -ENOSYS ? ERR_UNAVAILABLE : ERR_INTERNAL,
                         "%s: the system call filter was refused: %s", profile->name, strerrordesc_np(-loaded));
    return 0;
}
