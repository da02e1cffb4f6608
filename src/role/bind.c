/* bind: listening sockets. See supervisor_private.h.
 *
 * A reload binds what is new and shares what is there: a socket at the same place goes on under its new name and role, and whoever waits in its
 * queue is served. Sockets that a service manager opened for us (inherit.c) are, at the start, what is there. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/beneath.h"
#include "role/supervisor_private.h"

enum { BACKLOG = 1024, BIND_TRIES = 20, BIND_PAUSE_US = 100000 };

/* --- places --- */

void socket_place(const struct sockaddr_storage *sa, char ret[SOCKET_PLACE_MAX])
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
    if (sa->ss_family == AF_UNIX)
        (void)snprintf(ret, SOCKET_PLACE_MAX, "%.*s", CONFIG_SOCKET_MAX, ((const struct sockaddr_un *)sa)->sun_path);
    else if (sa->ss_family == AF_INET)
        (void)snprintf(ret, SOCKET_PLACE_MAX, "%s port %u", inet_ntop(AF_INET, &in->sin_addr, text, sizeof text),
                       ntohs(in->sin_port));
    else
        (void)snprintf(ret, SOCKET_PLACE_MAX, "%s port %u", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text),
                       ntohs(in6->sin6_port));
}

static int address_of(str address, uint16_t port, struct sockaddr_storage *ret)
{
    char z[64];
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    (void)snprintf(z, sizeof z, "%.*s", STR_ARG(address));
    *ret = (struct sockaddr_storage){ .ss_family = AF_INET };
    in->sin_port = htons(port);
    if (inet_pton(AF_INET, z, &in->sin_addr) == 1)
        return 0;
    *ret = (struct sockaddr_storage){ .ss_family = AF_INET6 };
    in6->sin6_port = htons(port);
    return inet_pton(AF_INET6, z, &in6->sin6_addr) == 1 ? 0 : ERR_SYNTAX;
}

static uint16_t port_of(const struct sockaddr_storage *sa)
{
    return sa->ss_family == AF_INET    ? ntohs(((const struct sockaddr_in *)sa)->sin_port)
           : sa->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)sa)->sin6_port)
                                       : 0;
}

/* --- binding --- */

static int bind_address(const struct sockaddr_storage *sa, bool beside)
{
    int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, zero = 0;
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (beside)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (sa->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    socklen_t n = sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (bind(fd, (const struct sockaddr *)sa, n) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    if (beside)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &zero, sizeof zero);
    return fd;
}

/* A port that we have on one address is not free for another that holds it, as 0.0.0.0 does, while the former one is open. Both sockets say for
 * this moment that they bear each other; nobody else gets in between. */
static int bind_beside(const struct socket_set *former, const struct sockaddr_storage *sa)
{
    char end[16];
    int one = 1, zero = 0;
    (void)snprintf(end, sizeof end, " port %u", port_of(sa));
    for (size_t i = 0; i < former->n; i++)
        if (str_ends(str_from_z(former->list[i].place), str_from_z(end)))
            (void)setsockopt(former->list[i].fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    int fd = bind_address(sa, true);
    for (size_t i = 0; i < former->n; i++)
        if (str_ends(str_from_z(former->list[i].place), str_from_z(end)))
            (void)setsockopt(former->list[i].fd, SOL_SOCKET, SO_REUSEPORT, &zero, sizeof zero);
    return fd;
}

/* The roles of a server that was killed die with it, but their threads let go of their sockets a moment later: a start right after that
 * waits for them. */
static int bind_when_free(const struct socket_set *former, const struct sockaddr_storage *sa)
{
    int fd = bind_address(sa, false);
    if (fd == -EADDRINUSE && former->n)
        return bind_beside(former, sa);
    for (int i = 0; fd == -EADDRINUSE && i < BIND_TRIES; i++) {
        (void)usleep(BIND_PAUSE_US);
        fd = bind_address(sa, false);
    }
    return fd;
}

/* --- Unix sockets --- */

/* Whether somebody listens at NAME in the open directory: 0 when not, an errno value when somebody does or that cannot be found out. */
static int ask_whether_dead(int dir, const char *name)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int n = snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/%s", dir, name), code = 0;
    int fd = n > 0 && (size_t)n < sizeof sa.sun_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0)
        return ENAMETOOLONG;
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 || errno == EAGAIN)
        code = EADDRINUSE;
    else
        code = errno == ECONNREFUSED || errno == ENOENT ? 0 : errno;
    (void)close(fd);
    return code;
}

/* Whether the file of a socket was made by a server of this directory: as whom we are, or as the user that its store belongs to. */
static bool is_own(const struct stat *st)
{
    struct stat store;
    return st->st_uid == geteuid() || (beneath_look(AT_FDCWD, "store", &store, NULL) == 0 && store.st_uid == st->st_uid);
}

/* Makes room for a socket: one that a killed server of ours left is removed; a live one, one of somebody else and what is no socket are not. The
 * roles of a server that was killed let go a moment after it. OURS: it lies in our own directory, under a name that only we use. */
static int make_room(int dir, const char *name, const char *path, bool ours, struct error *e)
{
    struct stat st;
    if (beneath_look(dir, name, &st, NULL))
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, ERR_EXISTS, "%s is there and is no socket; move it away, or configure another path", path);
    int code = ask_whether_dead(dir, name);
    for (int i = 0; code == EADDRINUSE && (ours || is_own(&st)) && i < BIND_TRIES; i++) {
        (void)usleep(BIND_PAUSE_US);
        code = ask_whether_dead(dir, name);
    }
    if (code == EADDRINUSE || code == EPROTOTYPE)
        return error_set(e, ERR_UNAVAILABLE, "another program listens at %s (`ss -xlp` shows it)", path);
    if (code)
        return error_set(e, ERR_REFUSED, "%s: whether another program listens there is unknown: %s", path, strerrordesc_np(code));
    if (!ours && !is_own(&st))
        return error_set(e, ERR_REFUSED, "%s was left by another user (uid %u); remove it if nobody needs it", path,
                         (unsigned)st.st_uid);
    return beneath_remove(dir, name, e);
}

/* The file of a socket just bound, given to group GID (-1: as it is); its inode. */
static int take_file(int dir, const char *name, const char *path, gid_t gid, uint64_t *ret_inode, struct error *e)
{
    struct stat st;
    int err = beneath_look(dir, name, &st, e);
    if (err)
        return err;
    *ret_inode = st.st_ino;
    if (gid != (gid_t)-1 && fchownat(dir, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set(e, ERR_REFUSED, "%s cannot be given to group %u: %s; start as root, or put the server's user into it",
                         path, (unsigned)gid, strerrordesc_np(errno));
    return 0;
}

/* A Unix socket at PATH, made with umask MASK so that nobody is faster. A descriptor and the inode of its file, or an error. */
static int bind_path(const char *path, mode_t mask, bool ours, gid_t gid, uint64_t *ret_inode, struct error *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    char name[BENEATH_NAME_MAX];
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    int dir = beneath_start_above(path, name, e);
    if (dir < 0)
        return dir;
    int err = make_room(dir, name, path, ours, e);
    int fd = err ? err : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (err == 0) {
        mode_t old = umask(mask);
        bool good = fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
        int code = errno;
        (void)umask(old);
        if (!good || listen(fd, BACKLOG) != 0)
            err = error_set(e, code == EACCES ? ERR_REFUSED : ERR_IO, "%s: %s", path, strerrordesc_np(good ? errno : code));
    }
    if (err == 0)
        err = take_file(dir, name, path, gid, ret_inode, e);
    (void)close(dir);
    if (err && fd >= 0)
        (void)close(fd);
    return err ? err : fd;
}

/* Removes the file of a socket that we made, if it still is that. */
static void unlink_own(const struct bound_socket *b)
{
    struct stat st;
    char name[BENEATH_NAME_MAX];
    int dir = b->inode ? beneath_start_above(b->place, name, NULL) : -1;
    if (dir < 0)
        return;
    if (beneath_look(dir, name, &st, NULL) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == b->inode)
        (void)!beneath_remove(dir, name, NULL);
    (void)close(dir);
}

/* The group that may use the socket of L: the one that is named, else CORES. (gid_t)-1: ours. */
static int socket_group(const struct config_listener *l, gid_t cores, gid_t *ret, struct error *e)
{
    char z[CONFIG_GROUP_MAX + 1];
    uint64_t number;
    (void)snprintf(z, sizeof z, "%.*s", STR_ARG(l->socket_group));
    *ret = cores;
    if (l->socket_group.n && str_to_u64(l->socket_group, INT32_MAX, &number)) {
        *ret = (gid_t)number;
    } else if (l->socket_group.n) {
        const struct group *g = getgrnam(z);
        if (!g)
            return error_set(
                e, ERR_NOTFOUND,
                "listener %.*s: there is no group %s that the server can see; at a reload write its number, or restart",
                STR_ARG(l->name), z);
        *ret = g->gr_gid;
    }
    return 0;
}

/* The socket of LMTP, with its mode from the first moment on. As root its group as well: once the server runs, it may change no owner. Else the group
 * comes a moment later: until then fewer may use it. */
static int bind_socket(const struct config_listener *l, gid_t cores, const char *path, uint64_t *ret_inode, struct error *e)
{
    gid_t gid;
    int err = socket_group(l, cores, &gid, e);
    if (err)
        return err;
    bool root = geteuid() == 0 && gid != (gid_t)-1;
    int own = root ? setfsgid(gid) : 0;
    int fd = bind_path(path, (mode_t)(~l->socket_mode & 0777), false, root ? (gid_t)-1 : gid, ret_inode, e);
    if (root)
        (void)setfsgid((gid_t)own);
    if (fd < 0)
        (void)error_prefix(e, "listener %.*s", STR_ARG(l->name));
    return fd;
}

/* --- the set --- */

static int add(struct socket_set *set, const struct config_listener *l, const char *place, bool inherited, int fd, uint64_t inode,
               struct error *e)
{
    if (set->n == SUPERVISOR_SOCKETS_MAX)
        return error_set(e, ERR_LIMIT, "more than %d listening sockets", SUPERVISOR_SOCKETS_MAX);
    struct bound_socket *b = &set->list[set->n++];
    *b = (struct bound_socket){ .inherited = inherited, .fd = fd, .inode = inode };
    (void)snprintf(b->kind, sizeof b->kind, "%s", rights_role_name(rights_role_of(l->protocol)));
    (void)snprintf(b->name, sizeof b->name, "%.*s", STR_ARG(l->name));
    (void)snprintf(b->place, sizeof b->place, "%s", place);
    return 0;
}

static const struct bound_socket *find(const struct socket_set *set, const char *place)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->list[i].place, place) == 0)
            return &set->list[i];
    return NULL;
}

static int explain(const struct config_listener *l, const char *place, int code, struct error *e)
{
    if (code == EACCES && !l->socket.n)
        return error_set(e, ERR_REFUSED, "listener %.*s: port %u needs root; start as root or with --port-offset 10000",
                         STR_ARG(l->name), l->port);
    if (code == EADDRINUSE)
        return error_set(e, ERR_UNAVAILABLE, "listener %.*s: another program has %s (`ss -ltnp` shows it)", STR_ARG(l->name),
                         place);
    if (code == EADDRNOTAVAIL)
        return error_set(e, ERR_IO, "listener %.*s: this machine has no address %s", STR_ARG(l->name), place);
    return error_set(e, ERR_IO, "listener %.*s: %s: %s", STR_ARG(l->name), place, strerrordesc_np(code));
}

/* One socket: shared, or bound anew. SA is NULL for a path. */
static int bind_place(const struct config_listener *l, gid_t cores, const char *place, const struct sockaddr_storage *sa,
                      const struct socket_set *former, struct socket_set *set, struct error *e)
{
    const struct bound_socket *there = find(former, place);
    if (find(set, place))
        return error_set(e, ERR_SYNTAX, "listener %.*s: another listener of valise.conf has %s", STR_ARG(l->name), place);
    if (there)
        return add(set, l, place, there->inherited, there->fd, there->inode, e);
    uint64_t inode = 0;
    int fd = sa ? bind_when_free(former, sa) : bind_socket(l, cores, place, &inode, e);
    if (fd < 0)
        return sa ? explain(l, place, -fd, e) : fd;
    int err = add(set, l, place, false, fd, inode, e);
    if (err)
        (void)close(fd);
    return err;
}

/* Sockets that the service manager opened under this listener's name are all that it has, whatever addresses its section tells. */
static bool is_inherited(const struct config_listener *l, const struct bound_socket *b)
{
    return b->inherited && str_eq(str_from_z(b->name), l->name);
}

static int bind_listener(const struct config_listener *l, gid_t cores, uint16_t offset, const struct socket_set *former,
                         struct socket_set *set, struct error *e)
{
    char place[SOCKET_PLACE_MAX];
    struct sockaddr_storage sa;
    size_t before = set->n;
    int err = 0;
    for (size_t i = 0; i < former->n && err == 0; i++)
        if (is_inherited(l, &former->list[i]))
            err = bind_place(l, cores, former->list[i].place, NULL, former, set, e);
    if (err || set->n > before)
        return err;
    if (l->socket.n) {
        (void)snprintf(place, sizeof place, "%.*s", STR_ARG(l->socket));
        return bind_place(l, cores, place, NULL, former, set, e);
    }
    for (size_t i = 0; i < l->address_n && err == 0; i++) {
        err = address_of(l->addresses[i], (uint16_t)(l->port + offset), &sa);
        socket_place(&sa, place);
        if (err == 0)
            err = bind_place(l, cores, place, &sa, former, set, e);
    }
    return err;
}

int sockets_bind(const struct config *config, gid_t cores, uint16_t offset, const struct socket_set *former,
                 struct socket_set *ret, struct error *e)
{
    int err = 0;
    ret->n = 0;
    for (size_t i = 0; i < config->listener_n && err == 0; i++)
        err = bind_listener(&config->listeners[i], cores, offset, former, ret, e);
    if (err)
        sockets_close(ret, former);
    return err;
}

static bool holds(const struct socket_set *set, int fd)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (set->list[i].fd == fd)
            return true;
    return false;
}

void sockets_close(struct socket_set *gone, const struct socket_set *stays)
{
    for (size_t i = 0; i < gone->n; i++) {
        const struct bound_socket *b = &gone->list[i];
        if (holds(stays, b->fd))
            continue;
        (void)close(b->fd);
        if (!b->inherited)
            unlink_own(b);
    }
    gone->n = 0;
}

/* Whoever may open it is an administrator, so it is made with mode 0600 before anyone can. */
int control_bind(struct error *e)
{
    uint64_t inode;
    return bind_path("control.sock", 0177, true, (gid_t)-1, &inode, e);
}
