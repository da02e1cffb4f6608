/* imap: the session that a listener runs; RFC 3501 with the extensions of the command table. */
#ifndef VALISE_IMAP_IMAP_H
#define VALISE_IMAP_IMAP_H

#include "run/conn.h"
#include "sasl/sasl.h"
#include "store/mail.h"

struct imap_login {
    engine_part account;
    str address;
    struct conn_login by; /* generation, tag and kind; the session says the rest */
};

/* Immutable while connections use it. */
struct imap_config {
    struct mail_store *store;
    bool tls_required; /* LOGINDISABLED and no AUTH before TLS */
    str hostname;
    uint64_t append_max; /* bytes of an APPEND literal */
    unsigned errors_max; /* BAD answers before BYE */
    void *ctx;
    /* As directory_login: account and canonical address in A, delay to hold the answer. ERR_AGAIN: locked out;
     * ERR_UNSUPPORTED: it reads no mailboxes, or was to act as another. */
    int (*authenticate)(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct imap_login *ret,
                        int64_t *ret_delay_ms);
    struct sasl_settings auth;
};

/* ctx of the listener is a const struct imap_config *. */
extern const struct conn_ops imap_session_ops;

#endif
