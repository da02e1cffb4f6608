/* init: valise init. Everything is built in a folder inside the wanted directory and moved up at the end, valise.conf last: what
 * has no valise.conf is no mail system yet. An empty directory that exists is used as it is, since it may be a mount point or the
 * current one. A failure or Ctrl-C leaves nothing behind. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/lab.h"
#include "pki/pki.h"
#include "role/admin.h"
#include "role/certificates.h"
#include "role/format.h"
#include "role/lesson.h"
#include "role/owners.h"
#include "config/config.h"

enum { SANS_MAX = 48, OWN_NAMES_MAX = 16, PATH_BYTES = 512, ACCOUNTS_MAX = 4 << 20, LISTED_MAX = 10 };
enum { ARGON2_US = 10000 }; /* what a check of a password is to take of a processor */

static const char build_name[] = ".init";

struct init {
    struct cli *cli;
    str domain, hostname;
    bool lab;
    struct lab class; /* of a lab */
    const char *dir;  /* without a slash at its end */
    bool root;        /* root makes it, for OWNERS */
    struct owners owners;
    bool made_dir;   /* it did not exist */
    size_t moved;    /* how many of the entries are in their place */
    int above, top;  /* open directories: what DIR is in, if we made it, and DIR */
    int build, from; /* the folder in it where everything is made, which is the working directory meanwhile; the one before */
    char name[BENEATH_NAME_MAX]; /* of DIR in ABOVE */
    struct buf accounts;         /* "address password" lines of the lab */
};

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static bool is_empty(int dir, bool *ret, struct error *e)
{
    struct beneath_names names;
    if (beneath_list(dir, &names, e))
        return false;
    *ret = names.n == 0 || (names.n == 1 && strcmp(names.list[0], "lost+found") == 0);
    beneath_names_free(&names);
    return true;
}

static int make_directory(struct init *i, struct error *e)
{
    i->above = beneath_start_above(i->dir, i->name, e);
    if (i->above == ERR_NOTFOUND)
        return error_set(e, ERR_NOTFOUND, "%s: the directory that it would be in does not exist; make it with mkdir -p", i->dir);
    i->top = i->above < 0 ? i->above : beneath_make(i->above, i->name, BENEATH_MODE(0755), e);
    i->made_dir = i->top >= 0;
    return i->top < 0 ? i->top : 0;
}

/* Makes the directory, or sees that it is empty. */
static int claim_directory(struct init *i, struct error *e)
{
    struct stat st;
    bool empty = false;
    i->top = beneath_start(i->dir, e);
    if (i->top == ERR_NOTFOUND)
        return make_directory(i, e);
    if (i->top == ERR_REFUSED) {
        int fd = beneath_start_any(i->dir, &st, NULL);
        bool file = fd >= 0 && !S_ISDIR(st.st_mode);
        close_one(&fd);
        return file ? error_set(e, ERR_EXISTS, "%s is there and no directory", i->dir) : ERR_REFUSED;
    }
    if (i->top < 0 || !is_empty(i->top, &empty, e))
        return e->code;
    return empty ? 0
                 : error_set(e, ERR_EXISTS,
                             "%s is not empty; init never touches what is there, give it a new or an empty directory", i->dir);
}

/* Whoever owns the directory may move the folder in which we build, but not reach into it: it is ours alone, and we are in it. */
static int make_folders(struct init *i, struct error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = { { "keys", 0700 }, { "tls", 0755 }, { "store", 0700 }, { "spool", 0700 } };
    i->from = beneath_start(".", e);
    i->build = i->from < 0 ? i->from : beneath_make(i->top, build_name, BENEATH_MODE(0700), e);
    int err = i->build < 0 ? i->build : 0;
    for (size_t k = 0; err == 0 && k < sizeof folders / sizeof folders[0]; k++) {
        int fd = beneath_make(i->build, folders[k].name, BENEATH_MODE(folders[k].mode), e);
        err = fd < 0 ? fd : 0;
        close_one(&fd);
    }
    if (err == 0 && fchdir(i->build) != 0)
        err = error_set(e, err_from_errno(errno), "%s: %s", i->dir, strerrordesc_np(errno));
    return err;
}

/* --- certificates --- */

static size_t collect_names(const struct init *i, struct arena *a, str names[SANS_MAX])
{
    static const char *const local[] = { "localhost", "127.0.0.1", "::1" };
    size_t n = 0, asked;
    const char *const *sans = cli_values(i->cli, "san", &asked);
    str own[LAB_NAMES_MAX];
    size_t own_n = lab_names(i->hostname, i->domain, a, own);
    names[n++] = own[0];
    for (size_t k = 0; k < asked && n < SANS_MAX - OWN_NAMES_MAX; k++)
        names[n++] = str_from_z(sans[k]);
    for (size_t k = 1; k < own_n; k++)
        names[n++] = own[k];
    for (size_t k = 0; k < 3 && i->lab; k++)
        names[n++] = str_from_z(local[k]);
    for (size_t k = 0; k < i->class.address_n; k++)
        if (!str_eq(i->class.addresses[k], STR("127.0.0.1")) && !str_eq(i->class.addresses[k], STR("::1")))
            names[n++] = i->class.addresses[k];
    return n;
}

/* For which names the CA is: the domain, this machine, private networks, a lab's own, and what the administrator named with --san. */
static int allow_names(const struct init *i, struct arena *a, struct pki_names *names, struct error *e)
{
    size_t n;
    const char *const *sans = cli_values(i->cli, "san", &n);
    int err = pki_names_usual(i->domain, a, names, e);
    if (err == 0 && i->class.address_n)
        err = pki_names_add(names, &(struct pki_grant){ .kind = PKI_GRANT_ADDRESS, .network = i->class.network }, a, e);
    for (size_t k = 0; k < n && err == 0; k++) {
        struct pki_grant g;
        struct ip_address address;
        str name = str_from_z(sans[k]);
        const struct pki_order order = { .use = PKI_USE_SERVER, .names = &name, .name_n = 1 };
        if (pki_names_check(names, i->hostname, &order, NULL) == 0)
            continue;
        err = str_starts(name, STR("*."))
                  ? pki_names_check(names, i->hostname, &order, e)
                  : pki_grant_read(ip_address_parse(name, &address) ? PKI_GRANT_ADDRESS : PKI_GRANT_HOST, name, a, &g, e);
        if (err == 0)
            err = pki_names_add(names, &g, a, e);
    }
    return err;
}

static int make_certificates(struct init *i, struct error *e)
{
    struct pki_key *ca = NULL, *server = NULL;
    struct buf ca_pem = BUF_INIT(PKI_PEM_MAX), server_pem = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 20);
    str names[SANS_MAX];
    int64_t now = clock_real_ms() / 1000;
    struct pki_server_request request = { .names = names, .name_n = collect_names(i, &a, names), .days = PKI_SERVER_DAYS_MAX };
    struct pki_names allowed = { 0 };
    struct buf list = BUF_INIT(PKI_NAMES_FILE_MAX);
    int err = allow_names(i, &a, &allowed, e);
    if (err == 0)
        err = pki_key_generate(PKI_EC_P384, &ca, e);
    if (err == 0)
        err = (i->lab ? pki_ca_create_lab : pki_ca_create)(ca, i->domain, &allowed, i->hostname, now, &ca_pem, e);
    if (err == 0)
        err = pki_key_generate(PKI_EC_P256, &server, e);
    if (err == 0)
        err = pki_server_issue(ca, buf_str(&ca_pem), server, &request, now, &server_pem, e);
    if (err == 0)
        err = pki_key_store(ca, "keys/ca.key", false, e);
    if (err == 0)
        err = pki_key_store(server, "keys/server.key", false, e);
    pki_names_write(&allowed, &list);
    if (err == 0)
        err = pki_file_write(PKI_NAMES_FILE, buf_str(&list), 0600, false, e);
    if (err == 0)
        err = pki_certificate_store(buf_str(&ca_pem), "ca.pem", false, e);
    if (err == 0)
        err = pki_certificate_store(buf_str(&server_pem), "tls/server.pem", false, e);
    pki_key_free(ca);
    pki_key_free(server);
    buf_done(&list);
    buf_done(&ca_pem);
    buf_done(&server_pem);
    arena_done(&a);
    return err;
}

/* What a check of a password costs: as much as it may on this machine. */
static void write_cost(struct buf *b)
{
    const struct directory_cost cost = directory_cost_measure(ARGON2_US);
    buf_addf(b,
             "\n# What checking a password costs, for who guesses too: about %d ms of a processor, measured when this was "
             "written. Hashes follow a\n"
             "# change at the next login of each user.\nargon2-memory = \"%u MiB\"\nargon2-passes = %u\n",
             ARGON2_US / 1000, cost.kib / 1024, cost.passes);
}

static int write_config(struct init *i, struct error *e)
{
    struct buf b = BUF_INIT(65536);
    struct config *parsed = NULL;
    config_write_default(&b, &(struct config_start){ .hostname = i->hostname,
                                                     .lab = i->lab,
                                                     .addresses = i->class.addresses,
                                                     .address_n = i->class.address_n,
                                                     .network = i->class.network_text,
                                                     .lesson = i->class.lesson });
    write_cost(&b);
    int err = config_parse("valise.conf", buf_str(&b), &parsed, e);
    config_free(parsed);
    if (err == 0)
        err = pki_file_write("valise.conf", buf_str(&b), 0644, false, e);
    if (err == 0)
        err = pki_file_write("serve.lock", STR(""), 0600, false, e);
    buf_done(&b);
    return err;
}

/* --- store --- */

static int add_user(struct init *i, struct admin *a, const struct lab_user *u, struct error *e)
{
    struct buf made;
    buf_init_secret(&made, 64);
    if (!u->password.n)
        cli_generate_password(&made);
    str password = u->password.n ? u->password : buf_str(&made);
    engine_part id;
    const struct directory_new_account n = {
        .address = u->address, .name = u->name, .password = password, .role = DIRECTORY_USER, .language = u->language
    };
    int err = directory_account_make(a->directory, &n, &id, e);
    if (err == 0)
        err = mail_account_create(a->mail, id) ? error_set(e, ERR_IO, "the mailboxes of %.*s cannot be made", STR_ARG(u->address))
                                               : 0;
    if (err && u->line)
        (void)error_prefix(e, "%s: line %zu", i->class.file, u->line);
    buf_add_all(&i->accounts, u->address, STR(" "), password, STR("\n"));
    buf_done(&made);
    return err;
}

/* What is issued is on record, the first certificate too. */
static int record_certificate(struct admin *a, struct error *e)
{
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    int err = pki_file_read("tls/server.pem", &pem, e);
    if (err == 0)
        err = certificates_record(a, buf_str(&pem), e);
    buf_done(&pem);
    return err;
}

static int make_store(struct init *i, struct error *e)
{
    struct engine_settings settings = { 0 };
    struct admin a = { 0 };
    int err = engine_rocksdb_open("store", &settings, &a.engine, e);
    if (err)
        return err;
    a.mail = mail_store_new(a.engine);
    err = directory_open(a.engine, &a.directory, e);
    if (err == 0)
        err = store_upgrade(&a, e);
    if (err == 0)
        err = directory_domain_add(a.directory, i->domain, e);
    if (err == 0)
        err = record_certificate(&a, e);
    for (size_t k = 0; err == 0 && k < i->class.user_n; k++)
        err = add_user(i, &a, &i->class.users[k], e);
    directory_free(a.directory);
    mail_store_free(a.mail);
    engine_close(a.engine);
    if (err == 0 && i->lab)
        err = pki_file_write(LAB_ACCOUNTS, buf_str(&i->accounts), 0600, false, e);
    return err;
}

/* --- ownership --- */

/* Root makes a system whose files belong to those who need them. Until it is moved up nobody else sees it; then the directory itself follows. */
static int give_away(struct init *i, struct error *e)
{
    if (!i->root)
        return 0;
    int err = owners_compare(i->build, &i->owners, true, NULL, NULL, e);
    if (err == 0 && (fchown(i->top, 0, i->owners.core.gid) != 0 || fchmod(i->top, 0750) != 0))
        err = error_set(e, err_from_errno(errno), "%s: %s", i->dir, strerrordesc_np(errno));
    return err;
}

/* In the order in which they are moved to their place. */
static const char *const entries[] = { "keys", "tls", "ca.pem", "store", "spool", LAB_ACCOUNTS, "serve.lock", "valise.conf" };

static int move_up(struct init *i, struct error *e)
{
    for (; i->moved < sizeof entries / sizeof entries[0]; i->moved++) {
        int err = beneath_rename(i->build, entries[i->moved], i->top, entries[i->moved], false, e);
        if (err && err != ERR_NOTFOUND)
            return error_prefix(e, "%s", i->dir);
    }
    return beneath_remove_directory(i->top, build_name, e);
}

static void take_back(struct init *i)
{
    if (i->build >= 0)
        (void)!beneath_remove_tree(i->top, build_name, NULL);
    while (i->moved > 0)
        (void)!beneath_remove_tree(i->top, entries[--i->moved], NULL);
    if (i->made_dir)
        (void)!beneath_remove_directory(i->above, i->name, NULL);
}

/* Signals wait until the end of a step. */
static bool is_interrupted(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1);
}

static int make_all(struct init *i, struct error *e)
{
    static int (*const steps[])(struct init * i, struct error * e) = { make_folders, make_certificates, write_config,
                                                                       make_store };
    i->root = geteuid() == 0;
    int err = i->root ? owners_find(STR("valise"), &i->owners, e) : 0;
    if (err == 0)
        err = claim_directory(i, e);
    if (err)
        return err;
    for (size_t k = 0; err == 0 && k < sizeof steps / sizeof steps[0]; k++)
        err = steps[k](i, e) ? e->code : is_interrupted() ? error_set(e, ERR_AGAIN, "interrupted; nothing was made") : 0;
    if (i->from >= 0 && fchdir(i->from) != 0 && err == 0)
        err = error_set(e, err_from_errno(errno), "the working directory: %s", strerrordesc_np(errno));
    if (err == 0)
        err = give_away(i, e);
    if (err == 0)
        err = move_up(i, e);
    if (err)
        take_back(i);
    close_one(&i->from);
    close_one(&i->build);
    close_one(&i->top);
    close_one(&i->above);
    return err;
}

static void report_lab(const struct init *i)
{
    str rest = buf_str(&i->accounts), line;
    (void)printf("\nAccounts and passwords (%zu, in %s/" LAB_ACCOUNTS "):\n", i->class.user_n, i->dir);
    for (size_t k = 0; k < LISTED_MAX && rest.n && str_split(&rest, '\n', &line); k++)
        (void)printf("%.*s\n", STR_ARG(line));
    if (rest.n)
        (void)printf("...\n");
    if (i->class.address_n) {
        (void)printf("\nThe class reaches it from %.*s at", STR_ARG(i->class.network_text));
        for (size_t k = 0; k < i->class.address_n; k++)
            (void)printf(" %.*s", STR_ARG(i->class.addresses[k]));
        (void)printf("; a sheet for each student: valise lab sheet --dir %s\n", i->dir);
    }
    if (i->class.lesson)
        (void)printf("\n*** " LESSON_IS_ON " ***\n");
    (void)printf("\nFor now " ADMIN_NOBODY "\n");
}

static void report(const struct init *i)
{
    const char *dir = i->dir;
    if (i->cli->json) {
        json_t *accounts = json_array();
        str rest = buf_str(&i->accounts), line;
        while (i->lab && str_split(&rest, '\n', &line)) {
            size_t at = str_find_byte(line, ' ', 0);
            if (at < line.n)
                json_array_append_new(
                    accounts, json_pack("{s:s%,s:s%}", "address", line.p, at, "password", line.p + at + 1, line.n - at - 1));
        }
        json_t *v = json_pack("{s:b,s:s,s:s%,s:s%,s:o,s:[s]}", "ok", 1, "dir", dir, "domain", i->domain.p, i->domain.n,
                              "hostname", i->hostname.p, i->hostname.n, "accounts", accounts, "notes", ADMIN_NOBODY);
        if (i->class.lesson)
            json_array_append_new(json_object_get(v, "notes"), json_string(LESSON_IS_ON));
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s holds a mail system for %.*s now:\n"
                 "  %s/valise.conf     the configuration\n"
                 "  %s/ca.pem          the root certificate: give it to every program and person who connects\n"
                 "  %s/keys/           the private keys: keep a copy of ca.key in a safe\n",
                 dir, STR_ARG(i->domain), dir, dir, dir);
    if (i->lab)
        report_lab(i);
    else
        (void)printf("\nNext: valise user add someone@%.*s --role admin --dir %s, then valise serve --dir %s\n"
                     "Mail for postmaster, abuse and hostmaster goes to the administrator. So far nobody is one.\n",
                     STR_ARG(i->domain), dir, dir);
}

/* As the commands that follow will see them: in canonical form, or refused with the directory's own words. */
static int check_names(struct init *i, struct arena *a, struct error *e)
{
    size_t n;
    const char *const *sans = cli_values(i->cli, "san", &n);
    int err = directory_canonical_domain(i->domain, a, &i->domain, e);
    struct ip_address address;
    if (err || ip_address_parse(i->domain, &address))
        return error_set(e, ERR_SYNTAX, "--domain %s is no domain name", cli_value(i->cli, "domain"));
    err = directory_canonical_domain(i->hostname, a, &i->hostname, e);
    if (err || !config_is_hostname(i->hostname))
        return error_set(e, ERR_SYNTAX, "--hostname %s is no host name", cli_value(i->cli, "hostname"));
    if (str_find_byte(i->hostname, '.', 0) == i->hostname.n)
        return error_set(e, ERR_SYNTAX, "--hostname %.*s has no domain, and others cannot find it; write it whole, as %.*s.%.*s",
                         STR_ARG(i->hostname), STR_ARG(i->hostname), STR_ARG(i->domain));
    for (size_t k = 0; k < n; k++) {
        unsigned char bytes[16];
        str name = str_from_z(sans[k]);
        str rest = str_starts(name, STR("*.")) ? str_from(name, 2) : name;
        if (!config_is_hostname(rest) && inet_pton(AF_INET, sans[k], bytes) != 1 && inet_pton(AF_INET6, sans[k], bytes) != 1)
            return error_set(e, ERR_SYNTAX, "--san %s is neither a host name nor an address", sans[k]);
    }
    return 0;
}

int cmd_init(struct cli *c)
{
    const char *domain = cli_value(c, "domain"), *hostname = cli_value(c, "hostname");
    if (!domain || !hostname)
        return cli_usage(c,
                         "init: --domain and --hostname are needed, as --domain mondomaine.fr --hostname mailhost.mondomaine.fr");
    struct init i = { .cli = c,
                      .domain = str_from_z(domain),
                      .hostname = str_from_z(hostname),
                      .lab = cli_value(c, "lab") != NULL,
                      .above = -1,
                      .top = -1,
                      .build = -1,
                      .from = -1 };
    struct error e = ERROR_NONE;
    struct arena a = ARENA_INIT(65536);
    sigset_t stops;
    char trimmed[PATH_BYTES];
    str dir = str_from_z(c->dir);
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    if (dir.n > PATH_BYTES - 64)
        return cli_fail(c, ERR_LIMIT, "the directory's path is longer than 448 bytes");
    (void)snprintf(trimmed, sizeof trimmed, "%.*s", STR_ARG(dir));
    i.dir = trimmed;
    buf_init_secret(&i.accounts, ACCOUNTS_MAX);
    log_set_level(LOG_WARNING);
    int err = check_names(&i, &a, &e), status = err ? 0 : lab_read(c, i.domain, &i.class);
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGINT);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigaddset(&stops, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &stops, NULL);
    if (err == 0 && status == 0)
        err = make_all(&i, &e);
    /* A signal that came too late finds its work done. */
    while (err == 0 && status == 0 && sigtimedwait(&stops, NULL, &(struct timespec){ 0 }) > 0)
        ;
    (void)sigprocmask(SIG_UNBLOCK, &stops, NULL);
    if (err == 0 && status == 0)
        report(&i);
    lab_done(&i.class);
    buf_done(&i.accounts);
    arena_done(&a);
    return err ? cli_fail_files(c, &e) : status;
}
