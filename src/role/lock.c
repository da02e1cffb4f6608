/* lock: see lock.h. The kernel drops a lock with its holder, so that none is ever stale. */
#include "role/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { PAUSE_US = 20000 };

int lock_take(int64_t ms, struct error *e)
{
    struct stat st;
    int64_t end = clock_mono_ms() + ms;
    int fd = open("serve.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "serve.lock: %s", strerrordesc_np(errno));
    if (geteuid() == 0 && (stat(".", &st) != 0 || fchown(fd, st.st_uid, st.st_gid) != 0)) {
        int code = error_set(e, err_from_errno(errno), "serve.lock: %s", strerrordesc_np(errno));
        (void)close(fd);
        return code;
    }
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
