/* keeper: the private keys. It signs TLS handshakes for mx and core and hands them the keys of session tickets; it reads the key directory
 * and nothing else, and never gives a private key away. The CA's key is here too, but no role may ask it to sign anything. */
#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "pki/pki.h"
#include "role/role.h"

enum { KEYS_MAX = 1000, TICKET_KEY_BYTES = 80, HOUR_MS = 3600000 };

struct kept_key {
    char id[65];
    struct pki_key *key;
};

/* Invariant K1: a key in the list stays at its place until the process ends; only ever appended to, under the lock. */
struct keeper {
    pthread_rwlock_t lock;
    struct kept_key keys[KEYS_MAX];
    size_t key_n;
    unsigned char ticket_master[32];
    struct channel_service mx, core;
};

static struct pki_key *find_key(struct keeper *k, str id)
{
    struct pki_key *found = NULL;
    pthread_rwlock_rdlock(&k->lock);
    for (size_t i = 0; i < k->key_n && !found; i++)
        if (str_eq(id, str_from_z(k->keys[i].id)))
            found = k->keys[i].key;
    pthread_rwlock_unlock(&k->lock);
    return found;
}

static int add_key(struct keeper *k, const char *path, struct error *e)
{
    struct pki_key *key = NULL;
    char id[65];
    int err = pki_key_load(path, &key, e);
    if (err == 0)
        err = pki_key_id(key, id);
    bool known = err == 0 && find_key(k, (str){ id, 64 });
    if (err == 0 && !known && k->key_n == KEYS_MAX)
        err = error_set(e, ERR_LIMIT, "more than %d private keys", KEYS_MAX);
    if (err || known) {
        pki_key_free(key);
        return err;
    }
    pthread_rwlock_wrlock(&k->lock);
    struct kept_key *place = &k->keys[k->key_n];
    memcpy(place->id, id, sizeof place->id);
    place->key = key;
    k->key_n++;
    pthread_rwlock_unlock(&k->lock);
    return 0;
}

/* Every *.key of keys/ but the CA's. */
static int load_keys(struct keeper *k, struct error *e)
{
    DIR *dir = opendir("keys");
    if (!dir)
        return error_set(e, err_from_errno(errno), "keys: %s", strerrordesc_np(errno));
    int err = 0;
    const struct dirent *entry;
    while (err == 0 && (entry = readdir(dir))) {
        char path[300];
        str name = str_from_z(entry->d_name);
        if (!str_ends(name, STR(".key")) || str_eq(name, STR("ca.key")))
            continue;
        (void)snprintf(path, sizeof path, "keys/%.*s", STR_ARG(name));
        err = add_key(k, path, e);
    }
    (void)closedir(dir);
    return err;
}

static int on_sign(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    struct keeper *k = ctx;
    str id, data;
    int err = wire_unpack_sign(request->payload, &id, &data);
    if (err)
        return error_set(e, err, "the request to sign is malformed");
    const struct pki_key *key = find_key(k, id);
    if (!key)
        return error_set(e, ERR_NOTFOUND, "no private key in keys/ fits the certificate (key id %.*s)", STR_ARG(id));
    char *to = buf_reserve(reply, WIRE_SIGNATURE_MAX);
    int64_t n = to ? pki_key_sign(key, data, to, WIRE_SIGNATURE_MAX) : ERR_LIMIT;
    if (n < 0)
        return error_set(e, (int)n, "the key refuses to sign %zu bytes", data.n);
    buf_commit(reply, (size_t)n);
    return 0;
}

/* The ticket key of ROLE in HOUR: three HMAC-SHA-256 blocks of the master, cut to 80 bytes. Nothing is stored, so both processes of a role and a
 * restarted one get the same. */
static int add_ticket_key(const struct keeper *k, const char *role, int64_t hour, struct buf *out)
{
    unsigned char block[96];
    for (unsigned char i = 0; i < 3; i++) {
        char text[64];
        unsigned int n = 0;
        int len = snprintf(text, sizeof text, "ticket %s %lld %d", role, (long long)hour, i);
        if (!HMAC(EVP_sha256(), k->ticket_master, sizeof k->ticket_master, (const unsigned char *)text, (size_t)len, block + 32 * i, &n) || n != 32)
            return ERR_INTERNAL;
    }
    buf_add(out, (str){ (const char *)block, TICKET_KEY_BYTES });
    secret_wipe(block, sizeof block);
    return buf_error(out);
}

static int ticket_keys(struct keeper *k, const char *role, struct buf *reply)
{
    int64_t hour = clock_real_ms() / HOUR_MS;
    int err = add_ticket_key(k, role, hour, reply);
    return err ? err : add_ticket_key(k, role, hour - 1, reply);
}

static int on_mx_tickets(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                         size_t *ret_fd_n, struct error *e)
{
    return ticket_keys(ctx, "mx", reply);
}

static int on_core_tickets(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                           size_t *ret_fd_n, struct error *e)
{
    return ticket_keys(ctx, "core", reply);
}

static const struct channel_handler mx_handlers[] = {
    { WIRE_SIGN, "sign", WIRE_SIGN_DATA_MAX + 80, 0, 0, on_sign },
    { WIRE_TICKET_KEYS, "ticket-keys", 0, 0, 0, on_mx_tickets },
    { .handle = NULL },
};
static const struct channel_handler core_handlers[] = {
    { WIRE_SIGN, "sign", WIRE_SIGN_DATA_MAX + 80, 0, 0, on_sign },
    { WIRE_TICKET_KEYS, "ticket-keys", 0, 0, 0, on_core_tickets },
    { .handle = NULL },
};

static const struct channel_service *keeper_service_for(struct role_run *r, str peer)
{
    struct keeper *k = r->state;
    return str_eq(peer, STR("mx")) ? &k->mx : str_eq(peer, STR("core")) ? &k->core : NULL;
}

static int keeper_start(struct role_run *r, struct error *e)
{
    struct keeper *k = arena_new(&r->arena, struct keeper);
    if (!k)
        return error_set(e, ERR_LIMIT, "no memory for keeper");
    (void)pthread_rwlock_init(&k->lock, NULL);
    random_bytes(k->ticket_master, sizeof k->ticket_master);
    k->mx = (struct channel_service){ .peer = "mx", .handlers = mx_handlers, .ctx = k };
    k->core = (struct channel_service){ .peer = "core", .handlers = core_handlers, .ctx = k };
    r->state = k;
    return load_keys(k, e);
}

static int keeper_reload(struct role_run *r, struct error *e)
{
    return load_keys(r->state, e);
}

static void keeper_end(struct role_run *r)
{
    struct keeper *k = r->state;
    for (size_t i = 0; i < k->key_n; i++)
        pki_key_free(k->keys[i].key);
    secret_wipe(k->ticket_master, sizeof k->ticket_master);
}

const struct role role_keeper = { .name = "keeper", .profile = &role_keeper_profile, .start = keeper_start, .service_for = keeper_service_for,
                                  .reload = keeper_reload, .end = keeper_end };
