/* lab_sheet: valise lab sheet. One piece of paper for each student of a lab, to be cut apart: who he is, where the server is, what a mail program asks. */
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/columns.h"
#include "cli/lab.h"
#include "config/config.h"
#include "pki/pki.h"

enum { ACCOUNTS_MAX = 4 << 20, ARENA_MAX = 1 << 20, WIDTH = 78, LABEL = 24 };

/* What a sheet says; in the order of the enum. */
enum text { T_ADDRESS, T_PASSWORD, T_SERVER, T_MAILBOXES, T_SENDING, T_OFF, T_STARTTLS, T_IMPLICIT, T_TRUST, T_HOSTS, TEXTS };
static const struct {
    const char *language;
    const char *texts[TEXTS];
} languages[] = {
    { "en",
      { "Address, user name", "Password", "Server", "Reading (IMAP), port", "Sending (SMTP), port",
        "NOT encrypted: everybody can read along", "STARTTLS", "SSL/TLS",
        "Root certificate to trust, ca.pem, SHA-256:", "Line for /etc/hosts, or C:\\Windows\\System32\\drivers\\etc\\hosts:" } },
    { "fr",
      { "Adresse, identifiant", "Mot de passe", "Serveur", "Lecture (IMAP), port", "Envoi (SMTP), port",
        "NON chiffré : tout le monde peut lire", "STARTTLS", "SSL/TLS", "Certificat racine à approuver, ca.pem, SHA-256 :",
        "Ligne pour /etc/hosts, ou C:\\Windows\\System32\\drivers\\etc\\hosts :" } },
};
enum { LANGUAGES = sizeof languages / sizeof languages[0] };

/* NULL: there are none in that language. */
static const char *const *texts_of(str language)
{
    for (size_t i = 0; i < LANGUAGES; i++)
        if (str_eq(language, str_from_z(languages[i].language)))
            return languages[i].texts;
    return NULL;
}

struct sheet {
    const struct cli *cli;
    const struct config *config;
    const char *const *texts;
    unsigned offset;
    char fingerprint[65];
    json_t *names; /* address: what the person is called */
    json_t *list;  /* for --json */
};

/* "  label      text" */
static void line_of(const char *label, const char *text)
{
    (void)printf("  %-*s %s\n", columns_pad(label, LABEL), label, text);
}

static void print_ports(const struct sheet *s, enum config_protocol protocol, enum text label)
{
    for (size_t i = 0; i < s->config->listener_n; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        char text[128];
        if (l->protocol != protocol)
            continue;
        (void)snprintf(text, sizeof text, "%-6u %s", l->port + s->offset,
                       s->texts[l->tls == SMTP_TLS_OFF        ? T_OFF
                                : l->tls == SMTP_TLS_IMPLICIT ? T_IMPLICIT
                                                              : T_STARTTLS]);
        line_of(s->texts[label], text);
    }
}

/* The addresses by which others reach it; on this machine alone, its own. */
static size_t server_addresses(const struct config *c, str ret[LAB_ADDRESSES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->listener_n; i++)
        for (size_t k = 0; k < c->listeners[i].address_n; k++) {
            str one = c->listeners[i].addresses[k];
            bool seen =
                str_starts(one, STR("127.")) || str_eq(one, STR("::1")) || str_eq(one, STR("0.0.0.0")) || str_eq(one, STR("::"));
            for (size_t j = 0; j < n && !seen; j++)
                seen = str_eq(ret[j], one);
            if (!seen && n < LAB_ADDRESSES_MAX)
                ret[n++] = one;
        }
    if (n == 0)
        ret[n++] = STR("127.0.0.1");
    return n;
}

static void hosts_line(const struct sheet *s, str address, str domain, struct buf *out)
{
    struct arena a = ARENA_INIT(ARENA_MAX);
    str names[LAB_NAMES_MAX];
    size_t n = lab_names(s->config->hostname, domain, &a, names);
    buf_add(out, address);
    for (size_t i = 0; i < n; i++)
        buf_add_all(out, i ? STR(" ") : STR("  "), names[i]);
    arena_done(&a);
}

static void print_sheet(const struct sheet *s, const char *address, const char *password, const str *servers, size_t server_n)
{
    static const char cut[] = "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - -";
    const char *name = cli_string(json_object_get(s->names, address)), *at = strrchr(address, '@');
    str domain = str_from_z(at ? at + 1 : "");
    char server[400];
    (void)snprintf(server, sizeof server, "%.*s (%.*s)", STR_ARG(s->config->hostname), STR_ARG(servers[0]));
    if (name[0])
        (void)printf("\n  %-*s %.*s\n\n", columns_pad(name, WIDTH - (int)domain.n - 4), name, STR_ARG(domain));
    else
        (void)printf("\n  %*.*s\n\n", WIDTH - 3, STR_ARG(domain));
    line_of(s->texts[T_ADDRESS], address);
    line_of(s->texts[T_PASSWORD], password);
    line_of(s->texts[T_SERVER], server);
    print_ports(s, CONFIG_IMAP, T_MAILBOXES);
    print_ports(s, CONFIG_SUBMISSION, T_SENDING);
    (void)printf("\n  %s\n", s->texts[T_HOSTS]);
    for (size_t i = 0; i < server_n; i++) {
        struct buf b = BUF_INIT(2048);
        hosts_line(s, servers[i], domain, &b);
        (void)printf("    %.*s\n", STR_ARG(buf_str(&b)));
        buf_done(&b);
    }
    if (s->fingerprint[0])
        (void)printf("  %s\n    %s\n", s->texts[T_TRUST], s->fingerprint);
    (void)printf("\n8< %.*s\n", WIDTH - 3, cut);
}

static void json_sheet(const struct sheet *s, const char *address, const char *password, const str *servers, size_t server_n)
{
    const char *at = strrchr(address, '@');
    json_t *hosts = json_array();
    for (size_t i = 0; i < server_n; i++) {
        struct buf b = BUF_INIT(2048);
        hosts_line(s, servers[i], str_from_z(at ? at + 1 : ""), &b);
        json_array_append_new(hosts, json_stringn(b.p, b.n));
        buf_done(&b);
    }
    json_array_append_new(s->list,
                          json_pack("{s:s,s:s,s:s,s:o}", "address", address, "name",
                                    cli_string(json_object_get(s->names, address)), "password", password, "hosts", hosts));
}

static void each_account(const struct sheet *s, str accounts)
{
    str servers[LAB_ADDRESSES_MAX], line;
    size_t server_n = server_addresses(s->config, servers);
    while (accounts.n && str_split(&accounts, '\n', &line)) {
        char address[400], password[1100];
        size_t at = str_find_byte(line, ' ', 0);
        if (at >= line.n)
            continue;
        (void)snprintf(address, sizeof address, "%.*s", STR_ARG(str_sub(line, 0, at)));
        (void)snprintf(password, sizeof password, "%.*s", STR_ARG(str_from(line, at + 1)));
        (s->cli->json ? json_sheet : print_sheet)(s, address, password, servers, server_n);
        secret_wipe(password, sizeof password);
    }
}

/* What the people are called: the directory knows. */
static int read_names(struct sheet *s)
{
    json_t *reply = NULL, *user;
    size_t i;
    int status = cli_call_apart(s->cli, json_pack("{s:s,s:s}", "command", "user.list", "domain", ""), &reply);
    json_array_foreach(json_object_get(reply, "users"), i, user)
        json_object_set(s->names, cli_string(json_object_get(user, "address")), json_object_get(user, "name"));
    json_decref(reply);
    return status;
}

static void read_fingerprint(struct sheet *s, int top)
{
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(ARENA_MAX);
    struct pki_description d;
    if (beneath_read(top, "ca.pem", &pem, NULL) == 0 && pki_certificate_describe(buf_str(&pem), &a, &d, NULL) == 0)
        (void)snprintf(s->fingerprint, sizeof s->fingerprint, "%.*s", STR_ARG(d.fingerprint));
    arena_done(&a);
    buf_done(&pem);
}

static int read_settings(struct sheet *s, struct config **ret)
{
    struct error e = ERROR_NONE;
    struct buf text = BUF_INIT(1 << 20);
    int top = beneath_start(s->cli->dir, &e), err = top < 0 ? top : beneath_read(top, "valise.conf", &text, &e);
    int status = err ? cli_fail_files(s->cli, &e) : 0;
    if (status == 0 && config_parse("valise.conf", buf_str(&text), ret, &e))
        status = cli_fail_with(s->cli, EX_CONFIG, e.code, e.text);
    if (status == 0)
        read_fingerprint(s, top);
    s->config = *ret;
    buf_done(&text);
    if (top >= 0)
        (void)close(top);
    return status;
}

static int read_accounts(const struct sheet *s, struct buf *accounts)
{
    struct error e = ERROR_NONE;
    char text[600];
    int err = lab_read_accounts(s->cli->dir, accounts, &e);
    if (err != ERR_NOTFOUND)
        return err ? cli_fail_files(s->cli, &e) : 0;
    (void)snprintf(text, sizeof text,
                   "%s/" LAB_ACCOUNTS " is not there: only `valise init --lab' writes it, with passwords in it", s->cli->dir);
    return cli_fail(s->cli, err, text);
}

int cmd_lab_sheet(struct cli *c)
{
    const char *language = cli_value(c, "language");
    struct sheet s = { .cli = c, .names = json_object(), .list = json_array() };
    struct config *config = NULL;
    struct buf accounts;
    uint64_t offset = 0;
    int status = cli_number(c, "port-offset", 0, 65000, &offset);
    s.offset = (unsigned)offset;
    if (status == 0 && language && !texts_of(str_from_z(language)))
        status = cli_usage(c, "lab sheet: --language is en or fr, not '%s'", language);
    buf_init_secret(&accounts, ACCOUNTS_MAX);
    if (status == 0)
        status = read_accounts(&s, &accounts);
    if (status == 0)
        status = read_settings(&s, &config);
    if (status == 0)
        s.texts = texts_of(language ? str_from_z(language) : language_tag(config->language));
    if (status == 0)
        status = read_names(&s);
    if (status == 0)
        each_account(&s, buf_str(&accounts));
    if (status == 0 && c->json) {
        json_t *v = json_pack("{s:b,s:O}", "ok", 1, "sheets", s.list);
        cli_print_json(v);
        json_decref(v);
    }
    json_decref(s.names);
    json_decref(s.list);
    config_free(config);
    buf_done(&accounts);
    return status;
}
