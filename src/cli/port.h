/* port: where much mail goes in and out (role/bulk.h), the same whether the server runs or not: without one a process of our own opens the store as its owner,
 * so that we keep the rights to read and write what the administrator named. */
#ifndef VALISE_CLI_PORT_H
#define VALISE_CLI_PORT_H

#include <sys/types.h>

#include "role/bulk.h"

struct port {
    struct bulk_client client;
    pid_t pid; /* of our own process; 0: the server */
};

/* To the server in DIR, or else to the store there. */
int port_open(const char *dir, struct port *ret, struct error *e) MUST_USE;
/* To the store in the open directory TOP, called NAME, which is no server's: the process becomes the store's owner before it opens it, and has no
 * other descriptor of ours. */
int port_open_store(int top, const char *name, struct port *ret, struct error *e) MUST_USE;
void port_close(struct port *p);

/* Calls FN with each entry of MAILBOX (as in bulk.list); what it returns other than 0 ends it. */
int port_each(struct port *p, str mailbox, int (*fn)(void *ctx, const json_t *entry, struct error *e), void *ctx,
              struct error *e) MUST_USE;

#endif
