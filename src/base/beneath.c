/* beneath: see beneath.h. */
#include "base/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/random.h"

enum { STEP = 1 << 16, TRIES = 64 };

static const uint64_t below = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

static int fail(const char *what, const char *path, struct error *e)
{
    int code = errno;
    switch (code) {
    case ELOOP:
        return error_set(e, ERR_REFUSED, "cannot %s %s: a symbolic link is not followed here", what, path);
    case EXDEV:
        return error_set(e, ERR_REFUSED, "cannot %s %s: it lies outside the folder or on another filesystem", what, path);
    case EACCES:
    case EPERM:
    case ENOTDIR:
    case ENXIO:
        return error_set(e, ERR_REFUSED, "cannot %s %s: %s", what, path, strerrordesc_np(code));
    case EEXIST:
    case ENOTEMPTY:
        return error_set(e, ERR_EXISTS, "cannot %s %s: %s", what, path, strerrordesc_np(code));
    default:
        return error_set(e, err_from_errno(code), "cannot %s %s: %s", what, path, strerrordesc_np(code));
    }
}

static int fail_closing(int fd, const char *what, const char *path, struct error *e)
{
    int err = fail(what, path, e);
    (void)close(fd);
    return err;
}

/* --- paths --- */

bool beneath_is_name(str name)
{
    if (name.n == 0 || name.n >= BENEATH_NAME_MAX || str_eq(name, STR(".")) || str_eq(name, STR("..")))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == '/')
            return false;
    return true;
}

/* Relative, of parts that are names: those that a directory may hold, so control bytes are allowed. */
static int check_path(const char *path, struct error *e)
{
    str rest = str_from_z(path), part;
    if (rest.n >= BENEATH_PATH_MAX)
        return error_set(e, ERR_LIMIT, "the path %.80s... is too long", path);
    if (rest.n == 0)
        return error_set(e, ERR_REFUSED, "an empty path");
    while (str_split(&rest, '/', &part))
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return error_set(e, ERR_REFUSED, "%s: a path here has no part that is empty, \".\" or \"..\"", path);
    return 0;
}

/* As openat2, where that is not to be had: roles have filters without it, because no filter sees the flags that it takes from memory. Part by part,
 * none of which is a link or leads up (check_path); what is in between cannot be swapped for anything that we would follow. */
static int open_by_parts(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    char part[BENEATH_PATH_MAX];
    struct stat from, to;
    str rest = str_from_z(path), name;
    int at = dir, fd = -1;
    if (path[0] == '/') { /* where the caller allows it */
        rest = str_from(rest, 1);
        at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (at < 0 || rest.n == 0)
            return at;
    }
    while (str_split(&rest, '/', &name)) {
        bool last = rest.n == 0;
        (void)snprintf(part, sizeof part, "%.*s", STR_ARG(name));
        fd = openat(at, part, last ? flags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd >= 0 && resolve & RESOLVE_NO_XDEV &&
            (fstatat(at, "", &from, AT_EMPTY_PATH) != 0 || fstat(fd, &to) != 0 || from.st_dev != to.st_dev)) {
            (void)close(fd);
            fd = -1;
            errno = EXDEV;
        }
        int code = errno;
        if (at != dir)
            (void)close(at);
        errno = code;
        if (fd < 0)
            return -1;
        at = fd;
    }
    return fd;
}

/* openat2; -1 with errno as usual. */
static int open_below(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW), .mode = mode, .resolve = resolve };
    long fd;
    int tries = 0;
    do
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < TRIES)));
    return fd < 0 && errno == ENOSYS ? open_by_parts(dir, path, (int)how.flags, mode, resolve) : (int)fd;
}

static int open_directory(int dir, const char *path, uint64_t more)
{
    return open_below(dir, path, O_RDONLY | O_DIRECTORY, 0, below | more);
}

/* The directory that PATH's last part is in, opened, and that part in *RET_NAME (into PATH). */
static int parent_of(int dir, const char *path, const char **ret_name, struct error *e)
{
    char folder[BENEATH_PATH_MAX];
    int err = check_path(path, e);
    if (err)
        return err;
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = open_below(dir, folder, O_PATH | O_DIRECTORY, 0, below); /* to enter, not to read */
    return fd < 0 ? fail("open the folder of", path, e) : fd;
}

/* Close, keeping errno for a message. */
static void close_quietly(int fd)
{
    int code = errno;
    (void)close(fd);
    errno = code;
}

/* --- opening --- */

int beneath_start(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fail("open", path, e) : fd;
}

int beneath_start_above(const char *path, char ret[BENEATH_NAME_MAX], struct error *e)
{
    char above[BENEATH_PATH_MAX];
    str whole = str_from_z(path);
    while (whole.n > 1 && whole.p[whole.n - 1] == '/')
        whole.n--;
    size_t slash = str_rfind_byte(whole, '/');
    bool bare = slash == whole.n;
    str name = bare ? whole : str_from(whole, slash + 1);
    if (whole.n >= sizeof above || !beneath_is_name(name))
        return error_set(e, ERR_LIMIT, "%.80s: the path is too long or does not end in a name", path);
    (void)snprintf(above, sizeof above, "%.*s", bare ? 1 : (int)slash + 1, bare ? "." : whole.p);
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC); /* to enter, not to read */
    if (fd < 0)
        return fail("open", above, e);
    (void)snprintf(ret, BENEATH_NAME_MAX, "%.*s", STR_ARG(name));
    return fd;
}

static int must_be_regular(int fd, const char *path, struct stat *ret, struct error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_closing(fd, "look at", path, e);
    if (!S_ISREG(st.st_mode)) {
        (void)close(fd);
        return error_set(e, ERR_REFUSED, "%s is not a regular file", path);
    }
    if (ret)
        *ret = st;
    return fd;
}

int beneath_start_file(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? fail("read", path, e) : must_be_regular(fd, path, NULL, e);
}

static int must_be_file_or_folder(int fd, const char *path, struct stat *ret, struct error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_closing(fd, "look at", path, e);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        (void)close(fd);
        return error_set(e, ERR_REFUSED, "%s is neither a regular file nor a folder", path);
    }
    if (ret)
        *ret = st;
    return fd;
}

int beneath_start_any(const char *path, struct stat *ret, struct error *e)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? fail("read", path, e) : must_be_file_or_folder(fd, path, ret, e);
}

int beneath_start_unlinked(const char *path, struct stat *ret, struct error *e)
{
    int fd = open_below(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (fd < 0 && errno == ELOOP)
        return error_set(e, ERR_REFUSED, "%s: there is a symbolic link in this path; name the one that it leads to", path);
    return fd < 0 ? fail("read", path, e) : must_be_file_or_folder(fd, path, ret, e);
}

int beneath_directory(int dir, const char *path, struct error *e)
{
    int err = strcmp(path, ".") == 0 ? 0 : check_path(path, e);
    int fd = err ? err : open_directory(dir, path, 0);
    return err ? err : fd < 0 ? fail("open", path, e) : fd;
}

int beneath_file(int dir, const char *path, struct stat *ret, struct error *e)
{
    int err = check_path(path, e);
    if (err)
        return err;
    int fd = open_below(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, below);
    return fd < 0 ? fail("read", path, e) : must_be_regular(fd, path, ret, e);
}

static bool sets_owner(struct beneath_rights rights)
{
    return rights.uid != (uid_t)-1 || rights.gid != (gid_t)-1;
}

/* Owner first, so that the mode never opens it to the former one's group. What is so already is not set: roles may not. */
static int set_rights(int fd, struct beneath_rights rights)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    bool owned = (rights.uid == (uid_t)-1 || rights.uid == st.st_uid) && (rights.gid == (gid_t)-1 || rights.gid == st.st_gid);
    if (!owned && fchown(fd, rights.uid, rights.gid) != 0)
        return -1;
    return owned && (st.st_mode & 07777) == (rights.mode & 07777) ? 0 : fchmod(fd, rights.mode & 07777);
}

int beneath_create(int dir, const char *path, struct beneath_rights rights, struct error *e)
{
    const char *name;
    int at = parent_of(dir, path, &name, e);
    if (at < 0)
        return at;
    int fd = open_below(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, sets_owner(rights) ? 0600 : rights.mode & 07777, below);
    if (fd >= 0 && set_rights(fd, rights) != 0) {
        int code = errno;
        (void)close(fd);
        (void)unlinkat(at, name, 0);
        fd = -1;
        errno = code;
    }
    close_quietly(at);
    return fd < 0 ? fail("make", path, e) : fd;
}

bool beneath_is_ours(int fd)
{
    static const unsigned mapping[] = { NFS_SUPER_MAGIC,   CIFS_SUPER_MAGIC,  SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC,
                                        MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC, V9FS_MAGIC };
    struct stat st;
    struct statfs fs;
    if (fstat(fd, &st) != 0 || st.st_uid == geteuid())
        return true;
    for (size_t i = 0; fstatfs(fd, &fs) == 0 && i < sizeof mapping / sizeof mapping[0]; i++)
        if ((unsigned)fs.f_type == mapping[i])
            return true;
    return false;
}

int beneath_make(int dir, const char *path, struct beneath_rights rights, struct error *e)
{
    const char *name;
    int at = parent_of(dir, path, &name, e), fd = -1;
    if (at < 0)
        return at;
    bool made = mkdirat(at, name, 0700) == 0;
    if (made)
        fd = open_directory(at, name, 0);
    if (fd >= 0 && !beneath_is_ours(fd)) { /* who may write in the folder above has swapped it for one of his */
        (void)close(fd);
        close_quietly(at);
        return error_set(e, ERR_REFUSED, "cannot make %s: somebody else puts another folder in its place", path);
    }
    if (fd >= 0 && set_rights(fd, rights) != 0) {
        close_quietly(fd);
        fd = -1;
    }
    int code = errno;
    if (made && fd < 0)
        (void)unlinkat(at, name, AT_REMOVEDIR);
    errno = code;
    close_quietly(at);
    return fd < 0 ? fail("make", path, e) : fd;
}

/* PREFIX and twelve letters that nobody guesses. */
static bool random_name(const char *prefix, char ret[BENEATH_NAME_MAX])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    unsigned char bytes[12];
    char tail[sizeof bytes + 1] = "";
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        tail[i] = letters[bytes[i] & 31];
    int n = snprintf(ret, BENEATH_NAME_MAX, "%s%s", prefix, tail);
    return n > 0 && n < BENEATH_NAME_MAX;
}

int beneath_make_private(int dir, const char *prefix, char ret[BENEATH_NAME_MAX], struct error *e)
{
    int fd = ERR_EXISTS;
    for (int i = 0; fd == ERR_EXISTS && i < TRIES; i++) {
        if (!random_name(prefix, ret))
            return error_set(e, ERR_LIMIT, "the name %.80s... is too long", prefix);
        fd = beneath_make(dir, ret, BENEATH_MODE(0700), e);
    }
    return fd;
}

/* --- bytes --- */

int beneath_read_open(int fd, const char *name, struct buf *out, struct error *e)
{
    for (;;) {
        char more;
        size_t left = out->max - out->n, room = left < STEP ? left : STEP;
        char *p = room ? buf_reserve(out, room) : &more;
        ssize_t n = read(fd, p, room ? room : sizeof more);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("read", name, e);
        if (n == 0)
            return 0;
        if (!room)
            return error_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, out->max);
        buf_commit(out, (size_t)n);
    }
}

int beneath_read(int dir, const char *path, struct buf *out, struct error *e)
{
    int fd = beneath_file(dir, path, NULL, e);
    if (fd < 0)
        return fd;
    int err = beneath_read_open(fd, path, out, e);
    (void)close(fd);
    return err;
}

int beneath_write_open(int fd, const char *name, str bytes, struct error *e)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("write", name, e);
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

/* In the open directory AT. */
static int write_in(int at, const char *name, const char *path, str bytes, struct beneath_rights rights, bool replace,
                    struct error *e)
{
    char prefix[BENEATH_NAME_MAX], temp[BENEATH_NAME_MAX];
    int fd = ERR_EXISTS;
    (void)snprintf(prefix, sizeof prefix, "%.200s.", name);
    for (int i = 0; fd == ERR_EXISTS && i < TRIES; i++)
        fd = random_name(prefix, temp) ? beneath_create(at, temp, rights, e) : ERR_LIMIT;
    if (fd < 0)
        return fd;
    int err = beneath_write_open(fd, path, bytes, e);
    if (err == 0 && fsync(fd) != 0)
        err = fail("write", path, e);
    if (close(fd) != 0 && err == 0)
        err = fail("write", path, e);
    if (err == 0 && renameat2(at, temp, at, name, replace ? 0 : RENAME_NOREPLACE) != 0)
        err = fail("write", path, e);
    if (err) {
        (void)unlinkat(at, temp, 0);
        return err;
    }
    fd = open_directory(at, ".", 0);
    if (fd < 0)
        return fail("sync the folder of", path, e);
    err = beneath_sync(fd, path, e);
    (void)close(fd);
    return err;
}

int beneath_write(int dir, const char *path, str bytes, struct beneath_rights rights, bool replace, struct error *e)
{
    const char *name;
    int at = parent_of(dir, path, &name, e);
    if (at < 0)
        return at;
    int err = write_in(at, name, path, bytes, rights, replace, e);
    (void)close(at);
    return err;
}

int beneath_sync(int fd, const char *name, struct error *e)
{
    return fsync(fd) == 0 ? 0 : fail("sync", name, e);
}

/* --- looking, renaming, removing --- */

int beneath_look(int dir, const char *path, struct stat *ret, struct error *e)
{
    const char *name;
    struct stat st;
    int at = parent_of(dir, path, &name, e);
    if (at < 0)
        return at;
    int r = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW);
    close_quietly(at);
    if (r != 0)
        return fail("look at", path, e);
    if (ret)
        *ret = st;
    return 0;
}

bool beneath_exists(int dir, const char *path)
{
    return beneath_look(dir, path, NULL, NULL) == 0;
}

int beneath_grant(int dir, const char *path, struct beneath_rights rights, struct error *e)
{
    struct stat st;
    int err = check_path(path, e);
    if (err)
        return err;
    int fd = open_below(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, below);
    if (fd < 0 || fstat(fd, &st) != 0)
        err = fail("change the rights of", path, e);
    else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        err = error_set(e, ERR_REFUSED, "%s is neither a regular file nor a folder", path);
    else if (set_rights(fd, rights) != 0)
        err = fail("change the rights of", path, e);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* Both parents; *RET_TO is open only on success. */
static int parents_of(int from_dir, const char *from, int to_dir, const char *to, int *ret_to, const char **from_name,
                      const char **to_name, struct error *e)
{
    int a = parent_of(from_dir, from, from_name, e);
    if (a < 0)
        return a;
    int b = parent_of(to_dir, to, to_name, e);
    if (b < 0) {
        (void)close(a);
        return b;
    }
    *ret_to = b;
    return a;
}

int beneath_rename(int from_dir, const char *from, int to_dir, const char *to, bool replace, struct error *e)
{
    const char *from_name, *to_name;
    int b, a = parents_of(from_dir, from, to_dir, to, &b, &from_name, &to_name, e);
    if (a < 0)
        return a;
    int r = renameat2(a, from_name, b, to_name, replace ? 0 : RENAME_NOREPLACE);
    close_quietly(a);
    close_quietly(b);
    return r != 0 ? fail("rename to", to, e) : 0;
}

int beneath_link(int from_dir, const char *from, int to_dir, const char *to, struct error *e)
{
    const char *from_name, *to_name;
    struct stat st;
    int b, a = parents_of(from_dir, from, to_dir, to, &b, &from_name, &to_name, e), err = 0;
    if (a < 0)
        return a;
    if (linkat(a, from_name, b, to_name, 0) != 0)
        err = errno == EXDEV ? error_set(e, ERR_UNSUPPORTED, "cannot link %s: another filesystem", to) : fail("link", to, e);
    else if (fstatat(b, to_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
        (void)unlinkat(b, to_name, 0);
        err = error_set(e, ERR_REFUSED, "%s is not a regular file", from);
    }
    (void)close(a);
    (void)close(b);
    return err;
}

static int remove_as(int dir, const char *path, int flags, struct error *e)
{
    const char *name;
    int at = parent_of(dir, path, &name, e);
    if (at < 0)
        return at;
    int r = unlinkat(at, name, flags);
    close_quietly(at);
    return r != 0 ? fail("remove", path, e) : 0;
}

int beneath_remove(int dir, const char *path, struct error *e)
{
    return remove_as(dir, path, 0, e);
}

int beneath_remove_directory(int dir, const char *path, struct error *e)
{
    return remove_as(dir, path, AT_REMOVEDIR, e);
}

/* Removes what is in DIR, then it, from AT. The first error is kept. */
static int remove_in(int at, const char *name, unsigned depth, struct error *e)
{
    struct beneath_names names = { 0 };
    if (unlinkat(at, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fail("remove", name, e);
    if (depth > BENEATH_DEPTH_MAX)
        return error_set(e, ERR_LIMIT, "cannot remove %s: more than %d folders in one another", name, BENEATH_DEPTH_MAX);
    int fd = open_directory(at, name, RESOLVE_NO_XDEV);
    if (fd < 0)
        return fail("remove", name, e);
    int first = beneath_list(fd, &names, e);
    for (size_t i = 0; i < names.n; i++) {
        int err = remove_in(fd, names.list[i], depth + 1, first ? NULL : e);
        first = first ? first : err;
    }
    beneath_names_free(&names);
    (void)close(fd);
    if (unlinkat(at, name, AT_REMOVEDIR) != 0 && first == 0)
        first = fail("remove", name, e);
    return first;
}

int beneath_remove_tree(int dir, const char *path, struct error *e)
{
    const char *name;
    int at = parent_of(dir, path, &name, e);
    if (at < 0)
        return at;
    int err = remove_in(at, name, 0, e);
    (void)close(at);
    return err;
}

/* --- lists and walks --- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void beneath_names_free(struct beneath_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct beneath_names){ 0 };
}

static void add_name(struct beneath_names *names, size_t *cap, const char *name)
{
    if (names->n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        char **more = realloc(names->list, *cap * sizeof *more);
        require(more);
        names->list = more;
    }
    char *copy = strdup(name);
    require(copy);
    names->list[names->n++] = copy;
}

int beneath_list(int dir, struct beneath_names *ret, struct error *e)
{
    struct beneath_names names = { 0 };
    const struct dirent *entry;
    size_t cap = 0;
    int err = 0, fd = open_directory(dir, ".", 0); /* a place of its own in it */
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        err = fail("list", "the folder", e);
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    while (errno = 0, err == 0 && (entry = readdir(d))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names.n == BENEATH_NAMES_MAX)
            err = error_set(e, ERR_LIMIT, "more than %d names in one folder", BENEATH_NAMES_MAX);
        else
            add_name(&names, &cap, entry->d_name);
    }
    if (err == 0 && errno)
        err = fail("list", "the folder", e);
    (void)closedir(d);
    if (err) {
        beneath_names_free(&names);
        return err;
    }
    if (names.n)
        qsort(names.list, names.n, sizeof *names.list, by_bytes);
    *ret = names;
    return 0;
}

struct walking {
    beneath_walk_fn *fn;
    void *ctx;
    unsigned depth;
    size_t n; /* bytes of PATH in use */
    char path[BENEATH_PATH_MAX];
};

static int walk_in(struct walking *w, int dir, struct error *e);

static int walk_one(struct walking *w, int dir, const char *name, struct error *e)
{
    struct beneath_entry entry = { .dir = dir, .name = name, .path = w->path };
    size_t before = w->n;
    int n = snprintf(w->path + w->n, sizeof w->path - w->n, "%s%s", w->n ? "/" : "", name), err;
    if (n < 0 || (size_t)n >= sizeof w->path - w->n)
        return error_set(e, ERR_LIMIT, "the path %.80s... is too long", w->path);
    if (fstatat(dir, name, &entry.st, AT_SYMLINK_NOFOLLOW) != 0) {
        err = errno == ENOENT ? 0 : fail("look at", w->path, e); /* removed since it was listed */
        w->path[w->n] = 0;
        return err;
    }
    w->n += (size_t)n;
    err = w->fn(w->ctx, &entry, e);
    if (err == 0 && S_ISDIR(entry.st.st_mode)) {
        int fd = open_directory(dir, name, RESOLVE_NO_XDEV);
        err = fd < 0 ? fail("open", w->path, e) : walk_in(w, fd, e);
        if (fd >= 0)
            (void)close(fd);
        entry.leaving = true;
        if (err == 0)
            err = w->fn(w->ctx, &entry, e);
    }
    w->n = before;
    w->path[before] = 0;
    return err;
}

static int walk_in(struct walking *w, int dir, struct error *e)
{
    struct beneath_names names = { 0 };
    if (w->depth == BENEATH_DEPTH_MAX)
        return error_set(e, ERR_LIMIT, "%.80s: more than %d folders in one another", w->path, BENEATH_DEPTH_MAX);
    int err = beneath_list(dir, &names, e);
    w->depth++;
    for (size_t i = 0; i < names.n && err == 0; i++)
        err = walk_one(w, dir, names.list[i], e);
    w->depth--;
    beneath_names_free(&names);
    return err;
}

int beneath_walk(int dir, beneath_walk_fn *fn, void *ctx, struct error *e)
{
    struct walking w = { .fn = fn, .ctx = ctx };
    return walk_in(&w, dir, e);
}
