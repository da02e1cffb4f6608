/* lab: see lab.h. */
#include "cli/lab.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/bulk_file.h"
#include "cli/owner.h"

/* The widest networks: an IPv4 /8 and an IPv6 /32, as bits of 128. */
enum { ARENA_MAX = 16 << 20, WIDEST_4 = 96 + 8, WIDEST_6 = 32, TEXT_MAX = 600 };

/* --- the network --- */

static bool address_of(const struct ifaddrs *i, struct ip_address *ret)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
        return false;
    if (i->ifa_addr->sa_family == AF_INET) {
        *ret = ip_address_from_4(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
        return true;
    }
    if (i->ifa_addr->sa_family != AF_INET6)
        return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
    *ret = ip_address_from_16(six);
    return !IN6_IS_ADDR_LINKLOCAL(six); /* of no use without a zone */
}

/* The addresses of this machine that lie in l->network; all others to OTHERS. */
static int find_addresses(struct lab *l, struct buf *others, struct error *e)
{
    struct ifaddrs *list = NULL;
    int err = getifaddrs(&list) == 0 ? 0 : error_set(e, ERR_IO, "the addresses of this machine cannot be read");
    for (const struct ifaddrs *i = list; err == 0 && i; i = i->ifa_next) {
        struct ip_address address;
        char text[IP_TEXT_MAX];
        if (!address_of(i, &address))
            continue;
        bool inside = ip_networks_have((struct ip_networks){ &l->network, 1 }, &address);
        str shown = ip_address_text(&address, text);
        if (!inside)
            buf_add_all(others, others->n ? STR(", ") : STR(""), shown);
        else if (l->address_n == LAB_ADDRESSES_MAX)
            err = error_set(e, ERR_LIMIT, "this machine has more than %d addresses in --network; name a narrower one",
                            LAB_ADDRESSES_MAX);
        else if (arena_dup(&l->arena, shown, &l->addresses[l->address_n]) == 0)
            l->address_n++;
    }
    freeifaddrs(list);
    return err;
}

static int read_network(const struct cli *c, struct lab *l)
{
    const char *given = cli_value(c, "network");
    struct error e = ERROR_NONE;
    struct buf others = BUF_INIT(4096);
    char text[IP_NETWORK_TEXT_MAX], message[TEXT_MAX];
    if (!given)
        return 0;
    if (ip_network_parse(str_from_z(given), &l->network, &e))
        return cli_usage(c, "init: --network: %s", e.text);
    if (l->network.bits < (ip_address_is_4(&l->network.address) ? WIDEST_4 : WIDEST_6))
        return cli_usage(c, "init: --network %s is too wide for a class: name its own network, as 192.168.1.0/24", given);
    int err = find_addresses(l, &others, &e);
    if (err == 0)
        err = arena_dup(&l->arena, ip_network_text(&l->network, text), &l->network_text);
    (void)snprintf(message, sizeof message, "this machine has no address in %s; its addresses are %.*s", given,
                   STR_ARG(str_sub(buf_str(&others), 0, 400)));
    buf_done(&others);
    return err ? cli_fail(c, err, e.text) : l->address_n ? 0 : cli_fail(c, ERR_NOTFOUND, message);
}

/* --- the students --- */

/* Where a lesson wants simple passwords they are the names. */
static bool add_user(struct lab *l, str address, str name, str password, size_t line)
{
    struct lab_user *u = &l->users[l->user_n];
    *u = (struct lab_user){ .line = line };
    if (!password.n && l->lesson)
        password = str_sub(address, 0, str_rfind_byte(address, '@'));
    bool kept = arena_dup(&l->arena, address, &u->address) == 0 && arena_dup(&l->arena, name, &u->name) == 0 &&
                arena_dup(&l->arena, password, &u->password) == 0;
    l->user_n += kept;
    return kept;
}

static bool add_local(struct lab *l, str local, str domain, str name, str password, size_t line)
{
    str address = local;
    bool whole = str_find_byte(local, '@', 0) < local.n;
    return (whole || arena_printf(&l->arena, &address, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain)) == 0) &&
           add_user(l, address, name, password, line);
}

static str text_of(const json_t *line, const char *key)
{
    const json_t *v = json_object_get(line, key);
    return json_is_string(v) ? (str){ json_string_value(v), json_string_length(v) } : STR("");
}

static int read_file(const struct cli *c, str domain, struct lab *l)
{
    json_t *lines = NULL, *line;
    char message[TEXT_MAX];
    size_t i;
    l->file = cli_value(c, "from");
    int status = bulk_read_users(c, l->file, &lines);
    if (status)
        return status;
    size_t n = json_array_size(lines);
    l->users = n <= LAB_STUDENTS_MAX ? arena_array(&l->arena, n, sizeof *l->users) : NULL;
    if (!l->users) {
        (void)snprintf(message, sizeof message, "%s: more than %d lines; a class is smaller", l->file, LAB_STUDENTS_MAX);
        status = cli_fail(c, ERR_LIMIT, message);
    }
    json_array_foreach(lines, i, line)
    {
        long long number = (long long)json_integer_value(json_object_get(line, "line"));
        if (status == 0 && json_array_size(json_object_get(line, "groups"))) {
            (void)snprintf(message, sizeof message,
                           "%s: line %lld: there are no groups in a new lab; `valise group add' and `group member add' make them",
                           l->file, number);
            status = cli_fail(c, ERR_SYNTAX, message);
        }
        enum language language = language_from_tag(text_of(line, "language"));
        if (status == 0 && language == LANGUAGE_N) {
            (void)snprintf(message, sizeof message, "%s: line %lld: a language is en or fr", l->file, number);
            status = cli_fail(c, ERR_SYNTAX, message);
        }
        if (status == 0 &&
            !add_local(l, text_of(line, "address"), domain, text_of(line, "name"), text_of(line, "password"), (size_t)number))
            status = cli_fail(c, ERR_LIMIT, "there is no memory for so many students");
        if (status == 0)
            l->users[l->user_n - 1].language = language;
    }
    json_decref(lines);
    return status;
}

static int make_students(const struct cli *c, str domain, struct lab *l)
{
    uint64_t n = 0;
    int status = cli_number(c, "students", 1, LAB_STUDENTS_MAX, &n);
    if (status)
        return status;
    l->users = arena_array(&l->arena, n, sizeof *l->users);
    for (uint64_t i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "user%llu", (unsigned long long)(i + 1));
        if (!l->users || !add_local(l, str_from_z(name), domain, STR(""), STR(""), 0))
            return cli_fail(c, ERR_LIMIT, "there is no memory for so many students");
    }
    return 0;
}

/* Who is there when nobody says who. */
static int make_three(const struct cli *c, str domain, struct lab *l)
{
    static const str names[] = { STR_INIT("alice"), STR_INIT("bob"), STR_INIT("marie") };
    size_t n = sizeof names / sizeof names[0];
    l->users = arena_array(&l->arena, n, sizeof *l->users);
    for (size_t k = 0; k < n; k++)
        if (!l->users || !add_local(l, names[k], domain, STR(""), STR(""), 0))
            return cli_fail(c, ERR_LIMIT, "there is no memory for the accounts");
    return 0;
}

int lab_read(const struct cli *c, str domain, struct lab *ret)
{
    static const char *const only[] = { "network", "students", "from", "insecure-lesson" };
    *ret = (struct lab){ .arena = ARENA_INIT(ARENA_MAX), .lesson = cli_value(c, "insecure-lesson") != NULL };
    bool lab = cli_value(c, "lab") != NULL, students = cli_value(c, "students") != NULL;
    for (size_t i = 0; i < sizeof only / sizeof only[0] && !lab; i++)
        if (cli_value(c, only[i]))
            return cli_usage(c, "init: --%s is for a lab: give --lab too, and never for a system with real mail", only[i]);
    if (students && cli_value(c, "from"))
        return cli_usage(c, "init: --students N makes user1 to userN, --from FILE those of the file; give one of them");
    int status = lab ? read_network(c, ret) : 0;
    if (status || !lab)
        return status;
    return students               ? make_students(c, domain, ret)
           : cli_value(c, "from") ? read_file(c, domain, ret)
                                  : make_three(c, domain, ret);
}

void lab_done(struct lab *l)
{
    for (size_t i = 0; i < l->user_n; i++)
        secret_wipe((char *)(uintptr_t)l->users[i].password.p, l->users[i].password.n);
    arena_done(&l->arena);
}

/* --- what others read of it --- */

int lab_read_accounts(const char *dir, struct buf *out, struct error *e)
{
    int top = beneath_start(dir, e), fd = top < 0 ? top : owner_open_file(top, LAB_ACCOUNTS, NULL, e);
    int err = fd < 0 ? fd : beneath_read_open(fd, LAB_ACCOUNTS, out, e);
    if (fd >= 0)
        (void)close(fd);
    if (top >= 0)
        (void)close(top);
    return err;
}

size_t lab_names(str hostname, str domain, struct arena *a, str ret[LAB_NAMES_MAX])
{
    static const char *const usual[LAB_NAMES_MAX - 1] = { "mail", "smtp", "imap" };
    size_t n = 0;
    ret[n++] = hostname;
    for (size_t k = 0; k < LAB_NAMES_MAX - 1; k++) {
        str name;
        if (arena_printf(a, &name, "%s.%.*s", usual[k], STR_ARG(domain)) == 0 && !str_ieq(name, hostname))
            ret[n++] = name;
    }
    return n;
}
