/* admin_limits: the limits in `valise status`: what is configured, how often each struck, who is limited now, who does most.
 *
 *   {"exempt": ["127.0.0.0/8"], "tracked": 3, "uncounted": 0,
 *    "limits": [{"protocol": "smtp", "limit": "connections-per-address", "max": "50", "strikes": 7}, ...],
 *    "peers": [{"protocol": "smtp", "who": "192.0.2.1", "scope": "address", "connections": 50, "strikes": 7,
 *               "limited": ["connections-per-address"], "counts": {"connections-per-address": 50, ...}}, ...]} */
#include "role/admin_limits.h"

#include "base/metric.h"

enum { PEERS_SHOWN_MAX = 50 };

/* The account of ID, by name. */
struct search {
    const uint8_t *id;
    json_t *found;
};

static int look_at_account(void *ctx, const struct directory_account *account)
{
    struct search *s = ctx;
    if (memcmp(account->id.b, s->id, sizeof account->id.b) != 0)
        return 0;
    s->found = json_stringn(account->address.p, account->address.n);
    return 1;
}

static json_t *who(struct admin *a, const struct limit_entry *entry)
{
    char text[IP_NETWORK_TEXT_MAX];
    struct search s = { .id = entry->account };
    if (entry->scope != LIMIT_ACCOUNT)
        return json_string(ip_network_text(&entry->network, text).p);
    int r = directory_accounts(a->directory, (str){ NULL, 0 }, look_at_account, &s);
    return r > 0 && s.found ? s.found : json_string("(removed account)");
}

static const char *scope_name(enum limit_scope scope)
{
    static const char *const names[LIMIT_SCOPES] = { "address", "network", "account" };
    return names[scope];
}

static json_t *peer_json(struct admin *a, const struct config *c, const struct limit_entry *entry)
{
    char name[LIMIT_TEXT_MAX];
    json_t *limited = json_array(), *counts = json_object();
    for (unsigned k = 0; k < LIMIT_KINDS; k++) {
        const char *z = limit_name((enum limit_kind)k, entry->scope, name).p;
        if (entry->limited >> k & 1)
            json_array_append_new(limited, json_string(z));
        if (k == LIMIT_CONNECTIONS || c->limits[entry->group].rules.limits[k][entry->scope].max)
            json_object_set_new(counts, z, json_integer(entry->counts[k]));
    }
    return json_pack("{s:s,s:o,s:s,s:I,s:I,s:o,s:o}", "protocol", config_protocol_name((enum config_protocol)entry->group), "who",
                     who(a, entry), "scope", scope_name(entry->scope), "connections",
                     (json_int_t)entry->counts[LIMIT_CONNECTIONS], "strikes", (json_int_t)entry->strikes, "limited", limited,
                     "counts", counts);
}

static json_t *limits_json(const struct config *c, const struct limit_report *r)
{
    char name[LIMIT_TEXT_MAX], max[LIMIT_TEXT_MAX];
    json_t *list = json_array();
    for (unsigned p = 0; p < CONFIG_PROTOCOLS; p++)
        for (unsigned s = 0; s < LIMIT_SCOPES; s++)
            for (unsigned k = 0; k < LIMIT_KINDS; k++) {
                struct limit limit = c->limits[p].rules.limits[k][s];
                if (!limit.max && !r->strikes[p][k][s])
                    continue;
                json_array_append_new(
                    list, json_pack("{s:s,s:s,s:s,s:I}", "protocol", config_protocol_name((enum config_protocol)p), "limit",
                                    limit_name((enum limit_kind)k, (enum limit_scope)s, name).p, "max",
                                    limit_text((enum limit_kind)k, limit, max).p, "strikes", (json_int_t)r->strikes[p][k][s]));
            }
    return list;
}

json_t *admin_networks(struct ip_networks networks)
{
    char text[IP_NETWORK_TEXT_MAX];
    json_t *list = json_array();
    for (size_t i = 0; i < networks.n; i++)
        json_array_append_new(list, json_string(ip_network_text(&networks.list[i], text).p));
    return list;
}

static int read_limits(struct admin *a, const struct config *c, struct limit_report *ret)
{
    const struct limit_rules *rules[LIMIT_GROUPS] = { NULL };
    for (size_t p = 0; p < CONFIG_PROTOCOLS; p++)
        rules[p] = &c->limits[p].rules;
    return a->run->limits ? limits_report(a->run->limits, rules, ret) : ERR_UNAVAILABLE;
}

json_t *admin_limits(struct admin *a, const struct config *c)
{
    struct limit_report r;
    if (read_limits(a, c, &r))
        return json_null();
    json_t *peers = json_array();
    for (size_t i = 0; i < r.n && i < PEERS_SHOWN_MAX; i++)
        json_array_append_new(peers, peer_json(a, c, &r.entries[i]));
    json_t *v =
        json_pack("{s:o,s:I,s:I,s:o,s:o}", "exempt", admin_networks(c->limits[0].rules.exempt), "tracked", (json_int_t)r.tracked,
                  "uncounted", (json_int_t)r.untracked, "limits", limits_json(c, &r), "peers", peers);
    limits_report_done(&r);
    return v;
}

static void add_strikes(struct buf *out, const struct config *c, const struct limit_report *r)
{
    static const char *const name = "valise_limit_strikes_total";
    char text[LIMIT_TEXT_MAX];
    metric_render_head(out, name, "counter", "Times that somebody was refused by this limit since the server started.");
    for (unsigned p = 0; p < CONFIG_PROTOCOLS; p++)
        for (unsigned s = 0; s < LIMIT_SCOPES; s++)
            for (unsigned k = 0; k < LIMIT_KINDS; k++)
                if (c->limits[p].rules.limits[k][s].max || r->strikes[p][k][s])
                    buf_addf(out, "%s{protocol=\"%s\",limit=\"%s\"} %llu\n", name, config_protocol_name((enum config_protocol)p),
                             limit_name((enum limit_kind)k, (enum limit_scope)s, text).p,
                             (unsigned long long)r->strikes[p][k][s]);
}

void admin_limit_metrics(struct admin *a, struct buf *out)
{
    struct limit_report r;
    struct role_snapshot *s = role_snapshot_get(a->run);
    uint64_t limited = 0;
    if (read_limits(a, s->config, &r) == 0) {
        add_strikes(out, s->config, &r);
        for (size_t i = 0; i < r.n; i++)
            limited += r.entries[i].limited != 0;
        metric_render_head(out, "valise_limit_limited", "gauge", "Addresses, networks and accounts that are at a limit now.");
        buf_addf(out, "valise_limit_limited %llu\n", (unsigned long long)limited);
        metric_render_head(out, "valise_limit_tracked", "gauge", "Addresses, networks and accounts that are being counted.");
        buf_addf(out, "valise_limit_tracked %llu\n", (unsigned long long)r.tracked);
        metric_render_head(out, "valise_limit_uncounted_total", "counter", "Connections that went uncounted for want of room.");
        buf_addf(out, "valise_limit_uncounted_total %llu\n", (unsigned long long)r.untracked);
        limits_report_done(&r);
    }
    role_snapshot_unref(s);
}
