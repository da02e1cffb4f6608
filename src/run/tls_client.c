/* tls_client: certificates of clients (RFC 8446 section 4.4.2, RFC 5280 section 6): asked for, verified, read.
 *
 * A listener that requests a certificate refuses nobody for having an unknown one: verification is recorded, not enforced. OpenSSL keeps
 * the certificate and the result in the session, and so in the ticket. A ticket is bound to the listener's mode and the CA that
 * verified: one of a listener that asks for nothing opens no listener that does. Revocation is asked about at every handshake. */
#include "run/tls_private.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

enum { DEPTH_MAX = 4, ADDRESSES_MAX = 20, SUBJECT_MAX = 1024, ADDRESS_MAX = 320 };

static str hex(struct arena *a, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(a, 2 * n + 1);
    for (size_t i = 0; out && i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    return out ? (str){ out, 2 * n } : (str){ 0 };
}

static str serial(const X509 *cert, struct arena *a)
{
    unsigned char bytes[32];
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    int len = n && BN_num_bytes(n) <= (int)sizeof bytes ? BN_bn2bin(n, bytes) : 0;
    BN_free(n);
    return hex(a, bytes, (size_t)len);
}

static bool is_revoked(const SSL *ssl, const X509 *cert)
{
    struct arena a = ARENA_INIT(1024);
    bool revoked = tls_context_is_revoked(ssl, serial(cert, &a));
    arena_done(&a);
    return revoked;
}

/* OK so far: what the CA vouches for is looked up, once all else is found good (depth 0 comes last). */
static int check_revocation(int ok, X509_STORE_CTX *ctx)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ok || X509_STORE_CTX_get_error_depth(ctx) != 0 || !is_revoked(ssl, X509_STORE_CTX_get_current_cert(ctx)))
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REVOKED);
    return 0;
}

static int accept_any(int ok, X509_STORE_CTX *ctx)
{
    (void)check_revocation(ok, ctx);
    return 1;
}

void tls_client_ask(SSL *ssl, enum tls_client_cert mode, const unsigned char ca_id[8])
{
    unsigned char id[] = { 'v', 'a', 'l', 'i', 's', 'e', (unsigned char)mode, 0, 0, 0, 0, 0, 0, 0, 0 };
    if (mode == TLS_CLIENT_OFF)
        return;
    memcpy(id + 7, ca_id, 8);
    require(SSL_set_session_id_context(ssl, id, sizeof id) == 1);
    SSL_set_verify_depth(ssl, DEPTH_MAX);
    if (mode == TLS_CLIENT_REQUIRED)
        SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, check_revocation);
    else
        SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
}

/* --- reading --- */

static str fingerprint(const X509 *cert, struct arena *a)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(cert, EVP_sha256(), digest, &n) == 1 ? hex(a, digest, n) : (str){ 0 };
}

/* RFC 4514 form; what is not printable ASCII is escaped there. */
static str subject(const X509 *cert, struct arena *a)
{
    str ret = { 0 };
    BIO *b = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = b && X509_NAME_print_ex(b, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0 ? BIO_get_mem_data(b, &p) : 0;
    if (n > 0 && arena_dup(a, (str){ p, n > SUBJECT_MAX ? SUBJECT_MAX : (size_t)n }, &ret) < 0)
        ret = (str){ 0 };
    BIO_free(b);
    return ret;
}

/* RFC 5280 section 4.2.1.6: rfc822Name is a Mailbox in ASCII. Anything odd is passed over: it can be nobody's address here. */
static bool is_address(str s)
{
    bool at = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
        at = at || s.p[i] == '@';
    }
    return at && s.n <= ADDRESS_MAX;
}

static void addresses(const X509 *cert, struct arena *a, struct tls_info *ret)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    str *list = names ? arena_array(a, ADDRESSES_MAX, sizeof *list) : NULL;
    size_t n = 0;
    for (int i = 0; list && i < sk_GENERAL_NAME_num(names) && n < ADDRESSES_MAX; i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_EMAIL)
            continue;
        str address = { (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
        if (is_address(address) && arena_dup(a, address, &list[n]) == 0)
            n++;
    }
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    ret->client_addresses = list;
    ret->client_address_n = n;
}

void tls_client_read(SSL *ssl, struct arena *a, struct tls_info *ret)
{
    const X509 *cert = SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER ? SSL_get0_peer_certificate(ssl) : NULL;
    if (!cert)
        return;
    ret->client_certificate = true;
    /* A session may be resumed after its certificate's time, and after its revocation. */
    ret->client_verified = SSL_get_verify_result(ssl) == X509_V_OK && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
                           !(SSL_session_reused(ssl) && is_revoked(ssl, cert));
    ret->client_fingerprint = fingerprint(cert, a);
    ret->client_subject = subject(cert, a);
    ret->client_serial = serial(cert, a);
    if (ret->client_verified)
        addresses(cert, a, ret);
    ERR_clear_error();
}

/* --- the CA --- */

int tls_client_trust(SSL_CTX *ctx, str ca_pem, struct error *e)
{
    BIO *b = ca_pem.n && ca_pem.n <= 1 << 20 ? BIO_new_mem_buf(ca_pem.p, (int)ca_pem.n) : NULL;
    X509_STORE *store = X509_STORE_new();
    X509 *cert;
    int n = 0;
    ERR_clear_error();
    while (b && store && (cert = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(store, cert) == 1 && SSL_CTX_add_client_CA(ctx, cert) == 1;
        X509_free(cert);
    }
    BIO_free(b);
    if (n)
        SSL_CTX_set_cert_store(ctx, store);
    else
        X509_STORE_free(store);
    ERR_clear_error();
    return n ? 0 : error_set(e, ERR_SYNTAX, "the CA of the clients is not valid PEM");
}

void tls_client_ca_id(str ca_pem, unsigned char ret[8])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)ca_pem.p, ca_pem.n, digest);
    memcpy(ret, digest, 8);
}
