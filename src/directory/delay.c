/* delay: what failed logins cost the one who fails.
 *
 * Two kinds of keys: the peer, and the login together with the peer. There is none for the login alone: with it anyone could
 * lock out anyone. Each failure doubles the delay, from half a second to thirty; each quiet minute takes one failure back. The
 * table is a ring of fixed size, so that a flood of names costs no memory; what is overwritten was the oldest. */
#include "directory/directory_private.h"

#include <arpa/inet.h>

enum { SLOTS = 10000, DELAY_FIRST_MS = 500, DELAY_MAX_MS = 30000, FAILURES_MAX = 7, FORGIVE_MS = 60 * 1000 };

struct delay_slot {
    struct delay_key key;
    unsigned failures; /* at most FAILURES_MAX: DELAY_FIRST_MS << 6 is above DELAY_MAX_MS */
    int64_t since;     /* when failures was last brought up to date */
};

struct delays {
    pthread_mutex_t lock;
    struct map keys; /* key: struct delay_slot */
    struct delay_slot *slots;
    size_t next;
};

struct delays *delays_new(void)
{
    struct delays *d = calloc(1, sizeof *d);
    require(d);
    d->slots = calloc(SLOTS, sizeof *d->slots);
    require(d->slots);
    map_init(&d->keys);
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void delays_free(struct delays *d)
{
    if (!d)
        return;
    pthread_mutex_destroy(&d->lock);
    map_done(&d->keys);
    free(d->slots);
    free(d);
}

/* --- keys --- */

static void key_add(struct delay_key *k, const void *p, size_t n)
{
    size_t room = sizeof k->text - k->n;
    if (n > room)
        n = room;
    if (n)
        memcpy(k->text + k->n, p, n);
    k->n += n;
}

/* The network that PEER belongs to: the address, for IPv6 its /64, because a peer has all of that to itself. */
static void key_add_network(struct delay_key *k, str peer)
{
    char z[INET6_ADDRSTRLEN + 1];
    unsigned char b[16];
    size_t n = peer.n < sizeof z - 1 ? peer.n : sizeof z - 1;
    if (n)
        memcpy(z, peer.p, n);
    z[n] = '\0';
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (inet_pton(AF_INET, z, b) == 1)
        key_add(k, b, 4);
    else if (inet_pton(AF_INET6, z, b) == 1)
        key_add(k, memcmp(b, mapped, sizeof mapped) == 0 ? b + 12 : b, memcmp(b, mapped, sizeof mapped) == 0 ? 4 : 8);
    else
        key_add(k, z, n);
}

struct delay_key delay_key_peer(str peer)
{
    struct delay_key k = { .n = 0 };
    key_add(&k, "p", 1);
    key_add_network(&k, peer);
    return k;
}

struct delay_key delay_key_login(str login, str peer)
{
    struct delay_key k = { .n = 0 };
    key_add(&k, "l", 1);
    key_add_network(&k, peer);
    key_add(&k, "", 1);
    key_add(&k, login.p, login.n);
    return k;
}

static str key_str(const struct delay_key *k)
{
    return (str){ k->text, k->n };
}

/* --- counting --- */

static int64_t delay_of(unsigned failures)
{
    if (failures == 0)
        return 0;
    int64_t ms = (int64_t)DELAY_FIRST_MS << (failures - 1);
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* Takes back a failure for each quiet minute. */
static void slot_forgive(struct delay_slot *s, int64_t now)
{
    int64_t minutes = now > s->since ? (now - s->since) / FORGIVE_MS : 0;
    s->failures -= minutes > s->failures ? s->failures : (unsigned)minutes;
    s->since += minutes * FORGIVE_MS;
}

int64_t delays_get(struct delays *d, const struct delay_key *key, int64_t now)
{
    int64_t ms = 0;
    pthread_mutex_lock(&d->lock);
    struct delay_slot *s = map_get(&d->keys, key_str(key));
    if (s) {
        slot_forgive(s, now);
        ms = delay_of(s->failures);
    }
    pthread_mutex_unlock(&d->lock);
    return ms;
}

int64_t delays_fail(struct delays *d, const struct delay_key *key, int64_t now)
{
    pthread_mutex_lock(&d->lock);
    struct delay_slot *s = map_get(&d->keys, key_str(key));
    if (s) {
        slot_forgive(s, now);
    } else {
        s = &d->slots[d->next];
        d->next = (d->next + 1) % SLOTS;
        if (s->key.n)
            map_remove(&d->keys, key_str(&s->key));
        *s = (struct delay_slot){ .key = *key };
        map_put(&d->keys, key_str(key), s);
    }
    if (s->failures < FAILURES_MAX)
        s->failures++;
    s->since = now;
    int64_t ms = delay_of(s->failures);
    pthread_mutex_unlock(&d->lock);
    return ms;
}

void delays_clear(struct delays *d, const struct delay_key *key)
{
    pthread_mutex_lock(&d->lock);
    struct delay_slot *s = map_get(&d->keys, key_str(key));
    if (s)
        s->failures = 0;
    pthread_mutex_unlock(&d->lock);
}
