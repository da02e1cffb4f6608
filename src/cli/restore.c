/* restore: valise restore. A whole backup becomes a new directory; or one account, or one mailbox of it, comes back into the store, with the server
 * running or not, next to what is there. See backup.h for what a backup looks like. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/deposit.h"
#include "cli/owner.h"
#include "cli/progress.h"

static void close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* --- all --- */

/* Where a whole backup goes: a new directory NAME in the open directory above it, built as BUILD beside it. */
struct place {
    int above, build;
    char name[BENEATH_NAME_MAX], build_name[BENEATH_NAME_MAX];
};

static int make_folders(const struct place *p, struct error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = { { "keys", 0700 }, { "tls", 0755 }, { "store", 0700 }, { "spool", 0700 } };
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        int fd = beneath_make(p->build, folders[i].name, BENEATH_MODE(folders[i].mode), e);
        err = fd < 0 ? fd : 0;
        close_one(fd);
    }
    return err;
}

/* One file of G as TO below DIR, with the checksum that the manifest has for it. */
static int restore_file(const struct backup_generation *g, const json_t *file, int dir, struct beneath_rights rights,
                        struct error *e)
{
    const char *path = json_string_value(json_object_get(file, "path")),
               *want = json_string_value(json_object_get(file, "sha256"));
    char sum[TREE_SUM_TEXT];
    uint64_t size;
    int fd = backup_open_file(g, file, e);
    if (fd < 0)
        return fd;
    int err = tree_copy(fd, dir, path, rights, &size, sum, e);
    (void)close(fd);
    if (err == 0 && !str_eq(str_from_z(want), str_from_z(sum)))
        err = error_set(e, ERR_CORRUPT, "%s/files/%s is damaged: its checksum is not that of the manifest", g->path, path);
    return err;
}

static int give_one(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    const struct passwd *pw = ctx;
    if (fchownat(entry->dir, entry->name, pw->pw_uid, pw->pw_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s", entry->path, strerrordesc_np(errno));
    return 0;
}

/* As init does: root makes the directory for the user that the server will run as. */
static int give_to_user(const struct place *p, struct error *e)
{
    struct passwd *pw = geteuid() == 0 ? getpwnam("valise") : NULL;
    if (!pw)
        return 0;
    int err = beneath_walk(p->build, give_one, pw, e);
    if (err == 0 && fchown(p->build, pw->pw_uid, pw->pw_gid) != 0)
        err = error_set(e, err_from_errno(errno), "%s: %s", p->build_name, strerrordesc_np(errno));
    return err;
}

/* Opens what DIR will be in; what is left there of a restore that was interrupted is removed. */
static int find_place(const char *dir, struct place *ret, struct error *e)
{
    char parent[TREE_PATH_MAX], prefix[BENEATH_NAME_MAX];
    str path = str_from_z(dir);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    size_t slash = str_rfind_byte(path, '/');
    str name = slash < path.n ? str_from(path, slash + 1) : path;
    if (!beneath_is_name(name) || name.n > BENEATH_NAME_MAX - 32 || path.n >= sizeof parent)
        return error_set(e, ERR_LIMIT, "%s: the directory's path is too long or does not end in a name", dir);
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", STR_ARG(name));
    (void)snprintf(parent, sizeof parent, "%.*s", slash < path.n ? (int)slash + 1 : 1, slash < path.n ? path.p : ".");
    (void)snprintf(prefix, sizeof prefix, "%.200s.restore-", ret->name);
    ret->above = beneath_start(parent, e);
    if (ret->above < 0)
        return ret->above;
    tree_remove_stale(ret->above, prefix);
    if (beneath_exists(ret->above, ret->name)) {
        int err = beneath_remove_directory(ret->above, ret->name, e);
        if (err)
            return error_set(
                e, ERR_EXISTS,
                "%s: it is there and not empty; a whole backup goes into a new or empty directory (--dir), --account "
                "into a store in use",
                dir);
    }
    ret->build = beneath_make_private(ret->above, prefix, ret->build_name, e);
    return ret->build < 0 ? ret->build : tree_claim(ret->build, ret->build_name, e);
}

static int restore_files(const struct cli *c, const struct backup_generation *g, const struct place *p, const json_t *manifest,
                         struct error *e)
{
    struct progress progress;
    const json_t *file;
    size_t i;
    int err = make_folders(p, e);
    progress_begin(&progress, json_array_size(json_object_get(manifest, "files")), c->json);
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        mode_t mode = (mode_t)json_integer_value(json_object_get(file, "mode")) & 0777;
        if (err == 0)
            err = restore_file(g, file, p->build, BENEATH_MODE(mode), e);
        progress_step(&progress, 1);
    }
    progress_end(&progress);
    return err;
}

static int restore_all(const struct cli *c, const struct backup_generation *g, struct error *e)
{
    struct place p = { .above = -1, .build = -1 };
    json_t *manifest = NULL;
    int err = backup_manifest(g, &manifest, e);
    if (err == 0)
        err = find_place(c->dir, &p, e);
    if (err == 0)
        err = restore_files(c, g, &p, manifest, e);
    json_decref(manifest);
    if (err == 0)
        err = give_to_user(&p, e);
    if (err == 0 && fchmod(p.build, 0755) != 0)
        err = error_set(e, err_from_errno(errno), "%s: %s", c->dir, strerrordesc_np(errno));
    if (err == 0)
        err = beneath_rename(p.above, p.build_name, p.above, p.name, false, e);
    if (err == 0)
        err = beneath_sync(p.above, c->dir, e);
    if (err && p.build >= 0)
        (void)!beneath_remove_tree(p.above, p.build_name, NULL);
    close_one(p.build);
    close_one(p.above);
    return err;
}

/* --- an account or a mailbox --- */

/* A store to open, as the server's user and apart from what else root has: the backup is never written to, and opening a store writes. It lies in a
 * folder inside one that only we can enter. */
struct clone {
    int above, outer, top;
    char name[BENEATH_NAME_MAX];
    bool linked; /* what never changes may be shared with the backup */
};

/* Whom the store in DIR belongs to, if root asks; else ourselves. */
static int whose_store(const char *dir, struct beneath_rights *ret, struct error *e)
{
    struct stat st;
    *ret = BENEATH_MODE(0700);
    if (geteuid() != 0)
        return 0;
    int top = beneath_start(dir, e), store = top < 0 ? top : owner_open_store(top, e), err = store < 0 ? store : 0;
    if (err == 0 && fstat(store, &st) != 0)
        err = error_set(e, err_from_errno(errno), "store: %s", strerrordesc_np(errno));
    if (err == 0 && st.st_uid != 0) {
        ret->uid = st.st_uid;
        ret->gid = st.st_gid;
    }
    close_one(store);
    close_one(top);
    return err ? error_prefix(e, "%s", dir) : 0;
}

/* Beside the backup where that can be, else in /tmp; what interrupted restores left is removed. */
static int make_clone(const struct backup_generation *g, struct beneath_rights rights, struct clone *ret, struct error *e)
{
    tree_remove_stale(g->beside, "restore-");
    ret->above = beneath_directory(g->beside, ".", e);
    ret->outer = ret->above < 0 ? ret->above : beneath_make_private(ret->above, "restore-", ret->name, e);
    ret->linked = rights.uid == (uid_t)-1 && ret->outer >= 0;
    if (ret->outer < 0) {
        close_one(ret->above);
        ret->above = beneath_start("/tmp", e);
        ret->outer = ret->above < 0 ? ret->above : beneath_make_private(ret->above, "valise-restore-", ret->name, e);
    }
    if (ret->outer < 0)
        return ret->outer;
    int err = tree_claim(ret->outer, ret->name, e);
    if (err == 0)
        ret->top = err = beneath_make(ret->outer, "valise", rights, e);
    return err < 0 ? err : 0;
}

static int clone_store(const struct backup_generation *g, const struct clone *clone, struct beneath_rights rights,
                       struct error *e)
{
    json_t *manifest, *file;
    size_t i;
    int err = backup_manifest(g, &manifest, e);
    if (err)
        return err;
    int store = beneath_make(clone->top, "store", rights, e);
    err = store < 0 ? store : 0;
    close_one(store);
    rights.mode = 0600;
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        const char *path = json_string_value(json_object_get(file, "path"));
        str name = str_from_z(path);
        if (err || !str_starts(name, STR("store/")))
            continue;
        if (clone->linked && (str_ends(name, STR(".sst")) || str_ends(name, STR(".blob"))) &&
            beneath_link(g->files, path, clone->top, path, NULL) == 0)
            continue;
        err = restore_file(g, file, clone->top, rights, e);
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

static void remove_clone(struct clone *clone)
{
    if (clone->outer >= 0)
        (void)!beneath_remove_tree(clone->above, clone->name, NULL);
    close_one(clone->top);
    close_one(clone->outer);
    close_one(clone->above);
}

static int restore_account(const struct cli *c, const struct backup_generation *g, struct deposit *ret, struct error *e)
{
    struct restore r = { .message = BUF_INIT((size_t)BULK_MESSAGE_MAX) };
    struct clone clone = { .above = -1, .outer = -1, .top = -1 };
    struct beneath_rights rights;
    int err = whose_store(c->dir, &rights, e);
    if (err == 0)
        err = make_clone(g, rights, &clone, e);
    if (err == 0)
        err = clone_store(g, &clone, rights, e);
    if (err == 0)
        err = port_open_store(clone.top, g->path, &r.from, e);
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
    remove_clone(&clone);
    return err;
}

/* --- the command --- */

int cmd_restore(struct cli *c)
{
    struct backup_generation g;
    struct error e = ERROR_NONE;
    struct deposit d = { 0 };
    bool whole = !cli_value(c, "account");
    if (whole && (cli_value(c, "mailbox") || cli_value(c, "into")))
        return cli_usage(c, "restore: --mailbox and --into go with --account");
    int err = backup_open(c->words[0], &g, &e);
    if (err == 0)
        err = whole ? restore_all(c, &g, &e) : restore_account(c, &g, &d, &e);
    backup_close(&g);
    if (err)
        return cli_fail(c, err, e.text);
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:I,s:I}", "ok", 1, "generation", g.path, "added", (json_int_t)d.added, "skipped",
                              (json_int_t)d.skipped);
        cli_print_json(v);
        json_decref(v);
    } else if (whole) {
        (void)printf("%s is as it was in %s; `valise check --deep` looks at every message\n", c->dir, g.path);
    } else {
        (void)printf("%llu messages came back, %llu were there\n", (unsigned long long)d.added, (unsigned long long)d.skipped);
    }
    return 0;
}
