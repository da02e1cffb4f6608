/* names: see names.h. */
#include "pki/pki_private.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };

static const str kinds[] = {
    [PKI_GRANT_DOMAIN] = STR_INIT("domain"), [PKI_GRANT_HOST] = STR_INIT("host"), [PKI_GRANT_ADDRESS] = STR_INIT("address")
};

bool pki_host_is_valid(str name)
{
    str rest = name, label;
    if (name.n == 0 || name.n > HOST_MAX || name.p[name.n - 1] == '.')
        return false;
    while (str_split(&rest, '.', &label)) {
        if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
                return false;
    }
    return true;
}

int pki_grant_read(enum pki_grant_kind kind, str name, struct arena *a, struct pki_grant *ret, struct error *e)
{
    struct pki_grant g = { .kind = kind };
    if (kind == PKI_GRANT_ADDRESS) {
        int err = ip_network_parse(name, &g.network, e);
        if (err)
            return err;
    } else {
        if (!pki_host_is_valid(name))
            return error_set(e, ERR_SYNTAX, "'%.*s' is not a host name; write an internationalised one as A-labels (xn--...)",
                             STR_ARG(str_sub(name, 0, HOST_MAX)));
        if (arena_dup(a, name, &g.name))
            return error_set(e, ERR_LIMIT, "the CA has too many names");
        char *p = (char *)(uintptr_t)g.name.p;
        for (size_t i = 0; i < name.n; i++)
            p[i] = ascii_lower(p[i]);
    }
    *ret = g;
    return 0;
}

static int parse_line(str line, struct arena *a, struct pki_grant *ret, struct error *e)
{
    size_t space = str_find_byte(line, ' ', 0);
    str kind = str_sub(line, 0, space), name = str_trim(str_from(line, space));
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (str_eq(kind, kinds[k]))
            return pki_grant_read((enum pki_grant_kind)k, name, a, ret, e);
    return error_set(e, ERR_SYNTAX, "a line begins with domain, host or address");
}

int pki_names_parse(str text, struct arena *a, struct pki_names *ret, struct error *e)
{
    str rest = text, line;
    size_t lines = 0, number = 0;
    if (text.n > PKI_NAMES_FILE_MAX)
        return error_set(e, ERR_LIMIT, "the list of the CA's names is larger than %d bytes", PKI_NAMES_FILE_MAX);
    for (str count = text; str_split(&count, '\n', &line);)
        lines++;
    struct pki_names names = { .list = arena_array(a, lines < PKI_GRANTS_MAX ? lines : PKI_GRANTS_MAX, sizeof *names.list) };
    if (!names.list)
        return error_set(e, ERR_LIMIT, "no memory for the CA's names");
    while (str_split(&rest, '\n', &line)) {
        number++;
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (names.n == PKI_GRANTS_MAX)
            return error_set(e, ERR_LIMIT, "more than %d names for one CA", PKI_GRANTS_MAX);
        int err = parse_line(line, a, &names.list[names.n], e);
        if (err) {
            (void)error_prefix(e, "line %zu", number);
            return err;
        }
        names.n++;
    }
    *ret = names;
    return 0;
}

void pki_names_write(const struct pki_names *names, struct buf *out)
{
    char text[IP_NETWORK_TEXT_MAX];
    buf_add(out,
            STR("# The names for which the CA beside this file may issue certificates; keeper refuses all others. See them with\n"
                "# `valise ca names', change them with `valise domain add|remove' and `valise ca allow|deny'.\n"));
    for (size_t i = 0; i < names->n; i++) {
        const struct pki_grant *g = &names->list[i];
        str name = g->kind == PKI_GRANT_ADDRESS ? ip_network_text(&g->network, text) : g->name;
        buf_add_all(out, kinds[g->kind], STR(" "), name, STR("\n"));
    }
}

bool pki_names_have(const struct pki_names *names, const struct pki_grant *grant)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct pki_grant *g = &names->list[i];
        if (g->kind == grant->kind && str_eq(g->name, grant->name) &&
            (g->kind != PKI_GRANT_ADDRESS ||
             (g->network.bits == grant->network.bits &&
              memcmp(g->network.address.b, grant->network.address.b, sizeof g->network.address.b) == 0)))
            return true;
    }
    return false;
}

int pki_names_add(struct pki_names *names, const struct pki_grant *grant, struct arena *a, struct error *e)
{
    if (pki_names_have(names, grant))
        return 0;
    if (names->n >= PKI_GRANTS_MAX)
        return error_set(e, ERR_LIMIT, "more than %d names for one CA", PKI_GRANTS_MAX);
    struct pki_grant *list = arena_array(a, names->n + 1, sizeof *list);
    if (!list)
        return error_set(e, ERR_LIMIT, "no memory for the CA's names");
    if (names->n)
        memcpy(list, names->list, names->n * sizeof *list);
    list[names->n] = *grant;
    *names = (struct pki_names){ list, names->n + 1 };
    return 0;
}

void pki_names_remove(struct pki_names *names, const struct pki_grant *grant)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->n; i++) {
        const struct pki_names one = { &names->list[i], 1 };
        if (!pki_names_have(&one, grant))
            names->list[kept++] = names->list[i];
    }
    names->n = kept;
}

int pki_names_usual(str domain, struct arena *a, struct pki_names *ret, struct error *e)
{
    static const struct {
        enum pki_grant_kind kind;
        str name;
    } usual[] = {
        { PKI_GRANT_HOST, STR_INIT("localhost") },     { PKI_GRANT_ADDRESS, STR_INIT("127.0.0.0/8") },
        { PKI_GRANT_ADDRESS, STR_INIT("10.0.0.0/8") }, { PKI_GRANT_ADDRESS, STR_INIT("172.16.0.0/12") },
        { PKI_GRANT_ADDRESS, STR_INIT("::1") },        { PKI_GRANT_ADDRESS, STR_INIT("192.168.0.0/16") },
        { PKI_GRANT_ADDRESS, STR_INIT("fc00::/7") },
    };
    struct pki_names names = { 0 };
    struct pki_grant g;
    int err = pki_grant_read(PKI_GRANT_DOMAIN, domain, a, &g, e);
    if (err == 0)
        err = pki_names_add(&names, &g, a, e);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0] && err == 0; i++) {
        err = pki_grant_read(usual[i].kind, usual[i].name, a, &g, e);
        if (err == 0)
            err = pki_names_add(&names, &g, a, e);
    }
    if (err == 0)
        *ret = names;
    return err;
}

/* --- judging --- */

/* Whether NAME is DOMAIN or below it. */
static bool is_within(str name, str domain)
{
    return name.n >= domain.n && str_iends(name, domain) && (name.n == domain.n || name.p[name.n - domain.n - 1] == '.');
}

/* OUTSIDE: in no domain of ours, as somebody says who knows them. */
static bool host_is_allowed(const struct pki_names *names, str hostname, str name, bool outside)
{
    bool wildcard = str_starts(name, STR("*."));
    str rest = wildcard ? str_from(name, 2) : name;
    if (!wildcard && hostname.n && str_ieq(name, hostname))
        return true;
    for (size_t i = 0; i < names->n; i++) {
        const struct pki_grant *g = &names->list[i];
        if (g->kind == PKI_GRANT_DOMAIN && !outside && (wildcard ? str_ieq(rest, g->name) : is_within(name, g->name)))
            return true;
        if (g->kind == PKI_GRANT_HOST && !wildcard && str_ieq(name, g->name))
            return true;
    }
    return false;
}

static bool address_is_allowed(const struct pki_names *names, const struct ip_address *address)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i].kind == PKI_GRANT_ADDRESS &&
            ip_networks_have((struct ip_networks){ &names->list[i].network, 1 }, address))
            return true;
    return false;
}

static bool mail_is_allowed(const struct pki_names *names, str address)
{
    size_t at = str_rfind_byte(address, '@');
    for (size_t i = 0; i < names->n && at < address.n; i++)
        if (names->list[i].kind == PKI_GRANT_DOMAIN && str_ieq(str_from(address, at + 1), names->list[i].name))
            return true;
    return false;
}

static int name_refuse(bool user, str name, struct error *e)
{
    size_t at = str_rfind_byte(name, '@');
    if (user)
        return error_set(e, ERR_REFUSED,
                         "the CA may not issue for %.*s: its domain is not on the list in " PKI_NAMES_FILE
                         "; if it is ours, `valise ca allow --domain %.*s' as root puts it there",
                         STR_ARG(name), STR_ARG(str_from(name, at < name.n ? at + 1 : 0)));
    if (str_starts(name, STR("*.")))
        return error_set(
            e, ERR_REFUSED,
            "the CA may not issue for %.*s: a wildcard stands before a whole domain of ours, `valise ca names' lists them",
            STR_ARG(name));
    return error_set(e, ERR_REFUSED,
                     "the CA may not issue for %.*s: it is neither in a domain of ours nor alone on the list in " PKI_NAMES_FILE
                     "; if it is ours, `valise ca allow %.*s' as root puts it there",
                     STR_ARG(name), STR_ARG(name));
}

int pki_names_check(const struct pki_names *names, str hostname, const struct pki_order *order, struct error *e)
{
    for (size_t i = 0; i < order->name_n; i++) {
        struct ip_address address;
        str name = order->names[i];
        bool user = order->use == PKI_USE_USER, outside = order->outside && order->outside[i];
        bool is_address = !user && ip_address_parse(name, &address);
        if (user         ? mail_is_allowed(names, name)
            : is_address ? address_is_allowed(names, &address)
                         : host_is_allowed(names, hostname, name, outside))
            continue;
        return name_refuse(user, str_sub(name, 0, HOST_MAX), e);
    }
    return 0;
}
