/* restore: valise restore. A whole backup becomes a new directory; or one account, or one mailbox of it, comes back into the store, with the server
 * running or not, next to what is there. See backup.h for what a backup looks like. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/deposit.h"
#include "cli/filling.h"
#include "cli/mishaps.h"
#include "cli/owner.h"
#include "cli/progress.h"
#include "cli/revoked.h"
#include "cli/vault.h"
#include "pki/pki.h"
#include "role/owners.h"

static void close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* --- all --- */

/* Where a whole backup goes: a new directory NAME in the open directory above it, built as BUILD beside it. */
struct place {
    int above, build,
        former; /* former: what is called NAME already, with nothing but a list of revoked certificates in it; -1: nothing */
    char name[BENEATH_NAME_MAX], build_name[BENEATH_NAME_MAX];
};

/* What came of it. */
struct restored {
    bool has_ca, has_ca_key;
    size_t known;     /* revocations that were found outside the backup */
    uint64_t revoked; /* how many of them were news to it */
};

enum { CA_MAX = 1 << 18 };

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

static int write_some(void *ctx, str bytes, struct error *e)
{
    return beneath_write_open(*(const int *)ctx, "the restored file", bytes, e);
}

/* FILE of V below DIR, durable, once all of it was found as it was backed up. */
static int restore_file(const struct vault *v, const json_t *file, int dir, struct beneath_rights rights, struct error *e)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    int to = beneath_create(dir, path, rights, e);
    if (to < 0)
        return to;
    int err = vault_read(v, file, write_some, &to, e);
    if (err == 0)
        err = beneath_sync(to, path, e);
    (void)close(to);
    return err;
}

/* As init does: root makes the directory for the users that the server will run as. */
static int give_away(const struct place *p, struct error *e)
{
    struct owners o;
    if (geteuid() != 0)
        return fchmod(p->build, 0755) == 0 ? 0
                                           : error_set(e, err_from_errno(errno), "%s: %s", p->build_name, strerrordesc_np(errno));
    int err = owners_find(STR("valise"), &o, e);
    if (err == 0)
        err = owners_compare(p->build, &o, true, NULL, NULL, e);
    return err;
}

/* Opens what is called NAME already when it is empty, or holds a list of revoked certificates and nothing else. */
static int open_former(struct place *p, const char *dir, struct error *e)
{
    struct beneath_names names = { 0 };
    p->former = beneath_directory(p->above, p->name, e);
    int err = p->former < 0 ? p->former : beneath_list(p->former, &names, e);
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (strcmp(names.list[i], REVOKED_FILE) != 0)
            err = error_set(e, ERR_EXISTS,
                            "%s: it is there and not empty; a whole backup goes into a new or empty directory (--dir), --account "
                            "into a store in use",
                            dir);
    beneath_names_free(&names);
    return err;
}

/* Makes room for the new directory: its list of revoked certificates has taken over what this one says. */
static int leave_former(const struct place *p, struct error *e)
{
    if (p->former < 0)
        return 0;
    int err = beneath_exists(p->former, REVOKED_FILE) ? beneath_remove(p->former, REVOKED_FILE, e) : 0;
    return err ? err : beneath_remove_directory(p->above, p->name, e);
}

/* Opens what DIR will be in; what is left there of a restore that was interrupted is removed. */
static int find_place(const char *dir, struct place *ret, struct error *e)
{
    char prefix[BENEATH_NAME_MAX];
    ret->above = beneath_start_above(dir, ret->name, e);
    if (ret->above < 0)
        return ret->above;
    (void)snprintf(prefix, sizeof prefix, "%.200s.restore-", ret->name);
    tree_remove_stale(ret->above, prefix);
    int err = beneath_exists(ret->above, ret->name) ? open_former(ret, dir, e) : 0;
    if (err)
        return err;
    ret->build = beneath_make_private(ret->above, prefix, ret->build_name, e);
    err = ret->build < 0 ? ret->build : tree_claim(ret->build, ret->build_name, e);
    return err ? err : tree_mark(ret->build, ret->build_name, e);
}

static int restore_files(const struct cli *c, const struct vault *v, const struct place *p, struct restored *ret, struct error *e)
{
    struct progress progress;
    const json_t *file;
    size_t i;
    int err = make_folders(p, e);
    progress_begin(&progress, json_array_size(json_object_get(v->manifest, "files")), c->json);
    json_array_foreach(json_object_get(v->manifest, "files"), i, file)
    {
        mode_t mode = (mode_t)json_integer_value(json_object_get(file, "mode")) & 0777;
        str path = str_from_z(json_string_value(json_object_get(file, "path")));
        ret->has_ca = ret->has_ca || str_eq(path, STR("ca.pem"));
        ret->has_ca_key = ret->has_ca_key || str_eq(path, STR("keys/ca.key"));
        if (geteuid() != 0 && path.n) /* keys that keeper's group could read in root's directory are ours alone here */
            mode = owners_mode_of_own(path.p, mode);
        if (err == 0)
            err = restore_file(v, file, p->build, BENEATH_MODE(mode), e);
        progress_step(&progress, 1);
    }
    progress_end(&progress);
    return err;
}

/* --- what was revoked since --- */

/* Whether the valise directory PATH has the CA of the one that is being built; its certificate may have been made anew since. */
static bool has_same_ca(const char *path, int build)
{
    struct buf theirs = BUF_INIT(CA_MAX), ours = BUF_INIT(CA_MAX);
    int top = beneath_start(path, NULL);
    bool same = top >= 0 && beneath_exists(top, "store") && beneath_read(top, "ca.pem", &theirs, NULL) == 0 &&
                beneath_read(build, "ca.pem", &ours, NULL) == 0 && pki_is_same_ca(buf_str(&theirs), buf_str(&ours));
    close_one(top);
    buf_done(&theirs);
    buf_done(&ours);
    return same;
}

/* All that is known of revoked certificates: what was named, what lies beside the backups and where the directory will be, and the system that is there
 * already. */
static int collect_revoked(const struct cli *c, const struct backup_generation *g, const struct place *p, json_t *list,
                           struct error *e)
{
    const char *usual = getenv("VALISE_DIR");
    struct error why = ERROR_NONE;
    size_t n = 0;
    const char *const *named = cli_values(c, "revoked-from", &n);
    int err = 0;
    usual = usual && usual[0] ? usual : "/var/lib/valise";
    for (size_t i = 0; i < n && err == 0; i++)
        err = revoked_read_named(named[i], list, e);
    if (err == 0)
        err = revoked_read(g->beside, REVOKED_FILE, list, e);
    if (err == 0 || err == ERR_NOTFOUND)
        err = p->former >= 0 ? revoked_read(p->former, REVOKED_FILE, list, e) : 0;
    err = err == ERR_NOTFOUND ? 0 : err;
    if (err == 0 && strcmp(usual, c->dir) != 0 && has_same_ca(usual, p->build) &&
        revoked_read_named(usual, list, &why)) /* nobody named it: it may be what is broken */
        (void)fprintf(stderr, "what %s knows of revoked certificates could not be read to the end: %s\n", usual, why.text);
    return err;
}

/* The restored store learns what was revoked since the backup. */
static int apply_revoked(const struct cli *c, const struct backup_generation *g, const struct place *p, struct restored *ret,
                         struct error *e)
{
    struct port port;
    json_t *list = json_array();
    int err = collect_revoked(c, g, p, list, e);
    ret->known = json_array_size(list);
    if (err == 0 && ret->known) {
        err = port_open_store(p->build, c->dir, &port, e);
        if (err == 0) {
            err = revoked_apply(&port, list, &ret->revoked, e);
            port_close(&port);
        }
        if (err == 0)
            err = revoked_write(p->build, list, true, e);
    }
    json_decref(list);
    return err;
}

static int restore_all(const struct cli *c, const struct backup_generation *g, const struct vault *v, struct restored *ret,
                       struct error *e)
{
    struct place p = { .above = -1, .build = -1, .former = -1 };
    int err = find_place(c->dir, &p, e);
    if (err == 0)
        err = restore_files(c, v, &p, ret, e);
    if (err == 0)
        err = give_away(&p, e);
    if (err == 0)
        err = apply_revoked(c, g, &p, ret, e);
    if (err == 0)
        err = leave_former(&p, e);
    if (err == 0)
        err = beneath_rename(p.above, p.build_name, p.above, p.name, false, e);
    if (err == 0)
        err = beneath_sync(p.above, c->dir, e);
    if (err && p.build >= 0)
        tree_remove(p.above, p.build_name, p.build);
    else if (err == 0)
        tree_unmark(p.build, p.build_name);
    close_one(p.former);
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

/* Beside the backup where that can be, else in /tmp; what was encrypted is not put there in the clear, but into the valise directory DIR, which has it
 * anyway. What interrupted restores left is removed. */
static int make_clone(const struct vault *v, const char *dir, struct beneath_rights rights, struct clone *ret, struct error *e)
{
    ret->above = v->sealed ? beneath_start(dir, e) : beneath_directory(v->g->beside, ".", e);
    if (ret->above >= 0)
        tree_remove_stale(ret->above, "restore-");
    ret->outer = ret->above < 0 ? ret->above : beneath_make_private(ret->above, "restore-", ret->name, e);
    ret->linked = rights.uid == (uid_t)-1 && ret->outer >= 0 && !v->sealed;
    if (ret->outer < 0 && !v->sealed) {
        close_one(ret->above);
        ret->above = beneath_start("/tmp", e);
        ret->outer = ret->above < 0 ? ret->above : beneath_make_private(ret->above, "valise-restore-", ret->name, e);
    }
    if (ret->outer < 0)
        return ret->outer;
    int err = tree_claim(ret->outer, ret->name, e);
    if (err == 0)
        err = tree_mark(ret->outer, ret->name, e);
    if (err == 0)
        ret->top = err = beneath_make(ret->outer, "valise", rights, e);
    return err < 0 ? err : 0;
}

static int clone_store(const struct vault *v, const struct clone *clone, struct beneath_rights rights, struct error *e)
{
    const json_t *file;
    size_t i;
    int store = beneath_make(clone->top, "store", rights, e), err = store < 0 ? store : 0;
    close_one(store);
    rights.mode = 0600;
    json_array_foreach(json_object_get(v->manifest, "files"), i, file)
    {
        const char *path = json_string_value(json_object_get(file, "path"));
        str name = str_from_z(path);
        if (err || !str_starts(name, STR("store/")))
            continue;
        if (clone->linked && (str_ends(name, STR(".sst")) || str_ends(name, STR(".blob"))) &&
            beneath_link(v->g->files, path, clone->top, path, NULL) == 0)
            continue;
        err = restore_file(v, file, clone->top, rights, e);
    }
    return err;
}

struct restore {
    struct port from, to;
    struct deposit deposit;
    struct buf message;
    struct progress progress;
    struct mishaps *mishaps;
    str mailbox; /* that comes back now */
};

static void failed(void *ctx, const char *what, const char *reason)
{
    mishaps_add(ctx, what, reason);
}

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
    char what[2 * MAIL_NAME_MAX];
    (void)snprintf(what, sizeof what, "%.*s, UID %lld", STR_ARG(r->mailbox),
                   (long long)json_integer_value(json_object_get(entry, "uid")));
    progress_step(&r->progress, 1);
    if (err == ERR_NOTFOUND || err == ERR_CORRUPT) {
        mishaps_add(r->mishaps, what, e->text);
        *e = ERROR_NONE;
        return 0;
    }
    if (err)
        return err;
    json_decref(reply);
    return deposit_add(&r->deposit, buf_str(&r->message), &flags, json_integer_value(json_object_get(entry, "received")), what,
                       e);
}

static int open_both(struct restore *r, const char *account, const char *into, json_t **ret, json_t **ret_there, struct error *e)
{
    int err = bulk_call(&r->from.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", account), (str){ NULL, 0 },
                        ret, NULL, e);
    if (err) {
        (void)error_prefix(e, "in the backup");
        return err;
    }
    err = filling_open(&r->to, into, strcmp(account, into) == 0, ret_there, e);
    if (err)
        json_decref(*ret);
    return err;
}

static int restore_mailboxes(struct restore *r, const struct cli *c, struct error *e)
{
    const char *account = cli_value(c, "account"), *into = cli_value(c, "into");
    str only = str_from_z(cli_value(c, "mailbox"));
    json_t *reply, *there, *box;
    size_t i;
    bool found = only.n == 0;
    int err = open_both(r, account, into ? into : account, &reply, &there, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "mailboxes"), i,
                       box) if (!only.n || mailbox_name_same(only, str_from_z(json_string_value(json_object_get(box, "name")))))
        r->progress.total += (uint64_t)json_integer_value(json_object_get(box, "messages"));
    json_array_foreach(json_object_get(reply, "mailboxes"), i, box)
    {
        str name = str_from_z(json_string_value(json_object_get(box, "name")));
        if (err || (only.n && !mailbox_name_same(only, name)))
            continue;
        found = true;
        err = r->deposit.mailbox.n ? deposit_flush(&r->deposit, e) : 0;
        if (err)
            continue;
        err = deposit_mailbox(&r->deposit, name, json_string_value(json_object_get(box, "use")), e);
        r->mailbox = name;
        if (err == ERR_SYNTAX || err == ERR_LIMIT || err == ERR_REFUSED) {
            mishaps_add(r->mishaps, json_string_value(json_object_get(box, "name")), e->text);
            *e = ERROR_NONE;
            err = 0;
            continue;
        }
        if (err == 0)
            err = port_each(&r->from, name, restore_message, r, e);
    }
    json_decref(reply);
    if (err == 0 && !found)
        err = error_set(e, ERR_NOTFOUND, "the backup of %s has no mailbox %.*s", account, STR_ARG(only));
    int flush = r->deposit.mailbox.n ? deposit_flush(&r->deposit, err ? NULL : e) : 0;
    err = err ? err : flush;
    if (err)
        filling_explain(&r->to, into ? into : account, there, e);
    json_decref(there);
    return err;
}

static void remove_clone(struct clone *clone)
{
    if (clone->outer >= 0)
        tree_remove(clone->above, clone->name, clone->outer);
    close_one(clone->top);
    close_one(clone->outer);
    close_one(clone->above);
}

static int restore_account(const struct cli *c, const struct vault *v, struct deposit *ret, struct mishaps *mishaps,
                           struct error *e)
{
    struct restore r = { .message = BUF_INIT((size_t)BULK_MESSAGE_MAX), .mishaps = mishaps };
    struct clone clone = { .above = -1, .outer = -1, .top = -1 };
    struct beneath_rights rights;
    int err = whose_store(c->dir, &rights, e);
    if (err == 0)
        err = make_clone(v, c->dir, rights, &clone, e);
    if (err == 0)
        err = clone_store(v, &clone, rights, e);
    if (err == 0)
        err = port_open_store(clone.top, v->g->path, &r.from, e);
    if (err == 0) {
        err = port_open(c->dir, &r.to, e);
        if (err == 0) {
            deposit_init(&r.deposit, &r.to, failed, mishaps);
            mishaps->progress = &r.progress;
            progress_begin(&r.progress, 0, c->json);
            err = restore_mailboxes(&r, c, e);
            progress_end(&r.progress);
            mishaps->progress = NULL;
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

static void report_whole(const struct cli *c, const struct vault *v, const struct restored *r)
{
    const char *made = cli_string(json_object_get(v->manifest, "made"));
    (void)printf("%s is as it was in %s; `valise check --deep` looks at every message\n", c->dir, v->g->path);
    if (backup_is_name(str_from_z(made)))
        (void)printf("That backup says it was made at %.4s-%.2s-%.2s %.2s:%.2s UTC, and is %s; see that it is the one you mean\n",
                     made, made + 4, made + 6, made + 9, made + 11, v->sealed ? "encrypted" : "not encrypted");
    if (r->revoked)
        (void)printf("%s revoked here too\n",
                     COUNT(r->revoked, "certificate was revoked since; it is", "certificates were revoked since; they are"));
    else if (r->has_ca && r->known == 0)
        (void)printf(
            "No list of certificates revoked since the backup was found (%s beside the backups, --revoked-from); what was "
            "revoked after it is valid again: `valise cert list` shows them all\n",
            REVOKED_FILE);
    if (r->has_ca && !r->has_ca_key)
        (void)printf(
            "The backup is without the CA's key: mail works, but no certificate can be issued or renewed until you copy it "
            "from your safe to %s/keys/ca.key and %s\n",
            c->dir, geteuid() == 0 ? "run `valise upgrade --owners'" : "chmod 600 it");
}

static void report(const struct cli *c, const struct vault *v, const struct deposit *d, const struct restored *r,
                   const struct mishaps *mishaps, bool whole)
{
    if (c->json) {
        json_t *j = json_pack("{s:b,s:s,s:s,s:b,s:I,s:I}", "ok", 1, "generation", v->g->path, "made",
                              cli_string(json_object_get(v->manifest, "made")), "encrypted", v->sealed, "added",
                              (json_int_t)d->added, "skipped", (json_int_t)d->skipped);
        if (whole) {
            json_object_set_new(j, "revoked", json_integer((json_int_t)r->revoked));
            json_object_set_new(j, "ca-key", json_boolean(r->has_ca_key));
        }
        mishaps_add_json(mishaps, j);
        cli_print_json(j);
        json_decref(j);
    } else if (whole) {
        report_whole(c, v, r);
    } else {
        (void)printf("%s came back, %s there\n", COUNT(d->added, "message", "messages"), COUNT(d->skipped, "was", "were"));
        deposit_tell_names(d);
    }
}

int cmd_restore(struct cli *c)
{
    struct backup_generation g;
    struct vault v = { 0 };
    struct error e = ERROR_NONE;
    struct deposit d = { 0 };
    struct mishaps mishaps;
    struct restored r = { 0 };
    bool whole = !cli_value(c, "account");
    if (whole && (cli_value(c, "mailbox") || cli_value(c, "into")))
        return cli_usage(c, "restore: --mailbox and --into go with --account");
    if (!whole && cli_value(c, "revoked-from"))
        return cli_usage(c, "restore: --revoked-from is for a whole backup");
    mishaps_init(&mishaps, NULL, c->json);
    int err = backup_open(c->words[0], &g, &e);
    if (err == 0)
        err = vault_look(&v, &g, &e);
    if (err == 0)
        err = vault_unlock(&v, c, NULL, &e);
    if (err == 0)
        err = whole ? restore_all(c, &g, &v, &r, &e) : restore_account(c, &v, &d, &mishaps, &e);
    if (err) {
        vault_close(&v);
        backup_close(&g);
        mishaps_done(&mishaps);
        return cli_fail(c, err, e.text);
    }
    report(c, &v, &d, &r, &mishaps, whole);
    vault_close(&v);
    backup_close(&g);
    int status = mishaps_status(&mishaps, d.keywords_lost > 0, "messages or mailboxes");
    mishaps_done(&mishaps);
    return status;
}
