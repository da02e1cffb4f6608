/* notes: what valise writes by itself to its users: that a quota is nearly used up, and a welcome. In the account's language, else the server's; with
 * the null reverse-path, and so that no program answers (RFC 3834 section 5). The words are dsn/words.h's. */
#ifndef VALISE_ROLE_NOTES_H
#define VALISE_ROLE_NOTES_H

#include "role/admin.h"

enum { NOTES_WELCOME_MAX = 4096 }; /* bytes of a text of the administrator's own */

/* What is to be looked at: accounts whose use of a quota has come to another level. */
struct notes;
struct notes *notes_new(void);
void notes_free(struct notes *n);
/* For mail_store_watch_quotas: takes a note of account ID. CTX is a struct notes. Does not block. */
bool notes_touch(void *ctx, engine_part id);
/* Looks at those accounts, writes to who has reached a mark that was not told yet, and takes back what was told to who is below it again. What cannot
 * be done now is done at the next call. Blocks on the store. */
void notes_tend(struct notes *n, struct admin *a);

/* How many accounts have reached each mark of mail_quota_marks, as far as notes_tend has seen. 0 or as engine_scan. */
int notes_count(struct engine *g, size_t ret[MAIL_QUOTA_MARKS]) MUST_USE;

/* Writes a welcome to the new account ID, unless the configuration says no; OWN: texts of the administrator's own by language ({"fr": ...}), may be NULL.
 * A failure is logged: the account is there all the same. Blocks on the store. */
void notes_welcome(struct admin *a, engine_part id, const json_t *own);

/* Whether a welcome of the administrator's own has a value for {PLACE}, and all places that have one, for people. */
bool notes_welcome_knows(str place);
extern const char notes_welcome_places[];

/* The language to write in to an account that says LANGUAGE: it, or the server's. */
enum language notes_language(struct admin *a, enum language language);

#endif
