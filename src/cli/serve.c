/* serve: valise serve. */
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/cli.h"
#include "cli/lab.h"
#include "role/lesson.h"
#include "role/supervisor.h"

enum { ACCOUNTS_MAX = 4 << 20, LISTED_MAX = 10 };

struct serving {
    const struct cli *cli;
    uint16_t offset;
    struct buf accounts; /* of a lab, read while we still may */
};

static unsigned port_of(const struct config *config, enum config_protocol protocol, enum smtp_tls tls, unsigned offset)
{
    for (size_t i = 0; i < config->listener_n; i++)
        if (config->listeners[i].protocol == protocol && config->listeners[i].tls == tls)
            return config->listeners[i].port + offset;
    return 0;
}

static void print_lines_to_paste(const struct serving *s, const struct config *config)
{
    str rest = buf_str(&s->accounts), line;
    unsigned smtp = port_of(config, CONFIG_SMTP, SMTP_TLS_OPPORTUNISTIC, s->offset);
    unsigned submissions = port_of(config, CONFIG_SUBMISSION, SMTP_TLS_IMPLICIT, s->offset);
    unsigned imaps = port_of(config, CONFIG_IMAP, SMTP_TLS_IMPLICIT, s->offset);
    str user[2], password[2];
    size_t n = 0, all = 0;
    (void)printf("\nAccounts:\n");
    while (str_split(&rest, '\n', &line)) {
        size_t at = str_find_byte(line, ' ', 0);
        if (at == line.n || ++all > LISTED_MAX)
            continue;
        (void)printf("  %-28.*s %.*s\n", STR_ARG(str_sub(line, 0, at)), STR_ARG(str_from(line, at + 1)));
        if (n < 2) {
            user[n] = str_sub(line, 0, at);
            password[n++] = str_from(line, at + 1);
        }
    }
    if (all > LISTED_MAX)
        (void)printf("  and %zu more: valise lab sheet --dir %s --port-offset %u\n", all - LISTED_MAX, s->cli->dir, s->offset);
    if (n < 2)
        return;
    const char *dir = s->cli->dir;
    (void)printf("\nTo try (paste into another terminal):\n"
                 "  printf 'From: %.*s\\nTo: %.*s\\nSubject: hello\\n\\nA first letter.\\n' | curl -sS --cacert %s/ca.pem --url "
                 "smtps://localhost:%u"
                 " --user '%.*s:%.*s' --mail-from %.*s --mail-rcpt %.*s --crlf -T -\n"
                 "  curl -sS --cacert %s/ca.pem --user '%.*s:%.*s' 'imaps://localhost:%u/INBOX;MAILINDEX=1'\n"
                 "  openssl s_client -connect localhost:%u -starttls smtp -CAfile %s/ca.pem -crlf -quiet\n"
                 "  openssl s_client -connect localhost:%u -CAfile %s/ca.pem -crlf -quiet\n",
                 STR_ARG(user[0]), STR_ARG(user[1]), dir, submissions, STR_ARG(user[0]), STR_ARG(password[0]), STR_ARG(user[0]),
                 STR_ARG(user[1]), dir, STR_ARG(user[1]), STR_ARG(password[1]), imaps, smtp, dir, imaps, dir);
}

/* What the class does: listen on the wire. */
static void print_lesson(const struct serving *s, const struct config *config)
{
    unsigned imap = port_of(config, CONFIG_IMAP, SMTP_TLS_OFF, s->offset);
    unsigned submission = port_of(config, CONFIG_SUBMISSION, SMTP_TLS_OFF, s->offset);
    (void)printf("\n*** " LESSON_IS_ON " ***\n");
    if (imap && submission)
        (void)printf("To see them: tcpdump -i any -A 'tcp port %u or tcp port %u'\n", imap, submission);
}

static void print_ready(void *ctx, const struct config *config)
{
    const struct serving *s = ctx;
    if (s->cli->json) {
        json_t *v = json_pack("{s:b,s:s,s:s%,s:s,s:i,s:b}", "ok", 1, "version", VALISE_VERSION, "hostname", config->hostname.p,
                              config->hostname.n, "dir", s->cli->dir, "port-offset", (int)s->offset, "insecure-lesson",
                              (int)config->insecure_lesson);
        cli_print_json(v);
        json_decref(v);
        (void)fflush(stdout);
        return;
    }
    (void)printf("valise %s serves %.*s\n", VALISE_VERSION, STR_ARG(config->hostname));
    for (size_t i = 0; i < config->listener_n; i++) {
        const struct config_listener *l = &config->listeners[i];
        for (size_t k = 0; k < l->address_n; k++)
            (void)printf("  %-12.*s %-10s %.*s port %-5u tls %s\n", STR_ARG(l->name), config_protocol_name(l->protocol),
                         STR_ARG(l->addresses[k]), l->port + (unsigned)s->offset, config_tls_name(l->tls));
    }
    if (s->accounts.n)
        print_lines_to_paste(s, config);
    if (config->insecure_lesson)
        print_lesson(s, config);
    (void)printf("\nCtrl-C stops.\n");
    (void)fflush(stdout);
}

/* What is wrong with the configuration or a file that it names is 78; with the directory itself, 66. */
static int fail(const struct cli *c, const struct error *e)
{
    bool config = e->code == ERR_SYNTAX || e->code == ERR_UNSUPPORTED || str_starts(str_from_z(e->text), STR("valise.conf:")) ||
                  (e->code == ERR_NOTFOUND && beneath_exists(AT_FDCWD, "valise.conf"));
    return config ? cli_fail_with(c, EX_CONFIG, e->code, e->text) : cli_fail_files(c, e);
}

int cmd_serve(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct serving s = { .cli = c };
    uint64_t offset = 0;
    int status = cli_number(c, "port-offset", 0, 65000, &offset);
    if (status)
        return status;
    s.offset = (uint16_t)offset;
    buf_init_secret(&s.accounts, ACCOUNTS_MAX);
    if (lab_read_accounts(c->dir, &s.accounts, NULL))
        buf_reset(&s.accounts);
    int err = supervisor_run(
        &(struct supervisor_settings){ .dir = c->dir, .port_offset = s.offset, .ready = print_ready, .ctx = &s }, &e);
    buf_done(&s.accounts);
    return err ? fail(c, &e) : 0;
}
