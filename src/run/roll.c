/* roll: who is logged in, on which connection of this process; and the end of sessions before their time.
 *
 * Invariants
 *  R1  A connection is on the roll from its login, or from the handshake in which it showed a certificate of ours, until it is left: so whoever
 *      walks the roll after a change has met all that logged in before it, and conn_log_in asks about those that come after.
 *  R2  is_ended is never taken back. The lock keeps a connection on the roll from being freed while it is looked at. */
#include "run/conn_private.h"
#include "run/server.h"

#include "base/clock.h"

void roll_init(struct roll *r)
{
    *r = (struct roll){ 0 };
    pthread_mutex_init(&r->lock, NULL);
}

void roll_done(struct roll *r)
{
    require(!r->first);
    pthread_mutex_destroy(&r->lock);
}

static struct roll *roll_of(const struct conn *c)
{
    return c->kind->roll ? c->kind->roll(c) : NULL;
}

static struct server_session session_of(const struct conn *c)
{
    return (struct server_session){ .id = conn_id(c),
                                    .peer = conn_peer_address(c),
                                    .peer_port = c->peer_port,
                                    .protocol = c->ops->name,
                                    .listener = c->kind->listener(c),
                                    .login = &c->login,
                                    .tls = &c->tls,
                                    .since_ms = c->since_ms };
}

void roll_join(struct conn *c, const struct conn_login *login)
{
    struct roll *r = roll_of(c);
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    c->login = login ? *login : (struct conn_login){ 0 };
    c->since_ms = clock_real_ms();
    if (!c->is_on_roll) {
        c->roll_next = r->first;
        c->roll_prev = NULL;
        if (r->first)
            r->first->roll_prev = c;
        r->first = c;
        c->is_on_roll = true;
    }
    pthread_mutex_unlock(&r->lock);
    const struct server_session s = session_of(c);
    if (r->stands && !r->stands(r->stands_ctx, &s))
        conn_end(c);
}

void roll_leave(struct conn *c)
{
    struct roll *r = c->is_on_roll ? roll_of(c) : NULL;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    if (c->roll_prev)
        c->roll_prev->roll_next = c->roll_next;
    else
        r->first = c->roll_next;
    if (c->roll_next)
        c->roll_next->roll_prev = c->roll_prev;
    c->is_on_roll = false;
    pthread_mutex_unlock(&r->lock);
}

void conn_end(struct conn *c)
{
    atomic_store(&c->is_ended, true);
    conn_wake(c);
}

bool conn_is_ended(const struct conn *c)
{
    return atomic_load(&c->is_ended);
}

size_t roll_end(struct roll *r, bool (*fn)(void *ctx, const struct server_session *s), void *ctx)
{
    size_t n = 0;
    pthread_mutex_lock(&r->lock);
    for (struct conn *c = r->first; c; c = c->roll_next) {
        const struct server_session s = session_of(c);
        if (!conn_is_ended(c) && fn(ctx, &s)) {
            conn_end(c);
            n++;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}
