/* import_mbox: valise import mbox. A file is a mailbox; a directory holds those below: "Work/2026.mbox" as export writes it, "Work.sbd/2026" as Thunderbird does,
 * "Work.mbox/mbox" as Apple Mail, and Dovecot's, which has ".imap" beside and names in modified UTF-7, as folders of
 * an IMAP server have in Thunderbird. Messages of Google Takeout go where their labels say (archive/gmail.h).
 *
 * A file is read twice: where messages begin and where each belongs, then the messages of one mailbox after the other, since changing between mailboxes costs a
 * commit. Its owner may shorten or lengthen it meanwhile, so it is read and never mapped, in parts of WINDOW bytes or one message. */
#include <errno.h>
#include <unistd.h>

#include "archive/foreign.h"
#include "archive/gmail.h"
#include "archive/maildir.h"
#include "archive/mbox.h"
#include "base/count.h"
#include "cli/import.h"
#include "cli/tree.h"
#include "imap/utf7.h"
#include "message/date.h"

enum {
    HEAD_BYTES = 4096,
    FOLDERS_MAX = MAIL_MAILBOXES_MAX,
    LABELS_ARENA = 1 << 20,
    NAMES_ARENA = 64 << 20,
    WINDOW = 1 << 20,
    HOLES_MAX = 1 << 20,
    SURROUNDINGS = 1 << 16 /* of the largest message: the lines that it lies between */
};

/* --- looking --- */

enum kind {
    KIND_MBOX,
    KIND_EMPTY,
    KIND_INDEX, /* of another program; no mail is in it */
    KIND_OTHER
};

/* What FILE is, of which HEAD are the first bytes. */
static enum kind kind_of(str head, const char *name)
{
    struct mbox_reader r;
    struct mbox_message first;
    mbox_open(&r, head, 0);
    if (mbox_next(&r, &first))
        return KIND_MBOX;
    return foreign_is_index(str_from_z(name)) ? KIND_INDEX : r.at == head.n ? KIND_EMPTY : KIND_OTHER;
}

static enum kind kind_at(int dir, const char *name)
{
    char head[HEAD_BYTES];
    int fd = beneath_file(dir, name, NULL, NULL);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
    if (fd >= 0)
        (void)close(fd);
    return n < 0 ? KIND_OTHER : kind_of((str){ head, (size_t)n }, name);
}

struct found {
    uint64_t bytes;
    bool mbox, empty; /* there is an mbox file, or an empty one */
    bool maildir;
    const char *foreign;
};

/* Whether a part of PATH begins with a dot: such are not read. */
static bool is_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.");
}

static int look_at(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    (void)e;
    struct found *found = ctx;
    if (!found->foreign)
        found->foreign = foreign_name(str_from_z(entry->name));
    if (S_ISDIR(entry->st.st_mode))
        found->maildir = found->maildir || (strcmp(entry->name, "cur") == 0 && beneath_exists(entry->dir, "new"));
    if (!S_ISREG(entry->st.st_mode) || is_hidden(entry->path))
        return 0;
    enum kind kind = kind_at(entry->dir, entry->name);
    found->mbox = found->mbox || kind == KIND_MBOX;
    found->empty = found->empty || kind == KIND_EMPTY;
    found->bytes += kind == KIND_INDEX ? 0 : (uint64_t)entry->st.st_size;
    return 0;
}

static int refuse(const char *path, str head, struct error *e)
{
    const char *foreign = foreign_file(head);
    if (foreign)
        return error_set(e, ERR_SYNTAX, "%s is %s", path, foreign);
    if (str_starts(head, STR("From ")) && str_find_byte(head, '\n', 0) == head.n)
        return error_set(e, ERR_SYNTAX,
                         "%s has the line ends of an old Macintosh: `tr '\\r' '\\n' < FILE > NEW` makes an mbox of it", path);
    return error_set(e, ERR_SYNTAX, "%s is no mbox: it does not begin with a line \"From sender date\" and header fields", path);
}

static int look(int source, const struct stat *st, const char *path, uint64_t *ret_bytes, struct error *e)
{
    if (!S_ISDIR(st->st_mode)) {
        char head[HEAD_BYTES];
        ssize_t n = pread(source, head, sizeof head, 0);
        if (n < 0)
            return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
        *ret_bytes = (uint64_t)st->st_size;
        enum kind kind = kind_of((str){ head, (size_t)n }, "");
        return kind == KIND_MBOX || (kind == KIND_EMPTY && n < HEAD_BYTES) ? 0 : refuse(path, (str){ head, (size_t)n }, e);
    }
    struct found found = { 0 };
    (void)!beneath_walk(source, look_at, &found, NULL);
    *ret_bytes = found.bytes;
    if (beneath_exists(source, "cur") && beneath_exists(source, "new"))
        return error_set(e, ERR_SYNTAX, "%s is a Maildir; `valise import maildir` reads it", path);
    if (beneath_exists(source, "prefs.js") && found.foreign)
        return error_set(e, ERR_SYNTAX, "%s is %s", path, foreign_name(STR("prefs.js")));
    if (found.mbox || (found.empty && !found.foreign))
        return 0;
    if (found.foreign)
        return error_set(e, ERR_SYNTAX, "%s is %s", path, found.foreign);
    return error_set(e, ERR_SYNTAX,
                     found.maildir ? "%s holds Maildirs; `valise import maildir` reads them" : "%s holds no mbox file", path);
}

/* --- where messages begin --- */

#define BAD_LABELS "its labels are too many or too long; --ignore-labels brings it in without them"

struct letter {
    uint64_t at, n; /* where it is in the file */
    int64_t received;
    bool measured;
    bool takeout;    /* its labels count (archive/gmail.h) */
    uint32_t folder; /* of names; UINT32_MAX: nowhere */
};

struct reading {
    struct letter *letters;
    size_t n, cap;
    struct arena names_arena;
    str *names; /* of mailboxes, in the order in which they are met */
    uint32_t name_n;
    struct map folders; /* name to number + 1 */
};

static int folder_number(struct reading *r, str name, uint32_t *ret)
{
    uintptr_t known = (uintptr_t)map_get(&r->folders, name);
    if (known == 0 && r->name_n == FOLDERS_MAX)
        return ERR_LIMIT;
    if (known == 0) {
        if (arena_dup(&r->names_arena, name, &r->names[r->name_n]))
            return ERR_LIMIT;
        known = ++r->name_n;
        (void)map_put(&r->folders, name, (void *)known);
    }
    *ret = (uint32_t)known - 1;
    return 0;
}

/* Whether Google's message was met already, under the same number and Message-ID; one without an ID in the same words. */
static bool is_copy(struct import *m, const struct mbox_message *message)
{
    char digest[BULK_DIGEST + 1];
    struct buf key = BUF_INIT(HEAD_BYTES);
    str id = str_trim(mbox_field(message->text, STR("Message-ID:")));
    if (id.n == 0 || id.n > HEAD_BYTES / 2) {
        bulk_digest(message->text, digest);
        id = str_from_z(digest);
    }
    buf_add_all(&key, str_sub(message->sender, 0, HEAD_BYTES / 4), STR(" "), id);
    bool known = map_put(&m->copies, buf_str(&key), m) != NULL;
    buf_done(&key);
    return known;
}

/* Labels that cannot be read say nothing of where their message goes: no mailbox is made for it. */
static void tell_labels(struct import *m, struct letter *l, const char *name, size_t number, int bad)
{
    struct error own = ERROR_NONE;
    struct buf what = BUF_INIT(2 * IMPORT_PATH_MAX);
    buf_addf(&what, "%s, message %zu", name, number);
    const char *z = buf_z(&what);
    (void)error_set(&own, bad, BAD_LABELS);
    import_failed(m, z ? z : name, &own);
    buf_done(&what);
    l->folder = UINT32_MAX;
}

/* Where the message goes: into MAILBOX, or where its labels say. */
static int place(struct import *m, struct reading *r, const struct mbox_message *message, struct letter *l, str mailbox,
                 const char *name)
{
    l->takeout = gmail_is_takeout(message->sender, message->text);
    str labels = m->ignore_labels || !l->takeout ? (str){ NULL, 0 } : gmail_labels_find(message->text);
    if (!labels.p)
        return folder_number(r, mailbox, &l->folder);
    if (is_copy(m, message)) {
        m->copied++;
        l->folder = UINT32_MAX;
        return 0;
    }
    struct arena a = ARENA_INIT(LABELS_ARENA);
    struct gmail_labels found;
    int bad = gmail_labels_read(labels, &a, &found), err = bad ? 0 : folder_number(r, found.folder, &l->folder);
    arena_done(&a);
    if (bad)
        tell_labels(m, l, name, r->n + 1, bad);
    return err ? folder_number(r, mailbox, &l->folder) : 0;
}

static void add_letter(struct reading *r, const struct letter *l)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 256;
        struct letter *more = realloc(r->letters, r->cap * sizeof *more);
        if (!more)
            panic("out of memory for the messages of an mbox");
        r->letters = more;
    }
    r->letters[r->n++] = *l;
}

static void note_doubts(struct import *m, const struct mbox_reader *from, const char *name)
{
    if (m->taken + m->left == 0 && from->taken + from->left)
        (void)snprintf(m->doubt, sizeof m->doubt, "%.*s%s at byte %llu", STR_ARG(buf_str(&m->where)), name,
                       (unsigned long long)from->first_doubt);
    m->taken += from->taken;
    m->left += from->left;
}

/* Reads N bytes of FD from AT to the end of B, less where the file ends. */
static int read_part(int fd, uint64_t at, size_t n, struct buf *b, struct error *e)
{
    while (n) {
        char *p = buf_reserve(b, n);
        if (!p)
            return error_set(e, ERR_LIMIT, "no memory for %zu bytes of it", n);
        ssize_t got = pread(fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(e, err_from_errno(errno), "%s", strerrordesc_np(errno));
        if (got == 0)
            return 0;
        buf_commit(b, (size_t)got);
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* The part of a file that is looked at. */
struct window {
    int fd;
    uint64_t size; /* of the file, as far as it was seen */
    struct buf bytes;
};

/* Begins the window where FROM stands, with more than before if it stands at its beginning. */
static int move_window(struct window *w, struct mbox_reader *from, struct error *e)
{
    size_t kept = w->bytes.n - from->at, more = from->at || kept < WINDOW ? WINDOW : kept;
    uint64_t begins = from->base + from->at, end = begins + kept;
    more = kept + more > w->bytes.max ? w->bytes.max - kept : more;
    if (kept)
        memmove(w->bytes.p, w->bytes.p + from->at, kept);
    buf_truncate(&w->bytes, kept);
    int err = read_part(w->fd, end, more < w->size - end ? more : (size_t)(w->size - end), &w->bytes, e);
    if (begins + w->bytes.n < w->size && w->bytes.n < kept + more)
        w->size = begins + w->bytes.n; /* it was shortened */
    mbox_continue(from, buf_str(&w->bytes), w->size - begins - w->bytes.n);
    return err;
}

/* The message where FROM stands is too large. */
static int skip_letter(struct import *m, struct window *w, struct mbox_reader *from, const char *name, struct error *e)
{
    struct error own = ERROR_NONE;
    struct buf what = BUF_INIT(2 * IMPORT_PATH_MAX);
    int err = 0;
    buf_addf(&what, "%s, at byte %llu", name, (unsigned long long)(from->base + from->at));
    const char *z = buf_z(&what);
    (void)error_set(&own, ERR_LIMIT, "the message there is larger than %d bytes", (int)BULK_MESSAGE_MAX);
    import_failed(m, z ? z : name, &own);
    for (bool inside = false; err == 0 && !mbox_skip(from, inside); inside = true)
        err = move_window(w, from, e);
    buf_done(&what);
    return err;
}

static int find_letter(struct import *m, struct reading *r, struct mbox_reader *from, const struct mbox_message *found,
                       str mailbox, const char *name)
{
    struct letter l = { .at = from->base + (uint64_t)(found->text.p - from->file.p),
                        .n = found->text.n,
                        .received = found->received,
                        .measured = found->measured };
    int err = place(m, r, found, &l, mailbox, name);
    if (err == 0)
        add_letter(r, &l);
    return err;
}

static int find_letters(struct import *m, struct reading *r, struct window *w, str mailbox, const char *name, struct error *e)
{
    struct mbox_reader from;
    struct mbox_message found;
    char head[HEAD_BYTES];
    int err = read_part(w->fd, 0, w->size < WINDOW ? (size_t)w->size : WINDOW, &w->bytes, e), full = 0;
    size_t head_n = w->bytes.n < HEAD_BYTES ? w->bytes.n : HEAD_BYTES;
    if (err)
        return err;
    if (head_n)
        memcpy(head, w->bytes.p, head_n);
    if (w->bytes.n < w->size && w->bytes.n < WINDOW)
        w->size = w->bytes.n;
    mbox_open(&from, buf_str(&w->bytes), w->size - w->bytes.n);
    for (bool more = true; more && err == 0 && full == 0;) {
        more = mbox_next(&from, &found);
        if (more) {
            full = find_letter(m, r, &from, &found, mailbox, name);
        } else if (from.wants) {
            more = true;
            err = from.at == 0 && w->bytes.n == w->bytes.max ? skip_letter(m, w, &from, name, e) : move_window(w, &from, e);
        }
    }
    note_doubts(m, &from, name);
    if (full)
        return error_set(e, full, "its messages have labels for more than %d mailboxes; --ignore-labels puts all into one",
                         FOLDERS_MAX);
    return err ? err : from.at < from.file.n ? refuse("it", (str){ head, head_n }, e) : 0;
}

/* --- messages --- */

/* When L came: as its line says, or its own fields, or else when the file was written, so that a second run finds it again. */
static int64_t received_ms(const struct mbox_message *l, const struct stat *st)
{
    int64_t seconds = l->received;
    if (seconds != INT64_MIN)
        return seconds * 1000;
    str received = mbox_field(l->text, STR("Received:"));
    size_t semicolon = str_rfind_byte(received, ';');
    if (semicolon < received.n && message_date_parse(str_from(received, semicolon + 1), &seconds, NULL))
        return seconds * 1000;
    if (message_date_parse(mbox_field(l->text, STR("Date:")), &seconds, NULL))
        return seconds * 1000;
    return (int64_t)st->st_mtim.tv_sec * 1000;
}

/* The flags of Google's labels in place of what no field said. */
static int add_labels(const struct mbox_message *l, struct arena *a, struct mail_flags *flags)
{
    str labels = gmail_labels_find(l->text);
    struct gmail_labels found;
    int err = labels.p ? gmail_labels_read(labels, a, &found) : 0;
    if (labels.p && err == 0) {
        flags->system |= found.flags.system;
        if (found.flags.keyword_n)
            flags->keywords = found.flags.keywords;
        flags->keyword_n = found.flags.keyword_n ? found.flags.keyword_n : flags->keyword_n;
    }
    return err;
}

/* Reads L from FD into m->raw. */
static int read_letter(struct import *m, int fd, const struct letter *l, struct mbox_message *ret, struct error *e)
{
    buf_reset(&m->raw);
    int err = l->n > BULK_MESSAGE_MAX ? error_set(e, ERR_LIMIT, "it is larger than %d bytes", (int)BULK_MESSAGE_MAX)
                                      : read_part(fd, l->at, (size_t)l->n, &m->raw, e);
    if (err == 0 && m->raw.n < l->n)
        err = error_set(e, ERR_CONFLICT, "the file became shorter while it was read; run the import again");
    *ret = (struct mbox_message){ .text = buf_str(&m->raw), .received = l->received, .measured = l->measured };
    return err;
}

static int import_letter(struct import *m, int fd, const struct letter *l, size_t number, const struct stat *st, const char *name,
                         struct error *e)
{
    struct mbox_message message;
    struct arena a = ARENA_INIT(1 << 20);
    struct mbox_status status;
    struct buf what = BUF_INIT(2 * IMPORT_PATH_MAX);
    struct error own = ERROR_NONE;
    buf_addf(&what, "%s, message %zu", name, number);
    const char *z = buf_z(&what);
    buf_reset(&m->message);
    int err = 0, unread = read_letter(m, fd, l, &message, &own), bad = unread;
    if (bad == 0 && (bad = mbox_decode(&message, &m->message, &a, &status)) && buf_error(&m->message))
        (void)error_set(&own, bad, "it is larger than %d bytes", (int)BULK_MESSAGE_MAX);
    else if (bad && !unread)
        (void)error_set(&own, bad, "its fields X-Keywords and the like are too long");
    int labels = bad == 0 && l->takeout ? add_labels(&message, &a, &status.flags) : 0;
    if (labels && !m->ignore_labels)
        bad = error_set(&own, labels, BAD_LABELS);
    if (bad) {
        import_failed(m, z ? z : name, &own);
    } else if (status.internal) {
        m->internal++;
    } else if (status.expunged && !m->with_expunged) {
        m->expunged++;
    } else {
        m->keywords_lost += status.keywords_lost;
        err = import_message(m, &status.flags, received_ms(&message, st), z ? z : name, e);
    }
    buf_done(&what);
    arena_done(&a);
    return err;
}

/* All that go to mailbox FOLDER. */
static int import_folder(struct import *m, int fd, const struct reading *r, uint32_t folder, const struct stat *st,
                         const char *name, struct error *e)
{
    struct error own = ERROR_NONE;
    bool good;
    uint64_t refused = 0;
    int err = import_mailbox(m, r->names[folder], &good, &own);
    if (err) {
        *e = own;
        return err;
    }
    for (size_t i = 0; i < r->n && err == 0; i++) {
        if (r->letters[i].folder != folder)
            continue;
        if (good)
            err = import_letter(m, fd, &r->letters[i], i + 1, st, name, e);
        refused++;
        progress_step(&m->progress, r->letters[i].n);
    }
    if (!good) {
        (void)error_prefix(&own, "mailbox %.*s, %s", STR_ARG(r->names[folder]), COUNT(refused, "message", "messages"));
        import_failed(m, name, &own);
    }
    return err;
}

/* The mbox in the open file FD, called NAME. What is wrong with all of it is told in OWN. */
static int import_open(struct import *m, int fd, const struct stat *st, const char *name, str mailbox, struct error *own,
                       struct error *e)
{
    struct window w = { .fd = fd, .size = (uint64_t)st->st_size, .bytes = BUF_INIT((size_t)BULK_MESSAGE_MAX + SURROUNDINGS) };
    struct reading r = { .names_arena = ARENA_INIT(NAMES_ARENA), .names = calloc(FOLDERS_MAX, sizeof *r.names) };
    uint64_t before = m->progress.done, size = (uint64_t)st->st_size;
    int err = 0;
    if (!r.names)
        panic("out of memory for the mailboxes of an mbox");
    map_init(&r.folders);
    int bad = find_letters(m, &r, &w, mailbox, name, own);
    buf_done(&w.bytes);
    uint32_t nothing;
    if (bad == 0 && r.n == 0)
        bad = folder_number(&r, mailbox, &nothing);
    for (uint32_t i = 0; i < r.name_n && bad == 0 && err == 0; i++)
        err = import_folder(m, fd, &r, i, st, name, e);
    if (err == 0 && m->progress.done - before < size)
        progress_step(&m->progress, size - (m->progress.done - before));
    map_done(&r.folders);
    arena_done(&r.names_arena);
    free(r.names);
    free(r.letters);
    if (bad)
        import_failed(m, name, own);
    return err;
}

/* The open file FD, which is closed, called NAME in the folder that is read. */
static int import_file(struct import *m, int fd, const struct stat *st, const char *name, str mailbox, struct error *e)
{
    struct error own = ERROR_NONE;
    uint64_t holes = tree_holes(fd, (uint64_t)st->st_size);
    int err = 0;
    if (holes > (uint64_t)HOLES_MAX) {
        (void)error_set(&own, ERR_CORRUPT,
                        "it has %llu bytes that were never written; `tr -d '\\000' < FILE > NEW` makes one without them",
                        (unsigned long long)holes);
        import_failed(m, name, &own);
        progress_step(&m->progress, (uint64_t)st->st_size);
    } else {
        err = import_open(m, fd, st, name, mailbox, &own, e);
    }
    (void)close(fd);
    return err;
}

/* --- folders --- */

/* What kind of tree a directory is in: export escapes what a file's name should not have, others do not. */
static bool is_thunderbird(const struct beneath_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (str_ends(str_from_z(names->list[i]), STR(".msf")) || str_ends(str_from_z(names->list[i]), STR(".sbd")))
            return true;
    return false;
}

/* Whether the part of PATH after its last slash, or one before, is NAME. */
static bool has_part(str path, str name)
{
    str part;
    while (str_split(&path, '/', &part))
        if (str_eq(part, name))
            return true;
    return false;
}

/* How names of folders are spelt in SOURCE, called PATH. Dovecot and UW imapd, which leave files of their own, write all in modified UTF-7; Thunderbird
 * an IMAP server's, as the server spells them, and its own local ones as they are. */
static enum import_spelling spelling_of(int source, const char *path)
{
    static const char *const servers[] = { ".imap", ".subscriptions", ".mailboxlist", "dovecot-uidvalidity",
                                           "dovecot.list.index.log" };
    struct beneath_names names = { 0 };
    str whole = str_from_z(path);
    enum import_spelling ret = IMPORT_SPELLING_PLAIN;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
        if (beneath_exists(source, servers[i]))
            return IMPORT_SPELLING_UTF7;
    if (beneath_list(source, &names, NULL) == 0 &&
        (is_thunderbird(&names) || has_part(whole, STR("ImapMail")) || str_ends(whole, STR(".sbd"))))
        ret = IMPORT_SPELLING_EITHER;
    beneath_names_free(&names);
    return ret;
}

/* Undoes what export did to a level of a mailbox's name, or takes it as it is. */
static void add_level(struct buf *b, str level, bool escaped)
{
    for (size_t i = 0; i < level.n; i++) {
        int hi = escaped && level.p[i] == '%' && i + 2 < level.n ? ascii_hex_value(level.p[i + 1]) : -1;
        int lo = hi >= 0 ? ascii_hex_value(level.p[i + 2]) : -1;
        char c = level.p[i];
        if (lo >= 0) {
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        buf_add_byte(b, c);
    }
}

/* The same for a whole level; modified UTF-7 where that is what names are in, and what is none stays as it is. */
static void add_name(const struct import *m, struct buf *b, str level, bool escaped)
{
    struct arena a = ARENA_INIT(1 << 16);
    str decoded;
    bool shifted = str_find_byte(level, '&', 0) < level.n;
    if (m->spelling == IMPORT_SPELLING_UTF7 && maildir_level_parse(level, &a, &decoded) == 0)
        buf_add(b, decoded);
    else if (m->spelling == IMPORT_SPELLING_EITHER && shifted && imap_utf7_decode(level, &a, &decoded) == 0)
        buf_add(b, decoded);
    else
        add_level(b, level, escaped && m->spelling == IMPORT_SPELLING_PLAIN);
    arena_done(&a);
}

static str without_end(str name, str end)
{
    return name.n > end.n && str_ends(name, end) ? str_sub(name, 0, name.n - end.n) : name;
}

static int import_tree(struct import *m, int folder, str parent, unsigned depth, struct error *e);

/* The directory NAME, for mailbox PARENT and those below. */
static int import_directory(struct import *m, int folder, const char *name, str mailbox, unsigned depth, struct error *e)
{
    struct error own = ERROR_NONE;
    int fd = beneath_directory(folder, name, &own), err = 0;
    if (fd == ERR_NOTFOUND)
        return 0;
    if (fd >= 0 && beneath_exists(fd, "cur") && beneath_exists(fd, "new")) {
        (void)error_set(&own, ERR_SYNTAX, "it is a Maildir; bring it in by `valise import maildir ... --mailbox NAME`");
        import_failed(m, name, &own);
    } else if (fd < 0) {
        import_failed(m, name, &own);
    } else {
        size_t before = import_enter(m, name);
        err = import_tree(m, fd, mailbox, depth + 1, e);
        import_leave(m, before);
    }
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* NAME in the open directory FOLDER: a file is a mailbox, a folder holds those below. */
static int import_name(struct import *m, int folder, const char *name, str parent, bool thunderbird, unsigned depth,
                       struct error *e)
{
    struct buf mailbox = BUF_INIT(BENEATH_PATH_MAX + MAIL_NAME_MAX);
    struct error own = ERROR_NONE;
    struct stat st;
    str level = str_from_z(name);
    int err = 0;
    bool directory = import_is_kind(m, folder, name, S_IFDIR), apple = str_eq(level, STR("mbox")) && parent.n;
    bool file = !directory && beneath_look(folder, name, &st, NULL) == 0 && S_ISREG(st.st_mode);
    level = thunderbird ? level : without_end(level, STR(".mbox"));
    level = directory ? without_end(level, STR(".sbd")) : level;
    buf_add(&mailbox, parent);
    if (!apple || directory) {
        buf_add(&mailbox, parent.n ? STR("/") : STR(""));
        add_name(m, &mailbox, level, !thunderbird);
    }
    enum kind kind = file ? kind_at(folder, name) : KIND_INDEX;
    if (directory) {
        err = import_directory(m, folder, name, buf_str(&mailbox), depth, e);
    } else if (kind != KIND_INDEX) {
        int fd = beneath_file(folder, name, &st, &own);
        if (fd < 0)
            import_failed(m, name, &own);
        else
            err = import_file(m, fd, &st, name, buf_str(&mailbox), e);
    }
    buf_done(&mailbox);
    return err;
}

static int look_for_mbox(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    (void)e;
    bool *found = ctx;
    *found = *found || (S_ISREG(entry->st.st_mode) && kind_at(entry->dir, entry->name) == KIND_MBOX);
    return 0;
}

/* NAME begins with a dot, as what programs keep for themselves: when there is mail in it, that is told. */
static void tell_hidden(struct import *m, int folder, const char *name)
{
    struct error own = ERROR_NONE;
    struct stat st;
    bool found = false;
    if (beneath_look(folder, name, &st, NULL))
        return;
    int fd = S_ISDIR(st.st_mode) ? beneath_directory(folder, name, NULL) : -1;
    if (fd >= 0) {
        (void)!beneath_walk(fd, look_for_mbox, &found, NULL);
        (void)close(fd);
    } else if (S_ISREG(st.st_mode)) {
        found = kind_at(folder, name) == KIND_MBOX;
    }
    if (!found)
        return;
    (void)error_set(
        &own, ERR_SYNTAX,
        "it holds mail, but names with a dot at their beginning are not read; bring it in alone: `valise import mbox ... "
        "--mailbox NAME`");
    import_failed(m, name, &own);
}

static int import_tree(struct import *m, int folder, str parent, unsigned depth, struct error *e)
{
    struct beneath_names names = { 0 };
    struct error own = ERROR_NONE;
    int err = 0, bad = depth < IMPORT_DEPTH_MAX ? beneath_list(folder, &names, &own)
                                                : error_set(&own, ERR_LIMIT, "deeper than %d folders", IMPORT_DEPTH_MAX);
    if (bad)
        import_failed(m, "", &own);
    bool thunderbird = is_thunderbird(&names);
    if (thunderbird && m->spelling == IMPORT_SPELLING_PLAIN)
        m->spelling = IMPORT_SPELLING_EITHER; /* accounts of Thunderbird below what was named */
    for (size_t i = 0; i < names.n && err == 0; i++)
        if (names.list[i][0] == '.')
            tell_hidden(m, folder, names.list[i]);
        else
            err = import_name(m, folder, names.list[i], parent, thunderbird, depth, e);
    beneath_names_free(&names);
    return err;
}

/* What a directory of Apple Mail at PATH, "Sent Messages.mbox" with its file "mbox", is called; empty for any other. */
static str apple_name(int source, const char *path)
{
    struct stat st;
    str name = str_from_z(path);
    while (str_ends(name, STR("/")))
        name = str_sub(name, 0, name.n - 1);
    size_t slash = str_rfind_byte(name, '/');
    name = str_from(name, slash < name.n ? slash + 1 : 0);
    str level = without_end(name, STR(".mbox"));
    bool apple = level.n < name.n && beneath_look(source, "mbox", &st, NULL) == 0 && S_ISREG(st.st_mode);
    return apple ? level : (str){ NULL, 0 };
}

static int read_source(struct import *m, int source, const struct stat *st, const char *path, struct error *e)
{
    m->deposit.ends_lines = true;
    if (S_ISDIR(st->st_mode)) {
        m->spelling = spelling_of(source, path);
        return import_tree(m, source, apple_name(source, path), 0, e);
    }
    int copy = dup(source);
    return copy < 0 ? error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno))
                    : import_file(m, copy, st, path, STR("INBOX"), e);
}

const struct import_form import_mbox = { look, read_source };
