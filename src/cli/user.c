/* user: valise user add|passwd|legacy|role|enable|disable|list. */
#include <errno.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/columns.h"
#include "cli/quota.h"
#include "cli/bulk_file.h"
#include "pki/pki.h"
#include "role/notes.h"
#include "role/owners.h"
#include "role/sealer.h"

enum { OVER_PERCENT = 80 }; /* the first of mail_quota_marks */

/* A generated password is shown when it is in force, not before. */
static void report(const struct cli *c, json_t *reply, const char *done, str password)
{
    bool generated = cli_value(c, "generate") != NULL;
    if (c->json) {
        if (generated)
            json_object_set_new(reply, "password", json_stringn(password.p, password.n));
        cli_print_json(reply);
        return;
    }
    const char *home = json_string_value(json_object_get(reply, "address"));
    if (home)
        (void)printf("%s %s as %s\n", c->words[0], done, home);
    else
        (void)printf("%s %s\n", c->words[0], done);
    if (generated)
        (void)printf("password: %.*s\n", STR_ARG(password));
}

static const char *name_of(const struct cli *c)
{
    const char *name = cli_value(c, "name");
    return name ? name : "";
}

static const char *language_of(const struct cli *c)
{
    const char *language = cli_value(c, "language");
    return language ? language : "";
}

static int with_password(struct cli *c, const char *command, const char *role, const char *done)
{
    bool with_name = strcmp(command, "user.add") == 0;
    struct buf password;
    json_t *reply = NULL;
    int status = cli_password(c, &password);
    json_t *secret = status == 0 ? json_stringn(password.p, password.n) : NULL, *welcome = NULL;
    if (status == 0 && !secret)
        status = cli_fail(c, ERR_SYNTAX, "the password is not valid UTF-8");
    if (status == 0 && with_name)
        status = user_welcome(c, &welcome);
    if (status == 0)
        status = cli_call(c,
                          json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o*}", "command", command, "address", c->words[0], "role", role,
                                    "name", with_name ? name_of(c) : "", "language", with_name ? language_of(c) : "", "password",
                                    secret, "welcome", welcome),
                          &reply);
    else
        json_decref(secret);
    if (status == 0)
        report(c, reply, done, buf_str(&password));
    json_decref(reply);
    buf_done(&password);
    return status;
}

static int simple(struct cli *c, const char *command, const char *what)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s}", "command", command, "address", c->words[0]), "%s is %s\n", c->words[0],
                            what);
}

/* A program has no password of its own, so none is asked for. */
static int add_program(struct cli *c)
{
    if (cli_value(c, "generate") || cli_value(c, "password-stdin"))
        return cli_usage(c, "a program has no password of its own: add it, then `valise user app-password add %s NAME'",
                         c->words[0]);
    return cli_call_and_say(
        c, json_pack("{s:s,s:s,s:s,s:s}", "command", "user.add", "address", c->words[0], "role", "program", "name", name_of(c)),
        "%s is added; `valise user app-password add %s NAME' makes what it logs in with\n", c->words[0], c->words[0]);
}

int cmd_user_add(struct cli *c)
{
    const char *role = cli_value(c, "role");
    bool many = cli_value(c, "from") != NULL;
    if (many != (c->word_n == 0))
        return cli_usage(c, "user add: give one ADDRESS, or --from FILE for many");
    if (many && (cli_value(c, "password-stdin") || cli_value(c, "name") || cli_value(c, "language")))
        return cli_usage(c,
                         "user add: with --from names, languages and passwords are in the file, or --generate makes passwords");
    if (!many && (cli_value(c, "dry-run") || cli_value(c, "skip-existing") || cli_value(c, "passwords")))
        return cli_usage(c, "user add: --dry-run, --skip-existing and --passwords go with --from FILE");
    if (many)
        return bulk_from_file(c, false);
    if (role && str_eq(str_from_z(role), STR("program")))
        return add_program(c);
    return with_password(c, "user.add", role ? role : "user", "is added");
}

int cmd_user_role(struct cli *c)
{
    return cli_call_and_say(c, json_pack("{s:s,s:s,s:s}", "command", "user.role", "address", c->words[0], "role", c->words[1]),
                            "%s has the role %s\n", c->words[0], c->words[1]);
}

int cmd_user_language(struct cli *c)
{
    bool none = strcmp(c->words[1], "default") == 0;
    return cli_call_and_say(
        c, json_pack("{s:s,s:s,s:s}", "command", "user.language", "address", c->words[0], "language", none ? "" : c->words[1]),
        none ? "%s is written to in the server's language\n" : "%s is written to in the language %s\n", c->words[0], c->words[1]);
}

int cmd_user_passwd(struct cli *c)
{
    return with_password(c, "user.passwd", "", "has a new password");
}

/* The key that seals is made here: core, who has it used later, cannot write keys/. */
static int make_seal_key(const struct cli *c)
{
    struct error e = ERROR_NONE;
    struct stat st;
    int dir = beneath_start(c->dir, &e), keys = dir < 0 ? dir : beneath_directory(dir, "keys", &e);
    int err = keys < 0 ? keys : fstat(keys, &st) != 0 ? error_set(&e, ERR_IO, "keys/: %s", strerrordesc_np(errno)) : 0;
    if (err == 0)
        err = pki_seal_key_make(keys, SEALER_KEY, owners_rights_in(&st, 0600, 0640), &e);
    if (err == ERR_REFUSED && geteuid() != 0)
        error_prefix(&e, "run this as root");
    if (keys >= 0)
        (void)close(keys);
    if (dir >= 0)
        (void)close(dir);
    return err ? cli_fail_files(c, &e) : 0;
}

int cmd_user_legacy(struct cli *c)
{
    struct buf password;
    const char *mode = c->words[1];
    bool off = strcmp(mode, "off") == 0;
    buf_init_secret(&password, 1024);
    if (!off && strcmp(mode, "on") != 0 && strcmp(mode, "cram-md5") != 0 && strcmp(mode, "digest-md5") != 0)
        return cli_usage(c, "user legacy: say on, off, cram-md5 or digest-md5, not '%s'", mode);
    int status = off ? 0 : make_seal_key(c);
    if (status == 0 && !off)
        status = cli_present_password(c, &password);
    json_t *secret = json_stringn(password.n ? password.p : "", password.n);
    if (status == 0 && !secret)
        status = cli_fail(c, ERR_SYNTAX, "the password is not valid UTF-8");
    if (status == 0)
        status = cli_call_and_say(
            c, json_pack("{s:s,s:s,s:s,s:o}", "command", "user.legacy", "address", c->words[0], "mode", mode, "password", secret),
            off ? "%s is flagged for no legacy mechanism any more; what was kept for them is gone\n"
                : "%s may use the legacy mechanisms of listeners that name them; the password is kept sealed\n",
            c->words[0]);
    else
        json_decref(secret);
    buf_done(&password);
    return status;
}

int cmd_user_enable(struct cli *c)
{
    return simple(c, "user.enable", "enabled");
}

int cmd_user_disable(struct cli *c)
{
    return simple(c, "user.disable", "disabled");
}

static void print_user(const json_t *user)
{
    char text[QUOTA_TEXT_MAX];
    const char *name = cli_string(json_object_get(user, "name"));
    const char *language = cli_string(json_object_get(user, "language"));
    char percent[32] = "";
    if (json_integer_value(json_object_get(user, "percent")) >= OVER_PERCENT)
        (void)snprintf(percent, sizeof percent, ", %lld %% used",
                       (long long)json_integer_value(json_object_get(user, "percent")));
    (void)printf("%-*s %-8s %10lld messages %14lld bytes  quota %s%s%s%s%s%s%s%s\n",
                 columns_pad(cli_string(json_object_get(user, "address")), 40), cli_string(json_object_get(user, "address")),
                 cli_string(json_object_get(user, "role")), (long long)json_integer_value(json_object_get(user, "messages")),
                 (long long)json_integer_value(json_object_get(user, "bytes")), quota_text(json_object_get(user, "quota"), text),
                 percent, json_is_true(json_object_get(user, "enabled")) ? "" : "  disabled",
                 json_object_get(user, "legacy") ? "  legacy" : "", language[0] ? "  " : "", language, name[0] ? "  " : "", name);
}

int cmd_user_list(struct cli *c)
{
    json_t *reply, *user;
    size_t i;
    const char *domain = cli_value(c, "domain");
    if (cli_value(c, "removed"))
        return user_list_removed(c);
    int status = cli_call(c, json_pack("{s:s,s:s}", "command", "user.list", "domain", domain ? domain : ""), &reply);
    if (status)
        return status;
    json_t *users = json_object_get(reply, "users");
    for (i = json_array_size(users); i-- > 0 && cli_value(c, "over");)
        if (json_integer_value(json_object_get(json_array_get(users, i), "percent")) < OVER_PERCENT)
            (void)json_array_remove(users, i);
    if (c->json)
        cli_print_json(reply);
    else
        json_array_foreach(json_object_get(reply, "users"), i, user) print_user(user);
    json_decref(reply);
    return 0;
}
