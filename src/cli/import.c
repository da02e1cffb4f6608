/* import: valise import maildir|mbox. Brings mail from files into an account. A second run adds nothing that the first brought, so that an
 * interrupted one is simply run again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/lines.h"
#include "archive/maildir.h"
#include "archive/mbox.h"
#include "cli/cli.h"
#include "cli/deposit.h"
#include "cli/progress.h"
#include "cli/tree.h"

enum { PATH_BYTES = 4096, DEPTH_MAX = 20 };

struct import {
    struct port port;
    struct deposit deposit;
    struct progress progress;
    str below; /* --mailbox; empty: none */
    struct buf message;
    struct buf mailbox;
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

/* The whole file PATH as TEXT, mapped; *RET_ST its facts. */
static int map_file(const char *path, str *text, struct stat *ret_st, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    void *p = MAP_FAILED;
    *text = (str){ NULL, 0 };
    if (fd < 0 || fstat(fd, ret_st) != 0)
        err = fail_at(path, e);
    else if (!S_ISREG(ret_st->st_mode))
        err = error_set(e, ERR_SYNTAX, "%s is not a file", path);
    else if (ret_st->st_size > 0 && (p = mmap(NULL, (size_t)ret_st->st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        err = fail_at(path, e);
    if (fd >= 0)
        (void)close(fd);
    if (p != MAP_FAILED)
        *text = (str){ p, (size_t)ret_st->st_size };
    return err;
}

static void unmap(str text)
{
    if (text.n)
        (void)munmap((void *)(uintptr_t)text.p, text.n);
}

/* Mailbox NAME of the source is where in the account? INBOX itself is --mailbox, the others lie below it. */
static int open_mailbox(struct import *m, str name, struct error *e)
{
    bool inbox = str_ieq(name, STR("INBOX"));
    buf_reset(&m->mailbox);
    buf_add(&m->mailbox, m->below.n ? m->below : inbox ? STR("INBOX") : name);
    if (m->below.n && !inbox)
        buf_add_all(&m->mailbox, STR("/"), name);
    return deposit_mailbox(&m->deposit, buf_str(&m->mailbox), "", e);
}

/* --- Maildir --- */

static int import_file(struct import *m, const char *path, const char *name, const struct maildir_keywords *k, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct mail_flags flags;
    struct stat st;
    str text;
    int err = map_file(path, &text, &st, e);
    if (err == 0) {
        buf_reset(&m->message);
        archive_to_crlf(&m->message, text);
        unmap(text);
        err = buf_error(&m->message) ? error_set(e, ERR_LIMIT, "%s is too large", path)
                                     : maildir_name_parse(str_from_z(name), k, &a, &flags);
    }
    if (err == 0)
        err = deposit_add(&m->deposit, buf_str(&m->message), &flags, (int64_t)st.st_mtim.tv_sec * 1000, e);
    arena_done(&a);
    progress_step(&m->progress, err ? 0 : (uint64_t)st.st_size);
    return err == ERR_NOTFOUND ? 0 : err; /* moved by a client meanwhile: the next run finds it */
}

static int import_part(struct import *m, const char *folder, const char *part, const struct maildir_keywords *k, struct error *e)
{
    char path[PATH_BYTES];
    struct dirent **list;
    int err = 0, n = snprintf(path, sizeof path, "%s/%s", folder, part);
    n = n < 0 || (size_t)n >= sizeof path ? -1 : scandir(path, &list, NULL, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : fail_at(path, e);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        int len = name[0] == '.' || err ? -1 : snprintf(path, sizeof path, "%s/%s/%s", folder, part, name);
        if (len > 0 && (size_t)len < sizeof path)
            err = import_file(m, path, name, k, e);
        free(list[i]);
    }
    free(list);
    return err;
}

/* A Maildir of one mailbox. */
static int import_folder(struct import *m, const char *folder, str mailbox, struct error *e)
{
    char path[PATH_BYTES];
    struct maildir_keywords k = { 0 };
    struct stat st;
    str text = { NULL, 0 };
    int err = open_mailbox(m, mailbox, e);
    (void)snprintf(path, sizeof path, "%s/dovecot-keywords", folder);
    if (err == 0 && access(path, F_OK) == 0)
        err = map_file(path, &text, &st, e);
    maildir_keywords_parse(text, &k);
    if (err == 0)
        err = import_part(m, folder, "cur", &k, e);
    if (err == 0)
        err = import_part(m, folder, "new", &k, e);
    unmap(text);
    return err;
}

static bool is_maildir(const char *path)
{
    char cur[PATH_BYTES];
    int n = snprintf(cur, sizeof cur, "%s/cur", path);
    return n > 0 && (size_t)n < sizeof cur && access(cur, F_OK) == 0;
}

static int import_maildir(struct import *m, const char *source, struct error *e)
{
    struct dirent **list;
    if (!is_maildir(source))
        return error_set(e, ERR_SYNTAX, "%s is no Maildir: it has no directory cur", source);
    int err = import_folder(m, source, STR("INBOX"), e), n = scandir(source, &list, NULL, alphasort);
    if (n < 0)
        return err ? err : fail_at(source, e);
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES];
        struct arena a = ARENA_INIT(1 << 16);
        str name, folder = str_from_z(list[i]->d_name);
        int len = snprintf(path, sizeof path, "%s/%s", source, list[i]->d_name);
        if (err == 0 && folder.p[0] == '.' && !str_eq(folder, STR(".")) && !str_eq(folder, STR("..")) && len > 0 &&
            (size_t)len < sizeof path && is_maildir(path)) {
            if (maildir_folder_parse(folder, &a, &name) == 0)
                err = import_folder(m, path, name, e);
            else
                err = error_set(e, ERR_SYNTAX, "%s: the folder's name is not modified UTF-7", path);
        }
        arena_done(&a);
        free(list[i]);
    }
    free(list);
    return err;
}

/* --- mbox --- */

static int import_letters(struct import *m, const char *path, str text, struct error *e)
{
    struct mbox_message letter;
    str rest = text;
    size_t left = text.n;
    int err = 0;
    while (err == 0 && mbox_next(&rest, &letter)) {
        struct arena a = ARENA_INIT(1 << 16);
        struct mail_flags flags;
        progress_step(&m->progress, left - rest.n);
        left = rest.n;
        buf_reset(&m->message);
        err = mbox_decode(letter.text, &m->message, &a, &flags);
        if (err)
            (void)error_set(e, err, "%s: a message is too large", path);
        else
            err = deposit_add(&m->deposit, buf_str(&m->message), &flags, letter.received * 1000, e);
        arena_done(&a);
    }
    return err == 0 && rest.n
               ? error_set(e, ERR_SYNTAX, "%s is no mbox: it does not begin with a line \"From sender date\"", path)
               : err;
}

static int import_mbox_file(struct import *m, const char *path, str mailbox, struct error *e)
{
    struct stat st;
    str text;
    int err = open_mailbox(m, mailbox, e);
    if (err == 0)
        err = map_file(path, &text, &st, e);
    if (err)
        return err;
    err = import_letters(m, path, text, e);
    unmap(text);
    return err;
}

/* Undoes what export did to a level of a mailbox's name. */
static void add_level(struct buf *b, str level)
{
    for (size_t i = 0; i < level.n; i++) {
        int hi = level.p[i] == '%' && i + 2 < level.n ? ascii_hex_value(level.p[i + 1]) : -1;
        int lo = hi >= 0 ? ascii_hex_value(level.p[i + 2]) : -1;
        char c = level.p[i];
        if (lo >= 0) {
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        buf_add_byte(b, c);
    }
}

/* Files are mailboxes, directories hold those below. */
static int import_mbox_tree(struct import *m, const char *folder, str parent, unsigned depth, struct error *e)
{
    struct dirent **list;
    int err = depth < DEPTH_MAX ? 0 : error_set(e, ERR_LIMIT, "%s: too deep", folder),
        n = err ? 0 : scandir(folder, &list, NULL, alphasort);
    if (err || n < 0)
        return err ? err : fail_at(folder, e);
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES];
        struct stat st;
        struct buf name = BUF_INIT(PATH_BYTES);
        str file = str_from_z(list[i]->d_name);
        int len = snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (err == 0 && file.p[0] != '.' && len > 0 && (size_t)len < sizeof path && stat(path, &st) == 0) {
            buf_add_all(&name, parent, parent.n ? STR("/") : STR(""));
            add_level(&name, str_ends(file, STR(".mbox")) ? str_sub(file, 0, file.n - 5) : file);
            if (S_ISDIR(st.st_mode))
                err = import_mbox_tree(m, path, buf_str(&name), depth + 1, e);
            else if (S_ISREG(st.st_mode))
                err = import_mbox_file(m, path, buf_str(&name), e);
        }
        buf_done(&name);
        free(list[i]);
    }
    free(list);
    return err;
}

static int import_mbox(struct import *m, const char *source, struct error *e)
{
    struct stat st;
    if (stat(source, &st) != 0)
        return fail_at(source, e);
    return S_ISDIR(st.st_mode) ? import_mbox_tree(m, source, (str){ NULL, 0 }, 0, e)
                               : import_mbox_file(m, source, STR("INBOX"), e);
}

/* --- both --- */

static int run(struct cli *c, int (*import)(struct import *m, const char *source, struct error *e))
{
    struct import m = { .below = str_from_z(cli_value(c, "mailbox")),
                        .message = BUF_INIT((size_t)BULK_MESSAGE_MAX),
                        .mailbox = BUF_INIT(PATH_BYTES) };
    struct error e = ERROR_NONE;
    int err = port_open(c->dir, &m.port, &e);
    if (err)
        return cli_fail(c, err, e.text);
    deposit_init(&m.deposit, &m.port);
    err = bulk_do(&m.port.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", c->words[0]), (str){ NULL, 0 }, &e);
    progress_begin(&m.progress, tree_bytes(c->words[1]), c->json);
    m.progress.bytes = true;
    if (err == 0)
        err = import(&m, c->words[1], &e);
    /* What was taken before a mistake is kept: the next run goes on from there. */
    int flush = m.deposit.mailbox.n ? deposit_flush(&m.deposit, err ? NULL : &e) : 0;
    err = err ? err : flush;
    progress_end(&m.progress);
    const struct deposit *d = &m.deposit;
    if (err == 0 && c->json) {
        json_t *v = json_pack("{s:b,s:I,s:I,s:I,s:I}", "ok", 1, "mailboxes", (json_int_t)d->mailboxes, "added",
                              (json_int_t)d->added, "skipped", (json_int_t)d->skipped, "bytes", (json_int_t)d->bytes);
        cli_print_json(v);
        json_decref(v);
    } else if (err == 0) {
        (void)printf("%s: %llu messages added to %llu mailboxes, %llu bytes; %llu were there already\n", c->words[0],
                     (unsigned long long)d->added, (unsigned long long)d->mailboxes, (unsigned long long)d->bytes,
                     (unsigned long long)d->skipped);
    }
    deposit_done(&m.deposit);
    port_close(&m.port);
    buf_done(&m.message);
    buf_done(&m.mailbox);
    return err ? cli_fail(c, err, e.text) : 0;
}

int cmd_import_maildir(struct cli *c)
{
    return run(c, import_maildir);
}

int cmd_import_mbox(struct cli *c)
{
    return run(c, import_mbox);
}
