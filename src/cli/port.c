/* port: see port.h. */
#include "cli/port.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/owner.h"
#include "role/control.h"
#include "role/format.h"
#include "role/lock.h"
#include "role/owners.h"

enum { LOCK_WAIT_MS = 10000 };

/* --- our own process --- */

/* The first request gets the reason. */
static void refuse(int fd, const struct error *e)
{
    json_t *reply = admin_error(e->code, e->text);
    char *text = json_dumps(reply, JSON_COMPACT), word[1];
    if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && send(fd, "\r\n", 2, MSG_NOSIGNAL) > 0)
        (void)!read(fd, word, 1);
    free(text);
    json_decref(reply);
}

static void serve_store(int top, const char *dir, int fd)
{
    struct error e = ERROR_NONE;
    struct admin a = { 0 };
    struct engine_settings settings = { 0 };
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_WARNING);
    int err = cli_enter_open(top, dir, &e), lock = err ? err : lock_take(LOCK_WAIT_MS, &e);
    if (err == 0 && lock < 0)
        err = lock == ERR_AGAIN ? error_set(&e, ERR_UNAVAILABLE,
                                            "another command works in %s, or a server starts or stops there; try again", dir)
                                : lock;
    if (err == 0)
        err = engine_rocksdb_open("store", &settings, &a.engine, &e);
    if (err) {
        refuse(fd, &e);
        return;
    }
    a.mail = mail_store_new(a.engine);
    err = directory_open(a.engine, &a.directory, &e);
    if (err == 0)
        err = store_upgrade(&a, &e);
    if (err == 0)
        bulk_serve(&a, fd);
    else
        refuse(fd, &e);
    directory_free(a.directory);
    mail_store_free(a.mail);
    engine_close(a.engine);
    (void)close(lock);
}

/* What we have open is not for the process that reads a store which somebody else wrote. */
static void keep_only(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (low > 3)
        (void)close_range(3, low - 1, 0);
    if (high > low + 1)
        (void)close_range(low + 1, high - 1, 0);
    (void)close_range(high + 1, ~0U, 0);
}

int port_open_store(int top, const char *name, struct port *ret, struct error *e)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(e, ERR_IO, "socketpair: %s", strerrordesc_np(errno));
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        owner_apart();
        keep_only(top, fds[1]);
        serve_store(top, name, fds[1]);
        _exit(0);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return error_set(e, ERR_UNAVAILABLE, "fork: %s", strerrordesc_np(errno));
    }
    *ret = (struct port){ .client = { .fd = fds[0] }, .pid = pid };
    return 0;
}

/* To the store in DIR, which is no server's. */
static int open_without(const char *dir, struct port *ret, struct error *e)
{
    int top = beneath_start(dir, e);
    if (top < 0)
        return owners_no_directory(dir, e);
    int err = port_open_store(top, dir, ret, e);
    (void)close(top);
    return err;
}

int port_open(const char *dir, struct port *ret, struct error *e)
{
    int fd = control_connect(dir, e);
    if (fd == ERR_UNAVAILABLE)
        return open_without(dir, ret, e);
    if (fd < 0)
        return fd;
    *ret = (struct port){ .client = { .fd = fd } };
    return 0;
}

void port_close(struct port *p)
{
    bulk_client_done(&p->client);
    while (p->pid && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

/* --- what is there --- */

int port_each(struct port *p, str mailbox, int (*fn)(void *ctx, const json_t *entry, struct error *e), void *ctx, struct error *e)
{
    json_int_t from = 1;
    int err = 0;
    while (err == 0 && from) {
        json_t *reply, *entry;
        size_t i;
        err = bulk_call(&p->client,
                        json_pack("{s:s,s:s%,s:I}", "command", "bulk.list", "mailbox", mailbox.p, mailbox.n, "from", from),
                        (str){ NULL, 0 }, &reply, NULL, e);
        if (err)
            break;
        json_array_foreach(json_object_get(reply, "entries"), i, entry)
        {
            if (err == 0)
                err = fn(ctx, entry, e);
        }
        json_int_t next = json_integer_value(json_object_get(reply, "next"));
        json_decref(reply);
        if (err == 0 && next && next <= from)
            err = error_set(e, ERR_CORRUPT, "the server's list of messages goes round in circles");
        from = next;
    }
    return err;
}
