/* owners: see owners.h. */
#include "role/owners.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

enum { NAME_BYTES = 64, LINE_BYTES = 1400 };

/* --- users --- */

int owners_judge_user(str user, struct error *e)
{
    if (user.n == 0 || str_eq(user, STR("root")))
        return error_set(
            e, ERR_REFUSED,
            "valise.conf: user = \"%.*s\" would have roles that read strangers' bytes run as root; write user = \"valise\"",
            STR_ARG(user));
    return 0;
}

static int find_one(str user, const char *suffix, struct owner *ret, struct error *e)
{
    char name[NAME_BYTES], text[4096];
    struct passwd pw, *found = NULL;
    int n = snprintf(name, sizeof name, "%.*s%s", STR_ARG(user), suffix);
    if (n < 0 || n >= (int)sizeof name)
        return error_set(e, ERR_LIMIT, "valise.conf: the name of the user is too long");
    int r = getpwnam_r(name, &pw, text, sizeof text, &found);
    if (r != 0)
        return error_set(e, ERR_INTERNAL, "user %s cannot be looked up: %s", name, strerrordesc_np(r));
    if (!found)
        return error_set(
            e, ERR_NOTFOUND,
            "valise.conf: user = \"%.*s\" needs a user %s, who is not there; correct the name, or: useradd --system --user-group "
            "--no-create-home --shell /usr/sbin/nologin %s",
            STR_ARG(user), name, name);
    if (pw.pw_uid == 0 || pw.pw_gid == 0)
        return error_set(e, ERR_REFUSED,
                         "valise.conf: user %s is root by another name, or of root's group; name another, as user = \"valise\"",
                         name);
    *ret = (struct owner){ pw.pw_uid, pw.pw_gid };
    return 0;
}

int owners_find(str user, struct owners *ret, struct error *e)
{
    struct owners o;
    int err = owners_judge_user(user, e);
    if (err == 0)
        err = find_one(user, "", &o.core, e);
    if (err == 0)
        err = find_one(user, "-keeper", &o.keeper, e);
    if (err == 0)
        err = find_one(user, "-mx", &o.mx, e);
    if (err)
        return err;
    if (o.core.uid == o.keeper.uid || o.core.uid == o.mx.uid || o.keeper.uid == o.mx.uid || o.core.gid == o.keeper.gid ||
        o.core.gid == o.mx.gid || o.keeper.gid == o.mx.gid)
        return error_set(
            e, ERR_REFUSED,
            "valise.conf: %.*s, %.*s-keeper and %.*s-mx must be three users with a group of their own each; see usermod -u "
            "and -g",
            STR_ARG(user), STR_ARG(user), STR_ARG(user));
    *ret = o;
    return 0;
}

/* --- what root may not obey --- */

static int judge_one(const struct stat *st, const char *dir, const char *name, bool folder, struct error *e)
{
    const char *slash = name[0] ? "/" : "";
    if (S_ISLNK(st->st_mode) || (folder ? !S_ISDIR(st->st_mode) : !S_ISREG(st->st_mode)))
        return error_set(e, ERR_REFUSED, "%s%s%s is no %s; root follows no link there", dir, slash, name,
                         folder ? "folder" : "file");
    if (st->st_uid != 0)
        return error_set(
            e, ERR_REFUSED,
            "%s%s%s belongs to user %u, who could have root do as he likes; `valise upgrade --dir %s' as root gives it to root",
            dir, slash, name, (unsigned)st->st_uid, dir);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return error_set(e, ERR_REFUSED, "%s%s%s may be written by others than root; `chmod go-w %s%s%s' as root", dir, slash,
                         name, dir, slash, name);
    return 0;
}

int owners_judge(int dir, const char *name, struct error *e)
{
    static const struct {
        const char *name;
        bool folder;
    } things[] = { { "valise.conf", false }, { "keys", true } };
    struct stat st;
    if (fstat(dir, &st) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s", name, strerrordesc_np(errno));
    int err = judge_one(&st, name, "", true, e);
    for (size_t i = 0; err == 0 && i < sizeof things / sizeof things[0]; i++) {
        err = beneath_look(dir, things[i].name, &st, e);
        if (err)
            return error_prefix(e, "%s", name), err;
        err = judge_one(&st, name, things[i].name, things[i].folder, e);
    }
    return err;
}

/* --- comparing --- */

struct comparison {
    const struct owners *owners; /* NULL: all is LAB's */
    struct owner lab;
    const char *below; /* the folder that a walk began in, with a slash; "": the directory itself */
    bool mend;
    owners_tell_fn *tell;
    void *ctx;
};

/* What the server opens its latest encrypted backup with (cli/vault.h). */
#define KEYS_OF_BACKUPS "keys/backup-*.seal"

/* What the file or folder should be like. The bits of MAY can stay as they are, the others are as in MODE. */
struct wish {
    uid_t uid;
    gid_t gid;
    mode_t mode, may;
};

enum { GID_AS_IT_IS = -1 };

static bool is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == 0 || path[n] == '/');
}

/* Something that the administrator put there, or a file of another program. */
static struct wish wish_of_others(const struct comparison *c, const struct stat *st)
{
    uid_t uid = st->st_uid == c->owners->core.uid ? 0 : st->st_uid;
    return (struct wish){ uid, (gid_t)GID_AS_IT_IS, 0, 07755 };
}

static struct wish wish_of(const struct comparison *c, const char *path, const struct stat *st)
{
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = { { "valise.conf", 0640 }, { "ca.pem", 0644 }, { "serve.lock", 0660 } };
    const struct owners *o = c->owners;
    bool folder = S_ISDIR(st->st_mode);
    if (path[0] == 0)
        return (struct wish){ 0, o->core.gid, 0750, 0 };
    if (fnmatch(KEYS_OF_BACKUPS, path, FNM_PATHNAME) == 0) /* root's only: no role makes or reads backups */
        return (struct wish){ 0, 0, 0600, 0 };
    if (is_in(path, "keys"))
        return (struct wish){ 0, o->keeper.gid, folder ? 0750 : 0640, 0 };
    if (is_in(path, "tls"))
        return (struct wish){ o->core.uid, o->core.gid, folder ? 0755 : 0644, 0 };
    if (is_in(path, "store") || is_in(path, "spool"))
        return strchr(path, '/') ? (struct wish){ o->core.uid, o->core.gid, 0, 0755 }
                                 : (struct wish){ o->core.uid, o->core.gid, 0700, 0 };
    if (strcmp(path, "lab-accounts.txt") == 0)
        return (struct wish){ 0, 0, 0600, 0 };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(path, files[i].name) == 0)
            return (struct wish){ 0, o->core.gid, files[i].mode, 0 };
    return wish_of_others(c, st);
}

mode_t owners_mode_of_own(const char *path, mode_t mode)
{
    static const char *const secret[] = { "keys", "store", "spool", "lab-accounts.txt", "serve.lock" };
    mode_t may = 0755;
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (strcmp(path, secret[i]) == 0 || is_in(path, "keys"))
            may = 0700;
    return mode & may;
}

/* In a directory of one ordinary user. */
static struct wish wish_in_lab(const struct comparison *c, const char *path)
{
    return (struct wish){ c->lab.uid, (gid_t)GID_AS_IT_IS, 0, owners_mode_of_own(path, 0777) };
}

static mode_t mode_of(const struct wish *w, const struct stat *st)
{
    return (w->mode & ~w->may) | (st->st_mode & w->may);
}

static bool is_as_wished(const struct wish *w, const struct stat *st)
{
    return st->st_uid == w->uid && (w->gid == (gid_t)GID_AS_IT_IS || st->st_gid == w->gid) &&
           (st->st_mode & 07777) == mode_of(w, st);
}

/* "valise:valise", or numbers where there are no names. */
static const char *name_of(uid_t uid, gid_t gid, char ret[2 * NAME_BYTES])
{
    char user[NAME_BYTES], group[NAME_BYTES], text[4096];
    struct passwd pw, *p = NULL;
    struct group gr, *g = NULL;
    (void)snprintf(user, sizeof user, "%u", (unsigned)uid);
    (void)snprintf(group, sizeof group, "%u", (unsigned)gid);
    if (getpwuid_r(uid, &pw, text, sizeof text, &p) == 0 && p)
        (void)snprintf(user, sizeof user, "%.63s", p->pw_name);
    if (getgrgid_r(gid, &gr, text, sizeof text, &g) == 0 && g)
        (void)snprintf(group, sizeof group, "%.63s", g->gr_name);
    (void)snprintf(ret, 2 * NAME_BYTES, "%.63s:%.63s", user, group);
    return ret;
}

static void tell(const struct comparison *c, const char *path, const struct wish *w, const struct stat *st)
{
    if (!c->tell)
        return;
    char line[LINE_BYTES], is[2 * NAME_BYTES], should[2 * NAME_BYTES];
    gid_t gid = w->gid == (gid_t)GID_AS_IT_IS ? st->st_gid : w->gid;
    (void)snprintf(line, sizeof line, "%.1000s: is %s %04o, should be %s %04o", path[0] ? path : "the directory",
                   name_of(st->st_uid, st->st_gid, is), (unsigned)st->st_mode & 07777, name_of(w->uid, gid, should),
                   (unsigned)mode_of(w, st));
    c->tell(c->ctx, line);
}

/* FD is open on what ST was: a regular file or a folder. */
static int compare_open(const struct comparison *c, int fd, const char *path, struct error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
    struct wish w = c->owners ? wish_of(c, path, &st) : wish_in_lab(c, path);
    if (is_as_wished(&w, &st))
        return 0;
    tell(c, path, &w, &st);
    if (!c->mend)
        return 0;
    if (S_ISREG(st.st_mode) && st.st_nlink > 1 && st.st_uid != w.uid)
        return error_set(
            e, ERR_REFUSED,
            "%s has another name too, which may be somebody else's trap; look at it (find -inum %llu) and remove one", path,
            (unsigned long long)st.st_ino);
    mode_t mode = mode_of(&w, &st);
    if (fchown(fd, w.uid, w.gid) != 0 || fchmod(fd, mode) != 0)
        return error_set(e, err_from_errno(errno), "%s cannot be given to user %u: %s", path, (unsigned)w.uid,
                         strerrordesc_np(errno));
    return 0;
}

static int compare_entry(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    const struct comparison *c = ctx;
    char path[BENEATH_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s%s", c->below, entry->path);
    if (entry->leaving || (!S_ISREG(entry->st.st_mode) && !S_ISDIR(entry->st.st_mode)))
        return 0;
    if (!c->mend) { /* what cannot be opened can be looked at */
        struct wish w = c->owners ? wish_of(c, path, &entry->st) : wish_in_lab(c, path);
        if (!is_as_wished(&w, &entry->st))
            tell(c, path, &w, &entry->st);
        return 0;
    }
    int fd = openat(entry->dir, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
    struct stat st;
    bool same = fstat(fd, &st) == 0 && st.st_ino == entry->st.st_ino && st.st_dev == entry->st.st_dev;
    int err = same ? compare_open(c, fd, path, e) : error_set(e, ERR_REFUSED, "%s was swapped meanwhile; try again", path);
    (void)close(fd);
    return err;
}

/* A folder that is a filesystem of its own: a walk does not go over into it by itself. */
static int compare_mount(struct comparison *c, int dir, const char *name, dev_t device, struct error *e)
{
    struct stat st;
    char below[32];
    if (beneath_look(dir, name, &st, NULL) != 0 || !S_ISDIR(st.st_mode) || st.st_dev == device)
        return 0;
    int fd = beneath_directory(dir, name, e);
    if (fd < 0)
        return fd;
    (void)snprintf(below, sizeof below, "%s/", name);
    c->below = below;
    int err = compare_open(c, fd, name, e);
    if (err == 0)
        err = beneath_walk(fd, compare_entry, c, e);
    c->below = "";
    (void)close(fd);
    return err;
}

int owners_compare(int dir, const struct owners *o, bool mend, owners_tell_fn *tell_fn, void *ctx, struct error *e)
{
    static const char *const folders[] = { "keys", "tls", "store", "spool" };
    struct stat st;
    if (fstat(dir, &st) != 0)
        return error_set(e, err_from_errno(errno), "the directory cannot be looked at: %s", strerrordesc_np(errno));
    struct comparison c = {
        .owners = o, .lab = { st.st_uid, st.st_gid }, .below = "", .mend = mend && o, .tell = tell_fn, .ctx = ctx
    };
    int err = compare_open(&c, dir, "", e);
    if (err == 0)
        err = beneath_walk(dir, compare_entry, &c, e);
    for (size_t i = 0; err == 0 && i < sizeof folders / sizeof folders[0]; i++)
        err = compare_mount(&c, dir, folders[i], st.st_dev, e);
    return err;
}

struct beneath_rights owners_rights_in(const struct stat *folder, mode_t plain, mode_t of_root)
{
    if (geteuid() != 0)
        return BENEATH_MODE(plain);
    return (struct beneath_rights){ folder->st_uid == 0 ? of_root : plain, folder->st_uid, folder->st_gid };
}

int owners_no_directory(const char *dir, struct error *e)
{
    int why = errno;
    bool none = why == ENOENT || why == ENOTDIR;
    return error_set(e, err_from_errno(why), "%s: %s%s", dir, strerrordesc_np(why),
                     none ? "; --dir DIR or VALISE_DIR names another one, `valise init` makes a directory" : "");
}
