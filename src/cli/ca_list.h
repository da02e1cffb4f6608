/* ca_list: the list of names for which the CA of a directory may issue (pki/names.h), as the administrator's commands read, make and change it. It lies
 * beside the CA's key and belongs to whom that belongs; core, which is asked for the domains, never writes it. */
#ifndef VALISE_CLI_CA_LIST_H
#define VALISE_CLI_CA_LIST_H

#include "cli/cli.h"
#include "pki/pki.h"

struct ca_list {
    const struct cli *cli;
    struct arena arena;
    int dir;          /* the directory; -1: it has no CA, and nothing below is used */
    bool there, ours; /* the file exists; we may write it */
    struct buf ca_pem;
    struct pki_names names; /* after ca_list_read */
};

/* Looks whether C's directory has a CA and who may change its list. Never fails for a directory that is not there: whoever works in it says so. 0, or an exit
 * status after a message. ca_list_close in any case. */
int ca_list_open(const struct cli *c, struct ca_list *ret) MUST_USE;
void ca_list_close(struct ca_list *l);
/* Whether we may write the list, if there is a CA. 0, or an exit status after a message that says who may. */
int ca_list_must_be_ours(const struct ca_list *l) MUST_USE;
/* Reads the list; where there is none, makes it in memory from the domains that the server or the store has. 0, or an exit status after a message. */
int ca_list_read(struct ca_list *l) MUST_USE;
/* Writes it: whole or not at all, as the CA's key is owned and readable. 0, or an exit status after a message. */
int ca_list_write(struct ca_list *l) MUST_USE;
/* The domains of ours and other names of them, a "domain.list" reply, the caller's. 0, or an exit status after a message. */
int ca_list_domains(const struct cli *c, json_t **ret) MUST_USE;

/* A sentence on the CA whose key is not in C's directory, as who may look into keys/ sees it; NULL when it is there, nobody can tell, or there is no CA. */
const char *ca_list_key_missing(const struct cli *c);

/* To an array of lines: where list and DOMAINS (of ca_list_domains) differ, or that there is no list yet. After ca_list_open. */
void ca_list_compare(struct ca_list *l, const json_t *domains, json_t *notes);

#endif
