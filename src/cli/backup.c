/* backup: valise backup. See backup.h for what it writes. The store gives a consistent copy of itself (engine_checkpoint) while it is in use: into a
 * folder of spool/ whose name we choose, so that nothing which core says names a file. What others than root can write is read with their rights
 * (owner.h). */
#include "cli/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/id.h"
#include "base/map.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/mishaps.h"
#include "cli/owner.h"
#include "cli/port.h"
#include "cli/progress.h"
#include "cli/revoked.h"
#include "cli/tar.h"
#include "cli/vault.h"

enum { NAME_BYTES = 40, NAME_PAUSE_US = 50000, MANIFEST_MAX = 1 << 28, SMALL_MAX = 1 << 24, HOLES_MAX = 1 << 30 };

struct backup {
    const char *dir;
    int top, spool;             /* the valise directory and its spool/, which is locked */
    char copied_to[NAME_BYTES]; /* the store's copy in spool/; empty: none yet */
    int copy;
    char name[NAME_BYTES], partial[NAME_BYTES + 16];
    const char *target_name;
    int target, build, files;          /* -1: a stream */
    int own_lock, target_lock;         /* of the valise directory and of the target */
    struct backup_generation previous; /* fd -1: none */
    struct vault vault;                /* the previous one's */
    json_t *before;                    /* files of the previous manifest by path */
    json_t *list;
    struct vault_lock lock;
    json_t *pieces; /* of an encrypted one, for those without a key */
    bool with_ca_key, has_ca_key;
    json_t *revoked;
    struct progress progress;
    struct mishaps mishaps;  /* files that are left out */
    uint64_t copied, shared; /* bytes */
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

static void close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* --- reading backups --- */

bool backup_stays_below(str path)
{
    str level;
    bool good = path.n > 0 && path.n < TREE_PATH_MAX;
    while (str_split(&path, '/', &level))
        good = good && level.n && !str_eq(level, STR("..")) && !str_eq(level, STR("."));
    return good;
}

/* What of a valise directory goes into a backup beside keys/, tls/ and the store. */
static const char *const single[] = { "valise.conf", "ca.pem",         REVOKED_FILE,    "lab-accounts.txt",
                                      "welcome.txt", "welcome.en.txt", "welcome.fr.txt" };

/* Whether a backup of ours can have PATH: restore would put what else a list names where a server, or root, believes it. */
static bool is_ours(str path)
{
    static const str folders[] = { STR_INIT("keys/"), STR_INIT("tls/"), STR_INIT("store/") };
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (str_eq(path, str_from_z(single[i])))
            return true;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (str_starts(path, folders[i]))
            return path.n > folders[i].n && str_find_byte(path, '/', folders[i].n) == path.n;
    return false;
}

int backup_list_whole(const json_t *files, struct error *e)
{
    const json_t *file;
    size_t i;
    bool conf = false, store = false;
    int err = 0;
    struct map seen;
    map_init(&seen);
    json_array_foreach(files, i, file)
    {
        str path = str_from_z(json_string_value(json_object_get(file, "path")));
        conf = conf || str_eq(path, STR("valise.conf"));
        store = store || str_starts(path, STR("store/"));
        if (err == 0 && backup_stays_below(path) && !is_ours(path))
            err = error_set(e, ERR_CORRUPT, "it lists %.*s, which no backup has", STR_ARG(path));
        if (err == 0 && path.n && map_put(&seen, path, &seen))
            err = error_set(e, ERR_CORRUPT, "it lists %.*s twice", STR_ARG(path));
    }
    map_done(&seen);
    if (err == 0 && !(conf && store))
        err = error_set(e, ERR_CORRUPT, "it does not list valise.conf and the store, which every backup has");
    return err;
}

static int check_manifest(const json_t *v, const char *path, struct error *e)
{
    const json_t *file;
    size_t i;
    json_int_t version = json_integer_value(json_object_get(v, "version"));
    bool sealed = version == VAULT_VERSION;
    if (!sealed && version != BACKUP_VERSION)
        return error_set(e, ERR_UNSUPPORTED, "%s/manifest.json: made by another version of valise", path);
    int err = sealed ? 0 : backup_list_whole(json_object_get(v, "files"), e);
    if (err)
        return error_prefix(e, "%s/manifest.json", path);
    if (sealed && !json_array_size(json_object_get(v, "pieces")))
        return error_set(e, ERR_CORRUPT, "%s/manifest.json: it lists no pieces, and every backup has some", path);
    json_array_foreach(json_object_get(v, sealed ? "pieces" : "files"), i, file)
    {
        if (!backup_stays_below(str_from_z(json_string_value(json_object_get(file, sealed ? "name" : "path")))))
            return error_set(e, ERR_CORRUPT, "%s/manifest.json: a path leads out of the backup", path);
        if (!json_is_string(json_object_get(file, "sha256")))
            return error_set(e, ERR_CORRUPT, "%s/manifest.json: a file has no checksum", path);
    }
    return 0;
}

int backup_manifest(const struct backup_generation *g, json_t **ret, struct error *e)
{
    struct buf text = BUF_INIT(MANIFEST_MAX);
    json_error_t bad;
    json_t *v = NULL;
    int fd = owner_open_file(g->fd, "manifest.json", NULL, e);
    int err = fd < 0 ? fd : beneath_read_open(fd, "manifest.json", &text, e);
    close_one(fd);
    if (err)
        (void)error_prefix(e, "%s", g->path);
    else if (!(v = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &bad)))
        err = error_set(e, ERR_CORRUPT, "%s/manifest.json: %s", g->path, bad.text);
    else
        err = check_manifest(v, g->path, e);
    buf_done(&text);
    if (err)
        json_decref(v);
    else
        *ret = v;
    return err;
}

int backup_open_file(const struct backup_generation *g, const json_t *file, struct error *e)
{
    int fd = owner_open_file(g->files, json_string_value(json_object_get(file, "path")), NULL, e);
    if (fd < 0)
        (void)error_prefix(e, "%s", g->path);
    return fd;
}

bool backup_is_name(str name)
{
    return name.n == 16 && name.p[8] == 'T' && name.p[15] == 'Z';
}

int backup_generations(int target, const char *name, struct backup_list *ret, struct error *e)
{
    struct beneath_names names = { 0 };
    *ret = (struct backup_list){ 0 };
    int err = beneath_list(target, &names, e);
    if (err)
        return error_prefix(e, "%s", name);
    ret->names = calloc(names.n + 1, sizeof *ret->names);
    if (!ret->names)
        panic("out of memory for a list of backups");
    for (size_t i = 0; i < names.n; i++)
        if (backup_is_name(str_from_z(names.list[i])))
            (void)snprintf(ret->names[ret->n++], BACKUP_NAME_MAX, "%.16s", names.list[i]);
    beneath_names_free(&names);
    return ret->n ? 0 : error_set(e, ERR_NOTFOUND, "%s holds no backup", name);
}

void backup_list_done(struct backup_list *l)
{
    free(l->names);
    *l = (struct backup_list){ 0 };
}

void backup_close(struct backup_generation *g)
{
    close_one(g->files);
    close_one(g->fd);
    close_one(g->beside);
    g->fd = g->beside = g->files = -1;
}

/* What holds the files of a generation. */
static int open_files(int generation, struct error *e)
{
    return beneath_directory(generation, beneath_exists(generation, "pieces") ? "pieces" : "files", e);
}

int backup_open_in(int target, const char *target_name, const char *name, struct backup_generation *ret, struct error *e)
{
    *ret = (struct backup_generation){ .fd = -1, .files = -1, .beside = beneath_directory(target, ".", e) };
    int n = snprintf(ret->path, sizeof ret->path, "%s/%s", target_name, name), err = ret->beside < 0 ? ret->beside : 0;
    if (n < 0 || (size_t)n >= sizeof ret->path)
        err = error_set(e, ERR_LIMIT, "%s/%s: the path is too long", target_name, name);
    if (err == 0)
        ret->fd = err = beneath_directory(target, name, e);
    if (err >= 0)
        ret->files = err = open_files(ret->fd, e);
    if (err < 0) {
        (void)error_prefix(e, "%s", target_name);
        backup_close(ret);
    }
    return err < 0 ? err : 0;
}

/* PATH is a generation itself. */
static int open_itself(int fd, const char *path, struct backup_generation *ret, struct error *e)
{
    char above[TREE_PATH_MAX];
    *ret = (struct backup_generation){ .fd = fd, .beside = -1, .files = open_files(fd, e) };
    int n = snprintf(above, sizeof above, "%s/..", path);
    (void)snprintf(ret->path, sizeof ret->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof above)
        return error_set(e, ERR_LIMIT, "%s: the path is too long", path);
    if (ret->files < 0)
        return ret->files;
    ret->beside = beneath_start(above, e);
    return ret->beside < 0 ? ret->beside : 0;
}

int backup_open(const char *path, struct backup_generation *ret, struct error *e)
{
    struct backup_list list = { 0 };
    *ret = (struct backup_generation){ .fd = -1, .beside = -1, .files = -1 };
    int fd = beneath_start(path, e);
    if (fd < 0)
        return fd;
    if (beneath_exists(fd, "manifest.json"))
        return open_itself(fd, path, ret, e);
    int err = backup_generations(fd, path, &list, e);
    if (err == 0)
        err = backup_open_in(fd, path, list.names[list.n - 1], ret, e);
    backup_list_done(&list);
    (void)close(fd);
    return err;
}

/* The file that is locked, in a directory of backups and in the valise directory that is backed up. */
static const char target_lock[] = ".lock", dir_lock[] = "backup.lock";

void backup_unlock(int target, int lock)
{
    tree_unlock(target, target_lock, lock);
    close_one(target);
}

int backup_lock(const char *target, int *ret_lock, struct error *e)
{
    struct beneath_names names = { 0 };
    *ret_lock = -1;
    int fd = beneath_start(target, e);
    if (fd < 0)
        return fd;
    int lock = tree_lock(fd, target_lock, target, e), err = lock < 0 ? lock : beneath_list(fd, &names, e);
    for (size_t i = 0; i < names.n; i++)
        if (str_ends(str_from_z(names.list[i]), STR("Z.partial")))
            tree_remove_unfinished(fd, names.list[i]);
    beneath_names_free(&names);
    if (err) {
        backup_unlock(fd, lock);
        return err;
    }
    *ret_lock = lock;
    tree_remove_stale(fd, "restore-");
    return fd;
}

/* --- one file --- */

static bool never_changes(const char *path)
{
    str name = str_from_z(path);
    return str_starts(name, STR("store/")) && (str_ends(name, STR(".sst")) || str_ends(name, STR(".blob")));
}

/* What the previous generation has of FILE when that is the very same: name, size and time. NULL: nothing that can be shared. */
static const json_t *find_before(const struct backup *b, const struct tree_file *file)
{
    const json_t *old = b->files >= 0 && never_changes(file->path) ? json_object_get(b->before, file->path) : NULL;
    const char *sum = json_string_value(json_object_get(old, b->lock.used ? "sealed-sha256" : "sha256"));
    return sum && strlen(sum) < sizeof file->sum && (uint64_t)json_integer_value(json_object_get(old, "size")) == file->size &&
                   json_integer_value(json_object_get(old, "mtime")) == file->mtime_ns
               ? old
               : NULL;
}

static json_t *describe(const struct tree_file *file)
{
    return json_pack("{s:s,s:I,s:I,s:i}", "path", file->path, "size", (json_int_t)file->size, "mtime", (json_int_t)file->mtime_ns,
                     "mode", (int)file->mode);
}

/* The open file FD in the clear. */
static int add_plain(struct backup *b, int fd, struct tree_file *file, struct error *e)
{
    const json_t *old = find_before(b, file);
    int err = 0;
    if (old && beneath_link(b->previous.files, file->path, b->files, file->path, NULL) == 0) {
        (void)snprintf(file->sum, sizeof file->sum, "%s", json_string_value(json_object_get(old, "sha256")));
        b->shared += file->size;
    } else {
        err = b->files < 0 ? tar_add(STDOUT_FILENO, b->name, fd, file, e)
                           : tree_copy(fd, b->files, file->path, BENEATH_MODE(file->mode), &file->size, file->sum, e);
        b->copied += file->size;
    }
    json_t *v = describe(file);
    json_object_set_new(v, "sha256", json_string(file->sum));
    json_array_append_new(b->list, v);
    return err;
}

static int write_piece(void *ctx, str bytes, struct error *e)
{
    return beneath_write_open(*(const int *)ctx, "a piece", bytes, e);
}

/* The open file FD as the new piece NAME, of which it is told what a reader must know. */
static int seal_piece(struct backup *b, int fd, const char *name, const char *key, struct tree_file *file, struct error *e)
{
    char path[TREE_PATH_MAX];
    uint64_t size = 0, sealed = sealed_size(file->size);
    (void)snprintf(path, sizeof path, "pieces/%s", name);
    int to = b->files < 0 ? STDOUT_FILENO : beneath_create(b->files, name, BENEATH_MODE(0600), e), err = to < 0 ? to : 0;
    if (err == 0 && b->files < 0)
        err = tar_begin(to, b->name, path, 0600, sealed, e);
    if (err == 0)
        err = vault_seal(fd, file->path, key, write_piece, &to, &size, file->sum, e);
    if (err == 0 && size != file->size && b->files < 0)
        err = error_set(e, ERR_CONFLICT, "%s changed while it was read; run the backup again", file->path);
    file->size = size;
    if (err == 0)
        err = b->files < 0 ? tar_pad(to, sealed, e) : beneath_sync(to, path, e);
    if (b->files >= 0)
        close_one(to);
    return err;
}

static int add_sealed(struct backup *b, int fd, struct tree_file *file, struct error *e)
{
    const json_t *old = find_before(b, file);
    const char *former = json_string_value(json_object_get(old, "piece"));
    char name[VAULT_NAME], key[KEYBOX_SECRET], key_text[VAULT_KEY_TEXT];
    int err = 0;
    vault_piece_new(name, key, key_text);
    json_t *v = NULL;
    if (former && beneath_link(b->previous.files, former, b->files, former, NULL) == 0) {
        (void)snprintf(file->sum, sizeof file->sum, "%s", json_string_value(json_object_get(old, "sealed-sha256")));
        b->shared += file->size;
        v = describe(file);
        json_object_set(v, "piece", json_object_get(old, "piece"));
        json_object_set(v, "key", json_object_get(old, "key"));
    } else {
        err = seal_piece(b, fd, name, key, file, e);
        b->copied += file->size;
        v = describe(file);
        json_object_set_new(v, "piece", json_string(name));
        json_object_set_new(v, "key", json_string(key_text));
    }
    json_object_set_new(v, "sealed-sha256", json_string(file->sum));
    json_array_append_new(b->list, v);
    json_array_append_new(b->pieces, json_pack("{s:O,s:I,s:s}", "name", json_object_get(v, "piece"), "size",
                                               (json_int_t)sealed_size(file->size), "sha256", file->sum));
    secret_wipe(key, sizeof key);
    secret_wipe(key_text, sizeof key_text);
    return err;
}

/* What a file that core can write may take of the backup. ERR_LIMIT: a certificate or a key is never that large; ERR_CORRUPT: the store has no such holes. */
static int judge_size(int fd, const char *path, const struct stat *st, struct error *e)
{
    uint64_t size = (uint64_t)st->st_size;
    if (!str_starts(str_from_z(path), STR("store/")) && strcmp(path, REVOKED_FILE) != 0 && size > (uint64_t)SMALL_MAX)
        return error_set(e, ERR_LIMIT, "it has %llu bytes, and nothing there is larger than %d; see what it is, and remove it",
                         (unsigned long long)size, SMALL_MAX);
    uint64_t holes = size > (uint64_t)HOLES_MAX ? tree_holes(fd, size) : 0;
    return holes <= (uint64_t)HOLES_MAX
               ? 0
               : error_set(e, ERR_CORRUPT,
                           "%s has %llu bytes that were never written, which no file of a store has; `valise check` "
                           "tells what is wrong with the store",
                           path, (unsigned long long)holes);
}

/* The backup is made without it, and the exit status tells. */
static int leave_out(struct backup *b, const char *path, struct error *e)
{
    mishaps_add(&b->mishaps, path, e->text);
    *e = ERROR_NONE;
    return 0;
}

/* The file NAME of the open directory FOLDER, as PATH. What is not a regular file is left out. */
static int add_file(struct backup *b, int folder, const char *name, const char *path, struct error *e)
{
    struct tree_file file = { .size = 0 };
    struct stat st;
    int err = beneath_look(folder, name, &st, e);
    if (err || !S_ISREG(st.st_mode))
        return err;
    int fd = owner_open_file(folder, name, &st, e);
    if (fd < 0)
        return error_prefix(e, "%s", path);
    err = judge_size(fd, path, &st, e);
    if (err) {
        (void)close(fd);
        return err == ERR_LIMIT ? leave_out(b, path, e) : err;
    }
    (void)snprintf(file.path, sizeof file.path, "%s", path);
    file.size = (uint64_t)st.st_size;
    file.mode = st.st_mode & 0777;
    file.mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    err = b->lock.used ? add_sealed(b, fd, &file, e) : add_plain(b, fd, &file, e);
    (void)close(fd);
    progress_step(&b->progress, file.size);
    return err;
}

/* What never goes into a backup: the engine's lock, our keys of earlier backups, and the CA's key unless it was asked for. */
static bool is_left_out(struct backup *b, const char *path)
{
    str name = str_from_z(path);
    bool ca_key = str_eq(name, STR("keys/ca.key"));
    b->has_ca_key = b->has_ca_key || ca_key;
    return str_eq(name, STR("store/LOCK")) || (ca_key && !b->with_ca_key) ||
           (str_starts(name, STR("keys/backup-")) && str_ends(name, STR(".seal")));
}

/* All files of the open directory FOLDER as PREFIX/... */
static int add_folder(struct backup *b, int folder, const char *prefix, struct error *e)
{
    struct beneath_names names = { 0 };
    int err = beneath_list(folder, &names, e);
    for (size_t i = 0; i < names.n && err == 0; i++) {
        char path[TREE_PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", prefix, names.list[i]);
        if (n > 0 && n < TREE_PATH_MAX && is_left_out(b, path))
            continue;
        err = utf8_valid(str_from_z(names.list[i])) && n > 0 && n < TREE_PATH_MAX
                  ? add_file(b, folder, names.list[i], path, e)
                  : error_set(e, ERR_SYNTAX, "%s/%s: the name is too long or not UTF-8", prefix, names.list[i]);
    }
    beneath_names_free(&names);
    return err;
}

static int make_folders(struct backup *b, struct error *e)
{
    static const char *const folders[] = { "keys", "tls", "store" };
    b->build = beneath_make(b->target, b->partial, BENEATH_MODE(0700), e);
    int marked = b->build < 0 ? b->build : tree_mark(b->build, b->partial, e);
    if (marked == 0)
        marked = tree_claim(b->build, b->partial, e);
    b->files = marked ? marked : beneath_make(b->build, b->lock.used ? "pieces" : "files", BENEATH_MODE(0700), e);
    int err = b->files < 0 ? b->files : 0;
    for (size_t i = 0; err == 0 && !b->lock.used && i < sizeof folders / sizeof folders[0]; i++) {
        int fd = beneath_make(b->files, folders[i], BENEATH_MODE(0700), e);
        err = fd < 0 ? fd : 0;
        close_one(fd);
    }
    return err;
}

static int add_all(struct backup *b, struct error *e)
{
    static const char *const folders[] = { "keys", "tls" };
    int err = b->target >= 0 ? make_folders(b, e) : 0;
    for (size_t i = 0; err == 0 && i < sizeof single / sizeof single[0]; i++)
        if (beneath_exists(b->top, single[i]))
            err = add_file(b, b->top, single[i], single[i], e);
    for (size_t i = 0; err == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        int fd = beneath_directory(b->top, folders[i], e);
        err = fd < 0 ? fd : add_folder(b, fd, folders[i], e);
        close_one(fd);
    }
    return err ? err : add_folder(b, b->copy, "store", e);
}

/* A small file of the generation itself. */
static int put(struct backup *b, const char *name, str bytes, struct error *e)
{
    return b->target < 0 ? tar_add_text(STDOUT_FILENO, b->name, name, bytes, e)
                         : beneath_write(b->build, name, bytes, BENEATH_MODE(0600), false, e);
}

/* The list of all files of an encrypted backup, and who can read it. */
static int put_sealed(struct backup *b, const char *text, json_t **ret_outside, struct error *e)
{
    struct buf sealed = BUF_INIT((size_t)2 * MANIFEST_MAX);
    char sum[TREE_SUM_TEXT];
    int err = vault_seal_manifest(&b->lock, str_from_z(text), &sealed, sum, e);
    if (err == 0)
        *ret_outside = json_pack("{s:i,s:s,s:s,s:{s:I,s:s},s:O}", "version", VAULT_VERSION, "valise", VALISE_VERSION, "made",
                                 b->name, "manifest", "size", (json_int_t)sealed.n, "sha256", sum, "pieces", b->pieces);
    if (err == 0)
        err = put(b, "keybox", buf_str(&b->lock.keybox), e);
    if (err == 0)
        err = put(b, "manifest", buf_str(&sealed), e);
    buf_done(&sealed);
    return err;
}

static int put_manifest(struct backup *b, struct error *e)
{
    json_t *manifest =
        json_pack("{s:i,s:s,s:s,s:O}", "version", BACKUP_VERSION, "valise", VALISE_VERSION, "made", b->name, "files", b->list);
    char *text = json_dumps(manifest, JSON_INDENT(1));
    json_decref(manifest);
    int err = text ? 0 : error_set(e, ERR_INTERNAL, "the manifest cannot be written as JSON");
    if (err == 0 && b->lock.used) {
        manifest = NULL;
        err = put_sealed(b, text, &manifest, e);
        secret_wipe(text, strlen(text));
        free(text);
        text = json_dumps(manifest, JSON_INDENT(1));
        json_decref(manifest);
        if (err == 0 && !text)
            err = error_set(e, ERR_INTERNAL, "the manifest cannot be written as JSON");
    }
    if (err == 0)
        err = put(b, "manifest.json", str_from_z(text), e);
    free(text);
    return err;
}

/* The manifest comes last. */
static int finish(struct backup *b, struct error *e)
{
    int err = put_manifest(b, e);
    if (err == 0 && b->target < 0)
        return tar_end(STDOUT_FILENO, e);
    if (err == 0 && syncfs(b->build) != 0)
        err = fail_at(b->partial, e);
    if (err == 0)
        err = vault_lock_keep(&b->lock, b->top, e);
    if (err == 0)
        err = revoked_write(b->target, b->revoked, false, e);
    if (err == 0)
        err = beneath_rename(b->target, b->partial, b->target, b->name, false, e);
    if (err == 0)
        err = beneath_sync(b->target, b->target_name, e);
    if (err == 0)
        tree_unmark(b->build, b->partial);
    if (err == 0)
        vault_forget(b->top, b->vault.who.server_id);
    else
        vault_forget(b->top, b->lock.server_id);
    return err;
}

/* --- all --- */

/* One backup at a time; what an interrupted one left is removed. */
static int lock_spool(struct backup *b, struct error *e)
{
    struct beneath_names names = { 0 };
    b->spool = beneath_directory(b->top, "spool", e);
    if (b->spool < 0)
        return error_prefix(e, "%s", b->dir);
    b->own_lock = tree_lock(b->top, dir_lock, b->dir, e); /* not spool/ itself, which core could hold */
    if (b->own_lock == ERR_UNAVAILABLE)
        return error_set(e, ERR_UNAVAILABLE, "another backup of %s is being made", b->dir);
    int err = b->own_lock < 0 ? b->own_lock : beneath_list(b->spool, &names, e);
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(str_from_z(names.list[i]), STR("backup-")))
            (void)!owner_remove_tree(b->spool, names.list[i], NULL);
    beneath_names_free(&names);
    return err;
}

/* We say what the copy is called, and look for it ourselves. */
static int checkpoint(struct backup *b, struct error *e)
{
    struct port port;
    struct id id = id_new();
    char name[NAME_BYTES];
    int err = port_open(b->dir, &port, e);
    if (err)
        return err;
    (void)snprintf(name, sizeof name, "%s", id.text);
    (void)snprintf(b->copied_to, sizeof b->copied_to, "backup-%s", id.text);
    err = bulk_do(&port.client, json_pack("{s:s,s:s}", "command", "backup.begin", "name", name), (str){ NULL, 0 }, e);
    if (err == 0)
        b->copy = beneath_directory(b->spool, b->copied_to, e);
    if (err == 0 && b->copy < 0)
        err = error_prefix(e, "the copy of the store");
    if (err == 0)
        err = revoked_fetch(&port, b->revoked, e);
    port_close(&port);
    return err ? err : revoked_write(b->top, b->revoked, true, e);
}

/* Whether the open directory FD is TOP, or somewhere below it. */
static bool is_within(int fd, int top)
{
    struct stat st, at;
    int up = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool within = false, ended = up < 0 || fstat(top, &st) < 0;
    for (ino_t inode = 0; !ended && !within && fstat(up, &at) == 0 && at.st_ino != inode;) {
        within = at.st_ino == st.st_ino && at.st_dev == st.st_dev;
        inode = at.st_ino; /* the root is its own parent */
        int next = openat(up, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void)close(up);
        ended = (up = next) < 0;
    }
    close_one(up);
    return within;
}

/* The directory for backups, made when it is not there. It is never in the mail directory TOP: one disk would lose both. */
static int make_target(const char *path, int top, struct error *e)
{
    char name[BENEATH_NAME_MAX];
    int fd = beneath_start(path, NULL), above = -1;
    if (fd == ERR_NOTFOUND) {
        above = beneath_start_above(path, name, e);
    }
    if (is_within(fd >= 0 ? fd : above, top)) {
        close_one(fd);
        close_one(above);
        return error_set(
            e, ERR_REFUSED,
            "%s is in the mail directory, which a backup is to outlive; give a directory elsewhere, best on another disk", path);
    }
    if (fd == ERR_NOTFOUND)
        fd = above < 0 ? above : beneath_make(above, name, BENEATH_MODE(0700), e);
    int err = fd < 0 && fd != ERR_EXISTS && above != -1 ? fd : 0; /* what else is wrong backup_lock says */
    close_one(fd);
    close_one(above);
    return err;
}

/* Calls the backup by the second it is. */
static void take_name(struct backup *b)
{
    struct date d = date_from_unix(clock_real_ms() / 1000, 0);
    (void)snprintf(b->name, sizeof b->name, "%04d%02d%02dT%02d%02d%02dZ", d.year, d.month, d.day, d.hour, d.minute, d.second);
    (void)snprintf(b->partial, sizeof b->partial, "%s.partial", b->name);
}

static int prepare_target(struct backup *b, struct error *e)
{
    struct backup_list list;
    json_t *file;
    size_t i;
    int err = make_target(b->target_name, b->top, e);
    if (err)
        return err;
    b->target = backup_lock(b->target_name, &b->target_lock, e);
    if (b->target < 0)
        return b->target;
    for (take_name(b); beneath_exists(b->target, b->name); take_name(b)) /* the second is taken: the next one comes soon */
        (void)usleep(NAME_PAUSE_US);
    if (backup_generations(b->target, b->target_name, &list, NULL) == 0 &&
        backup_open_in(b->target, b->target_name, list.names[list.n - 1], &b->previous, NULL) == 0 &&
        vault_look(&b->vault, &b->previous, NULL) == 0 && b->vault.sealed == b->lock.used &&
        vault_unlock_server(&b->vault, b->top, NULL) == 0)
        json_array_foreach(json_object_get(b->vault.manifest, "files"), i, file)
            json_object_set(b->before, json_string_value(json_object_get(file, "path")), file);
    backup_list_done(&list);
    return 0;
}

static void report(const struct cli *c, const struct backup *b, const char *target, uint64_t pruned)
{
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:s,s:I,s:I,s:I,s:b,s:b}", "ok", 1, "target", target, "generation", b->name,
                              "copied-bytes", (json_int_t)b->copied, "shared-bytes", (json_int_t)b->shared, "removed",
                              (json_int_t)pruned, "encrypted", b->lock.used, "ca-key", b->has_ca_key && b->with_ca_key);
        mishaps_add_json(&b->mishaps, v);
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s/%s: %s copied, %llu shared with the backup before. %s\n", target, b->name, COUNT(b->copied, "byte", "bytes"),
                 (unsigned long long)b->shared,
                 b->lock.used ? "It is encrypted; without a key or the passphrase nobody reads it again."
                              : "It holds private keys: guard it.");
    if (b->has_ca_key && !b->with_ca_key)
        (void)printf("The CA's key is not in it: keep a copy of %s/keys/ca.key in a safe (or --with-ca-key).\n", b->dir);
    if (pruned)
        (void)printf("%s removed\n", COUNT(pruned, "older one", "older ones"));
}

/* Everything, from an error on nothing more. */
static int make(struct backup *b, bool stream, const struct cli *c, struct error *e)
{
    int err = 0;
    b->top = beneath_start(b->dir, e);
    if (b->top < 0)
        return b->top;
    err = lock_spool(b, e);
    if (err == 0 && !stream)
        err = prepare_target(b, e);
    if (err == 0)
        err = checkpoint(b, e);
    progress_begin(&b->progress, err ? 0 : tree_bytes(b->copy), c->json);
    b->progress.bytes = true;
    if (err == 0)
        err = add_all(b, e);
    if (err == 0)
        err = finish(b, e);
    progress_end(&b->progress);
    if (b->copied_to[0])
        (void)!owner_remove_tree(b->spool, b->copied_to, NULL);
    if (err && b->build >= 0)
        tree_remove(b->target, b->partial, b->build);
    return err;
}

static void done(struct backup *b)
{
    vault_close(&b->vault);
    vault_lock_done(&b->lock);
    backup_close(&b->previous);
    close_one(b->files);
    close_one(b->build);
    backup_unlock(b->target, b->target_lock);
    close_one(b->copy);
    close_one(b->spool);
    tree_unlock(b->top, dir_lock, b->own_lock);
    close_one(b->top);
    mishaps_done(&b->mishaps);
    json_decref(b->before);
    json_decref(b->list);
    json_decref(b->pieces);
    json_decref(b->revoked);
    free(b);
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
    int status = cli_number(c, "keep", 0, 100000, &keep);
    if (status || (stream && keep)) {
        free(b);
        return status ? status : cli_usage(c, "backup: --keep is for a directory");
    }
    *b = (struct backup){ .dir = c->dir,
                          .top = -1,
                          .spool = -1,
                          .copy = -1,
                          .target_name = target,
                          .target = -1,
                          .own_lock = -1,
                          .target_lock = -1,
                          .build = -1,
                          .files = -1,
                          .previous = { .fd = -1, .beside = -1, .files = -1 },
                          .before = json_object(),
                          .list = json_array(),
                          .pieces = json_array(),
                          .revoked = json_array(),
                          .with_ca_key = cli_value(c, "with-ca-key") };
    mishaps_init(&b->mishaps, &b->progress, c->json);
    take_name(b);
    (void)signal(SIGPIPE, SIG_IGN); /* whoever reads the stream may leave: an error, after which all is tidied up */
    status = vault_lock_init(&b->lock, c, !stream);
    if (status) {
        done(b);
        return status;
    }
    int err = stream && isatty(STDOUT_FILENO)
                  ? error_set(&e, ERR_REFUSED, "a backup is not for a terminal: valise backup - >file.tar")
                  : make(b, stream, c, &e);
    if (err == 0 && keep)
        err = backup_prune(b->target, target, keep, &pruned, &e);
    if (err == 0 && !stream)
        report(c, b, target, pruned);
    status = err ? cli_fail(c, err, e.text) : mishaps_status(&b->mishaps, false, "files");
    done(b);
    return status;
}
