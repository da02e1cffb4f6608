/* control: see control.h. */
#include "role/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "role/bulk.h"
#include "role/core.h"

/* --- serving --- */

struct control {
    struct bulk *bulk;
    json_t *request; /* whose bytes are coming in; NULL: none */
    uint64_t left;   /* of them */
};

static void *control_open(struct conn *c, void *ctx)
{
    struct core *core = ctx;
    struct control *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->bulk = bulk_new(&core->admin);
    conn_deadline(c, 60000);
    return s;
}

/* jansson frees strings without wiping them. */
static void wipe_password(json_t *request)
{
    json_t *v = json_object_get(request, "password");
    if (json_is_string(v))
        secret_wipe((char *)(uintptr_t)json_string_value(v), json_string_length(v));
}

static void answer(struct conn *c, struct control *s)
{
    json_t *request = s->request;
    struct source *body = NULL;
    uint64_t n = 0;
    json_t *reply = json_is_object(request) ? bulk_run(s->bulk, request, &body, &n)
                                            : admin_error(ERR_SYNTAX, "the request is not a JSON object");
    s->request = NULL;
    char *text = json_dumps(reply, JSON_COMPACT);
    if (text) {
        stream_write(conn_stream(c), str_from_z(text));
        stream_write(conn_stream(c), STR("\r\n"));
        secret_wipe(text, strlen(text));
        free(text);
    }
    if (body)
        stream_write_source(conn_stream(c), body, n);
    wipe_password(request);
    json_decref(reply);
    json_decref(request);
}

/* What has come of the bytes behind the request. 0 when all are there. */
static int take_bytes(struct conn *c, struct control *s)
{
    while (s->left) {
        str come = stream_peek(conn_stream(c));
        size_t n = s->left < come.n ? (size_t)s->left : come.n;
        bulk_take(s->bulk, str_sub(come, 0, n));
        stream_consume(conn_stream(c), n);
        s->left -= n;
        int err = s->left ? stream_fill(conn_stream(c)) : 0;
        if (err)
            return err;
    }
    return 0;
}

static int take_request(struct conn *c, struct control *s)
{
    str line;
    json_error_t bad;
    int err = stream_line(conn_stream(c), CONTROL_LINE_MAX, &line);
    if (err)
        return err;
    s->request = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &bad);
    return s->request ? bulk_expects(s->request, &s->left) : 0;
}

static enum conn_next control_run(struct conn *c, void *session, unsigned why)
{
    if (why & (CONN_TIMEOUT | CONN_SHUTDOWN))
        return CONN_CLOSE;
    struct control *s = session;
    for (;;) {
        int err = s->left ? 0 : take_request(c, s);
        if (err == 0)
            err = take_bytes(c, s);
        if (err == ERR_AGAIN)
            return CONN_WAIT;
        if (err)
            return CONN_CLOSE;
        answer(c, s);
        /* Who asks on without reading the answers waits until they are on their way: they must not pile up. */
        if (stream_is_full(conn_stream(c)))
            return CONN_DRAIN;
    }
}

static void control_close(struct conn *c, void *session)
{
    struct control *s = session;
    bulk_free(s->bulk);
    json_decref(s->request);
    free(s);
}

const struct conn_ops control_session_ops = {
    .name = "control", .open = control_open, .run = control_run, .close = control_close
};

/* --- asking --- */

/* Nobody listens in DIR: because no server runs there, or there is nothing that could. */
static int fail_unavailable(const char *dir, struct error *e)
{
    struct stat st;
    int top = beneath_start(dir, NULL);
    if (top == ERR_NOTFOUND)
        return error_set(e, ERR_UNAVAILABLE,
                         "there is no directory %s; --dir or VALISE_DIR names where the mail system is, `valise init` makes one",
                         dir);
    bool empty = top >= 0 && fstatat(top, "valise.conf", &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    if (top >= 0)
        (void)close(top);
    if (empty)
        return error_set(e, ERR_UNAVAILABLE,
                         "no server runs in %s, which holds no valise.conf; --dir or VALISE_DIR names where the mail system is, "
                         "`valise init` makes one",
                         dir);
    bool installed = str_eq(str_from_z(dir), STR("/var/lib/valise"));
    return error_set(e, ERR_UNAVAILABLE, "no server runs in %s; `%s%s` starts it", dir,
                     installed ? "systemctl start valise" : "valise serve --dir ", installed ? "" : dir);
}

int control_connect(const char *dir, struct error *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int n = snprintf(sa.sun_path, sizeof sa.sun_path, "%s/control.sock", dir);
    if (n < 0 || (size_t)n >= sizeof sa.sun_path)
        return error_set(e, ERR_LIMIT,
                         "%s/control.sock: the path is longer than a socket's may be (107 bytes); use a shorter directory", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(e, ERR_IO, "socket: %s", strerrordesc_np(errno));
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        int code = errno;
        (void)close(fd);
        if (code == EACCES || code == EPERM)
            return error_set(e, ERR_REFUSED, "%s: %s", sa.sun_path, strerrordesc_np(code));
        return fail_unavailable(dir, e);
    }
    return fd;
}

static int read_reply(int fd, struct buf *b, int64_t end, struct error *e)
{
    for (;;) {
        int64_t left = end - clock_mono_ms();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n == 0)
            return error_set(e, ERR_TIMEOUT, "the server did not answer in time");
        char *to = buf_reserve(b, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (!to)
            return error_set(e, ERR_LIMIT, "the server's answer is longer than %zu bytes", b->max);
        ssize_t got = read(fd, to, 65536);
        if (got <= 0)
            return error_set(e, ERR_UNKNOWN,
                             "the server ended before it answered; whether the command was carried out is not known, look and "
                             "try again");
        buf_commit(b, (size_t)got);
        if (b->p[b->n - 1] == '\n')
            return 0;
    }
}

int control_call(const char *dir, const json_t *request, int64_t deadline_ms, json_t **ret, struct error *e)
{
    int64_t end = clock_mono_ms() + deadline_ms;
    int fd = control_connect(dir, e);
    if (fd < 0)
        return fd;
    struct buf b;
    buf_init_secret(&b, 64 << 20);
    char *text = json_dumps(request, JSON_COMPACT);
    int err = text ? 0 : error_set(e, ERR_INTERNAL, "the request cannot be written as JSON");
    if (err == 0) {
        buf_add_all(&b, str_from_z(text), STR("\r\n"));
        if (b.n > CONTROL_LINE_MAX)
            err = error_set(e, ERR_LIMIT, "the request is longer than %d bytes", CONTROL_LINE_MAX);
        else if (send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
            err = error_set(e, ERR_UNKNOWN, "the server ended before it took the command; try again");
        buf_reset(&b);
    }
    if (err == 0)
        err = read_reply(fd, &b, end, e);
    json_error_t bad;
    json_t *reply = err == 0 ? json_loadb(b.p, b.n, 0, &bad) : NULL;
    if (err == 0 && !json_is_object(reply))
        err = error_set(e, ERR_CORRUPT, "the server's answer is not JSON: %s", bad.text);
    if (err == 0)
        *ret = reply;
    else
        json_decref(reply);
    if (text) {
        secret_wipe(text, strlen(text));
        free(text);
    }
    buf_done(&b);
    (void)close(fd);
    return err;
}
