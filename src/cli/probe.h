/* probe: does a listener answer? A client's view: connect, TLS where it is implicit, greeting. */
#ifndef VALISE_CLI_PROBE_H
#define VALISE_CLI_PROBE_H

#include "base/err.h"

/* Connects to ADDRESS (numeric; "0.0.0.0" and "::" mean this machine) and PORT, does a TLS handshake when IMPLICIT_TLS (the
 * certificate is not judged: a probe wants to know whether the server answers) says FIRST (empty: nothing) on a plain connection, and reads the first bytes,
 * which must begin with GREETING, or a refusal for want of a client's certificate. Blocks up to MS milliseconds. 0 or an error that E explains. */
int probe_listener(const char *address, unsigned port, bool implicit_tls, str first, str greeting, int64_t ms,
                   struct error *e) MUST_USE;

#endif
