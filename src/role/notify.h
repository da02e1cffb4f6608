/* notify: tells the service manager how far we are, by the protocol of sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names. */
#ifndef VALISE_ROLE_NOTIFY_H
#define VALISE_ROLE_NOTIFY_H

#include <stdint.h>

/* Connects to the service manager and takes NOTIFY_SOCKET out of the environment, so that no child speaks for us. Before the sandbox. A descriptor, or -1
 * when there is no manager or it cannot be reached. */
int notify_open(void);
/* Sends STATE, as "READY=1"; lost when nobody listens. FD -1 is accepted. */
void notify_send(int fd, const char *state);
/* How often the manager wants to hear WATCHDOG=1 from this process, in milliseconds: half of what it waits. 0: never. Before any thread. */
int64_t notify_watchdog_ms(void);
/* The same for RELOADING, which wants the time. READY comes when it is done. */
void notify_reloading(int fd);

#endif
