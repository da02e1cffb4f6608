/* tls_fixture: keys behind a signer as in production, and OpenSSL as client, for the tests of TLS. */
#ifndef VALISE_TEST_RUN_TLS_FIXTURE_H
#define VALISE_TEST_RUN_TLS_FIXTURE_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "loopback.h"

#include "run/tls_private.h"
#include "run/tls_signed.h"

static const struct server_settings small = { .workers_min = 2, .workers_max = 4 };

/* --- keys and certificates --- */

enum { KEY_P256, KEY_P384, KEY_RSA, KEY_OTHER, KEYS };

static struct test_key {
    EVP_PKEY *pkey;
    X509 *cert;
    char pem[8192];
    size_t pem_n;
    char id[65];
} keys[KEYS];

static _Atomic bool signer_fails;
static atomic_uint signatures;

static inline void make_key(struct test_key *k, EVP_PKEY *pkey, const char *name)
{
    assert_non_null(pkey);
    k->pkey = pkey;
    X509 *x = k->cert = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), k - keys + 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600 * 24);
    X509_set_pubkey(x, pkey);
    X509_NAME *n = X509_get_subject_name(x);
    char cn[32], san[100];
    (void)snprintf(cn, sizeof cn, "test key %d", (int)(k - keys)); /* different: verification finds the issuer by its name */
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(x, n);
    (void)snprintf(san, sizeof san, "DNS:%s", name);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, x);
    k->pem_n = (size_t)BIO_read(b, k->pem, sizeof k->pem);
    BIO_free(b);
    assert_int_equal(tls_key_id((str){ k->pem, k->pem_n }, k->id), 0);
}

static inline int make_keys(void **state)
{
    make_key(&keys[KEY_P256], EVP_EC_gen("P-256"), "mail.example.org");
    make_key(&keys[KEY_P384], EVP_EC_gen("P-384"), "mail.example.org");
    make_key(&keys[KEY_RSA], EVP_RSA_gen(2048), "mail.example.org");
    make_key(&keys[KEY_OTHER], EVP_EC_gen("P-256"), "other.example.net");
    return 0;
}

static inline int free_keys(void **state)
{
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY_free(keys[i].pkey);
        X509_free(keys[i].cert);
    }
    return 0;
}

/* What keeper does. */
static inline int64_t sign(void *ctx, str key_id, uint16_t scheme, str message, char *sig, size_t sig_max)
{
    enum tls_signed kind;
    atomic_fetch_add(&signatures, 1);
    if (atomic_load(&signer_fails))
        return ERR_UNAVAILABLE;
    if (tls_signed_kind(scheme, message, &kind))
        panic("not what a handshake signs");
    for (size_t i = 0; i < KEYS; i++) {
        if (!str_eq(key_id, str_from_z(keys[i].id)))
            continue;
        static const char *const hashes[] = { [4] = "SHA256", [5] = "SHA384", [6] = "SHA512" };
        bool pss = scheme >> 8 == 8, rsa = pss || (scheme & 0xff) == 1;
        EVP_PKEY_CTX *p = NULL;
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        size_t n = sig_max;
        bool ok = EVP_PKEY_is_a(keys[i].pkey, "RSA") == rsa &&
                  EVP_DigestSignInit_ex(c, &p, hashes[pss ? scheme & 0xff : scheme >> 8], NULL, NULL, keys[i].pkey, NULL) == 1 &&
                  (!pss || (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
                  EVP_DigestSign(c, (unsigned char *)sig, &n, (const unsigned char *)message.p, message.n) == 1;
        EVP_MD_CTX_free(c);
        return ok ? (int64_t)n : ERR_INTERNAL;
    }
    return ERR_NOTFOUND;
}

static inline struct tls_context *context_of(size_t key, const char *alpn)
{
    struct tls_identity id[2] = { { .chain_pem = { keys[key].pem, keys[key].pem_n }, .key_id = str_from_z(keys[key].id) },
                                  { .name = STR("other.example.net"),
                                    .chain_pem = { keys[KEY_OTHER].pem, keys[KEY_OTHER].pem_n },
                                    .key_id = str_from_z(keys[KEY_OTHER].id) } };
    struct error e = ERROR_NONE;
    struct tls_context *t = tls_context_new(id, 2, (struct tls_signer){ sign, NULL }, str_from_z(alpn), &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}

static inline struct tls_holder *holder_of(size_t key, const char *alpn)
{
    struct tls_context *t = context_of(key, alpn);
    struct tls_holder *h = tls_holder_new(t);
    tls_context_unref(t);
    return h;
}

/* --- clients --- */

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
};

static inline struct client client_make(int fd, const char *name, int version)
{
    struct client c = { .fd = fd, .ctx = SSL_CTX_new(TLS_client_method()) };
    if (version) {
        SSL_CTX_set_min_proto_version(c.ctx, version);
        SSL_CTX_set_max_proto_version(c.ctx, version);
    }
    for (size_t i = 0; i < KEYS; i++)
        X509_STORE_add_cert(SSL_CTX_get_cert_store(c.ctx), keys[i].cert);
    SSL_CTX_set_verify(c.ctx, SSL_VERIFY_PEER, NULL);
    c.ssl = SSL_new(c.ctx);
    SSL_set_fd(c.ssl, fd);
    if (name) {
        SSL_set_tlsext_host_name(c.ssl, name);
        SSL_set1_host(c.ssl, name);
    }
    return c;
}

static inline void tls_client_free(struct client *c)
{
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
    ERR_clear_error();
}

static inline void handshake(struct client *c)
{
    ERR_clear_error();
    if (SSL_connect(c->ssl) != 1)
        fail_msg("handshake: %s", ERR_reason_error_string(ERR_peek_error()));
}

static inline void tls_send(struct client *c, str s)
{
    assert_int_equal(SSL_write(c->ssl, s.p, (int)s.n), (int)s.n);
}

static inline void tls_expect(struct client *c, str want)
{
    char got[1024];
    size_t n = 0;
    while (n < want.n) {
        int r = SSL_read(c->ssl, got + n, (int)(want.n - n));
        if (r <= 0)
            fail_msg("expected \"%.*s\", got \"%.*s\"", STR_ARG(want), (int)n, got);
        n += (size_t)r;
    }
    if (!str_eq((str){ got, n }, want))
        fail_msg("expected \"%.*s\", got \"%.*s\"", STR_ARG(want), (int)n, got);
}

/* The line that INFO gives. */
static inline str tls_info_line(struct client *c, char line[512])
{
    size_t n = 0;
    tls_send(c, STR("INFO\r\n"));
    do {
        assert_true(n < 512);
        assert_int_equal(SSL_read(c->ssl, line + n, 1), 1);
    } while (line[n++] != '\n');
    return (str){ line, n };
}

static inline void tls_read_big(struct client *c, uint64_t n)
{
    static char p[16384];
    for (uint64_t at = 0; at < n;) {
        int r = SSL_read(c->ssl, p, n - at < sizeof p ? (int)(n - at) : (int)sizeof p);
        assert_true(r > 0);
        for (int i = 0; i < r; i++)
            if (p[i] != echo_byte(at + (uint64_t)i))
                fail_msg("wrong byte at %llu", (unsigned long long)at + (unsigned long long)i);
        at += (uint64_t)r;
    }
    tls_expect(c, STR("\r\nend\r\n"));
}

static inline bool has(str s, const char *part)
{
    return str_find(s, str_from_z(part)) < s.n;
}

#endif
