/* probe: see probe.h. */
#include "cli/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int dial(const char *address, unsigned port, int64_t ms, struct error *e)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    const char *to = strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(address, "::") == 0 ? "::1" : address;
    bool six = inet_pton(AF_INET, to, &in.sin_addr) != 1;
    if (six && inet_pton(AF_INET6, to, &in6.sin6_addr) != 1)
        return error_set(e, ERR_SYNTAX, "%s is not an address", address);
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(e, ERR_IO, "socket: %s", strerrordesc_np(errno));
    struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    const struct sockaddr *sa = six ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;
    if (connect(fd, sa, six ? sizeof in6 : sizeof in) != 0) {
        int code = error_set(e, ERR_UNAVAILABLE, "%s port %u: %s", to, port, strerrordesc_np(errno));
        (void)close(fd);
        return code;
    }
    return fd;
}

/* *RET_CLOSED: the handshake ended for want of a client's certificate, which a probe has not. */
static ssize_t read_tls(int fd, char *p, size_t n, bool *ret_closed)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    ssize_t got = -1;
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1) {
        got = SSL_read(ssl, p, (int)n);
        *ret_closed = got <= 0 && ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED;
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return got;
}

/* A listener for other networks than ours turns us away, and so answers (RFC 5321 section 3.1, RFC 3501 section 7.1.5). */
static bool is_refusal(str text)
{
    return str_starts(text, STR("554 ")) || str_starts(text, STR("* BYE"));
}

int probe_listener(const struct probe *p, int64_t ms, struct error *e)
{
    static const char header[] = "PROXY UNKNOWN\r\n"; /* what a balancer says that asks for itself */
    char text[256];
    int fd = dial(p->address, p->port, ms, e);
    if (fd < 0)
        return fd;
    bool members_only = false;
    ssize_t n = p->as_proxy ? send(fd, header, sizeof header - 1, MSG_NOSIGNAL) : 0;
    if (n >= 0 && p->first.n)
        n = send(fd, p->first.p, p->first.n, MSG_NOSIGNAL);
    if (n >= 0)
        n = p->implicit_tls ? read_tls(fd, text, sizeof text, &members_only) : recv(fd, text, sizeof text, 0);
    (void)close(fd);
    if (members_only)
        return 0;
    if (n <= 0)
        return error_set(e, ERR_TIMEOUT, "%s port %u accepts connections but does not greet", p->address, p->port);
    str said = { text, (size_t)n };
    if (!str_starts(said, p->greeting) && !is_refusal(said))
        return error_set(e, ERR_CORRUPT, "%s port %u greets with something else than '%.*s'", p->address, p->port,
                         STR_ARG(p->greeting));
    return 0;
}
