/* ca_care: valise ca names|allow|deny|renew: for which names the CA issues, and making its certificate anew. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "cli/ca_list.h"
#include "cli/cert_private.h"
#include "config/config.h"

enum { CONFIG_MAX = 1 << 20 };

static const char *const kinds[] = { [PKI_GRANT_DOMAIN] = "domain", [PKI_GRANT_HOST] = "host", [PKI_GRANT_ADDRESS] = "address" };

static str grant_text(const struct pki_grant *g, char text[IP_NETWORK_TEXT_MAX])
{
    return g->kind == PKI_GRANT_ADDRESS ? ip_network_text(&g->network, text) : g->name;
}

/* The list, and in NOTES (may be NULL) what else is to be said. */
static void print_names(const struct ca_list *l, const json_t *notes)
{
    char text[IP_NETWORK_TEXT_MAX];
    json_t *list = json_array(), *v;
    size_t k;
    for (size_t i = 0; i < l->names.n; i++) {
        const struct pki_grant *g = &l->names.list[i];
        str name = grant_text(g, text);
        if (l->cli->json)
            json_array_append_new(list, json_pack("{s:s,s:s%}", "kind", kinds[g->kind], "name", name.p, name.n));
        else
            (void)printf("%-8s %.*s\n", kinds[g->kind], STR_ARG(name));
    }
    if (l->cli->json) {
        json_t *reply = json_pack("{s:b,s:O,s:o}", "ok", 1, "names", list, "notes", notes ? json_deep_copy(notes) : json_array());
        cli_print_json(reply);
        json_decref(reply);
    } else {
        json_array_foreach(notes, k, v)(void) puts(cli_string(v));
    }
    json_decref(list);
}

/* Opens the list of a directory that must have a CA, to be changed when CHANGE. */
static int open_list(const struct cli *c, bool change, struct ca_list *l)
{
    struct error e = ERROR_NONE;
    int status = ca_list_open(c, l);
    if (status == 0 && l->dir < 0) {
        (void)error_set(&e, ERR_NOTFOUND, "%s has no CA: there is no ca.pem", c->dir);
        status = cli_fail_files(c, &e);
    }
    if (status == 0 && (change || !l->there))
        status = ca_list_must_be_ours(l);
    return status ? status : ca_list_read(l);
}

int cmd_ca_names(struct cli *c)
{
    struct ca_list l;
    int status = open_list(c, false, &l);
    if (status == 0)
        print_names(&l, NULL);
    ca_list_close(&l);
    return status;
}

/* What WORD stands for: an address, or a name, of a domain with DOMAIN. */
static int read_word(struct ca_list *l, const char *word, bool domain, struct pki_grant *ret)
{
    struct error e = ERROR_NONE;
    struct ip_network network;
    str name = str_from_z(word);
    bool address = ip_network_parse(name, &network, NULL) == 0 || str_find_byte(name, '/', 0) < name.n;
    int err = pki_grant_read(domain ? PKI_GRANT_DOMAIN : address ? PKI_GRANT_ADDRESS : PKI_GRANT_HOST, name, &l->arena, ret, &e);
    return err ? cli_fail(l->cli, err, e.text) : 0;
}

/* Adds that the CA's certificate does not speak for what is allowed now. */
static void note_scope(const struct ca_list *l, const struct pki_grant *g, json_t *notes)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_scope scope;
    char text[IP_NETWORK_TEXT_MAX];
    if (pki_scope_read(buf_str(&l->ca_pem), &a, &scope, NULL) == 0 && !pki_scope_has(&scope, g))
        json_array_append_new(
            notes, json_sprintf("The CA's certificate does not speak for %.*s yet, so it issues none for it: see `valise ca "
                                "renew --help'.",
                                STR_ARG(grant_text(g, text))));
    arena_done(&a);
}

int cmd_ca_allow(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct ca_list l;
    json_t *notes = json_array();
    int status = open_list(c, true, &l);
    for (size_t i = 0; i < c->word_n && status == 0; i++) {
        struct pki_grant g;
        status = read_word(&l, c->words[i], cli_value(c, "domain") != NULL, &g);
        if (status == 0 && pki_names_add(&l.names, &g, &l.arena, &e))
            status = cli_fail(c, e.code, e.text);
        if (status == 0)
            note_scope(&l, &g, notes);
    }
    if (status == 0)
        status = ca_list_write(&l);
    if (status == 0)
        print_names(&l, notes);
    json_decref(notes);
    ca_list_close(&l);
    return status;
}

int cmd_ca_deny(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct ca_list l;
    int status = open_list(c, true, &l);
    for (size_t i = 0; i < c->word_n && status == 0; i++) {
        struct pki_grant g;
        size_t before = l.names.n;
        status = read_word(&l, c->words[i], false, &g);
        if (status == 0)
            pki_names_remove(&l.names, &g);
        if (status == 0 && g.kind == PKI_GRANT_HOST) {
            g.kind = PKI_GRANT_DOMAIN;
            pki_names_remove(&l.names, &g);
        }
        if (status == 0 && l.names.n == before) {
            (void)error_set(&e, ERR_NOTFOUND, "%s is not on the list; `valise ca names' shows it", c->words[i]);
            status = cli_fail(c, e.code, e.text);
        }
    }
    if (status == 0)
        status = ca_list_write(&l);
    if (status == 0)
        print_names(&l, NULL);
    ca_list_close(&l);
    return status;
}

/* --- renewing the root --- */

static int read_hostname(const struct ca_list *l, struct arena *a, str *ret, struct error *e)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *config = NULL;
    int err = beneath_read(l->dir, "valise.conf", &text, e);
    if (err == 0)
        err = config_parse("valise.conf", buf_str(&text), &config, e);
    if (err == 0 && arena_dup(a, config->hostname, ret))
        err = error_set(e, ERR_LIMIT, "the host name is too long");
    config_free(config);
    buf_done(&text);
    return err;
}

static int make_root(struct ca_list *l, struct buf *out, struct error *e)
{
    struct buf pem;
    struct pki_key *key = NULL;
    str hostname = { 0 };
    buf_init_secret(&pem, PKI_PEM_MAX);
    int err = beneath_read(l->dir, "keys/ca.key", &pem, e);
    if (err == ERR_NOTFOUND)
        err = error_set(
            e, err,
            "%s/keys/ca.key is not there; bring it from your safe, and take it away again afterwards if you keep it there",
            l->cli->dir);
    if (err == 0)
        err = pki_key_from_pem(buf_str(&pem), &key, e);
    buf_done(&pem);
    if (err == 0)
        err = read_hostname(l, &l->arena, &hostname, e);
    if (err == 0)
        err = pki_ca_renew(key, buf_str(&l->ca_pem), &l->names, hostname, clock_real_ms() / 1000, out, e);
    pki_key_free(key);
    return err;
}

/* In the place of the former one, with its owner and rights. */
static int place_root(const struct ca_list *l, str pem, struct error *e)
{
    struct stat st;
    struct beneath_rights rights = BENEATH_MODE(0644);
    if (geteuid() == 0 && beneath_look(l->dir, "ca.pem", &st, NULL) == 0)
        rights = (struct beneath_rights){ st.st_mode & 0644, st.st_uid, st.st_gid };
    return beneath_write(l->dir, "ca.pem", pem, rights, true, e);
}

static void say_renewed(const struct ca_list *l, str pem, bool running)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    if (pki_certificate_describe(pem, &a, &d, NULL) == 0) {
        if (l->cli->json) {
            json_t *v =
                json_pack("{s:b,s:s%,s:s%,s:I,s:b}", "ok", 1, "serial", d.serial.p, d.serial.n, "fingerprint", d.fingerprint.p,
                          d.fingerprint.n, "not-after", (json_int_t)d.not_after, "reloaded", (int)running);
            cli_print_json(v);
            json_decref(v);
        } else {
            (void)printf("%s/ca.pem is the new root certificate, with the same key. It speaks for the names that `valise ca "
                         "names' shows and for "
                         "this server's; `valise ca show' shows it.\n"
                         "fingerprint  SHA-256 %.*s\n"
                         "Certificates that were issued stay valid. Give the new ca.pem (`valise ca export') to every program "
                         "and person who "
                         "connects, in the place of the former one: who keeps that one goes on as before, but refuses "
                         "certificates for names that "
                         "it does not speak for.\n%s",
                         l->cli->dir, STR_ARG(d.fingerprint), running ? "The server uses it.\n" : "");
        }
    }
    arena_done(&a);
}

int cmd_ca_renew(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct buf out = BUF_INIT(PKI_PEM_MAX);
    struct ca_list l;
    bool running = false;
    int status = open_list(c, true, &l);
    if (status == 0 && !l.there)
        status = ca_list_write(&l);
    if (status == 0) {
        int err = make_root(&l, &out, &e);
        if (err == 0)
            err = place_root(&l, buf_str(&out), &e);
        if (err == 0)
            err = cert_reload(c, &running, &e);
        status = err ? cli_fail_files(c, &e) : 0;
    }
    if (status == 0)
        say_renewed(&l, buf_str(&out), running);
    buf_done(&out);
    ca_list_close(&l);
    return status;
}
