/* plain: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00), where the client sends the password itself.
 *
 * GNU SASL knows them, but frees the copies that it makes of a password without wiping them, and has no hook for it; so what it does is done
 * here, and names and passwords are prepared as it does (RFC 4013, by its own function). */
#ifndef VALISE_SASL_PLAIN_H
#define VALISE_SASL_PLAIN_H

#include "sasl/sasl.h"

/* Takes the client's message apart, into buffers whose maxima are the limits. ERR_SYNTAX, ERR_LIMIT. */
int plain_take(str message, struct buf *authcid, struct buf *authzid, struct buf *password) MUST_USE;
/* The same for LOGIN, whose name and password come one after the other. */
int plain_take_name(str name, struct buf *authcid) MUST_USE;
int plain_take_password(str text, struct buf *password) MUST_USE;

#endif
