/* change_private: what the changes of domains, accounts, aliases and groups share; see change.c. */
#ifndef VALISE_DIRECTORY_CHANGE_PRIVATE_H
#define VALISE_DIRECTORY_CHANGE_PRIVATE_H

#include "directory/directory_private.h"

/* Which logins a change takes back. */
enum change_ends {
    CHANGE_ENDS_NONE,
    CHANGE_ENDS_SOME,     /* those that directory_login_stands tells by the table alone */
    CHANGE_ENDS_PASSWORD, /* and those with the account's password */
    CHANGE_ENDS_ALL
};

/* A row that changes along with the one that is named. */
struct change_row {
    struct change_row *next;
    str key, value; /* value.p NULL: it is deleted */
};

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
    engine_part id;   /* of the account or group added, removed or otherwise changed */
    bool leaves;      /* its mail stays behind: a row says so from the same commit on */
    bool keeps;       /* it can be had back: the same */
    bool keeps_alias; /* of an account's former name */
    bool is_question; /* it is checked only */
    str display;      /* what a person is called */
    enum language language;
    uint64_t now_s; /* of a removal: when */
    struct engine *engine;
    struct quota quota;
    str other;                      /* the domain an alias stands for, the address that catches all, a member */
    enum directory_senders senders; /* of a group */
    bool is_removal;                /* of a member */
    bool takes_references;          /* a removal: aliases and catch-alls that lead to it go along */
    /* Results of the check. */
    enum change_ends ends;
    struct change_row *rows;    /* in the arena; applied to the table in this order, before the row that is named */
    struct change_row *unshown; /* the same, of kinds that the table does not show */
    struct arena *arena;        /* of change_run */
};

/* Checks C, commits its row and applies it to the table. */
int change_run(struct directory *d, struct change *c, struct error *e) MUST_USE;
/* Puts one more row before LIST, which is C->rows or C->unshown; VALUE NULL: it is deleted. ERR_LIMIT. */
int change_add_row(struct change *c, struct change_row **list, char kind, str name, const struct buf *value) MUST_USE;
/* Whether an entry named C->name may be added. */
int change_check_new_address(const struct table *t, const struct change *c, struct error *e) MUST_USE;
/* QUOTA as it is kept; NULL: it is not set. */
static inline struct quota change_quota(const struct directory_quota *quota)
{
    return quota ? (struct quota){ true, *quota } : (struct quota){ 0 };
}

/* --- reference.c --- */

/* Before entry N is removed: ERR_REFUSED where aliases or catch-alls lead to it and do not go along; else C's rows are what changes with it. */
int reference_settle(const struct table *t, struct change *c, const struct entry *n, struct error *e) MUST_USE;

/* Whether TARGET, of an alias or a catch-all, leads to N itself. */
bool reference_leads_to(const struct table *t, str target, const struct entry *n);

/* --- removed.c, rename.c --- */

/* Before account N is removed: what is kept of it is among C's rows. ERR_LIMIT. */
int removed_keep(const struct table *t, struct change *c, const struct entry *n) MUST_USE;
/* Takes out of N what its name is part of. */
void change_forget_names(struct entry *n);

/* --- standing.c; with d->lock held for writing, but for standing_tell --- */

/* Logins of account ID of the kinds ENDS are older than the generation from now on. */
void standing_raise(struct directory *d, const engine_part *id, enum change_ends ends);
void standing_forget(struct directory *d, const engine_part *id);
/* The table was read again: raises what looks different. */
void standing_compare(struct directory *d, const struct table *before, const struct table *now);
void standing_done(struct directory *d);
/* Tells the watcher that logins of ID (NULL: of anybody) may stand no longer; without locks. */
void standing_tell(struct directory *d, const engine_part *id);

#endif
