/* config_limits: the sections "limits" of valise.conf, one for each protocol, and what holds where they say nothing. */
#include "base/amount.h"
#include "config/config_private.h"

/* The option that sets a limit. */
static str option_name(unsigned kind, unsigned scope, char text[LIMIT_TEXT_MAX])
{
    return limit_name((enum limit_kind)kind, (enum limit_scope)scope, text);
}

/* Numbers of a section that are not counted for anybody but for one session or message. */
static const struct {
    const char *name;
    uint64_t min, max;
} numbers[] = {
    { "errors-per-session", 1, 100000 }, { "junk-per-session", 1, 1000000 },        { "unknown-per-session", 1, 1000000 },
    { "recipients-max", 100, 1000 },     { "message-size-max", 65536, 1ull << 31 },
};
enum { ERRORS, JUNK, UNKNOWN, RECIPIENTS, SIZE, NUMBER_N };
_Static_assert(sizeof numbers / sizeof numbers[0] == NUMBER_N, "each has its place");

/* What a protocol can be limited in. */
static bool is_for(enum config_protocol p, unsigned kind, unsigned scope)
{
    bool is_mail = kind == LIMIT_MESSAGES || kind == LIMIT_RECIPIENTS || kind == LIMIT_JUNK || kind == LIMIT_UNKNOWN;
    if (p == CONFIG_LMTP || p == CONFIG_METRICS || (p == CONFIG_SMTP && scope == LIMIT_ACCOUNT))
        return false;
    return p != CONFIG_IMAP || !is_mail;
}

/* What holds where nothing is said: room for every honest use, none for a flood. A network may do four times what an address may: whoever has
 * many addresses is one. */
static const struct {
    enum config_protocol protocol;
    enum limit_kind kind;
    struct limit address, network;
} defaults[] = {
    { CONFIG_SMTP, LIMIT_CONNECTIONS, { 50, 0 }, { 200, 0 } },
    { CONFIG_SMTP, LIMIT_CONNECTION_RATE, { 600, 60 }, { 2400, 60 } },
    { CONFIG_SMTP, LIMIT_ERRORS, { 500, 3600 }, { 2000, 3600 } },
    { CONFIG_SMTP, LIMIT_UNKNOWN, { 500, 3600 }, { 2000, 3600 } },
    { CONFIG_SUBMISSION, LIMIT_CONNECTIONS, { 200, 0 }, { 800, 0 } },
    { CONFIG_SUBMISSION, LIMIT_CONNECTION_RATE, { 600, 60 }, { 2400, 60 } },
    { CONFIG_SUBMISSION, LIMIT_ERRORS, { 1000, 3600 }, { 4000, 3600 } },
    { CONFIG_SUBMISSION, LIMIT_UNKNOWN, { 1000, 3600 }, { 4000, 3600 } },
    { CONFIG_IMAP, LIMIT_CONNECTIONS, { 500, 0 }, { 2000, 0 } },
    { CONFIG_IMAP, LIMIT_CONNECTION_RATE, { 1200, 60 }, { 4800, 60 } },
    { CONFIG_IMAP, LIMIT_ERRORS, { 1000, 3600 }, { 4000, 3600 } },
};

/* --- reading --- */

static int limit_parse(unsigned kind, str text, struct limit *ret, struct error *e)
{
    uint64_t n;
    if (kind != LIMIT_CONNECTIONS)
        return limit_rate_parse(text, ret, e);
    if (!str_to_u64(text, 1000000, &n))
        return error_set(e, ERR_SYNTAX, "'%.*s' is no number of connections; write one up to 1000000, 0 for no limit",
                         STR_ARG(text));
    *ret = (struct limit){ .max = (uint32_t)n };
    return 0;
}

static int check_limit(cfg_t *cfg, cfg_opt_t *opt)
{
    char name[LIMIT_TEXT_MAX];
    struct limit limit;
    struct error e = ERROR_NONE;
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++)
            if (str_eq(option_name(kind, scope, name), str_from_z(opt->name)) &&
                limit_parse(kind, str_from_z(config_last_string(opt)), &limit, &e)) {
                cfg_error(cfg, "%s: %s", opt->name, e.text);
                return -1;
            }
    return 0;
}

/* VALUE of numbers[I]: a size may have a unit. */
static bool number_parse(size_t i, const char *value, uint64_t *ret)
{
    return i == SIZE ? amount_bytes(str_from_z(value), numbers[i].max, ret) : str_to_u64(str_from_z(value), numbers[i].max, ret);
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt)
{
    uint64_t n = 0;
    for (size_t i = 0; i < NUMBER_N; i++) {
        if (!str_eq(str_from_z(numbers[i].name), str_from_z(opt->name)) ||
            (number_parse(i, config_last_string(opt), &n) && n >= numbers[i].min))
            continue;
        cfg_error(cfg, "%s must be between %lu and %lu", opt->name, (unsigned long)numbers[i].min, (unsigned long)numbers[i].max);
        return -1;
    }
    return 0;
}

int config_limit_options(struct config *c, cfg_opt_t ret[CONFIG_LIMIT_OPTIONS_MAX])
{
    size_t n = 0;
    char text[LIMIT_TEXT_MAX];
    _Static_assert(LIMIT_KINDS * LIMIT_SCOPES + NUMBER_N + 1 <= CONFIG_LIMIT_OPTIONS_MAX, "all find room");
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
            char *name = arena_z(&c->arena, option_name(kind, scope, text));
            if (!name)
                return ERR_LIMIT;
            ret[n++] = (cfg_opt_t)CFG_STR(name, NULL, CFGF_NODEFAULT);
        }
    for (size_t i = 0; i < NUMBER_N; i++)
        ret[n++] = (cfg_opt_t)CFG_STR(numbers[i].name, NULL, CFGF_NODEFAULT);
    ret[n] = (cfg_opt_t)CFG_END();
    return 0;
}

void config_limit_checks(cfg_t *cfg)
{
    char path[LIMIT_TEXT_MAX + 8], name[LIMIT_TEXT_MAX];
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
            (void)snprintf(path, sizeof path, "limits|%.*s", STR_ARG(option_name(kind, scope, name)));
            cfg_set_validate_func(cfg, path, check_limit);
        }
    for (size_t i = 0; i < NUMBER_N; i++) {
        (void)snprintf(path, sizeof path, "limits|%s", numbers[i].name);
        cfg_set_validate_func(cfg, path, check_number);
    }
    cfg_set_validate_func(cfg, "limits-exempt", config_check_network);
}

/* --- taking --- */

/* A network of which nothing is said may do no less than four addresses: L is the limits of one kind. */
static void network_follows(struct limit *l)
{
    uint32_t max = l[LIMIT_ADDRESS].max;
    if (max == 0 || (uint64_t)max * 4 > l[LIMIT_NETWORK].max)
        l[LIMIT_NETWORK] = (struct limit){ max < UINT32_MAX / 8 ? max * 4 : max, l[LIMIT_ADDRESS].period_s };
}

static void take_defaults(struct config *c, cfg_t *cfg)
{
    for (unsigned p = 0; p < CONFIG_PROTOCOLS; p++) {
        struct config_limits *l = &c->limits[p];
        l->errors_max = 20;
        l->junk_max = l->unknown_max = 100;
        l->recipients_max = c->recipients_max;
        l->message_size_max = c->message_size_max;
        l->rules.group = (uint8_t)p;
        l->rules.address_bits_6 = (uint8_t)cfg_getint(cfg, "limits-ipv6-address");
        l->rules.network_bits_4 = (uint8_t)cfg_getint(cfg, "limits-ipv4-network");
        l->rules.network_bits_6 = (uint8_t)cfg_getint(cfg, "limits-ipv6-network");
    }
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        struct limit *l = c->limits[defaults[i].protocol].rules.limits[defaults[i].kind];
        l[LIMIT_ADDRESS] = defaults[i].address;
        l[LIMIT_NETWORK] = defaults[i].network;
    }
    for (unsigned p = 0; p < CONFIG_PROTOCOLS && c->connections_per_address; p++)
        if (is_for((enum config_protocol)p, LIMIT_CONNECTIONS, LIMIT_ADDRESS)) {
            struct limit *l = c->limits[p].rules.limits[LIMIT_CONNECTIONS];
            l[LIMIT_ADDRESS].max = c->connections_per_address;
            network_follows(l);
        }
}

static int take_section(struct config *c, cfg_t *sec, const char *name, struct error *e)
{
    char option[LIMIT_TEXT_MAX];
    unsigned p = 0;
    while (p < CONFIG_PROTOCOLS && !str_eq(str_from_z(cfg_title(sec)), str_from_z(config_protocol_name((enum config_protocol)p))))
        p++;
    if (p == CONFIG_PROTOCOLS || p == CONFIG_LMTP || p == CONFIG_METRICS)
        return error_set(e, ERR_SYNTAX, "%s:%d: limits %s: there are limits smtp, limits submission and limits imap", name,
                         sec->line, cfg_title(sec));
    struct config_limits *l = &c->limits[p];
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        for (unsigned scope = 0; scope < LIMIT_SCOPES; scope++) {
            const char *value = cfg_getstr(sec, option_name(kind, scope, option).p);
            if (value && !is_for((enum config_protocol)p, kind, scope))
                return error_set(e, ERR_SYNTAX, "%s:%d: limits %s: nothing is counted there for %s", name, sec->line,
                                 cfg_title(sec), option);
            int r = value ? limit_parse(kind, str_from_z(value), &l->rules.limits[kind][scope], e) : 0;
            if (r)
                return r;
            if (value && scope == LIMIT_ADDRESS && l->rules.limits[kind][LIMIT_NETWORK].max)
                network_follows(l->rules.limits[kind]);
        }
    uint64_t values[NUMBER_N] = { l->errors_max, l->junk_max, l->unknown_max, l->recipients_max, l->message_size_max };
    for (size_t i = 0; i < NUMBER_N; i++) {
        const char *value = cfg_getstr(sec, numbers[i].name);
        if (value && !number_parse(i, value, &values[i]))
            return error_set(e, ERR_SYNTAX, "%s:%d: limits %s: %s is no number", name, sec->line, cfg_title(sec),
                             numbers[i].name);
    }
    l->errors_max = (unsigned)values[ERRORS];
    l->junk_max = (unsigned)values[JUNK];
    l->unknown_max = (unsigned)values[UNKNOWN];
    l->recipients_max = (unsigned)values[RECIPIENTS];
    l->message_size_max = values[SIZE];
    return 0;
}

int config_take_limits(struct config *c, cfg_t *cfg, const char *name, struct error *e)
{
    struct ip_networks exempt;
    int r = config_take_networks(c, cfg, "limits-exempt", &exempt, e);
    take_defaults(c, cfg);
    for (unsigned i = 0; i < cfg_size(cfg, "limits") && r == 0; i++)
        r = take_section(c, cfg_getnsec(cfg, "limits", i), name, e);
    for (unsigned p = 0; p < CONFIG_PROTOCOLS && r == 0; p++)
        c->limits[p].rules.exempt = exempt;
    return r;
}
