/* bound: the server's side of a SCRAM exchange (RFC 5802) that is bound to a channel whose kind GNU SASL does not know.
 *
 * GNU SASL 2.2 compares the kind in the client's first message with "tls-exporter" and "tls-unique" and refuses all others, and the message is part
 * of what the client's last one proves, so it cannot be handed over under another name. tls-server-end-point (RFC 5929) is what clients take
 * whose TLS library tells them the server's certificate and nothing else: those of .NET, Java and Ruby. For these exchanges alone the messages are
 * parsed and the proof compared here; keys, names and everything around them is as in the library's exchanges. */
#ifndef VALISE_SASL_BOUND_H
#define VALISE_SASL_BOUND_H

#include "sasl/sasl.h"

struct bound;

/* An exchange over a channel of KIND ("tls-server-end-point") whose name is BINDING. */
struct bound *bound_new(enum sasl_hash hash, str kind, str binding);
/* Wipes and frees; NULL accepted. */
void bound_free(struct bound *b);

/* The client's first message: whom it is from in AUTHCID and AUTHZID (empty: nobody else). ERR_SYNTAX, ERR_LIMIT. */
int bound_first(struct bound *b, str message, struct buf *authcid, struct buf *authzid) MUST_USE;
/* The server's first message for KEYS, which are kept. */
int bound_challenge(struct bound *b, const struct sasl_scram *keys, struct buf *out) MUST_USE;
/* The client's last message. 0: it is right, and the server's last message is in OUT; ERR_REFUSED: nonce, channel or proof do not fit; ERR_SYNTAX. */
int bound_final(struct bound *b, str message, struct buf *out) MUST_USE;

#endif
