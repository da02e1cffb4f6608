/* status: valise status. With --wait it asks again until every listener answers a client. */
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/ip.h"
#include "cli/ca_list.h"
#include "cli/cli.h"
#include "cli/concerns.h"
#include "cli/probe.h"
#include "role/control.h"

enum { PROBE_MS = 2000, STATUS_MS = 5000, PAUSE_US = 50000 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z ? z : "";
}

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* Whether LISTENER awaits a PROXY header from us, who connect to ADDRESS and so from it. */
static bool is_proxy_of(const json_t *listener, const char *address)
{
    struct ip_address own;
    struct ip_network n;
    json_t *v;
    size_t i;
    bool yes = false;
    str to = strcmp(address, "0.0.0.0") == 0 ? STR("127.0.0.1") : strcmp(address, "::") == 0 ? STR("::1") : str_from_z(address);
    if (!ip_address_parse(to, &own))
        return false;
    json_array_foreach(json_object_get(listener, "proxy-from"), i, v)
    {
        yes = yes || (ip_network_parse(str_from_z(json_string_value(v)), &n, NULL) == 0 &&
                      ip_networks_have((struct ip_networks){ &n, 1 }, &own));
    }
    return yes;
}

/* Probes every address of every listener; the first that fails is in E. */
static int probe_all(const json_t *status, struct error *e)
{
    json_t *listener, *address;
    size_t i, k;
    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        bool implicit = str_eq(str_from_z(text_of(listener, "tls")), STR("implicit"));
        str protocol = str_from_z(text_of(listener, "protocol"));
        bool http = str_eq(protocol, STR("metrics"));
        str first = http ? STR("HEAD /metrics HTTP/1.0\r\n\r\n") : STR("");
        str greeting = http ? STR("HTTP/1.1 200 ") : str_eq(protocol, STR("imap")) ? STR("* OK") : STR("220");
        json_array_foreach(json_object_get(listener, "addresses"), k, address)
        {
            const char *z = json_string_value(address);
            const struct probe p = {
                z, (unsigned)number_of(listener, "port"), implicit, is_proxy_of(listener, z), first, greeting
            };
            int err = probe_listener(&p, PROBE_MS, e);
            if (err) {
                (void)error_prefix(e, "listener %s", text_of(listener, "name"));
                return err;
            }
        }
    }
    return 0;
}

static int ask(const struct cli *c, json_t **ret, struct error *e)
{
    json_t *request = json_pack("{s:s}", "command", "status");
    int err = control_call(c->dir, request, STATUS_MS, ret, e);
    json_decref(request);
    if (err == 0 && !json_is_true(json_object_get(*ret, "ok"))) {
        err = error_set(e, ERR_UNAVAILABLE, "%s", text_of(*ret, "text"));
        json_decref(*ret);
    }
    return err;
}

/* The limits that are set, how often each struck, and the peers that are at one or have struck one. */
static void print_limits(const json_t *limits)
{
    json_t *v, *name;
    size_t i, k;
    (void)printf("\nlimits         limit                           at most          times struck\n");
    json_array_foreach(json_object_get(limits, "limits"), i, v)
    {
        (void)printf("  %-12s %-31s %-16s %lld\n", text_of(v, "protocol"), text_of(v, "limit"), text_of(v, "max"),
                     number_of(v, "strikes"));
    }
    (void)printf("  not for     ");
    json_array_foreach(json_object_get(limits, "exempt"), i, v)(void) printf(" %s", cli_string(v));
    (void)printf("%s\n", json_array_size(json_object_get(limits, "exempt")) ? "" : " nobody: they hold for all");
    json_array_foreach(json_object_get(limits, "peers"), i, v)
    {
        const json_t *limited = json_object_get(v, "limited");
        if (!json_array_size(limited) && !number_of(v, "strikes"))
            continue;
        (void)printf("  %-12s %-31s %s, struck %s%s", text_of(v, "protocol"), text_of(v, "who"),
                     COUNT(number_of(v, "connections"), "connection", "connections"),
                     COUNT(number_of(v, "strikes"), "time", "times"), json_array_size(limited) ? ", LIMITED NOW by" : "");
        json_array_foreach(limited, k, name)(void) printf(" %s", cli_string(name));
        (void)printf("\n");
    }
}

/* What keeper has signed for whom. */
static void print_signatures(const json_t *roles)
{
    json_t *v, *n;
    const char *name;
    size_t i;
    json_array_foreach(roles, i, v)
    {
        json_object_foreach(json_object_get(v, "signatures"), name, n)
        {
            (void)printf("  signed for %-5s %s, refused %lld\n", name, COUNT(number_of(n, "made"), "handshake", "handshakes"),
                         number_of(n, "refused"));
        }
    }
}

/* How often Argon2 ran since core was started, and how many users' passwords keeper would know again. */
static void print_remembered(const json_t *roles, long long hashes)
{
    json_t *v;
    size_t i;
    json_array_foreach(roles, i, v)
    {
        const json_t *r = json_object_get(v, "remembered-logins");
        if (r)
            (void)printf("  %s computed; %s in without, %s\n", COUNT(hashes, "hash", "hashes"),
                         COUNT(number_of(r, "accounts"), "user logs", "users log"),
                         json_is_true(json_object_get(r, "in-kernel")) ? "after a restart of the server too"
                                                                       : "until the server is started anew");
    }
}

/* Whether all is well comes first. */
static void print_head(const json_t *s)
{
    json_t *concerns = concerns_of(s), *v;
    size_t i;
    long long minutes = number_of(json_array_get(json_object_get(s, "roles"), 0), "uptime-ms") / 60000;
    (void)printf("valise %s on %s, up %lld d %lld h %lld min: ", text_of(s, "version"), text_of(s, "hostname"), minutes / 1440,
                 minutes / 60 % 24, minutes % 60);
    (void)printf(json_array_size(concerns) ? "needs attention\n" : "all is well\n");
    json_array_foreach(concerns, i, v)(void) printf("  ! %s\n", cli_string(v));
    json_decref(concerns);
}

static void print_status(const json_t *s)
{
    json_t *v, *address;
    size_t i, k;
    const json_t *store = json_object_get(s, "store");
    print_head(s);
    (void)printf("\nlisteners\n");
    json_array_foreach(json_object_get(s, "listeners"), i, v)
    {
        (void)printf("  %-12s %-10s port %-5lld tls %-13s", text_of(v, "name"), text_of(v, "protocol"), number_of(v, "port"),
                     text_of(v, "tls"));
        json_array_foreach(json_object_get(v, "addresses"), k, address)(void) printf(" %s", cli_string(address));
        (void)printf("\n");
    }
    (void)printf("\ncertificates\n");
    json_array_foreach(json_object_get(s, "certificates"), i, v)
    {
        long long days = number_of(v, "days-left");
        (void)printf("  %-12s %-24s ", text_of(v, "name"), text_of(v, "chain"));
        if (number_of(v, "not-after") * 1000 <= clock_real_ms())
            (void)printf("EXPIRED %s ago\n", COUNT(-days, "day", "days"));
        else
            (void)printf("%s left\n", COUNT(days, "day", "days"));
    }
    if (json_is_string(json_object_get(s, "ca")))
        (void)printf("  %s\n", text_of(s, "ca"));
    (void)printf("\nroles           pid   up (s)  restarts  connections  accepted  refused  threads  most  descriptors\n");
    json_array_foreach(json_object_get(s, "roles"), i, v)
    {
        if (number_of(v, "pid") == 0) {
            (void)printf("  %-10s    down; started again soon, %s so far\n", text_of(v, "name"),
                         COUNT(number_of(v, "restarts"), "restart", "restarts"));
            continue;
        }
        (void)printf("  %-10s %7lld %8lld %9lld %12lld %9lld %8lld %8lld %5lld %12lld\n", text_of(v, "name"), number_of(v, "pid"),
                     number_of(v, "uptime-ms") / 1000, number_of(v, "restarts"), number_of(v, "connections"),
                     number_of(v, "accepted"), number_of(v, "refused"), number_of(v, "workers"), number_of(v, "workers-peak"),
                     number_of(v, "descriptors"));
    }
    print_signatures(json_object_get(s, "roles"));
    const json_t *descriptors = json_object_get(s, "descriptors");
    (void)printf("  each role has %s, which leave room for %s to core\n",
                 COUNT(number_of(descriptors, "limit"), "descriptor", "descriptors"),
                 COUNT(number_of(descriptors, "connections-max"), "connection", "connections"));
    const json_t *sandbox = json_object_get(s, "sandbox");
    (void)printf("\nsandbox\n  Landlock ABI %lld; %s\n", number_of(sandbox, "landlock-abi"),
                 strcmp(text_of(sandbox, "users"), "one") == 0 ? "all roles are one user's"
                                                               : "each kind of role has a user of its own");
    json_array_foreach(json_object_get(sandbox, "open"), i, v)(void) printf("  - %s\n", cli_string(v));
    const json_t *logins = json_object_get(s, "logins");
    (void)printf("\nlogins\n  %lld succeeded, %lld failed, %lld turned away; locked out now: %s, %s from somewhere\n",
                 number_of(logins, "succeeded"), number_of(logins, "failed"), number_of(logins, "turned-away"),
                 COUNT(number_of(logins, "networks-locked-out"), "network", "networks"),
                 COUNT(number_of(logins, "logins-locked-out"), "user", "users"));
    print_remembered(json_object_get(s, "roles"), number_of(logins, "argon2"));
    print_limits(json_object_get(s, "limits"));
    const json_t *quotas = json_object_get(s, "quotas");
    (void)printf("\nquotas\n ");
    json_array_foreach(quotas, i, v)(void)
        printf("%s %s over %lld %%", i ? "," : "", COUNT(number_of(v, "users"), "user", "users"), number_of(v, "percent"));
    (void)printf("; valise user list --over names them\n");
    (void)printf("\nstore\n  %s, %s in %s, %lld MiB free on its disk\n", text_of(store, "state"),
                 COUNT(number_of(store, "commits"), "commit", "commits"), COUNT(number_of(store, "syncs"), "sync", "syncs"),
                 number_of(store, "free-bytes") >> 20);
}

/* The server's own state, and with WAIT what a client sees. */
static int look(const struct cli *c, bool wait, json_t **ret, struct error *e)
{
    int err = ask(c, ret, e);
    if (err == 0 && wait && (err = probe_all(*ret, e)))
        json_decref(*ret);
    return err;
}

int cmd_status(struct cli *c)
{
    bool wait = cli_value(c, "wait") != NULL;
    uint64_t seconds = 0;
    struct error e = ERROR_NONE;
    json_t *status = NULL;
    int err = cli_duration(c, "wait", 1, 86400, &seconds);
    if (err)
        return err;
    int64_t end = clock_mono_ms() + (int64_t)seconds * 1000;
    while ((err = look(c, wait, &status, &e))) {
        if (!wait || err == ERR_REFUSED || clock_mono_ms() >= end)
            return cli_fail_with(c, err == ERR_REFUSED ? EX_NOPERM : EX_UNAVAILABLE, err, e.text);
        (void)usleep(PAUSE_US);
    }
    json_object_set_new(status, "concerns", concerns_of(status));
    const char *keyless = ca_list_key_missing(c);
    if (keyless)
        json_object_set_new(status, "ca", json_string(keyless));
    if (c->json)
        cli_print_json(status);
    else
        print_status(status);
    json_decref(status);
    return 0;
}
