/* deposit: see deposit.h. */
#include "cli/deposit.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/log.h"
#include "message/binary.h"
#include "message/structure.h"

enum { STRUCTURE_MAX = 16 << 20, REPAIRED_MAX = 2000000000 };

void deposit_init(struct deposit *d, struct port *p, deposit_failed_fn *failed, void *ctx)
{
    *d = (struct deposit){ .port = p,
                           .mailbox = BUF_INIT(65536),
                           .called = BUF_INIT(65536),
                           .repaired = BUF_INIT(REPAIRED_MAX),
                           .failed = failed,
                           .ctx = ctx };
    map_init(&d->knowns);
}

void deposit_done(struct deposit *d)
{
    size_t iter = 0;
    str name;
    void *known;
    while (map_next(&d->knowns, &iter, &name, &known)) {
        known_done(known);
        free(known);
    }
    map_done(&d->knowns);
    buf_done(&d->mailbox);
    buf_done(&d->called);
    buf_done(&d->repaired);
    for (size_t i = 0; i < DEPOSIT_SENT_MAX; i++)
        free(d->sent[i].what);
}

/* Asks REQUEST, and believes what the reply says of earlier messages as far as they are ours. */
static int ask(struct deposit *d, json_t *request, str bytes, struct error *e)
{
    json_t *reply, *one;
    size_t i;
    int err = bulk_call(&d->port->client, request, bytes, &reply, NULL, e);
    if (err)
        return err;
    json_array_foreach(json_object_get(reply, "failed"), i, one)
    {
        uint64_t number = (uint64_t)json_integer_value(json_object_get(one, "number"));
        const char *text = json_string_value(json_object_get(one, "text"));
        struct deposit_sent *sent = &d->sent[number % DEPOSIT_SENT_MAX];
        if (number >= d->sent_n || !sent->what)
            continue;
        if (d->failed)
            d->failed(d->ctx, sent->what, text ? text : "refused without a reason");
        d->added--;
        d->bytes -= sent->bytes;
        d->failures++;
        free(sent->what);
        sent->what = NULL;
    }
    json_int_t lost = json_integer_value(json_object_get(reply, "keywords-lost"));
    d->keywords_lost += lost > 0 ? (uint64_t)lost : 0;
    json_decref(reply);
    return 0;
}

int deposit_flush(struct deposit *d, struct error *e)
{
    return ask(d, json_pack("{s:s}", "command", "bulk.flush"), (str){ NULL, 0 }, e);
}

static int create(struct deposit *d, str name, const char *use, struct error *e)
{
    json_t *v = json_stringn(name.p, name.n);
    if (!v)
        return error_set(e, ERR_SYNTAX, "a mailbox's name is not UTF-8");
    int err = bulk_do(&d->port->client, json_pack("{s:s,s:O,s:s}", "command", "bulk.create", "mailbox", v, "use", use),
                      (str){ NULL, 0 }, e);
    json_decref(v);
    return err;
}

/* Makes NAME, or what comes next to it where no mailbox can be called so (*RET). */
static int create_near(struct deposit *d, str name, const char *use, struct arena *a, str *ret, struct error *e)
{
    str apart;
    int err = create(d, name, use, e);
    *ret = name;
    if (err != ERR_SYNTAX || mailbox_name_apart(name, a, &apart) || str_eq(apart, name))
        return err;
    *e = ERROR_NONE;
    err = create(d, apart, use, e);
    if (err)
        return err;
    *ret = apart;
    return 0;
}

/* What the mailbox CALLED had when this run first came to it: read again, it would have what the run has brought since. *RET_NEW: this is the first time. */
static int find_known(struct deposit *d, str called, bool *ret_new, struct error *e)
{
    char room[MAIL_NAME_ROOM];
    str composed = mailbox_name_composed(called, room);
    size_t inbox = mailbox_name_inbox(composed);
    struct buf key = BUF_INIT(MAIL_NAME_ROOM);
    buf_add_all(&key, str_sub(STR("INBOX"), 0, inbox), str_from(composed, inbox));
    struct known *known = map_get(&d->knowns, buf_str(&key));
    int err = 0;
    *ret_new = !known;
    if (!known) {
        known = calloc(1, sizeof *known);
        if (!known)
            panic("out of memory for what a mailbox has");
        known_init(known);
        err = known_read(known, d->port, called, e);
        if (err == 0)
            (void)map_put(&d->knowns, buf_str(&key), known);
    }
    buf_done(&key);
    if (err) {
        known_done(known);
        free(known);
        return err;
    }
    d->known = known;
    return 0;
}

int deposit_mailbox(struct deposit *d, str name, const char *use, struct error *e)
{
    if (d->mailbox.n && str_eq(buf_str(&d->mailbox), name))
        return 0;
    struct arena a = ARENA_INIT(1 << 20);
    str called = name;
    bool first;
    int err = d->mailbox.n ? deposit_flush(d, e) : 0;
    buf_reset(&d->mailbox);
    buf_reset(&d->called);
    if (err == 0)
        err = create_near(d, name, use, &a, &called, e);
    if (err == 0)
        err = find_known(d, called, &first, e);
    if (err == 0) {
        buf_add(&d->mailbox, name);
        buf_add(&d->called, called);
        d->mailboxes += first;
        if (first && !str_eq(called, name) && !d->apart_n++)
            (void)snprintf(d->apart, sizeof d->apart, "%.*s, which is %.*s", STR_ARG(name), STR_ARG(called));
    }
    arena_done(&a);
    return err;
}

void deposit_tell_names(const struct deposit *d)
{
    if (d->apart_n)
        (void)printf("%s another name here, because no mailbox is called \".\", \"..\", cur, new or tmp; the "
                     "first is %s\n",
                     COUNT(d->apart_n, "mailbox has", "mailboxes have"), d->apart);
}

static json_t *keywords_json(const struct mail_flags *flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < flags->keyword_n; i++) {
        json_t *v = json_stringn(flags->keywords[i].p, flags->keywords[i].n);
        if (v)
            json_array_append_new(list, v);
    }
    return list;
}

static void put(void *ctx, str bytes)
{
    buf_add(ctx, bytes);
}

/* MESSAGE as the store will keep it (mail_deposit_repair). */
static str as_stored(struct deposit *d, str message)
{
    struct arena a = ARENA_INIT(STRUCTURE_MAX);
    struct buf bytes = BUF_INIT(STRUCTURE_MAX);
    const struct structure *s;
    buf_reset(&d->repaired);
    bool good = !message_text_is(message, MESSAGE_TEXT_NO_NUL) && message_parse(message, &message_limits_default, &bytes) == 0 &&
                structure_open(buf_str(&bytes), message.n, &a, &s) == 0;
    if (good)
        message_nul_repair(message, s, put, &d->repaired);
    buf_done(&bytes);
    arena_done(&a);
    return good && !buf_error(&d->repaired) ? buf_str(&d->repaired) : message;
}

/* Remembers the message that is sent next. */
static void remember(struct deposit *d, const char *what, uint64_t bytes)
{
    struct deposit_sent *sent = &d->sent[d->sent_n++ % DEPOSIT_SENT_MAX];
    free(sent->what);
    *sent = (struct deposit_sent){ strdup(what), bytes };
    if (!sent->what)
        panic("out of memory for a name");
}

int deposit_add(struct deposit *d, str message, const struct mail_flags *flags, int64_t received_ms, const char *what,
                struct error *e)
{
    bool there;
    int64_t received = received_ms == INT64_MIN ? clock_real_ms() : received_ms;
    str kept = as_stored(d, message);
    bool changed = kept.p != message.p;
    message = kept;
    int err = known_take(d->known, message, &there, e);
    if (err == 0 && !there && d->ends_lines && str_ends(message, STR("\r\n")))
        err = known_take(d->known, str_sub(message, 0, message.n - 2), &there, e);
    d->skipped += err == 0 && there;
    if (err || there)
        return err;
    remember(d, what, message.n);
    d->added++;
    d->with_nul += changed;
    d->bytes += message.n;
    err = ask(d,
              json_pack("{s:s,s:s%,s:I,s:o,s:I}", "command", "bulk.append", "mailbox", d->called.p, d->called.n, "flags",
                        (json_int_t)flags->system, "keywords", keywords_json(flags), "received", (json_int_t)received),
              message, e);
    d->added -= err != 0;
    d->bytes -= err ? message.n : 0;
    return err;
}
