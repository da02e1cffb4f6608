/* smtp_client: one SMTP session of a load generator (RFC 5321): greeting, EHLO, STARTTLS, AUTH PLAIN, then messages. */
#ifndef BENCH_SMTP_CLIENT_H
#define BENCH_SMTP_CLIENT_H

#include "net.h"

struct smtp_client_options {
    struct net_target target;
    const char *user, *password; /* AUTH PLAIN when user is not NULL */
    bool pipelining;             /* MAIL, RCPT and DATA in one write (RFC 2920) */
};

enum smtp_client_step {
    SMTP_GREETING,
    SMTP_EHLO,
    SMTP_STARTTLS,
    SMTP_AUTH,
    SMTP_READY,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_BODY,
    SMTP_RSET,
    SMTP_QUIT
};

struct smtp_client;
struct smtp_client_events {
    /* The session may be given a message, or told to quit. */
    void (*ready)(struct smtp_client *s);
    /* A message was answered with CODE: 250, or the first refusal. LATENCY: nanoseconds from the final dot to the answer. */
    void (*answered)(struct smtp_client *s, int code, uint64_t latency);
    /* It is over; WHY is NULL after an orderly QUIT. */
    void (*over)(struct smtp_client *s, const char *why);
};

struct smtp_client {
    struct net_conn conn;
    const struct smtp_client_options *options;
    const struct smtp_client_events *on;
    void *owner;
    enum smtp_client_step step;
    bool secured;
    int refused; /* first refusal within the message under way, or 0 */
    char from[256], to[256];
    const char *body;
    size_t body_size;
    uint64_t dot_at;      /* when the final dot was handed to the kernel or queued */
    char last_error[256]; /* the refusal's text */
};

/* Connects S, which is zeroed or over. */
void smtp_client_start(struct smtp_client *s, struct net_loop *loop, const struct smtp_client_options *options,
                       const struct smtp_client_events *on, void *owner);
/* Sends one message; only in a ready event or while ready. BODY has CRLF line ends, is dot-stuffed, and stays until answered. */
void smtp_client_send(struct smtp_client *s, const char *from, const char *to, const char *body, size_t size);
void smtp_client_quit(struct smtp_client *s);

#endif
