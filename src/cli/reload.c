/* reload: valise reload. A refused configuration is exit status 78. */
#include <sysexits.h>

#include "cli/owned.h"

int cmd_reload(struct cli *c)
{
    json_t *reply, *note;
    size_t i;
    struct error e = ERROR_NONE;
    int err = owned_look_for_users(c, &e);
    if (err)
        return cli_fail_with(c, EX_CONFIG, err, e.text);
    int status = cli_call_server(c, json_pack("{s:s}", "command", "reload"), &reply);
    if (status)
        return status == EX_DATAERR || status == EX_NOUSER || status == EX_NOPERM ? EX_CONFIG : status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)puts("reloaded");
    json_array_foreach(json_object_get(reply, "notes"), i, note)(void) fprintf(stderr, "note: %s\n", cli_string(note));
    json_decref(reply);
    return 0;
}
