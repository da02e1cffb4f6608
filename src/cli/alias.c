/* alias: valise alias add|remove|list. */
#include "base/count.h"
#include "cli/cli.h"

int cmd_alias_add(struct cli *c)
{
    json_t *targets = json_array();
    for (size_t i = 1; i < c->word_n; i++)
        json_array_append_new(targets, json_string(c->words[i]));
    return cli_call_and_say(c, json_pack("{s:s,s:s,s:o}", "command", "alias.add", "address", c->words[0], "targets", targets),
                            "%s leads to %s\n", c->words[0], COUNT(c->word_n - 1, "address", "addresses"));
}

int cmd_alias_remove(struct cli *c)
{
    return cli_call_and_say(c,
                            json_pack("{s:s,s:s,s:b}", "command", "alias.remove", "address", c->words[0], "with-references",
                                      cli_value(c, "with-references") != NULL),
                            "%s is removed\n", c->words[0]);
}

int cmd_alias_list(struct cli *c)
{
    json_t *reply, *alias, *target;
    size_t i, k;
    const char *domain = cli_value(c, "domain");
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "alias.list", "domain", domain ? domain : ""), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "aliases"), i, alias)
        {
            (void)printf("%s ->", cli_string(json_object_get(alias, "address")));
            json_array_foreach(json_object_get(alias, "targets"), k, target)(void) printf(" %s", cli_string(target));
            (void)printf("\n");
        }
    json_decref(reply);
    return 0;
}
