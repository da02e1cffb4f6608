/* keeper: the private keys. It signs TLS handshakes for mx and core and hands them the keys of session tickets; for core it
 * issues certificates with the CA's key and seals secrets. It lives in keys/, reads that and nothing else, and never gives a private key away. */
#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <sched.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "pki/pki.h"
#include "role/ca_names.h"
#include "role/keeper_private.h"
#include "role/key_files.h"
#include "role/sealer.h"
#include "role/signing.h"
#include "role/verifiers.h"

#define CA_KEY "ca.key"

enum { TICKET_KEY_BYTES = 80, HOUR_MS = 3600000, VERIFIERS_TEND_MS = 1000 };

struct kept_key {
    char id[65];
    unsigned purposes; /* bits 1 << enum rights_purpose */
    struct pki_key *key;
};

/* The keys of one configuration. The last who uses it frees it. */
struct key_set {
    atomic_uint refs;
    struct kept_key *keys;
    size_t n;
};

enum { HANDLERS_MAX = 10 };

/* One kind of role that asks, and what it may ask: made from the table of rights. */
struct keeper_peer {
    struct keeper *keeper;
    enum rights_role role;
    struct channel_handler handlers[HANDLERS_MAX];
    struct channel_service service;
};

/* Invariants
 *  K1  Only keys of certificates that the configuration names are in a set: roles can have nothing else signed. The CA's key signs
 *      only what pki_issue makes of core's orders: certificates of servers and users, never of a CA; and only for names on the list beside it,
 *      which core cannot write, and the host name of the configuration.
 *  K2  The former set serves on beside the present one, for handshakes that began before a reload; the one before that is gone.
 *  K3  Every operation on a key has been allowed by rights.h, for the role whose lane it came on.
 *  K4  Nothing is signed that is not wholly understood: hashes and padding are made here.
 *  K5  Of passwords it learns proofs that say nothing without the hash, which core has (verifiers.h). */
struct keeper {
    struct role_run *run;
    pthread_mutex_t lock; /* guards the sets' pointers */
    struct key_set *now, *former, *prepared;
    unsigned char ticket_master[32];
    struct signing signing;
    struct verifiers *verifiers; /* NULL: none can be kept */
    unsigned login_memory_s;     /* as the configuration that was prepared last has it; under lock */
    bool login_memory_in_kernel;
    struct keeper_peer peers[RIGHTS_ROLES];
};

static void key_set_unref(struct key_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->n; i++)
        pki_key_free(s->keys[i].key);
    free(s->keys);
    free(s);
}

static const struct kept_key *key_set_find(const struct key_set *s, str id)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(id, str_from_z(s->keys[i].id)))
            return &s->keys[i];
    return NULL;
}

/* The key ID, and in *RET the set that holds it, to be unreferenced. NULL when there is none. */
static const struct kept_key *find_key(struct keeper *k, str id, struct key_set **ret)
{
    pthread_mutex_lock(&k->lock);
    const struct kept_key *key = key_set_find(k->now, id);
    struct key_set *in = key ? k->now : k->former;
    if (!key)
        key = key_set_find(in, id);
    if (key) {
        atomic_fetch_add(&in->refs, 1);
        *ret = in;
    }
    pthread_mutex_unlock(&k->lock);
    return key;
}

/* --- reading keys/ --- */

/* Whether a certificate has the key ID; several may. *RET_PURPOSES: what for. */
static bool is_wanted(const struct role_snapshot *s, str id, unsigned *ret_purposes)
{
    bool wanted = false;
    *ret_purposes = 0;
    for (size_t i = 0; i < s->identity_n; i++)
        if (str_eq(id, s->identities[i].key_id)) {
            wanted = true;
            *ret_purposes |= rights_of_certificate(s->config, i);
        }
    return wanted;
}

/* A file that cannot be read may belong to no certificate, so it is not an error yet. */
static void add_key(struct key_set *set, const struct role_snapshot *s, const char *name)
{
    struct pki_key *key = NULL;
    struct error e = ERROR_NONE;
    char id[65];
    unsigned purposes;
    int err = pki_key_load(name, &key, &e);
    if (err == 0)
        err = pki_key_id(key, id);
    if (err)
        log_warning("key-unreadable", LOG_Z("file", name), LOG_Z("text", e.text[0] ? e.text : err_name(err)));
    if (err || !is_wanted(s, (str){ id, 64 }, &purposes) || key_set_find(set, (str){ id, 64 })) {
        pki_key_free(key);
        return;
    }
    memcpy(set->keys[set->n].id, id, sizeof id);
    set->keys[set->n].purposes = purposes;
    set->keys[set->n++].key = key;
}

/* Every *.key of keys/ that a certificate needs. At most one a certificate, so that they fit. */
static int load_keys(struct key_set *set, const struct role_snapshot *s, struct error *e)
{
    DIR *dir = opendir(".");
    if (!dir)
        return error_set(e, err_from_errno(errno), "keys/: %s; it holds the private keys of the certificates",
                         strerrordesc_np(errno));
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        str name = str_from_z(entry->d_name);
        if (!str_ends(name, STR(".key")) || str_eq(name, STR("ca.key")))
            continue;
        add_key(set, s, entry->d_name);
    }
    (void)closedir(dir);
    for (size_t i = 0; i < s->identity_n; i++)
        if (!key_set_find(set, s->identities[i].key_id))
            return key_files_find(".", s->config->certificates[i].chain, s->identities[i].key_id, NULL, e)
                       ? ERR_NOTFOUND
                       : error_set(e, ERR_CONFLICT, "keys/ changed while it was read; try again");
    return 0;
}

static int keeper_prepare(struct role_run *r, const struct role_snapshot *s, struct error *e)
{
    struct keeper *k = r->state;
    struct key_set *set = calloc(1, sizeof *set);
    if (!set || !(set->keys = calloc(s->identity_n + 1, sizeof *set->keys)))
        panic("out of memory for keys");
    atomic_init(&set->refs, 1);
    int err = s->identity_n == s->config->certificate_n ? load_keys(set, s, e)
                                                        : error_set(e, ERR_CORRUPT, "certificates are missing in the setup");
    if (err) {
        key_set_unref(set);
        return err;
    }
    pthread_mutex_lock(&k->lock);
    struct key_set *unused = k->prepared;
    k->prepared = set;
    k->login_memory_s = s->config->login.memory_s;
    k->login_memory_in_kernel = s->config->login.memory_in_kernel;
    pthread_mutex_unlock(&k->lock);
    key_set_unref(unused);
    return 0;
}

static void keeper_commit(struct role_run *r)
{
    struct keeper *k = r->state;
    pthread_mutex_lock(&k->lock);
    struct key_set *gone = k->former;
    k->former = k->now;
    k->now = k->prepared;
    k->prepared = NULL;
    unsigned memory_s = k->login_memory_s;
    bool in_kernel = k->login_memory_in_kernel;
    pthread_mutex_unlock(&k->lock);
    key_set_unref(gone);
    if (k->verifiers)
        verifiers_set_limit(k->verifiers, memory_s, in_kernel, clock_boot_s());
}

/* --- requests --- */

static int sign_for(enum rights_role role, const struct kept_key *key, uint16_t scheme, str message, struct buf *reply,
                    struct error *e)
{
    enum tls_signed kind;
    int err = tls_signed_kind(scheme, message, &kind);
    if (err)
        return error_set(e, err, "that is nothing that a handshake signs");
    if (!rights_allow(role, key->purposes, kind == TLS_SIGNED_13 ? RIGHTS_SIGN_13 : RIGHTS_SIGN_12))
        return error_set(e, ERR_REFUSED, "the key %s is not for %s", key->id, rights_role_name(role));
    char *to = buf_reserve(reply, WIRE_SIGNATURE_MAX);
    int64_t n = to ? pki_key_sign(key->key, scheme, message, to, WIRE_SIGNATURE_MAX) : ERR_LIMIT;
    if (n < 0)
        return error_set(e, (int)n, "the key %s cannot sign that by scheme %04x", key->id, scheme);
    buf_commit(reply, (size_t)n);
    return 0;
}

static int on_sign(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    struct keeper_peer *peer = ctx;
    struct key_set *set = NULL;
    uint16_t scheme;
    str id, message;
    int err = wire_unpack_sign(request->payload, &id, &scheme, &message);
    if (err)
        return error_set(e, err, "the request to sign is malformed");
    err = signing_begin(&peer->keeper->signing, peer->role, clock_mono_ms());
    if (err)
        return error_set(e, err, "more signatures in a second than all handshakes can need");
    const struct kept_key *key = find_key(peer->keeper, id, &set);
    if (!key)
        err = error_set(e, ERR_NOTFOUND, "no certificate of the configuration has the key %.*s", STR_ARG(id));
    else
        err = sign_for(peer->role, key, scheme, message, reply, e);
    key_set_unref(set);
    signing_end(&peer->keeper->signing, peer->role, err == 0);
    return err;
}

static int load_ca_key(struct pki_key **ret, struct error *e)
{
    int err = pki_key_load(CA_KEY, ret, e);
    return err == ERR_NOTFOUND
               ? error_set(e, err,
                           "keys/" CA_KEY " is not there; bring it from your safe (as root, `valise upgrade --owners' "
                           "then lets keeper read it), and take it away again afterwards if you keep it there")
               : err;
}

/* Core knows whose the names are; for which a certificate may be at all, and what it may be, is decided here. An order without a time only asks
 * whether its names are allowed. The CA's key is in memory only meanwhile. */
static int on_issue(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                    size_t *ret_fd_n, struct error *e)
{
    struct keeper *k = ((struct keeper_peer *)ctx)->keeper;
    struct wire_order o;
    struct pki_key *ca_key = NULL;
    int err = wire_unpack_order(request->payload, a, &o);
    if (err)
        return error_set(e, err, "the order for a certificate is malformed");
    const struct pki_order order = { o.use ? PKI_USE_USER : PKI_USE_SERVER, o.names, o.name_n, (int64_t)o.seconds, o.outside };
    struct role_snapshot *s = role_snapshot_get(k->run);
    err = ca_names_check(s->ca_pem, s->config->hostname, &order, e);
    bool signs = err == 0 && o.seconds;
    if (signs)
        err = load_ca_key(&ca_key, e);
    if (signs && err == 0)
        err = pki_issue(ca_key, s->ca_pem, o.subject_pem, &order, clock_real_ms() / 1000, reply, e);
    pki_key_free(ca_key);
    role_snapshot_unref(s);
    str name = o.name_n ? o.names[0] : STR("");
    const char *use = o.use ? "user" : "server";
    if (o.seconds && err == ERR_REFUSED)
        log_warning("issue-refused", LOG_STR("for", name), LOG_Z("use", use), LOG_Z("text", e->text));
    else if (o.seconds)
        log_info("issue", LOG_STR("for", name), LOG_Z("use", use), LOG_Z("result", err_name(err)));
    return err;
}

/* What core keeps of passwords that must be had back: its store alone must not give them away. The key is in memory only meanwhile. */
static int on_seal(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                   size_t *ret_fd_n, struct error *e)
{
    str context, bytes;
    int err = wire_unpack_seal(request->payload, &context, &bytes);
    if (err)
        return error_set(e, err, "the request to seal is malformed");
    if (request->type == WIRE_UNSEAL)
        return pki_unseal(SEALER_KEY, context, bytes, reply, e);
    err = pki_seal(SEALER_KEY, context, bytes, reply, e);
    secret_wipe((void *)(uintptr_t)bytes.p, bytes.n);
    return err;
}

/* What is known of passwords that were right lately: see verifiers.h for what who asks can learn. Without verifiers nothing is. */
static int on_proof(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                    size_t *ret_fd_n, struct error *e)
{
    struct verifiers *v = ((struct keeper_peer *)ctx)->keeper->verifiers;
    const uint8_t *id = (const uint8_t *)request->payload.p, *question = id + WIRE_ID;
    bool asks = request->type == WIRE_KNOWN;
    uint8_t answer[VERIFIERS_ANSWER];
    _Static_assert((int)WIRE_ID == (int)VERIFIERS_ID && (int)WIRE_QUESTION == (int)VERIFIERS_QUESTION &&
                       (int)WIRE_ANSWER == (int)VERIFIERS_ANSWER,
                   "they travel as they are");
    if (request->payload.n != WIRE_ID + WIRE_QUESTION + (asks ? 0 : WIRE_ANSWER))
        return error_set(e, ERR_CORRUPT, "what is proved of a password is malformed");
    if (v && !asks)
        verifiers_add(v, id, question, question + WIRE_QUESTION, clock_boot_s());
    else if (v && verifiers_ask(v, id, question, clock_boot_s(), answer))
        buf_add(reply, (str){ (const char *)answer, sizeof answer });
    return buf_error(reply);
}

static int on_forget(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                     size_t *ret_fd_n, struct error *e)
{
    struct verifiers *v = ((struct keeper_peer *)ctx)->keeper->verifiers;
    str id = request->payload;
    if (id.n != 0 && id.n != VERIFIERS_ID)
        return error_set(e, ERR_CORRUPT, "the account to be forgotten is malformed");
    if (v)
        verifiers_forget(v, id.n ? (const uint8_t *)id.p : NULL);
    return 0;
}

/* The ticket key of ROLE in HOUR: three HMAC-SHA-256 blocks of the master, cut to 80 bytes. Nothing is stored, so all processes
 * of a role and restarted ones get the same, until keeper itself is restarted: then clients do one full handshake. */
static int add_ticket_key(const struct keeper *k, const char *role, int64_t hour, struct buf *out)
{
    unsigned char block[96];
    for (unsigned char i = 0; i < 3; i++) {
        char text[64];
        unsigned int n = 0;
        int len = snprintf(text, sizeof text, "ticket %s %lld %d", role, (long long)hour, i);
        if (!HMAC(EVP_sha256(), k->ticket_master, sizeof k->ticket_master, (const unsigned char *)text, (size_t)len,
                  block + 32 * i, &n) ||
            n != 32)
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

static int on_tickets(void *ctx, const struct frame *request, struct arena *a, struct buf *reply, int reply_fds[CHANNEL_FDS_MAX],
                      size_t *ret_fd_n, struct error *e)
{
    const struct keeper_peer *peer = ctx;
    return ticket_keys(peer->keeper, rights_role_name(peer->role), reply);
}

/* All that can be asked, and the operations it is for. A role has a handler when it has the right to one of them. */
static const struct {
    struct channel_handler handler;
    enum rights_operation first, last;
} requests[] = {
    { { WIRE_SIGN, "sign", TLS_SIGNED_MAX + 80, 0, 0, on_sign }, RIGHTS_SIGN_13, RIGHTS_SIGN_12 },
    { { WIRE_TICKET_KEYS, "ticket-keys", 0, 0, 0, on_tickets }, RIGHTS_HAND_OUT, RIGHTS_HAND_OUT },
    { { WIRE_ISSUE, "issue", WIRE_ORDER_MAX, 0, 0, on_issue }, RIGHTS_ISSUE, RIGHTS_ISSUE },
    { { WIRE_SEAL, "seal", WIRE_SEAL_MAX, 0, 0, on_seal }, RIGHTS_DO_SEAL, RIGHTS_DO_SEAL },
    { { WIRE_UNSEAL, "unseal", WIRE_SEAL_MAX, 0, 0, on_seal }, RIGHTS_DO_UNSEAL, RIGHTS_DO_UNSEAL },
    { { WIRE_KNOWN, "known", WIRE_ID + WIRE_QUESTION, 0, 0, on_proof }, RIGHTS_ASK_LOGIN, RIGHTS_ASK_LOGIN },
    { { WIRE_REMEMBER, "remember", WIRE_ID + WIRE_QUESTION + WIRE_ANSWER, 0, 0, on_proof },
      RIGHTS_REMEMBER_LOGIN,
      RIGHTS_REMEMBER_LOGIN },
    { { WIRE_FORGET, "forget", WIRE_ID, 0, 0, on_forget }, RIGHTS_FORGET_LOGIN, RIGHTS_FORGET_LOGIN },
};
_Static_assert(sizeof requests / sizeof requests[0] < HANDLERS_MAX, "and one that ends the list");

static void make_peer(struct keeper *k, enum rights_role role)
{
    struct keeper_peer *peer = &k->peers[role];
    size_t n = 0;
    *peer = (struct keeper_peer){ .keeper = k, .role = role };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if (rights_offer(role, requests[i].first) || rights_offer(role, requests[i].last))
            peer->handlers[n++] = requests[i].handler;
    peer->service = (struct channel_service){ .peer = rights_role_name(role), .handlers = peer->handlers, .ctx = peer };
}

static const struct channel_service *keeper_service_for(struct role_run *r, str peer)
{
    struct keeper *k = r->state;
    for (size_t i = 0; i < RIGHTS_ROLES; i++)
        if (str_eq(peer, str_from_z(rights_role_name((enum rights_role)i))))
            return &k->peers[i].service;
    return NULL;
}

/* sysconf would read files that the sandbox hides. */
static unsigned processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void keeper_count(struct role_run *r, struct wire_counts *ret)
{
    struct keeper *k = r->state;
    _Static_assert((int)RIGHTS_ROLES == (int)WIRE_SIGNERS_MAX, "each role's signatures are told");
    for (size_t i = 0; i < RIGHTS_ROLES; i++) {
        ret->signatures[i].made = atomic_load(&k->signing.roles[i].made);
        ret->signatures[i].refused = atomic_load(&k->signing.roles[i].refused);
    }
    struct verifiers_state state = { 0 };
    if (k->verifiers)
        verifiers_state(k->verifiers, &state);
    ret->remembered = state.remembered;
    ret->in_kernel = state.in_kernel;
}

const struct channel_service *keeper_service_of_core(struct keeper *k)
{
    return &k->peers[RIGHTS_CORE].service;
}

static struct keeper *keeper_new(struct role_run *r, struct arena *a)
{
    struct keeper *k = arena_new(a, struct keeper);
    if (!k)
        return NULL;
    k->run = r;
    pthread_mutex_init(&k->lock, NULL);
    random_bytes(k->ticket_master, sizeof k->ticket_master);
    signing_init(&k->signing, processors());
    for (size_t i = 0; i < RIGHTS_ROLES; i++)
        make_peer(k, (enum rights_role)i);
    r->state = k;
    return k;
}

struct keeper *keeper_alone(struct config *config, str ca_pem)
{
    struct role_run *r = calloc(1, sizeof *r);
    struct role_snapshot *s = calloc(1, sizeof *s);
    if (!r || !s)
        panic("out of memory at start");
    arena_init(&r->arena, 1 << 16);
    pthread_mutex_init(&r->lock, NULL);
    atomic_init(&s->refs, 1);
    s->ca_pem = ca_pem;
    s->config = config;
    r->role = &role_keeper;
    r->snapshot = s;
    struct keeper *k = keeper_new(r, &r->arena);
    return k ? k : (panic("out of memory at start"), NULL);
}

static void tend_verifiers(void *ctx)
{
    struct keeper *k = ctx;
    verifiers_tend(k->verifiers, clock_boot_s());
}

static int keeper_start(struct role_run *r, struct error *e)
{
    struct error why = ERROR_NONE;
    struct keeper *k = keeper_new(r, &r->arena);
    if (!k)
        return error_set(e, ERR_LIMIT, "no memory for keeper");
    if (verifiers_new(&r->keyring, &k->verifiers, &why))
        log_warning("logins-not-remembered", LOG_Z("text", why.text));
    else if (r->server)
        server_every(r->server, VERIFIERS_TEND_MS, tend_verifiers, k);
    return 0;
}

static void keeper_end(struct role_run *r)
{
    struct keeper *k = r->state;
    key_set_unref(k->now);
    key_set_unref(k->former);
    key_set_unref(k->prepared);
    signing_done(&k->signing);
    verifiers_free(k->verifiers);
    secret_wipe(k->ticket_master, sizeof k->ticket_master);
}

const struct role role_keeper = { .name = "keeper",
                                  .profile = &role_keeper_profile,
                                  .descriptors = DESCRIPTORS_KEEPER,
                                  .has_root = true,
                                  .start = keeper_start,
                                  .service_for = keeper_service_for,
                                  .prepare = keeper_prepare,
                                  .commit = keeper_commit,
                                  .count = keeper_count,
                                  .end = keeper_end };
