/* config: see config.h. */
#include "role/config_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    CONFIG_ARENA_MAX = 8 << 20,
    LISTENERS_MAX = 64,
    ADDRESSES_MAX = 32,
    NETWORKS_MAX = 10000,
    CERTIFICATES_MAX = 1000
};

/* libconfuse has one lexer per process and reports through a callback without a context: both are guarded by this lock. */
static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;
static struct error *confuse_error;
static const char *confuse_name;

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

/* Keeps the first message only: later ones follow from it. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    if (!confuse_error || confuse_error->code)
        return;
    char text[160];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    (void)error_set(confuse_error, ERR_SYNTAX, "%s:%d: %s", confuse_name, cfg ? cfg->line : 0, text);
}

static int index_of(const char *value, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (value && str_eq(str_from_z(value), str_from_z(names[i])))
            return (int)i;
    return -1;
}

const char *config_last_string(cfg_opt_t *opt)
{
    return cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
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

/* Every number and its bounds. */
static const struct {
    const char *name, *note;
    long min, max;
} ranges[] = {
    { "listener|port", "", 1, 65535 },
    { "mx-processes", "", 1, 64 },
    { "message-size-max", "", 65536, 1L << 31 },
    { "recipients-max", " (RFC 5321 section 4.5.3.1.8)", 100, 1000 },
    { "connections-max", "", 10, 1000000 },
    { "connections-per-address", "", 0, 1000000 },
    { "limits-ipv6-address", "", 1, 128 },
    { "limits-ipv4-network", "", 1, 32 },
    { "limits-ipv6-network", "", 1, 128 },
    { "workers-max", "", 2, 1024 },
    { "cache-bytes", "", 0, 1L << 40 },
    { "reserve-bytes", "", 0, 1L << 50 },
    { "password-length-min", "", 1, 128 },
    { "login-failures-max", "", 0, 1000 },
    { "login-failures-per-network", "", 0, 1000 },
    { "login-lockout", " seconds", 1, 86400 },
    { "login-history-days", "", 0, 3650 },
};

static int check_range(cfg_t *cfg, cfg_opt_t *opt)
{
    long v = cfg_opt_getnint(opt, 0);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (!str_ends(str_from_z(ranges[i].name), str_from_z(opt->name)) || (v >= ranges[i].min && v <= ranges[i].max))
            continue;
        cfg_error(cfg, "%s must be between %ld and %ld%s", opt->name, ranges[i].min, ranges[i].max, ranges[i].note);
        return -1;
    }
    return 0;
}

static int check_log_level(cfg_t *cfg, cfg_opt_t *opt)
{
    enum log_level level;
    if (log_level_from_name(str_from_z(config_last_string(opt)), &level))
        return 0;
    cfg_error(cfg, "log-level must be one of \"debug\", \"info\", \"warning\", \"error\"");
    return -1;
}

/* RFC 1123 section 2.1. */
bool config_is_hostname(str name)
{
    size_t label = 0;
    for (size_t i = 0; i < name.n; i++) {
        bool last = i + 1 == name.n || name.p[i + 1] == '.';
        if (name.p[i] == '.' ? label == 0 || last : !ascii_is_alnum(name.p[i]) && (name.p[i] != '-' || label == 0 || last))
            return false;
        label = name.p[i] == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return name.n > 0 && name.n <= 253;
}

static int check_hostname(cfg_t *cfg, cfg_opt_t *opt)
{
    if (config_is_hostname(str_from_z(config_last_string(opt))))
        return 0;
    cfg_error(cfg, "hostname must be a domain name of letters, digits, dots and hyphens");
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

int config_check_network(cfg_t *cfg, cfg_opt_t *opt)
{
    struct ip_network n;
    struct error e = ERROR_NONE;
    if (ip_network_parse(str_from_z(config_last_string(opt)), &n, &e) == 0)
        return 0;
    cfg_error(cfg, "%s: %s", opt->name, e.text);
    return -1;
}

int config_take_networks(struct config *c, cfg_t *sec, const char *option, struct ip_networks *ret, struct error *e)
{
    unsigned n = cfg_size(sec, option);
    struct ip_network *list = n <= NETWORKS_MAX ? arena_array(&c->arena, n ? n : 1, sizeof *list) : NULL;
    if (!list)
        return error_set(e, ERR_LIMIT, "%s: more than %d networks", option, NETWORKS_MAX);
    for (unsigned i = 0; i < n; i++) {
        int r = ip_network_parse(str_from_z(cfg_getnstr(sec, option, i)), &list[i], e);
        if (r)
            return r;
    }
    *ret = (struct ip_networks){ list, n };
    return 0;
}

static int take_login(struct config *c, cfg_t *cfg, struct error *e)
{
    c->login = (struct config_login){ .failures_max = (unsigned)cfg_getint(cfg, "login-failures-max"),
                                      .network_failures_max = (unsigned)cfg_getint(cfg, "login-failures-per-network"),
                                      .lockout_s = (unsigned)cfg_getint(cfg, "login-lockout"),
                                      .history_days = (unsigned)cfg_getint(cfg, "login-history-days") };
    return config_take_networks(c, cfg, "login-allow", &c->login.allow, e);
}

static int keep(struct config *c, const char *z, str *ret, struct error *e)
{
    if (arena_dup(&c->arena, str_from_z(z), ret) == 0)
        return 0;
    return error_set(e, ERR_LIMIT, "the configuration is larger than %d bytes", CONFIG_ARENA_MAX);
}

/* A listener at a Unix socket: whoever may reach its path may deliver, so LMTP only. */
static int take_socket(struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    int r = keep(c, cfg_getstr(sec, "socket"), &l->socket, e);
    if (r)
        return r;
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
    else if (m->binding && l->tls == SMTP_TLS_OFF)
        r = error_set(e, ERR_SYNTAX, "%s:%d: listener %.*s: auth: %.*s needs TLS", name, line, STR_ARG(l->name),
                      STR_ARG(m->name));
    else
        l->auth |= sasl_set_of(m);
    buf_done(&known);
    return r;
}

/* How people log in: only where they do. */
static int take_auth(cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    l->legacy = cfg_getbool(sec, "legacy");
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

/* LMTP knows no login and is not for port 25 (RFC 2033 section 5): only programs of this machine may reach it. */
static int check_lmtp(const struct config_listener *l, const char *name, int line, struct error *e)
{
    for (size_t i = 0; l->protocol == CONFIG_LMTP && i < l->address_n; i++)
        if (!str_starts(l->addresses[i], STR("127.")) && !str_eq(l->addresses[i], STR("::1")))
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

static int take_listener(struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e)
{
    int r = keep(c, cfg_title(sec), &l->name, e);
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
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s has no protocol", name, sec->line, cfg_title(sec));
    r = take_metrics(sec, l, name, e);
    if (r)
        return r;
    r = take_auth(sec, l, name, e);
    if (r)
        return r;
    if (cfg_getstr(sec, "socket"))
        return take_socket(c, sec, l, name, e);
    if (l->port == 0)
        return error_set(e, ERR_SYNTAX, "%s:%d: listener %s has no port", name, sec->line, cfg_title(sec));
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
        r = keep(c, cfg_getnstr(sec, "addresses", i), &list[i], e);
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
    return r ? r : check_lmtp(l, name, sec->line, e);
}

/* A listener that offers TLS needs something to show. */
static int check_certificates(const struct config *c, const char *name, struct error *e)
{
    bool wanted = false, there = false;
    for (size_t i = 0; i < c->listener_n; i++)
        wanted = wanted || c->listeners[i].tls != SMTP_TLS_OFF;
    for (size_t i = 0; i < c->certificate_n; i++)
        there = there || c->certificates[i].name.n == 0;
    if (there || !wanted)
        return 0;
    return error_set(e, ERR_SYNTAX,
                     "%s: listeners offer TLS, but there is no section: certificate default { chain = \"file.pem\" }", name);
}

/* One entry for each chain of the section, all under its name. */
static int take_certificate(struct config *c, cfg_t *sec, struct config_certificate *list, const char *name, struct error *e)
{
    const char *server_name = cfg_getstr(sec, "name") ? cfg_getstr(sec, "name") : cfg_title(sec);
    unsigned n = cfg_size(sec, "chain");
    int r =
        n ? 0 : error_set(e, ERR_SYNTAX, "%s:%d: certificate %s has no chain = \"file.pem\"", name, sec->line, cfg_title(sec));
    for (unsigned i = 0; i < n && r == 0; i++) {
        struct config_certificate *one = &list[c->certificate_n++];
        r = str_eq(str_from_z(server_name), STR("default")) ? 0 : keep(c, server_name, &one->name, e);
        if (r == 0)
            r = keep(c, cfg_getnstr(sec, "chain", i), &one->chain, e);
    }
    return r;
}

static unsigned count_chains(cfg_t *cfg)
{
    unsigned n = 0;
    for (unsigned i = 0; i < cfg_size(cfg, "certificate"); i++)
        n += cfg_size(cfg_getnsec(cfg, "certificate", i), "chain");
    return n;
}

static int take_sections(struct config *c, cfg_t *cfg, const char *name, struct error *e)
{
    unsigned n = cfg_size(cfg, "listener");
    if (n == 0 || n > LISTENERS_MAX)
        return error_set(e, ERR_SYNTAX, "%s: 1 to %d listener sections are needed", name, LISTENERS_MAX);
    struct config_listener *listeners = arena_array(&c->arena, n, sizeof *listeners);
    unsigned m = cfg_size(cfg, "certificate"), chains = count_chains(cfg);
    struct config_certificate *certificates =
        chains <= CERTIFICATES_MAX ? arena_array(&c->arena, chains, sizeof *certificates) : NULL;
    if (!listeners || !certificates)
        return error_set(e, ERR_LIMIT, "%s: at most %d certificates", name, CERTIFICATES_MAX);
    int r = 0;
    for (unsigned i = 0; i < n && r == 0; i++)
        r = take_listener(c, cfg_getnsec(cfg, "listener", i), &listeners[i], name, e);
    for (unsigned i = 0; i < m && r == 0; i++)
        r = take_certificate(c, cfg_getnsec(cfg, "certificate", i), certificates, name, e);
    c->listeners = listeners;
    c->listener_n = n;
    c->certificates = certificates;
    return r ? r : check_certificates(c, name, e);
}

static int take_all(struct config *c, cfg_t *cfg, const char *name, struct error *e)
{
    if (!cfg_getstr(cfg, "hostname"))
        return error_set(e, ERR_SYNTAX, "%s: hostname = \"mail.example.org\" is missing", name);
    int r = keep(c, cfg_getstr(cfg, "hostname"), &c->hostname, e);
    if (r == 0)
        r = keep(c, cfg_getstr(cfg, "user"), &c->user, e);
    c->mx_processes = (unsigned)cfg_getint(cfg, "mx-processes");
    c->message_size_max = (uint64_t)cfg_getint(cfg, "message-size-max");
    c->recipients_max = (unsigned)cfg_getint(cfg, "recipients-max");
    c->refuse_over_quota = cfg_getbool(cfg, "refuse-over-quota");
    c->connections_max = (unsigned)cfg_getint(cfg, "connections-max");
    c->connections_per_address = (unsigned)cfg_getint(cfg, "connections-per-address");
    c->workers_max = (unsigned)cfg_getint(cfg, "workers-max");
    c->cache_bytes = (uint64_t)cfg_getint(cfg, "cache-bytes");
    c->reserve_bytes = (uint64_t)cfg_getint(cfg, "reserve-bytes");
    c->password_length_min = (unsigned)cfg_getint(cfg, "password-length-min");
    c->password_refuse_common = cfg_getbool(cfg, "password-refuse-common");
    c->password_need_mixed = cfg_getbool(cfg, "password-need-mixed");
    (void)log_level_from_name(str_from_z(cfg_getstr(cfg, "log-level")), &c->log_level);
    if (r == 0)
        r = take_login(c, cfg, e);
    if (r == 0)
        r = config_take_limits(c, cfg, name, e);
    return r ? r : take_sections(c, cfg, name, e);
}

/* Overwrites comments with spaces: libconfuse 3.3 counts the line that ends one three times, and every message would name a wrong
 * line. */
static void blank_comments(char *p)
{
    char quote = 0;
    while (*p) {
        bool to_line_end = !quote && (*p == '#' || (p[0] == '/' && p[1] == '/'));
        bool to_star = !quote && p[0] == '/' && p[1] == '*';
        if (to_line_end) {
            while (*p && *p != '\n')
                *p++ = ' ';
        } else if (to_star) {
            while (*p && !(p[0] == '*' && p[1] == '/')) {
                *p = *p == '\n' ? '\n' : ' ';
                p++;
            }
            for (int i = 0; i < 2 && *p; i++)
                *p++ = ' ';
        } else if (quote && *p == '\\' && p[1]) {
            p += 2;
        } else {
            if (quote ? *p == quote : *p == '"' || *p == '\'')
                quote = quote ? 0 : *p;
            p++;
        }
    }
}

static void set_checks(cfg_t *cfg)
{
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        cfg_set_validate_func(cfg, ranges[i].name, check_range);
    cfg_set_validate_func(cfg, "hostname", check_hostname);
    cfg_set_validate_func(cfg, "login-allow", config_check_network);
    cfg_set_validate_func(cfg, "log-level", check_log_level);
    cfg_set_validate_func(cfg, "listener|protocol", check_protocol);
    cfg_set_validate_func(cfg, "listener|tls", check_tls);
    cfg_set_validate_func(cfg, "listener|min-tls", check_min_tls);
    cfg_set_validate_func(cfg, "listener|client-cert", check_client_cert);
    cfg_set_validate_func(cfg, "listener|addresses", check_address);
    cfg_set_validate_func(cfg, "listener|networks", config_check_network);
    cfg_set_validate_func(cfg, "listener|proxy-from", config_check_network);
    cfg_set_validate_func(cfg, "listener|xclient-from", config_check_network);
    config_limit_checks(cfg);
}

static int parse_locked(const char *name, struct config *c, struct error *e)
{
    char loopback[] = "{127.0.0.1}"; /* libconfuse wants it writable */
    cfg_opt_t listener_opts[] = { CFG_STR("protocol", NULL, CFGF_NODEFAULT),
                                  CFG_INT("port", 0, CFGF_NONE),
                                  CFG_STR("tls", "opportunistic", CFGF_NONE),
                                  CFG_STR("min-tls", "1.2", CFGF_NONE),
                                  CFG_STR("client-cert", "off", CFGF_NONE),
                                  CFG_STR("socket", NULL, CFGF_NONE),
                                  CFG_STR_LIST("addresses", loopback, CFGF_NONE),
                                  CFG_STR_LIST("auth", NULL, CFGF_NODEFAULT),
                                  CFG_STR_LIST("networks", NULL, CFGF_NODEFAULT),
                                  CFG_STR_LIST("proxy-from", NULL, CFGF_NODEFAULT),
                                  CFG_STR_LIST("xclient-from", NULL, CFGF_NODEFAULT),
                                  CFG_BOOL("legacy", cfg_false, CFGF_NONE),
                                  CFG_END() };
    char exempt[] = "{127.0.0.0/8, \"::1\"}";
    cfg_opt_t limit_opts[CONFIG_LIMIT_OPTIONS_MAX];
    if (config_limit_options(c, limit_opts))
        return error_set(e, ERR_LIMIT, "the configuration is too large");
    cfg_opt_t certificate_opts[] = { CFG_STR_LIST("chain", NULL, CFGF_NODEFAULT), CFG_STR("name", NULL, CFGF_NODEFAULT),
                                     CFG_END() };
    cfg_opt_t opts[] = { CFG_INT("version", CONFIG_VERSION, CFGF_NONE),
                         CFG_STR("hostname", NULL, CFGF_NODEFAULT),
                         CFG_STR("user", "valise", CFGF_NONE),
                         CFG_STR("log-level", "info", CFGF_NONE),
                         CFG_INT("mx-processes", 1, CFGF_NONE),
                         CFG_INT("message-size-max", 52428800, CFGF_NONE),
                         CFG_INT("recipients-max", 1000, CFGF_NONE),
                         CFG_BOOL("refuse-over-quota", cfg_false, CFGF_NONE),
                         CFG_INT("connections-max", 20000, CFGF_NONE),
                         CFG_INT("connections-per-address", 0, CFGF_NONE),
                         CFG_STR_LIST("limits-exempt", exempt, CFGF_NONE),
                         CFG_INT("limits-ipv6-address", 64, CFGF_NONE),
                         CFG_INT("limits-ipv4-network", 24, CFGF_NONE),
                         CFG_INT("limits-ipv6-network", 48, CFGF_NONE),
                         CFG_SEC("limits", limit_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_INT("workers-max", 64, CFGF_NONE),
                         CFG_INT("cache-bytes", 16777216, CFGF_NONE),
                         CFG_INT("reserve-bytes", 0, CFGF_NONE),
                         CFG_INT("password-length-min", CONFIG_PASSWORD_LENGTH_MIN, CFGF_NONE),
                         CFG_BOOL("password-refuse-common", cfg_true, CFGF_NONE),
                         CFG_BOOL("password-need-mixed", cfg_false, CFGF_NONE),
                         CFG_INT("login-failures-max", 10, CFGF_NONE),
                         CFG_INT("login-failures-per-network", 50, CFGF_NONE),
                         CFG_INT("login-lockout", 900, CFGF_NONE),
                         CFG_STR_LIST("login-allow", NULL, CFGF_NODEFAULT),
                         CFG_INT("login-history-days", 90, CFGF_NONE),
                         CFG_SEC("listener", listener_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_SEC("certificate", certificate_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_END() };
    struct error local = ERROR_NONE;
    confuse_error = &local;
    confuse_name = name;
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    if (!cfg)
        return error_set(e, ERR_INTERNAL, "libconfuse could not be initialised");
    cfg_set_error_function(cfg, on_error);
    set_checks(cfg);
    char *bare = arena_z(&c->arena, c->text);
    if (bare)
        blank_comments(bare);
    int r = bare && cfg_parse_buf(cfg, bare) == CFG_SUCCESS ? 0 : ERR_SYNTAX;
    if (r == 0 && cfg_getint(cfg, "version") != CONFIG_VERSION)
        r = error_set(&local, ERR_SYNTAX,
                      "%s: version %ld is of a newer valise, this one knows %d: install that, or restore the file", name,
                      cfg_getint(cfg, "version"), CONFIG_VERSION);
    if (r == 0)
        r = take_all(c, cfg, name, &local);
    if (r && !local.code)
        (void)error_set(&local, ERR_SYNTAX, "%s: cannot be parsed", name);
    if (r && e)
        *e = local;
    cfg_free(cfg);
    confuse_error = NULL;
    return r;
}

int config_parse(const char *name, str text, struct config **ret, struct error *e)
{
    if (text.n > CONFIG_BYTES_MAX)
        return error_set(e, ERR_LIMIT, "%s: larger than 1 MiB", name);
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        panic("out of memory for the configuration");
    arena_init(&c->arena, CONFIG_ARENA_MAX);
    char *z = arena_z(&c->arena, text);
    int r = z ? 0 : error_set(e, ERR_SYNTAX, "%s: holds a NUL byte", name);
    if (r == 0) {
        c->text = (str){ z, text.n };
        pthread_mutex_lock(&confuse_lock);
        r = parse_locked(name, c, e);
        pthread_mutex_unlock(&confuse_lock);
    }
    if (r) {
        config_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

int config_read(const char *path, struct config **ret, struct error *e)
{
    struct buf b = BUF_INIT(CONFIG_BYTES_MAX);
    int r = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "%s: %s; `valise init` writes one", path, strerrordesc_np(errno));
    for (;;) {
        char *to = buf_reserve(&b, 4096);
        if (!to) {
            r = error_set(e, ERR_LIMIT, "%s: larger than 1 MiB", path);
            break;
        }
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = error_set(e, ERR_IO, "%s: %s", path, strerrordesc_np(errno));
        if (n <= 0)
            break;
        buf_commit(&b, (size_t)n);
    }
    if (r == 0)
        r = config_parse(path, buf_str(&b), ret, e);
    (void)close(fd);
    buf_done(&b);
    return r;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    free(c);
}

static void write_listener(struct buf *b, const char *title, const char *protocol, unsigned port, const char *tls,
                           const char *note, bool lab)
{
    buf_addf(b, "# %s\nlistener %s {\n  protocol = \"%s\"\n  port = %u\n  tls = \"%s\"\n  addresses = %s\n}\n\n", note, title,
             protocol, port, tls, lab ? "{\"127.0.0.1\"}" : "{\"0.0.0.0\", \"::\"}");
}

void config_write_default(struct buf *b, str hostname, bool lab)
{
    buf_addf(
        b,
        "# valise.conf: read at start and at `valise reload`; a mistake is refused with its line and the old settings stay.\n"
        "version = 1\n\n"
        "# The name this server greets with and puts into Received: fields.\n"
        "hostname = \"%.*s\"\n\n"
        "# When started as root, all roles change to this user. Empty: stay.\n"
        "user = \"valise\"\n\n"
        "# Processes that talk to strangers on port 25. More use more cores.\n"
        "mx-processes = 1\n\n"
        "# Largest message in bytes (SIZE).\n"
        "message-size-max = 52428800\n\n"
        "# What one peer may do: defaults hold off floods, `valise status` shows all and who is at a limit. Peers in "
        "limits-exempt are not\n"
        "# limited by address. Sections are for smtp, submission and imap; see valise.conf(5).\n"
        "limits-exempt = {\"127.0.0.0/8\", \"::1\"}\n"
        "#limits smtp { connections-per-address = 50 message-rate-per-address = \"100/minute\" }\n"
        "#limits submission { recipient-rate-per-account = \"2000/day\" }\n\n"
        "# debug, info, warning or error\n"
        "log-level = \"info\"\n\n",
        STR_ARG(hostname));
    write_listener(b, "smtp", "smtp", 25, "opportunistic",
                   "Mail from other servers. RFC 3207 section 4: do not require TLS here.", lab);
    buf_add(
        b,
        STR("# Listeners of submission and imap may name how people log in, and ask for client certificates (man valise.conf):\n"
            "#   client-cert = \"request\"\n"
            "#   auth = {\"EXTERNAL\", \"SCRAM-SHA-256\", \"PLAIN\"}\n"
            "# CRAM-MD5 and DIGEST-MD5, for old programs only, need legacy = true beside them and users flagged by `valise user "
            "legacy':\n"
            "# their passwords are then kept in a form that whoever has store and keys can read.\n\n"));
    write_listener(b, "submission", "submission", 587, "required", "People and programs who send: STARTTLS, then AUTH.", lab);
    write_listener(b, "submissions", "submission", 465, "implicit", "The same, TLS from the first byte (RFC 8314).", lab);
    write_listener(b, "imap", "imap", 143, "required", "Mailboxes: STARTTLS before LOGIN.", lab);
    write_listener(b, "imaps", "imap", 993, "implicit", "Mailboxes, TLS from the first byte.", lab);
    buf_add(b,
            STR("# What the server counts, for Prometheus: GET /metrics over HTTP, without login, so on this machine only.\n"
                "# listener metrics {\n#   protocol = \"metrics\"\n#   port = 9425\n#   addresses = {\"127.0.0.1\"}\n# }\n\n"));
    buf_add(b, STR("# The certificate shown when no other section bears the server name that the client asks for (SNI).\n"
                   "# Its private key lies in keys/, found by the certificate's public key.\n"
                   "certificate default {\n  chain = \"tls/server.pem\"\n}\n"));
}
