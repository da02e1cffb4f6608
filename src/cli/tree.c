/* tree: see tree.h. */
#include "cli/tree.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <unistd.h>

enum { STEP = 1 << 17 };

static int fail_at(const char *name, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", name, strerrordesc_np(errno));
}

int tree_read(int fd, const char *name, tree_write_fn *fn, void *ctx, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    uint64_t size = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    char *p = malloc(STEP);
    int err = 0;
    ssize_t n = 0;
    if (!md || !p || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    while (err == 0 && (n = read(fd, p, STEP)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = fail_at(name, e);
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
    return beneath_write_open(c->fd, c->path, bytes, e);
}

int tree_copy(int fd, int dir, const char *to, struct beneath_rights rights, uint64_t *ret_size, char sum[TREE_SUM_TEXT],
              struct error *e)
{
    struct copying c = { .fd = beneath_create(dir, to, rights, e), .path = to };
    if (c.fd < 0)
        return c.fd;
    int err = tree_read(fd, to, write_some, &c, ret_size, sum, e);
    if (err == 0)
        err = beneath_sync(c.fd, to, e);
    if (close(c.fd) != 0 && err == 0)
        err = fail_at(to, e);
    return err;
}

static int count_one(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    (void)e;
    *(uint64_t *)ctx += S_ISREG(entry->st.st_mode) ? (uint64_t)entry->st.st_size : 0;
    return 0;
}

uint64_t tree_bytes(int dir)
{
    uint64_t n = 0;
    (void)!beneath_walk(dir, count_one, &n, NULL);
    return n;
}

int tree_claim(int fd, const char *name, struct error *e)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return error_set(e, ERR_UNAVAILABLE, "%s: another command works there", name);
}

void tree_remove_stale(int dir, const char *prefix)
{
    struct beneath_names names = { 0 };
    if (beneath_list(dir, &names, NULL))
        return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        int fd = str_starts(str_from_z(names.list[i]), str_from_z(prefix)) ? beneath_directory(dir, names.list[i], NULL) : -1;
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && tree_claim(fd, "", NULL) == 0)
            (void)!beneath_remove_tree(dir, names.list[i], NULL);
        (void)close(fd);
    }
    beneath_names_free(&names);
}
