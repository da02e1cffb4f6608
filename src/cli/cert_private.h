/* cert_private: what the commands around certificates share. */
#ifndef VALISE_CLI_CERT_PRIVATE_H
#define VALISE_CLI_CERT_PRIVATE_H

#include "base/buf.h"
#include "cli/cli.h"
#include "pki/pki.h"

enum { CERT_PATH_MAX = 1024, CERT_NAME_MAX = 253 };

/* "2026-11-23 12:00 UTC". */
void cert_day(int64_t seconds, char out[24]);
/* The path of NAME, a printf format, in the directory. ERR_LIMIT. */
int cert_path(const struct cli *c, char out[CERT_PATH_MAX], struct error *e, const char *name, ...)
    __attribute__((format(printf, 4, 5))) MUST_USE;
/* Puts BYTES into the file PATH below the directory: MODE for an ordinary user; of root's, what is in keys/ is read by keeper's group, what is in tls/
 * is core's, and valise.conf stays as it is. */
int cert_place(const struct cli *c, const char *path, str bytes, unsigned mode, bool replace, struct error *e) MUST_USE;

/* --- cert_server.c --- */

/* The file name that the certificate of server NAME has below tls/ and keys/: a wildcard's star is an underscore, RSA is told from ECDSA. */
void cert_stem(const char *name, bool rsa, char out[CERT_NAME_MAX + 8]);
/* Puts KEY and CHAIN_PEM for server NAME in place, says what to add to valise.conf, or adds it (--install) and reloads. An exit status. */
int cert_server_place(struct cli *c, const char *name, bool rsa, const struct pki_key *key, str chain_pem) MUST_USE;
/* Has the server, if one runs, read configuration and certificates again: 0 with *RET_RUNNING telling which. ERR_REFUSED, and as control_call. */
int cert_reload(const struct cli *c, bool *ret_running, struct error *e) MUST_USE;
/* Whether there are none yet for it: 0, or an exit status after a message. */
int cert_server_is_free(const struct cli *c, const char *name, bool rsa) MUST_USE;

#endif
