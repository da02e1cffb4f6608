/* role: what every process below the supervisor has in common: the start dialogue, the sandbox, TLS with keys in keeper, reload, stop.
 *
 * A role is this same program executed as `valise role NAME` with one descriptor, its link to the supervisor. Over the link come, each
 * answered: setup (configuration text, certificate chains), listeners, lanes to and from other roles, start. On start the role enters its
 * sandbox, then opens what it needs, then serves until it is told to stop or the supervisor dies. */
#ifndef VALISE_ROLE_ROLE_H
#define VALISE_ROLE_ROLE_H

#include "role/config.h"
#include "role/wire.h"
#include "run/sandbox.h"
#include "run/server.h"
#include "run/tls.h"

enum { ROLE_LINK_FD = 3, ROLE_LISTENERS_MAX = 256, ROLE_LANES_MAX = 128 };

struct role_listener {
    char name[64];
    int fd;
};

/* One running role; lives as long as the process. */
struct role_run {
    const struct role *role;
    struct arena arena;                        /* the setup's memory; a reload adds a new generation, the old stays for its sessions */
    struct config *config;
    uint16_t port_offset;
    unsigned instance;
    const struct wire_identity *identities;
    size_t identity_n;
    struct server *server;
    struct tls_holder *tls;                    /* NULL in keeper */
    struct channel *keeper, *core, *supervisor;/* lanes to ask on; NULL when this role may not */
    struct role_listener listeners[ROLE_LISTENERS_MAX];
    size_t listener_n;
    struct slot *slots;                        /* of the listeners that are served */
    void *state;                               /* the role's own */
};

struct role {
    const char *name;
    const struct sandbox_profile *profile;
    bool wants_tls;
    /* In the sandbox, before any thread: opens what the role needs and adds its listeners to r->server. */
    int (*start)(struct role_run *r, struct error *e);
    /* The table of requests that PEER may make here; NULL when none. */
    const struct channel_service *(*service_for)(struct role_run *r, str peer);
    /* r->config is new; the former one stays allocated. NULL: nothing to do. */
    int (*reload)(struct role_run *r, struct error *e);
    /* After the server has ended: close what was opened. */
    void (*end)(struct role_run *r);
};

extern const struct role role_keeper, role_mx, role_core;

/* Adds every descriptor of listener L to the server with session OPS and context CTX (NULL: out of memory); called again for the same listener
 * it makes future connections use CTX, while running ones keep theirs. CTX must live as long as the process. */
int role_listen(struct role_run *r, const struct config_listener *l, const struct conn_ops *ops, const void *ctx, struct error *e) MUST_USE;

/* Runs role NAME until it ends. Returns the process's exit status. */
int role_main(const char *name);

/* The sandbox of the supervisor; the others' profiles are in their struct role. */
extern const struct sandbox_profile role_supervisor_profile;
extern const struct sandbox_profile role_keeper_profile, role_mx_profile, role_core_profile;

#endif
