/* imap_client: one IMAP session of a load generator (RFC 9051): greeting, STARTTLS, LOGIN, then commands. */
#ifndef BENCH_IMAP_CLIENT_H
#define BENCH_IMAP_CLIENT_H

#include "net.h"

enum imap_client_step { IMAP_GREETING, IMAP_STARTTLS, IMAP_LOGIN, IMAP_READY, IMAP_LOGOUT };

struct imap_client;
struct imap_client_events {
    void (*ready)(struct imap_client *s);                         /* logged in */
    void (*tagged)(struct imap_client *s, unsigned tag, bool ok); /* its text is in last_text */
    void (*untagged)(struct imap_client *s, char *line);          /* after "* ", up to its first literal */
    void (*go_ahead)(struct imap_client *s);                      /* "+": send the literal; IDLE has begun */
    void (*over)(struct imap_client *s, const char *why);         /* WHY is NULL after LOGOUT */
};

struct imap_client {
    struct net_conn conn;
    const struct net_target *target;
    const struct imap_client_events *on; /* untagged and go_ahead may be NULL */
    void *owner;
    enum imap_client_step step;
    bool within;            /* the next line continues a response after its literal */
    unsigned tag;           /* the last tag given out */
    uint64_t literal_bytes; /* announced since the connection began */
    char user[256], password[256];
    char last_text[256]; /* of the last tagged response */
};

/* Connects S, which is zeroed or over, and logs in. */
void imap_client_start(struct imap_client *s, struct net_loop *loop, const struct net_target *target, const char *user,
                       const char *password, const struct imap_client_events *on, void *owner);
/* Queues one command (without tag and line end) and returns its tag. */
unsigned imap_client_command(struct imap_client *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Queues APPEND with a non-synchronizing literal (RFC 7888) and returns its tag. */
unsigned imap_client_append(struct imap_client *s, const char *mailbox, const char *text, size_t size);
void imap_client_logout(struct imap_client *s);

#endif
