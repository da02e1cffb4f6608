/* ca_names: the list of names for which the CA of this directory may issue (pki/names.h), read from beside its key by keeper at each order, also that of a
 * command without a server. Core has no way to it. */
#ifndef VALISE_ROLE_CA_NAMES_H
#define VALISE_ROLE_CA_NAMES_H

#include "pki/pki.h"

/* Reads the list in the working directory, which is keys/, into A. A directory of an older valise has none: then it is the domain that the CA's certificate CA_PEM is
 * named for, with what every CA may issue for. ERR_SYNTAX, ERR_LIMIT, ERR_REFUSED, ERR_IO. Blocks on the disk. */
int ca_names_read(str ca_pem, struct arena *a, struct pki_names *ret, struct error *e) MUST_USE;
/* The list for a CA that has none: as ca_names_read makes it. In A. ERR_SYNTAX, ERR_LIMIT. */
int ca_names_old(str ca_pem, struct arena *a, struct pki_names *ret, struct error *e) MUST_USE;
/* ca_names_read and pki_names_check of ORDER; HOSTNAME is the server's. */
int ca_names_check(str ca_pem, str hostname, const struct pki_order *order, struct error *e) MUST_USE;

#endif
