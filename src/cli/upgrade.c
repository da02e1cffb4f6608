/* upgrade: valise upgrade. A store of an older program is brought to the present format at the next start by itself; here that can be looked at before,
 * and done without a server. */
#include "cli/cli.h"

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

int cmd_upgrade(struct cli *c)
{
    json_t *reply;
    bool dry = cli_value(c, "dry-run") != NULL;
    int status = cli_call(c, json_pack("{s:s,s:b}", "command", "upgrade", "dry-run", (int)dry), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        print_plan(reply, dry);
    json_decref(reply);
    return 0;
}
