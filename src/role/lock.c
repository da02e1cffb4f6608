/* lock: see lock.h. The kernel drops a lock with its holder, so that none is ever stale. */
#include "role/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { PAUSE_US = 20000 };

static int open_lock(struct error *e)
{
    struct stat st, own;
    int fd = open("serve.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "serve.lock: %s", strerrordesc_np(errno));
    /* Of the directory's owner, who may be another than root; where that is root, the group too may work without a server. */
    if (geteuid() == 0 && stat(".", &st) == 0 && fstat(fd, &own) == 0 && S_ISREG(own.st_mode) && own.st_nlink == 1) {
        (void)!fchown(fd, st.st_uid, st.st_gid);
        (void)!fchmod(fd, st.st_uid == 0 ? 0660 : 0600);
    }
    return fd;
}

int lock_make(struct error *e)
{
    int fd = open_lock(e);
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

int lock_take(int64_t ms, struct error *e)
{
    int64_t end = clock_mono_ms() + ms;
    int fd = open_lock(e);
    if (fd < 0)
        return fd;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR || (errno == EWOULDBLOCK && clock_mono_ms() < end)) {
            (void)usleep(PAUSE_US);
            continue;
        }
        int code = errno == EWOULDBLOCK ? ERR_AGAIN : error_set(e, ERR_IO, "serve.lock: %s", strerrordesc_np(errno));
        (void)close(fd);
        return code;
    }
    return fd;
}
