/* metrics: valise metrics. The text that Prometheus and its kin read (role/metrics.h); a textfile collector takes it. */
#include "cli/cli.h"

int cmd_metrics(struct cli *c)
{
    json_t *reply;
    int status = cli_call_server(c, json_pack("{s:s}", "command", "metrics"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)fputs(cli_string(json_object_get(reply, "text")), stdout);
    json_decref(reply);
    return 0;
}
