/* sasl: the server side of SASL (RFC 4422), mechanisms by GNU SASL.
 *
 * The protocol (SMTP AUTH, IMAP AUTHENTICATE, ...) does framing and base64; here are the exchanged bytes only. A mechanism does not
 * decide about a login: that may block, be remote, and its answer may have to be held back. When the exchange is complete the caller
 * takes the credentials: a password to verify, or what a proof without a password (SCRAM) came to.
 *
 *   sasl_server_new, sasl_server_start -> ERR_AGAIN: send the challenge, sasl_server_step with the response, ... -> 0: credentials
 *   accepted, and the challenge is not empty: send it, take an empty response, then say success
 *
 * A struct sasl_server belongs to one session; different ones may be used by different threads at the same time. */
#ifndef VALISE_SASL_SASL_H
#define VALISE_SASL_SASL_H

#include "base/buf.h"
#include "run/conn.h"

enum {
    SASL_RESPONSE_MAX = 4096, /* bytes of one response, decoded; RFC 4954 section 4 asks for lines of 12 288 octets */
    SASL_NAME_MAX = 512,      /* bytes of a name: longer ones cannot be an account's */
    SASL_PASSWORD_MAX = 1024,
    SASL_STEPS_MAX = 8 /* responses in one exchange */
};

enum sasl_hash { SASL_HASH_NONE, SASL_HASH_SHA1, SASL_HASH_SHA256 };

enum sasl_kind {
    SASL_KIND_PASSWORD, /* the password itself is sent: only under TLS */
    SASL_KIND_SCRAM,
    SASL_KIND_CRAM_MD5, /* both: of accounts flagged for it, see legacy */
    SASL_KIND_DIGEST_MD5,
    SASL_KIND_EXTERNAL /* the client's certificate says who it is */
};

struct sasl_mechanism {
    str name; /* upper case, as it is offered */
    enum sasl_kind kind;
    bool client_first;   /* the client speaks first; without an initial response the first challenge is empty */
    bool legacy;         /* needs passwords that can be had back: never offered unless named */
    bool binding;        /* bound to the TLS channel (-PLUS): exists only where the channel can be named */
    enum sasl_hash hash; /* of SCRAM */
    str prompts[2];      /* challenges that replace the library's, empty for none */
};

/* All mechanisms, in the order in which they are offered (the best first); *RET_N of them. Static. */
const struct sasl_mechanism *sasl_mechanisms(size_t *ret_n);
/* The mechanism called NAME (letters folded), or NULL. */
const struct sasl_mechanism *sasl_mechanism_find(str name);

/* What a SCRAM mechanism needs to verify a proof (RFC 5802 section 3). */
enum { SASL_SALT_SIZE = 16, SASL_KEY_MAX = 32, SASL_CHANNEL_MAX = 64, SASL_DIGEST_SIZE = 16 };
struct sasl_scram {
    unsigned iterations;
    uint8_t salt[SASL_SALT_SIZE];
    uint8_t stored_key[SASL_KEY_MAX], server_key[SASL_KEY_MAX]; /* as long as the hash */
};
/* Looks the keys of LOGIN up, and gives some for a name that does not exist: always the same salt, and keys that no proof fits,
 * so that names cannot be told apart. 0, or an error for "not now". Must not block. */
typedef int sasl_scram_fn(void *ctx, str login, enum sasl_hash hash, struct sasl_scram *ret);

/* A set of mechanisms: bit I stands for the one at I of sasl_mechanisms. */
typedef uint32_t sasl_set;
sasl_set sasl_set_of(const struct sasl_mechanism *m);

/* What a listener offers and where its mechanisms find what they compare with. Immutable while connections use it. */
struct sasl_settings {
    sasl_set taken;  /* what a client may choose */
    sasl_set listed; /* what it is told of, a part of those */
    void *ctx;
    sasl_scram_fn *scram; /* NULL: no SCRAM */
    /* CRAM-MD5: the password of LOGIN, appended to RET; DIGEST-MD5: the hash of NAME, as the client writes it, in REALM, and the realm to name. As
     * scram, but they may block on another role. NULL: the mechanism does not exist. */
    int (*password)(void *ctx, str login, struct buf *ret);
    int (*digest)(void *ctx, str name, str realm, uint8_t ret[SASL_DIGEST_SIZE]);
    int (*realm)(void *ctx, struct buf *ret);
    /* Whether a verified certificate of a client is an account's who may log in. NULL: no EXTERNAL. May block on the store. */
    bool (*knows_certificate)(void *ctx, const struct tls_info *tls);
};
/* The sets where no configuration says otherwise. */
void sasl_settings_default(struct sasl_settings *s);
/* SCRAM over SHA-1 too: only where accounts have keys for it. */
void sasl_settings_add_sha1(struct sasl_settings *s);
/* Whether M can be used on connection C, and whether it is listed there. */
bool sasl_offers(const struct sasl_settings *s, const struct conn *c, const struct sasl_mechanism *m);
bool sasl_lists(const struct sasl_settings *s, const struct conn *c, const struct sasl_mechanism *m);
/* Whether a password itself may be sent: IMAP's LOGIN command is as good as the mechanisms that do. */
bool sasl_offers_password(const struct sasl_settings *s);

enum sasl_proof {
    SASL_PROOF_PASSWORD, /* there is a password, nobody has verified it yet */
    SASL_PROOF_RIGHT,    /* the client has proved that it knows the password */
    SASL_PROOF_WRONG,
    SASL_PROOF_CERTIFICATE /* the client's certificate is to tell */
};

struct sasl_credentials {
    str authcid; /* who logs in; empty of SASL_PROOF_CERTIFICATE only */
    str authzid; /* whom to act as, empty for oneself; whoever decides refuses any other (sasl_attempt.acting_as) */
    enum sasl_proof proof;
    str password; /* of SASL_PROOF_PASSWORD: never empty; wiped with the exchange. Otherwise empty */
};

/* One try to log in, as whoever decides about it sees it. */
struct sasl_attempt {
    str login; /* of SASL_PROOF_CERTIFICATE: the address that is asked for, empty for the certificate's first */
    enum sasl_proof proof;
    str password;
    str peer;      /* address text */
    str mechanism; /* "LOGIN" also for a protocol's own command of that name */
    str acting_as; /* whose account is asked for, as the client writes it; empty: the login's own. Nobody's right is another's: that is refused */
    const struct tls_info *tls;
};
/* The attempt that C is, by MECHANISM on CONN; views into both. */
struct sasl_attempt sasl_attempt_of(const struct sasl_credentials *c, str mechanism, const struct conn *conn);

struct sasl_server;

/* A new exchange. 0, or ERR_INTERNAL when the library cannot do it. */
int sasl_server_new(const struct sasl_mechanism *m, struct sasl_server **ret, struct error *e) MUST_USE;
/* The same on CONN with what SETTINGS says: keys and channel are set. */
int sasl_server_open(const struct sasl_settings *settings, const struct conn *conn, const struct sasl_mechanism *m,
                     struct sasl_server **ret, struct error *e) MUST_USE;
const struct sasl_mechanism *sasl_server_mechanism(const struct sasl_server *s);
/* Where mechanisms find what they compare with; needed before one starts that proves a password. SETTINGS outlives the exchange. */
void sasl_server_set_settings(struct sasl_server *s, const struct sasl_settings *settings);
/* The name of the TLS channel, RFC 9266's tls-exporter value. Without it -PLUS mechanisms fail. With it set, a SCRAM client that
 * says "I could bind, but you did not offer it" is refused (RFC 5802 section 6): somebody has cut the offer. */
void sasl_server_set_binding(struct sasl_server *s, str exporter);
/* The other name of the channel, RFC 5929's tls-server-end-point: for -PLUS clients that bind to it. */
void sasl_server_set_end_point(struct sasl_server *s, str hash);
/* Wipes and frees; NULL accepted. */
void sasl_server_free(struct sasl_server *s);

/* The first step. INITIAL is the client's initial response (which may be empty), NULL when it sent none. Results as
 * sasl_server_step. */
int sasl_server_start(struct sasl_server *s, const str *initial, struct buf *challenge, struct error *e) MUST_USE;
/* Takes a response of the client. ERR_AGAIN: CHALLENGE (reset first; may be empty) is to be sent and a response expected. 0: the
 * exchange is complete and sasl_server_credentials can be called; a CHALLENGE that is not empty is the server's own proof, to be
 * sent once the login is accepted (protocols that cannot send data with success take an empty response to it). ERR_SYNTAX: the response breaks the mechanism's rules; ERR_LIMIT:
 * it or one of its fields is too long, or there are too many; ERR_INTERNAL. After any of these the exchange can only be freed. */
int sasl_server_step(struct sasl_server *s, str response, struct buf *challenge, struct error *e) MUST_USE;
/* The credentials of a complete exchange, valid until it is freed; NULL before. */
const struct sasl_credentials *sasl_server_credentials(const struct sasl_server *s);

#endif
