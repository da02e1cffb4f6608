/* imap_load, modes that wait: idle holds sessions open, notify measures how soon they hear of a delivery, wait-visible waits for one. */
#include "imap_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

/* --- idle: LOGIN, SELECT, IDLE, and stay --- */

static void idle_ready(struct imap_client *s)
{
    imap_client_command(s, "SELECT \"%s\"", load.o.mailbox);
}

static void idle_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    if (!ok)
        imap_load_refused(s);
    else
        imap_client_command(s, "IDLE");
}

static void idle_go_ahead(struct imap_client *s)
{
    if (++load.done == load.o.sessions) {
        printf("ready %ld\n", load.done);
        fflush(stdout);
    }
}

static void idle_over(struct imap_client *s, const char *why)
{
    if (load.started == load.o.sessions && load.broken && load.done + load.broken >= load.o.sessions)
        load.loop.stop = true; /* no session is left to wait for */
}

static void idle_prepare(void)
{
    net_watch(&load.loop, 0);
}

static void idle_report(double seconds)
{
    stats_print(&load.report, "sessions", (double)load.done, "sessions idled");
}

const struct imap_load_mode imap_load_idle = {
    .name = "idle",
    .help = "hold --sessions in IDLE, print \"ready N\", until standard input ends",
    .on = { .ready = idle_ready, .tagged = idle_tagged, .go_ahead = idle_go_ahead, .over = idle_over },
    .prepare = idle_prepare,
    .report = idle_report,
    .holds = true,
};

/* --- notify: from the final dot of a delivery to EXISTS in each idling session of its recipient --- */

static struct {
    struct smtp_client smtp;
    struct smtp_client_options options;
    struct message message;
    long user;           /* offset of the recipient under way */
    long round, awaited; /* sessions that have not heard of the message under way */
    bool sending, accepted;
} notify;

static void deliver_next(void)
{
    if (notify.round == load.o.iterations) {
        load.loop.stop = true;
        return;
    }
    notify.user = notify.round++ % (load.o.users < load.o.sessions ? load.o.users : load.o.sessions);
    notify.awaited = 0;
    for (long i = notify.user; i < load.o.sessions; i += load.o.users) {
        load.sessions[i].phase = 1;
        notify.awaited++;
    }
    notify.accepted = false;
    message_number(&notify.message, (unsigned long)notify.round);
    smtp_client_send(&notify.smtp, load.o.from, load.sessions[notify.user].client.user, notify.message.text, notify.message.size);
}

static void deliver_if_idle(void)
{
    if (notify.awaited == 0 && notify.smtp.step == SMTP_READY && load.done == load.o.sessions)
        deliver_next();
}

static void smtp_ready(struct smtp_client *s)
{
    deliver_if_idle();
}

static void smtp_answered(struct smtp_client *s, int code, uint64_t latency)
{
    if (code == 250)
        return;
    fprintf(stderr, "imap_load: delivery refused: %s\n", s->last_error);
    load.refused++;
    load.loop.stop = true;
}

static void smtp_over(struct smtp_client *s, const char *why)
{
    fprintf(stderr, "imap_load: SMTP: %s\n", why ? why : "closed");
    load.broken++;
    load.loop.stop = true;
}

static void notify_go_ahead(struct imap_client *s)
{
    static const struct smtp_client_events events = { .ready = smtp_ready, .answered = smtp_answered, .over = smtp_over };
    if (++load.done == load.o.sessions)
        smtp_client_start(&notify.smtp, &load.loop, &notify.options, &events, NULL);
}

static void notify_untagged(struct imap_client *s, char *line)
{
    struct imap_load_session *me = s->owner;
    char *word;
    strtol(line, &word, 10);
    if (me->phase != 1 || word == line || strncasecmp(word, " EXISTS", 7) != 0 || !notify.smtp.dot_at)
        return;
    me->phase = 0;
    notify.awaited--;
    stats_add(&load.samples, stats_now() - notify.smtp.dot_at);
    deliver_if_idle();
}

static void notify_prepare(void)
{
    if (!load.o.smtp_port) {
        fprintf(stderr, "imap_load: notify needs --smtp-port\n");
        exit(64);
    }
    notify.options.target = net_resolve(load.o.host, load.o.smtp_port, load.o.smtp_tls);
    message_init(&notify.message, (size_t)load.o.size);
}

static void notify_report(double seconds)
{
    stats_print(&load.report, "deliveries", (double)notify.round, "");
    stats_print(&load.report, "p50_ms", stats_percentile_ms(&load.samples, 50), "ms from dot to EXISTS");
    stats_print(&load.report, "p99_ms", stats_percentile_ms(&load.samples, 99), "ms from dot to EXISTS");
    net_conn_done(&notify.smtp.conn);
    message_done(&notify.message);
}

const struct imap_load_mode imap_load_notify = {
    .name = "notify",
    .help = "--iterations deliveries to idling sessions: time from dot to EXISTS",
    .on = { .ready = idle_ready, .tagged = idle_tagged, .untagged = notify_untagged, .go_ahead = notify_go_ahead },
    .prepare = notify_prepare,
    .report = notify_report,
};

/* --- wait-visible: STATUS of each user's mailbox until the sum of messages reaches --count --- */

static struct {
    long sum;        /* messages over all users, at the end of the last pass */
    long unanswered; /* users who have not answered in this pass */
} visible;

static void ask_all(void)
{
    visible.unanswered = load.o.sessions;
    for (long i = 0; i < load.o.sessions; i++)
        imap_client_command(&load.sessions[i].client, "STATUS \"%s\" (MESSAGES)", load.o.mailbox);
}

/* With --hold the logins are no part of the time: nothing is polled until the caller ends our standard input. */
static void visible_ready(struct imap_client *s)
{
    if (load.ready < load.o.sessions)
        return;
    if (load.o.hold) {
        printf("ready %ld\n", load.ready);
        fflush(stdout);
        while (getchar() != EOF)
            ;
        load.begin = stats_now();
    }
    ask_all();
}

static void visible_untagged(struct imap_client *s, char *line)
{
    struct imap_load_session *me = s->owner;
    char *count = strcasestr(line, "(MESSAGES ");
    if (count)
        me->exists = strtol(count + 10, NULL, 10);
}

static void visible_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    if (!ok) {
        imap_load_refused(s);
        load.loop.stop = true;
        return;
    }
    if (--visible.unanswered)
        return;
    visible.sum = 0;
    for (long i = 0; i < load.o.sessions; i++)
        visible.sum += load.sessions[i].exists;
    if (visible.sum >= load.o.count) {
        load.loop.stop = true;
        return;
    }
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    ask_all();
}

static void visible_prepare(void)
{
    load.o.sessions = load.o.users;
    load.sessions = realloc(load.sessions, (size_t)load.o.sessions * sizeof *load.sessions);
    if (!load.sessions)
        abort();
    for (long i = 0; i < load.o.sessions; i++)
        load.sessions[i] = (struct imap_load_session){ 0 };
}

static void visible_report(double seconds)
{
    stats_print(&load.report, "seconds", seconds, "s");
    stats_print(&load.report, "visible", (double)visible.sum, "messages");
}

const struct imap_load_mode imap_load_visible = {
    .name = "wait-visible",
    .help = "poll STATUS of all --users until they hold --count messages",
    .on = { .ready = visible_ready, .tagged = visible_tagged, .untagged = visible_untagged },
    .prepare = visible_prepare,
    .report = visible_report,
};
