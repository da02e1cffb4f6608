/* claims: trace fields that a message brings along although only this server may write them.
 *
 * Authentication-Results in our name (RFC 8601 section 5): readers believe them for the name that they begin with, so whatever comes in
 * with a name of ours is forged or stale. Fields of others stay, as do ARC-Authentication-Results, which are worth what the seal over
 * them is worth, and a removed one would break it. Return-Path (RFC 5321 section 4.4) is written at final delivery, which is here. */
#ifndef VALISE_SMTP_CLAIMS_H
#define VALISE_SMTP_CLAIMS_H

#include "base/map.h"
#include "message/header.h"

/* Names of ours: the host's, the domains above it, and those of the recipients. */
struct smtp_claims {
    str hostname;
    const str *recipients;
    size_t recipient_n;
    struct map names; /* canonical; made when the first field is met */
    bool is_made;
};

/* HOSTNAME and the RECIPIENTS live as long as C. */
void smtp_claims_init(struct smtp_claims *c, str hostname, const str *recipients, size_t recipient_n);
void smtp_claims_done(struct smtp_claims *c);
/* Whether F is to be removed from a message that comes in. */
bool smtp_claims_forged(struct smtp_claims *c, const struct message_header_field *f);

#endif
