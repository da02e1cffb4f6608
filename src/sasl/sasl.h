/* sasl: the server side of SASL (RFC 4422), mechanisms by GNU SASL.
 *
 * The protocol (SMTP AUTH, IMAP AUTHENTICATE, ...) does framing and base64; here are the exchanged bytes only. A mechanism does not
 * verify a password: that may block, be remote, and its answer may have to be held back. When the exchange is complete the caller
 * takes the credentials and verifies them.
 *
 *   sasl_server_new, sasl_server_start -> ERR_AGAIN: send the challenge, sasl_server_step with the response, ... -> 0: credentials
 *
 * A struct sasl_server belongs to one session; different ones may be used by different threads at the same time. */
#ifndef VALISE_SASL_SASL_H
#define VALISE_SASL_SASL_H

#include "base/buf.h"

enum {
    SASL_RESPONSE_MAX = 4096,     /* bytes of one response, decoded; RFC 4954 section 4 asks for lines of 12 288 octets */
    SASL_NAME_MAX = 512,          /* bytes of a name: longer ones cannot be an account's */
    SASL_PASSWORD_MAX = 1024,
    SASL_STEPS_MAX = 8            /* responses in one exchange */
};

struct sasl_mechanism {
    str name;                     /* upper case, as it is offered */
    bool plaintext;               /* the password itself is sent: only under TLS */
    bool client_first;            /* the client speaks first; without an initial response the first challenge is empty */
    str prompts[2];               /* challenges that replace the library's, empty for none */
};

/* All mechanisms, in the order in which they are offered (the best first); *RET_N of them. Static. */
const struct sasl_mechanism *sasl_mechanisms(size_t *ret_n);
/* The mechanism called NAME (letters folded), or NULL. */
const struct sasl_mechanism *sasl_mechanism_find(str name);

struct sasl_credentials {
    str authcid;                  /* who logs in; never empty */
    str authzid;                  /* whom to act as, empty for oneself; a caller without proxy rights refuses any other */
    str password;                 /* never empty; wiped with the exchange */
};

struct sasl_server;

/* A new exchange. 0, or ERR_INTERNAL when the library cannot do it. */
int sasl_server_new(const struct sasl_mechanism *m, struct sasl_server **ret, struct error *e) MUST_USE;
/* Wipes and frees; NULL accepted. */
void sasl_server_free(struct sasl_server *s);

/* The first step. INITIAL is the client's initial response (which may be empty), NULL when it sent none. Results as
 * sasl_server_step. */
int sasl_server_start(struct sasl_server *s, const str *initial, struct buf *challenge, struct error *e) MUST_USE;
/* Takes a response of the client. ERR_AGAIN: CHALLENGE (reset first; may be empty) is to be sent and a response expected. 0: the
 * exchange is complete and sasl_server_credentials can be called. ERR_SYNTAX: the response breaks the mechanism's rules; ERR_LIMIT:
 * it or one of its fields is too long, or there are too many; ERR_INTERNAL. After any of these the exchange can only be freed. */
int sasl_server_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e) MUST_USE;
/* The credentials of a complete exchange, valid until it is freed; NULL before. */
const struct sasl_credentials *sasl_server_credentials(const struct sasl_server *s);

#endif
