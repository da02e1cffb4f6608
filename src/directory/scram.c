/* scram: what is kept of a password for SCRAM (RFC 5802 section 3, RFC 7677).
 *
 * Whoever steals these keys can try passwords against them at the price of PBKDF2: they are as secret as the hash. The rounds cost one try two thirds of the
 * time that Argon2 takes here (measured: 60 ms for 100000 rounds as for Argon2 on a busy core), though not its memory; a client pays the
 * same once a login, and one on GNU SASL two and a half times that. More is not to be had: clients on Cyrus SASL (mbsync, many others)
 * refuse to log in above 65536. The keys cannot be used to log in.
 *
 * Keys of SHA-1 are weaker and are made only where `scram-sha-1' says so. */
#include "directory/directory_private.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/pack.h"
#include "base/random.h"

enum { ITERATIONS = 65000, ITERATIONS_BEFORE = 16384, ITERATIONS_MAX = 10000000 };

static size_t key_size(enum directory_hash hash)
{
    return hash == DIRECTORY_SHA1 ? 20 : 32;
}

static void scram_encode(const struct directory_scram *s, enum directory_hash hash, struct buf *ret)
{
    pack_varint(ret, s->iterations);
    buf_add(ret, (str){ (const char *)s->salt, sizeof s->salt });
    buf_add(ret, (str){ (const char *)s->stored_key, key_size(hash) });
    buf_add(ret, (str){ (const char *)s->server_key, key_size(hash) });
}

int scram_decode(str encoded, enum directory_hash hash, struct directory_scram *ret)
{
    struct unpack u = unpack_init(encoded);
    struct directory_scram s = { .iterations = (unsigned)unpack_varint_max(&u, ITERATIONS_MAX) };
    str salt = unpack_bytes(&u, sizeof s.salt);
    str stored = unpack_bytes(&u, key_size(hash)), server = unpack_bytes(&u, key_size(hash));
    if (unpack_end(&u) < 0 || s.iterations == 0)
        return ERR_CORRUPT;
    memcpy(s.salt, salt.p, salt.n);
    memcpy(s.stored_key, stored.p, stored.n);
    memcpy(s.server_key, server.p, server.n);
    *ret = s;
    secret_wipe(&s, sizeof s);
    return 0;
}

bool scram_is_outdated(str encoded, enum directory_hash hash)
{
    struct directory_scram s;
    bool outdated = scram_decode(encoded, hash, &s) < 0 || s.iterations < ITERATIONS;
    secret_wipe(&s, sizeof s);
    return outdated;
}

/* SaltedPassword := Hi(Normalize(password), salt, i), and the keys that follow from it (RFC 5802 section 3). */
static int derive(const char *prepared, enum directory_hash hash, struct directory_scram *s)
{
    unsigned char salted[32];
    char client_key[32];
    const EVP_MD *md = hash == DIRECTORY_SHA1 ? EVP_sha1() : EVP_sha256();
    int ok = PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), s->salt, sizeof s->salt, (int)s->iterations, md,
                               (int)key_size(hash), salted);
    if (ok == 1)
        ok =
            gsasl_scram_secrets_from_salted_password(hash == DIRECTORY_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256, (char *)salted,
                                                     client_key, (char *)s->server_key, (char *)s->stored_key) == GSASL_OK;
    secret_wipe(salted, sizeof salted);
    secret_wipe(client_key, sizeof client_key);
    return ok == 1 ? 0 : ERR_INTERNAL;
}

void scram_make(str password, enum directory_hash hash, struct buf *ret)
{
    struct directory_scram s = { .iterations = ITERATIONS };
    struct buf prepared;
    buf_init_secret(&prepared, 4 * DIRECTORY_PASSWORD_MAX);
    const char *z = password_prepare(password, &prepared) == 0 ? buf_z(&prepared) : NULL;
    random_bytes(s.salt, sizeof s.salt);
    if (!z || derive(z, hash, &s) < 0) { /* RFC 5802 section 5.1: what has no prepared form has no keys */
        random_bytes(s.stored_key, sizeof s.stored_key);
        random_bytes(s.server_key, sizeof s.server_key);
    }
    scram_encode(&s, hash, ret);
    secret_wipe(&s, sizeof s);
    buf_done(&prepared);
}

void scram_decoy(const uint8_t secret[32], str name, enum directory_hash hash, size_t outdated, size_t all,
                 struct directory_scram *ret)
{
    unsigned char tag[EVP_MAX_MD_SIZE];
    unsigned tag_n = 0;
    struct buf text = BUF_INIT(4096);
    bool old = false;
    /* As many of the names that are not there have the former rounds as of the accounts, and like those they change but once, and their salt with
     * them. */
    for (int i = 0; i < 2 && (i == 0 || old); i++) {
        buf_reset(&text);
        buf_add_byte(&text, (char)((hash == DIRECTORY_SHA1 ? '1' : '2') + (i == 0 ? 2 : 0)));
        buf_add(&text, str_sub(name, 0, 1024));
        if (!HMAC(EVP_sha256(), secret, 32, (const unsigned char *)text.p, text.n, tag, &tag_n) || tag_n < 32)
            panic("HMAC-SHA256 failed");
        uint32_t share = (uint32_t)tag[28] << 24 | (uint32_t)tag[29] << 16 | (uint32_t)tag[30] << 8 | tag[31];
        if (i == 0)
            old = (uint64_t)share * all < (uint64_t)outdated << 32;
    }
    buf_done(&text);
    *ret = (struct directory_scram){ .iterations = old ? ITERATIONS_BEFORE : ITERATIONS };
    memcpy(ret->salt, tag, sizeof ret->salt);
    random_bytes(ret->stored_key, sizeof ret->stored_key);
    random_bytes(ret->server_key, sizeof ret->server_key);
}
