/* net: one epoll loop with plain and TLS client connections that deliver lines.
 *
 * A connection is embedded in its session (smtp_client, imap_client), which gets events; everything runs in one thread. Output
 * is collected and written once per turn of the loop. A peer's literal is counted and dropped, never stored. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NET_LINE_MAX = 64 * 1024 };

enum net_tls { NET_PLAIN, NET_STARTTLS, NET_IMPLICIT };
/* "no", "starttls" or "implicit" into *RET; -1 for anything else. */
int net_tls_parse(const char *text, enum net_tls *ret);

struct net_target {
    struct sockaddr_storage address;
    socklen_t length;
    enum net_tls tls;
};

enum net_phase { NET_CLOSED, NET_CONNECTING, NET_HANDSHAKE, NET_OPEN };

struct net_conn;
struct net_events {
    void (*open)(struct net_conn *c);                       /* connected; with implicit TLS, the handshake is done */
    void (*secured)(struct net_conn *c);                    /* the handshake begun by net_secure is done */
    void (*line)(struct net_conn *c, char *line, size_t n); /* one line without its end, NUL-terminated */
    void (*closed)(struct net_conn *c, const char *why);    /* the peer or an error ended it; not called after net_close */
};

struct net_loop;
struct net_conn {
    struct net_loop *loop;
    const struct net_events *on;
    void *owner;
    int fd;
    unsigned generation; /* counts connections made with this object: tells a new one with the same descriptor */
    enum net_phase phase;
    bool upgrading; /* the handshake under way is STARTTLS, not implicit */
    bool waits_for_output;
    SSL *ssl;
    size_t skip;       /* bytes still to drop before the next line: set by a line event that announces a literal */
    uint64_t received; /* bytes of payload since the connection began */
    char *in;
    size_t in_used;
    char *out;
    size_t out_start, out_used, out_capacity;
};

struct net_loop {
    int epoll;
    SSL_CTX *tls;
    size_t open;        /* connections that are not closed */
    bool stop;          /* set it to leave net_run */
    bool stalled;       /* net_run left because nothing happened for stall_seconds */
    long stall_seconds; /* 0: wait forever */
    int watch;          /* a descriptor whose end of file stops the loop, or -1 */
};

/* Prepares LOOP: epoll, a TLS context (1.2 or later, no certificate check: the load matters, not the peer's name), and as many
 * descriptors as the system allows. Ends the program when the system refuses. */
void net_loop_init(struct net_loop *loop);
void net_loop_done(struct net_loop *loop);
/* Runs until STOP is set, every connection is closed, or the loop stalls. */
void net_run(struct net_loop *loop);
/* Stops the loop at end of file on FD. */
void net_watch(struct net_loop *loop, int fd);

/* Looks up HOST and PORT. Ends the program with a message when that fails. */
struct net_target net_resolve(const char *host, const char *port, enum net_tls tls);
/* Starts to connect C, which is zeroed or closed; OWNER finds the session in the events. Failure is reported by the closed event,
 * from the loop or at once. */
void net_connect(struct net_conn *c, struct net_loop *loop, const struct net_target *target, const struct net_events *on,
                 void *owner);
/* Begins TLS on an open connection (after the peer agreed to STARTTLS). Plaintext that the peer sent beyond its answer is an error. */
void net_secure(struct net_conn *c);
void net_put(struct net_conn *c, const void *data, size_t n);
void net_printf(struct net_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes what can be written; the rest goes when the peer reads. Called by the loop after every event. */
void net_flush(struct net_conn *c);
void net_close(struct net_conn *c);
/* Closes C and frees its buffers. */
void net_conn_done(struct net_conn *c);

#endif
