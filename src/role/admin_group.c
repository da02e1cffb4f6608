/* admin_group: what an administrator can ask about groups. */
#include "role/admin_private.h"

/* Who may write to the group, as REQUEST says; anyone when it says nothing. */
static int get_senders(const json_t *request, enum directory_senders *ret, struct error *e)
{
    str name = admin_text(request, "senders");
    *ret = name.n ? directory_senders_from_name(name) : DIRECTORY_SENDERS_ANYONE;
    return *ret < DIRECTORY_SENDERS_N
               ? 0
               : error_set(e, ERR_SYNTAX, "who may write is anyone, members or domain, not '%.*s'", STR_ARG(name));
}

json_t *admin_group_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    enum directory_senders senders;
    int err = get_senders(request, &senders, &e);
    if (err == 0)
        err = directory_group_add(a->directory, admin_text(request, "group"), senders, &e);
    return admin_done(err, &e);
}

json_t *admin_group_senders(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    enum directory_senders senders;
    int err = get_senders(request, &senders, &e);
    if (err == 0)
        err = directory_group_senders(a->directory, admin_text(request, "group"), senders, &e);
    return admin_done(err, &e);
}

static int remove_group(struct admin *a, const json_t *request, struct error *e)
{
    return directory_group_remove(a->directory, admin_text(request, "group"), admin_with_references(request), e);
}

json_t *admin_group_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, remove_group, request, &e);
    return admin_done(err, &e);
}

/* Each of "members", up to the first that fails. */
static int change_members(struct admin *a, const json_t *request, bool remove, struct error *e)
{
    str group = admin_text(request, "group");
    size_t i;
    json_t *v;
    int err = 0;
    json_array_foreach(json_object_get(request, "members"), i, v)
    {
        str member = { json_is_string(v) ? json_string_value(v) : "", json_string_length(v) };
        err = member.n == 0 ? error_set(e, ERR_SYNTAX, "a member has a name")
              : remove      ? directory_group_member_remove(a->directory, group, member, e)
                            : directory_group_member_add(a->directory, group, member, e);
        if (err)
            return err;
    }
    return 0;
}

static int add_members(struct admin *a, const json_t *request, struct error *e)
{
    return change_members(a, request, false, e);
}

static int remove_members(struct admin *a, const json_t *request, struct error *e)
{
    return change_members(a, request, true, e);
}

json_t *admin_group_member_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, add_members, request, &e);
    return admin_done(err, &e);
}

json_t *admin_group_member_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = admin_with_quotas(a, remove_members, request, &e);
    return admin_done(err, &e);
}

static int list_group(void *ctx, const struct directory_group *g)
{
    json_t *members = json_array();
    for (size_t i = 0; i < g->member_n; i++)
        json_array_append_new(members, admin_json_text(g->members[i]));
    json_t *v = json_pack("{s:o,s:s,s:o}", "group", admin_json_text(g->name), "senders", directory_senders_name(g->senders),
                          "members", members);
    if (g->has_quota)
        json_object_set_new(v, "quota", admin_json_quota(&g->quota));
    return json_array_append_new(ctx, v);
}

json_t *admin_group_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_groups(a->directory, admin_text(request, "domain"), list_group, list);
    if (err) {
        json_decref(list);
        return admin_error(err, admin_no_listing(err, "the groups cannot be listed"));
    }
    return json_pack("{s:b,s:o}", "ok", 1, "groups", list);
}
