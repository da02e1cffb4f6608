/* history: who logged in, whence and how, for each account: the last hundred successes and the last hundred failures.
 *
 *  H1  Only accounts have a history: a name that is not there leaves nothing.
 *  H2  A login costs no commit: it is noted in memory, and written down every few seconds (directory_tend) with all others.
 *  H3  What repeats itself, the same in everything but time, is one entry a day with a count.
 *  H4  Failures never push out successes. Each account keeps at most a hundred of both, none older than the days that are set. */
#ifndef VALISE_DIRECTORY_HISTORY_H
#define VALISE_DIRECTORY_HISTORY_H

#include "directory/directory.h"

enum { DIRECTORY_HISTORY_DAYS = 90 }; /* where nobody says otherwise */

enum directory_result {
    DIRECTORY_LOGGED_IN,
    DIRECTORY_WRONG,      /* password, proof or certificate */
    DIRECTORY_LOCKED_OUT, /* nothing was checked */
    DIRECTORY_NOT_FOR_IT, /* right, but the account's role has no business there, or it was to act as another */
    DIRECTORY_DISABLED,   /* nothing was checked */
    DIRECTORY_RESULTS
};
/* "ok", "wrong", "locked-out", "not-allowed", "disabled". */
const char *directory_result_name(enum directory_result result);
/* "submission", "imap". */
const char *directory_service_name(enum directory_service service);

struct directory_event {
    enum directory_result result;
    enum directory_service service;
    str peer, mechanism, tls; /* TLS empty: none */
    str app_password;         /* its name; empty: the account's own */
    uint64_t count;
    int64_t first_ms, last_ms; /* since 1970 */
};

/* FN gets the logins of account ADDRESS that ended at SINCE_MS or later, the oldest first; text lives until it returns; non-zero ends it
 * and is returned. ERR_NOTFOUND, ERR_SYNTAX, and the engine's. */
int directory_history(struct directory *d, str address, int64_t since_ms, bool failed_only,
                      int (*fn)(void *ctx, const struct directory_event *event), void *ctx) MUST_USE;
/* How long entries are kept; 0: none is made. */
void directory_set_history_days(struct directory *d, unsigned days);

#endif
