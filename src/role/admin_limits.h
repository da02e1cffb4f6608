/* admin_limits: the limits as `valise status` tells them. */
#ifndef VALISE_ROLE_ADMIN_LIMITS_H
#define VALISE_ROLE_ADMIN_LIMITS_H

#include "role/admin.h"
#include "role/role.h"

/* The limits of configuration C and what the server has counted; null when it counts nothing. A->run is not NULL. Blocks on the directory. */
json_t *admin_limits(struct admin *a, const struct config *c);

/* Appends the same in numbers to OUT (base/metric.h). */
void admin_limit_metrics(struct admin *a, struct buf *out);
/* NETWORKS as an array of texts. */
json_t *admin_networks(struct ip_networks networks);

#endif
