/* imap_load, modes that read a whole mailbox: SELECT and FETCH of flags, envelopes or bodies, --iterations times. */
#include "imap_load.h"

#include <stdio.h>

/* Each round is SELECT, then FETCH 1:*; a sample is the time of both. */
enum { SELECTING, FETCHING };

static struct stats_samples selects;

static void begin_round(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    me->phase = SELECTING;
    me->lines = 0;
    me->since = stats_now();
    imap_client_command(s, "SELECT \"%s\"", load.o.mailbox);
}

static const char *items(void)
{
    if (load.mode == &imap_load_flags)
        return "(FLAGS)";
    return load.mode == &imap_load_stream ? "(BODY.PEEK[])" : load.o.items;
}

static void end_round(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    stats_add(&load.samples, stats_now() - me->since);
    load.done += me->lines;
    if (me->lines != me->exists) {
        fprintf(stderr, "imap_load: %ld FETCH responses for %ld messages\n", me->lines, me->exists);
        load.broken++;
    }
    if (++me->round < load.o.iterations) {
        begin_round(s);
    } else {
        load.bytes += s->literal_bytes;
        imap_client_logout(s);
    }
}

static void on_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    struct imap_load_session *me = s->owner;
    if (!ok) {
        imap_load_refused(s);
        imap_client_logout(s);
        return;
    }
    if (me->phase == FETCHING) {
        end_round(s);
        return;
    }
    stats_add(&selects, stats_now() - me->since);
    me->phase = FETCHING;
    imap_client_command(s, "FETCH 1:* %s", items());
}

static void report(double seconds)
{
    stats_print(&load.report, "messages", load.sessions[0].exists ? (double)load.sessions[0].exists : 0, "in the mailbox");
    stats_print(&load.report, "select_ms", stats_percentile_ms(&selects, 50), "ms, median of SELECT");
    stats_print(&load.report, "p50_ms", stats_percentile_ms(&load.samples, 50), "ms, median of SELECT and FETCH");
    stats_print(&load.report, "p99_ms", stats_percentile_ms(&load.samples, 99), "ms");
    stats_print(&load.report, "rate", seconds > 0 ? (double)load.done / seconds : 0, "messages/s");
    if (load.mode == &imap_load_stream)
        stats_print(&load.report, "mb_per_s", seconds > 0 ? (double)load.bytes / seconds / 1e6 : 0, "MB/s");
    stats_done(&selects);
}

#define READING                                                                                                                  \
    {                                                                                                                            \
        .ready = begin_round, .tagged = on_tagged, .untagged = imap_load_untagged                                                \
    }

const struct imap_load_mode imap_load_flags = {
    .name = "select-fetch-flags",
    .help = "SELECT and FETCH 1:* (FLAGS)",
    .on = READING,
    .report = report,
};
const struct imap_load_mode imap_load_envelope = {
    .name = "fetch-envelope",
    .help = "SELECT and FETCH 1:* of --items",
    .on = READING,
    .report = report,
};
const struct imap_load_mode imap_load_stream = {
    .name = "body-stream",
    .help = "SELECT and FETCH 1:* (BODY.PEEK[]), in MB/s",
    .on = READING,
    .report = report,
};
