/* filling: see filling.h. */
#include "cli/filling.h"

#include "base/count.h"
#include "cli/quota.h"

static int ask(struct port *port, const char *address, json_t **ret, struct error *e)
{
    json_t *request = json_pack("{s:s,s:s}", "command", "bulk.open", "address", address);
    int err = bulk_call(&port->client, request, (str){ NULL, 0 }, ret, NULL, e);
    if (err)
        *ret = NULL;
    return err;
}

int filling_open(struct port *port, const char *address, bool its_own, json_t **ret, struct error *e)
{
    int err = ask(port, address, ret, e);
    if (err || its_own || strcmp(cli_string(json_object_get(*ret, "role")), "program") != 0)
        return err;
    json_decref(*ret);
    *ret = NULL;
    return error_set(
        e, ERR_REFUSED,
        "%s is a program, which reads no mail: nobody would find it; name a user, or make this one by `valise user role "
        "%s user'",
        address, address);
}

static long long messages_of(const json_t *opened)
{
    const json_t *box;
    size_t i;
    long long n = 0;
    json_array_foreach(json_object_get(opened, "mailboxes"), i, box) n +=
        (long long)json_integer_value(json_object_get(box, "messages"));
    return n;
}

void filling_explain(struct port *port, const char *address, const json_t *opened, struct error *e)
{
    char limit[QUOTA_TEXT_MAX];
    json_t *now;
    str said = str_from_z(e->text);
    if (e->code != ERR_REFUSED || !opened || str_find(said, STR(MAIL_QUOTA_IS_USED_UP)) == said.n)
        return;
    if (ask(port, address, &now, NULL)) {
        (void)error_set(
            e, ERR_REFUSED,
            "the quota of %s is used up; raise it by `valise user quota %s', and run this again: it goes on from there", address,
            address);
        return;
    }
    long long added = messages_of(now) - messages_of(opened);
    (void)error_set(e, ERR_REFUSED,
                    "the quota of %s, %s, is used up; %s came in; raise it by `valise user quota %s', and run this again: "
                    "it goes on from there",
                    address, quota_text(json_object_get(now, "quota"), limit),
                    COUNT(added > 0 ? added : 0, "message", "messages"), address);
    json_decref(now);
}
