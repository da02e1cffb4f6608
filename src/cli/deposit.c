/* deposit: see deposit.h. */
#include "cli/deposit.h"

#include "base/clock.h"
#include "message/structure.h"

void deposit_init(struct deposit *d, struct port *p)
{
    *d = (struct deposit){ .port = p, .mailbox = BUF_INIT(65536) };
    known_init(&d->known);
}

void deposit_done(struct deposit *d)
{
    known_done(&d->known);
    buf_done(&d->mailbox);
}

int deposit_flush(struct deposit *d, struct error *e)
{
    return bulk_do(&d->port->client, json_pack("{s:s}", "command", "bulk.flush"), (str){ NULL, 0 }, e);
}

int deposit_mailbox(struct deposit *d, str name, const char *use, struct error *e)
{
    if (d->mailbox.n && str_eq(buf_str(&d->mailbox), name))
        return 0;
    int err = d->mailbox.n ? deposit_flush(d, e) : 0;
    json_t *v = json_stringn(name.p, name.n);
    if (!v)
        return error_set(e, ERR_SYNTAX, "a mailbox's name is not UTF-8");
    buf_reset(&d->mailbox);
    known_done(&d->known);
    known_init(&d->known);
    if (err == 0)
        err = bulk_do(&d->port->client, json_pack("{s:s,s:O,s:s}", "command", "bulk.create", "mailbox", v, "use", use),
                      (str){ NULL, 0 }, e);
    json_decref(v);
    if (err == 0)
        err = known_read(&d->known, d->port, name, e);
    if (err == 0) {
        buf_add(&d->mailbox, name);
        d->mailboxes++;
    }
    return err;
}

/* The Message-ID of MESSAGE, escaped as bulk.list does it. */
static void add_message_id(struct buf *id, str message)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf structure = BUF_INIT(65536);
    const struct envelope *envelope;
    if (message_parse(message, &message_limits_default, &structure) == 0 &&
        structure_envelope(buf_str(&structure), &a, &envelope) == 0)
        buf_add_escaped(id, envelope->message_id);
    buf_done(&structure);
    arena_done(&a);
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

int deposit_add(struct deposit *d, str message, const struct mail_flags *flags, int64_t received_ms, struct error *e)
{
    struct buf id = BUF_INIT(65536);
    int64_t received = received_ms == INT64_MIN ? clock_real_ms() : received_ms;
    add_message_id(&id, message);
    bool there = known_take(&d->known, buf_str(&id), message.n, received);
    buf_done(&id);
    if (there) {
        d->skipped++;
        return 0;
    }
    int err =
        bulk_do(&d->port->client,
                json_pack("{s:s,s:s%,s:I,s:o,s:I}", "command", "bulk.append", "mailbox", d->mailbox.p, d->mailbox.n, "flags",
                          (json_int_t)flags->system, "keywords", keywords_json(flags), "received", (json_int_t)received),
                message, e);
    d->added += err == 0;
    d->bytes += err == 0 ? message.n : 0;
    return err;
}
