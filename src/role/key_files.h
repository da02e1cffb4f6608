/* key_files: which file of keys/ holds the private key of a certificate, and what is in the way where none does: asked before a start, and by keeper that
 * has found none. */
#ifndef VALISE_ROLE_KEY_FILES_H
#define VALISE_ROLE_KEY_FILES_H

#include "role/owners.h"

/* Looks in FOLDER, "keys" or for keeper ".", for the key ID (pki_key_id) of the certificate CHAIN, as "tls/server.pem". KEEPER, when not NULL, must be able to read
 * it. 0, or ERR_NOTFOUND with the reason and what to do. Blocks on the disk. */
int key_files_find(const char *folder, str chain, str id, const struct owner *keeper, struct error *e) MUST_USE;

#endif
