/* imap_load, modes that write: fill and append store messages, login measures logins, mixed does a little of everything. */
#include "imap_load.h"

#include <stdlib.h>

static void prepare_messages(void)
{
    for (long i = 0; i < load.o.sessions; i++) {
        message_init(&load.sessions[i].message, (size_t)load.o.size);
        load.sessions[i].begun = calloc((size_t)load.o.window, sizeof *load.sessions[i].begun);
        if (!load.sessions[i].begun)
            abort();
    }
}

/* --- fill, append: APPENDs with up to a window of them unanswered --- */

static void append_one(struct imap_load_session *me)
{
    message_number(&me->message, (unsigned long)load.begun++);
    uint64_t now = stats_now();
    unsigned tag = imap_client_append(&me->client, load.o.mailbox, me->message.text, me->message.size);
    me->begun[tag % (unsigned long)load.o.window] = now;
    me->round++;
}

static void append_ready(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    while (me->round < load.o.window && load.begun < load.o.count)
        append_one(me);
    if (me->round == 0)
        imap_client_logout(s);
}

static void append_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    struct imap_load_session *me = s->owner;
    stats_add(&load.samples, stats_now() - me->begun[tag % (unsigned long)load.o.window]);
    me->round--;
    if (ok)
        load.done++;
    else
        imap_load_refused(s);
    if (load.begun < load.o.count)
        append_one(me);
    else if (me->round == 0)
        imap_client_logout(s);
}

static void rate_report(double seconds)
{
    stats_print(&load.report, "seconds", seconds, "s");
    stats_print(&load.report, "done", (double)load.done, "");
    stats_print(&load.report, "rate", seconds > 0 ? (double)load.done / seconds : 0, "/s");
    stats_print(&load.report, "p50_ms", stats_percentile_ms(&load.samples, 50), "ms");
    stats_print(&load.report, "p99_ms", stats_percentile_ms(&load.samples, 99), "ms");
}

const struct imap_load_mode imap_load_fill = {
    .name = "fill",
    .help = "store --count messages with pipelined APPENDs",
    .on = { .ready = append_ready, .tagged = append_tagged },
    .prepare = prepare_messages,
    .report = rate_report,
};

static void prepare_append(void)
{
    load.o.window = 1;
    prepare_messages();
}

const struct imap_load_mode imap_load_append = {
    .name = "append",
    .help = "store --count messages over --sessions connections, each waits for its answer",
    .on = { .ready = append_ready, .tagged = append_tagged },
    .prepare = prepare_append,
    .report = rate_report,
};

/* --- login: connect, LOGIN, LOGOUT --- */

static void login_ready(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    stats_add(&load.samples, stats_now() - me->since);
    load.done++;
    imap_client_logout(s);
}

static void login_begin(struct imap_load_session *me)
{
    load.begun++;
    me->since = stats_now();
}

static void login_over(struct imap_client *s, const char *why)
{
    struct imap_load_session *me = s->owner;
    if (load.begun >= load.o.count || load.broken > 20)
        return;
    login_begin(me);
    me->index += load.o.sessions; /* the next user */
    imap_load_start(me);
}

static void login_prepare(void)
{
    load.o.at_once = load.o.sessions;
    for (long i = 0; i < load.o.sessions; i++)
        login_begin(&load.sessions[i]);
}

static void login_tagged(struct imap_client *s, unsigned tag, bool ok) {}

const struct imap_load_mode imap_load_login = {
    .name = "login",
    .help = "--count times connect, LOGIN and LOGOUT over --sessions slots",
    .on = { .ready = login_ready, .tagged = login_tagged, .over = login_over },
    .prepare = login_prepare,
    .report = rate_report,
};

/* --- mixed: what people's programs send, in rough proportion --- */

static unsigned long random_below(unsigned long n)
{
    return n ? (unsigned long)random() % n : 0;
}

static void mixed_next(struct imap_load_session *me)
{
    struct imap_client *s = &me->client;
    if (stats_now() - load.begin > (uint64_t)load.o.seconds * 1000000000U) {
        imap_client_logout(s);
        return;
    }
    unsigned long n = 1 + random_below((unsigned long)me->exists), dice = me->exists ? random_below(100) : 99;
    me->since = stats_now();
    if (dice < 35)
        imap_client_command(s, "FETCH %lu (FLAGS UID BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])", n);
    else if (dice < 55)
        imap_client_command(s, "FETCH %lu (BODY.PEEK[])", n);
    else if (dice < 70)
        imap_client_command(s, "STORE %lu %cFLAGS.SILENT (\\Seen)", n, dice & 1 ? '+' : '-');
    else if (dice < 80)
        imap_client_command(s, "NOOP");
    else if (dice < 88)
        imap_client_command(s, "STATUS \"%s\" (MESSAGES UNSEEN UIDNEXT)", load.o.mailbox);
    else if (dice < 92)
        imap_client_command(s, "SEARCH UNSEEN");
    else {
        message_number(&me->message, (unsigned long)load.begun++);
        imap_client_append(s, load.o.mailbox, me->message.text, me->message.size);
    }
}

static void mixed_ready(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    me->phase = 0;
    imap_client_command(s, "SELECT \"%s\"", load.o.mailbox);
}

static void mixed_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    struct imap_load_session *me = s->owner;
    if (!ok)
        imap_load_refused(s);
    if (me->phase++ > 0) {
        stats_add(&load.samples, stats_now() - me->since);
        load.done++;
    }
    mixed_next(me);
}

const struct imap_load_mode imap_load_mixed = {
    .name = "mixed",
    .help = "FETCH, STORE, STATUS, SEARCH, NOOP and APPEND for --seconds",
    .on = { .ready = mixed_ready, .tagged = mixed_tagged, .untagged = imap_load_untagged },
    .prepare = prepare_messages,
    .report = rate_report,
};
