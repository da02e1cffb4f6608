/* domain: valise domain add|remove|list|alias|catch-all. */
#include "cli/quota.h"

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

int cmd_domain_alias_add(struct cli *c)
{
    return cli_call_and_say(
        c, json_pack("{s:s,s:s,s:s}", "command", "domain.alias.add", "alias", c->words[0], "domain", c->words[1]),
        "%s is another name of %s now\n", c->words[0], c->words[1]);
}

int cmd_domain_alias_remove(struct cli *c)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s}", "command", "domain.alias.remove", "alias", c->words[0]), "%s is removed\n",
                            c->words[0]);
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
