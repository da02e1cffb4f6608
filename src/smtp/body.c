/* body: see body.h.
 *
 * Invariants
 *  1. The message is the first WRITTEN bytes of FD followed by BUF; without an FD nothing is written.
 *  2. A memfd holds at most SMTP_BODY_MEMFD_MAX bytes and a write more; what grows beyond is moved to a spool file once.
 *  3. After an error nothing is kept: the rest of the message is counted by nobody and dropped. */
#include "smtp/body.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

void smtp_body_init(struct smtp_body *b, const struct smtp_service *service)
{
    *b = (struct smtp_body){ .service = service, .fd = -1, .buf = BUF_INIT(SMTP_BODY_HEAP_MAX) };
}

static int write_all(int fd, str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_from_errno(errno) : ERR_IO;
        s = str_from(s, (size_t)n);
    }
    return 0;
}

/* Copies the WRITTEN bytes of the memfd to the spool file and goes on there. */
static int move_to_spool(struct smtp_body *b)
{
    int rc = 0, fd = b->service->spool(b->service->ctx, NULL);
    if (fd < 0)
        return fd;
    off_t at = 0;
    while ((uint64_t)at < b->written) {
        ssize_t n = sendfile(fd, b->fd, &at, (size_t)(b->written - (uint64_t)at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = n < 0 ? err_from_errno(errno) : ERR_IO;
            break;
        }
    }
    if (rc) {
        (void)close(fd);
        return rc;
    }
    (void)close(b->fd);
    b->fd = fd;
    b->is_spool = true;
    return 0;
}

/* Writes BUF to the descriptor, which is made or changed as the size asks for. */
static int write_out(struct smtp_body *b)
{
    if (b->fd < 0) {
        b->fd = memfd_create("valise-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (b->fd < 0)
            return err_from_errno(errno);
    }
    if (!b->is_spool && b->written + b->buf.n > SMTP_BODY_MEMFD_MAX) {
        int rc = move_to_spool(b);
        if (rc)
            return rc;
    }
    int rc = write_all(b->fd, buf_str(&b->buf));
    if (rc)
        return rc;
    b->written += b->buf.n;
    buf_reset(&b->buf);
    return 0;
}

/* Invariant 3. */
static void drop(struct smtp_body *b, int error)
{
    b->error = error;
    buf_done(&b->buf);
    if (b->fd >= 0)
        (void)close(b->fd);
    b->fd = -1;
    b->written = 0;
}

void smtp_body_add(struct smtp_body *b, str bytes)
{
    while (bytes.n && !b->error) {
        str piece = str_sub(bytes, 0, SMTP_BODY_HEAP_MAX - b->buf.n);
        buf_add(&b->buf, piece);
        bytes = str_from(bytes, piece.n);
        int rc = bytes.n ? write_out(b) : 0;
        if (rc)
            drop(b, rc);
    }
}

int smtp_body_finish(struct smtp_body *b, str *ret, int *ret_fd, struct error *e)
{
    int rc = 0;
    if (b->error)
        return error_set(e, b->error, "the message cannot be kept: %s", err_name(b->error));
    if (b->fd < 0) {
        *ret = buf_str(&b->buf);
        *ret_fd = -1;
        return 0;
    }
    rc = write_out(b);
    if (!rc && !b->is_spool && fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        rc = err_from_errno(errno);
    void *p = MAP_FAILED;
    if (!rc) {
        p = mmap(NULL, (size_t)b->written, PROT_READ, MAP_PRIVATE, b->fd, 0);
        if (p == MAP_FAILED)
            rc = err_from_errno(errno);
    }
    if (rc) {
        drop(b, rc);
        return error_set(e, rc, "the message cannot be kept: %s", err_name(rc));
    }
    b->map = (str){ p, (size_t)b->written };
    *ret = b->map;
    *ret_fd = b->fd;
    return 0;
}

void smtp_body_done(struct smtp_body *b)
{
    if (b->map.p)
        (void)munmap((void *)(uintptr_t)b->map.p, b->map.n);
    drop(b, 0);
    b->map = (str){ 0 };
}
