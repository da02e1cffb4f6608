/* notify: see notify.h. */
#include "role/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

int notify_open(void)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    str path = str_from_z(getenv("NOTIFY_SOCKET"));
    if (path.n == 0 || path.n >= sizeof sa.sun_path || (path.p[0] != '/' && path.p[0] != '@'))
        return -1;
    memcpy(sa.sun_path, path.p, path.n);
    if (path.p[0] == '@')
        sa.sun_path[0] = 0; /* an abstract name has a length, not an end */
    (void)unsetenv("NOTIFY_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n)) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

void notify_send(int fd, const char *state)
{
    if (fd >= 0)
        (void)!write(fd, state, strlen(state));
}

void notify_reloading(int fd)
{
    char state[64];
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
    notify_send(fd, state);
}

int64_t notify_watchdog_ms(void)
{
    uint64_t us = 0;
    uint32_t pid = 0;
    bool ours = str_to_u64(str_from_z(getenv("WATCHDOG_USEC")), UINT32_MAX * 1000ULL, &us) &&
                (!getenv("WATCHDOG_PID") ||
                 (str_to_u32(str_from_z(getenv("WATCHDOG_PID")), UINT32_MAX, &pid) && pid == (uint32_t)getpid()));
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return ours ? (int64_t)(us / 2000) : 0;
}
