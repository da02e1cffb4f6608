/* bind: listening sockets, certificates of a snapshot, and giving up root. See supervisor_private.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "pki/pki.h"
#include "role/supervisor_private.h"

enum { BACKLOG = 1024, ARENA_MAX = 16 << 20 };

/* --- certificates --- */

static int read_chain(struct snapshot *s, str path, str *ret, struct error *e)
{
    struct buf b = BUF_INIT(PKI_PEM_MAX);
    char *z = arena_z(&s->arena, path);
    int err = z ? pki_file_read(z, &b, e) : error_set(e, ERR_LIMIT, "the certificates are too large together");
    if (err == 0 && arena_dup(&s->arena, buf_str(&b), ret))
        err = error_set(e, ERR_LIMIT, "the certificates are too large together");
    buf_done(&b);
    return err;
}

int snapshot_load(struct config *config, uint16_t port_offset, struct snapshot **ret, struct error *e)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory at start");
    arena_init(&s->arena, ARENA_MAX);
    s->port_offset = port_offset;
    s->identity_n = config->certificate_n;
    s->identities = arena_array(&s->arena, s->identity_n, sizeof *s->identities);
    int err = s->identities ? 0 : error_set(e, ERR_LIMIT, "too many certificates");
    for (size_t i = 0; i < config->certificate_n && err == 0; i++) {
        struct wire_identity *id = &s->identities[i];
        char hex[65];
        id->name = config->certificates[i].name;
        err = read_chain(s, config->certificates[i].chain, &id->chain_pem, e);
        if (err == 0 && tls_key_id(id->chain_pem, hex))
            err = error_set(e, ERR_SYNTAX, "%.*s: no PEM certificate in it", STR_ARG(config->certificates[i].chain));
        if (err == 0)
            err = arena_dup(&s->arena, (str){ hex, 64 }, &id->key_id);
    }
    for (size_t i = 0; i < config->listener_n && err == 0; i++)
        if (config->listeners[i].port + (unsigned)port_offset > 65535)
            err = error_set(e, ERR_LIMIT, "port %u plus the offset %u is above 65535", config->listeners[i].port, port_offset);
    if (err) {
        arena_done(&s->arena);
        free(s);
        return err;
    }
    s->config = config;
    *ret = s;
    return 0;
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    arena_done(&s->arena);
    config_free(s->config);
    free(s);
}

bool snapshot_same_sockets(const struct snapshot *a, const struct snapshot *b)
{
    const struct config *x = a->config, *y = b->config;
    if (x->listener_n != y->listener_n || x->mx_processes != y->mx_processes)
        return false;
    for (size_t i = 0; i < x->listener_n; i++) {
        const struct config_listener *l = &x->listeners[i], *m = &y->listeners[i];
        if (!str_eq(l->name, m->name) || l->port != m->port || l->protocol != m->protocol || l->address_n != m->address_n ||
            (l->tls == SMTP_TLS_IMPLICIT) != (m->tls == SMTP_TLS_IMPLICIT) || (l->tls == SMTP_TLS_OFF) != (m->tls == SMTP_TLS_OFF))
            return false;
        for (size_t k = 0; k < l->address_n; k++)
            if (!str_eq(l->addresses[k], m->addresses[k]))
                return false;
    }
    return true;
}

/* --- sockets --- */

static int bind_address(const char *address, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    bool six = inet_pton(AF_INET, address, &in.sin_addr) != 1;
    if (six && inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
        return -EINVAL;
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (six)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    const struct sockaddr *sa = six ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;
    if (bind(fd, sa, six ? sizeof in6 : sizeof in) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    return fd;
}

static int add_socket(struct supervisor *s, const char *kind, str name, int fd, struct error *e)
{
    if (s->socket_n == SUPERVISOR_SOCKETS_MAX) {
        (void)close(fd);
        return error_set(e, ERR_LIMIT, "more than %d listening sockets", SUPERVISOR_SOCKETS_MAX);
    }
    struct bound_socket *b = &s->sockets[s->socket_n++];
    (void)snprintf(b->kind, sizeof b->kind, "%s", kind);
    (void)snprintf(b->name, sizeof b->name, "%.*s", STR_ARG(name));
    b->fd = fd;
    return 0;
}

static int bind_listener(struct supervisor *s, const struct config_listener *l, struct error *e)
{
    uint16_t port = (uint16_t)(l->port + s->port_offset);
    for (size_t i = 0; i < l->address_n; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "%.*s", STR_ARG(l->addresses[i]));
        int fd = bind_address(address, port);
        if (fd == -EACCES)
            return error_set(e, ERR_REFUSED, "listener %.*s: port %u needs root; start as root or with --port-offset 10000", STR_ARG(l->name),
                             port);
        if (fd == -EADDRINUSE)
            return error_set(e, ERR_UNAVAILABLE, "listener %.*s: another program has port %u on %s (`ss -ltnp` shows it)", STR_ARG(l->name),
                             port, address);
        if (fd < 0)
            return error_set(e, ERR_IO, "listener %.*s: %s port %u: %s", STR_ARG(l->name), address, port, strerrordesc_np(-fd));
        int err = add_socket(s, l->protocol == CONFIG_SMTP ? "mx" : "core", l->name, fd, e);
        if (err)
            return err;
    }
    return 0;
}

/* Whoever may open it is an administrator, so it is made with mode 0600 before anyone can. */
static int bind_control(struct supervisor *s, struct error *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "control.sock" };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(e, ERR_IO, "socket: %s", strerrordesc_np(errno));
    (void)unlink("control.sock");
    mode_t old = umask(0177);
    int r = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    (void)umask(old);
    if (r != 0 || listen(fd, 16) != 0) {
        (void)close(fd);
        return error_set(e, ERR_IO, "control.sock: %s", strerrordesc_np(errno));
    }
    return add_socket(s, "core", STR("control"), fd, e);
}

int bind_all(struct supervisor *s, struct error *e)
{
    int err = bind_control(s, e);
    for (size_t i = 0; i < s->snapshot->config->listener_n && err == 0; i++)
        err = bind_listener(s, &s->snapshot->config->listeners[i], e);
    return err;
}

void close_sockets(struct supervisor *s)
{
    for (size_t i = 0; i < s->socket_n; i++)
        (void)close(s->sockets[i].fd);
    if (s->socket_n)
        (void)unlink("control.sock");
    s->socket_n = 0;
}

/* --- giving up root --- */

static int set_capabilities(uint32_t mask)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = mask, .permitted = mask } };
    return (int)syscall(SYS_capset, &header, data);
}

int supervisor_drop_user(str name, struct error *e)
{
    char z[64];
    if (geteuid() != 0 || name.n == 0)
        return 0;
    (void)snprintf(z, sizeof z, "%.*s", STR_ARG(name));
    (void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    int err = sandbox_drop_user(z, e);
    if (err == ERR_NOTFOUND)
        return error_set(e, err, "there is no user %s: `useradd --system --no-create-home %s`, or set user = \"\" in valise.conf", z, z);
    if (err)
        return err;
    if (set_capabilities(1u << CAP_NET_BIND_SERVICE) != 0)
        return error_set(e, ERR_INTERNAL, "capset: %s", strerrordesc_np(errno));
    return 0;
}
