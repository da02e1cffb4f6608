/* deposit: bringing messages into an account's mailboxes through a port, those that are there already left out. Import and restore use it. */
#ifndef VALISE_CLI_DEPOSIT_H
#define VALISE_CLI_DEPOSIT_H

#include "cli/port.h"
#include "store/mail.h"

struct deposit {
    struct port *port;
    struct known known; /* of the mailbox that is open; valid while mailbox.n */
    struct buf mailbox;
    uint64_t added, skipped, bytes, mailboxes;
};

void deposit_init(struct deposit *d, struct port *p);
void deposit_done(struct deposit *d);
/* Messages go to mailbox NAME from now on, which is made when it is not there. USE is its special use as in bulk.open, may be empty. */
int deposit_mailbox(struct deposit *d, str name, const char *use, struct error *e) MUST_USE;
/* One message. RECEIVED_MS INT64_MIN: now. It is kept when deposit_flush has answered 0. */
int deposit_add(struct deposit *d, str message, const struct mail_flags *flags, int64_t received_ms, struct error *e) MUST_USE;
int deposit_flush(struct deposit *d, struct error *e) MUST_USE;

#endif
