/* xclient: the argument of XCLIENT, by which a relay of ours says whose session it passes on ("Postfix XCLIENT Howto"). Pure. */
#ifndef VALISE_SMTP_XCLIENT_H
#define VALISE_SMTP_XCLIENT_H

#include "base/arena.h"
#include "run/conn.h"

/* What EHLO lists. LOGIN is not among them: it would be a login without a proof, for whoever has the relay's address. */
#define SMTP_XCLIENT_ATTRIBUTES "NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"

struct smtp_xclient {
    struct conn_ends ends; /* ADDR, PORT, DESTADDR, DESTPORT; what is [UNAVAILABLE] or not said is not there */
    bool has_name, has_helo, has_proto;
    str name, helo; /* empty: [UNAVAILABLE] or [TEMPUNAVAIL]; else a name as EHLO takes it */
    bool esmtp;     /* PROTO */
};

/* Parses ARGUMENT; decoded values lie in A. ERR_SYNTAX for a malformed one, ERR_UNSUPPORTED for an attribute that is not listed, ERR_LIMIT. */
int smtp_xclient_parse(str argument, struct arena *a, struct smtp_xclient *ret) MUST_USE;

#endif
