/* quota: valise user quota, domain quota, group quota. */
#include "cli/quota.h"

#include "base/amount.h"
#include "base/count.h"

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

const char *quota_size_text(long long bytes, char text[QUOTA_TEXT_MAX])
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    double v = (double)bytes;
    for (; v >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        v /= 1024;
    (void)snprintf(text, QUOTA_TEXT_MAX, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
    return text;
}

const char *quota_text(const json_t *quota, char text[QUOTA_TEXT_MAX])
{
    long long bytes = number_of(quota, "bytes"), messages = number_of(quota, "messages");
    char size[QUOTA_TEXT_MAX];
    if (bytes && messages)
        (void)snprintf(text, QUOTA_TEXT_MAX, "%s, %s", quota_size_text(bytes, size), COUNT(messages, "message", "messages"));
    else if (bytes)
        (void)quota_size_text(bytes, text);
    else if (messages)
        (void)snprintf(text, QUOTA_TEXT_MAX, "%s", COUNT(messages, "message", "messages"));
    else
        (void)snprintf(text, QUOTA_TEXT_MAX, "none");
    return text;
}

/* Adds to REQUEST what the options say; *RET_NOTHING: they say nothing. 0, or an exit status after a message. */
static int take_options(const struct cli *c, json_t *request, bool *ret_nothing)
{
    const char *storage = cli_value(c, "storage");
    uint64_t bytes = 0, messages = 0;
    bool counted = cli_value(c, "messages") != NULL, none = cli_value(c, "none") != NULL;
    bool inherited = cli_value(c, "default") != NULL;
    if ((storage || counted) + none + inherited > 1)
        return cli_usage(c, "%s: limits, --none and --default exclude each other", c->command->name);
    if (storage && (!amount_bytes(str_from_z(storage), 1ULL << 60, &bytes) || !bytes))
        return cli_usage(c, "%s: '%s' is no size; write " AMOUNT_SIZE_FORMS, c->command->name, storage);
    int status = counted && strcmp(cli_value(c, "messages"), "0") == 0
                     ? cli_usage(c, "%s: at least one message; --none for no limit", c->command->name)
                     : cli_number(c, "messages", 1, 1ULL << 40, &messages);
    if (status)
        return status;
    if (storage)
        json_object_set_new(request, "storage", json_integer((json_int_t)bytes));
    if (counted)
        json_object_set_new(request, "messages", json_integer((json_int_t)messages));
    if (none)
        json_object_set_new(request, "none", json_true());
    if (inherited)
        json_object_set_new(request, "default", json_true());
    *ret_nothing = !storage && !counted && !none && !inherited;
    return 0;
}

/* Sends COMMAND about c->words[0], which is its MEMBER. */
static int run(struct cli *c, const char *command, const char *member, bool may_show, json_t **ret)
{
    json_t *request = json_pack("{s:s,s:s}", "command", command, member, c->words[0]);
    bool nothing = false;
    int status = take_options(c, request, &nothing);
    if (status == 0 && nothing && !may_show)
        status = cli_usage(c, "%s: give --storage, --messages or --none", c->command->name);
    if (status) {
        json_decref(request);
        return status;
    }
    return cli_call(c, request, ret);
}

int cmd_user_quota(struct cli *c)
{
    json_t *reply;
    char used[QUOTA_TEXT_MAX], limit[QUOTA_TEXT_MAX];
    int status = run(c, "user.quota", "address", true, &reply);
    if (status)
        return status;
    const json_t *kept = json_object_get(reply, "used");
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("%s keeps %s in %s; quota: %s\n", c->words[0], quota_size_text(number_of(kept, "bytes"), used),
                     COUNT(number_of(kept, "messages"), "message", "messages"),
                     quota_text(json_object_get(reply, "quota"), limit));
    json_decref(reply);
    return 0;
}

static int set(struct cli *c, const char *command, const char *member)
{
    json_t *reply;
    int status = run(c, command, member, false, &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        (void)printf("the quota of %s is set\n", c->words[0]);
    json_decref(reply);
    return 0;
}

int cmd_domain_quota(struct cli *c)
{
    return set(c, "domain.quota", "domain");
}

int cmd_group_quota(struct cli *c)
{
    return set(c, "group.quota", "group");
}
