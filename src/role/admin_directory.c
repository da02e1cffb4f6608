/* admin_directory: what an administrator can ask about domains, users and aliases. See admin.h; the table is in admin.c. */
#include "base/log.h"
#include "role/admin_private.h"
#include "role/certificates.h"
#include "role/notes.h"

#include "base/log.h"

enum { TARGETS_MAX = 100 };

/* --- domains --- */

json_t *admin_domain_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_add(a->directory, admin_text(request, "domain"), &e);
    return admin_done(err, &e);
}

json_t *admin_domain_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_remove(a->directory, admin_text(request, "domain"), &e);
    return admin_done(err, &e);
}

/* "domains" are the names, "details" what is set for each, other names of them in "aliases". */
struct domain_lists {
    json_t *names, *aliases, *details;
};

static int list_domain(void *ctx, const struct directory_domain *d)
{
    struct domain_lists *l = ctx;
    if (d->alias_of.n)
        return json_array_append_new(
            l->aliases, json_pack("{s:o,s:o}", "alias", admin_json_text(d->name), "domain", admin_json_text(d->alias_of)));
    json_t *v = json_pack("{s:o}", "domain", admin_json_text(d->name));
    if (d->catch_all.n)
        json_object_set_new(v, "catch-all", admin_json_text(d->catch_all));
    if (d->has_quota)
        json_object_set_new(v, "quota", admin_json_quota(&d->quota));
    json_array_append_new(l->details, v);
    return json_array_append_new(l->names, admin_json_text(d->name));
}

json_t *admin_domain_list(struct admin *a, const json_t *request)
{
    struct domain_lists l = { json_array(), json_array(), json_array() };
    int err = directory_domains(a->directory, list_domain, &l);
    json_t *v = json_pack("{s:b,s:o,s:o,s:o}", "ok", 1, "domains", l.names, "aliases", l.aliases, "details", l.details);
    if (err == 0)
        return v;
    json_decref(v);
    return admin_error(err, "the domains cannot be listed");
}

json_t *admin_domain_alias_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_alias_add(a->directory, admin_text(request, "alias"), admin_text(request, "domain"), &e);
    return admin_done(err, &e);
}

json_t *admin_domain_alias_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_alias_remove(a->directory, admin_text(request, "alias"), &e);
    return admin_done(err, &e);
}

json_t *admin_domain_catch_all(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_domain_catch_all(a->directory, admin_text(request, "domain"), admin_text(request, "address"), &e);
    return admin_done(err, &e);
}

/* --- users --- */

/* A name and its mailboxes are two commits; whoever holds this sees both or neither. */
pthread_mutex_t admin_accounts_lock = PTHREAD_MUTEX_INITIALIZER;

/* New passwords follow the configuration in force; without a running server the defaults. */
void admin_apply_policy(struct admin *a)
{
    struct directory_policy policy = { .length_min = CONFIG_PASSWORD_LENGTH_MIN, .refuse_common = true };
    if (a->run) {
        struct role_snapshot *s = role_snapshot_get(a->run);
        policy = (struct directory_policy){ s->config->password_length_min, s->config->password_refuse_common,
                                            s->config->password_need_mixed };
        role_snapshot_unref(s);
    }
    directory_set_policy(a->directory, &policy);
}

/* The role that REQUEST names, a user's when it names none. */
static int get_role(const json_t *request, enum directory_role *ret, struct error *e)
{
    str name = admin_text(request, "role");
    *ret = name.n ? directory_role_from_name(name) : DIRECTORY_USER;
    return *ret < DIRECTORY_ROLE_N ? 0 : error_set(e, ERR_SYNTAX, "a role is user, admin or program, not '%.*s'", STR_ARG(name));
}

json_t *admin_user_role(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    enum directory_role role;
    int err = get_role(request, &role, &e);
    if (err == 0)
        err = directory_account_role(a->directory, admin_text(request, "address"), role, &e);
    return admin_done(err, &e);
}

/* Adds the account that N says, with its mailboxes. admin_accounts_lock is held. */
static int add_account(struct admin *a, const struct directory_new_account *n, const json_t *welcome, struct error *e)
{
    engine_part id;
    int err = directory_account_make(a->directory, n, &id, e);
    bool named = err == 0;
    if (named)
        err = mail_account_create(a->mail, id);
    if (named && !err)
        err = admin_quota_apply(a, n->address);
    if (named && err) {
        engine_part gone;
        (void)error_set(e, err, "the mailboxes of %.*s cannot be made (%s); the account was not added", STR_ARG(n->address),
                        err_name(err));
        if (directory_account_remove(a->directory, n->address, false, &gone, NULL))
            (void)error_prefix(e, "and the account could not be taken back; remove it by hand");
        else if (admin_delete_mail(a, gone))
            log_warning("user-add", LOG_STR("user", n->address), LOG_Z("note", "its empty mailboxes will be deleted later"));
    }
    if (named && !err)
        notes_welcome(a, id, welcome);
    return err;
}

int admin_add_account(struct admin *a, const struct directory_new_account *n, const json_t *welcome, struct error *e)
{
    struct arena arena = ARENA_INIT(1 << 16);
    struct directory_new_account at_home = *n; /* in the domain itself, where one of its other names was given */
    int err = directory_home_address(a->directory, n->address, &arena, &at_home.address, e);
    pthread_mutex_lock(&admin_accounts_lock);
    if (err == 0)
        err = add_account(a, &at_home, welcome, e);
    pthread_mutex_unlock(&admin_accounts_lock);
    arena_done(&arena);
    return err;
}

int admin_language(const json_t *request, enum language *ret, struct error *e)
{
    str tag = admin_text(request, "language");
    *ret = language_from_tag(tag);
    return *ret < LANGUAGE_N ? 0 : error_set(e, ERR_SYNTAX, "a language is en or fr, not '%.*s'", STR_ARG(str_sub(tag, 0, 40)));
}

json_t *admin_user_language(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    enum language language;
    int err = admin_language(request, &language, &e);
    if (err == 0)
        err = directory_account_language(a->directory, admin_text(request, "address"), language, &e);
    return admin_done(err, &e);
}

json_t *admin_user_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    struct directory_new_account n = { .address = admin_text(request, "address"),
                                       .name = admin_text(request, "name"),
                                       .password = admin_text(request, "password") };
    int err = get_role(request, &n.role, &e);
    if (err == 0)
        err = admin_language(request, &n.language, &e);
    admin_apply_policy(a);
    if (err == 0)
        err = admin_add_account(a, &n, json_object_get(request, "welcome"), &e);
    json_t *v = admin_done(err, &e);
    struct arena arena = ARENA_INIT(1 << 16);
    str given, home;
    if (err == 0 && directory_canonical(n.address, &arena, &given, NULL) == 0 &&
        directory_home_address(a->directory, n.address, &arena, &home, NULL) == 0 && !str_eq(given, home))
        json_object_set_new(v, "address", admin_json_text(home));
    arena_done(&arena);
    return v;
}

json_t *admin_user_passwd(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    admin_apply_policy(a);
    int err = directory_account_password(a->directory, admin_text(request, "address"), admin_text(request, "password"), &e);
    return admin_done(err, &e);
}

json_t *admin_app_password_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    char secret[DIRECTORY_APP_SECRET_SIZE];
    int err = directory_app_password_add(a->directory, admin_text(request, "address"), admin_text(request, "name"), secret, &e);
    if (err)
        return admin_error(err, e.text);
    json_t *v = json_pack("{s:b,s:s}", "ok", 1, "password", secret);
    secret_wipe(secret, sizeof secret);
    return v;
}

json_t *admin_app_password_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_app_password_remove(a->directory, admin_text(request, "address"), admin_text(request, "name"), &e);
    return admin_done(err, &e);
}

static int list_app_password(void *ctx, str name, uint64_t created, uint64_t used)
{
    return json_array_append_new(
        ctx, json_pack("{s:o,s:I,s:I}", "name", admin_json_text(name), "created", (json_int_t)created, "used", (json_int_t)used));
}

json_t *admin_app_password_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_app_passwords(a->directory, admin_text(request, "address"), list_app_password, list);
    if (err) {
        json_decref(list);
        return admin_error(err, err == ERR_NOTFOUND ? "there is no account of that address"
                                                    : "the application passwords cannot be listed");
    }
    return json_pack("{s:b,s:o}", "ok", 1, "app-passwords", list);
}

static json_t *set_enabled(struct admin *a, const json_t *request, bool enabled)
{
    struct error e = ERROR_NONE;
    int err = directory_account_enable(a->directory, admin_text(request, "address"), enabled, &e);
    return admin_done(err, &e);
}

/* For old programs: see directory_account_legacy. */
static const struct {
    str name;
    unsigned mechanisms;
} legacy_modes[] = { { STR_INIT("off"), 0 },
                     { STR_INIT("on"), DIRECTORY_CRAM_MD5 | DIRECTORY_DIGEST_MD5 },
                     { STR_INIT("cram-md5"), DIRECTORY_CRAM_MD5 },
                     { STR_INIT("digest-md5"), DIRECTORY_DIGEST_MD5 } };
enum { LEGACY_MODE_N = sizeof legacy_modes / sizeof legacy_modes[0] };

json_t *admin_user_legacy(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    str mode = admin_text(request, "mode"), address = admin_text(request, "address");
    int err = ERR_SYNTAX;
    for (size_t i = 0; i < LEGACY_MODE_N; i++) {
        if (!str_eq(mode, legacy_modes[i].name))
            continue;
        err = directory_account_legacy(a->directory, address, legacy_modes[i].mechanisms, admin_text(request, "password"), &e);
        if (err == 0)
            log_info("user-legacy", LOG_STR("user", address), LOG_STR("mode", mode));
        return admin_done(err, &e);
    }
    (void)error_set(&e, err, "say on, off, cram-md5 or digest-md5, not '%.*s'", STR_ARG(mode));
    return admin_done(err, &e);
}

json_t *admin_user_enable(struct admin *a, const json_t *request)
{
    return set_enabled(a, request, true);
}

json_t *admin_user_disable(struct admin *a, const json_t *request)
{
    return set_enabled(a, request, false);
}

struct listing {
    struct admin *admin;
    json_t *list;
};

static int list_user(void *ctx, const struct directory_account *account)
{
    struct listing *l = ctx;
    struct mail_quota q = { 0 };
    struct mail_account *m = NULL;
    if (mail_account_open(l->admin->mail, account->id, &m) == 0 && mail_account_quota(m, &q) != 0)
        q = (struct mail_quota){ 0 };
    mail_account_unref(m);
    json_t *user =
        json_pack("{s:o,s:b,s:s,s:I,s:I,s:{s:I,s:I}}", "address", admin_json_text(account->address), "enabled",
                  (int)account->enabled, "role", directory_role_name(account->role), "messages", (json_int_t)q.messages, "bytes",
                  (json_int_t)q.bytes, "quota", "bytes", (json_int_t)q.bytes_max, "messages", (json_int_t)q.messages_max);
    if (account->name.n)
        json_object_set_new(user, "name", admin_json_text(account->name));
    json_object_set_new(user, "percent", json_integer(mail_quota_percent(&q)));
    if (account->language != LANGUAGE_UNSAID)
        json_object_set_new(user, "language", admin_json_text(language_tag(account->language)));
    for (size_t i = 1; i < LEGACY_MODE_N; i++)
        if (account->legacy == legacy_modes[i].mechanisms)
            json_object_set_new(user, "legacy", admin_json_text(legacy_modes[i].name));
    return json_array_append_new(l->list, user);
}

json_t *admin_user_list(struct admin *a, const json_t *request)
{
    struct listing l = { a, json_array() };
    int err = directory_accounts(a->directory, admin_text(request, "domain"), list_user, &l);
    if (err) {
        json_decref(l.list);
        return admin_error(err, admin_no_listing(err, "the users cannot be listed"));
    }
    return json_pack("{s:b,s:o}", "ok", 1, "users", l.list);
}

/* --- aliases --- */

json_t *admin_alias_add(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    str targets[TARGETS_MAX];
    size_t n = 0, i;
    json_t *v;
    json_array_foreach(json_object_get(request, "targets"), i, v)
    {
        if (n == TARGETS_MAX || !json_is_string(v))
            return admin_error(ERR_LIMIT, "an alias has 1 to 100 targets");
        targets[n++] = (str){ json_string_value(v), json_string_length(v) };
    }
    int err = directory_alias_add(a->directory, admin_text(request, "address"), targets, n, &e);
    return admin_done(err, &e);
}

json_t *admin_alias_remove(struct admin *a, const json_t *request)
{
    struct error e = ERROR_NONE;
    int err = directory_alias_remove(a->directory, admin_text(request, "address"), admin_with_references(request), &e);
    return admin_done(err, &e);
}

static int list_alias(void *ctx, str address, const str *targets, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, admin_json_text(targets[i]));
    return json_array_append_new(ctx, json_pack("{s:o,s:o}", "address", admin_json_text(address), "targets", list));
}

json_t *admin_alias_list(struct admin *a, const json_t *request)
{
    json_t *list = json_array();
    int err = directory_aliases(a->directory, admin_text(request, "domain"), list_alias, list);
    if (err) {
        json_decref(list);
        return admin_error(err, admin_no_listing(err, "the aliases cannot be listed"));
    }
    return json_pack("{s:b,s:o}", "ok", 1, "aliases", list);
}
