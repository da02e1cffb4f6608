/* restore: valise restore. A whole backup becomes a new directory; or one account, or one mailbox of it, comes back into the store, with the server
 * running or not, next to what is there. See backup.h for what a backup looks like. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/deposit.h"
#include "cli/progress.h"

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

/* --- all --- */

static int make_folders(const char *dir, struct error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = { { "keys", 0700 }, { "tls", 0755 }, { "store", 0700 }, { "spool", 0700 } };
    char path[TREE_PATH_MAX];
    int err = mkdir(dir, 0755) == 0 ? 0 : fail_at(dir, e);
    for (size_t i = 0; err == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        err = backup_join(path, dir, folders[i].name, e);
        if (err == 0 && mkdir(path, folders[i].mode) != 0)
            err = fail_at(path, e);
    }
    return err;
}

/* One file, with the checksum that the manifest has for it. */
static int restore_file(const char *generation, const char *dir, const json_t *file, struct error *e)
{
    const char *path = json_string_value(json_object_get(file, "path")),
               *want = json_string_value(json_object_get(file, "sha256"));
    char from[TREE_PATH_MAX * 2 + 16], to[TREE_PATH_MAX], sum[TREE_SUM_TEXT];
    uint64_t size;
    (void)snprintf(from, sizeof from, "%s/files/%s", generation, path);
    int err = backup_join(to, dir, path, e);
    if (err == 0)
        err = tree_copy(from, to, (mode_t)json_integer_value(json_object_get(file, "mode")), &size, sum, e);
    if (err == 0 && !str_eq(str_from_z(want), str_from_z(sum)))
        err = error_set(e, ERR_CORRUPT, "%s is damaged: its checksum is not that of the manifest", from);
    return err;
}

static uid_t owner_uid;
static gid_t owner_gid;

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, owner_uid, owner_gid);
}

/* As init does: root makes the directory for the user that the server will run as. */
static int give_to_user(const char *dir, struct error *e)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam("valise") : NULL;
    if (!pw)
        return 0;
    owner_uid = pw->pw_uid;
    owner_gid = pw->pw_gid;
    return nftw(dir, give_one, 16, FTW_PHYS) == 0 ? 0 : fail_at(dir, e);
}

/* The directory beside DIR in which it is built; what is left there of a restore that was interrupted is removed. */
static int name_build(const char *dir, char ret[TREE_PATH_MAX], struct error *e)
{
    char parent[TREE_PATH_MAX], prefix[TREE_PATH_MAX];
    str path = str_from_z(dir);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    size_t slash = str_rfind_byte(path, '/');
    int n = snprintf(ret, TREE_PATH_MAX, "%.*s.restore-%d", STR_ARG(path), (int)getpid());
    if (n < 0 || n >= TREE_PATH_MAX)
        return error_set(e, ERR_LIMIT, "the directory's path is too long");
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash < path.n ? slash : 0), path.p);
    (void)snprintf(prefix, sizeof prefix, "%.*s.restore-", STR_ARG(slash < path.n ? str_from(path, slash + 1) : path));
    tree_remove_stale(slash == path.n ? "." : parent[0] ? parent : "/", prefix);
    return 0;
}

static int restore_all(const struct cli *c, const char *generation, struct error *e)
{
    char build[TREE_PATH_MAX];
    json_t *manifest, *file;
    size_t i;
    struct progress progress;
    int claim = -1, err = name_build(c->dir, build, e);
    if (err)
        return err;
    if (rmdir(c->dir) != 0 && errno != ENOENT)
        return error_set(e, ERR_EXISTS,
                         "%s: %s; a whole backup goes into a new or empty directory (--dir), --account into a store in use",
                         c->dir, strerrordesc_np(errno));
    err = backup_manifest(generation, &manifest, e);
    if (err)
        return err;
    progress_begin(&progress, json_array_size(json_object_get(manifest, "files")), c->json);
    err = make_folders(build, e);
    if (err == 0) {
        claim = tree_claim(build, e);
        err = claim < 0 ? claim : 0;
    }
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        if (err == 0)
            err = restore_file(generation, build, file, e);
        progress_step(&progress, 1);
    }
    progress_end(&progress);
    json_decref(manifest);
    if (err == 0)
        err = give_to_user(build, e);
    if (err == 0 && rename(build, c->dir) != 0)
        err = fail_at(c->dir, e);
    if (err)
        tree_remove(build);
    if (claim >= 0)
        (void)close(claim);
    return err;
}

/* --- an account or a mailbox --- */

/* A store to open: the backup is never written to, and opening a store writes. What never changes is linked where that can be, the rest copied. */
static int clone_store(const char *generation, const char *clone, struct error *e)
{
    char from[TREE_PATH_MAX * 2 + 16], to[TREE_PATH_MAX * 2 + 16], sum[TREE_SUM_TEXT];
    json_t *manifest, *file;
    size_t i;
    uint64_t size;
    int err = backup_manifest(generation, &manifest, e);
    if (err)
        return err;
    (void)snprintf(to, sizeof to, "%s/store", clone);
    if (mkdir(to, 0700) != 0)
        err = fail_at(to, e);
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        const char *path = json_string_value(json_object_get(file, "path"));
        str name = str_from_z(path);
        if (err || !str_starts(name, STR("store/")))
            continue;
        (void)snprintf(from, sizeof from, "%s/files/%s", generation, path);
        (void)snprintf(to, sizeof to, "%s/%s", clone, path);
        if ((str_ends(name, STR(".sst")) || str_ends(name, STR(".blob"))) && link(from, to) == 0)
            continue;
        err = tree_copy(from, to, 0600, &size, sum, e);
        if (err == 0 && !str_eq(str_from_z(sum), str_from_z(json_string_value(json_object_get(file, "sha256")))))
            err = error_set(e, ERR_CORRUPT, "%s is damaged: its checksum is not that of the manifest", from);
    }
    json_decref(manifest);
    return err;
}

struct restore {
    struct port from, to;
    struct deposit deposit;
    struct buf message;
    struct progress progress;
};

static int restore_message(void *ctx, const json_t *entry, struct error *e)
{
    struct restore *r = ctx;
    const json_t *list = json_object_get(entry, "keywords"), *v;
    str keywords[MAIL_KEYWORDS_MAX];
    struct mail_flags flags = { .system = (uint64_t)json_integer_value(json_object_get(entry, "flags")), .keywords = keywords };
    size_t i;
    json_array_foreach(list, i, v)
    {
        if (flags.keyword_n < MAIL_KEYWORDS_MAX)
            keywords[flags.keyword_n++] = str_from_z(json_string_value(v));
    }
    json_t *reply;
    int err = bulk_call(&r->from.client, json_pack("{s:s,s:O}", "command", "bulk.read", "email", json_object_get(entry, "email")),
                        (str){ NULL, 0 }, &reply, &r->message, e);
    if (err)
        return err;
    json_decref(reply);
    progress_step(&r->progress, 1);
    return deposit_add(&r->deposit, buf_str(&r->message), &flags, json_integer_value(json_object_get(entry, "received")), e);
}

static int open_both(struct restore *r, const char *account, const char *into, json_t **ret, struct error *e)
{
    int err = bulk_call(&r->from.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", account), (str){ NULL, 0 },
                        ret, NULL, e);
    if (err) {
        (void)error_prefix(e, "in the backup");
        return err;
    }
    err = bulk_do(&r->to.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", into), (str){ NULL, 0 }, e);
    if (err)
        json_decref(*ret);
    return err;
}

static int restore_mailboxes(struct restore *r, const struct cli *c, struct error *e)
{
    const char *account = cli_value(c, "account"), *into = cli_value(c, "into");
    str only = str_from_z(cli_value(c, "mailbox"));
    json_t *reply, *box;
    size_t i;
    bool found = only.n == 0;
    int err = open_both(r, account, into ? into : account, &reply, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "mailboxes"), i,
                       box) if (!only.n || str_eq(only, str_from_z(json_string_value(json_object_get(box, "name")))))
        r->progress.total += (uint64_t)json_integer_value(json_object_get(box, "messages"));
    json_array_foreach(json_object_get(reply, "mailboxes"), i, box)
    {
        str name = str_from_z(json_string_value(json_object_get(box, "name")));
        if (err || (only.n && !str_eq(only, name)))
            continue;
        found = true;
        err = deposit_mailbox(&r->deposit, name, json_string_value(json_object_get(box, "use")), e);
        if (err == 0)
            err = port_each(&r->from, name, restore_message, r, e);
    }
    json_decref(reply);
    if (err == 0 && !found)
        err = error_set(e, ERR_NOTFOUND, "the backup of %s has no mailbox %.*s", account, STR_ARG(only));
    int flush = r->deposit.mailbox.n ? deposit_flush(&r->deposit, err ? NULL : e) : 0;
    return err ? err : flush;
}

/* A directory for the clone, beside the backup where that can be; what interrupted restores left is removed. The claim on it. */
static int make_clone(const char *generation, char ret[TREE_PATH_MAX], struct error *e)
{
    char beside[TREE_PATH_MAX];
    int err = backup_join(beside, generation, "..", e);
    if (err == 0)
        err = backup_join(ret, beside, "restore-XXXXXX", e);
    if (err)
        return err;
    tree_remove_stale(beside, "restore-");
    tree_remove_stale("/tmp", "valise-restore-");
    if (!mkdtemp(ret)) {
        (void)snprintf(ret, TREE_PATH_MAX, "/tmp/valise-restore-XXXXXX");
        if (!mkdtemp(ret))
            return fail_at(ret, e);
    }
    return tree_claim(ret, e);
}

static int restore_account(const struct cli *c, const char *generation, struct deposit *ret, struct error *e)
{
    struct restore r = { .message = BUF_INIT((size_t)BULK_MESSAGE_MAX) };
    char clone[TREE_PATH_MAX];
    int claim = make_clone(generation, clone, e);
    if (claim < 0)
        return claim;
    int err = clone_store(generation, clone, e);
    if (err == 0)
        err = port_open_store(clone, &r.from, e);
    if (err == 0) {
        err = port_open(c->dir, &r.to, e);
        if (err == 0) {
            deposit_init(&r.deposit, &r.to);
            progress_begin(&r.progress, 0, c->json);
            err = restore_mailboxes(&r, c, e);
            progress_end(&r.progress);
            *ret = r.deposit;
            deposit_done(&r.deposit);
            port_close(&r.to);
        }
        port_close(&r.from);
    }
    buf_done(&r.message);
    tree_remove(clone);
    (void)close(claim);
    return err;
}

/* --- the command --- */

int cmd_restore(struct cli *c)
{
    char generation[TREE_PATH_MAX];
    struct error e = ERROR_NONE;
    struct deposit d = { 0 };
    bool whole = !cli_value(c, "account");
    if (whole && (cli_value(c, "mailbox") || cli_value(c, "into")))
        return cli_usage(c, "restore: --mailbox and --into go with --account");
    int err = backup_find(c->words[0], generation, &e);
    if (err == 0)
        err = whole ? restore_all(c, generation, &e) : restore_account(c, generation, &d, &e);
    if (err)
        return cli_fail(c, err, e.text);
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:I,s:I}", "ok", 1, "generation", generation, "added", (json_int_t)d.added, "skipped",
                              (json_int_t)d.skipped);
        cli_print_json(v);
        json_decref(v);
    } else if (whole) {
        (void)printf("%s is as it was in %s; `valise check --deep` looks at every message\n", c->dir, generation);
    } else {
        (void)printf("%llu messages came back, %llu were there\n", (unsigned long long)d.added, (unsigned long long)d.skipped);
    }
    return 0;
}
