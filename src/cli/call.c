/* call: carrying out an administrator's request, with the server running or stopped. See cli.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "role/control.h"

enum { CALL_DEADLINE_MS = 600000 };

void cli_print_json(const json_t *v)
{
    char *text = json_dumps(v, JSON_INDENT(2));
    if (text)
        (void)puts(text);
    free(text);
}

/* Root becomes the owner of the directory, so that no file appears in the store that the server cannot open later. */
static int become_owner(const char *dir, struct error *e)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s; `valise init` makes a directory", dir, strerrordesc_np(errno));
    if (geteuid() != 0 || st.st_uid == 0)
        return 0;
    if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 || setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return error_set(e, ERR_REFUSED, "cannot change to the owner of %s: %s", dir, strerrordesc_np(errno));
    return 0;
}

static int run_here(const char *dir, const json_t *request, json_t **ret, struct error *e)
{
    struct admin a = { 0 };
    if (chdir(dir) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s; `valise init` makes a directory", dir, strerrordesc_np(errno));
    int err = become_owner(".", e);
    if (err == 0 && access("store", F_OK) != 0)
        err = error_set(e, ERR_NOTFOUND, "%s has no store; `valise init` makes a directory", dir);
    if (err)
        return err;
    log_set_level(LOG_WARNING);
    struct engine_settings settings = { 0 };
    err = engine_rocksdb_open("store", &settings, &a.engine, e);
    if (err)
        return err;
    a.mail = mail_store_new(a.engine);
    err = directory_open(a.engine, &a.directory, e);
    if (err == 0)
        *ret = admin_run(&a, request);
    directory_free(a.directory);
    mail_store_free(a.mail);
    engine_close(a.engine);
    return err;
}

/* The code whose name is in the reply. */
static int code_of(const json_t *reply)
{
    str name = str_from_z(json_string_value(json_object_get(reply, "error")));
    for (int code = 0; code > ERR_LAST_; code--)
        if (str_eq(name, str_from_z(err_name(code))))
            return code;
    return ERR_INTERNAL;
}

int cli_call(const struct cli *c, json_t *request, json_t **ret)
{
    struct error e = ERROR_NONE;
    json_t *reply = NULL;
    int err = control_call(c->dir, request, CALL_DEADLINE_MS, &reply, &e);
    if (err == ERR_UNAVAILABLE)
        err = run_here(c->dir, request, &reply, &e);
    json_decref(request);
    if (err)
        return cli_fail(err, e.text);
    if (json_is_true(json_object_get(reply, "ok"))) {
        *ret = reply;
        return 0;
    }
    if (c->json)
        cli_print_json(reply);
    const char *text = json_string_value(json_object_get(reply, "text"));
    int status = cli_fail(code_of(reply), text ? text : "the server refused without a reason");
    json_decref(reply);
    return status;
}

int cli_call_and_say(const struct cli *c, json_t *request, const char *fmt, ...)
{
    json_t *reply;
    int status = cli_call(c, request, &reply);
    if (status)
        return status;
    if (c->json) {
        cli_print_json(reply);
    } else {
        va_list ap;
        va_start(ap, fmt);
        (void)vprintf(fmt, ap);
        va_end(ap);
    }
    json_decref(reply);
    return 0;
}
