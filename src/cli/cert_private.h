/* cert_private: what the commands around certificates share. */
#ifndef VALISE_CLI_CERT_PRIVATE_H
#define VALISE_CLI_CERT_PRIVATE_H

#include "base/buf.h"
#include "cli/cli.h"
#include "pki/pki.h"

enum { CERT_PATH_MAX = 1024, CERT_NAME_MAX = 253 };

/* Makes C's directory its whole path, in DIR, since a command without a server goes into it. 0, or an exit status after a message. */
int cert_directory(struct cli *c, char dir[CERT_PATH_MAX]) MUST_USE;
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
/* What there is for a server and a kind of key. */
struct cert_there {
    const char *name;
    char stem[CERT_NAME_MAX + 8];
    char chain[CERT_NAME_MAX + 24], key[CERT_NAME_MAX + 24]; /* below the directory */
    bool is_there;                                           /* either of them */
    bool is_readable;                                        /* both, and the chain is one */
    bool is_ours;                                            /* our CA has signed it */
    bool is_named;                                           /* valise.conf names the chain */
    struct pki_description description;                      /* when is_readable */
};
/* Looks for it, DESCRIPTION in A. 0, or an exit status after a message. */
int cert_server_look(const struct cli *c, const char *name, bool rsa, struct arena *a, struct cert_there *ret) MUST_USE;
/* Puts KEY and CHAIN_PEM where THERE says, in place of what is there; adds the section to valise.conf (--install) or says what to add, and reloads when
 * valise.conf names it. At each moment there is a key for the chain. An exit status. */
int cert_server_place(struct cli *c, const struct cert_there *there, const struct pki_key *key, str chain_pem) MUST_USE;
/* Has the server, if one runs, read configuration and certificates again: 0 with *RET_RUNNING telling which. ERR_REFUSED, and as control_call. */
int cert_reload(const struct cli *c, bool *ret_running, struct error *e) MUST_USE;

#endif
