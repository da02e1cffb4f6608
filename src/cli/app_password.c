/* app_password: valise user app-password add|remove|list. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/when.h"

static json_t *request(const struct cli *c, const char *command)
{
    return json_pack("{s:s,s:s,s:s}", "command", command, "address", c->words[0], "name", c->word_n > 1 ? c->words[1] : "");
}

int cmd_app_password_add(struct cli *c)
{
    json_t *reply;
    int status = cli_call(c, request(c, "user.app-password.add"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%s\n", cli_string(json_object_get(reply, "password")));
    json_decref(reply);
    return 0;
}

int cmd_app_password_remove(struct cli *c)
{
    return cli_call_and_say(c, request(c, "user.app-password.remove"), "%s of %s is removed\n", c->words[1], c->words[0]);
}

int cmd_app_password_list(struct cli *c)
{
    json_t *reply, *p;
    size_t i;
    char made[WHEN_MAX], used[WHEN_MAX];
    int status = cli_call(c, request(c, "user.app-password.list"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "app-passwords"), i, p)(void)
            printf("%-*s made %s  used %s\n", columns_pad(cli_string(json_object_get(p, "name")), 40),
                   cli_string(json_object_get(p, "name")), when_text(json_integer_value(json_object_get(p, "created")), made),
                   when_text(json_integer_value(json_object_get(p, "used")), used));
    json_decref(reply);
    return 0;
}
