/* control: the socket in the valise directory on which an administrator's commands reach core. One JSON object a line each way;
 * who may open the socket (mode 0600: root and the valise user) may do everything. */
#ifndef VALISE_ROLE_CONTROL_H
#define VALISE_ROLE_CONTROL_H

#include "role/admin.h"
#include "run/conn.h"

enum { CONTROL_LINE_MAX = 60000 };

/* The listener's context is the struct core. */
extern const struct conn_ops control_session_ops;

/* The asking side: sends REQUEST to the server that runs in DIR, waits up to DEADLINE_MS. ERR_UNAVAILABLE when none runs,
 * ERR_UNKNOWN when it ended meanwhile. The reply is the caller's. Blocks. */
int control_call(const char *dir, const json_t *request, int64_t deadline_ms, json_t **ret, struct error *e) MUST_USE;
/* The same for a conversation (role/bulk.h): a connected descriptor, the caller's, or ERR_UNAVAILABLE, ERR_REFUSED, ERR_LIMIT, ERR_IO. */
int control_connect(const char *dir, struct error *e) MUST_USE;

#endif
