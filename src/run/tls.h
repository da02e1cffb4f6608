/* tls: server-side TLS 1.2 and 1.3 with private keys that live in another process.
 *
 * A context holds certificates by server name; the private operation of each handshake is a callback (in production a request to
 * keeper). Contexts are immutable once in use: a reload makes a new one, swapped into the holder; connections keep the one they
 * began with. Session tickets use keys that rotate hourly. ALPN: when the client offers protocols and none is ours, the handshake
 * is refused (RFC 7301; against cross-protocol attacks). TLS 1.2 with forward-secret AEAD suites only; no compression, no
 * renegotiation. */
#ifndef VALISE_RUN_TLS_H
#define VALISE_RUN_TLS_H

#include "base/err.h"

struct tls_context;

/* What a private key does: signs MESSAGE, which is one of run/tls_signed.h, by SCHEME, one of enum tls_scheme. SIG holds up to SIG_MAX
 * bytes; RSA gives as many as the modulus has, EC a DER signature. Returns the signature's length or a negative enum err. May block; called on worker
 * threads. */
struct tls_signer {
    int64_t (*sign)(void *ctx, str key_id, uint16_t scheme, str message, char *sig, size_t sig_max);
    void *ctx;
};

struct tls_identity {
    str name;      /* server name it is for, besides those in it that no identity is for; empty: the default one */
    str chain_pem; /* certificate first, then intermediates */
    str key_id;    /* what the signer is asked with: hex SHA-256 of the SubjectPublicKeyInfo */
};

/* A context for a server whose protocols have the ALPN names in the comma-separated list ALPN ("imap"; "" when they have none). A
 * client that offers protocols of which none is in the list is refused with no_application_protocol; one that offers none is
 * welcome (RFC 7301 section 3.2). Two identities of one name may hold an EC and an RSA certificate. Copies everything. NULL with
 * E set for bad PEM, an unusable key or no default identity. */
struct tls_context *tls_context_new(const struct tls_identity *identities, size_t n, struct tls_signer signer, str alpn,
                                    struct error *e);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t);
/* Gives the ticket key material for the current hour: 80 bytes a key (16 name, 32 AES, 32 HMAC), newest first, of which two are
 * used. Called at creation and each hour, from any thread; without it random keys of this process are used, new each hour. */
void tls_context_set_ticket_keys(struct tls_context *t, str keys);

/* Whether a listener asks its clients for certificates (RFC 8446 section 4.3.2). */
enum tls_client_cert {
    TLS_CLIENT_OFF,
    TLS_CLIENT_REQUESTED, /* asked for; none or an unknown one is as welcome */
    TLS_CLIENT_REQUIRED   /* the handshake fails without one that the CA vouches for */
};
/* Trusts the certificates in CA_PEM to vouch for clients. Before T is used; without it no client is ever verified. ERR_SYNTAX. */
int tls_context_set_client_ca(struct tls_context *t, str ca_pem, struct error *e) MUST_USE;

/* Before T is used: has IS_REVOKED asked at each handshake, a resumed one too, about the SERIAL (lower-case hex) of a client's certificate that the CA
 * vouches for. A revoked one counts as unknown. It may block; called on worker threads. Without it none is revoked. */
void tls_context_set_revocation(struct tls_context *t, bool (*is_revoked)(void *ctx, str serial), void *ctx);

/* The key id of the first certificate of CHAIN_PEM. 0 or ERR_SYNTAX. */
int tls_key_id(str chain_pem, char ret_hex[65]) MUST_USE;

/* A holder that listeners point to; the context in it can be replaced while connections run. It takes references of its own: the
 * caller keeps his. T may be NULL: no TLS for now. */
struct tls_holder;
struct tls_holder *tls_holder_new(struct tls_context *t);
void tls_holder_replace(struct tls_holder *h, struct tls_context *t);
void tls_holder_free(struct tls_holder *h);
struct tls_context *tls_holder_get(struct tls_holder *h); /* a new reference; NULL when empty */

#endif
