/* password: Argon2id (RFC 9106), how many run at once, and what was verified lately.
 *
 * A success is remembered for some minutes under HMAC-SHA256 with a key of this process: an IMAP client that opens ten
 * connections costs one hash. Nothing that is kept can be tried against offline without that key, and nothing of it reaches a
 * disk. */
#include "directory/directory_private.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/random.h"

/* RFC 9106 leaves the choice to the machine; these are OWASP's least memory-hungry recommendation for Argon2id. */
enum { ARGON_PASSES = 2, ARGON_KIB = 19456, ARGON_LANES = 1, SALT_SIZE = 16, HASH_SIZE = 32 };
enum { GATE_RUNNING_MAX = 2, GATE_WAITING_MAX = 64, GATE_WAIT_MS = 5000 };
enum { GATE_APART_MS = 15, GATE_AHEAD_MAX_MS = 20000 }; /* between two appointments; how far ahead one may be */
enum { VERIFIED_MAX = 10000, VERIFIED_MS = 10 * 60 * 1000 };

/* --- the gate --- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t left;
    unsigned running, waiting;
    int64_t next_ms; /* clock_mono_ms of the next appointment that can be given */
};

static _Atomic uint64_t argon2_runs; /* of the process: a figure for the status, nothing depends on it */

uint64_t directory_argon2_runs(void)
{
    return atomic_load(&argon2_runs);
}

struct gate *gate_new(void)
{
    struct gate *g = calloc(1, sizeof *g);
    pthread_condattr_t attr;
    require(g);
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->left, &attr);
    pthread_condattr_destroy(&attr);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    pthread_cond_destroy(&g->left);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

int gate_enter(struct gate *g)
{
    int64_t until = clock_mono_ms() + GATE_WAIT_MS;
    struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
    int r = 0;
    pthread_mutex_lock(&g->lock);
    if (g->waiting >= GATE_WAITING_MAX)
        r = ERR_UNAVAILABLE;
    g->waiting++;
    while (r == 0 && g->running >= GATE_RUNNING_MAX) {
        if (pthread_cond_timedwait(&g->left, &g->lock, &t) == ETIMEDOUT)
            r = ERR_UNAVAILABLE;
    }
    g->waiting--;
    if (r == 0)
        g->running++;
    pthread_mutex_unlock(&g->lock);
    return r;
}

int gate_try(struct gate *g, int64_t *ret_again_ms)
{
    int64_t now = clock_mono_ms();
    int r = 0;
    pthread_mutex_lock(&g->lock);
    if (g->running + g->waiting < GATE_RUNNING_MAX) {
        g->running++;
    } else {
        /* An appointment behind all others, so that however many wait, few ask again at a time. */
        if (g->next_ms < now)
            g->next_ms = now;
        r = ERR_UNAVAILABLE;
        if (g->next_ms - now > GATE_AHEAD_MAX_MS) {
            *ret_again_ms = 0;
        } else {
            g->next_ms += GATE_APART_MS;
            *ret_again_ms = g->next_ms - now;
        }
    }
    pthread_mutex_unlock(&g->lock);
    return r;
}

void gate_leave(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->running--;
    pthread_cond_signal(&g->left);
    pthread_mutex_unlock(&g->lock);
}

/* --- hashing --- */

int password_hash(struct gate *g, str password, char ret[DIRECTORY_HASH_MAX], struct error *e)
{
    char salt[SALT_SIZE];
    if (password.n > DIRECTORY_PASSWORD_MAX)
        return error_set(e, ERR_LIMIT, "a password has at most %d bytes", DIRECTORY_PASSWORD_MAX);
    random_bytes(salt, sizeof salt);
    if (gate_enter(g) < 0)
        return error_set(e, ERR_UNAVAILABLE, "too many passwords are being checked; try again");
    int r = argon2id_hash_encoded(ARGON_PASSES, ARGON_KIB, ARGON_LANES, password.p, password.n, salt, sizeof salt, HASH_SIZE, ret,
                                  DIRECTORY_HASH_MAX);
    gate_leave(g);
    atomic_fetch_add(&argon2_runs, 1);
    return r == ARGON2_OK ? 0 : error_set(e, ERR_INTERNAL, "the password could not be hashed: %s", argon2_error_message(r));
}

int password_check(str hash, str password)
{
    static const char no_salt[SALT_SIZE];
    char encoded[DIRECTORY_HASH_MAX + 1], out[HASH_SIZE];
    bool possible = hash.n > 0 && hash.n < sizeof encoded && password.n > 0 && password.n <= DIRECTORY_PASSWORD_MAX;
    int r;
    atomic_fetch_add(&argon2_runs, 1);
    if (possible) {
        memcpy(encoded, hash.p, hash.n);
        encoded[hash.n] = '\0';
        r = argon2id_verify(encoded, password.p, password.n);
    } else {
        /* The same work for an account that is not there, so that the time does not tell. */
        size_t n = password.n < DIRECTORY_PASSWORD_MAX ? password.n : DIRECTORY_PASSWORD_MAX;
        r = argon2id_hash_raw(ARGON_PASSES, ARGON_KIB, ARGON_LANES, password.p, n, no_salt, sizeof no_salt, out, sizeof out);
    }
    if (r == ARGON2_MEMORY_ALLOCATION_ERROR)
        return ERR_UNAVAILABLE;
    return possible && r == ARGON2_OK ? 0 : ERR_REFUSED;
}

bool password_is_outdated(str hash)
{
    char now[64];
    int n =
        snprintf(now, sizeof now, "$argon2id$v=%d$m=%d,t=%d,p=%d$", ARGON2_VERSION_NUMBER, ARGON_KIB, ARGON_PASSES, ARGON_LANES);
    return !str_starts(hash, (str){ now, (size_t)n });
}

/* --- what was verified lately --- */

struct verified_slot {
    struct verified_tag tag;
    int64_t until; /* clock_mono_ms; 0: empty */
};

struct verified {
    EVP_MAC *mac;
    unsigned char key[32];
    pthread_mutex_t lock;
    struct map tags;             /* tag: struct verified_slot */
    struct verified_slot *slots; /* a ring: the oldest is the next to be overwritten */
    size_t next;
};

struct verified *verified_new(void)
{
    struct verified *v = calloc(1, sizeof *v);
    require(v);
    v->slots = calloc(VERIFIED_MAX, sizeof *v->slots);
    v->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!v->slots || !v->mac)
        panic("no memory or no HMAC for verified logins");
    random_bytes(v->key, sizeof v->key);
    map_init(&v->tags);
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void verified_free(struct verified *v)
{
    if (!v)
        return;
    pthread_mutex_destroy(&v->lock);
    map_done(&v->tags);
    EVP_MAC_free(v->mac);
    secret_wipe(v->key, sizeof v->key);
    free(v->slots);
    free(v);
}

struct verified_tag verified_tag(struct verified *v, engine_part id, str hash, str password)
{
    struct verified_tag tag;
    size_t n = 0;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end() };
    unsigned char hash_n = (unsigned char)hash.n; /* before the hash, so that hash and password cannot flow into each other */
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(v->mac);
    require(hash.n < DIRECTORY_HASH_MAX);
    if (!ctx || EVP_MAC_init(ctx, v->key, sizeof v->key, params) != 1 || EVP_MAC_update(ctx, id.b, sizeof id.b) != 1 ||
        EVP_MAC_update(ctx, &hash_n, 1) != 1 || EVP_MAC_update(ctx, (const unsigned char *)hash.p, hash.n) != 1 ||
        EVP_MAC_update(ctx, (const unsigned char *)password.p, password.n) != 1 ||
        EVP_MAC_final(ctx, tag.b, &n, sizeof tag.b) != 1)
        panic("HMAC-SHA256 failed");
    EVP_MAC_CTX_free(ctx);
    return tag;
}

struct directory_witness verified_proof(engine_part id, str hash, str password)
{
    static const char what[] = "valise proof of a login, 1";
    unsigned char hash_n = (unsigned char)hash.n, out[64];
    struct directory_witness proof;
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    require(hash.n < DIRECTORY_HASH_MAX);
    if (!m || EVP_DigestInit_ex(m, EVP_sha512(), NULL) != 1 || EVP_DigestUpdate(m, what, sizeof what) != 1 ||
        EVP_DigestUpdate(m, id.b, sizeof id.b) != 1 || EVP_DigestUpdate(m, &hash_n, 1) != 1 ||
        EVP_DigestUpdate(m, hash.p, hash.n) != 1 || EVP_DigestUpdate(m, password.p, password.n) != 1 ||
        EVP_DigestFinal_ex(m, out, NULL) != 1)
        panic("SHA-512 failed");
    EVP_MD_CTX_free(m);
    memcpy(proof.question, out, sizeof proof.question);
    memcpy(proof.answer, out + sizeof proof.question, sizeof proof.answer);
    secret_wipe(out, sizeof out);
    return proof;
}

static str tag_key(const struct verified_tag *tag)
{
    return (str){ (const char *)tag->b, sizeof tag->b };
}

bool verified_has(struct verified *v, const struct verified_tag *tag)
{
    pthread_mutex_lock(&v->lock);
    struct verified_slot *s = map_get(&v->tags, tag_key(tag));
    bool has = s && s->until > clock_mono_ms();
    pthread_mutex_unlock(&v->lock);
    return has;
}

void verified_add(struct verified *v, const struct verified_tag *tag)
{
    pthread_mutex_lock(&v->lock);
    struct verified_slot *s = map_get(&v->tags, tag_key(tag));
    if (!s) {
        s = &v->slots[v->next];
        v->next = (v->next + 1) % VERIFIED_MAX;
        if (s->until)
            map_remove(&v->tags, tag_key(&s->tag));
        s->tag = *tag;
        map_put(&v->tags, tag_key(tag), s);
    }
    s->until = clock_mono_ms() + VERIFIED_MS;
    pthread_mutex_unlock(&v->lock);
}
