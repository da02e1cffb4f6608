/* bulk: see bulk.h. The answering side; asking is in bulk_client.c. */
#include "role/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "run/stream.h"

enum {
    ENTRIES_MAX = 200,
    WAITING_MAX = 50,
    WAITING_BYTES_MAX = 16 << 20,
    ARENA_MAX = 32 << 20,
    PUMP_BYTES = 65536,
    DIGEST_BYTES_MAX = 64 << 20,
    BACKUP_LETTERS_MAX = 32
};

struct bulk {
    struct admin *admin;
    struct mail_account *account;  /* NULL before bulk.open */
    struct mail_view *view;        /* of the mailbox listed last */
    struct mail_deposit *incoming; /* the message behind the present request */
    int incoming_error;
    struct arena arena; /* what waits */
    str mailbox;        /* where it goes */
    struct mail_append waiting[WAITING_MAX];
    uint32_t dropped[WAITING_MAX]; /* keywords of each that had no room */
    size_t waiting_n;
    uint64_t waiting_bytes;
    uint64_t appends;       /* requests so far */
    uint64_t keywords_lost; /* not told yet */
    json_t *failed;         /* the same; NULL: none */
};

struct bulk *bulk_new(struct admin *a)
{
    struct bulk *b = calloc(1, sizeof *b);
    if (!b)
        panic("out of memory for a conversation");
    b->admin = a;
    arena_init(&b->arena, ARENA_MAX);
    return b;
}

static void drop_waiting(struct bulk *b)
{
    for (size_t i = 0; i < b->waiting_n; i++)
        mail_deposit_free(b->waiting[i].deposit);
    b->waiting_n = 0;
    b->waiting_bytes = 0;
    arena_reset(&b->arena);
}

static void drop_report(struct bulk *b)
{
    json_decref(b->failed);
    b->failed = NULL;
    b->keywords_lost = 0;
}

static void close_account(struct bulk *b)
{
    drop_waiting(b);
    drop_report(b);
    b->appends = 0;
    mail_deposit_free(b->incoming);
    b->incoming = NULL;
    mail_view_close(b->view);
    b->view = NULL;
    mail_account_unref(b->account);
    b->account = NULL;
}

void bulk_free(struct bulk *b)
{
    if (!b)
        return;
    close_account(b);
    arena_done(&b->arena);
    free(b);
}

static str get_text(const json_t *request, const char *key)
{
    const json_t *v = json_object_get(request, key);
    return json_is_string(v) ? (str){ json_string_value(v), json_string_length(v) } : (str){ NULL, 0 };
}

static uint64_t get_number(const json_t *request, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(request, key));
    return v > 0 ? (uint64_t)v : 0;
}

static json_t *done(int err, const struct error *e)
{
    return err ? admin_error(err, e->text) : json_pack("{s:b}", "ok", 1);
}

/* --- the account and its mailboxes --- */

static const char *const use_names[] = {
    [MAIL_USE_NONE] = "",           [MAIL_USE_ALL] = "all",   [MAIL_USE_ARCHIVE] = "archive", [MAIL_USE_DRAFTS] = "drafts",
    [MAIL_USE_FLAGGED] = "flagged", [MAIL_USE_JUNK] = "junk", [MAIL_USE_SENT] = "sent",       [MAIL_USE_TRASH] = "trash"
};

static json_t *open_account(struct bulk *b, const json_t *request)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct directory_account account;
    struct mailbox_info *boxes = NULL;
    struct error e = ERROR_NONE;
    size_t n = 0;
    str address = get_text(request, "address");
    close_account(b);
    int err = directory_find_account(b->admin->directory, address, &a, &account);
    if (err == 0)
        err = mail_account_open(b->admin->mail, account.id, &b->account);
    if (err == 0)
        err = mailbox_list(b->account, &a, &boxes, &n);
    if (err)
        (void)error_set(&e, err,
                        err == ERR_NOTFOUND ? "there is no account %.*s"
                        : err == ERR_SYNTAX ? "'%.*s' is not a mail address"
                                            : "the mail of %.*s cannot be opened",
                        STR_ARG(address));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (boxes[i].exists)
            json_array_append_new(list, json_pack("{s:s%,s:s,s:b,s:I}", "name", boxes[i].name.p, boxes[i].name.n, "use",
                                                  use_names[boxes[i].use], "subscribed", (int)boxes[i].subscribed, "messages",
                                                  (json_int_t)boxes[i].messages));
    enum directory_role role = err ? DIRECTORY_USER : account.role;
    struct directory_quota quota = err ? (struct directory_quota){ 0 } : account.quota;
    arena_done(&a);
    if (err == 0)
        return json_pack("{s:b,s:s,s:{s:I,s:I},s:o}", "ok", 1, "role", directory_role_name(role), "quota", "bytes",
                         (json_int_t)quota.bytes, "messages", (json_int_t)quota.messages, "mailboxes", list);
    json_decref(list);
    return done(err, &e);
}

static json_t *create_mailbox(struct bulk *b, const json_t *request)
{
    struct error e = ERROR_NONE;
    str name = get_text(request, "mailbox"), use = get_text(request, "use");
    enum mail_special_use wanted = MAIL_USE_NONE;
    for (size_t i = 0; i < sizeof use_names / sizeof use_names[0]; i++)
        if (str_eq(use, str_from_z(use_names[i])))
            wanted = (enum mail_special_use)i;
    int err = mailbox_create(b->account, name, wanted, &e);
    if (err == 0)
        err = mailbox_subscribe(b->account, name, true);
    return done(err == ERR_EXISTS ? 0 : err, &e);
}

/* --- out --- */

static json_t *keywords_json(struct bulk *b, uint64_t flags)
{
    size_t n;
    const str *names = mail_view_keywords(b->view, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (flags >> (i + MAIL_KEYWORD_BIT) & 1)
            json_array_append_new(list, json_stringn(names[i].p, names[i].n));
    return list;
}

static json_t *entry_json(struct bulk *b, const struct mail_entry *m)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:o,s:I}", "uid", (json_int_t)m->uid, "size", (json_int_t)m->size, "received",
                     (json_int_t)m->received_ms, "flags", (json_int_t)(m->flags & 0xff), "keywords", keywords_json(b, m->flags),
                     "email", (json_int_t)m->email);
}

static json_t *list_messages(struct bulk *b, const json_t *request)
{
    struct mail_entry entry;
    uint64_t from = get_number(request, "from");
    struct error e = ERROR_NONE;
    int err = 0;
    str name = get_text(request, "mailbox");
    if (from <= 1 || !b->view || !str_eq(mail_view_info(b->view).name, name)) {
        mail_view_close(b->view);
        b->view = NULL;
        err = mail_view_open(b->account, name, true, NULL, NULL, &b->view);
    }
    if (err)
        return admin_error(err, "the mailbox cannot be opened");
    uint32_t count = mail_view_count(b->view);
    uint32_t seq = from > UINT32_MAX ? count + 1 : mail_view_seq_from(b->view, (uint32_t)from);
    json_t *list = json_array();
    for (; seq <= count && json_array_size(list) < ENTRIES_MAX && err == 0; seq++) {
        err = mail_view_entry(b->view, seq, &entry);
        if (err == 0)
            json_array_append_new(list, entry_json(b, &entry));
        else if (err == ERR_NOTFOUND)
            err = 0; /* expunged meanwhile */
    }
    if (err == 0)
        return json_pack("{s:b,s:o,s:I}", "ok", 1, "entries", list, "next",
                         seq <= count ? (json_int_t)mail_view_uid(b->view, seq) : 0);
    json_decref(list);
    (void)error_set(&e, err, "mailbox %.*s cannot be read", STR_ARG(name));
    return done(err, &e);
}

static json_t *read_message(struct bulk *b, const json_t *request, struct source **ret_body, uint64_t *ret_n)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct mail_email email;
    int err = mail_email_get(b->account, get_number(request, "email"), &a, &email);
    if (err == 0) {
        *ret_body = mail_email_source(b->account, &email, 0, email.size);
        *ret_n = email.size;
        mail_email_done(&email);
    }
    arena_done(&a);
    return err ? admin_error(err, "the message is not there") : json_pack("{s:b,s:I}", "ok", 1, "bytes", (json_int_t)*ret_n);
}

/* The digest of EMAIL, of *RET_N bytes; JSON's null when it is gone or damaged. */
static int digest_email(struct bulk *b, uint64_t email, json_t **ret, uint64_t *ret_n)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct mail_email found;
    char digest[BULK_DIGEST + 1];
    int err = mail_email_get(b->account, email, &a, &found);
    *ret_n = 0;
    if (err == 0) {
        struct source *message = mail_email_source(b->account, &found, 0, found.size);
        err = bulk_digest_source(message, found.size, digest);
        message->close(message);
        *ret_n = found.size;
        mail_email_done(&found);
    }
    arena_done(&a);
    *ret = err ? json_null() : json_string(digest);
    return err == ERR_NOTFOUND || err == ERR_CORRUPT ? 0 : err;
}

/* An answer takes its time, and another conversation waits: after DIGEST_BYTES_MAX it ends. */
static json_t *digest_messages(struct bulk *b, const json_t *request)
{
    const json_t *emails = json_object_get(request, "emails"), *v;
    json_t *list = json_array(), *one;
    uint64_t bytes = 0, n;
    size_t i;
    int err = json_array_size(emails) > BULK_DIGESTS_MAX ? ERR_LIMIT : 0;
    json_array_foreach(emails, i, v)
    {
        if (err || bytes > DIGEST_BYTES_MAX)
            break;
        json_int_t email = json_integer_value(v);
        err = digest_email(b, email > 0 ? (uint64_t)email : 0, &one, &n);
        json_array_append_new(list, one);
        bytes += n;
    }
    if (err == 0)
        return json_pack("{s:b,s:o}", "ok", 1, "digests", list);
    json_decref(list);
    return admin_error(err, err == ERR_LIMIT ? "digests of too many messages at once" : "the messages cannot be read");
}

/* --- in --- */

/* Message NUMBER of this conversation could not be kept. */
static void add_failed(struct bulk *b, uint64_t number, int err, const struct error *e)
{
    if (!b->failed)
        b->failed = json_array();
    json_array_append_new(b->failed,
                          json_pack("{s:I,s:s}", "number", (json_int_t)number, "text", e->text[0] ? e->text : err_name(err)));
}

/* Whether ERR is the fault of one message, so that others may do better. */
static bool is_one_fault(int err)
{
    return err == ERR_LIMIT || err == ERR_SYNTAX || err == ERR_CORRUPT;
}

/* One of those that wait. */
static int append_alone(struct bulk *b, size_t i, struct error *e)
{
    uint32_t uid, uidvalidity;
    int err = mail_append(b->account, b->mailbox, &b->waiting[i], 1, &uid, &uidvalidity, e);
    if (err == 0)
        b->keywords_lost += b->dropped[i];
    if (!is_one_fault(err))
        return err;
    add_failed(b, b->appends - b->waiting_n + i, err, e);
    *e = ERROR_NONE;
    return 0;
}

/* One commit for all; when they do not fit into one, or one of them does not, one each. */
static int flush_waiting(struct bulk *b, struct error *e)
{
    uint32_t uids[WAITING_MAX], uidvalidity;
    int err = b->waiting_n ? mail_append(b->account, b->mailbox, b->waiting, b->waiting_n, uids, &uidvalidity, e) : 0;
    for (size_t i = 0; i < b->waiting_n && err == 0; i++)
        b->keywords_lost += b->dropped[i];
    if (is_one_fault(err) || (err == ERR_REFUSED && b->waiting_n > 1)) {
        err = 0;
        *e = ERROR_NONE;
        for (size_t i = 0; i < b->waiting_n && err == 0; i++)
            err = append_alone(b, i, e);
    }
    drop_waiting(b);
    return err;
}

/* done(), and what became of messages since it was told last. */
static json_t *done_with_report(struct bulk *b, int err, const struct error *e)
{
    json_t *reply = done(err, e);
    if (err == 0 && b->failed)
        (void)json_object_set(reply, "failed", b->failed);
    if (err == 0 && b->keywords_lost)
        (void)json_object_set_new(reply, "keywords-lost", json_integer((json_int_t)b->keywords_lost));
    drop_report(b);
    return reply;
}

static json_t *flush(struct bulk *b, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = flush_waiting(b, &e);
    return done_with_report(b, err, &e);
}

/* The flags of REQUEST with names that live as long as what waits. */
static int take_flags(struct bulk *b, const json_t *request, struct mail_flags *ret)
{
    const json_t *list = json_object_get(request, "keywords"), *v;
    size_t n = json_array_size(list), i;
    str *names = n <= MAIL_KEYWORDS_MAX ? arena_array(&b->arena, n, sizeof *names) : NULL;
    int err = names ? 0 : ERR_LIMIT;
    json_array_foreach(list, i, v)
    {
        if (err == 0)
            err = json_is_string(v) ? arena_dup(&b->arena, (str){ json_string_value(v), json_string_length(v) }, &names[i])
                                    : ERR_SYNTAX;
    }
    *ret = (struct mail_flags){ .system = get_number(request, "flags") &
                                          (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_DRAFT),
                                .keywords = names,
                                .keyword_n = n };
    return err;
}

/* The message behind the present REQUEST, with its flags, in *RET. */
static int take_item(struct bulk *b, const json_t *request, struct mail_append *ret, struct error *e)
{
    const json_t *received = json_object_get(request, "received");
    *ret = (struct mail_append){ .deposit = b->incoming,
                                 .received_ms = json_is_integer(received) ? json_integer_value(received) : INT64_MIN };
    int err = b->incoming_error;
    b->incoming = NULL;
    b->incoming_error = 0;
    if (!ret->deposit)
        ret->deposit = mail_deposit_new(b->admin->mail, b->account); /* of no bytes */
    if (err)
        (void)error_set(e, err, "the message could not be taken (%s)", err_name(err));
    else if ((err = take_flags(b, request, &ret->flags)) != 0)
        (void)error_set(e, err, "the message has more keywords than a mailbox can have, or some that are no text");
    if (err)
        mail_deposit_free(ret->deposit);
    return err;
}

static json_t *append_message(struct bulk *b, const json_t *request)
{
    struct error e = ERROR_NONE, bad = ERROR_NONE;
    struct mail_append item;
    str name = get_text(request, "mailbox");
    int err = b->waiting_n && !str_eq(b->mailbox, name) ? flush_waiting(b, &e) : 0;
    if (err) {
        mail_deposit_free(b->incoming);
        b->incoming = NULL;
        return done_with_report(b, err, &e);
    }
    if (b->waiting_n == 0)
        err = arena_dup(&b->arena, name, &b->mailbox);
    int fault = err ? err : take_item(b, request, &item, &bad);
    if (fault == 0) {
        b->waiting_bytes += mail_deposit_size(item.deposit);
        item.ret_dropped = &b->dropped[b->waiting_n];
        b->waiting[b->waiting_n++] = item;
        b->appends++;
    } else if (!is_one_fault(fault)) {
        return done_with_report(b, fault, &bad);
    }
    if (fault || b->waiting_n == WAITING_MAX || b->waiting_bytes >= WAITING_BYTES_MAX)
        err = flush_waiting(b, &e);
    if (fault)
        add_failed(b, b->appends++, fault, &bad);
    return done_with_report(b, err, &e);
}

int bulk_expects(const json_t *request, uint64_t *ret)
{
    uint64_t n = get_number(request, "bytes");
    if (n && !str_eq(get_text(request, "command"), STR("bulk.append")))
        return ERR_SYNTAX;
    if (n > BULK_MESSAGE_MAX)
        return ERR_LIMIT;
    *ret = n;
    return 0;
}

void bulk_take(struct bulk *b, str bytes)
{
    if (!b->account)
        return;
    if (!b->incoming) {
        b->incoming = mail_deposit_new(b->admin->mail, b->account);
        mail_deposit_repair(b->incoming); /* other servers have kept all kinds of mail */
    }
    if (b->incoming_error == 0)
        b->incoming_error = mail_deposit_write(b->incoming, bytes);
}

/* --- backup --- */

/* The asker chooses the name, so that it need not believe one of ours. */
static json_t *begin_backup(struct bulk *b, const json_t *request)
{
    struct error e = ERROR_NONE;
    char path[64];
    str name = get_text(request, "name");
    bool good = name.n > 0 && name.n <= BACKUP_LETTERS_MAX;
    for (size_t i = 0; i < name.n; i++)
        good = good && ascii_is_alnum(name.p[i]);
    if (!good)
        return admin_error(ERR_SYNTAX, "the name of the copy is not 1 to 32 letters and digits");
    (void)snprintf(path, sizeof path, "spool/backup-%.*s", STR_ARG(name));
    int err = engine_checkpoint(b->admin->engine, path, &e);
    return done(err, &e);
}

/* --- all --- */

static const struct {
    const char *name;
    json_t *(*run)(struct bulk *b, const json_t *request);
    bool needs_account;
} commands[] = {
    { "bulk.open", open_account, false },     { "bulk.create", create_mailbox, true }, { "bulk.list", list_messages, true },
    { "bulk.digest", digest_messages, true }, { "bulk.append", append_message, true }, { "bulk.flush", flush, true },
    { "backup.begin", begin_backup, false },
};

json_t *bulk_run(struct bulk *b, const json_t *request, struct source **ret_body, uint64_t *ret_n)
{
    str name = get_text(request, "command");
    *ret_body = NULL;
    *ret_n = 0;
    if (str_eq(name, STR("bulk.read")))
        return b->account ? read_message(b, request, ret_body, ret_n) : admin_error(ERR_SYNTAX, "no account is open");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (str_eq(name, str_from_z(commands[i].name)))
            return b->account || !commands[i].needs_account ? commands[i].run(b, request)
                                                            : admin_error(ERR_SYNTAX, "no account is open");
    return admin_run(b->admin, request);
}

/* --- answering on a descriptor --- */

static int read_more(int fd, struct buf *b)
{
    char *to = buf_reserve(b, PUMP_BYTES);
    ssize_t n;
    if (!to)
        return ERR_LIMIT;
    do
        n = read(fd, to, PUMP_BYTES);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        buf_commit(b, (size_t)n);
    return n > 0 ? 0 : n == 0 ? ERR_EOF : ERR_IO;
}

static int write_all(int fd, str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        s = str_from(s, (size_t)n);
    }
    return 0;
}

static int write_reply(int fd, json_t *reply, struct source *body, uint64_t n)
{
    static const size_t step = PUMP_BYTES;
    char *text = json_dumps(reply, JSON_COMPACT), *p = malloc(step);
    int err = text && p ? write_all(fd, str_from_z(text)) : ERR_INTERNAL;
    if (err == 0)
        err = write_all(fd, STR("\r\n"));
    while (err == 0 && n) {
        int64_t got = body->pull(body, p, n < step ? (size_t)n : step);
        err = got <= 0 ? ERR_IO : write_all(fd, (str){ p, (size_t)got });
        n -= got > 0 ? (uint64_t)got : 0;
    }
    free(text);
    free(p);
    return err;
}

/* One request of which the line is at the beginning of IN, END bytes long. */
static int serve_one(struct bulk *b, int fd, struct buf *in, size_t end)
{
    json_error_t bad;
    json_t *request = json_loadb(in->p, end, JSON_REJECT_DUPLICATES, &bad);
    uint64_t left = 0, n;
    struct source *body;
    int err = request ? bulk_expects(request, &left) : ERR_SYNTAX;
    buf_consume(in, end + 1);
    while (err == 0 && left) {
        size_t take = left < in->n ? (size_t)left : in->n;
        bulk_take(b, str_sub(buf_str(in), 0, take));
        buf_consume(in, take);
        left -= take;
        if (left)
            err = read_more(fd, in);
    }
    if (err == 0) {
        json_t *reply = bulk_run(b, request, &body, &n);
        err = write_reply(fd, reply, body, n);
        if (body)
            body->close(body);
        json_decref(reply);
    }
    json_decref(request);
    return err;
}

void bulk_serve(struct admin *a, int fd)
{
    struct bulk *b = bulk_new(a);
    struct buf in = BUF_INIT(BULK_LINE_MAX + PUMP_BYTES);
    int err = 0;
    while (err == 0) {
        size_t end = str_find_byte(buf_str(&in), '\n', 0);
        if (end < in.n)
            err = serve_one(b, fd, &in, end);
        else
            err = in.n > BULK_LINE_MAX ? ERR_LIMIT : read_more(fd, &in);
    }
    buf_done(&in);
    bulk_free(b);
}
