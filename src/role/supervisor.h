/* supervisor: starts the roles, restarts the ones that die, reloads, stops. The only process that reads the configuration file
 * and binds ports, and the only one that sees nothing of the network's data. Single-threaded: one poll loop over a signalfd and
 * the lanes of core. */
#ifndef VALISE_ROLE_SUPERVISOR_H
#define VALISE_ROLE_SUPERVISOR_H

#include "config/config.h"

struct supervisor_settings {
    const char *dir; /* the valise directory; becomes the working directory */
    uint16_t port_offset;
    /* Called once, when every role has started; CTX is the caller's. */
    void (*ready)(void *ctx, const struct config *config);
    void *ctx;
};

/* Runs the server until SIGTERM or SIGINT. Returns 0 after an orderly end, else an error that E explains. */
int supervisor_run(const struct supervisor_settings *settings, struct error *e) MUST_USE;

struct buf;
/* Reads the configuration of DIR, and the certificates that it names, as a start would, without starting: *RET is the caller's, freed with
 * config_free, and NOTES gets a line for what the server would warn of. DIR becomes the working directory. E names file and line. */
int supervisor_check(const char *dir, struct config **ret, struct buf *notes, struct error *e) MUST_USE;

#endif
