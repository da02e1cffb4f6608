/* call: carrying out an administrator's request, with the server running or stopped. See cli.h. */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "role/control.h"
#include "role/format.h"
#include "role/lock.h"
#include "role/sealer.h"

/* Checking or deleting much mail takes long; whoever does not want to wait has Ctrl-C. */
enum { CALL_DEADLINE_MS = 86400000, LOCK_TRY_MS = 100, LOCK_WAIT_MS = 30000 };

void cli_print_json(const json_t *v)
{
    char *text = json_dumps(v, JSON_INDENT(2));
    if (text)
        (void)puts(text);
    free(text);
}

int cli_enter(const char *dir, struct error *e)
{
    struct stat st;
    if (chdir(dir) != 0 || stat(".", &st) != 0)
        return error_set(e, err_from_errno(errno), "%s: %s; `valise init` makes a directory", dir, strerrordesc_np(errno));
    if (geteuid() == 0 && st.st_uid != 0 &&
        (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
         setresuid(st.st_uid, st.st_uid, st.st_uid) != 0))
        return error_set(e, ERR_REFUSED, "cannot change to the owner of %s: %s", dir, strerrordesc_np(errno));
    if (access("store", W_OK | X_OK) == 0)
        return 0;
    if (errno == ENOENT)
        return error_set(e, ERR_NOTFOUND, "%s has no store; `valise init` makes a directory", dir);
    return error_set(e, err_from_errno(errno), "%s/store: %s; run this as root or as the server's user", dir,
                     strerrordesc_np(errno));
}

/* In the directory, with its lock. */
static int run_here(const json_t *request, json_t **ret, struct error *e)
{
    struct admin a = { 0 };
    struct engine_settings settings = { 0 };
    log_set_level(LOG_WARNING);
    int err = engine_rocksdb_open("store", &settings, &a.engine, e);
    if (err)
        return err;
    const struct directory_sealer sealer = role_sealer(NULL);
    a.mail = mail_store_new(a.engine);
    err = directory_open(a.engine, &a.directory, e);
    /* `valise upgrade' wants to see the store as it is. */
    if (err == 0 && !str_eq(str_from_z(json_string_value(json_object_get(request, "command"))), STR("upgrade")))
        err = store_upgrade(&a, e);
    if (err == 0)
        directory_set_sealer(a.directory, &sealer);
    if (err == 0)
        *ret = admin_run(&a, request);
    directory_free(a.directory);
    mail_store_free(a.mail);
    engine_close(a.engine);
    return err;
}

/* No server answers: does it here, or waits for whoever has the directory, a command or a server about to start or to end. */
static int run_without(const char *dir, const json_t *request, json_t **ret, struct error *e)
{
    int64_t end = clock_mono_ms() + LOCK_WAIT_MS;
    int err = cli_enter(dir, e);
    while (err == 0) {
        int lock = lock_take(LOCK_TRY_MS, e);
        if (lock >= 0) {
            err = run_here(request, ret, e);
            (void)close(lock);
            return err;
        }
        if (lock != ERR_AGAIN)
            return lock;
        err = control_call(".", request, CALL_DEADLINE_MS, ret, e);
        if (err != ERR_UNAVAILABLE)
            return err;
        err = 0;
        if (clock_mono_ms() >= end)
            return error_set(e, ERR_AGAIN, "another command works in %s, or a server starts or stops there; try again", dir);
    }
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

/* What came of a request: 0 with *RET, or an exit status after a message. */
static int outcome(const struct cli *c, int err, const struct error *e, json_t *reply, json_t **ret)
{
    if (err)
        return err == ERR_AGAIN ? cli_fail_with(c, EX_TEMPFAIL, err, e->text) : cli_fail_files(c, e);
    if (json_is_true(json_object_get(reply, "ok"))) {
        *ret = reply;
        return 0;
    }
    const char *text = json_string_value(json_object_get(reply, "text"));
    int status = cli_fail(c, code_of(reply), text ? text : "the server refused without a reason");
    json_decref(reply);
    return status;
}

int cli_call(const struct cli *c, json_t *request, json_t **ret)
{
    struct error e = ERROR_NONE;
    json_t *reply = NULL;
    int err = control_call(c->dir, request, CALL_DEADLINE_MS, &reply, &e);
    if (err == ERR_UNAVAILABLE)
        err = run_without(c->dir, request, &reply, &e);
    json_decref(request);
    return outcome(c, err, &e, reply, ret);
}

int cli_call_server(const struct cli *c, json_t *request, json_t **ret)
{
    struct error e = ERROR_NONE;
    json_t *reply = NULL;
    int err = control_call(c->dir, request, CALL_DEADLINE_MS, &reply, &e);
    json_decref(request);
    return outcome(c, err, &e, reply, ret);
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
