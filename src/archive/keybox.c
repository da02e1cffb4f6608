/* keybox: see keybox.h.
 *
 * A key-encryption key's identifier (RFC 5652 section 6.2.3) is text: "argon2id v=19 m=KIB t=PASSES p=LANES salt=HEX" tells how a passphrase becomes
 * the key, "server HEX" names a server's key. */
#include "archive/keybox.h"

#include <argon2.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/random.h"
#include "base/scan.h"

enum { SALT_BYTES = 16, RSA_BITS_MIN = 2048, PASSPHRASE_MIN = 12, PASSPHRASE_MAX = 1024, IDENTIFIER_MAX = 128 };
/* What is asked of a passphrase (the second choice of RFC 9106 section 4 with four times its memory), and what a foreign keybox may ask of us. */
enum { MAKE_KIB = 1 << 18, MAKE_PASSES = 3, MAKE_LANES = 1, KIB_MAX = 1 << 21, PASSES_MAX = 16, LANES_MAX = 16 };

struct stretch {
    uint32_t kib, passes, lanes;
    unsigned char salt[SALT_BYTES];
};

/* What OpenSSL says on top of TEXT. */
static int fail(struct error *e, int code, const char *text)
{
    unsigned long why = ERR_peek_last_error();
    const char *reason = why ? ERR_reason_error_string(why) : NULL;
    ERR_clear_error();
    return reason ? error_set(e, code, "%s (%s)", text, reason) : error_set(e, code, "%s", text);
}

static const char server_word[] = "server ";

/* --- passphrases --- */

static bool read_stretch(str id, struct stretch *ret)
{
    struct scan s = scan_init(id);
    uint64_t kib, passes, lanes;
    if (!scan_literal(&s, STR("argon2id v=19 m=")) || !scan_number(&s, UINT32_MAX, &kib) || !scan_literal(&s, STR(" t=")) ||
        !scan_number(&s, UINT32_MAX, &passes) || !scan_literal(&s, STR(" p=")) || !scan_number(&s, UINT32_MAX, &lanes) ||
        !scan_literal(&s, STR(" salt=")) || scan_left(&s) != (size_t)2 * SALT_BYTES)
        return false;
    *ret = (struct stretch){ .kib = (uint32_t)kib, .passes = (uint32_t)passes, .lanes = (uint32_t)lanes };
    for (size_t i = 0; i < SALT_BYTES; i++) {
        int high = ascii_hex_value(s.p[2 * i]), low = ascii_hex_value(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->salt[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static int stretch(str passphrase, const struct stretch *how, unsigned char ret[KEYBOX_SECRET], struct error *e)
{
    if (how->kib > KIB_MAX || how->passes > PASSES_MAX || how->lanes > LANES_MAX)
        return error_set(e, ERR_LIMIT,
                         "the passphrase would take %u KiB and %u passes of Argon2id to try; at most %d KiB and %d are done",
                         how->kib, how->passes, KIB_MAX, PASSES_MAX);
    if (passphrase.n == 0 || passphrase.n > PASSPHRASE_MAX)
        return error_set(e, ERR_LIMIT, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX);
    int r = argon2id_hash_raw(how->passes, how->kib, how->lanes, passphrase.p, passphrase.n, how->salt, SALT_BYTES, ret,
                              KEYBOX_SECRET);
    return r == ARGON2_OK ? 0 : error_set(e, ERR_CORRUPT, "Argon2id: %s", argon2_error_message(r));
}

/* --- making one --- */

static X509 *read_certificate(str pem)
{
    BIO *in = pem.n && pem.n <= KEYBOX_FILE_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    X509 *cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    return cert;
}

static bool use_oaep(CMS_RecipientInfo *ri)
{
    EVP_PKEY_CTX *c = CMS_RecipientInfo_get0_pkey_ctx(ri);
    return c && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
}

static bool use_sha256(CMS_RecipientInfo *ri)
{
    EVP_PKEY_CTX *c = CMS_RecipientInfo_get0_pkey_ctx(ri);
    return c && EVP_PKEY_CTX_set_ecdh_kdf_md(c, EVP_sha256()) == 1;
}

static int add_certificate(CMS_ContentInfo *cms, str pem, struct error *e)
{
    X509 *cert = read_certificate(pem);
    const EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
    int kind = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE, err = 0;
    if (!cert)
        err = fail(e, ERR_SYNTAX, "no certificate in PEM");
    else if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC)
        err = error_set(e, ERR_REFUSED, "the certificate's key is of a kind that cannot be used: RSA and EC are");
    else if (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
        err = error_set(e, ERR_REFUSED, "the certificate's RSA key has less than %d bits", RSA_BITS_MIN);
    else if (!(X509_get_key_usage(cert) & (uint32_t)(kind == EVP_PKEY_RSA ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT)))
        err = error_set(e, ERR_REFUSED, "the certificate's key usage does not allow to encrypt to it");
    CMS_RecipientInfo *ri = err ? NULL : CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
    if (err == 0 && (!ri || !(kind == EVP_PKEY_RSA ? use_oaep(ri) : use_sha256(ri))))
        err = fail(e, ERR_REFUSED, "nothing can be encrypted to the certificate");
    X509_free(cert);
    return err;
}

/* A recipient who has KEY, under IDENTIFIER. */
static int add_key(CMS_ContentInfo *cms, const void *key, str identifier, struct error *e)
{
    unsigned char *k = OPENSSL_memdup(key, KEYBOX_SECRET), *id = OPENSSL_memdup(identifier.p, identifier.n);
    if (k && id && CMS_add0_recipient_key(cms, NID_undef, k, KEYBOX_SECRET, id, identifier.n, NULL, NULL, NULL))
        return 0;
    OPENSSL_clear_free(k, KEYBOX_SECRET);
    OPENSSL_free(id);
    return fail(e, ERR_INTERNAL, "a key cannot be made a recipient");
}

static int add_passphrase(CMS_ContentInfo *cms, str passphrase, struct error *e)
{
    struct stretch how = { .kib = MAKE_KIB, .passes = MAKE_PASSES, .lanes = MAKE_LANES };
    unsigned char key[KEYBOX_SECRET];
    struct buf id = BUF_INIT(IDENTIFIER_MAX);
    if (passphrase.n < PASSPHRASE_MIN)
        return error_set(
            e, ERR_REFUSED,
            "the passphrase is too short: who has the backup can try as many as he likes; take %d characters or more",
            PASSPHRASE_MIN);
    random_bytes(how.salt, sizeof how.salt);
    buf_addf(&id, "argon2id v=19 m=%u t=%u p=%u salt=", how.kib, how.passes, how.lanes);
    buf_add_hex(&id, how.salt, sizeof how.salt);
    int err = stretch(passphrase, &how, key, e);
    if (err == 0)
        err = add_key(cms, key, buf_str(&id), e);
    secret_wipe(key, sizeof key);
    buf_done(&id);
    return err;
}

static int add_server(CMS_ContentInfo *cms, const struct keybox_to *to, struct error *e)
{
    char id[sizeof server_word + KEYBOX_ID];
    if (to->server_id.n != KEYBOX_ID)
        return error_set(e, ERR_SYNTAX, "a server's key has a name of %d characters", KEYBOX_ID);
    (void)snprintf(id, sizeof id, "%s%.*s", server_word, STR_ARG(to->server_id));
    return add_key(cms, to->server_key, str_from_z(id), e);
}

static int add_der(CMS_ContentInfo *cms, struct buf *out, struct error *e)
{
    unsigned char *der = NULL;
    int n = i2d_CMS_ContentInfo(cms, &der), err = 0;
    if (n <= 0)
        err = fail(e, ERR_INTERNAL, "the recipients cannot be written");
    else if (n > KEYBOX_MAX)
        err = error_set(e, ERR_LIMIT, "the recipients take more than %d bytes", KEYBOX_MAX);
    else
        buf_add(out, (str){ (const char *)der, (size_t)n });
    OPENSSL_free(der);
    return err ? err : buf_error(out) ? error_set(e, ERR_LIMIT, "no room for the recipients") : 0;
}

int keybox_close(const char secret[KEYBOX_SECRET], const struct keybox_to *to, struct buf *out, struct error *e)
{
    if (to->certificate_n == 0 && to->passphrase.n == 0)
        return error_set(e, ERR_SYNTAX, "nobody could open it: a certificate or a passphrase is needed");
    if (to->certificate_n + 2 > KEYBOX_RECIPIENTS)
        return error_set(e, ERR_LIMIT, "at most %d certificates", KEYBOX_RECIPIENTS - 2);
    ERR_clear_error();
    CMS_ContentInfo *cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm());
    BIO *in = BIO_new_mem_buf(secret, KEYBOX_SECRET);
    int err = cms && in && CMS_set_detached(cms, 0) == 1 ? 0 : fail(e, ERR_INTERNAL, "no CMS with AES-256-GCM");
    for (size_t i = 0; i < to->certificate_n && err == 0; i++)
        err = add_certificate(cms, to->certificates[i], e);
    if (err == 0 && to->passphrase.n)
        err = add_passphrase(cms, to->passphrase, e);
    if (err == 0 && to->server_id.n)
        err = add_server(cms, to, e);
    if (err == 0 && CMS_final(cms, in, NULL, CMS_BINARY) != 1)
        err = fail(e, ERR_INTERNAL, "the secret cannot be encrypted");
    if (err == 0)
        err = add_der(cms, out, e);
    BIO_free(in);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return err;
}

/* --- reading one --- */

static int parse(str der, CMS_ContentInfo **ret, struct error *e)
{
    const unsigned char *p = (const unsigned char *)der.p;
    if (der.n == 0 || der.n > KEYBOX_MAX)
        return error_set(e, ERR_LIMIT, "recipients take 1 to %d bytes", KEYBOX_MAX);
    ERR_clear_error();
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
    STACK_OF(CMS_RecipientInfo) *all = NULL;
    int err = 0;
    if (!cms || p != (const unsigned char *)der.p + der.n || OBJ_obj2nid(CMS_get0_type(cms)) != NID_id_smime_ct_authEnvelopedData)
        err = fail(e, ERR_CORRUPT, "no CMS AuthEnvelopedData");
    else if (!(all = CMS_get0_RecipientInfos(cms)) || sk_CMS_RecipientInfo_num(all) < 1)
        err = fail(e, ERR_CORRUPT, "without recipients");
    else if (sk_CMS_RecipientInfo_num(all) > KEYBOX_RECIPIENTS)
        err = error_set(e, ERR_LIMIT, "more than %d recipients", KEYBOX_RECIPIENTS);
    if (err)
        CMS_ContentInfo_free(cms);
    else
        *ret = cms;
    ERR_clear_error();
    return err;
}

/* The identifier of RI's key-encryption key; empty when it has none. A view into it. */
static str key_identifier(CMS_RecipientInfo *ri)
{
    ASN1_OCTET_STRING *id = NULL;
    if (CMS_RecipientInfo_type(ri) != CMS_RECIPINFO_KEK ||
        CMS_RecipientInfo_kekri_get0_id(ri, NULL, &id, NULL, NULL, NULL) != 1 || !id)
        return (str){ NULL, 0 };
    return (str){ (const char *)ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id) };
}

int keybox_describe(str der, struct keybox_info *ret, struct error *e)
{
    CMS_ContentInfo *cms;
    struct stretch how;
    int err = parse(der, &cms, e);
    if (err)
        return err;
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);
    *ret = (struct keybox_info){ 0 };
    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        int type = CMS_RecipientInfo_type(ri);
        str id = key_identifier(ri);
        if (type == CMS_RECIPINFO_TRANS || type == CMS_RECIPINFO_AGREE)
            ret->certificates++;
        else if (read_stretch(id, &how))
            ret->passphrases++;
        else if (str_starts(id, str_from_z(server_word)) && id.n == sizeof server_word - 1 + KEYBOX_ID) {
            for (size_t k = 0; k < KEYBOX_ID; k++) {
                char c = id.p[sizeof server_word - 1 + k];
                ret->server_id[k] = ascii_hex_value(c) >= 0 ? c : '0';
            }
        }
    }
    CMS_ContentInfo_free(cms);
    return 0;
}

/* The secret with PKEY, or with the key that CMS was given already (NULL). */
static int take(CMS_ContentInfo *cms, EVP_PKEY *pkey, const char *refused, char ret[KEYBOX_SECRET], struct error *e)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *p = NULL;
    int err = out ? 0 : error_set(e, ERR_INTERNAL, "no memory BIO");
    if (err == 0 && CMS_decrypt(cms, pkey, NULL, NULL, out, CMS_BINARY) != 1)
        err = error_set(e, ERR_REFUSED, "%s", refused);
    if (err == 0 && BIO_get_mem_data(out, &p) != KEYBOX_SECRET)
        err = error_set(e, ERR_CORRUPT, "the secret has not %d bytes", KEYBOX_SECRET);
    if (err == 0)
        memcpy(ret, p, KEYBOX_SECRET);
    BIO_free(out); /* wipes */
    ERR_clear_error();
    return err;
}

static const char not_for_key[] = "it is not encrypted to this key, or its list of recipients is damaged";

struct asked {
    str password;
    bool wanted;
};

static int give_password(char *to, int room, int writing, void *ctx)
{
    struct asked *a = ctx;
    (void)writing;
    a->wanted = true;
    if (a->password.n == 0 || room < 0 || a->password.n > (size_t)room)
        return -1;
    memcpy(to, a->password.p, a->password.n);
    return (int)a->password.n;
}

int keybox_open_key(str der, str pem, str password, char ret[KEYBOX_SECRET], struct error *e)
{
    struct asked asked = { .password = password };
    CMS_ContentInfo *cms;
    int err = parse(der, &cms, e);
    if (err)
        return err;
    BIO *in = pem.n && pem.n <= KEYBOX_FILE_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *pkey = in ? PEM_read_bio_PrivateKey(in, NULL, give_password, &asked) : NULL;
    if (pkey)
        err = take(cms, pkey, not_for_key, ret, e);
    else if (asked.wanted)
        err = error_set(e, ERR_AGAIN,
                        password.n ? "the password does not decrypt the key" : "the key is encrypted: its password is needed");
    else
        err = fail(e, ERR_SYNTAX, "no private key in PEM");
    BIO_free(in);
    EVP_PKEY_free(pkey);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return err;
}

int keybox_open_p12(str der, str p12, str password, char ret[KEYBOX_SECRET], struct error *e)
{
    const unsigned char *p = (const unsigned char *)p12.p;
    char z[PASSPHRASE_MAX + 1] = "";
    CMS_ContentInfo *cms;
    EVP_PKEY *pkey = NULL;
    X509 *cert = NULL;
    int err = parse(der, &cms, e);
    if (err)
        return err;
    PKCS12 *box = p12.n && p12.n <= KEYBOX_FILE_MAX ? d2i_PKCS12(NULL, &p, (long)p12.n) : NULL;
    if (password.n && password.n < sizeof z)
        memcpy(z, password.p, password.n);
    if (!box)
        err = fail(e, ERR_SYNTAX, "no PKCS #12 file");
    else if (PKCS12_verify_mac(box, z, -1) != 1)
        err = error_set(e, ERR_AGAIN, password.n ? "the password does not open the file" : "the password of the file is needed");
    else if (PKCS12_parse(box, z, &pkey, &cert, NULL) != 1 || !pkey)
        err = fail(e, ERR_SYNTAX, "no private key in the PKCS #12 file");
    else
        err = take(cms, pkey, not_for_key, ret, e);
    secret_wipe(z, sizeof z);
    EVP_PKEY_free(pkey);
    X509_free(cert);
    PKCS12_free(box);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return err;
}

/* The secret with KEY, which is RI's. */
static int take_by_key(CMS_ContentInfo *cms, CMS_RecipientInfo *ri, const void *key, const char *refused, char ret[KEYBOX_SECRET],
                       struct error *e)
{
    unsigned char *copy = OPENSSL_memdup(key, KEYBOX_SECRET);
    int err = copy && CMS_RecipientInfo_set0_key(ri, copy, KEYBOX_SECRET) == 1 ? 0 : error_set(e, ERR_INTERNAL, "no key for CMS");
    if (err == 0 && CMS_RecipientInfo_decrypt(cms, ri) != 1)
        err = error_set(e, ERR_REFUSED, "%s", refused);
    ERR_clear_error();
    (void)CMS_RecipientInfo_set0_key(ri, NULL, 0); /* ours */
    OPENSSL_clear_free(copy, KEYBOX_SECRET);
    return err ? err : take(cms, NULL, refused, ret, e);
}

int keybox_open_passphrase(str der, str passphrase, char ret[KEYBOX_SECRET], struct error *e)
{
    unsigned char key[KEYBOX_SECRET];
    struct stretch how;
    CMS_ContentInfo *cms;
    int err = parse(der, &cms, e);
    if (err)
        return err;
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);
    err = error_set(e, ERR_REFUSED, "it is not encrypted with a passphrase");
    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        if (!read_stretch(key_identifier(ri), &how))
            continue;
        err = stretch(passphrase, &how, key, e);
        if (err == 0)
            err = take_by_key(cms, ri, key, "the passphrase is wrong, or its list of recipients is damaged", ret, e);
        break; /* one passphrase: each costs seconds to try */
    }
    secret_wipe(key, sizeof key);
    CMS_ContentInfo_free(cms);
    return err;
}

int keybox_open_server(str der, str id, const char key[KEYBOX_SECRET], char ret[KEYBOX_SECRET], struct error *e)
{
    CMS_ContentInfo *cms;
    int err = parse(der, &cms, e);
    if (err)
        return err;
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);
    err = error_set(e, ERR_REFUSED, "it is not encrypted to this server's key");
    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        str name = key_identifier(ri);
        if (!str_starts(name, str_from_z(server_word)) || !str_eq(str_from(name, sizeof server_word - 1), id))
            continue;
        err = take_by_key(cms, ri, key, "it is not encrypted to this server's key, or its list of recipients is damaged", ret, e);
        break;
    }
    CMS_ContentInfo_free(cms);
    return err;
}

/* --- the keys of streams --- */

int keybox_derive(const char secret[KEYBOX_SECRET], str der, const char *purpose, char ret[KEYBOX_SECRET], struct error *e)
{
    unsigned char salt[EVP_MAX_MD_SIZE];
    unsigned salt_n = 0;
    char hash[] = "SHA256", *info = strdup(purpose), *key = OPENSSL_memdup(secret, KEYBOX_SECRET);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int err = 0;
    if (!info || !key || !c || EVP_Digest(der.p, der.n, salt, &salt_n, EVP_sha256(), NULL) != 1)
        err = error_set(e, ERR_INTERNAL, "no HKDF");
    if (err == 0) {
        OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
                                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, KEYBOX_SECRET),
                                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, salt_n),
                                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)), OSSL_PARAM_END };
        if (EVP_KDF_derive(c, (unsigned char *)ret, KEYBOX_SECRET, params) != 1)
            err = fail(e, ERR_INTERNAL, "HKDF failed");
    }
    OPENSSL_clear_free(key, KEYBOX_SECRET);
    free(info);
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return err;
}
