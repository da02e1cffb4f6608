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

/* Whether valise.conf names THERE's chain. */
static bool is_named(const struct cli *c, const struct cert_there *there)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *parsed = NULL;
    char path[CERT_PATH_MAX];
    bool named = false;
    if (cert_path(c, path, NULL, "valise.conf") == 0 && pki_file_read(path, &text, NULL) == 0 &&
        config_parse("valise.conf", buf_str(&text), &parsed, NULL) == 0)
        for (size_t i = 0; i < parsed->certificate_n; i++)
            named |= str_eq(parsed->certificates[i].chain, str_from_z(there->chain));
    config_free(parsed);
    buf_done(&text);
    return named;
}

static bool is_ours(int top, str pem)
{
    struct buf ca = BUF_INIT(PKI_PEM_MAX);
    bool ours = beneath_read(top, "ca.pem", &ca, NULL) == 0 && pki_is_issued_by(pem, buf_str(&ca));
    buf_done(&ca);
    return ours;
}

int cert_server_look(const struct cli *c, const char *name, bool rsa, struct arena *a, struct cert_there *ret)
{
    struct error e = ERROR_NONE;
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    if (strlen(name) > CERT_NAME_MAX || strchr(name, '/') || name[0] == '.')
        return cli_fail(c, ERR_SYNTAX, "that is no server name");
    *ret = (struct cert_there){ .name = name };
    cert_stem(name, rsa, ret->stem);
    (void)snprintf(ret->chain, sizeof ret->chain, "tls/%s.pem", ret->stem);
    (void)snprintf(ret->key, sizeof ret->key, "keys/%s.key", ret->stem);
    int top = beneath_start(c->dir, &e);
    if (top < 0)
        return cli_fail_files(c, &e);
    bool chain = beneath_exists(top, ret->chain), key = beneath_exists(top, ret->key);
    ret->is_there = chain || key;
    ret->is_readable = chain && key && beneath_read(top, ret->chain, &pem, NULL) == 0 &&
                       pki_certificate_describe(buf_str(&pem), a, &ret->description, NULL) == 0;
    ret->is_ours = ret->is_readable && is_ours(top, buf_str(&pem));
    ret->is_named = is_named(c, ret);
    (void)close(top);
    buf_done(&pem);
    return 0;
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

/* A new key comes beside the former one, which goes when the chain is the new one's: keeper takes whatever key of keys/ fits. */
static int place(const struct cli *c, const struct cert_there *there, str key_pem, str chain_pem, struct error *e)
{
    char beside[CERT_NAME_MAX + 32];
    (void)snprintf(beside, sizeof beside, "keys/%s.new.key", there->stem);
    int top = beneath_start(c->dir, e);
    if (top < 0)
        return top;
    int err = cert_place(c, there->is_there ? beside : there->key, key_pem, 0600, there->is_there, e);
    if (err == 0)
        err = cert_place(c, there->chain, chain_pem, 0644, there->is_there, e);
    if (err && there->is_there)
        (void)!beneath_remove(top, beside, NULL);
    if (err == 0 && there->is_there)
        err = beneath_rename(top, beside, top, there->key, true, e);
    (void)close(top);
    return err;
}

static void say_placed(const struct cli *c, const struct cert_there *there, bool named, bool running, str section)
{
    if (c->json) {
        char chain[CERT_PATH_MAX], key[CERT_PATH_MAX];
        (void)snprintf(chain, sizeof chain, "%s/%s", c->dir, there->chain);
        (void)snprintf(key, sizeof key, "%s/%s", c->dir, there->key);
        json_t *v = json_pack("{s:b,s:s,s:s,s:b,s:b,s:s%}", "ok", 1, "chain", chain, "key", key, "installed", named, "replaced",
                              there->is_there, "section", section.p, section.n);
        cli_print_json(v);
        json_decref(v);
        return;
    }
    (void)printf("%s/%s and its key %s/%s are in place%s.\n", c->dir, there->chain, c->dir, there->key,
                 there->is_there ? " of the former ones" : "");
    if (named)
        (void)puts(running ? "valise.conf names them, and the server uses them." : "valise.conf names them; no server runs.");
    else
        (void)printf("Add this to valise.conf (or give --install), then valise reload:\n%.*s", STR_ARG(section));
}

int cert_server_place(struct cli *c, const struct cert_there *there, const struct pki_key *key, str chain_pem)
{
    struct error e = ERROR_NONE;
    struct buf pem, section = BUF_INIT(4096);
    bool installs = cli_value(c, "install") != NULL && !there->is_named, running = false;
    buf_init_secret(&pem, PKI_PEM_MAX);
    write_section(&section, there->name, there->stem);
    int err = pki_key_to_pem(key, &pem, &e);
    if (err == 0)
        err = place(c, there, buf_str(&pem), chain_pem, &e);
    if (err == 0 && installs)
        err = install(c, buf_str(&section), &e);
    bool named = there->is_named || installs;
    if (err == 0 && named && (err = cert_reload(c, &running, &e)))
        (void)error_prefix(&e, "%s is in place, but", there->chain);
    int status = err ? cli_fail_files(c, &e) : 0;
    if (err == 0)
        say_placed(c, there, named, running, buf_str(&section));
    buf_done(&pem);
    buf_done(&section);
    return status;
}
