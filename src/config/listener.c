/* listener: the sections of valise.conf that say where the server listens, for what and for whom. */
#include "config/config_private.h"

#include <arpa/inet.h>

#include "base/ip.h"

enum { ADDRESSES_MAX = 32 };

static const char *const protocol_names[] = { [CONFIG_SMTP] = "smtp",
                                              [CONFIG_SUBMISSION] = "submission",
                                              [CONFIG_IMAP] = "imap",
                                              [CONFIG_LMTP] = "lmtp",
                                              [CONFIG_METRICS] = "metrics" };
enum { PROTOCOLS = sizeof protocol_names / sizeof protocol_names[0] };
static const char *const tls_names[] = { [SMTP_TLS_OFF] = "off",
                                         [SMTP_TLS_OPPORTUNISTIC] = "opportunistic",
                                         [SMTP_TLS_REQUIRED] = "required",
                                         [SMTP_TLS_IMPLICIT] = "implicit" };

static const char *const client_cert_names[] = {
    [TLS_CLIENT_OFF] = "off", [TLS_CLIENT_REQUESTED] = "request", [TLS_CLIENT_REQUIRED] = "required"
};
static const char *const min_tls_names[] = { "1.2", "1.3" };

const char *config_protocol_name(enum config_protocol p)
{
    return protocol_names[p];
}

const char *config_tls_name(enum smtp_tls t)
{
    return tls_names[t];
}

static int index_of(const char *value, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (value && str_eq(str_from_z(value), str_from_z(names[i])))
            return (int)i;
    return -1;
}

static int check_protocol(cfg_t *cfg, cfg_opt_t *opt)
{
    if (index_of(config_last_string(opt), protocol_names, PROTOCOLS) >= 0)
        return 0;
    cfg_error(cfg, "protocol must be one of \"smtp\", \"submission\", \"imap\", \"lmtp\", \"metrics\"");
    return -1;
}

static int check_tls(cfg_t *cfg, cfg_opt_t *opt)
{
    if (index_of(config_last_string(opt), tls_names, 4) >= 0)
        return 0;
    cfg_error(cfg, "tls must be one of \"off\", \"opportunistic\", \"required\", \"implicit\"");
    return -1;
}

static int check_client_cert(cfg_t *cfg, cfg_opt_t *opt)
{
    if (index_of(config_last_string(opt), client_cert_names, 3) >= 0)
        return 0;
    cfg_error(cfg, "client-cert must be one of \"off\", \"request\", \"required\"");
    return -1;
}

static int check_min_tls(cfg_t *cfg, cfg_opt_t *opt)
{
    if (index_of(config_last_string(opt), min_tls_names, 2) >= 0)
        return 0;
    cfg_error(cfg, "min-tls must be \"1.2\" or \"1.3\"");
    return -1;
}

static int check_address(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *z = config_last_string(opt);
    unsigned char bytes[16];
    if (z && (inet_pton(AF_INET, z, bytes) == 1 || inet_pton(AF_INET6, z, bytes) == 1))
        return 0;
    cfg_error(cfg, "'%s' is not an IPv4 or IPv6 address; write numbers, not a name", z ? z : "");
    return -1;
}

/* "0660": octal, no execution, and the server itself can do with it what it must. */
static int take_socket_mode(cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    const char *text = cfg_getstr(sec, "socket-mode");
    unsigned mode = 0;
    bool good = text && text[0];
    for (size_t i = 0; good && text[i]; i++) {
        good = text[i] >= '0' && text[i] <= '7' && i < 4;
        mode = mode * 8 + (unsigned)(text[i] - '0');
    }
    l->socket_mode = text ? mode : CONFIG_SOCKET_MODE;
    if (text && (!good || (mode & ~0666u) || (mode & 0600) != 0600))
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: socket-mode is \"0600\", \"0660\" or \"0666\", not \"%s\"", name,
                         sec->line, cfg_title(sec), text);
    return 0;
}

/* A listener at a Unix socket: whoever may reach its path may deliver, so LMTP only. */
static int take_socket(struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    int r = config_keep(c, cfg_getstr(sec, "socket"), &l->socket, e);
    if (r == 0)
        r = take_socket_mode(sec, l, name, e);
    if (r == 0 && cfg_getstr(sec, "socket-group"))
        r = config_keep(c, cfg_getstr(sec, "socket-group"), &l->socket_group, e);
    if (r)
        return r;
    if (l->socket_group.n > CONFIG_GROUP_MAX)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: the name of a group has at most %d bytes", name, sec->line,
                         cfg_title(sec), CONFIG_GROUP_MAX);
    if (l->protocol != CONFIG_LMTP || l->port || l->tls != SMTP_TLS_OFF)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: a socket is for protocol \"lmtp\" with tls = \"off\" and no port",
                         name, sec->line, cfg_title(sec));
    if (cfg_size(sec, "networks") + cfg_size(sec, "proxy-from") + cfg_size(sec, "xclient-from"))
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: who comes by a socket has no address, so no networks", name,
                         sec->line, cfg_title(sec));
    if (l->socket.n == 0 || l->socket.n > CONFIG_SOCKET_MAX || str_ends(l->socket, STR("control.sock")))
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: a socket's path has 1 to %d bytes and is not the control socket's",
                         name, sec->line, cfg_title(sec), CONFIG_SOCKET_MAX);
    return 0;
}

static int take_mechanism(struct config_listener *l, const char *mechanism, const char *name, int line, struct error *e)
{
    size_t n;
    const struct sasl_mechanism *list = sasl_mechanisms(&n), *m = sasl_mechanism_find(str_from_z(mechanism));
    struct buf known = BUF_INIT(1024);
    int r = 0;
    for (size_t i = 0; i < n; i++)
        buf_add_all(&known, i ? STR(", ") : STR(""), list[i].name);
    if (!m)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth: there is no mechanism \"%s\"; there are %.*s", name, line,
                      STR_ARG(l->name), mechanism, STR_ARG(buf_str(&known)));
    else if (m->kind == SASL_KIND_EXTERNAL && l->client_cert == TLS_CLIENT_OFF)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth: EXTERNAL needs client-cert = \"request\" or \"required\"", name,
                      line, STR_ARG(l->name));
    else if (m->legacy && !l->legacy)
        r = error_set(e, ERR_SYNTAX,
                      "%s:%d: listener %.*s: auth: %.*s needs legacy = true, and users flagged by `valise user legacy'", name,
                      line, STR_ARG(l->name), STR_ARG(m->name));
    else if (m->hash == SASL_HASH_SHA1 && !l->scram_sha1)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth: %.*s needs scram-sha-1 = true; by itself SHA-256 is used", name,
                      line, STR_ARG(l->name), STR_ARG(m->name));
    else if (m->binding && l->tls == SMTP_TLS_OFF)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth: %.*s needs TLS", name, line, STR_ARG(l->name),
                      STR_ARG(m->name));
    else
        l->auth |= sasl_set_of(m);
    buf_done(&known);
    return r;
}

/* How people log in: only where they do. */
static int take_auth(const struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    l->legacy = cfg_getbool(sec, "legacy");
    l->scram_sha1 = c->login.scram_sha1;
    bool named = cfg_getopt(sec, "auth")->flags & CFGF_MODIFIED;
    unsigned n = cfg_size(sec, "auth");
    int r = 0;
    if ((named || l->legacy) && l->protocol != CONFIG_SUBMISSION && l->protocol != CONFIG_IMAP)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth and legacy are for submission and imap; nobody logs in by %s",
                         name, sec->line, STR_ARG(l->name), config_protocol_name(l->protocol));
    if (named && n == 0)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth names no mechanism, so nobody could log in", name, sec->line,
                         STR_ARG(l->name));
    for (unsigned i = 0; i < n && r == 0; i++)
        r = take_mechanism(l, cfg_getnstr(sec, "auth", i), name, sec->line, e);
    return r;
}

/* Metrics are plain HTTP. Nobody logs in there: the address decides who may look. */
static int take_metrics(cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    if (l->protocol == CONFIG_METRICS && l->tls != SMTP_TLS_OFF && cfg_getopt(sec, "tls")->flags & CFGF_MODIFIED)
        return error_set(e, ERR_SYNTAX,
                         "%s:%d: listener %.*s: metrics have no TLS; leave tls out, and stay on addresses of this machine or of "
                         "a network that "
                         "you trust",
                         name, sec->line, STR_ARG(l->name));
    if (l->protocol == CONFIG_METRICS)
        l->tls = SMTP_TLS_OFF;
    return 0;
}

static bool is_on_loopback(const struct config_listener *l)
{
    for (size_t i = 0; i < l->address_n; i++)
        if (!str_starts(l->addresses[i], STR("127.")) && !str_eq(l->addresses[i], STR("::1")))
            return false;
    return true;
}

/* Passwords cross no network in clear, but where that is the lesson, and there no other network than the class's. A program of this machine may read
 * mailboxes without TLS: what passes loopback only root can read. */
static int check_clear(const struct config *c, const struct config_listener *l, const char *name, int line, struct error *e)
{
    bool local = is_on_loopback(l), reads = l->protocol == CONFIG_IMAP;
    if (l->tls != SMTP_TLS_OFF || (l->protocol != CONFIG_SUBMISSION && !reads))
        return 0;
    if (c->insecure_lesson)
        return local || l->networks.n
                   ? 0
                   : error_set(e, ERR_SYNTAX,
                               "%s:%d: listener %.*s: without TLS everybody on the way reads the passwords; say "
                               "which network the lesson is for, as networks = {\"192.168.1.0/24\"}",
                               name, line, STR_ARG(l->name));
    if (local && reads)
        return 0;
    return error_set(
        e, ERR_SYNTAX,
        "%s:%d: listener %.*s: %s; write tls = \"required\" or \"implicit\" (a lesson in a lab may: valise init --lab "
        "--insecure-lesson)",
        name, line, STR_ARG(l->name),
        reads ? "without TLS others read the passwords, but on 127.0.0.1 and ::1" : "nobody can log in without TLS");
}

/* LMTP knows no login and is not for port 25 (RFC 2033 section 5): only programs of this machine may reach it. */
static int check_lmtp(const struct config_listener *l, const char *name, int line, struct error *e)
{
    if (l->protocol == CONFIG_LMTP && !is_on_loopback(l))
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: lmtp has no login, so its addresses must be 127.x.x.x or ::1",
                         name, line, STR_ARG(l->name));
    if (l->protocol == CONFIG_LMTP && l->port == 25)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: port 25 is for smtp; lmtp usually has 24", name, line,
                         STR_ARG(l->name));
    return 0;
}

/* Listeners are found by name, in logs too; the dot is left to those that are ours (WIRE_CONTROL). */
static bool is_listener_name(str name)
{
    bool good = name.n > 0 && name.n <= 32;
    for (size_t i = 0; i < name.n; i++)
        good = good && (ascii_is_alnum(name.p[i]) || name.p[i] == '-' || name.p[i] == '_');
    return good;
}

int config_take_listener(struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    int r = config_keep(c, cfg_title(sec), &l->name, e);
    if (r)
        return r;
    if (!is_listener_name(l->name))
        return error_set(e, ERR_SYNTAX, "%s:%d: a listener's name has 1 to 32 letters, digits, hyphens and underscores", name,
                         sec->line);
    l->protocol = (enum config_protocol)index_of(cfg_getstr(sec, "protocol"), protocol_names, PROTOCOLS);
    l->tls = (enum smtp_tls)index_of(cfg_getstr(sec, "tls"), tls_names, 4);
    l->tls13_only = index_of(cfg_getstr(sec, "min-tls"), min_tls_names, 2) == 1;
    l->client_cert = (enum tls_client_cert)index_of(cfg_getstr(sec, "client-cert"), client_cert_names, 3);
    l->port = (uint16_t)cfg_getint(sec, "port");
    if (!cfg_opt_size(cfg_getopt(sec, "protocol")) || (int)l->protocol < 0)
        return error_set(
            e, ERR_SYNTAX,
            "%s:%d: listener %s has no protocol; write protocol = \"smtp\", \"submission\", \"imap\", \"lmtp\" or \"metrics\"",
            name, sec->line, cfg_title(sec));
    r = take_metrics(sec, l, name, e);
    if (r)
        return r;
    r = take_auth(c, sec, l, name, e);
    if (r)
        return r;
    if (cfg_getstr(sec, "socket"))
        return take_socket(c, sec, l, name, e);
    if (cfg_getstr(sec, "socket-mode") || cfg_getstr(sec, "socket-group"))
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s: socket-mode and socket-group are for a listener with a socket", name,
                         sec->line, cfg_title(sec));
    if (l->port == 0)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s has no port; write port = 993 or another number", name, sec->line,
                         cfg_title(sec));
    if (l->protocol == CONFIG_SMTP && l->tls == SMTP_TLS_REQUIRED && l->port == 25)
        log_warning("config-note", LOG_STR("listener", l->name),
                    LOG_Z("note", "strangers without TLS cannot reach a port 25 that requires it (RFC 3207 section 4)"));
    if (l->client_cert != TLS_CLIENT_OFF && l->tls == SMTP_TLS_OFF)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s cannot ask for certificates without TLS", name, sec->line,
                         cfg_title(sec));
    unsigned n = cfg_size(sec, "addresses");
    if (n == 0 || n > ADDRESSES_MAX)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s needs 1 to %d addresses", name, sec->line, cfg_title(sec),
                         ADDRESSES_MAX);
    str *list = arena_array(&c->arena, n, sizeof *list);
    if (!list)
        return error_set(e, ERR_LIMIT, "the configuration is too large");
    for (unsigned i = 0; i < n && r == 0; i++)
        r = config_keep(c, cfg_getnstr(sec, "addresses", i), &list[i], e);
    l->addresses = list;
    l->address_n = n;
    if (r == 0)
        r = config_take_networks(c, sec, "networks", &l->networks, e);
    if (r == 0)
        r = config_take_networks(c, sec, "proxy-from", &l->proxies, e);
    if (r == 0)
        r = config_take_networks(c, sec, "xclient-from", &l->overrides, e);
    if (r == 0 && l->overrides.n && l->protocol != CONFIG_SMTP && l->protocol != CONFIG_SUBMISSION)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %s: xclient-from is for protocol smtp and submission", name, sec->line,
                      cfg_title(sec));
    if (r == 0)
        r = check_clear(c, l, name, sec->line, e);
    return r ? r : check_lmtp(l, name, sec->line, e);
}

/* Whether X and Y cannot be listened at together: the same address, or one of them is all of that kind. */
static bool are_same_place(str x, str y)
{
    static const struct ip_address all_6;
    const struct ip_address all_4 = ip_address_from_4("\0\0\0\0");
    struct ip_address a, b;
    if (!ip_address_parse(x, &a) || !ip_address_parse(y, &b) || ip_address_is_4(&a) != ip_address_is_4(&b))
        return false;
    const struct ip_address *all = ip_address_is_4(&a) ? &all_4 : &all_6;
    return memcmp(&a, &b, sizeof a) == 0 || memcmp(&a, all, sizeof a) == 0 || memcmp(&b, all, sizeof b) == 0;
}

int config_check_places(const struct config_listener *list, size_t i, const char *name, int line, struct error *e)
{
    const struct config_listener *one = &list[i];
    for (size_t k = 0; k <= i; k++)
        for (size_t m = 0; one->port && m < one->address_n * list[k].address_n; m++) {
            size_t x = m / list[k].address_n, y = m % list[k].address_n;
            str address = one->addresses[x], other = list[k].addresses[y];
            if ((k == i && x <= y) || one->port != list[k].port || !are_same_place(address, other))
                continue;
            if (k == i)
                return error_set(e, ERR_SYNTAX,
                                 "%s:%d: listener %.*s has %.*s and %.*s, which are one place or in each other; "
                                 "take one out",
                                 name, line, STR_ARG(one->name), STR_ARG(other), STR_ARG(address));
            return error_set(e, ERR_SYNTAX,
                             "%s:%d: listener %.*s has port %u of %.*s, as listener %.*s has%s%.*s; give it another", name, line,
                             STR_ARG(one->name), one->port, STR_ARG(address), STR_ARG(list[k].name),
                             str_eq(address, other) ? "" : " of ", STR_ARG(str_eq(address, other) ? STR("") : other));
        }
    return 0;
}

void config_listener_checks(cfg_t *cfg)
{
    cfg_set_validate_func(cfg, "listener|protocol", check_protocol);
    cfg_set_validate_func(cfg, "listener|tls", check_tls);
    cfg_set_validate_func(cfg, "listener|min-tls", check_min_tls);
    cfg_set_validate_func(cfg, "listener|client-cert", check_client_cert);
    cfg_set_validate_func(cfg, "listener|addresses", check_address);
    cfg_set_validate_func(cfg, "listener|networks", config_check_network);
    cfg_set_validate_func(cfg, "listener|proxy-from", config_check_network);
    cfg_set_validate_func(cfg, "listener|xclient-from", config_check_network);
}
