/* descriptors: see descriptors.h. */
#include "role/descriptors.h"

#include <stdio.h>

#include "base/count.h"
#include "run/channel.h"

enum {
    BASE = 32,     /* standard streams, log, epoll, events, timers, directories, tallies that are mapped */
    LANES_MIN = 4, /* of a peer: one for the root */
    CONTROL = 16,
    WORKERS_MIN = 8,
    STORE_FILES = 256,
    STORE_FILES_MIN = 24, /* RocksDB takes no less than 20 */
    STORE_OTHERS = 40,    /* its log, manifest and directories, and what a compaction writes and reads anew */
    LANE_FILES = 3,       /* what one request may bring, and the copy that is made of it */
    TURNED_AWAY_MAX = 256,
    CONNECTIONS_MIN = 10,
    CONNECTIONS_FEW = 1000,
    OWN_SHARE = 16 /* one worker for so many descriptors */
};

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned most(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* Lanes of one peer. All mx together hold half of the workers at most, so that whoever else asks finds some; where very many mx share few workers there
 * are more of these: each mx needs some lanes. */
static void plan_workers(const struct config *c, unsigned limit, struct descriptors_plan *p)
{
    unsigned wanted = least(c->workers_max, most(limit / OWN_SHARE, WORKERS_MIN)), lanes = wanted / 2 / c->mx_processes;
    p->lanes = least(most(lanes, LANES_MIN), CHANNEL_LANES_MAX);
    p->workers = most(2 * p->lanes * c->mx_processes, wanted);
}

/* Listening sockets, twice: at a reload the new ones come before the former go. */
static unsigned sockets_of(const struct config *c)
{
    size_t n = 1; /* the control socket */
    for (size_t i = 0; i < c->listener_n; i++)
        n += c->listeners[i].address_n + 1;
    return 2 * (unsigned)n;
}

int descriptors_plan(const struct config *c, enum descriptors_role role, unsigned limit, struct descriptors_plan *ret,
                     struct error *e)
{
    struct descriptors_plan p = { 0 };
    plan_workers(c, limit, &p);
    /* Who asks here, and whom we ask. */
    unsigned asking = role == DESCRIPTORS_KEEPER ? c->mx_processes + 1 : role == DESCRIPTORS_CORE ? c->mx_processes : 0;
    unsigned asked = role == DESCRIPTORS_MX ? 2 : role == DESCRIPTORS_CORE ? 1 : 0;
    p.store_files = role == DESCRIPTORS_CORE ? least(STORE_FILES, most(limit / 8, STORE_FILES_MIN)) : 0;
    p.control = role == DESCRIPTORS_CORE ? CONTROL : 0;
    p.reserve = (asking + asked) * p.lanes + DESCRIPTORS_SUPERVISOR_LANES + p.workers + p.lanes * LANE_FILES + p.control +
                p.store_files + (p.store_files ? STORE_OTHERS : 0);
    unsigned fixed = p.reserve + BASE + sockets_of(c);
    unsigned room = limit > fixed ? limit - fixed : 0;
    p.turned_away = most(least(TURNED_AWAY_MAX, room / 9), 1);
    p.connections = room > p.turned_away ? least(c->connections_max, room - p.turned_away) : 0;
    if (role != DESCRIPTORS_KEEPER && p.connections < CONNECTIONS_MIN)
        return error_set(
            e, ERR_LIMIT,
            "%u descriptors are too few, at least %u are needed: LimitNOFILE= in the unit, `ulimit -Hn' in a shell, or "
            "fewer mx-processes",
            limit, fixed + CONNECTIONS_MIN + 2);
    *ret = p;
    return 0;
}

bool descriptors_are_few(const struct config *c, unsigned limit, char text[DESCRIPTORS_TEXT_MAX])
{
    struct descriptors_plan core = { 0 }, mx = { 0 };
    int err = descriptors_plan(c, DESCRIPTORS_CORE, limit, &core, NULL);
    if (err == 0)
        err = descriptors_plan(c, DESCRIPTORS_MX, limit, &mx, NULL);
    unsigned n = err ? 0 : least(core.connections, mx.connections);
    if (n >= c->connections_max || (!c->has_connections_max && n >= CONNECTIONS_FEW))
        return false;
    (void)snprintf(text, DESCRIPTORS_TEXT_MAX,
                   "connections-max is %u, but %u descriptors leave room for %s: LimitNOFILE= in the unit, or `ulimit "
                   "-Hn' before serve, gives more",
                   c->connections_max, limit, COUNT(n, "connection", "connections"));
    return true;
}
