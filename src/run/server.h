/* server: the worker pool, the parked connections and the listeners of one process.
 *
 * All workers wait on one epoll set, one-shot. The pool grows while all workers are busy, up to a cap, and shrinks again after
 * idle seconds. Deadlines sit in one timer heap served by whoever waits. This folder is the only one that knows epoll, threads
 * and OpenSSL I/O. */
#ifndef VALISE_RUN_SERVER_H
#define VALISE_RUN_SERVER_H

#include "run/channel.h"
#include "run/conn.h"
#include "run/tls.h"

struct server;

struct server_settings {
    unsigned workers_min, workers_max; /* threads; 0 = 2 and 64 */
    unsigned lanes_max;                /* of one channel, the root among them; 0 = half of workers_max: the workers it can hold */
    unsigned connections_max;          /* 0 = 20 000; above it new ones are turned away */
    unsigned turned_away_max;          /* connections that are being told so, at a time; 0 = 256 */
    unsigned reserved_max;             /* connections beside all these, on listeners that are reserved; 0 = 16 */
    struct limits *limits;             /* NULL: nothing is counted. Outlives the server. */
};

struct server *server_new(const struct server_settings *settings);
/* Stops workers, closes all connections, frees. */
void server_free(struct server *s);

struct listener_settings {
    const char *name; /* "submission": in logs and status */
    const struct conn_ops *ops;
    void *ctx; /* for ops->open; lives until released */
    void (*release)(
        void *ctx);         /* called when nobody accepts here any more and the last connection is over; NULL: nothing to do */
    unsigned group;         /* what server_unlisten knows it by; 0: it stays until the end */
    struct tls_holder *tls; /* NULL: no TLS on this listener. Must outlive the server. */
    bool implicit_tls;
    bool reserved;                    /* there is room on it when all others are crowded, and a descriptor when there are none */
    const struct access *access;      /* whom to serve and how much (a reference is taken); NULL: everybody */
    int64_t handshake_ms;             /* 0 = 30 000 */
    enum tls_client_cert client_cert; /* 0: clients are not asked for certificates */
    bool tls13_only;                  /* false: TLS 1.2 as well */
    const char *alpn;                 /* static: the one protocol of the context's that is spoken here; NULL: any of them */
};
/* Accepts connections from FD (listening, non-blocking; owned). Settings are copied, CTX is released on failure too. ERR_LIMIT. From any
 * thread. */
int server_listen(struct server *s, int fd, const struct listener_settings *settings) MUST_USE;
/* Accepts no more on the listeners of GROUP, whose descriptors are closed a moment later; their connections go on. From any thread. */
void server_unlisten(struct server *s, unsigned group);
/* Runs a connection over FD (connected, owned) as if it had been accepted. Also from handlers while the server runs. */
int server_adopt(struct server *s, int fd, const struct listener_settings *settings) MUST_USE;
/* Serves requests of another role on root lane FD (owned) and on the lanes it opens, of which more than lanes_max are turned away. SERVICE must live
 * until its gone is called, also when ERR_LIMIT is returned, or outlive the server. */
int server_serve_channel(struct server *s, int fd, const struct channel_service *service) MUST_USE;
/* Calls FN(CTX) on a worker every MS milliseconds. */
void server_every(struct server *s, int64_t ms, void (*fn)(void *), void *ctx);

/* One connection that somebody is logged in on, or that showed a certificate of ours (login->account is zeros then). Views: while FN runs. */
struct server_session {
    str id, peer;
    uint16_t peer_port;
    const char *protocol, *listener; /* names */
    const struct conn_login *login;
    const struct tls_info *tls;
    int64_t since_ms; /* of the clock, since 1970 */
};
/* Ends the sessions that FN says true of, within a second: CONN_ENDED. How many. FN holds up logins meanwhile, may block on nothing else, and must
 * not call the server; one that says false of all just looks. From any thread. */
size_t server_sessions_end(struct server *s, bool (*fn)(void *ctx, const struct server_session *session), void *ctx);
/* FN is asked of each login once server_sessions_end can meet it: whether it still stands, or was taken back while it was being made. Before the
 * first connection. */
void server_set_stands(struct server *s, bool (*fn)(void *ctx, const struct server_session *session), void *ctx);

/* Runs until server_stop and all connections are closed. Blocks; the calling thread is one of the workers. */
void server_run(struct server *s);
/* From any thread or a signal handler: stop accepting, tell every session CONN_SHUTDOWN, close all within GRACE_MS. */
void server_stop(struct server *s, int64_t grace_ms);

struct server_counts {
    unsigned connections, workers, workers_busy, workers_peak;
    unsigned queued; /* connections and other tasks that wait for a worker */
    uint64_t accepted, refused;
};
struct server_counts server_counts(const struct server *s);

#endif
