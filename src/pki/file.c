/* file: keys and certificates on disk, each whole or absent, whatever happens in between. */
#include "pki/pki_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_fail(struct error *e, const char *path, const char *what)
{
    int code = errno == EACCES || errno == EPERM ? ERR_REFUSED : errno == EEXIST ? ERR_EXISTS : err_from_errno(errno);
    return error_set(e, code, "cannot %s %s: %s", what, path, strerrordesc_np(errno));
}

static int write_all(int fd, str bytes)
{
    for (size_t done = 0; done < bytes.n;) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

/* Makes the renaming in the directory of PATH durable. */
static int sync_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(dir, sizeof dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return r;
}

int pki_file_write(const char *path, str bytes, unsigned mode, bool replace, struct error *e)
{
    char temp[PATH_MAX];
    int r = 0;
    int n = snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(e, ERR_LIMIT, "the path %.80s... is too long", path);
    int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600: never readable by others, not even for a moment */
    if (fd < 0)
        return file_fail(e, path, "write");
    if (write_all(fd, bytes) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
        r = file_fail(e, path, "write");
    close(fd);
    if (r == 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, path, replace ? 0 : RENAME_NOREPLACE) < 0)
        r = file_fail(e, path, "write");
    if (r < 0) {
        unlink(temp);
        return r;
    }
    return sync_directory(path) < 0 ? file_fail(e, path, "sync the directory of") : 0;
}

int pki_key_store(const struct pki_key *k, const char *path, bool replace, struct error *e)
{
    struct buf pem;
    buf_init_secret(&pem, PKI_PEM_MAX);
    int r = pki_key_to_pem(k, &pem, e);
    if (r == 0)
        r = pki_file_write(path, buf_str(&pem), 0600, replace, e);
    buf_done(&pem);
    return r;
}

int pki_certificate_store(str pem, const char *path, bool replace, struct error *e)
{
    return pki_file_write(path, pem, 0644, replace, e);
}

/* Reads open file FD to its end. */
static int read_all(int fd, const char *path, struct buf *out, struct error *e)
{
    for (;;) {
        char more;
        size_t room = out->max - out->n < 4096 ? out->max - out->n : 4096;
        char *p = room ? buf_reserve(out, room) : &more;
        ssize_t n = read(fd, p, room ? room : sizeof more);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_fail(e, path, "read");
        if (n == 0)
            return 0;
        if (!room)
            return error_set(e, ERR_LIMIT, "%s is too large", path);
        buf_commit(out, (size_t)n);
    }
}

int pki_file_read(const char *path, struct buf *out, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_fail(e, path, "read");
    int r = read_all(fd, path, out, e);
    close(fd);
    return r;
}

int pki_key_load(const char *path, struct pki_key **ret, struct error *e)
{
    struct stat st;
    struct buf pem;
    int r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_fail(e, path, "read");
    buf_init_secret(&pem, PKI_PEM_MAX);
    if (fstat(fd, &st) < 0)
        r = file_fail(e, path, "read");
    else if (!S_ISREG(st.st_mode) || st.st_mode & (S_IRWXG | S_IRWXO))
        r = error_set(e, ERR_REFUSED, "the key file %s is open to others; chmod 600 it", path);
    else
        r = read_all(fd, path, &pem, e);
    close(fd);
    if (r == 0) {
        r = pki_key_from_pem(buf_str(&pem), ret, e);
        if (r < 0)
            error_prefix(e, "%s", path);
    }
    buf_done(&pem);
    return r;
}
