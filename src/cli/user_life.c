/* user_life: valise user remove|undelete|rename, and user list --removed. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/revoked.h"
#include "cli/when.h"

enum { ANSWER_MAX = 16 };

/* Asks on a terminal. 0: yes; else an exit status. Without one nobody is asked: scripts know what they do. */
static int ask(const struct cli *c, const char *what)
{
    char answer[ANSWER_MAX] = "";
    if (!isatty(0) || cli_value(c, "yes"))
        return 0;
    (void)fprintf(stderr, "%s [y/N] ", what);
    (void)fflush(stderr);
    char *line = fgets(answer, sizeof answer, stdin);
    if (line && answer[0] && strchr("yYoO", answer[0])) /* "oui" is a yes too */
        return 0;
    return cli_fail(c, ERR_REFUSED, "nothing was changed");
}

int cmd_user_remove(struct cli *c)
{
    json_t *reply;
    char question[500], until[WHEN_MAX];
    bool now = cli_value(c, "now") != NULL, id = strchr(c->words[0], '@') == NULL;
    if (id && !now)
        return cli_usage(c, "user remove: %s is no address; with --now it may be the id of a removed user (user list --removed)",
                         c->words[0]);
    (void)snprintf(question, sizeof question,
                   now ? "Remove %s and erase all of the user's mail now, for good?"
                       : "Remove %s? Mail is kept for 14 days, and `valise user undelete' brings all back until then.",
                   c->words[0]);
    int status = ask(c, question);
    if (status == 0)
        status = cli_call_apart(c,
                                json_pack("{s:s,s:s,s:b,s:b}", "command", "user.remove", "address", c->words[0], "now", (int)now,
                                          "with-references", cli_value(c, "with-references") != NULL),
                                &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else if (now)
        (void)printf("%s is removed, mail and certificates included\n", c->words[0]);
    else
        (void)printf("%s is removed, and certificates are revoked; mail is kept until %s: `valise user undelete'\n", c->words[0],
                     when_text((long long)json_integer_value(json_object_get(reply, "erased-at")), until));
    json_decref(reply);
    revoked_keep(c);
    return 0;
}

int cmd_user_undelete(struct cli *c)
{
    json_t *reply;
    const char *as = cli_value(c, "as");
    int status = cli_call_apart(
        c, json_pack("{s:s,s:s,s:s}", "command", "user.undelete", "address", c->words[0], "as", as ? as : ""), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf(
            "%s is back, with mail, passwords and groups%s; aliases that went along and certificates are not\n",
            cli_string(json_object_get(reply, "address")),
            json_is_true(json_object_get(reply, "legacy-ended")) ? " (flag for DIGEST-MD5 with `valise user legacy' again)" : "");
    json_decref(reply);
    revoked_keep(c);
    return 0;
}

int cmd_user_rename(struct cli *c)
{
    json_t *reply;
    bool alias = cli_value(c, "alias") != NULL;
    int status = cli_call_apart(
        c,
        json_pack("{s:s,s:s,s:s,s:b}", "command", "user.rename", "address", c->words[0], "to", c->words[1], "alias", (int)alias),
        &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%s is %s now%s\n", c->words[0], c->words[1],
                     alias ? ", and an alias of it"
                           : "; certificates with the former address are revoked: `valise cert issue --user'");
    json_decref(reply);
    revoked_keep(c);
    return 0;
}

int user_list_removed(const struct cli *c)
{
    json_t *reply, *user;
    size_t i;
    char from[WHEN_MAX], until[WHEN_MAX];
    int status = cli_call(c, json_pack("{s:s}", "command", "user.removed"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "users"), i, user)(void)
            printf("%-40s %s  removed %s  erased %s  %10lld messages %14lld bytes\n",
                   cli_string(json_object_get(user, "address")), cli_string(json_object_get(user, "id")),
                   when_text((long long)json_integer_value(json_object_get(user, "removed-at")), from),
                   when_text((long long)json_integer_value(json_object_get(user, "erased-at")), until),
                   (long long)json_integer_value(json_object_get(user, "messages")),
                   (long long)json_integer_value(json_object_get(user, "bytes")));
    json_decref(reply);
    return 0;
}
