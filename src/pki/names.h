/* names: for which names a CA may issue certificates. The list is a small text file beside the CA's key, which the administrator's commands write
 * and keeper reads: what a role that was taken over asks for counts only as far as this list allows it. Pure: text in, answers out.
 *
 *   domain mondomaine.fr       the name itself, all names below it, *.mondomaine.fr, mail addresses in it
 *   host mail.elsewhere.net    this server name and no other
 *   address 10.0.0.0/8         an address, or all of a network
 *
 * One line each; empty lines and those that begin with # are left out. */
#ifndef VALISE_PKI_NAMES_H
#define VALISE_PKI_NAMES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"

struct pki_order;

enum {
    PKI_GRANTS_MAX = 4096,       /* lines of a list */
    PKI_NAMES_FILE_MAX = 1 << 19 /* bytes of a list */
};

/* Where it lies in a directory. */
#define PKI_NAMES_IN_KEYS "ca.names"
#define PKI_NAMES_FILE    "keys/" PKI_NAMES_IN_KEYS

enum pki_grant_kind { PKI_GRANT_DOMAIN, PKI_GRANT_HOST, PKI_GRANT_ADDRESS };
struct pki_grant {
    enum pki_grant_kind kind;
    str name;                  /* in lower case, A-labels; empty for an address */
    struct ip_network network; /* of an address */
};
struct pki_names {
    struct pki_grant *list;
    size_t n;
};

/* Reads TEXT into A. ERR_SYNTAX with the number of the line; ERR_LIMIT. */
int pki_names_parse(str text, struct arena *a, struct pki_names *ret, struct error *e) MUST_USE;
/* Appends the list with a few words on what it is, as pki_names_parse reads it. */
void pki_names_write(const struct pki_names *names, struct buf *out);
/* Puts what the line KIND NAME would say in *RET, in A: a host name, "*." not included, or for an address one or a network. ERR_SYNTAX, ERR_LIMIT. */
int pki_grant_read(enum pki_grant_kind kind, str name, struct arena *a, struct pki_grant *ret, struct error *e) MUST_USE;
/* What names every CA here may issue for whose DOMAIN it is: DOMAIN, localhost, the addresses of the machine itself and of private networks
 * (RFC 1918 section 3, RFC 4193 section 3.1). In A. ERR_SYNTAX, ERR_LIMIT. */
int pki_names_usual(str domain, struct arena *a, struct pki_names *ret, struct error *e) MUST_USE;

/* Whether GRANT is among NAMES. */
bool pki_names_have(const struct pki_names *names, const struct pki_grant *grant);
/* NAMES with GRANT and without it, in A; as they are when nothing changes. ERR_LIMIT. */
int pki_names_add(struct pki_names *names, const struct pki_grant *grant, struct arena *a, struct error *e) MUST_USE;
void pki_names_remove(struct pki_names *names, const struct pki_grant *grant);

/* Whether all names of ORDER are allowed: servers' names in a domain or named alone (of those that ORDER says are in no domain of ours only the latter),
 * HOSTNAME too if it is not empty; wildcards only *.DOMAIN; addresses within one that is listed; users' addresses at a domain. 0, or ERR_REFUSED
 * with E naming the first that is not and what to do. */
int pki_names_check(const struct pki_names *names, str hostname, const struct pki_order *order, struct error *e) MUST_USE;

#endif
