/* delivery: a message that SMTP has taken in goes to the accounts that its recipients lead to, each account once.
 *
 * Three kinds of client, told apart by whom they can be answered to:
 *
 *   core_accept       one answer for all, nobody to report to (strangers): all or nothing. Where a quota leaves one account no room,
 *                     nothing is delivered, so that no one gets it twice when the client tries again.
 *   core_accept_each  LMTP, an answer for each recipient (RFC 2033 section 4.2), under the same rule for each: one that stands
 *                     for several accounts is all or nothing.
 *   core_submit       one answer for all, and a sender of ours: those with room get it, and the sender gets a report on the others.
 *
 * Invariants
 *  1. Quotas are looked at before anything is committed. From then on nobody is refused for a quota when somebody else may have
 *     the message already: two deliveries at once may both find the last room, and both fit.
 *  2. A report is durable before the message is answered for. A crash in between leaves the client without an answer: it sends again, and
 *     nobody who was told 250 lacks a report that was promised.
 *  3. A report has the null reverse-path, and none is made on a message that has it: no report on a report (RFC 3461 section 6.1). */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "dsn/report.h"
#include "role/core.h"
#include "role/notes.h"

/* Of the recipients of a message each may lead to a thousand accounts: the arena holds all of these leads, twice for growing. */
enum { ARENA_MAX = 64 << 20, RESOLVE_MAX = 1 << 20, REPORT_MAX = 2 << 20 };

/* One account that recipient RECIPIENT leads to. */
struct lead {
    uint32_t recipient, account; /* indices of the delivery's recipients and of the accounts */
};

struct delivery {
    struct core *core;
    const struct smtp_delivery *d;
    struct arena arena;
    struct mail_recipient *accounts; /* address: the account's own */
    size_t account_n;
    struct map places;  /* by an account's id: 1 + its index in accounts */
    struct lead *leads; /* in the order of recipients */
    size_t lead_n;
    int *room;  /* of each account: 0, ERR_REFUSED, ERR_LIMIT */
    bool *take; /* of each account: it gets the message */
    str prefix;
};

/* --- from recipients to accounts --- */

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

static struct delivery delivery_begin(struct core *core, const struct smtp_delivery *d)
{
    struct delivery v = { .core = core, .d = d, .arena = ARENA_INIT(ARENA_MAX) };
    map_init(&v.places);
    return v;
}

static void delivery_end(struct delivery *v)
{
    map_done(&v->places);
    arena_done(&v->arena);
}

/* Where ACCOUNT stands among the accounts, added if need be; SIZE_MAX: there is no room. */
static size_t place_of(struct delivery *v, const struct directory_account *account)
{
    str key = { (const char *)account->id.b, sizeof account->id.b }, address;
    uintptr_t place = (uintptr_t)map_get(&v->places, key);
    if (place)
        return place - 1;
    struct mail_recipient *accounts = grow(&v->arena, v->accounts, v->account_n, sizeof *accounts);
    if (!accounts || arena_dup(&v->arena, account->address, &address))
        return SIZE_MAX;
    v->accounts = accounts;
    accounts[v->account_n++] = (struct mail_recipient){ .account = account->id, .address = address };
    map_put(&v->places, key, (void *)(uintptr_t)v->account_n);
    return v->account_n - 1;
}

static int add_lead(struct delivery *v, size_t recipient, const struct directory_account *account)
{
    size_t i = place_of(v, account);
    if (i == SIZE_MAX)
        return ERR_UNAVAILABLE;
    struct lead *leads = grow(&v->arena, v->leads, v->lead_n, sizeof *leads);
    if (!leads)
        return ERR_UNAVAILABLE;
    v->leads = leads;
    leads[v->lead_n++] = (struct lead){ (uint32_t)recipient, (uint32_t)i };
    return 0;
}

/* What became of recipient I by now: it leads to an account, or why not. */
static int resolve(struct delivery *v, size_t i)
{
    struct arena scratch = ARENA_INIT(RESOLVE_MAX);
    struct directory_account *list;
    size_t n;
    bool any = false;
    engine_part sender;
    if (v->d->login)
        memcpy(sender.b, v->d->login->account, sizeof sender.b);
    int err = directory_resolve_from(v->core->directory, v->d->login ? &sender : NULL, v->d->recipients[i], &scratch, &list, &n);
    for (size_t k = 0; err == 0 && k < n; k++) {
        if (list[k].enabled)
            err = add_lead(v, i, &list[k]);
        any = any || list[k].enabled;
    }
    arena_done(&scratch);
    if (err == 0 && any)
        return 0;
    /* RCPT was answered with 250, so whatever has changed since is for another attempt to find out. */
    return err && err != ERR_NOTFOUND && err != ERR_REFUSED && err != ERR_LIMIT && err != ERR_UNSUPPORTED ? err : ERR_UNAVAILABLE;
}

/* Invariant 1: looks at the room that each account has. */
static int look_for_room(struct delivery *v, struct error *e)
{
    v->room = arena_array(&v->arena, v->account_n, sizeof *v->room);
    v->take = arena_array(&v->arena, v->account_n, sizeof *v->take);
    /* RFC 5321 section 4.4: Return-Path at final delivery, by whoever delivers. */
    int err = arena_printf(&v->arena, &v->prefix, "Return-Path: <%.*s>\r\n", STR_ARG(v->d->reverse_path));
    if (err || !v->room || !v->take)
        return error_set(e, ERR_UNAVAILABLE, "too many recipients");
    for (size_t i = 0; i < v->account_n; i++) {
        int room = mail_account_room(v->core->mail, v->accounts[i].account, v->d->message.n + v->prefix.n);
        if (room && room != ERR_REFUSED && room != ERR_LIMIT)
            return error_set(e, room == ERR_NOTFOUND ? ERR_UNAVAILABLE : room, "the account of %.*s cannot be opened",
                             STR_ARG(v->accounts[i].address));
        v->room[i] = room;
    }
    return 0;
}

/* --- into the accounts --- */

/* Delivers to the accounts with TAKE; their results are in ACCOUNTS, those of the others stay. An error that is not an account's own is
 * returned. */
static int store(struct delivery *v, struct error *e)
{
    struct mail_deposit *deposit = NULL;
    struct mail_recipient *list = arena_array(&v->arena, v->account_n, sizeof *list);
    size_t n = 0;
    if (!list)
        return error_set(e, ERR_UNAVAILABLE, "too many recipients");
    for (size_t i = 0; i < v->account_n; i++) {
        v->accounts[i].prefix = v->prefix;
        v->accounts[i].beyond_quota = v->account_n > 1;
        if (v->take[i])
            list[n++] = v->accounts[i];
    }
    if (n == 0)
        return 0;
    int err = mail_deposit_from(v->core->mail, v->d->message, v->d->structure, &deposit, e);
    if (err)
        return err;
    int64_t began_us = clock_mono_us();
    err = mail_deliver(v->core->mail, deposit, list, n, e);
    metric_observe(metric_get(METRIC_DELIVERY_TIME, NULL), clock_mono_us() - began_us);
    mail_deposit_free(deposit);
    bool known = false; /* whether the error is one account's own */
    for (size_t i = v->account_n; i-- > 0;) {
        if (v->take[i])
            v->accounts[i].result = list[--n].result;
        known = known || (v->take[i] && v->accounts[i].result != 0);
    }
    return known ? 0 : err;
}

static void note(const struct delivery *v, str to, int err, const struct error *e)
{
    metric_add(metric_get(METRIC_DELIVERIES, "result", err ? err_name(err) : "ok", NULL), 1);
    log_event(err ? LOG_WARNING : LOG_INFO, err ? "delivery-failed" : "delivered", LOG_STR("session", v->d->session),
              LOG_STR("id", v->d->id), LOG_STR("to", to), LOG_Z("error", err ? err_name(err) : ""),
              LOG_Z("text", err && e ? e->text : ""));
}

/* The first error of an account that was to get the message. */
static int first_result(const struct delivery *v)
{
    for (size_t i = 0; i < v->account_n; i++)
        if (v->take[i] && v->accounts[i].result)
            return v->accounts[i].result;
    return 0;
}

/* --- reports to the sender --- */

static const struct dsn_request no_wish;

/* What is to be reported of recipient I, whose leads begin at *AT and end before it on return. */
static size_t report_on(const struct delivery *v, size_t i, size_t *at, struct dsn_outcome *out)
{
    const struct dsn_request *wish = v->d->dsn ? &v->d->dsn[i] : &no_wish;
    size_t first = *at, failed = 0, n = 0;
    for (; *at < v->lead_n && v->leads[*at].recipient == i; ++*at)
        failed += !v->take[v->leads[*at].account];
    size_t lead_n = *at - first;
    /* RFC 3461 section 5.2.7.3 (c): an address of several is "expanded", and each of them may fail by itself. */
    if (failed < lead_n && dsn_request_wants(wish->notify, DSN_ACTION_DELIVERED))
        out[n++] = (struct dsn_outcome){ .recipient = v->d->recipients[i],
                                         .orcpt = wish->orcpt,
                                         .action = lead_n > 1 ? DSN_ACTION_EXPANDED : DSN_ACTION_DELIVERED,
                                         .status = lead_n > 1 ? STR("2.1.5") : STR("2.0.0") };
    for (size_t k = first; k < *at && dsn_request_wants(wish->notify, DSN_ACTION_FAILED); k++) {
        size_t account = v->leads[k].account;
        if (v->take[account])
            continue;
        bool never = v->room[account] == ERR_LIMIT;
        out[n++] = (struct dsn_outcome){
            .recipient = lead_n > 1 ? v->accounts[account].address : v->d->recipients[i],
            .orcpt = wish->orcpt,
            .action = DSN_ACTION_FAILED,
            .status = never ? STR("5.2.3") : STR("5.2.2"),
            .reply = never ? STR("552 5.2.3 The message is larger than this mailbox may ever hold; send a smaller one")
                           : STR("552 5.2.2 The mailbox is full; its owner must delete mail first")
        };
    }
    return n;
}

/* The accounts of the reverse-path; none when it leads nowhere any more. *RET_LANGUAGE: the one of them all, else UNSAID. */
static int sender_accounts(struct delivery *v, struct mail_recipient **ret, size_t *ret_n, enum language *ret_language)
{
    struct directory_account *list;
    size_t n;
    *ret_n = 0;
    *ret_language = LANGUAGE_UNSAID;
    int err = directory_resolve(v->core->directory, v->d->reverse_path, &v->arena, &list, &n);
    if (err)
        return err == ERR_UNSUPPORTED || err == ERR_NOTFOUND || err == ERR_REFUSED || err == ERR_SYNTAX ? 0 : err;
    *ret = arena_array(&v->arena, n, sizeof **ret);
    if (!*ret)
        return ERR_LIMIT;
    /* Also to a full mailbox: it is a few bytes, and who is full has to learn it. */
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = (struct mail_recipient){
            .account = list[i].id, .address = list[i].address, .prefix = STR("Return-Path: <>\r\n"), .beyond_quota = true
        };
    bool one = n > 0;
    for (size_t i = 0; i < n; i++)
        one = one && list[i].language == list[0].language;
    if (one)
        *ret_language = notes_language(&v->core->admin, list[0].language);
    *ret_n = n;
    return 0;
}

static int write_report(struct delivery *v, enum language language, const struct dsn_outcome *outcomes, size_t n, struct buf *out,
                        struct error *e)
{
    struct id id = id_new();
    int64_t now_s = clock_real_ms() / 1000;
    str hostname, from, domain = str_from(v->d->reverse_path, 0);
    for (size_t at; (at = str_find_byte(domain, '@', 0)) < domain.n;)
        domain = str_from(domain, at + 1);
    struct role_snapshot *s = role_snapshot_get(v->core->run);
    int err = arena_dup(&v->arena, s->config->hostname, &hostname);
    role_snapshot_unref(s);
    if (err == 0)
        err = arena_printf(&v->arena, &from, "postmaster@%.*s", STR_ARG(domain));
    if (err == 0)
        err = dsn_report_write(out, &(struct dsn_report){ .hostname = hostname,
                                                          .from = from,
                                                          .sender = v->d->reverse_path,
                                                          .id = id_str(&id),
                                                          .envid = v->d->envid,
                                                          .ret = v->d->ret,
                                                          .utf8 = v->d->smtputf8,
                                                          .arrived_s = now_s,
                                                          .now_s = now_s,
                                                          .zone = date_local_zone(now_s),
                                                          .language = language,
                                                          .message = v->d->message,
                                                          .outcomes = outcomes,
                                                          .outcome_n = n,
                                                          /* else the message was refused, see core_submit */
                                                          .has_reached_others = true });
    return err ? error_set(e, err, "the report to the sender cannot be written") : 0;
}

/* Invariant 2: delivers the report that the sender is to have, if any. */
static int report(struct delivery *v, struct error *e)
{
    size_t failed = 0;
    for (size_t i = 0; i < v->lead_n; i++)
        failed += !v->take[v->leads[i].account];
    struct dsn_outcome *outcomes = arena_array(&v->arena, v->d->recipient_n + failed, sizeof *outcomes);
    struct mail_recipient *to = NULL;
    struct mail_deposit *deposit = NULL;
    struct buf text = BUF_INIT(REPORT_MAX);
    size_t n = 0, at = 0, to_n;
    enum language language;
    if (!outcomes)
        return error_set(e, ERR_UNAVAILABLE, "too many recipients");
    if (v->d->reverse_path.n == 0) /* invariant 3 */
        return 0;
    for (size_t i = 0; i < v->d->recipient_n; i++)
        n += report_on(v, i, &at, outcomes + n);
    if (n == 0)
        return 0;
    int err = sender_accounts(v, &to, &to_n, &language);
    if (err == 0 && to_n)
        err = write_report(v, language, outcomes, n, &text, e);
    if (err == 0 && to_n) {
        deposit = mail_deposit_new(v->core->mail, NULL);
        err = mail_deposit_write(deposit, buf_str(&text));
        if (err == 0)
            err = mail_deliver(v->core->mail, deposit, to, to_n, e);
        mail_deposit_free(deposit);
    }
    buf_done(&text);
    log_event(err ? LOG_WARNING : LOG_INFO, "report", LOG_STR("session", v->d->session), LOG_STR("id", v->d->id),
              LOG_STR("to", v->d->reverse_path), LOG_NUM("recipients", n), LOG_Z("error", err ? err_name(err) : ""));
    return err == ERR_LIMIT || err == ERR_REFUSED ? ERR_UNAVAILABLE : err; /* neither is what the message is refused for */
}

/* --- the three ways in --- */

/* Finds the accounts of all recipients and their room. */
static int prepare(struct delivery *v, struct error *e)
{
    int err = 0;
    for (size_t i = 0; i < v->d->recipient_n && err == 0; i++) {
        err = resolve(v, i);
        if (err)
            (void)error_set(e, err, "recipient %.*s went away during the transaction", STR_ARG(v->d->recipients[i]));
    }
    return err ? err : look_for_room(v, e);
}

static int finish(struct delivery *v, int err, struct error *e)
{
    if (err)
        note(v, v->d->recipients[0], err, e);
    for (size_t i = 0; err == 0 && i < v->account_n; i++)
        if (v->take[i])
            note(v, v->accounts[i].address, 0, NULL);
    delivery_end(v);
    return err;
}

/* The error of the first account without room; *RET_N is how many have some. */
static int refusal(const struct delivery *v, size_t *ret_n, struct error *e)
{
    int err = 0;
    *ret_n = 0;
    for (size_t i = 0; i < v->account_n; i++) {
        *ret_n += v->room[i] == 0;
        if (err == 0 && v->room[i])
            err = error_set(e, v->room[i], "%.*s is over quota", STR_ARG(v->accounts[i].address));
    }
    return err;
}

int core_accept(void *ctx, const struct smtp_delivery *d, struct error *e)
{
    struct delivery v = delivery_begin(ctx, d);
    size_t n;
    int err = prepare(&v, e);
    if (err == 0)
        err = refusal(&v, &n, e);
    for (size_t i = 0; err == 0 && i < v.account_n; i++)
        v.take[i] = true;
    if (err == 0)
        err = store(&v, e);
    if (err == 0)
        err = first_result(&v);
    return finish(&v, err, e);
}

int core_submit(void *ctx, const struct smtp_delivery *d, struct error *e)
{
    struct delivery v = delivery_begin(ctx, d);
    size_t n = 0;
    int err = prepare(&v, e);
    if (err == 0 && refusal(&v, &n, NULL) && (n == 0 || d->reverse_path.n == 0))
        err = refusal(&v, &n, e); /* whoever can be told at once is not sent a report */
    for (size_t i = 0; err == 0 && i < v.account_n; i++)
        v.take[i] = v.room[i] == 0;
    if (err == 0)
        err = store(&v, e);
    if (err == 0)
        err = first_result(&v);
    if (err == 0)
        err = report(&v, e);
    return finish(&v, err, e);
}

int core_accept_each(void *ctx, const struct smtp_delivery *d, int *results, struct error *e)
{
    struct delivery v = delivery_begin(ctx, d);
    for (size_t i = 0; i < d->recipient_n; i++)
        results[i] = resolve(&v, i);
    int err = look_for_room(&v, e);
    for (size_t i = 0; err == 0 && i < v.lead_n; i++) {
        int *result = &results[v.leads[i].recipient];
        *result = *result ? *result : v.room[v.leads[i].account];
    }
    for (size_t i = 0; err == 0 && i < v.lead_n; i++)
        v.take[v.leads[i].account] |= results[v.leads[i].recipient] == 0;
    if (err == 0)
        err = store(&v, e);
    for (size_t i = 0; err == 0 && i < v.lead_n; i++) {
        int *result = &results[v.leads[i].recipient];
        *result = *result ? *result : v.accounts[v.leads[i].account].result;
    }
    for (size_t i = 0; i < d->recipient_n; i++)
        note(&v, d->recipients[i], err ? err : results[i], e);
    delivery_end(&v);
    return err;
}
