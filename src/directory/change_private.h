/* change_private: what the changes of domains, accounts, aliases and groups share; see change.c. */
#ifndef VALISE_DIRECTORY_CHANGE_PRIVATE_H
#define VALISE_DIRECTORY_CHANGE_PRIVATE_H

#include "directory/directory_private.h"

struct change {
    /* Checks the change against TABLE and writes the row's new value to VALUE; left empty, the row is deleted. */
    int (*check)(const struct table *t, struct change *c, struct buf *value, struct error *e);
    char kind; /* of the row */
    str name;  /* canonical domain or address */
    /* Arguments of the check. */
    str hash, scram[DIRECTORY_HASH_N];
    unsigned legacy;
    str sealed; /* secrets of the legacy mechanisms, with the password */
    bool keeps_sealed;
    str old_hash;
    str app, secret; /* name of an application password; empty secret: to be removed */
    str password;    /* to be checked against POLICY, unless that is NULL or it is empty */
    const struct directory_policy *policy;
    bool enabled;
    enum directory_role role;
    const str *targets;
    size_t target_n;
    engine_part id; /* of the account or group added or removed */
    bool leaves;    /* its mail stays behind: a row says so from the same commit on */
    struct quota quota;
    str other;                      /* the domain an alias stands for, the address that catches all, a member */
    enum directory_senders senders; /* of a group */
    bool is_removal;                /* of a member */
};

/* Checks C, commits its row and applies it to the table. */
int change_run(struct directory *d, struct change *c, struct error *e) MUST_USE;
/* Whether an entry named C->name may be added. */
int change_check_new_address(const struct table *t, const struct change *c, struct error *e) MUST_USE;
/* QUOTA as it is kept; NULL: it is not set. */
static inline struct quota change_quota(const struct directory_quota *quota)
{
    return quota ? (struct quota){ true, *quota } : (struct quota){ 0 };
}

#endif
