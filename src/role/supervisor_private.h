/* supervisor_private: what supervisor.c, child.c and bind.c share. */
#ifndef VALISE_ROLE_SUPERVISOR_PRIVATE_H
#define VALISE_ROLE_SUPERVISOR_PRIVATE_H

#include <sys/types.h>

#include "role/role.h"
#include "role/supervisor.h"

enum { SUPERVISOR_CHILDREN_MAX = 70, SUPERVISOR_LANES_MAX = 300, SUPERVISOR_SOCKETS_MAX = 256 };

/* A configuration and the certificates it names, read and checked. */
struct snapshot {
    struct config *config; /* owned */
    struct arena arena;    /* owns what follows */
    struct wire_identity *identities;
    size_t identity_n;
    str ca_pem; /* empty: there is no ca.pem */
    uint16_t port_offset;
    struct buf notes; /* lines for the administrator: certificates whose time is over or nearly so */
};

/* Reads the certificates of CONFIG (owned by the snapshot on success). ERR_* with E naming the file. */
int snapshot_load(struct config *config, uint16_t port_offset, struct snapshot **ret, struct error *e) MUST_USE;
void snapshot_free(struct snapshot *s);
/* Whether FRESH may replace FORMER while the server runs: ERR_REFUSED when its listeners are others. Adds a line to FRESH's notes
 * for each changed setting that waits for the next start. */
int snapshot_compare(const struct snapshot *former, struct snapshot *fresh, struct error *e) MUST_USE;

struct child {
    char kind[12];
    unsigned instance;
    pid_t pid; /* 0: not running */
    int link;
    int64_t started_ms, restart_at_ms, backoff_ms;
    uint32_t restarts;
    unsigned owed; /* requests whose answer has not come */
};

struct bound_socket {
    char name[64]; /* the listener's */
    char kind[12]; /* the role that accepts */
    int fd;
};

struct supervisor {
    struct snapshot *snapshot;
    uint16_t port_offset;
    int lock_fd, signal_fd;
    int notify_fd; /* of the service manager; -1: none */
    bool stopping;
    int64_t started_ms;
    struct child children[SUPERVISOR_CHILDREN_MAX];
    size_t child_n;
    int lanes[SUPERVISOR_LANES_MAX]; /* on which core asks */
    size_t lane_n;
    struct bound_socket sockets[SUPERVISOR_SOCKETS_MAX];
    size_t socket_n;
};

void supervisor_add_lane(struct supervisor *s, int fd);
/* Reads configuration and certificates again and puts them in force in every role, or in none. */
int supervisor_reload(struct supervisor *s, struct error *e) MUST_USE;

/* --- bind.c --- */

/* Binds every listener: while we are root, if we are. */
int bind_listeners(struct supervisor *s, struct error *e) MUST_USE;
/* Binds the control socket in the working directory: as the server's user, whose socket it is. */
int bind_control(struct supervisor *s, struct error *e) MUST_USE;
void close_sockets(struct supervisor *s);
/* Changes to user NAME but keeps the right to bind low ports; nothing when not root or NAME is empty. */
int supervisor_drop_user(str name, struct error *e) MUST_USE;

/* --- child.c: each call waits a bounded time for the child's answer --- */

/* Executes the role. */
int child_spawn(struct child *c, struct error *e) MUST_USE;
/* Sends one frame with FD (-1: none; stays the caller's) and waits for its answer. */
int child_send(struct child *c, uint16_t type, str payload, int fd, struct error *e) MUST_USE;
/* Sends S as TYPE (WIRE_SETUP or WIRE_PREPARE). */
int child_send_setup(struct child *c, const struct snapshot *s, uint16_t type, struct error *e) MUST_USE;
/* Tells it that all is there and waits until it serves (at most a minute: the store may have to recover; less
 * when the server is to stop). */
int child_start(struct child *c, struct error *e) MUST_USE;
int child_counts(struct child *c, struct wire_counts *ret) MUST_USE;
int child_stop(struct child *c, uint32_t grace_ms) MUST_USE;
/* Kills and reaps it. */
void child_kill(struct child *c);
/* It has been reaped: forget it. */
void child_gone(struct child *c);

#endif
