/* server_private: a server's parts: listeners (listener.c), connections (server_conn.c), lanes (lane.c). */
#ifndef VALISE_RUN_SERVER_PRIVATE_H
#define VALISE_RUN_SERVER_PRIVATE_H

#include <pthread.h>
#include <sys/socket.h>

#include "base/metric.h"
#include "run/conn_private.h"
#include "run/pool_private.h"
#include "run/server.h"

struct server {
    struct pool *pool;
    struct server_settings settings;
    int stop_fd; /* an eventfd: server_stop may be called in a signal handler */
    _Atomic int64_t grace_ms;
    _Atomic bool stopping;
    struct task *warden; /* ends last; see server.c */
    struct roll roll;
    _Atomic unsigned connections;
    _Atomic uint64_t accepted, refused;
    _Atomic int64_t refusal_logged_ms;
    pthread_mutex_t acceptors_lock;
    struct acceptor *acceptors;          /* all that are not over */
    _Atomic unsigned turning_away;       /* connections that are being told why they are not served */
    _Atomic int64_t refusal_handshake_s; /* the second that refusal_handshakes counts in */
    _Atomic unsigned refusal_handshakes;
};

/* A listener's settings, shared with its connections. */
struct listener {
    atomic_uint refs;
    struct listener_settings settings;
    char *name;
    struct metric *accepted, *refused, *bytes_in, *bytes_out, *turns, *tls_failed; /* of the series with its name */
};
struct listener *listener_new(const struct listener_settings *settings);
struct listener *listener_ref(struct listener *l);
void listener_unref(struct listener *l);

/* Room for one more connection, RESERVED or not, which is counted: FULL has none, CROWDED only to tell it so. */
enum server_room { SERVER_ROOM, SERVER_CROWDED, SERVER_FULL };
enum server_room server_admit(struct server *s, bool reserved);
/* Takes back what server_admit counted. */
void server_leave(struct server *s);
/* Whether another connection may be told why it is not served: at most some hundred at a time, so that they do not crowd out the others.
 * server_turned_away takes it back. */
bool server_turn_away(struct server *s);
void server_turned_away(struct server *s);
/* Whether a TLS handshake may be spent on telling it: a few times a second, or a flood would be paid with what it is after. */
bool server_spends_handshake(struct server *s);

/* Makes FD (owned, also on failure) a connection. ERR_LIMIT when a limit forbids it. START is pool_start or pool_start_next. */
int server_conn_start(struct server *s, int fd, struct listener *l,
                      bool (*start)(struct pool *p, struct task *t, const struct task_kind *kind, int fd)) MUST_USE;

#endif
