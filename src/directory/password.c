/* password: Argon2id (RFC 9106), how many run at once, and what was verified lately.
 *
 * The implementation is libsodium's, which uses what the processor has; libargon2, as Debian builds it, takes nearly twice as long, and who guesses
 * does not use that either. Both write hashes in one form.
 *
 * A success is remembered for some minutes under HMAC-SHA256 with a key of this process: an IMAP client that opens ten
 * connections costs one hash. Nothing that is kept can be tried against offline without that key, and nothing of it reaches a
 * disk. */
#include "directory/directory_private.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/random.h"

enum { SALT_SIZE = crypto_pwhash_SALTBYTES, HASH_SIZE = 32 };
enum { MEASURE_TIMES = 5, MEASURE_KIB_MAX = 128 * 1024, MEASURE_STEP_KIB = 1024 };
enum { VERIFIED_MAX = 10000, VERIFIED_MS = 10 * 60 * 1000 };

static _Atomic uint64_t argon2_runs; /* of the process: a figure for the status, nothing depends on it */

/* --- hashing --- */

uint64_t directory_argon2_runs(void)
{
    return atomic_load(&argon2_runs);
}

/* Idempotent and thread-safe. */
static void need_sodium(void)
{
    if (sodium_init() < 0)
        panic("libsodium could not be initialised");
}

/* The work of COST on PASSWORD, whose result nobody needs. 0 or ERR_UNAVAILABLE. */
static int work(const struct directory_cost *cost, str password)
{
    static const unsigned char no_salt[SALT_SIZE];
    unsigned char out[HASH_SIZE];
    int r = crypto_pwhash_argon2id(out, sizeof out, password.p ? password.p : "", password.n, no_salt, cost->passes,
                                   (size_t)cost->kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    secret_wipe(out, sizeof out);
    return r == 0 ? 0 : ERR_UNAVAILABLE;
}

struct hashing {
    const struct directory_cost *cost;
    str password, hash;
    char *ret;
    int r;
};

static void run_hash(void *ctx)
{
    struct hashing *h = ctx;
    h->r = crypto_pwhash_argon2id_str(h->ret, h->password.p ? h->password.p : "", h->password.n, h->cost->passes,
                                      (size_t)h->cost->kib * 1024);
}

int password_hash(struct gate *g, str password, char ret[DIRECTORY_HASH_MAX], struct error *e)
{
    struct directory_cost cost = gate_cost(g);
    struct hashing h = { .cost = &cost, .password = password, .ret = ret };
    _Static_assert((int)crypto_pwhash_argon2id_STRBYTES <= (int)DIRECTORY_HASH_MAX, "a hash has room");
    if (password.n > DIRECTORY_PASSWORD_MAX)
        return error_set(e, ERR_LIMIT, "a password has at most %d bytes", DIRECTORY_PASSWORD_MAX);
    if (gate_enter(g) < 0)
        return error_set(e, ERR_UNAVAILABLE, "too many passwords are being checked; try again");
    need_sodium();
    gate_run(g, run_hash, &h);
    gate_leave(g);
    atomic_fetch_add(&argon2_runs, 1);
    return h.r == 0 ? 0 : error_set(e, ERR_UNAVAILABLE, "the password could not be hashed: no memory for Argon2; try again");
}

static void run_check(void *ctx)
{
    struct hashing *h = ctx;
    char encoded[crypto_pwhash_argon2id_STRBYTES];
    bool possible = h->hash.n > 0 && h->hash.n < sizeof encoded && h->password.n > 0 && h->password.n <= DIRECTORY_PASSWORD_MAX;
    if (!possible) {
        /* The same work for an account that is not there, so that the time does not tell. */
        h->r = work(h->cost, str_sub(h->password, 0, DIRECTORY_PASSWORD_MAX)) ? ERR_UNAVAILABLE : ERR_REFUSED;
        return;
    }
    memset(encoded, 0, sizeof encoded);
    memcpy(encoded, h->hash.p, h->hash.n);
    errno = 0;
    int r = crypto_pwhash_argon2id_str_verify(encoded, h->password.p, h->password.n);
    h->r = r == 0 ? 0 : errno == ENOMEM ? ERR_UNAVAILABLE : ERR_REFUSED;
}

int password_check(struct gate *g, const struct directory_cost *cost, str hash, str password)
{
    struct hashing h = { .cost = cost, .password = password, .hash = hash };
    atomic_fetch_add(&argon2_runs, 1);
    need_sodium();
    gate_run(g, run_check, &h);
    return h.r;
}

/* --- what it costs --- */

bool password_cost_of(str hash, struct directory_cost *ret)
{
    char text[DIRECTORY_HASH_MAX + 1];
    unsigned version, kib, passes;
    if (hash.n > DIRECTORY_HASH_MAX)
        return false;
    memcpy(text, hash.p, hash.n);
    text[hash.n] = '\0';
    if (sscanf(text, "$argon2id$v=%u$m=%u,t=%u,p=1$", &version, &kib, &passes) != 3 || version != 19)
        return false;
    *ret = (struct directory_cost){ .kib = kib, .passes = passes };
    return true;
}

bool password_is_outdated(str hash, const struct directory_cost *now)
{
    struct directory_cost was;
    return !password_cost_of(hash, &was) || was.kib != now->kib || was.passes != now->passes;
}

static int64_t thread_cpu_us(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        panic("clock_gettime failed");
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct directory_cost directory_cost_for(int64_t taken_us, int64_t wanted_us)
{
    struct directory_cost cost = { DIRECTORY_COST_KIB_MIN, DIRECTORY_COST_PASSES_MIN };
    if (taken_us <= 0 || taken_us >= wanted_us)
        return cost;
    /* Memory, which costs a guesser more than passes do. */
    int64_t kib = DIRECTORY_COST_KIB_MIN * wanted_us / taken_us / MEASURE_STEP_KIB * MEASURE_STEP_KIB;
    if (kib > DIRECTORY_COST_KIB_MIN)
        cost.kib = (unsigned)(kib < MEASURE_KIB_MAX ? kib : MEASURE_KIB_MAX);
    return cost;
}

struct directory_cost directory_cost_measure(int64_t wanted_us)
{
    const struct directory_cost least = { DIRECTORY_COST_KIB_MIN, DIRECTORY_COST_PASSES_MIN };
    int64_t best = INT64_MAX;
    need_sodium();
    for (int i = 0; i < MEASURE_TIMES; i++) { /* the shortest: what else runs on the machine only adds */
        int64_t begin = thread_cpu_us();
        if (work(&least, STR("how long does it take")))
            return least;
        int64_t took = thread_cpu_us() - begin;
        best = took < best ? took : best;
    }
    return directory_cost_for(best, wanted_us);
}

void directory_set_cost(struct directory *d, const struct directory_cost *cost)
{
    gate_set_cost(d->gate, cost);
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
