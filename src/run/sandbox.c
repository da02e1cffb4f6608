/* sandbox: the order in which a role closes itself in. */
#include "run/sandbox_private.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- users and capabilities --- */

static int set_capabilities(uint32_t keep, bool inherit)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = keep, .permitted = keep, .inheritable = inherit ? keep : 0 } };
    return (int)syscall(SYS_capset, &header, data);
}

int sandbox_keep_capabilities(uint32_t keep, struct error *e)
{
    /* Dropping from the bounding set takes CAP_SETPCAP, which a service manager may not have left us; no-new-privs keeps children at what we
     * have in any case. */
    for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (!(cap < 32 && keep & (1u << cap)))
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return set_capabilities(keep, false) == 0 ? 0 : error_set(e, ERR_INTERNAL, "capset: %s", strerrordesc_np(errno));
}

int sandbox_become(uid_t uid, gid_t gid, uint32_t keep, struct error *e)
{
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
        setresuid(uid, uid, uid) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
        return error_set(e, ERR_INTERNAL, "cannot become user %u: %s", (unsigned)uid, strerrordesc_np(errno));
    if (set_capabilities(keep, true) < 0)
        return error_set(e, ERR_INTERNAL, "capset: %s", strerrordesc_np(errno));
    for (unsigned long cap = 0; cap < 32; cap++)
        if (keep & (1u << cap) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return error_set(e, ERR_INTERNAL, "capability %lu cannot be kept: %s", cap, strerrordesc_np(errno));
    if (uid != 0 && setuid(0) == 0)
        panic("the way back to root is open after becoming user %u", (unsigned)uid);
    return 0;
}

/* --- entering --- */

/* Goes into ROOT_FD and makes it the root directory if that may be. The sanitizers read /proc until the end, so their builds keep it. */
static int enter_root(const struct sandbox_profile *profile, int root_fd, bool *ret, struct error *e)
{
    *ret = false;
    if (root_fd < 0)
        return 0;
    int code = fchdir(root_fd) < 0
                   ? error_set(e, ERR_INTERNAL, "%s: its directory cannot be entered: %s", profile->name, strerrordesc_np(errno))
                   : 0;
    (void)close(root_fd);
    if (code == 0 && !SANDBOX_SANITIZED)
        *ret = chroot(".") == 0;
    return code;
}

int sandbox_enter_at_most(const struct sandbox_profile *profile, int root_fd, int abi_max, struct sandbox_state *ret,
                          struct error *e)
{
    struct rlimit none = { 0, 0 };
    struct sandbox_state s = { 0 };
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        (!SANDBOX_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        return error_set(e, ERR_INTERNAL, "%s: limits refused: %s", profile->name, strerrordesc_np(errno));
    int code = enter_root(profile, root_fd, &s.root, e);
    if (code == 0 && !profile->children)
        code = sandbox_keep_capabilities(0, e);
    if (code)
        return code;
    int files = sandbox_landlock(profile, abi_max, e);
    if (files < 0 && files != ERR_UNAVAILABLE)
        return files;
    /* The filter comes last: it forbids the calls that the steps before it need. */
    int calls = sandbox_keyring(profile, e);
    if (calls == 0)
        calls = sandbox_seccomp(profile, e);
    if (calls < 0 && calls != ERR_UNAVAILABLE)
        return calls;
    s.landlock_abi = files > 0 ? files : 0;
    s.seccomp = calls == 0;
    *ret = s;
    return 0;
}

int sandbox_enter(const struct sandbox_profile *profile, int root_fd, struct sandbox_state *ret, struct error *e)
{
    return sandbox_enter_at_most(profile, root_fd, INT_MAX, ret, e);
}

const char *sandbox_gap(int abi, size_t i)
{
    static const struct {
        int since;
        const char *text;
    } gaps[] = {
        { 1, "no Landlock (ABI 1, Linux 5.13): files are held back by their owners and modes alone" },
        { 3, "Landlock does not cover truncating (ABI 3, Linux 6.2): the system call filter has no truncate by path" },
        { 4, "Landlock does not cover TCP ports (ABI 4, Linux 6.7): the system call filter has no connect" },
        { 5, "Landlock does not cover ioctl on devices (ABI 5, Linux 6.10): the system call filter knows three harmless ones" },
        { 6, "Landlock does not cover signals (ABI 6, Linux 6.12): the system call filter has no kill, fcntl no F_SETOWN, and as "
             "root "
             "each kind of role has a user of its own" },
    };
    for (size_t k = 0; k < sizeof gaps / sizeof gaps[0]; k++)
        if (abi < gaps[k].since && i-- == 0)
            return gaps[k].text;
    return NULL;
}

void sandbox_leave_terminal(void)
{
    if (setsid() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        panic("a process does not come away from its terminal: %s", strerrordesc_np(errno));
}
