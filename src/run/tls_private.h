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

/* A connection's SSL as server; NULL when memory is out. Must be freed before the context. */
SSL *tls_context_accept(struct tls_context *t);
/* Sets E to CODE with "WHAT: reason" from OpenSSL's queue, and empties the queue. */
int tls_error(struct error *e, int code, const char *what);

/* --- tls_binding.c --- */

/* Has each ticket carry the hash of the certificate that its session began with. */
void tls_binding_setup(SSL_CTX *ctx);
/* The channel binding of an established connection; see conn_channel_binding. */
int tls_binding(SSL *ssl, enum conn_binding kind, struct buf *out) MUST_USE;

/* --- layer_tls.c --- */

/* A server-side TLS layer over socket FD, which stays the caller's. Takes a reference to T. */
struct layer *layer_tls_new(struct tls_context *t, int fd);
/* Goes on with the handshake. 0 when done, ERR_AGAIN (see layer_tls_wants), ERR_EOF when the peer left, ERR_IO. */
int layer_tls_handshake(struct layer *l, struct error *e) MUST_USE;
/* What the last call that answered ERR_AGAIN waits for: EPOLLIN or EPOLLOUT. */
uint32_t layer_tls_wants(const struct layer *l);
/* What was agreed; views that live as long as the layer. After the handshake. */
void layer_tls_info(const struct layer *l, struct tls_info *ret);
/* See conn_channel_binding. After the handshake. */
int layer_tls_binding(const struct layer *l, enum conn_binding kind, struct buf *out) MUST_USE;
/* Sends close_notify if that is possible without waiting. */
void layer_tls_shutdown(struct layer *l);

#endif
