/* bound: see bound.h. */
#include "sasl/bound.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/random.h"
#include "base/scan.h"

enum { NONCE_BYTES = 18, TEXT_MAX = 2 * SASL_RESPONSE_MAX };

struct bound {
    enum sasl_hash hash;
    struct buf kind, binding;
    struct buf header;       /* gs2-header of the client's first message */
    struct buf bare;         /* the rest of it */
    struct buf nonce;        /* both parts */
    struct buf server_first; /* as sent */
    struct sasl_scram keys;
};

struct bound *bound_new(enum sasl_hash hash, str kind, str binding)
{
    struct bound *b = calloc(1, sizeof *b);
    if (!b)
        panic("out of memory for a SCRAM exchange");
    b->hash = hash;
    struct buf *all[] = { &b->kind, &b->binding, &b->header, &b->bare, &b->nonce, &b->server_first };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_init(all[i], SASL_RESPONSE_MAX + 256);
    buf_add(&b->kind, kind);
    buf_add(&b->binding, binding);
    return b;
}

void bound_free(struct bound *b)
{
    if (!b)
        return;
    struct buf *all[] = { &b->kind, &b->binding, &b->header, &b->bare, &b->nonce, &b->server_first };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_done(all[i]);
    secret_wipe(&b->keys, sizeof b->keys);
    free(b);
}

static size_t key_size(const struct bound *b)
{
    return b->hash == SASL_HASH_SHA1 ? 20 : 32;
}

static const EVP_MD *digest_of(const struct bound *b)
{
    return b->hash == SASL_HASH_SHA1 ? EVP_sha1() : EVP_sha256();
}

/* --- the first messages --- */

/* saslname = 1*(value-safe-char / "=2C" / "=3D"): a comma and "=" are written so (RFC 5802 section 7). */
static int take_name(str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        str three = str_sub(text, i, 3);
        if (text.p[i] != '=') {
            buf_add_byte(out, text.p[i]);
        } else if (str_eq(three, STR("=2C")) || str_eq(three, STR("=3D"))) {
            buf_add_byte(out, three.p[1] == '2' ? ',' : '=');
            i += 2;
        } else {
            return ERR_SYNTAX;
        }
    }
    return buf_error(out) ? ERR_LIMIT : out->n ? 0 : ERR_SYNTAX;
}

/* c-nonce = printable: %x21-2B / %x2D-7E */
static bool is_nonce(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == ',')
            return false;
    }
    return s.n > 0;
}

/* RFC 5802 section 5.1: a name that cannot be prepared is nobody's. */
static bool is_preparable(struct buf *name)
{
    char *prepared = NULL;
    const char *z = buf_z(name);
    bool ok = z && gsasl_saslprep(z, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK && prepared[0];
    gsasl_free(prepared);
    return ok;
}

/* client-first-message = "p=" cb-name "," ["a=" saslname] "," "n=" saslname "," "r=" c-nonce ["," extensions]; one that begins with "m=" is
 * mandatory and unknown. */
int bound_first(struct bound *b, str message, struct buf *authcid, struct buf *authzid)
{
    str rest = message, flag, other, name, nonce;
    if (!str_split(&rest, ',', &flag) || !str_split(&rest, ',', &other) || !rest.n || !str_starts(flag, STR("p=")) ||
        !str_eq(str_from(flag, 2), buf_str(&b->kind)))
        return ERR_SYNTAX;
    buf_add(&b->header, str_sub(message, 0, message.n - rest.n));
    buf_add(&b->bare, rest);
    int r = other.n == 0 ? 0 : str_starts(other, STR("a=")) ? take_name(str_from(other, 2), authzid) : ERR_SYNTAX;
    if (r)
        return r;
    if (!str_split(&rest, ',', &name) || !str_split(&rest, ',', &nonce) || !str_starts(name, STR("n=")) ||
        !str_starts(nonce, STR("r=")) || !is_nonce(str_from(nonce, 2)))
        return ERR_SYNTAX;
    buf_add(&b->nonce, str_from(nonce, 2));
    r = take_name(str_from(name, 2), authcid);
    return r ? r : is_preparable(authcid) ? 0 : ERR_SYNTAX;
}

int bound_challenge(struct bound *b, const struct sasl_scram *keys, struct buf *out)
{
    char random[NONCE_BYTES];
    random_bytes(random, sizeof random);
    base64_encode(&b->nonce, (str){ random, sizeof random });
    b->keys = *keys;
    buf_add_all(&b->server_first, STR("r="), buf_str(&b->nonce), STR(",s="));
    base64_encode(&b->server_first, (str){ (const char *)keys->salt, sizeof keys->salt });
    buf_addf(&b->server_first, ",i=%u", keys->iterations);
    buf_add(out, buf_str(&b->server_first));
    return buf_error(&b->server_first) || buf_error(out) ? ERR_LIMIT : 0;
}

/* --- the last messages --- */

/* client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64 */
static int split_final(str message, str *ret_channel, str *ret_nonce, str *ret_proof, str *ret_without_proof)
{
    str rest = message;
    size_t last = str_rfind_byte(message, ',');
    if (last >= message.n || !str_split(&rest, ',', ret_channel) || !str_split(&rest, ',', ret_nonce))
        return ERR_SYNTAX;
    *ret_without_proof = str_sub(message, 0, last);
    *ret_proof = str_from(message, last + 1);
    if (!str_starts(*ret_channel, STR("c=")) || !str_starts(*ret_nonce, STR("r=")) || !str_starts(*ret_proof, STR("p=")))
        return ERR_SYNTAX;
    *ret_channel = str_from(*ret_channel, 2);
    *ret_nonce = str_from(*ret_nonce, 2);
    *ret_proof = str_from(*ret_proof, 2);
    return 0;
}

/* HMAC(KEY, AuthMessage), both as long as the hash. */
static void sign(const struct bound *b, const uint8_t *key, str message, unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned n = 0;
    if (!HMAC(digest_of(b), key, (int)key_size(b), (const unsigned char *)message.p, message.n, out, &n) || n != key_size(b))
        panic("HMAC failed");
}

/* ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage); it is right when its hash is StoredKey (RFC 5802 section 3). */
static bool is_proved(const struct bound *b, str proof, str message)
{
    unsigned char key[EVP_MAX_MD_SIZE], hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    size_t size = key_size(b);
    sign(b, b->keys.stored_key, message, key);
    for (size_t i = 0; i < size; i++)
        key[i] ^= (unsigned char)proof.p[i];
    bool right = EVP_Digest(key, size, hash, &n, digest_of(b), NULL) == 1 &&
                 str_eq_secret((str){ (const char *)hash, size }, (str){ (const char *)b->keys.stored_key, size });
    secret_wipe(key, sizeof key);
    return right;
}

int bound_final(struct bound *b, str message, struct buf *out)
{
    str channel, nonce, proof, without_proof;
    struct buf expected = BUF_INIT(TEXT_MAX), shown = BUF_INIT(TEXT_MAX), decoded = BUF_INIT(64), auth = BUF_INIT(2 * TEXT_MAX);
    unsigned char signature[EVP_MAX_MD_SIZE];
    int r = split_final(message, &channel, &nonce, &proof, &without_proof);
    if (r == 0 && (base64_decode(&shown, channel) < 0 || base64_decode(&decoded, proof) < 0 || decoded.n != key_size(b)))
        r = ERR_SYNTAX;
    if (r == 0) {
        buf_add_all(&expected, buf_str(&b->header), buf_str(&b->binding));
        buf_add_all(&auth, buf_str(&b->bare), STR(","), buf_str(&b->server_first), STR(","), without_proof);
        r = buf_error(&expected) || buf_error(&auth) ? ERR_LIMIT : 0;
    }
    if (r == 0 && (!str_eq(nonce, buf_str(&b->nonce)) || !str_eq_secret(buf_str(&shown), buf_str(&expected)) ||
                   !is_proved(b, buf_str(&decoded), buf_str(&auth))))
        r = ERR_REFUSED;
    if (r == 0) {
        sign(b, b->keys.server_key, buf_str(&auth), signature);
        buf_add(out, STR("v="));
        base64_encode(out, (str){ (const char *)signature, key_size(b) });
        r = buf_error(out);
    }
    buf_done(&expected);
    buf_done(&shown);
    buf_done(&decoded);
    buf_done(&auth);
    return r;
}
