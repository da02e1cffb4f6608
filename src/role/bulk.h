/* bulk: mail in and out by the administrator's hand: export, import, restore. Requests as those of admin.h, in one conversation that has an
 * account open; a message travels as bytes behind the line of JSON whose member "bytes" says how many.
 *
 *   bulk.open address                     -> role, quota {bytes messages}, mailboxes[] {name use subscribed messages}
 *   bulk.create mailbox [use]             makes and subscribes it; no mistake when it is there
 *   bulk.list mailbox from                -> entries[] {uid size received flags keywords[] email}, next: uid to go on from, 0 at the end
 *   bulk.read email                       -> bytes, and the message behind the reply
 *   bulk.digest emails[]                  -> digests[]: SHA-256 of those messages in their order, in hexadecimal, null for one that cannot be read;
 *                                         the first of them or more, at least one: who wants the rest asks for it
 *   bulk.append mailbox flags keywords[] received bytes, and the message behind the request
 *   bulk.flush                            what was appended since the last flush is in the store, durable
 *     both tell what became of earlier ones  -> failed[] {number text}: messages that cannot be kept, counted from 0 over all bulk.append since
 *                                             bulk.open; keywords-lost: how many had no room in the mailbox and were left out
 *   backup.begin name                     makes spool/backup-NAME, a consistent copy of the store, the caller's to remove
 *
 * Appended messages wait for each other and are committed together, so only a flush that was answered says that they are kept. */
#ifndef VALISE_ROLE_BULK_H
#define VALISE_ROLE_BULK_H

#include "base/buf.h"
#include "role/admin.h"

enum { BULK_LINE_MAX = 60000, BULK_MESSAGE_MAX = 1 << 30, BULK_DIGEST = 64 /* characters */, BULK_DIGESTS_MAX = 200 };

/* --- answering --- */

/* One conversation; not thread-safe. */
struct bulk;
struct bulk *bulk_new(struct admin *a);
/* What was not flushed is not kept. NULL accepted. */
void bulk_free(struct bulk *b);
/* The bytes that follow REQUEST; 0 for none. ERR_LIMIT, or ERR_SYNTAX where no bytes belong: then nothing after it can be understood. */
int bulk_expects(const json_t *request, uint64_t *ret) MUST_USE;
/* The next of them. Errors are told by bulk_run. */
void bulk_take(struct bulk *b, str bytes);
/* Carries out REQUEST, whose bytes have been taken. The reply is the caller's; *RET_BODY (NULL: none) is what follows it, *RET_N bytes. */
json_t *bulk_run(struct bulk *b, const json_t *request, struct source **ret_body, uint64_t *ret_n);

/* SHA-256 of MESSAGE in hexadecimal, as bulk.digest gives it. */
void bulk_digest(str message, char ret[BULK_DIGEST + 1]);
/* The same of N bytes of MESSAGE, which stays the caller's. Its errors; ERR_IO when it has less. Blocks. */
int bulk_digest_source(struct source *message, uint64_t n, char ret[BULK_DIGEST + 1]) MUST_USE;

/* Answers on descriptor FD until its peer closes. Blocks. */
void bulk_serve(struct admin *a, int fd);

/* --- asking --- */

struct bulk_client {
    int fd;
    struct buf in;
};

/* Asks REQUEST (stolen; "bytes" is added when BYTES has any) and gives the reply, the caller's; what follows it is in BODY (NULL: nothing is
 * expected), emptied first. A refusal is its error with E the text. Blocks. */
int bulk_call(struct bulk_client *c, json_t *request, str bytes, json_t **ret, struct buf *body, struct error *e) MUST_USE;
/* The same when only success matters. */
int bulk_do(struct bulk_client *c, json_t *request, str bytes, struct error *e) MUST_USE;
void bulk_client_done(struct bulk_client *c);

#endif
