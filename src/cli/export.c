/* export: valise export maildir|mbox. Writes an account's mail into a new directory: Maildir++ (archive/maildir.h), or one mbox file a mailbox. Names
 * of accounts and mailboxes come from the server and never lead out of it. Whose the directory is has the mail, so what root makes is root's, unless --for
 * says whose it shall be; then root writes with his rights. An account or a mailbox that no file can be called after, or a message that cannot be read, is
 * named and left out, and the work goes on. */
#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "archive/lines.h"
#include "archive/maildir.h"
#include "archive/mbox.h"
#include "base/beneath.h"
#include "base/count.h"
#include "cli/cli.h"
#include "cli/mishaps.h"
#include "cli/owner.h"
#include "cli/port.h"
#include "cli/progress.h"

enum { NAME_BYTES = BENEATH_PATH_MAX };

struct export
{
    struct port port;
    struct progress progress;
    struct mishaps mishaps;
    bool maildir;
    str mailbox;           /* that is written now */
    int root;              /* the account's directory */
    int folder;            /* a Maildir; -1: none */
    int cur;               /* in it */
    int mbox;              /* an mbox file; -1: none */
    char name[NAME_BYTES]; /* of the folder or file, for people */
    struct buf message, file;
    struct maildir_keywords keywords;
    struct arena names; /* of the keywords */
    uint64_t messages, bytes, mailboxes, keywords_lost;
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* One name of a directory for what the server calls NAME: what a file's name should not have, or would mislead by, is written as %XX. A FOLDER that ends in
 * ".mbox" would be called as the file of another mailbox: "a.mbox/b" is a%2Embox/b.mbox, beside a.mbox of "a". */
static void add_file_name(struct buf *b, str name, bool folder)
{
    size_t end = folder && str_ends(name, STR(".mbox")) ? name.n - 5 : name.n;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c == '/' || c == '%' || c < ' ' || c == 0x7f || (c == '.' && (i == 0 || i == end)))
            buf_addf(b, "%%%02X", c);
        else
            buf_add_byte(b, (char)c);
    }
}

/* Makes the directory NAME, or opens it when we have made it before. */
static int open_or_make(int dir, const char *name, struct error *e)
{
    int fd = beneath_make(dir, name, BENEATH_MODE(0700), e);
    return fd == ERR_EXISTS ? beneath_directory(dir, name, e) : fd;
}

/* --- one message --- */

static int take_flags(const json_t *entry, struct arena *a, struct mail_flags *ret)
{
    const json_t *list = json_object_get(entry, "keywords"), *v;
    size_t i;
    str *names = arena_array(a, json_array_size(list), sizeof *names);
    if (!names)
        return ERR_LIMIT;
    json_array_foreach(list, i, v) names[i] = str_from_z(json_string_value(v));
    *ret = (struct mail_flags){ .system = (uint64_t)json_integer_value(json_object_get(entry, "flags")),
                                .keywords = names,
                                .keyword_n = json_array_size(list) };
    return 0;
}

/* The letters of KEYWORDS, new ones given out as needed. */
static uint32_t letters_of(struct export *x, const struct mail_flags *flags)
{
    uint32_t letters = 0;
    for (size_t i = 0; i < flags->keyword_n; i++) {
        str name;
        int letter = arena_dup(&x->names, flags->keywords[i], &name) == 0 ? maildir_keyword_letter(&x->keywords, name) : -1;
        if (letter >= 0)
            letters |= 1u << letter;
        else
            x->keywords_lost++;
    }
    return letters;
}

static int write_maildir(struct export *x, const struct mail_flags *flags, uint64_t uid, int64_t received_ms, struct error *e)
{
    struct buf name = BUF_INIT(BENEATH_NAME_MAX);
    int64_t second = received_ms / 1000;
    archive_to_lf(&x->file, buf_str(&x->message));
    maildir_name_add(&name, second, uid, x->file.n, flags->system, letters_of(x, flags));
    const char *path = buf_z(&name);
    int fd = path ? beneath_create(x->cur, path, BENEATH_MODE(0600), e) : error_set(e, ERR_LIMIT, "a file's name is too long");
    const struct timespec times[2] = { { .tv_sec = second }, { .tv_sec = second } };
    int err = fd < 0 ? fd : buf_error(&x->file) ? error_set(e, ERR_LIMIT, "the message is too large") : 0;
    if (err == 0)
        err = beneath_write_open(fd, path, buf_str(&x->file), e);
    if (err == 0 && futimens(fd, times) != 0)
        err = fail_at(path, e);
    if (fd >= 0 && close(fd) != 0 && err == 0)
        err = fail_at(path, e);
    buf_done(&name);
    return err ? error_prefix(e, "%s", x->name) : 0;
}

static int write_mbox(struct export *x, const struct mail_flags *flags, int64_t received_ms, struct error *e)
{
    mbox_add(&x->file, buf_str(&x->message), flags, received_ms / 1000);
    return buf_error(&x->file) ? error_set(e, ERR_LIMIT, "the message is too large")
                               : beneath_write_open(x->mbox, x->name, buf_str(&x->file), e);
}

static int export_message(void *ctx, const json_t *entry, struct error *e)
{
    struct export *x = ctx;
    struct arena a = ARENA_INIT(1 << 20);
    struct mail_flags flags;
    json_t *reply = NULL;
    int64_t received = json_integer_value(json_object_get(entry, "received"));
    uint64_t uid = (uint64_t)json_integer_value(json_object_get(entry, "uid"));
    int err = bulk_call(&x->port.client, json_pack("{s:s,s:O}", "command", "bulk.read", "email", json_object_get(entry, "email")),
                        (str){ NULL, 0 }, &reply, &x->message, e);
    json_decref(err ? NULL : reply);
    progress_step(&x->progress, 1);
    if (err == ERR_NOTFOUND)
        return 0; /* deleted since it was listed */
    if (err == ERR_CORRUPT) {
        char what[2 * MAIL_NAME_MAX];
        (void)snprintf(what, sizeof what, "%.*s, UID %llu", STR_ARG(x->mailbox), (unsigned long long)uid);
        mishaps_add(&x->mishaps, what, e->text);
        *e = ERROR_NONE;
        return 0;
    }
    buf_reset(&x->file);
    if (err == 0)
        err = take_flags(entry, &a, &flags);
    if (err == 0)
        err = x->maildir ? write_maildir(x, &flags, uid, received, e) : write_mbox(x, &flags, received, e);
    arena_done(&a);
    x->messages += err == 0;
    x->bytes += err == 0 ? x->message.n : 0;
    return err;
}

/* --- mailboxes --- */

static int begin_maildir(struct export *x, str name, struct error *e)
{
    struct buf folder = BUF_INIT(BENEATH_NAME_MAX);
    if (!str_eq(name, STR("INBOX")))
        maildir_folder_add(&folder, name);
    const char *z = folder.n == 0 && !buf_error(&folder) ? "." : buf_z(&folder);
    int err = z && (folder.n == 0 || beneath_is_name(buf_str(&folder)))
                  ? 0
                  : error_set(e, ERR_LIMIT, "mailbox %.*s: the name is too long for a folder, or none", STR_ARG(name));
    x->keywords = (struct maildir_keywords){ 0 };
    arena_reset(&x->names);
    if (err == 0) {
        (void)snprintf(x->name, sizeof x->name, "%s", z);
        x->folder = folder.n ? open_or_make(x->root, z, e) : beneath_directory(x->root, ".", e);
        x->cur = x->folder < 0 ? x->folder : open_or_make(x->folder, "cur", e);
        err = x->cur < 0 ? x->cur : 0;
    }
    static const char *const parts[] = { "new", "tmp" };
    for (size_t i = 0; err == 0 && i < 2; i++) {
        int fd = open_or_make(x->folder, parts[i], e);
        err = fd < 0 ? fd : 0;
        close_one(&fd);
    }
    buf_done(&folder);
    return err;
}

static int end_maildir(struct export *x, bool whole, struct error *e)
{
    struct buf b = BUF_INIT(1 << 16);
    int err = 0;
    maildir_keywords_add(&b, &x->keywords);
    if (whole && b.n)
        err = beneath_write(x->folder, "dovecot-keywords", buf_str(&b), BENEATH_MODE(0600), false, e);
    buf_done(&b);
    close_one(&x->cur);
    close_one(&x->folder);
    return err;
}

/* What is wrong with one account or mailbox, while others can be exported. */
static bool is_own_fault(int err)
{
    return err == ERR_LIMIT || err == ERR_EXISTS || err == ERR_REFUSED || err == ERR_NOTFOUND || err == ERR_CORRUPT;
}

/* "Work/2026" is Work/2026.mbox. */
static int begin_mbox(struct export *x, str name, struct error *e)
{
    int dir = beneath_directory(x->root, ".", e), err = dir < 0 ? dir : 0;
    str rest = name, level = { NULL, 0 };
    while (err == 0 && str_split(&rest, '/', &level)) {
        struct buf one = BUF_INIT(BENEATH_NAME_MAX);
        add_file_name(&one, level, rest.p != NULL);
        if (!rest.p)
            buf_add(&one, STR(".mbox"));
        const char *z = buf_z(&one);
        if (!z || !beneath_is_name(str_from_z(z))) {
            err = error_set(e, ERR_LIMIT, "mailbox %.*s: a level of the name is empty or too long for a file", STR_ARG(name));
        } else if (rest.p) {
            int below = open_or_make(dir, z, e);
            close_one(&dir);
            dir = below;
            err = below < 0 ? below : 0;
        } else {
            x->mbox = beneath_create(dir, z, BENEATH_MODE(0600), e);
            err = x->mbox < 0 ? x->mbox : 0;
            (void)snprintf(x->name, sizeof x->name, "%s", z);
        }
        buf_done(&one);
    }
    close_one(&dir);
    return err;
}

static int end_mbox(struct export *x, struct error *e)
{
    int err = x->mbox >= 0 ? beneath_sync(x->mbox, x->name, e) : 0;
    close_one(&x->mbox);
    return err;
}

/* MESSAGES is how many the bar expects. */
static int export_mailbox(struct export *x, str name, uint64_t messages, struct error *e)
{
    int err = x->maildir ? begin_maildir(x, name, e) : begin_mbox(x, name, e);
    bool nameless = is_own_fault(err);
    x->mailbox = name;
    if (nameless) {
        char what[2 * MAIL_NAME_MAX];
        (void)snprintf(what, sizeof what, "mailbox %.*s, %s", STR_ARG(name), COUNT(messages, "message", "messages"));
        mishaps_add(&x->mishaps, what, e->text);
        progress_step(&x->progress, messages);
        *e = ERROR_NONE;
    } else if (err == 0) {
        err = port_each(&x->port, name, export_message, x, e);
    }
    int end = x->maildir ? end_maildir(x, err == 0, err ? NULL : e) : end_mbox(x, err ? NULL : e);
    x->mailboxes += !nameless;
    return nameless ? 0 : err ? err : end;
}

/* --- accounts --- */

static int must_be_empty(int fd, const char *path, struct error *e)
{
    struct beneath_names names;
    int err = beneath_list(fd, &names, e);
    if (err)
        return err;
    bool empty = names.n == 0;
    beneath_names_free(&names);
    return empty ? 0 : error_set(e, ERR_EXISTS, "%s is not empty; export wants a new or empty directory", path);
}

/* Makes the directory PATH, whoever has the one it is in: it is ours, or for USER (NULL: nobody else). */
static int make_target(const char *path, const struct passwd *user, struct error *e)
{
    char name[BENEATH_NAME_MAX];
    int above = beneath_start_above(path, name, e);
    int fd = above < 0 ? above : beneath_make(above, name, BENEATH_MODE(0700), e);
    int err = fd < 0 ? fd : must_be_empty(fd, path, e); /* else it is not the one that we made */
    close_one(&above);
    if (err == 0 && user && fchown(fd, user->pw_uid, user->pw_gid) != 0)
        err = fail_at(path, e);
    if (err)
        close_one(&fd);
    return err ? err : fd;
}

/* Root is not to give somebody the mail of others because of the folder that he names. */
static int must_be_meant(int fd, const char *path, const struct passwd *user, struct error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_at(path, e);
    if (geteuid() != 0 || st.st_uid == (user ? user->pw_uid : 0))
        return 0;
    const struct passwd *owner = getpwuid(st.st_uid);
    const char *name = owner ? owner->pw_name : "a user who is not there any more";
    return user ? error_set(e, ERR_REFUSED, "%s belongs to %s and not to %s; name one that is not there yet", path, name,
                            user->pw_name)
                : error_set(
                      e, ERR_REFUSED,
                      "%s belongs to %s, who would get the mail; name a directory that is not there yet, or give it to him by "
                      "--for %s",
                      path, name, owner ? name : "USER");
}

/* Whom --for names. */
static int find_user(const char *name, const struct passwd **ret, struct error *e)
{
    *ret = name ? getpwnam(name) : NULL;
    if (name && geteuid() != 0)
        return error_set(e, ERR_REFUSED, "--for is for root; what you export is yours");
    return name && !*ret ? error_set(e, ERR_NOTFOUND, "there is no user %s on this machine; `getent passwd` lists them", name)
                         : 0;
}

/* TARGET is new, or empty: nothing that is there is touched. From here on root is its owner. A descriptor or an error. */
static int open_target(const char *path, const struct passwd *user, struct error *e)
{
    int fd = beneath_start(path, e);
    bool is_new = fd == ERR_NOTFOUND;
    if (is_new)
        fd = make_target(path, user, e);
    int err = fd < 0 || is_new ? fd : must_be_empty(fd, path, e);
    if (fd >= 0 && err >= 0)
        err = must_be_meant(fd, path, user, e);
    if (err == 0)
        err = owner_become(fd, e);
    if (err && fd >= 0)
        (void)close(fd);
    return err == ERR_REFUSED && fd < 0 ? error_set(e, ERR_EXISTS, "%s is there and no directory that can be opened", path)
           : err                        ? err
                                        : fd;
}

static int export_account(struct export *x, const char *address, bool quiet, struct error *e)
{
    json_t *reply, *box;
    size_t i;
    uint64_t total = 0;
    int err = bulk_call(&x->port.client, json_pack("{s:s,s:s}", "command", "bulk.open", "address", address), (str){ NULL, 0 },
                        &reply, NULL, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "mailboxes"), i, box) total +=
        (uint64_t)json_integer_value(json_object_get(box, "messages"));
    progress_begin(&x->progress, total, quiet);
    json_array_foreach(json_object_get(reply, "mailboxes"), i, box)
    {
        if (err == 0)
            err = export_mailbox(x, str_from_z(json_string_value(json_object_get(box, "name"))),
                                 (uint64_t)json_integer_value(json_object_get(box, "messages")), e);
    }
    progress_end(&x->progress);
    json_decref(reply);
    return err;
}

/* One of all. What is wrong with it alone is told, and others go on. */
static int export_one(struct export *x, int target, const char *address, bool quiet, struct error *e)
{
    struct buf folder = BUF_INIT(BENEATH_NAME_MAX);
    add_file_name(&folder, str_from_z(address), false);
    const char *z = buf_z(&folder);
    int err =
        z && beneath_is_name(str_from_z(z)) ? 0 : error_set(e, ERR_LIMIT, "no folder can be called after it; export it alone");
    if (err == 0) {
        x->root = beneath_make(target, z, BENEATH_MODE(0700), e);
        err = x->root < 0 ? x->root : export_account(x, address, quiet, e);
        close_one(&x->root);
    }
    buf_done(&folder);
    if (!is_own_fault(err))
        return err;
    mishaps_add(&x->mishaps, address ? address : "an account without address", e->text);
    *e = ERROR_NONE;
    return 0;
}

static int export_all(struct export *x, int target, bool quiet, struct error *e)
{
    json_t *reply, *user;
    size_t i;
    int err = bulk_call(&x->port.client, json_pack("{s:s}", "command", "user.list"), (str){ NULL, 0 }, &reply, NULL, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "users"), i, user)
    {
        if (err == 0)
            err = export_one(x, target, json_string_value(json_object_get(user, "address")), quiet, e);
    }
    json_decref(reply);
    return err;
}

static void report(const struct cli *c, const struct export *x, const char *target)
{
    if (c->json) {
        json_t *v =
            json_pack("{s:b,s:s,s:I,s:I,s:I,s:I}", "ok", 1, "target", target, "mailboxes", (json_int_t)x->mailboxes, "messages",
                      (json_int_t)x->messages, "bytes", (json_int_t)x->bytes, "keywords-lost", (json_int_t)x->keywords_lost);
        mishaps_add_json(&x->mishaps, v);
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s: %s of %s, %s\n", target, COUNT(x->messages, "message", "messages"),
                 COUNT(x->mailboxes, "mailbox", "mailboxes"), COUNT(x->bytes, "byte", "bytes"));
    if (x->keywords_lost)
        (void)printf("%s a keyword is left out: a folder of a Maildir has at most 26\n",
                     COUNT(x->keywords_lost, "time", "times"));
}

static int run(struct cli *c, bool maildir)
{
    bool all = cli_value(c, "all") != NULL;
    if (c->word_n != (all ? 1 : 2))
        return cli_usage(c, "%s wants an address and a directory, or --all and a directory", c->command->name);
    const char *target = c->words[c->word_n - 1];
    struct export *x = calloc(1, sizeof *x);
    struct error e = ERROR_NONE;
    if (!x)
        panic("out of memory for an export");
    x->maildir = maildir;
    mishaps_init(&x->mishaps, &x->progress, c->json);
    x->mbox = x->folder = x->cur = x->root = -1;
    buf_init(&x->message, (size_t)BULK_MESSAGE_MAX);
    buf_init(&x->file, (size_t)BULK_MESSAGE_MAX * 2);
    arena_init(&x->names, 1 << 24);
    const struct passwd *user = NULL;
    int err = find_user(cli_value(c, "for"), &user, &e);
    if (err == 0)
        err = port_open(c->dir, &x->port, &e);
    if (err == 0) {
        int fd = open_target(target, user, &e);
        err = fd < 0 ? fd : 0;
        if (err == 0 && all) {
            err = export_all(x, fd, c->json, &e);
        } else if (err == 0) {
            x->root = fd;
            err = export_account(x, c->words[0], c->json, &e);
        }
        close_one(&fd);
        progress_end(&x->progress);
        port_close(&x->port);
    }
    if (err == 0)
        report(c, x, target);
    int status = err ? cli_fail(c, err, e.text) : mishaps_status(&x->mishaps, false, "messages, mailboxes or accounts");
    mishaps_done(&x->mishaps);
    buf_done(&x->message);
    buf_done(&x->file);
    arena_done(&x->names);
    free(x);
    return status;
}

int cmd_export_maildir(struct cli *c)
{
    return run(c, true);
}

int cmd_export_mbox(struct cli *c)
{
    return run(c, false);
}
