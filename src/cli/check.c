/* check: valise check. */
#include <sysexits.h>
#include <unistd.h>

#include "cli/ca_list.h"
#include "cli/owned.h"

/* Adds to REPLY's notes what only whoever reads the list of the CA's names can see. */
static void compare_list(const struct cli *c, json_t *reply)
{
    struct ca_list l;
    json_t *domains = NULL;
    if (ca_list_open(c, &l) == 0 && l.dir >= 0 && l.ours && ca_list_domains(c, &domains) == 0)
        ca_list_compare(&l, domains, json_object_get(reply, "notes"));
    json_decref(domains);
    ca_list_close(&l);
}

int cmd_check(struct cli *c)
{
    json_t *reply, *problem;
    size_t i;
    struct error e = ERROR_NONE;
    json_t *owners = json_array();
    /* First, because a command without a server goes into the directory. */
    int err = owned_compare(c, false, false, owners, &e);
    int status =
        err ? cli_fail_files(c, &e)
            : cli_call_apart(c, json_pack("{s:s,s:b}", "command", "check", "deep", cli_value(c, "deep") != NULL), &reply);
    bool misowned = json_array_size(owners) != 0;
    if (status) {
        json_decref(owners);
        return status;
    }
    compare_list(c, reply);
    json_t *list = json_object_get(reply, "list");
    json_object_set_new(
        reply, "problems",
        json_integer(json_integer_value(json_object_get(reply, "problems")) + (json_int_t)json_array_size(owners)));
    (void)json_array_extend(list, owners);
    json_decref(owners);
    json_int_t problems = json_integer_value(json_object_get(reply, "problems"));
    if (c->json) {
        cli_print_json(reply);
    } else {
        json_array_foreach(list, i, problem)(void) printf("%s\n", cli_string(problem));
        json_array_foreach(json_object_get(reply, "notes"), i, problem)(void) printf("note: %s\n", cli_string(problem));
        (void)printf("%lld accounts, %lld mailboxes, %lld messages, %lld emails, %lld blobs: %lld problems\n",
                     (long long)json_integer_value(json_object_get(reply, "accounts")),
                     (long long)json_integer_value(json_object_get(reply, "mailboxes")),
                     (long long)json_integer_value(json_object_get(reply, "entries")),
                     (long long)json_integer_value(json_object_get(reply, "emails")),
                     (long long)json_integer_value(json_object_get(reply, "blobs")), (long long)problems);
        if (misowned)
            (void)puts(geteuid() == 0 ? "`valise upgrade' sets owners and modes right."
                                      : "chown and chmod set owners and modes right.");
    }
    json_decref(reply);
    return problems ? EX_DATAERR : 0;
}
