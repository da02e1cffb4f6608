/* lmtp: delivery with a result for each recipient (RFC 2033 section 4.2). An account that several recipients lead to gets the
 * message once, and its result counts for each of them. */
#include "base/log.h"
#include "role/core.h"

enum { ARENA_MAX = 8 << 20 };

/* One account that recipient RECIPIENT leads to. */
struct lead {
    size_t recipient, account; /* indices of the delivery's recipients and of spread.accounts */
};

struct spread {
    struct arena arena;
    struct mail_recipient *accounts;
    size_t account_n;
    struct lead *leads;
    size_t lead_n;
};

/* Room for one more in a list of N elements of SIZE that is full at each power of two. NULL: the arena is. */
static void *grow(struct arena *a, void *list, size_t n, size_t size)
{
    if (n & (n - 1))
        return list;
    void *larger = arena_array(a, n ? 2 * n : 1, size);
    if (larger && n)
        memcpy(larger, list, n * size);
    return larger;
}

static int add_lead(struct spread *s, size_t recipient, engine_part account, str address)
{
    size_t i = 0;
    while (i < s->account_n && memcmp(s->accounts[i].account.b, account.b, sizeof account.b) != 0)
        i++;
    if (i == s->account_n) {
        struct mail_recipient *accounts = grow(&s->arena, s->accounts, s->account_n, sizeof *accounts);
        if (!accounts)
            return ERR_LIMIT;
        s->accounts = accounts;
        accounts[s->account_n++] = (struct mail_recipient){ .account = account, .address = address };
    }
    struct lead *leads = grow(&s->arena, s->leads, s->lead_n, sizeof *leads);
    if (!leads)
        return ERR_LIMIT;
    s->leads = leads;
    leads[s->lead_n++] = (struct lead){ recipient, i };
    return 0;
}

/* What became of recipient I by now: it leads to an account, or why not. */
static int resolve(struct core *c, struct spread *s, size_t i, str address)
{
    struct directory_account *list;
    size_t n;
    bool any = false;
    int err = directory_resolve(c->directory, address, &s->arena, &list, &n);
    for (size_t k = 0; err == 0 && k < n; k++) {
        if (list[k].enabled)
            err = add_lead(s, i, list[k].id, address);
        any = any || list[k].enabled;
    }
    if (err == 0 && any)
        return 0;
    /* RCPT was answered with 250, so whatever has changed since is for another attempt to find out. */
    return err && err != ERR_NOTFOUND && err != ERR_REFUSED ? err : ERR_UNAVAILABLE;
}

static int store(struct core *c, struct spread *s, const struct smtp_delivery *d, struct error *e)
{
    struct mail_deposit *deposit = NULL;
    str prefix;
    int err = arena_printf(&s->arena, &prefix, "Return-Path: <%.*s>\r\n", STR_ARG(d->reverse_path));
    if (err == 0)
        err = mail_deposit_from(c->mail, d->message, d->structure, &deposit, e);
    if (err)
        return err;
    for (size_t i = 0; i < s->account_n; i++)
        s->accounts[i].prefix = prefix;
    err = mail_deliver(c->mail, deposit, s->accounts, s->account_n, e);
    mail_deposit_free(deposit);
    bool known = false; /* whether the error is one account's own */
    for (size_t i = 0; i < s->account_n; i++)
        known = known || s->accounts[i].result != 0;
    return known ? 0 : err;
}

int core_accept_each(void *ctx, const struct smtp_delivery *d, int *results, struct error *e)
{
    struct core *c = ctx;
    struct spread s = { .arena = ARENA_INIT(ARENA_MAX) };
    int err = 0;
    for (size_t i = 0; i < d->recipient_n; i++)
        results[i] = resolve(c, &s, i, d->recipients[i]);
    if (s.account_n)
        err = store(c, &s, d, e);
    for (size_t i = 0; i < s.lead_n; i++) {
        int *result = &results[s.leads[i].recipient];
        *result = *result ? *result : s.accounts[s.leads[i].account].result;
    }
    for (size_t i = 0; i < d->recipient_n; i++)
        log_event(err || results[i] ? LOG_WARNING : LOG_INFO, err || results[i] ? "delivery-failed" : "delivered",
                  LOG_STR("session", d->session), LOG_STR("id", d->id), LOG_STR("to", d->recipients[i]),
                  LOG_Z("error", err || results[i] ? err_name(err ? err : results[i]) : ""));
    arena_done(&s.arena);
    return err;
}
