/* session: valise session list|end. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/when.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z && z[0] ? z : "-";
}

static void print_session(const json_t *s)
{
    char when[WHEN_MAX];
    (void)printf("%-26s %-10s %-*s %-*s %-39s %-19s %s\n", text_of(s, "id"), text_of(s, "protocol"),
                 columns_pad(text_of(s, "listener"), 14), text_of(s, "listener"), columns_pad(text_of(s, "address"), 36),
                 text_of(s, "address"), text_of(s, "peer"), when_text(json_integer_value(json_object_get(s, "since")), when),
                 text_of(s, "how"));
}

int cmd_session_list(struct cli *c)
{
    json_t *reply, *s;
    size_t i;
    const char *user = cli_value(c, "user");
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "session.list", "address", user ? user : ""), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else if (json_array_size(json_object_get(reply, "sessions")) == 0)
        (void)puts("nobody is logged in");
    else
        (void)printf("%-26s %-10s %-14s %-36s %-39s %-19s %s\n", "id", "protocol", "listener", "user", "from", "since", "how");
    if (!c->json)
        json_array_foreach(json_object_get(reply, "sessions"), i, s) print_session(s);
    json_decref(reply);
    return 0;
}

int cmd_session_end(struct cli *c)
{
    json_t *reply;
    const char *user = cli_value(c, "user");
    if ((user != NULL) == (c->word_n > 0))
        return cli_usage(c, "session end: give the id of a session, as session list shows it, or --user ADDRESS");
    int status = cli_call(
        c, json_pack("{s:s,s:s,s:s}", "command", "session.end", "id", user ? "" : c->words[0], "address", user ? user : ""),
        &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%lld ended\n", (long long)json_integer_value(json_object_get(reply, "ended")));
    json_decref(reply);
    return 0;
}
