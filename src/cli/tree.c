/* tree: see tree.h. */
#include "cli/tree.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <unistd.h>

enum { STEP = 1 << 17, TRIES = 16 };

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

int tree_lock(int dir, const char *file, const char *name, struct error *e)
{
    struct stat st, now;
    for (int tries = 0; tries < TRIES; tries++) {
        int fd = beneath_create(dir, file, BENEATH_MODE(0600), e);
        bool made = fd >= 0;
        if (fd == ERR_EXISTS)
            fd = beneath_file(dir, file, NULL, e);
        if (fd == ERR_NOTFOUND)
            continue; /* its holder has just ended */
        if (fd < 0)
            return error_prefix(e, "%s", name);
        bool ours = fstat(fd, &st) == 0 && (made || (beneath_is_ours(fd) && !(st.st_mode & 077) && st.st_nlink == 1));
        bool held = ours && flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (held && beneath_look(dir, file, &now, NULL) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev)
            return fd;
        (void)close(fd);
        if (!ours)
            return error_set(e, ERR_REFUSED, "%s/%s was made by somebody else; see who works there, then remove it", name, file);
        if (!held)
            break;
    }
    return error_set(e, ERR_UNAVAILABLE, "%s: another command works there", name);
}

void tree_unlock(int dir, const char *file, int lock)
{
    if (lock < 0)
        return;
    (void)!beneath_remove(dir, file,
                          NULL); /* while it is held: who waits for it looks whether it is still the one that is there */
    (void)close(lock);
}

/* --- what is unfinished --- */

/* The name of the file that says that the directory NAME is. */
static bool mark_of(const char *name, char ret[BENEATH_NAME_MAX])
{
    int n = snprintf(ret, BENEATH_NAME_MAX, ".unfinished.%s", name);
    return n > 0 && n < BENEATH_NAME_MAX;
}

int tree_mark(int fd, const char *name, struct error *e)
{
    char mark[BENEATH_NAME_MAX];
    if (!mark_of(name, mark))
        return error_set(e, ERR_LIMIT, "the name %.80s... is too long", name);
    int made = beneath_create(fd, mark, BENEATH_MODE(0600), e);
    if (made >= 0)
        (void)close(made);
    return made == ERR_EXISTS || made >= 0 ? 0 : made;
}

void tree_unmark(int fd, const char *name)
{
    char mark[BENEATH_NAME_MAX];
    if (mark_of(name, mark))
        (void)!beneath_remove(fd, mark, NULL);
}

void tree_remove(int dir, const char *name, int fd)
{
    char mark[BENEATH_NAME_MAX];
    struct stat st, now;
    struct beneath_names names = { 0 };
    bool marked = mark_of(name, mark);
    if (fstat(fd, &st) != 0 || beneath_look(dir, name, &now, NULL) || st.st_ino != now.st_ino || st.st_dev != now.st_dev)
        return;
    if (beneath_list(fd, &names, NULL) == 0)
        for (size_t i = 0; i < names.n; i++)
            if (!marked || strcmp(names.list[i], mark) != 0)
                (void)!beneath_remove_tree(fd, names.list[i], NULL);
    beneath_names_free(&names);
    if (marked)
        (void)!beneath_remove(fd, mark, NULL);
    (void)!beneath_remove_directory(dir, name, NULL); /* one that is empty, whosever it is by now */
}

bool tree_is_ours(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && !(st.st_mode & 022) && beneath_is_ours(fd);
}

void tree_remove_unfinished(int dir, const char *name)
{
    char mark[BENEATH_NAME_MAX];
    int fd = beneath_directory(dir, name, NULL);
    if (fd < 0)
        return;
    int file = tree_is_ours(fd) && mark_of(name, mark) ? beneath_file(fd, mark, NULL, NULL) : ERR_NOTFOUND;
    if (file >= 0 && beneath_is_ours(file) && tree_claim(fd, "", NULL) == 0)
        tree_remove(dir, name, fd);
    else if (file == ERR_NOTFOUND)
        (void)!beneath_remove_directory(dir, name, NULL); /* ended before it was marked: then it is empty */
    if (file >= 0)
        (void)close(file);
    (void)close(fd);
}

void tree_remove_stale(int dir, const char *prefix)
{
    struct beneath_names names = { 0 };
    if (beneath_list(dir, &names, NULL))
        return;
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(str_from_z(names.list[i]), str_from_z(prefix)))
            tree_remove_unfinished(dir, names.list[i]);
    beneath_names_free(&names);
}

uint64_t tree_holes(int fd, uint64_t size)
{
    uint64_t holes = 0;
    for (off_t at = 0; (uint64_t)at < size;) {
        off_t hole = lseek(fd, at, SEEK_HOLE);
        if (hole < 0 || (uint64_t)hole >= size)
            break;
        at = lseek(fd, hole, SEEK_DATA);
        at = at < 0 ? (off_t)size : at; /* ENXIO: nothing more */
        holes += (uint64_t)(at - hole);
    }
    (void)lseek(fd, 0, SEEK_SET);
    return holes;
}
