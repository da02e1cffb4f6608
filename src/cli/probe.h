/* probe: does a listener answer? A client's view: connect, TLS where it is implicit, greeting. */
#ifndef VALISE_CLI_PROBE_H
#define VALISE_CLI_PROBE_H

#include "base/err.h"

/* Connects to ADDRESS (numeric; "0.0.0.0" and "::" mean this machine) and PORT, does a TLS handshake when IMPLICIT_TLS (the
 * certificate is not judged: a probe wants to know whether the server answers) says FIRST on a plain connection, and reads the first bytes,
 * which must begin with GREETING, or a refusal for want of a client's certificate or because of our network. Blocks up to MS milliseconds. 0 or an
 * error that E explains. */
struct probe {
    const char *address;
    unsigned port;
    bool implicit_tls;
    bool as_proxy; /* the listener awaits a PROXY header from us */
    str first;     /* empty: nothing */
    str greeting;
};
int probe_listener(const struct probe *p, int64_t ms, struct error *e) MUST_USE;

#endif
