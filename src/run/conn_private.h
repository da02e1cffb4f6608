/* conn_private: the part of a connection that is the same over a socket (server_conn.c) and over memory (conn_memory.c). Either
 * embeds it as its first member. */
#ifndef VALISE_RUN_CONN_PRIVATE_H
#define VALISE_RUN_CONN_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "run/conn.h"

enum { CONN_ARENA_QUOTA = 1024 * 1024, CONN_ADDRESS_MAX = IP_TEXT_MAX, CONN_MIN_RATE_GRACE_MS = 30000 };
/* A body that is typed by hand: at least so much on average, after so long a grace, for so long at most. */
enum { CONN_HAND_RATE = 1, CONN_HAND_GRACE_MS = 120000, CONN_HAND_MS = 30 * 60000 };

/* What the session has told of itself (conn_tell). */
struct conn_told {
    struct log_field list[CONN_TOLD_MAX];
    size_t n;
    struct arena texts;
};

/* What the two kinds of connection do differently. */
struct conn_kind {
    void (*wake)(struct conn *c);
    bool (*is_stopping)(const struct conn *c);
    int (*binding)(const struct conn *c, enum conn_binding kind, struct buf *out); /* with TLS only */
    struct roll *(*roll)(const struct conn *c);                                    /* who is logged in where; NULL: nobody asks */
    const char *(*listener)(const struct conn *c);                                 /* its name; with a roll only */
};

struct conn {
    const struct conn_kind *kind;
    const struct conn_ops *ops;
    void *session; /* NULL before open and after close */
    struct stream *stream;
    struct arena arena;
    struct id id;
    char peer[CONN_ADDRESS_MAX], local[CONN_ADDRESS_MAX];
    char via[CONN_ADDRESS_MAX]; /* who said that the connection is PEER's; empty: nobody */
    struct conn_told *told;     /* NULL: nothing */
    uint16_t peer_port, local_port;
    bool has_ip; /* the peer has an address: it came by the internet */
    struct ip_address ip;
    const struct access *access; /* NULL: everybody may do anything */
    struct limits *limits;       /* NULL: nothing is counted */
    struct limit_hold hold;
    struct limit_strike strike; /* why refusal is TRY_LATER; max 0: the server is full */
    enum conn_refusal refusal;
    bool may_override; /* the peer that connected is one of access->overrides */
    bool can_starttls;
    struct tls_info tls;   /* sni and alpn are owned */
    int64_t deadline_ms;   /* of each wait; 0 = none */
    uint32_t min_rate;     /* bytes per second, 0 = none */
    bool by_hand;          /* conn_min_rate_by_hand */
    int64_t rate_since_ms; /* monotonic */
    uint64_t rate_base;    /* stream_bytes_in at that time */
    atomic_bool is_ended;  /* see roll.c; what follows is written under the roll's lock */
    bool is_on_roll;
    struct conn *roll_prev, *roll_next;
    struct conn_login login;
    int64_t since_ms; /* of the clock: the login, or the handshake with a certificate */
};

/* Fills what both kinds share. STREAM is owned. */
void conn_init(struct conn *c, const struct conn_kind *kind, const struct conn_ops *ops, struct stream *stream);
/* When (in monotonic ms) a peer falls below RATE bytes per second on average since SINCE_MS if nothing is moved after BYTES;
 * never within GRACE_MS. */
int64_t conn_rate_limit(int64_t since_ms, uint64_t bytes, uint32_t rate, int64_t grace_ms);
/* The same for a body under conn_min_rate; BY_HAND: or under the slower one of a hand, whatever ends later. */
int64_t conn_body_limit(int64_t since_ms, uint64_t bytes, uint32_t rate, bool by_hand);
/* Decides whether the peer, whose address is known now, is served, and counts it. A's reference is C's now; NULL: everybody is. L: NULL, or
 * outlives C. CROWDED: the server has as many connections as it takes. */
void conn_admit(struct conn *c, const struct access *a, struct limits *l, bool crowded);
/* Takes back what conn_admit and conn_log_in counted. */
void conn_leave(struct conn *c);
/* The ends of the connection as C tells them from now on. */
void conn_set_peer(struct conn *c, const struct ip_address *address, uint16_t port);
void conn_set_local(struct conn *c, const struct ip_address *address, uint16_t port);
/* Notes the present peer as who says that the connection is another's: the first one who does. */
void conn_set_via(struct conn *c);
/* Writes the line EVENT with FIRST and what the session has told. */
void conn_log_end(const struct conn *c, const char *event, const struct log_field *first);
/* Closes the session if it is open: nothing of the output uses it any more. */
void conn_close_session(struct conn *c);
/* Gives the output up, closes the session if it is open, frees all but C itself. */
void conn_done(struct conn *c);
/* Replaces what is known of TLS; sni and alpn are copied, the client's parts lie in the TLS layer, which stays. */
void conn_set_tls(struct conn *c, const struct tls_info *info);

/* --- roll.c --- */

struct server_session;

struct roll {
    pthread_mutex_t lock;
    struct conn *first;
    bool (*stands)(void *ctx, const struct server_session *s);
    void *stands_ctx;
};
void roll_init(struct roll *r);
/* Nobody is on it any more. */
void roll_done(struct roll *r);
/* C is LOGIN's from now on, or with NULL that of a certificate of ours; a login that stands no longer ends it. */
void roll_join(struct conn *c, const struct conn_login *login);
/* C leaves; no other thread looks at it afterwards. */
void roll_leave(struct conn *c);
/* Ends those on R that FN, called under the lock, says true of; how many. */
size_t roll_end(struct roll *r, bool (*fn)(void *ctx, const struct server_session *s), void *ctx);
/* Ends C, which is on a roll or the caller's. */
void conn_end(struct conn *c);

#endif
