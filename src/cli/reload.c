/* reload: valise reload. A refused configuration is exit status 78. */
#include <sysexits.h>

#include "cli/cli.h"

int cmd_reload(struct cli *c)
{
    int status = cli_call_and_say(c, json_pack("{s:s}", "command", "reload"), "reloaded\n");
    return status == EX_DATAERR || status == EX_NOUSER || status == EX_NOPERM ? EX_CONFIG : status;
}
