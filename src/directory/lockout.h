/* lockout: what failed logins cost whoever fails, and how an administrator sees and ends it.
 *
 * The rules, each with its test in tests/unit/directory/lockout.c:
 *
 *  B1  A failed login counts for its network (an IPv4 address, an IPv6 /64), for that account from that network, and for that account
 *      everywhere. However it was tried: with a password, an application password or a proof.
 *  B2  Each failure doubles the delay of the answer, from half a second to thirty. A minute without failures takes one back, for an
 *      account from a network ten minutes; a success takes back all of the account from its network. A right password waits for the
 *      account's own failures (there, and everywhere), not for what others have made of the network: a class behind one address does
 *      not wait for one pupil's typos. What bounds guesses at one password each is the network's lock-out (B3); where that is off, a right password
 *      waits for the network as well.
 *  B3  Too many failures lock out: the account from that network, or the network. The first time as long as the policy says, then
 *      twice as long each time, up to a day; a day in peace takes one doubling back. Whoever is locked out is told so: nothing is
 *      checked, not even a right password, and nothing is counted but by B13.
 *  B4  A network where an account has logged in within 90 days (seen wider: an IPv4 /24, an IPv6 /56) is known for it. There only its
 *      own failures from that network lock it out or delay a right password: neither what others do from there, nor what is done to it
 *      from elsewhere.
 *  B5  What is done to an account from many networks delays it on networks where it is not known, after ten failures; it never locks out.
 *      So nobody can lock a user out from elsewhere.
 *  B6  The same wrong password counts once, in networks of each width: a forgotten telephone locks nobody out, wherever it is carried.
 *  B7  A name that is not there counts as one that is.
 *  B8  Networks of the allow-list are neither counted, delayed nor locked out. Exempt ones (limits-exempt: a webmail on this machine, a
 *      tunnel, a router with many behind it) are so as networks only: what an account has failed there delays and locks it out as anywhere.
 *  B9  All of it survives a restart: a lock-out at once, failures within seconds. It takes a fixed room on the disk and in memory (B12).
 *      A flood of failures costs no commit each.
 *  B10 A certificate of ours is no guess: whoever has it is neither delayed nor locked out.
 *  B11 One who has many networks is one: failures are counted for wider networks too. So many times the failures of the narrowest lock
 *      out an account from them, or them:
 *          IPv6 /56                 2 times an account    2 times a network    a subscriber (RFC 6177)
 *          IPv6 /48, IPv4 /24       4                     4                    a site, a rented block
 *          IPv6 /32                16 (unless known)     32                    a provider
 *      They delay after half of that. Networks are forgiven so many times as fast, as they have as many users.
 *  B12 The room is fixed, and nobody empties it of what he wants forgotten: what says least gives way, single failures before many, those
 *      before lock-outs, the shortest first.
 *  B13 What fails is answered alike, in words and time, whether the account is known there or not: a wrong password waits for all
 *      counts, also those that hold for strangers only. Where a stranger would be locked out, one who is known is checked, and told when
 *      he fails that he is locked out; both answers come two seconds after the question, and both count for the account from there. */
#ifndef VALISE_DIRECTORY_LOCKOUT_H
#define VALISE_DIRECTORY_LOCKOUT_H

#include "base/ip.h"
#include "directory/directory.h"

struct directory_lockout_policy {
    unsigned login_failures;   /* of an account from one network before it is locked out there; 0: never */
    unsigned network_failures; /* of a network; 0: never */
    int64_t first_ms;          /* how long the first lock-out lasts */
    struct ip_networks allow;  /* copied, as */
    struct ip_networks exempt;
};
#define DIRECTORY_LOCKOUT_DEFAULT ((struct directory_lockout_policy){ 10, 50, 15 * 60 * 1000, { NULL, 0 }, { NULL, 0 } })

/* In force from now on; DIRECTORY_LOCKOUT_DEFAULT before. */
void directory_set_lockout_policy(struct directory *d, const struct directory_lockout_policy *p);
/* Writes down what has been counted since the last time. To be called every few seconds; does not wait for the disk. */
void directory_tend(struct directory *d);

enum directory_lockout_kind {
    DIRECTORY_LOCKOUT_NETWORK,
    DIRECTORY_LOCKOUT_LOGIN,
    DIRECTORY_LOCKOUT_ACCOUNT,
    DIRECTORY_LOCKOUT_KINDS
};
/* "network", "login", "account". */
const char *directory_lockout_kind_name(enum directory_lockout_kind kind);

struct directory_lockout {
    enum directory_lockout_kind kind;
    str login;                 /* not of a network; empty for what is no address */
    struct ip_network network; /* not of an account */
    unsigned failures;
    int64_t delay_ms;        /* that the next answer is held */
    int64_t locked_until_ms; /* since 1970; 0: not locked out */
};
/* FN gets each that is locked out or delayed now, in no order; text lives until it returns; non-zero ends it and is returned. FN may
 * not call the directory. */
int directory_lockouts(struct directory *d, int (*fn)(void *ctx, const struct directory_lockout *lockout), void *ctx) MUST_USE;
/* Forgives everything of an address, of all networks within a network, or all (empty). *RET_N: how many were locked out or delayed.
 * ERR_SYNTAX: it is neither. */
int directory_lockout_lift(struct directory *d, str what, size_t *ret_n, struct error *e) MUST_USE;

struct directory_lockout_counts {
    uint64_t succeeded, failed, turned_away; /* logins since the start */
    uint64_t lockouts;                       /* that began since the start */
    size_t networks, logins;                 /* locked out now */
};
void directory_lockout_counts(struct directory *d, struct directory_lockout_counts *ret);

#endif
