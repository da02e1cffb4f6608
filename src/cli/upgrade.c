/* upgrade: valise upgrade. A store of an older program is brought to the present format at the next start by itself; here that can be looked at before,
 * and done without a server. */
#include <unistd.h>

#include "cli/ca_list.h"
#include "cli/owned.h"

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static void print_plan(const json_t *plan, bool dry)
{
    const json_t *step;
    size_t i;
    (void)printf("valise.conf: version %lld, nothing to do\n", number_of(plan, "configuration"));
    if (json_array_size(json_object_get(plan, "steps")) == 0) {
        (void)printf("store: format %lld, nothing to do\n", number_of(plan, "from"));
        return;
    }
    (void)printf("store: format %lld, %s %lld\n", number_of(plan, "from"), dry ? "would become" : "became",
                 number_of(plan, "to"));
    json_array_foreach(json_object_get(plan, "steps"), i, step)(void)
        printf("  to %lld: %s\n        space needed: %lld KiB; %s\n", number_of(step, "to"),
               cli_string(json_object_get(step, "what")), number_of(step, "bytes") / 1024,
               json_is_true(json_object_get(step, "reversible")) ? "the former valise still reads it"
                                                                 : "no way back but a backup: `valise backup' before it");
}

/* The CAs of older valises have no list of names: it is made of the domains that there are. Not even looked at in a dry run, as a store is brought up by
 * whoever opens it for that. */
static int make_list(struct ca_list *l, bool dry, json_t *reply)
{
    if (l->dir < 0 || l->there || !l->ours)
        return 0;
    json_t *list = json_array();
    json_object_set_new(reply, "ca-domains", list);
    int status = dry ? 0 : ca_list_read(l);
    for (size_t i = 0; i < l->names.n; i++)
        if (l->names.list[i].kind == PKI_GRANT_DOMAIN)
            json_array_append_new(list, json_stringn(l->names.list[i].name.p, l->names.list[i].name.n));
    return status || dry ? status : ca_list_write(l);
}

static void print_list(const json_t *domains, bool dry)
{
    json_t *v;
    size_t i;
    if (!domains)
        return;
    if (dry) {
        (void)puts(PKI_NAMES_FILE ": would be made, so that the CA issues for the domains that there are and for nobody else");
        return;
    }
    (void)printf(PKI_NAMES_FILE ": made; the CA issues for this server");
    json_array_foreach(domains, i, v)(void) printf(", %s", json_string_value(v));
    (void)printf("\n");
}

static void print_owners(const json_t *list, bool dry)
{
    json_t *line;
    size_t i;
    if (json_array_size(list) == 0)
        (void)puts(geteuid() == 0 ? "owners and modes: nothing to do" : "owners and modes: left as they are, root sets them");
    json_array_foreach(list, i, line)(void) printf("%s %s\n", dry ? "would set" : "set", json_string_value(line));
}

int cmd_upgrade(struct cli *c)
{
    struct ca_list l;
    struct error e = ERROR_NONE;
    json_t *reply = NULL, *owners = json_array();
    bool dry = cli_value(c, "dry-run") != NULL, only = cli_value(c, "owners") != NULL;
    int status = ca_list_open(c, &l);
    if (status == 0 && only && geteuid() != 0)
        status = cli_fail(
            c, ERR_REFUSED,
            "owners are set by root: run this as root; in a directory of your own `valise check' names what chmod sets right");
    else if (status == 0 && geteuid() == 0 && owned_compare(c, !dry, only, owners, &e))
        status = cli_fail_files(c, &e);
    if (status == 0 && !only)
        status = cli_call_apart(c, json_pack("{s:s,s:b}", "command", "upgrade", "dry-run", (int)dry), &reply);
    if (status == 0 && !only)
        status = make_list(&l, dry, reply);
    if (status == 0 && only)
        reply = json_pack("{s:b}", "ok", 1);
    if (status == 0)
        json_object_set(reply, "owners", owners);
    if (status == 0 && c->json) {
        cli_print_json(reply);
    } else if (status == 0) {
        print_owners(owners, dry);
        if (!only)
            print_plan(reply, dry);
        print_list(json_object_get(reply, "ca-domains"), dry);
    }
    json_decref(owners);
    json_decref(reply);
    ca_list_close(&l);
    return status;
}
