/* ca_list: see ca_list.h. */
#include "cli/ca_list.h"

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "config/config.h"
#include "role/ca_names.h"

enum { ARENA_MAX = 8 << 20, SHOWN_MAX = 60 };

int ca_list_open(const struct cli *c, struct ca_list *ret)
{
    struct error e = ERROR_NONE;
    *ret = (struct ca_list){ .cli = c, .arena = ARENA_INIT(ARENA_MAX), .dir = -1, .ca_pem = BUF_INIT(PKI_PEM_MAX) };
    int dir = beneath_start(c->dir, NULL);
    int err = dir < 0 ? ERR_NOTFOUND : beneath_read(dir, "ca.pem", &ret->ca_pem, &e);
    if (err) {
        if (dir >= 0)
            (void)close(dir);
        return err == ERR_NOTFOUND ? 0 : cli_fail_files(c, &e);
    }
    ret->dir = dir;
    ret->there = beneath_exists(dir, PKI_NAMES_FILE);
    ret->ours = faccessat(dir, "keys", R_OK | W_OK | X_OK, AT_EACCESS) == 0;
    return 0;
}

void ca_list_close(struct ca_list *l)
{
    if (l->dir >= 0)
        (void)close(l->dir);
    l->dir = -1;
    buf_done(&l->ca_pem);
    arena_done(&l->arena);
}

int ca_list_must_be_ours(const struct ca_list *l)
{
    struct error e = ERROR_NONE;
    if (l->dir < 0 || l->ours)
        return 0;
    (void)error_set(&e, ERR_REFUSED,
                    "%s/" PKI_NAMES_FILE
                    " says for which names the CA may issue and must follow; it is not yours to write: run this as root",
                    l->cli->dir);
    return cli_fail_files(l->cli, &e);
}

int ca_list_domains(const struct cli *c, json_t **ret)
{
    return cli_call_apart(c, json_pack("{s:s}", "command", "domain.list"), ret);
}

static int add_domain(struct ca_list *l, const json_t *name, struct error *e)
{
    struct pki_grant g;
    int err = pki_grant_read(PKI_GRANT_DOMAIN, (str){ json_string_value(name), json_string_length(name) }, &l->arena, &g, e);
    return err ? err : pki_names_add(&l->names, &g, &l->arena, e);
}

/* The domains are core's word for once: there is no other, and the command shows what it wrote. */
static int make(struct ca_list *l, const json_t *domains, struct error *e)
{
    json_t *v;
    size_t i;
    int err = ca_names_old(buf_str(&l->ca_pem), &l->arena, &l->names, e);
    if (err)
        return err;
    /* Not the domain that the CA is named for, unless it is still ours. */
    if (l->names.n && l->names.list[0].kind == PKI_GRANT_DOMAIN)
        l->names = (struct pki_names){ l->names.list + 1, l->names.n - 1 };
    json_array_foreach(json_object_get(domains, "domains"), i, v) err = err ? err : add_domain(l, v, e);
    json_array_foreach(json_object_get(domains, "aliases"), i, v) err = err ? err : add_domain(l, json_object_get(v, "alias"), e);
    return err;
}

static int read_file(struct ca_list *l, struct error *e)
{
    struct buf b = BUF_INIT(PKI_NAMES_FILE_MAX);
    int err = beneath_read(l->dir, PKI_NAMES_FILE, &b, e);
    if (err == 0 && (err = pki_names_parse(buf_str(&b), &l->arena, &l->names, e)))
        (void)error_prefix(e, "%s/" PKI_NAMES_FILE, l->cli->dir);
    buf_done(&b);
    return err;
}

int ca_list_read(struct ca_list *l)
{
    struct error e = ERROR_NONE;
    json_t *domains = NULL;
    int status = l->there ? 0 : ca_list_domains(l->cli, &domains);
    if (status)
        return status;
    int err = l->there ? read_file(l, &e) : make(l, domains, &e);
    json_decref(domains);
    return err ? cli_fail_files(l->cli, &e) : 0;
}

int ca_list_write(struct ca_list *l)
{
    struct error e = ERROR_NONE;
    struct stat st;
    struct buf b = BUF_INIT(PKI_NAMES_FILE_MAX);
    struct beneath_rights rights = BENEATH_MODE(0600);
    pki_names_write(&l->names, &b);
    if (geteuid() == 0 && (beneath_look(l->dir, "keys/ca.key", &st, NULL) == 0 || beneath_look(l->dir, "keys", &st, NULL) == 0))
        rights = (struct beneath_rights){ S_ISREG(st.st_mode) ? st.st_mode & 0640 : 0600, st.st_uid, st.st_gid };
    int err = buf_error(&b) ? error_set(&e, ERR_LIMIT, "the CA has too many names for its list")
                            : beneath_write(l->dir, PKI_NAMES_FILE, buf_str(&b), rights, true, &e);
    buf_done(&b);
    l->there = l->there || err == 0;
    return err ? cli_fail_files(l->cli, &e) : 0;
}

const char *ca_list_key_missing(const struct cli *c)
{
    struct stat st;
    int top = beneath_start(c->dir, NULL);
    bool missing = top >= 0 && beneath_exists(top, "ca.pem") && beneath_look(top, "keys", &st, NULL) == 0 &&
                   beneath_look(top, "keys/ca.key", &st, NULL) == ERR_NOTFOUND;
    if (top >= 0)
        (void)close(top);
    return missing ? "the CA's key, keys/ca.key, is not there: mail works, but no certificate is issued or renewed until you "
                     "bring it "
                     "from your safe (as root, `valise upgrade --owners' then lets keeper read it)"
                   : NULL;
}

/* --- comparing --- */

static bool has_name(const json_t *domains, str name)
{
    json_t *v;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(domains, "domains"), i, v) found = found || str_eq(str_from_z(json_string_value(v)), name);
    json_array_foreach(json_object_get(domains, "aliases"), i, v) found =
        found || str_eq(str_from_z(json_string_value(json_object_get(v, "alias"))), name);
    return found;
}

/* Core says what the domains are, and the reader is root with a command line: what is no domain is shown as one that cannot be pasted. */
static json_t *note_of_no_domain(const char *where, str name)
{
    char shown[SHOWN_MAX + 1];
    size_t n = name.n < SHOWN_MAX ? name.n : SHOWN_MAX;
    for (size_t i = 0; i < n; i++)
        shown[i] = ascii_is_alnum(name.p[i]) || name.p[i] == '.' || name.p[i] == '-' ? name.p[i] : '?';
    shown[n] = 0;
    return json_sprintf("%s has a domain whose name is none (%s%s); the CA does not issue for it", where, shown,
                        name.n > n ? "..." : "");
}

static void note_missing(const struct ca_list *l, const json_t *name, json_t *notes)
{
    const struct pki_grant g = { .kind = PKI_GRANT_DOMAIN, .name = { json_string_value(name), json_string_length(name) } };
    if (pki_names_have(&l->names, &g))
        return;
    json_array_append_new(notes,
                          config_is_hostname(g.name)
                              ? json_sprintf(PKI_NAMES_FILE " lacks the domain %.*s, so the CA does not issue for it; if "
                                                            "this domain is yours: `valise ca allow --domain %.*s' as root",
                                             STR_ARG(g.name), STR_ARG(g.name))
                              : note_of_no_domain("the store", g.name));
}

/* G is in the list, and core does not name it. */
static void note_foreign(const struct pki_grant *g, json_t *notes)
{
    json_array_append_new(notes,
                          config_is_hostname(g->name)
                              ? json_sprintf(PKI_NAMES_FILE " has the domain %.*s, which the server does not have; if this "
                                                            "domain is not yours: `valise ca deny %.*s' as root",
                                             STR_ARG(g->name), STR_ARG(g->name))
                              : note_of_no_domain(PKI_NAMES_FILE, g->name));
}

void ca_list_compare(struct ca_list *l, const json_t *domains, json_t *notes)
{
    struct error e = ERROR_NONE;
    json_t *v;
    size_t i;
    if (l->dir < 0 || !l->ours)
        return;
    if (!l->there) {
        json_array_append_new(notes, json_string("there is no " PKI_NAMES_FILE
                                                 " yet, so the CA issues for its first domain only: `valise "
                                                 "upgrade' as root makes it"));
        return;
    }
    if (read_file(l, &e)) {
        json_array_append_new(notes, json_string(e.text));
        return;
    }
    json_array_foreach(json_object_get(domains, "domains"), i, v) note_missing(l, v, notes);
    json_array_foreach(json_object_get(domains, "aliases"), i, v) note_missing(l, json_object_get(v, "alias"), notes);
    for (i = 0; i < l->names.n; i++)
        if (l->names.list[i].kind == PKI_GRANT_DOMAIN && !has_name(domains, l->names.list[i].name))
            note_foreign(&l->names.list[i], notes);
}
