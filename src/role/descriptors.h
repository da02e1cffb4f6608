/* descriptors: what each role does with the descriptors that its process may have. The same plan is made by the supervisor, to tell what does not
 * fit, and by the role, to keep to it. */
#ifndef VALISE_ROLE_DESCRIPTORS_H
#define VALISE_ROLE_DESCRIPTORS_H

#include "config/config.h"

enum { DESCRIPTORS_SUPERVISOR_LANES = 8 };
enum descriptors_role { DESCRIPTORS_KEEPER, DESCRIPTORS_MX, DESCRIPTORS_CORE };

struct descriptors_plan {
    unsigned connections, turned_away; /* at a time; the second are being told that there are too many */
    unsigned control;                  /* connections to the control socket, beside them */
    unsigned workers, lanes;           /* threads; lanes of one peer */
    unsigned store_files;              /* that RocksDB keeps open; 0: no store */
    unsigned reserve; /* for store, control socket, lanes and what workers hold: no connection or body gets at these */
};

/* The plan of ROLE under C with LIMIT descriptors: what was asked for where it fits. Kept for what is not a connection is at most about half of LIMIT. ERR_LIMIT
 * with E, which says how many are needed, when there is no room for CONNECTIONS_MIN. */
int descriptors_plan(const struct config *c, enum descriptors_role role, unsigned limit, struct descriptors_plan *ret,
                     struct error *e) MUST_USE;

/* Whether fewer connections fit than somebody wrote down, or than a server should have: text for a note in TEXT then, with what to do. */
enum { DESCRIPTORS_TEXT_MAX = 320 };
bool descriptors_are_few(const struct config *c, unsigned limit, char text[DESCRIPTORS_TEXT_MAX]);

#endif
