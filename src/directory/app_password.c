/* app_password: secrets made here for programs that log in for a person, one for each, so that losing a phone costs one of them.
 *
 * A secret has 120 random bits: a plain hash with a salt is enough, and a login with one costs no Argon2. It is shown once. */
#include "directory/directory_private.h"

#include <openssl/evp.h>
#include <time.h>

#include "base/pack.h"
#include "base/random.h"
#include "base/utf8.h"

enum {
    SALT = 16,
    DIGEST = 32,
    LETTERS = 24,
    GROUP = 4,
    NAME_BYTES_MAX = 64,
    COUNT_MAX = 32,
    USED_EVERY_S = 60,
    SCRATCH = 1 << 14
};

struct app {
    str name, salt, digest;
    uint64_t created; /* seconds of the clock */
};

/* --- the list in the account's row --- */

static void app_encode(struct buf *b, const struct app *a)
{
    pack_str(b, a->name);
    pack_varint(b, a->created);
    buf_add_all(b, a->salt, a->digest);
}

/* Takes the next one off U. */
static bool app_next(struct unpack *u, struct app *ret)
{
    if (unpack_rest(u).n == 0 || u->error)
        return false;
    ret->name = unpack_str(u, NAME_BYTES_MAX);
    ret->created = unpack_varint(u);
    ret->salt = unpack_bytes(u, SALT);
    ret->digest = unpack_bytes(u, DIGEST);
    return !u->error && ret->name.n;
}

int app_passwords_check(str list)
{
    struct unpack u = unpack_init(list);
    struct app a;
    size_t n = 0;
    while (app_next(&u, &a))
        n++;
    return n <= COUNT_MAX ? unpack_end(&u) : ERR_CORRUPT;
}

static void digest_of(str salt, const char letters[LETTERS], unsigned char ret[DIGEST])
{
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    if (!m || EVP_DigestInit_ex(m, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(m, salt.p, salt.n) != 1 ||
        EVP_DigestUpdate(m, letters, LETTERS) != 1 || EVP_DigestFinal_ex(m, ret, NULL) != 1)
        panic("SHA-256 failed");
    EVP_MD_CTX_free(m);
}

/* The letters of PASSWORD, as people type them: hyphens and spaces do not count, nor does case. */
static bool take_letters(str password, char ret[LETTERS])
{
    size_t n = 0;
    for (size_t i = 0; i < password.n; i++) {
        char c = ascii_lower(password.p[i]);
        if (c == '-' || c == ' ')
            continue;
        if (n == LETTERS || !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
            return false;
        ret[n++] = c;
    }
    return n == LETTERS;
}

/* The salt is random, and another for each. */
static uint64_t tag_of(const struct app *a)
{
    uint64_t tag;
    memcpy(&tag, a->salt.p, sizeof tag);
    return tag;
}

bool app_passwords_have(str list, uint64_t tag)
{
    struct unpack u = unpack_init(list);
    struct app a;
    bool found = false;
    while (!found && app_next(&u, &a))
        found = tag_of(&a) == tag;
    return found;
}

bool app_passwords_find(str list, str password, str *ret_name, uint64_t *ret_tag)
{
    struct unpack u = unpack_init(list);
    struct app a;
    char letters[LETTERS];
    unsigned char digest[DIGEST];
    bool found = false;
    if (!list.n || !take_letters(password, letters))
        return false;
    while (!found && app_next(&u, &a)) {
        digest_of(a.salt, letters, digest);
        found = str_eq_secret(a.digest, (str){ (const char *)digest, DIGEST });
        if (found) {
            *ret_name = a.name;
            *ret_tag = tag_of(&a);
        }
    }
    secret_wipe(letters, sizeof letters);
    return found;
}

int app_passwords_add(str list, str name, str secret, struct buf *out, struct error *e)
{
    struct unpack u = unpack_init(list);
    struct app a;
    char salt[SALT], letters[LETTERS];
    unsigned char digest[DIGEST];
    size_t n = 0;
    buf_add(out, list);
    for (; app_next(&u, &a); n++) {
        if (str_eq(a.name, name))
            return error_set(e, ERR_EXISTS, "there is an application password %.*s already", STR_ARG(name));
    }
    if (n >= COUNT_MAX)
        return error_set(e, ERR_LIMIT, "a user has at most %d application passwords; remove one first", COUNT_MAX);
    require(take_letters(secret, letters));
    random_bytes(salt, sizeof salt);
    digest_of((str){ salt, SALT }, letters, digest);
    app_encode(out, &(struct app){ name, { salt, SALT }, { (const char *)digest, DIGEST }, (uint64_t)time(NULL) });
    secret_wipe(letters, sizeof letters);
    return buf_error(out);
}

int app_passwords_remove(str list, str name, struct buf *out, struct error *e)
{
    struct unpack u = unpack_init(list);
    struct app a;
    bool found = false;
    while (app_next(&u, &a)) {
        if (str_eq(a.name, name))
            found = true;
        else
            app_encode(out, &a);
    }
    return found ? buf_error(out) : error_set(e, ERR_NOTFOUND, "there is no application password %.*s", STR_ARG(name));
}

/* --- when it was used: in the partition of logins, so that a login changes nothing in the directory --- */

static void used_key(struct buf *b, engine_part id, str name)
{
    buf_add_byte(b, 'u');
    buf_add_all(b, (str){ (const char *)id.b, sizeof id.b }, name);
}

static uint64_t used_get(struct directory *d, str key, struct arena *a)
{
    str value = { NULL, 0 };
    if (engine_get(d->engine, logins_part, &key, 1, ENGINE_UNSYNCED, a, &value, NULL) < 0 || !value.p)
        return 0;
    struct unpack u = unpack_init(value);
    uint64_t t = unpack_varint(&u);
    return unpack_end(&u) < 0 ? 0 : t;
}

void app_password_used(struct directory *d, engine_part id, str name)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct buf key = BUF_INIT(128), value = BUF_INIT(16);
    uint64_t now = (uint64_t)time(NULL);
    used_key(&key, id, name);
    uint64_t last = used_get(d, buf_str(&key), &a);
    if (now < last || now - last >= USED_EVERY_S) {
        pack_varint(&value, now);
        struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
        engine_put(t, buf_str(&key), buf_str(&value));
        /* A time that is lost with the power is no loss: nobody waits for the disk here. */
        int r = engine_commit_unsynced(t, NULL);
        (void)r;
    }
    buf_done(&key);
    buf_done(&value);
    arena_done(&a);
}

void app_passwords_forget(struct directory *d, engine_part id)
{
    struct buf from = BUF_INIT(128), to = BUF_INIT(128);
    struct engine_txn *t = engine_begin(d->engine, logins_part, ENGINE_ANY_VERSION);
    used_key(&from, id, STR(""));
    used_key(&to, id, STR("\xff")); /* no name begins with it: names are UTF-8 */
    engine_del_range(t, buf_str(&from), buf_str(&to));
    int r = engine_commit_unsynced(t, NULL);
    (void)r; /* rows that stay belong to an id that never comes back */
    buf_done(&from);
    buf_done(&to);
}

/* --- for administrators --- */

static int check_name(str name, struct error *e)
{
    bool ok = name.n > 0 && name.n <= NAME_BYTES_MAX && utf8_valid(name);
    for (size_t i = 0; ok && i < name.n; i++)
        ok = (unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7f;
    return ok ? 0
              : error_set(e, ERR_SYNTAX, "the name of an application password has 1 to %d bytes of UTF-8, no control characters",
                          NAME_BYTES_MAX);
}

int directory_app_password_add(struct directory *d, str address, str name, char ret_secret[DIRECTORY_APP_SECRET_SIZE],
                               struct error *e)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t bits[LETTERS];
    char secret[DIRECTORY_APP_SECRET_SIZE];
    size_t n = 0;
    int r = check_name(name, e);
    if (r < 0)
        return r;
    random_bytes(bits, sizeof bits);
    for (size_t i = 0; i < LETTERS; i++) {
        if (i && i % GROUP == 0)
            secret[n++] = '-';
        secret[n++] = alphabet[bits[i] & 31];
    }
    secret[n] = '\0';
    r = change_app_password(d, address, name, str_from_z(secret), e);
    if (r == 0)
        memcpy(ret_secret, secret, sizeof secret);
    secret_wipe(bits, sizeof bits);
    secret_wipe(secret, sizeof secret);
    return r;
}

int directory_app_password_remove(struct directory *d, str address, str name, struct error *e)
{
    return change_app_password(d, address, name, STR(""), e);
}

int directory_app_passwords(struct directory *d, str address, int (*fn)(void *ctx, str name, uint64_t created, uint64_t used),
                            void *ctx)
{
    struct arena a = ARENA_INIT(1 << 16);
    str canonical, list = { NULL, 0 };
    engine_part id = { { 0 } };
    int r = directory_home_address(d, address, &a, &canonical, NULL);
    if (r == 0) {
        pthread_rwlock_rdlock(&d->lock);
        const struct entry *n = table_entry(&d->table, canonical);
        r = n && n->kind == DIRECTORY_ACCOUNT ? arena_dup(&a, n->apps, &list) : ERR_NOTFOUND;
        if (r == 0)
            id = n->id;
        pthread_rwlock_unlock(&d->lock);
    }
    struct unpack u = unpack_init(list);
    struct app app;
    while (r == 0 && app_next(&u, &app)) {
        struct buf key = BUF_INIT(128);
        used_key(&key, id, app.name);
        uint64_t used = used_get(d, buf_str(&key), &a);
        r = fn(ctx, app.name, app.created, used < app.created ? 0 : used); /* an older one of the same name is not this one */
        buf_done(&key);
    }
    arena_done(&a);
    return r;
}
