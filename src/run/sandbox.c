/* sandbox: the order in which a role closes itself in. */
#include "run/sandbox_private.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int sandbox_enter(const struct sandbox_profile *profile, const char **ret_missing, struct error *e)
{
    struct rlimit none = { 0, 0 };
    *ret_missing = NULL;
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        (!SANDBOX_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        return error_set(e, ERR_INTERNAL, "%s: limits refused: %s", profile->name, strerrordesc_np(errno));
    int files = sandbox_landlock(profile, e);
    if (files < 0 && files != ERR_UNAVAILABLE)
        return files;
    /* The filter comes last: it forbids the calls that the steps before it need. */
    int calls = sandbox_seccomp(profile, e);
    if (calls < 0 && calls != ERR_UNAVAILABLE)
        return calls;
    if (files == 0 && calls == 0)
        return 0;
    *ret_missing = files == 0 ? "seccomp" : calls == 0 ? "landlock" : "landlock and seccomp";
    return error_set(e, ERR_UNAVAILABLE, "%s: this kernel has no %s; the role runs with less protection", profile->name,
                     *ret_missing);
}

int sandbox_drop_user(const char *name, struct error *e)
{
    struct passwd pw, *found = NULL;
    char text[4096];
    if (geteuid() != 0)
        return 0;
    int r = getpwnam_r(name, &pw, text, sizeof text, &found);
    if (r != 0)
        return error_set(e, ERR_INTERNAL, "user %s cannot be looked up: %s", name, strerrordesc_np(r));
    if (!found)
        return error_set(e, ERR_NOTFOUND, "there is no user %s; create it, or name another in the configuration", name);
    if (setgroups(0, NULL) < 0 || setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid) < 0 ||
        setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid) < 0)
        return error_set(e, ERR_INTERNAL, "cannot become user %s: %s", name, strerrordesc_np(errno));
    if (pw.pw_uid != 0 && setuid(0) == 0)
        panic("the way back to root is open after dropping to %s", name);
    return 0;
}
