/* imap_load: IMAP load in several modes; see --help. This file: options, and starting sessions. */
#include "imap_load.h"

#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

struct imap_load load = {
    .o = { .host = "127.0.0.1",
           .port = "143",
           .user = "user%d@example.org",
           .password = "secret",
           .mailbox = "INBOX",
           .items = "(ENVELOPE)",
           .from = "sender@example.org",
           .sessions = 1,
           .count = 1000,
           .size = 4096,
           .window = 64,
           .iterations = 5,
           .users = 1,
           .first = 1,
           .seconds = 10,
           .at_once = 50,
           .stall = 60 },
};

static const struct imap_load_mode *const modes[] = { &imap_load_fill,    &imap_load_flags,  &imap_load_envelope,
                                                      &imap_load_stream,  &imap_load_append, &imap_load_login,
                                                      &imap_load_mixed,   &imap_load_idle,   &imap_load_notify,
                                                      &imap_load_visible, &imap_load_search, &imap_load_programs };

static const struct options_entry table[] = {
    { "host", OPTIONS_TEXT, &load.o.host, "server (127.0.0.1)" },
    { "port", OPTIONS_TEXT, &load.o.port, "port (143)" },
    { "tls", OPTIONS_TLS, &load.o.tls, "how to encrypt (no)" },
    { "user", OPTIONS_TEXT, &load.o.user, "login name; %d counts round robin (user%d@example.org)" },
    { "password", OPTIONS_TEXT, &load.o.password, "password; %d is replaced likewise (secret)" },
    { "users", OPTIONS_NUMBER, &load.o.users, "how many users %d counts through (1)" },
    { "first", OPTIONS_NUMBER, &load.o.first, "the first number of %d (1)" },
    { "mailbox", OPTIONS_TEXT, &load.o.mailbox, "mailbox (INBOX)" },
    { "sessions", OPTIONS_NUMBER, &load.o.sessions, "sessions (1)" },
    { "at-once", OPTIONS_NUMBER, &load.o.at_once, "sessions that log in at the same time (50)" },
    { "count", OPTIONS_NUMBER, &load.o.count, "messages or logins in all; messages to wait for (1000)" },
    { "size", OPTIONS_NUMBER, &load.o.size, "bytes of a message (4096)" },
    { "window", OPTIONS_NUMBER, &load.o.window, "fill: APPENDs under way at once on a connection (64)" },
    { "iterations", OPTIONS_NUMBER, &load.o.iterations, "rounds of the reading modes and of notify (5)" },
    { "items", OPTIONS_TEXT, &load.o.items, "fetch-envelope: what to FETCH ((ENVELOPE)); search: for what" },
    { "seconds", OPTIONS_NUMBER, &load.o.seconds, "mixed, programs: how long (10)" },
    { "smtp-port", OPTIONS_TEXT, &load.o.smtp_port, "notify: where to deliver; the recipient is the login name" },
    { "smtp-tls", OPTIONS_TLS, &load.o.smtp_tls, "notify: how to encrypt the delivery (no)" },
    { "from", OPTIONS_TEXT, &load.o.from, "notify: envelope sender (sender@example.org)" },
    { "hold", OPTIONS_FLAG, &load.o.hold, "wait-visible: log in, print \"ready N\", poll when standard input has ended" },
    { "stall", OPTIONS_NUMBER, &load.o.stall, "give up after N silent seconds (60)" },
    { "json", OPTIONS_FLAG, &load.o.json, "one line of JSON" },
    { 0 },
};

void imap_load_refused(struct imap_client *s)
{
    if (load.refused++ < 5)
        fprintf(stderr, "imap_load: refused:%s\n", s->last_text);
}

void imap_load_untagged(struct imap_client *s, char *line)
{
    struct imap_load_session *me = s->owner;
    char *word;
    long n = strtol(line, &word, 10);
    if (word == line)
        return;
    if (strncasecmp(word, " EXISTS", 7) == 0)
        me->exists = n;
    else if (strncasecmp(word, " FETCH", 6) == 0)
        me->lines++;
}

/* --- starting --- */

static void on_ready(struct imap_client *s)
{
    load.logging_in--;
    if (load.ready++ == 0)
        load.begin = stats_now();
    load.mode->on.ready(s);
    imap_load_start_more();
}

static void on_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    load.mode->on.tagged(s, tag, ok);
    load.end = stats_now();
}

static void on_over(struct imap_client *s, const char *why)
{
    if (s->step < IMAP_READY)
        load.logging_in--;
    if (why && load.broken++ < 5)
        fprintf(stderr, "imap_load: %s: %s\n", s->user, why);
    load.end = stats_now();
    if (load.mode->on.over)
        load.mode->on.over(s, why);
    imap_load_start_more();
}

static struct imap_client_events events = { .ready = on_ready, .tagged = on_tagged, .over = on_over };

void imap_load_start(struct imap_load_session *s)
{
    char user[256], password[256];
    long n = load.o.first + s->index % load.o.users;
    options_expand(load.o.user, n, user, sizeof user);
    options_expand(load.o.password, n, password, sizeof password);
    load.logging_in++;
    imap_client_start(&s->client, &load.loop, &load.target, user, password, &events, s);
}

void imap_load_start_more(void)
{
    while (load.started < load.o.sessions && load.logging_in < load.o.at_once && load.broken < 20) {
        struct imap_load_session *s = &load.sessions[load.started];
        s->index = load.started++;
        imap_load_start(s);
    }
}

/* --- main --- */

static const struct imap_load_mode *find_mode(const char *name)
{
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i]->name, name) == 0)
            return modes[i];
    }
    fprintf(stderr, "imap_load: no mode \"%s\"; there are:\n", name);
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        fprintf(stderr, "  %-20s %s\n", modes[i]->name, modes[i]->help);
    exit(EX_USAGE);
}

static void run(void)
{
    net_loop_init(&load.loop);
    load.loop.stall_seconds = load.mode->holds ? 0 : load.o.stall;
    load.target = net_resolve(load.o.host, load.o.port, load.o.tls);
    events.untagged = load.mode->on.untagged;
    events.go_ahead = load.mode->on.go_ahead;
    load.report.json = load.o.json;
    load.sessions = calloc((size_t)load.o.sessions, sizeof *load.sessions);
    if (!load.sessions)
        abort();
    if (load.mode->prepare)
        load.mode->prepare();
    load.begin = load.end = stats_now();
    imap_load_start_more();
    net_run(&load.loop);
    if (load.loop.stalled)
        fprintf(stderr, "imap_load: nothing happened for %ld s\n", load.o.stall);
    load.mode->report((double)(load.end - load.begin) / 1e9);
    stats_print(&load.report, "refused", (double)load.refused, "commands");
    stats_print(&load.report, "broken", (double)load.broken, "connections");
    stats_print(&load.report, "client_cpu", stats_cpu_seconds(), "s");
    stats_print_end(&load.report);
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "imap_load [OPTION]... fill | select-fetch-flags | fetch-envelope | body-stream | append | login |\n"
        "       mixed | idle | notify | wait-visible | search | programs";
    int at = options_parse(argc, argv, usage, table);
    if (at + 1 != argc) {
        fprintf(stderr, "imap_load: name one mode; try --help\n");
        return EX_USAGE;
    }
    load.mode = find_mode(argv[at]);
    if (load.mode->single)
        load.o.sessions = 1;
    if (!load.o.sessions || !load.o.users || !load.o.window || !load.o.at_once || !load.o.iterations) {
        fprintf(stderr, "imap_load: --sessions, --users, --window, --at-once and --iterations are at least 1\n");
        return EX_USAGE;
    }
    run();
    for (long i = 0; i < load.o.sessions; i++) {
        net_conn_done(&load.sessions[i].client.conn);
        free(load.sessions[i].begun);
        message_done(&load.sessions[i].message);
    }
    free(load.sessions);
    stats_done(&load.samples);
    net_loop_done(&load.loop);
    return load.loop.stalled || load.refused || load.broken ? EX_TEMPFAIL : EX_OK;
}
