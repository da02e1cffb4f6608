/* deposit: bringing messages into an account's mailboxes through a port, those that are there already left out. Import and restore use it. */
#ifndef VALISE_CLI_DEPOSIT_H
#define VALISE_CLI_DEPOSIT_H

#include "cli/known.h"
#include "store/mail.h"

enum { DEPOSIT_SENT_MAX = 64 }; /* more than the other side lets wait */

/* A message whose fate is not known. */
struct deposit_sent {
    char *what;
    uint64_t bytes;
};

/* Called for a message that was not kept though others can be: WHAT as given to deposit_add. */
typedef void deposit_failed_fn(void *ctx, const char *what, const char *reason);

struct deposit {
    struct port *port;
    struct known *known;        /* of the mailbox that is open; valid while mailbox.n */
    struct map knowns;          /* of every mailbox that this run came to, by its name here */
    struct buf mailbox, called; /* as asked for, and as it is called here */
    struct buf repaired;
    bool ends_lines;           /* the source gives each message's last line an end (an mbox): what lacks it here is the same */
    deposit_failed_fn *failed; /* NULL: nobody */
    void *ctx;
    struct deposit_sent sent[DEPOSIT_SENT_MAX];
    uint64_t sent_n; /* in all */
    uint64_t added, skipped, bytes;
    uint64_t mailboxes;     /* that messages went to, each counted once however often the source comes back to it */
    uint64_t with_nul;      /* messages that the store keeps otherwise than they came, since they hold NULs */
    uint64_t failures;      /* messages that were not kept */
    uint64_t keywords_lost; /* the mailbox had no room for; their messages are kept */
    uint64_t apart_n;       /* mailboxes that could not be called as their folders (mailbox_name_apart) */
    char apart[900];        /* the first of them */
};

/* FAILED is called with CTX during later calls. */
void deposit_init(struct deposit *d, struct port *p, deposit_failed_fn *failed, void *ctx);
void deposit_done(struct deposit *d);
/* Says which mailboxes have another name than what they came from, if any. */
void deposit_tell_names(const struct deposit *d);
/* Messages go to mailbox NAME from now on, which is made when it is not there, under another name where none can be called so. USE is its special use as in bulk.open, may be empty. Flush before: then an
 * error speaks of this mailbox only, and another can be tried. What it has is read when it comes first: what this run brings is never taken for what was there. */
int deposit_mailbox(struct deposit *d, str name, const char *use, struct error *e) MUST_USE;
/* One message, called WHAT in reports. RECEIVED_MS INT64_MIN: now. It is kept when deposit_flush has answered 0 and FAILED was not called. What is there already
 * is left out (known.h); compared is what the store makes of it: a message with NULs is not the one that was in the file. */
int deposit_add(struct deposit *d, str message, const struct mail_flags *flags, int64_t received_ms, const char *what,
                struct error *e) MUST_USE;
int deposit_flush(struct deposit *d, struct error *e) MUST_USE;

#endif
