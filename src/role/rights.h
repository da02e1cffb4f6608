/* rights: what keeper does for whom. A key has a purpose, and the right to use it is (role, purpose, operation): one table, printed by
 * `valise role rights`. A new kind of key is a purpose and its rows here; its operations are offered to the roles that have one of them. Pure. */
#ifndef VALISE_ROLE_RIGHTS_H
#define VALISE_ROLE_RIGHTS_H

#include <jansson.h>

#include "config/config.h"

enum rights_role { RIGHTS_MX, RIGHTS_CORE };
enum rights_purpose {
    RIGHTS_TLS_MX,       /* keys of certificates that mx shows */
    RIGHTS_TLS_CORE,     /* keys of those that core shows; a key may have both */
    RIGHTS_TICKETS_MX,   /* of sessions that mx began */
    RIGHTS_TICKETS_CORE, /* of those that core began */
    RIGHTS_CA,
    RIGHTS_SEAL,
    RIGHTS_LOGINS /* verifiers of passwords that were right */
};
enum rights_operation {
    RIGHTS_SIGN_13, /* a server's CertificateVerify */
    RIGHTS_SIGN_12, /* a server's ServerKeyExchange */
    RIGHTS_HAND_OUT,
    RIGHTS_ISSUE,
    RIGHTS_DO_SEAL,
    RIGHTS_DO_UNSEAL,
    RIGHTS_ASK_LOGIN,
    RIGHTS_REMEMBER_LOGIN,
    RIGHTS_FORGET_LOGIN
};
enum { RIGHTS_ROLES = RIGHTS_CORE + 1, RIGHTS_PURPOSES = RIGHTS_LOGINS + 1, RIGHTS_OPERATIONS = RIGHTS_FORGET_LOGIN + 1 };

/* Whether ROLE may do OPERATION with a key that has one of PURPOSES, a set of bits 1 << enum rights_purpose. What is in no row is forbidden. */
bool rights_allow(enum rights_role role, unsigned purposes, enum rights_operation operation);
/* Whether ROLE may do OPERATION with any key at all. */
bool rights_offer(enum rights_role role, enum rights_operation operation);

/* The role that speaks PROTOCOL. */
enum rights_role rights_role_of(enum config_protocol protocol);
/* The purposes of the key of certificate I of C: the roles that have a listener with TLS to which it is shown. None: nobody may use it. */
unsigned rights_of_certificate(const struct config *c, size_t i);

const char *rights_role_name(enum rights_role role);
/* The table as JSON, the caller's: rights[] {role purpose operations[] keys}. */
json_t *rights_json(void);

#endif
