/* account_life: the first and the last commit of an account. */
#include "base/clock.h"
#include "store/mail_private.h"

static const struct {
    str name;
    enum mail_special_use use;
} standard[] = {
    { STR_INIT("INBOX"), MAIL_USE_NONE }, { STR_INIT("Drafts"), MAIL_USE_DRAFTS }, { STR_INIT("Sent"), MAIL_USE_SENT },
    { STR_INIT("Junk"), MAIL_USE_JUNK },  { STR_INIT("Trash"), MAIL_USE_TRASH },   { STR_INIT("Archive"), MAIL_USE_ARCHIVE },
};
enum { STANDARD_N = sizeof standard / sizeof *standard };

static void put(struct engine_txn *t, struct key k, const struct buf *value)
{
    engine_put(t, key_str(&k), buf_str(value));
}

static int create_commit(struct mail_store *s, engine_part id)
{
    struct engine_txn *t = engine_begin(s->g, id, ENGINE_ANY_VERSION);
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX), log = BUF_INIT(ENGINE_VALUE_MAX);
    uint32_t uidvalidity = (uint32_t)(clock_real_ms() / 1000);
    struct key header = key_of(KEY_HEADER);
    engine_expect(t, key_str(&header), (str){ NULL, 0 });
    header_encode(&value, &(struct header_record){ .modseq = 1,
                                                   .next_email = 1,
                                                   .next_mailbox = STANDARD_N + 1,
                                                   .last_uidvalidity = uidvalidity + STANDARD_N - 1 });
    put(t, header, &value);
    change_begin(&log);
    for (size_t i = 0; i < STANDARD_N; i++) {
        mailbox_encode(&value, &(struct mailbox_record){
                                   .name = standard[i].name, .use = standard[i].use, .uidvalidity = uidvalidity + (uint32_t)i });
        put(t, key_of_id(KEY_MAILBOX, i + 1), &value);
        counters_encode(&value, &(struct mail_counters){ .uidnext = 1, .recent_from = 1, .modseq = 1 });
        put(t, key_of_id(KEY_COUNTERS, i + 1), &value);
        change_add(&log, CHANGE_CREATE, i + 1, NULL, 0);
        buf_reset(&value);
        buf_add_byte(&value, KEY_SUBSCRIPTION);
        buf_add(&value, standard[i].name);
        engine_put(t, buf_str(&value), STR(""));
    }
    put(t, key_of_id(KEY_CHANGE, 1), &log);
    buf_done(&value);
    buf_done(&log);
    return engine_commit(t, NULL);
}

static int header_read(struct mail_store *s, engine_part id, struct header_record *ret)
{
    struct arena arena = ARENA_INIT(4096);
    struct key k = key_of(KEY_HEADER);
    str name = key_str(&k), value;
    int r = engine_get(s->g, id, &name, 1, ENGINE_SYNCED, &arena, &value, NULL);
    if (!r)
        r = value.p ? header_decode(value, ret) : ERR_NOTFOUND;
    arena_done(&arena);
    return r;
}

/* --- deletion: marked dead first, so that a crash leaves nothing that works, then emptied --- */

struct sweep {
    struct engine_txn *t;
    struct key keys[RELEASE_MAX];
    size_t n;
};

static int sweep_row(void *ctx, str key, str value)
{
    struct sweep *w = ctx;
    struct email_record e;
    uint64_t email;
    if (w->n == RELEASE_MAX)
        return 1;
    if (!key_read_id(key, KEY_EMAIL, &email))
        return ERR_CORRUPT;
    if (!email_decode(value, &e))
        engine_unlink(w->t, e.blob); /* nothing can be done for a damaged one: its blob stays behind */
    w->keys[w->n++] = key_of_id(KEY_EMAIL, email);
    return 0;
}

static int account_sweep(struct mail_store *s, engine_part id)
{
    struct key from = key_of(KEY_EMAIL), to = key_of(KEY_EMAIL + 1);
    for (;;) {
        struct sweep w = { .t = engine_begin(s->g, id, ENGINE_ANY_VERSION) };
        int r = engine_scan(s->g, id, key_str(&from), key_str(&to), ENGINE_UNSYNCED, sweep_row, &w, NULL);
        if (r < 0 || w.n == 0) {
            engine_abort(w.t);
            if (r == ERR_CONFLICT)
                continue;
            if (r)
                return r;
            break;
        }
        engine_urgent(w.t);
        for (size_t i = 0; i < w.n; i++)
            engine_del(w.t, key_str(&w.keys[i]));
        from = w.keys[w.n - 1];
        r = engine_commit_unsynced(w.t, NULL);
        if (r)
            return r;
    }
    struct engine_txn *t = engine_begin(s->g, id, ENGINE_ANY_VERSION);
    struct key first = key_of(KEY_HEADER), end = key_of(KEY_END);
    engine_urgent(t);
    engine_del_range(t, key_str(&first), key_str(&end));
    return engine_commit(t, NULL);
}

int mail_account_create(struct mail_store *s, engine_part id)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        int r = create_commit(s, id);
        if (r != ERR_CONFLICT)
            return r;
        struct header_record h;
        r = header_read(s, id, &h);
        if (!r && !h.dead)
            return ERR_EXISTS;
        if (!r)
            r = account_sweep(s, id); /* a deletion that was cut off */
        if (r && r != ERR_NOTFOUND)
            return r;
    }
    return ERR_CONFLICT;
}

/* --- UIDVALIDITY of its own for each mailbox --- */

struct renumbering {
    struct engine_txn *t;
    struct buf value;
    uint32_t last; /* of the mailbox before */
    size_t n;      /* changed */
};

static int renumber_row(void *ctx, str key, str value)
{
    struct renumbering *w = ctx;
    struct mailbox_record m;
    uint64_t id;
    if (w->n == RELEASE_MAX)
        return 1;
    if (!key_read_id(key, KEY_MAILBOX, &id) || mailbox_decode(value, &m))
        return ERR_CORRUPT;
    if (m.uidvalidity <= w->last) {
        m.uidvalidity = w->last + 1;
        mailbox_encode(&w->value, &m);
        put(w->t, key_of_id(KEY_MAILBOX, id), &w->value);
        w->n++;
    }
    w->last = m.uidvalidity;
    return 0;
}

/* One commit of it; *RET_MORE: another is needed. */
static int renumber_some(struct mail_store *s, engine_part id, bool *ret_more)
{
    struct header_record h;
    struct key header = key_of(KEY_HEADER), from = key_of(KEY_MAILBOX), to = key_of(KEY_MAILBOX + 1);
    struct renumbering w = { .value = BUF_INIT(ENGINE_VALUE_MAX) };
    int r = header_read(s, id, &h);
    if (r || h.dead)
        return r ? r : ERR_NOTFOUND;
    w.t = engine_begin(s->g, id, ENGINE_ANY_VERSION);
    r = engine_scan(s->g, id, key_str(&from), key_str(&to), ENGINE_SYNCED, renumber_row, &w, NULL);
    if (r >= 0 && w.n) {
        h.last_uidvalidity = w.last > h.last_uidvalidity ? w.last : h.last_uidvalidity;
        header_encode(&w.value, &h);
        put(w.t, header, &w.value);
        r = engine_commit(w.t, NULL);
    } else {
        engine_abort(w.t);
    }
    *ret_more = w.n == RELEASE_MAX;
    buf_done(&w.value);
    return r < 0 ? r : 0;
}

int mail_account_renumber(struct mail_store *s, engine_part id)
{
    bool more = true;
    int r = 0;
    while (r == 0 && more)
        r = renumber_some(s, id, &more);
    return r;
}

/* Takes all mailboxes out of the table: their views find them gone, also when an account with the same id is created again.
 * The references go to the caller. */
static struct mailbox **abandon(struct mail_account *a, size_t *ret_n)
{
    struct mailbox **list = a->mailboxes;
    *ret_n = a->mailbox_n;
    a->mailboxes = NULL;
    a->mailbox_n = a->mailbox_cap = 0;
    for (size_t i = 0; i < *ret_n; i++)
        list[i]->gone = true;
    account_drop(a);
    return list;
}

static int mark_dead(struct mail_account *a)
{
    struct mailbox **list = NULL;
    size_t n = 0;
    int r = ERR_CONFLICT;
    for (int attempt = 0; r == ERR_CONFLICT && attempt < 5; attempt++) {
        r = account_enter(a);
        if (r)
            return r;
        struct update u;
        update_begin(&u, a);
        engine_urgent(u.t);
        u.h.dead = true;
        r = update_commit(&u);
        uint64_t epoch = a->epoch, modseq = a->h.modseq;
        if (!r)
            list = abandon(a, &n);
        account_leave(a);
        if (!r)
            r = account_wait(a, epoch, modseq);
    }
    for (size_t i = 0; i < n; i++)
        mailbox_wake(a, list[i], NULL);
    free(list);
    return r;
}

int mail_account_delete(struct mail_store *s, engine_part id)
{
    struct mail_account *a;
    int r = mail_account_open(s, id, &a);
    if (r == ERR_NOTFOUND) {
        struct header_record h;
        return header_read(s, id, &h) ? r : account_sweep(s, id);
    }
    if (r)
        return r;
    r = mark_dead(a);
    if (!r)
        r = account_sweep(s, id);
    mail_account_unref(a);
    return r;
}
