/* tls: see tls.h. Contexts, server names (RFC 6066 section 3), ALPN (RFC 7301), tickets (RFC 5077, RFC 8446 section 4.6.1).
 *
 * Identities of the same name (one RSA, one EC) share an SSL_CTX, and OpenSSL picks what the client can verify. The first SSL_CTX
 * is the default identity's: connections begin with it and change when a server name asks for another. */
#include "run/tls_private.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"

enum {
    TICKET_KEY = 80,
    TICKET_KEYS = 2, /* the present one and the one before */
    TICKET_ROTATE_MS = 3600 * 1000,
    CHAIN_MAX = 10
};

struct tls_name {
    char *name; /* lower or upper case as given; "" is the default */
    size_t n;
    SSL_CTX *ctx;
};

struct tls_context {
    atomic_uint refs;
    struct tls_name *names; /* the default first */
    size_t name_n;
    struct tls_key *keys;
    size_t key_n;
    char *alpn; /* "imap,pop3" */
    size_t alpn_n;
    pthread_mutex_t ticket_lock;
    unsigned char tickets[TICKET_KEYS][TICKET_KEY];
    size_t ticket_n;
    int64_t ticket_made_ms;     /* of a random key; 0: keys are given from outside */
    unsigned char client_ca[8]; /* tls_client_ca_id; zero: no CA */
    bool (*is_revoked)(void *ctx, str serial);
    void *revocation_ctx;
};

int tls_error(struct error *e, int code, const char *what)
{
    unsigned long number = ERR_peek_error();
    const char *reason = number ? ERR_reason_error_string(number) : NULL;
    error_set(e, code, "%s: %s", what, reason ? reason : "unknown reason");
    ERR_clear_error();
    return code;
}

static char *copy(str s)
{
    char *p = calloc(1, s.n + 1);
    if (!p)
        panic("out of memory for a TLS name");
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

/* --- server names and ALPN --- */

static struct tls_name *find_name(const struct tls_context *t, str name)
{
    for (size_t i = 0; i < t->name_n; i++)
        if (str_ieq((str){ t->names[i].name, t->names[i].n }, name))
            return &t->names[i];
    return NULL;
}

/* The first whose certificate is for NAME, by a wildcard too: for names that no section bears. */
static struct tls_name *find_certified(const struct tls_context *t, str name)
{
    for (size_t i = 0; i < t->name_n; i++) {
        X509 *cert = SSL_CTX_get0_certificate(t->names[i].ctx);
        if (cert && X509_check_host(cert, name.p, name.n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
            return &t->names[i];
    }
    return NULL;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_context *t = arg;
    str asked = str_from_z(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    const struct tls_name *n = asked.n ? find_name(t, asked) : NULL;
    if (asked.n && !n)
        n = find_certified(t, asked);
    /* A name that is not ours gets the default certificate: mail clients that find another name in it say so to their user. */
    if (n && n != t->names)
        SSL_set_SSL_CTX(ssl, n->ctx);
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 section 3.2: the server's preference; no overlap is fatal, so that a client of another protocol (a browser made to
 * talk to a mail server, or a mail client whose IMAP connection was led to SMTP) gets nothing. */
static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n, const unsigned char *offer, unsigned offer_n,
                   void *arg)
{
    const struct tls_context *t = arg;
    str ours = { t->alpn, t->alpn_n }, name;
    const char *here = SSL_get_app_data(ssl);
    while (ours.n && str_split(&ours, ',', &name)) {
        if (here && !str_eq(name, str_from_z(here)))
            continue;
        for (unsigned i = 0; i < offer_n && offer[i] <= offer_n - i - 1; i += 1u + offer[i]) {
            if (!str_eq(name, (str){ (const char *)offer + i + 1, offer[i] }))
                continue;
            *ret = offer + i + 1;
            *ret_n = offer[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- tickets --- */

static void ticket_rotate(struct tls_context *t)
{
    int64_t now = clock_mono_ms();
    if (t->ticket_n && (t->ticket_made_ms == 0 || now - t->ticket_made_ms < TICKET_ROTATE_MS))
        return;
    /* After two hours without a handshake both are out of date. */
    bool keep = t->ticket_n && now - t->ticket_made_ms < 2 * TICKET_ROTATE_MS;
    if (keep)
        memcpy(t->tickets[1], t->tickets[0], TICKET_KEY);
    random_bytes(t->tickets[0], TICKET_KEY);
    t->ticket_n = keep ? 2 : 1;
    t->ticket_made_ms = now;
}

static int ticket_init(const unsigned char *key, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    unsigned char secret[32];
    memcpy(secret, key + 48, sizeof secret);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
                            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
                            OSSL_PARAM_construct_end() };
    int r = EVP_MAC_CTX_set_params(mac, params) == 1 &&
            EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, iv, encrypt) == 1;
    secret_wipe(secret, sizeof secret);
    return r;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    unsigned char key[TICKET_KEY];
    size_t i = 0;
    pthread_mutex_lock(&t->ticket_lock);
    ticket_rotate(t);
    if (!encrypt)
        while (i < t->ticket_n && memcmp(t->tickets[i], name, 16) != 0)
            i++;
    bool found = i < t->ticket_n;
    if (found)
        memcpy(key, t->tickets[i], TICKET_KEY);
    pthread_mutex_unlock(&t->ticket_lock);
    if (!found)
        return 0; /* a full handshake */
    int r = 1;
    if (encrypt) {
        memcpy(name, key, 16);
        random_bytes(iv, 16);
    }
    if (!ticket_init(key, iv, cipher, mac, encrypt))
        r = -1;
    secret_wipe(key, sizeof key);
    return r == 1 && i > 0 ? 2 : r; /* 2: valid, and a new ticket shall be sent */
}

void tls_context_set_ticket_keys(struct tls_context *t, str keys)
{
    require(keys.n > 0 && keys.n % TICKET_KEY == 0);
    pthread_mutex_lock(&t->ticket_lock);
    t->ticket_n = keys.n / TICKET_KEY < TICKET_KEYS ? keys.n / TICKET_KEY : TICKET_KEYS;
    memcpy(t->tickets, keys.p, t->ticket_n * TICKET_KEY);
    t->ticket_made_ms = 0;
    pthread_mutex_unlock(&t->ticket_lock);
}

/* --- contexts --- */

static SSL_CTX *make_ctx(struct tls_context *t, struct error *e)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        panic("out of memory for a TLS context");
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_CLEANSE_PLAINTEXT); /* passwords come through here */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* A flight of several records is one read of the socket, not two for each record. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_timeout(ctx, 2 * TICKET_ROTATE_MS / 1000);
    /* OpenSSL's second ticket is for browsers, which open several connections at once: here it would be a tenth of a handshake's
     * cost. Ours can be used again. */
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, t);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    tls_binding_setup(ctx);
    /* RFC 9325 sections 3.1.1 and 4.2: nothing below 1.2, and there only forward secrecy with AEAD. AES-128 first, as in RFC 8446 section
     * 9.1: its SHA-256 halves the cost of the key schedule where the processor has instructions for it. */
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1 ||
        /* What a key elsewhere signs with (tls_signed.h), in OpenSSL's order: no SHA-224. Clients' certificates may have other keys. */
        SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
                                       "rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512") != 1 ||
        SSL_CTX_set1_client_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:rsa_pss_pss_sha256:"
                                              "rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
                                              "rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512") != 1 ||
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"valise", 6) != 1) {
        tls_error(e, ERR_INTERNAL, "TLS cannot be set up");
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* Reads the certificates of CHAIN_PEM: the first and a stack of the others. */
static int read_chain(str chain_pem, X509 **ret_first, STACK_OF(X509) * *ret_rest)
{
    ERR_clear_error();
    BIO *b = chain_pem.n && chain_pem.n <= 1 << 20 ? BIO_new_mem_buf(chain_pem.p, (int)chain_pem.n) : NULL;
    X509 *first = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    STACK_OF(X509) *rest = sk_X509_new_null();
    int r = ERR_SYNTAX;
    if (!first || !rest)
        goto out;
    X509 *next;
    while ((next = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        if (sk_X509_num(rest) >= CHAIN_MAX || sk_X509_push(rest, next) <= 0) {
            X509_free(next);
            goto out;
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        goto out; /* not simply the end: a damaged block */
    ERR_clear_error();
    *ret_first = first;
    *ret_rest = rest;
    first = NULL;
    rest = NULL;
    r = 0;
out:
    BIO_free(b);
    X509_free(first);
    sk_X509_pop_free(rest, X509_free);
    return r;
}

static struct tls_name *get_name(struct tls_context *t, str name, struct error *e)
{
    struct tls_name *n = find_name(t, name);
    if (n)
        return n;
    SSL_CTX *ctx = make_ctx(t, e);
    if (!ctx)
        return NULL;
    n = &t->names[t->name_n++];
    *n = (struct tls_name){ copy(name), name.n, ctx };
    return n;
}

static int add_identity(struct tls_context *t, const struct tls_identity *id, struct tls_signer signer, struct error *e)
{
    X509 *cert = NULL;
    STACK_OF(X509) *rest = NULL;
    struct tls_name *name = get_name(t, id->name, e);
    if (!name)
        return ERR_INTERNAL;
    int r = read_chain(id->chain_pem, &cert, &rest);
    if (r) {
        ERR_clear_error();
        return error_set(e, r, "the certificate chain for \"%.*s\" is not valid PEM", STR_ARG(id->name));
    }
    struct tls_key *k = &t->keys[t->key_n++];
    *k = (struct tls_key){ .signer = signer, .id = copy(id->key_id), .id_n = id->key_id.n };
    r = tls_key_make(k, cert, e);
    if (r == 0 && SSL_CTX_use_cert_and_key(name->ctx, cert, k->pkey, rest, 1) != 1)
        r = tls_error(e, ERR_REFUSED, "OpenSSL refuses a certificate");
    X509_free(cert);
    sk_X509_pop_free(rest, X509_free);
    return r;
}

struct tls_context *tls_context_new(const struct tls_identity *identities, size_t n, struct tls_signer signer, str alpn,
                                    struct error *e)
{
    struct tls_context *t = calloc(1, sizeof *t);
    if (!t)
        panic("out of memory for a TLS context");
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->ticket_lock, NULL);
    t->names = calloc(n + 1, sizeof *t->names);
    t->keys = calloc(n + 1, sizeof *t->keys);
    if (!t->names || !t->keys)
        panic("out of memory for a TLS context");
    t->alpn = copy(alpn);
    t->alpn_n = alpn.n;
    /* The default first: two passes. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            if ((identities[i].name.n != 0) == (pass != 0) && add_identity(t, &identities[i], signer, e) < 0)
                goto fail;
        }
        if (t->key_n == 0) {
            error_set(e, ERR_NOTFOUND, "no certificate without a server name: one must be the default");
            goto fail;
        }
    }
    return t;
fail:
    tls_context_unref(t);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_context_unref(struct tls_context *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (size_t i = 0; i < t->name_n; i++) {
        SSL_CTX_free(t->names[i].ctx);
        free(t->names[i].name);
    }
    for (size_t i = 0; i < t->key_n; i++) {
        EVP_PKEY_free(t->keys[i].pkey);
        free(t->keys[i].id);
    }
    pthread_mutex_destroy(&t->ticket_lock);
    secret_wipe(t->tickets, sizeof t->tickets);
    free(t->names);
    free(t->keys);
    free(t->alpn);
    free(t);
}

int tls_context_set_client_ca(struct tls_context *t, str ca_pem, struct error *e)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->name_n; i++)
        r = tls_client_trust(t->names[i].ctx, ca_pem, e);
    if (r == 0)
        tls_client_ca_id(ca_pem, t->client_ca);
    return r;
}

void tls_context_set_revocation(struct tls_context *t, bool (*is_revoked)(void *ctx, str serial), void *ctx)
{
    t->is_revoked = is_revoked;
    t->revocation_ctx = ctx;
}

bool tls_context_is_revoked(const SSL *ssl, str serial)
{
    const struct tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return t->is_revoked && t->is_revoked(t->revocation_ctx, serial);
}

SSL *tls_context_accept(struct tls_context *t, const struct tls_demand *demand)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(t->names[0].ctx);
    if (!ssl)
        return NULL;
    SSL_set_app_data(ssl, (void *)(uintptr_t)demand->alpn);
    tls_client_ask(ssl, demand->client_cert, t->client_ca);
    if (demand->only_1_3)
        require(SSL_set_min_proto_version(ssl, TLS1_3_VERSION) == 1);
    SSL_set_accept_state(ssl);
    return ssl;
}

int tls_key_id(str chain_pem, char ret_hex[65])
{
    X509 *cert = NULL;
    STACK_OF(X509) *rest = NULL;
    if (read_chain(chain_pem, &cert, &rest) != 0) {
        ERR_clear_error();
        return ERR_SYNTAX;
    }
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    int r = ERR_SYNTAX;
    if (n > 0) {
        static const char hex[] = "0123456789abcdef";
        unsigned char digest[SHA256_DIGEST_LENGTH];
        SHA256(der, (size_t)n, digest);
        for (size_t i = 0; i < sizeof digest; i++) {
            ret_hex[2 * i] = hex[digest[i] >> 4];
            ret_hex[2 * i + 1] = hex[digest[i] & 15];
        }
        ret_hex[64] = 0;
        r = 0;
    }
    OPENSSL_free(der);
    X509_free(cert);
    sk_X509_pop_free(rest, X509_free);
    return r;
}

/* --- holders --- */

struct tls_holder {
    pthread_mutex_t lock;
    struct tls_context *context;
};

struct tls_holder *tls_holder_new(struct tls_context *t)
{
    struct tls_holder *h = calloc(1, sizeof *h);
    if (!h)
        panic("out of memory for a TLS holder");
    pthread_mutex_init(&h->lock, NULL);
    h->context = t ? tls_context_ref(t) : NULL;
    return h;
}

void tls_holder_replace(struct tls_holder *h, struct tls_context *t)
{
    if (t)
        tls_context_ref(t);
    pthread_mutex_lock(&h->lock);
    struct tls_context *old = h->context;
    h->context = t;
    pthread_mutex_unlock(&h->lock);
    tls_context_unref(old);
}

void tls_holder_free(struct tls_holder *h)
{
    if (!h)
        return;
    tls_context_unref(h->context);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct tls_context *tls_holder_get(struct tls_holder *h)
{
    pthread_mutex_lock(&h->lock);
    struct tls_context *t = h->context ? tls_context_ref(h->context) : NULL;
    pthread_mutex_unlock(&h->lock);
    return t;
}
