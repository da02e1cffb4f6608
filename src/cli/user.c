/* user: valise user add|passwd|remove|enable|disable|list. */
#include "base/buf.h"
#include "cli/cli.h"

static int with_password(struct cli *c, const char *command, const char *done)
{
    struct buf password;
    int status = cli_password(c, &password);
    if (status == 0) {
        json_t *secret = json_stringn(password.p, password.n);
        if (!secret)
            status = cli_fail(ERR_SYNTAX, "the password is not valid UTF-8");
        else
            status = cli_call_and_say(c, json_pack("{s:s,s:s,s:o}", "command", command, "address", c->words[0], "password", secret), "%s %s\n",
                                      c->words[0], done);
    }
    buf_done(&password);
    return status;
}

static int simple(struct cli *c, const char *command, const char *what)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s}", "command", command, "address", c->words[0]), "%s is %s\n", c->words[0], what);
}

int cmd_user_add(struct cli *c)
{
    return with_password(c, "user.add", "is added");
}

int cmd_user_passwd(struct cli *c)
{
    return with_password(c, "user.passwd", "has a new password");
}

int cmd_user_remove(struct cli *c)
{
    return simple(c, "user.remove", "removed, mail included");
}

int cmd_user_enable(struct cli *c)
{
    return simple(c, "user.enable", "enabled");
}

int cmd_user_disable(struct cli *c)
{
    return simple(c, "user.disable", "disabled");
}

int cmd_user_list(struct cli *c)
{
    json_t *reply, *user;
    size_t i;
    const char *domain = cli_value(c, "domain");
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "user.list", "domain", domain ? domain : ""), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "users"), i, user)(void)
            printf("%-40s %10lld messages %14lld bytes%s\n", json_string_value(json_object_get(user, "address")),
                   (long long)json_integer_value(json_object_get(user, "messages")),
                   (long long)json_integer_value(json_object_get(user, "bytes")),
                   json_is_true(json_object_get(user, "enabled")) ? "" : "  disabled");
    json_decref(reply);
    return 0;
}
