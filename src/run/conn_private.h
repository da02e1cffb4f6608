/* conn_private: the part of a connection that is the same over a socket (server_conn.c) and over memory (conn_memory.c). Either
 * embeds it as its first member. */
#ifndef VALISE_RUN_CONN_PRIVATE_H
#define VALISE_RUN_CONN_PRIVATE_H

#include <stdatomic.h>

#include "run/conn.h"

enum { CONN_ARENA_QUOTA = 1024 * 1024, CONN_ADDRESS_MAX = 46, CONN_MIN_RATE_GRACE_MS = 30000 };

/* What the two kinds of connection do differently. */
struct conn_kind {
    void (*wake)(struct conn *c);
    bool (*is_stopping)(const struct conn *c);
    int (*binding)(const struct conn *c, enum conn_binding kind, struct buf *out); /* with TLS only */
};

struct conn {
    const struct conn_kind *kind;
    const struct conn_ops *ops;
    void *session; /* NULL before open and after close */
    struct stream *stream;
    struct arena arena;
    struct id id;
    char peer[CONN_ADDRESS_MAX], local[CONN_ADDRESS_MAX];
    uint16_t peer_port, local_port;
    bool can_starttls;
    struct tls_info tls;   /* sni and alpn are owned */
    int64_t deadline_ms;   /* of each wait; 0 = none */
    uint32_t min_rate;     /* bytes per second, 0 = none */
    int64_t rate_since_ms; /* monotonic */
    uint64_t rate_base;    /* stream_bytes_in at that time */
};

/* Fills what both kinds share. STREAM is owned. */
void conn_init(struct conn *c, const struct conn_kind *kind, const struct conn_ops *ops, struct stream *stream);
/* When (in monotonic ms) a peer falls below RATE bytes per second on average since SINCE_MS if nothing is moved after BYTES;
 * never within GRACE_MS. */
int64_t conn_rate_limit(int64_t since_ms, uint64_t bytes, uint32_t rate, int64_t grace_ms);
/* Gives the output up, closes the session if it is open, frees all but C itself. */
void conn_done(struct conn *c);
/* Replaces what is known of TLS; sni and alpn are copied, the client's parts lie in the TLS layer, which stays. */
void conn_set_tls(struct conn *c, const struct tls_info *info);

#endif
