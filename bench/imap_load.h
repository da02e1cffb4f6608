/* imap_load: what its modes share: options, sessions and how they are started. */
#ifndef BENCH_IMAP_LOAD_H
#define BENCH_IMAP_LOAD_H

#include "imap_client.h"
#include "message.h"
#include "smtp_client.h"
#include "stats.h"

struct imap_load_options {
    const char *host, *port, *user, *password, *mailbox, *items, *from, *smtp_port;
    enum net_tls tls, smtp_tls;
    long sessions, count, size, window, iterations, users, first, seconds, at_once, stall;
    int json, hold;
};

struct imap_load_mode;
struct imap_load_session {
    struct imap_client client;
    long index;       /* 0..sessions-1 */
    long round;       /* commands or iterations done */
    long exists;      /* the last EXISTS */
    long lines;       /* untagged FETCH responses in this round */
    unsigned awaited; /* the tag that ends a step */
    int phase;        /* of the mode */
    uint64_t since;   /* when the measured step began */
    uint64_t *begun;  /* fill: when each command of the window began, by tag modulo window */
    struct message message;
};

/* The run of a mode: sessions are started up to at_once at a time, until the mode says that enough have been. */
struct imap_load {
    struct imap_load_options o;
    struct net_loop loop;
    struct net_target target;
    const struct imap_load_mode *mode;
    struct imap_load_session *sessions;
    struct stats_samples samples;
    struct stats_report report;
    long started, logging_in, ready, begun, done, refused, broken;
    uint64_t begin; /* of the measured part: when the first session had logged in */
    uint64_t end;   /* when the last answer came */
    uint64_t bytes;
};
extern struct imap_load load;

struct imap_load_mode {
    const char *name, *help;
    struct imap_client_events on;   /* ready, tagged, untagged, go_ahead; over is the driver's */
    void (*prepare)(void);          /* may be NULL */
    void (*report)(double seconds); /* seconds from begin to end */
    bool single;                    /* one session only */
    bool holds;                     /* waits for standard input: never stalls */
};

/* Counts and prints a refused command. */
void imap_load_refused(struct imap_client *s);
/* Starts sessions until at_once of them are logging in. */
void imap_load_start_more(void);
/* Connects session I (again). */
void imap_load_start(struct imap_load_session *s);
/* Notes EXISTS and FETCH of an untagged response in the session. */
void imap_load_untagged(struct imap_client *s, char *line);

extern const struct imap_load_mode imap_load_fill, imap_load_append, imap_load_login, imap_load_mixed;
extern const struct imap_load_mode imap_load_flags, imap_load_envelope, imap_load_stream;
extern const struct imap_load_mode imap_load_search, imap_load_programs;
extern const struct imap_load_mode imap_load_idle, imap_load_notify, imap_load_visible;

#endif
