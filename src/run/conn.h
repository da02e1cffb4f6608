/* conn: one connection as a session sees it.
 *
 * A session is a struct of its protocol and a run function. A worker thread calls run when there is a reason; run works until it
 * would wait, then returns what it waits for. In between the connection is parked: no thread, no command arena, no TLS
 * buffers. One worker at a time runs a connection, so a session needs no locks of its own. run may block on the store or
 * on another role, never on its peer. */
#ifndef VALISE_RUN_CONN_H
#define VALISE_RUN_CONN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/log.h"
#include "run/access.h"
#include "run/stream.h"

struct conn;

/* Why run is called; several may be set. */
enum conn_why {
    CONN_START = 1,     /* first call: greet. With implicit TLS the handshake is done. */
    CONN_INPUT = 2,     /* the peer sent something, or closed: stream_fill and stream_line tell */
    CONN_DRAINED = 4,   /* the output queue is empty again after CONN_DRAIN */
    CONN_EVENT = 8,     /* conn_wake was called */
    CONN_TIMEOUT = 16,  /* the deadline of conn_deadline passed, or the peer fell below the minimum rate */
    CONN_SHUTDOWN = 32, /* the server stops or drains: say so (421, BYE) and close, or finish what runs */
    CONN_SECURED = 64,  /* the handshake asked for by CONN_STARTTLS is done */
    CONN_ENDED = 128    /* whoever is logged in may be no longer (conn_is_ended): say so (421, BYE); the connection closes
                         * whatever run returns, and is cut where the peer does not take the last words within half a second */
};

/* What the session waits for. */
enum conn_next {
    /* Flush, then call again for input, event, timeout or shutdown. A session returns this after its reads ended in ERR_AGAIN; if
     * it leaves complete input unread (one command a turn), it is called again with CONN_INPUT as soon as the output queue is
     * empty. After the end of input (ERR_EOF, ERR_IO) it means CONN_CLOSE. */
    CONN_WAIT,
    CONN_DRAIN,    /* flush, and call again when the queue is empty: for long answers made piece by piece */
    CONN_STARTTLS, /* flush, do a TLS handshake as server, call again with CONN_SECURED; unread input must be none */
    CONN_CLOSE     /* flush within 10 s, then close */
};

/* What a protocol gives the runtime. */
struct conn_ops {
    const char *name; /* "imap": in logs and metrics */
    /* Makes the session. CTX is the listener's. NULL refuses the connection (the stream may hold a last word). */
    void *(*open)(struct conn *c, void *ctx);
    enum conn_next (*run)(struct conn *c, void *session, unsigned why);
    /* Frees the session. After it returns no conn_wake may come: cancel subscriptions here. */
    void (*close)(struct conn *c, void *session);
};

struct stream *conn_stream(struct conn *c);
/* The arena of the running command; reset by the runtime each time the connection parks after CONN_WAIT (kept over CONN_DRAIN).
 * Quota 1 MiB. */
struct arena *conn_arena(struct conn *c);
/* The session id of logs and Received: fields. */
str conn_id(const struct conn *c);
/* "192.0.2.1", "2001:db8::1"; the peer's address as text, lives as long as the connection. */
str conn_peer_address(const struct conn *c);
uint16_t conn_peer_port(const struct conn *c);
str conn_local_address(const struct conn *c);
uint16_t conn_local_port(const struct conn *c);

struct tls_info {
    bool active;
    str version; /* "TLSv1.3" */
    str cipher;  /* "TLS_AES_256_GCM_SHA384" */
    int bits;    /* 256 */
    str sni;     /* server name asked for, empty when none */
    str alpn;    /* protocol agreed on, empty when none */
    bool resumed;
    /* The client's certificate, where the listener asks for one (struct listener_settings). An unknown one is told as well: only a verified
     * one means anything. SASL EXTERNAL (RFC 4422 appendix A): client_verified, and the account among client_addresses; a connection may outlive
     * a certificate that is revoked: who logs in by it looks for client_serial once more. */
    bool client_certificate; /* there is one, of whomever */
    bool
        client_verified; /* our CA vouches for it, for clientAuth, it is within its time and was not revoked when the handshake was done */
    const str *
        client_addresses; /* rfc822Name of a verified one, as they stand there (RFC 5280 section 4.2.1.6); not empty of '@', no blanks */
    size_t client_address_n;
    str client_subject;     /* RFC 4514 form, printable ASCII */
    str client_fingerprint; /* hex SHA-256 of the certificate */
    str client_serial;      /* lower-case hex, whole bytes */
};
/* What is known of TLS on this connection; lives as long as the connection. */
const struct tls_info *conn_tls(const struct conn *c);
/* What ties a login to this very TLS connection (RFC 5056), so that a man in the middle cannot pass it on. */
enum conn_binding {
    CONN_BINDING_TLS_EXPORTER,        /* RFC 9266: 32 bytes */
    CONN_BINDING_TLS_SERVER_END_POINT /* RFC 5929 section 4: hash of the server's certificate, 32 to 64 bytes */
};
/* Appends the channel binding of KIND to OUT. ERR_UNSUPPORTED without TLS, or when the connection has none of this KIND (tls-exporter with TLS 1.2
 * but without the extended master secret; tls-server-end-point with a certificate signed without a hash). ERR_LIMIT. Does not block. */
int conn_channel_binding(const struct conn *c, enum conn_binding kind, struct buf *out) MUST_USE;
/* Whether CONN_STARTTLS can work: a certificate is configured. False makes STARTTLS answer 454. */
bool conn_can_starttls(const struct conn *c);

/* --- what the peer may do (run/limit.h); told by whatever the listener's configuration says --- */

enum conn_refusal {
    CONN_WELCOME,
    CONN_TRY_LATER, /* a limit is reached: say so and close */
    CONN_NOT_SERVED /* the peer's network is not served here, ever */
};
/* Whether the session is to turn its peer away instead of greeting it, and *RET_WHY to say so; in the arena of the command. */
enum conn_refusal conn_refusal(struct conn *c, str *ret_why);
/* Whether the peer that connected may say that the connection is somebody else's. */
bool conn_may_override(const struct conn *c);
/* Where the connection comes from and goes to in truth, as far as it was said. */
struct conn_ends {
    bool has_peer, has_peer_port, has_local, has_local_port;
    struct ip_address peer, local;
    uint16_t peer_port, local_port;
};
/* From now on the connection is that of ENDS, for limits, logs and all else, as if it had just begun: refused as conn_refusal tells. Who was
 * logged in no longer counts. */
void conn_override(struct conn *c, const struct conn_ends *ends);
/* Counts N events of KIND, a rate, for the peer's address and network and the account that is logged in. False when a limit forbids
 * them: *RET_WHY says which, in the arena of the command. */
bool conn_count(struct conn *c, enum limit_kind kind, uint32_t n, str *ret_why) MUST_USE;
/* Whether conn_count would allow N more, asked before an answer that must not be given beyond the limit; nothing is counted. */
bool conn_allows(struct conn *c, enum limit_kind kind, uint32_t n, str *ret_why) MUST_USE;
/* By what somebody has logged in. Generation, kind and tag are for whoever decides whether the login still stands (server_set_stands). */
struct conn_login {
    uint8_t account[16]; /* zeros: nobody is logged in */
    uint64_t generation, tag;
    uint8_t kind;
    str how; /* static: "SCRAM-SHA-256" */
};
/* From now on the connection is LOGIN's, counts for its account as well, and ends with the login. False, with *RET_WHY, when the account has too
 * many connections: then it is not. May block on the store. */
bool conn_log_in(struct conn *c, const struct conn_login *login, str *ret_why) MUST_USE;
/* Whether the login that the connection had was taken back, or the session ended by an administrator: no further command may run. A session looks
 * before each; one that is parked is told by CONN_ENDED. */
bool conn_is_ended(const struct conn *c);

/* Adds FIELDS (a list as log_write takes it; copied, texts up to 200 bytes, empty ones left out) to the one line that the log gets of this connection, which is written when
 * it ends; at most CONN_TOLD_MAX in all, those beyond are dropped. For sums, and for what would else be a line of its own each time. */
enum { CONN_TOLD_MAX = 12 };
void conn_tell(struct conn *c, const struct log_field *fields);

/* Deadline for the next wait, in milliseconds from now; stays set for later waits until changed. Counted anew at each park. */
void conn_deadline(struct conn *c, int64_t ms);
/* While a body is coming in: besides the idle deadline, the peer must on average (after a grace of 30 s) send at least
 * BYTES_PER_SECOND since this call, or run is called with CONN_TIMEOUT. 0 ends it. Output has a minimum rate always. */
void conn_min_rate(struct conn *c, uint32_t bytes_per_second);
/* The same for a body that somebody may be typing: 60 bytes a minute on average, after two minutes of thinking, are enough too, for half an hour. What
 * comes so slowly costs no more than an idle connection. */
void conn_min_rate_by_hand(struct conn *c, uint32_t bytes_per_second);
/* Makes the connection runnable with CONN_EVENT. From any thread, between open and the return of close. Cheap; several calls
 * before run count once. */
void conn_wake(struct conn *c);
/* Whether the server is stopping: a session checks it between commands. */
bool conn_is_stopping(const struct conn *c);

/* --- for tests and fuzzing: a connection over memory, run by hand, no threads --- */

/* A connection with session OPS and CTX over a memory layer (see stream.h for the steps). With STARTTLS, CONN_STARTTLS is
 * simulated: the handshake "succeeds" at once and conn_tls says TLSv1.3, the channel bindings are 32 bytes 'E' (tls-exporter) and
 * 32 bytes 'S' (tls-server-end-point); with TLS_AT_START the same from the beginning. Calls
 * open and run(CONN_START). */
struct conn *conn_memory_new(const struct conn_ops *ops, void *ctx, size_t read_step, size_t write_step, bool starttls,
                             bool tls_at_start);
/* The same from PEER's address, which is what ACCESS says of it (a reference is taken) and LIMITS count; both may be NULL. */
struct conn_memory_place {
    size_t read_step, write_step;
    bool starttls, tls_at_start;
    str peer; /* empty: 192.0.2.1 */
    const struct access *access;
    struct limits *limits;
};
struct conn *conn_memory_new_at(const struct conn_ops *ops, void *ctx, const struct conn_memory_place *place);
/* Feeds BYTES and runs the session until it waits for more input. */
void conn_memory_feed(struct conn *c, str bytes);
void conn_memory_feed_eof(struct conn *c);
/* Runs it with WHY (CONN_TIMEOUT, CONN_SHUTDOWN). Pending conn_wake is taken up by feed with empty bytes. */
void conn_memory_run(struct conn *c, unsigned why);
/* What the peer has received and not taken. Valid until the next call. */
str conn_memory_take(struct conn *c);
bool conn_memory_is_closed(const struct conn *c);
/* The login is taken back, as while the session runs; a parked one is told by conn_memory_run with CONN_ENDED. */
void conn_memory_end(struct conn *c);
/* The deadline that the session asked for last, in milliseconds; 0 when none. */
int64_t conn_memory_deadline(const struct conn *c);
/* Another peer than 192.0.2.1 port 40000. */
void conn_memory_set_peer(struct conn *c, str address, uint16_t port);
/* Replaces what conn_tls tells; the client's parts stay the caller's and outlive C. */
void conn_memory_set_tls(struct conn *c, const struct tls_info *info);
/* The layer, to block writes. */
struct layer *conn_memory_layer(struct conn *c);
/* Closes the session if it is open, frees all. */
void conn_memory_free(struct conn *c);

#endif
