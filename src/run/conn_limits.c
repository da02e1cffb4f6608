/* conn_limits: what a connection's peer may do: whether it is served at all, and how much of what. See conn.h. */
#include "run/conn_private.h"

/* Whether the peer is served, and counted if so. Proxies and relays speak for others: as themselves they are not limited. */
static void judge(struct conn *c)
{
    const struct access *a = c->access;
    if (a->served.n && !ip_networks_have(a->served, &c->ip)) {
        c->refusal = CONN_NOT_SERVED;
        return;
    }
    if (!a->limited || !c->limits || ip_networks_have(a->proxies, &c->ip) || ip_networks_have(a->overrides, &c->ip))
        return;
    limits_set_peer(&c->hold, &a->limits, &c->ip);
    if (!limits_enter(c->limits, &a->limits, &c->hold, 1u << LIMIT_ADDRESS | 1u << LIMIT_NETWORK, &c->strike))
        c->refusal = CONN_TRY_LATER;
}

void conn_admit(struct conn *c, const struct access *a, struct limits *l, bool crowded)
{
    c->access = a;
    c->limits = l;
    c->refusal = crowded ? CONN_TRY_LATER : CONN_WELCOME;
    c->may_override = a && c->has_ip && ip_networks_have(a->overrides, &c->ip);
    if (a && c->has_ip && !crowded)
        judge(c);
}

void conn_override(struct conn *c, const struct conn_ends *ends)
{
    roll_leave(c);
    if (c->limits)
        limits_leave(c->limits, &c->hold);
    conn_set_via(c);
    if (ends->has_peer)
        conn_set_peer(c, &ends->peer, ends->has_peer_port ? ends->peer_port : 0);
    else if (ends->has_peer_port)
        c->peer_port = ends->peer_port;
    if (ends->has_local)
        conn_set_local(c, &ends->local, ends->has_local_port ? ends->local_port : c->local_port);
    else if (ends->has_local_port)
        c->local_port = ends->local_port;
    c->refusal = CONN_WELCOME;
    if (c->access && c->has_ip)
        judge(c);
    if (c->tls.client_verified)
        roll_join(c, NULL);
}

bool conn_may_override(const struct conn *c)
{
    return c->may_override;
}

void conn_leave(struct conn *c)
{
    roll_leave(c);
    if (c->limits)
        limits_leave(c->limits, &c->hold);
    access_unref(c->access);
    c->access = NULL;
    c->limits = NULL;
}

static str strike_text(struct conn *c, const struct limit_strike *strike)
{
    char text[LIMIT_TEXT_MAX];
    str ret;
    return arena_dup(&c->arena, limit_strike_text(strike, text), &ret) ? STR("Too much; try again later") : ret;
}

enum conn_refusal conn_refusal(struct conn *c, str *ret_why)
{
    if (c->refusal == CONN_NOT_SERVED)
        *ret_why = STR("Your address is not in a network that is served here; ask the administrator");
    else if (c->refusal == CONN_TRY_LATER)
        *ret_why = c->strike.limit.max ? strike_text(c, &c->strike) : STR("Too many connections to this server; try again later");
    return c->refusal;
}

bool conn_count(struct conn *c, enum limit_kind kind, uint32_t n, str *ret_why)
{
    struct limit_strike strike;
    if (!c->limits || !c->access->limited || limits_count(c->limits, &c->access->limits, &c->hold, kind, n, &strike))
        return true;
    *ret_why = strike_text(c, &strike);
    return false;
}

bool conn_allows(struct conn *c, enum limit_kind kind, uint32_t n, str *ret_why)
{
    struct limit_strike strike;
    if (!c->limits || !c->access->limited || limits_allow(c->limits, &c->access->limits, &c->hold, kind, n, &strike))
        return true;
    *ret_why = strike_text(c, &strike);
    return false;
}

/* Whether ACCOUNT may have one more connection, which is counted for it. */
static bool enter_account(struct conn *c, const uint8_t account[16], str *ret_why)
{
    struct limit_strike strike;
    if (!c->limits || !c->access->limited)
        return true;
    limits_set_account(c->limits, &c->hold, &c->access->limits, account);
    if (limits_enter(c->limits, &c->access->limits, &c->hold, 1u << LIMIT_ACCOUNT, &strike))
        return true;
    c->hold.has &= (uint8_t) ~(1u << LIMIT_ACCOUNT);
    *ret_why = strike_text(c, &strike);
    return false;
}

bool conn_log_in(struct conn *c, const struct conn_login *login, str *ret_why)
{
    if (!enter_account(c, login->account, ret_why))
        return false;
    roll_join(c, login);
    return true;
}
