/* import: valise import maildir|mbox. Brings mail from files into an account. A second run adds nothing that the first brought, so that an
 * interrupted one is simply run again. A user's Maildir holds what he wants: it is read by descriptor, and by root with the rights of its owner;
 * links, FIFOs and the like in it are left out. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/lines.h"
#include "archive/maildir.h"
#include "archive/mbox.h"
#include "cli/cli.h"
#include "cli/deposit.h"
#include "cli/owner.h"
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
    uint64_t left_out; /* names in the source that are neither regular files nor folders */
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

/* The whole open file FD, which is closed, as TEXT, mapped. PATH is for messages. */
static int map_file(int fd, const struct stat *st, const char *path, str *text, struct error *e)
{
    int err = 0;
    void *p = MAP_FAILED;
    *text = (str){ NULL, 0 };
    if (st->st_size > 0 && (p = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        err = fail_at(path, e);
    (void)close(fd);
    if (p != MAP_FAILED)
        *text = (str){ p, (size_t)st->st_size };
    return err;
}

/* Whether NAME in the open directory is a regular file or, if ASKED is S_IFDIR, a folder; anything else is told at the end. */
static bool is_kind(struct import *m, int dir, const char *name, mode_t asked)
{
    struct stat st;
    if (beneath_look(dir, name, &st, NULL))
        return false; /* removed meanwhile */
    m->left_out += !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    return (st.st_mode & S_IFMT) == asked;
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

static int import_file(struct import *m, int dir, const char *name, const struct maildir_keywords *k, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct mail_flags flags;
    struct stat st;
    str text;
    int fd = is_kind(m, dir, name, S_IFREG) ? beneath_file(dir, name, &st, e) : ERR_NOTFOUND;
    if (fd == ERR_NOTFOUND)
        return 0; /* moved by a client meanwhile: the next run finds it */
    int err = fd < 0 ? fd : map_file(fd, &st, name, &text, e);
    if (err == 0) {
        buf_reset(&m->message);
        archive_to_crlf(&m->message, text);
        unmap(text);
        err = buf_error(&m->message) ? error_set(e, ERR_LIMIT, "%s is too large", name)
                                     : maildir_name_parse(str_from_z(name), k, &a, &flags);
    }
    if (err == 0)
        err = deposit_add(&m->deposit, buf_str(&m->message), &flags, (int64_t)st.st_mtim.tv_sec * 1000, e);
    arena_done(&a);
    progress_step(&m->progress, err ? 0 : (uint64_t)st.st_size);
    return err;
}

static int import_part(struct import *m, int folder, const char *part, const struct maildir_keywords *k, struct error *e)
{
    struct beneath_names names = { 0 };
    int dir = beneath_directory(folder, part, e);
    if (dir < 0)
        return dir == ERR_NOTFOUND ? 0 : dir;
    int err = beneath_list(dir, &names, e);
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (names.list[i][0] != '.')
            err = import_file(m, dir, names.list[i], k, e);
    beneath_names_free(&names);
    (void)close(dir);
    return err;
}

/* A Maildir of one mailbox, in the open directory FOLDER. */
static int import_folder(struct import *m, int folder, str mailbox, struct error *e)
{
    struct maildir_keywords k = { 0 };
    struct stat st;
    str text = { NULL, 0 };
    int err = open_mailbox(m, mailbox, e);
    if (err == 0 && is_kind(m, folder, "dovecot-keywords", S_IFREG)) {
        int fd = beneath_file(folder, "dovecot-keywords", &st, e);
        err = fd < 0 ? fd : map_file(fd, &st, "dovecot-keywords", &text, e);
    }
    maildir_keywords_parse(text, &k);
    if (err == 0)
        err = import_part(m, folder, "cur", &k, e);
    if (err == 0)
        err = import_part(m, folder, "new", &k, e);
    unmap(text);
    return err;
}

/* NAME in the open directory SOURCE, if it is a Maildir. */
static int import_below(struct import *m, int source, const char *name, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 16);
    str mailbox;
    int fd = is_kind(m, source, name, S_IFDIR) ? beneath_directory(source, name, e) : ERR_NOTFOUND;
    int err = fd == ERR_NOTFOUND ? 0 : fd < 0 ? fd : 0;
    if (fd >= 0 && beneath_exists(fd, "cur")) {
        if (maildir_folder_parse(str_from_z(name), &a, &mailbox) == 0)
            err = import_folder(m, fd, mailbox, e);
        else
            err = error_set(e, ERR_SYNTAX, "%s: the folder's name is not modified UTF-7", name);
    }
    arena_done(&a);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static int import_maildir(struct import *m, int source, const struct stat *st, const char *path, struct error *e)
{
    struct beneath_names names = { 0 };
    if (!S_ISDIR(st->st_mode) || !beneath_exists(source, "cur"))
        return error_set(e, ERR_SYNTAX, "%s is no Maildir: it has no directory cur", path);
    int err = import_folder(m, source, STR("INBOX"), e);
    if (err == 0)
        err = beneath_list(source, &names, e);
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (names.list[i][0] == '.')
            err = import_below(m, source, names.list[i], e);
    beneath_names_free(&names);
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

/* The open file FD, which is closed. */
static int import_mbox_file(struct import *m, int fd, const struct stat *st, const char *path, str mailbox, struct error *e)
{
    str text = { NULL, 0 };
    int err = open_mailbox(m, mailbox, e), mapped = map_file(fd, st, path, &text, err ? NULL : e);
    if (err == 0 && mapped == 0)
        err = import_letters(m, path, text, e);
    unmap(text);
    return err ? err : mapped;
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

static int import_mbox_tree(struct import *m, int folder, str parent, unsigned depth, struct error *e);

/* NAME in the open directory FOLDER: a file is a mailbox, a folder holds those below. */
static int import_mbox_name(struct import *m, int folder, const char *name, str parent, unsigned depth, struct error *e)
{
    struct buf mailbox = BUF_INIT(PATH_BYTES);
    struct stat st;
    str file = str_from_z(name);
    int err = 0, fd = -1;
    buf_add_all(&mailbox, parent, parent.n ? STR("/") : STR(""));
    add_level(&mailbox, str_ends(file, STR(".mbox")) ? str_sub(file, 0, file.n - 5) : file);
    if (beneath_look(folder, name, &st, NULL) == 0 && S_ISDIR(st.st_mode)) {
        fd = beneath_directory(folder, name, e);
        err = fd < 0 ? fd : import_mbox_tree(m, fd, buf_str(&mailbox), depth + 1, e);
        if (fd >= 0)
            (void)close(fd);
    } else if (is_kind(m, folder, name, S_IFREG)) {
        fd = beneath_file(folder, name, &st, e);
        err = fd < 0 ? fd : import_mbox_file(m, fd, &st, name, buf_str(&mailbox), e);
    }
    buf_done(&mailbox);
    return err;
}

static int import_mbox_tree(struct import *m, int folder, str parent, unsigned depth, struct error *e)
{
    struct beneath_names names = { 0 };
    int err = depth < DEPTH_MAX ? beneath_list(folder, &names, e) : error_set(e, ERR_LIMIT, "%.*s: too deep", STR_ARG(parent));
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (names.list[i][0] != '.')
            err = import_mbox_name(m, folder, names.list[i], parent, depth, e);
    beneath_names_free(&names);
    return err;
}

static int import_mbox(struct import *m, int source, const struct stat *st, const char *path, struct error *e)
{
    if (S_ISDIR(st->st_mode))
        return import_mbox_tree(m, source, (str){ NULL, 0 }, 0, e);
    int copy = dup(source);
    return copy < 0 ? fail_at(path, e) : import_mbox_file(m, copy, st, path, STR("INBOX"), e);
}

/* --- both --- */

typedef int import_fn(struct import *m, int source, const struct stat *st, const char *path, struct error *e);

/* Opens what the administrator named; from here on root is its owner. In a path through folders of others the last of them could put a link. */
static int open_source(const char *path, struct stat *st, struct error *e)
{
    int fd = geteuid() == 0 ? beneath_start_unlinked(path, st, e) : beneath_start_any(path, st, e);
    int err = fd < 0 ? fd : owner_become(fd, e);
    if (err < 0 && fd >= 0)
        (void)close(fd);
    return err < 0 ? err : fd;
}

static int import_all(struct import *m, const struct cli *c, import_fn *import, struct error *e)
{
    struct stat st;
    int source = open_source(c->words[1], &st, e);
    if (source < 0)
        return source;
    int err =
        bulk_do(&m->port.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", c->words[0]), (str){ NULL, 0 }, e);
    progress_begin(&m->progress, S_ISDIR(st.st_mode) ? tree_bytes(source) : (uint64_t)st.st_size, c->json);
    m->progress.bytes = true;
    if (err == 0)
        err = import(m, source, &st, c->words[1], e);
    /* What was taken before a mistake is kept: the next run goes on from there. */
    int flush = m->deposit.mailbox.n ? deposit_flush(&m->deposit, err ? NULL : e) : 0;
    progress_end(&m->progress);
    (void)close(source);
    return err ? err : flush;
}

static void report(const struct import *m, const struct cli *c)
{
    const struct deposit *d = &m->deposit;
    if (c->json) {
        json_t *v =
            json_pack("{s:b,s:I,s:I,s:I,s:I,s:I}", "ok", 1, "mailboxes", (json_int_t)d->mailboxes, "added", (json_int_t)d->added,
                      "skipped", (json_int_t)d->skipped, "bytes", (json_int_t)d->bytes, "left-out", (json_int_t)m->left_out);
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s: %llu messages added to %llu mailboxes, %llu bytes; %llu were there already\n", c->words[0],
                 (unsigned long long)d->added, (unsigned long long)d->mailboxes, (unsigned long long)d->bytes,
                 (unsigned long long)d->skipped);
    if (m->left_out)
        (void)printf("%llu names are links, FIFOs or the like and were left out; `find %s ! -type f ! -type d` lists them\n",
                     (unsigned long long)m->left_out, c->words[1]);
}

static int run(struct cli *c, import_fn *import)
{
    struct import m = { .below = str_from_z(cli_value(c, "mailbox")),
                        .message = BUF_INIT((size_t)BULK_MESSAGE_MAX),
                        .mailbox = BUF_INIT(PATH_BYTES) };
    struct error e = ERROR_NONE;
    int err = port_open(c->dir, &m.port, &e);
    if (err)
        return cli_fail(c, err, e.text);
    deposit_init(&m.deposit, &m.port);
    err = import_all(&m, c, import, &e);
    if (err == 0)
        report(&m, c);
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
