/* import: valise import maildir|mbox. Brings mail from files into an account. A second run adds nothing that the first brought, so that an
 * interrupted one is simply run again. See import.h; import_maildir.c and import_mbox.c read. */
#include "cli/import.h"

#include <unistd.h>

#include "base/count.h"
#include "cli/filling.h"
#include "cli/owner.h"

bool import_is_kind(struct import *m, int dir, const char *name, mode_t asked)
{
    struct stat st;
    if (beneath_look(dir, name, &st, NULL))
        return false; /* removed meanwhile */
    m->left_out += !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    return (st.st_mode & S_IFMT) == asked;
}

int import_mailbox(struct import *m, str name, bool *ret_good, struct error *e)
{
    bool inbox = str_ieq(name, STR("INBOX"));
    buf_reset(&m->mailbox);
    buf_add(&m->mailbox, m->below.n ? m->below : inbox ? STR("INBOX") : name);
    if (m->below.n && !inbox)
        buf_add_all(&m->mailbox, STR("/"), name);
    *ret_good = true;
    if (str_eq(buf_str(&m->mailbox), buf_str(&m->deposit.mailbox)))
        return 0;
    int err = m->deposit.mailbox.n ? deposit_flush(&m->deposit, e) : 0;
    if (err)
        return err;
    err = deposit_mailbox(&m->deposit, buf_str(&m->mailbox), "", e);
    *ret_good = err != ERR_SYNTAX && err != ERR_LIMIT && err != ERR_REFUSED && err != ERR_EXISTS;
    return *ret_good ? err : 0;
}

void import_failed(struct import *m, const char *name, struct error *e)
{
    struct buf path = BUF_INIT(2 * IMPORT_PATH_MAX);
    buf_add_all(&path, buf_str(&m->where), str_from_z(name));
    const char *z = buf_z(&path);
    mishaps_add(&m->mishaps, z && *z ? z : *name ? name : ".", e->text);
    buf_done(&path);
    *e = ERROR_NONE;
}

int import_message(struct import *m, const struct mail_flags *flags, int64_t received_ms, const char *name, struct error *e)
{
    struct buf path = BUF_INIT(2 * IMPORT_PATH_MAX);
    m->empty += m->message.n == 0;
    if (m->message.n == 0)
        return 0;
    buf_add_all(&path, buf_str(&m->where), str_from_z(name));
    const char *z = buf_z(&path);
    int err = deposit_add(&m->deposit, buf_str(&m->message), flags, received_ms, z ? z : name, e);
    buf_done(&path);
    return err;
}

size_t import_enter(struct import *m, const char *name)
{
    size_t before = m->where.n;
    buf_add_all(&m->where, str_from_z(name), STR("/"));
    return before;
}

void import_leave(struct import *m, size_t before)
{
    buf_truncate(&m->where, before);
}

/* Opens what the administrator named; from here on root is its owner. In a path through folders of others the last of them could put a link. */
static int open_source(const char *path, struct stat *st, struct error *e)
{
    int fd = geteuid() == 0 ? beneath_start_unlinked(path, st, e) : beneath_start_any(path, st, e);
    int err = fd < 0 ? fd : owner_become(fd, e);
    if (err < 0 && fd >= 0)
        (void)close(fd);
    return err < 0 ? err : fd;
}

static int import_all(struct import *m, const struct cli *c, const struct import_form *form, struct error *e)
{
    struct stat st;
    uint64_t bytes = 0;
    int source = open_source(c->words[1], &st, e);
    if (source < 0)
        return source;
    json_t *opened = NULL;
    int err = filling_open(&m->port, c->words[0], false, &opened, e);
    if (err == 0)
        err = form->look(source, &st, c->words[1], &bytes, e);
    progress_begin(&m->progress, bytes, c->json);
    m->progress.bytes = true;
    if (err == 0)
        err = form->read(m, source, &st, c->words[1], e);
    /* What was taken before a mistake is kept: the next run goes on from there. */
    int flush = m->deposit.mailbox.n ? deposit_flush(&m->deposit, err ? NULL : e) : 0;
    progress_end(&m->progress);
    (void)close(source);
    err = err ? err : flush;
    if (err)
        filling_explain(&m->port, c->words[0], opened, e);
    json_decref(opened);
    return err;
}

static void report_json(const struct import *m)
{
    const struct deposit *d = &m->deposit;
    json_t *v =
        json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "ok", 1, "mailboxes", (json_int_t)d->mailboxes, "added",
                  (json_int_t)d->added, "skipped", (json_int_t)d->skipped, "bytes", (json_int_t)d->bytes, "left-out",
                  (json_int_t)m->left_out, "internal", (json_int_t)m->internal, "expunged", (json_int_t)m->expunged, "copies",
                  (json_int_t)m->copied, "doubtful-taken", (json_int_t)m->taken, "doubtful-left", (json_int_t)m->left,
                  "keywords-lost", (json_int_t)(d->keywords_lost + m->keywords_lost));
    json_object_set_new(v, "empty", json_integer((json_int_t)m->empty));
    json_object_set_new(v, "with-nul", json_integer((json_int_t)d->with_nul));
    json_object_set_new(v, "other-names", json_integer((json_int_t)d->apart_n));
    mishaps_add_json(&m->mishaps, v);
    cli_print_json(v);
    json_decref(v);
}

static void report(const struct import *m, const struct cli *c)
{
    const struct deposit *d = &m->deposit;
    unsigned long long lost = d->keywords_lost + m->keywords_lost;
    (void)printf("%s: %s added to %s, %s; %s there already\n", c->words[0], COUNT(d->added, "message", "messages"),
                 COUNT(d->mailboxes, "mailbox", "mailboxes"), COUNT(d->bytes, "byte", "bytes"), COUNT(d->skipped, "was", "were"));
    if (m->left_out)
        (void)printf(
            "%s left out; `find %s ! -type f ! -type d` lists them\n",
            COUNT(m->left_out, "name is a link, a FIFO or the like and was", "names are links, FIFOs or the like and were"),
            c->words[1]);
    if (m->empty)
        (void)printf("%s left out\n", COUNT(m->empty, "message is empty, without header or text, and was",
                                            "messages are empty, without header or text, and were"));
    if (d->with_nul)
        (void)printf("%s NUL bytes, which no mail program takes: what holds them is kept in base64, or where that cannot be each "
                     "NUL as a question mark\n",
                     COUNT(d->with_nul, "message held", "messages held"));
    if (m->internal)
        (void)printf("%s left out\n",
                     COUNT(m->internal, "message is no mail but what Pine or an IMAP server kept in a folder for itself, and was",
                           "messages are no mail but what Pine or an IMAP server kept in a folder for itself, and were"));
    if (m->expunged)
        (void)printf("%s left out; --with-expunged brings them in, marked as deleted\n",
                     COUNT(m->expunged, "message was deleted in Thunderbird, which had not compacted the folder yet, and was",
                           "messages were deleted in Thunderbird, which had not compacted the folder yet, and were"));
    if (m->copied)
        (void)printf("%s left out\n", COUNT(m->copied, "further copy of a message with several labels was",
                                            "further copies of messages with several labels were"));
    if (m->taken || m->left)
        (void)printf("%s doubtful: %s taken for the beginning of a message, %llu for text; look at "
                     "the first, %s\n",
                     COUNT(m->taken + m->left, "line \"From ...\" is", "lines \"From ...\" are"), COUNT(m->taken, "was", "were"),
                     (unsigned long long)m->left, m->doubt);
    deposit_tell_names(d);
    if (lost)
        (void)printf("%s a keyword was left out: a mailbox has at most %d; its message is kept\n", COUNT(lost, "time", "times"),
                     MAIL_KEYWORDS_MAX);
}

static void failed(void *ctx, const char *what, const char *reason)
{
    mishaps_add(ctx, what, reason);
}

static int run(struct cli *c, const struct import_form *form)
{
    struct import m = { .below = str_from_z(cli_value(c, "mailbox")),
                        .ignore_labels = cli_value(c, "ignore-labels") != NULL,
                        .with_expunged = cli_value(c, "with-expunged") != NULL,
                        .raw = BUF_INIT((size_t)BULK_MESSAGE_MAX),
                        .message = BUF_INIT((size_t)BULK_MESSAGE_MAX),
                        .where = BUF_INIT(1 << 16),
                        .mailbox = BUF_INIT(IMPORT_PATH_MAX) };
    struct error e = ERROR_NONE;
    int err = port_open(c->dir, &m.port, &e);
    if (err)
        return cli_fail(c, err, e.text);
    deposit_init(&m.deposit, &m.port, failed, &m.mishaps);
    mishaps_init(&m.mishaps, &m.progress, c->json);
    map_init(&m.copies);
    err = import_all(&m, c, form, &e);
    if (err == 0 && c->json)
        report_json(&m);
    else if (err == 0)
        report(&m, c);
    int status = err ? cli_fail(c, err, e.text)
                     : mishaps_status(&m.mishaps, m.deposit.keywords_lost + m.keywords_lost, "messages, files or folders");
    map_done(&m.copies);
    mishaps_done(&m.mishaps);
    deposit_done(&m.deposit);
    port_close(&m.port);
    buf_done(&m.raw);
    buf_done(&m.message);
    buf_done(&m.where);
    buf_done(&m.mailbox);
    return status;
}

int cmd_import_maildir(struct cli *c)
{
    return run(c, &import_maildir);
}

int cmd_import_mbox(struct cli *c)
{
    return run(c, &import_mbox);
}
