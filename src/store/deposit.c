/* deposit: a message on its way in.
 *
 * Up to 1 MiB it is on the heap. What is larger goes to a file without a name as it arrives (in the spool directory, or an
 * anonymous memory file), and is mapped when complete: the parser sees one piece, and the kernel may take the pages away, so
 * that a hundred large messages in flight do not fill our memory. The blob is written from there at the end: a second write of
 * large messages, but a message that is refused half-way leaves nothing behind in the store. */
#include "store/mail_private.h"
#include "run/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEPOSIT_MEMORY = 1 << 20 };

struct mail_deposit *deposit_new(struct mail_store *s)
{
    struct mail_deposit *d = calloc(1, sizeof *d);
    if (!d)
        panic("out of memory for a deposit");
    d->store = s;
    d->fd = -1;
    buf_init(&d->memory, DEPOSIT_MEMORY);
    buf_init(&d->structure, EMAIL_STRUCTURE_MAX);
    return d;
}

struct mail_deposit *mail_deposit_new(struct mail_store *s, struct mail_account *owner)
{
    return deposit_new(s);
}

void mail_deposit_free(struct mail_deposit *d)
{
    if (!d)
        return;
    if (d->map)
        munmap(d->map, (size_t)d->size);
    if (d->fd >= 0)
        close(d->fd);
    buf_done(&d->memory);
    buf_done(&d->structure);
    free(d);
}

uint64_t mail_deposit_size(const struct mail_deposit *d)
{
    return d->size;
}

static int write_file(int fd, str bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

/* Leaves memory for a file. */
static int spill(struct mail_deposit *d)
{
    if (d->store->spool_dir >= 0)
        d->fd = openat(d->store->spool_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    else
        d->fd = memfd_create("deposit", MFD_CLOEXEC);
    if (d->fd < 0)
        return err_from_errno(errno);
    d->fd = descriptors_spare(d->fd);
    if (d->fd < 0)
        return d->fd;
    int r = write_file(d->fd, buf_str(&d->memory));
    buf_done(&d->memory);
    return r;
}

int mail_deposit_write(struct mail_deposit *d, str bytes)
{
    require(!d->ready);
    if (bytes.n > UINT32_MAX - d->size)
        return ERR_LIMIT;
    int r = 0;
    if (d->fd < 0 && d->size + bytes.n > DEPOSIT_MEMORY)
        r = spill(d);
    if (!r && d->fd >= 0)
        r = write_file(d->fd, bytes);
    else if (!r)
        buf_add(&d->memory, bytes);
    if (!r)
        d->size += bytes.n;
    return r;
}

int mail_deposit_from(struct mail_store *s, str message, str structure, struct mail_deposit **ret, struct error *e)
{
    if (message.n > UINT32_MAX || structure.n > EMAIL_STRUCTURE_MAX)
        return error_set(e, ERR_LIMIT, "the message is too large");
    struct mail_deposit *d = deposit_new(s);
    d->foreign = true;
    d->message = message.p ? message : STR("");
    d->size = message.n;
    buf_add(&d->structure, structure);
    int r = thread_refs_of(structure, message.n, &d->refs);
    if (!r)
        r = email_summary_of(structure, message.n, &d->summary);
    if (!r && !message_text_is(d->message, MESSAGE_TEXT_NO_NUL)) /* M11 */
        r = ERR_CORRUPT;
    if (r) {
        mail_deposit_free(d);
        return error_set(e, r, "the message's structure does not fit the message, or it has a NUL");
    }
    d->ready = true;
    *ret = d;
    return 0;
}

int deposit_complete(struct mail_deposit *d, struct error *e)
{
    if (d->fd >= 0) {
        d->map = mmap(NULL, (size_t)d->size, PROT_READ, MAP_PRIVATE, d->fd, 0);
        if (d->map == MAP_FAILED) {
            d->map = NULL;
            return error_set(e, err_from_errno(errno), "the message could not be mapped: %s", strerror(errno));
        }
        d->message = (str){ d->map, (size_t)d->size };
    } else {
        d->message = buf_str(&d->memory);
        if (!d->message.p)
            d->message.p = "";
    }
    return 0;
}

struct rewriting {
    struct mail_deposit *to;
    int result;
};

static void rewrite(void *ctx, str bytes)
{
    struct rewriting *w = ctx;
    if (w->result == 0)
        w->result = mail_deposit_write(w->to, bytes);
}

/* Makes D the message that W.to has, once it is complete, unless R is an error. */
static int replace(struct mail_deposit *d, struct rewriting *w, int r, struct error *e)
{
    if (!r)
        r = w->result ? error_set(e, w->result, "the message could not be written anew") : deposit_complete(w->to, e);
    if (!r) {
        struct mail_deposit old = *d;
        *d = *w->to;
        *w->to = old;
    }
    mail_deposit_free(w->to);
    return r;
}

/* CR LF for each bare LF of D, parts that are binary aside. */
static int with_line_ends(struct mail_deposit *d, struct error *e)
{
    struct rewriting w = { .to = deposit_new(d->store) };
    struct arena a = ARENA_INIT(4 * EMAIL_STRUCTURE_MAX + (1 << 20));
    struct buf bytes = BUF_INIT(EMAIL_STRUCTURE_MAX);
    const struct structure *s;
    int r = message_parse(d->message, &message_limits_default, &bytes);
    if (!r)
        r = structure_open(buf_str(&bytes), d->size, &a, &s);
    if (!r)
        message_line_ends_repair(d->message, s, rewrite, &w);
    else
        (void)error_set(e, r, "the message could not be parsed");
    buf_done(&bytes);
    arena_done(&a);
    return replace(d, &w, r, e);
}

/* Invariant M11: makes D, which has NULs, a message without: parts that hold them go into base64; NULs elsewhere are refused, or
 * masked where D is to be repaired. */
static int without_nul(struct mail_deposit *d, struct error *e)
{
    struct rewriting w = { .to = deposit_new(d->store) };
    struct arena a = ARENA_INIT(4 * EMAIL_STRUCTURE_MAX + (1 << 20));
    struct buf bytes = BUF_INIT(EMAIL_STRUCTURE_MAX);
    const struct structure *s;
    int r = message_parse(d->message, &message_limits_default, &bytes);
    if (!r)
        r = structure_open(buf_str(&bytes), d->size, &a, &s);
    if (!r && d->repair)
        message_nul_repair(d->message, s, rewrite, &w);
    else if (!r)
        r = message_binary_encode(d->message, s, MESSAGE_TEXT_NO_NUL, rewrite, &w);
    buf_done(&bytes);
    arena_done(&a);
    if (r)
        r = error_set(e, r == ERR_REFUSED ? ERR_SYNTAX : r, "the message holds NUL bytes where they cannot be encoded");
    return replace(d, &w, r, e);
}

void mail_deposit_repair(struct mail_deposit *d)
{
    d->repair = true;
}

void mail_deposit_repair_lines(struct mail_deposit *d)
{
    d->repair_lines = true;
}

int deposit_finish(struct mail_deposit *d, struct error *e)
{
    if (d->ready)
        return 0;
    bool repair_lines = d->repair_lines;
    int r = deposit_complete(d, e);
    if (!r && !message_text_is(d->message, MESSAGE_TEXT_NO_NUL))
        r = without_nul(d, e);
    if (!r && repair_lines && message_has_bare_lf(d->message))
        r = with_line_ends(d, e);
    if (r)
        return r;
    r = message_parse(d->message, &message_limits_default, &d->structure);
    if (!r)
        r = thread_refs_of(buf_str(&d->structure), d->size, &d->refs);
    if (!r)
        r = email_summary_of(buf_str(&d->structure), d->size, &d->summary);
    if (r)
        return error_set(e, r, "the message could not be parsed");
    d->ready = true;
    return 0;
}

int deposit_put_blob(struct mail_deposit *d, engine_part owner, engine_blob *ret)
{
    return engine_blob_put(d->store->g, owner, d->message, ret);
}
