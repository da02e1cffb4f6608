/* certificates_private: the rows of certificates, shared by certificates.c (issuing, revoking) and certificate_owners.c (whose they are). */
#ifndef VALISE_ROLE_CERTIFICATES_PRIVATE_H
#define VALISE_ROLE_CERTIFICATES_PRIVATE_H

#include "pki/pki.h"
#include "role/certificates.h"

extern const engine_part certificates_part;

struct certificate_row {
    uint8_t use; /* enum pki_use */
    str serial, subject, pem;
    str names[PKI_NAMES_MAX];
    engine_part owners[PKI_NAMES_MAX]; /* C5 */
    size_t name_n;
    int64_t not_before, not_after, revoked_at; /* seconds since 1970; revoked_at 0: it is not */
};

/* VALUE of the row SERIAL, in any version so far; views into both. ERR_CORRUPT. */
int certificate_row_decode(str serial, str value, struct certificate_row *ret) MUST_USE;
/* The row of SERIAL, in A, and the version of the partition (may be NULL). ERR_NOTFOUND, ERR_CORRUPT, or as engine_get. */
int certificate_row_get(struct engine *g, str serial, struct arena *a, struct certificate_row *ret,
                        uint64_t *ret_version) MUST_USE;
/* Writes R where the partition has the version EXPECT. As engine_commit. */
int certificate_row_put(struct engine *g, const struct certificate_row *r, uint64_t expect) MUST_USE;
/* What administrators see of R; the caller's. */
json_t *certificate_row_json(const struct certificate_row *r);
/* Appends the certificate of our CA to OUT. */
int certificate_ca(const struct admin *a, struct buf *out, struct error *e) MUST_USE;
/* Revokes SERIAL and ends the sessions that showed it. ERR_EXISTS: it is revoked already; ERR_NOTFOUND, or as the engine fails. */
int certificate_revoke(struct admin *a, str serial) MUST_USE;
/* The account whose own address NAME is, in *RET, which is left alone when there is none. */
void certificate_find_owner(const struct admin *a, str name, engine_part *ret);

#endif
