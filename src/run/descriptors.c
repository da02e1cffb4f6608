/* descriptors: see descriptors.h. */
#include "run/descriptors.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

static atomic_int first_kept = INT_MAX;

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
