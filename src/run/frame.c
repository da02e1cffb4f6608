/* frame: the unit of a channel, one SOCK_SEQPACKET message: 8 bytes of header, the payload, and descriptors beside it.
 *
 * The kernel keeps message boundaries, so a frame is sent and received whole or not at all; what arrives longer, shorter or
 * with more descriptors than a frame may have is refused, and every descriptor that came with it is closed. */
#include "run/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

enum { FRAME_HEADER = 8 };

/* What a memfd from another role must not be able to do any more while we read it. */
enum { MEMFD_SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

/* Room for the descriptors of one frame; a union, because a control buffer must be aligned for its header. */
union frame_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
};

void frame_encode_header(const struct frame *f, char out[8])
{
    uint16_t status = (uint16_t)f->status;
    uint32_t n = (uint32_t)f->payload.n;
    require(f->payload.n <= CHANNEL_PAYLOAD_MAX);
    out[0] = (char)(f->type & 0xff);
    out[1] = (char)(f->type >> 8);
    out[2] = (char)(status & 0xff);
    out[3] = (char)(status >> 8);
    for (int i = 0; i < 4; i++)
        out[4 + i] = (char)(n >> (8 * i) & 0xff);
}

int frame_decode(str bytes, struct frame *ret)
{
    struct unpack u = unpack_init(bytes);
    uint16_t type = unpack_u16(&u);
    int16_t status = (int16_t)unpack_u16(&u);
    uint32_t n = unpack_u32(&u);
    str payload = unpack_rest(&u);
    if (u.error || n > CHANNEL_PAYLOAD_MAX || payload.n != n)
        return ERR_CORRUPT;
    ret->type = type;
    ret->status = status;
    ret->payload = payload;
    return 0;
}

void frame_close_fds(struct frame *f)
{
    for (size_t i = 0; i < f->fd_n; i++) {
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    }
    f->fd_n = 0;
}

/* Waits for EVENTS on FD until UNTIL (clock_mono_ms). 0, ERR_TIMEOUT or ERR_IO. A peer that hung up counts as ready: the next
 * call on the socket says what happened. */
static int frame_wait(int fd, short events, int64_t until)
{
    for (;;) {
        int64_t left = until - clock_mono_ms();
        struct pollfd p = { .fd = fd, .events = events };
        int n = poll(&p, 1, left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return p.revents & POLLNVAL ? ERR_IO : 0;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
        if (n == 0 && left <= 0)
            return ERR_TIMEOUT;
    }
}

static int64_t frame_until(int64_t deadline_ms)
{
    int64_t now = clock_mono_ms();
    if (deadline_ms <= 0)
        return now;
    return deadline_ms > INT64_MAX - now ? INT64_MAX : now + deadline_ms;
}

int frame_send(int fd, const struct frame *f, int64_t deadline_ms)
{
    int64_t until = frame_until(deadline_ms);
    char header[FRAME_HEADER];
    union frame_control control = { 0 };
    if (f->payload.n > CHANNEL_PAYLOAD_MAX || f->fd_n > CHANNEL_FDS_MAX)
        return ERR_LIMIT;
    frame_encode_header(f, header);
    struct iovec iov[2] = { { header, sizeof header }, { (void *)(uintptr_t)f->payload.p, f->payload.n } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = f->payload.n ? 2 : 1 };
    if (f->fd_n) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * f->fd_n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * f->fd_n);
        memcpy(CMSG_DATA(c), f->fds, sizeof(int) * f->fd_n);
    }
    for (;;) {
        if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
            return ERR_EOF;
        if (errno != EAGAIN && errno != EINTR)
            return ERR_IO;
        int r = frame_wait(fd, POLLOUT, until);
        if (r < 0)
            return r;
    }
}

/* Takes the descriptors out of a received message into RET. False when anything else or too much came: the kernel has cut the
 * list then (MSG_CTRUNC), and what the sender meant is no longer known. What did arrive is in RET in either case. */
static bool frame_take_fds(struct msghdr *m, struct frame *ret)
{
    bool ok = !(m->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            ok = false;
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (ret->fd_n < CHANNEL_FDS_MAX) {
                ret->fds[ret->fd_n++] = fd;
            } else {
                close(fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* Whether the failure of a receiving call is none. A peer that closed and left something of ours unread is told of once, as a reset, before what it
 * sent last or between the look at that and the taking: what it sent is still there, and after it the end. */
static bool frame_again(void)
{
    return errno == EINTR || errno == ECONNRESET;
}

/* The size of the next message, which stays in the socket; or negative. A message of no bytes cannot be told from the end, and
 * ends the lane as well: no frame is empty. */
static int64_t frame_peek(int fd, int64_t deadline_ms)
{
    int64_t until = frame_until(deadline_ms);
    /* Who is ready to wait has just asked: the answer is not there yet. */
    for (bool wait = deadline_ms > 0;; wait = true) {
        int r = wait ? frame_wait(fd, POLLIN, until) : 0;
        if (r < 0)
            return r;
        ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
        if (n > 0)
            return n;
        if (n == 0)
            return ERR_EOF;
        if (errno != EAGAIN && !frame_again())
            return ERR_IO;
    }
}

int frame_receive(int fd, struct arena *a, int64_t deadline_ms, struct frame *ret)
{
    struct frame f = { 0 };
    union frame_control control;
    char none;
    int64_t size = frame_peek(fd, deadline_ms);
    if (size < 0)
        return (int)size;
    bool fits = size <= FRAME_HEADER + CHANNEL_PAYLOAD_MAX;
    char *p = fits ? arena_alloc(a, (size_t)size) : NULL;
    /* Without room the message is taken all the same, so that it and its descriptors do not stay in the socket. */
    struct iovec iov = { p ? p : &none, p ? (size_t)size : sizeof none };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;
    do {
        n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && frame_again());
    if (n < 0)
        return ERR_IO;
    int r = frame_take_fds(&m, &f) && fits ? 0 : ERR_CORRUPT;
    if (r == 0 && !p)
        r = ERR_LIMIT;
    if (r == 0)
        r = m.msg_flags & MSG_TRUNC || n != size ? ERR_CORRUPT : frame_decode((str){ p, (size_t)n }, &f);
    if (r < 0)
        frame_close_fds(&f);
    else
        *ret = f;
    return r;
}

int channel_memfd(const char *name, str bytes)
{
    int r;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_from_errno(errno);
    for (size_t done = 0; done < bytes.n;) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            r = n == 0 ? ERR_IO : err_from_errno(errno);
            goto fail;
        }
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, MEMFD_SEALS | F_SEAL_SEAL) < 0) {
        r = err_from_errno(errno);
        goto fail;
    }
    return fd;
fail:
    close(fd);
    return r;
}

int channel_map(int fd, bool spool, uint64_t max, str *ret)
{
    struct stat st;
    /* The call itself: the C library asks newfstatat, which takes paths too and which mx does not have. */
    if (syscall(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
        return ERR_CORRUPT;
    int seals = fcntl(fd, F_GET_SEALS);
    if ((seals < 0 || (seals & MEMFD_SEALS) != MEMFD_SEALS) && !spool)
        return ERR_CORRUPT;
    /* A spool file is made without a name: one that has a name is not ours. */
    if (spool && seals < 0 && st.st_nlink != 0)
        return ERR_CORRUPT;
    if ((uint64_t)st.st_size > max || (uint64_t)st.st_size > SIZE_MAX / 2)
        return ERR_LIMIT;
    if (st.st_size == 0) {
        *ret = STR("");
        return 0;
    }
    /* Private: the kernel refuses shared mappings of write-sealed files before Linux 6.7, also read-only ones. */
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_from_errno(errno);
    *ret = (str){ p, (size_t)st.st_size };
    return 0;
}

void channel_unmap(str bytes)
{
    if (bytes.n)
        munmap((void *)(uintptr_t)bytes.p, bytes.n);
}
