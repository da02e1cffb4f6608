/* tls_binding: channel bindings (RFC 5056): tls-exporter (RFC 9266) and tls-server-end-point (RFC 5929).
 *
 * A resumed session shows no certificate, and the server may have two of them or a new one by now: the ticket carries the hash of the one
 * that the client has seen. */
#include "run/tls_private.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

enum { EXPORTER_BYTES = 32 };

/* RFC 5929 section 4.1: the hash of the certificate's signature algorithm; SHA-256 in place of MD5 and SHA-1; undefined for an algorithm
 * without one hash. 0 or ERR_UNSUPPORTED. */
static int certificate_hash(X509 *cert, unsigned char digest[EVP_MAX_MD_SIZE], unsigned *ret_n)
{
    int hash = NID_undef;
    if (!cert || X509_get_signature_info(cert, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
        return ERR_UNSUPPORTED;
    const EVP_MD *md = hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
    return md && X509_digest(cert, md, digest, ret_n) == 1 ? 0 : ERR_UNSUPPORTED;
}

/* Called for each ticket that is made. A ticket of a resumed session keeps what its predecessor said. */
static int on_ticket_made(SSL *ssl, void *ctx)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    void *had = NULL;
    size_t had_n = 0;
    unsigned n = 0;
    if (SSL_session_reused(ssl) || (SSL_SESSION_get0_ticket_appdata(session, &had, &had_n) == 1 && had_n))
        return 1;
    if (certificate_hash(SSL_get_certificate(ssl), digest, &n) == 0)
        return SSL_SESSION_set1_ticket_appdata(session, digest, n);
    ERR_clear_error();
    return 1;
}

void tls_binding_setup(SSL_CTX *ctx)
{
    (void)SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, NULL, NULL);
}

static int end_point(SSL *ssl, struct buf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    void *kept = NULL;
    size_t kept_n = 0;
    if (SSL_session_reused(ssl)) {
        if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &kept, &kept_n) != 1 || kept_n == 0)
            return ERR_UNSUPPORTED;
        buf_add(out, (str){ kept, kept_n });
        return buf_error(out);
    }
    int r = certificate_hash(SSL_get_certificate(ssl), digest, &n);
    if (r)
        return r;
    buf_add(out, (str){ (const char *)digest, n });
    return buf_error(out);
}

/* RFC 9266 section 2: the context is there and empty, which TLS 1.2 tells from none. Section 4.2: not unique without the extended master
 * secret (RFC 7627) in TLS 1.2. */
static int exporter(SSL *ssl, struct buf *out)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    unsigned char bytes[EXPORTER_BYTES];
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return ERR_UNSUPPORTED;
    if (SSL_export_keying_material(ssl, bytes, sizeof bytes, label, sizeof label - 1, (const unsigned char *)"", 0, 1) != 1)
        return ERR_UNSUPPORTED;
    buf_add(out, (str){ (const char *)bytes, sizeof bytes });
    return buf_error(out);
}

int tls_binding(SSL *ssl, enum conn_binding kind, struct buf *out)
{
    ERR_clear_error();
    int r = kind == CONN_BINDING_TLS_EXPORTER ? exporter(ssl, out) : end_point(ssl, out);
    ERR_clear_error();
    return r;
}
