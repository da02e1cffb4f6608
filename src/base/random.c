/* random: see random.h. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/err.h"

void random_bytes(void *p, size_t n)
{
    char *to = p;
    while (n) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            panic("getrandom failed: errno %d", errno);
        to += got;
        n -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

uint32_t random_below(uint32_t bound)
{
    require(bound > 0);
    uint32_t limit = UINT32_MAX - UINT32_MAX % bound;
    uint32_t v;
    do
        random_bytes(&v, sizeof v);
    while (v >= limit);
    return v % bound;
}
