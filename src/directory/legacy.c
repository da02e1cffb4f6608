/* legacy: what CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831) need of accounts that are flagged for them.
 *
 * The first needs the password itself: GNU SASL computes the digest from it, and what could be kept instead, the state of HMAC-MD5 after its key,
 * logs in as well as the password does. The second needs H(name:realm:password), which logs in as that name in that realm. So both are kept
 * sealed, by whoever has the key (keeper), in the account's row: the store alone gives neither away.
 *
 * secrets = version, mechanisms, realm, two hashes (of the address and of its local part), password; padded to a multiple of 64 bytes.
 *
 * L1  Only a flagged account has secrets, and they are always those of its present password: both change in one row.
 * L2  Names that are not there, and accounts that are not flagged, cost the same work and get secrets that nothing fits. */
#include "directory/directory_private.h"

#include <gsasl.h>
#include <openssl/evp.h>

#include "base/log.h"
#include "base/pack.h"
#include "base/random.h"
#include "base/utf8.h"

enum { VERSION = 1, PAD = 64, DECOY_BYTES = 192, SCRATCH = 1 << 14 };

struct secrets {
    unsigned mechanisms;
    str realm, hashes[2], password; /* views into what was unsealed */
};

/* --- making --- */

/* S in ISO 8859-1 where all of it is (RFC 2831 section 2.1.2.1: then it is hashed so), else as it is. */
static void add_latin1(struct buf *b, str s)
{
    struct buf latin1;
    buf_init_secret(&latin1, DIRECTORY_PASSWORD_MAX);
    uint32_t code = 0;
    size_t n = 1, at = 0;
    for (; at < s.n && n && code < 256; at += n) {
        n = utf8_decode(str_from(s, at), &code);
        if (n && code < 256)
            buf_add_byte(&latin1, (char)code);
    }
    buf_add(b, at == s.n && n && code < 256 ? buf_str(&latin1) : s);
    buf_done(&latin1);
}

/* H({ name ":" realm ":" password }) (RFC 2831 section 2.1.2.1). */
static void digest(str name, str realm, str password, struct buf *out)
{
    struct buf text;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    buf_init_secret(&text, 2048);
    add_latin1(&text, name);
    buf_add_all(&text, STR(":"), realm, STR(":"));
    add_latin1(&text, password);
    if (buf_error(&text) || EVP_Digest(text.p, text.n, hash, &n, EVP_md5(), NULL) != 1 || n != DIRECTORY_DIGEST_SIZE)
        panic("MD5 failed");
    buf_add(out, (str){ (const char *)hash, n });
    secret_wipe(hash, sizeof hash);
    buf_done(&text);
}

/* Whether GNU SASL takes PASSWORD for CRAM-MD5: it prepares it as a stored string (RFC 4013). */
static bool is_preparable(str password)
{
    struct buf plain;
    char *prepared = NULL;
    buf_init_secret(&plain, DIRECTORY_PASSWORD_MAX + 1);
    buf_add(&plain, password);
    const char *z = buf_z(&plain);
    bool ok = z && gsasl_saslprep(z, 0, &prepared, NULL) == GSASL_OK && prepared[0];
    if (prepared)
        secret_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    buf_done(&plain);
    return ok;
}

/* The name of what is sealed: nobody else's. */
static str context_of(const engine_part *id)
{
    return (str){ (const char *)id->b, sizeof id->b };
}

int legacy_make(struct directory *d, const struct legacy_order *o, struct buf *out, struct error *e)
{
    struct buf plain;
    str local = str_sub(o->address, 0, str_rfind_byte(o->address, '@'));
    bool cram = o->mechanisms & DIRECTORY_CRAM_MD5;
    if (!d->sealer.seal)
        return error_set(e, ERR_UNSUPPORTED, "nothing here can seal the password");
    if (cram && !is_preparable(o->password))
        return error_set(e, ERR_SYNTAX, "CRAM-MD5 cannot carry the characters of this password");
    buf_init_secret(&plain, 4096);
    pack_u8(&plain, VERSION);
    pack_u8(&plain, (uint8_t)o->mechanisms);
    pack_str(&plain, o->realm);
    digest(o->address, o->realm, o->password, &plain);
    digest(local, o->realm, o->password, &plain);
    pack_str(&plain, cram ? o->password : STR(""));
    while (plain.n % PAD && !buf_error(&plain))
        pack_u8(&plain, 0);
    int r = buf_error(&plain) ? error_set(e, ERR_LIMIT, "the password is too long for CRAM-MD5") : 0;
    if (r == 0)
        r = d->sealer.seal(d->sealer.ctx, context_of(&o->id), buf_str(&plain), out, e);
    buf_done(&plain);
    return r;
}

/* --- finding --- */

static int secrets_decode(str plain, struct secrets *ret)
{
    struct unpack u = unpack_init(plain);
    uint8_t version = unpack_u8(&u);
    ret->mechanisms = unpack_u8(&u);
    ret->realm = unpack_str(&u, 255);
    for (int i = 0; i < 2; i++)
        ret->hashes[i] = unpack_bytes(&u, DIRECTORY_DIGEST_SIZE);
    ret->password = unpack_str(&u, DIRECTORY_PASSWORD_MAX);
    return u.error || version != VERSION ? ERR_CORRUPT : 0;
}

/* Who LOGIN is: its canonical address in *RET_ADDRESS, what is sealed for it in SEALED, or as many random bytes, which cost the same (L2). */
static int look_up(struct directory *d, str login, unsigned mechanism, struct arena *a, str *ret_address, engine_part *ret_id,
                   struct buf *sealed, bool *ret_flagged)
{
    int r = login_canonical(d, login, a, ret_address);
    if (r == ERR_LIMIT)
        return r;
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = r == 0 ? table_entry(&d->table, *ret_address) : NULL;
    *ret_flagged = n && n->kind == DIRECTORY_ACCOUNT && n->sealed.n && (n->legacy & mechanism) && n->role != DIRECTORY_PROGRAM;
    if (*ret_flagged) {
        *ret_id = n->id;
        buf_add(sealed, n->sealed);
    }
    pthread_rwlock_unlock(&d->lock);
    if (!*ret_flagged) {
        char decoy[DECOY_BYTES];
        random_bytes(decoy, sizeof decoy);
        decoy[0] = 1; /* a version that is known: the work goes on */
        random_bytes(ret_id->b, sizeof ret_id->b);
        buf_add(sealed, (str){ decoy, sizeof decoy });
    }
    return buf_error(sealed);
}

/* Unseals what is kept for LOGIN. 0 with *RET, whose text lives in PLAIN; *RET_FLAGGED false: there is nothing. ERR_UNAVAILABLE: not now. */
static int open_secrets(struct directory *d, str login, unsigned mechanism, struct arena *a, str *ret_address, struct buf *plain,
                        struct secrets *ret, bool *ret_flagged)
{
    struct buf sealed = BUF_INIT(DIRECTORY_SEALED_MAX);
    struct error e = ERROR_NONE;
    engine_part id;
    bool flagged = false;
    *ret_flagged = false;
    int r = d->sealer.unseal ? look_up(d, login, mechanism, a, ret_address, &id, &sealed, &flagged) : ERR_UNSUPPORTED;
    if (r == 0) {
        r = d->sealer.unseal(d->sealer.ctx, context_of(&id), buf_str(&sealed), plain, &e);
        if (r == 0)
            r = secrets_decode(buf_str(plain), ret);
        if (flagged && r && r != ERR_UNAVAILABLE && r != ERR_TIMEOUT)
            log_error("directory-sealed", LOG_STR("user", *ret_address), LOG_Z("error", err_name(r)), LOG_Z("text", e.text));
        *ret_flagged = flagged && r == 0;
        r = r == ERR_UNAVAILABLE || r == ERR_TIMEOUT ? ERR_UNAVAILABLE : 0;
    }
    buf_done(&sealed);
    return r;
}

int directory_cram_find(struct directory *d, str login, struct buf *ret_password)
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct buf plain;
    struct secrets s;
    str address;
    bool flagged;
    buf_init_secret(&plain, 4096);
    int r = open_secrets(d, login, DIRECTORY_CRAM_MD5, &a, &address, &plain, &s, &flagged);
    if (r == 0 && flagged) {
        buf_add(ret_password, s.password);
    } else if (r == 0) {
        unsigned char decoy[16];
        random_bytes(decoy, sizeof decoy);
        buf_add_hex(ret_password, decoy, sizeof decoy);
    }
    buf_done(&plain);
    arena_done(&a);
    return r ? r : buf_error(ret_password);
}

int directory_digest_find(struct directory *d, str name, str realm, uint8_t ret[DIRECTORY_DIGEST_SIZE])
{
    struct arena a = ARENA_INIT(SCRATCH);
    struct buf plain;
    struct secrets s;
    str address;
    bool flagged;
    buf_init_secret(&plain, 4096);
    int r = open_secrets(d, name, DIRECTORY_DIGEST_MD5, &a, &address, &plain, &s, &flagged);
    random_bytes(ret, DIRECTORY_DIGEST_SIZE);
    if (r == 0 && flagged && str_eq(realm, s.realm)) {
        /* The hash covers the name byte for byte, a blank around it too: who writes one has another hash. */
        if (str_eq(name, address))
            memcpy(ret, s.hashes[0].p, DIRECTORY_DIGEST_SIZE);
        else if (str_eq(name, str_sub(address, 0, str_rfind_byte(address, '@'))))
            memcpy(ret, s.hashes[1].p, DIRECTORY_DIGEST_SIZE);
    }
    buf_done(&plain);
    arena_done(&a);
    return r;
}

int directory_realm(struct directory *d, struct buf *ret)
{
    pthread_rwlock_rdlock(&d->lock);
    str domain = d->table.first_domain ? d->table.first_domain->name : STR("localhost");
    buf_add(ret, domain);
    pthread_rwlock_unlock(&d->lock);
    return buf_error(ret);
}

void directory_set_sealer(struct directory *d, const struct directory_sealer *s)
{
    d->sealer = *s;
}
