/* check: valise check. */
#include <sysexits.h>

#include "cli/cli.h"

int cmd_check(struct cli *c)
{
    json_t *reply, *problem;
    size_t i;
    int status = cli_call(c, json_pack("{s:s,s:b}", "command", "check", "deep", cli_value(c, "deep") != NULL), &reply);
    if (status)
        return status;
    json_int_t problems = json_integer_value(json_object_get(reply, "problems"));
    if (c->json) {
        cli_print_json(reply);
    } else {
        json_array_foreach(json_object_get(reply, "list"), i, problem)(void) printf("%s\n", cli_string(problem));
        (void)printf("%lld accounts, %lld mailboxes, %lld messages, %lld emails, %lld blobs: %lld problems\n",
                     (long long)json_integer_value(json_object_get(reply, "accounts")),
                     (long long)json_integer_value(json_object_get(reply, "mailboxes")),
                     (long long)json_integer_value(json_object_get(reply, "entries")),
                     (long long)json_integer_value(json_object_get(reply, "emails")),
                     (long long)json_integer_value(json_object_get(reply, "blobs")), (long long)problems);
    }
    json_decref(reply);
    return problems ? EX_DATAERR : 0;
}
