/* export: valise export maildir|mbox. Writes an account's mail into a new directory: Maildir++ (archive/maildir.h), or one mbox file a mailbox. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/lines.h"
#include "archive/maildir.h"
#include "archive/mbox.h"
#include "cli/cli.h"
#include "cli/port.h"
#include "cli/progress.h"

enum { PATH_BYTES = 4096 };

struct export
{
    struct port port;
    struct progress progress;
    bool maildir;
    char root[PATH_BYTES];   /* of the account */
    char folder[PATH_BYTES]; /* a Maildir, or an mbox file */
    int mbox;                /* descriptor; -1: none */
    struct buf message, file;
    struct maildir_keywords keywords;
    struct arena names; /* of the keywords */
    uint64_t messages, bytes, mailboxes, keywords_lost;
};

static int fail_at(const char *path, struct error *e)
{
    return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
}

static int make_directory(const char *path, struct error *e)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : fail_at(path, e);
}

static int write_file(int fd, const char *path, str s, struct error *e)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_at(path, e);
        s = str_from(s, (size_t)n);
    }
    return 0;
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
    char path[PATH_BYTES + 256];
    struct buf name = BUF_INIT(256);
    int64_t second = received_ms / 1000;
    archive_to_lf(&x->file, buf_str(&x->message));
    maildir_name_add(&name, second, uid, x->file.n, flags->system, letters_of(x, flags));
    (void)snprintf(path, sizeof path, "%s/cur/%.*s", x->folder, STR_ARG(buf_str(&name)));
    buf_done(&name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_at(path, e);
    const struct timespec times[2] = { { .tv_sec = second }, { .tv_sec = second } };
    int err =
        buf_error(&x->file) ? error_set(e, ERR_LIMIT, "the message is too large") : write_file(fd, path, buf_str(&x->file), e);
    if (err == 0 && futimens(fd, times) != 0)
        err = fail_at(path, e);
    if (close(fd) != 0 && err == 0)
        err = fail_at(path, e);
    return err;
}

static int write_mbox(struct export *x, const struct mail_flags *flags, int64_t received_ms, struct error *e)
{
    mbox_add(&x->file, buf_str(&x->message), flags, received_ms / 1000);
    return buf_error(&x->file) ? error_set(e, ERR_LIMIT, "the message is too large")
                               : write_file(x->mbox, x->folder, buf_str(&x->file), e);
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
    if (err == ERR_NOTFOUND)
        return 0; /* deleted since it was listed */
    buf_reset(&x->file);
    if (err == 0)
        err = take_flags(entry, &a, &flags);
    if (err == 0)
        err = x->maildir ? write_maildir(x, &flags, uid, received, e) : write_mbox(x, &flags, received, e);
    arena_done(&a);
    x->messages += err == 0;
    x->bytes += err == 0 ? x->message.n : 0;
    progress_step(&x->progress, 1);
    return err;
}

/* --- mailboxes --- */

static int begin_maildir(struct export *x, str name, struct error *e)
{
    static const char *const parts[] = { "cur", "new", "tmp" };
    struct buf folder = BUF_INIT(PATH_BYTES);
    char path[PATH_BYTES + 8];
    if (!str_eq(name, STR("INBOX"))) {
        buf_add_byte(&folder, '/');
        maildir_folder_add(&folder, name);
    }
    int n = snprintf(x->folder, sizeof x->folder, "%s%.*s", x->root, STR_ARG(buf_str(&folder)));
    buf_done(&folder);
    if (n < 0 || (size_t)n >= sizeof x->folder - 256)
        return error_set(e, ERR_LIMIT, "the path of mailbox %.*s is too long", STR_ARG(name));
    x->keywords = (struct maildir_keywords){ 0 };
    arena_reset(&x->names);
    int err = make_directory(x->folder, e);
    for (size_t i = 0; err == 0 && i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", x->folder, parts[i]);
        err = make_directory(path, e);
    }
    return err;
}

static int end_maildir(struct export *x, struct error *e)
{
    char path[PATH_BYTES + 32];
    struct buf b = BUF_INIT(1 << 16);
    int err = 0;
    maildir_keywords_add(&b, &x->keywords);
    if (b.n) {
        (void)snprintf(path, sizeof path, "%s/dovecot-keywords", x->folder);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        err = fd < 0 ? fail_at(path, e) : write_file(fd, path, buf_str(&b), e);
        if (fd >= 0)
            (void)close(fd);
    }
    buf_done(&b);
    return err;
}

/* "Work/2026" is Work/2026.mbox; what a file's name should not have is written as %XX. */
static int begin_mbox(struct export *x, str name, struct error *e)
{
    struct buf path = BUF_INIT(PATH_BYTES);
    int err = 0;
    buf_add(&path, str_from_z(x->root));
    buf_add_byte(&path, '/');
    for (size_t i = 0; i < name.n && err == 0; i++) {
        unsigned char c = (unsigned char)name.p[i];
        const char *so_far;
        if (c == '/') {
            so_far = buf_z(&path);
            err = so_far ? make_directory(so_far, e) : ERR_LIMIT;
            buf_add_byte(&path, '/');
        } else if (c == '%' || c < ' ' || (c == '.' && (i == 0 || name.p[i - 1] == '/'))) {
            buf_addf(&path, "%%%02X", c);
        } else {
            buf_add_byte(&path, (char)c);
        }
    }
    buf_add(&path, STR(".mbox"));
    if (err == 0 && (buf_error(&path) || path.n >= sizeof x->folder))
        err = error_set(e, ERR_LIMIT, "the path of mailbox %.*s is too long", STR_ARG(name));
    if (err == 0) {
        (void)snprintf(x->folder, sizeof x->folder, "%.*s", STR_ARG(buf_str(&path)));
        x->mbox = open(x->folder, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        err = x->mbox < 0 ? fail_at(x->folder, e) : 0;
    }
    buf_done(&path);
    return err;
}

static int end_mbox(struct export *x, struct error *e)
{
    int err = x->mbox >= 0 && fsync(x->mbox) != 0 ? fail_at(x->folder, e) : 0;
    if (x->mbox >= 0)
        (void)close(x->mbox);
    x->mbox = -1;
    return err;
}

static int export_mailbox(struct export *x, str name, struct error *e)
{
    int err = x->maildir ? begin_maildir(x, name, e) : begin_mbox(x, name, e);
    if (err == 0)
        err = port_each(&x->port, name, export_message, x, e);
    int end = x->maildir ? err == 0 ? end_maildir(x, e) : 0 : end_mbox(x, err ? NULL : e);
    x->mailboxes++;
    return err ? err : end;
}

/* --- accounts --- */

/* TARGET is new, or empty: nothing that is there is touched. */
static int make_target(const char *path, struct error *e)
{
    if (rmdir(path) != 0 && errno != ENOENT)
        return error_set(e, errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? ERR_EXISTS : err_from_errno(errno),
                         "%s: %s; export wants a new or empty directory", path, strerrordesc_np(errno));
    return mkdir(path, 0700) == 0 ? 0 : fail_at(path, e);
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
            err = export_mailbox(x, str_from_z(json_string_value(json_object_get(box, "name"))), e);
    }
    progress_end(&x->progress);
    json_decref(reply);
    return err;
}

static int export_all(struct export *x, const char *target, bool quiet, struct error *e)
{
    json_t *reply, *user;
    size_t i;
    int err = bulk_call(&x->port.client, json_pack("{s:s}", "command", "user.list"), (str){ NULL, 0 }, &reply, NULL, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "users"), i, user)
    {
        const char *address = json_string_value(json_object_get(user, "address"));
        if (err || strchr(address, '/'))
            continue;
        (void)snprintf(x->root, sizeof x->root, "%s/%s", target, address);
        err = make_directory(x->root, e);
        if (err == 0)
            err = export_account(x, address, quiet, e);
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
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s: %llu messages of %llu mailboxes, %llu bytes\n", target, (unsigned long long)x->messages,
                 (unsigned long long)x->mailboxes, (unsigned long long)x->bytes);
    if (x->keywords_lost)
        (void)printf("%llu times a keyword is left out: a folder of a Maildir has at most 26\n",
                     (unsigned long long)x->keywords_lost);
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
    x->mbox = -1;
    buf_init(&x->message, (size_t)BULK_MESSAGE_MAX);
    buf_init(&x->file, (size_t)BULK_MESSAGE_MAX * 2);
    arena_init(&x->names, 1 << 24);
    int err = strlen(target) > PATH_BYTES / 2 ? error_set(&e, ERR_LIMIT, "the target's path is too long")
                                              : port_open(c->dir, &x->port, &e);
    if (err == 0) {
        err = make_target(target, &e);
        (void)snprintf(x->root, sizeof x->root, "%s", target);
        if (err == 0)
            err = all ? export_all(x, target, c->json, &e) : export_account(x, c->words[0], c->json, &e);
        progress_end(&x->progress);
        port_close(&x->port);
    }
    if (err == 0)
        report(c, x, target);
    buf_done(&x->message);
    buf_done(&x->file);
    arena_done(&x->names);
    free(x);
    return err ? cli_fail(c, err, e.text) : 0;
}

int cmd_export_maildir(struct cli *c)
{
    return run(c, true);
}

int cmd_export_mbox(struct cli *c)
{
    return run(c, false);
}
