/* known: the networks where an account has logged in lately (lockout.h B4), a row for each account among the records of logins.
 *
 * A login from a network that was noted today writes nothing, so the usual one costs a read from memory. */
#include "directory/directory_private.h"

#include "base/pack.h"

enum { ROW_VERSION = 1, NETWORKS_MAX = 16, KNOWN_S = 90 * 86400, REFRESH_S = 86400, BITS_4 = 24, BITS_6 = 56, SCRATCH = 1 << 14 };

struct known {
    struct ip_network network;
    uint64_t seen_s;
};

static void row_name(struct buf *b, engine_part id)
{
    buf_add_byte(b, 'k');
    buf_add(b, (str){ (const char *)id.b, sizeof id.b });
}

/* The networks of account ID that are not too old, at most NETWORKS_MAX. */
static size_t known_read(struct directory *d, engine_part id, uint64_t now_s, struct known ret[NETWORKS_MAX])
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct buf key = BUF_INIT(32);
    str value = { NULL, 0 };
    size_t n = 0;
    row_name(&key, id);
    str name = buf_str(&key);
    if (engine_get(d->engine, logins_part, &name, 1, ENGINE_UNSYNCED, &a, &value, NULL) < 0)
        value.n = 0;
    struct unpack u = unpack_init(value);
    bool understood = value.n && unpack_u8(&u) == ROW_VERSION;
    while (understood && n < NETWORKS_MAX && unpack_rest(&u).n) {
        struct known k = { 0 };
        str address = unpack_bytes(&u, sizeof k.network.address.b);
        k.network.bits = unpack_u8(&u);
        k.seen_s = unpack_varint(&u);
        if (u.error || k.network.bits > 128)
            break;
        memcpy(k.network.address.b, address.p, address.n);
        if (now_s < k.seen_s + KNOWN_S)
            ret[n++] = k;
    }
    buf_done(&key);
    arena_done(&a);
    return n;
}

static void known_write(struct directory *d, engine_part id, const struct known *list, size_t n)
{
    struct buf key = BUF_INIT(32), value = BUF_INIT(NETWORKS_MAX * 32);
    struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
    row_name(&key, id);
    pack_u8(&value, ROW_VERSION);
    for (size_t i = 0; i < n; i++) {
        buf_add(&value, (str){ (const char *)list[i].network.address.b, sizeof list[i].network.address.b });
        pack_u8(&value, list[i].network.bits);
        pack_varint(&value, list[i].seen_s);
    }
    engine_put(t, buf_str(&key), buf_str(&value));
    int r = engine_commit_unsynced(t, NULL);
    (void)r; /* the next login from there tries again */
    buf_done(&key);
    buf_done(&value);
}

static size_t find(const struct known *list, size_t n, const struct ip_address *peer)
{
    size_t i = 0;
    while (i < n && !ip_networks_have((struct ip_networks){ &list[i].network, 1 }, peer))
        i++;
    return i;
}

bool known_has(struct directory *d, engine_part id, const struct ip_address *peer, int64_t now_ms)
{
    struct known list[NETWORKS_MAX];
    size_t n = known_read(d, id, (uint64_t)now_ms / 1000, list);
    return find(list, n, peer) < n;
}

void known_add(struct directory *d, engine_part id, const struct ip_address *peer, int64_t now_ms)
{
    struct known list[NETWORKS_MAX];
    uint64_t now_s = (uint64_t)now_ms / 1000;
    size_t n = known_read(d, id, now_s, list), i = find(list, n, peer);
    if (i < n && now_s < list[i].seen_s + REFRESH_S)
        return;
    if (i == n && n < NETWORKS_MAX)
        n++;
    else if (i == n)
        for (size_t k = i = 0; k < n; k++)
            i = list[k].seen_s < list[i].seen_s ? k : i; /* the one not seen for longest gives way */
    list[i] = (struct known){ ip_address_network(peer, BITS_4, BITS_6), now_s };
    known_write(d, id, list, n);
}

void known_forget(struct directory *d, engine_part id)
{
    struct buf key = BUF_INIT(32);
    struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
    row_name(&key, id);
    engine_del(t, buf_str(&key));
    int r = engine_commit_unsynced(t, NULL);
    (void)r; /* a row that stays belongs to an id that never comes back */
    buf_done(&key);
}
