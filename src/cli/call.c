/* call: carrying out an administrator's request, with the server running or stopped. See cli.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/owner.h"
#include "role/control.h"
#include "role/format.h"
#include "role/keeper.h"
#include "role/lock.h"
#include "role/owners.h"
#include "role/sealer.h"
#include "run/sandbox.h"

/* Checking or deleting much mail takes long; whoever does not want to wait has Ctrl-C. */
enum { OUTCOME_MAX = 64 << 20, CALL_DEADLINE_MS = 86400000, LOCK_TRY_MS = 100, LOCK_WAIT_MS = 30000 };

void cli_print_json(const json_t *v)
{
    char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    if (text)
        (void)puts(text);
    free(text);
}

int cli_enter(const char *dir, struct error *e)
{
    int top = beneath_start(dir, e);
    if (top < 0)
        return owners_no_directory(dir, e);
    int err = cli_enter_open(top, dir, e);
    (void)close(top);
    return err;
}

int cli_enter_open(int top, const char *name, struct error *e)
{
    int store = owner_open_store(top, e);
    int err = store < 0 ? store : fchdir(top) != 0 ? error_set(e, err_from_errno(errno), "%s", strerrordesc_np(errno)) : 0;
    if (err == 0 && geteuid() == 0)
        err = lock_make(e);
    if (err == 0)
        err = owner_become(store, e);
    if (err == 0 && faccessat(store, ".", W_OK | X_OK, AT_EACCESS) != 0)
        err = error_set(e, err_from_errno(errno), "store: %s; run this as root or as the server's user", strerrordesc_np(errno));
    if (store >= 0)
        (void)close(store);
    return err ? error_prefix(e, "%s", name) : 0;
}

/* In the directory, with its lock. */
static int run_here(const json_t *request, struct channel *keeper, json_t **ret, struct error *e)
{
    struct admin a = { 0 };
    struct engine_settings settings = { 0 };
    log_set_level(LOG_WARNING);
    int err = engine_rocksdb_open("store", &settings, &a.engine, e);
    if (err)
        return err;
    const struct directory_sealer sealer = role_sealer(keeper);
    a.keeper = keeper;
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
static int run_with(const char *dir, const json_t *request, struct channel *keeper, json_t **ret, struct error *e)
{
    int64_t end = clock_mono_ms() + LOCK_WAIT_MS;
    int err = cli_enter(dir, e);
    while (err == 0) {
        int lock = lock_take(LOCK_TRY_MS, e);
        if (lock >= 0) {
            err = run_here(request, keeper, ret, e);
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

/* --- as root: the work is a child's, which gives root up; what it says is believed as little as a server --- */

/* The result, and then the answer or the reason. */
static void send_outcome(int fd, int err, json_t *reply, const struct error *e)
{
    struct buf b;
    buf_init_secret(&b, OUTCOME_MAX);
    char *text = err ? NULL : json_dumps(reply, JSON_COMPACT);
    if (err == 0 && !text)
        err = ERR_INTERNAL;
    buf_add(&b, (str){ (const char *)&err, sizeof err });
    buf_add(&b, str_from_z(text ? text : e->text));
    for (size_t at = 0; at < b.n;) {
        ssize_t n = write(fd, b.p + at, b.n - at);
        if (n < 0 && errno != EINTR)
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    if (text) {
        secret_wipe(text, strlen(text));
        free(text);
    }
    buf_done(&b);
}

static int take_outcome(int fd, json_t **ret, struct error *e)
{
    struct buf b;
    json_error_t bad;
    int code = 0;
    buf_init_secret(&b, OUTCOME_MAX);
    int err = beneath_read_open(fd, "the command's process", &b, e);
    if (err == 0 && b.n < sizeof code)
        err = error_set(e, ERR_UNKNOWN, "the command's process ended before it answered; look and try again");
    if (err == 0) {
        memcpy(&code, b.p, sizeof code);
        str rest = str_from(buf_str(&b), sizeof code);
        if (code)
            err = error_set(e, code < 0 && code > ERR_LAST_ ? code : ERR_CORRUPT, "%.*s", STR_ARG(rest));
        else if (!(*ret = json_loadb(rest.p, rest.n, 0, &bad)))
            err = error_set(e, ERR_CORRUPT, "the command's process gave no JSON: %s", bad.text);
    }
    buf_done(&b);
    return err;
}

static int run_apart(const char *dir, const json_t *request, struct channel *keeper, json_t **ret, struct error *e)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_set(e, ERR_IO, "pipe: %s", strerrordesc_np(errno));
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        json_t *reply = NULL;
        (void)close(fds[0]);
        owner_apart();
        int err = run_with(dir, request, keeper, &reply, e);
        send_outcome(fds[1], err, reply, e);
        _exit(0);
    }
    (void)close(fds[1]);
    int err = pid < 0 ? error_set(e, ERR_UNAVAILABLE, "fork: %s", strerrordesc_np(errno)) : take_outcome(fds[0], ret, e);
    (void)close(fds[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err;
}

/* The keys stay with a process of their own, made while we still may. */
static int run_without(const char *dir, const json_t *request, json_t **ret, struct error *e)
{
    struct keeper_aide aide = { 0 };
    struct error why = ERROR_NONE;
    int at = beneath_start(dir, &why), err = at < 0 ? 0 : keeper_aide_start(at, &aide, e);
    if (at >= 0)
        (void)close(at);
    if (err == 0)
        err = geteuid() == 0 ? run_apart(dir, request, aide.channel, ret, e) : run_with(dir, request, aide.channel, ret, e);
    keeper_aide_stop(&aide);
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

int cli_call_apart(const struct cli *c, json_t *request, json_t **ret)
{
    struct error e = ERROR_NONE;
    int fd[2], how = 0;
    (void)fflush(stdout);
    pid_t pid = pipe2(fd, O_CLOEXEC) == 0 ? fork() : -2;
    if (pid == 0) {
        json_t *reply = NULL;
        (void)close(fd[0]);
        int status = cli_call(c, request, &reply);
        if (status == 0 && json_dumpfd(reply, fd[1], JSON_COMPACT) != 0)
            status = EX_OSERR;
        (void)fflush(stdout);
        _exit(status);
    }
    json_decref(request);
    if (pid != -2)
        (void)close(fd[1]);
    json_t *reply = pid > 0 ? json_loadfd(fd[0], 0, NULL) : NULL;
    if (pid != -2)
        (void)close(fd[0]);
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR)
        continue;
    if (pid > 0 && WIFEXITED(how) && WEXITSTATUS(how) != 0) {
        json_decref(reply);
        return WEXITSTATUS(how); /* it has said why */
    }
    if (!json_is_object(reply)) {
        json_decref(reply);
        (void)error_set(&e, ERR_INTERNAL, "the process that carries out the command did not come to its end");
        return cli_fail_with(c, EX_OSERR, e.code, e.text);
    }
    *ret = reply;
    return 0;
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
