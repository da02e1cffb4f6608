/* throttle: see throttle.h, and lockout.h for the rules.
 *
 *  Each kind of count, at each width of network, has a ring of slots, and the rows on the disk are that ring: a slot's place is its row's
 *  key, so that neither can grow. A slot that changes is only marked; flushing writes the marked ones.
 *
 *  Nobody flushes a ring (B12): the slot that gives way is the one of the next few that says least, so that single failures under made-up
 *  names and from fresh networks push out each other, and whoever could make ten thousand that say more is locked out as a whole before. */
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
    FAILURES_MAX = 1000000,
    GUESSES = 4,
    NETWORK_BYTES = 17,
    KEY_MAX = NETWORK_BYTES + THROTTLE_LOGIN_MAX,
    EVICT_TRIES = 64, /* slots looked at for the one that says least */
    WIDE_SLOTS = 4000,
    ALLOW_MAX = 1000,
    BATCH = 500, /* rows in one commit */
    ROW_VERSION = 1,
    ROW_MAX = 400
};

/* What is counted; the place here is the first byte of the rows' keys, so it stays. B1, B11. */
enum { RING_NETWORK, RING_LOGIN, RING_ACCOUNT, RING_N = 9 };
static const struct scale {
    enum directory_lockout_kind kind;
    unsigned char bits_4, bits_6; /* width of the network; 0: not for this family */
    unsigned times;               /* as many failures as of the narrowest lock out */
    bool strangers;               /* holds only where the account is not known (B4) */
    int64_t forgive_ms;           /* takes one failure back */
    size_t slots;
} scales[RING_N] = {
    { DIRECTORY_LOCKOUT_NETWORK, 32, 64, 1, true, 60 * 1000, THROTTLE_SLOTS },
    { DIRECTORY_LOCKOUT_LOGIN, 32, 64, 1, false, 600 * 1000, THROTTLE_SLOTS },
    { DIRECTORY_LOCKOUT_ACCOUNT, 32, 128, 1, true, 60 * 1000, THROTTLE_SLOTS },
    { DIRECTORY_LOCKOUT_NETWORK, 0, 56, 2, true, 30 * 1000, WIDE_SLOTS },
    { DIRECTORY_LOCKOUT_NETWORK, 24, 48, 4, true, 15 * 1000, WIDE_SLOTS },
    { DIRECTORY_LOCKOUT_NETWORK, 0, 32, 32, true, 2 * 1000, WIDE_SLOTS },
    { DIRECTORY_LOCKOUT_LOGIN, 0, 56, 2, false, 600 * 1000, WIDE_SLOTS },
    { DIRECTORY_LOCKOUT_LOGIN, 24, 48, 4, false, 600 * 1000, WIDE_SLOTS },
    { DIRECTORY_LOCKOUT_LOGIN, 0, 32, 16, true, 600 * 1000, WIDE_SLOTS },
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
    struct ring rings[RING_N];
    size_t dirty_n;
    struct directory_lockout_policy policy;
    struct ip_network allow[ALLOW_MAX], exempt[ALLOW_MAX];
    struct directory_lockout_counts counts; /* only those since the start */
};

struct throttle *throttle_new(void)
{
    struct throttle *t = calloc(1, sizeof *t);
    require(t);
    for (int k = 0; k < RING_N; k++) {
        t->rings[k].slots = calloc(scales[k].slots, sizeof(struct slot)); /* pages that are not touched cost nothing */
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
    for (int k = 0; k < RING_N; k++) {
        map_done(&t->rings[k].keys);
        free(t->rings[k].slots);
    }
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->flushing);
    free(t);
}

static struct ip_networks networks_copy(struct ip_networks from, struct ip_network room[ALLOW_MAX])
{
    size_t n = from.n < ALLOW_MAX ? from.n : ALLOW_MAX;
    if (n)
        memcpy(room, from.list, n * sizeof *room);
    return (struct ip_networks){ room, n };
}

void throttle_set_policy(struct throttle *t, const struct directory_lockout_policy *p)
{
    pthread_mutex_lock(&t->lock);
    t->policy = *p;
    t->policy.allow = networks_copy(p->allow, t->allow);
    t->policy.exempt = networks_copy(p->exempt, t->exempt);
    pthread_mutex_unlock(&t->lock);
}

/* --- slots --- */

/* Whether ring K counts what comes from PEER at all. */
static bool ring_is_for(int k, const struct ip_address *peer)
{
    return ip_address_is_4(peer) ? scales[k].bits_4 != 0 : scales[k].bits_6 != 0;
}

static size_t key_make(int k, const struct throttle_try *try, char key[KEY_MAX])
{
    size_t n = NETWORK_BYTES;
    memset(key, 0, NETWORK_BYTES);
    if (scales[k].kind != DIRECTORY_LOCKOUT_ACCOUNT) {
        struct ip_network network = ip_address_network(&try->peer, scales[k].bits_4, scales[k].bits_6);
        memcpy(key, network.address.b, sizeof network.address.b);
        key[NETWORK_BYTES - 1] = (char)network.bits;
    }
    if (scales[k].kind != DIRECTORY_LOCKOUT_NETWORK && try->login.n && try->login.n <= THROTTLE_LOGIN_MAX) {
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

/* Takes back what time has forgiven (B2, B3). A clock that was set back forgives nothing, and no lock-out lasts longer than a day. */
static void slot_age(struct slot *s, int k, int64_t now)
{
    if (now < s->since)
        s->since = now;
    if (s->until > now + DAY_MS)
        s->until = now + DAY_MS;
    int64_t n = (now - s->since) / scales[k].forgive_ms;
    s->failures -= n > s->failures ? s->failures : (unsigned)n;
    s->since += n * scales[k].forgive_ms;
    int64_t days = now > s->until ? (now - s->until) / DAY_MS : 0;
    s->level -= days > s->level ? s->level : (unsigned)days;
    s->until += days * DAY_MS;
}

static struct slot *slot_find(struct throttle *t, int k, const struct throttle_try *try)
{
    char key[KEY_MAX];
    size_t n = key_make(k, try, key);
    return ring_is_for(k, &try->peer) ? map_get(&t->rings[k].keys, (str){ key, n }) : NULL;
}

/* How much would be forgotten with it: a lock-out is worth more than any failures, the longer the more. */
static int64_t slot_worth(const struct slot *s, int64_t now)
{
    return s->until > now ? DAY_MS + s->until - now : (int64_t)s->failures + s->level;
}

/* The slot that gives way: of the next of the ring the one that says least, the first of equals (B12). */
static struct slot *ring_next(struct ring *r, int k, int64_t now)
{
    struct slot *s = NULL;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < EVICT_TRIES && least > 0; i++) {
        struct slot *one = &r->slots[(r->next + i) % scales[k].slots];
        int64_t worth = 0;
        if (one->key_n) {
            slot_age(one, k, now);
            worth = slot_worth(one, now);
        }
        if (worth < least) {
            least = worth;
            s = one;
        }
    }
    r->next = (size_t)(s - r->slots + 1) % scales[k].slots;
    return s;
}

static struct slot *slot_take(struct throttle *t, int k, const struct throttle_try *try, int64_t now)
{
    struct slot *s = slot_find(t, k, try);
    if (s)
        return s;
    s = ring_next(&t->rings[k], k, now);
    if (s->key_n)
        map_remove(&t->rings[k].keys, slot_key(s));
    bool was_dirty = s->is_dirty;
    *s = (struct slot){ .since = now, .is_dirty = was_dirty };
    s->key_n = key_make(k, try, s->key);
    map_put(&t->rings[k].keys, slot_key(s), s);
    return s;
}

static void slot_touch(struct throttle *t, struct slot *s)
{
    t->dirty_n += !s->is_dirty;
    s->is_dirty = true;
}

/* Failures that lock out; 0: none do. */
static unsigned failures_max(const struct throttle *t, int k)
{
    unsigned one = scales[k].kind == DIRECTORY_LOCKOUT_NETWORK ? t->policy.network_failures
                   : scales[k].kind == DIRECTORY_LOCKOUT_LOGIN ? t->policy.login_failures
                                                               : 0;
    return one < FAILURES_MAX / scales[k].times ? one * scales[k].times : FAILURES_MAX;
}

/* Failures that delay nobody: those of many are no one's fault (B5, B11). */
static unsigned failures_free(const struct throttle *t, int k)
{
    unsigned one = scales[k].kind == DIRECTORY_LOCKOUT_NETWORK ? t->policy.network_failures : t->policy.login_failures;
    if (scales[k].kind == DIRECTORY_LOCKOUT_ACCOUNT)
        return ACCOUNT_FREE;
    return scales[k].times == 1 ? 0 : (one ? one : ACCOUNT_FREE) * scales[k].times / 2;
}

static int64_t slot_delay(const struct throttle *t, const struct slot *s, int k)
{
    unsigned free = failures_free(t, k);
    unsigned n = s->failures > free ? s->failures - free : 0;
    if (n == 0)
        return 0;
    int64_t ms = (int64_t)DELAY_FIRST_MS << ((n < DELAY_STEPS ? n : DELAY_STEPS) - 1);
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* What a failure costs here; true when it begins a lock-out. */
static bool slot_fail(struct throttle *t, struct slot *s, int k, int64_t now, int64_t *ret_delay)
{
    unsigned max = failures_max(t, k);
    unsigned most = max ? max : failures_free(t, k) + ACCOUNT_FREE + DELAY_STEPS;
    if (s->failures < most)
        s->failures++;
    s->since = now;
    slot_touch(t, s);
    *ret_delay = slot_delay(t, s, k);
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

/* B8: whether ring K counts and holds for TRY. */
static bool is_counted(const struct throttle *t, int k, const struct throttle_try *try)
{
    return !ip_networks_have(t->policy.allow, &try->peer) &&
           !(scales[k].kind == DIRECTORY_LOCKOUT_NETWORK && ip_networks_have(t->policy.exempt, &try->peer));
}

/* B4. */
static bool holds(int k, const struct throttle_try *try)
{
    return !scales[k].strangers || !try->is_known;
}

struct throttle_lock throttle_locked(struct throttle *t, const struct throttle_try *try, int64_t now, bool count)
{
    struct throttle_lock lock = { 0 };
    pthread_mutex_lock(&t->lock);
    for (int k = 0; k < RING_N; k++) {
        struct slot *s = is_counted(t, k, try) ? slot_find(t, k, try) : NULL;
        if (!s)
            continue;
        slot_age(s, k, now);
        if (s->until <= now)
            continue;
        if (holds(k, try) && s->until - now > lock.wait_ms)
            lock.wait_ms = s->until - now;
        lock.is_closed |= scales[k].strangers;
        lock.is_own |= !scales[k].strangers;
    }
    t->counts.turned_away += lock.wait_ms > 0 && count;
    pthread_mutex_unlock(&t->lock);
    return lock;
}

/* Counts in ring K unless this very password was counted there already (B6); networks follow the logins of the same width. */
static int64_t count_failure(struct throttle *t, int k, const struct throttle_try *try, int64_t now, bool again, bool *ret_locked)
{
    struct slot *s = slot_take(t, k, try, now);
    int64_t ms = 0;
    slot_age(s, k, now);
    if (again)
        ms = slot_delay(t, s, k);
    else
        *ret_locked |= slot_fail(t, s, k, now, &ms);
    return ms;
}

int64_t throttle_fail(struct throttle *t, const struct throttle_try *try, int64_t now, bool closed, bool *ret_locked)
{
    /* Logins first, from the narrowest: what they know of a guess holds for the network of that width. */
    static const int order[RING_N][2] = { { RING_LOGIN, -1 },           { 6, -1 }, { 7, -1 }, { 8, -1 },
                                          { RING_NETWORK, RING_LOGIN }, { 3, 6 },  { 4, 7 },  { 5, 8 },
                                          { RING_ACCOUNT, 8 } };
    int64_t delay = 0;
    bool again[RING_N] = { false };
    *ret_locked = false;
    pthread_mutex_lock(&t->lock);
    t->counts.failed++;
    for (int i = 0; i < RING_N; i++) {
        int k = order[i][0], like = order[i][1];
        if (!is_counted(t, k, try) || !ring_is_for(k, &try->peer) || (closed && scales[k].kind != DIRECTORY_LOCKOUT_LOGIN))
            continue;
        if (like >= 0 && !ring_is_for(like, &try->peer))
            like = RING_LOGIN;
        again[k] = like >= 0 ? again[like] : slot_knows_guess(slot_take(t, k, try, now), try->guess);
        int64_t ms = count_failure(t, k, try, now, again[k], ret_locked);
        if (ms > delay)
            delay = ms;
    }
    pthread_mutex_unlock(&t->lock);
    return delay;
}

/* B2: whether a right password waits for what ring K has counted. */
static bool holds_success(const struct throttle *t, int k, const struct throttle_try *try)
{
    bool bounded = scales[k].kind == DIRECTORY_LOCKOUT_NETWORK && t->policy.network_failures && t->policy.first_ms > 0;
    return is_counted(t, k, try) && holds(k, try) && !bounded;
}

static int64_t take_right(struct throttle *t, const struct throttle_try *try, int64_t now, bool succeeds)
{
    int64_t delay = 0;
    pthread_mutex_lock(&t->lock);
    t->counts.succeeded += succeeds;
    for (int k = 0; k < RING_N; k++) {
        struct slot *s = holds_success(t, k, try) ? slot_find(t, k, try) : NULL;
        if (!s)
            continue;
        slot_age(s, k, now);
        if (slot_delay(t, s, k) > delay)
            delay = slot_delay(t, s, k);
        if (succeeds && k == RING_LOGIN && (s->failures || s->level))
            slot_forgive(t, s);
    }
    pthread_mutex_unlock(&t->lock);
    return delay;
}

int64_t throttle_succeed(struct throttle *t, const struct throttle_try *try, int64_t now)
{
    return take_right(t, try, now, true);
}

int64_t throttle_pass(struct throttle *t, const struct throttle_try *try, int64_t now)
{
    return take_right(t, try, now, false);
}

/* --- for administrators --- */

static bool slot_is_in_force(const struct throttle *t, const struct slot *s, int k, int64_t now)
{
    return s->key_n && (s->until > now || slot_delay(t, s, k) > 0);
}

int throttle_each(struct throttle *t, int64_t now, int (*fn)(void *ctx, const struct directory_lockout *lockout), void *ctx)
{
    int r = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; r == 0 && k < RING_N; k++) {
        str key;
        void *value;
        for (size_t iter = 0; r == 0 && map_next(&t->rings[k].keys, &iter, &key, &value);) {
            struct slot *s = value;
            slot_age(s, k, now);
            if (!slot_is_in_force(t, s, k, now))
                continue;
            r = fn(ctx, &(struct directory_lockout){ .kind = scales[k].kind,
                                                     .login = slot_login(s),
                                                     .network = slot_network(s),
                                                     .failures = s->failures,
                                                     .delay_ms = slot_delay(t, s, k),
                                                     .locked_until_ms = s->until > now ? s->until : 0 });
        }
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

/* Whether one of the networks lies in the other: who lets an address in again means the networks around it as well. */
static bool networks_meet(const struct ip_network *a, const struct ip_network *b)
{
    return ip_networks_have((struct ip_networks){ a, 1 }, &b->address) ||
           ip_networks_have((struct ip_networks){ b, 1 }, &a->address);
}

size_t throttle_lift(struct throttle *t, str login, const struct ip_network *network, int64_t now)
{
    size_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (int k = 0; k < RING_N; k++) {
        enum directory_lockout_kind kind = scales[k].kind;
        str key;
        void *value;
        for (size_t iter = 0; map_next(&t->rings[k].keys, &iter, &key, &value);) {
            struct slot *s = value;
            struct ip_network at = slot_network(s);
            bool is_meant = login.n   ? kind != DIRECTORY_LOCKOUT_NETWORK && str_eq(slot_login(s), login)
                            : network ? kind != DIRECTORY_LOCKOUT_ACCOUNT && networks_meet(network, &at)
                                      : true;
            slot_age(s, k, now);
            if (!is_meant || (!s->failures && !s->level))
                continue;
            n += slot_is_in_force(t, s, k, now);
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
    for (int k = 0; k < RING_N; k++) {
        str key;
        void *value;
        size_t n = 0;
        for (size_t iter = 0; map_next(&t->rings[k].keys, &iter, &key, &value);)
            n += ((struct slot *)value)->until > now;
        if (scales[k].kind == DIRECTORY_LOCKOUT_NETWORK)
            ret->networks += n;
        else if (scales[k].kind == DIRECTORY_LOCKOUT_LOGIN)
            ret->logins += n;
    }
    pthread_mutex_unlock(&t->lock);
}

/* --- rows: "t", the ring, the place in it --- */

static void row_place(struct buf *b, int ring, size_t place)
{
    buf_add_byte(b, 't');
    pack_u8(b, (uint8_t)ring);
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
    int64_t newest[RING_N];
};

static int on_row(void *ctx, str key, str value)
{
    struct loading *l = ctx;
    struct unpack k = unpack_init(str_from(key, 1)), v = unpack_init(value);
    unsigned ring = unpack_u8(&k), place = unpack_u16(&k), version = unpack_u8(&v);
    str name = unpack_str(&v, KEY_MAX);
    struct slot s = { .failures = (unsigned)unpack_varint_max(&v, FAILURES_MAX),
                      .level = (unsigned)unpack_varint_max(&v, LEVEL_MAX),
                      .since = (int64_t)unpack_varint_max(&v, INT64_MAX / 2),
                      .until = (int64_t)unpack_varint_max(&v, INT64_MAX / 2),
                      .key_n = name.n };
    if (unpack_end(&k) < 0 || unpack_end(&v) < 0 || version != ROW_VERSION || ring >= RING_N || place >= scales[ring].slots ||
        name.n < NETWORK_BYTES)
        return 0; /* what cannot be understood must keep nobody from logging in */
    slot_age(&s, (int)ring, l->now);
    struct ring *r = &l->t->rings[ring];
    memcpy(s.key, name.p, name.n);
    if ((!s.failures && !s.level) || map_get(&r->keys, name))
        return 0;
    r->slots[place] = s;
    map_put(&r->keys, name, &r->slots[place]);
    if (s.since >= l->newest[ring]) {
        l->newest[ring] = s.since;
        r->next = (place + 1) % scales[ring].slots;
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
    for (int k = 0; k < RING_N && t->dirty_n; k++) {
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
