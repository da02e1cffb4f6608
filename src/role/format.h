/* format: the version of all that the store holds, and the way from older ones to it.
 *
 * Rows have versions of their own and are read in every form there ever was; what an older program cannot read counts here. A store says its
 * format in a row of its own, so that it goes with every copy; one without it is of the time before (format 1).
 *
 *   1  the first
 *   2  each mailbox of an account has a UIDVALIDITY of its own (M1 of store/mail.h); rows of accounts that grow by fields, roles, quotas: those stay as
 *      they are and are written anew when they change
 *   3  certificates of users know the accounts that they were issued to (certificates.h)
 *   4  records of emails have the header fields that programs ask for, entries the day of sending (store/enrich.c) */
#ifndef VALISE_ROLE_FORMAT_H
#define VALISE_ROLE_FORMAT_H

#include "role/admin.h"

enum { STORE_FORMAT = 4 };

struct store_step {
    uint32_t to;                                  /* from the one below */
    const char *what;                             /* for people */
    bool reversible;                              /* whether a program of the former format still reads all of it afterwards */
    uint64_t bytes, message_bytes;                /* that are needed on the disk meanwhile: in any case, and for each message */
    int (*run)(struct admin *a, struct error *e); /* may be run again after a crash */
};
/* The steps from format FROM to the present one: *RET_N of them, none when there is nothing to do. */
const struct store_step *store_steps(uint32_t from, size_t *ret_n);

/* The format of G's store, 1 when it does not say. ERR_CORRUPT, or as engine_get. */
int store_format(struct engine *g, uint32_t *ret) MUST_USE;
/* With store and directory open and nobody at work: takes every step to the present format, durably one by one, and tells of it in the log. ERR_UNSUPPORTED, with E saying what to do, for a store of
 * a newer program, which is left as it is. */
int store_upgrade(struct admin *a, struct error *e) MUST_USE;

#endif
