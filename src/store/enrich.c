/* enrich: an account of the time before header fields were kept beside the structure (fields.c) is brought up to it, a commit at a time.
 *
 * Rows that have what they can have are left alone, so that what a crash or a full disk cuts off goes on where it stood. */
#include "store/mail_private.h"

enum { ROWS_MAX = 200, BYTES_MAX = 256 * 1024, ROWS_FULL = 1 };

/* Rows of one kind from a scan, copied out. */
struct rows {
    struct arena arena;
    char letter;
    size_t n, bytes;
    struct {
        struct key key;
        str value;
    } list[ROWS_MAX];
};

/* Whether VALUE is of the former version: what a row begins with. */
static bool is_former(str value)
{
    return value.n && value.p[0] == 1;
}

static int take_row(void *ctx, str key, str value)
{
    struct rows *rows = ctx;
    if (!is_former(value))
        return 0;
    if (rows->n == ROWS_MAX || (rows->n && rows->bytes + value.n > BYTES_MAX))
        return ROWS_FULL;
    require(key.n <= sizeof rows->list[0].key.p);
    memcpy(rows->list[rows->n].key.p, key.p, key.n);
    rows->list[rows->n].key.n = (uint8_t)key.n;
    rows->bytes += value.n;
    return arena_dup(&rows->arena, value, &rows->list[rows->n++].value);
}

/* The next rows with FROM or behind it; *FROM is then the last of them. */
static int read_rows(struct mail_store *s, engine_part id, struct key *from, struct rows *rows)
{
    struct key to = key_of((char)(rows->letter + 1));
    int r;
    do {
        arena_reset(&rows->arena);
        rows->n = rows->bytes = 0;
        r = engine_scan(s->g, id, key_str(from), key_str(&to), ENGINE_UNSYNCED, take_row, rows, NULL);
    } while (r == ERR_CONFLICT);
    if (rows->n)
        *from = rows->list[rows->n - 1].key;
    return r == ROWS_FULL ? 0 : r;
}

/* The record VALUE with its header fields into OUT; nothing when it cannot have any. */
static int enrich_email(struct mail_store *s, str value, struct buf *header, struct buf *fields, struct buf *out)
{
    struct email_record e;
    struct email_summary summary;
    int r = email_decode(value, &e);
    if (!r)
        r = email_summary_of(e.structure, e.size, &summary);
    if (r || summary.header_n > MESSAGE_FIELDS_HEADER_MAX)
        return r == ERR_CORRUPT ? 0 : r; /* for `valise check' */
    size_t n = 0, prefix_n = e.prefix.n < summary.header_n ? e.prefix.n : summary.header_n;
    buf_reset(header);
    buf_add(header, str_sub(e.prefix, 0, prefix_n));
    char *p = buf_reserve(header, summary.header_n - prefix_n);
    if (p && summary.header_n > prefix_n)
        r = engine_blob_read(s->g, &e.blob, 0, p, summary.header_n - prefix_n, &n);
    if (r == ERR_NOTFOUND || r == ERR_CORRUPT || (!r && n != summary.header_n - prefix_n))
        return 0;
    if (r)
        return r;
    buf_commit(header, n);
    email_fields_write((str){ NULL, 0 }, buf_str(header), e.prefix.n + e.structure.n, fields);
    e.fields = buf_str(fields);
    if (e.fields.n)
        email_encode(out, &e);
    return buf_error(out);
}

static int commit(struct engine_txn *t, size_t n)
{
    if (n)
        return engine_commit_unsynced(t, NULL);
    engine_abort(t);
    return 0;
}

static int enrich_emails(struct mail_store *s, engine_part id, struct rows *rows)
{
    struct buf header = BUF_INIT(MESSAGE_FIELDS_HEADER_MAX + EMAIL_PREFIX_MAX),
               fields = BUF_INIT(MESSAGE_FIELDS_BYTES_MAX + MESSAGE_FIELDS_MAX), out = BUF_INIT(ENGINE_VALUE_MAX);
    struct engine_txn *t = engine_begin(s->g, id, ENGINE_ANY_VERSION);
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; i < rows->n && !r; i++) {
        buf_reset(&out);
        r = enrich_email(s, rows->list[i].value, &header, &fields, &out);
        if (r || !out.n)
            continue;
        engine_put(t, key_str(&rows->list[i].key), buf_str(&out));
        n++;
    }
    buf_done(&header);
    buf_done(&fields);
    buf_done(&out);
    if (!r)
        return commit(t, n);
    engine_abort(t);
    return r;
}

/* The entry VALUE with the day that its email, whose record is RECORD, was sent on. False when it must stay as it is. */
static bool enrich_entry(str value, str record, struct buf *out)
{
    struct mail_entry entry;
    struct email_record e;
    struct email_summary summary;
    if (!record.p || entry_decode(value, 0, &entry) || email_decode(record, &e) ||
        email_summary_of(e.structure, e.size, &summary))
        return false;
    entry.sent = summary.sent & MAIL_SENT_MAX;
    entry_encode(out, &entry);
    return true;
}

static int enrich_entries(struct mail_store *s, engine_part id, struct rows *rows)
{
    struct arena arena = ARENA_INIT((size_t)ROWS_MAX * ENGINE_VALUE_MAX);
    struct buf out = BUF_INIT(ENGINE_VALUE_MAX);
    struct key keys[ROWS_MAX];
    str names[ROWS_MAX], records[ROWS_MAX];
    for (size_t i = 0; i < rows->n; i++) {
        struct mail_entry entry = { 0 };
        (void)!entry_decode(rows->list[i].value, 0, &entry);
        keys[i] = key_of_id(KEY_EMAIL, entry.email);
        names[i] = key_str(&keys[i]);
    }
    int r = rows->n ? engine_get(s->g, id, names, rows->n, ENGINE_UNSYNCED, &arena, records, NULL) : 0;
    if (!r) {
        struct engine_txn *t = engine_begin(s->g, id, ENGINE_ANY_VERSION);
        size_t n = 0;
        for (size_t i = 0; i < rows->n; i++) {
            if (!enrich_entry(rows->list[i].value, records[i], &out))
                continue;
            engine_put(t, key_str(&rows->list[i].key), buf_str(&out));
            n++;
        }
        r = commit(t, n);
    }
    buf_done(&out);
    arena_done(&arena);
    return r;
}

static int enrich_all(struct mail_store *s, engine_part id, char letter,
                      int (*fn)(struct mail_store *, engine_part, struct rows *))
{
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        panic("out of memory for rows");
    struct key at = key_of(letter), before;
    int r;
    rows->letter = letter;
    arena_init(&rows->arena, BYTES_MAX + ENGINE_VALUE_MAX);
    do {
        before = at;
        r = read_rows(s, id, &at, rows);
        if (!r)
            r = fn(s, id, rows);
    } while (!r && rows->n && !str_eq(key_str(&at), key_str(&before)));
    arena_done(&rows->arena);
    free(rows);
    return r;
}

int mail_account_enrich(struct mail_store *s, engine_part id)
{
    int r = enrich_all(s, id, KEY_EMAIL, enrich_emails);
    if (!r)
        r = enrich_all(s, id, KEY_ENTRY, enrich_entries);
    return r ? r : engine_wait_synced(s->g, id);
}
