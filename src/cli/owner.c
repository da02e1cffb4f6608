/* owner: see owner.h. */
#include "cli/owner.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/beneath.h"
#include "run/sandbox.h"

static bool borrowed; /* effective ids are somebody else's */
static gid_t own_group;
static bool apart; /* we are a child that ends with its parent */

static int fail(const struct stat *st, struct error *e)
{
    return error_set(e, ERR_REFUSED, "cannot change to the owner (uid %u) of what this command works in: %s",
                     (unsigned)st->st_uid, strerrordesc_np(errno));
}

/* Whether there is anything to do: we are root and DIR is not ours. */
static int look(int dir, struct stat *st, bool *ret, struct error *e)
{
    if (fstat(dir, st) != 0)
        return error_set(e, err_from_errno(errno), "the folder: %s", strerrordesc_np(errno));
    *ret = geteuid() == 0 && st->st_uid != 0;
    return 0;
}

int owner_become(int dir, struct error *e)
{
    struct stat st;
    bool needed = false;
    int err = look(dir, &st, &needed, e);
    if (err || !needed)
        return err;
    if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return fail(&st, e);
    /* The kernel forgets this with each change of the user. */
    return apart && prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ? fail(&st, e) : 0;
}

void owner_apart(void)
{
    sandbox_leave_terminal();
    apart = true;
}

int owner_borrow(int dir, struct error *e)
{
    struct stat st;
    bool needed = false;
    int err = look(dir, &st, &needed, e);
    if (err || !needed)
        return err;
    own_group = getegid();
    borrowed = true;
    if (setgroups(0, NULL) != 0 || setresgid((gid_t)-1, st.st_gid, (gid_t)-1) != 0 ||
        setresuid((uid_t)-1, st.st_uid, (uid_t)-1) != 0) {
        err = fail(&st, e);
        owner_return();
    }
    return err;
}

void owner_return(void)
{
    if (borrowed && (setresuid((uid_t)-1, 0, (uid_t)-1) != 0 || setresgid((gid_t)-1, own_group, (gid_t)-1) != 0))
        panic("root's rights do not come back: %s", strerrordesc_np(errno));
    borrowed = false;
}

int owner_open_file(int dir, const char *path, struct stat *ret, struct error *e)
{
    int err = owner_borrow(dir, e);
    int fd = err ? err : beneath_file(dir, path, ret, e);
    owner_return();
    return fd;
}

int owner_remove_tree(int dir, const char *path, struct error *e)
{
    int err = owner_borrow(dir, e);
    if (err == 0)
        err = beneath_remove_tree(dir, path, e);
    owner_return();
    return err;
}

int owner_open_store(int top, struct error *e)
{
    struct stat st, above;
    int fd = beneath_directory(top, "store", e);
    if (fd < 0)
        return fd == ERR_NOTFOUND ? error_set(e, fd, "there is no store in it; `valise init` makes a directory") : fd;
    int r = fstat(fd, &st) != 0 || fstat(top, &above) != 0;
    if (r == 0 && (st.st_uid != 0 || above.st_uid == 0))
        return fd;
    (void)close(fd);
    return error_set(e, ERR_REFUSED, "store belongs to root but the directory does not; give it to the server's user");
}
