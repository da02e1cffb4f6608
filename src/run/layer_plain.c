/* layer_plain: the layer over a non-blocking socket; see stream.h. */
#include <errno.h>
#include <sys/socket.h>

#include "run/stream_private.h"

struct layer_plain {
    struct layer layer;
    int fd;
    bool drained; /* the last read took all there was */
};

static int64_t plain_read(struct layer *l, char *p, size_t n)
{
    struct layer_plain *x = (struct layer_plain *)l;
    /* Saves one call in five of a dialogue. What came in between wakes the connection as soon as it parks: epoll is asked for the
     * level. */
    if (x->drained) {
        x->drained = false;
        return ERR_AGAIN;
    }
    ssize_t r;
    do
        r = recv(x->fd, p, n, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        x->drained = (size_t)r < n;
        return r;
    }
    if (r == 0)
        return ERR_EOF;
    return errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

static int64_t plain_write(struct layer *l, const char *p, size_t n)
{
    ssize_t r;
    do
        r = send(((struct layer_plain *)l)->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL | (l->more ? MSG_MORE : 0));
    while (r < 0 && errno == EINTR);
    if (r > 0)
        return r;
    return r < 0 && errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

static int64_t plain_write_both(struct layer *l, str first, str second)
{
    struct iovec pieces[2] = { { (void *)(uintptr_t)first.p, first.n }, { (void *)(uintptr_t)second.p, second.n } };
    const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
    ssize_t r;
    do
        r = sendmsg(((struct layer_plain *)l)->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (l->more ? MSG_MORE : 0));
    while (r < 0 && errno == EINTR);
    if (r > 0)
        return r;
    return r < 0 && errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

static bool plain_pending(const struct layer *l)
{
    return false;
}

static void plain_idle(struct layer *l) {}

static void plain_close(struct layer *l)
{
    free(l);
}

static const struct layer_ops plain_ops = { .read = plain_read,
                                            .write = plain_write,
                                            .write_both = plain_write_both,
                                            .pending = plain_pending,
                                            .idle = plain_idle,
                                            .close = plain_close };

struct layer *layer_plain_new(int fd)
{
    struct layer_plain *p = calloc(1, sizeof *p);
    if (!p)
        panic("out of memory for a layer");
    p->layer.ops = &plain_ops;
    p->fd = fd;
    p->drained = true; /* as a rule the server speaks first */
    return &p->layer;
}
