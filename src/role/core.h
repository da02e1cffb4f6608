/* core: the state of the core role, shared by core.c and the control socket. */
#ifndef VALISE_ROLE_CORE_H
#define VALISE_ROLE_CORE_H

#include "directory/directory.h"
#include "imap/imap.h"
#include "role/admin.h"
#include "role/role.h"
#include "store/mail.h"

struct core {
    struct role_run *run;
    struct engine *engine;
    struct mail_store *mail;
    struct directory *directory;
    struct smtp_service submission, lmtp; /* direct calls */
    struct channel_service mx_service;    /* what mx may ask */
    int64_t renew_ms;                     /* when certificates are looked through next */
    struct admin admin;                   /* what the administrator may ask */
};

/* accept_each of LMTP; lmtp.c. CTX is the struct core. */
int core_accept_each(void *ctx, const struct smtp_delivery *d, int *results, struct error *e) MUST_USE;

#endif
