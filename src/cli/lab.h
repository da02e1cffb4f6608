/* lab: what `valise init --lab' makes for a class: addresses in its network, an account for each student, perhaps a lesson without encryption. */
#ifndef VALISE_CLI_LAB_H
#define VALISE_CLI_LAB_H

#include "base/arena.h"
#include "base/ip.h"
#include "base/language.h"
#include "cli/cli.h"

enum { LAB_ADDRESSES_MAX = 8, LAB_STUDENTS_MAX = 1000 };

struct lab_user {
    str address, name; /* the name may be empty */
    enum language language;
    str password; /* empty: one is to be made */
    size_t line;  /* of the file of --from; 0: of no file */
};

struct lab {
    struct arena arena; /* owns all text below */
    bool lesson;
    struct ip_network network; /* where address_n is not 0 */
    str network_text, addresses[LAB_ADDRESSES_MAX];
    size_t address_n;
    struct lab_user *users;
    size_t user_n;
    const char *file; /* of --from */
};

/* Reads the options --lab, --network, --students, --from and --insecure-lesson of C, whose first domain will be DOMAIN. *RET is ended by lab_done in any
 * case. 0 or an exit status, after a message: options that do not go together, a network in which this machine has no address, mistakes in the file. */
int lab_read(const struct cli *c, str domain, struct lab *ret) MUST_USE;
void lab_done(struct lab *l);

/* The file of a lab with a line "ADDRESS PASSWORD" for each account. */
#define LAB_ACCOUNTS "lab-accounts.txt"
/* Reads it in DIR into OUT, over no link and with the rights of the directory's owner, who could make a file of root's look like it. */
int lab_read_accounts(const char *dir, struct buf *out, struct error *e) MUST_USE;

/* The names by which the server is known: HOSTNAME, and mail, smtp and imap in DOMAIN; in A. */
enum { LAB_NAMES_MAX = 4 };
size_t lab_names(str hostname, str domain, struct arena *a, str ret[LAB_NAMES_MAX]);

#endif
