/* email: reading emails, and their comings and goings with the entries that refer to them. */
#include "store/mail_private.h"

/* --- references --- */

/* An email and how many entries of it a change adds or removes. */
struct email_use {
    uint64_t email;
    uint64_t n;
};

static int use_cmp(const void *a, const void *b)
{
    const struct email_use *x = a, *y = b;
    return x->email < y->email ? -1 : x->email > y->email;
}

/* EMAILS sorted, each once with its count, in LIST (room for N). */
static size_t uses_of(const uint64_t *emails, size_t n, struct email_use *list)
{
    for (size_t i = 0; i < n; i++)
        list[i] = (struct email_use){ emails[i], 1 };
    qsort(list, n, sizeof *list, use_cmp);
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (out && list[out - 1].email == list[i].email)
            list[out - 1].n++;
        else
            list[out++] = list[i];
    }
    return out;
}

/* The rows LETTER of the emails USES, into VALUES. */
static int rows_get(struct mail_account *a, char letter, const struct email_use *uses, size_t n, struct arena *arena, str *values)
{
    struct key *keys = arena_array(arena, n, sizeof *keys);
    str *names = arena_array(arena, n, sizeof *names);
    if (!keys || !names)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_of_id(letter, uses[i].email);
        names[i] = key_str(&keys[i]);
    }
    return engine_get(a->store->g, a->id, names, n, ENGINE_UNSYNCED, arena, values, NULL);
}

/* M3: writes the number of entries; a row is kept only for emails with more than one. */
static void put_refs(struct update *u, uint64_t email, uint64_t refs, bool existed)
{
    struct key k = key_of_id(KEY_REFS, email);
    if (refs > 1) {
        refs_encode(&u->scratch, refs);
        update_put(u, &k, buf_str(&u->scratch));
    } else if (existed) {
        update_del(u, &k);
    }
}

static int refs_of(str value, uint64_t *ret)
{
    *ret = 1;
    return value.p ? refs_decode(value, ret) : 0;
}

int emails_retain(struct update *u, const uint64_t *emails, size_t n)
{
    struct arena arena = ARENA_INIT(4 << 20);
    struct email_use *uses = arena_array(&arena, n, sizeof *uses);
    str *values = arena_array(&arena, n, sizeof *values);
    int r = uses && values ? 0 : ERR_LIMIT;
    size_t use_n = r ? 0 : uses_of(emails, n, uses);
    if (!r)
        r = rows_get(u->a, KEY_REFS, uses, use_n, &arena, values);
    for (size_t i = 0; i < use_n && !r; i++) {
        uint64_t refs = 1;
        r = refs_of(values[i], &refs);
        put_refs(u, uses[i].email, refs + uses[i].n, values[i].p != NULL);
    }
    arena_done(&arena);
    return r;
}

/* Removes the email whose record is VALUE; an email that is not there any more (damage that mail_check reports) must not keep
 * its entries alive. */
static int email_remove(struct update *u, struct thread_rows *rows, uint64_t email, str value)
{
    struct email_record e;
    struct key k = key_of_id(KEY_EMAIL, email);
    if (!value.p || email_decode(value, &e))
        return 0;
    int r = thread_rows_read(u->a, rows, e.refs, e.ref_n);
    if (r)
        return r;
    thread_rows_part(rows, e.refs, e.ref_n);
    engine_unlink(u->t, e.blob);
    u->ops++;
    update_del(u, &k);
    return 0;
}

int emails_release(struct update *u, const uint64_t *emails, size_t n)
{
    struct arena arena = ARENA_INIT(16 << 20);
    struct email_use uses[RELEASE_MAX];
    str refs_values[RELEASE_MAX], values[RELEASE_MAX];
    struct thread_rows rows = { .n = 0 };
    require(n > 0 && n <= RELEASE_MAX);
    size_t use_n = uses_of(emails, n, uses);
    int r = rows_get(u->a, KEY_REFS, uses, use_n, &arena, refs_values);
    if (!r)
        r = rows_get(u->a, KEY_EMAIL, uses, use_n, &arena, values);
    for (size_t i = 0; i < use_n && !r; i++) {
        uint64_t refs = 1;
        r = refs_of(refs_values[i], &refs);
        if (r)
            break;
        uint64_t left = refs > uses[i].n ? refs - uses[i].n : 0;
        put_refs(u, uses[i].email, left, refs_values[i].p != NULL);
        if (left == 0)
            r = email_remove(u, &rows, uses[i].email, values[i]);
    }
    if (!r)
        thread_rows_write(&rows, u);
    thread_rows_done(&rows);
    arena_done(&arena);
    return r;
}

/* --- reading --- */

static int email_of(uint64_t id, str value, struct mail_email *ret)
{
    struct email_record e;
    int r = email_decode(value, &e);
    if (!r)
        *ret = (struct mail_email){ .id = id,
                                    .thread = e.thread,
                                    .blob = e.blob,
                                    .size = e.size,
                                    .received_ms = e.received_ms,
                                    .structure = e.structure,
                                    .fields = e.fields,
                                    .prefix = e.prefix };
    return r;
}

int mail_email_get(struct mail_account *a, uint64_t email, struct arena *arena, struct mail_email *ret)
{
    struct engine_reader *reader = engine_read_begin(a->store->g, a->id); /* before the name of the blob is learnt */
    struct key k = key_of_id(KEY_EMAIL, email);
    str name = key_str(&k), value;
    int r = engine_get(a->store->g, a->id, &name, 1, ENGINE_SYNCED, arena, &value, NULL);
    if (!r && !value.p)
        r = ERR_NOTFOUND;
    r = r ? r : email_of(email, value, ret);
    if (r)
        engine_read_end(reader);
    else
        ret->reader = reader;
    return r;
}

void mail_email_done(struct mail_email *email)
{
    engine_read_end(email->reader);
    email->reader = NULL;
}

/* Emails are read in pages that are copied out, because FN may call the store and the engine may hold locks while it scans. */
enum { PAGE_BYTES = 512 * 1024, PAGE_EMAILS = 256, PAGE_FULL = 1 };

struct page {
    struct arena arena;
    const uint64_t *want; /* ascending */
    size_t want_n, done;  /* how many of WANT are behind the scan */
    struct {
        size_t i;
        str value;
    } list[PAGE_EMAILS];
    size_t n;
};

static int page_row(void *ctx, str key, str value)
{
    struct page *p = ctx;
    uint64_t email;
    if (!key_read_id(key, KEY_EMAIL, &email))
        return ERR_CORRUPT;
    while (p->done < p->want_n && p->want[p->done] < email)
        p->done++;
    for (; p->done < p->want_n && p->want[p->done] == email; p->done++) {
        if (p->n == PAGE_EMAILS || (p->n && p->arena.used + value.n > PAGE_BYTES))
            return PAGE_FULL;
        p->list[p->n].i = p->done;
        int r = arena_dup(&p->arena, value, &p->list[p->n].value);
        if (r)
            return r;
        p->n++;
    }
    return p->done == p->want_n ? PAGE_FULL : 0;
}

/* How many of EMAILS from the first on ascend closely enough that a scan beats lookups. */
static size_t run_of(const uint64_t *emails, size_t n)
{
    size_t i = 1;
    while (i < n && emails[i] >= emails[i - 1] && emails[i] - emails[i - 1] <= 8)
        i++;
    return i;
}

/* A page of the run WANT by scan. *RET_DONE of it are dealt with. */
static int page_scan(struct mail_account *a, struct page *p, size_t *ret_done)
{
    struct key from = key_of_id(KEY_EMAIL, p->want[0]), to = key_of_id(KEY_EMAIL, p->want[p->want_n - 1] + 1);
    int r = engine_scan(a->store->g, a->id, key_str(&from), key_str(&to), ENGINE_UNSYNCED, page_row, p, NULL);
    if (r == ERR_CONFLICT && p->n)
        r = PAGE_FULL; /* what was read is good: emails do not change */
    if (r == 0)
        p->done = p->want_n;
    *ret_done = p->done;
    return r == PAGE_FULL ? 0 : r;
}

static int page_get(struct mail_account *a, struct page *p, size_t n, size_t *ret_done)
{
    struct key keys[16];
    str names[16], values[16];
    n = n < 16 ? n : 16;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_of_id(KEY_EMAIL, p->want[i]);
        names[i] = key_str(&keys[i]);
    }
    int r = engine_get(a->store->g, a->id, names, n, ENGINE_UNSYNCED, &p->arena, values, NULL);
    for (size_t i = 0; i < n && !r; i++) {
        if (!values[i].p)
            continue;
        p->list[p->n].i = i;
        p->list[p->n++].value = values[i];
    }
    *ret_done = n;
    return r;
}

int mail_email_each(struct mail_account *a, const uint64_t *emails, size_t n,
                    int (*fn)(void *ctx, size_t i, const struct mail_email *email), void *ctx)
{
    struct page *p = calloc(1, sizeof *p);
    if (!p)
        panic("out of memory for a page of emails");
    arena_init(&p->arena, PAGE_BYTES + 20 * ENGINE_VALUE_MAX);
    struct engine_reader *reader = engine_read_begin(a->store->g, a->id);
    int r = 0;
    for (size_t at = 0; at < n && !r;) {
        size_t run = run_of(emails + at, n - at), lookups = 1;
        p->want = emails + at;
        p->want_n = run;
        p->done = p->n = 0;
        if (run < 4) /* scattered: several lookups at once, up to where a run begins */
            while (at + lookups < n && lookups < 16 && run_of(emails + at + lookups, n - at - lookups) < 4)
                lookups++;
        size_t done = 0;
        r = run < 4 ? page_get(a, p, lookups, &done) : page_scan(a, p, &done);
        if (r == ERR_CONFLICT) { /* a commit came between before the first row: scan again */
            arena_reset(&p->arena);
            r = 0;
            continue;
        }
        for (size_t i = 0; i < p->n && !r; i++) {
            struct mail_email email;
            r = email_of(emails[at + p->list[i].i], p->list[i].value, &email);
            email.reader = reader;
            if (!r)
                r = fn(ctx, at + p->list[i].i, &email);
        }
        at += done;
        arena_reset(&p->arena);
    }
    engine_read_end(reader);
    arena_done(&p->arena);
    free(p);
    return r;
}

/* A walk over a run of emails in the rows themselves. */
struct walk {
    int (*fn)(void *ctx, size_t i, const struct mail_email *email);
    void *ctx;
    const uint64_t *emails; /* ascending from AT to END */
    size_t at, end;
    int result; /* what FN said when it wanted no more */
};
enum { WALK_ENDED = 1 };

static int walk_row(void *ctx, str key, str value)
{
    struct walk *w = ctx;
    uint64_t id;
    if (!key_read_id(key, KEY_EMAIL, &id))
        return ERR_CORRUPT;
    while (w->at < w->end && w->emails[w->at] < id)
        w->at++;
    if (w->at == w->end)
        return WALK_ENDED;
    if (w->emails[w->at] != id)
        return 0;
    struct mail_email email;
    int r = email_of(id, value, &email);
    for (; w->at < w->end && w->emails[w->at] == id && !r && !w->result; w->at++)
        w->result = w->fn(w->ctx, w->at, &email);
    return r ? r : w->result || w->at == w->end ? WALK_ENDED : 0;
}

static int walk_run(struct mail_account *a, struct walk *w)
{
    struct key from = key_of_id(KEY_EMAIL, w->emails[w->at]), to = key_of_id(KEY_EMAIL, w->emails[w->end - 1] + 1);
    int r = engine_scan(a->store->g, a->id, key_str(&from), key_str(&to), ENGINE_UNSYNCED, walk_row, w, NULL);
    if (r == 0)
        w->at = w->end;
    /* After a commit between two rows: what was shown is good, as emails do not change, and the rest is scanned again. */
    return r == WALK_ENDED || r == ERR_CONFLICT ? 0 : r;
}

int mail_email_walk(struct mail_account *a, const uint64_t *emails, size_t n,
                    int (*fn)(void *ctx, size_t i, const struct mail_email *email), void *ctx)
{
    struct walk w = { .fn = fn, .ctx = ctx, .emails = emails };
    int r = 0;
    while (w.at < n && !r && !w.result) {
        w.end = w.at + run_of(emails + w.at, n - w.at);
        if (w.end - w.at >= 4) {
            r = walk_run(a, &w);
            continue;
        }
        struct arena arena = ARENA_INIT(ENGINE_VALUE_MAX + 4096);
        struct key k = key_of_id(KEY_EMAIL, emails[w.at]);
        str name = key_str(&k), value;
        struct mail_email email;
        r = engine_get(a->store->g, a->id, &name, 1, ENGINE_UNSYNCED, &arena, &value, NULL);
        if (!r && value.p)
            r = email_of(emails[w.at], value, &email);
        if (!r && value.p)
            w.result = fn(ctx, w.at, &email);
        w.at++;
        arena_done(&arena);
    }
    return w.result ? w.result : r;
}

/* Up to PREFIX.n the bytes are in the record, behind it in the blob. */
static int read_at(struct engine *g, str prefix, const engine_blob *blob, uint64_t offset, char *p, size_t n, size_t *ret_n)
{
    size_t got = 0;
    if (offset < prefix.n) {
        str part = str_sub(prefix, (size_t)offset, n);
        memcpy(p, part.p, part.n);
        got = part.n;
    }
    size_t more = 0;
    int r = 0;
    if (got < n)
        r = engine_blob_read(g, blob, offset + got - prefix.n, p + got, n - got, &more);
    if (!r)
        *ret_n = got + more;
    return r;
}

int mail_email_read(struct mail_account *a, const struct mail_email *email, uint64_t offset, char *p, size_t n, size_t *ret_n)
{
    require(email->reader); /* not within mail_email_walk */
    return read_at(a->store->g, email->prefix, &email->blob, offset, p, n, ret_n);
}

/* --- as a source --- */

struct email_source {
    struct source source;
    struct engine *g;
    struct engine_reader *reader;
    engine_blob blob;
    char *prefix;
    size_t prefix_n;
    uint64_t offset, left;
};

/* WANT, or less: up to the end of a piece, or the next bytes would have to be verified again. */
static size_t whole_pieces(const struct email_source *s, size_t want)
{
    uint64_t end = s->offset + want;
    if (want < s->left && end > s->prefix_n && (end - s->prefix_n) % ENGINE_PIECE < want)
        want -= (size_t)((end - s->prefix_n) % ENGINE_PIECE);
    return want;
}

static int64_t source_pull(struct source *source, char *p, size_t n)
{
    struct email_source *s = (struct email_source *)source;
    size_t want = s->left < n ? (size_t)s->left : n, got = 0;
    if (want == 0)
        return 0;
    want = whole_pieces(s, want);
    int r = read_at(s->g, (str){ s->prefix, s->prefix_n }, &s->blob, s->offset, p, want, &got);
    if (r)
        return r;
    s->offset += got;
    s->left -= got;
    return (int64_t)got;
}

/* What is in the record, or as much of the blob as is verified together. */
static int64_t source_lend(struct source *source, size_t n, void (*take)(void *ctx, str bytes), void *ctx)
{
    struct email_source *s = (struct email_source *)source;
    size_t want = s->left < n ? (size_t)s->left : n, got = 0;
    if (want == 0)
        return 0;
    if (s->offset < s->prefix_n) {
        str part = str_sub((str){ s->prefix, s->prefix_n }, (size_t)s->offset, want);
        take(ctx, part);
        got = part.n;
    } else {
        int r = engine_blob_lend(s->g, &s->blob, s->offset - s->prefix_n, whole_pieces(s, want), take, ctx, &got);
        if (r)
            return r;
    }
    s->offset += got;
    s->left -= got;
    return (int64_t)got;
}

static void source_close(struct source *source)
{
    struct email_source *s = (struct email_source *)source;
    engine_read_end(s->reader);
    free(s->prefix);
    free(s);
}

struct source *mail_email_source(struct mail_account *a, const struct mail_email *email, uint64_t offset, uint64_t n)
{
    struct email_source *s = calloc(1, sizeof *s);
    char *prefix = malloc(email->prefix.n + 1);
    if (!s || !prefix)
        panic("out of memory for a source");
    if (email->prefix.n)
        memcpy(prefix, email->prefix.p, email->prefix.n);
    s->source = (struct source){ .pull = source_pull, .close = source_close, .lend = source_lend };
    s->g = a->store->g;
    s->reader = engine_read_on(email->reader); /* it may stream for hours */
    s->blob = email->blob;
    s->prefix = prefix;
    s->prefix_n = email->prefix.n;
    s->offset = offset < email->size ? offset : email->size;
    s->left = email->size - s->offset < n ? email->size - s->offset : n;
    return &s->source;
}
