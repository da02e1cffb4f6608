/* domain: valise domain add|remove|list. */
#include "cli/cli.h"

int cmd_domain_add(struct cli *c)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s}", "command", "domain.add", "domain", c->words[0]),
                            "%s is a domain of ours now\n", c->words[0]);
}

int cmd_domain_remove(struct cli *c)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s}", "command", "domain.remove", "domain", c->words[0]), "%s is removed\n",
                            c->words[0]);
}

int cmd_domain_list(struct cli *c)
{
    json_t *reply, *domain;
    size_t i;
    int status = cli_call(c, json_pack("{s:s}", "command", "domain.list"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "domains"), i, domain)(void) puts(json_string_value(domain));
    json_decref(reply);
    return 0;
}
