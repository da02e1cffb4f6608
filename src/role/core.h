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
    struct spool *spool;                  /* what each mx writes to */
    _Atomic uint64_t spool_claimed;       /* space that they may still take */
    atomic_uint peers;                    /* that have been, to tell one mx from another */
    int64_t collect_ms;                   /* when the store's garbage is looked through next at the latest */
    int64_t renew_ms;                     /* when certificates are looked through next */
    struct notes *notes;                  /* whom to write to soon */
    struct admin admin;                   /* what the administrator may ask */
};

/* accept of strangers, accept_each of LMTP and accept of submission; delivery.c. CTX is the struct core. ERR_REFUSED when a quota is
 * used up, ERR_LIMIT when the message can never fit. */
int core_accept(void *ctx, const struct smtp_delivery *d, struct error *e) MUST_USE;
int core_accept_each(void *ctx, const struct smtp_delivery *d, int *results, struct error *e) MUST_USE;
int core_submit(void *ctx, const struct smtp_delivery *d, struct error *e) MUST_USE;

#endif
