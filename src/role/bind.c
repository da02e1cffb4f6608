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

#include "base/clock.h"
#include "pki/pki.h"
#include "role/supervisor_private.h"

enum { BACKLOG = 1024, BIND_TRIES = 20, BIND_PAUSE_US = 100000, ARENA_MAX = 16 << 20, NOTES_MAX = 16384, EXPIRY_NOTE_DAYS = 15 };

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

/* Tells of a certificate whose time is over or will be soon; clients will judge it, the server serves on. */
static void check_time(struct snapshot *s, str chain, str pem)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    int64_t now = clock_real_ms() / 1000;
    if (pki_certificate_describe(pem, &a, &d, NULL) == 0) {
        long long days = (d.not_after - now) / 86400;
        if (d.not_after <= now)
            buf_addf(&s->notes, "%.*s expired %lld days ago; clients will refuse it\n", STR_ARG(chain), -days);
        else if (d.not_before > now)
            buf_addf(&s->notes, "%.*s is not valid yet; clients will refuse it\n", STR_ARG(chain));
        else if (days < EXPIRY_NOTE_DAYS)
            buf_addf(&s->notes, "%.*s expires in %lld days; replace it and run `valise reload`\n", STR_ARG(chain), days);
    }
    arena_done(&a);
}

int snapshot_load(struct config *config, uint16_t port_offset, struct snapshot **ret, struct error *e)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory at start");
    arena_init(&s->arena, ARENA_MAX);
    s->notes = BUF_INIT(NOTES_MAX);
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
        if (err == 0)
            check_time(s, config->certificates[i].chain, id->chain_pem);
    }
    if (err == 0 && access("ca.pem", F_OK) == 0)
        err = read_chain(s, STR("ca.pem"), &s->ca_pem, e);
    for (size_t i = 0; i < config->listener_n && err == 0; i++)
        if (config->listeners[i].port + (unsigned)port_offset > 65535)
            err = error_set(e, ERR_LIMIT, "port %u plus the offset %u is above 65535", config->listeners[i].port, port_offset);
    if (err) {
        arena_done(&s->arena);
        buf_done(&s->notes);
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
    buf_done(&s->notes);
    config_free(s->config);
    free(s);
}

static bool same_listener(const struct config_listener *l, const struct config_listener *m)
{
    bool same = str_eq(l->name, m->name) && l->port == m->port && str_eq(l->socket, m->socket) && l->protocol == m->protocol &&
                l->address_n == m->address_n && (l->tls == SMTP_TLS_IMPLICIT) == (m->tls == SMTP_TLS_IMPLICIT) &&
                (l->tls == SMTP_TLS_OFF) == (m->tls == SMTP_TLS_OFF) && l->tls13_only == m->tls13_only &&
                l->client_cert == m->client_cert;
    for (size_t k = 0; same && k < l->address_n; k++)
        same = str_eq(l->addresses[k], m->addresses[k]);
    return same;
}

int snapshot_compare(const struct snapshot *former, struct snapshot *fresh, struct error *e)
{
    const struct config *x = former->config, *y = fresh->config;
    const struct {
        const char *name;
        bool same;
    } settings[] = {
        { "user", str_eq(x->user, y->user) },
        { "mx-processes", x->mx_processes == y->mx_processes },
        { "connections-max", x->connections_max == y->connections_max },
        { "connections-per-address", x->connections_per_address == y->connections_per_address },
        { "workers-max", x->workers_max == y->workers_max },
        { "cache-bytes", x->cache_bytes == y->cache_bytes },
        { "reserve-bytes", x->reserve_bytes == y->reserve_bytes },
    };
    if (x->listener_n != y->listener_n)
        return error_set(e, ERR_REFUSED,
                         "valise.conf: a listener was added or removed; that needs a restart, the old settings stay");
    for (size_t i = 0; i < x->listener_n; i++)
        if (!same_listener(&x->listeners[i], &y->listeners[i]))
            return error_set(e, ERR_REFUSED,
                             "valise.conf: listener %.*s has another place, name, port or address, or other TLS; that "
                             "needs a restart, the old settings stay",
                             STR_ARG(y->listeners[i].name));
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (!settings[i].same)
            buf_addf(&fresh->notes, "%s has changed; it counts from the next start\n", settings[i].name);
    return 0;
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

/* The roles of a server that was killed die with it, but their threads let go of their sockets a moment later: a start right after that waits for
 * them. */
static int bind_when_free(const char *address, uint16_t port)
{
    int fd = bind_address(address, port);
    for (int i = 0; fd == -EADDRINUSE && i < BIND_TRIES; i++) {
        (void)usleep(BIND_PAUSE_US);
        fd = bind_address(address, port);
    }
    return fd;
}

/* A Unix socket at PATH, made with umask MASK so that nobody is faster; one left there by a killed server is replaced, anything else
 * is not. */
static int bind_path(const char *path, mode_t mask)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct stat st;
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    mode_t old = umask(mask);
    int r = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    int code = errno;
    (void)umask(old);
    if (r == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    code = r ? code : errno;
    (void)close(fd);
    return -code;
}

static int bind_socket(struct supervisor *s, const struct config_listener *l, struct error *e)
{
    char path[CONFIG_SOCKET_MAX + 1];
    (void)snprintf(path, sizeof path, "%.*s", STR_ARG(l->socket));
    int fd = bind_path(path, 0111);
    if (fd < 0)
        return error_set(e, ERR_IO, "listener %.*s: %s: %s", STR_ARG(l->name), path, strerrordesc_np(-fd));
    return add_socket(s, "core", l->name, fd, e);
}

static int bind_listener(struct supervisor *s, const struct config_listener *l, struct error *e)
{
    if (l->socket.n)
        return bind_socket(s, l, e);
    uint16_t port = (uint16_t)(l->port + s->port_offset);
    for (size_t i = 0; i < l->address_n; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "%.*s", STR_ARG(l->addresses[i]));
        int fd = bind_when_free(address, port);
        if (fd == -EACCES)
            return error_set(e, ERR_REFUSED, "listener %.*s: port %u needs root; start as root or with --port-offset 10000",
                             STR_ARG(l->name), port);
        if (fd == -EADDRINUSE)
            return error_set(e, ERR_UNAVAILABLE, "listener %.*s: another program has port %u on %s (`ss -ltnp` shows it)",
                             STR_ARG(l->name), port, address);
        if (fd < 0)
            return error_set(e, ERR_IO, "listener %.*s: %s port %u: %s", STR_ARG(l->name), address, port, strerrordesc_np(-fd));
        int err = add_socket(s, l->protocol == CONFIG_SMTP ? "mx" : "core", l->name, fd, e);
        if (err)
            return err;
    }
    return 0;
}

/* Whoever may open it is an administrator, so it is made with mode 0600 before anyone can. */
int bind_control(struct supervisor *s, struct error *e)
{
    int fd = bind_path("control.sock", 0177);
    if (fd < 0)
        return error_set(e, ERR_IO, "control.sock: %s", strerrordesc_np(-fd));
    return add_socket(s, "core", STR(WIRE_CONTROL), fd, e);
}

int bind_listeners(struct supervisor *s, struct error *e)
{
    int err = 0;
    for (size_t i = 0; i < s->snapshot->config->listener_n && err == 0; i++)
        err = bind_listener(s, &s->snapshot->config->listeners[i], e);
    return err;
}

void close_sockets(struct supervisor *s)
{
    for (size_t i = 0; i < s->socket_n; i++) {
        (void)close(s->sockets[i].fd);
        if (strcmp(s->sockets[i].name, WIRE_CONTROL) == 0)
            (void)unlink("control.sock");
    }
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
        return error_set(e, err, "there is no user %s: `useradd --system --no-create-home %s`, or set user = \"\" in valise.conf",
                         z, z);
    if (err)
        return err;
    if (set_capabilities(1u << CAP_NET_BIND_SERVICE) != 0)
        return error_set(e, ERR_INTERNAL, "capset: %s", strerrordesc_np(errno));
    return 0;
}
