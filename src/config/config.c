/* config: see config.h. */
#include "config/config_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/amount.h"
#include "base/nearest.h"

enum {
    CONNECTIONS_MAX = 20000, /* when nobody says */
    CONFIG_BYTES_MAX = 1 << 20,
    CONFIG_ARENA_MAX = 8 << 20,
    LISTENERS_MAX = 64,
    NETWORKS_MAX = 10000,
    CERTIFICATES_MAX = 1000
};

/* libconfuse has one lexer per process and reports through a callback without a context: both are guarded by this lock. */
static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;
static struct error *confuse_error;
static const char *confuse_name;

/* What libconfuse says, and what is to be done. */
static const struct {
    const char *begin, *next;
} said[] = {
    { "invalid integer value for option", "write a number" },
    { "invalid floating point value for option", "write a number" },
    { "invalid boolean value for option", "write true or false" },
    { "premature end of file", "the last value is missing, or the file is cut: write it to its end" },
    { "unexpected token", "write name = value, or a section's name { ... }" },
    { "unexpected closing brace", "no section is open there: leave it out" },
    { "unterminated string constant", "close the text with the quote that begins it" },
    { "found duplicate title", "give this section another name" },
    { "missing title for section", "write the section's name before {, as listener imap2 { ... }" },
    { "missing equal sign after option", "write name = value" },
    { "missing opening brace for section", "write { behind its name" },
};

/* What to do about libconfuse's TEXT: to NEXT, of SIZE bytes; "" for texts that have said it themselves. */
static void find_meant(const cfg_t *cfg, str text, char *next, size_t size)
{
    static const str begin = STR_INIT("no such option '");
    next[0] = '\0';
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (str_starts(text, str_from_z(said[i].begin)))
            (void)snprintf(next, size, "; %s", said[i].next);
    if (!cfg || !str_starts(text, begin))
        return;
    str given = str_sub(text, begin.n, str_find_byte(text, '\'', begin.n) - begin.n);
    struct nearest n = nearest_to(given);
    for (const cfg_opt_t *o = cfg->opts; o && o->name; o++)
        nearest_offer(&n, str_from_z(o->name));
    if (amount_size_unit(given) || amount_time_unit(given)) /* 2 GiB are two words, "2 GiB" is one */
        (void)snprintf(next, size, "; a number with a space before its unit stands in quotes, as \"2 GiB\"");
    else if (n.name.n)
        (void)snprintf(next, size, "; did you mean %.*s?", STR_ARG(n.name));
    else
        (void)snprintf(next, size, "; `man valise.conf` lists them");
}

/* Keeps the first message only: later ones follow from it. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    if (!confuse_error || confuse_error->code)
        return;
    char text[160], next[128];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    find_meant(cfg, str_from_z(text), next, sizeof next);
    (void)error_set(confuse_error, ERR_SYNTAX, "%s:%d: %s%s", confuse_name, cfg ? cfg->line : 0, text, next);
}

const char *config_last_string(cfg_opt_t *opt)
{
    return cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
}

/* A value with a unit, for libconfuse: into *RESULT, a long. */
static int take_size(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    uint64_t n;
    if (!amount_bytes(str_from_z(value), LONG_MAX, &n)) {
        cfg_error(cfg, "%s: '%s' is no size; write " AMOUNT_SIZE_FORMS, opt->name, value);
        return -1;
    }
    *(long *)result = (long)n;
    return 0;
}

static int take_time(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result, uint64_t unit)
{
    uint64_t n;
    if (!amount_seconds(str_from_z(value), unit, LONG_MAX / 2, &n)) {
        cfg_error(cfg, "%s: '%s' is no time; write a number of %s, or " AMOUNT_TIME_FORMS, opt->name, value,
                  unit == 1 ? "seconds" : "days");
        return -1;
    }
    *(long *)result = (long)((n + unit - 1) / unit); /* what is begun counts as a whole */
    return 0;
}

static int take_seconds(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    return take_time(cfg, opt, value, result, 1);
}

static int take_days(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    return take_time(cfg, opt, value, result, AMOUNT_DAY);
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
    { "login-memory", " seconds", 0, 30 * 86400 },
    { "argon2-memory", " bytes (19M to 1G)", 19456L * 1024, 1L << 30 },
    { "argon2-passes", "", 2, 20 },
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

static int check_user_key(cfg_t *cfg, cfg_opt_t *opt)
{
    str kind = str_from_z(config_last_string(opt));
    if (str_eq(kind, STR("ecdsa")) || str_eq(kind, STR("rsa")))
        return 0;
    cfg_error(cfg, "user-key must be one of \"ecdsa\", \"rsa\"");
    return -1;
}

static int check_language(cfg_t *cfg, cfg_opt_t *opt)
{
    enum language l = language_from_tag(str_from_z(config_last_string(opt)));
    if (l != LANGUAGE_UNSAID && l < LANGUAGE_N)
        return 0;
    cfg_error(cfg, "language must be one of \"en\", \"fr\"");
    return -1;
}

static int check_hostname(cfg_t *cfg, cfg_opt_t *opt)
{
    if (config_is_hostname(str_from_z(config_last_string(opt))))
        return 0;
    cfg_error(cfg, "hostname must be a domain name of letters, digits, dots and hyphens");
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
                                      .history_days = (unsigned)cfg_getint(cfg, "login-history-days"),
                                      .memory_s = (unsigned)cfg_getint(cfg, "login-memory"),
                                      .memory_in_kernel = cfg_getbool(cfg, "login-memory-in-kernel"),
                                      .argon2_bytes = (uint64_t)cfg_getint(cfg, "argon2-memory"),
                                      .argon2_passes = (unsigned)cfg_getint(cfg, "argon2-passes"),
                                      .scram_sha1 = cfg_getbool(cfg, "scram-sha-1") };
    return config_take_networks(c, cfg, "login-allow", &c->login.allow, e);
}

int config_keep(struct config *c, const char *z, str *ret, struct error *e)
{
    if (arena_dup(&c->arena, str_from_z(z), ret) == 0)
        return 0;
    return error_set(e, ERR_LIMIT, "the configuration is larger than %d bytes", CONFIG_ARENA_MAX);
}

static const char *const shown_names[] = {
    [CONFIG_SHOWN_ALL] = "all", [CONFIG_SHOWN_STRANGERS] = "strangers", [CONFIG_SHOWN_USERS] = "users"
};

/* The place of VALUE in shown_names; -1: none. */
static int shown_of(const char *value)
{
    for (int i = CONFIG_SHOWN_ALL; i <= CONFIG_SHOWN_USERS; i++)
        if (str_eq(str_from_z(value), str_from_z(shown_names[i])))
            return i;
    return -1;
}

static int check_shown(cfg_t *cfg, cfg_opt_t *opt)
{
    if (shown_of(config_last_string(opt)) >= 0)
        return 0;
    cfg_error(cfg, "shown-to must be one of \"all\", \"strangers\", \"users\"");
    return -1;
}

bool config_certificate_is_shown(const struct config_certificate *one, enum config_protocol p)
{
    return one->shown_to == CONFIG_SHOWN_ALL || (one->shown_to == CONFIG_SHOWN_STRANGERS) == (p == CONFIG_SMTP);
}

/* A listener that offers TLS needs something to show. */
static int check_certificates(const struct config *c, const char *name, struct error *e)
{
    for (size_t i = 0; i < c->listener_n; i++) {
        bool there = c->listeners[i].tls == SMTP_TLS_OFF;
        for (size_t k = 0; k < c->certificate_n && !there; k++)
            there = c->certificates[k].name.n == 0 && config_certificate_is_shown(&c->certificates[k], c->listeners[i].protocol);
        if (!there)
            return error_set(
                e, ERR_SYNTAX,
                "%s: listener %.*s offers TLS, but there is no section: certificate default { chain = \"file.pem\" } that is "
                "shown to %s",
                name, STR_ARG(c->listeners[i].name),
                shown_names[c->listeners[i].protocol == CONFIG_SMTP ? CONFIG_SHOWN_STRANGERS : CONFIG_SHOWN_USERS]);
    }
    return 0;
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
        r = str_eq(str_from_z(server_name), STR("default")) ? 0 : config_keep(c, server_name, &one->name, e);
        if (r == 0)
            r = config_keep(c, cfg_getnstr(sec, "chain", i), &one->chain, e);
        one->shown_to = (enum config_shown)shown_of(cfg_getstr(sec, "shown-to"));
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
        return error_set(e, ERR_SYNTAX, "%s: 1 to %d listener sections are needed; `man valise.conf` has an example", name,
                         LISTENERS_MAX);
    struct config_listener *listeners = arena_array(&c->arena, n, sizeof *listeners);
    unsigned m = cfg_size(cfg, "certificate"), chains = count_chains(cfg);
    struct config_certificate *certificates =
        chains <= CERTIFICATES_MAX ? arena_array(&c->arena, chains, sizeof *certificates) : NULL;
    if (!listeners || !certificates)
        return error_set(e, ERR_LIMIT, "%s: at most %d certificates", name, CERTIFICATES_MAX);
    int r = 0;
    for (unsigned i = 0; i < n && r == 0; i++)
        r = config_take_listener(c, cfg_getnsec(cfg, "listener", i), &listeners[i], name, e);
    for (unsigned i = 1; i < n && r == 0; i++)
        r = config_check_places(listeners, i, name, cfg_getnsec(cfg, "listener", i)->line, e);
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
    int r = config_keep(c, cfg_getstr(cfg, "hostname"), &c->hostname, e);
    if (r == 0)
        r = config_keep(c, cfg_getstr(cfg, "user"), &c->user, e);
    c->mx_processes = (unsigned)cfg_getint(cfg, "mx-processes");
    c->message_size_max = (uint64_t)cfg_getint(cfg, "message-size-max");
    c->recipients_max = (unsigned)cfg_getint(cfg, "recipients-max");
    c->refuse_over_quota = cfg_getbool(cfg, "refuse-over-quota");
    c->has_connections_max = cfg_size(cfg, "connections-max") > 0;
    c->connections_max = c->has_connections_max ? (unsigned)cfg_getint(cfg, "connections-max") : CONNECTIONS_MAX;
    c->connections_per_address = (unsigned)cfg_getint(cfg, "connections-per-address");
    c->workers_max = (unsigned)cfg_getint(cfg, "workers-max");
    c->cache_bytes = (uint64_t)cfg_getint(cfg, "cache-bytes");
    c->reserve_bytes = (uint64_t)cfg_getint(cfg, "reserve-bytes");
    c->password_length_min = (unsigned)cfg_getint(cfg, "password-length-min");
    c->password_refuse_common = cfg_getbool(cfg, "password-refuse-common");
    c->password_need_mixed = cfg_getbool(cfg, "password-need-mixed");
    c->language = language_from_tag(str_from_z(cfg_getstr(cfg, "language")));
    c->welcome = cfg_getbool(cfg, "welcome");
    c->quota_warnings = cfg_getbool(cfg, "quota-warnings");
    c->insecure_lesson = cfg_getbool(cfg, "insecure-lesson");
    c->user_key_rsa = str_eq(str_from_z(cfg_getstr(cfg, "user-key")), STR("rsa"));
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
    cfg_set_validate_func(cfg, "user-key", check_user_key);
    cfg_set_validate_func(cfg, "language", check_language);
    cfg_set_validate_func(cfg, "certificate|shown-to", check_shown);
    config_limit_checks(cfg);
    config_listener_checks(cfg);
}

/* Reads C's text by OPTS into C. */
static int parse_with(const char *name, struct config *c, cfg_opt_t *opts, struct error *e)
{
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

static int parse_locked(const char *name, struct config *c, struct error *e)
{
    char loopback[] = "{127.0.0.1}"; /* libconfuse wants it writable */
    cfg_opt_t listener_opts[] = { CFG_STR("protocol", NULL, CFGF_NODEFAULT),
                                  CFG_INT("port", 0, CFGF_NONE),
                                  CFG_STR("tls", "opportunistic", CFGF_NONE),
                                  CFG_STR("min-tls", "1.2", CFGF_NONE),
                                  CFG_STR("client-cert", "off", CFGF_NONE),
                                  CFG_STR("socket", NULL, CFGF_NONE),
                                  CFG_STR("socket-mode", NULL, CFGF_NONE),
                                  CFG_STR("socket-group", NULL, CFGF_NONE),
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
                                     CFG_STR("shown-to", "all", CFGF_NONE), CFG_END() };
    cfg_opt_t opts[] = { CFG_INT("version", CONFIG_VERSION, CFGF_NONE),
                         CFG_STR("hostname", NULL, CFGF_NODEFAULT),
                         CFG_STR("user", "valise", CFGF_NONE),
                         CFG_STR("log-level", "info", CFGF_NONE),
                         CFG_INT("mx-processes", 1, CFGF_NONE),
                         CFG_INT_CB("message-size-max", 52428800, CFGF_NONE, take_size),
                         CFG_INT("recipients-max", 1000, CFGF_NONE),
                         CFG_BOOL("refuse-over-quota", cfg_false, CFGF_NONE),
                         CFG_INT("connections-max", 0, CFGF_NODEFAULT),
                         CFG_INT("connections-per-address", 0, CFGF_NONE),
                         CFG_STR_LIST("limits-exempt", exempt, CFGF_NONE),
                         CFG_INT("limits-ipv6-address", 64, CFGF_NONE),
                         CFG_INT("limits-ipv4-network", 24, CFGF_NONE),
                         CFG_INT("limits-ipv6-network", 48, CFGF_NONE),
                         CFG_SEC("limits", limit_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_INT("workers-max", 64, CFGF_NONE),
                         CFG_INT_CB("cache-bytes", 16777216, CFGF_NONE, take_size),
                         CFG_INT_CB("reserve-bytes", 0, CFGF_NONE, take_size),
                         CFG_INT("password-length-min", CONFIG_PASSWORD_LENGTH_MIN, CFGF_NONE),
                         CFG_BOOL("password-refuse-common", cfg_true, CFGF_NONE),
                         CFG_BOOL("password-need-mixed", cfg_false, CFGF_NONE),
                         CFG_BOOL("scram-sha-1", cfg_false, CFGF_NONE),
                         CFG_STR("language", "en", CFGF_NONE),
                         CFG_BOOL("welcome", cfg_true, CFGF_NONE),
                         CFG_BOOL("quota-warnings", cfg_true, CFGF_NONE),
                         CFG_BOOL("insecure-lesson", cfg_false, CFGF_NONE),
                         CFG_STR("user-key", "ecdsa", CFGF_NONE),
                         CFG_INT("login-failures-max", 10, CFGF_NONE),
                         CFG_INT("login-failures-per-network", 50, CFGF_NONE),
                         CFG_INT_CB("login-lockout", 900, CFGF_NONE, take_seconds),
                         CFG_STR_LIST("login-allow", NULL, CFGF_NODEFAULT),
                         CFG_INT_CB("login-history-days", 90, CFGF_NONE, take_days),
                         CFG_INT_CB("login-memory", 7 * 86400, CFGF_NONE, take_seconds),
                         CFG_BOOL("login-memory-in-kernel", cfg_true, CFGF_NONE),
                         CFG_INT_CB("argon2-memory", 19456L * 1024, CFGF_NONE, take_size),
                         CFG_INT("argon2-passes", 2, CFGF_NONE),
                         CFG_SEC("listener", listener_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_SEC("certificate", certificate_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                         CFG_END() };
    return parse_with(name, c, opts, e);
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
    int r = z ? config_check_whole(text, name, e)
              : error_set(e, ERR_SYNTAX, "%s: holds a NUL byte, so it is damaged or no text; restore it from a backup", name);
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
