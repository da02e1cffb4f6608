/* body: where a message is kept while it comes in.
 *
 * Up to 64 KiB in memory; a larger one in a memfd; one over 1 MiB in an unlinked spool file that the service opens, so that
 * memory stays bounded with many large messages in flight. Errors are sticky and told once, at the end. */
#ifndef VALISE_SMTP_BODY_H
#define VALISE_SMTP_BODY_H

#include "base/buf.h"
#include "smtp/service.h"

enum { SMTP_BODY_HEAP_MAX = 64 * 1024, SMTP_BODY_MEMFD_MAX = 1024 * 1024 };

struct smtp_body {
    const struct smtp_service *service;
    struct buf buf; /* all of the message, or what is not written to FD yet */
    int fd;         /* -1: in memory */
    bool is_spool;
    uint64_t written; /* bytes in FD */
    int error;
    str map; /* of smtp_body_finish */
};

void smtp_body_init(struct smtp_body *b, const struct smtp_service *service);
/* Appends BYTES. May block on the disk. */
void smtp_body_add(struct smtp_body *b, str bytes);
/* Ends the message: *RET is all of it and *RET_FD its descriptor, -1 when it is on the heap (a memfd is sealed, both kinds are
 * mapped read-only). Both are B's and live until smtp_body_done. ERR_FULL, ERR_IO, or what service.spool said. */
int smtp_body_finish(struct smtp_body *b, str *ret, int *ret_fd, struct error *e) MUST_USE;
void smtp_body_done(struct smtp_body *b);

#endif
