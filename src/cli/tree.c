/* tree: see tree.h. */
#include "cli/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

enum { STEP = 1 << 17 };

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

int tree_read(const char *path, tree_write_fn *fn, void *ctx, uint64_t *ret_size, char sum[TREE_SUM_TEXT], struct error *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    uint64_t size = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    char *p = malloc(STEP);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;
    ssize_t n = 0;
    if (!md || !p || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    else if (fd < 0)
        err = fail_at(path, e);
    while (err == 0 && (n = read(fd, p, STEP)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = fail_at(path, e);
        else if (EVP_DigestUpdate(md, p, (size_t)n) != 1)
            err = error_set(e, ERR_INTERNAL, "no SHA-256");
        else if (fn)
            err = fn(ctx, (str){ p, (size_t)n }, e);
        size += n > 0 ? (uint64_t)n : 0;
    }
    if (err == 0 && EVP_DigestFinal_ex(md, digest, &digest_n) != 1)
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    if (err == 0) {
        struct buf hex = BUF_INIT(TREE_SUM_TEXT);
        buf_add_hex(&hex, digest, digest_n);
        (void)snprintf(sum, TREE_SUM_TEXT, "%.*s", STR_ARG(buf_str(&hex)));
        buf_done(&hex);
        *ret_size = size;
    }
    if (fd >= 0)
        (void)close(fd);
    EVP_MD_CTX_free(md);
    free(p);
    return err;
}

struct copying {
    int fd;
    const char *path;
};

static int write_some(void *ctx, str bytes, struct error *e)
{
    const struct copying *c = ctx;
    while (bytes.n) {
        ssize_t n = write(c->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_at(c->path, e);
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

int tree_copy(const char *from, const char *to, mode_t mode, uint64_t *ret_size, char sum[TREE_SUM_TEXT], struct error *e)
{
    struct copying c = { .fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), .path = to };
    if (c.fd < 0)
        return fail_at(to, e);
    int err = tree_read(from, write_some, &c, ret_size, sum, e);
    if (err == 0 && (fchmod(c.fd, mode & 0777) != 0 || fsync(c.fd) != 0))
        err = fail_at(to, e);
    if (close(c.fd) != 0 && err == 0)
        err = fail_at(to, e);
    return err;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

void tree_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static uint64_t counted;

static int count_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)path;
    (void)at;
    counted += kind == FTW_F ? (uint64_t)st->st_size : 0;
    return 0;
}

uint64_t tree_bytes(const char *path)
{
    counted = 0;
    (void)nftw(path, count_one, 16, FTW_PHYS);
    return counted;
}

int tree_claim(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_at(path, e);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    (void)close(fd);
    return error_set(e, ERR_UNAVAILABLE, "%s: another command works there", path);
}

void tree_remove_stale(const char *path, const char *prefix)
{
    struct dirent **list;
    int n = scandir(path, &list, NULL, NULL);
    for (int i = 0; i < n; i++) {
        char one[TREE_PATH_MAX];
        int len = snprintf(one, sizeof one, "%s/%s", path, list[i]->d_name);
        int fd = str_starts(str_from_z(list[i]->d_name), str_from_z(prefix)) && len > 0 && len < TREE_PATH_MAX
                     ? tree_claim(one, NULL)
                     : -1;
        if (fd >= 0) {
            tree_remove(one);
            (void)close(fd);
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

int tree_sync(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) != 0 ? fail_at(path, e) : 0;
    if (fd >= 0)
        (void)close(fd);
    return err;
}
