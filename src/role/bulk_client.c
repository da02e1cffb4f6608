/* bulk_client: the asking side of bulk.h. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "role/bulk.h"

enum { REPLY_MAX = 16 << 20, STEP = 65536 };

static int send_all(int fd, str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_UNAVAILABLE;
        s = str_from(s, (size_t)n);
    }
    return 0;
}

static int receive_more(int fd, struct buf *b)
{
    char *to = buf_reserve(b, STEP);
    ssize_t n;
    if (!to)
        return ERR_LIMIT;
    do
        n = recv(fd, to, STEP, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return ERR_UNAVAILABLE;
    buf_commit(b, (size_t)n);
    return 0;
}

static int send_request(int fd, json_t *request, str bytes)
{
    if (bytes.n)
        (void)json_object_set_new(request, "bytes", json_integer((json_int_t)bytes.n));
    char *text = json_dumps(request, JSON_COMPACT);
    int err = text && strlen(text) <= BULK_LINE_MAX ? 0 : ERR_LIMIT;
    if (err == 0)
        err = send_all(fd, str_from_z(text));
    if (err == 0)
        err = send_all(fd, STR("\r\n"));
    if (err == 0)
        err = send_all(fd, bytes);
    free(text);
    return err;
}

static int receive_reply(struct bulk_client *c, json_t **ret)
{
    size_t end;
    while ((end = str_find_byte(buf_str(&c->in), '\n', 0)) == c->in.n) {
        int err = receive_more(c->fd, &c->in);
        if (err)
            return err;
    }
    json_error_t bad;
    *ret = json_loadb(c->in.p, end, 0, &bad);
    buf_consume(&c->in, end + 1);
    return json_is_object(*ret) ? 0 : ERR_CORRUPT;
}

static int receive_body(struct bulk_client *c, uint64_t n, struct buf *body)
{
    while (n) {
        size_t take = n < c->in.n ? (size_t)n : c->in.n;
        if (body)
            buf_add(body, str_sub(buf_str(&c->in), 0, take));
        buf_consume(&c->in, take);
        n -= take;
        int err = n ? receive_more(c->fd, &c->in) : 0;
        if (err)
            return err;
    }
    return body ? buf_error(body) : 0;
}

static int code_of(const json_t *reply)
{
    str name = str_from_z(json_string_value(json_object_get(reply, "error")));
    for (int code = -1; code > ERR_LAST_; code--)
        if (str_eq(name, str_from_z(err_name(code))))
            return code;
    return ERR_INTERNAL;
}

int bulk_call(struct bulk_client *c, json_t *request, str bytes, json_t **ret, struct buf *body, struct error *e)
{
    json_t *reply = NULL;
    if (c->in.max == 0)
        buf_init(&c->in, REPLY_MAX);
    int err = send_request(c->fd, request, bytes);
    json_decref(request);
    if (err == 0)
        err = receive_reply(c, &reply);
    if (body)
        buf_reset(body);
    json_int_t n = json_integer_value(json_object_get(reply, "bytes"));
    if (err == 0 && n > (body ? BULK_MESSAGE_MAX : 0))
        err = ERR_LIMIT; /* nobody who plays fair sends that */
    if (err == 0 && n > 0)
        err = receive_body(c, (uint64_t)n, body);
    if (err) {
        json_decref(reply);
        return error_set(e, err,
                         err == ERR_LIMIT ? "the request or its answer is too long" : "the server closed the control connection");
    }
    if (!json_is_true(json_object_get(reply, "ok"))) {
        const char *text = json_string_value(json_object_get(reply, "text"));
        err = error_set(e, code_of(reply), "%s", text ? text : "refused without a reason");
        json_decref(reply);
        return err;
    }
    *ret = reply;
    return 0;
}

int bulk_do(struct bulk_client *c, json_t *request, str bytes, struct error *e)
{
    json_t *reply;
    int err = bulk_call(c, request, bytes, &reply, NULL, e);
    if (err == 0)
        json_decref(reply);
    return err;
}

void bulk_client_done(struct bulk_client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    buf_done(&c->in);
    c->fd = -1;
}
