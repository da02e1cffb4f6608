/* service: what an SMTP session needs from its process. In mx each is a request to core; in core it is a direct call; in tests a table. */
#ifndef VALISE_SMTP_SERVICE_H
#define VALISE_SMTP_SERVICE_H

#include "base/arena.h"
#include "run/conn.h"
#include "dsn/request.h"
#include "sasl/sasl.h"

enum smtp_recipient_verdict {
    SMTP_RECIPIENT_OK,
    SMTP_RECIPIENT_UNKNOWN,
    SMTP_RECIPIENT_NOT_OURS,
    SMTP_RECIPIENT_DISABLED,
    SMTP_RECIPIENT_FULL,      /* no room under its quota now */
    SMTP_RECIPIENT_TOO_SMALL, /* the message is more than its quota allows in all */
    SMTP_RECIPIENT_FORBIDDEN, /* a group that this sender may not write to */
    SMTP_RECIPIENT_TOO_MANY,  /* it leads to more accounts than one address may */
    SMTP_RECIPIENT_LAST = SMTP_RECIPIENT_TOO_MANY
};

struct smtp_login {
    uint8_t account[16];
    str address;
    bool is_admin;
    struct conn_login by; /* generation, tag and kind; the session says the rest */
};                        /* who is logged in; account is the engine_part */

struct smtp_delivery {
    str session, id;  /* session id and message id of logs and Received: */
    str reverse_path; /* without brackets; empty: null sender */
    const str *recipients;
    size_t recipient_n;            /* as given, without brackets */
    const struct dsn_request *dsn; /* of each recipient; NULL: nothing was said */
    enum dsn_ret ret;              /* what reports return (RFC 3461) */
    str envid;                     /* in xtext; empty: not said */
    bool smtputf8, body_8bit;
    str message;                    /* lines, whatever BODY= said, whole, Received: on top; heap or mapped */
    const struct smtp_login *login; /* who sends it; NULL: a stranger */
    int fd;                         /* of the spool file or memfd that MESSAGE maps, -1 when it is on the heap */
    str structure;                  /* from message_parse */
};

/* What a name means, for VRFY and EXPN. */
enum { SMTP_MATCHES_MAX = 20 };
struct smtp_match {
    str address;
    bool enabled, is_list;
    const str *members; /* of a list */
    size_t member_n;
};

struct smtp_service {
    void *ctx;
    /* May a message of SIZE bytes (0: not known) from LOGIN (NULL: a stranger) for ADDRESS be taken? ERR_* for a temporary failure.
     * Blocks. */
    int (*recipient)(void *ctx, const struct smtp_login *login, str address, uint64_t size, enum smtp_recipient_verdict *ret,
                     struct error *e);
    /* Takes responsibility for the message: 0 means it survives power loss. ERR_FULL, ERR_UNAVAILABLE, ...; ERR_REFUSED when the
     * quota of a recipient is used up, ERR_LIMIT when the message can never fit. Where it returns an error nobody has the message, but
     * for failures of the store half-way. Blocks. */
    int (*accept)(void *ctx, const struct smtp_delivery *delivery, struct error *e);
    /* LMTP only (else NULL): the same with a result for each recipient in RESULTS, 0 or an error, when it returns 0; an error
     * returned holds for all. Blocks. */
    int (*accept_each)(void *ctx, const struct smtp_delivery *delivery, int *results, struct error *e);
    /* Submission only (else NULL): as directory_login; ERR_AGAIN: locked out; ERR_UNAVAILABLE with a delay: ask again after it. */
    int (*authenticate)(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct smtp_login *ret,
                        int64_t *ret_delay_ms);
    /* Submission only: whether LOGIN may send as ADDRESS. */
    bool (*may_send_as)(void *ctx, const struct smtp_login *login, str address);
    /* Submission only, for administrators: what NAME, an address or the local part of one, may mean; the first SMTP_MATCHES_MAX of *RET_N in
     * *RET. ERR_NOTFOUND, ERR_REFUSED (not ours), ERR_SYNTAX, ... */
    int (*match)(void *ctx, str name, struct arena *a, struct smtp_match **ret, size_t *ret_n);
    /* Whether the client's certificate with SERIAL was revoked since the handshake: asked at each MAIL where a certificate is required. One that cannot be
     * looked up counts as such. Blocks. NULL: whoever revokes it ends the session (conn_is_ended). */
    bool (*is_revoked)(void *ctx, str serial);
    /* A descriptor of an unlinked, empty file for a message over 1 MiB (owned by the caller), or a negative enum err. */
    int (*spool)(void *ctx, struct error *e);
};

enum smtp_tls { SMTP_TLS_OFF, SMTP_TLS_OPPORTUNISTIC, SMTP_TLS_REQUIRED, SMTP_TLS_IMPLICIT };

/* Immutable while connections use it. */
struct smtp_config {
    const struct smtp_service *service;
    bool submission; /* AUTH needed, own addresses only, missing Date and Message-ID added */
    bool lmtp;       /* LHLO, and an answer for each recipient (RFC 2033); not with submission */
    enum smtp_tls tls;
    bool clear_login;          /* AUTH without TLS as well: a lesson */
    bool certificate_required; /* nothing without TLS and a client certificate that our CA vouches for */
    struct sasl_settings auth; /* submission only */
    str hostname;              /* in the greeting and Received: */
    uint64_t size_max;         /* bytes of a message; SIZE */
    unsigned recipients_max;   /* per message */
    unsigned errors_max;       /* on one connection, before 421: bad commands, */
    unsigned junk_max;         /* commands that lead to nothing, since the last message, */
    unsigned unknown_max;      /* and unknown recipients: somebody guesses addresses */
    bool full_is_final;        /* a mailbox over quota is answered with 552 rather than 452 */
};

/* ctx of the listener is a const struct smtp_config *. */
extern const struct conn_ops smtp_session_ops;

#endif
