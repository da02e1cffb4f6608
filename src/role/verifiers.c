/* verifiers: see verifiers.h.
 *
 * The table is as the ring holds it: each key of the ring but the first is a shelf, on which an account always comes to lie by two bytes of its id; the
 * first holds the key of the HMAC. Shelves are short, so that a login changes some hundred bytes of the kernel's memory, and a full one lets go of its
 * oldest. */
#include "role/verifiers.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/random.h"

enum { FORMAT = 1, KEY = 32, NAME = 8, TAG = 8, SHELVES = KEYRING_KEYS - 1 };

struct verifier {
    uint8_t name[NAME]; /* of the id */
    uint8_t tag[TAG];   /* enough: a wrong question that fits by chance is told an answer that does not */
    uint8_t answer[VERIFIERS_ANSWER];
    uint8_t at_s[4]; /* when Argon2 said yes; bytes, so that the same lies in the ring */
    uint8_t wrong;   /* questions since */
};
enum { ROOM = (KEYRING_VALUE_MAX - 1) / sizeof(struct verifier) };
_Static_assert(sizeof(struct verifier) == NAME + TAG + VERIFIERS_ANSWER + 5, "no padding: it is written as it lies");

struct shelf {
    uint8_t format;
    struct verifier list[ROOM];
};
_Static_assert(sizeof(struct shelf) <= KEYRING_VALUE_MAX, "a shelf is one key");

/* All that is secret: in pages of its own, locked. */
struct locked {
    uint8_t format, key[KEY];
    struct shelf shelves[SHELVES];
};

struct verifiers {
    pthread_mutex_t lock; /* guards all below */
    struct keyring keys;
    struct locked *locked;
    size_t n[SHELVES];
    bool is_changed[SHELVES];
    unsigned limit_s;
    bool in_kernel, is_full; /* is_full: the kernel takes no more; said once */
    uint64_t wrong_s;        /* the second of the last wrong answers, and how many in it */
    unsigned wrong_n;
};

static void put_time(uint8_t ret[4], uint64_t s)
{
    for (int i = 0; i < 4; i++)
        ret[i] = (uint8_t)(s >> 8 * i);
}

static uint64_t time_of(const struct verifier *x)
{
    return (uint64_t)x->at_s[0] | (uint64_t)x->at_s[1] << 8 | (uint64_t)x->at_s[2] << 16 | (uint64_t)x->at_s[3] << 24;
}

static size_t shelf_of(const uint8_t id[VERIFIERS_ID])
{
    return ((size_t)id[NAME] << 8 | id[NAME + 1]) % SHELVES;
}

static void tag_of(const struct verifiers *v, const uint8_t id[VERIFIERS_ID], const uint8_t question[VERIFIERS_QUESTION],
                   uint8_t ret[TAG])
{
    uint8_t in[VERIFIERS_ID + VERIFIERS_QUESTION], out[32];
    unsigned n = 0;
    memcpy(in, id, VERIFIERS_ID);
    memcpy(in + VERIFIERS_ID, question, VERIFIERS_QUESTION);
    if (!HMAC(EVP_sha256(), v->locked->key, KEY, in, sizeof in, out, &n) || n != sizeof out)
        panic("HMAC-SHA256 failed");
    memcpy(ret, out, TAG);
    secret_wipe(in, sizeof in);
    secret_wipe(out, sizeof out);
}

/* --- the ring --- */

static void read_shelf(struct verifiers *v, size_t i)
{
    struct shelf *s = &v->locked->shelves[i];
    int64_t got = keyring_read(&v->keys, i + 1, (char *)s, sizeof *s);
    size_t bytes = got > 1 && s->format == FORMAT ? (size_t)got - 1 : 0;
    v->n[i] = bytes % sizeof(struct verifier) == 0 ? bytes / sizeof(struct verifier) : 0;
    s->format = FORMAT;
}

/* What a former process has left; another key, or one of another format, makes the rest worthless. */
static void read_all(struct verifiers *v)
{
    struct locked *l = v->locked;
    int64_t got = v->keys.ring ? keyring_read(&v->keys, 0, (char *)l, 1 + KEY) : 0;
    bool is_ours = got == 1 + KEY && l->format == FORMAT;
    if (!is_ours) {
        l->format = FORMAT;
        random_bytes(l->key, KEY);
    }
    for (size_t i = 0; i < SHELVES; i++)
        if (is_ours)
            read_shelf(v, i);
        else
            l->shelves[i].format = FORMAT;
}

/* Empty keys take the least that there is. */
static void write_shelf(struct verifiers *v, size_t i)
{
    const struct shelf *s = &v->locked->shelves[i];
    if (!v->is_changed[i] || !v->in_kernel)
        return;
    str bytes = { (const char *)s, v->n[i] ? 1 + v->n[i] * sizeof s->list[0] : 0 };
    int err = keyring_write(&v->keys, i + 1, bytes);
    v->is_changed[i] = false;
    if (err) {
        /* What is there is older, and may be what was to be forgotten. */
        if (keyring_write(&v->keys, i + 1, STR("")) == 0 && !v->is_full)
            log_warning("keyring-full", LOG_Z("error", err_name(err)),
                        LOG_Z("text", "the kernel keeps no more verifiers of passwords (keyrings(7), maxbytes): the others cost "
                                      "Argon2 once after a restart of the server"));
        v->is_full = true;
    }
}

static void empty_ring(struct verifiers *v)
{
    for (size_t i = 0; v->keys.ring && i < KEYRING_KEYS; i++)
        if (keyring_write(&v->keys, i, STR("")))
            return;
}

/* --- the table --- */

static struct verifier *find(struct verifiers *v, const uint8_t id[VERIFIERS_ID], size_t *ret_shelf)
{
    size_t i = *ret_shelf = shelf_of(id);
    struct verifier *list = v->locked->shelves[i].list;
    for (size_t k = 0; k < v->n[i]; k++)
        if (memcmp(list[k].name, id, NAME) == 0)
            return &list[k];
    return NULL;
}

static void take_off(struct verifiers *v, size_t shelf, struct verifier *x)
{
    struct verifier *last = &v->locked->shelves[shelf].list[--v->n[shelf]];
    *x = *last;
    secret_wipe(last, sizeof *last);
    v->is_changed[shelf] = true;
}

static bool is_over(const struct verifiers *v, const struct verifier *x, uint64_t now_s)
{
    return now_s < time_of(x) || now_s - time_of(x) >= v->limit_s;
}

static void forget_all(struct verifiers *v)
{
    for (size_t i = 0; i < SHELVES; i++) {
        v->is_changed[i] = v->is_changed[i] || v->n[i];
        secret_wipe(v->locked->shelves[i].list, v->n[i] * sizeof(struct verifier));
        v->n[i] = 0;
    }
}

/* --- life --- */

int verifiers_new(const struct keyring *keys, struct verifiers **ret, struct error *e)
{
    struct locked *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l == MAP_FAILED || mlock2(l, sizeof *l, MLOCK_ONFAULT) != 0 || madvise(l, sizeof *l, MADV_DONTDUMP) != 0) {
        int why = errno;
        if (l != MAP_FAILED)
            (void)munmap(l, sizeof *l);
        return error_set(e, ERR_UNAVAILABLE, "%zu bytes of memory cannot be locked (%s)", sizeof *l, strerrordesc_np(why));
    }
    struct verifiers *v = calloc(1, sizeof *v);
    require(v);
    pthread_mutex_init(&v->lock, NULL);
    v->keys = *keys;
    v->locked = l;
    read_all(v);
    *ret = v;
    return 0;
}

void verifiers_free(struct verifiers *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < SHELVES; i++)
        write_shelf(v, i);
    secret_wipe(v->locked->key, KEY);
    for (size_t i = 0; i < SHELVES; i++)
        secret_wipe(v->locked->shelves[i].list, v->n[i] * sizeof(struct verifier));
    (void)munmap(v->locked, sizeof *v->locked);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

void verifiers_set_limit(struct verifiers *v, unsigned seconds, bool in_kernel, uint64_t now_s)
{
    pthread_mutex_lock(&v->lock);
    v->limit_s = seconds;
    bool was = v->in_kernel;
    if (!seconds)
        forget_all(v);
    v->in_kernel =
        in_kernel && seconds && v->keys.ring && keyring_write(&v->keys, 0, (str){ (const char *)v->locked, 1 + KEY }) == 0;
    for (size_t i = 0; i < SHELVES && v->in_kernel && !was; i++)
        v->is_changed[i] = true;
    if (!v->in_kernel)
        empty_ring(v);
    pthread_mutex_unlock(&v->lock);
    verifiers_tend(v, now_s);
}

void verifiers_tend(struct verifiers *v, uint64_t now_s)
{
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < SHELVES; i++) {
        struct verifier *list = v->locked->shelves[i].list;
        for (size_t k = v->n[i]; k-- > 0;)
            if (is_over(v, &list[k], now_s))
                take_off(v, i, &list[k]);
        write_shelf(v, i);
    }
    if (v->in_kernel && keyring_expire(&v->keys, v->limit_s)) {
        v->in_kernel = false;
        log_warning("keyring-gone",
                    LOG_Z("text", "the kernel has forgotten the ring of verifiers; they are in memory only until the "
                                  "server is started anew"));
    }
    pthread_mutex_unlock(&v->lock);
}

/* --- questions --- */

/* Whether one more wrong answer is within the rate; it is counted. */
static bool may_be_wrong(struct verifiers *v, uint64_t now_s)
{
    if (v->wrong_s != now_s) {
        v->wrong_s = now_s;
        v->wrong_n = 0;
    }
    return v->wrong_n < VERIFIERS_WRONG_PER_SECOND;
}

bool verifiers_ask(struct verifiers *v, const uint8_t id[VERIFIERS_ID], const uint8_t question[VERIFIERS_QUESTION],
                   uint64_t now_s, uint8_t ret_answer[VERIFIERS_ANSWER])
{
    uint8_t tag[TAG];
    size_t shelf;
    bool right = false;
    pthread_mutex_lock(&v->lock);
    tag_of(v, id, question, tag); /* the same work for who is not there */
    struct verifier *x = find(v, id, &shelf);
    if (x && is_over(v, x, now_s)) {
        take_off(v, shelf, x);
    } else if (x && may_be_wrong(v, now_s)) {
        right = str_eq_secret((str){ (const char *)x->tag, TAG }, (str){ (const char *)tag, TAG });
        if (right) {
            memcpy(ret_answer, x->answer, VERIFIERS_ANSWER);
        } else {
            v->wrong_n++;
            v->is_changed[shelf] = true;
            if (++x->wrong >= VERIFIERS_WRONG_MAX)
                take_off(v, shelf, x);
        }
    }
    pthread_mutex_unlock(&v->lock);
    secret_wipe(tag, sizeof tag);
    return right;
}

void verifiers_add(struct verifiers *v, const uint8_t id[VERIFIERS_ID], const uint8_t question[VERIFIERS_QUESTION],
                   const uint8_t answer[VERIFIERS_ANSWER], uint64_t now_s)
{
    size_t shelf;
    pthread_mutex_lock(&v->lock);
    struct verifier *x = find(v, id, &shelf), *list = v->locked->shelves[shelf].list;
    if (v->limit_s && !x && v->n[shelf] < ROOM) {
        x = &list[v->n[shelf]++];
    } else if (v->limit_s && !x) {
        x = list;
        for (size_t k = 1; k < v->n[shelf]; k++)
            if (time_of(&list[k]) < time_of(x))
                x = &list[k];
    }
    if (v->limit_s && x) {
        memcpy(x->name, id, NAME);
        tag_of(v, id, question, x->tag);
        memcpy(x->answer, answer, VERIFIERS_ANSWER);
        put_time(x->at_s, now_s);
        x->wrong = 0;
        v->is_changed[shelf] = true;
        write_shelf(v, shelf); /* some hundred bytes, beside an Argon2 */
    }
    pthread_mutex_unlock(&v->lock);
}

void verifiers_forget(struct verifiers *v, const uint8_t *id)
{
    size_t shelf;
    pthread_mutex_lock(&v->lock);
    struct verifier *x = id ? find(v, id, &shelf) : NULL;
    if (x)
        take_off(v, shelf, x);
    if (!id)
        forget_all(v);
    for (size_t i = 0; i < SHELVES; i++)
        if (!id || (x && i == shelf))
            write_shelf(v, i);
    pthread_mutex_unlock(&v->lock);
}

void verifiers_state(struct verifiers *v, struct verifiers_state *ret)
{
    pthread_mutex_lock(&v->lock);
    *ret = (struct verifiers_state){ .in_kernel = v->in_kernel && !v->is_full };
    for (size_t i = 0; i < SHELVES; i++)
        ret->remembered += (uint32_t)v->n[i];
    pthread_mutex_unlock(&v->lock);
}
