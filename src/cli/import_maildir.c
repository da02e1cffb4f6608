/* import_maildir: valise import maildir. Reads a Maildir++ and Dovecot's LAYOUT=fs, which Thunderbird's Maildirs resemble: a directory that has "cur" or "new" is a
 * mailbox; ".Work.2026" beside them is Work/2026, and so is "Work/2026". */
#include <unistd.h>

#include "archive/foreign.h"
#include "archive/lines.h"
#include "archive/maildir.h"
#include "cli/import.h"
#include "cli/tree.h"

enum { ARENA_BYTES = 1 << 24, LIST_BYTES = 256 << 20, HEAD_BYTES = 64, HOLES_MAX = 1 << 20 };

static bool is_part(str name)
{
    return str_eq(name, STR("cur")) || str_eq(name, STR("new"));
}

static bool is_maildir(int folder)
{
    return beneath_exists(folder, "cur") || beneath_exists(folder, "new");
}

/* --- looking --- */

struct found {
    uint64_t bytes;
    bool maildir;
    const char *foreign;
    char inner[IMPORT_PATH_MAX]; /* below, the first Maildir++ with folders: an account of its own; empty: none */
};

/* The directory ENTRY may be a folder of Maildir++: ".Work" in a directory that is a Maildir itself. */
static void look_for_inner(struct found *found, const struct beneath_entry *entry, str above)
{
    bool plus = entry->name[0] == '.' && above.n && !found->inner[0] && is_maildir(entry->dir);
    int fd = plus ? beneath_directory(entry->dir, entry->name, NULL) : -1;
    if (fd >= 0 && is_maildir(fd))
        (void)snprintf(found->inner, sizeof found->inner, "%.*s", STR_ARG(above));
    if (fd >= 0)
        (void)close(fd);
}

static int look_at(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    (void)e;
    struct found *found = ctx;
    str path = str_from_z(entry->path), name = str_from_z(entry->name), above = str_sub(path, 0, path.n - name.n);
    above = str_sub(above, 0, above.n ? above.n - 1 : 0);
    if (S_ISDIR(entry->st.st_mode))
        look_for_inner(found, entry, above);
    size_t slash = str_rfind_byte(above, '/');
    above = str_from(above, slash < above.n ? slash + 1 : 0);
    if (S_ISDIR(entry->st.st_mode))
        found->maildir = found->maildir || is_part(name);
    else if (S_ISREG(entry->st.st_mode) && is_part(above) && entry->name[0] != '.')
        found->bytes += (uint64_t)entry->st.st_size;
    if (!found->foreign)
        found->foreign = foreign_name(name);
    return 0;
}

static void look_below(int dir, struct found *ret)
{
    *ret = (struct found){ .maildir = is_maildir(dir) };
    (void)!beneath_walk(dir, look_at, ret, NULL);
}

static int look(int source, const struct stat *st, const char *path, uint64_t *ret_bytes, struct error *e)
{
    if (!S_ISDIR(st->st_mode))
        return error_set(e, ERR_SYNTAX, "%s is a file and no Maildir; `valise import mbox` reads mbox files", path);
    struct found found;
    look_below(source, &found);
    *ret_bytes = found.bytes;
    if (found.inner[0] && !is_maildir(source))
        return error_set(e, ERR_SYNTAX,
                         "the Maildir is further down, %s/%s: name that; --mailbox NAME puts its mail elsewhere than into INBOX",
                         path, found.inner);
    if (found.maildir)
        return 0;
    if (found.foreign)
        return error_set(e, ERR_SYNTAX, "%s is %s", path, found.foreign);
    return error_set(e, ERR_SYNTAX,
                     "%s is no Maildir: neither it nor a directory in it has a directory cur; `valise import mbox` reads "
                     "directories of mbox files",
                     path);
}

/* --- one folder --- */

struct folder {
    struct maildir_keywords keywords;
    struct maildir_courier courier;
    struct arena arena;
    struct buf text, list; /* of the two files */
};

/* The regular file NAME, if there is one, into OUT. */
static int read_optional(struct import *m, int dir, const char *name, struct buf *out, struct error *e)
{
    return beneath_exists(dir, name) && import_is_kind(m, dir, name, S_IFREG) ? beneath_read(dir, name, out, e) : 0;
}

/* What Courier has not taken into its list yet: a file a message. */
static void read_newer(struct import *m, int folder, struct folder *f)
{
    struct beneath_names names = { 0 };
    struct error e = ERROR_NONE;
    int dir = beneath_directory(folder, "courierimapkeywords", NULL);
    int err = dir >= 0 ? beneath_list(dir, &names, &e) : 0;
    for (size_t i = 0; i < names.n && err == 0; i++) {
        struct buf text = BUF_INIT(1 << 16);
        if (names.list[i][0] != '.' && names.list[i][0] != ':')
            err = read_optional(m, dir, names.list[i], &text, &e);
        if (err == 0 && text.n)
            err = maildir_courier_replace(&f->courier, str_from_z(names.list[i]), buf_str(&text), &f->arena);
        buf_done(&text);
    }
    if (err) {
        if (!e.text[0])
            (void)error_set(&e, err, "has more keywords than fit");
        import_failed(m, "courierimapkeywords", &e);
    }
    beneath_names_free(&names);
    if (dir >= 0)
        (void)close(dir);
}

/* Keywords that cannot be read are no reason to leave the mail out. */
static void read_keywords(struct import *m, int dir, struct folder *f)
{
    struct error e = ERROR_NONE;
    if (read_optional(m, dir, "dovecot-keywords", &f->text, &e)) {
        import_failed(m, "dovecot-keywords", &e);
        buf_reset(&f->text);
    }
    if (read_optional(m, dir, "courierimapkeywords/:list", &f->list, &e)) {
        import_failed(m, "courierimapkeywords/:list", &e);
        buf_reset(&f->list);
    }
    maildir_keywords_parse(buf_str(&f->text), &f->keywords);
    if (maildir_courier_parse(buf_str(&f->list), &f->arena, &f->courier)) {
        (void)error_set(&e, ERR_LIMIT, "has more keywords than fit");
        import_failed(m, "courierimapkeywords/:list", &e);
        maildir_courier_done(&f->courier);
        (void)!maildir_courier_parse((str){ NULL, 0 }, &f->arena, &f->courier);
    }
    read_newer(m, dir, f);
}

/* Reads a message to m->message; how large it is, and how much of that is nothing, is looked at first. */
static int read_message(struct import *m, int fd, const char *name, const struct stat *st, struct error *e)
{
    uint64_t size = (uint64_t)st->st_size, holes = size > (uint64_t)HOLES_MAX ? tree_holes(fd, size) : 0;
    buf_reset(&m->raw);
    buf_reset(&m->message);
    if (size > (uint64_t)BULK_MESSAGE_MAX)
        return error_set(e, ERR_LIMIT, "it is larger than %d bytes", (int)BULK_MESSAGE_MAX);
    if (holes > (uint64_t)HOLES_MAX)
        return error_set(e, ERR_CORRUPT, "it has %llu bytes that were never written, which no message has",
                         (unsigned long long)holes);
    int err = beneath_read_open(fd, name, &m->raw, e);
    if (err)
        return err;
    const char *foreign = foreign_file(str_sub(buf_str(&m->raw), 0, HEAD_BYTES));
    if (foreign)
        return error_set(e, ERR_SYNTAX, "it is %s", foreign);
    archive_to_crlf(&m->message, buf_str(&m->raw));
    return buf_error(&m->message) ? error_set(e, ERR_LIMIT, "it is larger than %d bytes", (int)BULK_MESSAGE_MAX) : 0;
}

static int import_file(struct import *m, int dir, const char *name, const struct folder *f, struct error *e)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct mail_flags flags;
    struct error own = ERROR_NONE;
    struct stat st = { 0 };
    uint32_t lost = 0;
    int err = 0, fd = ERR_NOTFOUND;
    if (import_is_kind(m, dir, name, S_IFREG))
        fd = beneath_file(dir, name, &st, &own);
    else if (beneath_look(dir, name, &st, NULL) == 0 && S_ISDIR(st.st_mode))
        fd = error_set(&own, ERR_SYNTAX,
                       "it is a directory among messages; `valise import maildir` takes it by its own path if it is a Maildir");
    if (fd == ERR_NOTFOUND)
        return 0; /* moved by a client meanwhile: the next run finds it */
    int bad = fd < 0 ? fd : read_message(m, fd, name, &st, &own);
    if (bad == 0 && maildir_name_parse(str_from_z(name), &f->keywords, &f->courier, &a, &flags, &lost))
        bad = error_set(&own, ERR_LIMIT, "its keywords are too many");
    if (bad) {
        import_failed(m, name, &own);
    } else {
        m->keywords_lost += lost;
        err = import_message(m, &flags, (int64_t)st.st_mtim.tv_sec * 1000, name, e);
    }
    if (fd >= 0)
        (void)close(fd);
    arena_done(&a);
    progress_step(&m->progress, err || S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size);
    return err;
}

static int import_part(struct import *m, int folder, const char *part, const struct folder *f, struct error *e)
{
    struct beneath_names names = { 0 };
    struct error own = ERROR_NONE;
    int dir = beneath_directory(folder, part, &own);
    if (dir == ERR_NOTFOUND)
        return 0;
    size_t before = import_enter(m, part);
    int err = dir < 0 ? dir : beneath_list(dir, &names, &own);
    if (err)
        import_failed(m, "", &own);
    err = 0;
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (names.list[i][0] != '.')
            err = import_file(m, dir, names.list[i], f, e);
    beneath_names_free(&names);
    import_leave(m, before);
    if (dir >= 0)
        (void)close(dir);
    return err;
}

static uint64_t part_bytes(int folder, const char *part)
{
    int dir = beneath_directory(folder, part, NULL);
    uint64_t n = dir >= 0 ? tree_bytes(dir) : 0;
    if (dir >= 0)
        (void)close(dir);
    return n;
}

/* A Maildir of one mailbox, in the open directory FOLDER. */
static int import_folder(struct import *m, int folder, str mailbox, struct error *e)
{
    struct error own = ERROR_NONE;
    bool good;
    int err = import_mailbox(m, mailbox, &good, &own);
    if (err) {
        *e = own;
        return err;
    }
    if (!good) {
        import_failed(m, "", &own);
        progress_step(&m->progress, part_bytes(folder, "cur") + part_bytes(folder, "new"));
        return 0;
    }
    struct folder f = { .arena = ARENA_INIT(ARENA_BYTES), .text = BUF_INIT(1 << 20), .list = BUF_INIT(LIST_BYTES) };
    read_keywords(m, folder, &f);
    err = import_part(m, folder, "cur", &f, e);
    if (err == 0)
        err = import_part(m, folder, "new", &f, e);
    maildir_courier_done(&f.courier);
    arena_done(&f.arena);
    buf_done(&f.text);
    buf_done(&f.list);
    return err;
}

/* --- folders --- */

static int import_tree(struct import *m, int dir, str mailbox, unsigned depth, bool apart, struct error *e);

/* There is mail in NAME, of FOUND->bytes, that no mailbox of this source can be made for. */
static void leave_out(struct import *m, const char *name, const struct found *found)
{
    struct error own = ERROR_NONE;
    (void)error_set(
        &own, ERR_SYNTAX,
        "it holds mail, but folders of a Maildir lie directly in it, as .A.B, or are called without a dot; bring this one in "
        "alone: `valise import maildir ... --mailbox NAME`");
    import_failed(m, name, &own);
    progress_step(&m->progress, found->bytes);
}

/* NAME, open as FD, is a folder: of Maildir++ if PLUS, else of LAYOUT=fs, with what is below it. */
static int import_named(struct import *m, int fd, const char *name, bool plus, str parent, const struct found *found,
                        unsigned depth, struct error *e)
{
    struct error own = ERROR_NONE;
    struct arena a = ARENA_INIT(1 << 16);
    struct buf whole = BUF_INIT(4 * IMPORT_PATH_MAX);
    size_t before = import_enter(m, name);
    str level = { NULL, 0 };
    int bad = plus ? maildir_folder_parse(str_from_z(name), &a, &level) : maildir_level_parse(str_from_z(name), &a, &level),
        err = 0;
    buf_add_all(&whole, parent, parent.n ? STR("/") : STR(""), level);
    if (bad == 0 && depth < IMPORT_DEPTH_MAX) {
        if (is_maildir(fd))
            err = import_folder(m, fd, buf_str(&whole), e);
        if (err == 0)
            err = import_tree(m, fd, buf_str(&whole), depth + 1, plus, e);
    } else {
        (void)error_set(&own, ERR_SYNTAX,
                        "the folder's name is not modified UTF-7, or has an empty level; bring it in alone: `valise import "
                        "maildir ... --mailbox NAME`");
        import_failed(m, "", &own);
        progress_step(&m->progress, found->bytes);
    }
    buf_done(&whole);
    import_leave(m, before);
    arena_done(&a);
    return err;
}

/* NAME in the open directory DIR, which is mailbox PARENT (empty: the source): a folder of Maildir++ there, or one of LAYOUT=fs. With APART, DIR is
 * a folder of Maildir++ itself, which has none below: what is there all the same is told. */
static int import_name(struct import *m, int dir, const char *name, str parent, unsigned depth, bool apart, struct error *e)
{
    bool plus = name[0] == '.';
    if (is_part(str_from_z(name)) || strcmp(name, "tmp") == 0 || !import_is_kind(m, dir, name, S_IFDIR))
        return 0;
    struct error own = ERROR_NONE;
    int fd = beneath_directory(dir, name, &own), err = 0;
    struct found found = { 0 };
    if (fd >= 0)
        look_below(fd, &found);
    if (fd < 0 && fd != ERR_NOTFOUND)
        import_failed(m, name, &own);
    else if (found.maildir && (apart || (plus && (parent.n || !is_maildir(fd)))))
        leave_out(m, name, &found);
    else if (found.maildir)
        err = import_named(m, fd, name, plus, parent, &found, depth, e);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* What lies below mailbox MAILBOX, whose open directory is DIR. */
static int import_tree(struct import *m, int dir, str mailbox, unsigned depth, bool apart, struct error *e)
{
    struct beneath_names names = { 0 };
    struct error own = ERROR_NONE;
    int err = 0;
    if (beneath_list(dir, &names, &own))
        import_failed(m, "", &own);
    for (size_t i = 0; i < names.n && err == 0; i++)
        err = import_name(m, dir, names.list[i], mailbox, depth, apart, e);
    beneath_names_free(&names);
    return err;
}

static int read_source(struct import *m, int source, const struct stat *st, const char *path, struct error *e)
{
    (void)st;
    (void)path;
    int err = is_maildir(source) ? import_folder(m, source, STR("INBOX"), e) : 0;
    return err ? err : import_tree(m, source, (str){ NULL, 0 }, 0, false, e);
}

const struct import_form import_maildir = { look, read_source };
