/* inherit: listening sockets that a service manager opened for us (sd_listen_fds(3)): they begin at descriptor 3, LISTEN_FDS says how many there
 * are, LISTEN_PID for whom, LISTEN_FDNAMES what each is called. See supervisor_private.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "role/supervisor_private.h"

enum { FIRST_FD = 3 };

static int take(int fd, str name, struct socket_set *ret, struct error *e)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t n = sizeof sa, m = sizeof(int);
    int listening = 0, type = 0;
    struct bound_socket *b = &ret->list[ret->n];
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &m) != 0 || type != SOCK_STREAM || !listening)
        return error_set(e, ERR_REFUSED,
                         "descriptor %d of the service manager is no listening stream socket (ListenStream=, Accept=no)", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return error_set(e, ERR_IO, "descriptor %d of the service manager: %s", fd, strerrordesc_np(errno));
    *b = (struct bound_socket){ .inherited = true, .fd = fd };
    (void)snprintf(b->name, sizeof b->name, "%.*s", STR_ARG(name));
    socket_place(&sa, b->place);
    ret->n++;
    return 0;
}

int sockets_inherit(struct socket_set *ret, struct error *e)
{
    uint32_t pid = 0, n = 0;
    str names = str_from_z(getenv("LISTEN_FDNAMES"));
    bool ours = str_to_u32(str_from_z(getenv("LISTEN_PID")), UINT32_MAX, &pid) && pid == (uint32_t)getpid() &&
                str_to_u32(str_from_z(getenv("LISTEN_FDS")), UINT32_MAX, &n);
    int err = 0;
    ret->n = 0;
    if (ours && n > SUPERVISOR_SOCKETS_MAX)
        return error_set(e, ERR_LIMIT, "more than %d sockets from the service manager", SUPERVISOR_SOCKETS_MAX);
    for (uint32_t i = 0; ours && i < n && err == 0; i++) {
        str name = { NULL, 0 };
        (void)str_split(&names, ':', &name);
        err = take(FIRST_FD + (int)i, name, ret, e);
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return err;
}

int sockets_all_used(const struct socket_set *inherited, const struct socket_set *used, struct error *e)
{
    for (size_t i = 0; i < inherited->n; i++) {
        const struct bound_socket *b = &inherited->list[i];
        bool found = false;
        for (size_t k = 0; k < used->n && !found; k++)
            found = used->list[k].fd == b->fd;
        if (!found)
            return error_set(
                e, ERR_SYNTAX,
                "socket %s (%s) of the service manager is no listener's: name it by FileDescriptorName=, or give a listener this "
                "address and port",
                b->name, b->place);
    }
    return 0;
}
