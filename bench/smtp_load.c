/* smtp_load: many SMTP sessions at once; reports messages accepted per second and the time from the final dot to the answer. */
#include "message.h"
#include "options.h"
#include "smtp_client.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static struct {
    const char *host, *port, *user, *password, *from, *to;
    enum net_tls tls;
    long sessions, messages, total, size, users, first, handshakes, stall;
    int pipelining, json;
} options = { .host = "127.0.0.1",
              .port = "25",
              .from = "sender@example.org",
              .to = "user%d@example.org",
              .sessions = 10,
              .messages = 100,
              .size = 4096,
              .users = 1,
              .first = 1,
              .stall = 30 };

static const struct options_entry table[] = {
    { "host", OPTIONS_TEXT, &options.host, "server (127.0.0.1)" },
    { "port", OPTIONS_TEXT, &options.port, "port (25)" },
    { "tls", OPTIONS_TLS, &options.tls, "how to encrypt (no)" },
    { "user", OPTIONS_TEXT, &options.user, "AUTH PLAIN with this name; %d is replaced as in --to" },
    { "password", OPTIONS_TEXT, &options.password, "and this password" },
    { "from", OPTIONS_TEXT, &options.from, "envelope sender (sender@example.org); may be empty" },
    { "to", OPTIONS_TEXT, &options.to, "recipient; %d counts round robin (user%d@example.org)" },
    { "users", OPTIONS_NUMBER, &options.users, "how many recipients %d counts through (1)" },
    { "first", OPTIONS_NUMBER, &options.first, "the first number of %d (1)" },
    { "sessions", OPTIONS_NUMBER, &options.sessions, "concurrent sessions (10)" },
    { "messages", OPTIONS_NUMBER, &options.messages, "messages per connection (100)" },
    { "total", OPTIONS_NUMBER, &options.total, "messages in all, reconnecting as needed (sessions x messages)" },
    { "size", OPTIONS_NUMBER, &options.size, "bytes of a message (4096)" },
    { "pipelining", OPTIONS_FLAG, &options.pipelining, "MAIL, RCPT and DATA in one write" },
    { "handshakes", OPTIONS_NUMBER, &options.handshakes, "no mail: N connections of EHLO [STARTTLS EHLO] QUIT" },
    { "stall", OPTIONS_NUMBER, &options.stall, "give up after N silent seconds (30)" },
    { "json", OPTIONS_FLAG, &options.json, "one line of JSON" },
    { 0 },
};

/* One connection slot: connects again until the total is reached. */
struct session {
    struct smtp_client client;
    struct message message;
    struct smtp_client_options options;
    char user[256];
    long sent;      /* on this connection */
    uint64_t begun; /* when it was */
};

static struct {
    struct net_loop loop;
    struct smtp_client_options client;
    struct stats_samples times; /* from dot to answer; of --handshakes: of whole connections */
    long begun, accepted, refused, broken, connections, finished;
} load;

static void failed(const char *what)
{
    if (load.refused + load.broken < 5)
        fprintf(stderr, "smtp_load: %s\n", what);
}

static void on_ready(struct smtp_client *s)
{
    struct session *me = s->owner;
    if (options.handshakes || me->sent == options.messages || load.begun == options.total) {
        smtp_client_quit(s);
        return;
    }
    long n = load.begun++;
    me->sent++;
    message_number(&me->message, (unsigned long)n);
    char to[256];
    options_expand(options.to, options.first + n % options.users, to, sizeof to);
    smtp_client_send(s, options.from, to, me->message.text, me->message.size);
}

static void on_answered(struct smtp_client *s, int code, uint64_t latency)
{
    if (code == 250) {
        load.accepted++;
        stats_add(&load.times, latency);
    } else {
        failed(s->last_error);
        load.refused++;
    }
}

static bool may_connect(void)
{
    if (load.broken > 100)
        return false;
    return options.handshakes ? load.connections < options.handshakes : load.begun < options.total;
}

static const struct smtp_client_events events;

static void start(struct session *me)
{
    me->sent = 0;
    me->begun = stats_now();
    load.connections++;
    smtp_client_start(&me->client, &load.loop, &me->options, &events, me);
}

static void on_over(struct smtp_client *s, const char *why)
{
    if (why) {
        failed(why);
        load.broken++;
    } else {
        load.finished++;
        if (options.handshakes)
            stats_add(&load.times, stats_now() - ((struct session *)s->owner)->begun);
    }
    if (may_connect())
        start(s->owner);
}

static const struct smtp_client_events events = { .ready = on_ready, .answered = on_answered, .over = on_over };

static void report(double seconds)
{
    struct stats_report r = { .json = options.json };
    stats_print(&r, "seconds", seconds, "s");
    if (options.handshakes) {
        stats_print(&r, "connections", (double)load.finished, "");
        stats_print(&r, "rate", (double)load.finished / seconds, "connections/s");
    } else {
        stats_print(&r, "accepted", (double)load.accepted, "messages");
        stats_print(&r, "rate", (double)load.accepted / seconds, "messages/s");
        stats_print(&r, "refused", (double)load.refused, "messages");
    }
    const char *what = options.handshakes ? "ms of a connection" : "ms from dot to answer";
    stats_print(&r, "p50_ms", stats_percentile_ms(&load.times, 50), what);
    stats_print(&r, "p99_ms", stats_percentile_ms(&load.times, 99), what);
    stats_print(&r, "broken", (double)load.broken, "connections");
    stats_print(&r, "client_cpu", stats_cpu_seconds(), "s");
    stats_print_end(&r);
}

int main(int argc, char **argv)
{
    options_parse(argc, argv, "smtp_load [OPTION]...", table);
    if (!options.total)
        options.total = options.sessions * options.messages;
    if (!options.users || !options.sessions || !options.messages) {
        fprintf(stderr, "smtp_load: --users, --sessions and --messages are at least 1\n");
        return EX_USAGE;
    }
    net_loop_init(&load.loop);
    load.loop.stall_seconds = options.stall;
    load.client = (struct smtp_client_options){ .target = net_resolve(options.host, options.port, options.tls),
                                                .pipelining = options.pipelining,
                                                .password = options.password ?: "" };
    struct session *sessions = calloc((size_t)options.sessions, sizeof *sessions);
    if (!sessions)
        abort();
    uint64_t begin = stats_now();
    for (long i = 0; i < options.sessions && may_connect(); i++) {
        sessions[i].options = load.client;
        if (options.user) {
            options_expand(options.user, options.first + i % options.users, sessions[i].user, sizeof sessions[i].user);
            sessions[i].options.user = sessions[i].user;
        }
        message_init(&sessions[i].message, (size_t)options.size);
        start(&sessions[i]);
    }
    net_run(&load.loop);
    report((double)(stats_now() - begin) / 1e9);
    if (load.loop.stalled)
        fprintf(stderr, "smtp_load: nothing happened for %ld s\n", options.stall);
    for (long i = 0; i < options.sessions; i++) {
        net_conn_done(&sessions[i].client.conn);
        message_done(&sessions[i].message);
    }
    free(sessions);
    stats_done(&load.times);
    net_loop_done(&load.loop);
    return load.loop.stalled || load.refused || load.broken ? EX_TEMPFAIL : EX_OK;
}
