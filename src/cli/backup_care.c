/* backup_care: valise backup list, check and prune. See backup.h for what a backup looks like. */
#include <unistd.h>

#include "base/count.h"
#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/vault.h"

enum { KEEP_MAX = 100000 };

/* --- list --- */

/* What can be said of V, with its key or without. */
static json_t *describe(const char *name, const struct vault *v)
{
    const json_t *file, *list = json_object_get(v->open ? v->manifest : v->outside, v->open ? "files" : "pieces");
    size_t i;
    bool ca_key = false;
    json_int_t bytes = 0;
    json_array_foreach(list, i, file)
    {
        bytes += json_integer_value(json_object_get(file, "size"));
        ca_key = ca_key || str_eq(str_from_z(json_string_value(json_object_get(file, "path"))), STR("keys/ca.key"));
    }
    json_t *d = json_pack("{s:s,s:O?,s:I,s:I,s:b}", "generation", name, "valise", json_object_get(v->outside, "valise"), "files",
                          (json_int_t)json_array_size(list), "bytes", bytes, "encrypted", v->sealed);
    if (v->open)
        json_object_set_new(d, "ca-key", json_boolean(ca_key));
    if (v->sealed) {
        json_object_set_new(d, "certificates", json_integer((json_int_t)v->who.certificates));
        json_object_set_new(d, "passphrases", json_integer((json_int_t)v->who.passphrases));
    }
    return d;
}

static void print_generation(const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "generation"));
    (void)printf("%s  %.4s-%.2s-%.2s %.2s:%.2s UTC  %8lld files %10lld KiB  by valise %s", name, name, name + 4, name + 6,
                 name + 9, name + 11, (long long)json_integer_value(json_object_get(v, "files")),
                 (long long)json_integer_value(json_object_get(v, "bytes")) / 1024, cli_string(json_object_get(v, "valise")));
    if (json_is_true(json_object_get(v, "encrypted")))
        (void)printf(", encrypted: certificates %lld, passphrases %lld",
                     (long long)json_integer_value(json_object_get(v, "certificates")),
                     (long long)json_integer_value(json_object_get(v, "passphrases")));
    if (json_is_true(json_object_get(v, "ca-key")))
        (void)printf(", with the CA's key");
    (void)printf("\n");
}

static int list_one(const struct cli *c, const struct backup_generation *g, const char *name, struct buf *asked, json_t *all,
                    struct error *e)
{
    struct vault v;
    int err = vault_look(&v, g, e);
    if (err == 0 && v.sealed && vault_has_key(c))
        err = vault_unlock(&v, c, asked, e);
    if (err == 0)
        json_array_append_new(all, describe(name, &v));
    vault_close(&v);
    return err;
}

static int list_all(const struct cli *c, json_t *all, struct error *e)
{
    struct backup_list list = { 0 };
    struct buf asked = { 0 };
    const char *target = c->words[0];
    int fd = beneath_start(target, e);
    int err = fd < 0 ? fd : backup_generations(fd, target, &list, e);
    for (size_t i = 0; err == 0 && i < list.n; i++) {
        struct backup_generation g;
        err = backup_open_in(fd, target, list.names[i], &g, e);
        if (err == 0)
            err = list_one(c, &g, list.names[i], &asked, all, e);
        backup_close(&g);
    }
    buf_done(&asked);
    backup_list_done(&list);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

int cmd_backup_list(struct cli *c)
{
    struct error e = ERROR_NONE;
    json_t *all = json_array(), *v;
    size_t i;
    int err = list_all(c, all, &e);
    if (err == 0 && c->json) {
        json_t *whole = json_pack("{s:b,s:O}", "ok", 1, "generations", all);
        cli_print_json(whole);
        json_decref(whole);
    } else if (err == 0) {
        json_array_foreach(all, i, v) print_generation(v);
    }
    json_decref(all);
    return err ? cli_fail_files(c, &e) : 0;
}

/* --- check --- */

struct checking {
    const struct cli *cli;
    json_t *damage;
    uint64_t files, unread; /* unread: of them, how many could only be compared with what is written outside */
    struct buf asked;
};

/* Without a key: whether each piece is the one that was written, as far as somebody who can write here left that alone. */
static int check_outside(const struct vault *v, const json_t *piece, struct error *e)
{
    char path[TREE_PATH_MAX];
    (void)snprintf(path, sizeof path, "pieces/%s", json_string_value(json_object_get(piece, "name")));
    return vault_check_sealed(v, path, (uint64_t)json_integer_value(json_object_get(piece, "size")),
                              json_string_value(json_object_get(piece, "sha256")), e);
}

/* The list of the pieces, likewise. */
static void check_list(struct checking *c, const struct vault *v)
{
    struct error why = ERROR_NONE;
    const json_t *list = json_object_get(v->outside, "manifest");
    if (vault_check_sealed(v, "manifest", (uint64_t)json_integer_value(json_object_get(list, "size")),
                           cli_string(json_object_get(list, "sha256")), &why))
        json_array_append_new(c->damage, json_string(why.text));
    c->files++;
    c->unread++;
}

/* Every damage is told, not only the first. */
static void check_files(struct checking *c, const struct vault *v)
{
    const json_t *file, *list = json_object_get(v->open ? v->manifest : v->outside, v->open ? "files" : "pieces");
    struct progress progress;
    size_t i;
    if (!v->open)
        check_list(c, v);
    progress_begin(&progress, json_array_size(list), c->cli->json);
    json_array_foreach(list, i, file)
    {
        struct error why = ERROR_NONE;
        if (v->open ? vault_read(v, file, NULL, NULL, &why) : check_outside(v, file, &why))
            json_array_append_new(c->damage, json_string(why.text));
        c->files++;
        c->unread += !v->open;
        progress_step(&progress, 1);
    }
    progress_end(&progress);
}

/* An error only when the manifest cannot be read, or a key that was given does not open it. */
static int check_generation(struct checking *c, const struct backup_generation *g, struct error *e)
{
    struct vault v;
    int err = vault_look(&v, g, e);
    if (err == 0) {
        err = vault_unlock(&v, c->cli, &c->asked, e);
        if (err == ERR_REFUSED && !vault_has_key(c->cli))
            err = 0; /* seen from outside */
    }
    if (err == 0)
        check_files(c, &v);
    vault_close(&v);
    return err;
}

static int check_all(struct checking *c, const char *target, struct error *e)
{
    struct backup_list list = { 0 };
    int fd = beneath_start(target, e);
    int err = fd < 0 ? fd : backup_generations(fd, target, &list, e);
    for (size_t i = 0; err == 0 && i < list.n; i++) {
        struct backup_generation g;
        err = backup_open_in(fd, target, list.names[i], &g, e);
        if (err == 0)
            err = check_generation(c, &g, e);
        backup_close(&g);
    }
    backup_list_done(&list);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

int cmd_backup_check(struct cli *c)
{
    struct backup_generation g;
    struct error e = ERROR_NONE;
    struct checking k = { .cli = c, .damage = json_array() };
    json_t *v;
    size_t i;
    int err;
    if (cli_value(c, "all")) {
        err = check_all(&k, c->words[0], &e);
    } else {
        err = backup_open(c->words[0], &g, &e);
        if (err == 0)
            err = check_generation(&k, &g, &e);
        backup_close(&g);
    }
    size_t n = json_array_size(k.damage);
    if (err == 0 && n) {
        json_array_foreach(k.damage, i, v)(void) fprintf(stderr, "%s\n", cli_string(v));
        err = error_set(&e, ERR_CORRUPT, "%zu of %s %s damaged; make a new backup, and restore from another one", n,
                        COUNT(k.files, "file", "files"), n == 1 ? "is" : "are");
    }
    if (err == 0 && c->json) {
        json_t *whole = json_pack("{s:b,s:I,s:I}", "ok", 1, "files", (json_int_t)k.files, "unread", (json_int_t)k.unread);
        cli_print_json(whole);
        json_decref(whole);
    } else if (err == 0) {
        if (k.files > k.unread || k.files == 0)
            (void)printf("%s backed up\n", COUNT(k.files - k.unread, "file is as it was", "files are as they were"));
        if (k.unread)
            (void)printf(
                "%s written with. That finds a bad disk; whether they can be "
                "decrypted, and whether somebody has changed what is in them, is seen with --key, --p12 or --passphrase only\n",
                COUNT(k.unread, "encrypted file has the checksum that it was",
                      "encrypted files have the checksums that they were"));
    }
    json_decref(k.damage);
    buf_done(&k.asked);
    return err ? cli_fail_files(c, &e) : 0;
}

/* --- prune --- */

/* Generation MADE of the directory TARGET, called NAME, which is called GONE before: no longer whole by that (B1), so that a crash in between leaves nothing that
 * looks like a backup. Its folder may be somebody else's, who calls what he likes as backups are called. */
static int remove_generation(int target, const char *name, const char *made, const char *gone, struct error *e)
{
    int fd = beneath_directory(target, made, e);
    if (fd < 0)
        return fd;
    int err = 0;
    if (!tree_is_ours(fd) || !beneath_exists(fd, "manifest.json"))
        err = error_set(e, ERR_REFUSED, "%s/%s is no backup that was made as this user; see whose it is, and remove it by hand",
                        name, made);
    if (err == 0)
        err = tree_mark(fd, gone, e);
    if (err == 0)
        err = beneath_rename(target, made, target, gone, false, e);
    if (err == 0)
        tree_remove(target, gone, fd);
    (void)close(fd);
    return err;
}

int backup_prune(int target, const char *name, uint64_t keep, uint64_t *ret_removed, struct error *e)
{
    struct backup_list list;
    int err = backup_generations(target, name, &list, e);
    *ret_removed = 0;
    for (size_t i = 0; err == 0 && i + keep < list.n; i++) {
        char gone[BACKUP_NAME_MAX + 16];
        (void)snprintf(gone, sizeof gone, "%s.partial", list.names[i]);
        err = remove_generation(target, name, list.names[i], gone, e);
        *ret_removed += err == 0;
    }
    backup_list_done(&list);
    return err;
}

int cmd_backup_prune(struct cli *c)
{
    struct error e = ERROR_NONE;
    uint64_t keep = 0, removed = 0;
    int status = cli_number(c, "keep", 1, KEEP_MAX, &keep);
    if (status)
        return status;
    if (keep == 0)
        return cli_usage(c, "backup prune: --keep N is needed, at least 1");
    int lock = -1, target = backup_lock(c->words[0], &lock, &e);
    int err = target < 0 ? target : backup_prune(target, c->words[0], keep, &removed, &e);
    backup_unlock(target, lock);
    if (err)
        return cli_fail_files(c, &e);
    if (c->json) {
        json_t *v = json_pack("{s:b,s:I}", "ok", 1, "removed", (json_int_t)removed);
        cli_print_json(v);
        json_decref(v);
    } else {
        (void)printf("%llu removed\n", (unsigned long long)removed);
    }
    return 0;
}
