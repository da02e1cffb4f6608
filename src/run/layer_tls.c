/* layer_tls: the layer that speaks TLS as server over a non-blocking socket (RFC 8446, RFC 5246); see stream.h and tls_private.h.
 *
 * OpenSSL keeps an error queue per thread that a connection's thread shares with whatever ran on it before: it is emptied before
 * each call and after each that failed. The socket BIO is our own because OpenSSL's would raise SIGPIPE. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "run/stream_private.h"
#include "run/tls_private.h"

enum { CLIENT_MAX = 32768 };

struct layer_tls {
    struct layer layer;
    struct tls_context *context;
    SSL *ssl;
    int fd;
    bool more;           /* another record of the same write follows */
    bool corked;         /* the kernel waits for what follows the last record */
    bool drained;        /* the last read took all that the socket had */
    bool starved;        /* the last read found no whole record */
    struct arena client; /* what is known of its certificate */
    uint32_t wants;
    bool failed; /* SSL_shutdown would be wrong now */
};

static struct layer_tls *tls_of(const struct layer *l)
{
    return (struct layer_tls *)(uintptr_t)l;
}

/* --- the socket --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *socket_method;

static struct layer_tls *bio_layer(BIO *b)
{
    return BIO_get_data(b);
}

static int bio_read(BIO *b, char *p, size_t n, size_t *ret)
{
    struct layer_tls *t = bio_layer(b);
    BIO_clear_retry_flags(b);
    /* As in layer_plain.c: what came in since wakes the connection when it parks. */
    if (t->drained) {
        t->drained = false;
        BIO_set_retry_read(b);
        return 0;
    }
    ssize_t r;
    do
        r = recv(t->fd, p, n, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        t->drained = (size_t)r < n;
        *ret = (size_t)r;
        return 1;
    }
    if (r == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    else if (errno == EAGAIN)
        BIO_set_retry_read(b);
    return 0;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *ret)
{
    struct layer_tls *t = bio_layer(b);
    BIO_clear_retry_flags(b);
    /* TLS 1.3: a ticket is a flight of its own, and goes as well with what the session says first. */
    bool more = t->more || t->layer.more || SSL_get_state(t->ssl) == TLS_ST_SW_SESSION_TICKET;
    ssize_t r;
    do
        r = send(t->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (r < 0 && errno == EINTR);
    if (r >= 0) {
        t->corked = more;
        *ret = (size_t)r;
        return 1;
    }
    if (errno == EAGAIN)
        BIO_set_retry_write(b);
    return 0;
}

static long bio_ctrl(BIO *b, int command, long number, void *p)
{
    if (command == BIO_CTRL_FLUSH)
        return 1;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

static void make_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "valise socket");
    if (!socket_method)
        panic("OpenSSL gives no BIO method");
    BIO_meth_set_read_ex(socket_method, bio_read);
    BIO_meth_set_write_ex(socket_method, bio_write);
    BIO_meth_set_ctrl(socket_method, bio_ctrl);
}

/* --- calls --- */

/* What SSL_get_error says of a call that returned R. */
static int tls_outcome(struct layer_tls *t, int r, struct error *e)
{
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        t->wants = EPOLLIN;
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        t->wants = EPOLLOUT;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_EOF;
    case SSL_ERROR_SYSCALL:
        t->failed = true;
        ERR_clear_error();
        return error_set(e, ERR_IO, "the connection was cut");
    default:
        t->failed = true;
        return tls_error(e, ERR_IO, "TLS failed");
    }
}

static int64_t tls_read(struct layer *l, char *p, size_t n)
{
    struct layer_tls *t = tls_of(l);
    size_t got = 0;
    ERR_clear_error();
    int r = SSL_read_ex(t->ssl, p, n, &got);
    t->wants = EPOLLIN;
    t->starved = r != 1;
    return r == 1 ? (int64_t)got : tls_outcome(t, r, NULL);
}

static int64_t tls_write(struct layer *l, const char *p, size_t n)
{
    struct layer_tls *t = tls_of(l);
    size_t put = 0;
    ERR_clear_error();
    /* One record a call (SSL_MODE_ENABLE_PARTIAL_WRITE); the stream comes again at once for what is left of N. */
    t->more = n > SSL3_RT_MAX_PLAIN_LENGTH;
    int r = SSL_write_ex(t->ssl, p, n, &put);
    t->more = false;
    t->wants = EPOLLIN;
    if (r == 1)
        return (int64_t)put;
    r = tls_outcome(t, r, NULL);
    return r == ERR_AGAIN ? ERR_AGAIN : ERR_IO;
}

static bool tls_pending(const struct layer *l)
{
    const struct layer_tls *t = tls_of(l);
    /* A part of a record is nothing to come back for. */
    return SSL_pending(t->ssl) > 0 || (!t->starved && SSL_has_pending(t->ssl));
}

static void tls_idle(struct layer *l)
{
    struct layer_tls *t = tls_of(l);
    int on = 1;
    /* Setting the option sends what the kernel holds (tcp(7)). */
    if (t->corked)
        (void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    t->corked = false;
    /* Refuses by itself while a record is half read or half written. */
    (void)SSL_free_buffers(t->ssl);
}

static void tls_close(struct layer *l)
{
    struct layer_tls *t = tls_of(l);
    SSL_free(t->ssl);
    arena_done(&t->client);
    tls_context_unref(t->context);
    free(t);
}

static const struct layer_ops tls_ops = {
    .read = tls_read, .write = tls_write, .pending = tls_pending, .idle = tls_idle, .close = tls_close
};

struct layer *layer_tls_new(struct tls_context *context, int fd, const struct tls_demand *demand)
{
    pthread_once(&once, make_method);
    struct layer_tls *t = calloc(1, sizeof *t);
    SSL *ssl = tls_context_accept(context, demand);
    BIO *b = BIO_new(socket_method);
    if (!t || !ssl || !b)
        panic("out of memory for a TLS connection");
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
    *t = (struct layer_tls){ .layer = { &tls_ops }, .context = tls_context_ref(context), .ssl = ssl, .fd = fd, .wants = EPOLLIN };
    arena_init(&t->client, CLIENT_MAX);
    return &t->layer;
}

int layer_tls_handshake(struct layer *l, struct error *e)
{
    struct layer_tls *t = tls_of(l);
    ERR_clear_error();
    int r = SSL_accept(t->ssl);
    return r == 1 ? 0 : tls_outcome(t, r, e);
}

uint32_t layer_tls_wants(const struct layer *l)
{
    return tls_of(l)->wants;
}

void layer_tls_info(struct layer *l, struct tls_info *ret)
{
    SSL *ssl = tls_of(l)->ssl;
    const unsigned char *alpn = NULL;
    unsigned alpn_n = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_n);
    *ret = (struct tls_info){
        .active = true,
        .version = str_from_z(SSL_get_version(ssl)),
        .cipher = str_from_z(SSL_get_cipher_name(ssl)),
        .bits = SSL_get_cipher_bits(ssl, NULL),
        .sni = str_from_z(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)),
        .alpn = { (const char *)alpn, alpn_n },
        .resumed = SSL_session_reused(ssl) == 1,
    };
    tls_client_read(ssl, &tls_of(l)->client, ret);
}

int layer_tls_binding(const struct layer *l, enum conn_binding kind, struct buf *out)
{
    return tls_binding(tls_of(l)->ssl, kind, out);
}

void layer_tls_shutdown(struct layer *l)
{
    struct layer_tls *t = tls_of(l);
    if (t->failed)
        return;
    ERR_clear_error();
    if (SSL_shutdown(t->ssl) < 0)
        ERR_clear_error();
}
