/* history: see history.h. Pending logins lie in memory, one for each account and kind; a flush merges them into the rows, two for each
 * account: what succeeded, and what failed (H4). */
#include "directory/history.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/pack.h"
#include "directory/directory_private.h"

enum {
    ROW_VERSION = 1,
    EVENTS_MAX = 100,
    ROW_MAX = 32768,
    PENDING_MAX = 4096, /* then whoever logs in writes them down */
    DAY_MS = 24 * 3600 * 1000,
    PEER_MAX = 46,
    MECHANISM_MAX = 32,
    TLS_MAX = 16,
    APP_MAX = 64,
    TRAITS_MAX = 2 + 4 + PEER_MAX + MECHANISM_MAX + TLS_MAX + APP_MAX,
    ACCOUNTS_MAX = 20, /* in one commit: two rows each, of at most 20 KB */
    SCRATCH = 1 << 18
};

/* Traits: everything about a login but when, as it is stored; what has the same traits is one entry (H3). */
struct pending {
    engine_part id;
    char traits[TRAITS_MAX];
    size_t traits_n;
    uint64_t count;
    int64_t first_ms, last_ms;
};

struct history {
    pthread_mutex_t flushing; /* taken before lock: rows are read, merged and written by one at a time */
    pthread_mutex_t lock;
    struct map keys; /* id and traits: struct pending */
    struct pending *list;
    size_t n;
    _Atomic unsigned days;
};

struct history *history_new(void)
{
    struct history *h = calloc(1, sizeof *h);
    require(h);
    h->list = calloc(PENDING_MAX, sizeof *h->list); /* pages that are not touched cost nothing */
    require(h->list);
    map_init(&h->keys);
    atomic_init(&h->days, DIRECTORY_HISTORY_DAYS);
    pthread_mutex_init(&h->flushing, NULL);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    map_done(&h->keys);
    free(h->list);
    pthread_mutex_destroy(&h->lock);
    pthread_mutex_destroy(&h->flushing);
    free(h);
}

void directory_set_history_days(struct directory *d, unsigned days)
{
    atomic_store(&d->history->days, days);
}

const char *directory_result_name(enum directory_result result)
{
    static const char *const names[DIRECTORY_RESULTS] = { "ok", "wrong", "locked-out", "not-allowed", "disabled" };
    return names[result];
}

const char *directory_service_name(enum directory_service service)
{
    return service == DIRECTORY_SUBMISSION ? "submission" : "imap";
}

/* --- noting --- */

static void traits_write(struct buf *b, const struct directory_event *e)
{
    pack_u8(b, (uint8_t)e->result);
    pack_u8(b, (uint8_t)e->service);
    pack_str(b, str_sub(e->peer, 0, PEER_MAX));
    pack_str(b, str_sub(e->mechanism, 0, MECHANISM_MAX));
    pack_str(b, str_sub(e->tls, 0, TLS_MAX));
    pack_str(b, str_sub(e->app_password, 0, APP_MAX));
}

static int traits_read(str traits, struct directory_event *ret)
{
    struct unpack u = unpack_init(traits);
    unsigned result = unpack_u8(&u), service = unpack_u8(&u);
    ret->peer = unpack_str(&u, PEER_MAX);
    ret->mechanism = unpack_str(&u, MECHANISM_MAX);
    ret->tls = unpack_str(&u, TLS_MAX);
    ret->app_password = unpack_str(&u, APP_MAX);
    if (unpack_end(&u) < 0 || result >= DIRECTORY_RESULTS)
        return ERR_CORRUPT;
    ret->result = (enum directory_result)result;
    ret->service = service == DIRECTORY_SUBMISSION ? DIRECTORY_SUBMISSION : DIRECTORY_MAILBOXES;
    return 0;
}

/* Notes it; false when there is no room left. */
static bool note_locked(struct history *h, engine_part id, str traits, int64_t now)
{
    char name[sizeof id.b + TRAITS_MAX];
    memcpy(name, id.b, sizeof id.b);
    memcpy(name + sizeof id.b, traits.p, traits.n);
    str key = { name, sizeof id.b + traits.n };
    struct pending *p = map_get(&h->keys, key);
    if (!p) {
        if (h->n == PENDING_MAX)
            return false;
        p = &h->list[h->n++];
        *p = (struct pending){ .id = id, .traits_n = traits.n, .first_ms = now };
        memcpy(p->traits, traits.p, traits.n);
        map_put(&h->keys, key, p);
    }
    p->count++;
    p->last_ms = now;
    return true;
}

void history_note(struct directory *d, engine_part id, const struct directory_event *event, int64_t now)
{
    struct history *h = d->history;
    struct buf traits = BUF_INIT(TRAITS_MAX);
    bool noted = atomic_load(&h->days) == 0;
    traits_write(&traits, event);
    require(buf_error(&traits) == 0);
    for (int tries = 0; !noted && tries < 2; tries++) {
        pthread_mutex_lock(&h->lock);
        noted = note_locked(h, id, buf_str(&traits), now);
        pthread_mutex_unlock(&h->lock);
        if (!noted)
            history_flush(d, now);
    }
    buf_done(&traits);
}

/* --- rows: "h", the account, "o" for what succeeded or "f" for what failed --- */

struct row {
    char kind;
    size_t n;
    struct stored {
        str traits;
        uint64_t count;
        int64_t first_ms, last_ms;
    } list[EVENTS_MAX]; /* in the order of last_ms */
};

static bool is_success(str traits)
{
    return traits.n && traits.p[0] == DIRECTORY_LOGGED_IN;
}

static void row_name(struct buf *b, engine_part id, char kind)
{
    buf_reset(b);
    buf_add_byte(b, 'h');
    buf_add(b, (str){ (const char *)id.b, sizeof id.b });
    buf_add_byte(b, kind);
}

/* The row of ID in memory of A; empty when there is none or it cannot be understood. */
static int row_load(struct directory *d, engine_part id, char kind, struct arena *a, struct row *ret)
{
    struct buf key = BUF_INIT(32);
    str value = { NULL, 0 };
    row_name(&key, id, kind);
    str name = buf_str(&key);
    int r = engine_get(d->engine, logins_part, &name, 1, ENGINE_UNSYNCED, a, &value, NULL);
    struct unpack u = unpack_init(r == 0 ? value : (str){ NULL, 0 });
    ret->kind = kind;
    ret->n = 0;
    bool understood = value.n && unpack_u8(&u) == ROW_VERSION;
    while (understood && ret->n < EVENTS_MAX && unpack_rest(&u).n) {
        struct stored s = { .traits = unpack_str(&u, TRAITS_MAX), .count = unpack_varint(&u) };
        s.first_ms = (int64_t)unpack_varint_max(&u, INT64_MAX);
        s.last_ms = (int64_t)unpack_varint_max(&u, INT64_MAX);
        if (u.error)
            break;
        ret->list[ret->n++] = s;
    }
    buf_done(&key);
    return r;
}

static void row_drop(struct row *row, size_t i)
{
    row->n--;
    memmove(&row->list[i], &row->list[i + 1], (row->n - i) * sizeof row->list[0]);
}

/* H3, H4. */
static void row_merge(struct row *row, const struct pending *p, int64_t oldest_ms)
{
    struct stored fresh = { { p->traits, p->traits_n }, p->count, p->first_ms, p->last_ms };
    for (size_t i = row->n; i-- > 0;) {
        if (!str_eq(row->list[i].traits, fresh.traits) || row->list[i].first_ms + DAY_MS <= fresh.last_ms)
            continue;
        fresh.count += row->list[i].count;
        fresh.first_ms = row->list[i].first_ms;
        row_drop(row, i);
        break;
    }
    while (row->n && (row->n == EVENTS_MAX || row->list[0].last_ms < oldest_ms))
        row_drop(row, 0);
    row->list[row->n++] = fresh;
}

static void row_put(struct engine_txn *t, engine_part id, const struct row *row)
{
    struct buf key = BUF_INIT(32), value = BUF_INIT(ROW_MAX);
    row_name(&key, id, row->kind);
    pack_u8(&value, ROW_VERSION);
    for (size_t i = 0; i < row->n; i++) {
        pack_str(&value, row->list[i].traits);
        pack_varint(&value, row->list[i].count);
        pack_varint(&value, (uint64_t)row->list[i].first_ms);
        pack_varint(&value, (uint64_t)row->list[i].last_ms);
    }
    require(buf_error(&value) == 0);
    engine_put(t, buf_str(&key), buf_str(&value));
    buf_done(&key);
    buf_done(&value);
}

/* Merges the N entries of LIST, all of one account, in the order of time. */
static int write_account(struct directory *d, struct engine_txn *t, const struct pending *list, size_t n, int64_t oldest_ms)
{
    static const char kinds[] = { 'o', 'f' };
    int r = 0;
    for (size_t k = 0; r == 0 && k < sizeof kinds; k++) {
        struct arena a = ARENA_INIT(SCRATCH);
        struct row *row = arena_new(&a, struct row);
        bool changed = false;
        require(row);
        r = row_load(d, list[0].id, kinds[k], &a, row);
        for (size_t i = 0; r == 0 && i < n; i++) {
            if (is_success((str){ list[i].traits, list[i].traits_n }) != (kinds[k] == 'o'))
                continue;
            row_merge(row, &list[i], oldest_ms);
            changed = true;
        }
        if (changed)
            row_put(t, list[0].id, row);
        arena_done(&a);
    }
    return r;
}

static int by_account_and_time(const void *a, const void *b)
{
    const struct pending *x = a, *y = b;
    int order = memcmp(x->id.b, y->id.b, sizeof x->id.b);
    return order ? order : (x->last_ms > y->last_ms) - (x->last_ms < y->last_ms);
}

/* Takes what is pending: a list for free, sorted; NULL when there is nothing. */
static struct pending *take_pending(struct history *h, size_t *ret_n)
{
    struct pending *list = NULL;
    pthread_mutex_lock(&h->lock);
    *ret_n = h->n;
    if (h->n) {
        list = malloc(h->n * sizeof *list);
        require(list);
        memcpy(list, h->list, h->n * sizeof *list);
        map_done(&h->keys);
        map_init(&h->keys);
        h->n = 0;
    }
    pthread_mutex_unlock(&h->lock);
    if (list)
        qsort(list, *ret_n, sizeof *list, by_account_and_time);
    return list;
}

void history_flush(struct directory *d, int64_t now)
{
    struct history *h = d->history;
    int64_t oldest_ms = now - (int64_t)atomic_load(&h->days) * DAY_MS;
    size_t n, at = 0;
    int r = 0;
    pthread_mutex_lock(&h->flushing);
    struct pending *list = take_pending(h, &n);
    while (r == 0 && at < n) {
        struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
        for (size_t accounts = 0; r == 0 && at < n && accounts < ACCOUNTS_MAX; accounts++) {
            size_t end = at + 1;
            while (end < n && memcmp(list[end].id.b, list[at].id.b, sizeof list[at].id.b) == 0)
                end++;
            r = write_account(d, t, &list[at], end - at, oldest_ms);
            at = end;
        }
        if (r < 0)
            engine_abort(t);
        else
            r = engine_commit_unsynced(t, NULL);
    }
    pthread_mutex_unlock(&h->flushing);
    free(list);
    if (r < 0)
        log_warning("login-history", LOG_NUM("lost", (int64_t)(n - at)), LOG_Z("error", err_name(r)));
}

void history_forget(struct directory *d, engine_part id)
{
    struct buf from = BUF_INIT(32), to = BUF_INIT(32);
    history_flush(d, d->clock());
    struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
    row_name(&from, id, 'a');
    row_name(&to, id, 'z');
    engine_del_range(t, buf_str(&from), buf_str(&to));
    int r = engine_commit_unsynced(t, NULL);
    (void)r; /* rows that stay belong to an id that never comes back */
    buf_done(&from);
    buf_done(&to);
}

/* --- reading --- */

static int give(const struct stored *s, int (*fn)(void *ctx, const struct directory_event *event), void *ctx)
{
    struct directory_event event = { .count = s->count, .first_ms = s->first_ms, .last_ms = s->last_ms };
    return traits_read(s->traits, &event) == 0 ? fn(ctx, &event) : 0;
}

int directory_history(struct directory *d, str address, int64_t since_ms, bool failed_only,
                      int (*fn)(void *ctx, const struct directory_event *event), void *ctx)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct directory_account account;
    struct row *right = arena_new(&a, struct row), *wrong = arena_new(&a, struct row);
    size_t i = 0, k = 0;
    int64_t now = d->clock(), oldest_ms = now - (int64_t)atomic_load(&d->history->days) * DAY_MS;
    require(right && wrong);
    int r = directory_find_account(d, address, &a, &account);
    if (r == 0) {
        history_flush(d, now);
        r = row_load(d, account.id, 'o', &a, right);
    }
    if (r == 0)
        r = row_load(d, account.id, 'f', &a, wrong);
    if (failed_only)
        right->n = 0;
    since_ms = since_ms > oldest_ms ? since_ms : oldest_ms;
    while (r == 0 && (i < right->n || k < wrong->n)) {
        bool first = i < right->n && (k == wrong->n || right->list[i].last_ms <= wrong->list[k].last_ms);
        const struct stored *s = first ? &right->list[i++] : &wrong->list[k++];
        if (s->last_ms >= since_ms)
            r = give(s, fn, ctx);
    }
    arena_done(&a);
    return r;
}
