/* backup_care: valise backup list, check and prune. See backup.h for what a backup looks like. */
#include <unistd.h>

#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/progress.h"

enum { KEEP_MAX = 100000 };

/* --- list --- */

static json_t *describe(const char *name, const json_t *manifest)
{
    const json_t *file;
    size_t i;
    json_int_t bytes = 0;
    json_array_foreach(json_object_get(manifest, "files"), i, file) bytes += json_integer_value(json_object_get(file, "size"));
    return json_pack("{s:s,s:O,s:I,s:I}", "generation", name, "valise", json_object_get(manifest, "valise"), "files",
                     (json_int_t)json_array_size(json_object_get(manifest, "files")), "bytes", bytes);
}

static void print_generation(const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "generation"));
    (void)printf("%s  %.4s-%.2s-%.2s %.2s:%.2s UTC  %8lld files %10lld KiB  by valise %s\n", name, name, name + 4, name + 6,
                 name + 9, name + 11, (long long)json_integer_value(json_object_get(v, "files")),
                 (long long)json_integer_value(json_object_get(v, "bytes")) / 1024, cli_string(json_object_get(v, "valise")));
}

static int list_all(const char *target, json_t *all, struct error *e)
{
    struct backup_list list = { 0 };
    int fd = beneath_start(target, e);
    int err = fd < 0 ? fd : backup_generations(fd, target, &list, e);
    for (size_t i = 0; err == 0 && i < list.n; i++) {
        struct backup_generation g;
        json_t *manifest = NULL;
        err = backup_open_in(fd, target, list.names[i], &g, e);
        if (err == 0)
            err = backup_manifest(&g, &manifest, e);
        if (err == 0)
            json_array_append_new(all, describe(list.names[i], manifest));
        json_decref(manifest);
        backup_close(&g);
    }
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
    int err = list_all(c->words[0], all, &e);
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

/* Whether FILE is as the manifest says; the reason if not. */
static int check_file(const struct backup_generation *g, const json_t *file, struct error *e)
{
    char sum[TREE_SUM_TEXT];
    const char *path = json_string_value(json_object_get(file, "path"));
    uint64_t size;
    int fd = backup_open_file(g, file, e);
    if (fd < 0)
        return fd;
    int err = tree_read(fd, path, NULL, NULL, &size, sum, e);
    (void)close(fd);
    if (err == 0 && size != (uint64_t)json_integer_value(json_object_get(file, "size")))
        err = error_set(e, ERR_CORRUPT, "%s/files/%s is damaged: it has %llu bytes instead of %lld", g->path, path,
                        (unsigned long long)size, (long long)json_integer_value(json_object_get(file, "size")));
    else if (err == 0 && !str_eq(str_from_z(sum), str_from_z(json_string_value(json_object_get(file, "sha256")))))
        err = error_set(e, ERR_CORRUPT, "%s/files/%s is damaged: its checksum is not that of the manifest", g->path, path);
    return err;
}

struct checking {
    const struct cli *cli;
    json_t *damage;
    uint64_t files;
};

/* Every damage is told, not only the first. An error only when the manifest cannot be read. */
static int check_generation(struct checking *c, const struct backup_generation *g, struct error *e)
{
    json_t *manifest, *file;
    struct progress progress;
    size_t i;
    int err = backup_manifest(g, &manifest, e);
    if (err)
        return err;
    progress_begin(&progress, json_array_size(json_object_get(manifest, "files")), c->cli->json);
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        struct error why = ERROR_NONE;
        if (check_file(g, file, &why))
            json_array_append_new(c->damage, json_string(why.text));
        c->files++;
        progress_step(&progress, 1);
    }
    progress_end(&progress);
    json_decref(manifest);
    return 0;
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
        err = error_set(&e, ERR_CORRUPT, "%zu of %llu files are damaged; make a new backup, and restore from another one", n,
                        (unsigned long long)k.files);
    }
    if (err == 0 && c->json) {
        json_t *whole = json_pack("{s:b,s:I}", "ok", 1, "files", (json_int_t)k.files);
        cli_print_json(whole);
        json_decref(whole);
    } else if (err == 0) {
        (void)printf("%llu files are as they were backed up\n", (unsigned long long)k.files);
    }
    json_decref(k.damage);
    return err ? cli_fail_files(c, &e) : 0;
}

/* --- prune --- */

int backup_prune(int target, const char *name, uint64_t keep, uint64_t *ret_removed, struct error *e)
{
    struct backup_list list;
    int err = backup_generations(target, name, &list, e);
    *ret_removed = 0;
    for (size_t i = 0; err == 0 && i + keep < list.n; i++) {
        char gone[BACKUP_NAME_MAX + 16];
        /* No longer whole by its name (B1), so that a crash in between leaves nothing that looks like a backup. */
        (void)snprintf(gone, sizeof gone, "%s.partial", list.names[i]);
        err = beneath_rename(target, list.names[i], target, gone, false, e);
        if (err == 0)
            (void)!beneath_remove_tree(target, gone, NULL);
        *ret_removed += err == 0;
    }
    backup_list_done(&list);
    return err;
}

int cmd_backup_prune(struct cli *c)
{
    struct error e = ERROR_NONE;
    uint64_t keep = 0, removed = 0;
    int status = cli_number(c, "keep", KEEP_MAX, &keep);
    if (status)
        return status;
    if (keep == 0)
        return cli_usage(c, "backup prune: --keep N is needed, at least 1");
    int lock = backup_lock(c->words[0], &e);
    int err = lock < 0 ? lock : backup_prune(lock, c->words[0], keep, &removed, &e);
    if (lock >= 0)
        (void)close(lock);
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
