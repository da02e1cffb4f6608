/* limit: see limit.h; the form of a tally and its invariants are in limit_private.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/amount.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "run/limit_private.h"

enum { HAS_KEY = 0x10000, LOG_EVERY_MS = 1000 };

static const char *const scope_names[LIMIT_SCOPES] = { "address", "network", "account" };
static const char *const kind_names[LIMIT_KINDS] = { "connections", "connection-rate", "message-rate", "recipient-rate",
                                                     "error-rate",  "junk-rate",       "unknown-rate" };

/* --- tallies as descriptors --- */

static void write_seed(int fd, const uint64_t seed[2])
{
    ssize_t n = pwrite(fd, seed, 2 * sizeof *seed, offsetof(struct tally, seed));
    require(n == (ssize_t)(2 * sizeof *seed));
}

int limits_tally_create(const uint64_t seed[2])
{
    int fd = memfd_create("limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_from_errno(errno);
    /* Sealed in size: a process that shrank its tally would end those that read it. */
    if (ftruncate(fd, sizeof(struct tally)) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int err = err_from_errno(errno);
        (void)close(fd);
        return err;
    }
    write_seed(fd, seed);
    return fd;
}

int limits_tally_share(int fd)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    return ro < 0 ? err_from_errno(errno) : ro;
}

void limits_tally_clear(int fd, const uint64_t seed[2])
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof(struct tally)) != 0)
        log_error("tally-not-cleared", LOG_NUM("errno", errno));
    write_seed(fd, seed);
}

static void *map_tally(int fd, int protection)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    off_t size = fd < 0 ? (off_t)sizeof(struct tally) : lseek(fd, 0, SEEK_END);
    void *p = size == (off_t)sizeof(struct tally) ? mmap(NULL, sizeof(struct tally), protection, flags, fd, 0) : MAP_FAILED;
    return p == MAP_FAILED ? NULL : p;
}

int limits_new(int own, struct limits **ret, struct error *e)
{
    struct limits *l = calloc(1, sizeof *l);
    if (!l)
        panic("out of memory for the limits");
    pthread_mutex_init(&l->lock, NULL);
    l->own = map_tally(own, PROT_READ | PROT_WRITE);
    if (!l->own) {
        pthread_mutex_destroy(&l->lock);
        free(l);
        return error_set(e, ERR_INTERNAL, "the tally of the limits cannot be mapped");
    }
    if (own < 0)
        random_bytes(l->own->seed, sizeof l->own->seed);
    l->all[0] = l->own;
    l->summed[0] = true;
    l->n = 1;
    *ret = l;
    return 0;
}

int limits_add(struct limits *l, int fd, bool summed, struct error *e)
{
    const struct tally *t = l->n < TALLIES_MAX ? map_tally(fd, PROT_READ) : NULL;
    if (!t)
        return error_set(e, ERR_INTERNAL, "the tally of a sibling cannot be mapped");
    l->all[l->n] = t;
    l->summed[l->n++] = summed;
    return 0;
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        (void)munmap((void *)(uintptr_t)l->all[i], sizeof(struct tally));
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- keys --- */

static struct limit_key key_of(const struct limit_rules *rules, enum limit_scope scope, const void *bytes)
{
    struct limit_key k = { { HAS_KEY | (uint64_t)rules->group << 8 | scope, 0, 0 } };
    memcpy(&k.words[1], bytes, 2 * sizeof k.words[1]);
    return k;
}

static bool limits_anything(const struct limit_rules *rules, enum limit_scope scope)
{
    bool any = false;
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        any = any || rules->limits[k][scope].max;
    return any;
}

/* Addresses are counted whether limited or not, for those who look; the others only when somebody asked for it. */
static void set_key(struct limit_hold *h, const struct limit_rules *rules, enum limit_scope scope, const void *bytes)
{
    if (scope != LIMIT_ADDRESS && !limits_anything(rules, scope))
        return;
    h->keys[scope] = key_of(rules, scope, bytes);
    h->has |= (uint8_t)(1u << scope);
}

void limits_set_peer(struct limit_hold *h, const struct limit_rules *rules, const struct ip_address *peer)
{
    if (ip_networks_have(rules->exempt, peer))
        return;
    struct ip_network one = ip_address_network(peer, 32, rules->address_bits_6);
    struct ip_network all = ip_address_network(peer, rules->network_bits_4, rules->network_bits_6);
    set_key(h, rules, LIMIT_ADDRESS, one.address.b);
    set_key(h, rules, LIMIT_NETWORK, all.address.b);
}

/* A keyed hash; the seed is secret, so nobody can choose keys that meet in one set. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide w = (wide)a * b;
    return (uint64_t)w ^ (uint64_t)(w >> 64);
}

static size_t set_of(const struct tally *own, const struct limit_key *k)
{
    uint64_t h = fold(k->words[0] ^ own->seed[0], k->words[1] ^ own->seed[1]);
    h = fold(h ^ own->seed[1], k->words[2] ^ own->seed[0]);
    return fold(h ^ own->seed[0], 0x9e3779b97f4a7c15) % TALLY_SETS;
}

/* --- slots --- */

static uint64_t get64(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static uint32_t get32(const _Atomic uint32_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static void put32(_Atomic uint32_t *p, uint32_t v)
{
    atomic_store_explicit(p, v, memory_order_relaxed);
}

static void add64(_Atomic uint64_t *p, uint64_t by)
{
    atomic_store_explicit(p, get64(p) + by, memory_order_relaxed);
}

static bool has_key(const struct tally_slot *s, const struct limit_key *k)
{
    return get64(&s->key[2]) == k->words[2] && get64(&s->key[1]) == k->words[1] && get64(&s->key[0]) == k->words[0];
}

/* The slot of K in T; NULL: there is none. */
static const struct tally_slot *find(const struct tally *t, size_t set, const struct limit_key *k)
{
    if (!(get64(&t->used[set / 64]) >> set % 64 & 1)) /* T4 */
        return NULL;
    for (size_t i = 0; i < TALLY_WAYS; i++)
        if (has_key(&t->slots[set][i], k))
            return &t->slots[set][i];
    return NULL;
}

static void slot_take(struct tally_slot *s, const struct limit_key *k)
{
    atomic_store_explicit(&s->key[0], 0, memory_order_relaxed);
    for (size_t i = 0; i < LIMIT_RATES; i++) {
        put32(&s->rates[i].window, 0);
        put32(&s->rates[i].now, 0);
        put32(&s->rates[i].before, 0);
    }
    put32(&s->strikes, 0);
    for (size_t i = 3; i-- > 0;)
        atomic_store_explicit(&s->key[i], k->words[i], memory_order_relaxed);
}

/* Our own slot of K, made if need be at the cost of the one that was idle longest (T3). NULL: all of the set count connections. */
static struct tally_slot *find_own(struct limits *l, size_t set, const struct limit_key *k, int64_t now_ms)
{
    struct tally *t = l->own;
    struct tally_slot *s = (struct tally_slot *)(uintptr_t)find(t, set, k);
    if (!s) {
        _Atomic uint64_t *used = &t->used[set / 64];
        atomic_store_explicit(used, get64(used) | 1ull << set % 64, memory_order_release);
        for (size_t i = 0; i < TALLY_WAYS; i++) {
            struct tally_slot *other = &t->slots[set][i];
            if (!get32(&other->connections) && (!s || get32(&other->used_s) < get32(&s->used_s)))
                s = other;
        }
        if (s)
            slot_take(s, k);
    }
    if (s)
        put32(&s->used_s, (uint32_t)(now_ms / 1000));
    return s;
}

static uint32_t slot_index(const struct tally *t, const struct tally_slot *s)
{
    return (uint32_t)(s - &t->slots[0][0]) + 1;
}

static struct tally_slot *slot_at(struct tally *t, uint32_t index)
{
    return &t->slots[(index - 1) / TALLY_WAYS][(index - 1) % TALLY_WAYS];
}

/* --- counting --- */

static uint32_t window_of(struct limit limit, int64_t now_ms)
{
    return (uint32_t)(now_ms / 1000 / limit.period_s);
}

uint32_t limits_rate_of(const struct tally_slot *s, enum limit_kind kind, struct limit limit, int64_t now_ms)
{
    const struct tally_rate *r = &s->rates[kind - 1];
    uint32_t window = window_of(limit, now_ms), stored = get32(&r->window), now = 0, before = 0;
    if (stored == window) {
        now = get32(&r->now);
        before = get32(&r->before);
    } else if (stored + 1 == window) {
        before = get32(&r->now);
    }
    uint64_t period_ms = limit.period_s * 1000ull;
    uint64_t sum = now + before * (period_ms - (uint64_t)now_ms % period_ms) / period_ms;
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static void rate_add(struct tally_slot *s, enum limit_kind kind, struct limit limit, int64_t now_ms, uint32_t n)
{
    struct tally_rate *r = &s->rates[kind - 1];
    uint32_t window = window_of(limit, now_ms), stored = get32(&r->window);
    if (stored != window) {
        put32(&r->before, stored + 1 == window ? get32(&r->now) : 0);
        put32(&r->now, 0);
        put32(&r->window, window);
    }
    uint32_t now = get32(&r->now);
    put32(&r->now, now < UINT32_MAX - n ? now + n : UINT32_MAX);
}

/* The sum over the tallies that count for the limit. */
static uint64_t sum(const struct limits *l, size_t set, const struct limit_key *k, enum limit_kind kind, struct limit limit,
                    int64_t now_ms)
{
    uint64_t all = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct tally_slot *s = l->summed[i] ? find(l->all[i], set, k) : NULL;
        if (s)
            all += kind == LIMIT_CONNECTIONS ? atomic_load(&s->connections) : limits_rate_of(s, kind, limit, now_ms);
    }
    return all;
}

static void log_strike(struct limits *l, const struct limit_strike *strike, const struct limit_key *k, int64_t now_ms)
{
    char name[LIMIT_TEXT_MAX], value[LIMIT_TEXT_MAX], who[IP_TEXT_MAX] = "";
    if (l->logged_ms && now_ms - l->logged_ms < LOG_EVERY_MS)
        return;
    l->logged_ms = now_ms;
    if (strike->scope != LIMIT_ACCOUNT) {
        struct ip_address a = ip_address_from_16(&k->words[1]);
        (void)ip_address_text(&a, who);
    }
    log_warning("limit", LOG_STR("limit", limit_name(strike->kind, strike->scope, name)),
                LOG_STR("max", limit_text(strike->kind, strike->limit, value)), LOG_Z("from", who),
                LOG_NUM("so-far", get64(&l->own->strikes[limits_key_group(k->words[0])][strike->kind][strike->scope])));
}

/* Notes that LIMIT struck K. */
static void strike(struct limits *l, size_t set, const struct limit_key *k, enum limit_kind kind, struct limit limit,
                   int64_t now_ms, struct limit_strike *ret)
{
    enum limit_scope scope = (enum limit_scope)limits_key_scope(k->words[0]);
    struct tally_slot *s = find_own(l, set, k, now_ms);
    if (s)
        put32(&s->strikes, get32(&s->strikes) + 1);
    add64(&l->own->strikes[limits_key_group(k->words[0])][kind][scope], 1);
    *ret = (struct limit_strike){ kind, scope, limit };
    log_strike(l, ret, k, now_ms);
}

/* Whether N more events of rate KIND are within the limits of all SCOPES. */
static bool rate_allows(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, unsigned scopes,
                        enum limit_kind kind, uint32_t n, int64_t now_ms, struct limit_strike *ret)
{
    for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
        struct limit limit = rules->limits[kind][scope];
        if (!limit.max || !(scopes >> scope & 1))
            continue;
        size_t set = set_of(l->own, &h->keys[scope]);
        if (sum(l, set, &h->keys[scope], kind, limit, now_ms) + n > limit.max) {
            strike(l, set, &h->keys[scope], kind, limit, now_ms, ret);
            return false;
        }
    }
    return true;
}

static void rate_record(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, unsigned scopes,
                        enum limit_kind kind, uint32_t n, int64_t now_ms)
{
    for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
        struct limit limit = rules->limits[kind][scope];
        if (!limit.max || !(scopes >> scope & 1))
            continue;
        struct tally_slot *s = find_own(l, set_of(l->own, &h->keys[scope]), &h->keys[scope], now_ms);
        if (s)
            rate_add(s, kind, limit, now_ms, n);
    }
}

static void leave_scope(struct limits *l, struct limit_hold *h, unsigned scope)
{
    struct tally_slot *s = h->slots[scope] ? slot_at(l->own, h->slots[scope]) : NULL;
    if (s)
        atomic_store(&s->connections, get32(&s->connections) - 1);
    h->slots[scope] = 0;
}

void limits_set_account(struct limits *l, struct limit_hold *h, const struct limit_rules *rules, const uint8_t account[16])
{
    pthread_mutex_lock(&l->lock);
    leave_scope(l, h, LIMIT_ACCOUNT);
    pthread_mutex_unlock(&l->lock);
    set_key(h, rules, LIMIT_ACCOUNT, account);
}

/* Counts the connection for SCOPE first and looks then, so that of two processes that do it at a time one sees the other. */
static bool enter_scope(struct limits *l, const struct limit_rules *rules, struct limit_hold *h, unsigned scope, int64_t now_ms,
                        struct limit_strike *ret)
{
    const struct limit_key *k = &h->keys[scope];
    struct limit limit = rules->limits[LIMIT_CONNECTIONS][scope];
    size_t set = set_of(l->own, k);
    struct tally_slot *s = find_own(l, set, k, now_ms);
    if (!s) {
        add64(&l->own->untracked, 1);
        return true;
    }
    atomic_store(&s->connections, get32(&s->connections) + 1);
    h->slots[scope] = slot_index(l->own, s);
    if (!limit.max || sum(l, set, k, LIMIT_CONNECTIONS, limit, now_ms) <= limit.max)
        return true;
    leave_scope(l, h, scope);
    strike(l, set, k, LIMIT_CONNECTIONS, limit, now_ms, ret);
    return false;
}

bool limits_enter(struct limits *l, const struct limit_rules *rules, struct limit_hold *h, unsigned scopes,
                  struct limit_strike *ret)
{
    scopes &= h->has;
    if (!scopes)
        return true;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&l->lock);
    bool ok = rate_allows(l, rules, h, scopes, LIMIT_CONNECTION_RATE, 1, now_ms, ret);
    for (unsigned scope = 0; ok && scope < LIMIT_SCOPES; scope++)
        if (scopes >> scope & 1 && !h->slots[scope])
            ok = enter_scope(l, rules, h, scope, now_ms, ret);
    if (ok)
        rate_record(l, rules, h, scopes, LIMIT_CONNECTION_RATE, 1, now_ms);
    for (unsigned scope = 0; !ok && scope < LIMIT_SCOPES; scope++)
        if (scopes >> scope & 1)
            leave_scope(l, h, scope);
    pthread_mutex_unlock(&l->lock);
    return ok;
}

void limits_leave(struct limits *l, struct limit_hold *h)
{
    if (h->has) {
        pthread_mutex_lock(&l->lock);
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++)
            leave_scope(l, h, scope);
        pthread_mutex_unlock(&l->lock);
    }
    *h = (struct limit_hold){ 0 };
}

/* Whether N more of rate KIND are allowed, and with RECORD counted if so. */
static bool rate_ask(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, enum limit_kind kind,
                     uint32_t n, bool record, struct limit_strike *ret)
{
    unsigned scopes = 0;
    for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++)
        scopes |= h->has >> scope & 1 && rules->limits[kind][scope].max ? 1u << scope : 0;
    if (!scopes)
        return true;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&l->lock);
    bool ok = rate_allows(l, rules, h, scopes, kind, n, now_ms, ret);
    if (ok && record)
        rate_record(l, rules, h, scopes, kind, n, now_ms);
    pthread_mutex_unlock(&l->lock);
    return ok;
}

bool limits_count(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, enum limit_kind kind, uint32_t n,
                  struct limit_strike *ret)
{
    return rate_ask(l, rules, h, kind, n, true, ret);
}

bool limits_allow(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, enum limit_kind kind, uint32_t n,
                  struct limit_strike *ret)
{
    return rate_ask(l, rules, h, kind, n, false, ret);
}

/* --- words --- */

static const struct {
    const char *name;
    uint32_t seconds;
} units[] = { { "day", 86400 }, { "hour", 3600 }, { "minute", 60 }, { "second", 1 } };

/* BEFORE and the period, "minute" or "10 minutes"; the largest unit that divides it. */
static int write_period(char *text, size_t n, const char *before, uint32_t seconds)
{
    size_t i = 0;
    while (seconds % units[i].seconds)
        i++;
    uint32_t count = seconds / units[i].seconds;
    return count == 1 ? snprintf(text, n, "%s%s", before, units[i].name)
                      : snprintf(text, n, "%s%u %ss", before, count, units[i].name);
}

str limit_strike_text(const struct limit_strike *s, char text[LIMIT_TEXT_MAX])
{
    static const char *const what[LIMIT_KINDS] = { "connections", "connections",   "messages",          "recipients",
                                                   "errors",      "idle commands", "unknown recipients" };
    static const char *const whose[LIMIT_SCOPES] = { "from your address", "from your network", "for your account" };
    char period[40] = " at a time";
    if (s->kind != LIMIT_CONNECTIONS) {
        (void)write_period(period + 4, sizeof period - 4, "", s->limit.period_s);
        bool article = !ascii_is_digit(period[4]);
        (void)write_period(period, sizeof period, !article ? " in " : period[4] == 'h' ? " in an " : " in a ", s->limit.period_s);
    }
    (void)snprintf(text, LIMIT_TEXT_MAX, "Too many %s %s, %u%s are allowed; try again later", what[s->kind], whose[s->scope],
                   s->limit.max, period);
    return str_from_z(text);
}

str limit_name(enum limit_kind kind, enum limit_scope scope, char text[LIMIT_TEXT_MAX])
{
    (void)snprintf(text, LIMIT_TEXT_MAX, "%s-per-%s", kind_names[kind], scope_names[scope]);
    return str_from_z(text);
}

str limit_text(enum limit_kind kind, struct limit limit, char text[LIMIT_TEXT_MAX])
{
    int n = snprintf(text, LIMIT_TEXT_MAX, "%u", limit.max);
    if (kind != LIMIT_CONNECTIONS && limit.max)
        (void)write_period(text + n, LIMIT_TEXT_MAX - (size_t)n, "/", limit.period_s);
    return str_from_z(text);
}

/* "minute", "10 minutes", "10min". */
static bool period_parse(str text, uint32_t *ret)
{
    uint64_t seconds = amount_time_unit(text);
    if (seconds == 0 && !amount_seconds(text, 0, LIMIT_PERIOD_MAX_S, &seconds))
        return false;
    if (seconds == 0 || seconds > LIMIT_PERIOD_MAX_S)
        return false;
    *ret = (uint32_t)seconds;
    return true;
}

int limit_rate_parse(str text, struct limit *ret, struct error *e)
{
    size_t slash = str_find_byte(text, '/', 0);
    uint64_t max;
    struct limit l = { 0 };
    if (!str_to_u64(str_sub(text, 0, slash), UINT32_MAX / 2, &max) ||
        (slash == text.n ? max : !period_parse(str_from(text, slash + 1), &l.period_s)))
        return error_set(
            e, ERR_SYNTAX,
            "'%.*s' is no rate; write a number and a period of at most 7 days, as \"100/minute\" or \"30/10 minutes\", or "
            "\"0\" for no limit",
            STR_ARG(text));
    l.max = (uint32_t)max;
    *ret = l;
    return 0;
}
