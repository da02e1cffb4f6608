/* revoked: what the CA has revoked, outside its store too, so that a store that is brought back from a backup knows it again.
 *
 * The file ca.revoked in the valise directory has the list with the certificates, written by `cert revoke` and by each backup; one beside the backups serial
 * numbers and times only, since these may be encrypted. Revoking is for good, so lists are only ever added to. */
#ifndef VALISE_CLI_REVOKED_H
#define VALISE_CLI_REVOKED_H

#include "cli/cli.h"
#include "cli/port.h"

#define REVOKED_FILE "ca.revoked"

/* Adds what the store behind P knows to the array LIST: {serial, use, revoked-at, certificate}. */
int revoked_fetch(struct port *p, json_t *list, struct error *e) MUST_USE;
/* Adds what the file PATH below DIR says to LIST. ERR_NOTFOUND; ERR_CORRUPT, ERR_LIMIT. */
int revoked_read(int dir, const char *path, json_t *list, struct error *e) MUST_USE;
/* Adds what PATH knows, that somebody named: a valise directory (its store, with its server running or not, and its file), or such a file. */
int revoked_read_named(const char *path, json_t *list, struct error *e) MUST_USE;
/* Brings the file in C's directory up to date after something was revoked, as the caller (who has not become somebody else: cli_call_apart); what stands
 * in the way is told on standard error. */
void revoked_keep(const struct cli *c);
/* Makes the file ca.revoked in DIR say what it says and LIST; WHOLE: with the certificates. Nothing is written when there is nothing to say. */
int revoked_write(int dir, const json_t *list, bool whole, struct error *e) MUST_USE;
/* Tells the store behind P; *RET_NEW were not known as revoked there. */
int revoked_apply(struct port *p, const json_t *list, uint64_t *ret_new, struct error *e) MUST_USE;

#endif
