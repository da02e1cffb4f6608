/* domain: valise domain add|remove|list|alias|catch-all. */
#include "cli/ca_list.h"
#include "cli/quota.h"
#include "directory/directory.h"

enum { DONE_MAX = 700 };

/* Says that the CA's certificate was made without this domain. */
static void note_scope(const struct ca_list *l, const struct pki_grant *g, json_t *notes)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_scope scope;
    if (l->dir >= 0 && pki_scope_read(buf_str(&l->ca_pem), &a, &scope, NULL) == 0 && !pki_scope_has(&scope, g))
        json_array_append_new(
            notes, json_sprintf("The CA's certificate does not speak for %.*s yet, so it issues none for it: `valise ca renew' "
                                "as root makes it anew, and then everybody who connects needs the new ca.pem.",
                                STR_ARG(g->name)));
    arena_done(&a);
}

/* The list of the CA's names follows DOMAIN, which the store has taken in (ADD) or given up. */
static int list_follows(struct ca_list *l, const char *domain, bool add, json_t *notes)
{
    struct error e = ERROR_NONE;
    struct pki_grant g;
    str name;
    int status = l->dir < 0 ? 0 : ca_list_read(l);
    if (status || l->dir < 0)
        return status;
    int err = directory_canonical_domain(str_from_z(domain), &l->arena, &name, &e);
    if (err == 0)
        err = pki_grant_read(PKI_GRANT_DOMAIN, name, &l->arena, &g, &e);
    if (err == 0 && add)
        err = pki_names_add(&l->names, &g, &l->arena, &e);
    if (err)
        return cli_fail(l->cli, err, e.text);
    if (add)
        note_scope(l, &g, notes);
    else
        pki_names_remove(&l->names, &g);
    return ca_list_write(l);
}

/* Has REQUEST (stolen) carried out, which takes in (ADD) or gives up the domain that is the first operand, and then changes the list of the CA's names
 * with the caller's own rights, since core must not write it. Says DONE. */
static int change_domain(struct cli *c, json_t *request, bool add, const char *done)
{
    struct ca_list l;
    json_t *reply = NULL, *notes = json_array(), *v;
    size_t i;
    int status = ca_list_open(c, &l);
    if (status == 0)
        status = ca_list_must_be_ours(&l);
    if (status == 0)
        status = cli_call_apart(c, json_incref(request), &reply);
    if (status == 0)
        status = list_follows(&l, c->words[0], add, notes);
    if (status == 0 && c->json) {
        json_object_set(reply, "notes", notes);
        cli_print_json(reply);
    } else if (status == 0) {
        (void)puts(done);
        json_array_foreach(notes, i, v)(void) puts(cli_string(v));
    }
    json_decref(request);
    json_decref(reply);
    json_decref(notes);
    ca_list_close(&l);
    return status;
}

int cmd_domain_add(struct cli *c)
{
    char done[DONE_MAX];
    (void)snprintf(done, sizeof done, "%s is a domain of ours now", c->words[0]);
    return change_domain(c, json_pack("{s:s,s:s}", "command", "domain.add", "domain", c->words[0]), true, done);
}

int cmd_domain_remove(struct cli *c)
{
    char done[DONE_MAX];
    (void)snprintf(done, sizeof done, "%s is removed", c->words[0]);
    return change_domain(c, json_pack("{s:s,s:s}", "command", "domain.remove", "domain", c->words[0]), false, done);
}

int cmd_domain_alias_add(struct cli *c)
{
    char done[DONE_MAX];
    (void)snprintf(done, sizeof done, "%.300s is another name of %.300s now", c->words[0], c->words[1]);
    return change_domain(
        c, json_pack("{s:s,s:s,s:s}", "command", "domain.alias.add", "alias", c->words[0], "domain", c->words[1]), true, done);
}

int cmd_domain_alias_remove(struct cli *c)
{
    char done[DONE_MAX];
    (void)snprintf(done, sizeof done, "%s is removed", c->words[0]);
    return change_domain(c, json_pack("{s:s,s:s}", "command", "domain.alias.remove", "alias", c->words[0]), false, done);
}

int cmd_domain_catch_all(struct cli *c)
{
    bool none = cli_value(c, "none") != NULL;
    if (none == (c->word_n > 1))
        return cli_usage(c, "domain catch-all: name who gets the mail, or give --none");
    json_t *request =
        json_pack("{s:s,s:s,s:s}", "command", "domain.catch-all", "domain", c->words[0], "address", none ? "" : c->words[1]);
    if (none)
        return cli_call_and_say(c, request, "mail for nobody in %s is refused\n", c->words[0]);
    return cli_call_and_say(c, request, "mail for nobody in %s goes to %s\n", c->words[0], c->words[1]);
}

static void print_domains(const json_t *reply)
{
    json_t *d, *alias;
    size_t i;
    char text[QUOTA_TEXT_MAX];
    json_array_foreach(json_object_get(reply, "details"), i, d)
    {
        const char *catch_all = json_string_value(json_object_get(d, "catch-all"));
        const json_t *quota = json_object_get(d, "quota");
        (void)printf("%s", cli_string(json_object_get(d, "domain")));
        if (catch_all)
            (void)printf("  catch-all %s", catch_all);
        if (quota)
            (void)printf("  quota %s", quota_text(quota, text));
        (void)printf("\n");
    }
    json_array_foreach(json_object_get(reply, "aliases"), i, alias)(void)
        printf("%s -> %s\n", cli_string(json_object_get(alias, "alias")), cli_string(json_object_get(alias, "domain")));
}

int cmd_domain_list(struct cli *c)
{
    json_t *reply;
    int status = cli_call(c, json_pack("{s:s}", "command", "domain.list"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        print_domains(reply);
    json_decref(reply);
    return 0;
}
