/* role: what every process below the supervisor has in common: the start dialogue, the sandbox, TLS with keys in keeper, reload,
 * stop.
 *
 * A role is this same program executed as `valise role NAME` with its link to the supervisor as one descriptor and, where it has a directory to live
 * in (keeper: keys/; mx: an empty one without a name), that as another. Started by root it is executed as its own user. Over the link come,
 * each answered: setup (configuration text, certificate chains), listening sockets, lanes to and from other roles, start. On start the
 * role enters its sandbox, then opens what it needs, then serves until it is told to stop, its link breaks or the supervisor dies.
 *
 * A reload has two steps: prepare brings a new setup, of which everything that can fail is done and kept aside, and all listening sockets again;
 * commit puts it in force and cannot fail. The supervisor commits only when every role is prepared, so that roles never disagree. */
#ifndef VALISE_ROLE_ROLE_H
#define VALISE_ROLE_ROLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "config/config.h"
#include "role/descriptors.h"
#include "role/quiet.h"
#include "role/rights.h"
#include "role/wire.h"
#include "run/keyring.h"
#include "run/sandbox.h"
#include "run/server.h"
#include "run/tls.h"

enum {
    ROLE_LINK_FD = 3,
    ROLE_ROOT_FD = 4,
    ROLE_LISTENERS_MAX = 256,
    ROLE_LISTENER_NAME_MAX = 63,
    ROLE_LANES_MAX = 128,
    ROLE_CUT_OFF_MS = 2000, /* how long sessions may take to end when the link to the supervisor is broken */
    ROLE_ADDED_MAX = 65536  /* what the server puts in front of a message */
};

struct role_listener {
    char name[ROLE_LISTENER_NAME_MAX + 1];
    int fd;
};

/* One setup, immutable once in force. Each session holds a reference to the one it began with; the last who leaves frees it. */
struct role_snapshot {
    atomic_uint refs;
    struct arena arena; /* owns all below but the configuration */
    struct config *config;
    uint16_t port_offset;
    unsigned instance;
    const struct wire_identity *identities;
    size_t identity_n;
    str ca_pem;                   /* our own CA's certificate; empty: there is none */
    const void **contexts;        /* for the sessions of each listener of the configuration; NULL: another role's */
    const struct access **access; /* of the same listeners */
    struct tls_context *tls;      /* NULL: no certificates, or a role without TLS */
};

/* One running role; lives as long as the process. */
struct role_run {
    const struct role *role;
    struct arena arena;                       /* as long as the process */
    pthread_mutex_t lock;                     /* guards snapshot and pending */
    struct role_snapshot *snapshot, *pending; /* in force; prepared and not committed yet (NULL: none) */
    struct server *server;
    struct tls_holder *tls;                             /* NULL in keeper */
    struct limits *limits;                              /* NULL in keeper */
    struct channel *keeper, *core, *supervisor;         /* to ask on; each says "not running" until a lane comes */
    struct role_listener listeners[ROLE_LISTENERS_MAX]; /* came since the last commit, to be served by the next */
    size_t listener_n;
    struct descriptors_plan plan;
    struct keyring keyring; /* of keeper; without ring where the kernel gives none */
    uint64_t file_max;      /* role_spool_max of the configuration that it was started with */
    unsigned generation;    /* of listeners: commits so far */
    atomic_bool ending;     /* told to stop, or cut off */
    struct quiet quiet;     /* its memory was given back */
    void *state;            /* the role's own */
};

struct role {
    const char *name;
    const struct sandbox_profile *profile;
    enum descriptors_role descriptors;
    bool
        has_root; /* ROLE_ROOT_FD is its working directory from the sandbox on, and its root directory if we were started by root */
    const char *alpn; /* of its TLS, see tls_context_new; NULL: it has none */
    unsigned tls;     /* with alpn: the purpose of the keys of its certificates, a bit 1 << enum rights_purpose */
    bool strangers;   /* it reads what anybody sends: no file that it writes may be larger than a message (role_spool_max) */
    /* In the sandbox, before any thread: opens what the role needs. The first snapshot is r->snapshot; it is prepared after this.
     * */
    int (*start)(struct role_run *r, struct error *e);
    /* The table of requests that PEER may make here; NULL when none. */
    const struct channel_service *(*service_for)(struct role_run *r, str peer);
    /* What speaks on listener L; NULL for another role's. The function may be NULL: no listeners. */
    const struct conn_ops *(*protocol)(const struct config_listener *l);
    /* The context of the sessions on L, allocated in S; NULL: no memory. */
    const void *(*context)(struct role_run *r, struct role_snapshot *s, const struct config_listener *l);
    /* Whether the client's certificate with SERIAL was revoked; one that cannot be looked up counts as such. May block. NULL: none is. */
    bool (*is_revoked)(struct role_run *r, str serial);
    /* Checks S and makes what commit will put in force. May be called again without a commit between. NULL: nothing to do. */
    int (*prepare)(struct role_run *r, const struct role_snapshot *s, struct error *e);
    /* What was prepared last is in force from now on. NULL: nothing to do. */
    void (*commit)(struct role_run *r);
    /* Adds to RET what it counts itself, for status. NULL: nothing. */
    void (*count)(struct role_run *r, struct wire_counts *ret);
    /* Gives back what it keeps for the next use: it has worked and is quiet now. NULL: nothing to do. */
    void (*rest)(struct role_run *r);
    /* After the server has ended: close what was opened. NULL: nothing to do. */
    void (*end)(struct role_run *r);
};

extern const struct role role_keeper, role_mx, role_core;

/* The largest message by SMTP in bytes as it is kept while it comes in: by half more where a part of any bytes was encoded, and what the server puts
 * in front of it. */
uint64_t role_spool_max(const struct config *c);
/* From now on this process can make no file larger than MAX: a write beyond is an error (EFBIG), no signal. */
int role_bound_files(uint64_t max, struct error *e) MUST_USE;

/* Runs role NAME until it ends. Returns the process's exit status; -1 when there is no such role. */
int role_main(const char *name);

/* --- snapshot.c --- */

/* Takes in the setup in memfd FD: parsed and checked, one reference for the caller; without contexts and TLS yet. */
int role_snapshot_new(int fd, struct role_snapshot **ret, struct error *e) MUST_USE;
/* A reference to the snapshot in force. Thread-safe. */
struct role_snapshot *role_snapshot_get(struct role_run *r);
/* NULL accepted. */
void role_snapshot_unref(struct role_snapshot *s);
/* The context of each listener in S by the role's own function. */
int role_snapshot_fill(struct role_run *r, struct role_snapshot *s, struct error *e) MUST_USE;
/* Serves the listeners that have come, each as S says of its name, and accepts no more on those of the former call; their sessions go on. Every
 * listener is closed or served after it. The first one that could not be is the error. */
int role_listen(struct role_run *r, struct role_snapshot *s, struct error *e) MUST_USE;
/* Closes the listeners that have come. */
void role_listeners_drop(struct role_run *r);

/* The sandbox of the supervisor; the others' profiles are in their struct role. */
extern const struct sandbox_profile role_supervisor_profile;
extern const struct sandbox_profile role_keeper_profile, role_mx_profile, role_core_profile;

#endif
