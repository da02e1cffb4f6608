/* file: keys and certificates on disk, each whole or absent, whatever happens in between. */
#include "pki/pki_private.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"

/* The directory that PATH is in, opened, and its last part in *RET_NAME. */
static int open_folder(const char *path, const char **ret_name, struct error *e)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (slash && (size_t)(slash - path) >= sizeof dir)
        return error_set(e, ERR_LIMIT, "the path %.80s... is too long", path);
    (void)snprintf(dir, sizeof dir, "%.*s", slash == path || !slash ? 1 : (int)(slash - path), slash ? path : ".");
    return beneath_start(dir, e);
}

int pki_file_write(const char *path, str bytes, unsigned mode, bool replace, struct error *e)
{
    const char *name;
    int dir = open_folder(path, &name, e);
    if (dir < 0)
        return dir;
    struct error why = ERROR_NONE;
    int r = beneath_write(dir, name, bytes, BENEATH_MODE(mode), replace, &why);
    (void)close(dir);
    return r ? error_set(e, r, "%s (%s)", why.text, path) : 0;
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

int pki_file_read(const char *path, struct buf *out, struct error *e)
{
    int fd = beneath_start_file(path, e);
    if (fd < 0)
        return fd;
    int r = beneath_read_open(fd, path, out, e);
    close(fd);
    return r;
}

/* A key is its owner's alone. Root's may be read by the group that it has given it to: keys/ is root's, and keeper reads it by its group. */
static bool is_open_to_others(const struct stat *st)
{
    bool given = st->st_uid == 0 && (geteuid() == 0 || st->st_gid == getegid());
    return (st->st_mode & (S_IRWXG | S_IRWXO) & ~(mode_t)(given ? S_IRGRP : 0)) != 0;
}

int pki_key_read(const char *path, struct buf *out, struct error *e)
{
    struct stat st;
    int r;
    int fd = beneath_start_file(path, e);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        r = error_set(e, err_from_errno(errno), "cannot read %s: %s", path, strerrordesc_np(errno));
    else if (is_open_to_others(&st))
        r = error_set(e, ERR_REFUSED, "the key file %s is open to others; chmod %s it", path,
                      st.st_uid == 0 && st.st_gid != 0 ? "640" : "600");
    else
        r = beneath_read_open(fd, path, out, e);
    close(fd);
    return r;
}

int pki_key_load(const char *path, struct pki_key **ret, struct error *e)
{
    struct buf pem;
    buf_init_secret(&pem, PKI_PEM_MAX);
    int r = pki_key_read(path, &pem, e);
    if (r == 0) {
        r = pki_key_from_pem(buf_str(&pem), ret, e);
        if (r < 0)
            error_prefix(e, "%s", path);
    }
    buf_done(&pem);
    return r;
}
