/* certificates: what the CA of this directory has issued, and how it issues: through keeper, or with the CA's key itself where no server runs.
 *
 * Each certificate is a row of the store's partition for certificates, under its serial number: who it is for, its time, when it was revoked,
 * and itself. So a backup of the store has them all, and whoever logs in with one can be looked up. */
#ifndef VALISE_ROLE_CERTIFICATES_H
#define VALISE_ROLE_CERTIFICATES_H

#include "role/admin.h"

enum { CERTIFICATE_NAMES_MAX = 100 };

/* Whether the certificate with SERIAL (lower-case hex, as in struct tls_info) was issued here and then revoked. One that is not known was not. 0,
 * or as engine_get. */
int certificates_is_revoked(struct engine *g, str serial, bool *ret) MUST_USE;

/* The accounts that a user's certificate was issued to, by their ids: the next one with an address is another account. */
struct certificate_owners {
    engine_part ids[CERTIFICATE_NAMES_MAX];
    size_t n;
};
/* Whom the certificate with SERIAL logs in: nobody (n 0) when it is not on record, revoked, or no user's. 0, or as engine_get. */
int certificates_owners(struct engine *g, str serial, struct certificate_owners *ret) MUST_USE;
bool certificate_is_of(const struct certificate_owners *o, engine_part account);
/* Revokes all certificates of account ID, and ends the sessions that showed them. 0, or as the engine fails: then it is to be called again. */
int certificates_revoke_account(struct admin *a, engine_part id) MUST_USE;
/* The step to rows that know accounts (format.h): a user's certificate becomes that of the account which has its address now, unless the account is
 * younger than the certificate, or is not there: then it logs nobody in until `valise cert register'. May be run again. */
int certificates_bind(struct admin *a, struct error *e) MUST_USE;
/* FN gets each user's certificate (its serial number as NAME) that is in force though who it was issued to is no more, and WHAT, a sentence. */
int certificates_dangling(struct admin *a, void (*fn)(void *ctx, str name, str what), void *ctx) MUST_USE;

/* Renews each certificate of the configuration that our CA issued and that has a third of its life left or less: the same names, the same key
 * (so that what pins it stays true), PKI_SERVER_DAYS_MAX days; and reloads. What of them is not on record is put there. One that is not renewable is logged and left alone. 0 when none failed or
 * was refused. Blocks. */
int certificates_renew_due(struct admin *a) MUST_USE;

/* Puts the server certificate PEM of our CA on record, unless it is there: what `init' makes has no other way to get there. ERR_SYNTAX, and as the
 * engine fails. */
int certificates_record(struct admin *a, str pem, struct error *e) MUST_USE;
/* Whether the server certificate PEM, which the CA in CA_PEM issued, would be renewed: neither it nor another of its key was revoked, and its names
 * are still those that the CA may issue for. 0; ERR_REFUSED with E saying why not; or as the store or keeper fails. Blocks. */
int certificates_renewable(struct admin *a, str pem, str ca_pem, struct error *e) MUST_USE;

/* --- what an administrator may ask; see admin.c for the table --- */

/* "use" ("server" or "user"), "names", "seconds", "request" (PKCS #10 in PEM) -> "certificate", "ca", "serial". Servers have names in our domains
 * and others that the list beside the CA's key allows (pki/names.h), which counts for all; users have addresses of enabled accounts, their own or by
 * an alias. */
json_t *certificates_issue(struct admin *a, const json_t *request);
/* "certificate" (PEM): one that was made with the CA's key elsewhere, or is on record for an account that is no more, is the present account's with its
 * address from now on -> "serial", "names". ERR_REFUSED for another CA's and for a revoked one. */
json_t *certificates_register(struct admin *a, const json_t *request);
/* "chain": a file below tls/ -> "certificate", "serial". Refused as certificates_renewable says. */
json_t *certificates_renew(struct admin *a, const json_t *request);
json_t *certificates_list(struct admin *a, const json_t *request);
/* "serial" -> what certificates_list has of it, and "certificate". */
json_t *certificates_show(struct admin *a, const json_t *request);
json_t *certificates_revoke(struct admin *a, const json_t *request);
/* What is revoked, some at a time: ["after": a serial] -> "certificates": [{"serial", "use", "revoked-at", "certificate"}], "more". */
json_t *certificates_revoked(struct admin *a, const json_t *request);
/* Takes over one of these from another store: "use", "revoked-at", "serial", and perhaps "certificate" -> "new": it was not known as revoked. A
 * certificate that this store does not know is put on record. */
json_t *certificates_adopt(struct admin *a, const json_t *request);

#endif
