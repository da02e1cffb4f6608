/* transaction: one message on its way in; see session_private.h. It has one constructor, MAIL, and one destructor. */
#include "smtp/session_private.h"

enum { TRANSACTION_ARENA_MAX = 1024 * 1024, WHY_MAX = 1024 * 1024 };

struct smtp_transaction *smtp_transaction_new(const struct smtp_config *config)
{
    struct smtp_transaction *t = calloc(1, sizeof(*t));
    if (!t)
        panic("out of memory");
    arena_init(&t->arena, TRANSACTION_ARENA_MAX);
    t->id = id_new();
    smtp_body_init(&t->body, config->service);
    smtp_body_init(&t->lines, config->service);
    smtp_header_init(&t->header, &t->body);
    t->why = BUF_INIT(WHY_MAX);
    map_init(&t->taken);
    return t;
}

void smtp_transaction_end(struct smtp_session *s)
{
    struct smtp_transaction *t = s->transaction;
    s->transaction = NULL;
    if (!t)
        return;
    smtp_header_done(&t->header);
    buf_done(&t->why);
    smtp_body_done(&t->body);
    smtp_body_done(&t->lines);
    map_done(&t->taken);
    free(t->recipients);
    free(t->dsn);
    arena_done(&t->arena);
    free(t);
}

size_t smtp_recipients_max(const struct smtp_config *config)
{
    /* RFC 5321 section 4.5.3.1.8: at least 100 must be taken, whatever the configuration says. */
    return config->recipients_max > 100 ? config->recipients_max : 100;
}

bool smtp_transaction_has(const struct smtp_transaction *t, str address)
{
    return map_get(&t->taken, address) != NULL;
}

int smtp_transaction_add(struct smtp_transaction *t, const struct smtp_config *config, const struct smtp_rcpt *rcpt)
{
    str address = rcpt->address.text;
    bool again = smtp_transaction_has(t, address);
    if (t->recipient_n + t->recipient_again_n >= smtp_recipients_max(config))
        return ERR_LIMIT;
    /* Said twice, delivered once; in LMTP each is answered (RFC 2033 section 4.2). */
    if (!config->lmtp && again) {
        t->recipient_again_n++;
        return 0;
    }
    if ((t->recipient_n & (t->recipient_n - 1)) == 0) { /* full at each power of two */
        size_t cap = t->recipient_n ? t->recipient_n * 2 : 1;
        str *larger = reallocarray(t->recipients, cap, sizeof(*larger));
        struct dsn_request *larger_dsn = reallocarray(t->dsn, cap, sizeof(*larger_dsn));
        if (!larger || !larger_dsn)
            panic("out of memory");
        t->recipients = larger;
        t->dsn = larger_dsn;
    }
    struct dsn_request *dsn = &t->dsn[t->recipient_n];
    *dsn = rcpt->dsn;
    int rc = arena_dup(&t->arena, address, &t->recipients[t->recipient_n]);
    if (!rc)
        rc = arena_dup(&t->arena, rcpt->dsn.orcpt, &dsn->orcpt);
    if (rc)
        return rc;
    if (!again)
        map_put(&t->taken, address, t);
    t->recipient_n++;
    return 0;
}
