/* sessions: who is logged in now, and the end of sessions whose login was taken back.
 *
 * Every login is made in core, and every change that takes logins back is carried out there: the directory tells of accounts, certificates.c of
 * revocations. Both end what is on the server's roll before the administrator's command is answered; a login that was on its way meanwhile
 * is asked about once it is on the roll. Certificates that were shown without a login (LMTP of a relay) end a connection as well.
 *
 * What needs no end, because it is looked up each time it is used: the addresses that somebody may send as (aliases, domains), the groups that he may
 * write to, quotas, lock-outs, limits. */
#ifndef VALISE_ROLE_SESSIONS_H
#define VALISE_ROLE_SESSIONS_H

#include "role/admin.h"
#include "role/core.h"

/* From now on the sessions of C end with their logins. Before its server runs. */
void sessions_watch(struct core *c);
/* Ends the connections that showed the certificate with SERIAL; none without a running server. */
void sessions_end_certificate(struct admin *a, str serial);

/* --- what an administrator may ask; see admin.c for the table --- */

/* ["address"] -> "sessions": each with "id", "protocol", "listener", "address", "peer", "port", "since", "how", "tls", and "certificate" (a serial number) where
 * one was shown. */
json_t *sessions_list(struct admin *a, const json_t *request);
/* "id" or "address" -> "ended": how many. */
json_t *sessions_end(struct admin *a, const json_t *request);

#endif
