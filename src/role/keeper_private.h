/* keeper_private: what keeper_aide.c uses of keeper.c. */
#ifndef VALISE_ROLE_KEEPER_PRIVATE_H
#define VALISE_ROLE_KEEPER_PRIVATE_H

#include "role/role.h"

struct keeper;

/* A keeper without a server: no keys of handshakes, only what a command may ask, with what it needs of CONFIG; CA_PEM may be
 * empty. Never freed. */
struct keeper *keeper_alone(struct config *config, str ca_pem);
/* What core may ask of K. */
const struct channel_service *keeper_service_of_core(struct keeper *k);

#endif
