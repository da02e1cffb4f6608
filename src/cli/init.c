/* init: valise init. Builds everything in a new directory beside the wanted one and renames it at the end: a failure leaves nothing half
 * made. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "pki/pki.h"
#include "role/admin.h"
#include "role/config.h"

enum { SANS_MAX = 40, PATH_BYTES = 512 };

static const char *const lab_users[] = { "alice", "bob", "marie" };

struct init {
    struct cli *cli;
    str domain, hostname;
    bool lab;
    char build[PATH_BYTES];        /* the directory while it is being made */
    struct buf accounts;           /* "address password" lines of the lab */
};

static const char *path_in(const struct init *i, const char *name, char out[PATH_BYTES + 64])
{
    (void)snprintf(out, PATH_BYTES + 64, "%s/%s", i->build, name);
    return out;
}

static int make_folders(const struct init *i, struct error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = { { "keys", 0700 }, { "tls", 0755 }, { "store", 0700 }, { "spool", 0700 } };
    char path[PATH_BYTES + 64];
    if (mkdir(i->build, 0755) != 0)
        return error_set(e, ERR_REFUSED, "%s: %s", i->build, strerrordesc_np(errno));
    for (size_t k = 0; k < sizeof folders / sizeof folders[0]; k++)
        if (mkdir(path_in(i, folders[k].name, path), folders[k].mode) != 0)
            return error_set(e, ERR_IO, "%s: %s", path, strerrordesc_np(errno));
    return 0;
}

/* --- certificates --- */

static size_t collect_names(const struct init *i, struct arena *a, str names[SANS_MAX])
{
    static const char *const usual[] = { "mail", "smtp", "imap" };
    static const char *const local[] = { "localhost", "127.0.0.1", "::1" };
    size_t n = 0, asked;
    const char *const *sans = cli_values(i->cli, "san", &asked);
    names[n++] = i->hostname;
    for (size_t k = 0; k < asked && n < SANS_MAX - 8; k++)
        names[n++] = str_from_z(sans[k]);
    for (size_t k = 0; k < 3; k++) {
        str name;
        if (arena_printf(a, &name, "%s.%.*s", usual[k], STR_ARG(i->domain)) == 0 && !str_ieq(name, i->hostname))
            names[n++] = name;
    }
    for (size_t k = 0; k < 3 && i->lab; k++)
        names[n++] = str_from_z(local[k]);
    return n;
}

static int make_certificates(const struct init *i, struct error *e)
{
    struct pki_key *ca = NULL, *server = NULL;
    struct buf ca_pem = BUF_INIT(PKI_PEM_MAX), server_pem = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(65536);
    char path[PATH_BYTES + 64];
    str names[SANS_MAX];
    int64_t now = clock_real_ms() / 1000;
    struct pki_server_request request = { .names = names, .name_n = collect_names(i, &a, names), .days = PKI_SERVER_DAYS_MAX };
    int err = pki_key_generate(PKI_EC_P384, &ca, e);
    if (err == 0)
        err = pki_ca_create(ca, i->domain, now, &ca_pem, e);
    if (err == 0)
        err = pki_key_generate(PKI_EC_P256, &server, e);
    if (err == 0)
        err = pki_server_issue(ca, buf_str(&ca_pem), server, &request, now, &server_pem, e);
    if (err == 0)
        err = pki_key_store(ca, path_in(i, "keys/ca.key", path), false, e);
    if (err == 0)
        err = pki_key_store(server, path_in(i, "keys/server.key", path), false, e);
    if (err == 0)
        err = pki_certificate_store(buf_str(&ca_pem), path_in(i, "ca.pem", path), false, e);
    if (err == 0)
        err = pki_certificate_store(buf_str(&server_pem), path_in(i, "tls/server.pem", path), false, e);
    pki_key_free(ca);
    pki_key_free(server);
    buf_done(&ca_pem);
    buf_done(&server_pem);
    arena_done(&a);
    return err;
}

static int write_config(const struct init *i, struct error *e)
{
    struct buf b = BUF_INIT(65536);
    char path[PATH_BYTES + 64];
    struct config *parsed = NULL;
    config_write_default(&b, i->hostname, i->lab);
    int err = config_parse("valise.conf", buf_str(&b), &parsed, e);
    config_free(parsed);
    if (err == 0)
        err = pki_file_write(path_in(i, "valise.conf", path), buf_str(&b), 0644, false, e);
    buf_done(&b);
    return err;
}

/* --- store --- */

static int add_user(struct init *i, struct admin *a, const char *name, struct error *e)
{
    struct buf password;
    char address[320];
    buf_init_secret(&password, 64);
    cli_generate_password(&password);
    (void)snprintf(address, sizeof address, "%s@%.*s", name, STR_ARG(i->domain));
    engine_part id;
    int err = directory_account_add(a->directory, str_from_z(address), buf_str(&password), &id, e);
    if (err == 0)
        err = mail_account_create(a->mail, id) ? error_set(e, ERR_IO, "the mailboxes of %s cannot be made", address) : 0;
    buf_add_all(&i->accounts, str_from_z(address), STR(" "), buf_str(&password), STR("\n"));
    buf_done(&password);
    return err;
}

static int make_store(struct init *i, struct error *e)
{
    char path[PATH_BYTES + 64];
    struct engine_settings settings = { 0 };
    struct admin a = { 0 };
    int err = engine_rocksdb_open(path_in(i, "store", path), &settings, &a.engine, e);
    if (err)
        return err;
    a.mail = mail_store_new(a.engine);
    err = directory_open(a.engine, &a.directory, e);
    if (err == 0)
        err = directory_domain_add(a.directory, i->domain, e);
    for (size_t k = 0; err == 0 && i->lab && k < sizeof lab_users / sizeof lab_users[0]; k++)
        err = add_user(i, &a, lab_users[k], e);
    directory_free(a.directory);
    mail_store_free(a.mail);
    engine_close(a.engine);
    if (err == 0 && i->lab)
        err = pki_file_write(path_in(i, "lab-accounts.txt", path), buf_str(&i->accounts), 0600, false, e);
    return err;
}

/* --- ownership --- */

static uid_t owner_uid;
static gid_t owner_gid;

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, owner_uid, owner_gid);
}

/* Root makes the directory for the user that the server will run as. */
static int give_to_user(const struct init *i, const char **ret_note, struct error *e)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *pw = getpwnam("valise");
    if (!pw) {
        *ret_note = "note: there is no user valise yet; before `valise serve` as root: useradd --system --no-create-home valise, "
                    "then chown -R valise: on the directory";
        return 0;
    }
    owner_uid = pw->pw_uid;
    owner_gid = pw->pw_gid;
    if (nftw(i->build, give_one, 16, FTW_PHYS) != 0)
        return error_set(e, ERR_IO, "%s cannot be given to user valise: %s", i->build, strerrordesc_np(errno));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int make_all(struct init *i, const char **ret_note, struct error *e)
{
    int err = make_folders(i, e);
    if (err == 0)
        err = make_certificates(i, e);
    if (err == 0)
        err = write_config(i, e);
    if (err == 0)
        err = make_store(i, e);
    if (err == 0)
        err = give_to_user(i, ret_note, e);
    if (err == 0 && rename(i->build, i->cli->dir) != 0)
        err = error_set(e, errno == ENOTEMPTY || errno == EEXIST ? ERR_EXISTS : ERR_IO,
                        "%s: %s; init wants a new or empty directory", i->cli->dir, strerrordesc_np(errno));
    if (err)
        (void)nftw(i->build, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return err;
}

static void report(const struct init *i, const char *note)
{
    const char *dir = i->cli->dir;
    if (i->cli->json) {
        json_t *accounts = json_array();
        str rest = buf_str(&i->accounts), line;
        while (i->lab && str_split(&rest, '\n', &line)) {
            size_t at = str_find_byte(line, ' ', 0);
            if (at < line.n)
                json_array_append_new(accounts, json_pack("{s:s%,s:s%}", "address", line.p, at, "password", line.p + at + 1, line.n - at - 1));
        }
        json_t *v = json_pack("{s:b,s:s,s:s%,s:s%,s:o}", "ok", 1, "dir", dir, "domain", i->domain.p, i->domain.n, "hostname", i->hostname.p,
                              i->hostname.n, "accounts", accounts);
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
        (void)printf("\nAccounts and passwords (also in %s/lab-accounts.txt):\n%.*s", dir, STR_ARG(buf_str(&i->accounts)));
    else
        (void)printf("\nNext: valise user add someone@%.*s --dir %s, then valise serve --dir %s\n", STR_ARG(i->domain), dir, dir);
    if (note)
        (void)printf("%s\n", note);
}

int cmd_init(struct cli *c)
{
    const char *domain = cli_value(c, "domain"), *hostname = cli_value(c, "hostname"), *note = NULL;
    if (!domain || !hostname) {
        (void)fprintf(stderr, "valise init: --domain and --hostname are needed, as --domain mondomaine.fr --hostname mailhost.mondomaine.fr\n");
        return EX_USAGE;
    }
    struct init i = { .cli = c, .domain = str_from_z(domain), .hostname = str_from_z(hostname), .lab = cli_value(c, "lab") != NULL };
    struct error e = ERROR_NONE;
    str dir = str_from_z(c->dir);
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    if (dir.n > PATH_BYTES - 64)
        return cli_fail(ERR_LIMIT, "the directory's path is too long");
    char trimmed[PATH_BYTES];
    (void)snprintf(trimmed, sizeof trimmed, "%.*s", STR_ARG(dir));
    c->dir = trimmed;
    if (access(trimmed, F_OK) == 0 && rmdir(trimmed) != 0)
        return cli_fail(ERR_EXISTS, errno == ENOTEMPTY || errno == EEXIST ? "the directory is not empty: init never touches what is there"
                                                                          : strerrordesc_np(errno));
    (void)snprintf(i.build, sizeof i.build, "%.440s.init-%d", trimmed, (int)getpid());
    buf_init_secret(&i.accounts, 4096);
    log_set_level(LOG_WARNING);
    int err = make_all(&i, &note, &e);
    if (err == 0)
        report(&i, note);
    buf_done(&i.accounts);
    return err ? cli_fail(err, e.text) : 0;
}
