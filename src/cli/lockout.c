/* lockout: valise lockout list|lift. */
#include <time.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/when.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z && z[0] ? z : "-";
}

static void print_lockout(const json_t *l)
{
    char when[WHEN_MAX];
    long long until = (long long)json_integer_value(json_object_get(l, "locked-until"));
    (void)printf("%-43s %-*s ", text_of(l, "network"), columns_pad(text_of(l, "login"), 36), text_of(l, "login"));
    if (until)
        (void)printf("locked out until %s\n", when_text(until, when));
    else
        (void)printf("%lld failures, answers wait %.1f s\n", (long long)json_integer_value(json_object_get(l, "failures")),
                     (double)json_integer_value(json_object_get(l, "delay-ms")) / 1000);
}

int cmd_lockout_list(struct cli *c)
{
    json_t *reply, *l;
    size_t i;
    int status = cli_call(c, json_pack("{s:s}", "command", "lockout.list"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else if (json_array_size(json_object_get(reply, "lockouts")) == 0)
        (void)puts("nobody is locked out or delayed");
    else
        (void)printf("%-43s %s\n", "network", "user");
    if (!c->json)
        json_array_foreach(json_object_get(reply, "lockouts"), i, l) print_lockout(l);
    json_decref(reply);
    return 0;
}

int cmd_lockout_lift(struct cli *c)
{
    bool all = cli_value(c, "all") != NULL;
    json_t *reply;
    if (all == (c->word_n > 0))
        return cli_usage(c, "lockout lift: name a user or a network, or give --all");
    int status = cli_call(
        c, json_pack("{s:s,s:s,s:b}", "command", "lockout.lift", "what", all ? "" : c->words[0], "all", (int)all), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%lld lifted\n", (long long)json_integer_value(json_object_get(reply, "lifted")));
    json_decref(reply);
    return 0;
}
