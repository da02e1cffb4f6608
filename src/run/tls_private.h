/* tls_private: TLS inside the runtime: contexts (tls.c), keys that sign elsewhere (tls_key.c), the layer (layer_tls.c). */
#ifndef VALISE_RUN_TLS_PRIVATE_H
#define VALISE_RUN_TLS_PRIVATE_H

/* Before our headers: they poison names that OpenSSL's may mention. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "run/conn.h"
#include "run/tls.h"

/* --- tls_key.c --- */

/* What a key that signs elsewhere needs; owned by its context, which outlives the key. */
struct tls_key {
    struct tls_signer signer;
    char *id;
    size_t id_n;
    EVP_PKEY *pkey;
};
/* Makes k->pkey: the public key of CERT with private operations through k->signer. ERR_UNSUPPORTED for keys other than RSA and
 * EC. */
int tls_key_make(struct tls_key *k, X509 *cert, struct error *e) MUST_USE;

/* --- tls.c --- */

/* What a listener demands of its clients beyond what its context does. */
struct tls_demand {
    enum tls_client_cert client_cert;
    bool only_1_3;
    const char *alpn; /* the one protocol of the context's that is spoken here; NULL: any of them */
};
/* A connection's SSL as server; NULL when memory is out. Must be freed before the context. */
SSL *tls_context_accept(struct tls_context *t, const struct tls_demand *demand);
/* Whether the owner of SSL's context says that the certificate with SERIAL is revoked. */
bool tls_context_is_revoked(const SSL *ssl, str serial);
/* Sets E to CODE with "WHAT: reason" from OpenSSL's queue, and empties the queue. */
int tls_error(struct error *e, int code, const char *what);

/* --- tls_binding.c --- */

/* Has each ticket carry the hash of the certificate that its session began with. */
void tls_binding_setup(SSL_CTX *ctx);
/* The channel binding of an established connection; see conn_channel_binding. */
int tls_binding(SSL *ssl, enum conn_binding kind, struct buf *out) MUST_USE;

/* --- tls_client.c --- */

/* Asks for a certificate as MODE wants; CA_ID is of the trusted CA. */
void tls_client_ask(SSL *ssl, enum tls_client_cert mode, const unsigned char ca_id[8]);
/* Fills the client's parts of RET, which are in A. May block. */
void tls_client_read(SSL *ssl, struct arena *a, struct tls_info *ret);
/* Trusts CA_PEM in CTX. */
int tls_client_trust(SSL_CTX *ctx, str ca_pem, struct error *e) MUST_USE;
/* What tells one CA from another in a session's context. */
void tls_client_ca_id(str ca_pem, unsigned char ret[8]);

/* --- layer_tls.c --- */

/* A server-side TLS layer over socket FD, which stays the caller's. Takes a reference to T. */
struct layer *layer_tls_new(struct tls_context *t, int fd, const struct tls_demand *demand);
/* Goes on with the handshake. 0 when done, ERR_AGAIN (see layer_tls_wants), ERR_EOF when the peer left, ERR_IO. */
int layer_tls_handshake(struct layer *l, struct error *e) MUST_USE;
/* What the last call that answered ERR_AGAIN waits for: EPOLLIN or EPOLLOUT. */
uint32_t layer_tls_wants(const struct layer *l);
/* What was agreed; views that live as long as the layer. After the handshake. */
void layer_tls_info(struct layer *l, struct tls_info *ret);
/* See conn_channel_binding. After the handshake. */
int layer_tls_binding(const struct layer *l, enum conn_binding kind, struct buf *out) MUST_USE;
/* Sends close_notify if that is possible without waiting. */
void layer_tls_shutdown(struct layer *l);

#endif
