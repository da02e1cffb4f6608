/* history: valise user history. */
#include "base/count.h"
#include "cli/cli.h"
#include "cli/when.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z && z[0] ? z : "-";
}

static void print_login(const json_t *l)
{
    char last[WHEN_MAX], first[WHEN_MAX];
    long long count = (long long)json_integer_value(json_object_get(l, "count"));
    const char *app = json_string_value(json_object_get(l, "app-password"));
    (void)printf("%s  %-11s %-39s %-10s %-18s %-7s", when_text((long long)json_integer_value(json_object_get(l, "last")), last),
                 text_of(l, "result"), text_of(l, "peer"), text_of(l, "service"), text_of(l, "mechanism"), text_of(l, "tls"));
    if (app && app[0])
        (void)printf("  with %s", app);
    if (count > 1)
        (void)printf("  %s since %s", COUNT(count, "time", "times"),
                     when_text((long long)json_integer_value(json_object_get(l, "first")), first));
    (void)printf("\n");
}

int cmd_user_history(struct cli *c)
{
    json_t *reply, *l;
    size_t i;
    long long since = 0;
    const char *text = cli_value(c, "since");
    if (text && when_parse(text, &since))
        return cli_usage(
            c, "user history: '%s' is no time; write 2026-11-23, \"2026-11-23 14:05\", or 12h or 7d for that long ago", text);
    int status = cli_call(c,
                          json_pack("{s:s,s:s,s:I,s:b}", "command", "user.history", "address", c->words[0], "since",
                                    (json_int_t)since, "failed", (int)(cli_value(c, "failed") != NULL)),
                          &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "logins"), i, l) print_login(l);
    json_decref(reply);
    return 0;
}
