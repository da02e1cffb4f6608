/* imap_load, modes that ask as mail programs do: search measures one SEARCH, programs a mixture of commands. */
#include "imap_load.h"

#include <stdlib.h>
#include <strings.h>

/* --- search: SELECT, then SEARCH --items --iterations times --- */

static void search_ready(struct imap_client *s)
{
    struct imap_load_session *me = s->owner;
    me->phase = 0;
    imap_client_command(s, "SELECT \"%s\"", load.o.mailbox);
}

static void search_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    struct imap_load_session *me = s->owner;
    if (!ok)
        imap_load_refused(s);
    if (me->phase++ > 0) {
        stats_add(&load.samples, stats_now() - me->since);
        load.done++;
        me->round++;
    }
    if (!ok || me->round == load.o.iterations) {
        imap_client_logout(s);
        return;
    }
    me->since = stats_now();
    imap_client_command(s, "SEARCH %s", load.o.items);
}

static void search_report(double seconds)
{
    stats_print(&load.report, "messages", (double)load.sessions[0].exists, "in the mailbox");
    stats_print(&load.report, "p50_ms", stats_percentile_ms(&load.samples, 50), "ms, median of SEARCH");
    stats_print(&load.report, "p99_ms", stats_percentile_ms(&load.samples, 99), "ms");
    stats_print(&load.report, "rate", seconds > 0 ? (double)load.done / seconds : 0, "/s");
}

const struct imap_load_mode imap_load_search = {
    .name = "search",
    .help = "SELECT, then SEARCH for --items",
    .on = { .ready = search_ready, .tagged = search_tagged, .untagged = imap_load_untagged },
    .report = search_report,
};

/* --- programs: what Thunderbird, mutt and K-9 send, of a hundred commands so many --- */

enum programs_command {
    SELECTING,
    NOOPS,
    FLAGS,
    LISTING,
    BODY,
    STORING,
    SEARCHING,
    STATUSES,
    APPENDING,
    SELECTS,
    DELETING,
    EXPUNGING
};
static const struct {
    enum programs_command what;
    unsigned of_hundred;
} share[] = { { NOOPS, 8 },     { FLAGS, 15 },   { LISTING, 20 },  { BODY, 20 },   { STORING, 15 },
              { SEARCHING, 4 }, { STATUSES, 6 }, { APPENDING, 6 }, { SELECTS, 4 }, { DELETING, 2 } };
static struct stats_samples stores, appends, searches;

static enum programs_command programs_draw(void)
{
    unsigned dice = (unsigned)random() % 100;
    size_t i = 0;
    while (dice >= share[i].of_hundred)
        dice -= share[i++].of_hundred;
    return share[i].what;
}

static void programs_select(struct imap_load_session *me)
{
    me->exists = 0;
    imap_client_command(&me->client, "SELECT \"%s\"", load.o.mailbox);
}

static void programs_append(struct imap_load_session *me)
{
    message_number(&me->message, (unsigned long)load.begun++);
    imap_client_append(&me->client, load.o.mailbox, me->message.text, me->message.size);
}

static void programs_send(struct imap_load_session *me, enum programs_command what)
{
    struct imap_client *s = &me->client;
    long n = 1 + random() % (me->exists ? me->exists : 1), last = n + 19 < me->exists ? n + 19 : me->exists;
    me->phase = (int)what;
    me->since = stats_now();
    switch (what) {
    case NOOPS:
        imap_client_command(s, "NOOP");
        break;
    case FLAGS:
        imap_client_command(s, "FETCH %ld:%ld (FLAGS)", n, last);
        break;
    case LISTING:
        imap_client_command(s,
                            "FETCH %ld:%ld (UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE "
                            "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES)])",
                            n, last);
        break;
    case BODY:
        imap_client_command(s, "FETCH %ld (BODY.PEEK[])", n);
        break;
    case STORING:
        imap_client_command(s, "STORE %ld %cFLAGS.SILENT (\\Seen)", n, random() & 1 ? '+' : '-');
        break;
    case SEARCHING:
        imap_client_command(s, random() & 1 ? "SEARCH UNSEEN" : "SEARCH SUBJECT \"000000000017\"");
        break;
    case STATUSES:
        imap_client_command(s, "STATUS \"%s\" (MESSAGES UNSEEN UIDNEXT)", load.o.mailbox);
        break;
    case APPENDING:
        programs_append(me);
        break;
    case SELECTING:
    case SELECTS:
        programs_select(me);
        break;
    case DELETING:
        imap_client_command(s, "STORE %ld +FLAGS.SILENT (\\Deleted)", n);
        break;
    case EXPUNGING:
        imap_client_command(s, "EXPUNGE");
        break;
    }
}

static void programs_ready(struct imap_client *s)
{
    programs_send(s->owner, SELECTING);
}

static void programs_tagged(struct imap_client *s, unsigned tag, bool ok)
{
    struct imap_load_session *me = s->owner;
    enum programs_command was = (enum programs_command)me->phase;
    uint64_t now = stats_now(), took = now - me->since;
    if (!ok)
        imap_load_refused(s);
    if (was != SELECTING) {
        stats_add(&load.samples, took);
        load.done++;
    }
    if (was == STORING || was == APPENDING || was == SEARCHING)
        stats_add(was == STORING ? &stores : was == APPENDING ? &appends : &searches, took);
    if (was == DELETING)
        programs_send(me, EXPUNGING);
    else if (now - load.begin > (uint64_t)load.o.seconds * 1000000000U)
        imap_client_logout(s);
    else
        programs_send(me, me->exists ? programs_draw() : APPENDING);
}

static void programs_untagged(struct imap_client *s, char *line)
{
    struct imap_load_session *me = s->owner;
    char *word;
    if (strtol(line, &word, 10) && strcasecmp(word, " EXPUNGE") == 0)
        me->exists--;
    else
        imap_load_untagged(s, line);
}

static void programs_prepare(void)
{
    for (long i = 0; i < load.o.sessions; i++)
        message_init(&load.sessions[i].message, (size_t)load.o.size);
}

static void programs_report(double seconds)
{
    stats_print(&load.report, "done", (double)load.done, "");
    stats_print(&load.report, "rate", seconds > 0 ? (double)load.done / seconds : 0, "/s");
    stats_print(&load.report, "p50_ms", stats_percentile_ms(&load.samples, 50), "ms");
    stats_print(&load.report, "p99_ms", stats_percentile_ms(&load.samples, 99), "ms");
    stats_print(&load.report, "store_p99_ms", stats_percentile_ms(&stores, 99), "ms");
    stats_print(&load.report, "append_p99_ms", stats_percentile_ms(&appends, 99), "ms");
    stats_print(&load.report, "search_p99_ms", stats_percentile_ms(&searches, 99), "ms");
    stats_done(&stores);
    stats_done(&appends);
    stats_done(&searches);
}

const struct imap_load_mode imap_load_programs = {
    .name = "programs",
    .help = "what mail programs send, in their proportion, for --seconds",
    .on = { .ready = programs_ready, .tagged = programs_tagged, .untagged = programs_untagged },
    .prepare = programs_prepare,
    .report = programs_report,
};
