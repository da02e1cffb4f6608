/* import: key and certificates that another CA has given for a server. See import.c. */
#ifndef VALISE_PKI_IMPORT_H
#define VALISE_PKI_IMPORT_H

#include "pki/pki.h"

struct pki_import_files {
    str chain, key;                    /* what is in the files; at most PKI_PEM_MAX bytes each are looked at */
    const char *chain_name, *key_name; /* what errors call them */
    str server;  /* the name or address that the certificate must be for; "*.example.net" as it stands in the certificate */
    int64_t now; /* seconds since 1970 */
};
struct pki_import {
    struct pki_key *key;          /* the caller's */
    struct pki_description first; /* of the server's certificate, in the arena */
    size_t certificate_n;
    bool is_self_signed;
};
/* Reads F, and appends the certificates alone to CHAIN in PEM, the server's first, each signed by the next. Nothing is compared with any list of
 * trusted roots. ERR_SYNTAX: a file is not what it should be; ERR_REFUSED: the certificate is not for this server, key or time, or its chain is
 * none; ERR_UNSUPPORTED: a kind of key that clients do not know; ERR_LIMIT. The text names the file and what to do. Does not block. */
int pki_import_read(const struct pki_import_files *f, struct arena *a, struct pki_import *ret, struct buf *chain,
                    struct error *e) MUST_USE;

#endif
