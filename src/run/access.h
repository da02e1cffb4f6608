/* access: whom a listener serves and how much of it, as configured: one immutable piece, shared by the connections that began under it. */
#ifndef VALISE_RUN_ACCESS_H
#define VALISE_RUN_ACCESS_H

#include "run/limit.h"

struct access {
    struct ip_networks served;    /* none: everybody */
    struct ip_networks proxies;   /* who must begin with a PROXY header (run/proxy.h); from others it is none */
    struct ip_networks overrides; /* whose word on where a client comes from is taken within the session: XCLIENT */
    bool limited;
    struct limit_rules limits; /* when LIMITED */
};

/* A copy of SETTINGS with one reference, the caller's. */
const struct access *access_new(const struct access *settings);
const struct access *access_ref(const struct access *a);
/* NULL accepted. */
void access_unref(const struct access *a);

#endif
