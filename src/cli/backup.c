/* backup: valise backup. See backup.h for what it writes. The store gives a consistent copy of itself (engine_checkpoint) while it is in use. */
#include "cli/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/port.h"
#include "cli/progress.h"
#include "cli/tar.h"

enum { NAME_BYTES = 40 };

struct backup {
    const char *dir;
    char checkpoint[TREE_PATH_MAX]; /* absolute or below the working directory */
    char name[NAME_BYTES];
    char previous[TREE_PATH_MAX]; /* empty: none */
    char build[TREE_PATH_MAX];    /* empty: a stream */
    json_t *before;               /* files of the previous manifest by path */
    json_t *files;
    struct progress progress;
    uint64_t copied, shared; /* bytes */
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

int backup_join(char ret[TREE_PATH_MAX], const char *a, const char *b, struct error *e)
{
    int n = snprintf(ret, TREE_PATH_MAX, "%s/%s", a, b);
    return n > 0 && n < TREE_PATH_MAX ? 0 : error_set(e, ERR_LIMIT, "%s/%s: the path is too long", a, b);
}

/* --- reading backups --- */

int backup_manifest(const char *generation, json_t **ret, struct error *e)
{
    char path[TREE_PATH_MAX];
    json_error_t bad;
    json_t *file;
    size_t i;
    int err = backup_join(path, generation, "manifest.json", e);
    if (err)
        return err;
    json_t *v = json_load_file(path, JSON_REJECT_DUPLICATES, &bad);
    if (!v)
        return error_set(e, ERR_CORRUPT, "%s: %s", path, bad.text);
    if (json_integer_value(json_object_get(v, "version")) != BACKUP_VERSION)
        err = error_set(e, ERR_UNSUPPORTED, "%s: made by another version of valise", path);
    json_array_foreach(json_object_get(v, "files"), i, file)
    {
        str name = str_from_z(json_string_value(json_object_get(file, "path"))), rest = name, level;
        bool good = name.n > 0;
        while (str_split(&rest, '/', &level))
            good = good && level.n && !str_eq(level, STR("..")) && !str_eq(level, STR("."));
        if (err == 0 && !good)
            err = error_set(e, ERR_CORRUPT, "%s: a path leads out of the backup", path);
    }
    if (err)
        json_decref(v);
    else
        *ret = v;
    return err;
}

static int is_generation(const struct dirent *d)
{
    str name = str_from_z(d->d_name);
    return name.n == 16 && name.p[8] == 'T' && name.p[15] == 'Z';
}

int backup_generations(const char *target, struct backup_list *ret, struct error *e)
{
    struct dirent **list;
    *ret = (struct backup_list){ 0 };
    int n = scandir(target, &list, is_generation, alphasort);
    if (n < 0)
        return fail_at(target, e);
    ret->names = calloc((size_t)n + 1, sizeof *ret->names);
    if (!ret->names)
        panic("out of memory for a list of backups");
    for (int i = 0; i < n; i++) {
        (void)snprintf(ret->names[ret->n++], BACKUP_NAME_MAX, "%.16s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return ret->n ? 0 : error_set(e, ERR_NOTFOUND, "%s holds no backup", target);
}

void backup_list_done(struct backup_list *l)
{
    free(l->names);
    *l = (struct backup_list){ 0 };
}

int backup_find(const char *path, char ret[TREE_PATH_MAX], struct error *e)
{
    char manifest[TREE_PATH_MAX];
    struct backup_list list;
    int err = backup_join(manifest, path, "manifest.json", e);
    if (err)
        return err;
    if (access(manifest, F_OK) == 0) {
        (void)snprintf(ret, TREE_PATH_MAX, "%s", path);
        return 0;
    }
    err = backup_generations(path, &list, e);
    if (err == 0)
        err = backup_join(ret, path, list.names[list.n - 1], e);
    backup_list_done(&list);
    return err;
}

int backup_lock(const char *target, int *ret_lock, struct error *e)
{
    char path[TREE_PATH_MAX];
    struct dirent **list;
    int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_lock = fd;
    if (fd < 0)
        return fail_at(target, e);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(e, ERR_UNAVAILABLE, "another command works in %s", target);
    int n = scandir(target, &list, NULL, NULL);
    for (int i = 0; i < n; i++) {
        if (str_ends(str_from_z(list[i]->d_name), STR("Z.partial")) && backup_join(path, target, list[i]->d_name, NULL) == 0)
            tree_remove(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    tree_remove_stale(target, "restore-");
    return 0;
}

/* --- one file --- */

static bool never_changes(const char *path)
{
    str name = str_from_z(path);
    return str_starts(name, STR("store/")) && (str_ends(name, STR(".sst")) || str_ends(name, STR(".blob")));
}

/* Shares FILE with the previous generation when that has the very same: name, size and time. */
static bool share(struct backup *b, struct tree_file *file, const char *to)
{
    char from[TREE_PATH_MAX * 2 + 16];
    const json_t *old = never_changes(file->path) ? json_object_get(b->before, file->path) : NULL;
    const char *sum = json_string_value(json_object_get(old, "sha256"));
    if (!sum || (uint64_t)json_integer_value(json_object_get(old, "size")) != file->size ||
        json_integer_value(json_object_get(old, "mtime")) != file->mtime_ns)
        return false;
    (void)snprintf(from, sizeof from, "%s/files/%s", b->previous, file->path);
    if (link(from, to) != 0)
        return false;
    (void)snprintf(file->sum, sizeof file->sum, "%s", sum);
    b->shared += file->size;
    return true;
}

static int add_file(struct backup *b, const char *from, const char *path, struct error *e)
{
    struct tree_file file = { .size = 0 };
    struct stat st;
    char to[TREE_PATH_MAX * 2 + 16];
    int err = 0;
    if (lstat(from, &st) != 0)
        return fail_at(from, e);
    if (!S_ISREG(st.st_mode))
        return 0;
    (void)snprintf(file.path, sizeof file.path, "%s", path);
    file.size = (uint64_t)st.st_size;
    file.mode = st.st_mode & 0777;
    file.mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    (void)snprintf(to, sizeof to, "%s/files/%s", b->build, path);
    if (!b->build[0])
        err = tar_add(STDOUT_FILENO, b->name, from, &file, e);
    else if (!share(b, &file, to))
        err = tree_copy(from, to, file.mode, &file.size, file.sum, e);
    else
        goto listed;
    b->copied += file.size;
listed:
    progress_step(&b->progress, file.size);
    if (err == 0)
        json_array_append_new(b->files,
                              json_pack("{s:s,s:I,s:I,s:i,s:s}", "path", file.path, "size", (json_int_t)file.size, "mtime",
                                        (json_int_t)file.mtime_ns, "mode", (int)file.mode, "sha256", file.sum));
    return err;
}

/* All files of the directory FROM as PREFIX/... */
static int add_folder(struct backup *b, const char *from, const char *prefix, struct error *e)
{
    char source[TREE_PATH_MAX], path[TREE_PATH_MAX];
    struct dirent **list;
    int err = 0, n = scandir(from, &list, NULL, alphasort);
    if (n < 0)
        return fail_at(from, e);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        if (err == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "LOCK") != 0) {
            err = backup_join(source, from, name, e);
            if (err == 0)
                err = backup_join(path, prefix, name, e);
            if (err == 0)
                err = add_file(b, source, path, e);
        }
        free(list[i]);
    }
    free(list);
    return err;
}

static int make_folders(const struct backup *b, struct error *e)
{
    static const char *const folders[] = { "", "/files", "/files/keys", "/files/tls", "/files/store" };
    char path[TREE_PATH_MAX * 2 + 16];
    for (size_t i = 0; b->build[0] && i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", b->build, folders[i]);
        if (mkdir(path, 0700) != 0)
            return fail_at(path, e);
    }
    return 0;
}

static int add_all(struct backup *b, struct error *e)
{
    static const char *const single[] = { "valise.conf", "ca.pem", "lab-accounts.txt" };
    static const char *const folders[] = { "keys", "tls" };
    char from[TREE_PATH_MAX];
    int err = make_folders(b, e);
    for (size_t i = 0; err == 0 && i < sizeof single / sizeof single[0]; i++) {
        err = backup_join(from, b->dir, single[i], e);
        if (err == 0 && access(from, F_OK) == 0)
            err = add_file(b, from, single[i], e);
    }
    for (size_t i = 0; err == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        err = backup_join(from, b->dir, folders[i], e);
        if (err == 0)
            err = add_folder(b, from, folders[i], e);
    }
    return err ? err : add_folder(b, b->checkpoint, "store", e);
}

/* The manifest comes last. */
static int finish(struct backup *b, const char *target, struct error *e)
{
    char path[TREE_PATH_MAX * 2 + 16], whole[TREE_PATH_MAX];
    json_t *manifest =
        json_pack("{s:i,s:s,s:s,s:O}", "version", BACKUP_VERSION, "valise", VALISE_VERSION, "made", b->name, "files", b->files);
    char *text = json_dumps(manifest, JSON_INDENT(1));
    json_decref(manifest);
    int err = text ? 0 : error_set(e, ERR_INTERNAL, "the manifest cannot be written as JSON");
    if (err == 0 && !b->build[0]) {
        err = tar_add_text(STDOUT_FILENO, b->name, "manifest.json", str_from_z(text), e);
        if (err == 0)
            err = tar_end(STDOUT_FILENO, e);
    } else if (err == 0) {
        (void)snprintf(path, sizeof path, "%s/manifest.json", b->build);
        FILE *f = fopen(path, "wxe");
        if (!f || fputs(text, f) < 0 || fflush(f) != 0 || fsync(fileno(f)) != 0)
            err = fail_at(path, e);
        if (f && fclose(f) != 0 && err == 0)
            err = fail_at(path, e);
        int fd = open(b->build, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (err == 0 && (fd < 0 || syncfs(fd) != 0))
            err = fail_at(b->build, e);
        if (fd >= 0)
            (void)close(fd);
        if (err == 0)
            err = backup_join(whole, target, b->name, e);
        if (err == 0 && rename(b->build, whole) != 0)
            err = fail_at(whole, e);
        if (err == 0)
            err = tree_sync(target, e);
    }
    free(text);
    return err;
}

/* --- all --- */

/* One backup at a time; what an interrupted one left is removed. *RET_LOCK is closed by the caller. */
static int lock_spool(const struct backup *b, int *ret_lock, struct error *e)
{
    char spool[TREE_PATH_MAX], path[TREE_PATH_MAX];
    struct dirent **list;
    int err = backup_join(spool, b->dir, "spool", e);
    if (err)
        return err;
    int fd = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_at(spool, e);
    *ret_lock = fd;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(e, ERR_UNAVAILABLE, "another backup of %s is being made", b->dir);
    int n = scandir(spool, &list, NULL, NULL);
    for (int i = 0; i < n; i++) {
        if (str_starts(str_from_z(list[i]->d_name), STR("backup-")) && backup_join(path, spool, list[i]->d_name, NULL) == 0)
            tree_remove(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return 0;
}

static int checkpoint(struct backup *b, struct error *e)
{
    struct port port;
    json_t *reply = NULL;
    int err = port_open(b->dir, &port, e);
    if (err)
        return err;
    err = bulk_call(&port.client, json_pack("{s:s}", "command", "backup.begin"), (str){ NULL, 0 }, &reply, NULL, e);
    if (err == 0) {
        err = backup_join(b->checkpoint, b->dir, json_string_value(json_object_get(reply, "path")), e);
        json_decref(reply);
    }
    port_close(&port);
    return err;
}

static int prepare_target(struct backup *b, const char *target, int *ret_lock, struct error *e)
{
    char partial[NAME_BYTES + 16];
    json_t *manifest, *file;
    size_t i;
    if (mkdir(target, 0700) != 0 && errno != EEXIST)
        return fail_at(target, e);
    (void)snprintf(partial, sizeof partial, "%s.partial", b->name);
    int err = backup_lock(target, ret_lock, e);
    if (err == 0)
        err = backup_join(b->build, target, partial, e);
    if (err == 0 && backup_find(target, b->previous, NULL) == 0 && backup_manifest(b->previous, &manifest, NULL) == 0) {
        json_array_foreach(json_object_get(manifest, "files"), i, file)
            json_object_set(b->before, json_string_value(json_object_get(file, "path")), file);
        json_decref(manifest);
    }
    return err;
}

static void report(const struct cli *c, const struct backup *b, const char *target, uint64_t pruned)
{
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:s,s:I,s:I,s:I}", "ok", 1, "target", target, "generation", b->name, "copied-bytes",
                              (json_int_t)b->copied, "shared-bytes", (json_int_t)b->shared, "removed", (json_int_t)pruned);
        cli_print_json(v);
        json_decref(v);
    } else {
        (void)printf("%s/%s: %llu bytes copied, %llu shared with the backup before. It holds private keys: guard it.\n", target,
                     b->name, (unsigned long long)b->copied, (unsigned long long)b->shared);
        if (pruned)
            (void)printf("%llu older ones removed\n", (unsigned long long)pruned);
    }
}

int cmd_backup(struct cli *c)
{
    const char *target = c->words[0];
    bool stream = strcmp(target, "-") == 0;
    struct backup *b = calloc(1, sizeof *b);
    struct error e = ERROR_NONE;
    if (!b)
        panic("out of memory for a backup");
    uint64_t keep = 0, pruned = 0;
    int status = cli_number(c, "keep", 100000, &keep);
    if (status || (stream && keep)) {
        free(b);
        return status ? status : cli_usage(c, "backup: --keep is for a directory");
    }
    time_t now = clock_real_ms() / 1000;
    struct date d = date_from_unix(now, 0);
    int lock = -1, target_lock = -1, err = 0;
    *b = (struct backup){ .dir = c->dir, .before = json_object(), .files = json_array() };
    (void)snprintf(b->name, sizeof b->name, "%04d%02d%02dT%02d%02d%02dZ", d.year, d.month, d.day, d.hour, d.minute, d.second);
    (void)signal(SIGPIPE, SIG_IGN); /* whoever reads the stream may leave: an error, after which all is tidied up */
    if (stream && isatty(STDOUT_FILENO))
        err = error_set(&e, ERR_REFUSED, "a backup is not for a terminal: valise backup - >file.tar");
    if (err == 0)
        err = lock_spool(b, &lock, &e);
    if (err == 0 && !stream)
        err = prepare_target(b, target, &target_lock, &e);
    if (err == 0)
        err = checkpoint(b, &e);
    progress_begin(&b->progress, err ? 0 : tree_bytes(b->checkpoint), c->json);
    b->progress.bytes = true;
    if (err == 0)
        err = add_all(b, &e);
    if (err == 0)
        err = finish(b, target, &e);
    progress_end(&b->progress);
    if (b->checkpoint[0])
        tree_remove(b->checkpoint);
    if (err && b->build[0] && target_lock >= 0)
        tree_remove(b->build);
    if (err == 0 && keep)
        err = backup_prune(target, keep, &pruned, &e);
    if (lock >= 0)
        (void)close(lock);
    if (target_lock >= 0)
        (void)close(target_lock);
    if (err == 0 && !stream)
        report(c, b, target, pruned);
    json_decref(b->before);
    json_decref(b->files);
    free(b);
    return err ? cli_fail(c, err, e.text) : 0;
}
