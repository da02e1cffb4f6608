/* supervisor_private: what supervisor.c, child.c and bind.c share. */
#ifndef VALISE_ROLE_SUPERVISOR_PRIVATE_H
#define VALISE_ROLE_SUPERVISOR_PRIVATE_H

#include <sys/types.h>

#include "run/log_pump.h"
#include "role/owners.h"
#include "role/role.h"
#include "role/supervisor.h"

struct sockaddr_storage;

enum { SUPERVISOR_CHILDREN_MAX = 70, SUPERVISOR_LANES_MAX = 300, SUPERVISOR_SOCKETS_MAX = 256, SOCKET_PLACE_MAX = 128 };

/* A listening socket. */
struct bound_socket {
    char name[64];                /* of its listener; of one that was just inherited: what the service manager calls it */
    char kind[12];                /* the role that accepts */
    char place[SOCKET_PLACE_MAX]; /* "192.0.2.1 port 25", or a path */
    bool inherited;               /* from the service manager: not ours to unlink, and ours whatever its place */
    uint64_t inode;               /* of the file at a path that we made; 0: there is none */
    int fd;
};
struct socket_set {
    struct bound_socket list[SUPERVISOR_SOCKETS_MAX];
    size_t n;
};

/* A configuration and the certificates it names, read and checked; its sockets, bound. */
struct snapshot {
    struct config *config; /* owned */
    struct arena arena;    /* owns what follows */
    struct wire_identity *identities;
    size_t identity_n;
    str ca_pem; /* empty: there is no ca.pem */
    uint16_t port_offset;
    struct buf notes; /* lines for the administrator: certificates whose time is over or nearly so */
    struct socket_set sockets;
};

/* --- load.c --- */

/* Reads the certificates of CONFIG (owned by the snapshot on success); binds nothing yet. ERR_* with E naming the file. */
int snapshot_load(struct config *config, uint16_t port_offset, struct snapshot **ret, struct error *e) MUST_USE;
void snapshot_free(struct snapshot *s);
/* Adds a line to FRESH's notes for each setting that is another than in FORMER and waits for the next start. */
void snapshot_compare(const struct snapshot *former, struct snapshot *fresh);

struct child {
    char kind[12];
    unsigned instance;
    pid_t pid; /* 0: not running */
    int link;
    struct owner owner; /* as whom it runs; of no meaning unless the supervisor is root */
    int64_t started_ms, restart_at_ms, backoff_ms;
    uint32_t restarts;
    int tally, tally_shown; /* of its limits, writable and read-only; -1: it has none */
    unsigned owed;          /* requests whose answer has not come */
    int64_t broken_ms;      /* since when its link is broken; 0: it is not */
};

struct supervisor {
    const char *dir; /* as the administrator calls it; it is the working directory */
    bool root;       /* started as root: OWNERS is in force */
    struct owners owners;
    int empty_fd;             /* a directory without name and content, where mx lives */
    int null_fd;              /* /dev/null, the roles' standard input */
    struct log_pump *pump;    /* their output and error */
    int log_fd;               /* our own end of it; -1: none yet */
    int landlock_abi;         /* of our own sandbox */
    struct keyring keyring;   /* for keeper; without ring: */
    struct error keyring_gap; /* why there is none */
    struct snapshot *snapshot;
    uint16_t port_offset;
    int lock_fd, dir_fd, signal_fd;
    int notify_fd;                        /* of the service manager; -1: none */
    int64_t watchdog_ms, watchdog_due_ms; /* how often it wants a sign of life, 0: never; when the next is due */
    bool stopping;
    int64_t started_ms;
    struct child children[SUPERVISOR_CHILDREN_MAX];
    size_t child_n;
    int lanes[SUPERVISOR_LANES_MAX]; /* on which core asks */
    size_t lane_n;
    int control_fd; /* -1: not bound */
    uint64_t limits_seed[2];
};

/* --- pairs.c --- */

/* Gives C a lane to and from every running role it talks with. */
int supervisor_connect(struct supervisor *s, struct child *c, struct error *e) MUST_USE;

/* --- supervisor.c --- */

/* A lane on which core asks; owned. */
void supervisor_add_lane(struct supervisor *s, int fd);
/* Reads configuration and certificates again and puts them in force in every role, or in none. */
int supervisor_reload(struct supervisor *s, struct error *e) MUST_USE;

/* --- bind.c --- */

/* The sockets of CONFIG's listeners, those with a path for group CORES ((gid_t)-1: ours) unless they name another: those that FORMER has at the same place are shared, the others bound. Nothing is left open when it fails. */
int sockets_bind(const struct config *config, gid_t cores, uint16_t offset, const struct socket_set *former,
                 struct socket_set *ret, struct error *e) MUST_USE;
/* Closes and forgets those of GONE that STAYS (NULL: none) does not share. */
void sockets_close(struct socket_set *gone, const struct socket_set *stays);
/* "192.0.2.1 port 25", "::1 port 25", or the path. */
void socket_place(const struct sockaddr_storage *sa, char ret[SOCKET_PLACE_MAX]);
/* The control socket in the working directory, for our user alone. A descriptor or an error. */
int control_bind(struct error *e) MUST_USE;

/* --- inherit.c --- */

/* The sockets that a service manager opened for this process; none when there is none. Forgets the variables that told of them. ERR_REFUSED when one
 * is no listening stream socket. */
int sockets_inherit(struct socket_set *ret, struct error *e) MUST_USE;
/* ERR_SYNTAX, with E naming it, when one of INHERITED is not in USED. */
int sockets_all_used(const struct socket_set *inherited, const struct socket_set *used, struct error *e) MUST_USE;

/* --- child.c: each call waits a bounded time for the child's answer --- */

/* What a role starts with beside its link; all stay the caller's. */
struct child_files {
    int null, log; /* its standard input; its output and error */
    int root;      /* the directory to live in; -1: none */
};
/* Executes the role: as its own user when we are root. */
int child_spawn(struct child *c, const struct child_files *files, struct error *e) MUST_USE;
/* Sends one frame with FD (-1: none; stays the caller's) and waits for its answer. */
int child_send(struct child *c, uint16_t type, str payload, int fd, struct error *e) MUST_USE;
/* Sends S as TYPE (WIRE_SETUP or WIRE_PREPARE). */
int child_send_setup(struct child *c, const struct snapshot *s, uint16_t type, struct error *e) MUST_USE;
/* Tells it that all is there and waits until it serves (at most a minute: the store may have to recover; less
 * when the server is to stop). */
int child_start(struct child *c, struct error *e) MUST_USE;
int child_counts(struct child *c, struct wire_counts *ret) MUST_USE;
/* Appends what it counts to B, packed as one text. */
int child_metrics(struct child *c, struct buf *b) MUST_USE;
int child_stop(struct child *c, uint32_t grace_ms) MUST_USE;
bool child_is_running(const struct child *c);
/* Ends, for the reason in E, a running role that is of no use, such as one that does not take a lane: it is reaped and started anew like one that died by
 * itself. */
void child_give_up_on(const struct child *c, const struct error *e);
/* Whether its link is broken: it will answer nothing more. Does not wait. */
bool child_is_cut_off(const struct child *c);
/* Kills and reaps it. */
void child_kill(struct child *c);
/* It has been reaped: forget it. */
void child_gone(struct child *c);

#endif
