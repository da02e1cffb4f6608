/* group: valise group add|remove|list|senders|member. */
#include "cli/bulk_file.h"
#include "cli/quota.h"

int cmd_group_add(struct cli *c)
{
    const char *from = cli_value(c, "from");
    return cli_call_and_say(
        c, json_pack("{s:s,s:s,s:s}", "command", "group.add", "group", c->words[0], "senders", from ? from : "anyone"),
        "the group %s is added; `valise group member add' puts users into it\n", c->words[0]);
}

int cmd_group_remove(struct cli *c)
{
    return cli_call_and_say(c,
                            json_pack("{s:s,s:s,s:b}", "command", "group.remove", "group", c->words[0], "with-references",
                                      cli_value(c, "with-references") != NULL),
                            "the group %s is removed; its members stay\n", c->words[0]);
}

int cmd_group_from(struct cli *c)
{
    return cli_call_and_say(c,
                            json_pack("{s:s,s:s,s:s}", "command", "group.senders", "group", c->words[0], "senders", c->words[1]),
                            "%s may be written to by: %s\n", c->words[0], c->words[1]);
}

static int members(struct cli *c, const char *command, const char *done)
{
    json_t *list = json_array();
    for (size_t i = 1; i < c->word_n; i++)
        json_array_append_new(list, json_string(c->words[i]));
    return cli_call_and_say(c, json_pack("{s:s,s:s,s:o}", "command", command, "group", c->words[0], "members", list),
                            "%zu %s %s\n", c->word_n - 1, done, c->words[0]);
}

int cmd_group_member_add(struct cli *c)
{
    bool many = cli_value(c, "from") != NULL;
    if (many != (c->word_n == 1))
        return cli_usage(c, "group member add: give MEMBERs, or --from FILE");
    if (many)
        return bulk_from_file(c, true);
    return members(c, "group.member.add", "added to");
}

int cmd_group_member_remove(struct cli *c)
{
    return members(c, "group.member.remove", "removed from");
}

int cmd_group_list(struct cli *c)
{
    json_t *reply, *group, *member;
    size_t i, k;
    char text[QUOTA_TEXT_MAX];
    const char *domain = cli_value(c, "domain");
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "group.list", "domain", domain ? domain : ""), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "groups"), i, group)
        {
            const json_t *quota = json_object_get(group, "quota");
            (void)printf("%s (from %s%s%s):", cli_string(json_object_get(group, "group")),
                         cli_string(json_object_get(group, "senders")), quota ? ", quota " : "",
                         quota ? quota_text(quota, text) : "");
            json_array_foreach(json_object_get(group, "members"), k, member)(void) printf(" %s", cli_string(member));
            (void)printf("\n");
        }
    json_decref(reply);
    return 0;
}
