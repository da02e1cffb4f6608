/* admin_bulk: many users, many members of a group. See admin.h.
 *
 * The command line sends a file some lines at a time, twice: first to be checked, then to be done. A mistake in any line is found before anything is
 * made; what goes wrong after that (a full disk, somebody else's change) ends the work, and the answer says at which line. Who is there already is
 * passed over where that was asked for, so that the same file can be given again. */
#include "role/admin_private.h"

struct bulk {
    struct admin *admin;
    bool check, skips;
    json_t *done, *there, *errors;
};

static struct bulk bulk_of(struct admin *a, const json_t *request)
{
    return (struct bulk){ a,
                          json_is_true(json_object_get(request, "check")),
                          json_is_true(json_object_get(request, "skip-existing")),
                          json_array(),
                          json_array(),
                          json_array() };
}

static json_t *answer(const struct bulk *b)
{
    return json_pack("{s:b,s:o,s:o,s:o}", "ok", 1, "done", b->done, "there", b->there, "errors", b->errors);
}

static void note(struct bulk *b, const json_t *line, const char *text)
{
    json_array_append_new(
        b->errors, json_pack("{s:I,s:s}", "line", (json_int_t)json_integer_value(json_object_get(line, "line")), "text", text));
}

/* Each of LIST by ONE; to the end when they are only checked, else up to the first that fails. */
static void each(struct bulk *b, const json_t *list, int (*one)(struct bulk *b, const json_t *line, void *ctx, struct error *e),
                 void *ctx)
{
    size_t i;
    json_t *line;
    json_array_foreach(list, i, line)
    {
        struct error e = ERROR_NONE;
        int err = one(b, line, ctx, &e);
        if (err)
            note(b, line, e.text[0] ? e.text : err_name(err));
        if (err && !b->check)
            return;
    }
}

/* --- users --- */

/* Who is in the group already is in it. */
static int put_into_groups(struct bulk *b, const json_t *line, str address, struct error *e)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(line, "groups"), i, v)
    {
        str group = { json_is_string(v) ? json_string_value(v) : "", json_string_length(v) };
        int err = b->check ? directory_group_ask(b->admin->directory, group, STR(""), e)
                           : directory_group_member_add(b->admin->directory, group, address, e);
        if (err && err != ERR_EXISTS)
            return err;
    }
    if (b->check || i == 0)
        return 0;
    int err = admin_quota_apply(b->admin, address);
    return err ? error_set(e, err, "the quota of its groups cannot be put into the store (%s)", err_name(err)) : 0;
}

/* What all lines of a request have in common. */
struct all_users {
    enum directory_role role;
    const json_t *welcome;
};

static int one_user(struct bulk *b, const json_t *line, void *ctx, struct error *e)
{
    engine_part id;
    const struct all_users *all = ctx;
    struct directory_new_account n = { .address = admin_text(line, "address"),
                                       .name = admin_text(line, "name"),
                                       .password = admin_text(line, "password"),
                                       .role = all->role,
                                       .is_question = b->check };
    int err = n.address.n == 0 ? error_set(e, ERR_SYNTAX, "the address is missing")
              : !n.password.n && n.role != DIRECTORY_PROGRAM
                  ? error_set(e, ERR_SYNTAX, "the password is missing; --generate makes one where there is none")
                  : admin_language(line, &n.language, e);
    if (err == 0)
        err =
            b->check ? directory_account_make(b->admin->directory, &n, &id, e) : admin_add_account(b->admin, &n, all->welcome, e);
    bool there = err == ERR_EXISTS && b->skips;
    if (err == 0)
        err = put_into_groups(b, line, n.address, e);
    if (err == 0 || there)
        json_array_append_new(there ? b->there : b->done, admin_json_text(n.address));
    return there ? 0 : err;
}

json_t *admin_users_add(struct admin *a, const json_t *request)
{
    str name = admin_text(request, "role");
    struct all_users all = { name.n ? directory_role_from_name(name) : DIRECTORY_USER, json_object_get(request, "welcome") };
    if (all.role == DIRECTORY_ROLE_N)
        return admin_error(ERR_SYNTAX, "a role is user, admin or program");
    struct bulk b = bulk_of(a, request);
    admin_apply_policy(a);
    each(&b, json_object_get(request, "users"), one_user, &all);
    return answer(&b);
}

/* --- members --- */

static int add_one(struct admin *a, const json_t *request, struct error *e)
{
    return directory_group_member_add(a->directory, admin_text(request, "group"), admin_text(request, "member"), e);
}

/* A group in a group may change what counts for many. */
static int add_member(struct admin *a, str group, str member, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct directory_account account;
    bool person = directory_find_account(a->directory, member, &arena, &account) == 0;
    json_t *order = json_pack("{s:o,s:o}", "group", admin_json_text(group), "member", admin_json_text(member));
    int err = person ? add_one(a, order, e) : admin_with_quotas(a, add_one, order, e);
    if (err == 0 && person && (err = admin_quota_apply(a, member)))
        (void)error_set(e, err, "the quota of the group cannot be put into the store (%s)", err_name(err));
    json_decref(order);
    arena_done(&arena);
    return err;
}

static int one_member(struct bulk *b, const json_t *line, void *ctx, struct error *e)
{
    str group = *(const str *)ctx, member = admin_text(line, "address");
    int err = member.n == 0 ? error_set(e, ERR_SYNTAX, "the address is missing")
              : b->check    ? directory_group_ask(b->admin->directory, group, member, e)
                            : add_member(b->admin, group, member, e);
    bool there = err == ERR_EXISTS;
    if (err == 0 || there)
        json_array_append_new(there ? b->there : b->done, admin_json_text(member));
    return there ? 0 : err;
}

json_t *admin_members_add(struct admin *a, const json_t *request)
{
    struct bulk b = bulk_of(a, request);
    str group = admin_text(request, "group");
    each(&b, json_object_get(request, "members"), one_member, &group);
    return answer(&b);
}
