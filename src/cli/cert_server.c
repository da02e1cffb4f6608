/* cert_server: where a server's key and certificate are put, and the lines of valise.conf that name them. */
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/cert_private.h"
#include "config/config.h"
#include "role/control.h"
#include "role/owners.h"

enum { RELOAD_MS = 60000, CONFIG_MAX = 1 << 20 };

int cert_path(const struct cli *c, char out[CERT_PATH_MAX], struct error *e, const char *name, ...)
{
    va_list ap;
    int n = snprintf(out, CERT_PATH_MAX, "%s/", c->dir);
    va_start(ap, name);
    int m = n > 0 && n < CERT_PATH_MAX ? vsnprintf(out + n, CERT_PATH_MAX - (size_t)n, name, ap) : -1;
    va_end(ap);
    return m > 0 && n + m < CERT_PATH_MAX ? 0 : error_set(e, ERR_LIMIT, "the directory's path is too long");
}

int cert_place(const struct cli *c, const char *path, str bytes, unsigned mode, bool replace, struct error *e)
{
    char folder[CERT_PATH_MAX];
    struct stat st;
    const char *slash = strchr(path, '/');
    struct beneath_rights rights = BENEATH_MODE((mode_t)mode);
    int dir = beneath_start(c->dir, e);
    if (dir < 0)
        return dir;
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 0, path);
    int err = beneath_look(dir, slash ? folder : path, &st, e);
    if (err == 0 && slash)
        rights = owners_rights_in(&st, (mode_t)mode, mode == 0600 ? 0640 : (mode_t)mode);
    else if (err == 0)
        rights = owners_rights_in(&st, st.st_mode & 07777, st.st_mode & 07777);
    if (err == 0)
        err = beneath_write(dir, path, bytes, rights, replace, e);
    (void)close(dir);
    if (err == ERR_REFUSED && geteuid() != 0)
        return error_prefix(e, "run this as root"), err;
    return err;
}

void cert_stem(const char *name, bool rsa, char out[CERT_NAME_MAX + 8])
{
    (void)snprintf(out, CERT_NAME_MAX + 8, "%.*s%s", CERT_NAME_MAX, name, rsa ? "-rsa" : "");
    if (out[0] == '*')
        out[0] = '_';
}

int cert_server_is_free(const struct cli *c, const char *name, bool rsa)
{
    struct error e = ERROR_NONE;
    char stem[CERT_NAME_MAX + 8], path[CERT_PATH_MAX];
    if (strlen(name) > CERT_NAME_MAX || strchr(name, '/') || name[0] == '.')
        return cli_fail(c, ERR_SYNTAX, "that is no server name");
    cert_stem(name, rsa, stem);
    int top = beneath_start(c->dir, &e), status = top < 0 ? cli_fail_files(c, &e) : 0;
    for (size_t i = 0; status == 0 && i < 2; i++) {
        (void)snprintf(path, sizeof path, i == 0 ? "tls/%s.pem" : "keys/%s.key", stem);
        if (!beneath_exists(top, path))
            continue;
        (void)error_set(&e, ERR_EXISTS, "%s is there already; `valise cert renew %s` renews a certificate", path, stem);
        status = cli_fail(c, ERR_EXISTS, e.text);
    }
    if (top >= 0)
        (void)close(top);
    return status;
}

/* The section for valise.conf. */
static void write_section(struct buf *b, const char *name, const char *stem)
{
    buf_addf(b, "\ncertificate \"%s\" {\n", stem);
    if (strcmp(name, stem) != 0)
        buf_addf(b, "  name = \"%s\"\n", name);
    buf_addf(b, "  chain = \"tls/%s.pem\"\n}\n", stem);
}

/* Appends SECTION to valise.conf, if the whole is still a configuration. */
static int install(const struct cli *c, str section, struct error *e)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *parsed = NULL;
    char path[CERT_PATH_MAX];
    int err = cert_path(c, path, e, "valise.conf");
    if (err == 0)
        err = pki_file_read(path, &text, e);
    buf_add(&text, section);
    if (err == 0)
        err = buf_error(&text) ? error_set(e, ERR_LIMIT, "valise.conf is too large")
                               : config_parse("valise.conf", buf_str(&text), &parsed, e);
    config_free(parsed);
    if (err == 0)
        err = cert_place(c, "valise.conf", buf_str(&text), 0640, true, e);
    buf_done(&text);
    return err;
}

int cert_reload(const struct cli *c, bool *ret_running, struct error *e)
{
    json_t *request = json_pack("{s:s}", "command", "reload"), *reply = NULL;
    int err = control_call(c->dir, request, RELOAD_MS, &reply, e);
    json_decref(request);
    *ret_running = err == 0;
    if (err == ERR_UNAVAILABLE)
        return 0;
    if (err == 0 && !json_is_true(json_object_get(reply, "ok")))
        err = error_set(e, ERR_REFUSED, "the server keeps its old settings: %s", cli_string(json_object_get(reply, "text")));
    json_decref(reply);
    return err;
}

int cert_server_place(struct cli *c, const char *name, bool rsa, const struct pki_key *key, str chain_pem)
{
    struct error e = ERROR_NONE;
    struct buf pem, section = BUF_INIT(4096);
    char stem[CERT_NAME_MAX + 8], key_path[CERT_PATH_MAX], chain_path[CERT_PATH_MAX];
    bool installed = cli_value(c, "install") != NULL, running = false;
    const size_t base = strlen(c->dir) + 1; /* where the path below the directory begins */
    cert_stem(name, rsa, stem);
    buf_init_secret(&pem, PKI_PEM_MAX);
    write_section(&section, name, stem);
    int err = cert_path(c, key_path, &e, "keys/%s.key", stem);
    if (err == 0)
        err = cert_path(c, chain_path, &e, "tls/%s.pem", stem);
    if (err == 0)
        err = pki_key_to_pem(key, &pem, &e);
    if (err == 0)
        err = cert_place(c, key_path + base, buf_str(&pem), 0600, false, &e);
    if (err == 0)
        err = cert_place(c, chain_path + base, chain_pem, 0644, false, &e);
    if (err == 0 && installed)
        err = install(c, buf_str(&section), &e);
    if (err == 0 && installed)
        err = cert_reload(c, &running, &e);
    int status = err ? cli_fail_files(c, &e) : 0;
    if (err == 0 && c->json) {
        json_t *v = json_pack("{s:b,s:s,s:s,s:b,s:s%}", "ok", 1, "chain", chain_path, "key", key_path, "installed", installed,
                              "section", section.p, section.n);
        cli_print_json(v);
        json_decref(v);
    } else if (err == 0) {
        (void)printf("%s and its key %s are in place.\n", chain_path, key_path);
        if (installed)
            (void)puts(running ? "valise.conf names them, and the server uses them." : "valise.conf names them; no server runs.");
        else
            (void)printf("Add this to valise.conf (or give --install), then valise reload:\n%.*s", STR_ARG(buf_str(&section)));
    }
    buf_done(&pem);
    buf_done(&section);
    return status;
}
