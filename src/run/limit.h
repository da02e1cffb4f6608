/* limit: how much one address, network or account may do, true for all processes that serve a protocol.
 *
 * Each serving process has a *tally*: a table in shared memory, made by the supervisor, that this process alone can write and its
 * siblings can read. A limit compares the sum over the tallies with its maximum, so it holds for the server and not for a process, without
 * a question to anybody. What is counted belongs to a group (a protocol): strangers on port 25 cannot use up what people have at their
 * mailboxes, even through a process that has been taken over.
 *
 * Rates are counted over a sliding window: this period's events, and the former period's by the share of it that is still within
 * one period's reach. What was refused is not counted, so whoever slows down is served again. */
#ifndef VALISE_RUN_LIMIT_H
#define VALISE_RUN_LIMIT_H

#include "base/ip.h"

/* Who is counted. */
enum limit_scope { LIMIT_ADDRESS, LIMIT_NETWORK, LIMIT_ACCOUNT, LIMIT_SCOPES };
/* What is counted: connections at a time, then events in a time. */
enum limit_kind {
    LIMIT_CONNECTIONS,
    LIMIT_CONNECTION_RATE,
    LIMIT_MESSAGES,
    LIMIT_RECIPIENTS,
    LIMIT_ERRORS,
    LIMIT_JUNK,
    LIMIT_UNKNOWN,
    LIMIT_KINDS
};
enum { LIMIT_GROUPS = 5, LIMIT_PERIOD_MAX_S = 7 * 86400, LIMIT_TEXT_MAX = 160 };

struct limit {
    uint32_t max;      /* 0: none */
    uint32_t period_s; /* of rates */
};

/* The limits of one group. Immutable while connections use it. */
struct limit_rules {
    uint8_t group; /* below LIMIT_GROUPS */
    struct limit limits[LIMIT_KINDS][LIMIT_SCOPES];
    uint8_t address_bits_6;                 /* what counts as one address of IPv6: a subscriber has a /64 at least (RFC 6177) */
    uint8_t network_bits_4, network_bits_6; /* what counts as one network */
    struct ip_networks exempt;              /* whom the limits of address and network are not for */
};

/* Which limit somebody ran into. */
struct limit_strike {
    enum limit_kind kind;
    enum limit_scope scope;
    struct limit limit;
};

struct limit_key {
    uint64_t words[3]; /* group and scope, then the address or the account */
};

/* What is counted for one connection, and where. Zero: nothing. */
struct limit_hold {
    struct limit_key keys[LIMIT_SCOPES];
    uint32_t slots[LIMIT_SCOPES]; /* that count it as a connection, from 1; 0: none */
    uint8_t has;                  /* bits: which keys are set */
};

/* The tallies as one process sees them. Thread-safe, never blocks but for a short lock. */
struct limits;

/* A descriptor of a fresh tally, for whoever starts the processes; the seed is the same for all tallies of a server. Negative: ERR_*. */
int limits_tally_create(const uint64_t seed[2]);
/* The same tally, read-only. Negative: ERR_*. */
int limits_tally_share(int fd);
/* Forgets all that is counted in tally FD, whose process has ended. */
void limits_tally_clear(int fd, const uint64_t seed[2]);

/* OWN: descriptor of the process's own tally (stays the caller's), or -1 for one in private memory. ERR_* with E. */
int limits_new(int own, struct limits **ret, struct error *e) MUST_USE;
/* Adds the tally of a sibling, read-only; SUMMED: it counts towards the limits, otherwise only for reports. FD stays the caller's. */
int limits_add(struct limits *l, int fd, bool summed, struct error *e) MUST_USE;
void limits_free(struct limits *l);

/* Sets whom the connection of PEER is counted for: address and network, unless the peer is exempt. */
void limits_set_peer(struct limit_hold *h, const struct limit_rules *rules, const struct ip_address *peer);
/* The same for who has logged in; a former account is let go of. */
void limits_set_account(struct limits *l, struct limit_hold *h, const struct limit_rules *rules, const uint8_t account[16]);
/* Counts a connection for the SCOPES (bits) of H that are not counted yet. False when a limit forbids it: nothing is counted then. */
bool limits_enter(struct limits *l, const struct limit_rules *rules, struct limit_hold *h, unsigned scopes,
                  struct limit_strike *ret) MUST_USE;
/* Takes the connection back and forgets whom it was counted for. */
void limits_leave(struct limits *l, struct limit_hold *h);
/* Counts N events of KIND, a rate. False when that is too many: they are not counted then. */
bool limits_count(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, enum limit_kind kind, uint32_t n,
                  struct limit_strike *ret) MUST_USE;
/* Whether limits_count would allow N more; nothing is counted, a limit that forbids it has struck. */
bool limits_allow(struct limits *l, const struct limit_rules *rules, const struct limit_hold *h, enum limit_kind kind, uint32_t n,
                  struct limit_strike *ret) MUST_USE;
/* "Too many messages from your address, 100 a minute are allowed; try again later": a view of TEXT. */
str limit_strike_text(const struct limit_strike *s, char text[LIMIT_TEXT_MAX]);

/* "connections-per-address", "message-rate-per-network": as in valise.conf. */
str limit_name(enum limit_kind kind, enum limit_scope scope, char text[LIMIT_TEXT_MAX]);
/* "50", "100/minute", "30/10 minutes"; "0" for none. A view of TEXT. */
str limit_text(enum limit_kind kind, struct limit limit, char text[LIMIT_TEXT_MAX]);
/* The reverse for rates: a number, a slash and a period: second, minute, hour, day, or several of them, as "30/10 minutes". ERR_SYNTAX
 * with E saying so. */
int limit_rate_parse(str text, struct limit *ret, struct error *e) MUST_USE;

/* --- reports (limit_report.c) --- */

/* One address, network or account, summed over all tallies. */
struct limit_entry {
    uint8_t group;
    enum limit_scope scope;
    struct ip_network network; /* of addresses and networks */
    uint8_t account[16];
    uint32_t counts[LIMIT_KINDS]; /* connections now, events within the period */
    uint32_t strikes;             /* how often it ran into a limit since it was last seen here */
    uint8_t limited;              /* bits of kinds: the next would be refused */
};

struct limit_report {
    uint64_t strikes[LIMIT_GROUPS][LIMIT_KINDS][LIMIT_SCOPES]; /* how often each limit struck since the start */
    uint64_t tracked;                                          /* keys that something is remembered of */
    uint64_t untracked;                                        /* connections that found no room in a tally, so went uncounted */
    struct limit_entry *entries;                               /* those with connections, recent events or strikes */
    size_t n;
};

/* Reads all tallies: RULES of each group (NULL: none). *RET is freed with limits_report_done. ERR_LIMIT: out of memory. */
int limits_report(struct limits *l, const struct limit_rules *const rules[LIMIT_GROUPS], struct limit_report *ret) MUST_USE;
void limits_report_done(struct limit_report *r);

#endif
