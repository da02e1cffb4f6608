/* descriptors: see descriptors.h. */
#include "run/descriptors.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PIECE = 256, GAP_MAX = 1 << 16 };

static atomic_int first_kept = INT_MAX;
static atomic_int last = -1; /* the one held back; -1: it is not held */

void descriptors_raise(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l); /* what is refused stays as it was */
}

unsigned descriptors_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return 1024; /* the usual soft limit */
    return l.rlim_cur < INT_MAX ? (unsigned)l.rlim_cur : INT_MAX;
}

void descriptors_keep(unsigned reserve)
{
    unsigned limit = descriptors_limit();
    atomic_store(&first_kept, limit > reserve ? (int)(limit - reserve) : 0);
}

int descriptors_spare(int fd)
{
    if (fd < 0 || fd < atomic_load_explicit(&first_kept, memory_order_relaxed))
        return fd;
    (void)close(fd);
    return ERR_UNAVAILABLE;
}

unsigned descriptors_used(void)
{
    struct pollfd list[PIECE];
    /* poll takes no more at a time than there may be open. */
    unsigned limit = descriptors_limit(), n = limit < PIECE ? limit : PIECE, used = 0;
    /* Numbers are given out lowest first, so that behind a long gap there is nothing. Not the limit ends the count: it may have been lowered since. */
    for (unsigned from = 0, gap = 0; from < INT_MAX - PIECE && gap < GAP_MAX; from += n) {
        unsigned before = used;
        for (unsigned i = 0; i < n; i++)
            list[i] = (struct pollfd){ .fd = (int)(from + i) };
        if (poll(list, n, 0) < 0 || n == 0)
            break;
        for (unsigned i = 0; i < n; i++)
            used += !(list[i].revents & POLLNVAL);
        gap = used == before ? gap + n : 0;
    }
    return used;
}

bool descriptors_last_hold(void)
{
    if (atomic_load_explicit(&last, memory_order_relaxed) >= 0)
        return true;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), none = -1;
    if (fd >= 0 && !atomic_compare_exchange_strong(&last, &none, fd))
        (void)close(fd); /* another thread was first */
    return fd >= 0;
}

bool descriptors_last_lend(void)
{
    int fd = atomic_exchange(&last, -1);
    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}
