/* server_private: a server's parts: listeners (listener.c), connections (server_conn.c), lanes (lane.c). */
#ifndef VALISE_RUN_SERVER_PRIVATE_H
#define VALISE_RUN_SERVER_PRIVATE_H

#include <pthread.h>
#include <sys/socket.h>

#include "base/map.h"
#include "base/metric.h"
#include "run/pool_private.h"
#include "run/server.h"

struct server {
    struct pool *pool;
    struct server_settings settings;
    int stop_fd; /* an eventfd: server_stop may be called in a signal handler */
    _Atomic int64_t grace_ms;
    _Atomic bool stopping;
    struct task *warden; /* ends last; see server.c */
    _Atomic unsigned connections;
    _Atomic uint64_t accepted, refused;
    _Atomic int64_t refusal_logged_ms;
    pthread_mutex_t acceptors_lock;
    struct acceptor *acceptors; /* all that are not over */
    pthread_mutex_t addresses_lock;
    struct map addresses; /* connections by address; the value is the count */
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

/* Whether one more connection from PEER is within the limits; counts it if so. */
bool server_admit(struct server *s, const struct sockaddr_storage *peer);
/* Takes back what server_admit counted. */
void server_leave(struct server *s, const struct sockaddr_storage *peer);

/* Makes FD (owned, also on failure) a connection. ERR_LIMIT when a limit forbids it. START is pool_start or pool_start_next. */
int server_conn_start(struct server *s, int fd, struct listener *l,
                      bool (*start)(struct pool *p, struct task *t, const struct task_kind *kind, int fd)) MUST_USE;

#endif
