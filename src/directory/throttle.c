/* throttle: see throttle.h, and lockout.h for the rules.
 *
 *  Each kind of count has a ring of slots, and the rows on the disk are that ring: a slot's place is its row's key, so that neither can
 *  grow. A slot that changes is only marked; flushing writes the marked ones. */
#include "directory/throttle.h"

#include <pthread.h>

#include "base/map.h"
#include "base/pack.h"

enum {
    DELAY_FIRST_MS = 500,
    DELAY_MAX_MS = 30000,
    DELAY_STEPS = 7,   /* DELAY_FIRST_MS << 6 is above DELAY_MAX_MS */
    ACCOUNT_FREE = 10, /* failures of an account everywhere that delay nobody */
    DAY_MS = 24 * 3600 * 1000,
    LEVEL_MAX = 20,
    GUESSES = 4,
    NETWORK_BYTES = 17,
    KEY_MAX = NETWORK_BYTES + THROTTLE_LOGIN_MAX,
    EVICT_TRIES = 64, /* slots looked at for one that is not locked out */
    ALLOW_MAX = 1000,
    BATCH = 500, /* rows in one commit */
    ROW_VERSION = 1,
    ROW_MAX = 400
};

static const int64_t forgive_ms[DIRECTORY_LOCKOUT_KINDS] = {
    [DIRECTORY_LOCKOUT_NETWORK] = 60 * 1000, [DIRECTORY_LOCKOUT_LOGIN] = 600 * 1000, [DIRECTORY_LOCKOUT_ACCOUNT] = 60 * 1000
};

struct slot {
    char key[KEY_MAX]; /* the network (zeros of an account's), then the login (nothing of a network's) */
    size_t key_n;      /* 0: free */
    unsigned failures;
    unsigned level; /* how often the next lock-out is doubled */
    int64_t since;  /* when failures was last brought up to date */
    int64_t until;  /* end of the lock-out; once that is past, level counts down from here */
    uint64_t guesses[GUESSES];
    unsigned guess_next;
    bool is_dirty;
};

struct ring {
    struct map keys; /* key: struct slot */
    struct slot *slots;
    size_t next;
};

struct throttle {
    pthread_mutex_t flushing; /* taken before lock: one row is never written by two at once */
    pthread_mutex_t lock;
    struct ring rings[DIRECTORY_LOCKOUT_KINDS];
    size_t dirty_n;
    struct directory_lockout_policy policy;
    struct ip_network allow[ALLOW_MAX];
    struct directory_lockout_counts counts; /* only those since the start */
};

struct throttle *throttle_new(void)
{
    struct throttle *t = calloc(1, sizeof *t);
    require(t);
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS; k++) {
        t->rings[k].slots = calloc(THROTTLE_SLOTS, sizeof(struct slot)); /* pages that are not touched cost nothing */
        require(t->rings[k].slots);
        map_init(&t->rings[k].keys);
    }
    t->policy = DIRECTORY_LOCKOUT_DEFAULT;
    pthread_mutex_init(&t->flushing, NULL);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS; k++) {
        map_done(&t->rings[k].keys);
        free(t->rings[k].slots);
    }
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->flushing);
    free(t);
}

void throttle_set_policy(struct throttle *t, const struct directory_lockout_policy *p)
{
    pthread_mutex_lock(&t->lock);
    t->policy = *p;
    t->policy.allow.n = p->allow.n < ALLOW_MAX ? p->allow.n : ALLOW_MAX;
    if (t->policy.allow.n)
        memcpy(t->allow, p->allow.list, t->policy.allow.n * sizeof *t->allow);
    t->policy.allow.list = t->allow;
    pthread_mutex_unlock(&t->lock);
}

/* --- slots --- */

static struct ip_network network_of(const struct ip_address *peer)
{
    return ip_address_network(peer, 32, 64);
}

static size_t key_make(enum directory_lockout_kind kind, const struct throttle_try *try, char key[KEY_MAX])
{
    struct ip_network network = network_of(&try->peer);
    size_t n = NETWORK_BYTES;
    memset(key, 0, NETWORK_BYTES);
    if (kind != DIRECTORY_LOCKOUT_ACCOUNT) {
        memcpy(key, network.address.b, sizeof network.address.b);
        key[NETWORK_BYTES - 1] = (char)network.bits;
    }
    if (kind != DIRECTORY_LOCKOUT_NETWORK && try->login.n && try->login.n <= THROTTLE_LOGIN_MAX) {
        memcpy(key + n, try->login.p, try->login.n);
        n += try->login.n;
    }
    return n;
}

static str slot_key(const struct slot *s)
{
    return (str){ s->key, s->key_n };
}

static str slot_login(const struct slot *s)
{
    return (str){ s->key + NETWORK_BYTES, s->key_n - NETWORK_BYTES };
}

static struct ip_network slot_network(const struct slot *s)
{
    struct ip_network n = { .bits = (unsigned char)s->key[NETWORK_BYTES - 1] };
    memcpy(n.address.b, s->key, sizeof n.address.b);
    return n;
}

static struct slot *slot_find(struct throttle *t, enum directory_lockout_kind kind, const struct throttle_try *try)
{
    char key[KEY_MAX];
    size_t n = key_make(kind, try, key);
    return map_get(&t->rings[kind].keys, (str){ key, n });
}

/* The slot that gives way: the next of the ring, but one that is locked out only when there is nothing else near. */
static struct slot *ring_next(struct ring *r, int64_t now)
{
    struct slot *s = &r->slots[r->next];
    for (size_t i = 0; i < EVICT_TRIES; i++) {
        struct slot *one = &r->slots[(r->next + i) % THROTTLE_SLOTS];
        if (one->key_n && one->until > now)
            continue;
        s = one;
        break;
    }
    r->next = (size_t)(s - r->slots + 1) % THROTTLE_SLOTS;
    return s;
}

static struct slot *slot_take(struct throttle *t, enum directory_lockout_kind kind, const struct throttle_try *try, int64_t now)
{
    struct slot *s = slot_find(t, kind, try);
    if (s)
        return s;
    s = ring_next(&t->rings[kind], now);
    if (s->key_n)
        map_remove(&t->rings[kind].keys, slot_key(s));
    bool was_dirty = s->is_dirty;
    *s = (struct slot){ .since = now, .is_dirty = was_dirty };
    s->key_n = key_make(kind, try, s->key);
    map_put(&t->rings[kind].keys, slot_key(s), s);
    return s;
}

static void slot_touch(struct throttle *t, struct slot *s)
{
    t->dirty_n += !s->is_dirty;
    s->is_dirty = true;
}

/* Takes back what time has forgiven (B2, B3). A clock that was set back forgives nothing, and no lock-out lasts longer than a day. */
static void slot_age(struct slot *s, enum directory_lockout_kind kind, int64_t now)
{
    if (now < s->since)
        s->since = now;
    if (s->until > now + DAY_MS)
        s->until = now + DAY_MS;
    int64_t n = (now - s->since) / forgive_ms[kind];
    s->failures -= n > s->failures ? s->failures : (unsigned)n;
    s->since += n * forgive_ms[kind];
    int64_t days = now > s->until ? (now - s->until) / DAY_MS : 0;
    s->level -= days > s->level ? s->level : (unsigned)days;
    s->until += days * DAY_MS;
}

static int64_t slot_delay(const struct slot *s, enum directory_lockout_kind kind)
{
    unsigned free = kind == DIRECTORY_LOCKOUT_ACCOUNT ? ACCOUNT_FREE : 0;
    unsigned n = s->failures > free ? s->failures - free : 0;
    if (n == 0)
        return 0;
    int64_t ms = (int64_t)DELAY_FIRST_MS << ((n < DELAY_STEPS ? n : DELAY_STEPS) - 1);
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* What a failure costs here; true when it begins a lock-out. */
static bool slot_fail(struct throttle *t, struct slot *s, enum directory_lockout_kind kind, int64_t now, int64_t *ret_delay)
{
    unsigned max = kind == DIRECTORY_LOCKOUT_NETWORK ? t->policy.network_failures
                   : kind == DIRECTORY_LOCKOUT_LOGIN ? t->policy.login_failures
                                                     : 0;
    unsigned most = max ? max : ACCOUNT_FREE + DELAY_STEPS;
    if (s->failures < most)
        s->failures++;
    s->since = now;
    slot_touch(t, s);
    *ret_delay = slot_delay(s, kind);
    if (!max || s->failures < max || t->policy.first_ms <= 0)
        return false;
    int64_t ms = t->policy.first_ms;
    for (unsigned i = 0; i < s->level && ms < DAY_MS; i++)
        ms *= 2;
    s->until = now + (ms < DAY_MS ? ms : DAY_MS);
    s->level += s->level < LEVEL_MAX;
    s->failures = 0;
    t->counts.lockouts++;
    return true;
}

static void slot_forgive(struct throttle *t, struct slot *s)
{
    s->failures = s->level = s->guess_next = 0;
    s->until = 0;
    memset(s->guesses, 0, sizeof s->guesses);
    slot_touch(t, s);
}

/* Whether this very password was tried before; it is from now on. */
static bool slot_knows_guess(struct slot *s, uint64_t guess)
{
    for (size_t i = 0; guess && i < GUESSES; i++)
        if (s->guesses[i] == guess)
            return true;
    if (guess)
        s->guesses[s->guess_next++ % GUESSES] = guess;
    return false;
}

/* --- one login --- */

static bool is_exempt(const struct throttle *t, const struct throttle_try *try)
{
    return ip_networks_have(t->policy.allow, &try->peer);
}

/* B4. */
static bool is_counted(enum directory_lockout_kind kind, const struct throttle_try *try)
{
    return kind == DIRECTORY_LOCKOUT_LOGIN || !try->is_known;
}

int64_t throttle_locked(struct throttle *t, const struct throttle_try *try, int64_t now, bool count)
{
    int64_t wait = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS && !is_exempt(t, try); k++) {
        struct slot *s =
            is_counted((enum directory_lockout_kind)k, try) ? slot_find(t, (enum directory_lockout_kind)k, try) : NULL;
        if (!s)
            continue;
        slot_age(s, (enum directory_lockout_kind)k, now);
        if (s->until - now > wait)
            wait = s->until - now;
    }
    t->counts.turned_away += wait > 0 && count;
    pthread_mutex_unlock(&t->lock);
    return wait;
}

int64_t throttle_fail(struct throttle *t, const struct throttle_try *try, int64_t now, bool *ret_locked)
{
    int64_t delay = 0;
    bool again = false, exempt;
    *ret_locked = false;
    pthread_mutex_lock(&t->lock);
    t->counts.failed++;
    exempt = is_exempt(t, try);
    if (!exempt)
        again = slot_knows_guess(slot_take(t, DIRECTORY_LOCKOUT_LOGIN, try, now), try->guess);
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS && !exempt; k++) {
        enum directory_lockout_kind kind = (enum directory_lockout_kind)k;
        int64_t ms = 0;
        if (!is_counted(kind, try) && kind != DIRECTORY_LOCKOUT_NETWORK)
            continue;
        struct slot *s = slot_take(t, kind, try, now);
        slot_age(s, kind, now);
        if (again)
            ms = slot_delay(s, kind);
        else
            *ret_locked |= slot_fail(t, s, kind, now, &ms);
        if (is_counted(kind, try) && ms > delay)
            delay = ms;
    }
    pthread_mutex_unlock(&t->lock);
    return delay;
}

int64_t throttle_succeed(struct throttle *t, const struct throttle_try *try, int64_t now)
{
    int64_t delay = 0;
    pthread_mutex_lock(&t->lock);
    t->counts.succeeded++;
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS && !is_exempt(t, try); k++) {
        enum directory_lockout_kind kind = (enum directory_lockout_kind)k;
        struct slot *s = is_counted(kind, try) ? slot_find(t, kind, try) : NULL;
        if (!s)
            continue;
        slot_age(s, kind, now);
        if (slot_delay(s, kind) > delay)
            delay = slot_delay(s, kind);
        if (kind == DIRECTORY_LOCKOUT_LOGIN && (s->failures || s->level))
            slot_forgive(t, s);
    }
    pthread_mutex_unlock(&t->lock);
    return delay;
}

/* --- for administrators --- */

static bool slot_is_in_force(const struct slot *s, enum directory_lockout_kind kind, int64_t now)
{
    return s->key_n && (s->until > now || slot_delay(s, kind) > 0);
}

int throttle_each(struct throttle *t, int64_t now, int (*fn)(void *ctx, const struct directory_lockout *lockout), void *ctx)
{
    int r = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; r == 0 && k < DIRECTORY_LOCKOUT_KINDS; k++) {
        enum directory_lockout_kind kind = (enum directory_lockout_kind)k;
        str key;
        void *value;
        for (size_t iter = 0; r == 0 && map_next(&t->rings[k].keys, &iter, &key, &value);) {
            struct slot *s = value;
            slot_age(s, kind, now);
            if (!slot_is_in_force(s, kind, now))
                continue;
            r = fn(ctx, &(struct directory_lockout){ .kind = kind,
                                                     .login = slot_login(s),
                                                     .network = slot_network(s),
                                                     .failures = s->failures,
                                                     .delay_ms = slot_delay(s, kind),
                                                     .locked_until_ms = s->until > now ? s->until : 0 });
        }
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

size_t throttle_lift(struct throttle *t, str login, const struct ip_network *network, int64_t now)
{
    size_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS; k++) {
        enum directory_lockout_kind kind = (enum directory_lockout_kind)k;
        str key;
        void *value;
        for (size_t iter = 0; map_next(&t->rings[k].keys, &iter, &key, &value);) {
            struct slot *s = value;
            struct ip_network at = slot_network(s);
            bool is_meant =
                login.n   ? kind != DIRECTORY_LOCKOUT_NETWORK && str_eq(slot_login(s), login)
                : network ? kind != DIRECTORY_LOCKOUT_ACCOUNT && ip_networks_have((struct ip_networks){ network, 1 }, &at.address)
                          : true;
            slot_age(s, kind, now);
            if (!is_meant || (!s->failures && !s->level))
                continue;
            n += slot_is_in_force(s, kind, now);
            slot_forgive(t, s);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

void throttle_counts(struct throttle *t, int64_t now, struct directory_lockout_counts *ret)
{
    pthread_mutex_lock(&t->lock);
    *ret = t->counts;
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS; k++) {
        str key;
        void *value;
        size_t n = 0;
        for (size_t iter = 0; map_next(&t->rings[k].keys, &iter, &key, &value);)
            n += ((struct slot *)value)->until > now;
        if (k == DIRECTORY_LOCKOUT_NETWORK)
            ret->networks = n;
        else if (k == DIRECTORY_LOCKOUT_LOGIN)
            ret->logins = n;
    }
    pthread_mutex_unlock(&t->lock);
}

/* --- rows: "t", the kind, the place in the ring --- */

static void row_place(struct buf *b, int kind, size_t place)
{
    buf_add_byte(b, 't');
    pack_u8(b, (uint8_t)kind);
    pack_u16(b, (uint16_t)place);
}

static void row_write(struct buf *b, const struct slot *s)
{
    pack_u8(b, ROW_VERSION);
    pack_str(b, slot_key(s));
    pack_varint(b, s->failures);
    pack_varint(b, s->level);
    pack_varint(b, (uint64_t)s->since);
    pack_varint(b, (uint64_t)s->until);
}

struct loading {
    struct throttle *t;
    int64_t now;
    int64_t newest[DIRECTORY_LOCKOUT_KINDS];
};

static int on_row(void *ctx, str key, str value)
{
    struct loading *l = ctx;
    struct unpack k = unpack_init(str_from(key, 1)), v = unpack_init(value);
    unsigned kind = unpack_u8(&k), place = unpack_u16(&k), version = unpack_u8(&v);
    str name = unpack_str(&v, KEY_MAX);
    struct slot s = { .failures = (unsigned)unpack_varint_max(&v, 1000),
                      .level = (unsigned)unpack_varint_max(&v, LEVEL_MAX),
                      .since = (int64_t)unpack_varint_max(&v, INT64_MAX / 2),
                      .until = (int64_t)unpack_varint_max(&v, INT64_MAX / 2),
                      .key_n = name.n };
    if (unpack_end(&k) < 0 || unpack_end(&v) < 0 || version != ROW_VERSION || kind >= DIRECTORY_LOCKOUT_KINDS ||
        place >= THROTTLE_SLOTS || name.n < NETWORK_BYTES)
        return 0; /* what cannot be understood must keep nobody from logging in */
    slot_age(&s, (enum directory_lockout_kind)kind, l->now);
    struct ring *r = &l->t->rings[kind];
    memcpy(s.key, name.p, name.n);
    if ((!s.failures && !s.level) || map_get(&r->keys, name))
        return 0;
    r->slots[place] = s;
    map_put(&r->keys, name, &r->slots[place]);
    if (s.since >= l->newest[kind]) {
        l->newest[kind] = s.since;
        r->next = (place + 1) % THROTTLE_SLOTS;
    }
    return 0;
}

int throttle_load(struct throttle *t, struct engine *g, engine_part part, int64_t now)
{
    struct loading l = { .t = t, .now = now };
    return engine_scan(g, part, STR("t"), STR("u"), ENGINE_UNSYNCED, on_row, &l, NULL);
}

/* Puts up to BATCH marked slots into TXN and takes their marks. */
static size_t take_dirty(struct throttle *t, struct engine_txn *txn, struct slot *taken[BATCH])
{
    struct buf key = BUF_INIT(16), value = BUF_INIT(ROW_MAX);
    size_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; k < DIRECTORY_LOCKOUT_KINDS && t->dirty_n; k++) {
        str name;
        void *each;
        for (size_t iter = 0; n < BATCH && t->dirty_n && map_next(&t->rings[k].keys, &iter, &name, &each);) {
            struct slot *s = each;
            if (!s->is_dirty)
                continue;
            buf_reset(&key);
            buf_reset(&value);
            row_place(&key, k, (size_t)(s - t->rings[k].slots));
            row_write(&value, s);
            engine_put(txn, buf_str(&key), buf_str(&value));
            s->is_dirty = false;
            t->dirty_n--;
            taken[n++] = s;
        }
    }
    pthread_mutex_unlock(&t->lock);
    buf_done(&key);
    buf_done(&value);
    return n;
}

int throttle_flush(struct throttle *t, struct engine *g, engine_part part)
{
    struct slot *taken[BATCH];
    int r = 0;
    pthread_mutex_lock(&t->flushing);
    for (size_t n = BATCH; r == 0 && n == BATCH;) {
        struct engine_txn *txn = engine_begin(g, part, ENGINE_ANY_VERSION);
        n = take_dirty(t, txn, taken);
        if (n == 0) {
            engine_abort(txn);
            break;
        }
        r = engine_commit_unsynced(txn, NULL);
        pthread_mutex_lock(&t->lock);
        for (size_t i = 0; r < 0 && i < n; i++)
            slot_touch(t, taken[i]);
        pthread_mutex_unlock(&t->lock);
    }
    pthread_mutex_unlock(&t->flushing);
    return r;
}
