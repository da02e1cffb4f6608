/* ca_notes: what an administrator should know of the CA and of the certificates that it keeps alive, in words with the next step. */
#ifndef VALISE_ROLE_CA_NOTES_H
#define VALISE_ROLE_CA_NOTES_H

#include "role/admin.h"

/* An array of lines, the caller's: a CA that speaks for everybody, whose time ends soon or that does not speak for a domain of ours; certificates of the
 * configuration that it issued and would not renew. Empty when all is well or there is no CA. Blocks. */
json_t *ca_notes(struct admin *a);
/* Adds to V, the status of the certificate PEM of the configuration, "renewal": why our CA in CA_PEM, which issued it, would not renew it. Nothing when it
 * would, and for one of another CA. Blocks. */
void ca_notes_add_renewal(struct admin *a, json_t *v, str pem, str ca_pem);

#endif
