/* account: the cache of accounts, their loading, and waiting for the disk. See mail_private.h for the rules P1 to P4. */
#include "base/utf8.h"
#include "store/mail_private.h"

#include <unistd.h>

/* --- the store --- */

struct mail_store *mail_store_new(struct engine *g)
{
    struct mail_store *s = calloc(1, sizeof *s);
    if (!s)
        panic("out of memory for the mail store");
    s->g = g;
    s->bytes_max = MAIL_CACHE_BYTES;
    s->changes_kept = MAIL_CHANGES_KEPT;
    s->spool_dir = -1;
    pthread_mutex_init(&s->lock, NULL);
    map_init(&s->accounts);
    return s;
}

struct engine *mail_store_engine(struct mail_store *s)
{
    return s->g;
}

void mail_store_set_cache(struct mail_store *s, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    s->bytes_max = bytes;
    pthread_mutex_unlock(&s->lock);
}

void mail_store_set_changes_kept(struct mail_store *s, uint64_t n)
{
    s->changes_kept = n;
}

void mail_store_set_spool(struct mail_store *s, int dir)
{
    s->spool_dir = dir;
}

static str part_str(const engine_part *id)
{
    return (str){ (const char *)id->b, sizeof id->b };
}

/* The memory that A holds, near enough. */
static size_t account_bytes(const struct mail_account *a)
{
    return sizeof *a + 128 + a->mailbox_n * (sizeof(struct mailbox) + 96) + a->sub_n * 48 + a->index_bytes;
}

/* Store's and account's lock held. */
static void account_charge(struct mail_store *s, struct mail_account *a)
{
    s->bytes -= a->charged;
    a->charged = account_bytes(a);
    s->bytes += a->charged;
}

/* Order of last use; store's lock held. */
static void lru_take(struct mail_store *s, struct mail_account *a)
{
    *(a->newer ? &a->newer->older : &s->newest) = a->older;
    *(a->older ? &a->older->newer : &s->oldest) = a->newer;
    a->newer = a->older = NULL;
}

static void lru_put(struct mail_store *s, struct mail_account *a)
{
    a->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = a;
    s->newest = a;
}

/* Nobody has a reference. */
static void account_free(struct mail_account *a)
{
    account_drop(a);
    for (size_t i = 0; i < a->mailbox_n; i++)
        mailbox_unref(a, a->mailboxes[i]);
    free(a->mailboxes);
    for (size_t i = 0; i < a->sub_n; i++)
        free((char *)(uintptr_t)a->subs[i].p);
    free(a->subs);
    free(a->doomed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void account_forget(struct mail_store *s, struct mail_account *a)
{
    require(a->refs == 0);
    map_remove(&s->accounts, part_str(&a->id));
    lru_take(s, a);
    s->bytes -= a->charged;
    account_free(a);
}

void mail_store_free(struct mail_store *s)
{
    if (!s)
        return;
    while (s->oldest)
        account_forget(s, s->oldest);
    map_done(&s->accounts);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Gives memory back, from what was used longest ago: unreferenced accounts whole, of others the indexes. Store's lock held. */
static void store_trim(struct mail_store *s)
{
    struct mail_account *newer;
    for (struct mail_account *a = s->oldest; a && s->bytes > s->bytes_max; a = newer) {
        newer = a->newer;
        if (a->refs == 0) {
            account_forget(s, a);
            continue;
        }
        if (pthread_mutex_trylock(&a->lock))
            continue;
        for (size_t i = 0; i < a->mailbox_n; i++)
            mailbox_index_drop(a, a->mailboxes[i]);
        account_charge(s, a);
        pthread_mutex_unlock(&a->lock);
    }
}

size_t mail_store_rest(struct mail_store *s, size_t keep)
{
    pthread_mutex_lock(&s->lock);
    size_t max = s->bytes_max;
    s->bytes_max = max < keep ? max : keep;
    store_trim(s);
    s->bytes_max = max;
    size_t left = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return left;
}

static struct mail_account *account_ref(struct mail_store *s, engine_part id)
{
    pthread_mutex_lock(&s->lock);
    struct mail_account *a = map_get(&s->accounts, part_str(&id));
    if (!a) {
        a = calloc(1, sizeof *a);
        if (!a)
            panic("out of memory for an account");
        a->store = s;
        a->id = id;
        pthread_mutex_init(&a->lock, NULL);
        map_put(&s->accounts, part_str(&id), a);
    } else {
        lru_take(s, a);
    }
    lru_put(s, a);
    a->refs++;
    pthread_mutex_unlock(&s->lock);
    return a;
}

void mail_account_unref(struct mail_account *a)
{
    if (!a)
        return;
    struct mail_store *s = a->store;
    pthread_mutex_lock(&s->lock);
    require(a->refs > 0);
    /* One that was never loaded (it does not exist) is not worth remembering: guesses of strangers must cost nothing. */
    if (--a->refs == 0 && !a->loaded)
        account_forget(s, a);
    else
        store_trim(s);
    pthread_mutex_unlock(&s->lock);
}

/* --- loading --- */

struct mailbox *mailbox_new(struct mail_account *a, uint64_t id, str name, enum mail_special_use use, uint32_t uidvalidity)
{
    struct mailbox *mb = calloc(1, sizeof *mb);
    char *p = malloc(name.n);
    if (!mb || !p)
        panic("out of memory for a mailbox");
    memcpy(p, name.p, name.n);
    mb->id = id;
    mb->name = (str){ p, name.n };
    mb->use = use;
    mb->uidvalidity = uidvalidity;
    mb->c = (struct mail_counters){ .uidnext = 1, .recent_from = 1 };
    mb->refs = 1;
    return mb;
}

void mailbox_ref(struct mailbox *mb)
{
    mb->refs++;
}

void mailbox_unref(struct mail_account *a, struct mailbox *mb)
{
    if (--mb->refs)
        return;
    mailbox_index_drop(a, mb);
    keyword_table_unref(mb->keywords);
    free(mb->ring);
    free(mb->ghosts);
    free((char *)(uintptr_t)mb->name.p);
    free(mb);
}

/* The position of NAME in the table, or where it belongs. */
static size_t mailbox_position(const struct mail_account *a, str name)
{
    size_t from = 0, to = a->mailbox_n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (mailbox_name_cmp(a->mailboxes[mid]->name, name) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct mailbox *account_mailbox(struct mail_account *a, str name)
{
    char room[MAIL_NAME_MAX];
    name = mailbox_name_proper(name, room);
    size_t i = mailbox_position(a, name);
    if (i < a->mailbox_n && str_eq(a->mailboxes[i]->name, name))
        return a->mailboxes[i];
    if (utf8_is_ascii(name))
        return NULL;
    char wanted_room[MAIL_NAME_ROOM], other_room[MAIL_NAME_ROOM];
    str wanted = mailbox_name_composed(name, wanted_room);
    for (i = 0; i < a->mailbox_n; i++) {
        str other = a->mailboxes[i]->name;
        if (!utf8_is_ascii(other) && str_eq(mailbox_name_composed(other, other_room), wanted))
            return a->mailboxes[i];
    }
    return NULL;
}

struct mailbox *account_mailbox_by_id(struct mail_account *a, uint64_t id)
{
    for (size_t i = 0; i < a->mailbox_n; i++)
        if (a->mailboxes[i]->id == id)
            return a->mailboxes[i];
    return NULL;
}

void account_insert(struct mail_account *a, struct mailbox *mb)
{
    size_t i = mailbox_position(a, mb->name);
    if (a->mailbox_n == a->mailbox_cap) {
        a->mailbox_cap = a->mailbox_cap ? a->mailbox_cap * 2 : 8;
        a->mailboxes = reallocarray(a->mailboxes, a->mailbox_cap, sizeof(struct mailbox *));
        if (!a->mailboxes)
            panic("out of memory for %zu mailboxes", a->mailbox_cap);
    }
    memmove(a->mailboxes + i + 1, a->mailboxes + i, (a->mailbox_n - i) * sizeof *a->mailboxes);
    a->mailboxes[i] = mb;
    a->mailbox_n++;
    mailbox_ref(mb);
}

void account_remove(struct mail_account *a, struct mailbox *mb)
{
    size_t i = 0;
    while (i < a->mailbox_n && a->mailboxes[i] != mb)
        i++;
    require(i < a->mailbox_n);
    memmove(a->mailboxes + i, a->mailboxes + i + 1, (a->mailbox_n - i - 1) * sizeof *a->mailboxes);
    a->mailbox_n--;
    mailbox_unref(a, mb);
}

static size_t sub_position(const struct mail_account *a, str name)
{
    size_t from = 0, to = a->sub_n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (mailbox_name_cmp(a->subs[mid], name) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

bool account_is_subscribed(const struct mail_account *a, str name)
{
    size_t i = sub_position(a, name);
    return i < a->sub_n && str_eq(a->subs[i], name);
}

void account_set_subscribed(struct mail_account *a, str name, bool subscribed)
{
    size_t i = sub_position(a, name);
    bool there = i < a->sub_n && str_eq(a->subs[i], name);
    if (there && !subscribed) {
        free((char *)(uintptr_t)a->subs[i].p);
        memmove(a->subs + i, a->subs + i + 1, (a->sub_n - i - 1) * sizeof *a->subs);
        a->sub_n--;
    } else if (!there && subscribed) {
        char *p = malloc(name.n);
        a->subs = reallocarray(a->subs, a->sub_n + 1, sizeof *a->subs);
        if (!p || !a->subs)
            panic("out of memory for a subscription");
        memcpy(p, name.p, name.n);
        memmove(a->subs + i + 1, a->subs + i, (a->sub_n - i) * sizeof *a->subs);
        a->subs[i] = (str){ p, name.n };
        a->sub_n++;
    }
}

void account_drop(struct mail_account *a)
{
    a->loaded = false;
    for (size_t i = 0; i < a->mailbox_n; i++) {
        mailbox_index_drop(a, a->mailboxes[i]);
        a->mailboxes[i]->ghost_n = 0;
    }
}

/* What one scan of the upper-case letters finds. */
struct loading {
    struct mail_account *a;
    struct header_record h;
    bool found;
    struct mailbox **mailboxes; /* by id, as the scan comes */
    size_t n, cap;
    bool pending;
    struct pending_record pending_at;
};

static struct mailbox **loading_find(const struct loading *l, uint64_t id)
{
    size_t from = 0, to = l->n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (l->mailboxes[mid]->id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return from < l->n && l->mailboxes[from]->id == id ? &l->mailboxes[from] : NULL;
}

static int load_mailbox(struct loading *l, uint64_t id, str value)
{
    struct mailbox_record m;
    if (mailbox_decode(value, &m))
        return ERR_CORRUPT;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->mailboxes = reallocarray(l->mailboxes, l->cap, sizeof(struct mailbox *));
        if (!l->mailboxes)
            panic("out of memory for %zu mailboxes", l->cap);
    }
    l->mailboxes[l->n++] = mailbox_new(l->a, id, m.name, m.use, m.uidvalidity);
    return 0;
}

static int load_row(void *ctx, str key, str value)
{
    struct loading *l = ctx;
    uint64_t id;
    struct mailbox **mb;
    switch (key.p[0]) {
    case KEY_HEADER:
        l->found = true;
        return header_decode(value, &l->h);
    case KEY_MAILBOX:
        return key_read_id(key, KEY_MAILBOX, &id) ? load_mailbox(l, id, value) : ERR_CORRUPT;
    case KEY_COUNTERS:
        mb = key_read_id(key, KEY_COUNTERS, &id) ? loading_find(l, id) : NULL;
        return mb ? counters_decode(value, &(*mb)->c) : ERR_CORRUPT;
    case KEY_KEYWORDS: {
        str list[MAIL_KEYWORDS_MAX];
        size_t n;
        mb = key_read_id(key, KEY_KEYWORDS, &id) ? loading_find(l, id) : NULL;
        if (!mb || keywords_decode(value, list, &n))
            return ERR_CORRUPT;
        for (size_t i = 0; i < n; i++)
            keyword_table_add(mailbox_keywords(*mb), list[i]);
        (*mb)->keywords_stored = (uint32_t)n;
        return 0;
    }
    case KEY_PENDING:
        l->pending = true;
        return pending_decode(value, &l->pending_at);
    case KEY_SUBSCRIPTION:
        account_set_subscribed(l->a, str_from(key, 1), true);
        return 0;
    case KEY_DOOMED:
        if (!key_read_id(key, KEY_DOOMED, &id))
            return ERR_CORRUPT;
        l->a->doomed = reallocarray(l->a->doomed, l->a->doomed_n + 1, sizeof *l->a->doomed);
        if (!l->a->doomed)
            panic("out of memory for a mailbox");
        l->a->doomed[l->a->doomed_n++] = id;
        return 0;
    default:
        return ERR_CORRUPT;
    }
}

/* Views keep their mailbox over a reload: what was read is moved into the mailbox that is there already. */
static struct mailbox *reload_into(struct mail_account *a, struct mailbox *old, struct mailbox *fresh)
{
    bool same = true; /* else a name took another's place in a commit that is lost, or that another process made */
    for (uint32_t i = 0; i < mailbox_keyword_n(old) && i < mailbox_keyword_n(fresh); i++)
        same = same && str_eq(old->keywords->list[i], fresh->keywords->list[i]);
    if (!same) {
        struct keyword_table *former = old->keywords;
        old->keywords = fresh->keywords;
        fresh->keywords = former;
    }
    for (uint32_t i = mailbox_keyword_n(old); same && i < mailbox_keyword_n(fresh); i++)
        keyword_table_add(mailbox_keywords(old), fresh->keywords->list[i]);
    old->keywords_stored = fresh->keywords_stored;
    free((char *)(uintptr_t)old->name.p);
    old->name = fresh->name;
    fresh->name = (str){ NULL, 0 };
    old->use = fresh->use;
    old->c = fresh->c;
    mailbox_unref(a, fresh);
    return old;
}

/* Replaces the table by what was read. */
static void load_adopt(struct mail_account *a, struct loading *l)
{
    struct mailbox **old = a->mailboxes;
    size_t old_n = a->mailbox_n;
    a->mailboxes = NULL;
    a->mailbox_n = a->mailbox_cap = 0;
    for (size_t i = 0; i < old_n; i++) {
        struct mailbox **fresh = loading_find(l, old[i]->id);
        if (fresh) {
            *fresh = reload_into(a, old[i], *fresh);
        } else {
            old[i]->gone = true;
            mailbox_unref(a, old[i]);
        }
    }
    free(old);
    for (size_t i = 0; i < l->n; i++) {
        account_insert(a, l->mailboxes[i]);
        mailbox_ring_reset(l->mailboxes[i]);
        mailbox_unref(a, l->mailboxes[i]);
    }
    l->n = 0;
}

static int account_load(struct mail_account *a)
{
    struct loading l = { .a = a };
    struct key from = key_of(KEY_HEADER), to = key_of(KEY_HEADER_END);
    account_drop(a);
    a->epoch = engine_epoch(a->store->g);
    int r;
    do {
        while (a->sub_n)
            account_set_subscribed(a, a->subs[a->sub_n - 1], false);
        a->doomed_n = 0;
        while (l.n)
            mailbox_unref(a, l.mailboxes[--l.n]);
        a->doomed_from = 0;
        l.found = l.pending = false;
        r = engine_scan(a->store->g, a->id, key_str(&from), key_str(&to), ENGINE_SYNCED, load_row, &l, &a->version);
    } while (r == ERR_CONFLICT);
    if (!r && (!l.found || l.h.dead))
        r = ERR_NOTFOUND;
    if (!r) {
        load_adopt(a, &l);
        a->h = l.h;
        a->synced_modseq = l.h.modseq;
        a->pending = l.pending;
        a->pending_at = l.pending_at;
        a->loaded = true;
    }
    while (l.n)
        mailbox_unref(a, l.mailboxes[--l.n]);
    free(l.mailboxes);
    return r;
}

/* --- entering and leaving --- */

int account_enter(struct mail_account *a)
{
    pthread_mutex_lock(&a->lock);
    if (a->loaded && a->epoch == engine_epoch(a->store->g))
        return 0;
    int r = account_load(a);
    if (r)
        pthread_mutex_unlock(&a->lock);
    return r;
}

int account_enter_write(struct mail_account *a)
{
    for (int attempt = 0;; attempt++) {
        int r = account_enter(a);
        if (r)
            return r;
        if (a->pending)
            r = account_rollback(a);
        if (!r && a->doomed_n && account_purge(a) && !a->loaded)
            r = ERR_CONFLICT; /* a purge may fail, but not leave an outdated state behind */
        if (!r)
            return 0;
        account_leave(a);
        if (r != ERR_CONFLICT || attempt == 5)
            return r;
    }
}

void account_leave(struct mail_account *a)
{
    struct mail_store *s = a->store;
    bool changed = account_bytes(a) != a->charged;
    pthread_mutex_unlock(&a->lock);
    if (!changed)
        return;
    pthread_mutex_lock(&s->lock);
    if (!pthread_mutex_trylock(&a->lock)) {
        account_charge(s, a);
        pthread_mutex_unlock(&a->lock);
    }
    store_trim(s);
    pthread_mutex_unlock(&s->lock);
}

int account_wait(struct mail_account *a, uint64_t epoch, uint64_t modseq)
{
    int r = engine_wait_synced(a->store->g, a->id);
    /* Another waiter may have met the failure and the engine be open again: then the wait succeeds, but not for what was lost. */
    if (!r && engine_epoch(a->store->g) != epoch)
        r = ERR_UNKNOWN;
    pthread_mutex_lock(&a->lock);
    if (r)
        account_drop(a);
    else if (a->loaded && a->epoch == epoch && a->synced_modseq < modseq)
        a->synced_modseq = modseq;
    pthread_mutex_unlock(&a->lock);
    return r;
}

int account_settle(struct mail_account *a, uint64_t modseq)
{
    while (modseq > a->synced_modseq) {
        uint64_t all = a->h.modseq, epoch = a->epoch;
        pthread_mutex_unlock(&a->lock);
        int r = account_wait(a, epoch, all), again = account_enter(a);
        if (again)
            pthread_mutex_lock(&a->lock);
        if (r || again)
            return r ? r : again;
        if (modseq > all)
            modseq = all;
    }
    return 0;
}

int account_settle_held(struct mail_account *a)
{
    int r = engine_wait_synced(a->store->g, a->id);
    if (!r && engine_epoch(a->store->g) != a->epoch)
        r = ERR_UNKNOWN;
    if (r)
        account_drop(a);
    else
        a->synced_modseq = a->h.modseq;
    return r;
}

int account_enter_durable(struct mail_account *a)
{
    /* A few rounds in case others keep committing; what is committed after that is waited for with the lock held. */
    for (int round = 0;; round++) {
        int r = account_enter(a);
        if (r || a->h.modseq <= a->synced_modseq)
            return r;
        if (round == 3) {
            r = account_settle_held(a);
            if (r)
                account_leave(a);
            return r;
        }
        r = account_settle(a, a->h.modseq);
        account_leave(a);
        if (r)
            return r;
    }
}

/* --- create, open --- */

int mail_account_open(struct mail_store *s, engine_part id, struct mail_account **ret)
{
    struct mail_account *a = account_ref(s, id);
    int r = account_enter(a);
    if (r) {
        mail_account_unref(a);
        return r;
    }
    account_leave(a);
    *ret = a;
    return 0;
}
