/* cert: valise cert issue|list|show|renew|revoke. Keys are made here and go to keys/ or into a PKCS #12 file: the server sees only
 * requests. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/cert_private.h"
#include "cli/revoked.h"
#include "config/config.h"
#include "role/owners.h"

enum { SERIAL_TEXT_MAX = 200, DAY = 86400, SERVER_DAYS = PKI_SERVER_DAYS_MAX, USER_DAYS = 731 };

int cert_directory(struct cli *c, char dir[CERT_PATH_MAX])
{
    struct error e = ERROR_NONE;
    char whole[PATH_MAX];
    if (!realpath(c->dir, whole)) {
        (void)owners_no_directory(c->dir, &e);
        return cli_fail_files(c, &e);
    }
    if (strlen(whole) >= CERT_PATH_MAX)
        return cli_fail(c, ERR_LIMIT, "the directory's path is too long");
    memcpy(dir, whole, strlen(whole) + 1);
    c->dir = dir;
    return 0;
}

/* The order of `cert issue` for a request, as JSON; the caller's. */
static json_t *order_json(const struct cli *c, const char *name, bool user, uint64_t seconds, str request)
{
    size_t n = 0;
    const char *const *sans = cli_values(c, "san", &n);
    json_t *names = json_array();
    json_array_append_new(names, json_string(name));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(names, json_string(sans[i]));
    return json_pack("{s:s,s:s,s:o,s:I,s:s%}", "command", "cert.issue", "use", user ? "user" : "server", "names", names,
                     "seconds", (json_int_t)seconds, "request", request.p, request.n);
}

static str text_of(const json_t *v, const char *key)
{
    const json_t *t = json_object_get(v, key);
    return json_is_string(t) ? (str){ json_string_value(t), json_string_length(t) } : (str){ NULL, 0 };
}

/* Makes a key and has it certified. 0, or an exit status after a message. */
static int obtain(const struct cli *c, const char *name, bool user, bool rsa, struct pki_key **ret_key, json_t **ret)
{
    struct error e = ERROR_NONE;
    struct buf request = BUF_INIT(PKI_PEM_MAX);
    struct pki_key *key = NULL;
    uint64_t most = (uint64_t)DAY * (user ? PKI_USER_DAYS_MAX : PKI_SERVER_DAYS_MAX);
    uint64_t seconds = (uint64_t)DAY * (user ? USER_DAYS : SERVER_DAYS);
    int status = cli_duration(c, "days", DAY, most, &seconds);
    if (status == 0)
        status = cli_duration(c, "seconds", 1, most, &seconds);
    if (status)
        return status;
    int err = pki_key_generate(rsa ? PKI_RSA_3072 : PKI_EC_P256, &key, &e);
    if (err == 0)
        err = pki_request_create(key, &request, &e);
    status = err ? cli_fail(c, err, e.text) : cli_call(c, order_json(c, name, user, seconds, buf_str(&request)), ret);
    buf_done(&request);
    if (status)
        pki_key_free(key);
    else
        *ret_key = key;
    return status;
}

/* What is there gives way only when that was asked for. */
static int check_free(const struct cli *c, const struct cert_there *there)
{
    struct error e = ERROR_NONE;
    if (!there->is_there || cli_value(c, "replace"))
        return 0;
    if (there->is_ours)
        (void)error_set(&e, ERR_EXISTS,
                        "%s is there already; `valise cert renew %s' makes it anew with the same key, --replace with a new one",
                        there->chain, there->stem);
    else
        (void)error_set(&e, ERR_EXISTS, "%s is there already%s; --replace puts one of our CA in its place", there->chain,
                        there->is_readable ? ", of another CA" : "");
    return cli_fail(c, e.code, e.text);
}

static int issue_server(struct cli *c, const char *name, bool rsa)
{
    struct pki_key *key = NULL;
    json_t *reply = NULL;
    struct arena a = ARENA_INIT(1 << 20);
    struct cert_there there;
    int status = cert_server_look(c, name, rsa, &a, &there);
    if (status == 0)
        status = check_free(c, &there);
    if (status == 0)
        status = obtain(c, name, false, rsa, &key, &reply);
    if (status == 0)
        status = cert_server_place(c, &there, key, text_of(reply, "certificate"));
    json_decref(reply);
    pki_key_free(key);
    arena_done(&a);
    return status;
}

/* Writes the PKCS #12 file to FD, which was opened before any right was given up. */
static int write_p12(const struct cli *c, int fd, const char *address, const struct pki_key *key, const json_t *reply,
                     str password)
{
    struct error e = ERROR_NONE;
    struct buf out;
    buf_init_secret(&out, PKI_PEM_MAX);
    int err = pki_p12_create(key, text_of(reply, "certificate"), text_of(reply, "ca"), str_from_z(address), password,
                             cli_value(c, "p12-legacy") != NULL, &out, &e);
    if (err == 0 && (write(fd, out.p, out.n) != (ssize_t)out.n || fsync(fd) != 0))
        err = error_set(&e, ERR_IO, "the PKCS #12 file cannot be written: %s", strerrordesc_np(errno));
    buf_done(&out);
    return err ? cli_fail_files(c, &e) : 0;
}

static void say_issued(const struct cli *c, const char *file, const json_t *reply, str password)
{
    bool shown = cli_value(c, "generate") != NULL;
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:O,s:O}", "ok", 1, "p12", file, "serial", json_object_get(reply, "serial"), "not-after",
                              json_object_get(reply, "not-after"));
        if (shown)
            json_object_set_new(v, "password", json_stringn(password.p, password.n));
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s holds the key and certificate %s.\n", file, cli_string(json_object_get(reply, "serial")));
    if (shown)
        (void)printf("password: %.*s\n", STR_ARG(password));
}

static int issue_user_to(const struct cli *c, const char *address, bool rsa, int fd, const char *file, str password)
{
    struct pki_key *key = NULL;
    json_t *reply = NULL;
    int status = obtain(c, address, true, rsa, &key, &reply);
    if (status == 0)
        status = write_p12(c, fd, address, key, reply, password);
    if (status == 0)
        say_issued(c, file, reply, password);
    json_decref(reply);
    pki_key_free(key);
    return status;
}

/* The work is a child's: without a server it gives up root's rights and goes into the directory, and a file that came to nothing must be
 * removed from wherever it is. */
static int issue_user_in_child(const struct cli *c, const char *address, bool rsa, int fd, const char *file, str password)
{
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int status = issue_user_to(c, address, rsa, fd, file, password);
        (void)fflush(stdout);
        _exit(status);
    }
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(how) ? WEXITSTATUS(how) : EX_OSERR;
}

static int issue_user(const struct cli *c, const char *address, bool rsa)
{
    const char *file = cli_value(c, "p12");
    struct error e = ERROR_NONE;
    struct buf password;
    if (!file)
        return cli_usage(c, "--p12 FILE is needed: where the key and the certificate are written to");
    char name[BENEATH_NAME_MAX];
    int status = cli_password(c, &password);
    int above = status == 0 ? beneath_start_above(file, name, &e) : -1;
    int fd = above < 0 ? above : beneath_create(above, name, BENEATH_MODE(0600), &e);
    if (status == 0 && fd < 0)
        status = cli_fail_files(c, &e);
    if (fd >= 0) {
        status = issue_user_in_child(c, address, rsa, fd, file, buf_str(&password));
        (void)close(fd);
        if (status)
            (void)!beneath_remove(above, name, NULL);
    }
    if (above >= 0)
        (void)close(above);
    buf_done(&password);
    return status;
}

/* What valise.conf says of users' keys; one that cannot be read says nothing. */
static bool users_have_rsa(const struct cli *c)
{
    struct config *conf = NULL;
    char path[CERT_PATH_MAX];
    bool rsa = cert_path(c, path, NULL, "valise.conf") == 0 && config_read(path, &conf, NULL) == 0 && conf->user_key_rsa;
    config_free(conf);
    return rsa;
}

int cmd_cert_issue(struct cli *c)
{
    char dir[CERT_PATH_MAX];
    const char *server = cli_value(c, "server"), *user = cli_value(c, "user"), *kind = cli_value(c, "key");
    bool rsa = kind && strcmp(kind, "rsa") == 0;
    if (!server == !user)
        return cli_usage(c, "one of --server NAME and --user ADDRESS is needed");
    if (kind && !rsa && strcmp(kind, "ecdsa") != 0)
        return cli_usage(c, "--key is ecdsa or rsa");
    int status = cert_directory(c, dir);
    return status ? status : server ? issue_server(c, server, rsa) : issue_user(c, user, kind ? rsa : users_have_rsa(c));
}

/* --- what there is --- */

static int64_t number_of(const json_t *v, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(v, key));
}

static void print_row(const json_t *v)
{
    char until[24];
    const json_t *name;
    size_t i;
    const char *sep = "";
    cert_day(number_of(v, "not-after"), until);
    (void)printf("%s  %-6s  %.10s  ", cli_string(json_object_get(v, "serial")), cli_string(json_object_get(v, "use")), until);
    if (number_of(v, "revoked-at"))
        (void)printf("%-10s", "revoked");
    else if (number_of(v, "days-left") < 0)
        (void)printf("%-10s", "expired");
    else
        (void)printf("%4lld days ", (long long)number_of(v, "days-left"));
    json_array_foreach(json_object_get(v, "names"), i, name)
    {
        (void)printf("%s%s", sep, cli_string(name));
        sep = ", ";
    }
    (void)printf("\n");
}

int cmd_cert_list(struct cli *c)
{
    json_t *reply, *v;
    size_t i;
    int status = cli_call(c, json_pack("{s:s}", "command", "cert.list"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "certificates"), i, v) print_row(v);
    json_decref(reply);
    return 0;
}

/* A serial number as it is kept: openssl and browsers print it in capitals, and with colons. */
static const char *serial_of(const char *word, char out[SERIAL_TEXT_MAX])
{
    size_t n = 0;
    for (const char *p = word; *p && n + 1 < SERIAL_TEXT_MAX; p++)
        if (*p != ':')
            out[n++] = ascii_lower(*p);
    out[n] = '\0';
    return out;
}

static int print_certificate(const struct cli *c, str pem)
{
    struct error e = ERROR_NONE;
    struct buf text = BUF_INIT(4 * PKI_PEM_MAX);
    int err = pki_certificate_print(pem, &text, &e);
    if (err == 0)
        (void)printf("%.*s", STR_ARG(buf_str(&text)));
    buf_done(&text);
    return err ? cli_fail(c, err, e.text) : 0;
}

int cmd_cert_show(struct cli *c)
{
    json_t *reply;
    char serial[SERIAL_TEXT_MAX];
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "cert.show", "serial", serial_of(c->words[0], serial)), &reply);
    if (status)
        return status;
    if (c->json) {
        cli_print_json(reply);
    } else if (cli_value(c, "pem")) {
        (void)printf("%s", cli_string(json_object_get(reply, "certificate")));
    } else {
        print_row(reply);
        status = print_certificate(c, text_of(reply, "certificate"));
    }
    json_decref(reply);
    return status;
}

int cmd_cert_revoke(struct cli *c)
{
    json_t *reply;
    char serial[SERIAL_TEXT_MAX];
    int status =
        cli_call_apart(c, json_pack("{s:s,s:s}", "command", "cert.revoke", "serial", serial_of(c->words[0], serial)), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%s is revoked\n", c->words[0]);
    json_decref(reply);
    revoked_keep(c);
    return 0;
}

int cmd_cert_register(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    int err = pki_file_read(c->words[0], &pem, &e);
    if (err == 0 && (err = pki_certificate_describe(buf_str(&pem), &a, &d, &e)) != 0)
        error_prefix(&e, "%s", c->words[0]);
    arena_done(&a);
    int status = err ? cli_fail_files(c, &e)
                     : cli_call_and_say(c, json_pack("{s:s,s:s%}", "command", "cert.register", "certificate", pem.p, pem.n),
                                        "%s logs in the user whose address it names\n", c->words[0]);
    buf_done(&pem);
    return status;
}

int cmd_cert_renew(struct cli *c)
{
    return cli_call_and_say(c, json_pack("{s:s,s:o}", "command", "cert.renew", "chain", json_sprintf("tls/%s.pem", c->words[0])),
                            "tls/%s.pem is renewed\n", c->words[0]);
}
